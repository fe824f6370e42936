//! Users without connections whose lanes are kept, and the positions by which they come back.

use std::sync::Arc;

use super::core::Core;
use super::session::Turn;
use super::target::Target;
use super::user::User;
use crate::error::{CloseReason, ConnectError, ResumeError};
use crate::id::{ConnectionId, ThreadId, UserId};
use crate::lane::member::Member;
use crate::lane::{Accepted, Departure, JoinError, Refusal, Refused, Terms};
use crate::lifecycle::Change;
use crate::position::{Attached, BITS_40, Position, Spot};
use crate::sync::{Ordering, fence, pin};

impl<E: Send + Sync + 'static> Core<E> {
    /// Joins a lane that may be without a connection. The user is counted as online before, so that
    /// there are never more than allowed.
    pub(super) fn rejoin(
        &self,
        user: &Arc<User<E>>,
        connections: u8,
    ) -> Result<Result<u64, JoinError>, ConnectError> {
        let joined = user.lane.join_as(connections, false);
        if joined != Err(JoinError::Deserted) {
            return Ok(joined.map(|(number, _)| number));
        }
        let limit = self.config.max_users;
        if self.users.fetch_add(1, Ordering::AcqRel) >= limit {
            self.count_out();
            return Err(ConnectError::TooManyUsers { limit });
        }
        let joined = user.lane.join_as(connections, true);
        if let Ok((_, true)) = joined {
            self.absence.users.fetch_sub(1, Ordering::AcqRel);
            user.lane.clear_deserted();
        } else {
            // Somebody else came first, and was counted.
            self.count_out();
        }
        Ok(joined.map(|(number, _)| number))
    }

    /// Counts one more user without connections; `false` if that is one too many.
    fn count_absent(&self) -> bool {
        let before = self
            .absence
            .users
            .fetch_add(1, Ordering::AcqRel)
            .cast_signed();
        let limit = self.config.retention.map_or(0, |r| r.max_absent_users);
        before < isize::try_from(limit).unwrap_or(isize::MAX)
    }

    /// Tells of a connection to a lane that outlives its connections.
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

    /// Tells and counts a connection that has left such a lane.
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

    /// A user's last connection has left a lane that stays.
    fn become_absent(&self, user: &Arc<User<E>>) {
        self.count_out();
        if !self.count_absent() {
            self.expire(user);
        }
    }

    /// Ends a lane that is without connections; `false` if it is not.
    pub(super) fn expire(&self, user: &Arc<User<E>>) -> bool {
        let Some(accepted) = user.lane.expire() else {
            return false;
        };
        self.counters
            .accepted_offline
            .fetch_add(accepted, Ordering::Relaxed);
        self.absence.users.fetch_sub(1, Ordering::AcqRel);
        self.remove_if_over(user);
        true
    }

    /// Appends a critical event for a user who has no lane to a lane that is made for it.
    #[cold]
    pub(super) fn append_absent(
        self: &Arc<Self>,
        id: &UserId,
        target: Target<'_>,
        mut event: E,
        terms: Terms,
    ) -> Result<Accepted, Refused<E>> {
        let is_kept = self.config.retention.is_some() && matches!(target, Target::All);
        if !is_kept {
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
            match self.append_for(&user, target, event, terms) {
                // The lane has ended, and the next look finds another one.
                Err(refused) if refused.why == Refusal::Vacant => {
                    event = refused.event;
                    self.remove_if_over(&user);
                }
                done => return done,
            }
        }
    }

    /// The user's entry, without a connection if it is new.
    fn find_or_keep(&self, id: &UserId) -> Result<Arc<User<E>>, Refusal> {
        let hash = self.hash(id);
        let guard = pin();
        if let Some(user) = self.table.get(hash, id, &guard) {
            return Ok(user.arc());
        }
        if !self.count_absent() {
            self.absence.users.fetch_sub(1, Ordering::AcqRel);
            return Err(Refusal::Vacant);
        }
        let user = self.make_entry(id, hash, self.config.lane_capacity, None);
        if let Err(first) = self.table.insert(&user, &guard) {
            self.absence.users.fetch_sub(1, Ordering::AcqRel);
            return Ok(first);
        }
        // As in `connect`: a shutdown that did not see this entry has set the flag before.
        fence(Ordering::SeqCst);
        if self.closed.load(Ordering::Relaxed) {
            self.shut(&user);
            return Err(Refusal::Closed);
        }
        Ok(user)
    }

    /// What stands for a thread in positions.
    pub(crate) fn digest(&self, thread: Option<&ThreadId>) -> u64 {
        self.absence.keys.digest(thread)
    }

    /// The position of a device that is to get the event `number` next.
    pub(crate) fn position(
        &self,
        user: &User<E>,
        number: u64,
        device: ConnectionId,
        attached: Attached,
    ) -> Position {
        let lane = user.lane.archive().map_or(0, |a| a.incarnation);
        let spot = Spot {
            lane: lane & BITS_40,
            number,
            device,
            attached,
        };
        self.absence.keys.seal(&user.id, &spot)
    }

    /// What a position of this user says; nothing if it is of another hub.
    pub(crate) fn open(
        &self,
        user: &UserId,
        position: &Position,
    ) -> Result<Option<Spot>, ResumeError> {
        self.absence.keys.open(user, position)
    }
}
