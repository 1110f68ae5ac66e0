//! What happened in a simulation, and the rules that it must not have broken.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::time::Instant;

use crate::fault::Reason;

/// What must hold whatever happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Rule {
    /// A call is executed at most once.
    ExecutedOnce,
    /// A server sees a call again only after it has asked for that itself, and where it wanted pages
    /// to be visited first, after its client has agreed to.
    CalledWhenWanted,
    /// Each request of a client has one terminal answer, unless the client gave it up.
    Answered,
    /// And no second one.
    AnsweredOnce,
    /// A success was executed.
    SuccessIsTrue,
    /// A parked call goes on for one of those who come back.
    ContinuedOnce,
    /// A call whose client comes back in time, alone and with what was asked, is still there.
    StillThere,
    /// Whoever comes back too late, twice or with something that does not fit is told so.
    ToldWhy,
    /// Servers only get answers that were given to their own questions.
    OwnAnswers,
    /// A client that is asked is asked something.
    SomethingAsked,
    /// A call asks at most as often as it may.
    RoundsAreBounded,
    /// At most as many calls are parked as may be.
    LotIsBounded,
    /// A call that everybody means well with succeeds.
    CalmSucceeds,
    /// In the end each call is answered or cancelled at its server.
    CallsEnd,
    /// In the end nothing is parked.
    LotEmpties,
    /// In the end no task is left.
    TasksEnd,
}

/// How a request of a client ended, as far as simulations are counted by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Tally {
    Success,
    Failure,
    Asked,
    Error,
    Fault(&'static str),
    GivenUp,
}

impl From<Reason> for Tally {
    fn from(reason: Reason) -> Self {
        Self::Fault(reason.slug())
    }
}

/// Shared by everybody in one simulation.
#[derive(Clone)]
pub(super) struct Ledger(Arc<Mutex<Book>>);

struct Book {
    began: Instant,
    trace: Vec<String>,
    broken: Vec<(Rule, String)>,
    calls: Vec<Account>,
    /// Whether a server has died.
    died: bool,
    /// Requests of clients: whether each has its terminal answer.
    requests: Vec<bool>,
    /// Calls as servers got them.
    arrivals: Vec<Arrival>,
    tally: BTreeMap<Tally, usize>,
}

/// One call, however often it is continued.
#[derive(Clone, Copy)]
struct Account {
    executions: u32,
    successes: u32,
    /// How often its server may still see it.
    wanted: u32,
    /// How often its server has sent its client to visit pages first.
    sent_away: u32,
}

/// One call as a server got it.
struct Arrival {
    call: usize,
    answered: bool,
    released: bool,
}

/// What came of a simulation.
pub(super) struct Finding {
    pub(super) broken: Vec<(Rule, String)>,
    pub(super) trace: Vec<String>,
    pub(super) tally: BTreeMap<Tally, usize>,
}

impl Ledger {
    pub(super) fn new(calls: usize) -> Self {
        Self(Arc::new(Mutex::new(Book {
            began: Instant::now(),
            trace: Vec::new(),
            broken: Vec::new(),
            calls: vec![Account { executions: 0, successes: 0, wanted: 1, sent_away: 0 }; calls],
            died: false,
            requests: Vec::new(),
            arrivals: Vec::new(),
            tally: BTreeMap::new(),
        })))
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().expect("no panic while holding the ledger")
    }

    /// Adds a line to the trace.
    pub(super) fn note(&self, call: usize, what: &str) {
        self.book().note(call, what);
    }

    /// A rule is broken.
    pub(super) fn broke(&self, call: usize, rule: Rule, how: &str) {
        self.book().broke(call, rule, how);
    }

    /// The server got the call.
    pub(super) fn arrived(&self, call: usize) -> usize {
        let mut book = self.book();
        book.note(call, "the server gets the call");
        match book.calls[call].wanted.checked_sub(1) {
            Some(wanted) => book.calls[call].wanted = wanted,
            None => book.broke(call, Rule::CalledWhenWanted, "the server got it once too often"),
        }
        book.arrivals.push(Arrival { call, answered: false, released: false });
        book.arrivals.len() - 1
    }

    /// The server wants to be called once more.
    pub(super) fn wanted_again(&self, call: usize) {
        self.book().calls[call].wanted += 1;
    }

    /// The server sends the client of the call to pages that it must visit first.
    pub(super) fn sends_away(&self, call: usize) {
        let mut book = self.book();
        book.note(call, "the server wants pages to be visited first");
        book.calls[call].sent_away += 1;
    }

    /// The client agrees to visit the pages: its server may see the call once more.
    pub(super) fn agrees_to_visit(&self, call: usize) {
        self.book().calls[call].wanted = 1;
    }

    /// How often the server got the call.
    pub(super) fn arrivals(&self, call: usize) -> usize {
        self.book().arrivals.iter().filter(|arrival| arrival.call == call).count()
    }

    pub(super) fn sent_away(&self, call: usize) -> u32 {
        self.book().calls[call].sent_away
    }

    /// A server dies, with all the calls that it has.
    pub(super) fn dies(&self) {
        let mut book = self.book();
        book.note(0, "the server dies");
        book.died = true;
    }

    pub(super) fn has_died(&self) -> bool {
        self.book().died
    }

    pub(super) fn executed(&self, call: usize) {
        let mut book = self.book();
        book.note(call, "the server executes the call");
        book.calls[call].executions += 1;
        if book.calls[call].executions > 1 {
            book.broke(call, Rule::ExecutedOnce, "executed again");
        }
    }

    /// The server's answer was taken.
    pub(super) fn answered(&self, arrival: usize) {
        self.book().arrivals[arrival].answered = true;
    }

    /// The gate let go of the call.
    pub(super) fn released(&self, arrival: usize) {
        let mut book = self.book();
        let Arrival { call, answered, .. } = book.arrivals[arrival];
        book.arrivals[arrival].released = true;
        if !answered {
            book.note(call, "the call is over at the server without an answer taken");
        }
    }

    /// A client makes a request.
    pub(super) fn requested(&self, call: usize, what: &str) -> usize {
        let mut book = self.book();
        let request = book.requests.len();
        book.note(call, &format!("client request {request}: {what}"));
        book.requests.push(false);
        request
    }

    /// A request has its terminal answer, or its client gave it up.
    pub(super) fn ended(&self, call: usize, request: usize, how: Tally, what: &str) {
        let mut book = self.book();
        book.note(call, &format!("client request {request} ends: {what}"));
        if std::mem::replace(&mut book.requests[request], true) {
            book.broke(call, Rule::AnsweredOnce, "a second terminal answer");
        }
        *book.tally.entry(how).or_default() += 1;
        if how == Tally::Success {
            book.calls[call].successes += 1;
            if book.calls[call].executions == 0 {
                book.broke(call, Rule::SuccessIsTrue, "a success of what was never executed");
            }
            if book.calls[call].successes > 1 {
                book.broke(call, Rule::AnsweredOnce, "the call succeeded twice");
            }
        }
    }

    /// Closes the book: what is open now stays open.
    pub(super) fn close(&self, parked: usize, tasks: usize) -> Finding {
        let mut book = self.book();
        for request in 0..book.requests.len() {
            if !book.requests[request] {
                let how = format!("client request {request} has no terminal answer");
                book.broke(0, Rule::Answered, &how);
            }
        }
        for at in 0..book.arrivals.len() {
            let Arrival { call, released, .. } = book.arrivals[at];
            if !released {
                book.broke(call, Rule::CallsEnd, "neither answered nor cancelled at the server");
            }
        }
        if parked > 0 {
            book.broke(0, Rule::LotEmpties, &format!("{parked} calls are parked at the end"));
        }
        if tasks > 0 {
            book.broke(0, Rule::TasksEnd, &format!("{tasks} tasks are left at the end"));
        }
        Finding {
            broken: std::mem::take(&mut book.broken),
            trace: std::mem::take(&mut book.trace),
            tally: std::mem::take(&mut book.tally),
        }
    }

    /// What has happened until now.
    pub(super) fn trace(&self) -> Vec<String> {
        // Asked for while a panic is under way as well.
        self.0
            .lock()
            .map_or_else(|broken| broken.into_inner().trace.clone(), |book| book.trace.clone())
    }
}

impl Book {
    fn note(&mut self, call: usize, what: &str) {
        let mut line = String::with_capacity(what.len() + 24);
        let _ = write!(line, "{:>9} ms  call {call}  {what}", self.began.elapsed().as_millis());
        self.trace.push(line);
    }

    fn broke(&mut self, call: usize, rule: Rule, how: &str) {
        self.note(call, &format!("BROKEN {rule:?}: {how}"));
        self.broken.push((rule, format!("call {call}: {how}")));
    }
}
