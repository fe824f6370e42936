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
    /// Counts one more connection, which the caller lists afterwards. Returns the number of the
    /// first event that the connection counts for.
    pub(crate) fn join(&self, limit: u8) -> Result<u64, JoinError> {
        self.join_as(limit, true).map(|(number, _)| number)
    }

    /// As `join`. With `as_first` the connection may be the only one. Returns whether it is.
    pub(crate) fn join_as(&self, limit: u8, as_first: bool) -> Result<(u64, bool), JoinError> {
        // `joining` rises before `live` does, and falls after the listing. So a connection that is
        // in `live` and not in the list is always visible here.
        self.transit
            .fetch_add(Transit::ONE_JOINING, Ordering::AcqRel);
        let joined = self.count_in(limit, as_first);
        if joined.is_err() {
            self.transit
                .fetch_sub(Transit::ONE_JOINING, Ordering::AcqRel);
        }
        joined
    }

    /// Adds one to `live`, in the same exchange in which `seq` is taken as the first number.
    fn count_in(&self, limit: u8, as_first: bool) -> Result<(u64, bool), JoinError> {
        loop {
            let state = self.load();
            // A closed lane never opens again. Its last connection may have freed everything.
            if state.is_closed() && !broken(Fault::JoinClosed) {
                return Err(JoinError::Closed);
            }
            let limit = if state.is_archived() {
                limit.min(State::MAX_ARCHIVED)
            } else {
                limit
            };
            // Compared with the state that the exchange expects. If another connection joins in
            // between, the exchange fails.
            if state.connections() >= limit {
                return Err(JoinError::Limit);
            }
            let first = state.connections() == 0;
            if first && !as_first {
                return Err(JoinError::Deserted);
            }
            // Two joins could both find one place left, and both take it.
            if broken(Fault::JoinInTwoSteps) {
                self.state.fetch_add(State::ONE_LIVE, Ordering::AcqRel);
                return Ok((state.seq(), first));
            }
            if self.exchange(state, State(state.0 + State::ONE_LIVE)) {
                // A `seq` that is loaded after the exchange is too high by each number claimed in
                // between. The connection counts for those numbers and would never pass them.
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

    /// Joins in the place of the open connection with this id, if there is one. Closes that one and
    /// takes over its unit of `live`, so `live` stays the same and no limit is passed.
    pub(crate) fn take_over(&self, id: ConnectionId) -> Option<Ghost> {
        // A closed lane has no connection to take over from, or is about to lose all.
        if self.load().is_closed() {
            return None;
        }
        self.transit
            .fetch_add(Transit::ONE_JOINING, Ordering::AcqRel);
        while let Some(seat) = self.find(id) {
            let ghost = self.member(&seat);
            // The thread whose mark counts owns the ghost's unit of `live`. If another thread has
            // closed it, that thread lowers `live`, and this one looks for another connection.
            let is_asleep = match ghost.close(CloseReason::Replaced) {
                Some(mark) => mark.is_asleep(),
                None if broken(Fault::TakeOverFromTheClosed) => false,
                None => continue,
            };
            // Before the ghost's end is set, as in `close`: until the numbers below are passed, the
            // lane must not go back to hot.
            self.begin_leaving();
            let end = self.hand_over(is_asleep && !broken(Fault::ForgetTheSleeper));
            ghost.wake.wake();
            return Some(Ghost { seat, end });
        }
        self.transit
            .fetch_sub(Transit::ONE_JOINING, Ordering::AcqRel);
        None
    }

    /// Passes the unit of `live` of a closed connection to the one that takes its place. Returns
    /// the first number that counts the new one.
    fn hand_over(&self, was_asleep: bool) -> u64 {
        if broken(Fault::TakeOverByLoad) {
            return self.load().seq();
        }
        // In between `live` is one too low. A join could take the free place, and then one
        // connection too many is live.
        if broken(Fault::TakeOverInTwoSteps) {
            self.state.fetch_sub(State::ONE_LIVE, Ordering::AcqRel);
            return State(self.state.fetch_add(State::ONE_LIVE, Ordering::AcqRel)).seq();
        }
        let asleep = u64::from(was_asleep) * State::ONE_WAITING;
        // A read-modify-write, though the word mostly stays the same. A load may return a `seq`
        // from before a number that the ghost has read already. Then both connections would pass
        // that number.
        State(self.state.fetch_sub(asleep, Ordering::AcqRel)).seq()
    }

    /// Lists a connection that has joined, in the place of a ghost if there is one. Only listed
    /// connections are woken, closed and looked at.
    pub(crate) fn list(&self, seat: &Seat, ghost: Option<&Ghost>) {
        match seat {
            None => self.first.list(),
            Some(member) => self.relist(Some(member), ghost.and_then(|g| g.seat.as_deref())),
        }
        // Release: pairs with `is_full` and `has_elder`. A thread that no longer sees the
        // connection joining sees it listed.
        self.transit
            .fetch_sub(Transit::ONE_JOINING, Ordering::AcqRel);
        if let Some(Ghost { seat, end }) = ghost {
            let ghost = self.member(seat);
            // The ghost's owner has gone without passing its events: the end was not set then. This
            // thread passes them.
            if ghost.set_left_at(*end) && !broken(Fault::LeaveItToTheOwner) {
                let cursor = ghost.cursor();
                self.pass_unread(cursor, *end, &mut Reader::new(cursor));
            }
        }
    }
}
