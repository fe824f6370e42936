//! Connections go: they are closed, counted out, and pass what they have not read.

use super::core::Lane;
use super::member::Member;
use super::outcome::Departure;
use super::reader::Reader;
use super::words::{State, Tally, Transit};
use crate::error::CloseReason;
use crate::sync::{Fault, Ordering, broken};

impl<E: 'static> Lane<E> {
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
            at_once = self.depart_if_read(member.cursor());
            reader.is_counted_out = at_once.is_some();
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
            self.pass_unread(member.cursor(), end, &mut Reader::new());
        }
        departure
    }

    /// The owner of a closed connection goes. It, or the closer if that has not told yet where the
    /// connection ends, passes what the connection has not read.
    pub(crate) fn leave(&self, member: &Member, reader: &mut Reader<E>) {
        // Before the closer may take over: it does not know of this pin.
        reader.pin.leave();
        if !reader.is_counted_out
            && let Some(end) = member.owner_leaves()
            && !broken(Fault::CloserPassesForTheLiving)
        {
            self.pass_unread(member.cursor(), end, reader);
        }
    }

    /// Refuses events and connections from now on; what was accepted can be read. `true` if new.
    pub(crate) fn shut(&self) -> bool {
        let before = State(self.state.fetch_or(State::CLOSED, Ordering::AcqRel));
        self.wake();
        !before.is_closed()
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

    /// Counts an owner's connection out, if it has passed every number that counts it, and no other thread
    /// comes between. Returns the state before and after.
    ///
    /// Such a connection is no leaver: it has nothing to pass, so the way back to hot need not wait for it.
    /// The last one gives nothing back, so it goes like this only if there is nothing to give back.
    fn depart_if_read(&self, cursor: u64) -> Option<(State, State)> {
        let state = self.load();
        let next = state.without_one();
        let is_read = state.seq() == cursor || broken(Fault::LeaveUnread);
        let is_bare = next.live() > 0 || self.has_nothing_to_free(state);
        let may = is_read && (is_bare || broken(Fault::EndAtOnce));
        (may && self.exchange(state, next)).then_some((state, next))
    }

    /// Whether the lane, which a connection is about to leave as the last, has nothing to give back. The
    /// caller has loaded the state, and leaves by an exchange from that.
    ///
    /// A publisher that makes a directory after this look finds the lane over, and gives the directory
    /// back. But it leaves that to a leaver that it finds, and that one may not see yet that the lane is over.
    fn has_nothing_to_free(&self, state: State) -> bool {
        // An archive that leaves with it has events to pass.
        if state.is_archived() {
            return false;
        }
        let is_alone = self.transit().leaving() == 0 || broken(Fault::OverlookTheLeaver);
        self.root.is_empty() && is_alone
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

    pub(super) fn pass_unread(&self, cursor: u64, end: u64, reader: &mut Reader<E>) {
        let discard = self.pass_over(cursor, end, &mut reader.pin);
        self.end_leaving();
        drop(discard);
    }

    pub(super) fn begin_leaving(&self) {
        // Release: pairs with the look of `return_to_hot`. The exchange of the state that follows orders it.
        self.transit
            .fetch_add(Transit::ONE_LEAVING, Ordering::AcqRel);
    }

    pub(super) fn end_leaving(&self) {
        // Release: what was passed is passed.
        let before = self
            .transit
            .fetch_sub(Transit::ONE_LEAVING, Ordering::AcqRel);
        if Transit(before).leaving() == 1 && self.is_over() {
            self.reclaim_at_end();
        }
    }

    /// Takes over the figures of a lane in which no connection is counted any more.
    pub(super) fn retire(&self, end: u64) -> u64 {
        let before = Tally(self.tally.fetch_or(Tally::RETIRED, Ordering::AcqRel));
        self.public(end) - before.voided()
    }
}
