//! A clock for each of the engine's waits.

use std::time::Duration;

use super::clock::Clock;
use crate::config::Builder;
use crate::lane::archive::Wait;

/// A clock for each of a hub's waits. They are apart because each sweep moves a clock by at most a
/// quarter of its wait.
pub(super) struct Clocks {
    idle: Option<Clock>,
    grace: Option<Clock>,
    age: Option<Clock>,
}

/// The time on each clock in one sweep.
#[derive(Clone, Copy)]
pub(super) struct Waits {
    pub(super) idle: Option<Wait>,
    pub(super) grace: Option<Wait>,
    pub(super) age: Option<Wait>,
}

/// Returns the clock of a wait, if the hub has that wait.
fn clock(wait: Option<Duration>) -> Option<Clock> {
    wait.map(Clock::for_waits_of)
}

/// Moves a clock on. Returns the wait and its time.
fn wait(clock: Option<&Clock>, of: Option<Duration>, now: Duration) -> Option<Wait> {
    Some(clock?.wait(of?, now))
}

impl Clocks {
    /// Creates the clocks of a hub's configuration.
    pub(super) fn new(config: &Builder) -> Self {
        Self {
            idle: clock(config.idle_timeout),
            grace: clock(config.retention.map(|r| r.grace)),
            age: clock(config.retention.and_then(|r| r.age)),
        }
    }

    /// Lets time pass on each clock, once.
    pub(super) fn sweep(&self, config: &Builder, now: Duration) -> Waits {
        let retention = config.retention;
        Waits {
            idle: wait(self.idle.as_ref(), config.idle_timeout, now),
            grace: wait(self.grace.as_ref(), retention.map(|r| r.grace), now),
            age: wait(self.age.as_ref(), retention.and_then(|r| r.age), now),
        }
    }
}
