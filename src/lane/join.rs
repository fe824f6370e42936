//! Connections come: they are counted, and take over from others.

use super::core::Lane;
use super::member::{Ghost, Seat};
use super::outcome::JoinError;
use super::reader::Reader;
use super::words::{State, Transit};
use crate::error::CloseReason;
use crate::id::ConnectionId;
use crate::sync::{Fault, Ordering, broken};

impl<E: 'static> Lane<E> {
    /// Counts one more connection, which is then to be listed. Returns the number of the first event
    /// that it will get.
    pub(crate) fn join(&self, limit: u8) -> Result<u64, JoinError> {
        self.join_as(limit, true).map(|(number, _)| number)
    }

    /// As `join`, but a connection becomes the only one of a lane only with `as_first`. Returns whether
    /// it did, too.
    pub(crate) fn join_as(&self, limit: u8, as_first: bool) -> Result<(u64, bool), JoinError> {
        self.transit
            .fetch_add(Transit::ONE_JOINING, Ordering::AcqRel);
        let joined = self.count_in(limit, as_first);
        if joined.is_err() {
            self.transit
                .fetch_sub(Transit::ONE_JOINING, Ordering::AcqRel);
        }
        joined
    }

    fn count_in(&self, limit: u8, as_first: bool) -> Result<(u64, bool), JoinError> {
        loop {
            let state = self.load();
            if state.is_closed() && !broken(Fault::JoinClosed) {
                return Err(JoinError::Closed);
            }
            let limit = if state.is_archived() {
                limit.min(State::MAX_ARCHIVED)
            } else {
                limit
            };
            if state.connections() >= limit {
                return Err(JoinError::Limit);
            }
            let first = state.connections() == 0;
            if first && !as_first {
                return Err(JoinError::Deserted);
            }
            if broken(Fault::JoinInTwoSteps) {
                self.state.fetch_add(State::ONE_LIVE, Ordering::AcqRel);
                return Ok((state.seq(), first));
            }
            if self.exchange(state, State(state.0 + State::ONE_LIVE)) {
                let later = broken(Fault::JoinThenLook);
                let seq = if later {
                    self.load().seq()
                } else {
                    state.seq()
                };
                return Ok((seq, first));
            }
        }
    }

    /// Joins in the place of the open connection with this id, if there is one: closes it and takes
    /// its unit of `live` over, so the lane has as many connections as before at every moment.
    pub(crate) fn take_over(&self, id: ConnectionId) -> Option<Ghost> {
        if self.load().is_closed() {
            return None;
        }
        self.transit
            .fetch_add(Transit::ONE_JOINING, Ordering::AcqRel);
        while let Some(seat) = self.find(id) {
            let ghost = self.member(&seat);
            // The thread that closes a connection owns its unit.
            let is_asleep = match ghost.close(CloseReason::Replaced) {
                Some(mark) => mark.is_asleep(),
                None if broken(Fault::TakeOverFromTheClosed) => false,
                None => continue,
            };
            // Before the ghost is told where it ends, as in `close`.
            self.begin_leaving();
            let end = self.hand_over(is_asleep && !broken(Fault::ForgetTheSleeper));
            ghost.wake.wake();
            return Some(Ghost { seat, end });
        }
        self.transit
            .fetch_sub(Transit::ONE_JOINING, Ordering::AcqRel);
        None
    }

    /// Passes the unit of a connection that is marked as closed to the one that takes its place. Returns
    /// the first number that counts the other one.
    fn hand_over(&self, was_asleep: bool) -> u64 {
        if broken(Fault::TakeOverByLoad) {
            return self.load().seq();
        }
        if broken(Fault::TakeOverInTwoSteps) {
            self.state.fetch_sub(State::ONE_LIVE, Ordering::AcqRel);
            return State(self.state.fetch_add(State::ONE_LIVE, Ordering::AcqRel)).seq();
        }
        let asleep = u64::from(was_asleep) * State::ONE_WAITING;
        // An exchange, though the word mostly stays as it is. A plain load may return a `seq` from before a
        // number that the ghost has read already, and then both connections pass that number.
        State(self.state.fetch_sub(asleep, Ordering::AcqRel)).seq()
    }

    /// Adds a connection that has joined, perhaps in the place of a ghost, to those that are found to
    /// be woken and closed.
    pub(crate) fn list(&self, seat: &Seat, ghost: Option<&Ghost>) {
        match seat {
            None => self.first.list(),
            Some(member) => self.relist(Some(member), ghost.and_then(|g| g.seat.as_deref())),
        }
        // Release: pairs with the looks of `is_full` and `has_elder`.
        self.transit
            .fetch_sub(Transit::ONE_JOINING, Ordering::AcqRel);
        if let Some(Ghost { seat, end }) = ghost {
            let ghost = self.member(seat);
            if ghost.set_left_at(*end) && !broken(Fault::LeaveItToTheOwner) {
                self.pass_unread(ghost.cursor(), *end, &mut Reader::new());
            }
        }
    }
}
