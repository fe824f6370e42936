//! The one delivery path: an event on its way from a scope to a lane.

use std::sync::Arc;

use super::admit::Denied;
use super::cache::Cache;
use super::core::Core;
use super::grant::Use;
use super::pass::Pass;
use super::target::Target;
use super::user::User;
use crate::delivery::Delivery;
use crate::error::{CloseReason, PublishError};
use crate::id::UserId;
use crate::lane::audience::Audience;
use crate::lane::{Accepted, Refusal, Refused, Terms};
use crate::sync::{Guard, Ordering, pin};
use crate::table::storage::LeafRef;

impl<E: Send + Sync + 'static> Core<E> {
    /// Delivers an event. Every event that reaches a lane comes through here.
    ///
    /// `cache` is the calling scope's own, if there is one. Lock-free.
    #[inline(always)]
    #[allow(clippy::inline_always)] // A call is a tenth of a publish.
    pub(crate) fn deliver(
        self: &Arc<Self>,
        user: &UserId,
        cache: Option<&Cache<E>>,
        target: Target<'_>,
        event: E,
        terms: Terms,
    ) -> Result<Delivery, PublishError<E>> {
        // A plain event has no audience and no weight. It stays where the caller has it until it is
        // in its slot.
        let is_plain = matches!(target, Target::All) && self.absence.weigh.is_none();
        // One look at the gate. A closed hub, and one that has revoked the scope, refuse at once,
        // also a scope that knows its user's lane.
        let word = self.gate.word();
        match cache.and_then(|cache| cache.get(word)) {
            // All publishes of a scope but its first two.
            Some(entry) if is_plain => {
                self.append_to(entry, None, None, event, terms, move |done| match done {
                    Ok(accepted) => Ok(accepted.into()),
                    Err(refused) => {
                        self.deliver_after_refusal(user, true, Target::All, refused, terms)
                    }
                })
            }
            None if is_plain && cache.is_none_or(|cache| cache.pass.is_good_at(word)) => {
                self.deliver_by_id(user, cache, event, terms)
            }
            // One arm for all others. With two, the compiler copies the event on the first one's way.
            known => self.deliver_slowly(user, known, cache, target, event, terms),
        }
    }

    /// Delivers a plain event, to the lane that the table has for the user.
    #[inline(never)]
    fn deliver_by_id(
        self: &Arc<Self>,
        user: &UserId,
        cache: Option<&Cache<E>>,
        event: E,
        terms: Terms,
    ) -> Result<Delivery, PublishError<E>> {
        // The guard keeps the entry alive until the event is appended. A scope with a cache has a
        // strong count instead.
        let guard = pin();
        let otherwise =
            |refused| self.deliver_after_refusal(user, false, Target::All, refused, terms);
        match self.look_up(user, cache, &guard) {
            Ok(found) => self.append_to(&found, None, None, event, terms, move |done| match done {
                Ok(accepted) => Ok(accepted.into()),
                Err(refused) => otherwise(refused),
            }),
            Err(why) => otherwise(Refused::new(why, event, 0)),
        }
    }

    /// Delivers an event that is not plain, or for a scope that has to be looked at.
    #[cold]
    #[inline(never)]
    fn deliver_slowly(
        self: &Arc<Self>,
        user: &UserId,
        known: Option<&User<E>>,
        cache: Option<&Cache<E>>,
        target: Target<'_>,
        event: E,
        terms: Terms,
    ) -> Result<Delivery, PublishError<E>> {
        if known.is_some() {
            return self.deliver_by_rule(user, known, cache, target, event, terms);
        }
        let pass = cache.map(|cache| &cache.pass);
        if let Some(pass) = pass
            && let Err(why) = self.admit(user, pass, Use::Publish(target))
        {
            return Err(self.deny(why, event));
        }
        let Some(grant) = pass.and_then(Pass::grant) else {
            return self.deliver_by_rule(user, None, cache, target, event, terms);
        };
        // The unit is taken before the event is accepted. In the other order two publishers could both
        // be accepted with the last one.
        if let Err(missing) = grant.take() {
            return Err(self.deny(Denied::NotAllowed(missing), event));
        }
        let done = self.deliver_by_rule(user, None, None, target, event, terms);
        if done.is_err() {
            grant.give_back();
        }
        done
    }

    /// Delivers an event that has an audience or a weight.
    #[cold]
    #[inline(never)]
    fn deliver_by_rule(
        self: &Arc<Self>,
        user: &UserId,
        known: Option<&User<E>>,
        cache: Option<&Cache<E>>,
        target: Target<'_>,
        event: E,
        terms: Terms,
    ) -> Result<Delivery, PublishError<E>> {
        let done = match known {
            Some(entry) => self.append_for(entry, target, event, terms),
            None => self.append_by_id(user, cache, target, event, terms),
        };
        match done {
            Ok(accepted) => Ok(accepted.into()),
            Err(refused) => {
                self.deliver_after_refusal(user, known.is_some(), target, refused, terms)
            }
        }
    }

    /// Handles an event that a lane has refused: looks for another lane, makes one, or hands the
    /// event back.
    #[cold]
    #[inline(never)]
    fn deliver_after_refusal(
        self: &Arc<Self>,
        user: &UserId,
        was_known: bool,
        target: Target<'_>,
        refused: Refused<E>,
        terms: Terms,
    ) -> Result<Delivery, PublishError<E>> {
        if refused.why == Refusal::Vacant {
            // The scope knows a lane that is over. The user may be back in another entry since.
            if was_known {
                return match self.append_by_id(user, None, target, refused.event, terms) {
                    Ok(accepted) => Ok(accepted.into()),
                    Err(again) => self.deliver_after_refusal(user, false, target, again, terms),
                };
            }
            // A hub with retention keeps a critical event for a user who is away.
            if terms.critical {
                return match self.append_absent(user, target, refused.event, terms) {
                    Ok(accepted) => Ok(accepted.into()),
                    Err(again) => Err(self.refuse(target, again)),
                };
            }
        }
        Err(self.refuse(target, refused))
    }

    /// Returns the entry that the table has for the user. Puts it into the scope's cache.
    #[inline]
    fn look_up<'g>(
        &'g self,
        user: &UserId,
        cache: Option<&Cache<E>>,
        guard: &'g Guard,
    ) -> Result<LeafRef<'g, User<E>>, Refusal> {
        if self.is_closed() {
            return Err(Refusal::Closed);
        }
        let found = self.table.get(self.hash(user), user, guard);
        if let (Some(found), Some(cache)) = (found, cache) {
            // A strong count outlives the guard, so the next publish needs neither guard nor
            // lookup.
            cache.keep(found, guard);
        }
        found.ok_or(Refusal::Vacant)
    }

    /// Appends to the lane that the table has for the user.
    fn append_by_id(
        self: &Arc<Self>,
        user: &UserId,
        cache: Option<&Cache<E>>,
        target: Target<'_>,
        event: E,
        terms: Terms,
    ) -> Result<Accepted, Refused<E>> {
        let guard = pin();
        match self.look_up(user, cache, &guard) {
            Ok(found) => self.append_for(&found, target, event, terms),
            Err(why) => Err(Refused::new(why, event, 0)),
        }
    }

    /// As `append_to`, for the connections that `target` names. Weighs the event if the hub limits
    /// the weight.
    pub(super) fn append_for(
        self: &Arc<Self>,
        user: &User<E>,
        target: Target<'_>,
        event: E,
        terms: Terms,
    ) -> Result<Accepted, Refused<E>> {
        // Weighed before the append: afterwards a reader may have the event already.
        let bytes = self.absence.weigh.map(|weigh| weigh(&event));
        let Some(rule) = target.audience() else {
            return self.append_to(user, None, bytes, event, terms, |done| done);
        };
        // The look at joining connections comes before the walk of the list. In the other order a
        // connection could be listed in between: too late for the walk, and no longer joining at
        // the look. The event would be refused although a connection for it is there.
        let is_joined = user.lane.is_joined() && rule.may_have_a_newcomer();
        let count = user.lane.count_matching(&rule);
        // The event has no reader. It is handed back without a number, so it delays no connection.
        if count == 0 && !is_joined {
            return Err(Refused::new(Refusal::Vacant, event, 0));
        }
        let audience = Some((Box::new(rule), count as u8));
        self.append_to(user, audience, bytes, event, terms, |done| done)
    }

    /// Appends an event to a user's lane, for all connections or for an audience of so many. Calls
    /// `done` with the outcome.
    #[inline(always)]
    #[allow(clippy::inline_always)] // As above.
    fn append_to<R>(
        self: &Arc<Self>,
        user: &User<E>,
        audience: Option<(Box<Audience>, u8)>,
        bytes: Option<usize>,
        event: E,
        terms: Terms,
        done: impl FnOnce(Result<Accepted, Refused<E>>) -> R,
    ) -> R {
        let (audience, matching) = audience.unzip();
        user.lane
            .append(event, audience, terms, move |appended| match appended {
                Ok(accepted) => {
                    // After the append: only now the number is known under which the weight is
                    // noted.
                    if let Some(bytes) = bytes {
                        user.lane.weigh(accepted.number, bytes);
                    }
                    done(Ok(Accepted {
                        connections: matching.unwrap_or(accepted.connections),
                        ..accepted
                    }))
                }
                Err(refused) => done(Err(self.refused(user, refused))),
            })
    }

    /// Corrects the figures after a refusal, and ends a lane that has no more numbers.
    #[cold]
    fn refused(&self, user: &User<E>, refused: Refused<E>) -> Refused<E> {
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

    /// Appends events until one is refused. Wakes sleepers once, at the end.
    pub(crate) fn deliver_all(
        self: &Arc<Self>,
        user: &UserId,
        cache: Option<&Cache<E>>,
        events: impl Iterator<Item = E>,
        terms: Terms,
        each: &mut impl FnMut(Delivery),
    ) -> Result<(), PublishError<E>> {
        /// Wakes the sleepers, also when the host's iterator panics.
        struct Wake<'a, E: Send + Sync + 'static>(&'a Core<E>, &'a UserId);
        impl<E: Send + Sync + 'static> Drop for Wake<'_, E> {
            fn drop(&mut self) {
                self.0.with_user(self.1, |user| user.lane.wake_sleepers());
            }
        }
        let _wake = Wake(self, user);
        for event in events {
            each(self.deliver(user, cache, Target::All, event, terms)?);
        }
        Ok(())
    }

    /// Counts an event that goes back to the host, and returns the error for it.
    #[inline]
    fn refuse(&self, target: Target<'_>, refused: Refused<E>) -> PublishError<E> {
        let counters = &self.counters;
        match refused.why {
            Refusal::Full => {
                counters.full.fetch_add(1, Ordering::Relaxed);
                PublishError::Full(refused.event)
            }
            // A lane that was shut down and emptied is vacant as well. The flag of the hub tells
            // the two apart.
            Refusal::Vacant | Refusal::Exhausted if !self.is_closed() => {
                counters.no_connections.fetch_add(1, Ordering::Relaxed);
                if matches!(target, Target::Connection(_)) {
                    counters.unknown_connections.fetch_add(1, Ordering::Relaxed);
                }
                PublishError::NoConnections(refused.event)
            }
            Refusal::Vacant | Refusal::Exhausted | Refusal::Closed => {
                counters.closed.fetch_add(1, Ordering::Relaxed);
                PublishError::Closed(refused.event)
            }
        }
    }

    /// Counts an event that the gate hands back, and returns the error for it.
    #[cold]
    fn deny(&self, why: Denied, event: E) -> PublishError<E> {
        match why {
            Denied::NotAllowed(missing) => {
                self.counters.not_allowed.fetch_add(1, Ordering::Relaxed);
                PublishError::NotAllowed(event, missing)
            }
            Denied::Revoked => {
                self.counters.revoked.fetch_add(1, Ordering::Relaxed);
                PublishError::Revoked(event)
            }
        }
    }
}

impl From<Accepted> for Delivery {
    #[inline]
    fn from(accepted: Accepted) -> Self {
        Self {
            number: accepted.number,
            connections: accepted.connections.into(),
            kept: accepted.kept,
        }
    }
}
