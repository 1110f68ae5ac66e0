//! Names that every host takes, unique in a list, and the same when the document grows.

use std::collections::{BTreeMap, HashMap};

use super::Tool;
use crate::model::Operation;
use crate::report::{Finding, Report, Severity};

/// Longest name of a tool: hosts allow 64, and some put the name of the server before it.
pub(super) const NAME_LEN_MAX: usize = 60;

/// How long the part is that tells cut or equal names apart.
const HASH_LEN: usize = 6;

/// Whether every host takes a name.
pub(super) fn fits(name: &str) -> bool {
    let is_fine = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    (1..=NAME_LEN_MAX).contains(&name.len()) && name.bytes().all(is_fine)
}

/// A tool as the document alone makes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Its name.
    pub name: String,
    /// The operation's method.
    pub method: String,
    /// The operation's path.
    pub path: String,
}

/// Names that clients know, each with the operation that it is of: what a name means does not change
/// as long as the gate runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Held {
    tools: BTreeMap<String, Identity>,
}

impl Held {
    /// The names of tools.
    pub fn of<'t>(tools: impl Iterator<Item = &'t Tool>) -> Self {
        let named = tools.map(|tool| (tool.identity.name.clone(), tool.identity.clone()));
        Self { tools: named.collect() }
    }

    fn is_of(&self, name: &str, operation: &Operation) -> bool {
        let holder = self.tools.get(name);
        holder.is_some_and(|it| it.method == operation.method && it.path == operation.path)
    }
}

/// The names of operations, in their order.
///
/// A name that `held` knows stays with its operation (method and path) as long as the operation would
/// still be called so. Of several others that want the same name the first has it, and the rest get a
/// part that depends on nothing but their method and path: what is added to the end of a document
/// renames nothing.
pub(super) fn names(operations: &[Operation], held: &Held, report: &mut Report) -> Vec<String> {
    let wishes: Vec<Wish> = operations.iter().map(Wish::of).collect();
    let mut taken: HashMap<String, usize> = HashMap::new();
    let mut names = vec![String::new(); operations.len()];
    for (at, operation) in operations.iter().enumerate() {
        let wish = &wishes[at].name;
        let hashed = with_hash(wish, operation, HASH_LEN);
        let mine = [wish, &hashed].into_iter().find(|name| held.is_of(name, operation));
        if let Some(name) = mine {
            taken.insert(name.clone(), at);
            names[at].clone_from(name);
        }
    }
    for (at, operation) in operations.iter().enumerate() {
        let wish = &wishes[at];
        if names[at].is_empty() {
            let mut name = wish.name.clone();
            let mut hash_len = HASH_LEN;
            if name.len() > NAME_LEN_MAX {
                name = with_hash(&wish.name, operation, hash_len);
            }
            while taken.contains_key(&name) {
                name = with_hash(&wish.name, operation, hash_len);
                hash_len += 1;
            }
            taken.insert(name.clone(), at);
            names[at] = name;
        }
    }
    for (at, operation) in operations.iter().enumerate() {
        let holder = taken.get(&wishes[at].name).filter(|holder| **holder != at);
        let holder = holder.map(|holder| &operations[*holder]);
        if let Some(message) = reason(&wishes[at], &names[at], holder) {
            report.add(Finding {
                severity: Severity::Note,
                kind: "tool-renamed",
                operation: Some(title(operation)),
                message,
                place: operation.place.clone(),
            });
        }
    }
    names
}

/// The method and the path: what an operation is called in findings.
pub(super) fn title(operation: &Operation) -> String {
    format!("{} {}", operation.method, operation.path)
}

/// What an operation would be called.
struct Wish {
    name: String,
    /// The name that the document gives.
    written: Option<String>,
}

impl Wish {
    fn of(operation: &Operation) -> Self {
        for written in [&operation.mcp_name, &operation.id].into_iter().flatten() {
            let name = clean(written);
            if !name.is_empty() {
                return Self { name, written: Some(written.clone()) };
            }
        }
        // `/a/{b}` and `/a/b` are different names, too.
        let path = clean(&operation.path.replace('{', " by "));
        let method = clean(&operation.method.to_ascii_lowercase());
        let name = [method, path].into_iter().filter(|part| !part.is_empty());
        let name = name.collect::<Vec<_>>().join("_");
        let name = if name.is_empty() { format!("op_{}", hash(operation, HASH_LEN)) } else { name };
        Self { name, written: operation.id.clone() }
    }
}

/// Why a tool is not called what its document calls it.
fn reason(wish: &Wish, name: &str, holder: Option<&Operation>) -> Option<String> {
    let written = wish.written.as_deref()?;
    if written == name {
        return None;
    }
    Some(match holder {
        Some(holder) => {
            format!(
                "`{written}` is the name of {}, too; the tool is called `{name}`",
                title(holder)
            )
        }
        None => format!(
            "hosts take at most {NAME_LEN_MAX} letters, digits, `_` and `-`: the tool of `{written}` is \
             called `{name}`"
        ),
    })
}

/// Letters, digits, `_` and `-`; everything else becomes `_`, one for several.
fn clean(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '-' | 'A'..='Z' | 'a'..='z' | '0'..='9' => out.push(c),
            '_' => out.push('_'),
            _ if out.ends_with('_') || out.is_empty() => {}
            _ => out.push('_'),
        }
    }
    while out.ends_with('_') && !text.ends_with('_') {
        out.pop();
    }
    if out.bytes().all(|byte| matches!(byte, b'_' | b'-')) { String::new() } else { out }
}

fn with_hash(name: &str, operation: &Operation, hash_len: usize) -> String {
    let hash = hash(operation, hash_len);
    let head_len = NAME_LEN_MAX - hash.len() - 1;
    let head = name.get(..head_len).unwrap_or(name).trim_end_matches(['_', '-']);
    format!("{head}_{hash}")
}

/// Letters and digits that depend on the method and the path alone.
fn hash(operation: &Operation, len: usize) -> String {
    digits(&title(operation), len)
}

/// Letters and digits that depend on a text alone (FNV-1a, 64 bits).
pub(super) fn digits(text: &str, len: usize) -> String {
    const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
    let mut out = String::with_capacity(len);
    let mut seed = 0_u8;
    // Twelve digits of base 36 come of one hash; more are needed only where those are equal.
    while out.len() < len {
        let mut hash = 0xcbf2_9ce4_8422_2325_u64 ^ u64::from(seed);
        for byte in text.bytes() {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        for _ in 0..12.min(len - out.len()) {
            out.push(char::from(DIGITS[(hash % 36) as usize]));
            hash /= 36;
        }
        seed += 1;
    }
    out
}
