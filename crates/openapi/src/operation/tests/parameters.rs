//! Parameters: where they come from, how they are written, and what is wrong with them.

use super::{check, check_with, read};

#[test]
fn defaults_of_style_and_explode_follow_the_location() {
    check(
        "openapi: 3.0.4
paths:
  /a/{p}/{m}/{l}:
    get:
      parameters:
        - {name: p, in: path, required: true, schema: {type: string}}
        - {name: m, in: path, required: true, style: matrix, explode: true, schema: {}}
        - {name: l, in: path, required: true, style: label, schema: {}}
        - {name: q, in: query, schema: {}}
        - {name: flat, in: query, explode: false, schema: {}}
        - {name: space, in: query, style: spaceDelimited, schema: {}}
        - {name: pipe, in: query, style: pipeDelimited, allowReserved: true, schema: {}}
        - {name: deep, in: query, style: deepObject, explode: true, schema: {}}
        - {name: none, in: query, allowEmptyValue: true, deprecated: true, schema: {}}
        - {name: X-H, in: header, description: a header, schema: {}}
        - {name: c, in: cookie, schema: {}}
",
        "
        GET /a/{p}/{m}/{l}
          path p* Simple
          path m* Matrix explode
          path l* Label
          query q Form explode
          query flat Form
          query space SpaceDelimited
          query pipe PipeDelimited reserved
          query deep DeepObject explode
          query none Form explode empty deprecated
          header X-H Simple \"a header\"
          cookie c Form explode
        ",
        &[],
    );
}

#[test]
fn collection_formats_of_2_0_become_styles() {
    check(
        "swagger: '2.0'
host: example.com
paths:
  /a/{p}:
    get:
      parameters:
        - {name: p, in: path, required: true, type: array, items: {type: string}, collectionFormat: pipes}
        - {name: csv, in: query, type: array, items: {type: string}}
        - {name: ssv, in: query, type: array, items: {type: string}, collectionFormat: ssv}
        - {name: tsv, in: query, type: array, items: {type: string}, collectionFormat: tsv}
        - {name: multi, in: query, type: array, items: {type: string}, collectionFormat: multi}
        - {name: H, in: header, type: array, items: {type: string}, collectionFormat: multi}
        - {name: Authorization, in: header, type: string}
",
        "
        GET /a/{p}
          path p* PipeDelimited
          query csv Form
          query ssv SpaceDelimited
          query tsv TabDelimited
          query multi Form explode
          header H Simple
        ",
        &["12 warning odd-style: GET /a/{p}", "13 note credential-argument: GET /a/{p}"],
    );
}

#[test]
fn styles_that_are_not_possible_become_the_usual_one() {
    check(
        "openapi: 3.0.4
paths:
  /a:
    get:
      parameters:
        - {name: q, in: query, style: simple, schema: {}}
        - {name: r, in: query, style: fancy, schema: {}}
        - {name: s, in: query, style: SpaceDelimited, schema: {}}
        - {name: H, in: header, style: form, schema: {}}
",
        "
        GET /a
          query q Form
          query r Form explode
          query s SpaceDelimited
          header H Simple
        ",
        &[
            "6 warning odd-style: GET /a",
            "7 warning odd-style: GET /a",
            "9 warning odd-style: GET /a",
        ],
    );
}

#[test]
fn parameters_of_the_path_are_overridden_by_name_and_location() {
    check(
        "openapi: 3.1.1
paths:
  /a/{id}:
    parameters:
      - {name: id, in: path, required: true, description: of the path, schema: {}}
      - {name: q, in: query, description: of the path, schema: {}}
      - {name: H, in: header, description: of the path, schema: {}}
    get:
      parameters:
        - {name: q, in: query, description: own, schema: {}}
        - {name: q, in: query, description: again, schema: {}}
        - {name: id, in: query, description: another, schema: {}}
        - {name: h, in: header, description: own, schema: {}}
",
        "
        GET /a/{id}
          query q Form explode \"own\"
          query id Form explode \"another\"
          header h Simple \"own\"
          path id* Simple \"of the path\"
        ",
        &["11 warning duplicate-parameter: GET /a/{id}"],
    );
}

#[test]
fn references_are_followed_and_may_have_a_description_of_their_own() {
    let text = "openapi: 3.1.1
paths:
  /a:
    get:
      parameters:
        - {$ref: '#/components/parameters/One', description: here}
        - $ref: other.yaml#/Two
components:
  parameters:
    One: {$ref: '#/components/parameters/Real'}
    Real: {name: one, in: query, description: there, schema: {}}
";
    let other = "Two: {name: two, in: query, schema: {}}";
    let operations = |description: &str| {
        format!(
            "
            GET /a
              query one Form explode \"{description}\"
              query two Form explode
            "
        )
    };
    check_with(text, &[("other.yaml", other)], &operations("here"), &[]);
    let text = text.replace("3.1.1", "3.0.4");
    check_with(&text, &[("other.yaml", other)], &operations("there"), &[]);
}

#[test]
fn an_operation_without_one_of_its_parameters_is_skipped() {
    check(
        "openapi: 3.1.1
paths:
  /a:
    get:
      parameters: [{$ref: '#/components/parameters/Gone'}]
    put:
      parameters: [{name: x, in: nowhere, required: true}]
    post:
      parameters: [{in: query, required: true}]
    delete:
      parameters: [{name: x, in: nowhere}, 3, {in: query}, {name: y}, {name: a b, in: header}]
    patch:
      parameters: {name: x, in: query}
",
        "
        DELETE /a
        PATCH /a
        ",
        &[
            "5 skipped reference-unresolved: GET /a",
            "7 skipped parameter-unusable: PUT /a",
            "9 skipped parameter-unusable: POST /a",
            "11 warning parameter-unusable: DELETE /a",
            "11 warning wrong-type: DELETE /a",
            "11 warning parameter-unusable: DELETE /a",
            "11 warning parameter-unusable: DELETE /a",
            "11 warning parameter-unusable: DELETE /a",
            "13 warning wrong-type: PATCH /a",
        ],
    );
}

#[test]
fn values_may_be_written_by_a_media_type() {
    check(
        "openapi: 3.1.1
paths:
  /a:
    get:
      parameters:
        - {name: one, in: query, content: {application/json: {schema: {type: object}}}}
        - {name: two, in: query, content: {text/plain: {}, application/json: {schema: {}}}}
        - {name: both, in: query, schema: {}, content: {text/plain: {}}}
        - {name: none, in: query}
        - {name: beside, in: query, type: string}
        - {name: anything, in: query, schema: true}
",
        "
        GET /a
          query one application/json
          query two application/json
          query both text/plain
          query none Form explode no schema
          query beside Form explode
          query anything Form explode
        ",
        &[
            "7 note several-contents: GET /a",
            "8 warning schema-and-content: GET /a",
            "10 warning foreign-parameter: GET /a",
        ],
    );
}

#[test]
fn the_whole_query_of_3_2() {
    check(
        "openapi: 3.2.0
paths:
  /a:
    get:
      parameters:
        - in: querystring
          content:
            application/x-www-form-urlencoded:
              schema: {type: object}
              encoding: {tags: {style: spaceDelimited, explode: false}}
        - {name: c, in: cookie, style: cookie, schema: {}}
  /b:
    get:
      parameters:
        - {name: all, in: querystring, content: {application/json: {schema: {}}}}
        - {name: q, in: query, schema: {}}
",
        "
        GET /a
          querystring body application/x-www-form-urlencoded tags=(SpaceDelimited explode:false)
          cookie c Cookie explode
        GET /b
          querystring all application/json
        ",
        &["14 warning whole-query: GET /b"],
    );
}

#[test]
fn headers_that_have_another_source_are_left_out() {
    check(
        "openapi: 3.0.4
paths:
  /a:
    get:
      parameters:
        - {name: Accept, in: header, required: true, schema: {}}
        - {name: content-type, in: header, schema: {}}
        - {name: Authorization, in: header, schema: {}}
        - {name: Host, in: header, schema: {}}
        - {name: Content-Length, in: header, schema: {}}
        - {name: X-Request-Id, in: header, schema: {}}
",
        "
        GET /a
          header X-Request-Id Simple
        ",
        &[
            "6 note ignored-header: GET /a",
            "7 note ignored-header: GET /a",
            "9 note ignored-header: GET /a",
            "10 note ignored-header: GET /a",
            "8 note credential-argument: GET /a",
        ],
    );
}

#[test]
fn a_parameter_accept_says_what_is_asked_for() {
    let accept = |schema: &str| {
        let text = format!(
            "openapi: 3.0.4\npaths: {{/a: {{get: {{parameters: [{{name: accept, in: header, schema: \
             {schema}}}]}}}}}}\n"
        );
        read(&text).0.operations[0].accept.clone()
    };
    for (schema, expected) in [
        ("{type: string}", None),
        ("{enum: [text/csv, application/hal+json]}", Some("application/hal+json")),
        (
            "{enum: [text/csv, application/toml], default: application/toml}",
            Some("application/toml"),
        ),
        ("{enum: [text/csv, application/toml]}", Some("text/csv")),
        ("{default: text/csv}", Some("text/csv")),
        ("{default: \"a\\nb\"}", None),
    ] {
        assert_eq!(accept(schema).as_deref(), expected, "{schema}");
    }
}

#[test]
fn a_component_that_is_wrong_is_reported_once() {
    check(
        "openapi: 3.0.4
paths:
  /a:
    get: {parameters: [{$ref: '#/components/parameters/P'}]}
    put: {parameters: [{$ref: '#/components/parameters/P'}]}
components:
  parameters:
    P: {name: p, in: query, style: odd, schema: {}}
",
        "
        GET /a
          query p Form explode
        PUT /a
          query p Form explode
        ",
        &["8 warning odd-style: GET /a"],
    );
}

#[test]
fn headers_for_mcp_stand_at_the_parameter_or_its_schema() {
    let (extracted, _) = read(
        "openapi: 3.1.1
paths:
  /a:
    get:
      parameters:
        - {name: p, in: query, x-mcp-header: Region, schema: {type: string}}
        - {name: q, in: query, schema: {type: string, x-mcp-header: Tenant}}
        - {name: r, in: query, schema: {type: string}}
",
    );
    let headers: Vec<Option<&str>> = extracted.operations[0]
        .parameters
        .iter()
        .map(|parameter| parameter.mcp_header.as_deref())
        .collect();
    assert_eq!(headers, [Some("Region"), Some("Tenant"), None]);
}

#[test]
fn lists_in_lists_of_2_0_have_formats_of_their_own() {
    check(
        "swagger: '2.0'
paths:
  /a:
    get:
      parameters:
        - {name: q, in: query, type: array, collectionFormat: pipes, items: {type: array, items: {type: array, collectionFormat: ssv, items: {type: string}}}}
        - {name: h, in: header, type: array, items: {type: array, collectionFormat: multi, items: {type: string}}}
",
        "
        GET /a
          query q PipeDelimited of [Simple, SpaceDelimited]
          header h Simple of [Simple]
        ",
        &["7 warning odd-style: GET /a"],
    );
}
