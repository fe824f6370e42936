//! How often a user may do what reaches other users.
#![allow(clippy::disallowed_types)] // The host's own table, far from any delivery.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use laneway::UserId;

/// The time between two turns of a user in the long run.
const EACH: Duration = Duration::from_millis(200);
/// How many turns a user who was silent may take at once.
const BURST: u32 = 20;

/// The moment at which each user's turns are all given back. Kept for the users who have taken one within
/// `EACH * BURST`, and until the next sweep.
#[derive(Default)]
pub(crate) struct Turns(Mutex<HashMap<UserId, Duration>>);

impl Turns {
    /// Takes a turn, and returns whether the user had one.
    pub(crate) fn take(&self, user: &UserId, now: Duration) -> bool {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let due = all.get(user).copied().unwrap_or(now).max(now);
        let has_turn = due + EACH <= now + EACH * BURST;
        if has_turn {
            all.insert(user.clone(), due + EACH);
        }
        has_turn
    }

    pub(crate) fn sweep(&self, now: Duration) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, due| *due > now);
    }
}
