//! The closed loop: each connection sends its next request when it has the answer to the last.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail};
use serde::Serialize;
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::answer::{check_call, check_id, check_list};
use crate::http1::Connection;
use crate::latency::Latencies;
use crate::request::{Declares, Era, Form, Target, Template, Writer};

/// What is asked again and again.
#[derive(Debug, Clone)]
pub enum Question {
    /// `tools/call` of a tool of the bench upstream.
    Call {
        /// The name that the endpoint shows.
        tool: String,
        /// Bytes of text in the result.
        size: usize,
        /// The form of the upstream's answer.
        form: Form,
    },
    /// `tools/list`.
    List,
    /// A file by GET.
    File,
}

/// A run of the closed loop.
#[derive(Debug, Clone)]
pub struct Load {
    /// Where to ask.
    pub target: Target,
    /// What the client speaks.
    pub era: Era,
    /// What the client can be asked.
    pub declares: Declares,
    /// What to ask.
    pub question: Question,
    /// How many connections, each with one request in flight.
    pub connections: u32,
    /// For how long.
    pub duration: Duration,
}

/// What came of it.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Requests answered rightly.
    pub requests: usize,
    /// From the first request to the last answer, in seconds.
    pub seconds: f64,
    /// Requests a second.
    pub throughput: f64,
    /// Half of the requests took at most so many microseconds.
    pub p50_us: f64,
    /// 99 of 100 requests took at most so many microseconds.
    pub p99_us: f64,
    /// Bytes of the last body.
    pub body_bytes: usize,
}

impl Load {
    /// Runs the load; a wrong answer on any connection is an error.
    pub async fn run(&self) -> Result<Report> {
        let connections = usize::try_from(self.connections)?;
        let barrier = std::sync::Arc::new(Barrier::new(connections));
        let mut tasks = JoinSet::new();
        for number in 0..self.connections {
            let (load, barrier) = (self.clone(), barrier.clone());
            tasks.spawn(async move {
                let ready = load.prepare(number).await;
                // Waits also when it failed, or the others would wait forever.
                barrier.wait().await;
                let (connection, session, template) = ready?;
                load.ask(connection, session, template).await
            });
        }
        let mut latencies = Latencies::default();
        let (mut begin, mut end): (Option<Instant>, Option<Instant>) = (None, None);
        let mut body_bytes = 0;
        while let Some(task) = tasks.join_next().await {
            let part = task.context("a connection panicked")??;
            latencies.append(part.latencies);
            begin = Some(begin.map_or(part.begin, |begin| begin.min(part.begin)));
            end = Some(end.map_or(part.end, |end| end.max(part.end)));
            body_bytes = part.body_bytes;
        }
        let (Some(begin), Some(end)) = (begin, end) else { bail!("there is no connection") };
        let seconds = (end - begin).as_secs_f64();
        let requests = latencies.count();
        let [p50_us, p99_us] = latencies.quantiles_us([0.5, 0.99]);
        #[expect(clippy::cast_precision_loss, reason = "some millions of requests")]
        let throughput = requests as f64 / seconds;
        Ok(Report { requests, seconds, throughput, p50_us, p99_us, body_bytes })
    }

    /// Connects and, for a legacy client, begins the session.
    async fn prepare(&self, number: u32) -> Result<(Connection, Option<String>, Template)> {
        let (target, era, declares) = (&self.target, self.era, self.declares);
        let (connection, session) = connect(target, era, declares, &self.question, number).await?;
        let writer =
            Writer { target, era, declares, session: session.as_deref(), connection: number };
        let template = match &self.question {
            Question::Call { tool, size, form } => writer.call(tool, *size, *form),
            Question::List => writer.list(),
            Question::File => writer.get(),
        };
        Ok((connection, session, template))
    }

    /// Asks until the time is over, then ends the session: sessions left behind would be load for
    /// whoever is measured next.
    async fn ask(
        &self,
        mut connection: Connection,
        session: Option<String>,
        mut template: Template,
    ) -> Result<Part> {
        let mut latencies = Latencies::default();
        let mut length = None;
        let begin = Instant::now();
        let mut sent = begin;
        let deadline = begin + self.duration;
        loop {
            let (request, id) = template.next_request();
            let (head, body) = connection.exchange(request).await?;
            let answered = Instant::now();
            if head.status != 200 {
                bail!("status {}: {}", head.status, String::from_utf8_lossy(body));
            }
            let length = *length.get_or_insert(body.len());
            match &self.question {
                Question::Call { size, .. } => check_call(body, &id, &id, *size),
                Question::List => check_list(body, &id, length),
                Question::File if body.len() != length => Err("the file changed".to_owned()),
                Question::File => Ok(()),
            }
            .map_err(|wrong| anyhow!(wrong))?;
            latencies.add(answered - sent);
            if answered >= deadline {
                if let Some(session) = session.as_deref() {
                    let (target, era, declares) = (&self.target, self.era, self.declares);
                    let session = Some(session);
                    let mut end = Writer { target, era, declares, session, connection: 0 }.end();
                    // A server may refuse to end sessions; it has answered everything else.
                    connection.exchange(end.next_request().0).await?;
                }
                return Ok(Part { latencies, begin, end: answered, body_bytes: length });
            }
            // Checking is not the server's time.
            sent = Instant::now();
        }
    }
}

/// What one connection measured.
struct Part {
    latencies: Latencies,
    begin: Instant,
    end: Instant,
    body_bytes: usize,
}

async fn connect(
    target: &Target,
    era: Era,
    declares: Declares,
    question: &Question,
    number: u32,
) -> Result<(Connection, Option<String>)> {
    let mut connection = Connection::open(target.address)
        .await
        .with_context(|| format!("cannot connect to {}", target.address))?;
    if era == Era::Modern || matches!(question, Question::File) {
        return Ok((connection, None));
    }
    let writer = Writer { target, era, declares, session: None, connection: number };
    let mut template = writer.initialize();
    let (request, id) = template.next_request();
    let (head, body) = connection.exchange(request).await?;
    check_id(body, &id).map_err(|wrong| anyhow!("initialize, status {}: {wrong}", head.status))?;
    let session = head.session.context("the server gives no session")?;
    let writer = Writer { target, era, declares, session: Some(&session), connection: number };
    let mut template = writer.initialized();
    let (head, body) = connection.exchange(template.next_request().0).await?;
    if head.status != 202 {
        bail!("initialized, status {}: {}", head.status, String::from_utf8_lossy(body));
    }
    Ok((connection, Some(session)))
}

/// Asks once and returns the body; for what a program reads, such as the list of tools.
pub async fn ask_once(target: &Target, era: Era, question: &Question) -> Result<Vec<u8>> {
    let declares = Declares::Nothing;
    let (mut connection, session) = connect(target, era, declares, question, 0).await?;
    let writer = Writer { target, era, declares, session: session.as_deref(), connection: 0 };
    let mut template = match question {
        Question::Call { tool, size, form } => writer.call(tool, *size, *form),
        Question::List => writer.list(),
        Question::File => writer.get(),
    };
    let (head, body) = connection.exchange(template.next_request().0).await?;
    if head.status != 200 {
        bail!("status {}: {}", head.status, String::from_utf8_lossy(body));
    }
    Ok(body.to_vec())
}

/// Opens so many `subscriptions/listen` streams and keeps them; each is acknowledged.
///
/// Opens few at a time, because the queue of a listening socket is short.
pub async fn listen(target: &Target, streams: u32) -> Result<Vec<Connection>> {
    const AT_ONCE: u32 = 64;
    let mut open = Vec::new();
    for first in (0..streams).step_by(usize::try_from(AT_ONCE)?) {
        let mut tasks = JoinSet::new();
        for number in first..streams.min(first + AT_ONCE) {
            let target = target.clone();
            tasks.spawn(async move {
                let opened = Connection::open(target.address).await;
                let mut connection = opened.with_context(|| format!("stream {number}"))?;
                let writer = Writer {
                    target: &target,
                    era: Era::Modern,
                    declares: Declares::Nothing,
                    session: None,
                    connection: number,
                };
                let mut template = writer.listen();
                let (request, _) = template.next_request();
                let acknowledged = b"subscriptions/acknowledged";
                let opened = connection.open_stream(request, acknowledged).await;
                opened.with_context(|| format!("stream {number}"))?;
                anyhow::Ok(connection)
            });
        }
        while let Some(task) = tasks.join_next().await {
            open.push(task.context("a connection panicked")??);
        }
    }
    Ok(open)
}
