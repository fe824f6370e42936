//! Publishing: one exchange on the state claims a number and decides where its event lives.

use super::audience::Audience;
use super::claim::{Claim, Offer, Prepared, Publisher};
use super::core::Lane;
use super::discard::Discard;
use super::outcome::{Accepted, Refusal, Refused, Terms};
use super::words::{Run, SlotWord, State};
use crate::sync::{Fault, Ordering, broken, pin};

/// Numbers that one publish may lose to impatient readers before it hands its event back.
const ATTEMPTS: usize = 16;

impl<E: 'static> Lane<E> {
    /// Appends an event, and calls `done` with what came of it. This is the only function that appends.
    ///
    /// Each branch calls `done` by itself. So the ordinary publish packs no result to unpack it again.
    #[inline(always)]
    #[allow(clippy::inline_always)] // A call is a tenth of what is left.
    pub(crate) fn append<R>(
        &self,
        event: E,
        audience: Option<Box<Audience>>,
        terms: Terms,
        done: impl FnOnce(Result<Accepted, Refused<E>>) -> R,
    ) -> R {
        // Without a second look, which nearly every publish needs not.
        if terms.evict
            && audience.is_none()
            && let Some(claim) = self.claim_at_once()
        {
            return match claim.fill(event, None, terms) {
                Ok(()) => done(Ok(self.accepted_as(claim.state, terms))),
                Err(back) => done(self.append_again(back, terms, claim)),
            };
        }
        done(self.append_slowly(Offer { event, audience }, terms, 0))
    }

    /// Claims the next number if its home is ready and no other thread comes between.
    #[inline(always)]
    #[allow(clippy::inline_always)] // As above.
    fn claim_at_once(&self) -> Option<Claim<'_, E>> {
        let state = self.load();
        let number = state.seq();
        if state.refuses() {
            return None;
        }
        if state.is_burst() {
            let run = self.run();
            // The first number of an arena has the arena made ready before it is claimed.
            let is_inside = number > run.base() && self.holds(run.base(), number);
            let claimed = is_inside && self.exchange(state, state.claimed());
            claimed.then(|| Claim::in_arena(self, state, run))
        } else {
            let word = self.hot.load();
            let is_next = word == SlotWord::free(number - 1);
            let claimed = is_next && self.exchange(state, state.claimed());
            claimed.then(|| Claim::in_hot_slot(self, state, word))
        }
    }

    /// As `append`, after a reader has passed over the number of a claim.
    #[cold]
    #[inline(never)]
    #[allow(clippy::needless_pass_by_value)] // A reference would keep each claim in memory.
    fn append_again(
        &self,
        offer: Offer<E>,
        terms: Terms,
        claim: Claim<'_, E>,
    ) -> Result<Accepted, Refused<E>> {
        let late = u8::from(self.give_up(&claim));
        self.append_slowly(offer, terms, late)
    }

    #[cold]
    #[inline(never)]
    fn append_slowly(
        &self,
        mut offer: Offer<E>,
        terms: Terms,
        mut late: u8,
    ) -> Result<Accepted, Refused<E>> {
        let mut publisher = Publisher {
            lane: self,
            terms,
            discard: Discard::default(),
        };
        for _ in 0..ATTEMPTS {
            let claim = match publisher.claim() {
                Ok(claim) => claim,
                Err(why) => return Err(Refused::new(why, offer.event, late)),
            };
            match claim.fill(offer.event, offer.audience, terms) {
                Ok(()) => return Ok(self.accepted_as(claim.state, terms)),
                Err(back) => {
                    offer = back;
                    late += u8::from(self.give_up(&claim));
                }
            }
        }
        Err(Refused::new(Refusal::Full, offer.event, late))
    }

    /// Wakes the connections that sleep, and tells what the publish did.
    #[inline]
    fn accepted_as(&self, claimed: State, terms: Terms) -> Accepted {
        if claimed.waiting() > 0 && terms.wake && !broken(Fault::PublishWithoutWake) {
            self.wake();
        }
        Accepted {
            number: self.public(claimed.seq()),
            connections: claimed.connections(),
            kept: claimed.is_archived(),
        }
    }

    /// Counts a number that a reader made void, and gives its slot back. Returns whether the lane's
    /// figures had been taken over before. Only the publisher counts it, so it is counted once.
    #[cold]
    pub(super) fn give_up(&self, claim: &Claim<'_, E>) -> bool {
        let is_late = self.count_void();
        claim.acknowledge();
        // The last connection to leave may have found this publisher inside, and freed nothing.
        if !broken(Fault::LeaveTheArenas) {
            self.reclaim_at_end();
        }
        is_late
    }

    pub(super) fn run(&self) -> Run {
        // Acquire: pairs with `exchange_run`.
        Run(self.run.load(Ordering::Acquire))
    }

    pub(super) fn exchange_run(&self, from: Run, to: Run) -> bool {
        // Release: what was noted of the run before is seen by a thread that finds this one.
        self.run
            .compare_exchange(from.0, to.0, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }

    /// Whether a live connection has not read the number a whole lane before `state`'s. No number is
    /// that old while the lane is hot.
    #[cold]
    fn is_full(&self, state: State) -> bool {
        let number = state.seq() - self.capacity();
        if number < self.capacity() || !state.is_burst() {
            return false;
        }
        let guard = pin();
        let Some(word) = self.slot_word(number, &guard) else {
            return false;
        };
        let is_unread = word.number() < number || word.is_event(number);
        // First: a connection that counts for the number and is not on its way in is listed. Acquire
        // pairs with the Release in `list`.
        if !is_unread || (self.transit().joining() > 0 && !broken(Fault::OverlookJoining)) {
            return is_unread;
        }
        let mut is_wanted = false;
        self.for_each(|member| {
            // A connection that is marked as closed and not counted out yet would count for the new
            // event, though it has not read the old one.
            let counts = if broken(Fault::OverlookLeaving) {
                member.is_open()
            } else {
                member.left_at().is_none() || broken(Fault::FullForTheGone)
            };
            is_wanted |= counts && member.cursor() <= number;
        });
        is_wanted
    }
}

impl<'a, E: 'static> Publisher<'a, E> {
    /// Claims the next number.
    pub(super) fn claim(&mut self) -> Result<Claim<'a, E>, Refusal> {
        let lane = self.lane;
        loop {
            let state = lane.load();
            if state.refuses() {
                return Err(lane.refusal(state));
            }
            if !self.terms.evict && lane.is_full(state) && !broken(Fault::OverwriteWhenFull) {
                return Err(Refusal::Full);
            }
            let number = state.seq();
            if !state.is_burst() {
                let word = lane.hot.load();
                let is_next = word == SlotWord::free(number - 1);
                if is_next || (broken(Fault::HotAnyFree) && word.is_free()) {
                    if lane.exchange(state, state.claimed()) {
                        return Ok(Claim::in_hot_slot(lane, state, word));
                    }
                    continue;
                }
                if let Prepared::Ready(run) = self.prepare_burst(state)?
                    && lane.exchange(state, state.claimed_in_burst())
                {
                    return Ok(Claim::in_arena(lane, state, run));
                }
                continue;
            }
            // After the state: the run of a burst only moves on, so this one is not older.
            let mut run = lane.run();
            // The first number of an arena has the arena made ready before it is claimed.
            let is_inside = number > run.base() && lane.holds(run.base(), number);
            if !is_inside {
                match self.prepare_arena(state, run)? {
                    Prepared::Ready(reached) => run = reached,
                    Prepared::Retry => continue,
                }
            }
            if lane.exchange(state, state.claimed()) {
                return Ok(Claim::in_arena(lane, state, run));
            }
        }
    }
}
