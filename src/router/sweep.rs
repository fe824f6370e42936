//! Sweeps: what is idle or too old goes, at the pace that the clocks let time pass.

use std::time::Duration;

use super::{Core, Router};
use crate::clock::{Clock, Wait};
use crate::config::{Activity, Builder};
use crate::error::CloseReason;

/// One clock for each of a router's waits: each sweep lets a quarter of that wait pass at most.
pub(super) struct Clocks {
    idle: Option<Clock>,
    grace: Option<Clock>,
    age: Option<Clock>,
}

/// How far each wait of a router is, in one sweep.
#[derive(Clone, Copy)]
struct Waits {
    idle: Option<Wait>,
    grace: Option<Wait>,
    age: Option<Wait>,
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

    fn sweep(&self, config: &Builder, now: Duration) -> Waits {
        let retention = config.retention;
        Waits {
            idle: wait(self.idle.as_ref(), config.idle_timeout, now),
            grace: wait(self.grace.as_ref(), retention.map(|r| r.grace), now),
            age: wait(self.age.as_ref(), retention.and_then(|r| r.age), now),
        }
    }
}

impl<E: Send + Sync + 'static> Router<E> {
    /// Closes connections that have been idle for longer than `idle_timeout`, and those that have
    /// lost a critical event without having noticed yet. Returns how many. Lock-free.
    ///
    /// With [`Retention`](crate::Retention) it also drops events that are too old, and ends the lanes
    /// of users who have had no connection for longer than the grace.
    ///
    /// Without retention it also gives back the memory in which a user's unread events were: in the second
    /// call that finds them all read and no new ones unread since the first.
    ///
    /// # Time
    ///
    /// `now` is the time since any fixed moment of the host's choice. A wait starts at the first sweep that
    /// sees its connection, its absent user or its event.
    ///
    /// One sweep lets at most a quarter of each wait pass, however late it comes: of the idle timeout, of the
    /// grace, of the age of events. So no connection is closed for a pause in which its peer could not be heard.
    /// A host sweeps at least four times in the shortest of its waits. With fewer sweeps the waits last longer.
    ///
    /// A sweep at an earlier time than the one before lets no time pass, and later sweeps count from there.
    /// A clock that jumps ahead and back costs a quarter of a wait at most, and makes nothing last for ever.
    ///
    /// ```
    /// # use std::time::Duration;
    /// let idle = Duration::from_secs(40);
    /// let router = laneway::Router::builder().idle_timeout(Some(idle)).build::<u8>()?;
    /// let _device = router.scope(laneway::UserId::new("ann")?).connect()?;
    /// router.sweep(Duration::ZERO);
    /// let day = Duration::from_secs(86_400);
    /// assert_eq!(router.sweep(day), 0); // the process was stopped for a day: ten seconds pass
    /// let closed = (1..=4).map(|n| router.sweep(day + n * idle / 4)).sum::<usize>();
    /// assert_eq!(closed, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn sweep(&self, now: Duration) -> usize {
        let core = &self.core;
        let waits = core.clocks.sweep(&core.config, now);
        let mut closed = 0;
        core.table.for_each(|user| {
            if let Some(grace) = waits.grace
                && user.lane.tend(grace, waits.age)
            {
                core.expire(user);
            }
            user.lane.for_each(|member| {
                let reason = if user.lane.is_overrun(member) {
                    CloseReason::Overrun
                } else if waits.idle.is_some_and(|wait| core.is_idle(member, wait)) {
                    CloseReason::Idle
                } else {
                    return;
                };
                closed += usize::from(core.close(user, member, reason));
            });
            user.lane.tidy();
        });
        closed
    }
}

impl<E: Send + Sync + 'static> Core<E> {
    fn is_idle(&self, member: &crate::lane::member::Member, wait: Wait) -> bool {
        let reading_counts = self.config.activity == Activity::ReadOrTouch;
        member.idle_ms(wait.now_ms, reading_counts) > wait.ms
    }
}
