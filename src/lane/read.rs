//! Receiving: a reader looks where its next number lives, passes it, and takes the lane back to hot.

use super::arena::Pin;
use super::litter::Litter;
use super::locate::Place;
use super::member::Member;
use super::slot::SlotRef;
use super::words::{SlotWord, State};
use super::{Lane, Step};
use crate::error::CloseReason;
use crate::sync::broken;

/// What a connection's owner alone knows of its way through the lane.
pub(crate) struct Reader<E> {
    pub(super) pin: Pin<E>,
    /// Numbers passed that were no event, or an event for others.
    pub(super) stepped_over: u64,
    /// It was the last connection to pass the number before its cursor.
    last: bool,
    /// The connection's: a set of what is to be done before the next look at the lane.
    pub(crate) aside: u8,
    /// The connection's: turns that its task has had since it last gave way.
    pub(crate) turns: u8,
}

impl<E> Reader<E> {
    pub(crate) fn new() -> Self {
        Self {
            pin: Pin::none(),
            stepped_over: 0,
            last: false,
            aside: 0,
            turns: 0,
        }
    }
}

/// A reader at the event of its number. Dropping it passes the event.
pub(crate) struct Entered<'a, E: 'static> {
    lane: &'a Lane<E>,
    reader: &'a mut Reader<E>,
    slot: SlotRef<E>,
    word: SlotWord,
    /// No later number was claimed when the reader came, as far as it knows.
    is_newest: bool,
}

impl<E> Entered<'_, E> {
    /// The event.
    #[inline]
    pub(crate) fn get(&self) -> &E {
        self.slot.event()
    }

    /// After the slot was passed: if that was the last number, the reader is at rest, and so is
    /// perhaps the lane.
    #[inline]
    fn settle(&mut self, last: bool) {
        // Numbers behind an event in the hot slot are in an arena: only there is it of use.
        if !self.reader.pin.is_none() {
            self.reader.last = last;
            if self.is_newest {
                self.lane.rest(self.reader, self.word.number() + 1);
            }
        }
    }
}

impl<E: Clone> Entered<'_, E> {
    /// The event: moved out by the last reader, cloned by the others.
    #[inline(always)]
    #[allow(clippy::inline_always)] // A call is a tenth of a receive.
    pub(crate) fn into_event(mut self) -> E {
        if !self.word.is_last() {
            return self.get().clone();
        }
        let event = self.slot.empty(self.word);
        self.settle(true);
        // What is left to do is done here.
        std::mem::forget(self);
        event
    }
}

impl<E> Drop for Entered<'_, E> {
    #[inline]
    fn drop(&mut self) {
        if broken("panic-keeps-the-event") && std::thread::panicking() {
            return;
        }
        let event = self.slot.pass(self.word);
        self.settle(event.is_some());
        // Last, because the host's `Drop` may panic.
        drop(event);
    }
}

impl<E: 'static> Lane<E> {
    /// Gets a connection into its next event. Returns its public number and the event.
    #[inline(always)]
    #[allow(clippy::inline_always)] // A call is a tenth of what is left.
    pub(crate) fn read<'a>(
        &'a self,
        member: &Member,
        reader: &'a mut Reader<E>,
    ) -> Result<(u64, Entered<'a, E>), Step> {
        let number = member.cursor();
        let slot = reader.pin.slot(number).unwrap_or((&self.hot).into());
        let word = slot.load();
        let state = self.load();
        let is_plain = word.is_event(number) && !word.is_addressed();
        // The mark comes after the slot and before the event: an event that was claimed after the closer
        // had counted this connection out does not count it, and shows the mark.
        let is_open = member.is_open() || broken("read-after-close");
        if is_plain && state.seq() <= number + self.capacity() && is_open {
            // The cursor moves before the host's code sees the event, so a panic there passes it.
            member.advance(number + 1);
            let entered = Entered {
                lane: self,
                reader,
                slot,
                word,
                is_newest: state.seq() == number + 1,
            };
            return Ok((self.public(number), entered));
        }
        // Most looks of a host that polls end here.
        let is_idle = state.seq() == number && !state.is_closed();
        if is_idle && reader.pin.is_none() && member.is_open() {
            return Err(Step::Empty);
        }
        self.read_slowly(member, reader)
    }

    #[cold]
    #[inline(never)]
    fn read_slowly<'a>(
        &'a self,
        member: &Member,
        reader: &'a mut Reader<E>,
    ) -> Result<(u64, Entered<'a, E>), Step> {
        let (number, slot, word) = loop {
            let (slot, word) = self.look(member, reader)?;
            let number = word.number();
            member.advance(number + 1);
            if !word.is_addressed() || slot.audience().is_none_or(|a| a.has_member(member)) {
                break (number, slot, word);
            }
            reader.stepped_over += 1;
            drop(Entered {
                lane: self,
                reader: &mut *reader,
                slot,
                word,
                is_newest: true,
            });
        };
        let entered = Entered {
            lane: self,
            reader,
            slot,
            word,
            is_newest: true,
        };
        Ok((self.public(number), entered))
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
        let mut litter = Litter::default();
        let mut missed = 0;
        let found = loop {
            let number = member.cursor();
            let state = self.load();
            if let Some(reason) = member.closed() {
                reader.pin.leave();
                break Err(Step::Closed(reason));
            }
            if state.seq() <= number {
                self.rest(reader, number);
                break Err(if state.is_closed() {
                    Step::Closed(CloseReason::Shutdown)
                } else {
                    Step::Empty
                });
            }
            let is_far = state.seq() - number > self.capacity();
            if is_far && self.has_lost(state, number) {
                break Err(Step::Overrun);
            }
            let slot = match self.locate_near(number, &mut reader.pin) {
                Place::At(slot) => slot,
                Place::GoneBelow(next) => {
                    // The numbers below the `seq` that was loaded count this connection, if it is
                    // still open.
                    let to = next.min(state.seq());
                    if let Some(reason) = member.closed() {
                        break Err(Step::Closed(reason));
                    }
                    // A critical event that was evicted left its note before.
                    if self.has_lost(state, number) {
                        break Err(Step::Overrun);
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
                if broken("jump-over-the-unresolved") && is_far {
                    missed += 1;
                    member.miss(1);
                    member.advance(number + 1);
                } else if !broken("wait-for-the-frozen") {
                    self.resolve(number, slot, &reader.pin);
                }
                continue;
            }
            if let Some(reason) = member.closed()
                && !broken("read-after-close")
            {
                break Err(Step::Closed(reason));
            }
            if !word.is_event(number) {
                // Void. The hot slot may have gone on to later numbers since.
                if broken("moved-on-is-a-loss") && word.number() > number {
                    missed += 1;
                    member.miss(1);
                } else {
                    reader.stepped_over += 1;
                }
                reader.last = false;
                member.advance(number + 1);
                continue;
            }
            if !is_far || (word.is_critical() && !broken("skip-critical")) {
                break Ok((slot, word));
            }
            missed += 1;
            member.miss(1);
            member.advance(number + 1);
            let event = if broken("skip-without-passing") {
                None
            } else {
                slot.pass(word)
            };
            reader.last = event.is_some();
            if let Some(event) = event {
                litter.push(event);
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
        let mut end = (self.root.counted().evicted() + 1).clamp(number, to);
        if broken("gap-counts-voids") {
            end = to;
        }
        let missed = end - number;
        member.miss(missed);
        reader.stepped_over += to - end;
        reader.last = false;
        member.advance(to);
        missed
    }

    /// Whether a critical event from `number` on was evicted. The caller counts for the number, which is
    /// below `state`'s.
    fn has_lost(&self, state: State, number: u64) -> bool {
        state.is_burst() && self.root.counted().lost() >= number
    }

    /// A reader has passed all numbers below `next`. If there are no others, it leaves its arena, and
    /// takes the lane back to hot if it was the last.
    #[cold]
    #[inline(never)]
    fn rest(&self, reader: &mut Reader<E>, next: u64) {
        let state = self.load();
        if state.seq() != next {
            return;
        }
        reader.pin.leave();
        let may = reader.last || broken("quiet-before-the-last");
        reader.last = false;
        if may && state.is_burst() && !state.is_archived() {
            self.quiet(state);
        }
    }

    /// Takes the lane back to hot, unless it changes meanwhile. Every connection that counts has
    /// passed all numbers below `state`'s, except those that are leaving.
    pub(super) fn quiet(&self, state: State) {
        let next = state.seq();
        // After the state: a leaver raises it before it is counted out of the state, and lowers it
        // after it has passed what it counts for. A leaver that is stopped only delays the way back.
        if self.comings().leaving() != 0 && !broken("quiet-ignores-leavers") {
            return;
        }
        let word = self.hot.load();
        if !word.is_free() && !broken("line-up-a-void") {
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
