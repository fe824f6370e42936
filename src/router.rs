//! The engine: who is online, and the one path by which an event reaches a lane.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ahash::RandomState;
use crossbeam_utils::CachePadded;

use crate::config::{Builder, LimitPolicy};
use crate::connection::Connection;
use crate::error::{CloseReason, ConnectError, PublishError};
use crate::id::{ConnectionId, UserId};
use crate::lane::member::Member;
use crate::lane::{Accepted, JoinError, Lane, Refusal};
use crate::scope::{ConnectOptions, UserScope};
use crate::stats::RouterStats;
use crate::sync::{AtomicBool, AtomicU64, AtomicUsize, Ordering, fence, pin};
use crate::table::{Keyed, Table};

/// A user who is online: the table's entry and the lane in one allocation.
pub(crate) struct User<E> {
    pub(crate) id: UserId,
    hash: u64,
    pub(crate) lane: Lane<E>,
}

impl<E> Keyed for User<E> {
    type Key = UserId;
    fn hash(&self) -> u64 {
        self.hash
    }
    fn key(&self) -> &UserId {
        &self.id
    }
}

#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) accepted_offline: AtomicU64,
    pub(crate) missed_closed: AtomicU64,
    no_connections: AtomicU64,
    full: AtomicU64,
    closed: AtomicU64,
    pub(crate) unknown_connections: AtomicU64,
}

/// What every handle of one router shares.
pub(crate) struct Core<E> {
    pub(crate) config: Builder,
    hasher: RandomState,
    table: Table<User<E>>,
    users: CachePadded<AtomicUsize>,
    next_connection: CachePadded<AtomicU64>,
    closed: AtomicBool,
    routers: AtomicUsize,
    pub(crate) counters: CachePadded<Counters>,
}

/// The routing engine. Cheap to clone; all clones are the same router.
///
/// Whoever holds a `Router` can make any user's scope: keep it where users are authenticated and
/// hand out [`UserScope`]s. When the last clone is dropped the router shuts down.
pub struct Router<E: Send + Sync + 'static> {
    core: Arc<Core<E>>,
}

impl<E: Send + Sync + 'static> Router<E> {
    /// A router with the default settings of [`Builder`].
    #[must_use]
    pub fn new() -> Self {
        Self::with_config(Builder::default())
    }

    /// Starts from the default settings.
    pub fn builder() -> Builder {
        Builder::default()
    }

    pub(crate) fn with_config(config: Builder) -> Self {
        #[cfg(not(laneway_loom))]
        let hasher = RandomState::new();
        #[cfg(laneway_loom)]
        let hasher = RandomState::with_seeds(1, 2, 3, 4);
        let core = Core {
            hasher,
            table: Table::new(config.shards),
            users: CachePadded::new(AtomicUsize::new(0)),
            next_connection: CachePadded::new(AtomicU64::new(1)),
            closed: AtomicBool::new(false),
            routers: AtomicUsize::new(1),
            counters: CachePadded::default(),
            config,
        };
        Self {
            core: Arc::new(core),
        }
    }

    /// The capability to publish to one user and to connect as that user.
    ///
    /// Wait-free; allocates nothing for ids up to 24 bytes.
    #[must_use]
    pub fn scope(&self, user: UserId) -> UserScope<E> {
        UserScope::new(Arc::clone(&self.core), user)
    }

    /// Users online. Wait-free.
    #[must_use]
    pub fn user_count(&self) -> usize {
        self.core.users.load(Ordering::Relaxed)
    }

    /// Calls `f` with every user online and the number of their live connections. Users who come or
    /// go meanwhile may or may not be among them. Lock-free.
    pub fn for_each_user(&self, mut f: impl FnMut(&UserId, usize)) {
        self.core.table.for_each(|user| {
            let live = user.lane.live();
            if live > 0 {
                f(&user.id, live);
            }
        });
    }

    /// Closes connections that have been idle for longer than `idle_timeout`, and says how many.
    ///
    /// `now` is the time since any fixed moment of the host's choice. A connection's time starts at
    /// the first sweep that sees it; reading, or [`Connection::touch`], is activity. A clock that
    /// jumps back closes nothing. Lock-free.
    pub fn sweep(&self, now: Duration) -> usize {
        let Some(timeout) = self.core.config.idle_timeout else {
            return 0;
        };
        let now_ms = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        let mut closed = 0;
        self.core.table.for_each(|user| {
            user.lane.for_each(|member| {
                let idle_ms = now_ms.saturating_sub(member.active_at(now_ms));
                if u128::from(idle_ms) > timeout.as_millis()
                    && self.core.close(user, member, CloseReason::Idle)
                {
                    closed += 1;
                }
            });
        });
        closed
    }

    /// Refuses events and connections from now on and wakes every sleeper. Connections can still
    /// read what was accepted before. Returns how many lanes it closed. Lock-free.
    pub fn shutdown(&self) -> usize {
        self.core.shutdown()
    }

    /// Whether the router was shut down. Wait-free.
    #[must_use]
    pub fn is_shut_down(&self) -> bool {
        self.core.is_closed()
    }

    /// The router's figures, summed over the users online. Lock-free.
    #[must_use]
    pub fn stats(&self) -> RouterStats {
        let counters = &self.core.counters;
        let mut stats = RouterStats {
            accepted: counters.accepted_offline.load(Ordering::Relaxed),
            missed: counters.missed_closed.load(Ordering::Relaxed),
            refused_no_connections: counters.no_connections.load(Ordering::Relaxed),
            refused_full: counters.full.load(Ordering::Relaxed),
            refused_closed: counters.closed.load(Ordering::Relaxed),
            unknown_connections: counters.unknown_connections.load(Ordering::Relaxed),
            ..RouterStats::default()
        };
        self.core.table.for_each(|user| {
            let live = user.lane.live();
            stats.users += usize::from(live > 0);
            stats.connections += live;
            stats.accepted += user.lane.accepted();
            user.lane
                .for_each(|member| stats.missed += member.missed.load(Ordering::Relaxed));
        });
        stats
    }
}

impl<E: Send + Sync + 'static> Default for Router<E> {
    fn default() -> Self {
        Self::new()
    }
}

impl<E: Send + Sync + 'static> Clone for Router<E> {
    fn clone(&self) -> Self {
        self.core.routers.fetch_add(1, Ordering::Relaxed);
        Self {
            core: Arc::clone(&self.core),
        }
    }
}

impl<E: Send + Sync + 'static> Drop for Router<E> {
    fn drop(&mut self) {
        if self.core.routers.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.core.shutdown();
        }
    }
}

impl<E: Send + Sync + 'static> fmt::Debug for Router<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Router")
            .field("users", &self.user_count())
            .finish_non_exhaustive()
    }
}

impl<E: Send + Sync + 'static> Core<E> {
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    fn hash(&self, user: &UserId) -> u64 {
        self.hasher.hash_one(user.as_bytes())
    }

    /// The one delivery path: every event that reaches a lane comes through here.
    pub(crate) fn deliver(
        &self,
        user: &UserId,
        event: E,
        evict: bool,
    ) -> Result<Accepted, PublishError<E>> {
        let guard = pin();
        let (refusal, event) = match self.table.get(self.hash(user), user, &guard) {
            Some(entry) => match entry.lane.append(event, evict) {
                Ok(accepted) => return Ok(accepted),
                Err(refused) => refused,
            },
            None => (Refusal::Vacant, event),
        };
        let counters = &self.counters;
        Err(match refusal {
            Refusal::Full => {
                counters.full.fetch_add(1, Ordering::Relaxed);
                PublishError::Full(event)
            }
            Refusal::Vacant if !self.is_closed() => {
                counters.no_connections.fetch_add(1, Ordering::Relaxed);
                PublishError::NoConnections(event)
            }
            Refusal::Vacant | Refusal::Closed => {
                counters.closed.fetch_add(1, Ordering::Relaxed);
                PublishError::Closed(event)
            }
        })
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

    pub(crate) fn connect(
        self: &Arc<Self>,
        id: &UserId,
        options: ConnectOptions,
    ) -> Result<Connection<E>, ConnectError> {
        let limit = self.config.max_connections_per_user;
        loop {
            if self.is_closed() {
                return Err(ConnectError::Closed);
            }
            let user = self.find_or_insert(id)?;
            match user.lane.join(limit as u8) {
                Ok(cursor) => {
                    let number = self.next_connection.fetch_add(1, Ordering::Relaxed);
                    let member = Member::new(ConnectionId(number), options.thread, cursor);
                    let member = Arc::new(member);
                    user.lane.list(&member);
                    // A shutdown that walked past before this entry was in the table has set the
                    // flag before; the fences order flag and table on both sides.
                    fence(Ordering::SeqCst);
                    if self.closed.load(Ordering::Relaxed) {
                        self.close(&user, &member, CloseReason::Shutdown);
                        return Err(ConnectError::Closed);
                    }
                    return Ok(Connection::new(Arc::clone(self), user, member, cursor));
                }
                Err(JoinError::Closed) => self.forget(&user),
                Err(JoinError::Limit) => {
                    let oldest = match self.config.limit_policy {
                        LimitPolicy::Refuse => None,
                        LimitPolicy::EvictOldest => Self::oldest(&user),
                    };
                    let Some(oldest) = oldest else {
                        return Err(ConnectError::TooManyConnections { limit });
                    };
                    self.close(&user, &oldest, CloseReason::Evicted);
                }
            }
        }
    }

    fn oldest(user: &User<E>) -> Option<Arc<Member>> {
        let mut oldest: Option<Arc<Member>> = None;
        user.lane.for_each(|m| {
            if m.is_open() && oldest.as_ref().is_none_or(|o| m.id < o.id) {
                oldest = Some(Arc::clone(m));
            }
        });
        oldest
    }

    fn find_or_insert(&self, id: &UserId) -> Result<Arc<User<E>>, ConnectError> {
        let hash = self.hash(id);
        let guard = pin();
        if let Some(user) = self.table.get(hash, id, &guard) {
            return Ok(user.arc());
        }
        let limit = self.config.max_users;
        // Counted before it is in, so that there are never more than `limit`.
        if self.users.fetch_add(1, Ordering::AcqRel) >= limit {
            self.users.fetch_sub(1, Ordering::AcqRel);
            return Err(ConnectError::TooManyUsers { limit });
        }
        let lane = Lane::new(self.config.lane_capacity);
        let user = Arc::new(User {
            id: id.clone(),
            hash,
            lane,
        });
        match self.table.insert(Arc::clone(&user), &guard) {
            Ok(()) => Ok(user),
            Err(first) => {
                self.users.fetch_sub(1, Ordering::AcqRel);
                Ok(first)
            }
        }
    }

    /// Closes one connection; `false` if somebody else did before.
    pub(crate) fn close(&self, user: &Arc<User<E>>, member: &Member, reason: CloseReason) -> bool {
        let Some(last) = user.lane.close(member, reason) else {
            return false;
        };
        self.counters
            .missed_closed
            .fetch_add(member.missed.load(Ordering::Relaxed), Ordering::Relaxed);
        if last {
            self.forget(user);
        }
        true
    }

    /// Takes a closed entry out of the table; whoever comes first counts it out.
    fn forget(&self, user: &Arc<User<E>>) {
        if user.lane.live() == 0 && self.table.remove(user, &pin()) {
            self.users.fetch_sub(1, Ordering::AcqRel);
            self.counters
                .accepted_offline
                .fetch_add(user.lane.accepted(), Ordering::Relaxed);
        }
    }

    fn shutdown(&self) -> usize {
        self.closed.store(true, Ordering::Release);
        fence(Ordering::SeqCst);
        let mut closed = 0;
        self.table
            .for_each(|user| closed += usize::from(user.lane.shut()));
        closed
    }
}
