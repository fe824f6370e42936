//! Time as sweeps count it: by the host's clock, with a bound on the time that one sweep lets pass.

use std::time::Duration;

use crate::lane::archive::Wait;
use crate::table::copy_on_write::CopyOnWrite;

/// The latest time in microseconds that is told apart: 73 000 years.
const LATEST: u64 = u64::MAX >> 3;

/// The clock of one kind of wait, in microseconds since the first call: of idle connections, of
/// absent users, or of events to be confirmed.
///
/// Only sweeps let time pass, and each at most one step. So a process that stands still for an hour
/// takes at most one step from the time that a client has to answer. A sweep at an earlier time than
/// the one before lets no time pass, and the next sweep counts from there. So a host's clock that
/// jumps ahead and back costs one step at most.
///
/// Between two sweeps, `read` and `stamp` return the time that a sweep at that moment would reach.
/// So they are at most one step ahead of the last sweep. They are wait-free, a sweep is lock-free.
pub(crate) struct Clock {
    /// The most that one sweep lets pass.
    step: u64,
    times: CopyOnWrite<Times>,
}

#[derive(Clone, Copy, Default)]
struct Times {
    /// The host's time at the last sweep, or at the first call.
    last: Option<u64>,
    /// The time that has passed by then.
    passed: u64,
}

impl Times {
    /// Returns the time that has passed at the host's time `now`.
    fn at(self, now: u64, step: u64) -> u64 {
        // A time before the last sweep counts as no time.
        let since = self.last.map_or(0, |last| now.saturating_sub(last));
        self.passed.saturating_add(since.min(step)).min(LATEST)
    }
}

impl Clock {
    /// Creates a clock that a sweep moves on by at most a quarter of `shortest`, the shortest of
    /// its waits.
    pub(crate) fn for_waits_of(shortest: Duration) -> Self {
        Self {
            step: micros(shortest / 4).max(1),
            times: CopyOnWrite::new(),
        }
    }

    /// Returns the time now, rounded up: for stamps.
    pub(crate) fn stamp(&self, now: Duration) -> u64 {
        self.started(now).at(micros_up(now), self.step)
    }

    /// Returns the time now, rounded down: to compare with stamps.
    pub(crate) fn read(&self, now: Duration) -> u64 {
        self.started(now).at(micros(now), self.step)
    }

    /// Lets time pass. Returns the time now, rounded down.
    pub(crate) fn sweep(&self, now: Duration) -> u64 {
        let now = micros(now);
        self.times.change(|times| {
            times.passed = times.at(now, self.step);
            times.last = Some(now);
            times.passed
        })
    }

    /// Lets time pass for a wait of `time`.
    pub(crate) fn wait(&self, time: Duration, now: Duration) -> Wait {
        Wait {
            ms: u64::try_from(time.as_millis()).unwrap_or(u64::MAX),
            now_ms: self.sweep(now) / 1_000,
        }
    }

    /// Returns the times. The first call starts the clock.
    fn started(&self, now: Duration) -> Times {
        // In most cases the clock runs, and no thread needs to replace the times.
        let times = *self.times.load();
        if times.last.is_some() {
            return times;
        }
        let started = self.times.update(|times| {
            if times.last.is_some() {
                // Another thread has started the clock.
                return Err(*times);
            }
            let last = Some(micros(now));
            let times = Times { last, ..*times };
            Ok((times, times))
        });
        started.unwrap_or_else(|times| times)
    }
}

/// Returns a time in whole microseconds, rounded up.
fn micros_up(time: Duration) -> u64 {
    let micros = time.as_nanos().div_ceil(1_000);
    u64::try_from(micros).map_or(LATEST, |micros| micros.min(LATEST))
}

/// Returns a time in whole microseconds, rounded down.
pub(crate) fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).map_or(LATEST, |micros| micros.min(LATEST))
}
