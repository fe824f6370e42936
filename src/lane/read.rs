//! Receiving: a reader finds its next event, passes it, and takes the lane back to hot.

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

/// The next event of a connection, found by its owner. The owner enters or takes it, once.
#[must_use]
pub(crate) struct Seen<E> {
    pub(super) number: u64,
    pub(super) slot: SlotRef<E>,
    pub(super) word: SlotWord,
    /// No later number was claimed when the reader looked, as far as it knows.
    pub(super) is_newest: bool,
}

impl<E> Seen<E> {
    /// The event, which stays unread.
    pub(crate) fn event(&self) -> &E {
        self.slot.event()
    }
}

/// A reader inside the event of its number. Dropping it passes the event.
pub(crate) struct Entered<'a, E: 'static> {
    lane: &'a Lane<E>,
    reader: &'a mut Reader<E>,
    seen: Seen<E>,
}

impl<E> Entered<'_, E> {
    #[inline]
    pub(crate) fn get(&self) -> &E {
        self.seen.slot.event()
    }
}

impl<E> Drop for Entered<'_, E> {
    #[inline]
    fn drop(&mut self) {
        // The drop runs also while the host's code panics. A reader that did not pass here would
        // stay counted, and the slot would never be free.
        if broken(Fault::PanicKeepsTheEvent) && std::thread::panicking() {
            return;
        }
        let event = self.seen.slot.pass(self.seen.word);
        self.lane
            .after_pass(self.reader, &self.seen, event.is_some());
        // Last, because the host's `Drop` may panic. The lane's words are consistent by then.
        drop(event);
    }
}

impl<E: 'static> Lane<E> {
    /// Returns a connection's next event, if that lies in the pinned arena or in the hot slot.
    /// After `None` the caller may `search`. Wait-free.
    #[inline(always)]
    #[allow(clippy::inline_always)] // A call is a tenth of what is left.
    pub(crate) fn see(&self, member: &Member, reader: &Reader<E>) -> Option<Seen<E>> {
        let number = member.cursor();
        // The hot slot is only a guess. The comparison of the word's number below decides.
        let slot = reader.pin.slot(number).unwrap_or((&self.hot).into());
        let word = slot.load();
        let state = self.load();
        // The mark is loaded after the slot's word and before the event. A publisher that claims
        // after the closer has counted this connection out does not count it. The event could then
        // be moved out under this reader. But the closer sets the mark before it counts out, so a
        // reader that sees such an event also sees the mark.
        let is_open = member.is_open() || broken(Fault::ReadAfterClose);
        // A reader that is further behind misses events, and counts them in `look`.
        let is_near = state.seq() <= number + self.capacity();
        let is_newest = state.seq() == number + 1;
        (word.is_plain(number) && is_near && is_open).then_some(Seen {
            number,
            slot,
            // Without it, the code that drops a rule would stand in the fast path of each receive.
            word: word.without_rule(),
            is_newest,
        })
    }

    /// Lets a connection into the event that it has found. Returns the event's public number with
    /// it.
    #[inline]
    pub(crate) fn enter<'a>(
        &'a self,
        member: &Member,
        reader: &'a mut Reader<E>,
        seen: Seen<E>,
    ) -> (u64, Entered<'a, E>) {
        let number = seen.number;
        // The cursor moves before the host's code gets the event. If that panics, the drop of
        // `Entered` passes the event. With the old cursor the reader would then come back to an
        // event that it no longer counts for.
        member.advance(number + 1);
        let entered = Entered {
            lane: self,
            reader,
            seen,
        };
        (self.public(number), entered)
    }

    /// Calls `make` with the public number and the event that a connection has found. The last
    /// reader moves the event out, the others clone it.
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
        /// Calls `after_pass` when `make` has returned or has panicked. As a drop it leaves the
        /// result of `make` in the place where the caller wants it.
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

    /// Notes whether the reader was the last to pass the slot. A reader that has passed the newest
    /// number has caught up.
    #[inline]
    fn after_pass(&self, reader: &mut Reader<E>, seen: &Seen<E>, last: bool) {
        // A reader without a pin has passed an event in the hot slot. If the lane is in a burst,
        // later numbers lie in arenas, so the reader has not caught up. If it is not, the reader has
        // no arena to leave.
        if !reader.pin.is_none() {
            reader.passed_last = last;
            if seen.is_newest {
                self.on_caught_up(reader, seen.number + 1);
            }
        }
    }

    /// Returns whether a receive would find nothing and change nothing. Most receives of a host
    /// that polls end here.
    #[inline]
    pub(crate) fn is_idle(&self, member: &Member, reader: &Reader<E>) -> bool {
        let state = self.load();
        let is_idle = state.seq() == member.cursor() && !state.is_closed();
        is_idle && reader.pin.is_none() && member.is_open()
    }

    /// Finds the next event that the connection counts for and is to see. Passes numbers that are
    /// no event, and events that are more than a lane old and not critical.
    ///
    /// Lock-free: each turn moves the cursor, makes a number void, or follows a change by another
    /// thread.
    #[cold]
    #[inline(never)]
    pub(super) fn look(
        &self,
        member: &Member,
        reader: &mut Reader<E>,
    ) -> Result<(SlotRef<E>, SlotWord), Step> {
        let mut discard = Discard::default();
        let mut missed = 0;
        let found = loop {
            let number = member.cursor();
            // The state is loaded before the mark. If the mark is unset after that load, the
            // connection counts for every number below this `seq`.
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
            // Before the reader skips: a critical event from the cursor on is gone, so a gap would
            // hide it.
            if is_far && self.has_lost(state, number) {
                break Err(Step::Closed(CloseReason::Overrun));
            }
            let slot = match self.find_home_near(number, &mut reader.pin) {
                Home::Slot(slot) => slot,
                Home::EvictedBelow(next) => {
                    // A number at or beyond the `seq` that was loaded may have been claimed after
                    // this connection was counted out.
                    let to = next.min(state.seq());
                    if let Some(reason) = member.closed() {
                        break Err(Step::Closed(reason));
                    }
                    // Again: the arena may have been evicted after the look above. The publisher
                    // notes `lost` before it takes the arena, so this look sees the note.
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
                    // The newest number is claimed and its publisher has not come. There is no
                    // event to wait for, and the publisher gets time to fill the slot.
                    break Err(Step::Empty);
                }
                // A later number was claimed, so this reader does not wait for a publisher that may
                // be stopped. It makes the number void before it goes on. If it only moved its
                // cursor, the publisher would fill the slot for a reader that never comes.
                if broken(Fault::JumpOverTheUnresolved) && is_far {
                    missed += 1;
                    member.miss(1);
                    member.advance(number + 1);
                } else if !broken(Fault::WaitForTheFrozen) {
                    self.resolve(number, slot, &reader.pin);
                }
                continue;
            }
            // After the slot's word, as in `see`: a reader that is counted out must not touch the
            // event.
            if let Some(reason) = member.closed()
                && !broken(Fault::ReadAfterClose)
            {
                break Err(Step::Closed(reason));
            }
            if !word.is_event(number) {
                // Void. The slot may hold a later number by now: the hot slot gets the next one
                // after the void publisher has left.
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
            // A critical event that the lane still holds is read, however old it is.
            if !is_far || (word.is_critical() && !broken(Fault::SkipCritical)) {
                break Ok((slot, word));
            }
            // Too old. The reader counts itself out without reading. If it only moved its cursor,
            // the event would stay `FULL` for ever.
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
        // The gap comes first. The next call finds again what has stopped this one.
        if missed == 0 {
            found
        } else {
            Err(Step::Gap(missed))
        }
    }

    /// Moves a reader to `to`, over numbers whose arenas were evicted. Returns how many it missed.
    ///
    /// All numbers up to the highest evicted event count as missed, voids among them included:
    /// their slots are gone, so the two cannot be told apart.
    fn skip_evicted(&self, member: &Member, reader: &mut Reader<E>, to: u64) -> u64 {
        let number = member.cursor();
        // All numbers beyond the highest evicted event were void.
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

    /// Returns whether a critical event from `number` on was evicted. The caller counts for
    /// `number`, which is below the `seq` of `state`.
    fn has_lost(&self, state: State, number: u64) -> bool {
        state.is_burst() && self.root.without_guard().lost() >= number
    }

    /// A reader has passed all numbers below `next`. If `next` is the newest number, the reader
    /// leaves its arena. If it was the last to pass, it takes the lane back to hot.
    #[cold]
    #[inline(never)]
    fn on_caught_up(&self, reader: &mut Reader<E>, next: u64) {
        let state = self.load();
        if state.seq() != next {
            return;
        }
        reader.pin.leave();
        // Other readers may still be inside the last event. If one that was not the last took the
        // lane back to hot, those would look for their number in the hot slot.
        let may = reader.passed_last || broken(Fault::QuietBeforeTheLast);
        reader.passed_last = false;
        if may && state.is_burst() && !state.is_archived() {
            self.return_to_hot(state);
        }
    }

    /// Takes the lane back to hot, unless it changes meanwhile. Every connection that counts has
    /// passed all numbers below the `seq` of `state`, except for those that are leaving.
    pub(super) fn return_to_hot(&self, state: State) {
        let next = state.seq();
        // A leaver raises `leaving` before it is counted out of the state, and lowers it after it
        // has passed its events. This look comes after the load of the state. If the leaver is
        // missing in the state, this look finds it, or it has passed everything. In the other order
        // a leaver could have an event to pass in an arena while the lane goes back to hot. A
        // leaver that is stopped only delays the way back.
        if self.transit().leaving() != 0 && !broken(Fault::QuietIgnoresLeavers) {
            return;
        }
        let word = self.hot.load();
        // A publisher may still be inside a void hot slot. If the word became `FREE` here, the next
        // publisher would write into the slot at the same time.
        if !word.is_free() && !broken(Fault::LineUpAVoid) {
            return;
        }
        // A publisher of a hot lane uses the slot only if its word is `FREE(number - 1)`.
        let lined_up = SlotWord::free(next - 1);
        if word.number() < next - 1 && !self.hot.exchange(word, lined_up) {
            return;
        }
        // It fails if a number was claimed or a connection has come or gone. Then a later reader or
        // sweep takes the lane back.
        let _ = self.exchange(state, state.hot());
    }
}
