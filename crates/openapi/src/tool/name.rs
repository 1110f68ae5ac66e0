//! Names that every host takes, unique in a list, and the same when the document grows.

use std::collections::HashMap;

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

/// The names of operations, in their order.
///
/// Of several that want the same name the first keeps it whose name needed no change, and the others
/// get a part that depends on nothing but their method and path: what is added to a document later
/// renames nothing.
pub(super) fn names(operations: &[Operation], report: &mut Report) -> Vec<String> {
    let wishes: Vec<Wish> = operations.iter().map(Wish::of).collect();
    let mut order: Vec<usize> = (0..operations.len()).collect();
    order.sort_by_key(|&at| (wishes[at].rank, at));
    let mut taken: HashMap<String, usize> = HashMap::new();
    let mut names = vec![String::new(); operations.len()];
    for at in order {
        let wish = &wishes[at];
        let mut name = wish.name.clone();
        let mut holder = taken.get(&name).copied();
        let mut hash_len = HASH_LEN;
        if name.len() > NAME_LEN_MAX {
            name = with_hash(&wish.name, &operations[at], hash_len);
            holder = None;
        }
        while taken.contains_key(&name) {
            name = with_hash(&wish.name, &operations[at], hash_len);
            hash_len += 1;
        }
        if let Some(message) = reason(wish, &name, holder.map(|holder| &operations[holder])) {
            report.add(Finding {
                severity: Severity::Note,
                kind: "tool-renamed",
                operation: Some(title(&operations[at])),
                message,
                place: operations[at].place.clone(),
            });
        }
        taken.insert(name.clone(), at);
        names[at] = name;
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
    /// Those of lower rank take their names first.
    rank: u8,
}

impl Wish {
    fn of(operation: &Operation) -> Self {
        let given = [(&operation.mcp_name, 0), (&operation.id, 2)];
        for (written, rank) in given {
            let Some(written) = written.as_deref() else { continue };
            let name = clean(written);
            if !name.is_empty() {
                let rank = rank + u8::from(!fits(written));
                return Self { name, written: Some(written.to_owned()), rank };
            }
        }
        let path = clean(&operation.path);
        let method = clean(&operation.method.to_ascii_lowercase());
        let name = [method, path].into_iter().filter(|part| !part.is_empty());
        let name = name.collect::<Vec<_>>().join("_");
        let name = if name.is_empty() { format!("op_{}", hash(operation, HASH_LEN)) } else { name };
        Self { name, written: operation.id.clone(), rank: 4 }
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

/// Letters and digits that depend on the method and the path alone (FNV-1a, 64 bits).
fn hash(operation: &Operation, len: usize) -> String {
    const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
    let mut out = String::with_capacity(len);
    let mut seed = 0_u8;
    // Twelve digits of base 36 come of one hash; more are needed only where those are equal.
    while out.len() < len {
        let mut hash = 0xcbf2_9ce4_8422_2325_u64 ^ u64::from(seed);
        for byte in operation.method.bytes().chain(*b" ").chain(operation.path.bytes()) {
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
