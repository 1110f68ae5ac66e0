//! From what a call names on a composed endpoint to the server and the server's own name for it.

use std::sync::Arc;

use tokio::time::Instant;
use wire::json::Edit;
use wire::{Era, Json, Method, Object, code, meta, shape};

use super::dispatch::{self, finish, send, supported_versions, uri_of};
use super::opaque::{self, Resealing};
use super::{Answer, PageOut, Ticket};
use crate::call::{Body, Call};
use crate::catalog::{Target, View};
use crate::fault::{Fault, Reason};
use crate::fleet::Server;
use crate::gate::Gate;
use crate::interaction::task;
use crate::plan::{Composed, Endpoint, Snapshot};
use crate::seal::Unsealable;

/// A call on a composed endpoint.
pub(super) async fn and_dispatch(
    gate: &Arc<Gate>,
    snapshot: &Arc<Snapshot>,
    endpoint: &Arc<Endpoint>,
    composed: &Composed,
    call: Box<Call>,
    ticket: &mut Ticket,
) -> Result<Answer, Fault> {
    let way = Way { gate, snapshot, endpoint, composed };
    match call.method {
        Method::ToolsCall | Method::PromptsGet => way.by_name(call, ticket).await,
        // What is rarer is kept out of the state that every call carries.
        Method::ResourcesRead => Box::pin(way.read(call, ticket)).await,
        Method::Complete => Box::pin(way.complete(call, ticket)).await,
        method if method.is_list() => Box::pin(way.list(&call)).await,
        Method::Discover => Ok(Answer::Own(Box::pin(way.describe(&call)).await)),
        Method::ResourcesSubscribe | Method::ResourcesUnsubscribe => {
            Box::pin(way.subscribe(&call)).await
        }
        Method::TasksGet | Method::TasksUpdate | Method::TasksCancel => {
            Box::pin(way.of_task(call, ticket)).await
        }
        Method::SetLevel => {
            let mut call = call;
            call.deadline = Instant::now() + SET_LEVEL_WAIT;
            Box::pin(way.set_level(&call)).await;
            Ok(Answer::Own(Object::empty()))
        }
        _ => Err(Fault::new(
            Reason::UnknownMethod,
            format!(
                "`{}` is not served on a composed endpoint; use /servers/NAME/mcp of the server that knows it",
                &*call.method_name
            ),
        )),
    }
}

/// How long a server may take to set a log level.
const SET_LEVEL_WAIT: std::time::Duration = std::time::Duration::from_secs(5);

struct Way<'a> {
    gate: &'a Arc<Gate>,
    snapshot: &'a Arc<Snapshot>,
    endpoint: &'a Arc<Endpoint>,
    composed: &'a Composed,
}

impl Way<'_> {
    /// The view as last built, or the first one.
    async fn view(&self, call: &Call) -> Arc<View> {
        match self.composed.views.last(call.caller.abilities()) {
            Some(view) => view,
            None => Box::pin(self.fresh_view(call)).await,
        }
    }

    async fn fresh_view(&self, call: &Call) -> Arc<View> {
        let wait = self.snapshot.limits.cold_list_wait.get();
        self.composed.views.current(call.caller.abilities(), wait).await
    }

    async fn by_name(&self, call: Box<Call>, ticket: &mut Ticket) -> Result<Answer, Fault> {
        let name = call
            .params
            .text("name")
            .ok_or_else(|| Fault::new(Reason::InvalidParams, "`name` must be a string"))?
            .into_owned();
        let find = |view: &View| match call.method {
            Method::PromptsGet => view.prompt(&name).cloned(),
            _ => view.tool(&name).cloned(),
        };
        let is_tool = call.method != Method::PromptsGet;
        let mut target = find(&*self.view(&call).await);
        if is_tool && self.composed.views.are_tagged() {
            target = target.filter(|target| self.still_offers(target));
        }
        if target.is_none() {
            // It may be new, or its server may have been away when the view was built.
            target = find(&*Box::pin(self.fresh_view(&call)).await);
        }
        let Some(target) = target else {
            let kind = if call.method == Method::PromptsGet { "prompt" } else { "tool" };
            return Err(Fault::new(Reason::UnknownName, format!("Unknown {kind}: {name}")));
        };
        let own = Json::string(&target.original);
        let call = Self::for_server(call, &[Edit::set("name", own.as_bytes())]);
        self.send(call, &target, None, ticket).await
    }

    /// A call about a task: its id opens for the server that made the task, and for no other.
    async fn of_task(&self, call: Box<Call>, ticket: &mut Ticket) -> Result<Answer, Fault> {
        for offer in self.composed.views.offers() {
            let resealing =
                Resealing::of(&call, self.endpoint, &offer.server, &self.snapshot.limits);
            if resealing.open(self.gate, &mut call.clone()).is_ok() {
                let target = Target { server: Arc::clone(&offer.server), original: String::new() };
                return self.send(Self::for_server(call, &[]), &target, None, ticket).await;
            }
        }
        Err(opaque::unsealable("taskId", Unsealable::Foreign))
    }

    /// The call as the server gets it: under its own names, and without extensions that end here.
    fn for_server(mut call: Box<Call>, edits: &[Edit<'_>]) -> Box<Call> {
        let capabilities = call
            .meta
            .object(meta::CLIENT_CAPABILITIES)
            .filter(|capabilities| capabilities.has("extensions"));
        // Tasks of 2025-11-25 are not offered here, whatever a client tries.
        let mut edits = edits.to_vec();
        edits.push(Edit::remove("task"));
        let Some(capabilities) = capabilities else {
            call.params = call.params.with(&edits);
            return call;
        };
        let without = capabilities.with(&[Edit::remove("extensions")]);
        let core = if shape::task::declared(&capabilities) {
            shape::task::declaring(&without)
        } else {
            without.to_json(&[])
        };
        call.meta = call.meta.with(&[Edit::set(meta::CLIENT_CAPABILITIES, core.as_bytes())]);
        let meta = call.meta.to_json(&[]);
        edits.push(Edit::set("_meta", meta.as_bytes()));
        call.params = call.params.with(&edits);
        call
    }

    async fn send(
        &self,
        mut call: Box<Call>,
        target: &Target,
        uri: Option<(String, String)>,
        ticket: &mut Ticket,
    ) -> Result<Answer, Fault> {
        let server = &target.server;
        task::declare(server, &mut call);
        call.deadline = Instant::now() + server.wanted.timeout.get();
        let composed = opaque::Composed {
            server: Arc::clone(server),
            endpoint: Arc::clone(self.endpoint),
            uri,
        };
        let resealing =
            Resealing::of(&call, self.endpoint, server, &self.snapshot.limits).composed(composed);
        resealing.open(self.gate, &mut call)?;
        let reply = send(self.gate, self.snapshot, server, &call, true, ticket).await?;
        Ok(Answer::Reply(finish(self.gate, reply, &resealing)?, Box::new(resealing)))
    }

    /// `resources/read`: exact, learned, by template, and at last by asking each server in turn.
    async fn read(&self, call: Box<Call>, ticket: &mut Ticket) -> Result<Answer, Fault> {
        let uri = uri_of(&call)?;
        let era = call.caller.era();
        if let Some(target) = self.resource(&call, &uri).await {
            let own = Json::string(&target.original);
            let renamed = (target.original != uri).then(|| (uri.clone(), target.original.clone()));
            let call = Self::for_server(call, &[Edit::set("uri", own.as_bytes())]);
            return self.send(call, &target, renamed, ticket).await;
        }
        let view = self.view(&call).await;
        for server in &view.with_resources {
            if !self.offers(server, &uri) {
                continue;
            }
            let target = Target { server: Arc::clone(server), original: uri.clone() };
            let attempt = Self::for_server(call.clone(), &[]);
            match self.send(attempt, &target, None, ticket).await {
                Ok(Answer::Reply(reply, resealing)) if !is_miss(&reply.body) => {
                    self.composed.learned.learn(&uri, server);
                    return Ok(Answer::Reply(reply, resealing));
                }
                // Not here, or away: the next may have it.
                _ => {}
            }
        }
        Err(Fault::unknown_resource(&uri, era))
    }

    /// The server of a URI, as far as it can be told without asking.
    async fn resource(&self, call: &Call, uri: &str) -> Option<Target> {
        let view = self.view(call).await;
        let own = |server: Arc<Server>| Target { server, original: uri.to_owned() };
        view.resource(uri)
            .or_else(|| self.composed.learned.server_of(uri).map(own))
            .or_else(|| view.template_for(uri).map(|target| own(Arc::clone(&target.server))))
            .filter(|target| self.offers(&target.server, &target.original))
    }

    /// Whether the endpoint offers this resource of the server.
    fn offers(&self, server: &Arc<Server>, uri: &str) -> bool {
        let offers = self.composed.views.offers();
        let offer = offers.iter().find(|offer| Arc::ptr_eq(&offer.server, server));
        let is_view = uri.starts_with("ui://") && !server.wanted.app_views;
        !is_view && offer.is_some_and(|offer| offer.offers_resource(uri))
    }

    /// Whether a tool has the tags that the endpoint asks for since its document was last read: the
    /// view may be older.
    fn still_offers(&self, target: &Target) -> bool {
        let offers = self.composed.views.offers();
        let offer = offers.iter().find(|offer| Arc::ptr_eq(&offer.server, &target.server));
        offer.is_some_and(|offer| {
            offer.offers_all_kinds()
                || target.server.has_tool(&target.original, |tags| offer.has_tags(tags))
        })
    }

    /// `completion/complete`: by the owner of the prompt or template that is completed.
    async fn complete(&self, call: Box<Call>, ticket: &mut Ticket) -> Result<Answer, Fault> {
        let invalid = |what: &str| Fault::new(Reason::InvalidParams, what.to_owned());
        let reference =
            call.params.object("ref").ok_or_else(|| invalid("`ref` must be an object"))?;
        let view = self.view(&call).await;
        let (key, target) = match reference.text("type").as_deref() {
            Some("ref/prompt") => {
                let name =
                    reference.text("name").ok_or_else(|| invalid("`ref.name` must be a string"))?;
                ("name", view.prompt(&name).cloned())
            }
            Some("ref/resource") => {
                let uri =
                    reference.text("uri").ok_or_else(|| invalid("`ref.uri` must be a string"))?;
                let target = view.template(&uri).or_else(|| view.resource(&uri));
                ("uri", target.filter(|target| self.offers(&target.server, &target.original)))
            }
            _ => return Err(invalid("`ref.type` must be `ref/prompt` or `ref/resource`")),
        };
        let target = target.ok_or_else(|| {
            Fault::new(Reason::UnknownName, "`ref` names nothing that this endpoint offers")
        })?;
        let own = Json::string(&target.original);
        let reference = reference.to_json(&[Edit::set(key, own.as_bytes())]);
        let call = Self::for_server(call, &[Edit::set("ref", reference.as_bytes())]);
        self.send(call, &target, None, ticket).await
    }

    async fn list(&self, call: &Call) -> Result<Answer, Fault> {
        let start = opaque::open_position(self.gate, call, &self.endpoint.path)?;
        let view = self.fresh_view(call).await;
        let page = view.page(call.method, start).ok_or_else(|| {
            Fault::new(
                Reason::InvalidParams,
                "the list has changed since `cursor` was given out; begin again without it",
            )
        })?;
        let next_cursor =
            page.next.map(|next| opaque::seal_position(self.gate, call, &self.endpoint.path, next));
        Ok(Answer::Page(PageOut {
            member: view.member(call.method, start, page, call.caller.version),
            next_cursor,
            ttl_ms: view.ttl_ms,
            is_public: view.is_public,
        }))
    }

    /// The gate's `DiscoverResult` for this endpoint.
    async fn describe(&self, call: &Call) -> Object {
        let view = self.fresh_view(call).await;
        let versions = supported_versions();
        let mut edits = vec![
            Edit::set("resultType", b"\"complete\""),
            Edit::set("supportedVersions", versions.as_bytes()),
            Edit::set("capabilities", view.capabilities.as_bytes()),
        ];
        let instructions = view.instructions.as_deref().map(Json::string);
        if let Some(instructions) = &instructions {
            edits.push(Edit::set("instructions", instructions.as_bytes()));
        }
        let ttl = view.ttl_ms.to_string();
        edits.push(Edit::set("ttlMs", ttl.as_bytes()));
        edits.push(Edit::set(
            "cacheScope",
            if view.is_public { b"\"public\"" } else { b"\"private\"" },
        ));
        let identity = self.composed.identity();
        let meta = format!("{{\"{}\":{}}}", meta::SERVER_INFO, identity.as_str());
        edits.push(Edit::set("_meta", meta.as_bytes()));
        Object::empty().with(&edits)
    }

    async fn subscribe(&self, call: &Call) -> Result<Answer, Fault> {
        let uri = uri_of(call)?;
        let target = self
            .resource(call, &uri)
            .await
            .ok_or_else(|| Fault::unknown_resource(&uri, call.caller.era()))?;
        dispatch::subscribe(&target.server, call, &target.original, &uri).await;
        Ok(Answer::Own(Object::empty()))
    }

    /// Passes the level on to the client's own conversations; later ones begin with it.
    async fn set_level(&self, call: &Call) {
        let Some(conversation) = &call.caller.conversation else { return };
        for offer in self.composed.views.offers() {
            let Some(peer) = offer.server.own_peer(conversation.key()) else { continue };
            if peer.era() == Era::Legacy && peer.hello().abilities.logging {
                let _ = tokio::time::timeout_at(call.deadline, peer.call(call)).await;
            }
        }
    }
}

/// Whether a server said that it does not have the resource.
fn is_miss(body: &Body) -> bool {
    matches!(body, Body::Done(Err(error))
        if matches!(error.code, code::RESOURCE_NOT_FOUND | code::INVALID_PARAMS | code::METHOD_NOT_FOUND))
}
