//! Users without connections whose lanes are kept, and the positions by which devices come back.

use std::sync::Arc;

use super::core::Core;
use super::session::Turn;
use super::target::{Aim, Target};
use super::user::User;
use crate::error::{CloseReason, ConnectError, ResumeError};
use crate::id::{ConnectionId, UserId};
use crate::lane::member::Member;
use crate::lane::{Accepted, Departure, JoinError, Refusal, Refused, Terms};
use crate::lifecycle::Change;
use crate::position::{Attached, BITS_40, Keys, Position, Spot};
use crate::sync::{Ordering, fence, pin};

impl<E: Send + Sync + 'static> Core<E> {
    /// Joins a lane that may be without a connection.
    ///
    /// The user is counted as online before the join, so that the limit of users holds at every
    /// moment.
    pub(super) fn rejoin(
        &self,
        user: &Arc<User<E>>,
        connections: u8,
    ) -> Result<Result<u64, JoinError>, ConnectError> {
        // First without the right to be the only connection: in most cases the user is online and
        // counted.
        let joined = user.lane.join_as(connections, false);
        if joined != Err(JoinError::Deserted) {
            return Ok(joined.map(|(number, _)| number));
        }
        let limit = self.config.max_users;
        if self.online.users.fetch_add(1, Ordering::AcqRel) >= limit {
            self.count_out();
            return Err(ConnectError::TooManyUsers { limit });
        }
        let joined = user.lane.join_as(connections, true);
        if let Ok((_, true)) = joined {
            // The user is back. The thread that has left may not have counted the user as absent
            // yet, so the count can be below 0 for a moment.
            self.absence.users.fetch_sub(1, Ordering::AcqRel);
            user.lane.clear_deserted();
        } else {
            // Another connection has come first, and its thread has counted the user.
            self.count_out();
        }
        Ok(joined.map(|(number, _)| number))
    }

    /// Counts one more user without connections. Returns `false` if the limit is passed. The caller
    /// counts the user out again then.
    fn count_absent(&self) -> bool {
        let before = self
            .absence
            .users
            .fetch_add(1, Ordering::AcqRel)
            // Signed: a thread that rejoins may subtract before the thread that has left adds.
            .cast_signed();
        let limit = self.config.retention.map_or(0, |r| r.max_absent_users);
        before < isize::try_from(limit).unwrap_or(isize::MAX)
    }

    /// Notifies the subscribers of a connection to a kept lane, and of the session that it begins.
    #[cold]
    pub(super) fn notify_connected(
        &self,
        user: &User<E>,
        turn: &Turn,
        change: impl FnOnce() -> Change,
    ) {
        if turn.is_edge {
            self.notify_in(user, turn.session, 0, || Change::Online);
        }
        self.notify_in(user, turn.session, turn.number, change);
    }

    /// Notifies the subscribers of a connection that has left a kept lane, and counts the user
    /// anew.
    #[cold]
    pub(super) fn after_departure(
        &self,
        user: &Arc<User<E>>,
        member: &Member,
        reason: CloseReason,
        departure: Departure,
    ) {
        let turn = user.session.disconnect_kept();
        self.notify_in(user, turn.session, turn.number, || Change::Disconnected {
            connection: member.id,
            reason,
        });
        if turn.is_edge {
            self.notify_in(user, turn.session, turn.number + 1, || Change::Offline);
        }
        match departure {
            Departure::Last { accepted } => {
                self.counters
                    .accepted_offline
                    .fetch_add(accepted, Ordering::Relaxed);
                self.count_out();
                self.remove_if_over(user);
            }
            Departure::Deserted => self.become_absent(user),
            Departure::Before | Departure::OneOfSeveral => {}
        }
    }

    /// Counts a user as absent whose last connection has left a kept lane. Ends the lane if there
    /// are too many.
    fn become_absent(&self, user: &Arc<User<E>>) {
        self.count_out();
        // One absent user too many: the newest loses its lane. Finding the oldest would take a walk
        // of the table.
        if !self.count_absent() {
            self.expire(user);
        }
    }

    /// Ends a lane without connections. Returns `false` if a connection is there.
    pub(super) fn expire(&self, user: &Arc<User<E>>) -> bool {
        self.forget_expired(user, user.lane.expire())
    }

    /// Counts out a lane that this thread has ended with so many accepted events, if it has.
    fn forget_expired(&self, user: &Arc<User<E>>, accepted: Option<u64>) -> bool {
        // Of several threads one ends the lane, and only that one comes past this line. So the
        // user's figures are added once.
        let Some(accepted) = accepted else {
            return false;
        };
        self.counters
            .accepted_offline
            .fetch_add(accepted, Ordering::Relaxed);
        self.absence.users.fetch_sub(1, Ordering::AcqRel);
        self.remove_if_over(user);
        true
    }

    /// Ends the kept lane of a user without connections. Returns `false` if there is none. Lock-free.
    pub(crate) fn end_absent(&self, user: &UserId) -> bool {
        self.find(user).is_some_and(|entry| self.expire(&entry))
    }

    /// Appends a critical event for a user who has no lane. Makes the lane.
    ///
    /// Lock-free: each repetition means that a lane of this user has ended.
    #[cold]
    pub(super) fn append_absent(
        self: &Arc<Self>,
        id: &UserId,
        aim: &Aim<'_>,
        mut event: E,
        terms: Terms,
    ) -> Result<Accepted, Refused<E>> {
        let is_kept = self.config.retention.is_some() && matches!(aim.target, Target::All);
        // An event for some connections is for those that are there. A user who is away has none. While
        // the hub drains, the user cannot come back for it.
        if !is_kept || self.is_draining() {
            return Err(Refused::new(Refusal::Vacant, event, 0));
        }
        loop {
            if self.is_closed() {
                return Err(Refused::new(Refusal::Closed, event, 0));
            }
            let user = match self.find_or_keep(id) {
                Ok(user) => user,
                Err(why) => return Err(Refused::new(why, event, 0)),
            };
            match self.append_for(&user, aim, event, terms) {
                // The lane has ended after it was found. The next look finds another lane, or none.
                Err(refused) if refused.why == Refusal::Vacant => {
                    event = refused.event;
                    self.remove_if_over(&user);
                }
                Err(refused) => {
                    // A lane that was made for this event would take the place of another absent user. Its
                    // end and a number for another thread's event are exchanges of one word. So that event
                    // keeps the lane, or finds it over and makes another one.
                    if !user.was_online() {
                        self.forget_expired(&user, user.lane.expire_unused());
                    }
                    return Err(refused);
                }
                done => return done,
            }
        }
    }

    /// Returns the user's entry, and makes one without a connection if there is none.
    fn find_or_keep(&self, id: &UserId) -> Result<Arc<User<E>>, Refusal> {
        let hash = self.hash(id);
        let guard = pin();
        if let Some(user) = self.table.get(hash, id, &guard) {
            return Ok(user.arc());
        }
        // Counted before the insert, so that the limit holds at every moment.
        if !self.count_absent() {
            self.absence.users.fetch_sub(1, Ordering::AcqRel);
            return Err(Refusal::Vacant);
        }
        let user = self.make_entry(id, hash, self.config.lane_capacity, None);
        // Another thread has made the user's entry first.
        if let Err(first) = self.table.insert(&user, &guard) {
            self.absence.users.fetch_sub(1, Ordering::AcqRel);
            return Ok(first);
        }
        // Pairs with the fence in `shutdown`. This thread inserts the entry and then loads the
        // flag. A shutdown sets the flag and then walks the table. Without the fences each could
        // miss the other's write, and a lane would outlive the shutdown.
        fence(Ordering::SeqCst);
        if self.is_closed() {
            self.shut(&user);
            return Err(Refusal::Closed);
        }
        Ok(user)
    }

    pub(crate) fn keys(&self) -> &Keys {
        &self.absence.keys
    }

    /// Returns the position of a device that is to receive the event `number` next.
    pub(crate) fn position(
        &self,
        user: &User<E>,
        number: u64,
        device: ConnectionId,
        attached: Attached,
    ) -> Position {
        // A lane without an archive has no number. Its positions have 0 there, and reset.
        let lane = user.lane.archive().map_or(0, |a| a.incarnation);
        let spot = Spot {
            lane: lane & BITS_40,
            number,
            device,
            attached: attached.cut(number),
        };
        self.absence.keys.seal(&user.id, &spot)
    }

    /// Returns the content of a position of this user, or `None` if the position is of another hub.
    pub(crate) fn open(
        &self,
        user: &UserId,
        position: &Position,
    ) -> Result<Option<Spot>, ResumeError> {
        self.absence.keys.open(user, position)
    }
}
