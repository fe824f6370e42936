//! Connections come and go: the steps of a connect and of a close, over table, lane and session.

use std::sync::Arc;

use super::admit::is_good_to_connect;
use super::cache::Cache;
use super::core::Core;
use super::gate::{is_closed, is_draining};
use super::grant::Grant;
use super::pass::Pass;
use super::user::User;
use crate::config::{ConnectOptions, LimitPolicy, MAX_NOTE_BYTES, is_lane_capacity};
use crate::error::{CloseReason, ConnectError};
use crate::id::{ConnectionId, ThreadId, UserId};
use crate::lane::about::About;
use crate::lane::attachments::MAX_ATTACHMENTS;
use crate::lane::member::Member;
use crate::lane::{Departure, Ghost, JoinError, Reader, Seat};
use crate::lifecycle::Change;
use crate::notices::fence_after_change;
use crate::observe;
use crate::sync::{Fault, Ordering, broken, pin};

/// An entry, and whether the caller has made it.
type EntryAndNew<E> = (Arc<User<E>>, bool);

/// Returns what the host says of a connection.
#[cold]
#[inline(never)]
fn introduce(
    threads: Vec<ThreadId>,
    note: Option<Box<str>>,
    pass: &Pass,
) -> Result<Option<Box<About>>, ConnectError> {
    let length = note.as_deref().map_or(0, str::len);
    if length > MAX_NOTE_BYTES {
        return Err(ConnectError::Note(length));
    }
    if threads.len() > MAX_ATTACHMENTS {
        return Err(ConnectError::Threads(threads.len()));
    }
    let mut about = About::of(threads, note);
    if let Some(about) = &mut about {
        about.is_bound = pass.grant().is_some_and(Grant::is_for_a_thread);
    }
    Ok(about)
}

/// Returns what is known of a connection that takes over from a live one, if its host names no
/// thread and the live one has some.
#[cold]
#[inline(never)]
fn keep_threads<E: 'static>(
    user: &User<E>,
    ghost: &Ghost,
    about: Option<&About>,
) -> Option<Box<About>> {
    if about.is_some_and(|about| !about.threads.is_empty()) {
        return None;
    }
    let threads = user.lane.threads_of(ghost);
    if threads.is_empty() {
        return None;
    }
    About::of(threads, about.and_then(|about| about.note.clone()))
}

impl<E: Send + Sync + 'static> Core<E> {
    /// Connects a user, or resumes a device. Returns the entry and the connection's seat. The scope's cache keeps
    /// the entry.
    ///
    /// Lock-free: each repetition means that a lane has ended, or that a place was made by closing
    /// a connection.
    pub(crate) fn connect(
        self: &Arc<Self>,
        id: &UserId,
        options: ConnectOptions,
        device: Option<ConnectionId>,
        cache: &Cache<E>,
    ) -> Result<(Arc<User<E>>, Seat), ConnectError> {
        let pass = &cache.pass;
        let limit = self.config.max_connections_per_user;
        let ConnectOptions {
            threads,
            lane_capacity,
            note,
        } = options;
        let capacity = lane_capacity.unwrap_or(self.config.lane_capacity);
        if !is_lane_capacity(capacity) {
            return Err(ConnectError::LaneCapacity(capacity));
        }
        // Most connections have nothing to say, and pay for one comparison here.
        let about = if threads.is_empty() && note.is_none() {
            None
        } else {
            introduce(threads, note, pass)?
        };
        // One guard for all steps. The steps pin as well, which costs little inside another guard.
        let guard = pin();
        loop {
            // The first look of two. A later look, after the listing, finds a shutdown, a drain or a
            // revocation that comes in between.
            let word = self.gate.word();
            if !is_good_to_connect(word, pass) {
                let threads = about.as_deref().map_or(&[][..], |about| &about.threads);
                self.admit_connect(id, pass, word, threads)?;
            }
            let (user, is_new) = self.find_or_insert(id, capacity, about.as_deref(), device)?;
            let lasting = user.lane.archive().is_some();
            if !lasting {
                // Before the connection can be listed and closed, the session needs its number.
                user.session.begin(&self.sessions);
            }
            // The open connection of the device, if there is one. The new connection takes its
            // place.
            let ghost = device
                .filter(|_| !is_new)
                .and_then(|device| user.lane.take_over(device));
            // A new entry has its connection counted. A ghost has handed its unit of `live` over.
            // Only the other cases count a connection here, and may find the limit reached.
            let joined = if is_new {
                Ok(user.lane.member(&None).cursor())
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
                        let kept = (ghost.as_ref())
                            .and_then(|ghost| keep_threads(&user, ghost, about.as_deref()));
                        let about = kept.as_deref().or(about.as_deref());
                        Arc::new(Member::new(number, about, cursor))
                    });
                    // A ghost has handed its unit of `live` over, and that is counted.
                    let is_fresh = ghost.is_none();
                    if is_fresh && !broken(Fault::CountAfterListing) {
                        self.count_connection();
                    }
                    self.list_and_notify(&user, &seat, ghost.as_ref(), pass)?;
                    if is_fresh && broken(Fault::CountAfterListing) {
                        self.count_connection();
                    }
                    // Another call has resumed the device at the same time, and neither saw the
                    // other in the list. Both look again after the listing. The later one leaves
                    // and takes over from the earlier. Without this look the device would keep two
                    // connections.
                    if device.is_some() && user.lane.has_elder(&seat) && !broken(Fault::TwoOfOne) {
                        let member = user.lane.member(&seat);
                        self.close(&user, member, CloseReason::Replaced);
                        user.lane.leave(member, &mut Reader::new(member.cursor()));
                        continue;
                    }
                    cache.know(&user, &guard);
                    return Ok((user, seat));
                }
                // The lane is over. Its entry goes, and the next turn makes another one.
                Err(JoinError::Closed | JoinError::Deserted) => self.remove_if_over(&user),
                Err(JoinError::Limit) => {
                    // With `EvictOldest` the next turn tries again, and may find the place taken by
                    // another connect.
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

    /// Lists a connection that has joined, and notifies the subscribers. Returns an error if the
    /// hub was shut down or began to drain, or the scope was revoked meanwhile.
    fn list_and_notify(
        &self,
        user: &Arc<User<E>>,
        seat: &Seat,
        ghost: Option<&Ghost>,
        pass: &Pass,
    ) -> Result<(), ConnectError> {
        let member = user.lane.member(seat);
        let connected = || Change::Connected {
            connection: member.id,
            threads: member.threads().into(),
        };
        let replaced = || Change::Disconnected {
            connection: member.id,
            reason: CloseReason::Replaced,
        };
        // The numbers of the notices are drawn before the connection is listed. A thread can close
        // a listed connection at once, and its `Disconnected` must have the higher number. The
        // ghost's number comes first. The ghost stays counted until its successor is, so the
        // session does not end in between.
        //
        // The fence pairs with those in `shutdown`, `begin_drain` and `revoke`, too. This thread
        // inserts and lists, and then looks at the gate. Each of those changes the gate and then
        // walks the table or the list. Without the fences each could miss the other's write, and
        // the connection would outlive it.
        if user.lane.archive().is_some() {
            let mut turn = user.session.connect_kept(&self.sessions);
            let next = ghost.map(|_| user.session.disconnect_kept());
            user.lane.list(seat, ghost);
            fence_after_change();
            if let Some(next) = next {
                self.notify_in(user, turn.session, turn.number, replaced);
                turn = next;
            }
            self.notify_connected(user, &turn, connected);
        } else {
            let gone = ghost.map(|_| user.session.disconnect());
            let mut change = user.session.connect();
            user.lane.list(seat, ghost);
            fence_after_change();
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
        observe::connected(&user.id, member.id);
        if let Some(ghost) = ghost {
            let unread = || user.lane.unread(user.lane.member(&ghost.seat));
            observe::closed(&user.id, member.id, CloseReason::Replaced, unread);
        }
        let word = self.gate.word();
        if is_good_to_connect(word, pass) {
            return Ok(());
        }
        self.end_if_late(user, member, pass, word)
    }

    /// Ends a connection whose hub was shut down or began to drain, or whose scope was revoked, while it
    /// connected.
    #[cold]
    fn end_if_late(
        &self,
        user: &Arc<User<E>>,
        member: &Member,
        pass: &Pass,
        word: u64,
    ) -> Result<(), ConnectError> {
        let is_shut = is_closed(word) && !broken(Fault::ConnectWithoutLooking);
        let (reason, error) = if is_shut {
            (CloseReason::Shutdown, ConnectError::Closed)
        } else if is_draining(word) && !broken(Fault::ConnectIntoTheDrain) {
            (CloseReason::Drained, ConnectError::Draining)
        } else if self.is_revoked(&user.id, pass) && !broken(Fault::ConnectAndTrust) {
            (CloseReason::Revoked, ConnectError::Revoked)
        } else {
            return Ok(());
        };
        self.close(user, member, reason);
        user.lane.leave(member, &mut Reader::new(member.cursor()));
        // In a drain the lane stays open: its other connections were listed before, and are told.
        if is_shut {
            self.shut(user);
        }
        Err(error)
    }

    /// Closes the connection that was listed first. Returns `false` if there is none.
    fn evict_oldest(&self, user: &Arc<User<E>>) -> bool {
        let walk = || {
            let mut is_found = false;
            user.lane.for_each(|member| {
                // By the order of the list, not by ids: a device that resumes keeps an old id.
                if !is_found && member.is_open() {
                    is_found = true;
                    self.close(user, member, CloseReason::Evicted);
                }
            });
            is_found
        };
        // A walk works on the list as it was when the walk began. All connections of that list may
        // be closed meanwhile, and new ones listed. A second walk sees these.
        walk() || walk()
    }

    /// Returns the user's entry. A new entry has the connection counted already.
    fn find_or_insert(
        &self,
        id: &UserId,
        capacity: usize,
        about: Option<&About>,
        device: Option<ConnectionId>,
    ) -> Result<EntryAndNew<E>, ConnectError> {
        let hash = self.hash(id);
        let guard = pin();
        if let Some(user) = self.table.get(hash, id, &guard) {
            return Ok((user.arc(), false));
        }
        let limit = self.config.max_users;
        // Counted before the insert, so that the limit holds at every moment.
        if self.online.users.fetch_add(1, Ordering::AcqRel) >= limit {
            self.count_out();
            return Err(ConnectError::TooManyUsers { limit });
        }
        let number = device.unwrap_or_else(|| self.next_connection());
        let newcomer = (number, about.cloned().map(Box::new));
        let user = self.make_entry(id, hash, capacity, Some(newcomer));
        match self.table.insert(&user, &guard) {
            Ok(()) => Ok((user, true)),
            Err(first) => {
                // Another connect has inserted the user's entry first, and has counted the user.
                self.count_out();
                Ok((first, false))
            }
        }
    }

    /// Closes one connection. Returns `false` if another thread has closed it before.
    pub(crate) fn close(&self, user: &Arc<User<E>>, member: &Member, reason: CloseReason) -> bool {
        self.close_as(user, member, reason, None)
    }

    /// As `close`. The owner passes its reader along.
    pub(crate) fn close_as(
        &self,
        user: &Arc<User<E>>,
        member: &Member,
        reason: CloseReason,
        owner: Option<&mut Reader<E>>,
    ) -> bool {
        let departure = user.lane.close(member, reason, owner);
        // The thread that has closed the connection also notifies and counts.
        if departure == Departure::Before {
            return false;
        }
        self.count_out_connection();
        fence_after_change();
        self.end_questions(&user.id);
        observe::closed(&user.id, member.id, reason, || user.lane.unread(member));
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
        // The lane is over, and its figures would go with it. A publisher that gives a number up
        // later corrects this count.
        if let Departure::Last { accepted } = departure {
            self.counters
                .accepted_offline
                .fetch_add(accepted, Ordering::Relaxed);
            self.notify(user, user.session.end(), || Change::Offline);
            // After the notices: a connect that finds no entry begins the user's next session, and
            // its number is drawn after this one's `Offline`.
            self.remove_if_over(user);
        }
        true
    }
}
