//! Where an API is: one address, or several that requests are shared out to.

use schemars::JsonSchema;

use crate::{
    diagnostic::Code,
    model::{
        server::remote::{self, RemoteUrl},
        word::words,
    },
    tree::{Node, Value},
    walk::Cx,
};

words! {
    /// Which of several addresses of an API a request goes to. One that cannot be connected to is
    /// passed over in any case.
    Balance {
        /// The first that can be connected to.
        #[default]
        First = "first",
        /// One after the other.
        RoundRobin = "round-robin",
        /// The one with the fewest calls in flight.
        LeastCalls = "least-calls",
    }
}

/// The address of an API with its forms, for the schema alone.
#[derive(JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only its schema is used")]
pub(super) enum WrittenAddresses {
    /// One.
    One(String),
    /// Several.
    Several(Vec<String>),
}

/// Most addresses of one API.
const ADDRESSES_MAX: usize = 64;

/// Reads one URL, or a list of them; each with its place.
pub(super) fn read<'n>(node: &'n Node, cx: &mut Cx<'_>) -> Option<Vec<(RemoteUrl, &'n Node)>> {
    let Value::Sequence(items) = &node.value else {
        return remote::read_url(node, cx).map(|url| vec![(url, node)]);
    };
    if items.is_empty() || items.len() > ADDRESSES_MAX {
        let message =
            format!("an API has 1 to {ADDRESSES_MAX} addresses, this list {}", items.len());
        cx.report(cx.problem(Code::OutOfRange, &node.range, message));
        return None;
    }
    // Every address is read, so that all problems are found.
    let read: Vec<_> = items.iter().map(|item| remote::read_url(item, cx)).collect();
    let mut addresses: Vec<(RemoteUrl, &Node)> = Vec::with_capacity(items.len());
    for (url, item) in read.into_iter().zip(items) {
        let url = url?;
        if addresses.iter().any(|(known, _)| known.url() == url.url()) {
            let message = format!("the address {url} is written twice");
            let problem = cx.problem(Code::DuplicateKey, &item.range, message);
            cx.report(problem.hint("addresses have no weights; write each once"));
            return None;
        }
        addresses.push((url, item));
    }
    Some(addresses)
}
