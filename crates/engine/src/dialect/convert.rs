//! Outcomes across versions: what a server of one version said, as a client of another expects it.

use wire::json::Edit;
use wire::shape::older::{self, Output};
use wire::{Era, Json, Method, Object, Outcome, RpcError, Version, code, header, shape};

use crate::call::{Correlation, Reply};
use crate::fault::{Fault, Reason};
use crate::interaction::{pages_of, unvisited_pages};
use crate::upstream::Hello;

/// What conversion needs to know of the call and of who answers.
#[derive(Clone, Debug)]
pub(super) struct Conversion {
    method: Method,
    client: Version,
    server: Version,
    /// Who the result says it is from, towards modern clients.
    server_info: Json,
    /// What is known of the structured results of the tool that was called.
    output: Output,
    correlation: Correlation,
}

impl Conversion {
    pub(super) fn new(
        method: Method,
        client: Version,
        correlation: Correlation,
        reply: &Reply,
        output: Output,
        composed: bool,
    ) -> Self {
        let server_info = server_info(&reply.hello, composed);
        Self { method, client, server: reply.hello.version, server_info, output, correlation }
    }

    /// The version of the server's hop.
    pub(super) fn server(&self) -> Version {
        self.server
    }

    pub(super) fn crosses_eras(&self) -> bool {
        self.client.era() != self.server.era()
    }

    /// Whether the server may say what the client's version does not know.
    pub(super) fn is_newer(&self) -> bool {
        self.server > self.client
    }

    /// The outcome in the client's version; as it is where the versions agree.
    pub(super) fn outcome(&self, outcome: Outcome) -> Outcome {
        match (self.client.era(), self.server.era()) {
            (Era::Modern, Era::Legacy) => self.to_modern(outcome),
            (Era::Legacy, Era::Modern) => self.older(self.to_legacy(outcome)),
            (Era::Legacy, Era::Legacy) => self.older(outcome),
            _ => outcome,
        }
    }

    fn to_modern(&self, outcome: Outcome) -> Outcome {
        match outcome {
            // What the gate made of a legacy server's question, or of its task.
            Ok(result)
                if matches!(
                    result.raw("resultType"),
                    Some(b"\"input_required\"" | b"\"task\"")
                ) =>
            {
                let meta = shape::with_server_info(&result, &self.server_info);
                Ok(result.with(&[Edit::set("_meta", meta.as_bytes())]))
            }
            Ok(result) => {
                let json = shape::result_to_modern(self.method, &result, &self.server_info);
                Ok(object(&json))
            }
            Err(error) if error.code == code::RESOURCE_NOT_FOUND => {
                Err(RpcError { code: code::INVALID_PARAMS, ..error })
            }
            Err(error) if is_reserved(error.code) => {
                Err(RpcError { code: code::INTERNAL_ERROR, ..error })
            }
            Err(error) => Err(error),
        }
    }

    fn to_legacy(&self, outcome: Outcome) -> Outcome {
        match outcome {
            Ok(result) if result.raw("resultType") == Some(b"\"input_required\"") => self
                .unavailable(&format!(
                    "the server asks for input, which `{}` has no place for",
                    self.method.name().unwrap_or("this method")
                )),
            Ok(result) => {
                let result = shape::result_to_legacy(&result);
                let fewer = (self.method == Method::ToolsList).then(|| without_broken(&result));
                Ok(fewer.flatten().unwrap_or(result))
            }
            Err(error)
                if error.code == code::INVALID_PARAMS && self.method == Method::ResourcesRead =>
            {
                Err(RpcError { code: code::RESOURCE_NOT_FOUND, ..error })
            }
            Err(error) if error.code == code::MISSING_CLIENT_CAPABILITY => {
                let what =
                    format!("the server wants a client with more capabilities: {}", error.message);
                self.unavailable(&what)
            }
            Err(error) if is_reserved(error.code) => {
                Err(RpcError { code: code::INVALID_REQUEST, ..error })
            }
            Err(error) => Err(error),
        }
    }

    /// What is newer than the client, in the words of its version.
    fn older(&self, outcome: Outcome) -> Outcome {
        match outcome {
            Ok(result) => {
                let older = older::result(self.method, &result, self.client, self.output);
                Ok(older.unwrap_or(result))
            }
            Err(error)
                if error.code == code::URL_ELICITATION_REQUIRED
                    && self.client < Version::V2025_11_25 =>
            {
                let fault = unvisited_pages(&pages_of(&error));
                fault.to_outcome(self.method, Era::Legacy, self.correlation.as_str())
            }
            Err(error) => Err(error),
        }
    }

    /// The end of a call that needs what this client does not have. The server has not been asked
    /// again: it has done whatever it did before, and no more.
    fn unavailable(&self, why: &str) -> Outcome {
        let fault = Fault::new(
            Reason::InteractionUnavailable,
            format!("{why}; this client speaks {}", self.client),
        );
        fault.to_outcome(self.method, self.client.era(), self.correlation.as_str())
    }
}

/// Codes that 2026-07-28 reserves; they speak of one hop and never cross to another era.
const fn is_reserved(code: i64) -> bool {
    code <= -32020 && code >= -32099
}

/// A list of tools without those whose mirrored arguments break the rules; `None` where all keep them.
/// A modern client leaves such tools out itself, a legacy one does not know what to look for.
fn without_broken(result: &Object) -> Option<Object> {
    let tools = result.get("tools")?.elements()?;
    let is_broken = |tool: &Json| {
        let schema = tool.object().and_then(|tool| tool.object("inputSchema"));
        schema.is_some_and(|schema| header::params_of_schema(&schema).is_err())
    };
    let kept: Vec<_> = tools.iter().filter(|tool| !is_broken(tool)).map(Json::as_str).collect();
    if kept.len() == tools.len() {
        return None;
    }
    let kept = Json::trusted(format!("[{}]", kept.join(",")));
    Some(result.with(&[Edit::set("tools", kept.as_bytes())]))
}

fn server_info(hello: &Hello, composed: bool) -> Json {
    match &hello.info {
        Some(info) if !composed => info.clone(),
        _ => crate::identity(),
    }
}

fn object(json: &Json) -> Object {
    json.object().expect("a converted result is an object")
}
