//! Tags by which an endpoint chooses, compared with those that its servers can have.

use std::collections::BTreeMap;

use super::{Composition, Endpoint, Serves};
use crate::{
    diagnostic::Code,
    model::{
        name::{Pattern, ServerName},
        server::Server,
    },
    tree::{Node, Value},
    walk::{Cx, nearest},
};

/// Warns of tags that nothing here can have. What a document says is known when it is read.
pub(super) fn warn_of_unknown(
    endpoint: &Endpoint,
    servers: Option<&Node>,
    tags: Option<&Node>,
    served: &BTreeMap<ServerName, Server>,
    cx: &mut Cx<'_>,
) {
    let Serves::Composed(composition) = &endpoint.serves else { return };
    let known = |name: &ServerName| served.get(name).and_then(Server::known_tags);
    let all = match composition {
        Composition::Everything => served.keys().map(known).collect::<Option<Vec<_>>>(),
        Composition::Chosen(members) => {
            let items = servers.map(elements).unwrap_or_default();
            for (member, item) in members.iter().zip(items) {
                let node = item.entries().first().and_then(|entry| entry.node.get("tags"));
                if let (Some(patterns), Some(node)) = (&member.tags, node) {
                    warn(node, patterns, known(&member.server).as_deref(), cx);
                }
            }
            members.iter().map(|member| known(&member.server)).collect()
        }
    };
    if let (Some(patterns), Some(node)) = (&endpoint.tags, tags) {
        warn(node, patterns, all.map(|all| all.concat()).as_deref(), cx);
    }
}

fn elements(node: &Node) -> &[Node] {
    match &node.value {
        Value::Sequence(items) => items,
        _ => &[],
    }
}

/// Warns of patterns that none of the tags fits, if all tags are known.
fn warn(node: &Node, patterns: &[Pattern], known: Option<&[&str]>, cx: &mut Cx<'_>) {
    let Some(known) = known else { return };
    for (pattern, item) in patterns.iter().zip(elements(node)) {
        if known.iter().any(|tag| pattern.matches(tag)) {
            continue;
        }
        let message = format!("nothing here has the tag `{}`", pattern.as_str());
        let problem = cx.problem(Code::WithoutEffect, &item.range, message);
        cx.report(match nearest(pattern.as_str(), known.iter().copied()) {
            Some(near) => problem.hint(format!("did you mean `{near}`?")),
            None => problem.hint("servers and their tools get tags by `tags: [TAG]`"),
        });
    }
}
