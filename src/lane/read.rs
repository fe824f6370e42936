//! Receiving: a reader looks where its next number lives, passes it, and takes the lane back to hot.

use super::core::Lane;
use super::discard::Discard;
use super::home::Home;
use super::member::Member;
use super::outcome::Step;
use super::reader::Reader;
use super::slot::SlotRef;
use super::words::{SlotWord, State};
use crate::error::CloseReason;
use crate::sync::{Fault, broken};

/// The next event of a connection, which its owner has found. Its owner enters or takes it, once.
#[must_use]
pub(crate) struct Seen<E> {
    number: u64,
    slot: SlotRef<E>,
    word: SlotWord,
    /// No later number was claimed when the reader came, as far as it knows.
    is_newest: bool,
}

/// A reader at the event of its number. Dropping it passes the event.
pub(crate) struct Entered<'a, E: 'static> {
    lane: &'a Lane<E>,
    reader: &'a mut Reader<E>,
    seen: Seen<E>,
}

impl<E> Entered<'_, E> {
    /// The event.
    #[inline]
    pub(crate) fn get(&self) -> &E {
        self.seen.slot.event()
    }
}

impl<E> Drop for Entered<'_, E> {
    #[inline]
    fn drop(&mut self) {
        if broken(Fault::PanicKeepsTheEvent) && std::thread::panicking() {
            return;
        }
        let event = self.seen.slot.pass(self.seen.word);
        self.lane
            .after_pass(self.reader, &self.seen, event.is_some());
        // Last, because the host's `Drop` may panic.
        drop(event);
    }
}

impl<E: 'static> Lane<E> {
    /// Finds a connection's next event, if that lies where the connection stands or in the hot slot. After
    /// `None` the caller may `search`.
    #[inline(always)]
    #[allow(clippy::inline_always)] // A call is a tenth of what is left.
    pub(crate) fn see(&self, member: &Member, reader: &Reader<E>) -> Option<Seen<E>> {
        let number = member.cursor();
        let slot = reader.pin.slot(number).unwrap_or((&self.hot).into());
        let word = slot.load();
        let state = self.load();
        // The mark comes after the slot and before the event: an event that was claimed after the closer
        // had counted this connection out does not count it, and shows the mark.
        let is_open = member.is_open() || broken(Fault::ReadAfterClose);
        let is_near = state.seq() <= number + self.capacity();
        let is_newest = state.seq() == number + 1;
        (word.is_for_all(number) && is_near && is_open).then_some(Seen {
            number,
            slot,
            word,
            is_newest,
        })
    }

    /// Gets a connection into the event that it has seen. Returns its public number and the event.
    #[inline]
    pub(crate) fn enter<'a>(
        &'a self,
        member: &Member,
        reader: &'a mut Reader<E>,
        seen: Seen<E>,
    ) -> (u64, Entered<'a, E>) {
        let number = seen.number;
        // The cursor moves before the host's code sees the event, so a panic there passes it.
        member.advance(number + 1);
        let entered = Entered {
            lane: self,
            reader,
            seen,
        };
        (self.public(number), entered)
    }

    /// Calls `make` with the public number of the event that a connection has seen, and with the event:
    /// moved out by the last reader, cloned by the others.
    #[inline(always)]
    #[allow(clippy::inline_always)] // A call is a tenth of a receive.
    pub(crate) fn take<R>(
        &self,
        member: &Member,
        reader: &mut Reader<E>,
        seen: Seen<E>,
        make: impl FnOnce(u64, E) -> R,
    ) -> R
    where
        E: Clone,
    {
        /// Last, so that what `make` returns is made where the caller wants it.
        struct AfterPass<'a, E: 'static>(&'a Lane<E>, &'a mut Reader<E>, Seen<E>);
        impl<E> Drop for AfterPass<'_, E> {
            #[inline]
            fn drop(&mut self) {
                self.0.after_pass(self.1, &self.2, true);
            }
        }
        if !seen.word.is_last() {
            let (number, entered) = self.enter(member, reader, seen);
            return make(number, entered.get().clone());
        }
        let (number, slot, word) = (seen.number, seen.slot, seen.word);
        member.advance(number + 1);
        let _passed = AfterPass(self, reader, seen);
        let public = self.public(number);
        slot.empty_into(word, |event| make(public, event))
    }

    /// After a slot was passed: if that was the last number, the reader is at rest, and so is perhaps
    /// the lane.
    #[inline]
    fn after_pass(&self, reader: &mut Reader<E>, seen: &Seen<E>, last: bool) {
        // Numbers behind an event in the hot slot are in an arena: only there is it of use.
        if !reader.pin.is_none() {
            reader.passed_last = last;
            if seen.is_newest {
                self.on_caught_up(reader, seen.number + 1);
            }
        }
    }

    /// Whether a look would find nothing and change nothing. Most looks of a host that polls find that.
    #[inline]
    pub(crate) fn is_idle(&self, member: &Member, reader: &Reader<E>) -> bool {
        let state = self.load();
        let is_idle = state.seq() == member.cursor() && !state.is_closed();
        is_idle && reader.pin.is_none() && member.is_open()
    }

    /// Finds a connection's next event, wherever that lies. Passes what comes before it.
    #[cold]
    #[inline(never)]
    pub(crate) fn search(&self, member: &Member, reader: &mut Reader<E>) -> Result<Seen<E>, Step> {
        loop {
            let (slot, word) = self.look(member, reader)?;
            let seen = Seen {
                number: word.number(),
                slot,
                word,
                is_newest: true,
            };
            if !word.is_addressed() || slot.audience().is_none_or(|a| a.has_member(member)) {
                return Ok(seen);
            }
            reader.stepped_over += 1;
            drop(self.enter(member, reader, seen));
        }
    }

    /// Finds the next event that the connection is to read. Passes numbers that are no event, and
    /// events that are more than a lane old and not critical.
    #[cold]
    #[inline(never)]
    fn look(
        &self,
        member: &Member,
        reader: &mut Reader<E>,
    ) -> Result<(SlotRef<E>, SlotWord), Step> {
        let mut discard = Discard::default();
        let mut missed = 0;
        let found = loop {
            let number = member.cursor();
            let state = self.load();
            if let Some(reason) = member.closed() {
                reader.pin.leave();
                break Err(Step::Closed(reason));
            }
            if state.seq() <= number {
                self.on_caught_up(reader, number);
                break Err(if state.is_closed() {
                    Step::Closed(CloseReason::Shutdown)
                } else {
                    Step::Empty
                });
            }
            let is_far = state.seq() - number > self.capacity();
            if is_far && self.has_lost(state, number) {
                break Err(Step::Closed(CloseReason::Overrun));
            }
            let slot = match self.find_home_near(number, &mut reader.pin) {
                Home::Slot(slot) => slot,
                Home::EvictedBelow(next) => {
                    // The numbers below the `seq` that was loaded count this connection, if it is
                    // still open.
                    let to = next.min(state.seq());
                    if let Some(reason) = member.closed() {
                        break Err(Step::Closed(reason));
                    }
                    // A critical event that was evicted left its note before.
                    if self.has_lost(state, number) {
                        break Err(Step::Closed(CloseReason::Overrun));
                    }
                    missed += self.skip_evicted(member, reader, to);
                    continue;
                }
            };
            let word = slot.load();
            if word.number() < number {
                let is_newest = state.seq() == number + 1;
                if is_newest && !is_far {
                    // Claimed, and not published. Nor is anything beyond it: there is no event yet.
                    break Err(Step::Empty);
                }
                if broken(Fault::JumpOverTheUnresolved) && is_far {
                    missed += 1;
                    member.miss(1);
                    member.advance(number + 1);
                } else if !broken(Fault::WaitForTheFrozen) {
                    self.resolve(number, slot, &reader.pin);
                }
                continue;
            }
            if let Some(reason) = member.closed()
                && !broken(Fault::ReadAfterClose)
            {
                break Err(Step::Closed(reason));
            }
            if !word.is_event(number) {
                // Void. The hot slot may have gone on to later numbers since.
                if broken(Fault::MovedOnIsALoss) && word.number() > number {
                    missed += 1;
                    member.miss(1);
                } else {
                    reader.stepped_over += 1;
                }
                reader.passed_last = false;
                member.advance(number + 1);
                continue;
            }
            if !is_far || (word.is_critical() && !broken(Fault::SkipCritical)) {
                break Ok((slot, word));
            }
            missed += 1;
            member.miss(1);
            member.advance(number + 1);
            let event = if broken(Fault::SkipWithoutPassing) {
                None
            } else {
                slot.pass(word)
            };
            reader.passed_last = event.is_some();
            if let Some(event) = event {
                discard.push(event);
            }
        };
        // Told before whatever stopped the search, which the next call finds again.
        if missed == 0 {
            found
        } else {
            Err(Step::Gap(missed))
        }
    }

    /// Moves a reader over numbers whose arenas were evicted. Returns how many it missed: all up to the
    /// highest number that was evicted as an event, voids among them included.
    fn skip_evicted(&self, member: &Member, reader: &mut Reader<E>, to: u64) -> u64 {
        let number = member.cursor();
        // Beyond the highest number that was evicted, all of these were void.
        let mut end = (self.root.without_guard().evicted() + 1).clamp(number, to);
        if broken(Fault::GapCountsVoids) {
            end = to;
        }
        let missed = end - number;
        member.miss(missed);
        reader.stepped_over += to - end;
        reader.passed_last = false;
        member.advance(to);
        missed
    }

    /// Whether a critical event from `number` on was evicted. The caller counts for the number, which is
    /// below `state`'s.
    fn has_lost(&self, state: State, number: u64) -> bool {
        state.is_burst() && self.root.without_guard().lost() >= number
    }

    /// A reader has passed all numbers below `next`. If there are no others, it leaves its arena, and
    /// takes the lane back to hot if it was the last.
    #[cold]
    #[inline(never)]
    fn on_caught_up(&self, reader: &mut Reader<E>, next: u64) {
        let state = self.load();
        if state.seq() != next {
            return;
        }
        reader.pin.leave();
        let may = reader.passed_last || broken(Fault::QuietBeforeTheLast);
        reader.passed_last = false;
        if may && state.is_burst() && !state.is_archived() {
            self.return_to_hot(state);
        }
    }

    /// Takes the lane back to hot, unless it changes meanwhile. Every connection that counts has
    /// passed all numbers below `state`'s, except those that are leaving.
    pub(super) fn return_to_hot(&self, state: State) {
        let next = state.seq();
        // After the state: a leaver raises it before it is counted out of the state, and lowers it
        // after it has passed what it counts for. A leaver that is stopped only delays the way back.
        if self.transit().leaving() != 0 && !broken(Fault::QuietIgnoresLeavers) {
            return;
        }
        let word = self.hot.load();
        if !word.is_free() && !broken(Fault::LineUpAVoid) {
            return;
        }
        // Now the hot slot expects the next number.
        let lined_up = SlotWord::free(next - 1);
        if word.number() < next - 1 && !self.hot.exchange(word, lined_up) {
            return;
        }
        // If it fails, the lane has changed, and a later reader or sweep looks again.
        let _ = self.exchange(state, state.hot());
    }
}
