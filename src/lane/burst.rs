//! Bursts begin and move on: a publisher prepares a number's arena before it claims the number.

use super::arena::Arena;
use super::claim::{Prepared, Publisher};
use super::core::Lane;
use super::directory::Directory;
use super::outcome::Refusal;
use super::reuse::Taken;
use super::words::{Run, State, Status};
use crate::sync::{Fault, Guard, broken, pin};

impl<E: 'static> Publisher<'_, E> {
    /// Prepares a burst that begins with the `seq` of `state`. The claim that follows sets the flag
    /// `BURST`.
    ///
    /// If that claim fails, the prepared run does no harm: no number lives in it. The next
    /// publisher prepares the burst anew, or uses this run.
    #[cold]
    #[inline(never)]
    pub(super) fn prepare_burst(&mut self, state: State) -> Result<Prepared, Refusal> {
        let (lane, number) = (self.lane, state.seq());
        let guard = pin();
        let run = lane.run();
        // The state is an old one: the run belongs to a later number. If this publisher exchanged
        // it, events of that burst could no longer be found.
        if run.base() > number && !broken(Fault::RunOverwritten) {
            return Ok(Prepared::Retry);
        }
        if !state.has_arenas() {
            return Ok(self.prepare_in_new_directory(number, run, &guard));
        }
        let Some(directory) = lane.directory_of(run, &guard) else {
            return Ok(Prepared::Retry);
        };
        // Another publisher has prepared the burst with this number.
        if run.base() == number {
            set_live(directory, run);
            return Ok(Prepared::Ready(run));
        }
        // An earlier publisher may have prepared this run and been stopped before it made the arena
        // live. If the run got another base first, the word would stay at taken for ever. No reader
        // could pin the arena then.
        if !broken(Fault::RestartBeforeReady) {
            set_live(directory, run);
        }
        // The arena of the last burst is used again, if no publisher is inside a void slot of it.
        // Such a publisher still holds its event in the slot.
        let is_clean = directory.get(run.arena()).map(Arena::voids) == Some(0);
        if is_clean || broken(Fault::RestartOverAVoid) {
            let next = Run::new(number, run.arena(), true);
            return Ok(Prepared::ready_if(lane.exchange_run(run, next), next));
        }
        let Some(taken) = self.acquire(directory, number, run, false) else {
            return Err(Refusal::Full);
        };
        let next = Run::new(number, taken.index, true);
        Ok(self.install(directory, run, next, taken))
    }

    /// Prepares a burst of a lane that has no directory, or whose directory a sweeper has
    /// withdrawn.
    ///
    /// A directory is made for the number of one claim, and `born` keeps that number. Three cases:
    ///
    /// 1. It was born for this number: another publisher of the same number has installed it. It
    ///    serves both.
    /// 2. It was born for a lower number: the sweeper that withdrew it is stopped before its
    ///    exchange of the root, or its burst never began. It is replaced.
    /// 3. It was born for a higher number: this publisher's state is an old one. It starts over.
    fn prepare_in_new_directory(&mut self, number: u64, run: Run, guard: &Guard) -> Prepared {
        let lane = self.lane;
        let current = lane.root.load(guard);
        let born = current.map_or(0, Directory::born);
        // A publisher that is stopped after its load of the state would otherwise free the
        // directory of a burst that began meanwhile.
        if born > number && !broken(Fault::ReplaceTheNewer) {
            return Prepared::Retry;
        }
        // If a withdrawn directory were kept, the sweeper would go on and free it with the new
        // burst's events.
        let is_kept = current.is_some() && broken(Fault::BeginInWhatWasTaken);
        if born != number && !is_kept {
            let fresh = Directory::new(number, lane.arena_len() as usize);
            if !lane.root.replace(current, Some(Box::new(fresh)), guard) {
                return Prepared::Retry;
            }
        }
        let next = Run::new(number, 0, true);
        Prepared::ready_if(run == next || lane.exchange_run(run, next), next)
    }

    /// Prepares the arena whose first slot is for the `seq` of `state`. Returns `Retry` after it
    /// has moved the run on.
    ///
    /// The steps are those of a publisher that was stopped anywhere in here, so each publisher that
    /// comes completes them.
    #[cold]
    #[inline(never)]
    pub(super) fn prepare_arena(&mut self, state: State, run: Run) -> Result<Prepared, Refusal> {
        let lane = self.lane;
        let number = state.seq();
        // The state is older than the run.
        if number < run.base() {
            return Ok(Prepared::Retry);
        }
        let guard = pin();
        let Some(directory) = lane.directory_of(run, &guard) else {
            return Ok(Prepared::Retry);
        };
        // The run was moved on, and its first number is not claimed yet.
        if number == run.base() {
            set_live(directory, run);
            return Ok(Prepared::Ready(run));
        }
        // Before the exchange of the run: the new run is not the first of its burst, so `began`
        // alone says where the burst began. A reader that sees the new run and an old `began` would
        // look for the number of the hot slot in the arenas.
        if run.is_first() {
            directory.raise_began(run.base());
        }
        set_live(directory, run);
        let Some(arena) = directory.get(run.arena()) else {
            return Ok(Prepared::Retry);
        };
        // Before the exchange of the run: a burst that began in the last burst's arena has its base
        // in the run only. Once the run has moved on, readers find the arena by the base in its
        // word, and would not find it there.
        if !broken(Fault::BaseUnrecorded) {
            arena.change(|word| {
                let is_older = word.status() == Status::Live && word.base() < run.base();
                is_older.then(|| word.with(run.base(), Status::Live))
            });
        }
        // The run has moved on, so the search for an arena would work from old facts.
        if lane.run() != run {
            return Ok(Prepared::Retry);
        }
        let Some(taken) = self.acquire(directory, number, run, true) else {
            // The directory is full. If the lane has changed meanwhile, that may no longer be so.
            let is_stuck = lane.run() == run && lane.load().seq() == number;
            return if is_stuck {
                Err(Refusal::Full)
            } else {
                Ok(Prepared::Retry)
            };
        };
        let next = Run::new(run.base() + lane.arena_len(), taken.index, false);
        self.install(directory, run, next, taken);
        Ok(Prepared::Retry)
    }

    /// Exchanges the run for one in the arena that was taken for it, or puts the arena back.
    fn install(&self, directory: &Directory<E>, run: Run, next: Run, taken: Taken) -> Prepared {
        if self.lane.exchange_run(run, next) {
            set_live(directory, next);
            return Prepared::Ready(next);
        }
        let now = self.lane.run();
        // Another publisher has taken the arena, so this one does not put it back.
        let Some(before) = taken.before else {
            return Prepared::Retry;
        };
        // Another publisher found this arena taken, and has exchanged the run for it. If this one
        // put the arena back, the run would name an arena that another search can take.
        if now.base() == next.base()
            && now.arena() == taken.index
            && !broken(Fault::GiveBackWhatWasHelped)
        {
            set_live(directory, now);
            return Prepared::Retry;
        }
        // The run has moved on to another arena. The word is compared, because another publisher
        // may have taken the arena again since.
        directory.at(taken.index).change(|word| {
            let is_mine = word.base() == next.base() && word.status() == Status::Taken;
            is_mine.then(|| word.with(before.base(), before.status()))
        });
        Prepared::Retry
    }
}

impl<E: 'static> Lane<E> {
    /// Returns the directory to which `run` belongs, which the caller has loaded before. Returns
    /// `None` if the root holds a newer one.
    ///
    /// A publisher that is stopped after its load of the run may find the directory of a newer
    /// burst. The first arena of that burst has its base in the run only, so its word looks unused.
    /// The publisher would take it under the readers of that burst. A run is never below the number
    /// for which its directory was made, which is what this compares.
    fn directory_of<'g>(&self, run: Run, guard: &'g Guard) -> Option<&'g Directory<E>> {
        let directory = self.root.load(guard)?;
        let is_newer = directory.born() > run.base() && !broken(Fault::PrepareInANewer);
        (!is_newer).then_some(directory)
    }
}

/// Makes the run's arena live. Every publisher that comes by does so, so no reader waits for the
/// one that has exchanged the run and may be stopped.
fn set_live<E>(directory: &Directory<E>, run: Run) {
    if let Some(arena) = directory.get(run.arena()) {
        arena.change(|word| {
            let is_ready = word.base() == run.base() && word.status() == Status::Taken;
            is_ready.then(|| word.with(word.base(), Status::Live))
        });
    }
}
