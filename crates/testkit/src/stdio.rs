//! A server over standard streams: a test binary that starts itself again and plays one.
//!
//! A process is told what to play in the variable [`SCRIPT`]: a JSON object with `era`, with `on` (what
//! to do for each method, as a list of steps), and with `journal` (a file to which every line that it
//! receives is appended). A step is a line to write, with `$ID` for the id of the request and `$PID`
//! for the process, or one of `!exit`, `!close` (standard output) and `!stderr TEXT`.
//!
//! Without steps of their own, calls of tools whose arguments have `rounds` ask: each round is a list of
//! questions for a legacy server, and the `inputRequests` of a modern one. The text of the result is
//! then all answers as JSON, and `_meta.process` says which process gave it. With `exit` the process
//! ends, with `silent` it says nothing.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::{BufRead as _, Write as _};

use serde_json::{Value, json};

/// The variable that holds the script.
pub const SCRIPT: &str = "TESTKIT_SCRIPT";

/// Plays the server of [`SCRIPT`] and ends the process; returns at once where there is no script.
pub fn play_if_told() {
    let Ok(script) = std::env::var(SCRIPT) else { return };
    let script: Value = serde_json::from_str(&script).expect("the script is JSON");
    play(&script);
    std::process::exit(0);
}

fn play(script: &Value) {
    let mut journal = script["journal"].as_str().map(|path| {
        OpenOptions::new().create(true).append(true).open(path).expect("the journal can be written")
    });
    let is_modern = script["era"] == "modern";
    let mut asking = Asking::default();
    // The lock keeps the test harness below from writing in between.
    let mut out = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        let Ok(line) = line else { return };
        if let Some(journal) = &mut journal {
            let _ = writeln!(journal, "{line}");
        }
        let message: Value = serde_json::from_str(&line).unwrap_or(Value::Null);
        let method = message["method"].as_str().unwrap_or_default();
        let id = message["id"].to_string();
        let arguments = &message["params"]["arguments"];
        if let Some(steps) = script["on"][method].as_array() {
            for step in steps.iter().filter_map(Value::as_str) {
                match step {
                    "!exit" => return,
                    step => take(step, &id, &mut out),
                }
            }
        } else if method == "tools/call" && arguments["exit"] == true {
            return;
        } else {
            for line in answers(is_modern, &mut asking, &message) {
                take(&line.to_string(), &id, &mut out);
            }
        }
    }
}

/// What there is to say to a message.
fn answers(is_modern: bool, asking: &mut Asking, message: &Value) -> Vec<Value> {
    let method = message["method"].as_str().unwrap_or_default();
    let arguments = &message["params"]["arguments"];
    match method {
        "" => return asking.answered(message),
        _ if message["id"].is_null() => return Vec::new(),
        "tools/call" if arguments["silent"] == true => return Vec::new(),
        "tools/call" if arguments["rounds"].is_array() && is_modern => {
            return vec![ask_modern(message)];
        }
        "tools/call" if arguments["rounds"].is_array() => return asking.begin(message),
        _ => {}
    }
    vec![match answer(is_modern, method) {
        Some(result) => json!({"jsonrpc": "2.0", "id": message["id"], "result": result}),
        None => json!({"jsonrpc": "2.0", "id": message["id"],
            "error": {"code": -32601, "message": "Method not found"}}),
    }]
}

fn take(step: &str, id: &str, out: &mut impl std::io::Write) {
    if let Some(text) = step.strip_prefix("!stderr ") {
        let _ = writeln!(std::io::stderr(), "{text}");
        return;
    }
    let line = step.replace("$ID", id).replace("$PID", &std::process::id().to_string());
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

fn answer(is_modern: bool, method: &str) -> Option<Value> {
    let tool = crate::echo_tool("echo");
    let capabilities = json!({"tools": {}});
    let info = json!({"name": "scripted", "version": "1"});
    Some(match (is_modern, method) {
        (true, "server/discover") => json!({
            "resultType": "complete",
            "supportedVersions": [wire::Version::LATEST.as_str()],
            "capabilities": capabilities,
            "ttlMs": 0,
            "cacheScope": "private",
            "_meta": {wire::meta::SERVER_INFO: info},
        }),
        (false, "initialize") => json!({
            "protocolVersion": "2025-11-25", "capabilities": capabilities, "serverInfo": info,
        }),
        (true, "tools/list") => json!({
            "resultType": "complete", "tools": [tool], "ttlMs": 0, "cacheScope": "private",
        }),
        (false, "tools/list") => json!({"tools": [tool]}),
        (true, "tools/call") => json!({"resultType": "complete", "content": [text()]}),
        (false, "tools/call") => json!({"content": [text()]}),
        _ => return None,
    })
}

/// Calls of a legacy server that wait for answers, by their ids.
#[derive(Default)]
struct Asking(BTreeMap<String, Asked>);

struct Asked {
    call: Value,
    round: usize,
    /// The answers of this round, in the order of its questions.
    answers: Vec<Option<Value>>,
    said: Vec<Value>,
}

impl Asking {
    fn begin(&mut self, call: &Value) -> Vec<Value> {
        let key = call["id"].to_string();
        let asked = Asked { call: call.clone(), round: 0, answers: Vec::new(), said: Vec::new() };
        self.0.insert(key.clone(), asked);
        self.go_on(&key)
    }

    /// Asks the next round, or answers the call.
    fn go_on(&mut self, key: &str) -> Vec<Value> {
        let Some(asked) = self.0.get_mut(key) else { return Vec::new() };
        let rounds = &asked.call["params"]["arguments"]["rounds"];
        let Some(questions) = rounds[asked.round].as_array().filter(|round| !round.is_empty())
        else {
            let result = json!({"content": [{"type": "text", "text": json!(asked.said).to_string()}],
                "_meta": {"process": std::process::id()}});
            let answer = json!({"jsonrpc": "2.0", "id": asked.call["id"], "result": result});
            self.0.remove(key);
            return vec![answer];
        };
        asked.answers = vec![None; questions.len()];
        let id = |number: usize| format!("{key}|{}|{number}", asked.round);
        let ask = |(number, question): (usize, &Value)| {
            json!({"jsonrpc": "2.0", "id": id(number), "method": question["method"],
                "params": question["params"]})
        };
        questions.iter().enumerate().map(ask).collect()
    }

    /// Takes the answer to a question.
    fn answered(&mut self, message: &Value) -> Vec<Value> {
        let id = message["id"].as_str().unwrap_or_default().to_owned();
        let mut parts = id.split('|');
        let key = parts.next().unwrap_or_default().to_owned();
        let number = parts.nth(1).and_then(|number| number.parse::<usize>().ok());
        let (Some(asked), Some(number)) = (self.0.get_mut(&key), number) else { return Vec::new() };
        asked.answers[number] = Some(match &message["error"] {
            Value::Null => message["result"].clone(),
            error => json!({"error": error}),
        });
        if asked.answers.iter().any(Option::is_none) {
            return Vec::new();
        }
        asked.said.extend(asked.answers.drain(..).flatten());
        asked.round += 1;
        self.go_on(&key)
    }
}

/// The answer of a modern server, which keeps what it was told in its state.
fn ask_modern(call: &Value) -> Value {
    let params = &call["params"];
    let state = params["requestState"].as_str();
    let mut state: Value = state
        .and_then(|state| serde_json::from_str(state).ok())
        .unwrap_or_else(|| json!({"round": 0, "said": []}));
    if let (Some(said), Some(answers)) =
        (state["said"].as_array_mut(), params["inputResponses"].as_object())
    {
        said.push(json!(answers));
    }
    let round = state["round"].as_u64().and_then(|round| usize::try_from(round).ok());
    let round = round.unwrap_or_default();
    let requests = &params["arguments"]["rounds"][round];
    let result = if requests.is_null() {
        json!({"resultType": "complete", "_meta": {"process": std::process::id()},
            "content": [{"type": "text", "text": state["said"].to_string()}]})
    } else {
        state["round"] = json!(round + 1);
        json!({"resultType": "input_required", "inputRequests": requests,
            "requestState": state.to_string()})
    };
    json!({"jsonrpc": "2.0", "id": call["id"], "result": result})
}

fn text() -> Value {
    json!({"type": "text", "text": format!("process {}", std::process::id())})
}
