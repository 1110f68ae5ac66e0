//! The addresses that serve an operation, and which of them the next request goes to.
//!
//! An address that cannot be connected to is left alone for a while, longer each time; then one
//! request tries it again. Only what is certainly unsent goes on to another address, so that no
//! request is made twice.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use config::Balance;
use openapi::tool::Tool;
use policy::Backoff;
use tokio::time::Instant;
use url::Url;

use super::base::Base;

/// How long an address that cannot be connected to is left alone.
const LEFT_ALONE: Backoff =
    Backoff { initial: Duration::from_secs(1), max: Duration::from_secs(30) };

/// The addresses of an operation. Operations with the same ones share them.
pub(super) struct Addresses {
    all: Box<[Address]>,
    balance: Balance,
    /// How many choices were made.
    made: AtomicUsize,
}

struct Address {
    base: Base,
    host: Arc<Host>,
}

/// A scheme, name and port that requests go to, whatever the path.
pub(super) struct Host {
    name: String,
    /// Calls in flight.
    calls: AtomicUsize,
    /// Absent while it can be connected to, as far as is known.
    away: Mutex<Option<Away>>,
}

/// What is known of a host that could not be connected to.
struct Away {
    /// In a row.
    failures: u32,
    last: Instant,
    /// Until when requests go elsewhere.
    until: Instant,
}

/// An address of an API, as operators see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressState {
    /// Scheme, host and port.
    pub address: String,
    /// Calls in flight.
    pub calls: usize,
    /// Whether it could not be connected to, so that requests go to others.
    pub is_left_out: bool,
}

/// The address that is chosen for a request. While this lives, the address has a call in flight.
pub(crate) struct Choice {
    addresses: Arc<Addresses>,
    at: usize,
    /// Whether this request tries a host that was left alone.
    is_trial: bool,
}

/// The choices for one request: there is a next one where the one before could not be connected to.
pub(super) struct Choices<'a> {
    addresses: &'a Arc<Addresses>,
    /// A bit for each address that was chosen.
    tried: u64,
    /// Whether one that is left alone was chosen all the same; no other is.
    knocked: bool,
}

// === impl Addresses ===

impl Addresses {
    /// The addresses to try for one request, one after the other.
    pub(super) fn choices(self: &Arc<Self>) -> Choices<'_> {
        Choices { addresses: self, tried: 0, knocked: false }
    }

    /// Where the addresses are; there is at least one.
    pub(super) fn bases(&self) -> impl Iterator<Item = &Base> {
        self.all.iter().map(|address| &address.base)
    }

    /// One of the addresses that are marked, of which there is one at least.
    fn choose(&self, marked: u64) -> usize {
        match self.balance {
            Balance::First => nth_bit(marked, 0),
            Balance::RoundRobin => nth_bit(marked, self.number(marked)),
            Balance::LeastCalls => {
                // Several that are equal are chosen one after the other.
                let (count, from) = (marked.count_ones() as usize, self.number(marked));
                let ordered = (0..count).map(|step| nth_bit(marked, (from + step) % count));
                let calls = |&at: &usize| self.all[at].host.calls.load(Ordering::Relaxed);
                ordered.min_by_key(calls).expect("one is marked")
            }
        }
    }

    /// The number of this choice, within the count of marks.
    fn number(&self, marked: u64) -> usize {
        self.made.fetch_add(1, Ordering::Relaxed) % marked.count_ones() as usize
    }

    fn chosen(self: &Arc<Self>, at: usize, is_trial: bool) -> Choice {
        self.all[at].host.calls.fetch_add(1, Ordering::Relaxed);
        Choice { addresses: Arc::clone(self), at, is_trial }
    }
}

/// Where the bit is before which `number` others are set.
fn nth_bit(mut bits: u64, number: usize) -> usize {
    for _ in 0..number {
        bits &= bits - 1;
    }
    bits.trailing_zeros() as usize
}

impl fmt::Debug for Addresses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.bases().map(Base::prefix)).finish()
    }
}

// === impl Choices ===

impl Choices<'_> {
    /// The address to try next; `None` once there is none that is worth it.
    pub(super) fn next(&mut self) -> Option<Choice> {
        let all = &self.addresses.all;
        if all.len() == 1 {
            // Where there is no choice, nothing is left alone.
            return (std::mem::replace(&mut self.tried, 1) == 0)
                .then(|| self.addresses.chosen(0, false));
        }
        let now = Instant::now();
        let mut open = 0;
        for (at, address) in all.iter().enumerate() {
            let is_open = address.host.away().as_ref().is_none_or(|away| away.until <= now);
            open |= u64::from(is_open) << at;
        }
        open &= !self.tried;
        while open != 0 {
            let at = self.addresses.choose(open);
            if let Some(is_trial) = all[at].host.may_be_asked(now) {
                return Some(self.take(at, is_trial));
            }
            open &= !(1 << at);
        }
        if std::mem::replace(&mut self.knocked, true) {
            return None;
        }
        let untried = (0..all.len()).filter(|at| self.tried & (1 << at) == 0);
        let last = |at: &usize| all[*at].host.away().as_ref().map(|away| away.last);
        let at = untried.min_by_key(last)?;
        Some(self.take(at, false))
    }

    fn take(&mut self, at: usize, is_trial: bool) -> Choice {
        self.tried |= 1 << at;
        self.addresses.chosen(at, is_trial)
    }

    /// Until when the address that was chosen last must be connected to, so that another can be tried
    /// before `end`.
    pub(super) fn connected_by(&self, end: Instant) -> Option<Instant> {
        let count = self.addresses.all.len();
        if count == 1 {
            return None;
        }
        let is_last = self.tried.count_ones() as usize == count;
        let now = Instant::now();
        let left = end.saturating_duration_since(now);
        Some(now + if is_last { left } else { left / 2 })
    }
}

// === impl Choice ===

impl Choice {
    pub(super) fn base(&self) -> &Base {
        &self.addresses.all[self.at].base
    }

    /// The address without the path of an operation.
    pub(crate) fn prefix(&self) -> &str {
        self.base().prefix()
    }

    fn host(&self) -> &Host {
        &self.addresses.all[self.at].host
    }

    /// It was connected to.
    pub(super) fn reached(&self, server: &str) {
        if self.addresses.all.len() > 1 && self.host().away().take().is_some() {
            let address = &*self.host().name;
            tracing::info!(server, address, "an address of the API can be reached again");
        }
    }

    /// It could not be connected to, so it is left alone for a while.
    pub(super) fn missed(&self, server: &str, problem: &dyn fmt::Display) {
        if self.addresses.all.len() > 1 && self.host().missed(self.is_trial, Instant::now()) {
            let address = &*self.host().name;
            tracing::warn!(
                server,
                address,
                %problem,
                "an address of the API cannot be reached; it is left alone for a while"
            );
        }
    }
}

impl Drop for Choice {
    fn drop(&mut self) {
        self.host().calls.fetch_sub(1, Ordering::Relaxed);
    }
}

impl fmt::Debug for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Choice").field(&self.prefix()).finish()
    }
}

// === impl Host ===

impl Host {
    fn new(name: &str) -> Arc<Self> {
        let (name, calls, away) = (name.to_owned(), AtomicUsize::new(0), Mutex::new(None));
        Arc::new(Self { name, calls, away })
    }

    fn away(&self) -> MutexGuard<'_, Option<Away>> {
        // Nothing that can panic happens while it is held.
        self.away.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a request may go here now, and if so, whether that is a trial: after each wait, the
    /// first request alone tries.
    fn may_be_asked(&self, now: Instant) -> Option<bool> {
        match &mut *self.away() {
            None => Some(false),
            Some(away) if away.until <= now => {
                away.until = now + LEFT_ALONE.wait(away.failures, 0.0);
                Some(true)
            }
            Some(_) => None,
        }
    }

    /// Notes a failed attempt; whether it is the first in a row. Requests that fail together count
    /// once.
    fn missed(&self, is_trial: bool, now: Instant) -> bool {
        let mut held = self.away();
        let Some(away) = &mut *held else {
            *held = Some(Away { failures: 1, last: now, until: now + LEFT_ALONE.wait(1, 0.0) });
            return true;
        };
        away.last = now;
        if is_trial || away.until <= now {
            away.failures = away.failures.saturating_add(1);
            away.until = now + LEFT_ALONE.wait(away.failures, 0.0);
        }
        false
    }

    fn state(&self) -> AddressState {
        AddressState {
            address: self.name.clone(),
            calls: self.calls.load(Ordering::Relaxed),
            is_left_out: self.away().is_some(),
        }
    }
}

// === the hosts of an API ===

/// The hosts that an API's requests go to. What is known of them outlives the document.
#[derive(Default)]
pub(super) struct Hosts(Mutex<Vec<Arc<Host>>>);

impl Hosts {
    fn all(&self) -> MutexGuard<'_, Vec<Arc<Host>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn of(&self, base: &Base) -> Arc<Host> {
        let mut all = self.all();
        if let Some(known) = all.iter().find(|host| host.name == base.origin()) {
            return Arc::clone(known);
        }
        let host = Host::new(base.origin());
        all.push(Arc::clone(&host));
        host
    }

    /// Forgets those that no operation needs any more.
    pub(super) fn tidy(&self) {
        self.all().retain(|host| Arc::strong_count(host) > 1);
    }

    /// The addresses as operators see them, in the order of the configuration or the document.
    pub(super) fn states(&self) -> Vec<AddressState> {
        self.all().iter().map(|host| host.state()).collect()
    }
}

/// Where the operations of one reading of a document are served.
pub(super) struct AddressBook<'a> {
    /// Addresses that the operator wrote.
    configured: Vec<&'a Url>,
    /// Where the document was read from, if that is a URL.
    document: Option<&'a Url>,
    balance: Option<Balance>,
    hosts: &'a Hosts,
    known: HashMap<Vec<Base>, Arc<Addresses>>,
}

impl<'a> AddressBook<'a> {
    pub(super) fn new(api: &'a config::Api, document: Option<&'a Url>, hosts: &'a Hosts) -> Self {
        let configured = api.addresses.iter().map(config::RemoteUrl::url).collect();
        Self { configured, document, balance: api.balance(), hosts, known: HashMap::new() }
    }

    /// The addresses of an operation. The error says what the operator must do.
    pub(super) fn of(&mut self, tool: &Tool) -> Result<Arc<Addresses>, String> {
        let is_shared_out = self.balance.is_some();
        let bases = Base::all_of(tool, &self.configured, self.document, is_shared_out)?;
        if let Some(known) = self.known.get(&bases) {
            return Ok(Arc::clone(known));
        }
        let all =
            bases.iter().map(|base| Address { base: base.clone(), host: self.hosts.of(base) });
        let addresses = Arc::new(Addresses {
            all: all.collect(),
            balance: self.balance.unwrap_or_default(),
            made: AtomicUsize::new(0),
        });
        self.known.insert(bases, Arc::clone(&addresses));
        Ok(addresses)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(balance: Balance, count: usize) -> Arc<Addresses> {
        let all = (0..count).map(|number| {
            let url = Url::parse(&format!("http://host-{number}.example/")).unwrap();
            let base = Base::of_url(&url, false);
            Address { host: Host::new(base.origin()), base }
        });
        Arc::new(Addresses { all: all.collect(), balance, made: AtomicUsize::new(0) })
    }

    /// Where a request goes first, and that it gets there.
    fn asked(addresses: &Arc<Addresses>) -> usize {
        let choice = addresses.choices().next().unwrap();
        choice.reached("s");
        choice.at
    }

    /// Where a request goes, one after the other, where nothing can be connected to.
    fn all_missed(addresses: &Arc<Addresses>) -> Vec<usize> {
        let mut choices = addresses.choices();
        let mut tried = Vec::new();
        while let Some(choice) = choices.next() {
            choice.missed("s", &"refused");
            tried.push(choice.at);
        }
        tried
    }

    #[tokio::test(start_paused = true)]
    async fn addresses_are_chosen_as_the_operator_says() {
        let first = addresses(Balance::First, 3);
        assert_eq!([asked(&first), asked(&first), asked(&first)], [0, 0, 0]);
        let round = addresses(Balance::RoundRobin, 3);
        let rounds: Vec<_> = (0..7).map(|_| asked(&round)).collect();
        assert_eq!(rounds, [0, 1, 2, 0, 1, 2, 0]);
        let least = addresses(Balance::LeastCalls, 3);
        let held: Vec<_> = (0..6).map(|_| least.choices().next().unwrap()).collect();
        let mut at: Vec<_> = held.iter().map(|choice| choice.at).collect();
        at.sort_unstable();
        assert_eq!(at, [0, 0, 1, 1, 2, 2]);
        let mut held = held;
        let freed = held.remove(3).at;
        assert_eq!(asked(&least), freed);
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_is_missed_is_left_alone_for_longer_and_longer() {
        let two = addresses(Balance::First, 2);
        let mut choices = two.choices();
        let choice = choices.next().unwrap();
        choice.missed("s", &"refused");
        assert_eq!(choices.next().unwrap().at, 1);
        for wait in [1, 2, 4, 8, 16, 30, 30] {
            tokio::time::advance(Duration::from_millis(wait * 1000 - 10)).await;
            assert_eq!(asked(&two), 1, "before {wait} s");
            tokio::time::advance(Duration::from_millis(20)).await;
            let mut choices = two.choices();
            let trial = choices.next().unwrap();
            assert_eq!(trial.at, 0, "after {wait} s");
            assert_eq!(asked(&two), 1, "one request alone tries");
            trial.missed("s", &"refused");
            assert_eq!(choices.next().unwrap().at, 1);
        }
        tokio::time::advance(Duration::from_secs(31)).await;
        assert_eq!([asked(&two), asked(&two)], [0, 0], "it is back");
        two.choices().next().unwrap().missed("s", &"refused");
        tokio::time::advance(Duration::from_millis(1001)).await;
        assert_eq!(asked(&two), 0, "what was long ago does not count");
    }

    #[tokio::test(start_paused = true)]
    async fn the_others_share_evenly() {
        let three = addresses(Balance::RoundRobin, 3);
        let choice = three.choices().next().unwrap();
        choice.missed("s", &"refused");
        assert_eq!(choice.at, 0);
        let mut counts = [0; 3];
        for _ in 0..100 {
            counts[asked(&three)] += 1;
        }
        assert_eq!(counts, [0, 50, 50]);
    }

    #[tokio::test(start_paused = true)]
    async fn where_all_are_away_the_one_that_was_missed_longest_ago_is_tried() {
        let three = addresses(Balance::First, 3);
        assert_eq!(all_missed(&three), [0, 1, 2]);
        for expected in [0, 1, 2, 0, 1] {
            tokio::time::advance(Duration::from_millis(50)).await;
            assert_eq!(all_missed(&three), [expected]);
        }
        // Requests that came in the meantime make the wait no longer.
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(asked(&three), 0);
        assert_eq!(asked(&three), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_trial_that_is_given_up_lets_the_next_one_try() {
        let two = addresses(Balance::First, 2);
        two.choices().next().unwrap().missed("s", &"refused");
        tokio::time::advance(Duration::from_millis(1001)).await;
        let given_up = two.choices().next().unwrap();
        assert_eq!(given_up.at, 0);
        drop(given_up);
        assert_eq!(asked(&two), 1);
        tokio::time::advance(Duration::from_millis(1001)).await;
        assert_eq!(asked(&two), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_single_address_is_always_asked() {
        let one = addresses(Balance::RoundRobin, 1);
        for _ in 0..3 {
            assert_eq!(all_missed(&one), [0]);
        }
        assert!(one.choices().connected_by(Instant::now()).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn each_leaves_time_for_the_others() {
        let three = addresses(Balance::First, 3);
        let end = Instant::now() + Duration::from_secs(8);
        let mut choices = three.choices();
        let mut shares = Vec::new();
        while let Some(choice) = choices.next() {
            let by = choices.connected_by(end).unwrap();
            shares.push((by - Instant::now()).as_secs());
            tokio::time::advance(by - Instant::now()).await;
            choice.missed("s", &"no answer");
        }
        assert_eq!(shares, [4, 2, 2]);
    }
}
