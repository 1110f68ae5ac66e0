//! `docs/protocol-bridge.md`: the part between its marks is written from the table.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use wire::Version;

use super::table::{Feature, Refusal, Verdict, verdict, versions};

const BEGIN: &str = "<!-- written from the table of the matrix test: begin -->\n";
const END: &str = "<!-- written from the table of the matrix test: end -->\n";

/// The variable that has the page written instead of compared.
const UPDATE: &str = "UPDATE_EXPECT";

/// Compares the page with the table, or writes it anew.
pub(super) fn compare() {
    let path = path();
    let page = std::fs::read_to_string(&path).expect("the page can be read");
    let (before, rest) = page.split_once(BEGIN).expect("the page has the mark of the beginning");
    let (written, after) = rest.split_once(END).expect("the page has the mark of the end");
    let expected = generated();
    if std::env::var_os(UPDATE).is_some() {
        let page = format!("{before}{BEGIN}{expected}{END}{after}");
        std::fs::write(&path, page).expect("the page can be written");
        return;
    }
    let line = expected.lines().zip(written.lines()).find(|(left, right)| left != right);
    assert!(
        written == expected,
        "docs/protocol-bridge.md differs from the table of the matrix test; run this test with \
         {UPDATE}=1 to write it anew\nfirst difference (table, page): {line:?}"
    );
}

fn path() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2);
    root.expect("the crate lies two folders deep").join("docs/protocol-bridge.md")
}

fn generated() -> String {
    let mut page = String::from("\n");
    overview(&mut page);
    for feature in Feature::ALL {
        detail(&mut page, feature);
    }
    page.push('\n');
    page
}

// === The overview ===

/// A way in which two versions can meet.
struct Meeting {
    title: &'static str,
    holds: fn(Version, Version) -> bool,
}

const MEETINGS: [Meeting; 5] = [
    Meeting {
        title: "modern client, legacy server",
        holds: |client, server| client == Version::LATEST && server < client,
    },
    Meeting {
        title: "legacy client, modern server",
        holds: |client, server| server == Version::LATEST && client < server,
    },
    Meeting {
        title: "older legacy client, newer legacy server",
        holds: |client, server| client < server && server < Version::LATEST,
    },
    Meeting {
        title: "newer legacy client, older legacy server",
        holds: |client, server| server < client && client < Version::LATEST,
    },
    Meeting { title: "same version", holds: |client, server| client == server },
];

fn overview(page: &mut String) {
    let titles = MEETINGS.map(|meeting| meeting.title).join(" | ");
    let _ = writeln!(page, "| feature | {titles} |\n|---|---|---|---|---|---|");
    for feature in Feature::ALL {
        let cells = MEETINGS.map(|meeting| outcomes(feature, &meeting)).join(" | ");
        let _ = writeln!(page, "| [{}](#{}) | {cells} |", feature.title(), anchor(feature));
    }
}

/// The outcomes that occur, best first.
fn outcomes(feature: Feature, meeting: &Meeting) -> String {
    let met = versions().filter(|&(client, server)| (meeting.holds)(client, server));
    let words: Vec<_> =
        met.map(|(client, server)| word(verdict(feature, client, server))).collect();
    let occurs = |word: &&&str| words.contains(*word);
    let named: Vec<_> = ["exact", "lossy", "impossible"].iter().filter(occurs).copied().collect();
    if named.is_empty() { "–".into() } else { named.join(", ") }
}

const fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Exact => "exact",
        Verdict::Lossy(_) => "lossy",
        Verdict::Impossible { .. } => "impossible",
        Verdict::Absent(_) => "–",
    }
}

/// The anchor of a heading, as hosts of Markdown make them.
fn anchor(feature: Feature) -> String {
    let title = feature.title().to_lowercase();
    let kept = title.chars().filter(|&char| char.is_alphanumeric() || " -_".contains(char));
    kept.collect::<String>().replace(' ', "-")
}

// === One feature ===

fn detail(page: &mut String, feature: Feature) {
    let _ = writeln!(page, "\n### {}\n", feature.title());
    let _ = writeln!(page, "{}", wrapped(feature.about(), "", ""));
    let everywhere = versions().all(|(client, server)| {
        verdict(feature, client, server) == verdict(feature, Version::LATEST, Version::LATEST)
    });
    if everywhere {
        let _ = writeln!(page, "\nExact between all versions.");
        return;
    }
    let servers = Version::ALL.map(Version::as_str).join(" | ");
    let _ = writeln!(page, "\n| client ↓ server → | {servers} |\n|---|---|---|---|---|---|");
    let mut notes = Vec::new();
    for client in Version::ALL {
        let cells = Version::ALL.map(|server| cell(verdict(feature, client, server), &mut notes));
        let _ = writeln!(page, "| {client} | {} |", cells.join(" | "));
    }
    page.push('\n');
    for (number, note) in (1..).zip(notes) {
        let _ = writeln!(page, "{}", wrapped(&note, &format!("* {} ", mark(number)), "  "));
    }
}

fn cell(verdict: Verdict, notes: &mut Vec<String>) -> String {
    let Some(note) = note(verdict) else { return word(verdict).into() };
    let at = notes.iter().position(|known| *known == note).unwrap_or_else(|| {
        notes.push(note);
        notes.len() - 1
    });
    format!("{} {}", word(verdict), mark(at + 1))
}

fn note(verdict: Verdict) -> Option<String> {
    match verdict {
        Verdict::Exact => None,
        Verdict::Lossy(how) => Some(sentence(how)),
        Verdict::Absent(why) => Some(sentence(why)),
        Verdict::Impossible { why, error } => {
            let error = match error {
                Refusal::Gate => {
                    "The tool call ends with `isError` and the reason `interaction-unavailable`; \
                     the text has what the server said, or the link that it asked to visit."
                }
                Refusal::Server => "The call ends as the server ends it.",
            };
            Some(format!("{} {error}", sentence(why)))
        }
    }
}

fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map(|first| first.to_uppercase().collect::<String>());
    format!("{}{}.", first.unwrap_or_default(), chars.as_str())
}

fn mark(number: usize) -> String {
    const MARKS: [&str; 9] = ["¹", "²", "³", "⁴", "⁵", "⁶", "⁷", "⁸", "⁹"];
    MARKS.get(number - 1).map_or_else(|| format!("({number})"), |&mark| mark.to_owned())
}

/// The text in lines of at most 100 columns.
fn wrapped(text: &str, first: &str, indent: &str) -> String {
    const COLUMNS: usize = 100;
    let mut lines = vec![first.to_owned()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().expect("there is always a line");
        let is_fresh = line.is_empty() || line.ends_with(' ');
        if line.chars().count() + 1 + word.chars().count() > COLUMNS {
            lines.push(format!("{indent}{word}"));
        } else if is_fresh {
            line.push_str(word);
        } else {
            line.push(' ');
            line.push_str(word);
        }
    }
    lines.join("\n")
}
