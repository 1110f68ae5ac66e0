//! How to get what follows: the link or the mark by which an API says that there is more.
//!
//! Looked for in this order: the members that the operator names, `Link: …; rel="next"` (RFC 8288), the
//! usual members of the body, and last offsets and page numbers beside a total.

use wire::json::{Json, Kind, Object, write_string};

use super::{Answer, Context};

/// How the next page is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paging {
    /// Whether it is looked for at all.
    pub is_on: bool,
    /// Members of the body that have the mark of the next page or its URL, with dots between nested
    /// names (`meta.next`); tried before the usual ones.
    pub members: Vec<String>,
    /// The argument that takes the mark, by the name that clients know.
    pub argument: Option<String>,
}

impl Default for Paging {
    /// The usual members and arguments.
    fn default() -> Self {
        Self { is_on: true, members: Vec::new(), argument: None }
    }
}

/// How to get what follows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Next {
    /// Arguments that are different in the next call.
    arguments: Vec<(String, Json)>,
    /// What the API calls it, where no argument takes it.
    mark: Option<String>,
}

impl Next {
    pub(super) fn sentence(&self) -> String {
        if self.arguments.is_empty() {
            let mark = self.mark.as_deref().unwrap_or_default();
            return format!("There is more. The API calls what follows `{mark}`.");
        }
        let pairs: Vec<String> = self
            .arguments
            .iter()
            .map(|(name, value)| format!("`{name}` = {}", value.as_str()))
            .collect();
        format!("There is more: call this tool again with {}.", pairs.join(" and "))
    }

    /// `{"arguments": {…}}` or `{"mark": …}`.
    pub(super) fn to_json(&self) -> Json {
        let mut out = Vec::new();
        if self.arguments.is_empty() {
            out.extend_from_slice(b"{\"mark\":");
            write_string(&mut out, self.mark.as_deref().unwrap_or_default());
        } else {
            out.extend_from_slice(b"{\"arguments\":{");
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
        out.push(b'}');
        Json::trusted(out)
    }
}

/// Longest mark or URL in bytes that is looked at.
const MARK_BYTES_MAX: usize = 4 << 10;

/// Where APIs put what they say about pages.
const CONTAINERS: [&str; 10] = [
    "",
    "meta",
    "pagination",
    "paging",
    "page",
    "pageInfo",
    "response_metadata",
    "links",
    "_links",
    "paging.cursors",
];

/// What they call it.
const MARKS: [&str; 19] = [
    "next_cursor",
    "nextCursor",
    "next_page_token",
    "nextPageToken",
    "next_token",
    "nextToken",
    "NextToken",
    "continuation_token",
    "continuationToken",
    "next_marker",
    "nextMarker",
    "@odata.nextLink",
    "nextLink",
    "next_url",
    "next_page_url",
    "next",
    "after",
    "next_page",
    "nextPage",
];

/// Arguments that take a mark, folded, most fitting first.
const TAKERS: [&str; 14] = [
    "cursor",
    "pagetoken",
    "nextcursor",
    "nexttoken",
    "nextpagetoken",
    "continuationtoken",
    "continue",
    "after",
    "pageafter",
    "pagecursor",
    "startingafter",
    "marker",
    "next",
    "token",
];

/// How to get what follows this answer, if the API says so.
pub(super) fn find(answer: &Answer, body: Option<&Json>, call: &Context<'_>) -> Option<Next> {
    if !call.paging.is_on {
        return None;
    }
    let object = body.and_then(Json::object);
    for path in &call.paging.members {
        if let Some(value) = object.as_ref().and_then(|it| at(it, path)) {
            return of_value(path, &value, call);
        }
    }
    if let Some(url) = answer.header("link").and_then(next_link) {
        return Some(of_url(&url, call));
    }
    if let Some(page) = answer.header("x-next-page") {
        return of_value("next_page", &Json::string(page), call);
    }
    let object = object?;
    for container in CONTAINERS {
        let Some(inside) = container_of(&object, container) else { continue };
        if has_no_more(&inside) {
            return None;
        }
        for mark in MARKS {
            if let Some(value) = inside.get(mark)
                && let Some(next) = of_value(mark, &value, call)
            {
                return Some(next);
            }
        }
        if inside.raw("hasNextPage") == Some(b"true")
            && let Some(value) = inside.get("endCursor")
        {
            return of_value("endCursor", &value, call);
        }
    }
    of_last(&object, call).or_else(|| of_counters(&object, call))
}

fn at(object: &Object, path: &str) -> Option<Json> {
    // A name may have dots of its own (`@odata.nextLink`).
    if let Some(value) = object.get(path) {
        return Some(value);
    }
    let (first, rest) = path.split_once('.')?;
    at(&object.object(first)?, rest)
}

fn container_of(object: &Object, path: &str) -> Option<Object> {
    if path.is_empty() { Some(object.clone()) } else { at(object, path)?.object() }
}

fn has_no_more(object: &Object) -> bool {
    ["has_more", "hasMore", "hasNextPage", "has_next"]
        .iter()
        .any(|key| object.raw(key) == Some(b"false"))
}

/// The target of the link to the next page, among those of a `Link` header.
fn next_link(header: &str) -> Option<String> {
    let mut rest = header;
    while let Some(open) = rest.find('<') {
        let close = rest[open..].find('>')? + open;
        let target = &rest[open + 1..close];
        rest = &rest[close + 1..];
        let parameters =
            &rest[..rest.find(",<").or_else(|| rest.find(", <")).unwrap_or(rest.len())];
        let is_next = parameters.split(';').any(|parameter| {
            parameter.split_once('=').is_some_and(|(key, value)| {
                let value = value.trim().trim_end_matches(',').trim_matches('"');
                key.trim().eq_ignore_ascii_case("rel")
                    && value.split_ascii_whitespace().any(|it| it.eq_ignore_ascii_case("next"))
            })
        });
        if is_next && target.len() <= MARK_BYTES_MAX {
            return Some(target.to_owned());
        }
    }
    None
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
    let is_url = text.starts_with("http://")
        || text.starts_with("https://")
        || ((text.starts_with('/') || text.starts_with('?')) && text.contains('='));
    if is_url {
        return Some(of_url(&text, call));
    }
    let Some(name) = taker(key, call) else {
        return Some(Next { arguments: Vec::new(), mark: Some(text) });
    };
    let value =
        if value.kind() == Kind::Number { value.clone() } else { typed(&name, &text, call) };
    Some(Next { arguments: vec![(name, value)], mark: None })
}

/// The argument that takes the mark of this name.
fn taker(key: &str, call: &Context<'_>) -> Option<String> {
    if let Some(argument) = &call.paging.argument {
        return Some(argument.clone());
    }
    let key = fold(key.rsplit('.').next().unwrap_or(key));
    let own = key.strip_prefix("next").filter(|it| !it.is_empty());
    let is_page = own == Some("page");
    let named = |wanted: &str| call.names.iter().find(|(_, wire)| fold(wire) == wanted);
    let found = own.and_then(named).or_else(|| named(&key)).or_else(|| {
        let takers = TAKERS.iter().find_map(|taker| named(taker));
        takers.or_else(|| if is_page { page(call) } else { None })
    });
    found.map(|(name, _)| name.clone())
}

/// The pairs of a URL's query that are arguments and differ from those of this call.
fn of_url(url: &str, call: &Context<'_>) -> Next {
    let base = url::Url::parse("http://localhost/").expect("a URL");
    let Ok(parsed) = base.join(url) else {
        return Next { arguments: Vec::new(), mark: Some(url.into()) };
    };
    let mut next = Next::default();
    for (key, value) in parsed.query_pairs() {
        let Some((name, _)) = call.names.iter().find(|(_, wire)| *wire == key) else { continue };
        let given = call.arguments.get(name);
        let is_same = given
            .as_ref()
            .is_some_and(|it| it.text().map_or_else(|| it.as_str() == value, |text| text == value));
        if !is_same && !next.arguments.iter().any(|(other, _)| other == name) {
            next.arguments.push((name.clone(), typed(name, &value, call)));
        }
    }
    if next.arguments.is_empty() {
        next.mark = Some(url.to_owned());
    }
    next
}

/// Arguments that are numbers, folded.
const COUNTS: [&str; 7] = ["page", "offset", "limit", "skip", "count", "start", "perpage"];

/// A text as the kind of value that an argument takes: a number where the client gave one, or where
/// its name says so.
fn typed(name: &str, text: &str, call: &Context<'_>) -> Json {
    let is_number = !text.is_empty()
        && text.len() < 16
        && text.bytes().all(|byte| byte.is_ascii_digit())
        && (text == "0" || !text.starts_with('0'));
    let counts = if let Some(given) = call.arguments.get(name) {
        given.kind() == Kind::Number
    } else {
        let wire = call.names.iter().find(|(own, _)| own == name).map_or(name, |(_, wire)| wire);
        let folded = fold(wire);
        COUNTS.contains(&folded.as_str()) || folded.ends_with("number") || folded.ends_with("size")
    };
    if is_number && counts { Json::trusted(text.to_owned()) } else { Json::string(text) }
}

/// Lists whose next page begins after the id of the last element (`has_more` with `starting_after`).
fn of_last(object: &Object, call: &Context<'_>) -> Option<Next> {
    let has_more = ["has_more", "hasMore"].iter().any(|key| object.raw(key) == Some(b"true"));
    if !has_more {
        return None;
    }
    let wanted = ["startingafter", "after", "afterid"];
    let (name, _) = call.names.iter().find(|(_, wire)| wanted.contains(&fold(wire).as_str()))?;
    let list = object.get("data").or_else(|| object.get("items"))?.elements()?;
    let id = list.last()?.object()?.get("id")?;
    Some(Next { arguments: vec![(name.clone(), id)], mark: None })
}

/// Offsets and pages beside a total.
fn of_counters(object: &Object, call: &Context<'_>) -> Option<Next> {
    for container in ["", "meta", "pagination", "paging", "page", "metadata"] {
        let Some(inside) = container_of(object, container) else { continue };
        let number = |keys: &[&str]| {
            keys.iter()
                .find_map(|key| std::str::from_utf8(inside.raw(key)?).ok()?.parse::<u64>().ok())
        };
        let argument = |wanted: &[&str]| {
            call.names.iter().find(|(_, wire)| wanted.contains(&fold(wire).as_str()))
        };
        let offset = number(&["offset", "skip", "start", "startAt", "start_index"]);
        let limit =
            number(&["limit", "per_page", "perPage", "page_size", "pageSize", "maxResults"]);
        let total =
            number(&["total", "total_count", "totalCount", "total_results", "totalResults"]);
        if let (Some(offset), Some(limit), Some(total)) = (offset, limit, total)
            && let Some((name, _)) = argument(&["offset", "skip", "start", "startat", "startindex"])
        {
            let next = offset.saturating_add(limit);
            let is_more = limit > 0 && next < total;
            return is_more.then(|| Next {
                arguments: vec![(name.clone(), Json::trusted(next.to_string()))],
                mark: None,
            });
        }
        let current = number(&["page", "current_page", "currentPage", "page_number", "pageNumber"]);
        let last = number(&[
            "total_pages",
            "totalPages",
            "last_page",
            "lastPage",
            "page_count",
            "pageCount",
            "pages",
        ]);
        if let (Some(current), Some(last)) = (current, last)
            && let Some((name, _)) = page(call)
        {
            let next = current.saturating_add(1);
            let is_more = current < last;
            return is_more.then(|| Next {
                arguments: vec![(name.clone(), Json::trusted(next.to_string()))],
                mark: None,
            });
        }
    }
    None
}

fn page<'c>(call: &Context<'c>) -> Option<&'c (String, String)> {
    let wanted = ["page", "pagenumber", "pagenum", "pageno", "p"];
    call.names.iter().find(|(_, wire)| wanted.contains(&fold(wire).as_str()))
}

/// A name without case and signs: `page_token`, `pageToken` and `page-token` are the same.
fn fold(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|it| it.to_ascii_lowercase()).collect()
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
    let fits = |(_, wire): &&(String, String)| NARROWING.contains(&fold(wire).as_str());
    let names: Vec<String> =
        call.names.iter().filter(fits).take(5).map(|(name, _)| format!("`{name}`")).collect();
    if names.is_empty() {
        return "Ask for less, for instance for a single item.".to_owned();
    }
    format!("Ask for less, for instance with {}.", names.join(", "))
}
