//! Tags: words that servers and tools carry, and by which endpoints choose them.

use crate::{
    diagnostic::Code,
    tree::Node,
    walk::{Cx, Read},
};

/// Most tags in one place.
const TAGS_MAX: usize = 100;

/// Longest tag in bytes.
const TAG_BYTES_MAX: usize = 200;

/// Reads the tags that something carries.
pub(super) fn read_all(node: &Node, cx: &mut Cx<'_>) -> Option<Vec<String>> {
    let mut tags = Vec::<String>::read(node, cx)?;
    if tags.len() > TAGS_MAX {
        let message = format!("this list has more than {TAGS_MAX} tags");
        cx.report(cx.problem(Code::OutOfRange, &node.range, message));
        return None;
    }
    if tags.iter().any(|tag| !(1..=TAG_BYTES_MAX).contains(&tag.len())) {
        let message = format!("a tag has 1 to {TAG_BYTES_MAX} bytes");
        cx.report(cx.problem(Code::InvalidValue, &node.range, message));
        return None;
    }
    tags.sort();
    tags.dedup();
    Some(tags)
}
