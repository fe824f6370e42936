//! Sweeps: they close idle and overrun connections, drop old events, and give memory back.

use std::sync::Arc;
use std::time::Duration;

use super::clock::micros;
use super::core::Core;
use crate::config::Activity;
use crate::error::CloseReason;
use crate::lane::archive::Wait;
use crate::lane::member::Member;
use crate::sync::Ordering;

impl<E: Send + Sync + 'static> Core<E> {
    /// Does one sweep for [`Hub::sweep`](crate::Hub::sweep). Returns how many connections it has
    /// closed.
    pub(crate) fn sweep(self: &Arc<Self>, now: Duration) -> usize {
        self.time.tell(now);
        self.told.store(micros(now), Ordering::Release);
        let waits = self.clocks.sweep(&self.config, now);
        let mut closed = 0;
        self.table.for_each(|user| {
            // Before the connections: a user whose last connection this sweep closes has the whole
            // time of grace from the next sweep on.
            if let Some(grace) = waits.grace
                && user.lane.sweep_archive(grace, waits.age)
            {
                self.expire(user);
            }
            user.lane.for_each(|member| {
                let is_idle = self.is_idle(member, waits.idle, now);
                // An overrun connection whose device never calls again would otherwise stay open.
                let reason = if user.lane.is_overrun(member) {
                    CloseReason::Overrun
                } else if is_idle {
                    CloseReason::Idle
                } else {
                    self.look_at_watermark(user, member);
                    return;
                };
                closed += usize::from(self.close(user, member, reason));
            });
            // Last: closing may have removed the reader that kept an arena in use.
            user.lane.reclaim();
        });
        // Behind the closes: they may have taken the last device.
        self.sweep_questions(now);
        closed
    }

    /// Returns whether the connection has been idle for longer than `wait`. Notes its activity in any case.
    fn is_idle(&self, member: &Member, wait: Option<Wait>, now: Duration) -> bool {
        let reading_counts = self.config.activity == Activity::ReadOrTouch;
        let now_ms = wait.map_or(0, |wait| wait.now_ms);
        let idle_ms = member.idle_ms(now_ms, reading_counts, now);
        wait.is_some_and(|wait| idle_ms > wait.ms)
    }
}
