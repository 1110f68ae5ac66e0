//! The usual ways in which APIs say that there is more.

use wire::json::{Json, Kind, Object};

use super::super::{Answer, Context};
use super::argument::{Taker, fold};
use super::{MARK_BYTES_MAX, Next, Pager, Said, count, is_nothing, of_url, of_value, spot};

/// Headers with the mark of the next page, and with what counts: read where a tool has an argument
/// that could take it.
const HEADERS: [&str; 11] = [
    "x-next-page",
    "x-next-cursor",
    "x-next-token",
    "x-continuation-token",
    "opc-next-page",
    "content-range",
    "x-total-count",
    "x-total",
    "x-total-pages",
    "x-page",
    "x-per-page",
];

/// How many of them are marks.
const MARK_HEADERS: usize = 5;

/// Where APIs put what they say about pages.
const CONTAINERS: [&str; 11] = [
    "meta",
    "pagination",
    "paging",
    "page",
    "pageInfo",
    "response_metadata",
    "links",
    "_links",
    "paging.cursors",
    "data",
    "result",
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

/// The argument for the number of a page, folded.
pub(super) const PAGES: [&str; 5] = ["page", "pagenumber", "pagenum", "pageno", "p"];

/// The headers that may say something to a tool with these arguments.
pub(super) fn headers(takers: &[Taker]) -> &'static [&'static str] {
    let has = |names: &[&str]| takers.iter().any(|it| names.contains(&fold(&it.wire).as_str()));
    if has(&PAGES) || has(&count::OFFSETS) {
        &HEADERS
    } else if takers.is_empty() {
        &[]
    } else {
        &HEADERS[..MARK_HEADERS]
    }
}

pub(super) fn find(
    answer: &Answer,
    body: Option<&Json>,
    members: Option<&Object>,
    call: &Context<'_>,
) -> Said {
    match of_headers(answer, call) {
        Said::Nothing => {}
        said => return said,
    }
    let Some(object) = members else {
        return count::usual(answer, body, members, call);
    };
    let mut said = of_members(object, call);
    for container in CONTAINERS {
        let Said::Nothing = said else { return said };
        // Most bodies have none of them.
        let first = container.split('.').next().unwrap_or(container);
        if object.raw(first).is_some_and(|raw| raw.starts_with(b"{"))
            && let Some(inside) = object_at(object, container)
        {
            said = of_members(&inside, call);
        }
    }
    let Said::Nothing = said else { return said };
    match of_last(object, call) {
        Some(next) => Said::More(next),
        None => count::usual(answer, body, members, call),
    }
}

fn of_headers(answer: &Answer, call: &Context<'_>) -> Said {
    let links = answer.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("link"));
    let mut has_pages = false;
    for (_, header) in links {
        match next_link(header) {
            (Some(url), _) => return Said::More(of_url(&url, call)),
            (None, is_paged) => has_pages |= is_paged,
        }
    }
    if has_pages {
        return Said::Last;
    }
    for name in &HEADERS[..MARK_HEADERS] {
        let found = answer.headers.iter().find(|(other, _)| other.eq_ignore_ascii_case(name));
        let Some((_, text)) = found else { continue };
        // On the last page it is there and empty.
        if text.trim().is_empty() {
            return Said::Last;
        }
        let key = if *name == "opc-next-page" { "page_token" } else { &name[2..] };
        if let Some(next) = of_value(key, &Json::string(text.trim()), call) {
            return Said::More(next);
        }
    }
    Said::Nothing
}

/// The target of the link to the next page, among those of a `Link` header; and whether it has a link
/// to any other page.
fn next_link(header: &str) -> (Option<String>, bool) {
    let mut rest = header;
    let mut has_pages = false;
    while let Some(open) = rest.find('<') {
        let Some(close) = rest[open..].find('>').map(|at| at + open) else { break };
        let target = &rest[open + 1..close];
        rest = &rest[close + 1..];
        let parameters =
            &rest[..rest.find(",<").or_else(|| rest.find(", <")).unwrap_or(rest.len())];
        let relations = parameters.split(';').filter_map(|parameter| {
            let (key, value) = parameter.split_once('=')?;
            let is_relation = key.trim().eq_ignore_ascii_case("rel");
            is_relation.then(|| value.trim().trim_end_matches(',').trim_matches('"'))
        });
        for relation in relations.flat_map(str::split_ascii_whitespace) {
            if relation.eq_ignore_ascii_case("next") && target.len() <= MARK_BYTES_MAX {
                return (Some(target.to_owned()), true);
            }
            has_pages |= ["prev", "previous"].iter().any(|it| relation.eq_ignore_ascii_case(it));
        }
    }
    (None, has_pages)
}

fn object_at(object: &Object, path: &str) -> Option<Object> {
    match path.split_once('.') {
        None => object.object(path),
        Some((first, rest)) => spot::at(&object.get(first)?, rest)?.object(),
    }
}

/// What the members of an object say.
fn of_members(object: &Object, call: &Context<'_>) -> Said {
    let mut marks: Vec<(usize, &str, Json)> = Vec::new();
    let mut is_empty = false;
    let mut is_more = None;
    let mut end = None;
    for (key, value) in object.members() {
        // Nearly all members of nearly all bodies end here.
        if !matches!(
            key.as_bytes().first(),
            Some(b'n' | b'N' | b'c' | b'@' | b'a' | b'h' | b'i' | b'e' | b'l')
        ) {
            continue;
        }
        if let Some(rank) = MARKS.iter().position(|mark| *mark == key) {
            if is_nothing(&value) {
                is_empty = true;
            } else {
                marks.push((rank, MARKS[rank], value));
            }
            continue;
        }
        match &*key {
            "has_more" | "hasMore" | "hasNextPage" | "has_next" | "hasNext" | "has_next_page" => {
                is_more = value.as_bool().or(is_more);
            }
            "isLast" | "is_last" | "last" | "is_last_page" | "isLastPage" => {
                is_more = value.as_bool().map(|is_last| !is_last).or(is_more);
            }
            "endCursor" | "end_cursor" => end = Some(value),
            _ => {}
        }
    }
    if is_more == Some(false) {
        return Said::Last;
    }
    marks.sort_by_key(|(rank, ..)| *rank);
    for (_, key, value) in marks {
        if let Some(next) = of_value(key, &value, call) {
            return Said::More(next);
        }
    }
    if let Some(end) = end.filter(|_| is_more == Some(true))
        && let Some(next) = of_value("endCursor", &end, call)
    {
        return Said::More(next);
    }
    if is_empty { Said::Last } else { Said::Nothing }
}

/// The argument that takes the mark of this name.
pub(super) fn taker<'p>(key: &str, pager: &'p Pager) -> Option<&'p Taker> {
    let key = fold(key);
    let own = key.strip_prefix("next").filter(|it| !it.is_empty());
    let named = |wanted: &str| pager.named(&[wanted]);
    own.and_then(named)
        .or_else(|| named(&key))
        .or_else(|| pager.named(&TAKERS))
        .or_else(|| if own == Some("page") { pager.named(&PAGES) } else { None })
}

/// Lists whose next page begins after the id of the last element (`has_more` with `starting_after`).
fn of_last(object: &Object, call: &Context<'_>) -> Option<Next> {
    let has_more = ["has_more", "hasMore"].iter().any(|key| object.raw(key) == Some(b"true"));
    if !has_more {
        return None;
    }
    let taker = call.pager.named(&["startingafter", "after", "afterid"])?;
    let list = object.get("data").or_else(|| object.get("items"))?.elements()?;
    let id = list.last()?.object()?.get("id")?;
    let is_id = matches!(id.kind(), Kind::String | Kind::Number);
    is_id.then(|| Next::of(&taker.name, id))
}
