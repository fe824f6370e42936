//! Calls of which only the first steps are done: a thread that stops there for good.

use super::super::arena::Pin;
use super::super::claim::{Claim, Offer, Publisher};
use super::super::core::Lane;
use super::super::discard::Discard;
use super::super::outcome::{Refusal, Terms};
use super::super::reuse::note;
use super::super::words::{ArenaWord, Run, SlotWord, State, Status};
use crate::sync::{Ordering, pin};

/// Where a thread stops for good.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Stop {
    /// It has taken an arena.
    Taken,
    /// The arena is in the run, and not said to be live.
    Installed,
    /// It has taken an arena to evict it.
    Evicting,
    /// The hot slot expects the next number, and the lane is not hot.
    LinedUp,
    /// It stands in an arena.
    Pinned,
    /// It is about to make a slot void.
    Voiding,
    /// A connection is marked as leaving, and still counted.
    Leaving,
    /// It is counted out, and its end is not told.
    Departed,
}

impl<E: 'static> Lane<E> {
    fn publisher(&self, terms: Terms) -> Publisher<'_, E> {
        Publisher {
            lane: self,
            terms,
            discard: Discard::default(),
        }
    }

    pub(in crate::lane) fn claim_only(&self, terms: Terms) -> Result<Claim<'_, E>, Refusal> {
        self.publisher(terms).claim()
    }

    /// Does the first steps of something rare, and nothing more. No other thread runs.
    pub(crate) fn stop(&self, stop: Stop) {
        let (state, run) = (self.load(), self.run());
        let guard = pin();
        let in_burst = state.is_burst();
        let take = || {
            let directory = self.root.load(&guard).expect("a directory");
            let mut publisher = self.publisher(Terms::OVERWRITE);
            let taken = publisher.acquire(directory, state.seq(), run, in_burst);
            (directory, taken.expect("an arena").index)
        };
        match stop {
            Stop::Taken => drop(take()),
            Stop::Installed => {
                let (directory, index) = take();
                if in_burst {
                    if run.is_first() {
                        directory.raise_began(run.base());
                    }
                    directory.at(run.arena()).change(|word| {
                        let older = word.base() < run.base();
                        older.then(|| word.with(run.base(), Status::Live))
                    });
                }
                let next = Run::new(state.seq(), index, !in_burst);
                assert!(self.exchange_run(run, next));
            }
            Stop::Evicting => {
                let directory = self.root.load(&guard).expect("a directory");
                let far = |word: ArenaWord| {
                    let end = word.base() + self.arena_len() + self.capacity();
                    !word.is_unused() && end <= state.seq() && word.pins() == 0
                };
                let arenas = directory.arenas().map(|(_, arena)| arena);
                let arena = arenas
                    .into_iter()
                    .find(|a| far(a.load()))
                    .expect("an old one");
                let word = arena.load();
                note(directory, arena, word.base());
                assert!(arena.exchange(word, word.with(word.base(), Status::Taken)));
            }
            Stop::LinedUp => {
                let word = self.hot.load();
                let next = SlotWord::free(state.seq() - 1);
                if word.is_free() && word.number() < next.number() {
                    assert!(self.hot.exchange(word, next));
                }
            }
            Stop::Pinned => {
                let directory = self.root.load(&guard).expect("a directory");
                let mut pin = Pin::none();
                assert!(pin.enter(directory.at(run.arena()), run.base()));
                std::mem::forget(pin);
            }
            Stop::Voiding => {
                let directory = self.root.load(&guard).expect("a directory");
                directory.at(run.arena()).begin_void();
            }
            Stop::Leaving => self.begin_leaving(),
            Stop::Departed => {
                self.begin_leaving();
                self.state.fetch_sub(State::ONE_LIVE, Ordering::AcqRel);
            }
        }
    }

    /// Puts an event into a number's slot as its publisher, and is never heard of again.
    pub(in crate::lane) fn fill_half(claim: &Claim<'_, E>, offer: Offer<E>) {
        if claim.seen.number() < claim.state.seq() {
            claim.slot.write(offer.event, offer.rule);
        }
    }

    /// Slots that hold an event.
    pub(crate) fn full(&self) -> usize {
        let guard = pin();
        let mut full = usize::from(self.hot.load().is_full());
        if let Some(directory) = self.root.load(&guard) {
            for (_, arena) in directory.arenas() {
                full += arena.slots().filter(|slot| slot.load().is_full()).count();
            }
        }
        full
    }

    /// Arenas that were used.
    pub(crate) fn used_arenas(&self) -> usize {
        let guard = pin();
        self.root
            .load(&guard)
            .map_or(0, |directory| directory.arenas().count())
    }
}
