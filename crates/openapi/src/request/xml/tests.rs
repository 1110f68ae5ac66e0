//! The examples of the specification, and what it leaves open.

use url::Url;

use super::*;
use crate::document::{Documents, Loader};
use crate::model::{Dialect, SchemaAt};
use crate::tree::Limits;

struct Nothing;

impl Loader for Nothing {
    fn load(&mut self, _: &Url, _: &Url) -> Result<String, String> {
        Err("nothing is loaded".to_owned())
    }
}

/// The XML of a value, by the schema at `components.schemas.Root` of a document of 3.1.
fn xml(schemas: &str, value: &str) -> Result<String, String> {
    let text = format!(
        "openapi: 3.1.0\ninfo: {{title: t, version: '1'}}\npaths: {{}}\ncomponents:\n  schemas:\n{schemas}"
    );
    let url = Url::parse("file:///a.yaml").expect("a URL");
    let (documents, _) =
        Documents::load(&text, &url, "a.yaml", &mut Nothing, &[], &Limits::default())
            .expect("loads");
    let root = documents.value(documents.root());
    let root = root.get("components").and_then(|it| it.get("schemas")?.get("Root")).expect("Root");
    let at = crate::model::At { document: documents.root().document, node: root.id() };
    let shapes = Shapes::read(&documents, SchemaAt { at, dialect: Dialect::OpenApi31 });
    let written = document(&shapes, "root", &Json::trusted(value.to_owned()));
    written
        .map(|text| text.split_once('\n').expect("a declaration").1.to_owned())
        .map_err(|refusal| refusal.problem)
}

#[test]
fn names_attributes_and_namespaces() {
    let schemas = "
    Root: {$ref: '#/components/schemas/Person'}
    Person:
      type: object
      properties:
        id: {type: integer, xml: {attribute: true}}
        name: {type: string, xml: {namespace: 'https://example.com/schema/sample', prefix: sample}}
        note: {type: string, xml: {name: remark}}
";
    assert_eq!(
        xml(schemas, r#"{"id":12345678901234567890,"name":"a<b & \"c\"","note":"x","more":true}"#)
            .as_deref(),
        Ok("<Person id=\"12345678901234567890\"><sample:name \
            xmlns:sample=\"https://example.com/schema/sample\">a&lt;b &amp; &quot;c&quot;</sample:name>\
            <remark>x</remark><more>true</more></Person>")
    );
}

#[test]
fn lists() {
    for (hints, expected) in [
        ("items: {type: string}", "<animals>a</animals><animals>b</animals>"),
        ("items: {type: string, xml: {name: animal}}", "<animal>a</animal><animal>b</animal>"),
        (
            "xml: {name: aliens}, items: {type: string, xml: {name: animal}}",
            "<animal>a</animal><animal>b</animal>",
        ),
        (
            "xml: {wrapped: true}, items: {type: string}",
            "<animals><animals>a</animals><animals>b</animals></animals>",
        ),
        (
            "xml: {nodeType: element}, items: {type: string, xml: {name: animal}}",
            "<animals><animal>a</animal><animal>b</animal></animals>",
        ),
        (
            "xml: {name: aliens, wrapped: true}, items: {type: string, xml: {name: animal}}",
            "<aliens><animal>a</animal><animal>b</animal></aliens>",
        ),
        (
            "xml: {name: aliens, wrapped: true}, items: {type: string}",
            "<aliens><aliens>a</aliens><aliens>b</aliens></aliens>",
        ),
    ] {
        let schemas = format!(
            "
    Root:
      type: object
      xml: {{name: document}}
      properties:
        animals: {{type: array, {hints}}}
"
        );
        let expected = format!("<document>{expected}</document>");
        assert_eq!(xml(&schemas, r#"{"animals":["a","b"]}"#), Ok(expected), "{hints}");
    }
}

#[test]
fn a_pet() {
    let schemas = "
    Root: {$ref: '#/components/schemas/Pet'}
    Tag: {type: object, properties: {id: {type: integer}}, xml: {name: tag}}
    Base: {type: object, properties: {photoUrls: {type: array, xml: {wrapped: true}, items: {type: string, xml: {name: photoUrl}}}}}
    Pet:
      xml: {name: pet}
      allOf:
      - $ref: '#/components/schemas/Base'
      - type: object
        properties:
          parent: {$ref: '#/components/schemas/Pet'}
          tags: {type: array, xml: {wrapped: true}, items: {$ref: '#/components/schemas/Tag'}}
";
    assert_eq!(
        xml(schemas, r#"{"photoUrls":["u"],"tags":[{"id":1}],"parent":{"photoUrls":[]}}"#)
            .as_deref(),
        Ok("<pet><photoUrls><photoUrl>u</photoUrl></photoUrls><tags><tag><id>1</id></tag></tags>\
            <pet><photoUrls></photoUrls></pet></pet>")
    );
}

#[test]
fn texts_beside_attributes_and_nothing() {
    let schemas = "
    Root:
      type: object
      xml: {name: product}
      properties:
        count: {type: [number, 'null'], xml: {nodeType: attribute}}
        text: {type: string, xml: {nodeType: text}}
        raw: {type: string, xml: {nodeType: cdata}}
        related: {type: [object, 'null']}
";
    assert_eq!(
        xml(schemas, r#"{"count":null,"text":"a","raw":"<b>]]>","related":null}"#).as_deref(),
        Ok("<product>a<![CDATA[<b>]]]]><![CDATA[>]]><related \
            xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xsi:nil=\"true\"/></product>")
    );
    assert_eq!(
        xml(schemas, r#"{"count":42,"related":{}}"#).as_deref(),
        Ok("<product count=\"42\"><related></related></product>")
    );
}

#[test]
fn roots_and_what_cannot_be_written() {
    assert_eq!(
        xml("    Root: {type: array}", "[1,2]").as_deref(),
        Ok("<root><root>1</root><root>2</root></root>")
    );
    assert!(xml("    Root: {}", r#"{"a b":1}"#).is_err());
    assert!(xml("    Root: {}", r#"{"a":"\u0001"}"#).is_err());
}
