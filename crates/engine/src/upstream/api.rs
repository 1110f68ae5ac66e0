//! An HTTP API as an MCP server of 2026-07-28: its operations are tools, and it has nothing else.
//!
//! [`ApiSource`] reads the document and keeps the last good [`ApiServer`] made of it, which is
//! immutable: a call goes on with the one it began with. What documents and requests mean is said in
//! the crate `openapi`; here are connections, credentials, time and what is checked.

mod access;
mod addresses;
mod base;
mod list;
mod options;
mod plain;
mod reserved;
mod run;
mod secrets;
mod send;
mod source;
mod stream;
mod token;
mod tool;
mod way;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, OnceLock};

use openapi::route::Routes;
use wire::{Json, Method, Object, Outcome, RpcError, code};

pub use addresses::AddressState;
pub(crate) use addresses::Choice;
pub(crate) use secrets::Veil;
pub(crate) use source::{ApiSource, Reached, Reading};
pub(crate) use stream::ApiStream;
pub(crate) use tool::ApiTool;

use super::error::ServerError;
use super::hello::Hello;
use crate::call::{Body, Call, Reply};
pub(super) use list::Pages;
use way::Way;

/// An API that is ready to be called.
pub struct ApiServer {
    hello: Arc<Hello>,
    /// Who it says it is.
    info: Json,
    tools: HashMap<String, Arc<ApiTool>>,
    pages: Pages,
    way: Arc<Way>,
    /// Method and path of every operation of the document.
    operations: Vec<(String, String)>,
    /// Which operation a plain request is for; made when the first one comes.
    routes: OnceLock<Routes>,
}

impl ApiServer {
    pub(crate) fn hello(&self) -> &Arc<Hello> {
        &self.hello
    }

    /// The tools, in the order of the document: name and definition.
    pub(crate) fn definitions(&self) -> impl Iterator<Item = (&str, &Json)> {
        self.pages.definitions()
    }

    /// The tags of a tool.
    pub(crate) fn tags(&self, name: &str) -> &[String] {
        self.tools.get(name).map_or(&[], |tool| tool.tags())
    }

    /// The tool of this name.
    pub(crate) fn tool(&self, name: &str) -> Option<&Arc<ApiTool>> {
        self.tools.get(name)
    }

    /// Answers a call. Dropping the future or the reply's stream closes the request to the API.
    pub(crate) async fn call(self: &Arc<Self>, call: &Call) -> Result<Reply, ServerError> {
        let outcome = match call.method {
            Method::ToolsCall => return self.run(call).await,
            Method::ToolsList => self.pages.page(&call.params),
            Method::Discover => Ok(self.hello.result.clone()),
            Method::Ping => Ok(Object::empty()),
            _ => {
                let method = &*call.method_name;
                let message = format!("Method not found: `{method}`; this server has tools alone");
                Err(RpcError::new(code::METHOD_NOT_FOUND, message))
            }
        };
        Ok(self.reply(Body::Done(outcome)))
    }

    fn reply(&self, body: Body) -> Reply {
        let streamed = matches!(body, Body::Stream(_));
        Reply { hello: Arc::clone(&self.hello), streamed, body }
    }

    fn done(&self, outcome: Outcome) -> Reply {
        self.reply(Body::Done(outcome))
    }
}

impl fmt::Debug for ApiServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiServer").field("tools", &self.tools.len()).finish_non_exhaustive()
    }
}
