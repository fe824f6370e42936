//! Refusals: what becomes of an event that no lane takes, in figures, in reports and for the host.

use super::admit::Denied;
use super::core::Core;
use super::target::{Aim, Target};
use super::user::User;
use crate::error::{CloseReason, PublishError};
use crate::id::UserId;
use crate::lane::{Refusal, Refused};
use crate::observe;
use crate::sync::Ordering;

impl<E: Send + Sync + 'static> Core<E> {
    /// Corrects the figures after a refusal, and ends a lane that has no more numbers.
    #[cold]
    pub(super) fn refused(&self, user: &User<E>, refused: Refused<E>) -> Refused<E> {
        // The hub has taken the lane's figures over, with these numbers as accepted events.
        let late = u64::from(refused.late);
        let accepted = &self.counters.accepted_offline;
        accepted.fetch_sub(late, Ordering::Relaxed);
        if refused.why == Refusal::Exhausted {
            self.exhaust(user);
        }
        refused
    }

    /// Closes a lane whose numbers are used up. The user may connect again at once.
    #[cold]
    fn exhaust(&self, user: &User<E>) {
        // The table may have a newer entry by now, with a lane that is not at its end.
        if let Some(found) = self.find(&user.id)
            && std::ptr::eq(&raw const *found, user)
        {
            found.lane.for_each(|member| {
                self.close(&found, member, CloseReason::Exhausted);
            });
            // A kept lane may have had no connection to close. Then its archive still keeps it open.
            self.expire(&found);
        }
    }

    /// Counts and reports an event that goes back to the host, and returns the error for it.
    #[inline]
    pub(super) fn refuse(
        &self,
        user: &UserId,
        aim: &Aim<'_>,
        refused: Refused<E>,
    ) -> PublishError<E> {
        let counters = &self.counters;
        let why = match refused.why {
            Refusal::Full => {
                counters.full.fetch_add(1, Ordering::Relaxed);
                PublishError::Full(refused.event)
            }
            Refusal::OverBudget => {
                counters.over_budget.fetch_add(1, Ordering::Relaxed);
                PublishError::OverBudget(refused.event)
            }
            Refusal::RateLimited => {
                counters.rate_limited.fetch_add(1, Ordering::Relaxed);
                PublishError::RateLimited(refused.event)
            }
            // A lane that was shut down and emptied is vacant as well. The flag of the hub tells
            // the two apart.
            Refusal::Vacant | Refusal::Exhausted if !self.is_closed() => {
                counters.no_connections.fetch_add(1, Ordering::Relaxed);
                if matches!(aim.target, Target::Connection(_)) {
                    counters.unknown_connections.fetch_add(1, Ordering::Relaxed);
                }
                PublishError::NoConnections(refused.event)
            }
            Refusal::Vacant | Refusal::Exhausted | Refusal::Closed => {
                counters.closed.fetch_add(1, Ordering::Relaxed);
                PublishError::Closed(refused.event)
            }
        };
        observe::publish_refused(user, why)
    }

    /// Counts and reports an event that the gate hands back, and returns the error for it.
    #[cold]
    pub(super) fn deny(&self, user: &UserId, why: Denied, event: E) -> PublishError<E> {
        let why = match why {
            Denied::NotAllowed(missing) => {
                self.counters.not_allowed.fetch_add(1, Ordering::Relaxed);
                PublishError::NotAllowed(event, missing)
            }
            Denied::Revoked => {
                self.counters.revoked.fetch_add(1, Ordering::Relaxed);
                PublishError::Revoked(event)
            }
        };
        observe::publish_refused(user, why)
    }
}
