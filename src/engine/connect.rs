//! Connections come and go.

use std::sync::Arc;

use super::core::Core;
use super::user::User;
use crate::config::{ConnectOptions, LimitPolicy, is_lane_capacity};
use crate::error::{CloseReason, ConnectError};
use crate::id::{ConnectionId, ThreadId, UserId};
use crate::lane::member::Member;
use crate::lane::{Departure, Ghost, JoinError, Reader, Seat};
use crate::lifecycle::Change;
use crate::sync::{Fault, Ordering, broken, fence, pin};

/// An entry, and whether it was made for who asked.
type EntryAndNew<E> = (Arc<User<E>>, bool);

impl<E: Send + Sync + 'static> Core<E> {
    pub(crate) fn connect(
        self: &Arc<Self>,
        id: &UserId,
        options: ConnectOptions,
        device: Option<ConnectionId>,
    ) -> Result<(Arc<User<E>>, Seat), ConnectError> {
        let limit = self.config.max_connections_per_user;
        let ConnectOptions {
            thread,
            lane_capacity,
        } = options;
        let capacity = lane_capacity.unwrap_or(self.config.lane_capacity);
        if !is_lane_capacity(capacity) {
            return Err(ConnectError::LaneCapacity(capacity));
        }
        // One for all the steps, each of which then takes its own for little.
        let _guard = pin();
        loop {
            if self.is_closed() {
                return Err(ConnectError::Closed);
            }
            let (user, is_new) = self.find_or_insert(id, capacity, thread.as_ref(), device)?;
            let lasting = user.lane.archive().is_some();
            if !lasting {
                user.session.begin(&self.sessions);
            }
            // The place of the device's live connection, if it has one.
            let ghost = device
                .filter(|_| !is_new)
                .and_then(|device| user.lane.take_over(device));
            let joined = if is_new {
                Ok(user.lane.member(&None).joined_at)
            } else if let Some(ghost) = &ghost {
                Ok(ghost.end)
            } else if lasting {
                self.rejoin(&user, limit as u8)?
            } else {
                user.lane.join(limit as u8)
            };
            match joined {
                Ok(cursor) => {
                    let seat = (!is_new).then(|| {
                        let number = device.unwrap_or_else(|| self.next_connection());
                        Arc::new(Member::new(number, thread.clone(), cursor))
                    });
                    self.list_and_notify(&user, &seat, ghost.as_ref())?;
                    // Another call has resumed the device at the same time: this one takes over from it.
                    if device.is_some() && user.lane.has_elder(&seat) && !broken(Fault::TwoOfOne) {
                        let member = user.lane.member(&seat);
                        self.close(&user, member, CloseReason::Replaced);
                        user.lane.leave(member, &mut Reader::new());
                        continue;
                    }
                    return Ok((user, seat));
                }
                Err(JoinError::Closed | JoinError::Deserted) => self.remove_if_over(&user),
                Err(JoinError::Limit) => {
                    let evicts = match self.config.limit_policy {
                        LimitPolicy::Refuse => false,
                        LimitPolicy::EvictOldest => self.evict_oldest(&user),
                    };
                    if !evicts {
                        return Err(ConnectError::TooManyConnections { limit });
                    }
                }
            }
        }
    }

    /// Lists a connection that has joined, and tells of it.
    fn list_and_notify(
        &self,
        user: &Arc<User<E>>,
        seat: &Seat,
        ghost: Option<&Ghost>,
    ) -> Result<(), ConnectError> {
        let member = user.lane.member(seat);
        let connected = || Change::Connected {
            connection: member.id,
            thread: member.thread.as_deref().cloned(),
        };
        let replaced = || Change::Disconnected {
            connection: member.id,
            reason: CloseReason::Replaced,
        };
        // The numbers are drawn before the connection is listed: its `Disconnected` has a higher one. A
        // ghost's come first, and it is counted until the connection that takes its place is.
        if user.lane.archive().is_some() {
            let mut turn = user.session.connect_kept(&self.sessions);
            let next = ghost.map(|_| user.session.disconnect_kept());
            user.lane.list(seat, ghost);
            if let Some(next) = next {
                self.notify_in(user, turn.session, turn.number, replaced);
                turn = next;
            }
            self.notify_connected(user, &turn, connected);
        } else {
            let gone = ghost.map(|_| user.session.disconnect());
            let mut change = user.session.connect();
            user.lane.list(seat, ghost);
            if broken(Fault::NumberAfterListing) {
                change = user.session.disconnect();
            }
            if let Some(gone) = gone {
                self.notify(user, gone, replaced);
            }
            if seat.is_none() {
                self.notify(user, 0, || Change::Online);
            }
            self.notify(user, change, connected);
        }
        // A shutdown that walked past before this entry was in the table has set the flag before; the
        // fences order flag and table on both sides.
        fence(Ordering::SeqCst);
        if self.closed.load(Ordering::Relaxed) && !broken(Fault::ConnectWithoutLooking) {
            self.close(user, member, CloseReason::Shutdown);
            user.lane.leave(member, &mut Reader::new());
            self.shut(user);
            return Err(ConnectError::Closed);
        }
        Ok(())
    }

    /// Closes the connection that was opened first; `false` if there is none.
    fn evict_oldest(&self, user: &Arc<User<E>>) -> bool {
        let walk = || {
            let mut is_found = false;
            user.lane.for_each(|member| {
                // Not by the id: a device that resumes keeps an old one.
                if !is_found && member.is_open() {
                    is_found = true;
                    self.close(user, member, CloseReason::Evicted);
                }
            });
            is_found
        };
        // A walk that is stopped behind its look at the list may find only connections that others have
        // closed meanwhile. The next walk looks at the list anew.
        walk() || walk()
    }

    /// The user's entry; if it is new, with the connection counted.
    fn find_or_insert(
        &self,
        id: &UserId,
        capacity: usize,
        thread: Option<&ThreadId>,
        device: Option<ConnectionId>,
    ) -> Result<EntryAndNew<E>, ConnectError> {
        let hash = self.hash(id);
        let guard = pin();
        if let Some(user) = self.table.get(hash, id, &guard) {
            return Ok((user.arc(), false));
        }
        let limit = self.config.max_users;
        // Counted before it is in, so that there are never more than `limit`.
        if self.users.fetch_add(1, Ordering::AcqRel) >= limit {
            self.count_out();
            return Err(ConnectError::TooManyUsers { limit });
        }
        let number = device.unwrap_or_else(|| self.next_connection());
        let newcomer = (number, thread.cloned());
        let user = self.make_entry(id, hash, capacity, Some(newcomer));
        match self.table.insert(&user, &guard) {
            Ok(()) => Ok((user, true)),
            Err(first) => {
                self.count_out();
                Ok((first, false))
            }
        }
    }

    /// Closes one connection; `false` if another thread did before.
    pub(crate) fn close(&self, user: &Arc<User<E>>, member: &Member, reason: CloseReason) -> bool {
        self.close_as(user, member, reason, None)
    }

    /// As `close`, for the owner, whose reader this is.
    pub(crate) fn close_as(
        &self,
        user: &Arc<User<E>>,
        member: &Member,
        reason: CloseReason,
        owner: Option<&mut Reader<E>>,
    ) -> bool {
        let departure = user.lane.close(member, reason, owner);
        if departure == Departure::Before {
            return false;
        }
        if reason == CloseReason::Overrun {
            self.counters.overruns.fetch_add(1, Ordering::Relaxed);
        }
        if user.lane.archive().is_some() {
            self.after_departure(user, member, reason, departure);
            return true;
        }
        self.notify(user, user.session.disconnect(), || Change::Disconnected {
            connection: member.id,
            reason,
        });
        if let Departure::Last { accepted } = departure {
            self.counters
                .accepted_offline
                .fetch_add(accepted, Ordering::Relaxed);
            self.notify(user, user.session.end(), || Change::Offline);
            self.remove_if_over(user);
        }
        true
    }
}
