//! What must be there must also be something: an empty text or list, or `null`, is for nearly every
//! server a value that is missing, and in a path it is another path.

use wire::json::{Json, Kind};

use crate::schema::{Direction, Keywords, Library, Member, Schema};

/// Deepest composition that is looked into.
const DEPTH_MAX: u8 = 3;

/// Formats that no empty text has.
const NEVER_EMPTY: [&str; 11] = [
    "date",
    "date-time",
    "duration",
    "email",
    "hostname",
    "ipv4",
    "ipv6",
    "time",
    "uri",
    "url",
    "uuid",
];

/// Takes the empty values out of a schema.
pub(super) fn demand(library: &mut Library<'_>, schema: &mut Schema) {
    let mut keywords = match &*schema {
        // What is not known may be anything.
        Schema::Missing { .. } | Schema::Boolean(false) => return,
        Schema::Boolean(true) => Keywords::default(),
        Schema::Keywords(keywords) => keywords.clone(),
    };
    drop_null(&mut keywords);
    let has_type = |keywords: &Keywords, name: &str| {
        keywords.json("type").is_some_and(|types| types.contains(&format!("\"{name}\"")))
    };
    let said = said(library, &keywords);
    let is_text = allows_text(library, &keywords, 0);
    if is_text && lacks(&said, "minLength") && !is_never_empty(&said) {
        keywords.set("minLength", one());
    }
    if has_type(&said, "array") && lacks(&said, "minItems") {
        keywords.set("minItems", one());
    }
    if has_type(&said, "object") && lacks(&said, "minProperties") && lacks(&said, "required") {
        keywords.set("minProperties", one());
    }
    if let Some(Member::One(items)) = keywords.get("items")
        && let Schema::Keywords(inner) = items
        && has_type(inner, "string")
    {
        let mut items = items.clone();
        demand(library, &mut items);
        keywords.set("items", Member::One(items));
    }
    *schema = Schema::Keywords(keywords);
}

/// Takes `null` and the empty list out of a schema.
pub(super) fn demand_elements(library: &mut Library<'_>, schema: &mut Schema) {
    let Schema::Keywords(keywords) = schema else { return };
    drop_null(keywords);
    let said = said(library, keywords);
    let is_list = said.json("type").is_some_and(|types| types.contains("\"array\""));
    if is_list && lacks(&said, "minItems") {
        keywords.set("minItems", one());
    }
}

/// Takes `null` out of the schema of a body that is JSON.
pub(super) fn demand_json(schema: &mut Schema) {
    let mut keywords = match &*schema {
        Schema::Boolean(true) => Keywords::default(),
        Schema::Keywords(keywords) => keywords.clone(),
        Schema::Missing { .. } | Schema::Boolean(false) => return,
    };
    drop_null(&mut keywords);
    let is_open = keywords.reference.is_none()
        && keywords
            .members
            .iter()
            .all(|(key, _)| ["title", "description", "examples"].contains(key));
    if is_open {
        let types = r#"["object","array","string","number","boolean"]"#;
        keywords.members.insert(0, ("type", Member::Json(types.into())));
    }
    *schema = Schema::Keywords(keywords);
}

fn one() -> Member {
    Member::Json("1".into())
}

/// Whether a keyword is not there, or says nothing.
fn lacks(keywords: &Keywords, key: &str) -> bool {
    keywords.json(key).is_none_or(|text| matches!(text, "0" | "[]"))
}

/// The keywords with those of the schema that they refer to.
fn said(library: &mut Library<'_>, keywords: &Keywords) -> Keywords {
    let mut said = keywords.clone();
    if let Some(reference) = &keywords.reference
        && let Schema::Keywords(target) = &*library.target(reference.at, Direction::Request)
    {
        for (key, member) in &target.members {
            if said.get(key).is_none() {
                said.members.push((key, member.clone()));
            }
        }
    }
    said
}

fn is_never_empty(keywords: &Keywords) -> bool {
    if let Some(values) = keywords.json("enum").or_else(|| keywords.json("const")) {
        return !values.contains("\"\"");
    }
    let format = keywords.json("format").map(|text| text.trim_matches('"'));
    format.is_some_and(|format| NEVER_EMPTY.contains(&format))
}

/// Whether a text fits the type, or one of the alternatives where no type is said.
fn allows_text(library: &mut Library<'_>, keywords: &Keywords, depth: u8) -> bool {
    let said = said(library, keywords);
    if let Some(types) = said.json("type") {
        return types.contains("\"string\"");
    }
    let alternatives = ["anyOf", "oneOf", "allOf"].into_iter().find_map(|key| said.get(key));
    match alternatives {
        Some(Member::Many(alternatives)) if depth < DEPTH_MAX => {
            alternatives.iter().any(|one| match one {
                Schema::Keywords(one) => {
                    allows_text(library, one, depth + 1) && !is_never_empty(one)
                }
                Schema::Boolean(is_open) => *is_open,
                Schema::Missing { .. } => true,
            })
        }
        _ => true,
    }
}

/// Takes `null` out of types, values and alternatives.
fn drop_null(keywords: &mut Keywords) {
    let Keywords { members, .. } = keywords;
    for (key, member) in members {
        match member {
            Member::Json(text) if *key == "type" || *key == "enum" => {
                let list = Json::trusted(text.to_string());
                let Some(elements) = list.elements() else { continue };
                let is_null = |it: &Json| it.kind() == Kind::Null || it.as_str() == "\"null\"";
                let kept: Vec<&str> =
                    elements.iter().filter(|it| !is_null(it)).map(Json::as_str).collect();
                match kept.as_slice() {
                    // Nothing else is possible.
                    [] => {}
                    [one] if *key == "type" => *text = (*one).into(),
                    several if several.len() < elements.len() => {
                        *text = format!("[{}]", several.join(",")).into();
                    }
                    _ => {}
                }
            }
            Member::Many(alternatives) if *key == "anyOf" || *key == "oneOf" => {
                let is_null = |one: &Schema| match one {
                    Schema::Keywords(one) => one.json("type") == Some("\"null\""),
                    _ => false,
                };
                if !alternatives.iter().all(is_null) {
                    alternatives.retain(|one| !is_null(one));
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::tool::tests::one;

    /// The schema of one parameter.
    fn parameter(version: &str, path: &str, parameter: &str) -> Value {
        let text = format!(
            "openapi: {version}\ninfo: {{title: t, version: '1'}}\npaths:\n  {path}:\n    get:\n      \
             responses: {{'200': {{description: ok}}}}\n      parameters: [{parameter}]\n\
             components: {{schemas: {{Id: {{type: string}}, Num: {{type: integer}}}}}}\n"
        );
        let mut tool = one(&text);
        tool["inputSchema"]["properties"]["a"].take()
    }

    #[test]
    fn paths_and_required_parameters_are_not_empty() {
        let path = |schema: &str| {
            parameter(
                "3.1.0",
                "'/x/{a}'",
                &format!("{{name: a, in: path, required: true, {schema}}}"),
            )
        };
        for (written, schema) in [
            ("schema: {type: string}", json!({"type": "string", "minLength": 1})),
            ("schema: {type: string, minLength: 3}", json!({"type": "string", "minLength": 3})),
            ("schema: {type: string, format: uuid}", json!({"type": "string", "format": "uuid"})),
            ("schema: {type: string, enum: [b]}", json!({"type": "string", "enum": ["b"]})),
            ("schema: {type: [string, 'null']}", json!({"type": "string", "minLength": 1})),
            ("schema: {type: integer}", json!({"type": "integer"})),
            ("schema: {}", json!({"minLength": 1})),
            (
                "schema: {type: array, items: {type: string}}",
                json!({"type": "array", "items": {"type": "string", "minLength": 1}, "minItems": 1}),
            ),
            (
                "schema: {anyOf: [{type: string}, {type: integer}, {type: 'null'}]}",
                json!({"anyOf": [{"type": "string"}, {"type": "integer"}], "minLength": 1}),
            ),
            ("style: matrix, schema: {type: string}", json!({"type": "string"})),
        ] {
            assert_eq!(path(written), schema, "{written}");
        }
        assert_eq!(path("schema: {$ref: '#/components/schemas/Id'}")["minLength"], 1);
        let number = path("schema: {$ref: '#/components/schemas/Num'}");
        assert!(number.get("minLength").is_none());
    }

    #[test]
    fn optional_and_empty_values_stay() {
        let query = |more: &str| {
            parameter(
                "3.0.3",
                "/x",
                &format!("{{name: a, in: query, schema: {{type: string}}{more}}}"),
            )
        };
        assert_eq!(query(""), json!({"type": "string"}));
        assert_eq!(query(", required: true"), json!({"type": "string", "minLength": 1}));
        let empty = query(", required: true, allowEmptyValue: true");
        assert_eq!(empty, json!({"type": "string"}));
    }

    #[test]
    fn lists_that_a_form_must_have_are_not_empty() {
        let text = "openapi: 3.0.3\ninfo: {title: t, version: '1'}\npaths: {/x: {post: {\
                    responses: {'200': {description: ok}}, requestBody: {content: {multipart/form-data: \
                    {schema: {type: object, required: [a, f], properties: {a: {type: array, items: {}}, \
                    b: {type: array, items: {}}, f: {type: array, items: {type: string, format: binary}}}}}}}}}}\n";
        let tool = one(text);
        let properties = &tool["inputSchema"]["properties"];
        assert_eq!(
            (&properties["a"]["minItems"], &properties["f"]["minItems"]),
            (&json!(1), &json!(1))
        );
        assert!(properties["b"].get("minItems").is_none());
    }

    #[test]
    fn required_bodies_are_not_empty() {
        let body = |media_type: &str, schema: &str, is_required: bool| {
            let text = format!(
                "openapi: 3.0.3\ninfo: {{title: t, version: '1'}}\npaths: {{/x: {{post: {{\
                 responses: {{'200': {{description: ok}}}}, requestBody: {{required: {is_required}, \
                 content: {{'{media_type}': {{schema: {schema}}}}}}}}}}}}}\n"
            );
            one(&text)["inputSchema"]["properties"]["body"].take()
        };
        assert_eq!(body("text/plain", "{type: string}", true)["minLength"], 1);
        assert!(body("text/plain", "{type: string}", false).get("minLength").is_none());
        let form = "application/x-www-form-urlencoded";
        assert_eq!(body(form, "{type: object}", true)["minProperties"], 1);
        let any = json!(["object", "array", "string", "number", "boolean"]);
        assert_eq!(body("application/json", "{}", true)["type"], any);
        assert_eq!(body("application/json", "{}", false), json!({}));
    }
}
