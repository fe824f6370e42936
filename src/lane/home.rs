//! Where a number lives.

use super::arena::{Arena, Pin};
use super::claim::void;
use super::core::Lane;
use super::directory::Directory;
use super::discard::Discard;
use super::slot::SlotRef;
use super::words::{SlotWord, Status};
use crate::sync::{Fault, Guard, SPINS, broken, pause};

/// The home of a number, for a thread that counts for it.
pub(super) enum Home<E> {
    Slot(SlotRef<E>),
    /// Its arena was evicted. So were those of all numbers below this one.
    EvictedBelow(u64),
}

/// What holds a number in a burst.
enum Holder<'d, E> {
    HotSlot,
    Arena {
        arena: Arena<'d, E>,
        base: u64,
    },
    /// No arena: those of all numbers below this one were evicted.
    EvictedBelow(u64),
}

impl<E: 'static> Lane<E> {
    /// Finds the home of `number`, which is below `seq`, and pins its arena. The caller counts for the
    /// number and has not passed it, so behind it the lane goes from hot to burst once at the most: the
    /// way back needs every connection to have passed.
    pub(super) fn find_home(&self, number: u64, pin: &mut Pin<E>) -> Home<E> {
        loop {
            if !self.load().is_burst() {
                return Home::Slot((&self.hot).into());
            }
            let directory = self.root.without_guard();
            match self.holder(directory, number) {
                Holder::HotSlot => return Home::Slot((&self.hot).into()),
                Holder::Arena { arena, base } => {
                    if pin.enter(arena, base) {
                        let slot = pin.slot(number).expect("the arena holds the number");
                        return Home::Slot(slot);
                    }
                }
                Holder::EvictedBelow(next) if next > number => return Home::EvictedBelow(next),
                // The run is an old one.
                Holder::EvictedBelow(_) => {}
            }
        }
    }

    /// The word of the slot of `number`, for a thread that does not count for it.
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

    /// Finds what holds `number` in a burst.
    fn holder<'d>(&self, directory: &'d Directory<E>, number: u64) -> Holder<'d, E> {
        // Before what the run's predecessors left in the directory.
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

    /// As `find_home`, and looks first where the caller stands: a word of this number says that it is there.
    pub(super) fn find_home_near(&self, number: u64, pin: &mut Pin<E>) -> Home<E> {
        match pin.slot(number) {
            Some(slot) if slot.load().number() == number => Home::Slot(slot),
            _ => self.find_home(number, pin),
        }
    }

    /// Waits a bounded time for the publisher of `number`, which the caller counts for, and then makes
    /// the number void. Does nothing about a number that is resolved.
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

    /// Counts a connection, or the archive, out of the numbers from `from` to below `to`, which it has
    /// not read. The caller acts for it. Returns the events that no other reader wants.
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
