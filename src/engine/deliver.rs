//! The one delivery path: an event on its way from a scope to a lane.

use std::sync::Arc;

use super::cache::Cache;
use super::core::Core;
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
    /// The one delivery path: every event that reaches a lane comes through here.
    ///
    /// `cache` is the calling scope's own, if there is one.
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
        // Without an audience and a weight the event stays where it is until it is in its slot.
        let is_plain = matches!(target, Target::All) && self.absence.weigh.is_none();
        match cache.and_then(Cache::get).filter(|_| !self.is_closed()) {
            // All publishes of a scope but the first two.
            Some(entry) if is_plain => {
                self.append_to(entry, None, None, event, terms, move |done| match done {
                    Ok(accepted) => Ok(accepted.into()),
                    Err(refused) => {
                        self.deliver_after_refusal(user, true, Target::All, refused, terms)
                    }
                })
            }
            None if is_plain => self.deliver_by_id(user, cache, event, terms),
            known => self.deliver_by_rule(user, known, cache, target, event, terms),
        }
    }

    /// Delivers to all connections, by the lane that the table has for the user.
    #[inline(never)]
    fn deliver_by_id(
        self: &Arc<Self>,
        user: &UserId,
        cache: Option<&Cache<E>>,
        event: E,
        terms: Terms,
    ) -> Result<Delivery, PublishError<E>> {
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

    /// Delivers an event that has an audience or is to be weighed.
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

    /// What is left to do about an event that was refused: to look for another lane, to make one, or to
    /// hand the event back.
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
            if was_known {
                // The user has gone offline since, and is perhaps back in another entry.
                return match self.append_by_id(user, None, target, refused.event, terms) {
                    Ok(accepted) => Ok(accepted.into()),
                    Err(again) => self.deliver_after_refusal(user, false, target, again, terms),
                };
            }
            if terms.critical {
                return match self.append_absent(user, target, refused.event, terms) {
                    Ok(accepted) => Ok(accepted.into()),
                    Err(again) => Err(self.refuse(target, again)),
                };
            }
        }
        Err(self.refuse(target, refused))
    }

    /// The entry that the table has for the user, for a publisher.
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

    /// As `append_to`, for the connections that `target` names. Weighs the event if that is asked for.
    pub(super) fn append_for(
        self: &Arc<Self>,
        user: &User<E>,
        target: Target<'_>,
        event: E,
        terms: Terms,
    ) -> Result<Accepted, Refused<E>> {
        let bytes = self.absence.weigh.map(|weigh| weigh(&event));
        let Some(rule) = target.audience() else {
            return self.append_to(user, None, bytes, event, terms, |done| done);
        };
        // First: a connection that has joined before this look and is not on its way in is listed.
        let is_joined = user.lane.is_joined() && rule.may_have_a_newcomer();
        let count = user.lane.count_matching(&rule);
        if count == 0 && !is_joined {
            return Err(Refused::new(Refusal::Vacant, event, 0));
        }
        let audience = Some((Box::new(rule), count as u8));
        self.append_to(user, audience, bytes, event, terms, |done| done)
    }

    /// Appends an event of this weight to a user's lane, for all connections or for an audience of so many.
    /// Calls `done` with what came of it.
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

    #[cold]
    fn refused(&self, user: &User<E>, refused: Refused<E>) -> Refused<E> {
        // The lane had ended, and its figures were taken over, before these numbers were given up.
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
        // The entry that is found may be a newer one, which is not at its end.
        if let Some(found) = self.find(&user.id)
            && std::ptr::eq(&raw const *found, user)
        {
            found.lane.for_each(|member| {
                self.close(&found, member, CloseReason::Exhausted);
            });
            self.expire(&found);
        }
    }

    /// Appends events until one is refused, and wakes sleepers once.
    pub(crate) fn deliver_all(
        self: &Arc<Self>,
        user: &UserId,
        cache: Option<&Cache<E>>,
        events: impl Iterator<Item = E>,
        terms: Terms,
        each: &mut impl FnMut(Delivery),
    ) -> Result<(), PublishError<E>> {
        /// Wakes also when the host's iterator panics.
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

    /// Counts an event that goes back to the host.
    #[inline]
    fn refuse(&self, target: Target<'_>, refused: Refused<E>) -> PublishError<E> {
        let counters = &self.counters;
        match refused.why {
            Refusal::Full => {
                counters.full.fetch_add(1, Ordering::Relaxed);
                PublishError::Full(refused.event)
            }
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
