//! The calls that wait for modern clients to come back with answers.
//!
//! Each has an attendant: a task that keeps its stream alive, notices its end, and ends it when
//! nobody comes in time. Whoever comes back takes the call out of the lot; of several at once,
//! exactly one gets it.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, Weak};

use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};
use wire::Object;
use wire::message::Text;

use super::park::Parked;

/// The name of a parked call: what a sealed `requestState` holds.
pub(super) type Name = [u8; 16];

/// All parked calls.
#[derive(Debug, Default)]
pub(crate) struct Lot {
    places: Mutex<HashMap<Name, Place>>,
    /// Whose turn it is at a name that several calls may come back to at once.
    turns: Mutex<HashMap<Name, Weak<tokio::sync::Mutex<()>>>>,
}

/// One parked call, seen from outside.
#[derive(Debug)]
struct Place {
    server: Arc<str>,
    asked: Arc<[Question]>,
    collect: oneshot::Sender<oneshot::Sender<Parked>>,
}

/// What a parked call asked.
#[derive(Clone, Debug)]
pub(super) struct Question {
    pub(super) key: String,
    pub(super) method: Text,
    pub(super) params: Object,
}

impl Lot {
    fn places(&self) -> MutexGuard<'_, HashMap<Name, Place>> {
        self.places.lock().expect("no panic while holding the lot")
    }

    /// Parks a call until somebody takes it or `until` has come. Gives it back if the lot is full.
    pub(super) fn park(
        self: &Arc<Self>,
        server: &Arc<str>,
        parked: Parked,
        until: Instant,
        most: usize,
    ) -> Result<String, Box<Parked>> {
        let mut name = Name::default();
        if aws_lc_rs::rand::fill(&mut name).is_err() {
            return Err(Box::new(parked));
        }
        self.park_as(name, server, parked, until, most)?;
        Ok(hex(&name))
    }

    /// Parks a call under a name that is known already; whatever has it is given up.
    pub(super) fn park_as(
        self: &Arc<Self>,
        name: Name,
        server: &Arc<str>,
        parked: Parked,
        until: Instant,
        most: usize,
    ) -> Result<(), Box<Parked>> {
        let (collect, collected) = oneshot::channel();
        let asked = parked.questions();
        {
            let mut places = self.places();
            if places.len() >= most && !places.contains_key(&name) {
                drop(places);
                return Err(Box::new(parked));
            }
            places.insert(name, Place { server: Arc::clone(server), asked, collect });
        }
        tokio::spawn(attend(Arc::downgrade(self), name, parked, collected, until));
        Ok(())
    }

    /// What the call asked, if it is still there.
    pub(super) fn asked(&self, name: &str) -> Option<Arc<[Question]>> {
        self.asked_named(&unhex(name)?)
    }

    pub(super) fn asked_named(&self, name: &Name) -> Option<Arc<[Question]>> {
        self.places().get(name).map(|place| Arc::clone(&place.asked))
    }

    /// Takes the call out: exactly one taker gets it.
    pub(super) async fn take(&self, name: &str) -> Option<Parked> {
        self.take_named(&unhex(name)?).await
    }

    pub(super) async fn take_named(&self, name: &Name) -> Option<Parked> {
        let place = self.places().remove(name)?;
        let (hand, handed) = oneshot::channel();
        place.collect.send(hand).ok()?;
        handed.await.ok()
    }

    /// Waits until nobody else is at `name`.
    pub(super) async fn turn_at(&self, name: &Name) -> tokio::sync::OwnedMutexGuard<()> {
        let turn = {
            let mut turns = self.turns.lock().expect("no panic while holding the turns");
            turns.retain(|_, turn| turn.strong_count() > 0);
            let turn = turns.get(name).and_then(Weak::upgrade).unwrap_or_default();
            turns.insert(*name, Arc::downgrade(&turn));
            turn
        };
        turn.lock_owned().await
    }

    /// Gives every call up, because the gate goes down.
    pub(crate) async fn end_all(&self) {
        let places: Vec<_> = self.places().drain().map(|(_, place)| place).collect();
        for place in places {
            let (hand, handed) = oneshot::channel();
            if place.collect.send(hand).is_ok()
                && let Ok(parked) = handed.await
            {
                parked.expire();
            }
        }
    }

    /// Takes the place away; whether it was still there.
    fn clear(&self, name: &Name) -> bool {
        self.places().remove(name).is_some()
    }

    /// How many calls wait.
    pub(crate) fn count(&self) -> usize {
        self.places().len()
    }

    /// How many calls wait, by server.
    pub(crate) fn by_server(&self) -> BTreeMap<Arc<str>, usize> {
        let mut counts = BTreeMap::new();
        for place in self.places().values() {
            *counts.entry(Arc::clone(&place.server)).or_default() += 1;
        }
        counts
    }
}

async fn attend(
    lot: Weak<Lot>,
    name: Name,
    mut parked: Parked,
    mut collected: oneshot::Receiver<oneshot::Sender<Parked>>,
    until: Instant,
) {
    loop {
        tokio::select! {
            biased;
            hand = &mut collected => {
                if let Ok(hand) = hand {
                    // A taker that has gone away in the meantime has given the call up.
                    let _ = hand.send(parked);
                }
                return;
            }
            () = sleep_until(until) => {
                let Some(lot) = lot.upgrade() else { return };
                if lot.clear(&name) {
                    return parked.expire();
                }
                // Somebody has just taken the place, and is about to collect.
                drop(lot);
                if let Ok(hand) = collected.await {
                    let _ = hand.send(parked);
                }
                return;
            }
            () = parked.live() => {}
        }
    }
}

fn hex(name: &Name) -> String {
    use std::fmt::Write as _;
    name.iter().fold(String::with_capacity(32), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn unhex(text: &str) -> Option<Name> {
    let number = u128::from_str_radix(text, 16).ok().filter(|_| text.len() == 32)?;
    Some(number.to_be_bytes())
}
