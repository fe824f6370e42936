//! The one delivery path: an event on its way from a scope to a lane.

use std::sync::Arc;

use super::admit::Denied;
use super::cache::Cache;
use super::core::Core;
use super::grant::Use;
use super::pass::Pass;
use super::target::{Aim, Effect};
use super::user::User;
use crate::delivery::Delivery;
use crate::error::PublishError;
use crate::id::UserId;
use crate::lane::audience::Audience;
use crate::lane::conflation::Newest;
use crate::lane::rule::Rule;
use crate::lane::{Accepted, Refusal, Refused, Terms};
use crate::observe;
use crate::sync::{Fault, Guard, broken, pin};
use crate::table::storage::LeafRef;

impl<E: Send + Sync + 'static> Core<E> {
    /// Delivers an event for all connections, without a rule. All other events come through
    /// `deliver_ruled`.
    ///
    /// `cache` is the calling scope's own, if there is one. Lock-free.
    #[inline(always)]
    #[allow(clippy::inline_always)] // A call is a tenth of a publish.
    pub(crate) fn deliver(
        self: &Arc<Self>,
        user: &UserId,
        cache: Option<&Cache<E>>,
        event: E,
        terms: Terms,
    ) -> Result<Delivery, PublishError<E>> {
        // A plain event has no rule and no weight. It stays where the caller has it until it is in
        // its slot.
        let is_plain = self.budget.weigh.is_none();
        // One look at the gate. A closed hub, and one that has revoked the scope, refuse at once,
        // also a scope that knows its user's lane.
        let word = self.gate.word();
        match cache.and_then(|cache| cache.get(word)) {
            // All publishes of a scope but its first two.
            Some(entry) if is_plain => {
                self.append_to(entry, None, None, event, terms, move |done| match done {
                    Ok(accepted) => Ok(accepted.into()),
                    Err(refused) => {
                        self.deliver_after_refusal(user, true, &Aim::ALL, refused, terms)
                    }
                })
            }
            None if is_plain && cache.is_none_or(|cache| cache.pass.is_good_at(word)) => {
                self.deliver_by_id(user, cache, event, terms)
            }
            // An event that is not plain, or a scope that has to be looked at.
            known => self.deliver_slowly(user, known, cache, &Aim::ALL, event, terms),
        }
    }

    /// As `deliver`, for what the publish asks for.
    // A function of its own: an aim that `deliver` took would be written to memory for each event.
    #[inline]
    pub(crate) fn deliver_ruled(
        self: &Arc<Self>,
        user: &UserId,
        cache: Option<&Cache<E>>,
        aim: &Aim<'_>,
        event: E,
        terms: Terms,
    ) -> Result<Delivery, PublishError<E>> {
        if aim.is_plain() {
            return self.deliver(user, cache, event, terms);
        }
        self.deliver_as(user, cache, aim, event, terms)
    }

    /// Delivers any event as one with a rule. A result of the type `Traced` has the number of the lane that has
    /// accepted the event. A plain publish does not look at that number.
    pub(crate) fn deliver_as<R: From<Accepted>>(
        self: &Arc<Self>,
        user: &UserId,
        cache: Option<&Cache<E>>,
        aim: &Aim<'_>,
        event: E,
        terms: Terms,
    ) -> Result<R, PublishError<E>> {
        let word = self.gate.word();
        let known = cache.and_then(|cache| cache.get(word));
        self.deliver_slowly(user, known, cache, aim, event, terms)
    }

    /// Returns the number of the user's lane. No other lane of the hub has it.
    ///
    /// A kept lane has one from its first moment. Each other lane lives for one session, and has the session's number.
    /// It is drawn here if the thread that connects has not come so far.
    pub(crate) fn lane_number(&self, user: &User<E>) -> u64 {
        if let Some(archive) = user.lane.archive() {
            return archive.incarnation + 1;
        }
        user.session.begin(&self.sessions);
        user.session.number()
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
            |refused| self.deliver_after_refusal(user, false, &Aim::ALL, refused, terms);
        match self.look_up(user, cache, &guard) {
            Ok(found) => self.append_to(&found, None, None, event, terms, move |done| match done {
                Ok(accepted) => Ok(accepted.into()),
                Err(refused) => otherwise(refused),
            }),
            // No lane would take the event: it goes straight back, copied once.
            Err(why) if !terms.critical => {
                Err(self.refuse(user, &Aim::ALL, Refused::new(why, event, 0)))
            }
            Err(why) => otherwise(Refused::new(why, event, 0)),
        }
    }

    /// Delivers an event that is not plain, or for a scope that has to be looked at.
    #[cold]
    #[inline(never)]
    fn deliver_slowly<R: From<Accepted>>(
        self: &Arc<Self>,
        user: &UserId,
        known: Option<&User<E>>,
        cache: Option<&Cache<E>>,
        aim: &Aim<'_>,
        event: E,
        terms: Terms,
    ) -> Result<R, PublishError<E>> {
        if known.is_some() {
            return self.deliver_by_rule(user, known, cache, aim, event, terms);
        }
        let pass = cache.map(|cache| &cache.pass);
        if let Some(pass) = pass
            && let Err(why) = self.admit(user, pass, Use::Publish(aim.target))
        {
            return Err(self.deny(user, why, event));
        }
        let Some(grant) = pass.and_then(Pass::grant) else {
            return self.deliver_by_rule(user, None, cache, aim, event, terms);
        };
        // The unit is taken before the event is accepted. In the other order two publishers could both
        // be accepted with the last one.
        if let Err(missing) = grant.take() {
            return Err(self.deny(user, Denied::NotAllowed(missing), event));
        }
        let done = self.deliver_by_rule(user, None, None, aim, event, terms);
        if done.is_err() {
            grant.give_back();
        }
        done
    }

    /// Delivers an event that has a rule or a weight.
    #[cold]
    #[inline(never)]
    fn deliver_by_rule<R: From<Accepted>>(
        self: &Arc<Self>,
        user: &UserId,
        known: Option<&User<E>>,
        cache: Option<&Cache<E>>,
        aim: &Aim<'_>,
        event: E,
        terms: Terms,
    ) -> Result<R, PublishError<E>> {
        let done = match known {
            Some(entry) => self.append_for(entry, aim, event, terms),
            None => self.append_by_id(user, cache, aim, event, terms),
        };
        match done {
            Ok(accepted) => Ok(accepted.into()),
            Err(refused) => self.deliver_after_refusal(user, known.is_some(), aim, refused, terms),
        }
    }

    /// Handles an event that a lane has refused: looks for another lane, makes one, or hands the
    /// event back.
    #[cold]
    #[inline(never)]
    fn deliver_after_refusal<R: From<Accepted>>(
        self: &Arc<Self>,
        user: &UserId,
        was_known: bool,
        aim: &Aim<'_>,
        refused: Refused<E>,
        terms: Terms,
    ) -> Result<R, PublishError<E>> {
        if refused.why == Refusal::Vacant {
            // The scope knows a lane that is over. The user may be back in another entry since.
            if was_known {
                return match self.append_by_id(user, None, aim, refused.event, terms) {
                    Ok(accepted) => Ok(accepted.into()),
                    Err(again) => self.deliver_after_refusal(user, false, aim, again, terms),
                };
            }
            // A hub with retention keeps a critical event for a user who is away.
            if terms.critical {
                return match self.append_absent(user, aim, refused.event, terms) {
                    Ok(accepted) => Ok(accepted.into()),
                    Err(again) => Err(self.refuse(user, aim, again)),
                };
            }
        }
        Err(self.refuse(user, aim, refused))
    }

    /// Returns the entry that the table has for the user. Puts it into the scope's cache.
    #[inline(always)]
    #[allow(clippy::inline_always)] // As above.
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
        aim: &Aim<'_>,
        event: E,
        terms: Terms,
    ) -> Result<Accepted, Refused<E>> {
        let guard = pin();
        match self.look_up(user, cache, &guard) {
            Ok(found) => self.append_for(&found, aim, event, terms),
            Err(why) => Err(Refused::new(why, event, 0)),
        }
    }

    /// As `append_to`, for what the publish asks for. Weighs the event if the hub limits the weight.
    pub(super) fn append_for(
        self: &Arc<Self>,
        user: &User<E>,
        aim: &Aim<'_>,
        event: E,
        terms: Terms,
    ) -> Result<Accepted, Refused<E>> {
        let Some(conflation) = user.lane.conflation() else {
            return self.append_with(user, aim, None, event, terms);
        };
        let number = |done: &Result<Accepted, Refused<E>>| {
            let accepted = done.as_ref().ok()?;
            Some(user.lane.internal(accepted.number))
        };
        match aim.effect {
            Effect::None => self.append_with(user, aim, None, event, terms),
            Effect::Supersedes(key) => {
                let append = |newest| self.append_with(user, aim, Some(newest), event, terms);
                conflation.latest(key, key.hash_with(&self.hasher), append, number)
            }
            Effect::Bars => {
                let append = || self.append_with(user, aim, None, event, terms);
                conflation.barrier(append, number, || user.lane.last_number())
            }
        }
    }

    /// As `append_for`, with what the event's key refers to.
    fn append_with(
        self: &Arc<Self>,
        user: &User<E>,
        aim: &Aim<'_>,
        newest: Option<Arc<Newest>>,
        event: E,
        terms: Terms,
    ) -> Result<Accepted, Refused<E>> {
        let audience = aim.target.audience();
        let mut matching = None;
        if let Some(audience) = &audience {
            let Some(count) = Self::count_audience(user, audience) else {
                // The event has no reader. It is handed back without a number, so it delays no
                // connection.
                return Err(Refused::new(Refusal::Vacant, event, 0));
            };
            matching = Some(count);
        }
        let (bytes, charge) = match self.budget.reserve(user, &event, &self.time) {
            Ok(reserved) => reserved,
            Err(why) => return Err(Refused::new(why, event, 0)),
        };
        let rule = Rule {
            audience,
            deadline: aim.deadline,
            newest,
            charge,
        };
        let rule = (!rule.is_plain()).then(|| (Box::new(rule), matching));
        self.append_to(user, rule, bytes, event, terms, |done| {
            // Only the nodes of a cluster ask for it.
            done.map(|accepted| Accepted {
                lane: if cfg!(feature = "cluster") {
                    self.lane_number(user)
                } else {
                    accepted.lane
                },
                ..accepted
            })
        })
    }

    /// Counts the connections that an event is for. Returns `None` if there is none and none is
    /// joining.
    fn count_audience(user: &User<E>, audience: &Audience) -> Option<u8> {
        // The look at joining connections comes before the walk of the list. In the other order a
        // connection could be listed in between: too late for the walk, and no longer joining at
        // the look. The event would be refused although a connection for it is there.
        let is_joined = user.lane.is_joined() && audience.may_have_a_newcomer();
        let is_joined = is_joined && !broken(Fault::OverlookTheNewcomer);
        let count = user.lane.count_matching(audience);
        (count > 0 || is_joined).then_some(count as u8)
    }

    /// Appends an event to a user's lane, for all connections or by a rule, and for an audience of so
    /// many. Calls `done` with the outcome.
    #[inline(always)]
    #[allow(clippy::inline_always)] // As above.
    fn append_to<R>(
        self: &Arc<Self>,
        user: &User<E>,
        rule: Option<(Box<Rule>, Option<u8>)>,
        bytes: Option<usize>,
        event: E,
        terms: Terms,
        done: impl FnOnce(Result<Accepted, Refused<E>>) -> R,
    ) -> R {
        let (rule, matching) = rule.map_or((None, None), |(rule, n)| (Some(rule), n));
        user.lane
            .append(event, rule, terms, move |appended| match appended {
                Ok(accepted) => {
                    // After the append: only now the number is known under which the weight is
                    // noted.
                    if let Some(bytes) = bytes {
                        user.lane.weigh(accepted.number, bytes);
                    }
                    let connections = matching.unwrap_or(accepted.connections);
                    let sample = self.config.sample;
                    observe::published(sample, &user.id, user.hash, accepted.number, connections);
                    done(Ok(Accepted {
                        connections,
                        ..accepted
                    }))
                }
                Err(refused) => done(Err(self.refused(user, refused))),
            })
    }

    /// Appends a plain event to the lane of this entry, whether the table has another one for the user or not.
    #[inline(always)]
    #[allow(clippy::inline_always)] // As above.
    pub(super) fn append_plain<R>(
        self: &Arc<Self>,
        user: &User<E>,
        event: E,
        terms: Terms,
        done: impl FnOnce(Result<Accepted, Refused<E>>) -> R,
    ) -> R {
        match self.budget.reserve(user, &event, &self.time) {
            Ok((bytes, None)) => self.append_to(user, None, bytes, event, terms, done),
            Ok((bytes, charge)) => {
                let rule = Rule {
                    charge,
                    ..Rule::default()
                };
                let rule = Some((Box::new(rule), None));
                self.append_to(user, rule, bytes, event, terms, done)
            }
            Err(why) => done(Err(Refused::new(why, event, 0))),
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
            each(self.deliver(user, cache, event, terms)?);
        }
        Ok(())
    }
}

/// The result of a publish, and the number of the lane that has accepted the event.
#[cfg(feature = "cluster")]
pub(crate) struct Traced {
    pub(crate) delivery: Delivery,
    pub(crate) lane: u64,
}

#[cfg(feature = "cluster")]
impl From<Accepted> for Traced {
    fn from(accepted: Accepted) -> Self {
        Self {
            lane: accepted.lane,
            delivery: accepted.into(),
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
