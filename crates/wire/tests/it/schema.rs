//! The tables of methods and error codes against the official JSON schemas.
//!
//! `PORTCULLIS_SCHEMAS` names a folder with `VERSION/schema.json`; `cargo xtask test` sets it.

use std::collections::BTreeSet;

use portcullis_wire::method::{NOTIFICATIONS, SERVER_REQUESTS};
use portcullis_wire::{Method, Version, code, method};
use serde_json::Value;

/// Requests that an extension of 2026-07-28 defines, outside of that version's schema.
const EXTENSION_REQUESTS: &[&str] =
    &[method::name::TASKS_GET, method::name::TASKS_CANCEL, method::name::TASKS_UPDATE];
/// Notifications likewise.
const EXTENSION_NOTIFICATIONS: &[&str] = &[method::name::TASK_NOTIFICATION];

/// The schemas by version; empty without the folder.
pub(crate) fn schemas() -> Vec<(Version, Value)> {
    let Some(folder) = std::env::var_os("PORTCULLIS_SCHEMAS") else {
        eprintln!("SKIPPED: schema checks: PORTCULLIS_SCHEMAS is not set; use `cargo xtask test`");
        return Vec::new();
    };
    let mut found = Vec::new();
    for version in Version::ALL {
        let file = std::path::Path::new(&folder).join(version.as_str()).join("schema.json");
        match std::fs::read_to_string(&file) {
            Ok(text) => found.push((version, serde_json::from_str(&text).unwrap())),
            Err(error) => eprintln!("SKIPPED: schema checks of {version}: {error}"),
        }
    }
    assert!(found.len() >= 4, "PORTCULLIS_SCHEMAS has {} schemas only", found.len());
    found
}

pub(crate) fn definitions(schema: &Value) -> &serde_json::Map<String, Value> {
    ["$defs", "definitions"].iter().find_map(|key| schema[key].as_object()).unwrap()
}

/// The methods of a union such as `ClientRequest`; empty if the version has none.
fn union<'a>(schema: &'a Value, name: &str) -> BTreeSet<&'a str> {
    let definitions = definitions(schema);
    let Some(union) = definitions.get(name) else { return BTreeSet::new() };
    let members = match union["anyOf"].as_array() {
        Some(members) => members.iter().collect(),
        None => vec![union],
    };
    members
        .into_iter()
        .map(|member| match member["$ref"].as_str() {
            Some(path) => &definitions[path.rsplit('/').next().unwrap()],
            None => member,
        })
        .map(|definition| definition["properties"]["method"]["const"].as_str().unwrap())
        .collect()
}

fn in_version<'a>(table: &[(&'a str, Version, Version)], version: Version) -> BTreeSet<&'a str> {
    table.iter().filter(|row| (row.1..=row.2).contains(&version)).map(|row| row.0).collect()
}

#[test]
fn methods_exist_in_exactly_the_versions_of_the_schemas() {
    let all = |schemas: &[(Version, Value)]| -> BTreeSet<String> {
        let names = schemas.iter().flat_map(|(_, schema)| union(schema, "ClientRequest"));
        names.chain(EXTENSION_REQUESTS.iter().copied()).map(str::to_owned).collect()
    };
    let schemas = schemas();
    for (version, schema) in &schemas {
        let official = union(schema, "ClientRequest");
        for name in all(&schemas) {
            let is_extension =
                *version == Version::V2026_07_28 && EXTENSION_REQUESTS.contains(&&*name);
            let method = Method::parse(&name);
            assert_ne!(method, Method::Other, "{name}");
            assert_eq!(method.name(), Some(&*name));
            let expected = official.contains(&*name) || is_extension;
            assert_eq!(method.exists_in(*version), expected, "{name} in {version}");
        }
        let official = union(schema, "ServerRequest");
        assert_eq!(in_version(SERVER_REQUESTS, *version), official, "requests in {version}");
    }
}

#[test]
fn notifications_exist_in_exactly_the_versions_of_the_schemas() {
    for (version, schema) in schemas() {
        let mut official = union(&schema, "ClientNotification");
        official.extend(union(&schema, "ServerNotification"));
        if version == Version::V2026_07_28 {
            official.extend(EXTENSION_NOTIFICATIONS);
        }
        assert_eq!(in_version(NOTIFICATIONS, version), official, "{version}");
    }
}

#[test]
fn error_codes_of_the_schemas_are_known() {
    const KNOWN: &[i64] = &[
        code::PARSE_ERROR,
        code::INVALID_REQUEST,
        code::METHOD_NOT_FOUND,
        code::INVALID_PARAMS,
        code::INTERNAL_ERROR,
        code::URL_ELICITATION_REQUIRED,
        code::HEADER_MISMATCH,
        code::MISSING_CLIENT_CAPABILITY,
        code::UNSUPPORTED_VERSION,
    ];
    fn codes(value: &Value, found: &mut BTreeSet<i64>) {
        match value {
            Value::Object(members) => {
                found.extend(members.get("const").and_then(Value::as_i64).filter(|code| *code < 0));
                members.values().for_each(|member| codes(member, found));
            }
            Value::Array(members) => members.iter().for_each(|member| codes(member, found)),
            _ => {}
        }
    }
    for (version, schema) in schemas() {
        let mut found = BTreeSet::new();
        codes(&schema, &mut found);
        let unknown: Vec<_> = found.iter().filter(|code| !KNOWN.contains(code)).collect();
        assert!(unknown.is_empty(), "{version} defines {unknown:?}");
        if version == Version::V2026_07_28 {
            assert!(found.contains(&code::HEADER_MISMATCH), "the search finds nothing");
        }
    }
}
