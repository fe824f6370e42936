//! Publishing: one exchange of the state claims a number and decides where its event lies.

use super::claim::{Claim, Offer, Prepared, Publisher};
use super::core::Lane;
use super::discard::Discard;
use super::outcome::{Accepted, Refusal, Refused, Terms};
use super::rule::Rule;
use super::words::{Run, SlotWord, State};
use crate::sync::{Fault, Ordering, broken, pin};

/// Numbers that one publish may lose to readers that made them void. Then the event goes back to
/// the caller.
const ATTEMPTS: usize = 16;

impl<E: 'static> Lane<E> {
    /// Appends an event, and calls `done` with the outcome. No other function appends to a lane.
    ///
    /// Each branch calls `done` itself, so the compiler does not pack a result to unpack it again.
    /// Lock-free: a publisher starts over only if another thread has changed the state.
    #[inline(always)]
    #[allow(clippy::inline_always)] // A call is a tenth of what is left.
    pub(crate) fn append<R>(
        &self,
        event: E,
        rule: Option<Box<Rule>>,
        terms: Terms,
        done: impl FnOnce(Result<Accepted, Refused<E>>) -> R,
    ) -> R {
        // The fast path: an event without a rule, under terms that need no look for unread
        // events.
        if terms.evict
            && rule.is_none()
            && let Some(claim) = self.claim_at_once()
        {
            return match claim.fill(event, None, terms) {
                Ok(()) => done(Ok(self.accepted_as(claim.state, terms))),
                Err(back) => done(self.append_again(back, terms, claim)),
            };
        }
        done(self.append_slowly(Offer { event, rule }, terms, 0))
    }

    /// Loads the words that a publish looks at first. A caller that publishes to several lanes looks at
    /// all of them before, so that the processor waits for their memory once and not for each.
    #[inline]
    pub(crate) fn look_ahead(&self) {
        self.hot.load();
        self.load();
    }

    /// Claims the next number if its home is ready and no other thread comes in between.
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
            // The first number of an arena goes the slow way, which makes the arena live first.
            let is_inside = number > run.base() && self.holds(run.base(), number);
            let claimed = is_inside && self.exchange(state, state.claimed());
            claimed.then(|| Claim::in_arena(self, state, run))
        } else {
            let word = self.hot.load();
            let is_next = word == SlotWord::free(number - 1);
            // A free word is not enough. The slot may be free because an earlier number in it is
            // read while the lane is in a burst. Only `FREE(number - 1)` says that every number
            // before this one is over.
            let claimed = is_next && self.exchange(state, state.claimed());
            claimed.then(|| Claim::in_hot_slot(self, state, word))
        }
    }

    /// As `append`, after a reader has made the claim's number void.
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

    /// As `append`, with all cases. `late` numbers were given up after the lane's figures were
    /// retired.
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
                // The rule is dropped, and with it the charge.
                Err(why) => {
                    if broken(Fault::ForgetTheCharge) {
                        std::mem::forget(offer.rule);
                    }
                    return Err(Refused::new(why, offer.event, late));
                }
            };
            match claim.fill(offer.event, offer.rule, terms) {
                Ok(()) => return Ok(self.accepted_as(claim.state, terms)),
                Err(back) => {
                    offer = back;
                    late += u8::from(self.give_up(&claim));
                }
            }
        }
        Err(Refused::new(Refusal::Full, offer.event, late))
    }

    /// Wakes the connections that sleep, and returns the outcome of a publish.
    #[inline]
    fn accepted_as(&self, claimed: State, terms: Terms) -> Accepted {
        // The claim and the count of sleepers are one word. A connection that registers later
        // compares `seq` with its cursor, and sees this number.
        if claimed.waiting() > 0 && terms.wake && !broken(Fault::PublishWithoutWake) {
            self.wake();
        }
        Accepted {
            number: self.public(claimed.seq()),
            connections: claimed.connections(),
            kept: claimed.is_archived(),
            lane: 0,
        }
    }

    /// Counts a number that a reader made void, and frees its slot. Returns whether the lane's
    /// figures were retired before. Only the number's publisher calls this, so each is counted
    /// once.
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
        // Release: a thread that sees the new run also sees the notes about the old one, and the
        // arena.
        self.run
            .compare_exchange(from.0, to.0, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }

    /// Returns whether `append` with terms that do not evict may accept an event, or refuses it for good.
    #[cold]
    pub(crate) fn may_have_room(&self) -> bool {
        let state = self.load();
        state.refuses() || !self.is_full(state)
    }

    /// Returns whether a live connection has not passed the number that lies `capacity` before the
    /// `seq` of `state`. While the lane is hot no unread number is that old.
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
        // A joining connection counts for the number but is not listed, so the walk below would
        // miss it. This look comes before the walk. In the other order the connection could be
        // listed in between: too late for the walk, and no longer joining at the look. Acquire:
        // pairs with the Release in `list`.
        if !is_unread || (self.transit().joining() > 0 && !broken(Fault::OverlookJoining)) {
            return is_unread;
        }
        let mut is_wanted = false;
        self.for_each(|member| {
            // A connection that is closed and has no end yet may still be counted in `live`. The
            // claim that follows would count it for the new event, although it has not passed the
            // old one.
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
    /// Claims the next number. Prepares an arena for it first where that is needed.
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
                // As in `claim_at_once`: only `FREE(number - 1)` says that all numbers before are
                // over.
                if is_next || (broken(Fault::HotAnyFree) && word.is_free()) {
                    if lane.exchange(state, state.claimed()) {
                        return Ok(Claim::in_hot_slot(lane, state, word));
                    }
                    continue;
                }
                // The burst begins with the claim: the exchange sets `BURST`. A reader sees the
                // flag and the new run together.
                if let Prepared::Ready(run) = self.prepare_burst(state)?
                    && lane.exchange(state, state.claimed_in_burst())
                {
                    return Ok(Claim::in_arena(lane, state, run));
                }
                continue;
            }
            // The run is loaded after the state. Within a burst the run only moves on, so it is not
            // older than the state.
            let mut run = lane.run();
            // The first number of an arena has the arena made live before it is claimed.
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
