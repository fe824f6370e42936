//! Arenas for a run: a publisher takes one whose events are over, evicts the oldest, or makes a new
//! one.

use super::arena::Arena;
use super::claim::{Publisher, void};
use super::directory::Directory;
use super::words::{ArenaWord, Run, Status};
use crate::sync::{Fault, broken};

impl<E: 'static> Publisher<'_, E> {
    /// Takes an arena for a run that begins with `number`.
    ///
    /// It takes an arena whose events all connections have passed. Else it evicts the arena with
    /// the oldest events, if they are a whole lane old and no reader has pinned it. Else it makes a
    /// new one. Returns `None` if the directory is full. Lock-free: each repetition means that
    /// another publisher has taken an arena.
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
        }
    }

    /// Looks through the existing arenas for one to take.
    fn find(&mut self, directory: &Directory<E>, number: u64, run: Run, in_burst: bool) -> Search {
        let began = directory.began();
        let (mut oldest, mut unused): (Option<(usize, ArenaWord)>, _) = (None, None);
        let mut count = 0;
        for (i, arena) in directory.arenas() {
            count = i + 1;
            // New events lie there.
            if i == run.arena() {
                continue;
            }
            let word = arena.load();
            let is_taken = word.status() == Status::Taken;
            if is_taken && word.base() == number && word.base() > run.base() {
                // Another publisher has taken it for the same number, and may be stopped before it
                // exchanges the run. This publisher does that instead.
                return Search::Taken(Taken {
                    index: i,
                    before: None,
                });
            }
            // An arena with a base beyond the run's may be in a newer run already. A publisher that
            // is stopped after its load of the run would take it under the readers of that run.
            if is_taken || (word.base() > run.base() && !broken(Fault::AcquireAnyBase)) {
                continue;
            }
            if word.is_unused() {
                let is_clean = arena.voids() == 0 || broken(Fault::ReuseOverAVoid);
                unused = unused.or(is_clean.then_some((i, word)));
                continue;
            }
            // Without a burst every connection has passed every number. The same is true of the
            // numbers of earlier bursts, which are below `began`.
            let is_over = !in_burst || word.base() < began || word.status() == Status::Gone;
            // A publisher inside a void slot still holds its event there. If the arena were used
            // again, two publishers would write into one slot.
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
        // Every number in the arena is more than `capacity` below the new one, so each reader that
        // has not passed them misses them anyway.
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

    /// Empties an arena whose events are a whole lane old, and takes it for `number`. Returns
    /// `None` if a reader has pinned it meanwhile, or if a publisher may still be inside it.
    fn evict(
        &mut self,
        directory: &Directory<E>,
        index: usize,
        word: ArenaWord,
        number: u64,
    ) -> Option<Taken> {
        let arena = directory.at(index);
        // The notes come before the arena is taken. In the other order a publisher could be stopped
        // in between. A reader would find its arena taken and `lost` still low. It would return a
        // mere gap although a critical event is gone.
        if !broken(Fault::TakeThenNote) {
            note(directory, arena, word.base());
        }
        // A reader that has pinned the arena since the load has changed the word, and the exchange
        // fails. Its events are then left alone.
        if !arena.exchange(word, word.with(word.base(), Status::Taken)) {
            return None;
        }
        if broken(Fault::TakeThenNote) {
            note(directory, arena, word.base());
        }
        for (n, slot) in (word.base()..).zip(arena.slots()) {
            let seen = slot.load();
            // At 0 the event belongs to its last reader.
            if seen.is_event(n) && seen.remaining() > 0 {
                self.discard.push(slot.empty(seen));
            }
        }
        // A publisher may still be inside a void slot. The events are gone, and a later search
        // finds the arena after that publisher has left.
        if arena.voids() != 0 && !broken(Fault::ReuseOverAVoid) {
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

/// The outcome of a search for an arena.
enum Search {
    Taken(Taken),
    /// Another thread has changed the arena that was found. The caller searches again.
    Overtaken,
    /// None of the `count` arenas can be taken.
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
    /// The arena's word before, or `None` if another publisher has taken it for the same number.
    pub(super) before: Option<ArenaWord>,
}

impl Taken {
    /// Takes the arena for `number`, unless its word has changed.
    fn take<E>(arena: Arena<'_, E>, index: usize, word: ArenaWord, number: u64) -> Option<Self> {
        let taken = arena.exchange(word, word.with(number, Status::Taken));
        taken.then_some(Self {
            index,
            before: Some(word),
        })
    }
}

/// Makes the unresolved numbers of an arena void, and raises `evicted` and `lost` for its events.
pub(super) fn note<E>(directory: &Directory<E>, arena: Arena<'_, E>, base: u64) {
    for (n, slot) in (base..).zip(arena.slots()) {
        let seen = slot.load();
        // A publisher that is stopped between its claim and its fill would otherwise write into the
        // arena after it was given to other numbers.
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
