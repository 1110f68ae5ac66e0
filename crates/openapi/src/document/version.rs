//! Which version of the specification a document is written in.

use super::LoadError;
use crate::model::Dialect;
use crate::report::{Finding, Place, Report, Severity};
use crate::tree::{Kind, Tree, Value};

/// The version of the first document; without one nobody can say what the rest means.
pub(super) fn of_root(tree: &Tree, name: &str, report: &mut Report) -> Result<Dialect, LoadError> {
    let root = tree.root();
    let place = |value: Value<'_>| {
        let (line, column) = value.position();
        let document = value.origin().unwrap_or(name).to_owned();
        Place { document, line, column }
    };
    if root.kind() != Kind::Object {
        let message = match root.kind() {
            Kind::Null => "the document is empty".to_owned(),
            Kind::Array => "an OpenAPI document is an object, and this is a list".to_owned(),
            _ if root.scalar().is_some_and(|text| text.trim_start().starts_with('<')) => {
                "this is HTML or XML, and no OpenAPI document: it may be a page about the API, or one \
                 that asks for a login"
                    .to_owned()
            }
            _ => "an OpenAPI document is an object, and this is a single value".to_owned(),
        };
        return Err(LoadError { kind: "no-object", message, place: place(root) });
    }
    let Some((keyword, value)) = stated(root) else {
        let odd = ["openapi", "swagger"].iter().find_map(|key| Some((key, root.get(key)?)));
        if let Some((keyword, value)) = odd {
            let message = format!("`{keyword}` should be a version, such as `3.1.0`");
            return Err(LoadError { kind: "version", message, place: place(value) });
        }
        let message =
            format!("no `openapi` or `swagger` says which version this is; {}", kin(root));
        return Err(LoadError { kind: "version", message, place: place(root) });
    };
    let text = value.scalar().unwrap_or_default().trim();
    let Some((dialect, is_exact)) = dialect(text) else {
        let message = format!(
            "`{keyword}: {text}` is no version that can be read; 2.0, 3.0, 3.1 and 3.2 can",
        );
        return Err(LoadError { kind: "version", message, place: place(value) });
    };
    let is_fitting = (keyword == "swagger") == (dialect == Dialect::Swagger20);
    if !is_exact || !is_fitting {
        report.add(Finding {
            severity: Severity::Warning,
            kind: "odd-version",
            operation: None,
            message: format!("`{keyword}: {text}` is read as {}", name_of(dialect)),
            place: place(value),
        });
    }
    Ok(dialect)
}

/// The version that another document states, if it does.
pub(super) fn of_other(tree: &Tree) -> Option<Dialect> {
    let (_, value) = stated(tree.root())?;
    dialect(value.scalar()?.trim()).map(|(dialect, _)| dialect)
}

fn stated(root: Value<'_>) -> Option<(&'static str, Value<'_>)> {
    ["openapi", "swagger", "swaggerVersion"].into_iter().find_map(|keyword| {
        let value = root.get(keyword)?;
        value.scalar().filter(|_| value.kind() != Kind::Null)?;
        Some((keyword, value))
    })
}

/// The dialect, and whether the text is exactly one of its versions.
fn dialect(text: &str) -> Option<(Dialect, bool)> {
    let text = text.strip_prefix(['v', 'V']).unwrap_or(text);
    let release = text.split(['-', '+']).next().unwrap_or_default();
    let mut parts = release.split('.');
    let major: u32 = parts.next()?.trim().parse().ok()?;
    let minor = parts.next().map(|minor| minor.trim().parse::<u32>());
    let is_number = parts.all(|part| part.parse::<u32>().is_ok());
    match (major, minor) {
        (2, minor) => Some((Dialect::Swagger20, is_number && matches!(minor, None | Some(Ok(0))))),
        (3, Some(Ok(0))) => Some((Dialect::OpenApi30, is_number)),
        (3, Some(Ok(1))) => Some((Dialect::OpenApi31, is_number)),
        (3, Some(Ok(2))) => Some((Dialect::OpenApi32, is_number)),
        (3, Some(Ok(_))) => Some((Dialect::OpenApi32, false)),
        (3, _) => Some((Dialect::OpenApi30, false)),
        _ => None,
    }
}

fn name_of(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Swagger20 => "Swagger 2.0",
        Dialect::OpenApi30 => "OpenAPI 3.0",
        Dialect::OpenApi31 => "OpenAPI 3.1",
        Dialect::OpenApi32 => "OpenAPI 3.2",
    }
}

/// What a document without a version is instead, as far as its members tell.
fn kin(root: Value<'_>) -> String {
    let has = |key: &str| root.get(key).is_some();
    if has("asyncapi") {
        return "this is an AsyncAPI document".to_owned();
    }
    if has("overlay") && has("actions") {
        return "this is an overlay: name it with the document that it changes".to_owned();
    }
    if has("info") && has("item") {
        return "this is a Postman collection".to_owned();
    }
    if has("$schema") {
        return "this is a JSON Schema".to_owned();
    }
    let keys: Vec<_> = root.entries().take(5).map(|(key, _)| key).collect();
    if keys.is_empty() {
        return "the document is an empty object".to_owned();
    }
    let keys: String = keys.join(", ").chars().take(100).collect();
    format!("it has: {keys}")
}
