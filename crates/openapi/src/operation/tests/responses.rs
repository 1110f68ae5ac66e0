//! Responses of every version.

use super::check;

#[test]
fn responses_keep_their_order() {
    check(
        "openapi: 3.1.1
paths:
  /a:
    get:
      responses:
        200: {description: fine, content: {application/json: {schema: {}}, text/plain: {}}}
        '204': {description: nothing}
        4XX: {$ref: '#/components/responses/Bad'}
        default: {$ref: '#/components/responses/Gone'}
        odd: {}
        x-note: {}
        500: 3
    put: {responses: [1]}
components:
  responses: {Bad: {content: {application/problem+json: {schema: {}}}}}
",
        "
        GET /a
          200 application/json, text/plain (no schema)
          204
          4XX application/problem+json
          default
          500
        PUT /a
        ",
        &[
            "9 warning reference-unresolved: GET /a",
            "10 note odd-status: GET /a",
            "13 warning wrong-type: PUT /a",
        ],
    );
}

#[test]
fn responses_of_2_0_take_their_media_types_from_produces() {
    check(
        "swagger: '2.0'
host: example.com
produces: [application/xml]
paths:
  /a:
    get: {responses: {200: {schema: {type: object}}, 404: {description: none}}}
    put: {produces: [image/png, image/gif], responses: {200: {schema: {type: file}}}}
    post: {produces: [], responses: {200: {schema: {type: object}}}}
",
        "
        GET /a
          200 application/xml
          404
        PUT /a
          200 image/png, image/gif
        POST /a
          200 application/json
        ",
        &[],
    );
}
