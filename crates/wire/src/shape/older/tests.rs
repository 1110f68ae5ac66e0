//! Results and definitions for older clients, without the official schemas.

use super::*;
use crate::json::Limits;
use crate::shape::text_block;
use Version::{V2024_11_05, V2025_03_26, V2025_06_18, V2025_11_25};

fn object(text: &str) -> Object {
    Json::parse(text.to_owned().into(), &Limits::SERVER).expect(text).object().expect(text)
}

/// The converted text, or what it was if nothing had to change.
fn called(text: &str, version: Version, output: Output) -> String {
    let converted = result(Method::ToolsCall, &object(text), version, output);
    converted
        .map_or_else(|| text.to_owned(), |converted| converted.to_json(&[]).as_str().to_owned())
}

fn defined(method: Method, text: &str, version: Version) -> String {
    let converted = definition(method, &object(text), version);
    converted
        .map_or_else(|| text.to_owned(), |converted| converted.to_json(&[]).as_str().to_owned())
}

fn wrapped(schema: &str) -> String {
    output::wrapped(&object(schema)).as_str().to_owned()
}

#[test]
fn content_that_a_version_lacks_is_told_in_words() {
    let audio = r#"{"content":[{"type":"text","text":"a"},{"type":"audio","data":"AAAAAA==","mimeType":"audio/wav"}]}"#;
    assert_eq!(called(audio, V2025_03_26, Output::Unknown), audio);
    assert_eq!(
        called(audio, V2024_11_05, Output::Unknown),
        r#"{"content":[{"type":"text","text":"a"},{"type":"text","text":"[audio: audio/wav, 4 bytes]"}]}"#
    );
    let link = r#"{"content":[{"type":"resource_link","name":"n","uri":"file:///a","description":"d","icons":[],"annotations":{"priority":1,"lastModified":"x"}}]}"#;
    assert_eq!(called(link, V2025_11_25, Output::Unknown), link);
    assert_eq!(called(link, V2025_06_18, Output::Unknown), link.replace(r#","icons":[]"#, ""));
    assert_eq!(
        called(link, V2025_03_26, Output::Unknown),
        r#"{"content":[{"type":"text","text":"[resource: n] file:///a\nd","annotations":{"priority":1}}]}"#
    );
    let unknown = r#"{"content":[{"type":"video"},{},1,{"type":"text","text":""}]}"#;
    assert_eq!(
        called(unknown, V2025_11_25, Output::Unknown),
        r#"{"content":[{"type":"text","text":"[content of the kind `video`]"},{"type":"text","text":"[content of an unknown kind]"},{"type":"text","text":"[content of an unknown kind]"},{"type":"text","text":""}]}"#
    );
}

#[test]
fn prompts_have_content_as_well() {
    let prompt = object(
        r#"{"messages":[{"role":"user","content":{"type":"text","text":"a"}},{"role":"user","content":{"type":"audio","data":"AAAA","mimeType":"audio/wav"}}]}"#,
    );
    assert!(result(Method::PromptsGet, &prompt, V2025_03_26, Output::Unknown).is_none());
    assert_eq!(
        result(Method::PromptsGet, &prompt, V2024_11_05, Output::Unknown)
            .unwrap()
            .to_json(&[])
            .as_str(),
        r#"{"messages":[{"role":"user","content":{"type":"text","text":"a"}},{"role":"user","content":{"type":"text","text":"[audio: audio/wav, 3 bytes]"}}]}"#
    );
}

#[test]
fn structured_values_are_wrapped_where_objects_are_demanded() {
    let of = |content: &str, value: &str| {
        format!(r#"{{"content":[{content}],"structuredContent":{value}}}"#)
    };
    let text = r#"{"type":"text","text":"one"}"#;
    let fallback = r#"{"type":"text","text":"[1, null]"}"#;
    for version in [V2025_06_18, V2025_11_25] {
        for output in [Output::Unknown, Output::Object, Output::Wrapped] {
            let wrapped = of(text, r#"{"result":[1, null]}"#);
            assert_eq!(called(&of(text, "[1, null]"), version, output), wrapped);
            let wrapped = of(fallback, r#"{"result":[1, null]}"#);
            assert_eq!(called(&of("", "[1, null]"), version, output), wrapped);
            assert_eq!(called(&of(text, "null"), version, output), of(text, r#"{"result":null}"#));
        }
        let value = of(text, r#"{"a":1}"#);
        assert_eq!(called(&value, version, Output::Unknown), value);
        assert_eq!(called(&value, version, Output::Object), value);
        let wrapped = of(text, r#"{"result":{"a":1}}"#);
        assert_eq!(called(&value, version, Output::Wrapped), wrapped);
    }
    assert_eq!(
        called(r#"{"structuredContent":1}"#, V2025_11_25, Output::Unknown),
        r#"{"structuredContent":{"result":1},"content":[{"type":"text","text":"1"}]}"#
    );
}

#[test]
fn structured_values_become_text_unless_a_text_has_them() {
    let without = |texts: &[&str], value: &str| {
        let texts: Vec<_> = texts.iter().map(|text| text_block(text).as_str().to_owned()).collect();
        let given = format!(r#"{{"content":[{}],"structuredContent":{value}}}"#, texts.join(","));
        let converted = object(&called(&given, V2025_03_26, Output::Wrapped));
        assert!(!converted.has("structuredContent"));
        let blocks = converted.get("content").unwrap().elements().unwrap();
        blocks
            .iter()
            .map(|block| block.object().unwrap().text("text").unwrap().into_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(without(&[], r#"{"a": 1}"#), [r#"{"a": 1}"#]);
    assert_eq!(without(&["other"], r#"{"a":1}"#), ["other", r#"{"a":1}"#]);
    assert_eq!(without(&["{ \"a\" :\n1 }"], r#"{"a": 1}"#), ["{ \"a\" :\n1 }"]);
    let spaced = r#"{"a":"x \" y"}"#;
    assert_eq!(without(&[spaced], spaced), [spaced]);
    assert_eq!(without(&[r#"{"a":"x\" y"}"#], spaced).len(), 2);
    assert_eq!(without(&["hello"], r#"{"result":"hello"}"#), ["hello"]);
    assert_eq!(without(&["[1,2]"], r#"{"result":[1, 2]}"#), ["[1,2]"]);
    assert_eq!(without(&["hello"], r#""hello""#), ["hello"]);
    assert_eq!(without(&["1"], r#"{"result":1,"more":2}"#).len(), 2);
}

#[test]
fn definitions_have_only_what_the_version_has() {
    let tool = r#"{"name":"t","title":"T","icons":[],"inputSchema":{"type":"object"},"annotations":{"readOnlyHint":true},"execution":{"taskSupport":"optional"},"outputSchema":{"type":"object"},"_meta":{"x":1}}"#;
    let tool = |version| defined(Method::ToolsList, tool, version);
    assert_eq!(tool(V2025_11_25), tool(Version::LATEST));
    assert_eq!(
        tool(V2025_06_18),
        r#"{"name":"t","title":"T","inputSchema":{"type":"object"},"annotations":{"readOnlyHint":true},"outputSchema":{"type":"object"},"_meta":{"x":1}}"#
    );
    assert_eq!(
        tool(V2025_03_26),
        r#"{"name":"t","inputSchema":{"type":"object"},"annotations":{"readOnlyHint":true,"title":"T"},"_meta":{"x":1}}"#
    );
    assert_eq!(
        tool(V2024_11_05),
        r#"{"name":"t","inputSchema":{"type":"object"},"_meta":{"x":1}}"#
    );
    let titled = r#"{"name":"t","title":"T","annotations":{"title":"Own"}}"#;
    assert_eq!(
        defined(Method::ToolsList, titled, V2025_03_26),
        r#"{"name":"t","annotations":{"title":"Own"}}"#
    );
    let closed = r#"{"name":"t","inputSchema":{"type":"object","properties":{"a":true,"b":false,"c":{"type":"string"}}}}"#;
    assert_eq!(
        defined(Method::ToolsList, closed, V2025_11_25),
        r#"{"name":"t","inputSchema":{"type":"object","properties":{"a":{},"b":{"not":{}},"c":{"type":"string"}}}}"#
    );
    let prompt = r#"{"name":"p","title":"P","icons":[],"arguments":[{"name":"a"},{"name":"b","title":"B","required":true}]}"#;
    assert_eq!(defined(Method::PromptsList, prompt, V2025_11_25), prompt);
    assert_eq!(
        defined(Method::PromptsList, prompt, V2025_03_26),
        r#"{"name":"p","arguments":[{"name":"a"},{"name":"b","required":true}]}"#
    );
    let resource = r#"{"uri":"a:b","name":"r","title":"R","icons":[],"size":1,"annotations":{"lastModified":"x"}}"#;
    for method in [Method::ResourcesList, Method::ResourceTemplatesList] {
        assert_eq!(defined(method, resource, V2025_11_25), resource);
        assert_eq!(
            defined(method, resource, V2025_03_26),
            r#"{"uri":"a:b","name":"r","size":1,"annotations":{}}"#
        );
    }
    assert!(definition(Method::ToolsCall, &object(resource), V2024_11_05).is_none());
}

#[test]
fn lists_change_only_where_a_definition_does() {
    let list = object(r#"{"tools":[{"name":"a"},{"name":"b","title":"B"},{"name":"c"}],"x":1}"#);
    assert!(result(Method::ToolsList, &list, V2025_06_18, Output::Unknown).is_none());
    assert_eq!(
        result(Method::ToolsList, &list, V2024_11_05, Output::Unknown)
            .unwrap()
            .to_json(&[])
            .as_str(),
        r#"{"tools":[{"name":"a"},{"name":"b"},{"name":"c"}],"x":1}"#
    );
}

#[test]
fn output_schemas_are_wrapped_and_stay_whole() {
    assert_eq!(
        wrapped(r#"{"$schema":"s","type":"array","items":{"type":"string"}}"#),
        r#"{"$schema":"s","type":"object","properties":{"result":{"type":"array","items":{"type":"string"}}},"required":["result"]}"#
    );
    // A tree that refers to its root, to definitions, and from definitions to both.
    assert_eq!(
        wrapped(
            r##"{"type":"array","items":{"$ref":"#"},"contains":{"$ref":"#/items"},"prefixItems":[{"$ref":"#/$defs/n"}],"$defs":{"n":{"anyOf":[{"$ref":"#/%24defs/n"},{"$ref":"#/items"},{"$ref":""}]}}}"##
        ),
        r##"{"type":"object","properties":{"result":{"type":"array","items":{"$ref":"#/properties/result"},"contains":{"$ref":"#/properties/result/items"},"prefixItems":[{"$ref":"#/$defs/n"}]}},"required":["result"],"$defs":{"n":{"anyOf":[{"$ref":"#/%24defs/n"},{"$ref":"#/properties/result/items"},{"$ref":"#/properties/result"}]}}}"##
    );
    // Anchors, other documents and values that only look like references.
    let untouched = r##""anyOf":[{"$ref":"#anchor"},{"$ref":"https://x/y#/a"},{"properties":{"$ref":{"type":"string"}}},{"const":{"$ref":"#/a"}},{"enum":[{"$ref":"#"}]},{"default":{"$ref":"#"}},{"$id":"https://x","items":{"$ref":"#/a"}}]"##;
    assert_eq!(
        wrapped(&format!("{{{untouched}}}")),
        format!(
            r#"{{"type":"object","properties":{{"result":{{{untouched}}}}},"required":["result"]}}"#
        )
    );
    // A schema with a base of its own stays as it is.
    let own =
        r##"{"$id":"https://x","$schema":"s","items":{"$ref":"#/$defs/a"},"$defs":{"a":{}}}"##;
    assert_eq!(
        wrapped(own),
        format!(
            r#"{{"$schema":"s","type":"object","properties":{{"result":{own}}},"required":["result"]}}"#
        )
    );
}

#[test]
fn deeply_nested_schemas_are_copied() {
    let deep = format!("{}{{}}{}", r#"{"not":"#.repeat(10_000), "}".repeat(10_000));
    let object = Json::trusted(deep.clone()).object().unwrap();
    assert!(output::wrapped(&object).as_str().contains(&deep));
    let deep = format!(r#"{{"anyOf":{}{}}}"#, "[".repeat(10_000), "]".repeat(10_000));
    let object = Json::trusted(deep.clone()).object().unwrap();
    assert!(output::wrapped(&object).as_str().contains(&deep));
}

#[test]
fn what_is_known_of_outputs() {
    let of = |tool| output_of(&object(tool));
    assert_eq!(of(r#"{"name":"t"}"#), Output::Unknown);
    assert_eq!(of(r#"{"outputSchema":true}"#), Output::Unknown);
    assert_eq!(of(r#"{"outputSchema":{"type":"object"}}"#), Output::Object);
    assert_eq!(of(r#"{"outputSchema":{"type":"array"}}"#), Output::Wrapped);
    assert_eq!(of(r#"{"outputSchema":{"type":["object"]}}"#), Output::Wrapped);
    assert_eq!(of(r#"{"outputSchema":{}}"#), Output::Wrapped);
}

#[test]
fn servers_say_who_they_are_in_every_version() {
    let info = Json::trusted(
        r#"{"name":"n","title":"T","version":"1","icons":[],"websiteUrl":"u","description":"d","x":1}"#,
    );
    assert_eq!(implementation(&info, V2025_11_25), info);
    assert_eq!(
        implementation(&info, V2025_06_18).as_str(),
        r#"{"name":"n","title":"T","version":"1","x":1}"#
    );
    assert_eq!(implementation(&info, V2025_03_26).as_str(), r#"{"name":"n","version":"1","x":1}"#);
    let given = object(r#"{"tools":{},"completions":{},"tasks":{},"extensions":{}}"#);
    let of = |version| capabilities(&given, version).as_str().to_owned();
    assert_eq!(of(Version::LATEST), r#"{"tools":{},"completions":{},"tasks":{},"extensions":{}}"#);
    assert_eq!(of(V2025_11_25), r#"{"tools":{},"completions":{},"tasks":{}}"#);
    assert_eq!(of(V2025_06_18), r#"{"tools":{},"completions":{}}"#);
    assert_eq!(of(V2024_11_05), r#"{"tools":{}}"#);
}
