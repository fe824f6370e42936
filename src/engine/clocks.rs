//! A clock for each of the engine's waits.

use std::time::Duration;

use super::clock::Clock;
use crate::config::Builder;
use crate::lane::archive::Wait;

/// One clock for each of a hub's waits: each sweep lets a quarter of that wait pass at most.
pub(super) struct Clocks {
    idle: Option<Clock>,
    grace: Option<Clock>,
    age: Option<Clock>,
}

/// How far each wait of a hub is, in one sweep.
#[derive(Clone, Copy)]
pub(super) struct Waits {
    pub(super) idle: Option<Wait>,
    pub(super) grace: Option<Wait>,
    pub(super) age: Option<Wait>,
}

fn clock(wait: Option<Duration>) -> Option<Clock> {
    wait.map(Clock::for_waits_of)
}

fn wait(clock: Option<&Clock>, of: Option<Duration>, now: Duration) -> Option<Wait> {
    Some(clock?.wait(of?, now))
}

impl Clocks {
    pub(super) fn new(config: &Builder) -> Self {
        Self {
            idle: clock(config.idle_timeout),
            grace: clock(config.retention.map(|r| r.grace)),
            age: clock(config.retention.and_then(|r| r.age)),
        }
    }

    pub(super) fn sweep(&self, config: &Builder, now: Duration) -> Waits {
        let retention = config.retention;
        Waits {
            idle: wait(self.idle.as_ref(), config.idle_timeout, now),
            grace: wait(self.grace.as_ref(), retention.map(|r| r.grace), now),
            age: wait(self.age.as_ref(), retention.and_then(|r| r.age), now),
        }
    }
}
