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
            (
                "servers: { a: { command: x, zzzzzzzz: 1 } }",
                &["Server", "Stdio", "Remote", "Api", "Composite"],
            ),
            ("servers: { a: { command: x, restart: { zzzzzzzz: 1 } } }", &["Restart"]),
            ("servers: { a: { url: 'http://localhost', tls: { zzzzzzzz: 1 } } }", &["Tls"]),
            ("servers: { a: { openapi: x, credentials: { zzzzzzzz: 1 } } }", &["ApiCredentials"]),
            ("servers: { a: { openapi: x, tools: { zzzzzzzz: 1 } } }", &["ApiTools"]),
            (
                "servers: { a: { openapi: x, tools: { exclude: [{ zzzzzzzz: 1 }] } } }",
                &["OperationSelector"],
            ),
            (
                "servers: { a: { openapi: x, tools: { override: { b: { zzzzzzzz: 1 } } } } }",
                &["ToolOverride"],
            ),
            (
                "servers: { a: { url: 'http://x', tools: { define: { b: { path: /, zzzzzzzz: 1 } } } } }",
                &["DefinedTool"],
            ),
            (
                "servers: { a: { url: 'http://x', tools: { define: { b: { path: /, arguments: { c: { zzzzzzzz: 1 } } } } } } }",
                &["DefinedArgument"],
            ),
            ("servers: { a: { compose: { b: { zzzzzzzz: 1 } } } }", &["CompositeTool"]),
            (
                "servers: { a: { compose: { b: { arguments: { c: { zzzzzzzz: 1 } } } } } }",
                &["CompositeArgument"],
            ),
            ("servers: { a: { compose: { b: { steps: [{ zzzzzzzz: 1 }] } } } }", &["Step"]),
            (
                "servers: { a: { openapi: x, tools: { override: { b: { annotations: { zzzzzzzz: 1 } } } } } }",
                &["HintOverrides"],
            ),
            (
                "servers: { a: { openapi: x, tools: { override: { b: { arguments: { c: { zzzzzzzz: 1 } } } } } } }",
                &["ArgumentOverride"],
            ),
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

    /// The rows of the tables below a heading of the documentation, cell by cell.
    fn documented(heading: &str) -> Vec<Vec<String>> {
        let page = include_str!("../../../docs/configuration.md");
        let (_, section) = page.split_once(&format!("\n## {heading}\n")).expect("a section");
        let section = section.split("\n## ").next().unwrap_or_default();
        let rows = section.lines().filter(|line| line.starts_with("| `"));
        let cells = |row: &str| row.trim_matches('|').split(" | ").map(plain).collect();
        rows.map(cells).collect()
    }

    /// A cell without the marks around names, and numbers as programs write them.
    fn plain(cell: &str) -> String {
        cell.trim().trim_matches('`').replace('`', "")
    }

    /// 10000 as 10,000.
    fn grouped(number: &str) -> String {
        if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return number.to_owned();
        }
        let digits = number.as_bytes().rchunks(3).rev();
        let groups: Vec<_> = digits.map(|group| String::from_utf8_lossy(group)).collect();
        groups.join(",")
    }

    /// A row without what people need and programs do not: the unit of a few bytes, and where to
    /// read more.
    fn undecorated(mut row: Vec<String>) -> Vec<String> {
        row[2] = row[2].replace("0B/s", "0/s");
        for small in ["0B", "64B", "256B"] {
            row[2] = row[2]
                .replace(&format!("{small} to"), &format!("{} to", &small[..small.len() - 1]));
        }
        if let Some((meaning, _)) = row[3].split_once(": [") {
            row[3] = format!("{meaning}.");
        }
        row
    }

    #[test]
    fn the_table_of_limits_is_the_limits() {
        let schema = schema();
        let properties = &schema["$defs"]["Limits"]["properties"];
        let limits = crate::model::documented_limits().into_iter().map(|[name, default, range]| {
            let (low, high) = range.split_once(" to ").expect("two ends");
            let range = format!("{} to {}", grouped(low), grouped(high));
            let meaning = properties[&name]["description"].as_str().expect("a meaning");
            let meaning = plain(&meaning.replace('\n', " "));
            vec![name, grouped(&default), range, meaning]
        });
        let table: Vec<_> = documented("limits").into_iter().map(undecorated).collect();
        assert_eq!(table, limits.collect::<Vec<_>>());
    }

    #[test]
    fn the_tables_of_servers_have_every_key_and_its_words() {
        let schema = schema();
        let keys: BTreeSet<String> = ["Server", "Stdio", "Remote", "Api", "Composite"]
            .iter()
            .flat_map(|name| properties(&schema, name))
            .collect();
        let table = documented("servers");
        let documented: BTreeSet<String> = table.iter().map(|row| row[0].clone()).collect();
        assert_eq!(documented, keys);
        for (key, name) in [
            ("era", "Era"),
            ("session", "Session"),
            ("questions", "Questions"),
            ("secret_forms", "SecretForms"),
            ("start", "Start"),
            ("output", "Output"),
            ("balance", "Balance"),
        ] {
            let words = schema["$defs"][name]["oneOf"].as_array().expect("words");
            let words: Vec<_> = words.iter().filter_map(|word| word["const"].as_str()).collect();
            let row = table.iter().find(|row| row[0] == key).expect("it is in a table");
            assert_eq!((row[1].as_str(), row[2].clone()), (words[0], words.join(", ")), "{key}");
        }
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
