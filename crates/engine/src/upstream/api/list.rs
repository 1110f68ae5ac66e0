//! `tools/list` from pages that are made once.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use bytes::Bytes;
use wire::{Json, Object, Outcome, RpcError, code, meta};

/// For how many milliseconds clients may keep the list. They hear of changes if they listen.
const TTL_MS: u64 = 60_000;

/// The whole list, in pages.
pub(in crate::upstream) struct Pages {
    definitions: Vec<(String, Json)>,
    /// The results of `tools/list`.
    results: Vec<Object>,
    /// Tells the cursors of this list from those of another.
    mark: u64,
}

impl Pages {
    /// Lays the definitions out, at most `items_max` and about `bytes_max` on a page. `info` is who the
    /// server says it is.
    pub(in crate::upstream) fn new(
        definitions: &[(String, Json)],
        info: &Json,
        items_max: usize,
        bytes_max: usize,
    ) -> Self {
        let mut hasher = DefaultHasher::new();
        for (_, definition) in definitions {
            definition.as_bytes().hash(&mut hasher);
        }
        let mark = hasher.finish();
        let mut ends = Vec::new();
        let (mut items, mut bytes) = (0, 0);
        for (at, (_, definition)) in definitions.iter().enumerate() {
            let length = definition.as_bytes().len() + 1;
            if items > 0 && (items >= items_max || bytes + length > bytes_max) {
                ends.push(at);
                (items, bytes) = (0, 0);
            }
            items += 1;
            bytes += length;
        }
        ends.push(definitions.len());
        let mut pages = Vec::with_capacity(ends.len());
        let mut start = 0;
        for (number, &end) in ends.iter().enumerate() {
            let next = (number + 1 < ends.len()).then(|| cursor(mark, number + 1));
            pages.push(page(&definitions[start..end], next.as_deref(), info));
            start = end;
        }
        // The pages and the definitions are kept once.
        Self { definitions: shared(definitions, &pages), results: pages, mark }
    }

    pub(in crate::upstream) fn definitions(&self) -> impl Iterator<Item = (&str, &Json)> {
        self.definitions.iter().map(|(name, definition)| (name.as_str(), definition))
    }

    /// The page that the parameters ask for.
    pub(in crate::upstream) fn page(&self, params: &Object) -> Outcome {
        let wrong = || {
            let message = "the cursor is not one of this list, which may have changed; list the \
                           tools again from the beginning";
            RpcError::new(code::INVALID_PARAMS, message)
        };
        let number = match params.get("cursor") {
            None => 0,
            Some(cursor) => {
                let cursor = cursor.text().ok_or_else(wrong)?;
                let (mark, number) = cursor.split_once('-').ok_or_else(wrong)?;
                if mark != format!("{:016x}", self.mark) {
                    return Err(wrong());
                }
                number.parse::<usize>().map_err(|_| wrong())?
            }
        };
        self.results.get(number).cloned().ok_or_else(wrong)
    }
}

fn cursor(mark: u64, number: usize) -> String {
    format!("{mark:016x}-{number}")
}

fn page(definitions: &[(String, Json)], next: Option<&str>, info: &Json) -> Object {
    let length: usize = definitions.iter().map(|(_, it)| it.as_bytes().len() + 1).sum();
    let mut text = Vec::with_capacity(length + info.as_bytes().len() + 256);
    text.extend_from_slice(b"{\"resultType\":\"complete\",\"tools\":[");
    for (at, (_, definition)) in definitions.iter().enumerate() {
        if at > 0 {
            text.push(b',');
        }
        text.extend_from_slice(definition.as_bytes());
    }
    text.push(b']');
    if let Some(next) = next {
        text.extend_from_slice(b",\"nextCursor\":");
        wire::json::write_string(&mut text, next);
    }
    let rest = format!(
        ",\"ttlMs\":{TTL_MS},\"cacheScope\":\"public\",\"_meta\":{{\"{}\":{}}}}}",
        meta::SERVER_INFO,
        info.as_str()
    );
    text.extend_from_slice(rest.as_bytes());
    Object::of_valid(&Bytes::from(text)).expect("written as an object")
}

/// The definitions as slices of the pages.
fn shared(definitions: &[(String, Json)], pages: &[Object]) -> Vec<(String, Json)> {
    let names = definitions.iter().map(|(name, _)| name.clone());
    let elements = pages.iter().filter_map(|page| page.get("tools")?.elements()).flatten();
    names.zip(elements).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pages(count: usize, items_max: usize, bytes_max: usize) -> Pages {
        let definition = |at: usize| {
            let name = format!("t{at}");
            (name.clone(), Json::trusted(format!("{{\"name\":\"{name}\"}}")))
        };
        let info = Json::trusted("{}");
        Pages::new(&(0..count).map(definition).collect::<Vec<_>>(), &info, items_max, bytes_max)
    }

    fn walk(pages: &Pages) -> Vec<usize> {
        let mut params = Object::empty();
        let mut sizes = Vec::new();
        loop {
            let page = pages.page(&params).unwrap();
            sizes.push(page.get("tools").unwrap().elements().unwrap().len());
            let Some(next) = page.get("nextCursor") else { return sizes };
            params = Object::empty().with(&[wire::json::Edit::set("cursor", next.as_bytes())]);
        }
    }

    #[test]
    fn every_tool_is_on_one_page() {
        assert_eq!(walk(&pages(0, 10, 1000)), [0]);
        assert_eq!(walk(&pages(10, 10, 1000)), [10]);
        assert_eq!(walk(&pages(11, 10, 1000)), [10, 1]);
        assert_eq!(walk(&pages(3, 10, 1)), [1, 1, 1]);
        assert_eq!(pages(11, 10, 1000).definitions().count(), 11);
    }

    #[test]
    fn cursors_of_other_lists_are_refused() {
        let other = pages(30, 10, 1000).page(&Object::empty()).unwrap().get("nextCursor").unwrap();
        for cursor in [other.as_str(), "\"\"", "\"x-1\"", "7", "\"0000000000000000-0\""] {
            let params = Json::trusted(format!("{{\"cursor\":{cursor}}}")).object().unwrap();
            let error = pages(11, 10, 1000).page(&params).unwrap_err();
            assert_eq!(error.code, code::INVALID_PARAMS, "{cursor}");
        }
    }
}
