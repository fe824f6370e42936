//! What a lane does with the events that it keeps.

use super::archive::{Archive, Wait};
use super::arena::Pin;
use super::core::Lane;
use super::discard::Discard;
use super::words::State;
use crate::sync::{Fault, Ordering, broken};

impl<E: 'static> Lane<E> {
    pub(crate) fn archive(&self) -> Option<&Archive> {
        self.archive.as_deref()
    }

    /// The number that a public form stands for.
    pub(crate) fn internal(&self, public: u64) -> u64 {
        public.saturating_add(self.capacity())
    }

    /// The oldest number that the lane keeps.
    pub(super) fn oldest(&self) -> u64 {
        self.load().seq() - self.capacity()
    }

    /// Counts the archive out of all numbers below `to`: the events that no reader wants are returned.
    /// Each number is counted out once, by the call that raises the floor over it.
    pub(super) fn release(&self, archive: &Archive, to: u64) -> Discard<E> {
        // A lane that ends meanwhile waits for this call before it gives its arenas back.
        if !broken(Fault::ReleaseUnannounced) {
            self.begin_leaving();
        }
        let from = if broken(Fault::ReleaseInTwoSteps) {
            let from = archive.floor();
            archive.floor.store(to, Ordering::Release);
            from
        } else {
            archive.floor.fetch_max(to, Ordering::AcqRel)
        };
        let discard = self.pass_over(from, to, &mut Pin::none());
        if let Some(meter) = &archive.meter {
            for number in from.max(self.oldest())..to {
                meter.take(number);
            }
        }
        if !broken(Fault::ReleaseUnannounced) {
            self.end_leaving();
        }
        discard
    }

    /// The archive leaves: the lane has ended at `end`.
    pub(super) fn release_all(&self, end: u64) {
        if let Some(archive) = self.archive() {
            let discard = self.release(archive, end);
            self.end_leaving();
            drop(discard);
        }
    }

    /// Counts the weight of the event that was accepted under a public number, and drops the oldest
    /// while all that are kept weigh too much.
    pub(crate) fn weigh(&self, public: u64, bytes: usize) {
        let Some(archive) = self.archive() else {
            return;
        };
        let Some(meter) = &archive.meter else { return };
        let number = self.internal(public);
        meter.add(number, bytes);
        while meter.is_over() {
            let floor = archive.floor();
            if floor > number {
                break;
            }
            let oldest = self.oldest().min(number);
            drop(self.release(archive, (floor + 1).max(oldest)));
        }
        // Another thread may have gone past it before it was weighed.
        if archive.floor() > number {
            meter.take(number);
        }
    }

    /// Drops what is older than `age`. Returns whether no connection has been there for `grace`.
    pub(crate) fn sweep_archive(&self, grace: Wait, age: Option<Wait>) -> bool {
        let Some(archive) = self.archive() else {
            return false;
        };
        if let Some(age) = age {
            let below = archive.aged(self.load().seq(), age.now_ms, age.ms);
            drop(self.release(archive, below));
        }
        self.live() == 0 && archive.is_deserted(grace.now_ms, grace.ms)
    }

    /// A connection is there: the time of grace starts anew.
    pub(crate) fn clear_deserted(&self) {
        if let Some(archive) = self.archive() {
            archive.deserted_at.store(0, Ordering::Release);
        }
    }

    /// Ends a lane without connections: the archive leaves, which closes it. Returns the events that
    /// the lane had accepted, or `None` if a connection is there, or it is over already.
    pub(crate) fn expire(&self) -> Option<u64> {
        self.begin_leaving();
        loop {
            let state = self.load();
            if !state.is_archived() || state.connections() > 0 {
                self.end_leaving();
                return None;
            }
            let next = state.without_archive();
            if broken(Fault::ExpireInTwoSteps) {
                let lower = state.0 - (next.0 & !State::CLOSED);
                self.state.fetch_sub(lower, Ordering::AcqRel);
                self.state.fetch_or(State::CLOSED, Ordering::AcqRel);
            } else if !self.exchange(state, next) {
                continue;
            }
            let accepted = self.retire(state.seq());
            self.release_all(state.seq());
            return Some(accepted);
        }
    }
}
