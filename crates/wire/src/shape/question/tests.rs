//! Questions and answers across versions.

use super::*;
use crate::json::Limits;

fn object(text: &str) -> Object {
    Json::parse(text.to_owned().into(), &Limits::CLIENT).expect(text).object().expect(text)
}

fn text(object: &Object) -> String {
    object.to_json(&[]).as_str().to_owned()
}

#[test]
fn what_a_client_must_be_able_to_do() {
    let needs = |method, params| needs(method, &object(params));
    assert_eq!(needs("elicitation/create", "{}"), Some(ClientAbilities::ELICIT_FORM));
    assert_eq!(
        needs("elicitation/create", r#"{"mode":"form"}"#),
        Some(ClientAbilities::ELICIT_FORM)
    );
    assert_eq!(needs("elicitation/create", r#"{"mode":"url"}"#), Some(ClientAbilities::ELICIT_URL));
    assert_eq!(needs("sampling/createMessage", "{}"), Some(ClientAbilities::SAMPLE));
    let with_tools = ClientAbilities::SAMPLE.and(ClientAbilities::SAMPLE_TOOLS);
    assert_eq!(needs("sampling/createMessage", r#"{"tools":[]}"#), Some(with_tools));
    assert_eq!(needs("sampling/createMessage", r#"{"toolChoice":{}}"#), Some(with_tools));
    assert_eq!(needs("roots/list", "{}"), Some(ClientAbilities::ROOTS));
    assert_eq!(needs("ping", "{}"), None);
    assert_eq!(needs("tasks/get", "{}"), None);
}

#[test]
fn an_input_request_has_nothing_of_the_legacy_hop() {
    let params = object(
        r#"{"mode":"url","elicitationId":"e1","url":"https://x","task":{"ttl":1},"x":[1.0],"_meta":{"progressToken":1,"io.modelcontextprotocol/related-task":{"taskId":"t"}}}"#,
    );
    assert_eq!(
        to_input_request("elicitation/create", &params).as_str(),
        r#"{"method":"elicitation/create","params":{"mode":"url","url":"https://x","x":[1.0]}}"#
    );
    let params = object(r#"{"_meta":{"progressToken":1,"a/b":2},"elicitationId":"kept"}"#);
    assert_eq!(
        to_input_request("roots/list", &params).as_str(),
        r#"{"method":"roots/list","params":{"_meta":{"a/b":2},"elicitationId":"kept"}}"#
    );
    assert_eq!(
        to_input_request("roots/list", &Object::empty()).as_str(),
        r#"{"method":"roots/list","params":{}}"#
    );
}

#[test]
fn urls_need_an_id_and_a_client_of_2025_11_25() {
    let params = object(r#"{"mode":"url","url":"https://x","message":"m"}"#);
    let legacy = |params: &Object, version, id| {
        to_legacy("elicitation/create", params, version, id).map(|params| text(&params))
    };
    assert_eq!(
        legacy(&params, Version::V2025_11_25, Some("e1")).unwrap(),
        r#"{"mode":"url","url":"https://x","message":"m","elicitationId":"e1"}"#
    );
    assert!(legacy(&params, Version::V2025_11_25, None).is_err());
    let own = object(r#"{"mode":"url","url":"https://x","elicitationId":"own"}"#);
    assert_eq!(legacy(&own, Version::V2025_11_25, None).unwrap(), text(&own));
    assert!(legacy(&own, Version::V2025_11_25, Some("new")).unwrap().contains(r#":"new""#));
    assert!(legacy(&own, Version::V2025_06_18, Some("e1")).is_err());
    assert_eq!(legacy(&params, Version::V2026_07_28, Some("e1")).unwrap(), text(&params));
}

#[test]
fn forms_for_2025_06_18_have_its_spelling() {
    let params = object(
        r#"{"mode":"form","message":"m","requestedSchema":{"$schema":"s","type":"object","properties":{"a":{"type":"string","oneOf":[{"const":"x","title":"X"},{"const":"y"}],"default":"x"},"b":{"type":"integer","minimum":1}},"required":["a"]}}"#,
    );
    let legacy = |version| to_legacy("elicitation/create", &params, version, None);
    assert_eq!(
        text(&legacy(Version::V2025_06_18).unwrap()),
        r#"{"message":"m","requestedSchema":{"type":"object","properties":{"a":{"type":"string","default":"x","enum":["x","y"],"enumNames":["X","y"]},"b":{"type":"integer","minimum":1}},"required":["a"]}}"#
    );
    assert_eq!(text(&legacy(Version::V2025_11_25).unwrap()), text(&params));
    assert!(legacy(Version::V2025_03_26).is_err());
    for unknown in [
        r#"{"mode":"form","requestedSchema":{"properties":{"a":{"type":"array","items":{"enum":["x"]}}}}}"#,
        r#"{"mode":"form","requestedSchema":{"properties":{"a":true}}}"#,
        r#"{"mode":"form","requestedSchema":{"properties":{"a":{"oneOf":[{"title":"X"}]}}}}"#,
        r#"{"mode":"voice"}"#,
        r#"{"mode":null}"#,
    ] {
        let converted =
            to_legacy("elicitation/create", &object(unknown), Version::V2025_06_18, None);
        assert!(converted.is_err(), "{unknown}");
    }
}

#[test]
fn sampling_messages_of_older_versions_have_one_block() {
    let params = object(
        r#"{"messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"image","data":"","mimeType":"i/p"}]},{"role":"assistant","content":{"type":"text","text":"b"}},{"role":"user","content":[{"type":"text","text":"c"}]}],"maxTokens":1,"task":{}}"#,
    );
    let legacy =
        |params: &Object, version| to_legacy("sampling/createMessage", params, version, None);
    assert_eq!(
        text(&legacy(&params, Version::V2025_06_18).unwrap()),
        r#"{"messages":[{"role":"user","content":{"type":"text","text":"a"}},{"role":"user","content":{"type":"image","data":"","mimeType":"i/p"}},{"role":"assistant","content":{"type":"text","text":"b"}},{"role":"user","content":{"type":"text","text":"c"}}],"maxTokens":1}"#
    );
    assert_eq!(text(&legacy(&params, Version::V2025_11_25).unwrap()), text(&params));
    let audio = object(r#"{"messages":[{"role":"user","content":{"type":"audio"}}]}"#);
    assert!(legacy(&audio, Version::V2025_03_26).is_ok());
    assert!(legacy(&audio, Version::V2024_11_05).is_err());
    for unknown in [
        r#"{"messages":[],"tools":[]}"#,
        r#"{"messages":[],"toolChoice":{}}"#,
        r#"{"messages":[{"role":"user","content":{"type":"tool_result"}}]}"#,
        r#"{"messages":[{"role":"user","content":[{"type":"video"}]}]}"#,
        r#"{"messages":[{"role":"user"}]}"#,
        r#"{"messages":[1]}"#,
    ] {
        assert!(legacy(&object(unknown), Version::V2025_06_18).is_err(), "{unknown}");
        assert!(legacy(&object(unknown), Version::V2026_07_28).is_ok(), "{unknown}");
    }
}

#[test]
fn answers_for_older_servers_have_one_block() {
    let answer = |content: &str, version| {
        let answer = object(&format!(
            r#"{{"role":"assistant","content":{content},"model":"m","resultType":"complete"}}"#
        ));
        let answer = answer_for("sampling/createMessage", &answer, version);
        assert_eq!(answer.has("resultType"), version == Version::LATEST);
        answer.get("content").unwrap().as_str().to_owned()
    };
    let one = r#"[{"type":"text","text":"a"}]"#;
    let (older, newer) = (Version::V2025_06_18, Version::V2025_11_25);
    assert_eq!(answer(one, older), r#"{"type":"text","text":"a"}"#);
    assert_eq!(answer(one, newer), one);
    assert_eq!(answer(one, Version::LATEST), one);
    let several = r#"[{"type":"text","text":"a"},{"type":"text","text":"b"},{"type":"image","mimeType":"image/png","data":""}]"#;
    assert_eq!(answer(several, older), r#"{"type":"text","text":"a\nb\n[image: image/png]"}"#);
    let audio = r#"{"type":"audio","mimeType":"audio/ogg","data":""}"#;
    assert_eq!(answer(audio, older), audio);
    assert_eq!(
        answer(audio, Version::V2024_11_05),
        r#"{"type":"text","text":"[audio: audio/ogg]"}"#
    );
    assert_eq!(answer("[]", older), r#"{"type":"text","text":""}"#);
    let accepted = object(r#"{"action":"accept","content":{"a":["x"]}}"#);
    assert_eq!(text(&answer_for("elicitation/create", &accepted, older)), text(&accepted));
    let meta = object(r#"{"roots":[],"_meta":{"io.modelcontextprotocol/related-task":{}}}"#);
    assert_eq!(text(&answer_for("roots/list", &meta, Version::LATEST)), r#"{"roots":[]}"#);
    assert_eq!(text(&answer_for("roots/list", &meta, newer)), text(&meta));
}

fn fault(method: &str, params: &str, answer: &str) -> String {
    let answer = Json::parse(answer.to_owned().into(), &Limits::CLIENT).expect(answer);
    check_answer(method, &object(params), &answer).err().unwrap_or_default()
}

#[test]
fn answers_to_forms_fit_the_form() {
    const FORM: &str = r#"{"mode":"form","requestedSchema":{"type":"object","properties":{
        "name":{"type":"string","minLength":2,"maxLength":3},
        "age":{"type":"integer","minimum":0,"maximum":150},
        "weight":{"type":"number"},
        "sure":{"type":"boolean"},
        "colour":{"type":"string","enum":["red","gr\u00fcn"]},
        "size":{"type":"string","oneOf":[{"const":"s","title":"Small"},{"const":"l","title":"Large"}]},
        "days":{"type":"array","items":{"type":"string","enum":["mo","tu"]},"minItems":1},
        "tags":{"type":"array","items":{"anyOf":[{"const":"a","title":"A"}]},"maxItems":2}
    },"required":["name"]}}"#;
    for (answer, expected) in [
        (
            r#"{"action":"accept","content":{"name":"Zoé","age":3.0,"weight":1.5,"sure":false,"colour":"grün","size":"l","days":["mo","tu"],"tags":["a"]}}"#,
            "",
        ),
        (r#"{"action":"accept","content":{"name":"Al","extra":"x","more":["y"]}}"#, ""),
        (r#"{"action":"decline"}"#, ""),
        (r#"{"action":"cancel","content":null}"#, ""),
        ("[]", "the answer must be an object"),
        ("{}", "action must be accept, decline or cancel"),
        (r#"{"action":"ok"}"#, "action must be accept, decline or cancel"),
        (r#"{"action":"accept"}"#, "content.name is missing"),
        (r#"{"action":"accept","content":[]}"#, "content must be an object"),
        (r#"{"action":"accept","content":{"age":1}}"#, "content.name is missing"),
        (r#"{"action":"accept","content":{"name":1}}"#, "content.name must be a string"),
        (
            r#"{"action":"accept","content":{"name":"A"}}"#,
            "content.name must have at least 2 characters",
        ),
        (
            r#"{"action":"accept","content":{"name":"Anna"}}"#,
            "content.name must have at most 3 characters",
        ),
        (r#"{"action":"accept","content":{"age":"3"}}"#, "content.age must be an integer"),
        (r#"{"action":"accept","content":{"age":3.5}}"#, "content.age must be an integer"),
        (r#"{"action":"accept","content":{"age":null}}"#, "content.age must be an integer"),
        (r#"{"action":"accept","content":{"age":-1}}"#, "content.age must be at least 0"),
        (r#"{"action":"accept","content":{"age":151}}"#, "content.age must be at most 150"),
        (r#"{"action":"accept","content":{"weight":"1"}}"#, "content.weight must be a number"),
        (r#"{"action":"accept","content":{"sure":"true"}}"#, "content.sure must be true or false"),
        (
            r#"{"action":"accept","content":{"colour":"blue"}}"#,
            "content.colour must be one of the choices",
        ),
        (
            r#"{"action":"accept","content":{"size":"Small"}}"#,
            "content.size must be one of the choices",
        ),
        (
            r#"{"action":"accept","content":{"days":"mo"}}"#,
            "content.days must be an array of strings",
        ),
        (
            r#"{"action":"accept","content":{"days":[1]}}"#,
            "content.days must be an array of strings",
        ),
        (
            r#"{"action":"accept","content":{"days":[]}}"#,
            "content.days must have at least 1 values",
        ),
        (
            r#"{"action":"accept","content":{"days":["su"]}}"#,
            "content.days must only have values among the choices",
        ),
        (
            r#"{"action":"accept","content":{"tags":["a","a","a"]}}"#,
            "content.tags must have at most 2 values",
        ),
        (
            r#"{"action":"accept","content":{"tags":["b"]}}"#,
            "content.tags must only have values among the choices",
        ),
        (
            r#"{"action":"accept","content":{"x\n":{}}}"#,
            "content.x\u{fffd} must be a string, a number, true or false, or an array of strings",
        ),
    ] {
        assert_eq!(fault("elicitation/create", FORM, answer), expected, "{answer}");
    }
    assert_eq!(fault("elicitation/create", r#"{"mode":"url"}"#, r#"{"action":"accept"}"#), "");
    let long = format!(r#"{{"action":"accept","content":{{"{}":null}}}}"#, "k".repeat(65));
    let start = format!("content.{}… must", "k".repeat(64));
    assert!(fault("elicitation/create", "{}", &long).starts_with(&start));
}

#[test]
fn answers_of_models_and_roots_have_their_shape() {
    let sampled = |answer| fault("sampling/createMessage", "{}", answer);
    assert_eq!(sampled(r#"{"role":"assistant","model":"m","content":{"type":"text"}}"#), "");
    assert_eq!(sampled(r#"{"role":"user","model":"m","content":[{"type":"text"}]}"#), "");
    assert_eq!(
        sampled(r#"{"role":"user","model":"m","content":[{"type":"text"},1]}"#),
        "content[1] must be an object with a type"
    );
    assert_eq!(
        sampled(r#"{"role":"user","model":"m","content":"x"}"#),
        "content must be an object with a type, or an array of such"
    );
    assert_eq!(sampled(r#"{"role":"user","model":"m"}"#), "content is missing");
    assert_eq!(sampled(r#"{"role":"user","content":{"type":"text"}}"#), "model must be a string");
    assert_eq!(sampled(r#"{"role":"system"}"#), "role must be assistant or user");
    let roots = |answer| fault("roots/list", "{}", answer);
    assert_eq!(roots(r#"{"roots":[{"uri":"file:///a"}]}"#), "");
    assert_eq!(roots("{}"), "roots must be an array");
    assert_eq!(
        roots(r#"{"roots":[{"uri":"file:///a"},{}]}"#),
        "roots[1] must be an object whose uri is a string"
    );
    assert_eq!(fault("x/y", "{}", "{}"), "");
    assert_eq!(fault("x/y", "{}", "1"), "the answer must be an object");
}

fn asks_by_name(name: &str, member: &str) -> bool {
    let property = match member {
        "title" => format!(r#"{{"field":{{"type":"string","title":"{name}"}}}}"#),
        _ => format!(r#"{{"{name}":{{"type":"string"}}}}"#),
    };
    let params = object(&format!(r#"{{"requestedSchema":{{"properties":{property}}}}}"#));
    secret_asked("elicitation/create", &params).is_some()
}

#[test]
fn names_of_secrets() {
    for name in [
        "password",
        "Password",
        "new_password",
        "userPassword",
        "PASSWORD2",
        "passwd",
        "passphrase",
        "secret",
        "client_secret",
        "clientSecret",
        "api_key",
        "apiKey",
        "api-key",
        "APIKey",
        "apikey",
        "OPENAI_API_KEY",
        "API key",
        "token",
        "access_token",
        "accessToken",
        "authToken",
        "bearer",
        "github token",
        "privateKey",
        "private_key",
        "credential",
        "credentials",
        "pin",
        "userPIN",
        "PINCode",
        "cvv",
        "SSN",
        "otp",
        "one-time passcode",
        "Your password (at least 8 characters)",
        "db.password",
        "recoveryPhrase",
        "2FA code",
        "card_number",
    ] {
        assert!(asks_by_name(name, "name"), "{name}");
        assert!(asks_by_name(name, "title"), "{name}");
    }
    for name in [
        "tokenizer",
        "max_tokens",
        "maxTokens",
        "max_token",
        "token_count",
        "tokenType",
        "secretary",
        "pinned",
        "pinning",
        "shipping",
        "key",
        "keyword",
        "primary_key",
        "monkey",
        "username",
        "password_policy",
        "passwordLength",
        "bypass",
        "passenger",
        "opinion",
        "spin",
        "secretName",
        "name",
        "email",
        "",
        "___",
        "postcode",
        "cryptocurrency",
    ] {
        assert!(!asks_by_name(name, "name"), "{name}");
        assert!(!asks_by_name(name, "title"), "{name}");
    }
}

#[test]
fn secrets_by_schema() {
    let asked = |method: &str, extra: &str, properties: &str| {
        let params = format!(r#"{{{extra}"requestedSchema":{{"properties":{properties}}}}}"#);
        secret_asked(method, &object(&params))
    };
    let form = |properties| asked("elicitation/create", "", properties);
    assert_eq!(form(r#"{"a":{"type":"string"},"b":{"format":"password"}}"#).unwrap(), "b");
    assert_eq!(form(r#"{"a":{"type":"string","writeOnly":true}}"#).unwrap(), "a");
    assert_eq!(form(r#"{"a":{"type":"string","writeOnly":false}}"#), None);
    assert_eq!(form(r#"{"password":true}"#).unwrap(), "password");
    assert_eq!(form(r#"{"pin":{"type":"integer"}}"#).unwrap(), "pin");
    assert_eq!(form(r#"{"save_password":{"type":"boolean"}}"#), None);
    assert_eq!(form(r#"{"token":{"type":"string","enum":["eth","btc"]}}"#), None);
    assert_eq!(form(r#"{"secrets":{"type":"array","items":{"anyOf":[]}}}"#), None);
    let password = r#"{"password":{"type":"string"}}"#;
    assert_eq!(asked("elicitation/create", r#""mode":"url","#, password), None);
    assert_eq!(asked("elicitation/create", r#""mode":"form","#, password).unwrap(), "password");
    assert_eq!(asked("sampling/createMessage", "", password), None);
}

#[test]
fn tools_of_sampling_for_2025_11_25_have_its_shape() {
    let params = object(
        r#"{"messages":[{"role":"user","content":[{"type":"tool_result","toolUseId":"1","content":[],"structuredContent":[1]}]},{"role":"user","content":{"type":"text","text":"a"}}],"tools":[{"name":"t","outputSchema":{"type":"array"}}]}"#,
    );
    let legacy = to_legacy("sampling/createMessage", &params, Version::V2025_11_25, None).unwrap();
    assert_eq!(
        text(&legacy),
        r#"{"messages":[{"role":"user","content":[{"type":"tool_result","toolUseId":"1","content":[{"type":"text","text":"[1]"}],"structuredContent":{"result":[1]}}]},{"role":"user","content":{"type":"text","text":"a"}}],"tools":[{"name":"t","outputSchema":{"type":"object","properties":{"result":{"type":"array"}},"required":["result"]}}]}"#
    );
}
