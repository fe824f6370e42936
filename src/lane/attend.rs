//! Connections come, are found, and go.

use std::sync::Arc;

use super::core::Lane;
use super::member::Member;
use super::member::{Ghost, Members, Seat};
use super::outcome::{Departure, JoinError};
use super::reader::Reader;
use super::words::{Comings, State, Tally};
use crate::error::CloseReason;
use crate::id::ConnectionId;
use crate::sync::{Fault, Ordering, broken, pin};
use crate::table::storage::{Owned, View};

impl<E: 'static> Lane<E> {
    /// Counts one more connection, which is then to be listed. Returns the number of the first event
    /// that it will get.
    pub(crate) fn join(&self, limit: u8) -> Result<u64, JoinError> {
        self.join_as(limit, true).map(|(number, _)| number)
    }

    /// As `join`, but a connection becomes the only one of a lane only with `as_first`. Returns whether
    /// it did, too.
    pub(crate) fn join_as(&self, limit: u8, as_first: bool) -> Result<(u64, bool), JoinError> {
        self.comings
            .fetch_add(Comings::ONE_JOINING, Ordering::AcqRel);
        let joined = self.count_in(limit, as_first);
        if joined.is_err() {
            self.comings
                .fetch_sub(Comings::ONE_JOINING, Ordering::AcqRel);
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
        self.comings
            .fetch_add(Comings::ONE_JOINING, Ordering::AcqRel);
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
        self.comings
            .fetch_sub(Comings::ONE_JOINING, Ordering::AcqRel);
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

    /// The open connection with this id that was listed last.
    fn find(&self, id: ConnectionId) -> Option<Seat> {
        let is_it = |member: &Member| member.id == id && member.is_open();
        let guard = pin();
        let found = match self.others.load(&guard) {
            View::Empty => None,
            View::Leaf(only) => is_it(&only).then(|| only.arc()),
            View::Node(several) => several.get().iter().rfind(|m| is_it(m)).cloned(),
        };
        let is_first = found.is_none() && self.first.is_listed() && is_it(&self.first);
        (found.is_some() || is_first).then_some(found)
    }

    /// Whether an open connection with the same id was listed before this one, which is listed. Of two
    /// that are listed at one time one finds the other.
    pub(crate) fn has_elder(&self, seat: &Seat) -> bool {
        let own = self.member(seat);
        let (mut others, mut elders) = (false, false);
        self.for_each(|member| {
            if std::ptr::eq(member, own) {
                elders = others;
            } else {
                others |= member.id == own.id && member.is_open();
            }
        });
        // The lane's own member is found first, whenever it was listed.
        if seat.is_none() { others } else { elders }
    }

    /// Adds a connection that has joined, perhaps in the place of a ghost, to those that are found to
    /// be woken and closed.
    pub(crate) fn list(&self, seat: &Seat, ghost: Option<&Ghost>) {
        match seat {
            None => self.first.list(),
            Some(member) => self.relist(Some(member), ghost.and_then(|g| g.seat.as_deref())),
        }
        // Release: pairs with the looks of `is_full` and `has_elder`.
        self.comings
            .fetch_sub(Comings::ONE_JOINING, Ordering::AcqRel);
        if let Some(Ghost { seat, end }) = ghost {
            let ghost = self.member(seat);
            if ghost.set_left_at(*end) && !broken(Fault::LeaveItToTheOwner) {
                self.count_out(ghost.cursor(), *end, &mut Reader::new());
            }
        }
    }

    /// Exchanges the list for one with `added` at its end and without `removed`.
    fn relist(&self, added: Option<&Arc<Member>>, removed: Option<&Member>) {
        let guard = pin();
        loop {
            let view = self.others.load(&guard);
            let new = match (view, added) {
                (View::Empty, Some(member)) => Owned::Leaf(Arc::clone(member)),
                (View::Leaf(only), None) if is(&only, removed) => Owned::Empty,
                (view, added) => relisted(view, added, removed),
            };
            if self.others.compare_exchange(view, new, &guard).is_ok() {
                return;
            }
        }
    }

    /// Calls `f` for every listed connection, in the order in which they were listed; the lane's own is
    /// the first.
    pub(crate) fn for_each(&self, mut f: impl FnMut(&Member)) {
        // The list is loaded before the lane's own member is looked at. In the other order that member
        // is found open and then closes, another connection is listed in its place, and both are found.
        let guard = (!self.others.is_empty()).then(pin);
        let view = match &guard {
            Some(guard) => self.others.load(guard),
            None => View::Empty,
        };
        if self.first.is_listed() {
            f(&self.first);
        }
        match view {
            View::Empty => {}
            View::Leaf(only) => f(&only),
            View::Node(several) => several.iter().for_each(|member| f(member)),
        }
    }

    /// Takes one connection off the live count; the last one closes the lane in the same step, unless
    /// the lane keeps its events and can have more. Takes the connection off the sleepers, too, so that
    /// there are never more of them than connections. Returns the state before and after.
    fn depart(&self, was_asleep: bool) -> (State, State) {
        let asleep = u64::from(was_asleep) * State::ONE_WAITING;
        loop {
            let seen = self.load();
            let state = State(seen.0 - asleep);
            let next = if broken(Fault::VacantButOpen) {
                State(state.0 - State::ONE_LIVE)
            } else {
                state.without_one()
            };
            if self.exchange(seen, next) {
                return (seen, next);
            }
        }
    }

    /// Counts an owner's connection out, if it has passed every number that counts it, and no other thread
    /// comes between. Returns the state before and after.
    ///
    /// Such a connection is no leaver: it has nothing to pass, so the way back to hot need not wait for it.
    /// The last one gives nothing back, so it goes like this only if there is nothing to give back.
    fn depart_at_once(&self, cursor: u64) -> Option<(State, State)> {
        let state = self.load();
        let next = state.without_one();
        let is_read = state.seq() == cursor || broken(Fault::LeaveUnread);
        let is_bare = next.live() > 0 || self.has_nothing_to_give_back(state);
        let may = is_read && (is_bare || broken(Fault::EndAtOnce));
        (may && self.exchange(state, next)).then_some((state, next))
    }

    /// Whether the lane, which a connection is about to leave as the last, has nothing to give back. The
    /// caller has loaded the state, and leaves by an exchange from that.
    ///
    /// A publisher that makes a directory after this look finds the lane over, and gives the directory
    /// back. But it leaves that to a leaver that it finds, and that one may not see yet that the lane is over.
    fn has_nothing_to_give_back(&self, state: State) -> bool {
        // An archive that leaves with it has events to pass.
        if state.is_archived() {
            return false;
        }
        let is_alone = self.comings().leaving() == 0 || broken(Fault::OverlookTheLeaver);
        self.root.is_empty() && is_alone
    }

    /// Closes one connection: for its owner, whose reader this is, or from anywhere.
    pub(crate) fn close(
        &self,
        member: &Member,
        reason: CloseReason,
        owner: Option<&mut Reader<E>>,
    ) -> Departure {
        let Some(mark) = member.close(reason) else {
            return Departure::Before;
        };
        let (is_owner, mut at_once) = (owner.is_some(), None);
        if let Some(reader) = owner
            && !mark.is_asleep()
        {
            at_once = self.depart_at_once(member.cursor());
            reader.is_out = at_once.is_some();
        }
        let (before, left) = at_once.unwrap_or_else(|| self.depart_as_leaver(mark.is_asleep()));
        if !broken(Fault::CloseWithoutWake) {
            // Before `set_left_at`: after it `for_each` does not find the lane's own member.
            member.wake.wake();
        }
        let end = left.seq();
        let owner_is_gone = if is_owner {
            member.leave_at(reason, end);
            false
        } else {
            member.set_left_at(end)
        };
        if before.is_archived() && !left.is_archived() {
            // The archive has left with its last connection.
            self.begin_leaving();
            self.release_all(end);
        }
        let departure = if left.live() == 0 {
            Departure::Last {
                accepted: self.retire(end),
            }
        } else {
            if !std::ptr::eq(member, &raw const self.first) {
                self.relist(None, Some(member));
            }
            if left.connections() == 0 {
                Departure::Deserted
            } else {
                Departure::OneOfSeveral
            }
        };
        let is_mine = owner_is_gone && !broken(Fault::LeaveItToTheOwner);
        if is_mine || broken(Fault::CloserPassesForTheLiving) {
            self.count_out(member.cursor(), end, &mut Reader::new());
        }
        departure
    }

    /// Counts a connection out that may have numbers to pass.
    fn depart_as_leaver(&self, was_asleep: bool) -> (State, State) {
        // Before it is counted out: a reader that finds the lane empty after that finds a leaver.
        if !broken(Fault::LeavingLate) {
            self.begin_leaving();
        }
        let departed = self.depart(was_asleep);
        if broken(Fault::LeavingLate) {
            self.begin_leaving();
        }
        departed
    }

    /// Takes over the figures of a lane in which no connection is counted any more.
    pub(super) fn retire(&self, end: u64) -> u64 {
        let before = Tally(self.tally.fetch_or(Tally::RETIRED, Ordering::AcqRel));
        self.public(end) - before.voided()
    }

    pub(super) fn begin_leaving(&self) {
        // Release: pairs with the look of `quiet`. The exchange of the state that follows orders it.
        self.comings
            .fetch_add(Comings::ONE_LEAVING, Ordering::AcqRel);
    }

    /// The owner of a closed connection goes. It, or the closer if that has not told yet where the
    /// connection ends, passes what the connection has not read.
    pub(crate) fn leave(&self, member: &Member, reader: &mut Reader<E>) {
        // Before the closer may take over: it does not know of this pin.
        reader.pin.leave();
        if !reader.is_out
            && let Some(end) = member.go()
            && !broken(Fault::CloserPassesForTheLiving)
        {
            self.count_out(member.cursor(), end, reader);
        }
    }

    fn count_out(&self, cursor: u64, end: u64, reader: &mut Reader<E>) {
        let litter = self.pass_over(cursor, end, &mut reader.pin);
        self.end_leaving();
        drop(litter);
    }

    pub(super) fn end_leaving(&self) {
        // Release: what was passed is passed.
        let before = self
            .comings
            .fetch_sub(Comings::ONE_LEAVING, Ordering::AcqRel);
        if Comings(before).leaving() == 1 && self.is_over() {
            self.finish();
        }
    }

    /// Refuses events and connections from now on; what was accepted can be read. `true` if new.
    pub(crate) fn shut(&self) -> bool {
        let before = State(self.state.fetch_or(State::CLOSED, Ordering::AcqRel));
        self.wake();
        !before.is_closed()
    }
}

/// Two connections may have one id for a moment, so it is the member that counts.
fn is(member: &Member, removed: Option<&Member>) -> bool {
    removed.is_some_and(|removed| std::ptr::eq(member, removed))
}

/// A list of several, or what is left of one, with `added` and without `removed`.
fn relisted(
    view: View<'_, Member, Members>,
    added: Option<&Arc<Member>>,
    removed: Option<&Member>,
) -> Owned<Member, Members> {
    let only;
    let listed = match &view {
        View::Node(several) => &several[..],
        View::Leaf(leaf) => {
            only = [leaf.arc()];
            &only[..]
        }
        // A list that is empty has no connection to remove.
        View::Empty => &[],
    };
    let stay = listed.iter().filter(|m| !is(m, removed));
    let grown = listed.len() + usize::from(added.is_some());
    let mut members = Members::with_capacity(grown.saturating_sub(removed.into_iter().count()));
    members.extend(stay.chain(added).cloned());
    match members.len() {
        0 => Owned::Empty,
        1 => Owned::Leaf(members.remove(0)),
        _ => Owned::Node(Box::new(members)),
    }
}
