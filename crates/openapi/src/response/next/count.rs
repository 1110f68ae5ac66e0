//! Pages that are counted: how many elements are left out, or the number of a page.

use wire::json::{Json, Kind, Object};

use super::super::paging::Step;
use super::super::{Answer, Context, Spot};
use super::argument::{Taker, number};
use super::usual::PAGES;
use super::{Next, Pager, Said, spot};

/// The argument for how many elements are left out, folded.
pub(super) const OFFSETS: [&str; 6] = ["offset", "skip", "start", "startat", "startindex", "from"];

/// The argument for how long a page is, folded.
const LIMITS: [&str; 12] = [
    "limit",
    "perpage",
    "pagesize",
    "maxresults",
    "maxitems",
    "top",
    "take",
    "size",
    "rows",
    "count",
    "pagelimit",
    "itemsperpage",
];

/// What is known of where a page is among the others.
#[derive(Default)]
struct Progress {
    step: Step,
    /// The offset or number of this page.
    current: u64,
    /// That of the first one.
    first: u64,
    /// How many elements a page has at most.
    limit: Option<u64>,
    /// How many this one has.
    count: Option<u64>,
    /// How many there are on all pages.
    total: Option<u64>,
    /// How many pages there are.
    pages: Option<u64>,
    /// The API says that there is more.
    says_more: bool,
    /// The operator says that these are pages: one that is not empty may have another after it.
    is_known: bool,
}

/// What the operator says about counted pages, applied to an answer.
pub(super) fn configured(
    pager: &Pager,
    step: Step,
    says_more: bool,
    answer: &Answer,
    body: Option<&Json>,
    call: &Context<'_>,
) -> Said {
    let paging = &pager.paging;
    let names: &[&str] = if step == Step::Offset { &OFFSETS } else { &PAGES };
    let chosen = pager.chosen.map(|at| &pager.takers[at]);
    let Some(taker) = chosen.or_else(|| pager.named(names)) else { return Said::Nothing };
    let of_spot = |spot: &Option<Spot>| spot.as_ref().and_then(|it| it.value(answer, body));
    let limit = match &paging.limit {
        Some(name) => pager.takers.iter().find(|it| it.name == *name || it.wire == *name),
        None => pager.named(&LIMITS),
    };
    let items = match &paging.items {
        Some(_) => of_spot(&paging.items),
        None => body.and_then(list),
    };
    let is_nested =
        paging.argument.as_deref().is_some_and(|it| it != taker.name && it != taker.wire);
    let path = paging.argument.as_deref().and_then(|it| it.split_once('.')).map(|(_, path)| path);
    let given = match path.filter(|_| is_nested) {
        Some(path) => {
            let given = call.arguments.get(&taker.name);
            given.and_then(|it| spot::at(&it, path)).as_ref().and_then(number)
        }
        None => taker.given(call.arguments).or(taker.default.filter(|_| paging.first.is_none())),
    };
    let first = paging.first.or(taker.default).unwrap_or(u64::from(step == Step::Page));
    let progress = Progress {
        step,
        current: given.unwrap_or(first),
        first,
        limit: limit.and_then(|it| it.given(call.arguments).or(it.default)),
        count: items.as_ref().and_then(length),
        total: of_spot(&paging.total).as_ref().and_then(number),
        pages: of_spot(&paging.pages).as_ref().and_then(number),
        says_more,
        is_known: true,
    };
    let to_next = |next: u64| match path.filter(|_| is_nested) {
        Some(path) => {
            let given = call.arguments.get(&taker.name);
            let value = Json::trusted(next.to_string());
            Next::of(&taker.name, super::with_member(given.as_ref(), path, &value))
        }
        None => Next::of(&taker.name, taker.count(next)),
    };
    progress.said(to_next)
}

/// Offsets and pages beside a total, or a page that is as long as it was asked to be.
pub(super) fn usual(
    answer: &Answer,
    body: Option<&Json>,
    members: Option<&Object>,
    call: &Context<'_>,
) -> Said {
    let pager = call.pager;
    let steps = [(Step::Offset, &OFFSETS[..]), (Step::Page, &PAGES[..])];
    let takers = steps.map(|(step, names)| (step, pager.named(names)));
    if takers.iter().all(|(_, taker)| taker.is_none()) {
        return Said::Nothing;
    }
    let counters = Counters::of(answer, members);
    let limit = pager.named(&LIMITS);
    let limit = limit.and_then(|it| it.given(call.arguments).or(it.default));
    for (step, taker) in takers {
        let Some(taker) = taker else { continue };
        let said = of_counters(step, taker, &counters, limit, body, call);
        if !matches!(said, Said::Nothing) {
            return said;
        }
    }
    Said::Nothing
}

fn of_counters(
    step: Step,
    taker: &Taker,
    counters: &Counters,
    limit: Option<u64>,
    body: Option<&Json>,
    call: &Context<'_>,
) -> Said {
    let stated = if step == Step::Offset { counters.offset } else { counters.page };
    let usual = u64::from(step == Step::Page);
    // What the API says of this page tells where it begins to count.
    let first = taker.default.unwrap_or(if stated == Some(0) { 0 } else { usual });
    let progress = Progress {
        step,
        current: stated.or_else(|| taker.given(call.arguments)).unwrap_or(first),
        first,
        limit: counters.limit.or(limit),
        count: body.and_then(list).as_ref().and_then(length),
        total: counters.total,
        pages: counters.pages,
        says_more: counters.says_more,
        is_known: false,
    };
    progress.said(|next| Next::of(&taker.name, taker.count(next)))
}

// === impl Progress ===

impl Progress {
    fn said(&self, next: impl Fn(u64) -> Next) -> Said {
        match self.next() {
            Some((number, is_certain)) => Said::More(Next { is_certain, ..next(number) }),
            None if self.is_last() => Said::Last,
            None => Said::Nothing,
        }
    }

    /// The offset or number of the next page, and whether it is certain that there is one.
    fn next(&self) -> Option<(u64, bool)> {
        if self.count == Some(0) {
            return None;
        }
        let next = match self.step {
            Step::Page => self.current.checked_add(1)?,
            // A page may be shorter than what was asked for.
            _ => self.current.checked_add(self.count.or(self.limit).filter(|it| *it > 0)?)?,
        };
        if self.says_more {
            return Some((next, true));
        }
        if let Some(is_more) = self.is_more(next) {
            return is_more.then_some((next, true));
        }
        let is_likely = match (self.count, self.limit) {
            (Some(count), Some(limit)) => count >= limit,
            (Some(_), None) => self.is_known,
            (None, _) => false,
        };
        is_likely.then_some((next, false))
    }

    /// Whether totals say that the next page has something.
    fn is_more(&self, next: u64) -> Option<bool> {
        let before = next.saturating_sub(self.first);
        if self.step == Step::Offset {
            return self.total.map(|total| next < total);
        }
        if let Some(pages) = self.pages {
            return Some(before < pages);
        }
        let is_first = self.current == self.first;
        let length = self.limit.or(self.count.filter(|_| is_first))?;
        self.total.map(|total| before.saturating_mul(length) < total)
    }

    fn is_last(&self) -> bool {
        self.count == Some(0) || self.total.is_some() || self.pages.is_some()
    }
}

/// What an answer says about its place among the others.
#[derive(Default)]
struct Counters {
    offset: Option<u64>,
    page: Option<u64>,
    limit: Option<u64>,
    total: Option<u64>,
    pages: Option<u64>,
    says_more: bool,
}

/// Where APIs put it.
const CONTAINERS: [&str; 7] = ["", "meta", "pagination", "paging", "page", "metadata", "_meta"];

impl Counters {
    fn of(answer: &Answer, members: Option<&Object>) -> Self {
        let header = |names: &[&str]| names.iter().find_map(|it| answer.header(it)?.parse().ok());
        let mut counters = Self {
            page: header(&["x-page"]),
            limit: header(&["x-per-page"]),
            total: header(&["x-total-count", "x-total"])
                .or_else(|| answer.header("content-range")?.rsplit('/').next()?.parse().ok()),
            pages: header(&["x-total-pages"]),
            ..Self::default()
        };
        let Some(object) = members else { return counters };
        for container in CONTAINERS {
            let inside = match container {
                "" => Some(object.clone()),
                name => object.object(name),
            };
            if let Some(inside) = inside {
                counters.add(&inside);
            }
        }
        counters
    }

    fn add(&mut self, inside: &Object) {
        let find = |keys: &[&str]| {
            keys.iter().find_map(|key| std::str::from_utf8(inside.raw(key)?).ok()?.parse().ok())
        };
        let set = |slot: &mut Option<u64>, keys: &[&str]| *slot = slot.or_else(|| find(keys));
        set(&mut self.offset, &["offset", "skip", "start", "startAt", "start_index", "startIndex"]);
        set(
            &mut self.page,
            &["page", "current_page", "currentPage", "page_number", "pageNumber", "number"],
        );
        set(
            &mut self.limit,
            &["limit", "per_page", "perPage", "page_size", "pageSize", "maxResults", "size"],
        );
        set(
            &mut self.total,
            &[
                "total",
                "total_count",
                "totalCount",
                "total_results",
                "totalResults",
                "totalElements",
                "total_elements",
                "total_items",
                "totalItems",
            ],
        );
        set(
            &mut self.pages,
            &[
                "total_pages",
                "totalPages",
                "last_page",
                "lastPage",
                "page_count",
                "pageCount",
                "pages",
            ],
        );
        let keys = ["has_more", "hasMore", "has_next", "hasNext", "hasNextPage"];
        self.says_more |= keys.iter().any(|key| inside.raw(key) == Some(b"true"));
    }
}

/// The list that a body is, or that it carries.
fn list(body: &Json) -> Option<Json> {
    const USUAL: [&str; 8] =
        ["data", "items", "results", "value", "values", "records", "entries", "content"];
    if body.kind() == Kind::Array {
        return Some(body.clone());
    }
    let object = body.object()?;
    let is_list = |raw: &[u8]| raw.starts_with(b"[");
    if let Some(name) = USUAL.iter().find(|name| object.raw(name).is_some_and(is_list)) {
        return object.get(name);
    }
    let mut lists = object.members().filter(|(_, value)| value.kind() == Kind::Array);
    lists.next().map(|(_, value)| value).filter(|_| lists.next().is_none())
}

/// How many elements a list has; a number says it itself.
fn length(value: &Json) -> Option<u64> {
    match value.kind() {
        Kind::Array => u64::try_from(value.elements()?.len()).ok(),
        _ => number(value),
    }
}
