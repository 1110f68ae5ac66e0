//! Tools that are made of calls of other servers' tools, as an MCP server of 2026-07-28.
//!
//! Here is what such a server offers and what its arguments and results must look like. The calls
//! themselves are made in `exchange/compose.rs`, since each of them goes through the gate.

mod stream;
mod tool;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use wire::{Json, Method, Object, Outcome, RpcError, Version, code, meta};

pub(crate) use stream::{CompositeStream, Told};
pub(crate) use tool::CompositeTool;

use super::api::Pages;
use super::hello::Hello;
use crate::call::{Body, Call, Reply};
use crate::plan::Settings;

/// The tools of one server that are made of calls.
pub struct CompositeServer {
    hello: Arc<Hello>,
    tools: HashMap<String, Arc<CompositeTool>>,
    pages: Pages,
}

impl CompositeServer {
    /// Makes the tools that the configuration describes; the error says what cannot be used.
    pub(crate) fn new(
        name: &str,
        wanted: &config::Server,
        composite: &config::Composite,
        settings: &Settings,
    ) -> Result<Self, String> {
        let info = info(name, wanted);
        let mut tools = HashMap::new();
        let mut definitions = Vec::new();
        for (name, tool) in &composite.compose {
            let tool = CompositeTool::new(name, tool)?;
            definitions.push((name.clone(), tool.definition().clone()));
            tools.insert(name.clone(), Arc::new(tool));
        }
        let pages = Pages::new(&definitions, &info, settings.page_items, settings.page_bytes);
        Ok(Self { hello: Arc::new(hello(&info)), tools, pages })
    }

    pub(crate) fn hello(&self) -> &Arc<Hello> {
        &self.hello
    }

    /// The tools, in the order of the configuration: name and definition.
    pub(crate) fn definitions(&self) -> impl Iterator<Item = (&str, &Json)> {
        self.pages.definitions()
    }

    /// The tool of this name.
    pub(crate) fn tool(&self, name: &str) -> Option<&Arc<CompositeTool>> {
        self.tools.get(name)
    }

    /// Answers everything but calls of tools, which the exchange makes.
    pub(crate) fn call(&self, call: &Call) -> Reply {
        self.done(match call.method {
            Method::ToolsList => self.pages.page(&call.params),
            Method::Discover => Ok(self.hello.result.clone()),
            Method::Ping => Ok(Object::empty()),
            _ => {
                let method = &*call.method_name;
                let message = format!("Method not found: `{method}`; this server has tools alone");
                Err(RpcError::new(code::METHOD_NOT_FOUND, message))
            }
        })
    }

    pub(crate) fn done(&self, outcome: Outcome) -> Reply {
        self.reply(Body::Done(outcome))
    }

    pub(crate) fn reply(&self, body: Body) -> Reply {
        let streamed = matches!(body, Body::Stream(_));
        Reply { hello: Arc::clone(&self.hello), streamed, body }
    }

    /// The result of a tool that gives `value`. A text without a schema is a text alone.
    pub(crate) fn result(&self, value: &Json, has_schema: bool) -> Object {
        let said = value.text().map_or_else(|| value.as_str().into(), std::borrow::Cow::into_owned);
        let is_structured = has_schema || value.text().is_none();
        self.made(&said, is_structured.then_some(value), false)
    }

    /// The result of a tool that failed.
    pub(crate) fn failed(&self, why: &str) -> Object {
        self.made(why, None, true)
    }

    fn made(&self, said: &str, structured: Option<&Json>, is_error: bool) -> Object {
        let mut text =
            b"{\"resultType\":\"complete\",\"content\":[{\"type\":\"text\",\"text\":".to_vec();
        wire::json::write_string(&mut text, said);
        text.extend_from_slice(b"}]");
        if let Some(value) = structured {
            text.extend_from_slice(b",\"structuredContent\":");
            text.extend_from_slice(value.as_bytes());
        }
        if is_error {
            text.extend_from_slice(b",\"isError\":true");
        }
        let info = self.hello.info.as_ref().map_or("{}", Json::as_str);
        text.extend_from_slice(
            format!(",\"_meta\":{{\"{}\":{info}}}}}", meta::SERVER_INFO).as_bytes(),
        );
        Object::of_valid(&text.into()).expect("written as an object")
    }
}

impl fmt::Debug for CompositeServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CompositeServer").field("tools", &self.tools.len()).finish_non_exhaustive()
    }
}

/// Who the server says it is, as an MCP `Implementation`.
fn info(name: &str, wanted: &config::Server) -> Json {
    let mut text = b"{\"name\":".to_vec();
    wire::json::write_string(&mut text, name);
    if let Some(title) = &wanted.title {
        text.extend_from_slice(b",\"title\":");
        wire::json::write_string(&mut text, title);
    }
    text.extend_from_slice(b",\"version\":\"0\"}");
    Json::trusted(text)
}

fn hello(info: &Json) -> Hello {
    let text = format!(
        "{{\"resultType\":\"complete\",\"supportedVersions\":[\"{}\"],\
         \"capabilities\":{{\"tools\":{{\"listChanged\":true}}}},\
         \"ttlMs\":0,\"cacheScope\":\"private\",\"_meta\":{{\"{}\":{}}}}}",
        Version::LATEST,
        meta::SERVER_INFO,
        info.as_str()
    );
    let result = Object::of_valid(&text.into()).expect("written as an object");
    Hello::new(Version::LATEST, result)
}
