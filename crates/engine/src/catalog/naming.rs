//! Names on composed endpoints: a prefix for the server, characters and a length that every host
//! accepts, and the same name for the same tool whatever else is configured.

use std::fmt::Write as _;

use aws_lc_rs::digest::{SHA256, digest};

/// Longest exposed name: hosts cap server and tool name together at about this.
pub(super) const NAME_MAX: usize = 60;
/// Between prefix and name. A prefix cannot contain it, so no two servers can meet in one name.
pub(super) const SEPARATOR: &str = "__";
/// Hexadecimal digits that tell changed names apart.
const HASH_DIGITS: usize = 8;

/// The name under which `original` of the server with `prefix` is shown.
pub(super) fn exposed(prefix: &str, original: &str) -> String {
    fit(&format!("{prefix}{SEPARATOR}{original}"))
}

/// `name` as hosts accept it: unchanged where it already is, else with a hash of the original.
pub(super) fn fit(name: &str) -> String {
    let accepted = |character: char| character.is_ascii_alphanumeric() || "_-".contains(character);
    if name.len() <= NAME_MAX && !name.is_empty() && name.chars().all(accepted) {
        return name.to_owned();
    }
    let clean: String =
        name.chars().map(|character| if accepted(character) { character } else { '_' }).collect();
    let digest = digest(&SHA256, name.as_bytes());
    let mut hash = String::with_capacity(HASH_DIGITS);
    for byte in &digest.as_ref()[..HASH_DIGITS / 2] {
        let _ = write!(hash, "{byte:02x}");
    }
    let kept = clean.len().min(NAME_MAX - HASH_DIGITS - 1);
    format!("{}_{}", &clean[..kept], hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_hosts_and_stay_apart() {
        assert_eq!(exposed("time", "get_time"), "time__get_time");
        let dotted = exposed("s", "a.b");
        assert!(dotted.starts_with("s__a_b_") && dotted.len() == 6 + 1 + HASH_DIGITS, "{dotted}");
        assert_ne!(dotted, exposed("s", "a/b"));
        let long = exposed("s", &"x".repeat(100));
        assert_eq!(long.len(), NAME_MAX);
        assert_ne!(long, exposed("s", &"x".repeat(101)));
        assert_eq!(exposed("s", &"é".repeat(40)).len(), 52);
        assert_eq!(fit(&"n".repeat(60)), "n".repeat(60));
    }
}
