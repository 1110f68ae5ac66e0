//! Calls that wait for their client: all are made first, then all are answered.

use std::ops::Range;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail};
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use crate::answer::check_call;
use crate::http1::Connection;
use crate::latency::Latencies;
use crate::request::{Declares, Era, Target, Writer};

/// Bytes of text in each result.
const SIZE: usize = 1024;
/// The first echo: all have nine digits, as ids have.
const ECHO_FIRST: u32 = 100_000_000;

/// Calls of a modern client that were asked something and not answered yet.
#[derive(Debug)]
pub struct Parked {
    target: Target,
    tool: String,
    lanes: Vec<Lane>,
    took: Duration,
}

/// One connection, on which one call after another is made and later answered.
#[derive(Debug)]
struct Lane {
    number: u32,
    connection: Connection,
    sent: u32,
    waiting: Vec<Waiting>,
}

/// What a client keeps of a call that asked.
#[derive(Debug)]
struct Waiting {
    echo: String,
    state: String,
}

/// What came of it.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Calls that succeeded.
    pub succeeded: usize,
    /// How long making all calls took, in seconds.
    pub parking_s: f64,
    /// How long answering all took, in seconds.
    pub answering_s: f64,
    /// Half of the answered calls were done after so many microseconds.
    pub p50_us: f64,
    /// 99 of 100 answered calls were done after so many microseconds.
    pub p99_us: f64,
}

/// What of an `input_required` result matters here.
#[derive(Deserialize)]
struct Asked {
    result: AskedResult,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AskedResult {
    input_requests: std::collections::HashMap<String, serde_json::Value>,
    request_state: String,
}

/// Makes the calls of `tool` with these numbers on so many connections; each must be asked exactly
/// one question.
pub async fn park(
    target: &Target,
    tool: &str,
    calls: Range<u32>,
    connections: u32,
) -> Result<Parked> {
    let began = Instant::now();
    let connections = connections.max(1);
    let mut tasks = JoinSet::new();
    for number in 0..connections {
        let (target, tool, calls) = (target.clone(), tool.to_owned(), calls.clone());
        tasks.spawn(async move {
            let connection = Connection::open(target.address).await.context("cannot connect")?;
            let mut lane = Lane { number, connection, sent: 0, waiting: Vec::new() };
            let first = calls.start.saturating_add(number);
            for call in (first..calls.end).step_by(usize::try_from(connections)?) {
                let echo = (ECHO_FIRST + call).to_string();
                let parked = lane.park(&target, &tool, &echo).await;
                parked.with_context(|| format!("parking call {echo}"))?;
            }
            anyhow::Ok(lane)
        });
    }
    let lanes = all(tasks).await?;
    Ok(Parked { target: target.clone(), tool: tool.to_owned(), lanes, took: began.elapsed() })
}

impl Parked {
    /// Answers every call; one that does not succeed is an error.
    pub async fn answer(self) -> Result<Report> {
        let Self { target, tool, lanes, took } = self;
        let began = Instant::now();
        let mut tasks = JoinSet::new();
        for lane in lanes {
            let (target, tool) = (target.clone(), tool.clone());
            tasks.spawn(async move { lane.answer(&target, &tool).await });
        }
        let mut latencies = Latencies::default();
        for lane in all(tasks).await? {
            latencies.append(lane);
        }
        let (parking_s, answering_s) = (took.as_secs_f64(), began.elapsed().as_secs_f64());
        let succeeded = latencies.count();
        let [p50_us, p99_us] = latencies.quantiles_us([0.5, 0.99]);
        Ok(Report { succeeded, parking_s, answering_s, p50_us, p99_us })
    }
}

impl Lane {
    async fn park(&mut self, target: &Target, tool: &str, echo: &str) -> Result<()> {
        let request = writer(target, self.number).asking_call(tool, SIZE, echo, "");
        let mut request = request.after(self.sent);
        self.sent += 1;
        let (head, body) = self.connection.exchange(request.next_request().0).await?;
        let shown = || String::from_utf8_lossy(body).into_owned();
        if head.status != 200 {
            bail!("status {}: {}", head.status, shown());
        }
        let asked: Asked = serde_json::from_slice(message(body))
            .with_context(|| format!("it was not asked anything: {}", shown()))?;
        let requests = asked.result.input_requests;
        if requests.len() != 1 || !requests.contains_key("q1") {
            bail!("it was not asked one question: {}", shown());
        }
        let state = serde_json::to_string(&asked.result.request_state)?;
        self.waiting.push(Waiting { echo: echo.to_owned(), state });
        Ok(())
    }

    async fn answer(mut self, target: &Target, tool: &str) -> Result<Latencies> {
        let mut latencies = Latencies::default();
        for Waiting { echo, state } in self.waiting {
            let answers = format!(
                r#","inputResponses":{{"q1":{{"action":"accept","content":{{"confirm":true}}}}}},"requestState":{state}"#
            );
            let request = writer(target, self.number).asking_call(tool, SIZE, &echo, &answers);
            let mut request = request.after(self.sent);
            self.sent += 1;
            let (request, id) = request.next_request();
            let sent = Instant::now();
            let (head, body) = self.connection.exchange(request).await?;
            latencies.add(sent.elapsed());
            if head.status != 200 {
                bail!("status {}: {}", head.status, String::from_utf8_lossy(body));
            }
            let echo = echo.as_bytes().try_into().expect("an echo has nine digits");
            check_call(body, &id, &echo, SIZE).map_err(|wrong| anyhow!(wrong))?;
        }
        Ok(latencies)
    }
}

fn writer(target: &Target, connection: u32) -> Writer<'_> {
    let (era, declares) = (Era::Modern, Declares::Questions);
    Writer { target, era, declares, session: None, connection }
}

/// The message of an answer: the body itself, or the data of its last event.
fn message(body: &[u8]) -> &[u8] {
    if body.starts_with(b"{") {
        return body;
    }
    let lines = body.split(|&byte| byte == b'\n').rev();
    let mut data = lines.filter_map(|line| line.strip_prefix(b"data:"));
    data.find(|data| data.contains(&b'{')).unwrap_or(body)
}

async fn all<T: 'static>(mut tasks: JoinSet<Result<T>>) -> Result<Vec<T>> {
    let mut done = Vec::new();
    while let Some(task) = tasks.join_next().await {
        done.push(task.context("a connection panicked")??);
    }
    Ok(done)
}
