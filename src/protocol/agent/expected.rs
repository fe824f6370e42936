//! One event that its user is to confirm.

use std::sync::Arc;

use crate::id::UserId;
use crate::protocol::agent::confirmation::EventState;
use crate::protocol::quota::Share;
use crate::sync::{AtomicU64, Ordering};
use crate::table::Keyed;

/// An event that its user is to confirm.
pub(super) struct Expected {
    pub(super) key: (UserId, Box<str>),
    pub(super) hash: u64,
    /// The time that the event may wait, in microseconds.
    pub(super) timeout: u64,
    /// The state, and the time of its beginning. An exchange on this word alone decides each race.
    pub(super) state: AtomicU64,
    pub(super) share: Arc<Share>,
}

impl Keyed for Expected {
    type Key = (UserId, Box<str>);
    fn hash(&self) -> u64 {
        self.hash
    }
    fn key(&self) -> &Self::Key {
        &self.key
    }
}

impl Expected {
    pub(super) fn is(&self, user: &UserId, event_id: &str) -> bool {
        &*self.key.1 == event_id && self.key.0 == *user
    }

    /// Moves the event on. Returns the word before to the one thread that moved it.
    pub(super) fn advance(&self, next: EventState, since: u64) -> Result<u64, EventState> {
        let mut word = self.state.load(Ordering::Acquire);
        loop {
            let state = EventState::from_word(word);
            if !state.may_become(next) {
                return Err(state);
            }
            let new = next.word(since);
            match (self.state).compare_exchange(word, new, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return Ok(word),
                Err(other) => word = other,
            }
        }
    }
}
