//! The engine: who is online, and the one path by which an event reaches a lane.

use std::fmt;
use std::sync::Arc;

use ahash::RandomState;
use crossbeam_utils::CachePadded;

use crate::config::{Builder, LimitPolicy, is_lane_capacity};
use crate::connection::Connection;
use crate::error::{CloseReason, ConnectError};
use crate::id::{ConnectionId, ThreadId, UserId};
use crate::lane::archive::Archive;
use crate::lane::audience::Audience;
use crate::lane::member::Member;
use crate::lane::{Departure, Ghost, JoinError, Lane, Newcomer, Reader, Seat};
use crate::lifecycle::{Change, Subscribers};
use crate::position::Keys;
use crate::reentry::once_at_a_time;
use crate::scope::{Addressed, ConnectOptions, UserScope};
use crate::session::Session;
use crate::stats::RouterStats;
use crate::sync::{AtomicBool, AtomicU64, AtomicUsize, Guard, Ordering, broken, fence, pin};
use crate::table::storage::{LeafRef, Settled};
use crate::table::{Keyed, Table};

/// A user who is online, or whose lane is kept: the table's entry and the lane in one allocation.
pub(crate) struct User<E: 'static> {
    pub(crate) id: UserId,
    hash: u64,
    pub(crate) lane: Lane<E>,
    session: Session,
}

impl<E: 'static> User<E> {
    /// `out` is the host's, and is called without a guard: while it hangs, memory is reclaimed.
    pub(crate) fn dump(&self, out: &mut impl fmt::Write) -> fmt::Result {
        let mut lane = String::new();
        self.lane.dump(&mut lane)?;
        let session = self.session.number();
        write!(out, "{:?}, session {session}\n{lane}", self.id)
    }
}

impl<E: 'static> Keyed for User<E> {
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
    pub(crate) missed: AtomicU64,
    overruns: AtomicU64,
    no_connections: AtomicU64,
    full: AtomicU64,
    closed: AtomicU64,
    pub(crate) unknown_connections: AtomicU64,
    pub(crate) foreign_positions: AtomicU64,
    pub(crate) stale_positions: AtomicU64,
}

/// The entry in which a scope first found its user, kept from its second publish on: a scope that
/// is made for one event only is not to pay for it. While the user stays online it spares the
/// publisher the lookup and the collector's guard; after that the table is asked each time.
pub(crate) struct Cache<E: 'static> {
    entry: Settled<User<E>>,
    used: AtomicBool,
}

impl<E: 'static> Cache<E> {
    pub(crate) fn new() -> Self {
        Self {
            entry: Settled::empty(),
            used: AtomicBool::new(false),
        }
    }

    /// The entry, which may be out of date.
    #[inline]
    pub(crate) fn get(&self) -> Option<&User<E>> {
        self.entry.get()
    }

    fn keep(&self, entry: LeafRef<'_, User<E>>, guard: &Guard) {
        if self.entry.get().is_some() {
            return;
        }
        if self.used.load(Ordering::Relaxed) {
            self.entry.settle(entry.arc(), guard);
        } else {
            self.used.store(true, Ordering::Relaxed);
        }
    }
}

/// Whom an event is for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Target<'a> {
    Everybody,
    Connection(ConnectionId),
    Thread(&'a ThreadId),
    Except(ConnectionId),
}

impl Target<'_> {
    /// The rule by which readers decide; `None` for all connections.
    fn audience(&self) -> Option<Audience> {
        match *self {
            Self::Everybody => None,
            Self::Connection(id) => Some(Audience::Connection(id)),
            Self::Thread(thread) => Some(Audience::Thread(thread.clone())),
            Self::Except(id) => Some(Audience::Others(id)),
        }
    }
}

/// An entry, and whether it was made for who asked.
type Found<E> = (Arc<User<E>>, bool);

/// What every handle of one router shares.
pub(crate) struct Core<E: 'static> {
    pub(crate) config: Builder,
    hasher: RandomState,
    table: Table<User<E>>,
    users: CachePadded<AtomicUsize>,
    next_connection: CachePadded<AtomicU64>,
    sessions: CachePadded<AtomicU64>,
    subscribers: Subscribers,
    closed: AtomicBool,
    routers: AtomicUsize,
    absence: Absence<E>,
    clocks: Clocks,
    pub(crate) counters: CachePadded<Counters>,
}

/// What a router with retention needs, beside its lanes.
struct Absence<E> {
    /// Lanes without connections; less by those who are just counting, so it may be below 0.
    users: CachePadded<AtomicUsize>,
    /// Lanes made so far.
    lanes: AtomicU64,
    /// What positions are sealed with.
    keys: Keys,
    /// What an event weighs, if that is asked for.
    weigh: Option<fn(&E) -> usize>,
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

/// The routing engine. Cheap to clone; all clones are the same router.
///
/// Whoever holds a `Router` can make any user's scope: keep it where users are authenticated and
/// hand out [`UserScope`]s. When the last clone is dropped the router shuts down.
pub struct Router<E: Send + Sync + 'static> {
    core: Arc<Core<E>>,
}

impl Router<()> {
    /// Starts from the default settings. [`Builder::build`] decides the type of the events.
    pub fn builder() -> Builder {
        Builder::default()
    }
}

impl<E: Send + Sync + 'static> Router<E> {
    /// A router with the default settings of [`Builder`].
    #[must_use]
    pub fn new() -> Self {
        Self::with_config(Builder::default(), |_| size_of::<E>())
    }

    pub(crate) fn with_config(config: Builder, weigh: fn(&E) -> usize) -> Self {
        let core = Core {
            hasher: keys(),
            table: Table::new(config.shards),
            users: CachePadded::new(AtomicUsize::new(0)),
            next_connection: CachePadded::new(AtomicU64::new(1)),
            sessions: CachePadded::default(),
            subscribers: Subscribers::new(),
            closed: AtomicBool::new(false),
            routers: AtomicUsize::new(1),
            counters: CachePadded::default(),
            absence: Absence::new(&config, weigh),
            clocks: Clocks::new(&config),
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

    /// The way to one user's connections for a publisher that does not keep a scope: as
    /// [`scope`](Self::scope), but borrowed, and for publishing only. Wait-free.
    #[must_use]
    pub fn to_user<'a>(&'a self, user: &'a UserId) -> Addressed<'a, E> {
        Addressed::new(&self.core, user)
    }

    /// Users online. Wait-free.
    #[must_use]
    pub fn user_count(&self) -> usize {
        self.core.users.load(Ordering::Relaxed)
    }

    /// Calls `f` with every user online and the number of their live connections. A user who comes or goes
    /// meanwhile may or may not be among them. Lock-free, linear in the users.
    ///
    /// `f` may take its time, panic and call back into the engine: nothing waits for it, and no more than
    /// 64 users are kept in memory for it.
    ///
    /// ```
    /// # let router: laneway::Router<u8> = laneway::Router::new();
    /// # let ann = router.scope(laneway::UserId::new("ann").unwrap());
    /// let _devices = (ann.connect().unwrap(), ann.connect().unwrap());
    /// let mut online = Vec::new();
    /// router.for_each_user(|user, devices| online.push((user.to_string(), devices)));
    /// assert_eq!(online, [("ann".to_owned(), 2)]);
    /// ```
    ///
    /// # Panics
    ///
    /// If `f` does; the other users are not told of then.
    pub fn for_each_user(&self, mut f: impl FnMut(&UserId, usize)) {
        self.core.table.for_each(|user| {
            let live = user.lane.live();
            if live > 0 {
                f(&user.id, live);
            }
        });
    }

    /// Writes the inner state of every lane, for the report of an incident; no payloads, and no
    /// promise about the form. Lock-free, linear in all there is. `out` may take its time, as in
    /// [`for_each_user`](Self::for_each_user).
    ///
    /// # Errors
    ///
    /// Only those of `out`.
    pub fn dump(&self, out: &mut impl fmt::Write) -> fmt::Result {
        let mut done = writeln!(out, "{:?}", self.stats());
        self.core.table.for_each(|user| {
            if done.is_ok() {
                done = user.dump(out);
            }
        });
        done
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
            missed: counters.missed.load(Ordering::Relaxed),
            overruns: counters.overruns.load(Ordering::Relaxed),
            refused_no_connections: counters.no_connections.load(Ordering::Relaxed),
            refused_full: counters.full.load(Ordering::Relaxed),
            refused_closed: counters.closed.load(Ordering::Relaxed),
            unknown_connections: counters.unknown_connections.load(Ordering::Relaxed),
            foreign_positions: counters.foreign_positions.load(Ordering::Relaxed),
            stale_positions: counters.stale_positions.load(Ordering::Relaxed),
            ..RouterStats::default()
        };
        self.core.table.for_each(|user| {
            let live = user.lane.live();
            stats.users += usize::from(live > 0);
            stats.absent_users += usize::from(live == 0 && !user.lane.is_over());
            stats.connections += live;
            stats.accepted += user.lane.accepted();
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

    pub(crate) fn connect(
        self: &Arc<Self>,
        id: &UserId,
        options: ConnectOptions,
        device: Option<ConnectionId>,
    ) -> Result<Connection<E>, ConnectError> {
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
                    self.enter(&user, &seat, ghost.as_ref())?;
                    // Another call has resumed the device at the same time: this one takes over from it.
                    if device.is_some() && user.lane.has_elder(&seat) && !broken("two-of-one") {
                        let member = user.lane.member(&seat);
                        self.close(&user, member, CloseReason::Replaced);
                        user.lane.leave(member, &mut Reader::new());
                        continue;
                    }
                    return Ok(Connection::new(Arc::clone(self), user, seat));
                }
                Err(JoinError::Closed | JoinError::Deserted) => self.forget(&user),
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
    fn enter(
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
            let mut turn = user.session.return_to(&self.sessions);
            let next = ghost.map(|_| user.session.go_from());
            user.lane.list(seat, ghost);
            if let Some(next) = next {
                self.tell_of(user, turn.session, turn.number, replaced);
                turn = next;
            }
            self.returned(user, &turn, connected);
        } else {
            let gone = ghost.map(|_| user.session.disconnect());
            let mut change = user.session.connect();
            user.lane.list(seat, ghost);
            if broken("number-after-listing") {
                change = user.session.disconnect();
            }
            if let Some(gone) = gone {
                self.tell(user, gone, replaced);
            }
            if seat.is_none() {
                self.tell(user, 0, || Change::Online);
            }
            self.tell(user, change, connected);
        }
        // A shutdown that walked past before this entry was in the table has set the flag before; the
        // fences order flag and table on both sides.
        fence(Ordering::SeqCst);
        if self.closed.load(Ordering::Relaxed) && !broken("connect-without-looking") {
            self.close(user, member, CloseReason::Shutdown);
            user.lane.leave(member, &mut Reader::new());
            self.shut(user);
            return Err(ConnectError::Closed);
        }
        Ok(())
    }

    fn next_connection(&self) -> ConnectionId {
        ConnectionId(self.next_connection.fetch_add(1, Ordering::Relaxed))
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
    ) -> Result<Found<E>, ConnectError> {
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
        let user = self.make(id, hash, capacity, Some(newcomer));
        match self.table.insert(&user, &guard) {
            Ok(()) => Ok((user, true)),
            Err(first) => {
                self.count_out();
                Ok((first, false))
            }
        }
    }

    fn make(
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
            self.left(user, member, reason, departure);
            return true;
        }
        self.tell(user, user.session.disconnect(), || Change::Disconnected {
            connection: member.id,
            reason,
        });
        if let Departure::Last { accepted } = departure {
            self.counters
                .accepted_offline
                .fetch_add(accepted, Ordering::Relaxed);
            self.tell(user, user.session.end(), || Change::Offline);
            self.forget(user);
        }
        true
    }

    /// Takes a closed entry out of the table. Whoever comes first counts it out, unless that was
    /// done as its last connection left.
    fn forget(&self, user: &Arc<User<E>>) {
        let removed = user.lane.is_over() && self.table.remove(user, &pin());
        if removed && user.lane.archive().is_none() {
            self.count_out();
        }
    }

    /// Nobody is to come any more, and an archive does not wait.
    fn shut(&self, user: &Arc<User<E>>) -> bool {
        let first = user.lane.shut();
        self.expire(user);
        first
    }

    fn shutdown(&self) -> usize {
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
}

mod absent;
mod deliver;
#[cfg(all(test, laneway_loom))]
mod models;
mod sweep;
mod tell;
use sweep::Clocks;

#[cfg(all(test, not(any(laneway_loom, laneway_shuttle))))]
mod tests {
    use super::*;
    use crate::{Closed, Received, TryRecvError};

    #[test]
    fn a_lane_that_runs_out_of_numbers_is_replaced_by_a_new_one() {
        let router = Router::<u64>::new();
        let id = UserId::new("ann").expect("valid");
        let ann = router.scope(id.clone());
        let first = ann.connect().expect("room");
        let entry = router.core.find(&id).expect("online");
        entry.lane.skip_to_last(3);
        let mut device = ann.connect().expect("room");
        drop(first);
        for n in 2..5 {
            ann.publish(n).expect("there are numbers left");
            assert!(matches!(device.try_recv(), Ok(Received::Event(d)) if d.event == n));
        }
        let refused = ann.publish(5).expect_err("no more numbers");
        assert!(refused.is_no_connections() && refused.into_inner() == 5);
        let reason = CloseReason::Exhausted;
        let ended = Err(TryRecvError::Closed(Closed { reason }));
        assert_eq!(device.try_recv(), ended);
        assert_eq!(router.user_count(), 0);

        let mut device = ann.connect().expect("room");
        assert_eq!(ann.publish(6).expect("accepted").number, 0);
        assert!(matches!(device.try_recv(), Ok(Received::Event(d)) if d.event == 6));
        let entry = router.core.find(&id).expect("online");
        entry.lane.skip_to_last(0);
        assert!(ann.try_publish(7).expect_err("no more").is_no_connections());
        assert_eq!(router.user_count(), 0);
    }
    #[test]
    fn who_is_just_leaving_is_not_told_of_as_online() {
        let router = Router::<u64>::new();
        let ids = ["ann", "ben"].map(|id| UserId::new(id).expect("valid"));
        let hashes = ids.each_ref().map(|id| router.core.hash(id));
        assert_ne!(hashes[0], hashes[1]);
        let (ann, ben) = (router.scope(ids[0].clone()), router.scope(ids[1].clone()));
        let (_phone, tab) = (ann.connect().expect("room"), ben.connect().expect("room"));
        let entry = router.core.find(&ids[1]).expect("online");
        // The first step of a disconnect: the entry is in the table still.
        entry.lane.for_each(|member| {
            entry.lane.close(member, CloseReason::Dropped, None);
        });
        let mut told = Vec::new();
        router.for_each_user(|user, live| told.push((user.clone(), live)));
        assert_eq!(told, [(ids[0].clone(), 1)]);
        let stats = router.stats();
        assert_eq!((stats.users, stats.connections), (1, 1));
        drop(tab);
    }
}
