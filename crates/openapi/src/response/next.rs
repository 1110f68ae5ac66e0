//! How to get what follows: the link or the mark by which an API says that there is more.
//!
//! Looked for in this order: what the operator says, `Link: …; rel="next"` (RFC 8288), the usual
//! headers and members of the body, the id of the last element, and offsets and page numbers beside a
//! total. What comes of it are arguments of the tool, or a mark: never a URL, which may carry what the
//! gate added to the request.

use wire::json::{Json, Kind, Object, write_string};

use super::{Answer, Context, Paging, Step};
use crate::tool::Tool;
use argument::{Taker, Takes, fold, is_decimal, takers, with_member};

mod argument;
mod count;
mod spot;
mod usual;

/// How the pages of a tool are found, prepared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Pager {
    paging: Paging,
    takers: Vec<Taker>,
    /// Where in `takers` the argument is that the operator names.
    chosen: Option<usize>,
    /// Headers of answers that are read, in lower case.
    headers: Vec<String>,
}

/// How to get what follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Next {
    /// Arguments that are different in the next call.
    arguments: Vec<(String, Json)>,
    /// Arguments of this call that the next one does not have.
    without: Vec<String>,
    /// What the API calls it, where no argument takes it.
    mark: Option<String>,
    /// Whether the API says that there is more; else it is likely, because this page is full.
    is_certain: bool,
}

/// What is said about the next page in one place.
enum Said {
    /// How to get it.
    More(Next),
    /// This is the last one.
    Last,
    /// Nothing.
    Nothing,
}

/// Longest mark or URL in bytes that is looked at.
const MARK_BYTES_MAX: usize = 4 << 10;

/// How to get what follows this answer, if the API says so; `members` are those of the body.
pub(super) fn find(
    answer: &Answer,
    body: Option<&Json>,
    members: Option<&Object>,
    call: &Context<'_>,
) -> Option<Next> {
    let pager = call.pager;
    if !pager.paging.is_on {
        return None;
    }
    let said = match pager.configured(answer, body, call) {
        Said::Nothing => usual::find(answer, body, members, call),
        said => said,
    };
    match said {
        Said::More(next) => Some(next).filter(|next| !next.is_this_one(call)),
        Said::Last | Said::Nothing => None,
    }
}

// === impl Pager ===

impl Pager {
    pub(super) fn new(tool: &Tool) -> Self {
        let pager = Self { takers: takers(tool), ..Self::default() };
        pager.with(&tool.paging)
    }

    fn with(self, paging: &Paging) -> Self {
        let wanted = paging.argument.as_deref();
        let chosen = wanted.and_then(|wanted| {
            let of = |name: &str| {
                let named = self.takers.iter().position(|it| it.name == name);
                named.or_else(|| self.takers.iter().position(|it| it.wire == name))
            };
            of(wanted).or_else(|| of(wanted.split_once('.')?.0))
        });
        let mut headers: Vec<String> = paging.headers().map(str::to_owned).collect();
        if paging.is_on {
            headers.extend(usual::headers(&self.takers).iter().map(|it| (*it).to_owned()));
        }
        Self { paging: paging.clone(), chosen, headers, ..self }
    }

    /// Headers of answers that say something about pages, in lower case, besides `Link`.
    pub(super) fn headers(&self) -> impl Iterator<Item = &str> {
        self.headers.iter().map(String::as_str)
    }

    /// The argument that is called one of these, folded, most fitting first.
    fn named(&self, wanted: &[&str]) -> Option<&Taker> {
        wanted.iter().find_map(|name| self.takers.iter().find(|it| it.is_called(name)))
    }

    /// What the operator says about pages, applied to an answer.
    fn configured(&self, answer: &Answer, body: Option<&Json>, call: &Context<'_>) -> Said {
        let paging = &self.paging;
        if paging.argument.is_some() && self.chosen.is_none() {
            // Meant for other tools of the same API.
            return Said::Nothing;
        }
        let more = paging.more.as_ref().and_then(|spot| spot.value(answer, body));
        if more.as_ref().is_some_and(is_nothing) {
            return Said::Last;
        }
        match paging.step {
            Step::Mark => self.marked(answer, body, call),
            step => count::configured(self, step, more.is_some(), answer, body, call),
        }
    }

    fn marked(&self, answer: &Answer, body: Option<&Json>, call: &Context<'_>) -> Said {
        let mut is_there = false;
        for spot in &self.paging.marks {
            let Some(value) = spot.value(answer, body) else { continue };
            is_there = true;
            if let Some(next) = of_value(spot.name(), &value, call) {
                return Said::More(next);
            }
        }
        let is_decided = is_there || (self.chosen.is_some() && !self.paging.marks.is_empty());
        if is_decided { Said::Last } else { Said::Nothing }
    }

    /// The value of the argument that the operator names, made of a mark.
    fn chosen(&self, text: &str, value: &Json, call: &Context<'_>) -> Option<(String, Json)> {
        let taker = &self.takers[self.chosen?];
        let given = call.arguments.get(&taker.name);
        let wanted = self.paging.argument.as_deref()?;
        let is_whole = wanted == taker.name || wanted == taker.wire;
        let path = wanted.split_once('.').map(|(_, path)| path).filter(|_| !is_whole);
        let value = match path {
            Some(path) => with_member(given.as_ref(), path, value),
            None if value.kind() == Kind::Number && taker.takes != Takes::Text => value.clone(),
            None => taker.value(text, given.as_ref()),
        };
        Some((taker.name.clone(), value))
    }
}

// === impl Next ===

impl Next {
    fn of(name: &str, value: Json) -> Self {
        Self {
            arguments: vec![(name.to_owned(), value)],
            without: Vec::new(),
            mark: None,
            is_certain: true,
        }
    }

    /// There is more, and nothing that would ask for it.
    fn unreachable() -> Self {
        Self { arguments: Vec::new(), without: Vec::new(), mark: None, is_certain: true }
    }

    /// Whether it is the page that this call has asked for: some APIs repeat a mark at the end.
    fn is_this_one(&self, call: &Context<'_>) -> bool {
        let is_same = |(name, value): &(String, Json)| {
            call.arguments.get(name).is_some_and(|given| given.as_bytes() == value.as_bytes())
        };
        !self.arguments.is_empty() && self.without.is_empty() && self.arguments.iter().all(is_same)
    }

    pub(super) fn sentence(&self) -> String {
        let there_is = if self.is_certain { "There is more" } else { "There may be more" };
        if self.arguments.is_empty() && self.without.is_empty() {
            return match &self.mark {
                Some(mark) => format!("{there_is}. The API calls what follows `{mark}`."),
                None => format!("{there_is}, and no argument of this tool leads there."),
            };
        }
        let with =
            self.arguments.iter().map(|(name, value)| format!("`{name}` = {}", value.as_str()));
        let with: Vec<String> = with.collect();
        let without: Vec<String> = self.without.iter().map(|name| format!("`{name}`")).collect();
        let mut how = Vec::new();
        if !with.is_empty() {
            how.push(format!("with {}", with.join(" and ")));
        }
        if !without.is_empty() {
            how.push(format!("without {}", without.join(" and ")));
        }
        format!("{there_is}: call this tool again {}.", how.join(", and "))
    }

    /// `{"arguments": {…}}` or `{"mark": …}`, and what else there is to say.
    pub(super) fn to_json(&self) -> Json {
        let mut out = b"{".to_vec();
        let key = |out: &mut Vec<u8>, name: &str| {
            if out.len() > 1 {
                out.push(b',');
            }
            write_string(out, name);
            out.push(b':');
        };
        if let Some(mark) = &self.mark {
            key(&mut out, "mark");
            write_string(&mut out, mark);
        }
        if !self.arguments.is_empty() {
            key(&mut out, "arguments");
            out.push(b'{');
            for (at, (name, value)) in self.arguments.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                write_string(&mut out, name);
                out.push(b':');
                out.extend_from_slice(value.as_bytes());
            }
            out.push(b'}');
        }
        if !self.without.is_empty() {
            key(&mut out, "without");
            out.push(b'[');
            for (at, name) in self.without.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                write_string(&mut out, name);
            }
            out.push(b']');
        }
        if !self.is_certain {
            key(&mut out, "certain");
            out.extend_from_slice(b"false");
        }
        out.push(b'}');
        Json::trusted(out)
    }
}

/// Whether a value says that there is nothing.
fn is_nothing(value: &Json) -> bool {
    matches!(value.as_str(), "null" | "false" | "0" | "\"\"" | "[]" | "{}" | "\"0\"" | "\"false\"")
}

/// What a member of the body says: a URL, a link, or a mark.
fn of_value(key: &str, value: &Json, call: &Context<'_>) -> Option<Next> {
    if value.as_bytes().len() > MARK_BYTES_MAX {
        return None;
    }
    let text = match value.kind() {
        Kind::String => value.text()?.into_owned(),
        Kind::Number => value.as_str().to_owned(),
        Kind::Object => {
            let object = value.object()?;
            let link = object.text("href").or_else(|| object.text("url"))?;
            return Some(of_url(&link, call)).filter(|_| !link.is_empty());
        }
        _ => return None,
    };
    if text.is_empty() {
        return None;
    }
    if is_url(&text, call) {
        return Some(of_url(&text, call));
    }
    if let Some((name, value)) = call.pager.chosen(&text, value, call) {
        return Some(Next::of(&name, value));
    }
    let Some(taker) = usual::taker(key, call.pager) else {
        // A word that is no more than usual may mean anything.
        let is_mark = !matches!(fold(key).as_str(), "next" | "after" | "nextpage");
        return is_mark.then(|| Next { mark: Some(text), ..Next::unreachable() });
    };
    let given = call.arguments.get(&taker.name);
    let value = match value.kind() {
        Kind::Number if taker.takes != Takes::Text => value.clone(),
        _ => taker.value(&text, given.as_ref()),
    };
    Some(Next::of(&taker.name, value))
}

/// Whether a text is a URL, a part of one, or the query of one.
fn is_url(text: &str, call: &Context<'_>) -> bool {
    if text.starts_with("http://") || text.starts_with("https://") {
        return true;
    }
    if text.contains(char::is_whitespace) {
        return false;
    }
    let Some((first, _)) = text.split_once('=') else { return false };
    text.starts_with('/')
        || first.contains('?')
        // `page=2&limit=10`; a mark in base64 ends with `=`, too.
        || call.pager.takers.iter().any(|it| it.wire == first)
}

/// The pairs of a URL's query that are arguments and differ from those of this call. Everything else
/// of the URL stays behind: the gate may have put it there.
fn of_url(url: &str, call: &Context<'_>) -> Next {
    let base = url::Url::parse("http://localhost/").expect("a URL");
    let is_query = !url.contains(['?', '/']);
    let parsed = if is_query { base.join(&format!("?{url}")) } else { base.join(url) };
    let mut next = Next::unreachable();
    let Ok(parsed) = parsed else { return next };
    let mut seen: Vec<&str> = Vec::new();
    for (key, text) in parsed.query_pairs() {
        let takers = &call.pager.takers;
        let named = takers.iter().find(|it| it.wire == key);
        let Some(taker) = named.or_else(|| takers.iter().find(|it| member_of(&key, it).is_some()))
        else {
            continue;
        };
        let is_first = !seen.contains(&taker.name.as_str());
        seen.push(&taker.name);
        let given = call.arguments.get(&taker.name);
        match (&taker.takes, member_of(&key, taker)) {
            (Takes::Object(numbers), Some(member)) => {
                let is_number = numbers.iter().any(|it| it == member) && is_decimal(&text);
                let value = if is_number {
                    Json::trusted(text.clone().into_owned())
                } else {
                    Json::string(&text)
                };
                let known = next.arguments.iter().position(|(name, _)| *name == taker.name);
                let before = known.map(|at| next.arguments.remove(at).1).or(given);
                next.arguments
                    .push((taker.name.clone(), with_member(before.as_ref(), member, &value)));
            }
            // Lists stay as they were given.
            (Takes::Object(_) | Takes::List, _) | (_, Some(_)) => {}
            (_, None) if is_first => {
                let is_same = given.as_ref().is_some_and(|it| {
                    it.text().map_or_else(|| it.as_str() == text, |given| given == text)
                });
                if !is_same {
                    next.arguments.push((taker.name.clone(), taker.value(&text, given.as_ref())));
                }
            }
            _ => {}
        }
    }
    let is_unchanged = |(name, value): &(String, Json)| {
        call.arguments.get(name).is_some_and(|given| is_equal(&given, value))
    };
    next.arguments.retain(|argument| !is_unchanged(argument));
    if !next.arguments.is_empty() {
        let is_left_out = |taker: &&Taker| {
            taker.is_in_query
                && matches!(taker.takes, Takes::Number | Takes::Text | Takes::Anything)
                && call.arguments.get(&taker.name).is_some_and(|it| it.as_str() != "null")
                && !seen.contains(&taker.name.as_str())
        };
        let left_out = call.pager.takers.iter().filter(is_left_out);
        next.without = left_out.map(|taker| taker.name.clone()).collect();
    }
    next
}

/// Whether two objects have the same members, or two other values the same text.
fn is_equal(one: &Json, other: &Json) -> bool {
    match (one.object(), other.object()) {
        (Some(one), Some(other)) => {
            let is_there = |(key, value): (std::borrow::Cow<'_, str>, Json)| {
                other.raw(&key) == Some(value.as_bytes())
            };
            one.len() == other.len() && one.members().all(is_there)
        }
        _ => one.as_bytes() == other.as_bytes(),
    }
}

/// The member of an object that a pair of the query is: `page[number]`.
fn member_of<'k>(key: &'k str, taker: &Taker) -> Option<&'k str> {
    if !matches!(taker.takes, Takes::Object(_)) {
        return None;
    }
    key.strip_prefix(taker.wire.as_str())?.strip_prefix('[')?.strip_suffix(']')
}

/// What to do about a result that is too long.
pub(super) fn narrowing(call: &Context<'_>) -> String {
    const NARROWING: [&str; 17] = [
        "limit",
        "perpage",
        "pagesize",
        "maxresults",
        "maxitems",
        "top",
        "first",
        "size",
        "count",
        "page",
        "offset",
        "fields",
        "select",
        "filter",
        "q",
        "query",
        "search",
    ];
    let fits = |it: &&Taker| NARROWING.contains(&fold(&it.wire).as_str());
    let names: Vec<String> =
        call.pager.takers.iter().filter(fits).take(5).map(|it| format!("`{}`", it.name)).collect();
    if names.is_empty() {
        return "Ask for less, for instance for a single item.".to_owned();
    }
    format!("Ask for less, for instance with {}.", names.join(", "))
}

#[cfg(test)]
mod tests;
