//! Sends the request of a call, and again only what was certainly not taken.

use http::{Response, StatusCode};
use openapi::request::Built;

use super::base::Base;
use super::run::of_client;
use super::{ApiServer, ApiTool};
use crate::call::Call;
use crate::http::{Accepted, Decoded, Outgoing, Patience};
use crate::upstream::ServerError;

impl ApiServer {
    /// Sends the request; once more where the API refused a token that may have ended.
    pub(super) async fn send(
        &self,
        tool: &ApiTool,
        base: &Base,
        built: &Built,
        call: &Call,
    ) -> Result<Response<Decoded>, ServerError> {
        let client = self.way.client(base.is_foreign);
        let patience = Patience { head_by: Some(call.deadline), ..Patience::default() };
        let (request, shown) = self.request(tool, base, built, &call.forwarded).await?;
        let sent = client.deliver(request.map(Outgoing::from), patience, Accepted::Decoded).await;
        let mut answer = sent.map_err(|unanswered| of_client(unanswered.error))?;
        if answer.status() == StatusCode::UNAUTHORIZED
            && let Some((tokens, token)) = shown
        {
            tokens.forget(&token).await;
            let (request, _) = self.request(tool, base, built, &call.forwarded).await?;
            let sent = client.deliver(request.map(Outgoing::from), patience, Accepted::Decoded);
            answer = sent.await.map_err(|unanswered| of_client(unanswered.error))?;
        }
        Decoded::of(answer).map_err(of_client)
    }
}
