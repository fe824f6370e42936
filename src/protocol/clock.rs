//! The time that the ledgers count: it passes at sweeps only, and a limited amount at each.

use std::convert::Infallible;
use std::time::Duration;

use crate::protocol::copy_on_write::CopyOnWrite;

/// The latest time that a stamp can hold, in microseconds: 73 000 years. Three bits of the word stay
/// free for a state.
const LATEST: u64 = u64::MAX >> 3;

/// The time of one ledger, in microseconds since the first call.
///
/// Only a sweep lets time pass, and at most one `step` of it.
///
/// * A sweep after a long pause of the process ages every entry by one step, not by the whole pause.
///   So a client still has time to confirm what it was sent before the pause.
/// * A sweep at an earlier host time than the sweep before lets no time pass. The next sweep counts
///   from the earlier time. So a host clock that jumps ahead and back costs at most one step, and no
///   entry waits for the clock to catch up.
/// * A reading between two sweeps returns the time that a sweep at that moment would return. So a
///   stamp from a host clock that runs ahead is at most one step ahead.
///
/// Lock-free. A reading after the first call is wait-free.
pub(super) struct Clock {
    step: u64,
    times: CopyOnWrite<Times>,
}

/// Both times change together, so that a reader never adds one sweep's `last` to another's `passed`.
#[derive(Clone, Copy, Default)]
struct Times {
    /// The host's time of the last sweep, or of the first call. `None` before the first call.
    last: Option<u64>,
    /// The ledger's time at `last`.
    passed: u64,
}

impl Times {
    /// The ledger's time at the host time `now`: at most one step after `passed`.
    fn at(self, now: u64, step: u64) -> u64 {
        let since = self.last.map_or(0, |last| now.saturating_sub(last));
        self.passed.saturating_add(since.min(step)).min(LATEST)
    }
}

impl Clock {
    /// Creates a clock whose step is a quarter of `shortest`, the shortest wait of the ledger's entries.
    ///
    /// A quarter: after a pause, an entry that has just begun to wait still lives through three sweeps.
    pub(super) fn for_waits_of(shortest: Duration) -> Self {
        Self {
            step: micros(shortest / 4).max(1),
            times: CopyOnWrite::new(),
        }
    }

    /// Returns the time for a stamp: rounded up, so that no entry looks older than it is.
    pub(super) fn stamp(&self, now: Duration) -> u64 {
        self.started(now).at(micros_up(now), self.step)
    }

    /// Returns the time to compare with stamps: rounded down, so that no entry expires early.
    pub(super) fn read(&self, now: Duration) -> u64 {
        self.started(now).at(micros(now), self.step)
    }

    /// Lets time pass, and returns the new time, rounded down.
    pub(super) fn sweep(&self, now: Duration) -> u64 {
        let now = micros(now);
        let done: Result<u64, Infallible> = self.times.update(|times| {
            let passed = times.at(now, self.step);
            let last = Some(now);
            Ok((Times { last, passed }, passed))
        });
        let Ok(passed) = done;
        passed
    }

    /// Returns the times. The first call sets the host time from which the clock counts.
    fn started(&self, now: Duration) -> Times {
        let times = *self.times.load();
        if times.last.is_some() {
            return times;
        }
        let started = self.times.update(|times| {
            if times.last.is_some() {
                // Another thread made the first call between this thread's `load` and this update.
                // Without this check the second call would move `last` on, and the ledger's time would
                // go back.
                return Err(*times);
            }
            let last = Some(micros(now));
            let times = Times { last, ..*times };
            Ok((times, times))
        });
        started.unwrap_or_else(|times| times)
    }
}

/// Rounds a duration up to whole microseconds, at most [`LATEST`].
fn micros_up(time: Duration) -> u64 {
    let micros = time.as_nanos().div_ceil(1_000);
    u64::try_from(micros).map_or(LATEST, |micros| micros.min(LATEST))
}

/// Rounds a duration down to whole microseconds, at most [`LATEST`].
pub(super) fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).map_or(LATEST, |micros| micros.min(LATEST))
}
