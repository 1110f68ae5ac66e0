//! The JSON Schema of the configuration, for editors.

use crate::model::Config;

/// The schema of a configuration file, JSON Schema 2020-12.
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(Config).to_value()
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, path::Path};

    use super::*;

    /// The schema knows exactly the keys that reading knows, in every mapping.
    #[test]
    fn the_schema_and_the_reader_know_the_same_keys() {
        let schema = schema();
        for (text, types) in [
            ("zzzzzzzz: 1", &[""][..]),
            ("listen: { zzzzzzzz: 1 }", &["Listen"]),
            ("listen: { tls: { zzzzzzzz: 1 } }", &["ListenTls"]),
            ("admin: { zzzzzzzz: 1 }", &["Admin"]),
            ("limits: { zzzzzzzz: 1 }", &["Limits"]),
            ("log: { zzzzzzzz: 1 }", &["Log"]),
            ("servers: { a: { command: x, zzzzzzzz: 1 } }", &["Server", "Stdio", "Remote"]),
            ("servers: { a: { command: x, restart: { zzzzzzzz: 1 } } }", &["Restart"]),
            ("servers: { a: { url: 'http://localhost', tls: { zzzzzzzz: 1 } } }", &["Tls"]),
            ("endpoints: { /a: { zzzzzzzz: 1 } }", &["Endpoint"]),
            ("endpoints: { /a: { servers: [{ a: { zzzzzzzz: 1 } }] } }", &["Filter"]),
        ] {
            let documented: BTreeSet<String> =
                types.iter().flat_map(|name| properties(&schema, name)).collect();
            assert_eq!(read_keys(text), documented, "{text}");
        }
    }

    fn properties(schema: &serde_json::Value, name: &str) -> Vec<String> {
        let object = if name.is_empty() { schema } else { &schema["$defs"][name] };
        let properties = object["properties"].as_object();
        properties.expect("a mapping").keys().cloned().collect()
    }

    /// The keys that the hint about an unknown key lists.
    fn read_keys(text: &str) -> BTreeSet<String> {
        let loaded = crate::read(text, Path::new("test.yaml"));
        let mut hints = loaded.diagnostics.iter().filter_map(|found| found.hint.as_deref());
        let keys = hints.find_map(|hint| hint.strip_prefix("known keys: "));
        keys.expect("an unknown key").split(", ").map(str::to_owned).collect()
    }

    #[test]
    fn defaults_in_the_schema_are_the_defaults() {
        let schema = schema();
        let limits = &schema["$defs"]["Limits"]["properties"];
        assert_eq!(limits["body_bytes"]["default"], "4MiB");
        assert_eq!(limits["json_depth"]["default"], 64);
        let server = &schema["$defs"]["Server"]["properties"];
        assert_eq!(server["timeout"]["default"], "1m");
        assert_eq!(server["queue"]["default"], 256);
        assert_eq!(server["era"]["default"], "auto");
        // The data directory depends on who asks; a schema is the same for everybody.
        assert!(!schema.to_string().contains("/home"));
    }
}
