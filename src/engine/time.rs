//! The hub's time: the newest time that the host has told.

use std::time::Duration;

use crate::sync::{AtomicU64, Ordering};

/// Returns a time in whole nanoseconds, at most 584 years.
pub(crate) fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// The newest time that the host has told, in nanoseconds. Readers compare deadlines with it.
///
/// It never goes back. So an event that one reader has stepped over as expired is expired for all.
#[derive(Default)]
pub(crate) struct HubTime(AtomicU64);

impl HubTime {
    /// Raises the time to `now`. An earlier time changes nothing.
    ///
    /// The time stays below the latest deadline, which therefore never comes.
    pub(crate) fn tell(&self, now: Duration) {
        // Release: a reader that sees the new time sees what the host did before it told.
        self.0
            .fetch_max(nanos(now).min(u64::MAX - 1), Ordering::AcqRel);
    }

    /// Returns the time. Wait-free.
    pub(crate) fn now(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }
}
