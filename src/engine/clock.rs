//! Time as sweeps count it: by the host's clock, and never faster than one sweep may age things.

use std::convert::Infallible;
use std::time::Duration;

use crate::lane::archive::Wait;
use crate::table::copy_on_write::CopyOnWrite;

/// The most microseconds that are told apart: 73 000 years.
const LATEST: u64 = u64::MAX >> 3;

/// What waits are measured by, in microseconds since the first call: a connection that is idle, a user who
/// is absent, an event that is to be confirmed.
///
/// Only sweeps let time pass, and one sweep at most a step, however late it comes: after a pause of the
/// process what waits for a client has a step less to wait, and not nothing. A sweep at an earlier time
/// than the one before lets none pass, and the next ones count from there. So a clock that jumps ahead and
/// back costs a step at most and makes nothing immortal. Between sweeps a reading is what the next sweep
/// would make of it: a stamp from the future is at most a step ahead.
///
/// Lock-free; a reading is wait-free.
pub(crate) struct Clock {
    step: u64,
    times: CopyOnWrite<Times>,
}

#[derive(Clone, Copy, Default)]
struct Times {
    /// The host's time of the last sweep, or of the first call.
    last: Option<u64>,
    /// The time that has passed by then.
    passed: u64,
}

impl Times {
    fn at(self, now: u64, step: u64) -> u64 {
        let since = self.last.map_or(0, |last| now.saturating_sub(last));
        self.passed.saturating_add(since.min(step)).min(LATEST)
    }
}

impl Clock {
    /// One that a sweep moves on by at most a quarter of `shortest`, the shortest time that anything waits.
    pub(crate) fn for_waits_of(shortest: Duration) -> Self {
        Self {
            step: micros(shortest / 4).max(1),
            times: CopyOnWrite::new(),
        }
    }

    /// The time now, not before it: for stamps.
    pub(crate) fn stamp(&self, now: Duration) -> u64 {
        self.started(now).at(micros_up(now), self.step)
    }

    /// The time now, not after it: to compare with stamps.
    pub(crate) fn read(&self, now: Duration) -> u64 {
        self.started(now).at(micros(now), self.step)
    }

    /// Lets time pass. Returns the time now, not after it.
    pub(crate) fn sweep(&self, now: Duration) -> u64 {
        let now = micros(now);
        let done: Result<u64, Infallible> = self.times.update(|times| {
            let passed = times.at(now, self.step);
            let last = Some(now);
            Ok((Times { last, passed }, passed))
        });
        let Ok(passed) = done;
        passed
    }

    /// Lets time pass for a wait of `time`.
    pub(crate) fn wait(&self, time: Duration, now: Duration) -> Wait {
        Wait {
            ms: u64::try_from(time.as_millis()).unwrap_or(u64::MAX),
            now_ms: self.sweep(now) / 1_000,
        }
    }

    /// The times, from the first call on.
    fn started(&self, now: Duration) -> Times {
        let times = *self.times.load();
        if times.last.is_some() {
            return times;
        }
        let started = self.times.update(|times| {
            if times.last.is_some() {
                // Another thread was first.
                return Err(*times);
            }
            let last = Some(micros(now));
            let times = Times { last, ..*times };
            Ok((times, times))
        });
        started.unwrap_or_else(|times| times)
    }
}

/// A time in whole microseconds, not before it.
fn micros_up(time: Duration) -> u64 {
    let micros = time.as_nanos().div_ceil(1_000);
    u64::try_from(micros).map_or(LATEST, |micros| micros.min(LATEST))
}

/// A time in whole microseconds, not after it.
pub(crate) fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).map_or(LATEST, |micros| micros.min(LATEST))
}
