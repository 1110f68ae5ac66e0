//! One schema, keyword by keyword, into JSON Schema 2020-12.

use std::collections::HashSet;

use super::composition;
use super::dynamic::{self, Binding};
use super::pattern::{self, Judgement};
use super::scalar::{self, Types};
use super::{Direction, Keywords, Library, Member, Schema};
use crate::model::{At, Dialect};
use crate::report::Severity;
use crate::tree::{Kind, Value};

/// Deepest nesting of schemas in one another before one becomes a definition of its own. A definition
/// that is nested more deeply is refused by many readers; 12 schemas are about 24 levels of JSON.
pub(super) const LEVELS_MAX: u8 = 12;

/// Where a schema stands.
#[derive(Clone, Copy)]
pub(super) struct Cx<'a> {
    pub(super) direction: Direction,
    /// How many schemas are around it.
    level: u8,
    /// What it is called there.
    name: &'a str,
    /// Names that `required` must not demand: members that are taken out elsewhere in a composition.
    excluded: Option<&'a HashSet<&'a str>>,
    /// The schema in whose `allOf`, `anyOf` or `oneOf` it stands.
    branch: Option<(At, &'a str)>,
    /// What dynamic references mean here.
    bindings: &'a [Binding<'a>],
}

impl<'a> Cx<'a> {
    pub(super) fn new(name: &'a str, direction: Direction) -> Self {
        Self { direction, level: 0, name, excluded: None, branch: None, bindings: &[] }
    }

    fn inner(self, name: &'a str) -> Self {
        Self { level: self.level + 1, name, excluded: None, branch: None, ..self }
    }
}

/// Translates the schema at a place.
pub(super) fn schema(library: &mut Library<'_>, at: At, cx: Cx<'_>) -> Schema {
    let value = library.value(at);
    match value.kind() {
        Kind::Object => {}
        Kind::Bool => return Schema::Boolean(value.as_bool() == Some(true)),
        _ => {
            let message = "this is no schema (an object or a boolean); anything is taken";
            library.find(Severity::Warning, "schema-invalid", at, message);
            return Schema::Boolean(true);
        }
    }
    if cx.level >= LEVELS_MAX {
        let name = if cx.name.is_empty() { "part" } else { cx.name };
        return Schema::reference(at, &super::short_name(name));
    }
    if library.documents.reference(at).is_none() {
        return finish(keywords(library, at, cx));
    }
    let mut reference = match library.lead(at) {
        Ok(reference) => reference,
        Err(missing) => return missing,
    };
    if let Some(bound) = dynamic::bound(library, at, cx.bindings) {
        reference = bound;
    }
    // What is taken out elsewhere must not be demanded behind the reference.
    if cx.excluded.is_some_and(|names| demands(library.value(reference.at), names))
        && library.may_copy()
    {
        return schema(library, reference.at, Cx { level: cx.level + 1, ..cx });
    }
    let bindings = dynamic::bindings(library, at, reference.at, cx.bindings);
    if !bindings.is_empty() && library.may_copy() {
        return filled(library, at, reference.at, Cx { bindings: &bindings, ..cx });
    }
    if cx.direction == Direction::Request {
        let family = library.families.meant(library.documents, reference.at, cx.branch);
        reference.at = family.unwrap_or(reference.at);
    }
    let mut found = if library.keeps_siblings(at) {
        keywords(library, at, cx)
    } else {
        let text = value.text("description").filter(|text| !text.trim().is_empty());
        let text = text.map(|text| ("description", Member::Text(text.into())));
        Keywords { reference: None, members: text.into_iter().collect() }
    };
    found.reference = Some(reference);
    Schema::Keywords(found)
}

/// A template with what its dynamic references mean where it is used, and what is said beside the
/// reference to it.
fn filled(library: &mut Library<'_>, at: At, template: At, cx: Cx<'_>) -> Schema {
    let inner = schema(library, template, Cx { level: cx.level + 1, ..cx });
    let beside = keywords(library, at, cx);
    if beside.is_empty() {
        return inner;
    }
    let mut found = Keywords::default();
    let mut all = vec![inner];
    for (key, member) in beside.members {
        match member {
            Member::Many(branches) if key == "allOf" => all.extend(branches),
            member => found.set(key, member),
        }
    }
    found.set("allOf", Member::Many(all));
    finish(found)
}

fn demands(value: Value<'_>, names: &HashSet<&str>) -> bool {
    let required = value.get("required").into_iter().flat_map(Value::elements);
    required.filter_map(Value::as_str).any(|name| names.contains(name))
}

/// The keywords of a schema that is no reference, or those beside one.
fn keywords(library: &mut Library<'_>, at: At, cx: Cx<'_>) -> Keywords {
    let value = library.value(at);
    let mut excluded = cx.excluded.cloned().unwrap_or_default();
    if ["required", "allOf", "anyOf", "oneOf"].iter().any(|key| value.get(key).is_some()) {
        composition::excluded_names(library, at, cx.direction, &mut excluded);
    }
    let types = scalar::types(library, at);
    let is_parameter = is_parameter(library, at);
    let out = Keywords::default();
    let mut translation =
        Translation { library, at, cx, types, is_parameter, excluded, examples: Vec::new(), out };
    for (key, value) in value.entries() {
        if let Some(&(key, rule)) = KEYWORDS.iter().find(|(known, _)| *known == key) {
            translation.keyword(key, rule, value);
        }
    }
    translation.finish();
    translation.out
}

/// Whether it is a parameter of 2.0, whose type keywords stand beside those of a parameter.
fn is_parameter(library: &Library<'_>, at: At) -> bool {
    let value = library.value(at);
    library.dialect(at) == Dialect::Swagger20
        && value.text("name").is_some()
        && matches!(value.text("in"), Some("query" | "header" | "path" | "formData" | "cookie"))
}

/// How a keyword is translated.
#[derive(Clone, Copy)]
enum Rule {
    Type,
    Title,
    Description,
    Format,
    /// A text that stays.
    Text,
    Enum,
    /// A value of the kind that the schema describes.
    Instance,
    Example,
    Examples,
    Number,
    /// A bound that draft 4 writes as a flag beside another keyword.
    ExclusiveBound,
    Count,
    Pattern,
    Flag,
    Required,
    Properties,
    PatternProperties,
    Map,
    DependentRequired,
    One,
    Items,
    AdditionalItems,
    Many,
    Branches,
}

/// The keywords that have a meaning. Others are not part of a schema: `xml`, `externalDocs`, `x-`
/// members, and what names schemas (`$id`, `$anchor`, `$defs`), which the bundle does in its own way.
const KEYWORDS: [(&str, Rule); 50] = [
    ("type", Rule::Type),
    ("title", Rule::Title),
    ("description", Rule::Description),
    ("format", Rule::Format),
    ("contentEncoding", Rule::Text),
    ("contentMediaType", Rule::Text),
    ("contentSchema", Rule::One),
    ("enum", Rule::Enum),
    ("const", Rule::Instance),
    ("default", Rule::Instance),
    ("example", Rule::Example),
    ("x-example", Rule::Example),
    ("examples", Rule::Examples),
    ("multipleOf", Rule::Number),
    ("maximum", Rule::Number),
    ("minimum", Rule::Number),
    ("exclusiveMaximum", Rule::ExclusiveBound),
    ("exclusiveMinimum", Rule::ExclusiveBound),
    ("maxLength", Rule::Count),
    ("minLength", Rule::Count),
    ("maxItems", Rule::Count),
    ("minItems", Rule::Count),
    ("maxContains", Rule::Count),
    ("minContains", Rule::Count),
    ("maxProperties", Rule::Count),
    ("minProperties", Rule::Count),
    ("pattern", Rule::Pattern),
    ("uniqueItems", Rule::Flag),
    ("deprecated", Rule::Flag),
    ("required", Rule::Required),
    ("properties", Rule::Properties),
    ("patternProperties", Rule::PatternProperties),
    ("dependentSchemas", Rule::Map),
    ("dependentRequired", Rule::DependentRequired),
    ("dependencies", Rule::DependentRequired),
    ("additionalProperties", Rule::One),
    ("unevaluatedProperties", Rule::One),
    ("propertyNames", Rule::One),
    ("items", Rule::Items),
    ("additionalItems", Rule::AdditionalItems),
    ("unevaluatedItems", Rule::One),
    ("prefixItems", Rule::Many),
    ("contains", Rule::One),
    ("not", Rule::One),
    ("if", Rule::One),
    ("then", Rule::One),
    ("else", Rule::One),
    ("allOf", Rule::Branches),
    ("anyOf", Rule::Branches),
    ("oneOf", Rule::Branches),
];

/// Longest list of examples as JSON; longer ones tell a reader no more about one value.
const EXAMPLES_LEN_MAX: usize = 1_000;

/// What the description of a text that stands for bytes ends in, unless it says so itself.
pub(crate) const BASE64_HINT: &str = " (base64)";

/// What `format: byte` means (RFC 4648, section 4): validators check no `contentEncoding`.
pub(crate) const BASE64_PATTERN: &str =
    r#""^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$""#;

/// Keywords that tell people something and change nothing about what fits.
pub(super) const ANNOTATIONS: [&str; 6] =
    ["title", "description", "default", "examples", "deprecated", "discriminator"];

struct Translation<'a, 'd> {
    library: &'a mut Library<'d>,
    at: At,
    cx: Cx<'a>,
    types: Types,
    is_parameter: bool,
    excluded: HashSet<&'a str>,
    examples: Vec<String>,
    out: Keywords,
}

impl<'d> Translation<'_, 'd> {
    fn keyword(&mut self, key: &'static str, rule: Rule, value: Value<'d>) {
        match rule {
            Rule::Type => {
                if let Some(text) = self.types.json() {
                    self.json(key, text);
                }
            }
            Rule::Title => self.title(value),
            Rule::Description => {
                if let Some(text) = value.scalar().map(str::trim).filter(|text| !text.is_empty()) {
                    self.out.set(key, Member::Text(text.into()));
                }
            }
            Rule::Format => self.format(value),
            Rule::Text => match value.as_str() {
                Some(text) => self.json(key, scalar::quoted(text)),
                None => self.drop(key, value, "a text"),
            },
            Rule::Enum => self.enumeration(value),
            Rule::Instance => self.instance(key, value),
            Rule::Example => self.example(value),
            Rule::Examples => {
                // By name as in media types and parameters, or a list.
                let named = value.entries().filter_map(|(_, example)| example.get("value"));
                value.elements().chain(named).for_each(|value| self.example(value));
            }
            Rule::Number => self.number(key, value),
            Rule::ExclusiveBound => {
                if value.kind() != Kind::Bool {
                    self.number(key, value);
                }
            }
            Rule::Count => self.count(key, value),
            Rule::Pattern => self.pattern(value),
            Rule::Flag => match value.scalar() {
                Some("true") => self.json(key, "true".into()),
                Some("false") => {}
                _ => self.drop(key, value, "`true` or `false`"),
            },
            _ if self.is_parameter && key == "required" => {}
            Rule::Required => self.required(value),
            _ => self.applicator(key, rule, value),
        }
    }

    fn applicator(&mut self, key: &'static str, rule: Rule, value: Value<'d>) {
        match (rule, value.kind()) {
            (Rule::Properties, Kind::Object) => {
                let excluded = |library: &Library<'d>, value: Value<'d>| {
                    let at = At { node: value.id(), ..self.at };
                    composition::is_excluded(library, at, self.cx.direction)
                };
                let kept: Vec<_> =
                    value.entries().filter(|(_, value)| !excluded(self.library, *value)).collect();
                let map =
                    kept.into_iter().map(|(name, value)| (name.into(), self.part(name, value)));
                let map = map.collect();
                self.out.set(key, Member::Map(map));
            }
            (Rule::PatternProperties, Kind::Object) => {
                let mut map = Vec::new();
                for (pattern, value) in value.entries() {
                    if let Some(pattern) = self.judged(pattern, value) {
                        map.push((pattern.into(), self.part("", value)));
                    }
                }
                self.out.set(key, Member::Map(map));
            }
            (Rule::Map, Kind::Object) => {
                let map = value.entries().map(|(name, value)| (name.into(), self.part("", value)));
                let map = map.collect();
                self.out.set(key, Member::Map(map));
            }
            (Rule::DependentRequired, Kind::Object) => self.dependencies(value),
            (Rule::Items, Kind::Array) => {
                // A tuple of older drafts; what follows it is said by `additionalItems`.
                if !value.is_empty() {
                    let many = value.elements().map(|value| self.part("", value)).collect();
                    self.out.set("prefixItems", Member::Many(many));
                }
            }
            (Rule::AdditionalItems, Kind::Object | Kind::Bool) => {
                let is_tuple = self.library.value(self.at).get("items");
                if is_tuple.is_some_and(|items| items.kind() == Kind::Array) {
                    let one = self.part("", value);
                    self.out.set("items", Member::One(one));
                }
            }
            (Rule::One | Rule::Items, Kind::Object | Kind::Bool) => {
                let one = self.part(if key == "items" { self.cx.name } else { "" }, value);
                self.out.set(key, Member::One(one));
            }
            (Rule::One, Kind::String) if matches!(value.as_str(), Some("true" | "false")) => {
                let one = Schema::Boolean(value.as_str() == Some("true"));
                self.out.set(key, Member::One(one));
                self.changed(key, value, "a text was read as a boolean");
            }
            (Rule::Many, Kind::Array) if !value.is_empty() => {
                let many = value.elements().map(|value| self.part("", value)).collect();
                self.out.set(key, Member::Many(many));
            }
            (Rule::Branches, Kind::Array) if !value.is_empty() => {
                let many = value.elements().map(|value| self.branch(key, value)).collect();
                self.out.set(key, Member::Many(many));
            }
            (Rule::Branches, Kind::Object) => {
                let many = vec![self.branch(key, value)];
                self.out.set(key, Member::Many(many));
                self.changed(key, value, "one schema was read as a list of one");
            }
            (Rule::Many | Rule::Branches, Kind::Array) => {
                self.drop(key, value, "a list with at least one schema");
            }
            (
                Rule::Properties | Rule::PatternProperties | Rule::Map | Rule::DependentRequired,
                _,
            ) => self.drop(key, value, "an object"),
            (Rule::Many | Rule::Branches, _) => self.drop(key, value, "a list of schemas"),
            _ => self.drop(key, value, "a schema"),
        }
    }

    /// A schema inside this one.
    fn part(&mut self, name: &str, value: Value<'d>) -> Schema {
        let at = At { node: value.id(), ..self.at };
        schema(self.library, at, self.cx.inner(name))
    }

    /// A schema that holds together with this one.
    fn branch(&mut self, key: &str, value: Value<'d>) -> Schema {
        // Some generators mean `null` by an alternative that says nothing but that it is nullable.
        let is_older = !self.library.keeps_siblings(self.at);
        if is_older && key != "allOf" && value.len() == 1 && value.flag("nullable") == Some(true) {
            return Schema::of(&[("type", "\"null\"")]);
        }
        let at = At { node: value.id(), ..self.at };
        let cx = Cx {
            level: self.cx.level + 1,
            excluded: Some(&self.excluded),
            branch: Some((self.at, key)),
            ..self.cx
        };
        schema(self.library, at, cx)
    }

    fn json(&mut self, key: &'static str, text: String) {
        self.out.set(key, Member::Json(text.into()));
    }

    fn title(&mut self, value: Value<'_>) {
        let plain = |text: &str| -> String {
            let letters = text.chars().filter(|c| c.is_alphanumeric());
            letters.flat_map(char::to_lowercase).collect()
        };
        // A title that only repeats the name costs bytes and tells nothing.
        let title = value.scalar().map(str::trim).filter(|title| !title.is_empty());
        if let Some(title) = title.filter(|title| plain(title) != plain(self.cx.name)) {
            self.json("title", scalar::quoted(title));
        }
    }

    fn format(&mut self, value: Value<'_>) {
        match value.as_str() {
            Some("byte" | "binary" | "base64") if self.types.is_text() => {
                self.json("contentEncoding", "\"base64\"".into());
            }
            Some("") => {}
            Some(format) => self.json("format", scalar::quoted(format)),
            None => self.drop("format", value, "a text"),
        }
    }

    fn enumeration(&mut self, value: Value<'_>) {
        let values: Vec<Value<'_>> = match value.kind() {
            Kind::Array => value.elements().collect(),
            _ => vec![value],
        };
        let mut texts: Vec<String> = Vec::with_capacity(values.len());
        let mut known = HashSet::new();
        for &one in &values {
            let (text, is_changed) = self.types.fitted(one);
            if is_changed {
                self.changed("enum", one, "its values were read as the schema's type");
            }
            if known.insert(text.clone()) {
                texts.push(text);
            }
        }
        if texts.is_empty() {
            return self.drop("enum", value, "a list with at least one value");
        }
        if value.kind() != Kind::Array {
            self.changed("enum", value, "one value was read as a list of one");
        }
        self.json("enum", format!("[{}]", texts.join(",")));
    }

    /// Reads an `enum` that, as it is written, no value of the type fits.
    fn mend_enumeration(&mut self) {
        let value = self.library.value(self.at);
        let Some(written) = value.get("enum") else { return };
        let is_list = written.kind() == Kind::Array;
        let one = Some(written).filter(|_| !is_list);
        let values: Vec<Value<'_>> = written.elements().chain(one).collect();
        if values.is_empty() || !values.iter().all(|one| self.types.excludes(*one)) {
            return;
        }
        self.out.remove("enum");
        if self.types.only() == Some("array") {
            self.changed("enum", written, "it was read as what the elements of the list may be");
            let mut items = match self.out.remove("items") {
                Some(Member::One(Schema::Keywords(items))) => items,
                _ => Keywords::default(),
            };
            if items.get("enum").is_none() {
                let types = Types::of(&items);
                let texts: Vec<String> = values.iter().map(|one| types.fitted(*one).0).collect();
                items.set("enum", Member::Json(format!("[{}]", texts.join(",")).into()));
            }
            self.out.set("items", Member::One(Schema::Keywords(items)));
            return;
        }
        self.changed("enum", written, "its values are of another type, which counts");
        self.out.remove("type");
        // Whether an answer has the values or the type is not known.
        if self.cx.direction == Direction::Request {
            self.enumeration(written);
        }
    }

    fn instance(&mut self, key: &'static str, value: Value<'_>) {
        let (text, is_changed) = self.types.fitted(value);
        if is_changed {
            self.changed(key, value, "it was read as the schema's type");
        }
        if key == "default" {
            // `default: null` says that there is none, unless null fits.
            let may_be_null = self.types.has_null() || self.is_nullable();
            if value.kind() == Kind::Null && !may_be_null {
                return;
            }
            let has_values = self.library.value(self.at).get("enum").is_some();
            if value.kind() != Kind::Null && !has_values && self.types.excludes(value) {
                return self.drop(key, value, "a value of the schema's type");
            }
        }
        self.json(key, text);
    }

    fn example(&mut self, value: Value<'_>) {
        // Those that follow would not be kept in any case.
        if self.examples.len() > EXAMPLES_LEN_MAX {
            return;
        }
        let text = self.types.example(value);
        self.examples.extend(text.filter(|text| !self.examples.contains(text)));
    }

    fn number(&mut self, key: &'static str, value: Value<'_>) {
        let is_number = value.kind() == Kind::Number;
        let text = value.scalar().filter(|_| is_number || value.kind() == Kind::String);
        let text = text.map(str::trim).filter(|text| is_number || scalar::is_number(text));
        let is_positive = |text: &&str| text.parse::<f64>().is_ok_and(|number| number > 0.0);
        let Some(text) = text.filter(|text| key != "multipleOf" || is_positive(text)) else {
            return self.drop(key, value, "a number");
        };
        if !is_number {
            self.changed(key, value, "a text was read as a number");
        }
        let flags = self.library.value(self.at);
        let key = match key {
            "minimum" if flags.flag("exclusiveMinimum") == Some(true) => "exclusiveMinimum",
            "maximum" if flags.flag("exclusiveMaximum") == Some(true) => "exclusiveMaximum",
            key => key,
        };
        self.json(key, text.to_owned());
    }

    fn count(&mut self, key: &'static str, value: Value<'_>) {
        let text = value.scalar().filter(|_| matches!(value.kind(), Kind::Number | Kind::String));
        let Some(count) = text.and_then(scalar::count) else {
            return self.drop(key, value, "a whole number from 0");
        };
        if value.kind() == Kind::String {
            self.changed(key, value, "a text was read as a number");
        }
        self.json(key, count);
    }

    fn pattern(&mut self, value: Value<'_>) {
        let Some(pattern) = value.as_str() else {
            return self.drop("pattern", value, "a text");
        };
        if let Some(pattern) = self.judged(pattern, value) {
            self.json("pattern", scalar::quoted(&pattern));
        }
    }

    /// The pattern as all readers take it; `None` if it is none.
    fn judged(&mut self, pattern: &str, value: Value<'_>) -> Option<String> {
        let at = At { node: value.id(), ..self.at };
        match pattern::judge(pattern) {
            Judgement::Linear(pattern) => Some(pattern),
            // What cannot be checked is not promised.
            Judgement::NotLinear(..) if self.cx.direction == Direction::Response => None,
            Judgement::NotLinear(pattern, why) => {
                let message = format!(
                    "the pattern `{}` is told to clients, and not checked here: {why}",
                    scalar::cut(&pattern, 80)
                );
                self.library.find(Severity::Note, "pattern-not-checked", at, message);
                Some(pattern)
            }
            Judgement::Invalid(why) => {
                let pattern = scalar::cut(pattern, 80);
                let message = format!("the pattern `{pattern}` is left out: {why}");
                self.library.find(Severity::Warning, "pattern-invalid", at, message);
                None
            }
        }
    }

    fn required(&mut self, value: Value<'_>) {
        if value.kind() != Kind::Array {
            return self.drop("required", value, "a list of the names of members");
        }
        let mut names: Vec<&str> = Vec::new();
        let mut known = HashSet::new();
        for element in value.elements() {
            match element.scalar().filter(|_| element.kind() != Kind::Null) {
                Some(name) if self.excluded.contains(name) || !known.insert(name) => {}
                Some(name) => names.push(name),
                None => self.drop("required", element, "a name"),
            }
        }
        if !names.is_empty() {
            self.json("required", scalar::list(&names));
        }
    }

    /// `dependentRequired`, and `dependencies` of older drafts, which is two keywords now.
    fn dependencies(&mut self, value: Value<'d>) {
        let (mut required, mut schemas) = (Vec::new(), Vec::new());
        for (name, value) in value.entries() {
            if value.kind() == Kind::Array {
                let names: Vec<&str> = value.elements().filter_map(Value::as_str).collect();
                required.push(format!("{}:{}", scalar::quoted(name), scalar::list(&names)));
            } else {
                schemas.push((name.into(), self.part("", value)));
            }
        }
        if !required.is_empty() {
            self.json("dependentRequired", format!("{{{}}}", required.join(",")));
        }
        if !schemas.is_empty() {
            self.out.set("dependentSchemas", Member::Map(schemas));
        }
    }

    fn is_nullable(&self) -> bool {
        let value = self.library.value(self.at);
        !self.library.keeps_siblings(self.at)
            && (value.flag("nullable") == Some(true) || value.flag("x-nullable") == Some(true))
    }

    fn finish(&mut self) {
        self.mend_enumeration();
        if self.types.is_file {
            self.json("contentEncoding", "\"base64\"".into());
        }
        if self.types.is_file || self.is_binary() {
            // The bounds of a file are those of its bytes, not of its base64 text.
            for key in ["maxLength", "minLength", "pattern", "format"] {
                self.out.remove(key);
            }
        }
        // What comes back is the server's; what is sent is read strictly.
        let is_sent = self.cx.direction == Direction::Request;
        if !is_sent {
            self.promise_less();
        }
        let is_free = self.out.get("pattern").is_none() && self.out.get("enum").is_none();
        let is_byte = self.library.value(self.at).text("format") == Some("byte");
        if is_sent && is_free && is_byte && self.types.is_text() {
            self.json("pattern", BASE64_PATTERN.into());
        }
        if self.out.json("contentEncoding") == Some("\"base64\"") {
            let text = match self.out.get("description") {
                Some(Member::Text(text)) if text.to_ascii_lowercase().contains("base64") => None,
                Some(Member::Text(text)) => Some(format!("{text}{BASE64_HINT}")),
                _ => Some(BASE64_HINT.trim_start().to_owned()),
            };
            if let Some(text) = text {
                self.out.set("description", Member::Text(text.into()));
            }
        }
        let (mut kept, mut len) = (Vec::new(), 0);
        for example in std::mem::take(&mut self.examples) {
            len += example.len();
            if len <= EXAMPLES_LEN_MAX {
                kept.push(example);
            }
        }
        if !kept.is_empty() {
            self.json("examples", format!("[{}]", kept.join(",")));
        }
        composition::discriminate(self.library, self.at, &mut self.out);
        if self.is_nullable() {
            composition::nullable(&mut self.out);
        }
    }

    /// What clients check in different ways, or not at all, is no part of what an answer promises:
    /// `format` and steps between numbers that have no exact binary form. Strict clients refuse a whole
    /// answer for a time without its zone, or for 19.99 as a multiple of 0.01.
    fn promise_less(&mut self) {
        if let Some(format) = self.out.json("format").map(|it| it.trim_matches('"').to_owned()) {
            self.out.remove("format");
            if self.types.is_text() && self.out.get("description").is_none() {
                self.out.set("description", Member::Text(format.into()));
            }
        }
        let is_whole = |text: &str| text.parse::<u64>().is_ok();
        if self.out.json("multipleOf").is_some_and(|step| !is_whole(step)) {
            self.out.remove("multipleOf");
        }
        let patterns = self.library.value(self.at).get("patternProperties");
        if let Some(Member::Map(kept)) = self.out.get("patternProperties")
            && patterns.is_some_and(|patterns| kept.len() < patterns.len())
        {
            // What a pattern that is left out matches would now be unexpected.
            self.out.remove("additionalProperties");
            self.out.remove("unevaluatedProperties");
        }
    }

    fn is_binary(&self) -> bool {
        let value = self.library.value(self.at);
        self.types.is_text() && value.text("format") == Some("binary")
    }

    /// A keyword of the wrong kind says nothing.
    fn drop(&mut self, key: &'static str, value: Value<'_>, expected: &str) {
        let at = At { node: value.id(), ..self.at };
        let message = format!("`{key}` is left out: it must be {expected}");
        self.library.find(Severity::Warning, "keyword-invalid", at, message);
    }

    /// A keyword whose meaning is clear although it is written wrongly.
    fn changed(&mut self, key: &'static str, value: Value<'_>, how: &str) {
        let at = At { node: value.id(), ..self.at };
        let message = format!("`{key}`: {how}");
        self.library.find(Severity::Note, "keyword-corrected", at, message);
    }
}

/// A schema without keywords is written as `true`, and one that only wraps another is that one.
fn finish(mut keywords: Keywords) -> Schema {
    composition::unwrap_single(&mut keywords);
    if keywords.is_empty() { Schema::Boolean(true) } else { Schema::Keywords(keywords) }
}
