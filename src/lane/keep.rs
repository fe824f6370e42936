//! The events that a lane keeps after they were read: how they are weighed and dropped.

use std::sync::Arc;

use super::account::Account;
use super::archive::{Archive, Wait};
use super::arena::Pin;
use super::conflation::Conflation;
use super::core::Lane;
use super::discard::Discard;
use super::member::Member;
use super::words::State;
use crate::sync::{Fault, Ordering, broken};

impl<E: 'static> Lane<E> {
    pub(crate) fn archive(&self) -> Option<&Archive> {
        self.beside.as_ref()?.archive.as_ref()
    }

    /// Returns the table of keys, in a lane that has one.
    pub(crate) fn conflation(&self) -> Option<&Conflation> {
        self.beside.as_ref()?.conflation.as_ref()
    }

    /// Returns the account of a lane whose bytes or whose rate is limited.
    #[inline]
    pub(crate) fn account(&self) -> Option<&Arc<Account>> {
        self.beside.as_ref()?.account.as_ref()
    }

    /// Returns the number that a public number stands for.
    pub(crate) fn internal(&self, public: u64) -> u64 {
        public.saturating_add(self.capacity())
    }

    /// Returns the oldest number that the lane still keeps.
    pub(super) fn oldest(&self) -> u64 {
        self.load().seq() - self.capacity()
    }

    /// Counts the archive out of all numbers below `to`. Returns a collector of the events that no
    /// reader wants.
    pub(super) fn release(&self, archive: &Archive, to: u64) -> Discard<E> {
        // As a leaver: if the lane ends meanwhile, its directory stays until this call has passed
        // the numbers.
        if !broken(Fault::ReleaseUnannounced) {
            self.begin_leaving();
        }
        // A read-modify-write. Each number is passed by the one call that raises the floor over it.
        // With a load and a store two calls could pass one number, and subtract from its count
        // twice.
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

    /// Passes all that the archive has not passed. The archive has left, and the lane has ended at
    /// `end`.
    pub(super) fn release_all(&self, end: u64) {
        if let Some(archive) = self.archive() {
            let discard = self.release(archive, end);
            self.end_leaving();
            drop(discard);
        }
    }

    /// Adds the weight of an accepted event, and drops the oldest events while all together weigh
    /// too much.
    pub(crate) fn weigh(&self, public: u64, bytes: usize) {
        let Some(archive) = self.archive() else {
            return;
        };
        let Some(meter) = &archive.meter else { return };
        let number = self.internal(public);
        meter.add(number, bytes);
        while meter.is_over() {
            // Each turn drops one event or more, so the loop ends at the event that was just
            // accepted.
            let floor = archive.floor();
            if floor > number {
                break;
            }
            let oldest = self.oldest().min(number);
            drop(self.release(archive, (floor + 1).max(oldest)));
        }
        // Another thread may have released the number before its weight was added. It has found
        // nothing to subtract.
        if archive.floor() > number {
            meter.take(number);
        }
    }

    /// Returns how many bytes the numbers weigh that a connection has not read, where the lane weighs.
    /// One step for each of them that the lane keeps.
    pub(crate) fn unread_bytes(&self, member: &Member) -> u64 {
        let Some(meter) = self.archive().and_then(|archive| archive.meter.as_ref()) else {
            return 0;
        };
        (member.cursor().max(self.oldest())..self.load().seq())
            .map(|number| meter.bytes(number))
            .sum()
    }

    /// Does a sweep's work for a kept lane: drops events older than `age`. Returns whether no
    /// connection was there for `grace`.
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

    /// A connection has come, so the time of grace begins anew when it has left.
    pub(crate) fn clear_deserted(&self) {
        if let Some(archive) = self.archive() {
            archive.deserted_at.store(0, Ordering::Release);
        }
    }

    /// Ends a lane without connections: the archive leaves, which closes the lane. Returns the
    /// number of accepted events. Returns `None` if a connection is there, or the lane is over.
    pub(crate) fn expire(&self) -> Option<u64> {
        self.expire_if(|_| true)
    }

    /// As `expire`, for a lane that has had no event. Returns `None` also if it has had one.
    pub(crate) fn expire_unused(&self) -> Option<u64> {
        self.expire_if(|state| self.public(state.seq()) == 0)
    }

    fn expire_if(&self, may_end: impl Fn(State) -> bool) -> Option<u64> {
        // Before the exchange, as for a connection that leaves.
        self.begin_leaving();
        loop {
            let state = self.load();
            if !state.is_archived() || state.connections() > 0 || !may_end(state) {
                self.end_leaving();
                return None;
            }
            let next = state.without_archive();
            // One exchange counts the archive out and closes the lane. In between two steps a
            // connection could join a lane that is about to close.
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
