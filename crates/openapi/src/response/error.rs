//! Errors of an API: the status, what the body says about it, and when to try again.

use wire::json::{Json, Kind, Object};

use super::{Answer, Interpreted, Limits, RETRY_AFTER, media, status, text};

/// Most single problems of a body that are said.
const PROBLEMS_MAX: usize = 10;

/// Deepest nesting in which a message is looked for.
const DEPTH_MAX: usize = 4;

/// Members that have a message, the likeliest first.
const MESSAGES: [&str; 13] = [
    "detail",
    "message",
    "error_description",
    "error",
    "errors",
    "msg",
    "description",
    "reason",
    "fault",
    "Message",
    "errorMessage",
    "faultstring",
    "title",
];

/// The result of an answer that is an error.
pub(super) fn result(answer: &Answer, limits: &Limits) -> Interpreted {
    let mut sentence = format!("HTTP {}", status::name(answer.status));
    let body = text::decode_bytes(answer);
    let body = String::from_utf8_lossy(&body);
    let is_page = matches!(media::Kind::of(answer, &[]), media::Kind::Html);
    let json = Json::parse(text::decode_bytes(answer), &limits.json).ok();
    let message = json.as_ref().and_then(said);
    if let Some(message) = &message {
        sentence.push_str(": ");
        sentence.push_str(text::cut(message, limits.error_bytes_max).0);
    }
    let retry_after = answer.header("retry-after");
    if let Some(after) = retry_after {
        let is_seconds = after.bytes().all(|byte| byte.is_ascii_digit());
        let (after, _) = text::cut(after, 100);
        let when =
            if is_seconds { format!("in {after} seconds") } else { format!("after {after}") };
        sentence.extend(["\nTry again ", &when, "."]);
    }
    let body = if is_page { text::without_tags(&body).into() } else { body };
    let body = body.trim();
    // A text that was said already is not said twice.
    let is_said =
        message.as_ref().is_some_and(|it| json.as_ref().is_some_and(|json| says_only(json, it)));
    if !body.is_empty() && !is_said {
        if is_file(answer) {
            let size = answer.body.len();
            sentence.extend(["\n\n(The body is no text: ", &size.to_string(), " bytes.)"]);
        } else {
            let (kept, is_cut) = text::cut(body, limits.error_bytes_max);
            sentence.push_str("\n\n");
            sentence.push_str(kept);
            if is_cut || answer.is_partial {
                sentence.push_str(" … (cut)");
            }
        }
    }
    let mut result = Interpreted { is_error: true, ..Interpreted::text(&sentence) };
    if is_page {
        result.note("the API answered with a page of HTML; this is its text without tags");
    }
    if let Some(after) = retry_after {
        result.meta.push((RETRY_AFTER, Json::string(after)));
    }
    result
}

fn is_file(answer: &Answer) -> bool {
    matches!(media::Kind::of(answer, &[]), media::Kind::File(_))
}

/// What a body says, in one line: the problem details of RFC 9457, or the members that APIs use.
fn said(json: &Json) -> Option<String> {
    let object = json.object();
    if let Some(object) = &object
        && let (Some(title), Some(detail)) = (object.text("title"), object.text("detail"))
    {
        let text = if detail.contains(&*title) {
            detail.into_owned()
        } else {
            format!("{title}: {detail}")
        };
        return Some(with_problems(text, object));
    }
    message(json, 0)
}

fn with_problems(text: String, object: &Object) -> String {
    let problems = object.get("errors").or_else(|| object.get("invalid-params"));
    match problems.and_then(|it| message(&it, 1)) {
        Some(problems) => format!("{text} ({problems})"),
        None => text,
    }
}

fn message(json: &Json, depth: usize) -> Option<String> {
    if depth > DEPTH_MAX {
        return None;
    }
    match json.kind() {
        Kind::String => json.text().map(|it| it.trim().to_owned()).filter(|it| !it.is_empty()),
        Kind::Array => {
            let elements = json.elements()?;
            let all = elements.iter().take(PROBLEMS_MAX).filter_map(|it| message(it, depth + 1));
            let mut all: Vec<String> = all.collect();
            if elements.len() > PROBLEMS_MAX {
                all.push("…".to_owned());
            }
            Some(all.join("; ")).filter(|it| !it.is_empty())
        }
        Kind::Object => of_object(&json.object()?, depth),
        _ => None,
    }
}

fn of_object(object: &Object, depth: usize) -> Option<String> {
    let text = MESSAGES.iter().find_map(|key| message(&object.get(key)?, depth + 1));
    let Some(mut text) = text else {
        // `{"name": ["is required"], "age": ["is no number"]}`.
        let of_field = |(key, value): (std::borrow::Cow<'_, str>, Json)| {
            let is_list = value.kind() == Kind::Array;
            let said = if is_list { message(&value, depth + 1) } else { None };
            said.map(|it| format!("{key}: {it}"))
        };
        let fields: Vec<String> =
            object.members().filter_map(of_field).take(PROBLEMS_MAX).collect();
        return Some(fields.join("; ")).filter(|it| !it.is_empty());
    };
    // An error code that is no mere repetition of the status.
    let code = ["code", "error_code", "errorCode", "type"].iter().find_map(|key| object.text(key));
    if let Some(code) = code.filter(|it| !it.is_empty() && it.len() < 80 && !text.contains(&**it)) {
        text = format!("{text} [{code}]");
    }
    let place = ["field", "param", "parameter", "property", "pointer", "path", "loc", "name"];
    let place = place.iter().find_map(|key| {
        let value = object.get(key)?;
        match value.kind() {
            Kind::String => value.text().map(std::borrow::Cow::into_owned),
            Kind::Array => {
                let parts = value.elements()?;
                let text = |it: &Json| {
                    it.text().map_or_else(|| it.as_str().to_owned(), std::borrow::Cow::into_owned)
                };
                Some(parts.iter().map(text).collect::<Vec<_>>().join("."))
            }
            _ => None,
        }
    });
    Some(match place.filter(|it| !it.is_empty() && it.len() < 200) {
        Some(place) if depth > 0 => format!("{place}: {text}"),
        _ => text,
    })
}

/// Whether a body has nothing but the message.
fn says_only(json: &Json, said: &str) -> bool {
    match json.kind() {
        Kind::String => true,
        Kind::Object => json.object().is_some_and(|object| {
            object.len() == 1
                && object
                    .members()
                    .all(|(_, value)| value.text().is_some_and(|it| it.trim() == said))
        }),
        _ => false,
    }
}
