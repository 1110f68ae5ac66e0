//! The schemas of one tool as one text that refers to nothing outside itself.

use std::collections::{HashMap, HashSet, VecDeque};
use std::rc::Rc;

use super::convert::{ANNOTATIONS, LEVELS_MAX};
use super::{Direction, Keywords, Library, Member, Reference, Schema, scalar};
use crate::model::At;

/// A schema as text.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Text {
    /// JSON Schema 2020-12.
    pub(crate) json: String,
    /// What was left out so that it is not longer.
    pub(crate) detail: Detail,
    /// Whether it needs a document that is not there.
    pub(crate) misses_document: bool,
    /// Whether schemas that inherit from others were left out, which are hints then.
    pub(crate) lacks_heirs: bool,
}

/// How much of what only tells people something is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Detail {
    /// All of it.
    Full,
    /// Short descriptions of what lies deep, without examples there.
    Short,
    /// Nothing about what lies deep.
    Bare,
}

impl Detail {
    /// Longest description in bytes of a schema that so many others are around.
    fn description_len_max(self, level: u8) -> usize {
        match (self, level) {
            (Self::Full, _) | (_, 0 | 1) => usize::MAX,
            (Self::Short, _) => 120,
            (Self::Bare, _) => 0,
        }
    }

    fn omits(self, key: &str, level: u8) -> bool {
        match self {
            Self::Full => false,
            Self::Short => level > 1 && matches!(key, "examples" | "title"),
            Self::Bare => level > 1 && matches!(key, "examples" | "title" | "description"),
        }
    }
}

/// Why there is no text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooLong;

/// Writes the schemas of one tool.
pub(crate) struct Bundle<'l, 'd> {
    library: &'l mut Library<'d>,
    direction: Direction,
    detail: Detail,
    /// Whether a schema that others inherit from stands for them, too.
    has_families: bool,
    /// How often each schema is referred to.
    uses: HashMap<At, usize>,
    misses_document: bool,
    names: HashMap<At, String>,
    taken: HashSet<String>,
    /// Definitions that are referred to and not written yet.
    queue: VecDeque<At>,
    /// How long schemas are that refer to no others.
    lengths: HashMap<At, Option<usize>>,
    /// Nothing more is written when the text is longer than this.
    len_max: usize,
    out: String,
}

/// Longest text in bytes with all heirs. They are many, most calls need one of them, and whoever reads
/// the schema pays for all.
const HEIRS_LEN_MAX: usize = 8 << 10;

/// A reference is `{"$ref":"#/$defs/"}` and a name.
const REFERENCE_LEN: usize = 19;

impl<'l, 'd> Bundle<'l, 'd> {
    /// The schema and everything that it refers to as one text. `lens_max` has the longest text in
    /// bytes in full detail, then, if that is not enough, in short and in bare. Heirs are told as long
    /// as the text is short with all of them.
    pub(crate) fn write(
        library: &'l mut Library<'d>,
        direction: Direction,
        root: &Schema,
        lens_max: &[usize],
    ) -> Result<Text, TooLong> {
        let mut bundle = Self {
            library,
            direction,
            detail: Detail::Full,
            has_families: true,
            uses: HashMap::new(),
            misses_document: false,
            names: HashMap::new(),
            taken: HashSet::new(),
            queue: VecDeque::new(),
            lengths: HashMap::new(),
            len_max: 0,
            out: String::new(),
        };
        let longest = lens_max.iter().copied().max().unwrap_or_default();
        let counted = bundle.count(root, longest / REFERENCE_LEN);
        let has_families =
            bundle.uses.keys().any(|at| bundle.library.base_of_family(*at).is_some());
        if has_families {
            bundle.len_max = longest.min(HEIRS_LEN_MAX);
            // A heir in a document that is not there is no reason to lose the rest.
            if counted.is_ok() && !bundle.misses_document && bundle.text(root).is_ok() {
                return Ok(bundle.written(false));
            }
            bundle.has_families = false;
            bundle.uses.clear();
            bundle.misses_document = false;
            bundle.count(root, longest / REFERENCE_LEN)?;
        } else {
            counted?;
        }
        for (detail, &len_max) in
            [Detail::Full, Detail::Short, Detail::Bare].into_iter().zip(lens_max)
        {
            bundle.detail = detail;
            bundle.len_max = len_max;
            if bundle.text(root).is_ok() {
                return Ok(bundle.written(has_families));
            }
        }
        Err(TooLong)
    }

    fn written(self, lacks_heirs: bool) -> Text {
        let Self { out: json, detail, misses_document, .. } = self;
        Text { json, detail, misses_document, lacks_heirs }
    }

    /// The place of the schema that a reference means here.
    fn place(&self, reference: &Reference) -> At {
        let base = self.library.base_of_family(reference.at).filter(|_| !self.has_families);
        base.unwrap_or(reference.at)
    }

    /// Counts how often everything is referred to.
    fn count(&mut self, root: &Schema, definitions_max: usize) -> Result<(), TooLong> {
        let mut pending = Vec::new();
        self.count_in(root, &mut pending);
        while let Some(at) = pending.pop() {
            if self.uses.len() > definitions_max {
                return Err(TooLong);
            }
            let target = self.library.target(at, self.direction);
            self.count_in(&target, &mut pending);
        }
        Ok(())
    }

    fn count_in(&mut self, schema: &Schema, pending: &mut Vec<At>) {
        let keywords = match schema {
            Schema::Boolean(_) => return,
            Schema::Missing { is_external } => {
                self.misses_document |= is_external;
                return;
            }
            Schema::Keywords(keywords) => keywords,
        };
        if let Some(reference) = &keywords.reference {
            let at = self.place(reference);
            let uses = self.uses.entry(at).or_default();
            *uses += 1;
            if *uses == 1 {
                pending.push(at);
            }
        }
        inner(keywords).for_each(|schema| self.count_in(schema, pending));
    }

    fn text(&mut self, root: &Schema) -> Result<(), TooLong> {
        self.names.clear();
        self.taken.clear();
        self.queue.clear();
        self.lengths.clear();
        self.out.clear();
        self.schema(root, 0);
        // The definitions go between the last brace of the root and its content.
        let mut is_first = true;
        while let Some(at) = self.queue.pop_front() {
            if is_first {
                self.out.pop();
                self.out.push_str(if self.out.ends_with('{') {
                    "\"$defs\":{"
                } else {
                    ",\"$defs\":{"
                });
            } else {
                self.out.push(',');
            }
            is_first = false;
            let name = self.names[&at].clone();
            self.string(&name);
            self.out.push(':');
            let target = self.library.target(at, self.direction);
            self.schema(&target, 2);
            if self.out.len() > self.len_max {
                return Err(TooLong);
            }
        }
        if !is_first {
            self.out.push_str("}}");
        }
        if self.out.len() > self.len_max { Err(TooLong) } else { Ok(()) }
    }

    /// Writes a schema that so many others are around. Schemas nest at most [`LEVELS_MAX`] deep in
    /// one another, references not followed, and those that are inlined no deeper.
    fn schema(&mut self, schema: &Schema, level: u8) {
        if self.out.len() > self.len_max {
            return;
        }
        match schema {
            Schema::Boolean(false) => self.out.push_str("false"),
            // Readers of older drafts know no `true`.
            Schema::Boolean(true) | Schema::Missing { .. } => self.out.push_str("{}"),
            Schema::Keywords(keywords) => {
                let inlined = self.inlined(keywords, level);
                let keywords = inlined.as_ref().unwrap_or(keywords);
                self.keywords(keywords, level);
            }
        }
    }

    fn keywords(&mut self, keywords: &Keywords, level: u8) {
        let apart = keywords.reference.as_ref().filter(|_| keywords.members.iter().any(counts));
        self.out.push('{');
        let mut is_first = true;
        if let Some(reference) = &keywords.reference {
            is_first = false;
            if apart.is_some() {
                self.out.push_str("\"allOf\":[{");
            }
            let name = self.name(reference);
            self.out.push_str("\"$ref\":\"#/$defs/");
            self.out.push_str(&name);
            self.out.push('"');
            if apart.is_some() {
                self.out.push('}');
                if let Some(Member::Many(others)) = keywords.get("allOf") {
                    for other in others {
                        self.out.push(',');
                        self.schema(other, level + 1);
                    }
                }
                self.out.push(']');
            }
        }
        for (key, member) in &keywords.members {
            if self.detail.omits(key, level) || apart.is_some() && *key == "allOf" {
                continue;
            }
            if !is_first {
                self.out.push(',');
            }
            is_first = false;
            self.string(key);
            self.out.push(':');
            self.member(member, level);
        }
        self.out.push('}');
    }

    fn member(&mut self, member: &Member, level: u8) {
        match member {
            Member::Json(text) => self.out.push_str(text),
            Member::Text(text) => {
                let text = scalar::cut(text, self.detail.description_len_max(level));
                self.string(&text);
            }
            Member::One(schema) => self.schema(schema, level + 1),
            Member::Many(schemas) => {
                self.out.push('[');
                for (at, schema) in schemas.iter().enumerate() {
                    if at > 0 {
                        self.out.push(',');
                    }
                    self.schema(schema, level + 1);
                }
                self.out.push(']');
            }
            Member::Map(schemas) => {
                self.out.push('{');
                for (at, (name, schema)) in schemas.iter().enumerate() {
                    if at > 0 {
                        self.out.push(',');
                    }
                    self.string(name);
                    self.out.push(':');
                    self.schema(schema, level + 1);
                }
                self.out.push('}');
            }
        }
    }

    fn string(&mut self, text: &str) {
        self.out.push_str(&scalar::quoted(text));
    }

    /// The keywords of a schema with those that it refers to in their place, where that is shorter
    /// than a definition; `None` if there is nothing to put in, or it stays a reference.
    fn inlined(&mut self, keywords: &Keywords, level: u8) -> Option<Keywords> {
        let mut found: Option<Keywords> = None;
        loop {
            let current = found.as_ref().unwrap_or(keywords);
            let reference = current.reference.as_ref()?;
            let Some(merged) = self.merged(reference, &current.members, level) else {
                return found;
            };
            if merged.reference.is_none() {
                return Some(merged);
            }
            found = Some(merged);
        }
    }

    fn merged(
        &mut self,
        reference: &Reference,
        beside: &[(&'static str, Member)],
        level: u8,
    ) -> Option<Keywords> {
        let at = self.place(reference);
        let target = self.library.target(at, self.direction);
        let is_annotation = |key: &str| ANNOTATIONS.contains(&key) || key == "x-mcp-header";
        let uses = self.uses.get(&at).copied().unwrap_or(1);
        let fits = match &*target {
            Schema::Boolean(_) | Schema::Missing { .. } => true,
            Schema::Keywords(_) if self.names.contains_key(&at) => false,
            Schema::Keywords(_) if uses == 1 => level + height(&target) <= LEVELS_MAX,
            Schema::Keywords(_) => self.length(at, &target).is_some_and(|len| {
                let name_len = reference.name.len();
                let as_definition = uses * (REFERENCE_LEN + name_len) + name_len + 4 + len;
                uses * len <= as_definition
            }),
        };
        let mut merged = Schema::clone(&target).into_keywords();
        let is_same = |(key, member): &(&'static str, Member)| merged.get(key) == Some(member);
        if !fits || !beside.iter().all(|pair| is_annotation(pair.0) || is_same(pair)) {
            return None;
        }
        for (key, member) in beside {
            merged.set(key, member.clone());
        }
        Some(merged)
    }

    /// How long a schema is as text; `None` if it refers to others.
    fn length(&mut self, at: At, target: &Rc<Schema>) -> Option<usize> {
        if let Some(&known) = self.lengths.get(&at) {
            return known;
        }
        let length = is_leaf(target).then(|| {
            let out = std::mem::take(&mut self.out);
            self.schema(target, 2);
            std::mem::replace(&mut self.out, out).len()
        });
        self.lengths.insert(at, length);
        length
    }

    /// What a definition is called. The first mention puts it among those to be written.
    fn name(&mut self, reference: &Reference) -> String {
        let at = self.place(reference);
        if let Some(name) = self.names.get(&at) {
            return name.clone();
        }
        let is_family = self.library.base_of_family(at).is_some();
        let wanted = format!("{}{}", if is_family { "Any" } else { "" }, reference.name);
        let mut name = wanted.clone();
        let mut number = 2;
        while !self.taken.insert(name.clone()) {
            name = format!("{wanted}{number}");
            number += 1;
        }
        self.names.insert(at, name.clone());
        self.queue.push_back(at);
        name
    }
}

/// Whether a keyword beside a reference must be heeded. Readers of older drafts, and many others, take
/// no notice of anything beside `$ref`, or of the reference, so that `allOf` has to hold it.
fn counts((key, _): &(&'static str, Member)) -> bool {
    !ANNOTATIONS.contains(key) && !["type", "x-mcp-header"].contains(key)
}

/// The schemas that stand directly in a schema.
fn inner(keywords: &Keywords) -> impl Iterator<Item = &Schema> {
    keywords.members.iter().flat_map(|(_, member)| -> Box<dyn Iterator<Item = &Schema>> {
        match member {
            Member::Json(_) | Member::Text(_) => Box::new(std::iter::empty()),
            Member::One(schema) => Box::new(std::iter::once(schema)),
            Member::Many(schemas) => Box::new(schemas.iter()),
            Member::Map(schemas) => Box::new(schemas.iter().map(|(_, schema)| schema)),
        }
    })
}

/// How many schemas are nested in one another, references not followed.
fn height(schema: &Schema) -> u8 {
    match schema {
        Schema::Keywords(keywords) => {
            inner(keywords).map(|schema| height(schema) + 1).max().unwrap_or(0)
        }
        _ => 0,
    }
}

fn is_leaf(schema: &Schema) -> bool {
    match schema {
        Schema::Keywords(keywords) => keywords.reference.is_none() && inner(keywords).all(is_leaf),
        _ => true,
    }
}
