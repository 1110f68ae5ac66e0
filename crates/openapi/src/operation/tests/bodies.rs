//! Bodies: media types, forms, encodings.

use super::{check, read};
use crate::model::Dialect;

#[test]
fn media_types_keep_their_order() {
    check(
        "openapi: 3.2.0
paths:
  /a:
    post:
      requestBody:
        required: true
        content:
          application/xml: {schema: {}}
          application/json; charset=utf-8: {schema: {}}
          image/*: {}
          application/jsonl: {itemSchema: {}}
          text/plain: {$ref: '#/components/mediaTypes/T'}
          text/odd: 3
    put: {requestBody: {$ref: '#/components/requestBodies/B'}}
components:
  mediaTypes: {T: {schema: {}}}
  requestBodies: {B: {content: {application/json: {schema: {}}}}}
",
        "
        POST /a
          body* application/xml, application/json; charset=utf-8, image/* (no schema), application/jsonl (items), text/plain, text/odd (no schema)
        PUT /a
          body application/json
        ",
        &["13 warning wrong-type: POST /a"],
    );
}

#[test]
fn encodings() {
    check(
        "openapi: 3.1.1
paths:
  /a:
    post:
      requestBody:
        content:
          multipart/form-data:
            schema: {}
            encoding:
              file:
                contentType: image/png, image/jpeg
                headers:
                  Content-Type: {schema: {default: no}}
                  X-Kind: {schema: {$ref: '#/components/schemas/Kind'}}
                  X-Any: {schema: {type: string}}
                  X-Must: {required: true, schema: {type: string}}
              tags: {style: form, explode: false, allowReserved: true}
              odd: {style: odd}
components:
  schemas: {Kind: {enum: [photo]}}
",
        "
        POST /a
          body multipart/form-data file=(image/png, image/jpeg X-Kind:photo) tags=(Form explode:false reserved) odd=()
        ",
        &["16 warning part-header: POST /a", "18 warning odd-style: POST /a"],
    );
}

#[test]
fn unusual_bodies() {
    check(
        "openapi: 3.1.1
paths:
  /a:
    get: {requestBody: {content: {application/json: {}}}}
    delete: {requestBody: {content: {application/json: {}}}}
    trace: {requestBody: {content: {application/json: {}}}}
    query: {responses: {}, requestBody: {content: {application/json: {}}}}
    post: {requestBody: {content: {}}}
    put: {requestBody: {required: true}}
    patch: {requestBody: {schema: {type: object}}}
    head: {requestBody: [1]}
    options: {requestBody: {$ref: '#/gone'}}
",
        "
        GET /a
          body application/json (no schema)
        DELETE /a
          body application/json (no schema)
        TRACE /a
        QUERY /a
          body application/json (no schema)
        POST /a
        PATCH /a
          body application/json
        HEAD /a
        ",
        &[
            "4 note unusual-body: GET /a",
            "5 note unusual-body: DELETE /a",
            "6 warning unusual-body: TRACE /a",
            "7 note newer-version: /a",
            "8 warning body-unusable: POST /a",
            "9 skipped body-unusable: PUT /a",
            "10 warning no-content: PATCH /a",
            "11 warning wrong-type: HEAD /a",
            "12 skipped reference-unresolved: OPTIONS /a",
        ],
    );
}

#[test]
fn bodies_of_2_0() {
    check(
        "swagger: '2.0'
host: example.com
consumes: [application/xml]
paths:
  /a:
    post:
      parameters: [{name: it, in: body, required: true, schema: {type: object}}]
    put:
      consumes: [application/json, 'text/plain']
      parameters: [{name: it, in: body}, {name: Content-Type, in: header, type: string}]
    patch:
      consumes: []
      parameters: [{name: it, in: body, schema: {}}, {name: f, in: formData, type: string}]
    delete:
      consumes: [application/json]
      parameters:
        - {name: one, in: body, schema: {}}
        - {name: two, in: body, schema: {}}
",
        "
        POST /a
          body* application/xml
        PUT /a
          body application/json (no schema), text/plain (no schema)
        PATCH /a
          body application/json
        DELETE /a
          body application/json
        ",
        &[
            "10 note ignored-header: PUT /a",
            "13 warning several-bodies: PATCH /a",
            "18 warning duplicate-parameter: DELETE /a",
            "15 note unusual-body: DELETE /a",
        ],
    );
}

#[test]
fn forms_of_2_0() {
    let text = "swagger: '2.0'
host: example.com
paths:
  /a:
    post:
      parameters:
        - {name: name, in: formData, required: true, type: string, description: who}
        - {name: tags, in: formData, type: array, items: {type: string}, collectionFormat: multi}
    put:
      consumes: [application/json, multipart/form-data, application/x-www-form-urlencoded]
      parameters: [{name: name, in: formData, type: string, allowEmptyValue: true}]
    patch:
      consumes: [application/x-www-form-urlencoded]
      parameters: [{name: photo, in: formData, type: file}, {name: q, in: query, type: string}]
";
    check(
        text,
        "
        POST /a
          body* application/x-www-form-urlencoded (no schema)
            form name* Form \"who\"
            form tags Form explode
        PUT /a
          body multipart/form-data (no schema), application/x-www-form-urlencoded (no schema)
            form name Form empty
        PATCH /a
          query q Form
          body multipart/form-data (no schema)
            form photo Form
        ",
        &[],
    );
    let (extracted, _) = read(text);
    let body = extracted.operations[0].body.as_ref().unwrap();
    let schema = body.form[0].schema.unwrap();
    assert_eq!((schema.at, schema.dialect), (body.form[0].at, Dialect::Swagger20));
    assert_eq!(body.at, body.form[0].at);
}

#[test]
fn bodies_of_2_0_in_later_versions() {
    check(
        "openapi: 3.0.4
paths:
  /a:
    post: {parameters: [{name: it, in: body, schema: {}}]}
    put: {parameters: [{name: it, in: formData, type: string}]}
    patch:
      parameters: [{name: it, in: body, schema: {}}]
      requestBody: {content: {text/plain: {schema: {}}}}
",
        "
        POST /a
          body application/json
        PUT /a
          body application/x-www-form-urlencoded (no schema)
            form it Form
        PATCH /a
          body text/plain
        ",
        &[
            "4 warning foreign-parameter: POST /a",
            "5 warning foreign-parameter: PUT /a",
            "7 warning foreign-parameter: PATCH /a",
            "7 warning several-bodies: PATCH /a",
        ],
    );
}

#[test]
fn parts_without_names_and_parts_in_parts() {
    check(
        "openapi: 3.2.0
paths:
  /a:
    post:
      requestBody:
        content:
          multipart/mixed:
            schema: {type: array}
            prefixEncoding:
              - {}
              - {contentType: multipart/mixed, prefixEncoding: [{contentType: image/png}], encoding: {a: {encoding: {b: {itemEncoding: {}}}}}}
              - {$ref: '#/gone'}
            itemEncoding: {contentType: 'image/*', headers: {Content-Range: {required: true, content: {text/plain: {schema: {const: bytes 0-1}}}}}}
    put: {requestBody: {content: {multipart/mixed: {itemSchema: {}, itemEncoding: {contentType: image/jpg}, prefixEncoding: 3}}}}
",
        "
        POST /a
          body multipart/mixed -=() -=(multipart/mixed) -=() *=(image/* Content-Range:bytes 0-1)
        PUT /a
          body multipart/mixed (items) *=(image/jpg)
        ",
        &[
            "11 warning nested-encoding: POST /a",
            "12 warning reference-unresolved: POST /a",
            "14 warning wrong-type: PUT /a",
        ],
    );
}

#[test]
fn components_of_every_kind_are_found() {
    check(
        "openapi: 3.2.0
paths:
  /a/{id}: {$ref: '#/components/pathItems/P'}
components:
  pathItems: {P: {parameters: [{$ref: '#/components/parameters/Id'}], post: {requestBody: {$ref: '#/components/requestBodies/B'}, responses: {200: {$ref: '#/components/responses/R'}}}}}
  parameters: {Id: {name: id, in: path, required: true, content: {application/json: {$ref: '#/components/mediaTypes/M'}}}}
  requestBodies: {B: {content: {multipart/form-data: {schema: {}, encoding: {a: {headers: {X-A: {$ref: '#/components/headers/H'}}}}}, application/json: {$ref: '#/components/mediaTypes/M'}}}}
  responses: {R: {description: r, content: {application/json: {$ref: '#/components/mediaTypes/M'}}}}
  headers: {H: {schema: {$ref: '#/components/schemas/One'}}}
  mediaTypes: {M: {schema: {$ref: '#/components/schemas/One'}}}
  schemas: {One: {type: integer, const: 1}}
",
        "
        POST /a/{id}
          path id* application/json
          body multipart/form-data a=(X-A:1), application/json
          200 application/json
        ",
        &[],
    );
}
