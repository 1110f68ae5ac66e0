//! Outcomes across eras: what a server of one era said, as a client of the other expects it.

use wire::{Era, Json, Method, Object, Outcome, RpcError, Version, code, shape};

use crate::call::{Correlation, Reply};
use crate::fault::{Fault, Reason};
use crate::upstream::Hello;

/// What conversion needs to know of the call and of who answers.
#[derive(Clone, Debug)]
pub(super) struct Conversion {
    method: Method,
    client: Version,
    server: Era,
    /// Who the result says it is from, towards modern clients.
    server_info: Json,
    correlation: Correlation,
}

impl Conversion {
    pub(super) fn new(
        method: Method,
        client: Version,
        correlation: Correlation,
        reply: &Reply,
        composed: bool,
    ) -> Self {
        let server_info = server_info(&reply.hello, composed);
        Self { method, client, server: reply.era(), server_info, correlation }
    }

    /// The era of the server's hop.
    pub(super) fn server(&self) -> Era {
        self.server
    }

    pub(super) fn crosses_eras(&self) -> bool {
        self.client.era() != self.server
    }

    /// The outcome in the client's era; as it is where the eras agree.
    pub(super) fn outcome(&self, outcome: Outcome) -> Outcome {
        match (self.client.era(), self.server) {
            (Era::Modern, Era::Legacy) => self.to_modern(outcome),
            (Era::Legacy, Era::Modern) => self.to_legacy(outcome),
            _ => outcome,
        }
    }

    fn to_modern(&self, outcome: Outcome) -> Outcome {
        match outcome {
            Ok(result) => {
                let json = shape::result_to_modern(self.method, &result, &self.server_info);
                Ok(object(&json))
            }
            Err(error) if error.code == code::URL_ELICITATION_REQUIRED => {
                self.unavailable("the server asks to visit a URL first")
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
            Ok(result) if result.text("resultType").as_deref() == Some("input_required") => {
                self.unavailable("the server asks for input in the middle of the call")
            }
            Ok(result) if result.text("resultType").as_deref() == Some("task") => {
                self.unavailable("the server answered with a task")
            }
            Ok(result) => Ok(object(&shape::result_to_legacy(&result))),
            Err(error)
                if error.code == code::INVALID_PARAMS && self.method == Method::ResourcesRead =>
            {
                Err(RpcError { code: code::RESOURCE_NOT_FOUND, ..error })
            }
            Err(error) if is_reserved(error.code) => {
                Err(RpcError { code: code::INVALID_REQUEST, ..error })
            }
            Err(error) => Err(error),
        }
    }

    /// The end of a call that would need a question to cross between the eras. The server has not
    /// been asked again: it has done whatever it did before asking, and no more.
    fn unavailable(&self, why: &str) -> Outcome {
        let fault = Fault::new(
            Reason::InteractionUnavailable,
            format!(
                "{why}, which this client's protocol version {} cannot be asked through the gate; \
                 use a client of the server's version",
                self.client
            ),
        );
        fault.to_outcome(self.method, self.client.era(), self.correlation.as_str())
    }
}

/// Codes that 2026-07-28 reserves; they speak of one hop and never cross to another era.
const fn is_reserved(code: i64) -> bool {
    code <= -32020 && code >= -32099
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
