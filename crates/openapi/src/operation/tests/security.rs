//! Security schemes and what operations demand.

use super::{findings, read, read_from};
use crate::model::{Location, Operation, SchemeKind};

#[test]
fn schemes_of_3_x() {
    let (extracted, report) = read(
        "openapi: 3.2.0
servers: [{url: 'https://api.example/v1'}]
paths: {}
components:
  securitySchemes:
    header: {type: apiKey, in: header, name: X-Key, description: a key}
    query: {type: apiKey, in: query, name: key}
    cookie: {$ref: '#/components/securitySchemes/real'}
    real: {type: apiKey, in: cookie, name: sid}
    basic: {type: http, scheme: Basic}
    bearer: {type: HTTP, scheme: BEARER}
    digest: {type: http, scheme: digest}
    token: {type: http, scheme: Token}
    word: {type: http, scheme: 'to ken'}
    client: {type: oauth2, flows: {clientCredentials: {tokenUrl: token, scopes: {}}, implicit: {}}}
    person: {type: oauth2, flows: {authorizationCode: {tokenUrl: 'https://a.example/token'}}}
    tls: {type: mutualTLS}
    oidc: {type: openIdConnect, openIdConnectUrl: 'https://a.example'}
    odd: {type: odd}
    gone: {$ref: '#/gone'}
    nameless: {type: apiKey, in: header}
    inBody: {type: apiKey, in: body, name: key}
",
    );
    let key = |location, name: &str| SchemeKind::ApiKey { location, name: name.to_owned() };
    let other = |what: &str| SchemeKind::Other(what.to_owned());
    let expected = [
        ("header", key(Location::Header, "X-Key")),
        ("query", key(Location::Query, "key")),
        ("cookie", key(Location::Cookie, "sid")),
        ("real", key(Location::Cookie, "sid")),
        ("basic", SchemeKind::Basic),
        ("bearer", SchemeKind::Bearer),
        ("digest", other("http digest")),
        ("token", SchemeKind::Http("Token".to_owned())),
        ("word", other("http to ken")),
        ("client", SchemeKind::OAuth2 { token_url: Some("token".to_owned()) }),
        ("person", SchemeKind::OAuth2 { token_url: None }),
        ("tls", SchemeKind::MutualTls),
        ("oidc", SchemeKind::OpenIdConnect("https://a.example".to_owned())),
        ("odd", other("odd")),
        ("gone", other("a scheme without a type")),
        ("nameless", other("apiKey without a name")),
        ("inBody", other("apiKey in `body`")),
    ];
    let found: Vec<(&str, SchemeKind)> = extracted
        .schemes
        .iter()
        .map(|scheme| (scheme.name.as_str(), scheme.kind.clone()))
        .collect();
    assert_eq!(found, expected);
    assert_eq!(extracted.schemes[0].description.as_deref(), Some("a key"));
    assert_eq!(
        findings(&report),
        [
            "12 warning scheme-not-served: -",
            "14 warning scheme-not-served: -",
            "16 note scheme-needs-token: -",
            "18 note scheme-needs-token: -",
            "19 warning scheme-not-served: -",
            "20 warning reference-unresolved: -",
            "20 warning scheme-not-served: -",
            "21 warning scheme-not-served: -",
            "22 warning scheme-not-served: -",
            "3 note no-operations: -",
        ]
    );
}

#[test]
fn schemes_of_2_0() {
    let (extracted, _) = read(
        "swagger: '2.0'
paths: {}
securityDefinitions:
  basic: {type: basic}
  app: {type: oauth2, flow: application, tokenUrl: 'https://a.example/token'}
  code: {type: oauth2, flow: accessCode, tokenUrl: 'https://a.example/token'}
",
    );
    let kinds: Vec<SchemeKind> = extracted.schemes.into_iter().map(|scheme| scheme.kind).collect();
    let token_url = Some("https://a.example/token".to_owned());
    let expected = [
        SchemeKind::Basic,
        SchemeKind::OAuth2 { token_url },
        SchemeKind::OAuth2 { token_url: None },
    ];
    assert_eq!(kinds, expected);
}

/// Alternatives by `|`, combinations by `+`, scopes in parentheses.
fn demanded(operation: &Operation) -> String {
    let alternative = |combination: &Vec<crate::model::Requirement>| -> String {
        let one = |requirement: &crate::model::Requirement| {
            format!("{}({})", requirement.scheme, requirement.scopes.join(" "))
        };
        combination.iter().map(one).collect::<Vec<_>>().join(" + ")
    };
    operation.security.iter().map(alternative).collect::<Vec<_>>().join(" | ")
}

#[test]
fn alternatives_and_combinations() {
    let (extracted, report) = read(
        "openapi: 3.1.1
security: [{a: []}]
paths:
  /a:
    get: {}
    put: {security: []}
    post: {security: [{a: [], b: [read, write]}, {c: []}, {}]}
    delete: {security: {a: []}}
    patch: {security: [a, 3, {d: null}]}
    head: {security: 3}
    trace: {}
components:
  securitySchemes: {a: {type: http, scheme: basic}, b: {type: mutualTLS}, c: {type: mutualTLS}}
",
    );
    let found: Vec<String> = extracted.operations.iter().map(demanded).collect();
    assert_eq!(
        found,
        ["a()", "", "a() + b(read write) | c() | ", "a()", "a() | d()", "a()", "a()"]
    );
    assert_eq!(extracted.operations[1].security.len(), 0);
    assert_eq!(extracted.operations[2].security.len(), 3);
    assert_eq!(
        findings(&report),
        [
            "8 warning wrong-type: DELETE /a",
            "9 warning wrong-type: PATCH /a",
            "9 warning wrong-type: PATCH /a",
            "9 warning unknown-scheme: PATCH /a",
            "10 warning wrong-type: HEAD /a",
            "11 note trace-without-credentials: TRACE /a",
        ]
    );
}

#[test]
fn schemes_may_be_named_by_url_in_3_2() {
    let text = "openapi: 3.2.0
paths: {/a: {get: {security: [{'#/components/x-schemes/key': []}]}}}
components: {x-schemes: {key: {type: apiKey, in: header, name: K}}}
";
    let (extracted, report) = read(text);
    assert_eq!(extracted.schemes.len(), 1);
    assert_eq!(extracted.schemes[0].name, extracted.operations[0].security[0][0].scheme);
    assert!(findings(&report).is_empty());
    let (extracted, report) = read_from(super::ROOT, &text.replace("3.2.0", "3.1.0"), &[]);
    assert_eq!(extracted.schemes[0].kind, SchemeKind::Undeclared);
    assert_eq!(findings(&report), ["2 warning unknown-scheme: GET /a"]);
}

#[test]
fn what_is_demanded_and_not_declared_is_a_scheme_of_its_own() {
    let (extracted, report) = read(
        "openapi: 3.1.0
security: [{gone: [a]}]
paths:
  /a:
    get: {}
    put: {security: [{gone: []}, {lost: [], x-note: yes}]}
    post: {security: [bare]}
components: {securitySchemes: {key: {type: apiKey, in: header, name: K}}}
",
    );
    let found: Vec<String> = extracted.operations.iter().map(demanded).collect();
    assert_eq!(found, ["gone(a)", "gone() | lost()", "bare()"]);
    let schemes =
        extracted.schemes.iter().map(|it| (it.name.as_str(), it.kind == SchemeKind::Undeclared));
    let schemes = schemes.collect::<Vec<_>>();
    assert_eq!(schemes, [("key", false), ("gone", true), ("lost", true), ("bare", true)]);
    assert_eq!(
        findings(&report),
        [
            "2 warning unknown-scheme: -",
            "6 warning unknown-scheme: PUT /a",
            "7 warning wrong-type: POST /a",
            "7 warning unknown-scheme: POST /a",
        ]
    );
}

#[test]
fn credentials_are_no_arguments() {
    let parameters = |text: &str| -> Vec<String> {
        let (extracted, _) = read(text);
        extracted.operations[0].parameters.iter().map(|it| it.name.clone()).collect()
    };
    let text = "swagger: '2.0'
host: example.com
security: [{key: [], login: []}]
securityDefinitions:
  key: {type: apiKey, in: header, name: X-Key}
  login: {type: basic}
  other: {type: apiKey, in: query, name: token}
paths:
  /a:
    get:
      parameters:
        - {name: x-key, in: header, required: true, type: string}
        - {name: Authorization, in: header, type: string}
        - {name: token, in: query, type: string}
        - {name: X-Key, in: query, type: string}
";
    assert_eq!(parameters(text), ["token", "X-Key"]);
    let text = text.replace("{key: [], login: []}", "{other: []}");
    assert_eq!(parameters(&text), ["x-key", "X-Key"]);
}

#[test]
fn a_parameter_authorization_is_a_credential() {
    let read_so = |version: &str, schemes: &str, security: &str, is_required: bool| {
        let text = format!(
            "openapi: {version}\nservers: [{{url: 'https://api.example'}}]\n{security}\n\
             components: {{securitySchemes: {{{schemes}}}}}\npaths: {{/a: {{get: {{parameters: \
             [{{name: authorization, in: header, required: {is_required}, schema: {{type: string}}}}]}}}}}}\n"
        );
        let (extracted, _) = read(&text);
        assert!(extracted.operations[0].parameters.is_empty());
        let names = |all: &Vec<crate::model::Requirement>| {
            all.iter().map(|one| one.scheme.clone()).collect::<Vec<_>>().join("+")
        };
        let demanded: Vec<String> = extracted.operations[0].security.iter().map(names).collect();
        (demanded.join(" | "), extracted.schemes.len())
    };
    let key = "key: {type: apiKey, in: header, name: X-Key}";
    let bearer = "login: {type: http, scheme: bearer}";
    for (schemes, security, is_required, demanded, count) in [
        ("", "", true, "Authorization", 1),
        ("", "", false, "Authorization | ", 1),
        ("", "security: []", true, "Authorization", 1),
        (key, "security: [{key: []}]", true, "key+Authorization", 2),
        (key, "security: [{key: []}]", false, "key+Authorization | key", 2),
        // The document has a scheme for it, and only forgets to demand it.
        (bearer, "", true, "login", 1),
        (bearer, "security: [{login: []}]", true, "login", 1),
        ("Authorization: {type: apiKey, in: header, name: X}", "", true, "Authorization_", 2),
    ] {
        let found = read_so("3.0.3", schemes, security, is_required);
        assert_eq!(found, (demanded.to_owned(), count), "{schemes} {security} {is_required}");
    }
}
