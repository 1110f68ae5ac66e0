//! A server over standard streams: a test binary that starts itself again and plays one.
//!
//! A process is told what to play in the variable [`SCRIPT`]: a JSON object with `era`, with `on` (what
//! to do for each method, as a list of steps), and with `journal` (a file to which every line that it
//! receives is appended). A step is a line to write, with `$ID` for the id of the request and `$PID`
//! for the process, or one of `!exit`, `!close` (standard output) and `!stderr TEXT`.

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
        if let Some(steps) = script["on"][method].as_array() {
            for step in steps.iter().filter_map(Value::as_str) {
                match step {
                    "!exit" => return,
                    step => take(step, &id, &mut out),
                }
            }
        } else if !message["id"].is_null() && !method.is_empty() {
            let answer = match answer(is_modern, method) {
                Some(result) => json!({"jsonrpc": "2.0", "id": message["id"], "result": result}),
                None => json!({"jsonrpc": "2.0", "id": message["id"],
                    "error": {"code": -32601, "message": "Method not found"}}),
            };
            take(&answer.to_string(), &id, &mut out);
        }
    }
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

fn text() -> Value {
    json!({"type": "text", "text": format!("process {}", std::process::id())})
}
