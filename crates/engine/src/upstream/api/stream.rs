//! An answer that comes value by value: each is progress, and all together are the result.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use openapi::response::{self, Collector, Item};
use tokio::time::{Instant, timeout_at};
use wire::method::name;
use wire::{Json, Notification, Object, meta};

use super::addresses::Choice;
use super::run::of_client;
use super::{ApiServer, ApiTool};
use crate::call::Event;
use crate::http::Decoded;
use crate::upstream::ServerError;

/// The values of one answer, as they come in. Dropping it closes the connection.
pub(super) struct Collecting {
    server: Arc<ApiServer>,
    tool: Arc<ApiTool>,
    collector: Option<Collector>,
    body: Decoded,
    /// The call is in flight while its stream is.
    _choice: Choice,
    arguments: Object,
    uri: String,
    items: Vec<Item>,
}

/// A chunk's worth of a stream.
enum Step {
    /// So many further values came.
    Came(usize),
    /// There are no more, or no more are read.
    Ended { is_partial: bool },
}

/// Most values that are kept of a stream; those beyond them are not read.
const ITEMS_MAX: usize = 10_000;
/// How much earlier than the call would end the stream is left, so that its result still arrives.
const MARGIN_MAX: Duration = Duration::from_millis(500);

impl Collecting {
    pub(super) fn new(
        server: &Arc<ApiServer>,
        tool: &Arc<ApiTool>,
        collector: Collector,
        (body, choice): (Decoded, Choice),
        arguments: Object,
        uri: String,
    ) -> Self {
        let (server, tool) = (Arc::clone(server), Arc::clone(tool));
        Self {
            server,
            tool,
            collector: Some(collector),
            body,
            _choice: choice,
            arguments,
            uri,
            items: Vec::new(),
        }
    }

    /// Reads the next chunk, until `until` at the latest.
    async fn step(&mut self, until: Instant) -> Result<Step, ServerError> {
        let before = self.items.len();
        let Some(collector) = &mut self.collector else {
            return Ok(Step::Ended { is_partial: false });
        };
        let Ok(chunk) = timeout_at(until, self.body.chunk()).await else {
            return Ok(Step::Ended { is_partial: true });
        };
        let Some(chunk) = chunk else {
            let collector = self.collector.take();
            self.items.extend(collector.into_iter().flat_map(Collector::end));
            return Ok(match self.items.len() - before {
                0 => Step::Ended { is_partial: false },
                came => Step::Came(came),
            });
        };
        match collector.feed(chunk.map_err(of_client)?) {
            Ok(items) => self.items.extend(items),
            Err(_too_long) => return Ok(Step::Ended { is_partial: true }),
        }
        if self.items.len() > ITEMS_MAX {
            self.items.truncate(ITEMS_MAX);
            return Ok(Step::Ended { is_partial: true });
        }
        Ok(Step::Came(self.items.len() - before))
    }

    /// The whole result, without progress.
    pub(super) async fn result(mut self, deadline: Instant) -> Result<Object, ServerError> {
        let until = deadline - self.margin();
        loop {
            if let Step::Ended { is_partial } = self.step(until).await? {
                return Ok(self.finish(is_partial));
            }
        }
    }

    fn margin(&self) -> Duration {
        (self.server.way.timeout / 10).min(MARGIN_MAX)
    }

    fn finish(&self, is_partial: bool) -> Object {
        let way = &self.server.way;
        let about = response::Call { arguments: &self.arguments, uri: &self.uri };
        let fits = |value: &Json| self.tool.fits(value);
        let answers = &self.tool.offered.answers;
        let result = answers.collected(&self.items, is_partial, &about, &way.limits, &fits);
        self.server.answered(&self.tool, result)
    }
}

/// The stream of one answer, with progress for each value.
pub(crate) struct ApiStream {
    collecting: Collecting,
    token: Json,
    ready: VecDeque<Notification>,
    told: usize,
    /// When the stream is left whatever comes.
    latest: Instant,
}

/// Longest text of a progress notification in bytes.
const MESSAGE_BYTES_MAX: usize = 2 << 10;

impl ApiStream {
    pub(super) fn new(collecting: Collecting, token: Json) -> Self {
        let way = &collecting.server.way;
        let latest = Instant::now() + way.deadline_max - collecting.margin().min(way.deadline_max);
        Self { collecting, token, ready: VecDeque::new(), told: 0, latest }
    }

    pub(crate) async fn next(&mut self) -> Result<Event, ServerError> {
        loop {
            if let Some(progress) = self.ready.pop_front() {
                return Ok(Event::Notification(progress));
            }
            let silence =
                self.collecting.server.way.timeout.saturating_sub(self.collecting.margin());
            let until = self.latest.min(Instant::now() + silence);
            match self.collecting.step(until).await? {
                Step::Came(count) => {
                    let first = self.collecting.items.len() - count;
                    for at in first..self.collecting.items.len() {
                        self.told += 1;
                        let progress = self.progress(&self.collecting.items[at].text);
                        self.ready.push_back(progress);
                    }
                }
                Step::Ended { is_partial } => {
                    return Ok(Event::Done(Ok(self.collecting.finish(is_partial))));
                }
            }
        }
    }

    fn progress(&self, text: &str) -> Notification {
        let hidden = self.collecting.server.way.secrets.hidden_in(text.as_bytes());
        let hidden = hidden.as_deref().map(String::from_utf8_lossy);
        let text = hidden.as_deref().unwrap_or(text);
        let end = text.len().min(MESSAGE_BYTES_MAX);
        let end = (0..=end).rev().find(|&at| text.is_char_boundary(at)).unwrap_or_default();
        let token = self.token.as_str();
        let params = format!(
            "{{\"{}\":{token},\"progress\":{},\"message\":{}}}",
            meta::PROGRESS_TOKEN,
            self.told,
            Json::string(&text[..end]).as_str()
        );
        let params = Json::trusted(params).object().expect("written as an object");
        Notification { method: name::PROGRESS.into(), params, meta: Object::empty() }
    }
}

impl fmt::Debug for ApiStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiStream").field("told", &self.told).finish_non_exhaustive()
    }
}
