//! What a lane gives back when it is at rest.

use super::core::Lane;
use super::words::SlotWord;
use crate::sync::{Fault, Guard, Ordering, broken, fence, pin};

impl<E: 'static> Lane<E> {
    /// A sweep's look: takes a lane that every connection has read back to hot, and gives its arenas
    /// back if the lane has had no burst since the sweep before.
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
            // Of a burst that was prepared and not begun, or of a sweep that was stopped here. A
            // publisher that is about to begin a burst with this number may still use it.
            if directory.born() < state.seq() {
                self.root.replace(Some(directory), None, &guard);
            }
            return;
        }
        let run = self.run().0;
        let is_rested = directory.swept.swap(run, Ordering::AcqRel) == run;
        if !is_rested || !(directory.is_unoccupied() || broken(Fault::TakeWhatIsInUse)) {
            return;
        }
        // The lane is hot with this number, so every connection has passed all numbers, and the
        // voids of the arenas have their publishers' word. A publisher that has prepared a burst with
        // this number claims it by an exchange that now fails.
        if self.exchange(state, state.without_arenas()) {
            self.root.replace(Some(directory), None, &guard);
        }
    }

    /// Takes a burst's lane back to hot for readers that went or were closed after they had read
    /// everything, or that never looked again.
    fn return_to_hot_for_readers(&self, guard: &Guard) {
        let state = self.load();
        if !state.is_burst() || state.is_archived() || self.transit().joining() > 0 {
            return;
        }
        let mut is_read = true;
        self.for_each(|member| is_read &= member.cursor() == state.seq());
        if !is_read {
            return;
        }
        // A cursor moves before its event is passed. The last number's slot tells.
        let word = self.slot_word(state.seq() - 1, guard);
        let is_passed = word.is_some_and(|w| w == SlotWord::free(state.seq() - 1));
        if is_passed || broken(Fault::QuietByCursors) {
            self.return_to_hot(state);
        }
    }

    /// Gives everything back at the end of the lane. The last connection to leave calls it, and the
    /// publisher that finds the lane over; the one that comes last succeeds.
    pub(super) fn reclaim_at_end(&self) {
        // The caller has taken itself off a word and now looks at the other's. Without a total order of
        // both, each of the two can find the other still there, and none gives the arenas back.
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
        // No number is claimed any more, and all that were are passed. Then come the publishers that
        // are still inside a void.
        if self.transit().leaving() == 0 && directory.is_unoccupied() {
            self.root.replace(Some(directory), None, &guard);
        }
    }
}
