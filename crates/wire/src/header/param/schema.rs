//! Finds the annotations in an input schema and checks each against the rules.

use super::{HashSet, HeaderParam, Json, Kind, Object, ParamKind, Violation};
use crate::json::schema::{DEPTH_MAX, PROPERTIES, SCHEMA_MAPS, SCHEMAS};

const ANNOTATION: &str = "x-mcp-header";

/// The arguments that a tool's input schema mirrors into headers, in the order of the schema.
///
/// An annotation counts where a chain of `properties` leads to it. Anywhere else a schema may stand
/// (items, composition, conditions, definitions) it is a violation, as are wrong names and types.
pub fn params_of_schema(input_schema: &Object) -> Result<Vec<HeaderParam>, Violation> {
    let mut search = Search { params: Vec::new(), headers: HashSet::new(), path: Vec::new() };
    search.schema(input_schema, &mut Pointer::default(), Place::Chain)?;
    Ok(search.params)
}

/// Whether an annotation may stand here.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Reached from the root through `properties` only.
    Chain,
    /// Any other schema.
    Elsewhere,
}

/// Where the search stands, as a JSON pointer.
#[derive(Default)]
struct Pointer(String);

impl Pointer {
    /// Does something one step further down.
    fn below<T>(&mut self, step: &str, act: impl FnOnce(&mut Self) -> T) -> T {
        let length = self.0.len();
        self.0.push('/');
        self.0.push_str(&step.replace('~', "~0").replace('/', "~1"));
        let outcome = act(self);
        self.0.truncate(length);
        outcome
    }

    fn violation<T>(&self, rule: &'static str) -> Result<T, Violation> {
        Err(Violation { pointer: self.0.clone(), rule })
    }
}

struct Search {
    params: Vec<HeaderParam>,
    /// The headers found so far, in lower case.
    headers: HashSet<String>,
    /// The properties that lead to the schema at hand.
    path: Vec<String>,
}

impl Search {
    fn schema(&mut self, schema: &Object, at: &mut Pointer, place: Place) -> Result<(), Violation> {
        if at.0.bytes().filter(|&byte| byte == b'/').count() > 2 * DEPTH_MAX {
            return at.violation("the schema is nested too deep to be checked");
        }
        if let Some(annotation) = schema.get(ANNOTATION) {
            let param = self.param(schema, &annotation, at, place)?;
            self.params.push(param);
        }
        for (keyword, value) in schema.members() {
            at.below(&keyword, |at| match &*keyword {
                PROPERTIES => self.map(&value, at, place),
                keyword if SCHEMA_MAPS.contains(&keyword) => self.map(&value, at, Place::Elsewhere),
                keyword if SCHEMAS.contains(&keyword) => self.one_or_many(&value, at),
                _ => Ok(()),
            })?;
        }
        Ok(())
    }

    fn map(&mut self, value: &Json, at: &mut Pointer, place: Place) -> Result<(), Violation> {
        let Some(map) = value.object() else { return Ok(()) };
        for (name, value) in map.members() {
            let Some(schema) = value.object() else { continue };
            self.path.push(name.clone().into_owned());
            at.below(&name, |at| self.schema(&schema, at, place))?;
            self.path.pop();
        }
        Ok(())
    }

    fn one_or_many(&mut self, value: &Json, at: &mut Pointer) -> Result<(), Violation> {
        if let Some(schema) = value.object() {
            return self.schema(&schema, at, Place::Elsewhere);
        }
        for (index, element) in value.elements().unwrap_or_default().iter().enumerate() {
            let Some(schema) = element.object() else { continue };
            at.below(&index.to_string(), |at| self.schema(&schema, at, Place::Elsewhere))?;
        }
        Ok(())
    }

    fn param(
        &mut self,
        schema: &Object,
        annotation: &Json,
        at: &Pointer,
        place: Place,
    ) -> Result<HeaderParam, Violation> {
        if place == Place::Elsewhere || self.path.is_empty() {
            return at.violation("it must be reached from the root through `properties` alone");
        }
        let Some(header) = annotation.text().filter(|_| annotation.kind() == Kind::String) else {
            return at.violation("it must be a string");
        };
        if header.is_empty() || !header.bytes().all(is_token) {
            return at.violation("it must be a header name: letters, digits and !#$%&'*+-.^_`|~");
        }
        let kind = match schema.text("type").as_deref() {
            Some("string") => ParamKind::String,
            Some("integer") => ParamKind::Integer,
            Some("boolean") => ParamKind::Boolean,
            _ => return at.violation("its `type` must be `string`, `integer` or `boolean`"),
        };
        if !self.headers.insert(header.to_ascii_lowercase()) {
            return at.violation("another argument has the same header");
        }
        Ok(HeaderParam { header: header.into_owned(), path: self.path.clone(), kind })
    }
}

/// `tchar` of RFC 9110.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}
