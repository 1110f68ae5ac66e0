//! Sends a request to one of the addresses of its operation, and to another only what was certainly not
//! sent.

use std::sync::Arc;

use http::header::{HeaderName, HeaderValue};
use http::{Response, StatusCode};
use openapi::request::Built;
use tokio::time::Instant;

use super::addresses::Choice;
use super::run::of_client;
use super::token::Tokens;
use super::{ApiServer, ApiTool};
use crate::call::Call;
use crate::http::{Accepted, Body, Decoded, Outgoing, Patience, Unanswered};
use crate::upstream::ServerError;

/// What came back of a request.
pub(super) struct Sent {
    pub(super) answer: Response<Body>,
    /// The address that took it.
    pub(super) choice: Choice,
    /// The token that it showed, if that was there already and may have ended.
    pub(super) shown: Option<(Arc<Tokens>, HeaderValue)>,
}

impl ApiServer {
    /// Sends the request of a call; once more, to the same address, where the API refused a token
    /// that may have ended.
    pub(super) async fn send(
        &self,
        tool: &ApiTool,
        built: &Built,
        call: &Call,
    ) -> Result<(Response<Decoded>, Choice), ServerError> {
        let forwarded = &call.forwarded;
        let (head_by, accepted) = (Some(call.deadline), Accepted::Decoded);
        let body = Outgoing::from(built.body.clone());
        let sent = self.dispatch(tool, built, body, forwarded, head_by, accepted).await?;
        let Sent { mut answer, choice, shown } = sent;
        if answer.status() == StatusCode::UNAUTHORIZED
            && let Some((tokens, token)) = shown
        {
            tokens.forget(&token).await;
            let (request, _) = self.request(tool, choice.base(), built, forwarded).await?;
            let client = self.way.client(choice.base().is_foreign);
            let patience = Patience { connected_by: None, head_by };
            let sent = client.deliver(request.map(Outgoing::from), patience, accepted).await;
            answer = sent.map_err(|unanswered| of_client(unanswered.error))?;
        }
        Ok((Decoded::of(answer).map_err(of_client)?, choice))
    }

    /// Sends a request to the address that is chosen for it. Where certainly nothing of it was sent,
    /// another is chosen.
    pub(super) async fn dispatch(
        &self,
        tool: &ApiTool,
        built: &Built,
        mut body: Outgoing,
        forwarded: &[(HeaderName, HeaderValue)],
        head_by: Option<Instant>,
        accepted: Accepted,
    ) -> Result<Sent, ServerError> {
        let answerable = |problem: &String| ServerError::Answer(problem.clone());
        let mut choices = tool.addresses.as_ref().map_err(answerable)?.choices();
        let end = head_by.unwrap_or_else(|| Instant::now() + self.way.timeout);
        let mut last = None;
        while let Some(choice) = choices.next() {
            let (request, shown) = self.request(tool, choice.base(), built, forwarded).await?;
            let client = self.way.client(choice.base().is_foreign);
            let patience = Patience { connected_by: choices.connected_by(end), head_by };
            match client.deliver(request.map(|_| body), patience, accepted).await {
                Ok(answer) => {
                    choice.reached(&self.way.server);
                    return Ok(Sent { answer, choice, shown });
                }
                Err(Unanswered { error, body: Some(unsent) }) => {
                    choice.missed(&self.way.server, &error);
                    (last, body) = (Some(error), unsent);
                    if end <= Instant::now() {
                        break;
                    }
                }
                Err(Unanswered { error, body: None }) => {
                    return Err(of_client(error));
                }
            }
        }
        Err(of_client(last.expect("an operation has an address that is tried")))
    }
}
