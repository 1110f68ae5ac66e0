//! The stream of one call in a session: resumed where it breaks, cut where its session is forgotten.

use std::sync::Arc;

use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use wire::method::name;
use wire::{Id, Json, Message};

use super::{CancelOnDrop, HttpSession, RESUME_AFTER, RESUME_AFTER_MAX, with_token};
use crate::call::{Event, Question};
use crate::upstream::error::ServerError;
use crate::upstream::events::Events;
use crate::upstream::unbound::{Change, Owner};

/// How often a broken stream of an unanswered call is resumed.
const RESUMES_MAX: usize = 10;

/// The stream of one call, resumed where it breaks before the answer.
pub(in crate::upstream) struct SessionStream {
    pub(super) events: Events,
    pub(super) session: Arc<HttpSession>,
    pub(super) id: Id,
    pub(super) resumes: usize,
    /// Set between the end of one stream and the beginning of the next.
    pub(super) paused: Option<Instant>,
    pub(super) last_event_id: Option<String>,
    /// The client's own progress token, where the request carried another.
    pub(super) token: Option<Json>,
    /// Cancelled when an answer to what this call asked cannot be given.
    pub(super) deaf: CancellationToken,
    pub(super) guard: Option<CancelOnDrop>,
}

impl std::fmt::Debug for SessionStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SessionStream").field("id", &self.id).finish_non_exhaustive()
    }
}

impl SessionStream {
    /// Lets go of the stream after its answer.
    pub(in crate::upstream) fn finish(self) {
        self.events.finish();
    }

    pub(in crate::upstream) async fn next(&mut self) -> Result<Event, ServerError> {
        let event = self.read().await?;
        if matches!(event, Event::Done(_))
            && let Some(guard) = &mut self.guard
        {
            guard.armed = false;
        }
        Ok(self.restore(event))
    }

    async fn read(&mut self) -> Result<Event, ServerError> {
        if let Some(until) = self.paused {
            self.resume(until).await?;
            self.paused = None;
        }
        loop {
            let message = tokio::select! {
                biased;
                message = self.events.next_message() => message,
                () = self.deaf.cancelled() => {
                    let why = "the server forgot the session, and with it what it had asked";
                    return Err(ServerError::Closed(why.into()));
                }
            };
            if matches!(message, Ok(Some(_))) {
                // It goes on: what counts are breaks without anything between them.
                self.resumes = 0;
            }
            match message {
                Ok(Some(Message::Response(response))) if response.id.as_ref() == Some(&self.id) => {
                    return Ok(Event::Done(response.outcome));
                }
                Ok(Some(Message::Response(_))) => {
                    return Err(ServerError::Protocol("the answer has another id".into()));
                }
                Ok(Some(Message::Notification(notification))) => {
                    if let Some(change) = Change::of(&notification) {
                        let unbound = &self.session.unbound;
                        unbound.changes.report(&unbound.server, change);
                        if matches!(unbound.owner, Owner::Shared) {
                            continue;
                        }
                    }
                    return Ok(Event::Notification(notification));
                }
                Ok(Some(Message::Request(request))) => {
                    let (answer, receiver) = oneshot::channel();
                    let method = request.method.as_str().to_owned();
                    if method == name::PING {
                        let _ = answer.send(Ok(wire::Object::empty()));
                        self.session.answer_later(request.id, method, receiver, self.deaf.clone());
                        continue;
                    }
                    if let Err(error) = self.session.unbound.screen(&method, &request.params) {
                        let _ = answer.send(Err(error));
                        self.session.answer_later(request.id, method, receiver, self.deaf.clone());
                        continue;
                    }
                    self.session.answer_later(request.id, method, receiver, self.deaf.clone());
                    let (method, params) = (request.method, request.params);
                    return Ok(Event::Question(Question { method, params, answer }));
                }
                Ok(None) | Err(ServerError::Http(_)) => return self.pause(),
                Err(error) => return Err(error),
            }
        }
    }

    /// The stream ended before the answer: it goes on later, if the server numbers its events.
    fn pause(&mut self) -> Result<Event, ServerError> {
        if let Some(id) = self.events.last_event_id() {
            self.last_event_id = Some(id.to_owned());
        }
        self.resumes += 1;
        let why = match &self.last_event_id {
            None => "and its events have no ids to resume from",
            Some(_) if self.resumes > RESUMES_MAX => "again and again",
            Some(_) => {
                let wait = self.events.retry().unwrap_or(RESUME_AFTER).min(RESUME_AFTER_MAX);
                self.paused = Some(Instant::now() + wait);
                return Ok(Event::Paused(wait));
            }
        };
        Err(ServerError::Closed(format!("the stream ended, {why}")))
    }

    /// Goes on where the stream broke.
    async fn resume(&mut self, until: Instant) -> Result<(), ServerError> {
        let ended = |why: &str| ServerError::Closed(format!("the stream ended, {why}"));
        let last = self.last_event_id.clone().unwrap_or_default();
        tokio::time::sleep_until(until).await;
        let response = self.session.get(Some(&last)).await?;
        if !response.status().is_success() {
            return Err(ended("and the server does not resume it"));
        }
        self.events = Events::new(response.into_body(), self.session.target.bounds);
        Ok(())
    }

    /// Progress is told under this token from now on, if the request carried one.
    pub(in crate::upstream) fn set_token(&mut self, token: Option<Json>) {
        if self.token.is_some() && token.is_some() {
            self.token = token;
        }
    }

    pub(super) fn restore(&self, event: Event) -> Event {
        match (event, &self.token) {
            (Event::Notification(notification), Some(token)) => {
                Event::Notification(with_token(notification, token))
            }
            (event, _) => event,
        }
    }
}
