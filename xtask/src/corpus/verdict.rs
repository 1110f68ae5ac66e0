//! What the judge says of a document, as it writes it.

use serde::Deserialize;
use serde_json::Value;

/// What became of one document.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Verdict {
    pub(super) document: String,
    pub(super) loads: bool,
    /// Why it does not load, or why the judge itself gave up.
    pub(super) error: Option<String>,
    /// Operations by the judge's own count.
    pub(super) operations: u64,
    /// Those of them that are described in a document that is not there.
    pub(super) undescribed: u64,
    /// Operations that should have become tools and have not.
    pub(super) missing: Vec<String>,
    pub(super) tools: u64,
    /// Names that no host takes, or that are there twice.
    pub(super) names: Vec<String>,
    /// Schemas that are invalid or refer to something outside of themselves.
    pub(super) schemas: Vec<String>,
    pub(super) input_bytes: u64,
    pub(super) output_bytes: u64,
    pub(super) outputs: u64,
    pub(super) list_bytes: u64,
    pub(super) cost: Option<Cost>,
    /// Why Prism takes the document not at all, or only mended.
    pub(super) prism_error: Option<String>,
    pub(super) prism_mended: Option<String>,
    pub(super) cases: Vec<Case>,
}

/// What the gateway has used until it had answered `tools/list`.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Cost {
    pub(super) cpu_ms: u64,
    #[serde(rename = "peakKiB")]
    pub(super) peak_kib: u64,
}

/// One call.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Case {
    pub(super) operation: String,
    pub(super) kind: String,
    pub(super) features: Vec<String>,
    pub(super) outcome: Outcome,
    pub(super) why: Option<String>,
    /// Whether a reference client gets such a request accepted.
    pub(super) countable: bool,
    /// Arguments whose value is not on the wire.
    pub(super) lost: Vec<String>,
    /// How many requests more than one were made.
    pub(super) others: u64,
    pub(super) arguments: Value,
    pub(super) request: Value,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Outcome {
    /// Prism found nothing wrong.
    Accepted,
    /// Prism found something wrong.
    Refused,
    /// Arguments that fit the schema led to no request.
    NotSent,
    /// The schema cannot be compiled.
    InvalidSchema,
    /// The generator found no arguments that fit.
    NotGenerated,
    /// The judge itself failed.
    Unjudged,
    /// Prism does not know the operation.
    #[default]
    Unknown,
}

/// A fault of Prism: what it refuses although it is right.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Fault {
    /// What it says, in part.
    says: String,
    /// What the request's body is, where that matters.
    body: Option<String>,
    /// How its media type begins, where that matters.
    #[serde(rename = "contentType")]
    content_type: Option<String>,
    /// What is wrong with it.
    pub(super) why: String,
    /// How that is known.
    #[expect(dead_code, reason = "for those who read the list")]
    proof: String,
}

impl Fault {
    /// Whether this is why a call was refused.
    pub(super) fn explains(&self, case: &Case) -> bool {
        let said = case.why.as_deref().unwrap_or_default();
        let body = case.request.get("body").and_then(Value::as_str).unwrap_or_default();
        let content_type = case.request.pointer("/headers/content-type").and_then(Value::as_str);
        let content_type = content_type.unwrap_or_default();
        case.outcome == Outcome::Refused
            && said.contains(&self.says)
            && self.body.as_deref().is_none_or(|wanted| wanted == body)
            && self.content_type.as_deref().is_none_or(|wanted| content_type.starts_with(wanted))
    }
}
