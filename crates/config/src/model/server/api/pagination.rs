//! How an API says that there is more than what it answered with.

use schemars::{JsonSchema, Schema, SchemaGenerator};

use crate::{
    diagnostic::Code,
    model::word::words,
    tree::{Node, Value},
    walk::{Cx, Fields, Read, not_one_of},
};

/// How the next page of a result is found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Pagination {
    /// In the usual ways.
    #[default]
    Auto,
    /// It is not looked for.
    Off,
    /// As it is written.
    Stated(Box<StatedPagination>),
}

/// How an API says that there is more. Places in an answer are members of its body, with dots between
/// names and the numbers of elements of lists, counted from their end where negative
/// (`data.-1.id`), or headers (`header:X-Next`).
#[derive(Clone, Debug, Default, PartialEq, Eq, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "Pages")]
pub struct StatedPagination {
    /// What the argument takes that asks for the next page.
    pub by: PageStep,
    /// Where the mark of the next page, or its URL, is: a place or a list of places, of which the
    /// first that is there counts.
    #[schemars(with = "OneOrMany")]
    pub next: Vec<PagePlace>,
    /// The argument that asks for the next page, by its name for clients or in requests; dots lead
    /// into members of an argument. Tools without it are left to the usual ways.
    pub argument: Option<String>,
    /// What says whether there is more.
    pub more: Option<PagePlace>,
    /// The list whose elements are counted.
    pub items: Option<PagePlace>,
    /// How many elements there are on all pages.
    pub total: Option<PagePlace>,
    /// How many pages there are.
    pub pages: Option<PagePlace>,
    /// The argument that says how long a page is.
    pub limit: Option<String>,
    /// What the argument is of the first page. The default is what the document says, else 0 for an
    /// offset and 1 for a page.
    pub first: Option<usize>,
}

words! {
    /// What the argument takes that asks for the next page.
    PageStep {
        /// The mark that the API gave.
        #[default]
        Mark = "mark",
        /// How many elements are left out.
        Offset = "offset",
        /// The number of a page.
        Page = "page",
    }
}

/// A place in an answer: `meta.next`, or `header:X-Next`.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(transparent)]
pub struct PagePlace(String);

/// For the schema alone.
#[derive(JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only its schema is used")]
enum OneOrMany {
    /// One place.
    One(String),
    /// Several, of which the first that is there counts.
    Many(Vec<String>),
}

/// For the schema alone.
#[derive(JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only its schema is used")]
enum Written {
    /// `auto` or `off`.
    Word(Word),
    /// `false` is `off`.
    Switch(bool),
    /// What the API does.
    Stated(Box<StatedPagination>),
}

/// For the schema alone.
#[derive(JsonSchema)]
#[serde(rename_all = "lowercase")]
#[expect(dead_code, reason = "only its schema is used")]
enum Word {
    /// In the usual ways.
    Auto,
    /// Not at all.
    Off,
}

/// Their words.
const WORDS: &[&str] = &["auto", "off"];

/// Longest place or name of an argument in bytes.
const TEXT_BYTES_MAX: usize = 200;

/// Most places for a mark.
const PLACES_MAX: usize = 20;

// === impl Pagination ===

impl Read for Pagination {
    fn read(node: &Node, cx: &mut Cx<'_>) -> Option<Self> {
        match &node.value {
            Value::Bool(false) => Some(Self::Off),
            Value::Mapping(_) => {
                StatedPagination::read(node, cx).map(|it| Self::Stated(Box::new(it)))
            }
            Value::String(word) if word == "auto" => Some(Self::Auto),
            Value::String(word) if word == "off" => Some(Self::Off),
            _ => {
                not_one_of(node, WORDS, cx);
                None
            }
        }
    }
}

impl JsonSchema for Pagination {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Pagination".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Written::json_schema(generator)
    }
}

// === impl StatedPagination ===

impl Read for StatedPagination {
    fn read(node: &Node, cx: &mut Cx<'_>) -> Option<Self> {
        let mut stated = Self::default();
        let mut fields = Fields::of(node, "`pagination`", cx)?;
        fields.set("by", &mut stated.by, cx);
        if let Some(node) = fields.node("next") {
            stated.next = read_places(node, cx).unwrap_or_default();
        }
        for (key, slot) in [("argument", &mut stated.argument), ("limit", &mut stated.limit)] {
            fields.set_some(key, slot, cx);
            if let (Some(text), Some(node)) = (&slot, fields.node(key)) {
                check_text(text, node, cx);
            }
        }
        fields.set_some("more", &mut stated.more, cx);
        fields.set_some("items", &mut stated.items, cx);
        fields.set_some("total", &mut stated.total, cx);
        fields.set_some("pages", &mut stated.pages, cx);
        fields.set_some("first", &mut stated.first, cx);
        stated.check(&mut fields, node, cx);
        fields.finish(cx);
        Some(stated)
    }
}

impl StatedPagination {
    fn check(&self, fields: &mut Fields<'_>, node: &Node, cx: &mut Cx<'_>) {
        let (foreign, way): (&[&str], _) = match self.by {
            PageStep::Mark => (
                &["items", "total", "pages", "limit", "first"],
                "write `by: offset` or `by: page`, or remove it",
            ),
            PageStep::Offset => {
                (&["next", "pages"], "write `total` for all elements, or remove it")
            }
            PageStep::Page => (&["next"], "remove it, or leave `by` out"),
        };
        for key in foreign {
            let Some(entry) = node.entries().iter().find(|entry| entry.key == *key) else {
                continue;
            };
            let message = format!("`{key}` means nothing with `by: {}`", self.by.as_str());
            cx.report(cx.problem(Code::Conflict, &entry.key_range, message).hint(way));
        }
        if self.by == PageStep::Mark && fields.node("next").is_none() {
            let message = "this does not say where the mark of the next page is";
            let problem = cx.problem(Code::MissingKey, &node.range, message);
            cx.report(
                problem.hint(
                    "write, for example, `next: meta.next_cursor`; or `by: offset`, `by: page`",
                ),
            );
        }
    }
}

fn check_text(text: &str, node: &Node, cx: &mut Cx<'_>) -> bool {
    let is_fine = (1..=TEXT_BYTES_MAX).contains(&text.len());
    if !is_fine {
        let message = format!("expected a text of 1 to {TEXT_BYTES_MAX} bytes");
        cx.report(cx.problem(Code::OutOfRange, &node.range, message));
    }
    is_fine
}

fn read_places(node: &Node, cx: &mut Cx<'_>) -> Option<Vec<PagePlace>> {
    let Value::Sequence(items) = &node.value else {
        return PagePlace::read(node, cx).map(|place| vec![place]);
    };
    if !(1..=PLACES_MAX).contains(&items.len()) {
        let message = format!("expected 1 to {PLACES_MAX} places");
        cx.report(cx.problem(Code::OutOfRange, &node.range, message));
        return None;
    }
    Vec::read(node, cx)
}

// === impl PagePlace ===

impl PagePlace {
    /// The place as it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Read for PagePlace {
    fn read(node: &Node, cx: &mut Cx<'_>) -> Option<Self> {
        // `0` is the first element of a list.
        let Some(text) = node.scalar() else {
            cx.wrong_kind(node, "a member of the body, or `header:NAME`");
            return None;
        };
        if !check_text(&text, node, cx) {
            return None;
        }
        if let Some(name) = text.strip_prefix("header:") {
            let name = name.trim();
            let is_token =
                |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
            if name.is_empty() || !name.bytes().all(is_token) {
                let message = format!("`{name}` is not a name of a header");
                cx.report(cx.problem(Code::InvalidName, &node.range, message));
                return None;
            }
            if ["set-cookie", "authorization"].iter().any(|it| name.eq_ignore_ascii_case(it)) {
                let message = format!("the header `{name}` is not shown to clients");
                cx.report(cx.problem(Code::InvalidName, &node.range, message));
                return None;
            }
        }
        Some(Self(text))
    }
}
