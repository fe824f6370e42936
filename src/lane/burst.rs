//! Bursts begin and move on: the arena of a number is made ready before the number is claimed.

use super::arena::Arena;
use super::claim::{Prepared, Publisher};
use super::core::Lane;
use super::directory::Directory;
use super::outcome::Refusal;
use super::reuse::Taken;
use super::words::{Run, State, Status};
use crate::sync::{Fault, Guard, broken, pin};

impl<E: 'static> Publisher<'_, E> {
    /// Prepares a burst that begins with `state`'s number. A burst that is prepared and not begun does
    /// no harm.
    #[cold]
    #[inline(never)]
    pub(super) fn prepare_burst(&mut self, state: State) -> Result<Prepared, Refusal> {
        let (lane, number) = (self.lane, state.seq());
        let guard = pin();
        let run = lane.run();
        if run.base() > number && !broken(Fault::RunOverwritten) {
            return Ok(Prepared::Retry);
        }
        if !state.has_arenas() {
            return Ok(self.prepare_in_new_directory(number, run, &guard));
        }
        let Some(directory) = lane.directory_of(run, &guard) else {
            return Ok(Prepared::Retry);
        };
        if run.base() == number {
            set_live(directory, run);
            return Ok(Prepared::Ready(run));
        }
        if !broken(Fault::RestartBeforeReady) {
            // Prepared before and not begun, perhaps.
            set_live(directory, run);
        }
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

    /// Prepares a burst of a lane whose arenas were taken away, or that never had any.
    ///
    /// A directory is made for the number of one claim. Another thread that claims the same number may
    /// have installed it, which serves both. A directory of an older number is a dead one: the sweeper
    /// that took it away is stopped before the exchange, or the burst that it was made for never began.
    /// A directory of a newer number says that this publisher's look at the state is old.
    fn prepare_in_new_directory(&mut self, number: u64, run: Run, guard: &Guard) -> Prepared {
        let lane = self.lane;
        let current = lane.root.load(guard);
        let born = current.map_or(0, Directory::born);
        if born > number && !broken(Fault::ReplaceTheNewer) {
            return Prepared::Retry;
        }
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

    /// Makes the arena ready in which a burst's next number is the first one.
    #[cold]
    #[inline(never)]
    pub(super) fn prepare_arena(&mut self, state: State, run: Run) -> Result<Prepared, Refusal> {
        let lane = self.lane;
        let number = state.seq();
        if number < run.base() {
            return Ok(Prepared::Retry);
        }
        let guard = pin();
        let Some(directory) = lane.directory_of(run, &guard) else {
            return Ok(Prepared::Retry);
        };
        if number == run.base() {
            set_live(directory, run);
            return Ok(Prepared::Ready(run));
        }
        if run.is_first() {
            // Before the run forgets that it was the first: a reader of the hot slot needs to know
            // where the burst began.
            directory.raise_began(run.base());
        }
        set_live(directory, run);
        let Some(arena) = directory.get(run.arena()) else {
            return Ok(Prepared::Retry);
        };
        if !broken(Fault::BaseUnrecorded) {
            // Before the run forgets what the arena holds.
            arena.change(|word| {
                let is_older = word.status() == Status::Live && word.base() < run.base();
                is_older.then(|| word.with(run.base(), Status::Live))
            });
        }
        if lane.run() != run {
            return Ok(Prepared::Retry);
        }
        let Some(taken) = self.acquire(directory, number, run, true) else {
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

    /// Exchanges the run for one in an arena that was taken for it, or gives the arena back.
    fn install(&self, directory: &Directory<E>, run: Run, next: Run, taken: Taken) -> Prepared {
        if self.lane.exchange_run(run, next) {
            set_live(directory, next);
            return Prepared::Ready(next);
        }
        let now = self.lane.run();
        let Some(before) = taken.before else {
            return Prepared::Retry;
        };
        if now.base() == next.base()
            && now.arena() == taken.index
            && !broken(Fault::GiveBackWhatWasHelped)
        {
            // Another thread has installed it.
            set_live(directory, now);
            return Prepared::Retry;
        }
        directory.at(taken.index).change(|word| {
            let is_mine = word.base() == next.base() && word.status() == Status::Taken;
            is_mine.then(|| word.with(before.base(), before.status()))
        });
        Prepared::Retry
    }
}

impl<E: 'static> Lane<E> {
    /// The directory that `run`, which was loaded before, is of. A publisher with an old run may find the
    /// directory of a newer burst, whose first arena does not tell its base before the run moves on: the
    /// publisher would take it for unused, under the readers of that burst. A run is never below the
    /// number that its directory was made for.
    fn directory_of<'g>(&self, run: Run, guard: &'g Guard) -> Option<&'g Directory<E>> {
        let directory = self.root.load(guard)?;
        let is_newer = directory.born() > run.base() && !broken(Fault::PrepareInANewer);
        (!is_newer).then_some(directory)
    }
}

/// Makes the run's arena live. Any thread does that once the arena is in the run, so that no reader
/// waits for the publisher that put it there.
fn set_live<E>(directory: &Directory<E>, run: Run) {
    if let Some(arena) = directory.get(run.arena()) {
        arena.change(|word| {
            let is_ready = word.base() == run.base() && word.status() == Status::Taken;
            is_ready.then(|| word.with(word.base(), Status::Live))
        });
    }
}
