//! File name patterns: `*`, `**` and `?`.

/// Whether the relative `path` matches `pattern`: its last part where the pattern has no slash, else
/// all of it. `*` and `?` stand for anything but a slash, `**` for anything.
pub(super) fn matches(pattern: &str, path: &str) -> bool {
    let subject =
        if pattern.contains('/') { path } else { path.rsplit('/').next().unwrap_or(path) };
    // `**/` also stands for no directory at all.
    let pattern = pattern.strip_prefix('/').unwrap_or(pattern);
    let shorter = pattern.strip_prefix("**/");
    matches_bytes(pattern.as_bytes(), subject.as_bytes())
        || shorter.is_some_and(|rest| matches_bytes(rest.as_bytes(), subject.as_bytes()))
}

/// Greedy with one place to go back to for each kind of star: at most |pattern| × |text| steps, twice.
fn matches_bytes(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    // Where to continue in the pattern, and how much of the text the star has taken.
    let mut star: Option<(usize, usize)> = None;
    let mut double: Option<(usize, usize)> = None;
    loop {
        let here = pattern.get(p);
        if here == Some(&b'*') {
            if pattern.get(p + 1) == Some(&b'*') {
                p += 2;
                double = Some((p, t));
                star = None;
            } else {
                p += 1;
                star = Some((p, t));
            }
            continue;
        }
        match (here, text.get(t)) {
            (None, None) => return true,
            (Some(want), Some(have)) if want == have || (*want == b'?' && *have != b'/') => {
                p += 1;
                t += 1;
                // A `?` takes a whole character.
                while *want == b'?' && text.get(t).is_some_and(|byte| byte & 0xc0 == 0x80) {
                    t += 1;
                }
                continue;
            }
            _ => {}
        }
        if let Some((resume, taken)) = star
            && text.get(taken).is_some_and(|byte| *byte != b'/')
        {
            star = Some((resume, taken + 1));
            (p, t) = (resume, taken + 1);
        } else if let Some((resume, taken)) = double
            && taken < text.len()
        {
            star = None;
            double = Some((resume, taken + 1));
            (p, t) = (resume, taken + 1);
        } else {
            return false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn patterns_match_as_described() {
        for (pattern, path, expected) in [
            ("*.rs", "src/deep/lib.rs", true),
            ("*.rs", "src/lib.rsx", false),
            ("src/*.rs", "src/lib.rs", true),
            ("src/*.rs", "src/deep/lib.rs", false),
            ("src/**.rs", "src/deep/lib.rs", true),
            ("**/lib.rs", "lib.rs", true),
            ("**/lib.rs", "a/b/lib.rs", true),
            ("**/b/*.t?t", "a/b/c.txt", true),
            ("**/b/*.t?t", "a/b/x/c.txt", false),
            ("?.md", "ä.md", true),
            ("*a*b*c", "xxaxxbxxc", true),
            ("*a*b*c", "xxaxxcxxb", false),
            ("", "x", false),
            ("*", "anything", true),
        ] {
            assert_eq!(matches(pattern, path), expected, "{pattern} {path}");
        }
    }

    #[test]
    fn a_hostile_pattern_ends_soon() {
        let pattern = "*a".repeat(100) + "b";
        assert!(!matches(&pattern, &"a".repeat(4_000)));
    }
}
