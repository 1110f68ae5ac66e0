//! Where schemas stand in a JSON Schema: its keywords, of 2020-12 and before.

/// Keywords whose value is a schema, or an array of schemas.
pub(crate) const SCHEMAS: &[&str] = &[
    "additionalItems",
    "additionalProperties",
    "allOf",
    "anyOf",
    "contains",
    "contentSchema",
    "else",
    "if",
    "items",
    "not",
    "oneOf",
    "prefixItems",
    "propertyNames",
    "then",
    "unevaluatedItems",
    "unevaluatedProperties",
];

/// Keywords whose value maps names of any kind to schemas, beside `properties`.
pub(crate) const SCHEMA_MAPS: &[&str] =
    &["$defs", "definitions", "dependencies", "dependentSchemas", "patternProperties"];

/// The keyword whose value maps the names of members to their schemas.
pub(crate) const PROPERTIES: &str = "properties";

/// Deepest nesting of schemas that is looked at. Texts from the wire nest no deeper.
pub(crate) const DEPTH_MAX: usize = 64;
