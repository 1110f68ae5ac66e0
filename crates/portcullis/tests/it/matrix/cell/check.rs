//! Whether what came of a cell is what the table says, and what a native client would have caused.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use wire::Version;

use super::{Cell, Outcome};
use crate::matrix::ends::Sdk;
use crate::matrix::stage::{Count, Journal, PAGE};
use crate::matrix::table::{Feature, Refusal, Verdict};

/// For what a server writes down after its answer.
const PATIENCE: Duration = Duration::from_secs(5);

impl Cell {
    /// What differs from the table, if anything.
    pub(in crate::matrix) fn check(&self, outcome: &Outcome<'_>) -> Result<(), String> {
        match self.verdict {
            Verdict::Absent(_) => Ok(()),
            Verdict::Impossible { error, .. } => self.refused(error, outcome),
            Verdict::Exact | Verdict::Lossy(_) => {
                self.successes(outcome)?;
                self.content(outcome)?;
                self.counted(outcome.journal)
            }
        }
    }

    /// No step failed.
    fn successes(&self, outcome: &Outcome<'_>) -> Result<(), String> {
        for (at, entry) in (1..).zip(outcome.entries) {
            let is_meant = self.feature == Feature::Cancel && at == 2;
            if entry["error"].is_object() && !is_meant {
                return Err(format!("step {at} failed: {}", entry["error"]));
            }
            let may_refuse = self.feature == Feature::UrlFirst && at == 1;
            if entry["result"]["isError"] == true && !may_refuse {
                return Err(format!("step {at} is an error: {}", entry["result"]));
            }
        }
        Ok(())
    }

    fn content(&self, outcome: &Outcome<'_>) -> Result<(), String> {
        let last = outcome.entries.last().ok_or("no entry")?;
        let result = &last["result"];
        let says = |text: &str| says(result, text);
        match self.feature {
            Feature::Call => says(&self.key),
            Feature::Structured => self.structured(outcome),
            Feature::StructuredList => self.structured_list(outcome),
            Feature::Content => self.kinds_of_content(result),
            Feature::Form => says("forty-two").and_then(|()| was_asked(outcome, &["form"])),
            Feature::Url => self.visits(outcome),
            Feature::UrlFirst => self.url_required(outcome),
            Feature::Sample => {
                says("a sampled text").and_then(|()| was_asked(outcome, &["sample"]))
            }
            Feature::Roots => {
                says("file:///home/ada").and_then(|()| was_asked(outcome, &["roots"]))
            }
            Feature::TwoAtOnce | Feature::TwoRounds => {
                for kind in self.kinds() {
                    says(expected_answer(kind))?;
                }
                was_asked(outcome, &self.kinds())
            }
            // The steps wait for what must come.
            Feature::ListChanged => Ok(()),
            Feature::Subscribe => {
                same("the text", &result["contents"][0]["text"], &json!(self.key))
            }
            Feature::Progress => self.progress(last),
            Feature::Log => self.levels(outcome),
            Feature::Cancel => match &outcome.entries[1] {
                cancelled if cancelled["error"].is_object() => Ok(()),
                other => Err(format!("the call was not cancelled: {other}")),
            },
            Feature::Paging => self.pages(last),
            Feature::Completion => {
                same("the values", &result["completion"]["values"], &json!(["funny"]))
            }
            Feature::Task => self.became(last),
            Feature::TaskAsks => {
                let kind = self.kinds()[0];
                self.became(last)?;
                says(expected_answer(kind)).and_then(|()| was_asked(outcome, &[kind]))
            }
        }
    }

    fn structured(&self, outcome: &Outcome<'_>) -> Result<(), String> {
        let value = json!({ "answer": 42, "words": ["forty", "two"], "nested": { "deep": null } });
        let (tool, result) = self.tool_and_result("structured", outcome)?;
        let has_text = text_of(result).and_then(|text| serde_json::from_str::<Value>(text).ok());
        same("the text", &has_text.unwrap_or_default(), &value)?;
        if self.verdict != Verdict::Exact {
            return absent(result, "structuredContent").and_then(|()| absent(tool, "outputSchema"));
        }
        same("structuredContent", &result["structuredContent"], &value)?;
        same("the schema's type", &tool["outputSchema"]["type"], &json!("object"))
    }

    fn structured_list(&self, outcome: &Outcome<'_>) -> Result<(), String> {
        let value = json!([1, 2, 3]);
        let (tool, result) = self.tool_and_result("structured_list", outcome)?;
        let schema = &tool["outputSchema"];
        if self.client.is_modern() {
            same("structuredContent", &result["structuredContent"], &value)?;
            return same("the schema's type", &schema["type"], &json!("array"));
        }
        let text = text_of(result).and_then(|text| serde_json::from_str::<Value>(text).ok());
        same("the text", &text.unwrap_or_default(), &value)?;
        if self.client.version < Version::V2025_06_18 {
            return absent(result, "structuredContent").and_then(|()| absent(tool, "outputSchema"));
        }
        same("structuredContent", &result["structuredContent"], &json!({ "result": value }))?;
        same("the schema's type", &schema["type"], &json!("object"))?;
        same("the wrapped type", &schema["properties"]["result"]["type"], &json!("array"))
    }

    fn tool_and_result<'a>(
        &self,
        tool: &str,
        outcome: &Outcome<'a>,
    ) -> Result<(&'a Value, &'a Value), String> {
        let [list, call] = outcome.entries else { return Err("not two entries".into()) };
        let name = self.named(tool);
        let tools = list["result"]["tools"].as_array().ok_or("no list of tools")?;
        let found = tools.iter().find(|tool| tool["name"] == name.as_str());
        Ok((found.ok_or_else(|| format!("{name} is not listed"))?, &call["result"]))
    }

    fn kinds_of_content(&self, result: &Value) -> Result<(), String> {
        let (client, server) = (self.client.version, self.server.version);
        let mut wanted = vec!["text", "image"];
        if server >= Version::V2025_03_26 {
            wanted.push(if client >= Version::V2025_03_26 { "audio" } else { "text" });
        }
        if server >= Version::V2025_06_18 {
            wanted.push(if client >= Version::V2025_06_18 { "resource_link" } else { "text" });
        }
        wanted.push("resource");
        let blocks = result["content"].as_array().map_or(&[][..], Vec::as_slice);
        let kinds: Vec<_> = blocks.iter().filter_map(|block| block["type"].as_str()).collect();
        same("the kinds", &json!(kinds), &json!(wanted))?;
        // What had to become text still says what it was, and where it is.
        let has_text = |part: &str| {
            let mut texts = blocks.iter().filter_map(|block| block["text"].as_str());
            texts.any(|text| text.contains(part))
        };
        let lost = |since: Version| server >= since && client < since;
        if lost(Version::V2025_03_26) && !has_text("audio/wav") {
            return Err(format!("no text names the audio: {result}"));
        }
        if lost(Version::V2025_06_18) && !has_text("memo://note") {
            return Err(format!("no text has the link: {result}"));
        }
        Ok(())
    }

    /// The client was asked to visit a URL, in the words of its own version.
    fn visits(&self, outcome: &Outcome<'_>) -> Result<(), String> {
        was_asked(outcome, &["url"])?;
        let (call, complete) = match outcome.entries {
            [call] => (call, None),
            [_listen, call, complete] => (call, Some(complete)),
            _ => return Err("not the entries of the script".into()),
        };
        says(&call["result"], "accept")?;
        let mut asked = outcome.report["requests"].as_array().into_iter().flatten();
        let question = asked.find(|question| is_of("url", question)).unwrap_or(&Value::Null);
        let id = &question["params"]["elicitationId"];
        match complete {
            Some(complete) => same("the id", &complete["result"]["params"]["elicitationId"], id),
            // Between modern peers nobody looks at it.
            None if id.is_null() || self.server.is_modern() => Ok(()),
            None => Err(format!("the client's version has no `elicitationId`: {question}")),
        }
    }

    fn url_required(&self, outcome: &Outcome<'_>) -> Result<(), String> {
        match (self.client.version, outcome.entries) {
            (Version::V2026_07_28, [_call]) => was_asked(outcome, &["url"]),
            (Version::V2025_11_25, [_listen, call]) => {
                let link = &call["url_required"][0]["url"];
                same("the URL", link, &json!("https://example.com/connect"))
            }
            (_, [refused, _call]) => {
                same("isError", &refused["result"]["isError"], &json!(true))?;
                says(&refused["result"], "https://example.com/connect")
            }
            _ => Err("not the entries of the script".into()),
        }
    }

    fn levels(&self, outcome: &Outcome<'_>) -> Result<(), String> {
        let heard = outcome.report["notifications"].as_array().into_iter().flatten();
        let messages: Vec<_> = heard
            .filter(|each| each["method"] == "notifications/message")
            .filter_map(|each| {
                Some((each["params"]["level"].as_str()?, each["params"]["data"].as_str()?))
            })
            .collect();
        if let Some((level, _)) = messages.iter().find(|(_, data)| data.ends_with("unheard")) {
            return Err(format!("{level} was heard in a call without a level"));
        }
        let mut own: Vec<_> =
            messages.iter().filter(|(_, data)| *data == self.key).map(|(level, _)| level).collect();
        if self.client.sdk == Sdk::Rust {
            // It takes notifications all at once, in no order.
            own.sort_unstable_by_key(|level| **level == "error");
        }
        same("the levels", &json!(own), &json!(["info", "error"]))
    }

    fn progress(&self, entry: &Value) -> Result<(), String> {
        let steps: Vec<_> = entry["progress"].as_array().into_iter().flatten().collect();
        let seen: Vec<_> = steps.iter().filter_map(|step| step["progress"].as_f64()).collect();
        let all = [1.0, 2.0, 3.0];
        // These take the answer first when it arrives in one piece with the last progress.
        let is_hasty = matches!(self.client.sdk, Sdk::TypescriptV1 | Sdk::Rust);
        if is_hasty && !seen.is_empty() && all.starts_with(&seen) {
            return Ok(());
        }
        same("the progress", &json!(seen), &json!(all))
    }

    fn pages(&self, entry: &Value) -> Result<(), String> {
        let tools = entry["result"]["tools"].as_array().map_or(&[][..], Vec::as_slice);
        let pages = entry["pages"].as_array().map_or(&[][..], Vec::as_slice);
        if pages.len() < 2 && !self.composed {
            return Err(format!("not several pages: {}", entry["pages"]));
        }
        if pages[..pages.len() - 1].iter().any(|page| *page != json!(PAGE)) && !self.composed {
            return Err(format!("pages of other sizes: {}", entry["pages"]));
        }
        let mut names: Vec<_> = tools.iter().filter_map(|tool| tool["name"].as_str()).collect();
        let listed = names.len();
        names.sort_unstable();
        names.dedup();
        let last_of_all = self.named("requests");
        if names.len() != listed || !names.contains(&last_of_all.as_str()) {
            return Err(format!("tools are missing or there twice: {names:?}"));
        }
        Ok(())
    }

    /// It became a task where it can be one, and gave a result in any case.
    fn became(&self, entry: &Value) -> Result<(), String> {
        let is_task = entry["task"]["taskId"].is_string();
        match (self.verdict, is_task) {
            (Verdict::Exact, false) => Err(format!("it did not become a task: {entry}")),
            (Verdict::Lossy(_), true) => Err(format!("it became a task: {}", entry["task"])),
            _ => text_of(&entry["result"]).map(|_| ()).ok_or_else(|| format!("no text: {entry}")),
        }
    }

    fn refused(&self, error: Refusal, outcome: &Outcome<'_>) -> Result<(), String> {
        let entry = outcome.entries.last().ok_or("no entry")?;
        let result = &entry["result"];
        let text = match error {
            Refusal::Server => entry["error"]["message"].as_str().or_else(|| text_of(result)),
            Refusal::Gate => text_of(result),
        };
        let refuses_with = self.server.refuses_with(self.feature);
        if !text.is_some_and(|text| text.contains(refuses_with)) {
            return Err(format!("no {refuses_with:?} in {entry}"));
        }
        if entry["error"].is_null() {
            same("isError", &result["isError"], &json!(true))?;
        }
        if error == Refusal::Gate {
            let reason = &result["_meta"]["io.portcullis/fault"]["reason"];
            same("the reason", reason, &json!("interaction-unavailable"))?;
            says(result, self.client.version.as_str())?;
        }
        let kind = if self.feature == Feature::Url { "url" } else { "form" };
        let mut asked = outcome.report["requests"].as_array().into_iter().flatten();
        if asked.any(|question| is_of(kind, question)) {
            return Err(format!("the client was asked: {}", outcome.report["requests"]));
        }
        let count = outcome.journal.count(&self.key);
        same("what the server counts", &json!(counts(&count)), &json!([1, 0, 0]))
    }

    /// The requests and effects of a native client.
    fn counted(&self, journal: &Journal) -> Result<(), String> {
        let wanted = self.native_counts();
        let begin = Instant::now();
        loop {
            let count = journal.count(&self.key);
            if count == wanted {
                return Ok(());
            }
            if begin.elapsed() > PATIENCE {
                return Err(format!(
                    "the server counts {count:?}, a native client makes {wanted:?}"
                ));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// What a client of the server's own version would have made of the journal.
    pub(in crate::matrix) fn native_counts(&self) -> Count {
        let modern = self.server.is_modern();
        let (requests, commits, cancelled) = match self.feature {
            Feature::Paging | Feature::Completion => (0, 0, 0),
            Feature::ListChanged => (3, 3, 0),
            Feature::UrlFirst => (2, 1, 0),
            Feature::Cancel => (1, 0, 1),
            Feature::Form
            | Feature::Url
            | Feature::Sample
            | Feature::Roots
            | Feature::TwoAtOnce
                if modern =>
            {
                (2, 1, 0)
            }
            Feature::TwoRounds if modern => (3, 1, 0),
            Feature::Log if self.client.is_modern() => (2, 2, 0),
            _ => (1, 1, 0),
        };
        Count { requests, commits, cancelled }
    }
}

fn counts(count: &Count) -> [usize; 3] {
    [count.requests, count.commits, count.cancelled]
}

fn expected_answer(kind: &str) -> &'static str {
    match kind {
        "form" => "forty-two",
        "sample" => "a sampled text",
        "roots" => "file:///home/ada",
        _ => "accept",
    }
}

/// The client was asked for these, and, where it played no other cell, for nothing else.
fn was_asked(outcome: &Outcome<'_>, kinds: &[&str]) -> Result<(), String> {
    let asked = outcome.report["requests"].as_array().map_or(&[][..], Vec::as_slice);
    if let Some(kind) = kinds.iter().find(|kind| !asked.iter().any(|each| is_of(kind, each))) {
        return Err(format!("the client was never asked for {kind}"));
    }
    let is_alone = outcome.report["steps"].as_array().map_or(0, Vec::len) == outcome.entries.len();
    if is_alone && asked.len() != kinds.len() {
        return Err(format!("the client was asked {} times for {kinds:?}", asked.len()));
    }
    Ok(())
}

/// Whether a server's question is of this kind.
fn is_of(kind: &str, question: &Value) -> bool {
    let mode = question["params"]["mode"].as_str();
    match (question["method"].as_str(), kind) {
        (Some("elicitation/create"), "url") => mode == Some("url"),
        (Some("elicitation/create"), "form") => mode != Some("url"),
        (Some("sampling/createMessage"), "sample") | (Some("roots/list"), "roots") => true,
        _ => false,
    }
}

fn text_of(result: &Value) -> Option<&str> {
    let blocks = result["content"].as_array()?;
    blocks.iter().find_map(|block| block["text"].as_str())
}

fn says(result: &Value, text: &str) -> Result<(), String> {
    match text_of(result) {
        Some(said) if said.contains(text) => Ok(()),
        _ => Err(format!("no {text:?} in {result}")),
    }
}

/// Whether two values mean the same; Python writes whole numbers as fractions.
fn same(what: &str, came: &Value, wanted: &Value) -> Result<(), String> {
    if crate::interop::script::is_same(came, wanted) {
        Ok(())
    } else {
        Err(format!("{what}: wanted {wanted}, came {came}"))
    }
}

fn absent(object: &Value, member: &str) -> Result<(), String> {
    match object.get(member) {
        None => Ok(()),
        Some(value) => Err(format!("{member} is there: {value}")),
    }
}
