//! What all handles of one engine share.

use std::sync::Arc;

use ahash::RandomState;
use crossbeam_utils::CachePadded;

use super::clocks::Clocks;
use super::session::Session;
use super::user::User;
use crate::config::Builder;
use crate::id::{ConnectionId, UserId};
use crate::lane::archive::Archive;
use crate::lane::{Lane, Newcomer};
use crate::lifecycle::Subscribers;
use crate::position::Keys;
use crate::stats::HubStats;
use crate::sync::reentry::once_at_a_time;
use crate::sync::{AtomicBool, AtomicU64, AtomicUsize, Ordering, fence, pin};
use crate::table::Table;

/// What every handle of one hub shares.
pub(crate) struct Core<E: 'static> {
    pub(crate) config: Builder,
    pub(super) hasher: RandomState,
    pub(super) table: Table<User<E>>,
    pub(super) users: CachePadded<AtomicUsize>,
    pub(super) next_connection: CachePadded<AtomicU64>,
    pub(super) sessions: CachePadded<AtomicU64>,
    pub(super) subscribers: Subscribers,
    pub(super) closed: AtomicBool,
    pub(super) handles: AtomicUsize,
    pub(super) absence: Absence<E>,
    pub(super) clocks: Clocks,
    pub(crate) counters: CachePadded<Counters>,
}

/// What a hub with retention needs, beside its lanes.
pub(super) struct Absence<E> {
    /// Lanes without connections; less by those who are just counting, so it may be below 0.
    pub(super) users: CachePadded<AtomicUsize>,
    /// Lanes made so far.
    pub(super) lanes: AtomicU64,
    /// What positions are sealed with.
    pub(super) keys: Keys,
    /// What an event weighs, if that is asked for.
    pub(super) weigh: Option<fn(&E) -> usize>,
}

impl<E> Absence<E> {
    fn new(config: &Builder, weigh: fn(&E) -> usize) -> Self {
        Self {
            users: CachePadded::default(),
            lanes: AtomicU64::new(0),
            keys: Keys::new(),
            weigh: config
                .retention
                .and_then(|retention| retention.bytes)
                .map(|_| weigh),
        }
    }
}

/// Random, but for the models.
fn keys() -> RandomState {
    #[cfg(not(any(laneway_loom, laneway_shuttle)))]
    return RandomState::new();
    #[cfg(any(laneway_loom, laneway_shuttle))]
    return RandomState::with_seeds(1, 2, 3, 4);
}

#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) accepted_offline: AtomicU64,
    pub(crate) missed: AtomicU64,
    pub(super) overruns: AtomicU64,
    pub(super) no_connections: AtomicU64,
    pub(super) full: AtomicU64,
    pub(super) closed: AtomicU64,
    pub(crate) unknown_connections: AtomicU64,
    pub(crate) foreign_positions: AtomicU64,
    pub(crate) stale_positions: AtomicU64,
}

impl<E: Send + Sync + 'static> Core<E> {
    pub(crate) fn new(config: Builder, weigh: fn(&E) -> usize) -> Self {
        Self {
            hasher: keys(),
            table: Table::new(config.shards),
            users: CachePadded::new(AtomicUsize::new(0)),
            next_connection: CachePadded::new(AtomicU64::new(1)),
            sessions: CachePadded::default(),
            subscribers: Subscribers::new(),
            closed: AtomicBool::new(false),
            handles: AtomicUsize::new(1),
            counters: CachePadded::default(),
            absence: Absence::new(&config, weigh),
            clocks: Clocks::new(&config),
            config,
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    pub(super) fn hash(&self, user: &UserId) -> u64 {
        user.hash_with(&self.hasher)
    }

    /// Calls `f` with the user's entry if the user is online.
    pub(crate) fn with_user<R>(&self, user: &UserId, f: impl FnOnce(&User<E>) -> R) -> Option<R> {
        let guard = pin();
        self.table
            .get(self.hash(user), user, &guard)
            .map(|entry| f(&entry))
    }

    /// The user's entry if the user is online.
    pub(crate) fn find(&self, user: &UserId) -> Option<Arc<User<E>>> {
        let guard = pin();
        self.table
            .get(self.hash(user), user, &guard)
            .map(|entry| entry.arc())
    }

    pub(super) fn make_entry(
        &self,
        id: &UserId,
        hash: u64,
        capacity: usize,
        first: Option<Newcomer>,
    ) -> Arc<User<E>> {
        let (mut capacity, mut archive) = (capacity, None);
        if let Some(retention) = &self.config.retention {
            capacity = capacity.max(retention.events.next_power_of_two());
            let incarnation = self.absence.lanes.fetch_add(1, Ordering::Relaxed);
            archive = Some(Archive::new(incarnation, capacity, retention.bytes));
        }
        let user = User {
            id: id.clone(),
            hash,
            lane: Lane::new(capacity, first, archive),
            session: Session::default(),
        };
        Arc::new(user)
    }

    pub(super) fn next_connection(&self) -> ConnectionId {
        ConnectionId(self.next_connection.fetch_add(1, Ordering::Relaxed))
    }

    /// Takes a closed entry out of the table. Whoever comes first counts it out, unless that was
    /// done as its last connection left.
    pub(super) fn remove_if_over(&self, user: &Arc<User<E>>) {
        let removed = user.lane.is_over() && self.table.remove(user, &pin());
        if removed && user.lane.archive().is_none() {
            self.count_out();
        }
    }

    /// Nobody is to come any more, and an archive does not wait.
    pub(super) fn shut(&self, user: &Arc<User<E>>) -> bool {
        let first = user.lane.shut();
        self.expire(user);
        first
    }

    pub(crate) fn shutdown(&self) -> usize {
        self.closed.store(true, Ordering::Release);
        fence(Ordering::SeqCst);
        let mut closed = 0;
        once_at_a_time(std::ptr::from_ref(self).cast(), || {
            self.table
                .for_each(|user| closed += usize::from(self.shut(user)));
        });
        self.end_if_over();
        closed
    }

    /// Users online.
    pub(crate) fn user_count(&self) -> usize {
        self.users.load(Ordering::Relaxed)
    }

    /// Calls `f` with every entry of the table, without a guard.
    pub(crate) fn for_each(&self, f: impl FnMut(&Arc<User<E>>)) {
        self.table.for_each(f);
    }

    /// Counts one more handle that keeps the engine open.
    pub(crate) fn add_handle(&self) {
        self.handles.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts such a handle out. The last one shuts the engine down.
    pub(crate) fn release_handle(&self) {
        if self.handles.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.shutdown();
        }
    }

    /// What [`Hub::stats`](crate::Hub::stats) returns.
    pub(crate) fn stats(&self) -> HubStats {
        let counters = &self.counters;
        let mut stats = HubStats {
            accepted: counters.accepted_offline.load(Ordering::Relaxed),
            missed: counters.missed.load(Ordering::Relaxed),
            overruns: counters.overruns.load(Ordering::Relaxed),
            refused_no_connections: counters.no_connections.load(Ordering::Relaxed),
            refused_full: counters.full.load(Ordering::Relaxed),
            refused_closed: counters.closed.load(Ordering::Relaxed),
            unknown_connections: counters.unknown_connections.load(Ordering::Relaxed),
            foreign_positions: counters.foreign_positions.load(Ordering::Relaxed),
            stale_positions: counters.stale_positions.load(Ordering::Relaxed),
            ..HubStats::default()
        };
        self.table.for_each(|user| {
            let live = user.lane.live();
            stats.users += usize::from(live > 0);
            stats.absent_users += usize::from(live == 0 && !user.lane.is_over());
            stats.connections += live;
            stats.accepted += user.lane.accepted();
        });
        stats
    }
}
