//! What the verdicts come to: tables, the list of failures, and whether it is enough.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::verdict::{Case, Fault, Outcome, Verdict};
use crate::table::table;

/// How many examples of a cause are printed; the file has all.
const EXAMPLES_MAX: usize = 3;

/// How many causes are printed.
const CAUSES_MAX: usize = 30;

/// Longest excerpt of a request or of what is said about it.
const EXCERPT_MAX: usize = 300;

pub(super) struct Report<'v> {
    verdicts: &'v [Verdict],
    total: Score,
    by_document: BTreeMap<&'v str, Score>,
    by_kind: BTreeMap<&'v str, Score>,
    by_feature: BTreeMap<&'v str, Score>,
    failures: BTreeMap<String, Vec<(&'v str, &'v Case)>>,
    /// What is not counted, by the reason why.
    left_out: BTreeMap<String, u64>,
}

/// Calls that count, and how many of them are right.
#[derive(Clone, Copy, Debug, Default)]
struct Score {
    counted: u64,
    accepted: u64,
    /// Accepted, with every value on the wire.
    faithful: u64,
}

impl Score {
    fn add(&mut self, case: &Case) {
        self.counted += 1;
        if case.outcome == Outcome::Accepted {
            self.accepted += 1;
            self.faithful += u64::from(is_faithful(case));
        }
    }
}

fn is_faithful(case: &Case) -> bool {
    case.lost.is_empty() && case.others == 0
}

/// What becomes of a case in the count.
enum Count {
    Counts,
    LeftOut(String),
}

impl Count {
    fn of(case: &Case, faults: &[Fault]) -> Self {
        match case.outcome {
            Outcome::InvalidSchema | Outcome::Unjudged => Self::Counts,
            Outcome::Accepted if case.countable => Self::Counts,
            Outcome::Accepted => {
                Self::LeftOut("a reference client is refused, and the gateway is not".to_owned())
            }
            Outcome::Unknown => Self::LeftOut("Prism does not know the operation".to_owned()),
            Outcome::NotGenerated => {
                Self::LeftOut("the generator finds no arguments that fit".to_owned())
            }
            Outcome::Refused | Outcome::NotSent => {
                if let Some(fault) = faults.iter().find(|it| it.explains(case)) {
                    Self::LeftOut(fault.why.clone())
                } else if case.countable {
                    Self::Counts
                } else {
                    Self::LeftOut("a reference client is refused, too".to_owned())
                }
            }
        }
    }
}

impl<'v> Report<'v> {
    pub(super) fn of(verdicts: &'v [Verdict], faults: &[Fault]) -> Self {
        let mut report = Self {
            verdicts,
            total: Score::default(),
            by_document: BTreeMap::new(),
            by_kind: BTreeMap::new(),
            by_feature: BTreeMap::new(),
            failures: BTreeMap::new(),
            left_out: BTreeMap::new(),
        };
        for verdict in verdicts {
            for case in &verdict.cases {
                report.add(&verdict.document, case, faults);
            }
        }
        report
    }

    fn add(&mut self, document: &'v str, case: &'v Case, faults: &[Fault]) {
        let counts = match Count::of(case, faults) {
            Count::Counts => true,
            Count::LeftOut(why) => {
                *self.left_out.entry(why).or_default() += 1;
                false
            }
        };
        if counts {
            self.total.add(case);
            self.by_document.entry(document).or_default().add(case);
            self.by_kind.entry(&case.kind).or_default().add(case);
            for feature in &case.features {
                self.by_feature.entry(feature).or_default().add(case);
            }
        }
        // A lost value is a failure whatever Prism thinks of the request.
        if (counts && case.outcome != Outcome::Accepted) || !is_faithful(case) {
            self.failures.entry(cause(case)).or_default().push((document, case));
        }
    }

    pub(super) fn print(&self) {
        println!("\n{}", self.documents());
        println!("{}", scores("feature", &self.by_feature));
        println!("{}", scores("arguments", &self.by_kind));
        println!("{}", self.sum());
        if !self.left_out.is_empty() {
            let rows: Vec<Vec<String>> = sorted(self.left_out.iter().map(|(why, &n)| (n, why)))
                .map(|(count, why)| vec![why.clone(), count.to_string()])
                .collect();
            println!("{}", table(&["not counted", "calls"], &rows));
        }
        print!("{}", self.problems());
        print!("{}", self.causes(CAUSES_MAX, EXAMPLES_MAX));
    }

    /// All failures, by cause.
    pub(super) fn failures(&self) -> String {
        self.problems() + &self.causes(usize::MAX, usize::MAX)
    }

    fn documents(&self) -> String {
        let rows: Vec<Vec<String>> = self
            .verdicts
            .iter()
            .map(|it| {
                let score = self.by_document.get(it.document.as_str()).copied().unwrap_or_default();
                vec![
                    excerpt(&it.document, 44),
                    if it.loads { it.operations.to_string() } else { "does not load".to_owned() },
                    it.tools.to_string(),
                    score.counted.to_string(),
                    score.accepted.to_string(),
                    score.faithful.to_string(),
                    (it.list_bytes / 1024).to_string(),
                    (it.input_bytes / it.tools.max(1)).to_string(),
                    (it.output_bytes / it.outputs.max(1)).to_string(),
                    it.cost.map_or_else(String::new, |it| it.cpu_ms.to_string()),
                    it.cost.map_or_else(String::new, |it| (it.peak_kib / 1024).to_string()),
                ]
            })
            .collect();
        let heading = [
            "document",
            "operations",
            "tools",
            "calls",
            "accepted",
            "faithful",
            "list KiB",
            "B a tool",
            "B an output",
            "CPU ms",
            "MiB",
        ];
        table(&heading, &rows)
    }

    /// What is asked for, and what it came to.
    fn targets(&self) -> Vec<Target> {
        let sum = |of: fn(&Verdict) -> u64| self.verdicts.iter().map(of).sum::<u64>();
        let tools = sum(|it| it.tools);
        let offerable = sum(|it| it.operations - it.undescribed);
        let missing = sum(|it| it.missing.len() as u64);
        let documents = self.verdicts.len() as u64;
        let list = |of: fn(&Verdict) -> &Vec<String>| {
            self.verdicts.iter().map(|it| of(it).len() as u64).sum::<u64>()
        };
        let Score { counted, faithful, .. } = self.total;
        let schemas = tools + sum(|it| it.outputs);
        let loaded = self.verdicts.iter().filter(|it| it.loads).count() as u64;
        vec![
            Target::share("documents load", loaded, documents, 1000),
            Target::share("operations offered", offerable - missing, offerable, 995),
            Target::share("names valid and unique", tools - list(|it| &it.names), tools, 1000),
            Target::share("schemas valid", schemas - list(|it| &it.schemas), schemas, 1000),
            Target::share("requests accepted and faithful", faithful, counted, 990),
            Target {
                what: "input schemas, bytes a tool",
                is: (sum(|it| it.input_bytes) / tools.max(1)).to_string(),
                wanted: "≤ 2,048".to_owned(),
                is_reached: sum(|it| it.input_bytes) <= 2048 * tools,
            },
        ]
    }

    fn sum(&self) -> String {
        let rows: Vec<Vec<String>> = self
            .targets()
            .into_iter()
            .map(|it| {
                let verdict = if it.is_reached { "reached" } else { "missed" };
                vec![it.what.to_owned(), it.is, it.wanted, verdict.to_owned()]
            })
            .collect();
        table(&["of all", "is", "target", ""], &rows)
    }

    pub(super) fn is_enough(&self) -> bool {
        self.targets().iter().all(|it| it.is_reached)
    }

    /// The same as tests count: each call is one, and each target that is missed before any call.
    pub(super) fn score(&self) -> crate::test::Score {
        let Score { counted, faithful, .. } = self.total;
        let missed = self.targets().iter().filter(|it| !it.is_reached).count() as u64;
        // Where nothing counts, nothing is shown.
        let nothing = u64::from(counted == 0);
        crate::test::Score { passed: faithful, failed: counted - faithful + missed + nothing }
    }

    /// What is wrong before anything is called.
    fn problems(&self) -> String {
        let mut text = String::new();
        for it in self.verdicts {
            let mut say = |what: &str| {
                let _ = writeln!(text, "{}: {}", it.document, excerpt(what, 2 * EXCERPT_MAX));
            };
            it.error.iter().for_each(|why| say(&format!("does not load: {why}")));
            it.prism_error.iter().for_each(|why| say(&format!("Prism does not load it: {why}")));
            it.prism_mended.iter().for_each(|why| {
                say(&format!("Prism loads it without what cannot be followed: {why}"));
            });
            it.missing.iter().for_each(|what| say(&format!("not offered: {what}")));
            it.names.iter().for_each(|name| say(&format!("name is invalid or twice: {name}")));
            it.schemas.iter().for_each(|what| say(&format!("schema: {what}")));
        }
        text
    }

    /// Failures by cause, most frequent first.
    fn causes(&self, causes_max: usize, examples_max: usize) -> String {
        let mut text = String::new();
        let all =
            sorted(self.failures.iter().map(|(cause, cases)| (cases.len() as u64, (cause, cases))));
        for (count, (cause, cases)) in all.take(causes_max) {
            let _ = writeln!(text, "\n{count} × {cause}");
            for (document, case) in cases.iter().take(examples_max) {
                let _ = writeln!(text, "    {document}: {} ({})", case.operation, case.kind);
                let line = |text: &mut String, what: &str, it: String| {
                    let _ = writeln!(text, "        {what}: {}", excerpt(&it, EXCERPT_MAX));
                };
                line(&mut text, "arguments", case.arguments.to_string());
                if !case.request.is_null() {
                    line(&mut text, "sent", case.request.to_string());
                }
                if let Some(why) = &case.why {
                    line(&mut text, "said", why.clone());
                }
                if !case.lost.is_empty() {
                    line(&mut text, "not on the wire", case.lost.join(", "));
                }
            }
        }
        text
    }
}

struct Target {
    what: &'static str,
    is: String,
    wanted: String,
    is_reached: bool,
}

impl Target {
    /// So many of so many, of which this per mille is wanted.
    fn share(what: &'static str, right: u64, all: u64, wanted: u64) -> Self {
        let per_mille = |it: u64| format!("{}.{} %", it / 10, it % 10);
        let is = (right * 1000).checked_div(all).unwrap_or(1000);
        Self {
            what,
            is: format!("{right} of {all}, {}", per_mille(is)),
            wanted: per_mille(wanted),
            is_reached: right * 1000 >= wanted * all,
        }
    }
}

/// One line on a document that has been judged.
pub(super) fn progress(verdict: &Verdict) -> String {
    let accepted = verdict.cases.iter().filter(|it| it.outcome == Outcome::Accepted).count();
    let what = match &verdict.error {
        Some(error) => excerpt(error, 160),
        None => format!("{} tools, {accepted} of {} calls", verdict.tools, verdict.cases.len()),
    };
    format!("{}: {what}", verdict.document)
}

fn scores(heading: &str, by: &BTreeMap<&str, Score>) -> String {
    let rows: Vec<Vec<String>> = sorted(by.iter().map(|(name, it)| (it.counted, (*name, *it))))
        .map(|(_, (name, it))| {
            let share = |part: u64| {
                format!("{}.{}", part * 100 / it.counted, part * 1000 / it.counted % 10)
            };
            vec![name.to_owned(), it.counted.to_string(), share(it.accepted), share(it.faithful)]
        })
        .collect();
    table(&[heading, "calls", "accepted %", "faithful %"], &rows)
}

/// The highest count first.
fn sorted<T>(all: impl Iterator<Item = (u64, T)>) -> impl Iterator<Item = (u64, T)> {
    let mut all: Vec<_> = all.collect();
    all.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
    all.into_iter()
}

/// What a failure has in common with others: what is said about it, without names and numbers.
fn cause(case: &Case) -> String {
    if case.outcome == Outcome::Accepted || case.why.is_none() {
        let more =
            if case.others > 0 { "more than one request" } else { "a value is not on the wire" };
        return more.to_owned();
    }
    let said = case.why.as_deref().unwrap_or_default();
    let said = said.split(';').next().unwrap_or_default();
    let mut plain = String::new();
    let mut quote = None;
    for c in said.chars() {
        match (quote, c) {
            (None, '\'' | '`' | '"') => {
                quote = Some(c);
                plain.push_str("'…'");
            }
            (Some(open), c) if open == c => quote = None,
            (Some(_), _) => {}
            (None, c) if c.is_ascii_digit() => {
                if !plain.ends_with('#') {
                    plain.push('#');
                }
            }
            (None, c) => plain.push(c),
        }
    }
    // The place in the request names a parameter or a member.
    let (place, rest) = plain.split_once(": ").unwrap_or(("", &plain));
    let place = place.split('.').next().unwrap_or_default();
    let outcome = match case.outcome {
        Outcome::NotSent => "not sent",
        Outcome::InvalidSchema => "schema cannot be compiled",
        Outcome::Unjudged => "the judge itself fails",
        _ => "refused",
    };
    excerpt(&format!("{outcome}: {place}: {rest}"), EXCERPT_MAX)
}

fn excerpt(text: &str, chars_max: usize) -> String {
    if text.chars().count() <= chars_max {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(chars_max - 1).collect();
    short.push('…');
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(text: &str) -> Verdict {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn what_a_reference_client_is_refused_does_not_count() {
        let verdicts = [verdict(
            r#"{"document":"d","loads":true,"operations":2,"tools":2,"cases":[
                {"outcome":"accepted","kind":"all","countable":true},
                {"outcome":"accepted","kind":"all"},
                {"outcome":"accepted","kind":"all","lost":["a"],"countable":true},
                {"outcome":"refused","kind":"all","why":"query: 'x' is missing","countable":true},
                {"outcome":"refused","kind":"all","why":"query: 'y' is missing","countable":false},
                {"outcome":"refused","kind":"all","why":"no null","countable":true,"request":{"body":"null"}},
                {"outcome":"not-generated","kind":"all"}]}"#,
        )];
        let faults: Vec<Fault> = serde_json::from_str(
            r#"[{"says":"no null","body":"null","why":"null is missing","proof":"RFC 8259"}]"#,
        )
        .unwrap();
        let report = Report::of(&verdicts, &faults);
        let Score { counted, accepted, faithful } = report.total;
        assert_eq!((counted, accepted, faithful), (3, 2, 1));
        assert!(!report.is_enough());
        assert_eq!(report.left_out.values().sum::<u64>(), 4);
        let failures = report.failures();
        assert!(failures.contains("1 × refused: query: '…' is missing"), "{failures}");
        assert!(failures.contains("1 × a value is not on the wire"), "{failures}");
    }

    #[test]
    fn a_perfect_set_is_enough() {
        let verdicts = [verdict(
            r#"{"document":"d","loads":true,"operations":3,"undescribed":1,"tools":2,"inputBytes":4096,
                "cases":[{"outcome":"accepted","kind":"all","countable":true}]}"#,
        )];
        assert!(Report::of(&verdicts, &[]).is_enough());
    }
}
