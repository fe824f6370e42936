//! A number's home: the slot in which its event lies.

use super::arena::{Arena, Pin};
use super::claim::void;
use super::core::Lane;
use super::directory::Directory;
use super::discard::Discard;
use super::slot::SlotRef;
use super::words::{SlotWord, Status};
use crate::sync::{Fault, Guard, SPINS, broken, pause};

/// The home of a number, for a thread that counts for the number.
pub(super) enum Home<E> {
    Slot(SlotRef<E>),
    /// The number's arena was evicted, and so were the arenas of all numbers below this one.
    EvictedBelow(u64),
}

enum Holder<'d, E> {
    HotSlot,
    Arena {
        arena: Arena<'d, E>,
        base: u64,
    },
    /// No arena. If the number lies before the run, the arenas of all numbers below this one were
    /// evicted. Else the run that was loaded is an old one, and this is its base.
    EvictedBelow(u64),
}

impl<E: 'static> Lane<E> {
    /// Finds the home of `number`, which is below `seq`, and pins its arena.
    ///
    /// The caller counts for the number and has not passed it. So the mode changes at most once
    /// meanwhile, from hot to burst: the way back needs every connection to have passed the number.
    /// Lock-free: each repetition means that a publisher has moved the run or an arena.
    pub(super) fn find_home(&self, number: u64, pin: &mut Pin<E>) -> Home<E> {
        loop {
            if !self.load().is_burst() {
                return Home::Slot((&self.hot).into());
            }
            // After the state: a state with `BURST` comes after the exchange that installed the
            // directory.
            let directory = self.root.without_guard();
            match self.holder(directory, number) {
                Holder::HotSlot => return Home::Slot((&self.hot).into()),
                // A publisher may have taken the arena since it was looked up. Then the next look
                // finds the arenas as they are now.
                Holder::Arena { arena, base } => {
                    if pin.enter(arena, base) {
                        let slot = pin.slot(number).expect("the arena holds the number");
                        return Home::Slot(slot);
                    }
                }
                // `next` is at most the base of the run that was loaded. If it is not above the
                // number, the number lies beyond that run. So a publisher has moved the run on since
                // the load, and the next turn loads the new one.
                Holder::EvictedBelow(next) if next > number => return Home::EvictedBelow(next),
                Holder::EvictedBelow(_) => {}
            }
        }
    }

    /// Returns the word of the slot of `number`, for a thread that does not count for the number.
    /// Returns `None` if no arena holds it.
    ///
    /// The slot can get another number at any time, so the caller compares the word's number.
    pub(super) fn slot_word(&self, number: u64, guard: &Guard) -> Option<SlotWord> {
        let Some(directory) = self.root.load(guard) else {
            return Some(self.hot.load());
        };
        match self.holder(directory, number) {
            Holder::HotSlot => Some(self.hot.load()),
            Holder::Arena { arena, base } => Some(arena.slot((number - base) as usize).load()),
            Holder::EvictedBelow(_) => None,
        }
    }

    /// Looks for what holds `number`, in the run, in the hot slot, and in the older arenas.
    fn holder<'d>(&self, directory: &'d Directory<E>, number: u64) -> Holder<'d, E> {
        // The run is loaded before the directory's notes. A publisher raises `began` and records
        // the old arena's base before it exchanges the run. So a thread that sees the new run sees
        // both. In the other order it could see the old notes with the new run, and find the number
        // nowhere.
        let run = self.run();
        let start = directory.start(run);
        if number < start {
            return Holder::HotSlot;
        }
        let base = run.base();
        if self.holds(base, number)
            && let Some(arena) = directory.get(run.arena())
        {
            return Holder::Arena { arena, base };
        }
        let mut next = base;
        for (i, arena) in directory.arenas() {
            let word = arena.load();
            if i == run.arena() || word.status() != Status::Live || word.base() < start {
                continue;
            }
            let base = word.base();
            if self.holds(base, number) {
                return Holder::Arena { arena, base };
            }
            // The lowest live arena above the number is the next one with events for this reader. A
            // reader that went to the run at once would leave events of the arenas in between
            // unpassed, and their slots would never be free.
            if base > number && !broken(Fault::JumpToTheRun) {
                next = next.min(base);
            }
        }
        Holder::EvictedBelow(next)
    }

    /// Whether an arena with this base has a slot for `number`.
    #[inline]
    pub(super) fn holds(&self, base: u64, number: u64) -> bool {
        number.wrapping_sub(base) < self.arena_len()
    }

    /// As `find_home`. Looks first into the pinned arena: a word with this number proves that the
    /// arena still holds it, and saves the search.
    pub(super) fn find_home_near(&self, number: u64, pin: &mut Pin<E>) -> Home<E> {
        match pin.slot(number) {
            Some(slot) if slot.load().number() == number => Home::Slot(slot),
            _ => self.find_home(number, pin),
        }
    }

    /// Waits a bounded time for the publisher of `number`, which the caller counts for, and then
    /// makes the number void. Does nothing if the number is an event or void already.
    pub(super) fn resolve(&self, number: u64, slot: SlotRef<E>, pin: &Pin<E>) {
        let mut seen = slot.load();
        for _ in 0..SPINS {
            if seen.number() >= number {
                return;
            }
            pause();
            seen = slot.load();
        }
        if seen.number() < number {
            // `find_home` has pinned the slot's arena.
            let arena = pin.arena().filter(|_| !self.is_hot(slot));
            void(slot, seen, number, arena);
        }
    }

    /// Counts a connection, or the archive, out of the numbers from `from` to below `to`, which it
    /// has not read. Returns a collector of the events that no other reader wants.
    pub(super) fn pass_over(&self, from: u64, to: u64, pin: &mut Pin<E>) -> Discard<E> {
        let mut discard = Discard::default();
        let mut number = from;
        while number < to {
            let slot = match self.find_home_near(number, pin) {
                Home::EvictedBelow(next) => {
                    number = next;
                    continue;
                }
                Home::Slot(slot) => slot,
            };
            // A publisher that is stopped before its fill has counted this connection as a reader.
            // If the number stayed unresolved, the publisher would fill the slot later, and the
            // event would wait for a reader that has gone.
            if !broken(Fault::LeaveUnresolved) {
                self.resolve(number, slot, pin);
            }
            let word = slot.load();
            if cfg!(laneway_loom) && !self.is_hot(slot) {
                assert!(
                    word.number() <= number,
                    "a leaver is sent to the wrong place"
                );
            }
            if word.is_event(number)
                && let Some(event) = slot.pass(word)
            {
                discard.push(event);
            }
            number += 1;
        }
        pin.leave();
        discard
    }

    pub(super) fn is_hot(&self, slot: SlotRef<E>) -> bool {
        std::ptr::eq(&raw const *slot, &raw const self.hot)
    }
}
