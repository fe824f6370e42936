//! The memory of bursts is given back: by sweeps, and at the end of the lane.

use super::core::Lane;
use super::words::SlotWord;
use crate::sync::{Fault, Guard, Ordering, broken, fence, pin};

impl<E: 'static> Lane<E> {
    /// Does a sweep's work for a lane. If every connection has read all events, the lane goes back to
    /// hot. If it has had no burst since the sweep before, its arenas are freed.
    pub(crate) fn reclaim(&self) {
        if self.root.is_empty() {
            return;
        }
        let guard = pin();
        self.return_to_hot_for_readers(&guard);
        let state = self.load();
        let Some(directory) = self.root.load(&guard) else {
            return;
        };
        if state.is_burst() || state.live() == 0 {
            return;
        }
        if !state.has_arenas() {
            // The directory belongs to a burst that was prepared and not begun, or a sweeper was
            // stopped between its two exchanges. With `born` equal to `seq` a publisher may be
            // about to begin a burst in it.
            if directory.born() < state.seq() {
                self.root.replace(Some(directory), None, &guard);
            }
            return;
        }
        let run = self.run().0;
        // The same run in two sweeps: no burst was prepared in between. A lane that bursts often
        // keeps its arenas.
        let is_rested = directory.swept.swap(run, Ordering::AcqRel) == run;
        // A reader with a pin or a publisher in a void slot would find its arena freed.
        if !is_rested || !(directory.is_unoccupied() || broken(Fault::TakeWhatIsInUse)) {
            return;
        }
        // The lane is hot at this `seq`, so every connection has passed all numbers, and each void
        // slot was left by its publisher. A publisher that has prepared a burst with this `seq`
        // claims it by an exchange of the state, which fails after this one.
        if self.exchange(state, state.without_arenas()) {
            self.root.replace(Some(directory), None, &guard);
        }
    }

    /// Takes the lane back to hot for readers that were closed after they had read everything, or
    /// that have not called since.
    fn return_to_hot_for_readers(&self, guard: &Guard) {
        let state = self.load();
        // A joining connection is not listed, so the walk below would miss its cursor.
        if !state.is_burst() || state.is_archived() || self.transit().joining() > 0 {
            return;
        }
        let mut is_read = true;
        self.for_each(|member| is_read &= member.cursor() == state.seq());
        if !is_read {
            return;
        }
        // A reader moves its cursor before it passes the event. It may be stopped in between,
        // inside the last event. So the cursors are not enough: the last number's slot has to be
        // free as well.
        let word = self.slot_word(state.seq() - 1, guard);
        let is_passed = word.is_some_and(|w| w == SlotWord::free(state.seq() - 1));
        if is_passed || broken(Fault::QuietByCursors) {
            self.return_to_hot(state);
        }
    }

    /// Frees the directory at the end of the lane. Called by the last thread to leave, and by a
    /// publisher that finds the lane over. The one that comes last finds that no other thread is
    /// inside.
    pub(super) fn reclaim_at_end(&self) {
        // Two threads each lower one word and then load the other's. The last connection lowers the
        // state, or `leaving`, and then loads `voids`. A late publisher lowers `voids` and then
        // loads the state. Without a total order of the four accesses each can load the other's old
        // value, and neither frees the directory.
        if !broken(Fault::FinishUnfenced) {
            fence(Ordering::SeqCst);
        }
        if !self.is_over() || self.root.is_empty() {
            return;
        }
        let guard = pin();
        let Some(directory) = self.root.load(&guard) else {
            return;
        };
        // No number is claimed any more. Without a leaver and a publisher inside, all are passed.
        if self.transit().leaving() == 0 && directory.is_unoccupied() {
            self.root.replace(Some(directory), None, &guard);
        }
    }
}
