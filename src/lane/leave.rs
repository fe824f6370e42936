//! Connections go: they are closed, counted out, and pass what they have not read.

use super::core::Lane;
use super::member::Member;
use super::outcome::Departure;
use super::reader::Reader;
use super::words::{State, Tally, Transit};
use crate::error::CloseReason;
use crate::sync::{Fault, Ordering, broken};

impl<E: 'static> Lane<E> {
    /// Closes one connection. Its owner passes its reader along, any other thread passes `None`.
    ///
    /// The steps are: mark it, count it out of `live`, wake it, set its end, unlist it. The mark
    /// makes one thread the closer.
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
        // A connection that is asleep has a unit of `waiting` as well, which only `depart` takes
        // off.
        if let Some(reader) = owner
            && !mark.is_asleep()
        {
            at_once = self.depart_if_read(member.cursor());
            reader.is_counted_out = at_once.is_some();
        }
        let (before, left) = at_once.unwrap_or_else(|| self.depart_as_leaver(mark.is_asleep()));
        // The wake comes before the end is set: from then on `for_each` skips the lane's first
        // member. A closer that is stopped in between would leave the connection asleep, and no
        // other thread would find it.
        if !broken(Fault::CloseWithoutWake) {
            member.wake.wake();
        }
        let end = left.seq();
        let owner_is_gone = if is_owner {
            member.leave_at(reason, end);
            false
        } else {
            member.set_left_at(end)
        };
        // The archive has left in the same exchange, and its events have to be passed as well.
        if before.is_archived() && !left.is_archived() {
            self.begin_leaving();
            self.release_all(end);
        }
        let departure = if left.live() == 0 {
            Departure::Last {
                accepted: self.retire(end),
            }
        } else {
            // The first member is not in the list. Its mark says that it is gone.
            if !std::ptr::eq(member, &raw const self.first) {
                self.relist(None, Some(member));
            }
            if left.connections() == 0 {
                Departure::Deserted
            } else {
                Departure::OneOfSeveral
            }
        };
        // The owner went before the end was set, so it could not pass its events. While the owner
        // is there, only the owner passes them: it may be inside one.
        let is_mine = owner_is_gone && !broken(Fault::LeaveItToTheOwner);
        if is_mine || broken(Fault::CloserPassesForTheLiving) {
            let cursor = member.cursor();
            self.pass_unread(cursor, end, &mut Reader::new(cursor));
        }
        departure
    }

    /// The owner drops a closed connection. It passes the connection's unread events if the closer
    /// has set the end. Otherwise the closer finds the owner gone, and passes them.
    pub(crate) fn leave(&self, member: &Member, reader: &mut Reader<E>) {
        // The pin is taken off first. A closer that takes over does not know of it, and the arena
        // would stay pinned.
        reader.pin.leave();
        if !reader.is_counted_out
            && let Some(end) = member.owner_leaves()
            && !broken(Fault::CloserPassesForTheLiving)
        {
            self.pass_unread(member.cursor(), end, reader);
        }
    }

    /// Refuses events and connections from now on. Accepted events can still be read. Returns
    /// whether the lane was open.
    pub(crate) fn shut(&self) -> bool {
        let before = State(self.state.fetch_or(State::CLOSED, Ordering::AcqRel));
        self.wake();
        !before.is_closed()
    }

    /// Counts out a connection that may have events to pass. Returns the state before and after.
    fn depart_as_leaver(&self, was_asleep: bool) -> (State, State) {
        // `leaving` rises before `live` falls. In the other order the last reader could come in
        // between and find no leaver. It would take the lane back to hot while the leaver has still
        // an event to pass in an arena.
        if !broken(Fault::LeavingLate) {
            self.begin_leaving();
        }
        let departed = self.depart(was_asleep);
        if broken(Fault::LeavingLate) {
            self.begin_leaving();
        }
        departed
    }

    /// Counts out a connection that has passed every number, in one exchange. Returns the state
    /// before and after, or `None` if the connection may have numbers to pass.
    ///
    /// The exchange fails if a number was claimed since the load. So the connection has nothing to
    /// pass, and does not need `leaving`. The last connection may leave like this only if there is
    /// no memory to free: that is the task of the last leaver.
    fn depart_if_read(&self, cursor: u64) -> Option<(State, State)> {
        let state = self.load();
        let next = state.without_one();
        let is_read = state.seq() == cursor || broken(Fault::LeaveUnread);
        let is_bare = next.live() > 0 || self.has_nothing_to_free(state);
        let may = is_read && (is_bare || broken(Fault::EndAtOnce));
        (may && self.exchange(state, next)).then_some((state, next))
    }

    /// Returns whether the last connection may leave the lane without being a leaver. The caller
    /// has loaded the state, and leaves by an exchange from that.
    ///
    /// A publisher may install a directory after this look. It then finds the lane over. If it finds
    /// no leaver, it frees the directory itself. If it finds one, it leaves that to the leaver. But
    /// the leaver may have loaded the state before the lane was over, and so frees nothing. Hence
    /// this way is open only while there is no leaver.
    fn has_nothing_to_free(&self, state: State) -> bool {
        // The archive would leave in the same step, and has events to pass.
        if state.is_archived() {
            return false;
        }
        let is_alone = self.transit().leaving() == 0 || broken(Fault::OverlookTheLeaver);
        self.root.is_empty() && is_alone
    }

    /// Takes one connection off `live`, and off `waiting` if it was asleep. The last connection
    /// closes the lane in the same exchange, unless an archive stays. Returns the state before and
    /// after.
    ///
    /// Closing in a second step would leave the lane open and empty in between. A connection could
    /// join it, and then find it closed.
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

    /// Passes the numbers that a closed connection has not read, and takes it off `leaving`.
    pub(super) fn pass_unread(&self, cursor: u64, end: u64, reader: &mut Reader<E>) {
        let discard = self.pass_over(cursor, end, &mut reader.pin);
        self.end_leaving();
        // Last, because the host's `Drop` may panic.
        drop(discard);
    }

    /// Counts a connection, or the archive, as leaving.
    pub(super) fn begin_leaving(&self) {
        // Release: pairs with the load in `return_to_hot`. The exchange of the state that follows
        // makes the order visible.
        self.transit
            .fetch_add(Transit::ONE_LEAVING, Ordering::AcqRel);
    }

    /// Counts it out. The last leaver of a lane that is over frees the directory.
    pub(super) fn end_leaving(&self) {
        // Release: a thread that sees the lower count sees the events passed.
        let before = self
            .transit
            .fetch_sub(Transit::ONE_LEAVING, Ordering::AcqRel);
        if Transit(before).leaving() == 1 && self.is_over() {
            self.reclaim_at_end();
        }
    }

    /// Marks the figures of a lane that is over as taken over. Returns the number of accepted
    /// events.
    pub(super) fn retire(&self, end: u64) -> u64 {
        // An exchange: a publisher that gives a number up later sees the flag, and corrects the
        // hub. One that came before is in the count.
        let before = Tally(self.tally.fetch_or(Tally::RETIRED, Ordering::AcqRel));
        self.public(end) - before.voided()
    }
}
