//! `subscriptions/listen`: what a client asked to hear, and the messages it gets (2026-07-28).

use serde_json::{Value, json};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use wire::json::Edit;
use wire::message::{encode_notification, encode_result};
use wire::method::name;
use wire::{Id, Json, Object, Request, meta};

use super::{Change, Server};

/// Most URIs one client may subscribe to; each costs a comparison a change.
pub(in crate::example) const SUBSCRIPTIONS_MAX: usize = 1_000;

/// One open listen request.
pub(in crate::example) struct Listen {
    id: Id,
    resource_list: bool,
    resources: Vec<String>,
    observable: bool,
}

impl Listen {
    /// Reads the filter. What the server cannot tell is not honoured, and the acknowledgement says so.
    pub(in crate::example) fn read<S: Server>(server: &S, request: &Request) -> Self {
        let filter = request.params.object("notifications").unwrap_or_else(Object::empty);
        let observable = server.changes().is_some();
        let wanted = |key: &str| filter.get(key).and_then(|flag| flag.as_bool()) == Some(true);
        let uris = filter.get("resourceSubscriptions").and_then(|uris| uris.elements());
        let uris = uris.unwrap_or_default();
        Self {
            id: request.id.clone(),
            resource_list: observable && wanted("resourcesListChanged"),
            resources: uris
                .iter()
                .filter(|_| observable)
                .filter_map(|uri| Some(uri.text()?.into_owned()))
                .take(SUBSCRIPTIONS_MAX)
                .collect(),
            observable,
        }
    }

    /// The first message: the part of the filter that is honoured.
    pub(in crate::example) fn acknowledgement(&self) -> Vec<u8> {
        let mut honoured = json!({});
        if self.resource_list {
            honoured["resourcesListChanged"] = true.into();
        }
        if self.observable && !self.resources.is_empty() {
            honoured["resourceSubscriptions"] = self.resources.clone().into();
        }
        self.notification(name::ACKNOWLEDGED, &json!({ "notifications": honoured }))
    }

    /// The message about a change, if the client asked for it.
    fn about(&self, change: &Change) -> Option<Vec<u8>> {
        match change {
            Change::ResourceList => {
                self.resource_list.then(|| self.notification(name::RESOURCES_CHANGED, &json!({})))
            }
            Change::Resource(uri) => self
                .resources
                .contains(uri)
                .then(|| self.notification(name::RESOURCE_UPDATED, &json!({ "uri": uri }))),
        }
    }

    /// Waits for the next change and returns the messages about it, often none. Without a source of
    /// changes it waits for ever.
    pub(in crate::example) async fn next(
        &self,
        changes: &mut Option<broadcast::Receiver<Change>>,
    ) -> Vec<Vec<u8>> {
        let Some(source) = changes else { return std::future::pending().await };
        match source.recv().await {
            Ok(change) => self.about(&change).into_iter().collect(),
            Err(RecvError::Lagged(_)) => self.about_everything(),
            Err(RecvError::Closed) => {
                *changes = None;
                Vec::new()
            }
        }
    }

    /// Everything the client asked for may have changed: for those who could not keep up.
    fn about_everything(&self) -> Vec<Vec<u8>> {
        let resources = self.resources.iter().map(|uri| Change::Resource(uri.clone()));
        std::iter::once(Change::ResourceList)
            .chain(resources)
            .filter_map(|change| self.about(&change))
            .collect()
    }

    /// The last message, when the server ends the stream in order.
    pub(in crate::example) fn end(&self) -> Vec<u8> {
        let result = tagged(&json!({ "resultType": "complete" }), &self.id);
        let result = Object::of_valid(result.bytes()).expect("a tagged object is an object");
        encode_result(&self.id, &result, &[])
    }

    fn notification(&self, method: &str, params: &Value) -> Vec<u8> {
        encode_notification(method, Some(tagged(params, &self.id).as_bytes()))
    }
}

/// The object with the id of the listen request in its `_meta`, verbatim: an integer of any size.
fn tagged(object: &Value, id: &Id) -> Json {
    let mut tag = Vec::with_capacity(64);
    Object::empty().splice(&[Edit::set(meta::SUBSCRIPTION_ID, id.as_bytes())], &mut tag);
    let object = Object::of_valid(Json::from(object).bytes()).expect("the value is an object");
    object.to_json(&[Edit::set("_meta", &tag)])
}
