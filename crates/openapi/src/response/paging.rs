//! How an API says that there is more, where its operator says it.

/// How the next page is found.
///
/// With nothing but its defaults the usual ways are looked for. What the operator says goes first; a
/// tool that has no argument of the name that is said is left to the usual ways.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paging {
    /// Whether it is looked for at all.
    pub is_on: bool,
    /// Where the mark of the next page or its URL is; the first that is there counts.
    pub marks: Vec<Spot>,
    /// The argument that asks for the next page, by the name that clients know or by its name in
    /// requests; dots lead into members of an argument.
    pub argument: Option<String>,
    /// What that argument takes.
    pub step: Step,
    /// What says whether there is more: `false`, `null`, `0` and an empty text or list mean that there
    /// is not.
    pub more: Option<Spot>,
    /// The list whose elements are counted.
    pub items: Option<Spot>,
    /// How many elements there are on all pages.
    pub total: Option<Spot>,
    /// How many pages there are.
    pub pages: Option<Spot>,
    /// The argument that says how long a page is.
    pub limit: Option<String>,
    /// What the argument is of the first page, where a client gives none.
    pub first: Option<u64>,
}

/// What the argument takes that asks for the next page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Step {
    /// The mark that the API gave.
    #[default]
    Mark,
    /// How many elements are left out.
    Offset,
    /// The number of a page.
    Page,
}

/// A place in an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Spot {
    /// The header of this name.
    Header(String),
    /// A member of the body: names with dots between, and the numbers of elements of lists, counted
    /// from their end where negative (`data.-1.id`).
    Member(String),
}

// === impl Paging ===

impl Default for Paging {
    /// The usual ways.
    fn default() -> Self {
        Self {
            is_on: true,
            marks: Vec::new(),
            argument: None,
            step: Step::Mark,
            more: None,
            items: None,
            total: None,
            pages: None,
            limit: None,
            first: None,
        }
    }
}

impl Paging {
    /// Nothing is looked for.
    pub fn off() -> Self {
        Self { is_on: false, ..Self::default() }
    }

    /// The headers that it reads.
    pub(super) fn headers(&self) -> impl Iterator<Item = &str> {
        let single = [&self.more, &self.items, &self.total, &self.pages].into_iter().flatten();
        self.marks.iter().chain(single).filter_map(|spot| match spot {
            Spot::Header(name) => Some(name.as_str()),
            Spot::Member(_) => None,
        })
    }
}

// === impl Spot ===

impl Spot {
    /// A place as it is written: `meta.next`, or `header:X-Next`.
    pub fn new(text: &str) -> Self {
        match text.strip_prefix("header:") {
            Some(name) => Self::Header(name.trim().to_ascii_lowercase()),
            None => Self::Member(text.to_owned()),
        }
    }
}
