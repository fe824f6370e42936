//! A publisher that needs an arena takes one whose events are over, evicts the oldest, or makes one.

use super::arena::Arena;
use super::claim::{Publisher, void};
use super::directory::Directory;
use super::words::{ArenaWord, Run, Status};
use crate::sync::{Fault, broken};

impl<E: 'static> Publisher<'_, E> {
    /// Takes an arena for a run that begins with `number`: one whose events all connections have
    /// passed; else the one with the oldest events, if they are a whole lane old and no reader stands
    /// in it; else a new one.
    pub(super) fn acquire(
        &mut self,
        directory: &Directory<E>,
        number: u64,
        run: Run,
        in_burst: bool,
    ) -> Option<Taken> {
        loop {
            let count = match self.find(directory, number, run, in_burst) {
                Search::Taken(taken) => return Some(taken),
                Search::Overtaken => continue,
                Search::NoneFree { count } => count,
            };
            let arena = directory.make(count)?;
            let word = arena.load();
            if word == ArenaWord::UNUSED
                && let Some(taken) = Taken::take(arena, count, word, number)
            {
                return Some(taken);
            }
            // Another publisher was faster and has taken it.
        }
    }

    /// Takes one of the arenas that there are.
    fn find(&mut self, directory: &Directory<E>, number: u64, run: Run, in_burst: bool) -> Search {
        let began = directory.began();
        let (mut oldest, mut unused): (Option<(usize, ArenaWord)>, _) = (None, None);
        let mut count = 0;
        for (i, arena) in directory.arenas() {
            count = i + 1;
            if i == run.arena() {
                continue;
            }
            let word = arena.load();
            let is_taken = word.status() == Status::Taken;
            if is_taken && word.base() == number && word.base() > run.base() {
                // Taken for this number by a publisher that may be stopped: into the run with it.
                return Search::Taken(Taken {
                    index: i,
                    before: None,
                });
            }
            // An arena of a base beyond the run's may be in the run by now.
            if is_taken || (word.base() > run.base() && !broken(Fault::AcquireAnyBase)) {
                continue;
            }
            if word.is_unused() {
                let is_clean = arena.voids() == 0 || broken(Fault::ReuseOverAVoid);
                unused = unused.or(is_clean.then_some((i, word)));
                continue;
            }
            let is_over = !in_burst || word.base() < began || word.status() == Status::Gone;
            let is_free = if is_over {
                arena.voids() == 0 || broken(Fault::ReuseOverAVoid)
            } else {
                arena.is_passed(word.base())
            };
            if is_free {
                return Search::of(Taken::take(arena, i, word, number));
            } else if !is_over
                && (word.pins() == 0 || broken(Fault::EvictPinned))
                && oldest.is_none_or(|(_, o)| word.base() < o.base())
            {
                oldest = Some((i, word));
            }
        }
        let is_far = |word: ArenaWord| {
            let end = word.base() + self.lane.arena_len() + self.lane.capacity();
            end <= number || broken(Fault::EvictWithinCapacity)
        };
        if let Some((i, word)) = oldest.filter(|(_, word)| is_far(*word)) {
            return Search::of(self.evict(directory, i, word, number));
        }
        if let Some((i, word)) = unused {
            return Search::of(Taken::take(directory.at(i), i, word, number));
        }
        Search::NoneFree { count }
    }

    /// Empties an arena whose events are a whole lane old, and takes it for `number`. `None` if a reader
    /// has come, or if a publisher may still be inside.
    fn evict(
        &mut self,
        directory: &Directory<E>,
        index: usize,
        word: ArenaWord,
        number: u64,
    ) -> Option<Taken> {
        let arena = directory.at(index);
        // Before the arena is taken: a reader that finds it taken finds the notes.
        if !broken(Fault::TakeThenNote) {
            note(directory, arena, word.base());
        }
        // A reader that pins it after `word` was loaded makes this exchange fail.
        if !arena.exchange(word, word.with(word.base(), Status::Taken)) {
            return None;
        }
        if broken(Fault::TakeThenNote) {
            note(directory, arena, word.base());
        }
        for (n, slot) in (word.base()..).zip(arena.slots()) {
            let seen = slot.load();
            if seen.is_event(n) && seen.remaining() > 0 {
                self.discard.push(slot.empty(seen));
            }
        }
        if arena.voids() != 0 && !broken(Fault::ReuseOverAVoid) {
            // A publisher may still be inside. The arena is no reader's any more.
            arena.change(|w| Some(w.with(word.base(), Status::Gone)));
            return None;
        }
        arena.change(|w| Some(w.with(number, Status::Taken)));
        Some(Taken {
            index,
            before: Some(word.with(word.base(), Status::Gone)),
        })
    }
}

/// What a search for an arena came to.
enum Search {
    Taken(Taken),
    /// Another thread has changed the arena that was found. Look again.
    Overtaken,
    /// None of the arenas, of which there are so many, can be had.
    NoneFree {
        count: usize,
    },
}

impl Search {
    fn of(taken: Option<Taken>) -> Self {
        taken.map_or(Self::Overtaken, Self::Taken)
    }
}

/// An arena that a publisher has taken for a run.
#[derive(Clone, Copy)]
pub(super) struct Taken {
    pub(super) index: usize,
    /// Its word before, unless another publisher has taken it for the same number.
    pub(super) before: Option<ArenaWord>,
}

impl Taken {
    fn take<E>(arena: Arena<'_, E>, index: usize, word: ArenaWord, number: u64) -> Option<Self> {
        let taken = arena.exchange(word, word.with(number, Status::Taken));
        taken.then_some(Self {
            index,
            before: Some(word),
        })
    }
}

/// Makes unresolved numbers of an arena void and notes the others as evicted.
pub(super) fn note<E>(directory: &Directory<E>, arena: Arena<'_, E>, base: u64) {
    for (n, slot) in (base..).zip(arena.slots()) {
        let seen = slot.load();
        if seen.number() < n {
            void(slot.into(), seen, n, Some(arena));
        }
    }
    for (n, slot) in (base..).zip(arena.slots()) {
        let seen = slot.load();
        if seen.is_event(n) {
            if !broken(Fault::GapCountsVoids) {
                directory.note_evicted(n);
            }
            if seen.is_critical() && !broken(Fault::ForgetCritical) {
                directory.note_lost(n);
            }
        }
    }
}
