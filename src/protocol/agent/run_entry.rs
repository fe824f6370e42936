//! One run in the registry, and its time of use.

use std::sync::Arc;
use std::time::Duration;

use crate::engine::clock::Clock;
use crate::id::{RunId, ThreadId, UserId};
use crate::protocol::quota::Share;
use crate::sync::{AtomicU64, Ordering};
use crate::table::Keyed;

/// The time of use of a run that has been removed. Later than any real time.
pub(super) const GONE: u64 = u64::MAX;

/// A registered run: the thread of a user's run, and a run of a user's thread.
pub(super) struct RunEntry {
    pub(super) key: (UserId, RunId),
    pub(super) hash: u64,
    pub(super) thread: ThreadId,
    /// The time of the last use, or [`GONE`]. An exchange on this word alone decides each race.
    pub(super) used: AtomicU64,
    pub(super) share: Arc<Share>,
}

impl Keyed for RunEntry {
    type Key = (UserId, RunId);
    fn hash(&self) -> u64 {
        self.hash
    }
    fn key(&self) -> &Self::Key {
        &self.key
    }
}

/// The result of using a run.
pub(super) enum Touched {
    /// The run is live, and its time of use is now.
    Live,
    /// The lifetime has ended. Holds the time of the last use.
    Expired(u64),
    /// Another thread has removed the run.
    Gone,
}

impl RunEntry {
    /// Uses the run, unless its lifetime has ended. `lifetime` is in microseconds.
    pub(super) fn touch(&self, clock: &Clock, now: Duration, lifetime: u64) -> Touched {
        let (read, stamp) = (clock.read(now), clock.stamp(now));
        let mut last = self.used.load(Ordering::Acquire);
        loop {
            if last == GONE {
                return Touched::Gone;
            }
            if read.saturating_sub(last) >= lifetime {
                return Touched::Expired(last);
            }
            // A thread with an earlier `now` must not undo a later use.
            let new = last.max(stamp);
            match (self.used).compare_exchange(last, new, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return Touched::Live,
                Err(other) => last = other,
            }
        }
    }
}
