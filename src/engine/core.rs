//! The state that all handles of one hub share.

use std::sync::Arc;

use ahash::RandomState;
use crossbeam_utils::CachePadded;

use super::asks::Asks;
use super::budget::Budget;
use super::clocks::Clocks;
use super::counters::{Counters, Online};
use super::draining::Draining;
use super::gate::Gate;
use super::revoked::Revoked;
use super::rooms::directory::Directory;
use super::session::Session;
use super::time::HubTime;
use super::user::User;
use crate::config::Builder;
use crate::id::{ConnectionId, RoomId, UserId};
use crate::lane::account::Account;
use crate::lane::archive::Archive;
use crate::lane::conflation::Conflation;
use crate::lane::{Beside, Lane, Newcomer};
use crate::lifecycle::Notice;
use crate::notices::Subscribers;
use crate::observe;
use crate::position::Keys;
use crate::stats::ConnectionInfo;
use crate::sync::reentry::once_at_a_time;
use crate::sync::{AtomicU64, AtomicUsize, Ordering, fence, pin};
use crate::table::Table;
use crate::table::storage::OnceLink;

/// The state that all handles of one hub share.
pub(crate) struct Core<E: 'static> {
    pub(crate) config: Builder,
    pub(super) hasher: RandomState,
    pub(super) table: Table<User<E>>,
    /// Padded against the counters beside it: each connect and each close writes here.
    pub(super) online: CachePadded<Online>,
    /// The next connection's id.
    pub(super) next_connection: CachePadded<AtomicU64>,
    /// The number of sessions so far, from which each session takes its number.
    pub(super) sessions: CachePadded<AtomicU64>,
    pub(super) subscribers: Subscribers<Notice>,
    pub(super) gate: Gate,
    pub(super) revoked: Revoked,
    pub(super) asks: Asks<E>,
    /// The drain, once one has begun.
    pub(super) drain: OnceLink<Draining<E>>,
    /// Handles that keep the engine open. The last one shuts it down.
    pub(super) handles: AtomicUsize,
    /// The parts that only a hub with retention uses.
    pub(super) absence: Absence,
    pub(super) budget: Budget<E>,
    pub(super) clocks: Clocks,
    /// Empty until the first user joins a room.
    pub(super) rooms: OnceLink<Directory<E>>,
    /// The nodes that are told of rooms that begin and end.
    pub(super) watchers: Subscribers<RoomId>,
    /// The time with which readers compare deadlines.
    pub(crate) time: HubTime,
    /// The host's time at the last sweep, in microseconds.
    pub(super) told: AtomicU64,
    pub(crate) counters: CachePadded<Counters>,
}

/// The parts that only a hub with retention uses.
pub(super) struct Absence {
    /// Lanes without connections. Threads subtract before others have added, so it may wrap below
    /// 0.
    pub(super) users: CachePadded<AtomicUsize>,
    /// Lanes made so far, from which each lane takes its number.
    pub(super) lanes: AtomicU64,
    /// The keys with which positions are sealed.
    pub(super) keys: Keys,
}

impl Absence {
    fn new() -> Self {
        Self {
            users: CachePadded::default(),
            lanes: AtomicU64::new(0),
            keys: Keys::new(),
        }
    }
}

/// Returns the hash keys: random, so that users cannot choose ids that collide. Fixed in models,
/// which have to repeat their runs.
fn keys() -> RandomState {
    #[cfg(not(any(laneway_loom, laneway_shuttle)))]
    return RandomState::new();
    #[cfg(any(laneway_loom, laneway_shuttle))]
    return RandomState::with_seeds(1, 2, 3, 4);
}

impl<E: Send + Sync + 'static> Core<E> {
    /// Creates the state of a hub with one handle.
    pub(crate) fn new(config: Builder, weigh: fn(&E) -> usize) -> Self {
        Self {
            hasher: keys(),
            table: Table::new(config.shards),
            online: CachePadded::default(),
            next_connection: CachePadded::new(AtomicU64::new(1)),
            sessions: CachePadded::default(),
            subscribers: Subscribers::new(),
            gate: Gate::new(),
            revoked: Revoked::new(),
            asks: Asks::new(),
            drain: OnceLink::empty(),
            handles: AtomicUsize::new(1),
            counters: CachePadded::default(),
            absence: Absence::new(),
            budget: Budget::new(&config, weigh),
            clocks: Clocks::new(&config),
            rooms: OnceLink::empty(),
            watchers: Subscribers::new(),
            time: HubTime::default(),
            told: AtomicU64::new(0),
            config,
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.gate.is_closed()
    }

    pub(super) fn hash(&self, user: &UserId) -> u64 {
        user.hash_with(&self.hasher)
    }

    /// Calls `f` with the user's entry, if there is one.
    pub(crate) fn with_user<R>(&self, user: &UserId, f: impl FnOnce(&User<E>) -> R) -> Option<R> {
        // The guard keeps the entry alive during `f`, without a write to its count of owners.
        let guard = pin();
        self.table
            .get(self.hash(user), user, &guard)
            .map(|entry| f(&entry))
    }

    /// Returns the user's entry, if there is one.
    pub(crate) fn find(&self, user: &UserId) -> Option<Arc<User<E>>> {
        let guard = pin();
        self.table
            .get(self.hash(user), user, &guard)
            .map(|entry| entry.arc())
    }

    /// Creates a user's entry with its lane. The caller inserts it.
    pub(super) fn make_entry(
        &self,
        id: &UserId,
        hash: u64,
        capacity: usize,
        first: Option<Newcomer>,
    ) -> Arc<User<E>> {
        let mut capacity = capacity;
        let mut beside = None;
        if self.has_beside() {
            let conflation = self.config.conflation.map(Conflation::new);
            let archive = self.config.retention.as_ref().map(|retention| {
                // A kept lane has room for the events that the retention asks for.
                capacity = capacity.max(retention.events.next_power_of_two());
                let incarnation = self.absence.lanes.fetch_add(1, Ordering::Relaxed);
                Archive::new(incarnation, capacity, retention.bytes)
            });
            beside = Some(Box::new(Beside {
                archive,
                conflation,
                account: self.budget.pool.as_ref().map(Account::new),
            }));
        }
        let user = User {
            id: id.clone(),
            hash,
            lane: Lane::new(capacity, first, beside),
            session: Session::default(),
        };
        Arc::new(user)
    }

    /// Returns whether a lane has parts that only some hubs ask for.
    fn has_beside(&self) -> bool {
        let has_events = self.config.retention.is_some() || self.config.conflation.is_some();
        has_events || self.budget.pool.is_some()
    }

    pub(super) fn next_connection(&self) -> ConnectionId {
        // Relaxed: no two ids are equal in any order of the additions, and an id publishes no memory.
        ConnectionId(self.next_connection.fetch_add(1, Ordering::Relaxed))
    }

    /// Removes the entry of a lane that is over from the table. The one thread that has removed it
    /// counts the user out. In a kept lane that was done when its last connection left.
    pub(super) fn remove_if_over(&self, user: &Arc<User<E>>) {
        // `remove` compares by identity. Of two threads that remove one entry one finds it, and a
        // newer entry of the user stays.
        let removed = user.lane.is_over() && self.table.remove(user, &pin());
        if removed {
            if user.lane.archive().is_none() {
                self.count_out();
            }
            if let Some(account) = user.lane.account() {
                account.close();
            }
            self.end_memberships(user);
        }
    }

    /// Refuses connections to the entry's lane from now on, and ends a lane that is kept without
    /// connections. Returns whether the lane was open.
    pub(super) fn shut(&self, user: &Arc<User<E>>) -> bool {
        // The lane is shut before the archive leaves. In the other order a connection could join in
        // between, and the archive would stay with it.
        let first = user.lane.shut();
        self.expire(user);
        first
    }

    /// Shuts the hub down. Returns how many lanes it has shut.
    pub(crate) fn shutdown(&self) -> usize {
        let is_first = self.gate.close();
        // Pairs with the fences in `list_and_notify` and `find_or_keep`. A connect that does not
        // see the flag has inserted its entry before, and the walk below comes to it.
        fence(Ordering::SeqCst);
        let mut closed = 0;
        // A subscriber's waker or an event's `Drop` may shut the hub down from inside. The outer
        // walk then runs again.
        once_at_a_time(std::ptr::from_ref(self).cast(), || {
            self.table
                .for_each(|user| closed += usize::from(self.shut(user)));
        });
        if let Some(run) = self.drain.get() {
            run.forget_hooks();
        }
        self.end_all_memberships();
        if is_first {
            observe::shut_down(closed);
        }
        // After the walk: a hub without users has no thread that would count the last user out.
        self.end_if_over();
        closed
    }

    /// Returns whether the user has a connection.
    pub(crate) fn is_online(&self, user: &UserId) -> bool {
        self.with_user(user, |user| user.lane.live() > 0)
            .unwrap_or(false)
    }

    /// Returns whether the user has a lane: a connection, or retention keeps it.
    pub(crate) fn is_kept(&self, user: &UserId) -> bool {
        self.with_user(user, |user| !user.lane.is_over())
            .unwrap_or(false)
    }

    /// Calls `f` with every entry of the table. No guard is held during a call.
    pub(crate) fn for_each(&self, f: impl FnMut(&Arc<User<E>>)) {
        self.table.for_each(f);
    }

    /// Returns the user's live connections.
    pub(crate) fn connections(&self, user: &UserId) -> Vec<ConnectionInfo> {
        let mut list = Vec::new();
        self.with_user(user, |user| {
            user.lane.for_each(|member| {
                if member.is_open() {
                    list.push(ConnectionInfo {
                        id: member.id,
                        threads: member.threads(),
                        note: member.note().map(Into::into),
                        unread: user.lane.unread(member),
                        missed: member.missed(),
                        lane_bytes: user.lane.account().map_or(0, |account| account.bytes()),
                        connected_at: member.swept().first(),
                        active_at: member.swept().active(),
                    });
                }
            });
        });
        list
    }

    /// Counts one more handle that keeps the engine open.
    pub(crate) fn add_handle(&self) {
        // Relaxed: the caller has a handle itself, so the count cannot fall to 0 meanwhile.
        self.handles.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts one more handle if there still is one. Returns whether it did.
    pub(crate) fn add_handle_if_any(&self) -> bool {
        let mut held = self.handles.load(Ordering::Relaxed);
        while held > 0 {
            // An exchange: with an addition, a last handle that is counted out in between would shut the
            // engine down below the new one.
            let (ok, err) = (Ordering::Relaxed, Ordering::Relaxed);
            match self.handles.compare_exchange(held, held + 1, ok, err) {
                Ok(_) => return true,
                Err(now) => held = now,
            }
        }
        false
    }

    /// Counts a handle out. The last one shuts the engine down.
    pub(crate) fn release_handle(&self) {
        // AcqRel: the thread that lets the last handle go sees all that was done by the others.
        if self.handles.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.shutdown();
        }
    }
}
