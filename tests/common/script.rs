//! A script of calls, run on laneway and on the model side by side.

use std::sync::Arc;
use std::sync::atomic::{AtomicIsize, Ordering};
use std::time::Duration;

use laneway::{
    CloseReason, ConnectError, ConnectOptions, Connection, ConnectionId, Delivery, Hub, Lifecycle,
    LimitPolicy, Memberships, NoNotice, PublishError, Received, ThreadId, TryRecvError, UserId,
    UserScope,
};

use super::model::rooms::{MOST, MOST_KEPT};
use super::model::rules::Asks;
use super::model::{End, Got, How, Keeping, Model, NoConnect, Origin, Refused, Settings, To};

mod attach;
mod compare;
mod gate;
mod retention;
mod rooms;
mod rules;
mod seen;
use retention::Remembered;
pub(crate) use seen::Seen;

/// One call. Connections are named by the order in which they were opened, modulo how many there
/// are; users modulo [`USERS`].
#[derive(Clone, Debug)]
pub(crate) enum Call {
    Connect(u8),
    /// With a thread, and with a lane capacity of its own in case it is the first.
    ConnectWith(u8, u8),
    Publish(u8, How, For),
    /// So many times four milliseconds from now, or before if it is negative.
    Until(u8, How, For, i8),
    /// Of one of three keys, up to four times.
    Latest(u8, u8),
    Barrier(u8),
    Batch(u8, u8),
    Receive(u8),
    /// So many events at once.
    Merged(u8, u8),
    Drain(u8, u8),
    Visit(u8, u8),
    Drop(u8),
    /// The handle is lost without being dropped.
    Forget(u8),
    /// A user names a connection, perhaps not one of theirs.
    Disconnect(u8, u8),
    DisconnectAll(u8),
    Touch(u8),
    /// Attaches a connection to a thread, by itself or by its user.
    Attach(u8, u8),
    Detach(u8, u8),
    /// So many milliseconds later; negative: the clock jumps back.
    Sweep(i16),
    /// Remembers how far a connection has come.
    Remember(u8),
    /// The same, and then it is dropped.
    Part(u8),
    /// At a position that was remembered, with or without a thread.
    Resume(u8, u8),
    /// A user names a position, perhaps not one of theirs.
    ResumeAs(u8, u8),
    Recover(u8),
    /// The host ends the lane of a user, if the user is away.
    EndAbsent(u8),
    Join(u8, u8),
    Leave(u8, u8),
    /// All memberships of a user end.
    ForgetUser(u8),
    /// To a room, or to two; critical or not.
    PublishToRooms(u8, bool, bool),
    Announce(bool),
    /// The host revokes a user's scopes, and makes another one.
    Revoke(u8, u8),
    Shutdown,
}

/// Whom an event is for, in a script.
#[derive(Clone, Copy, Debug)]
pub(crate) enum For {
    All,
    /// Perhaps another user's connection.
    Connection(u8),
    Thread(u8),
    Others(u8),
}

pub(crate) const USERS: u8 = 3;
const THREADS: u8 = 2;
const CODE: u16 = 4000;
/// More than two blocks of a lane of 64, less than the lane.
const BATCH: u8 = 48;

/// A payload that knows whose it is, and counts itself.
#[derive(Debug)]
struct Tainted {
    user: u8,
    serial: u32,
    /// Of the events that it has taken up.
    merged: Vec<Value>,
    alive: Arc<AtomicIsize>,
}

impl Tainted {
    fn new(user: u8, serial: u32, alive: &Arc<AtomicIsize>) -> Self {
        alive.fetch_add(1, Ordering::Relaxed);
        let alive = Arc::clone(alive);
        Self {
            user,
            serial,
            merged: Vec::new(),
            alive,
        }
    }

    fn weight(&self) -> usize {
        weight((self.user, self.serial)) as usize
    }
}

/// What events weigh, so that any few in a row weigh differently.
fn weight((_, serial): Value) -> u64 {
    [0, 1, 16, 30, 90][serial as usize % 5]
}

impl Clone for Tainted {
    fn clone(&self) -> Self {
        Self::new(self.user, self.serial, &self.alive)
    }
}

impl Drop for Tainted {
    fn drop(&mut self) {
        self.alive.fetch_sub(1, Ordering::Relaxed);
    }
}

type Value = (u8, u32);

struct Handle {
    id: u64,
    user: u8,
    connection: Connection<Tainted>,
}

/// Notices that the second subscriber has room for.
const SLOW: usize = 8;

struct Run {
    hub: Hub<Tainted>,
    scopes: Vec<UserScope<Tainted>>,
    /// Those that the host has taken back.
    revoked: Vec<UserScope<Tainted>>,
    model: Model<Value>,
    keeps: Option<Keeping>,
    handles: Vec<Handle>,
    /// Of the devices that there were.
    ids: Vec<(u64, ConnectionId)>,
    remembered: Vec<Remembered>,
    lifecycle: Arc<Lifecycle>,
    /// A second subscriber, with room for the first notices only.
    slow: Lifecycle,
    offered: u64,
    alive: Arc<AtomicIsize>,
    serial: u32,
    now_ms: u64,
    seen: Seen,
    forgot: bool,
}

/// Runs the script and panics at the first difference.
pub(crate) fn run(settings: Settings, calls: &[Call]) -> Seen {
    let policy = if settings.evict_oldest {
        LimitPolicy::EvictOldest
    } else {
        LimitPolicy::Refuse
    };
    let memberships = if settings.keeps_members {
        Memberships::Kept {
            max_users: MOST_KEPT,
        }
    } else {
        Memberships::Online
    };
    let hub = Hub::builder()
        .shards(4)
        .lane_capacity(settings.capacity as usize)
        .max_connections_per_user(settings.max_connections)
        .limit_policy(policy)
        .max_users(settings.max_users)
        .idle_timeout(settings.idle_timeout_ms.map(Duration::from_millis))
        .retention(settings.retention.map(retention::of))
        .max_rooms_per_user(MOST)
        .max_members_per_room(MOST)
        .memberships(memberships)
        .conflation(settings.conflation)
        .build_weighing(Tainted::weight)
        .expect("valid settings");
    let scope = |u| hub.scope(UserId::new(format!("user {u}")).expect("valid"));
    let mut run = Run {
        scopes: (0..USERS).map(scope).collect(),
        revoked: Vec::new(),
        lifecycle: Arc::new(hub.lifecycle(100_000).expect("room")),
        slow: hub.lifecycle(SLOW).expect("room"),
        offered: 0,
        hub,
        model: Model::weighing(settings, weight),
        keeps: settings.retention,
        handles: Vec::new(),
        ids: Vec::new(),
        remembered: Vec::new(),
        alive: Arc::default(),
        serial: 0,
        now_ms: 1000,
        seen: Seen::default(),
        forgot: false,
    };
    for call in calls {
        run.call(call);
        run.compare();
        run.compare_rooms();
    }
    run.finish()
}

impl Run {
    fn handle(&self, at: u8) -> Option<usize> {
        (!self.handles.is_empty()).then(|| at as usize % self.handles.len())
    }

    fn call(&mut self, call: &Call) {
        match *call {
            Call::Connect(user) => self.connect(user % USERS, 0, None),
            Call::ConnectWith(user, other) => {
                let capacity = [2, 4, 8, 64][other as usize % 8 / 2];
                self.connect(user % USERS, 1 + other % 3, Some(capacity));
            }
            Call::Publish(user, how, to) => self.publish(user % USERS, how, to, None),
            Call::Until(user, how, to, later) => {
                let deadline_ms = self.now_ms.saturating_add_signed(4 * i64::from(later));
                self.publish(user % USERS, how, to, Some(deadline_ms));
            }
            Call::Latest(user, key) => self.publish_latest(user % USERS, key),
            Call::Barrier(user) => self.publish_barrier(user % USERS),
            Call::Batch(user, events) => self.batch(user % USERS, events % BATCH),
            Call::Receive(at) => {
                if let Some(at) = self.handle(at) {
                    let got = self.receive(at);
                    self.check(at, got);
                }
            }
            Call::Merged(at, most) => {
                if let Some(at) = self.handle(at) {
                    self.receive_merged(at, most.into());
                }
            }
            Call::Drain(at, max) => {
                if let Some(at) = self.handle(at) {
                    self.drain(at, max.into());
                }
            }
            Call::Visit(at, max) => {
                if let Some(at) = self.handle(at) {
                    self.visit(at, max.into());
                }
            }
            Call::Drop(at) => {
                if let Some(at) = self.handle(at) {
                    self.let_go(at);
                }
            }
            Call::Forget(at) => {
                if let Some(at) = self.handle(at) {
                    std::mem::forget(self.handles.remove(at).connection);
                    self.forgot = true;
                }
            }
            Call::Disconnect(user, at) => {
                let user = user % USERS;
                if !self.ids.is_empty() {
                    let (id, theirs) = self.ids[at as usize % self.ids.len()];
                    let closed = self.scopes[user as usize].disconnect(theirs, CODE);
                    assert_eq!(closed, self.model.disconnect(user, id, CODE));
                }
            }
            Call::DisconnectAll(user) => {
                let user = user % USERS;
                let closed = self.scopes[user as usize].disconnect_all(CODE);
                assert_eq!(closed, self.model.disconnect_all(user, CODE));
            }
            Call::Touch(at) => {
                if let Some(at) = self.handle(at) {
                    self.handles[at].connection.touch();
                    self.model.touch(self.handles[at].id);
                }
            }
            Call::Attach(at, thread) => self.attach(at, thread, true),
            Call::Detach(at, thread) => self.attach(at, thread, false),
            Call::Sweep(later) => self.sweep(later),
            Call::Remember(at) => {
                if let Some(at) = self.handle(at) {
                    self.remember(at);
                }
            }
            Call::Part(at) => {
                if let Some(at) = self.handle(at) {
                    self.remember(at);
                    self.let_go(at);
                }
            }
            Call::Resume(at, thread) => self.resume(None, at, thread),
            Call::ResumeAs(user, at) => self.resume(Some(user % USERS), at, 0),
            Call::Recover(at) => {
                if let Some(at) = self.handle(at) {
                    self.recover(at);
                }
            }
            Call::EndAbsent(user) => self.end_absent(user % USERS),
            Call::Join(user, room) => self.join(user % USERS, room % rooms::ROOMS),
            Call::Leave(user, room) => self.leave(user % USERS, room % rooms::ROOMS),
            Call::ForgetUser(user) => self.forget(user % USERS),
            Call::PublishToRooms(room, both, critical) => {
                self.publish_to_rooms(room % rooms::ROOMS, both, critical);
            }
            Call::Announce(critical) => self.announce(critical),
            Call::Revoke(user, spared) => self.revoke(user % USERS, spared),
            Call::Shutdown => assert_eq!(self.hub.shutdown(), self.model.shutdown()),
        }
    }

    fn connect(&mut self, user: u8, threads: u8, capacity: Option<u64>) {
        let expected = self.model.connect(user, threads, capacity);
        let options = ConnectOptions {
            threads: thread_ids(threads),
            lane_capacity: capacity.map(|c| c as usize),
            note: None,
        };
        match self.scopes[user as usize].connect_with(options) {
            Ok(connection) => {
                let id = expected.expect("laneway let one in that the model refused");
                self.hold(id, user, connection);
            }
            Err(e) => {
                assert_eq!(expected, Err(no_connect(&e)));
                self.seen.refused_connect += 1;
            }
        }
    }

    fn hold(&mut self, id: u64, user: u8, connection: Connection<Tainted>) {
        let device = self.model.device(id);
        let ours = connection.id();
        if let Some((_, theirs)) = self.ids.iter().find(|(known, _)| *known == device) {
            assert_eq!(ours, *theirs, "a device keeps its id");
        } else {
            assert_eq!(device, id);
            assert!(self.ids.iter().all(|(_, theirs)| *theirs != ours));
            self.ids.push((device, ours));
        }
        self.handles.push(Handle {
            id,
            user,
            connection,
        });
    }

    fn let_go(&mut self, at: usize) {
        let handle = self.handles.remove(at);
        self.seen.count(&handle.connection.stats());
        self.model.end(handle.id, None);
    }

    fn event(&mut self, user: u8) -> Tainted {
        self.serial += 1;
        Tainted::new(user, self.serial, &self.alive)
    }

    fn publish(&mut self, user: u8, how: How, to: For, deadline_ms: Option<u64>) {
        let event = self.event(user);
        self.offered += 1;
        let known = |at: u8| self.ids.get(at as usize % self.ids.len().max(1)).copied();
        let (to, connection) = match to {
            For::Thread(thread) => (To::Thread(thread % THREADS), None),
            For::Connection(at) => match known(at) {
                Some((id, theirs)) => (To::Connection(id), Some(theirs)),
                None => (To::All, None),
            },
            For::Others(at) => match known(at) {
                Some((id, theirs)) => (To::Others(id), Some(theirs)),
                None => (To::All, None),
            },
            For::All => (To::All, None),
        };
        let scope = &self.scopes[user as usize];
        let thread;
        let addressed = match (to, connection) {
            (To::Connection(_), Some(id)) => Some(scope.to_connection(id)),
            (To::Others(_), Some(id)) => Some(scope.to_others(id)),
            (To::Thread(t), _) => {
                thread = thread_id(t);
                Some(scope.to_thread(&thread))
            }
            _ => deadline_ms.map(|_| scope.to_all()),
        };
        let addressed = addressed.map(|some| match deadline_ms {
            Some(ms) => some.until(Duration::from_millis(ms)),
            None => some,
        });
        let done = match (addressed, how) {
            (None, How::Overwriting) => scope.publish(event),
            (None, How::Refusing) => scope.try_publish(event),
            (None, How::Critical) => scope.publish_critical(event),
            (Some(some), How::Overwriting) => some.publish(event),
            (Some(some), How::Refusing) => some.try_publish(event),
            (Some(some), How::Critical) => some.publish_critical(event),
        };
        let done = done.map(|d| self.delivered(d)).map_err(|e| {
            let refused = refused(&e);
            assert_eq!(e.into_inner().serial, self.serial, "the event comes back");
            refused
        });
        self.seen.full += usize::from(done == Err(Refused::Full));
        let asks = Asks {
            deadline_ms,
            ..Asks::default()
        };
        let value = (user, self.serial);
        let expected = self.model.publish_asking(user, value, how, to, asks);
        assert_eq!(done, expected);
        self.learn_overruns(user);
    }

    /// Publishes are what drops critical events.
    fn learn_overruns(&mut self, user: u8) {
        let overrun = self.scopes[user as usize].overrun_count();
        self.model.learn_overruns(user, overrun);
    }

    fn delivered(&mut self, delivery: Delivery) -> (u64, usize) {
        assert_eq!(delivery.kept, self.keeps.is_some());
        self.seen.kept_for_nobody += usize::from(delivery.connections == 0);
        (delivery.number, delivery.connections)
    }

    fn batch(&mut self, user: u8, events: u8) {
        let mut batch = Vec::new();
        for _ in 0..events {
            batch.push(self.event(user));
        }
        let first = self.serial + 1 - u32::from(events);
        let (taken, last, error) = match self.scopes[user as usize].publish_batch(batch) {
            Ok(delivery) => (delivery.events, delivery.last, None),
            Err(e) => (e.delivery.events, e.delivery.last, Some(refused(&e.error))),
        };
        let mut expected = Ok((0, 0));
        for n in 0..u64::from(events) {
            self.offered += 1;
            let value = (user, first + n as u32);
            let done = self.model.publish(user, value, How::Overwriting, To::All);
            expected = done;
            if done.is_err() {
                assert_eq!((taken, error), (n as usize, done.err()));
                break;
            }
        }
        self.learn_overruns(user);
        if expected.is_err() {
            return;
        }
        assert_eq!((taken, error), (events.into(), None));
        let last = last.map_or((0, 0), |d| self.delivered(d));
        assert_eq!(Ok(last), expected);
    }

    fn receive(&mut self, at: usize) -> Got<Value> {
        got(self.handles[at].connection.try_recv())
    }

    /// Compares what laneway gave with what the model gives; `false` at the end of what there is.
    fn check(&mut self, at: usize, got: Got<Value>) -> bool {
        let unread = self.handles[at].connection.unread();
        self.check_with(at, got, Some(unread))
    }

    /// As `check`, for what a call gave that has gone on to more.
    fn check_with(&mut self, at: usize, got: Got<Value>, unread: Option<u64>) -> bool {
        let Handle { id, user, .. } = self.handles[at];
        match got {
            Got::Event { value, origin, .. } => {
                assert!(rooms::is_for(value.0, user), "a foreign event");
                self.seen.replayed += usize::from(origin == Origin::Replayed);
            }
            Got::Gap(_) => self.seen.gap += 1,
            Got::Closed(end) => {
                self.seen.close += 1;
                self.seen.overrun += usize::from(end == End::Overrun);
                self.seen.replaced += usize::from(end == End::Replaced);
            }
            Got::Empty => {}
        }
        assert_eq!(got, self.model.receive_like(id, got, unread));
        matches!(got, Got::Event { .. } | Got::Gap(_))
    }

    fn drain(&mut self, at: usize, max: usize) {
        let mut into = Vec::new();
        let drained = self.handles[at].connection.drain(max, &mut into);
        match drained {
            Ok(count) => assert_eq!(count, into.len()),
            Err(closed) => {
                assert!(into.is_empty());
                self.check(at, Got::Closed(end(closed.reason)));
            }
        }
        let full = into.len() == max;
        for received in into {
            self.check_with(at, got(Ok(received)), None);
        }
        if !full && drained.is_ok() {
            let got = self.receive(at);
            assert!(!self.check(at, got), "drain stopped before the end");
        }
    }

    fn visit(&mut self, at: usize, max: usize) {
        let mut seen = Vec::new();
        let visited = self.handles[at].connection.visit(max, |number, event| {
            seen.push((number, (event.user, event.serial)));
        });
        if let Ok(visited) = visited {
            assert_eq!(visited.events, seen.len());
        }
        for (number, value) in seen {
            // A visit does not tell it.
            let origin = self.model.next_origin(self.handles[at].id);
            self.check_with(
                at,
                Got::Event {
                    number,
                    value,
                    origin,
                },
                None,
            );
        }
        match visited {
            Ok(visited) if visited.missed > 0 => {
                self.check(at, Got::Gap(visited.missed));
            }
            Ok(visited) if visited.events < max => {
                let got = self.receive(at);
                assert!(!self.check(at, got), "visit stopped before the end");
            }
            Ok(_) => {}
            Err(closed) => {
                self.check(at, Got::Closed(end(closed.reason)));
            }
        }
    }

    fn finish(mut self) -> Seen {
        self.seen.overwrite = self.model.overwrote;
        self.seen.add(&self.model.absence);
        for at in 0..self.handles.len() {
            loop {
                let got = self.receive(at);
                if !self.check(at, got) {
                    break;
                }
            }
        }
        self.compare();
        self.compare_notices();
        for handle in &self.handles {
            self.seen.count(&handle.connection.stats());
        }
        let (alive, forgot) = (Arc::clone(&self.alive), self.forgot);
        let (lifecycle, seen) = (Arc::clone(&self.lifecycle), self.seen);
        drop(self);
        while lifecycle.try_next().is_ok() {}
        assert!(forgot || lifecycle.try_next() == Err(NoNotice::Over));
        let left = alive.load(Ordering::Relaxed);
        assert!(
            forgot || left == 0,
            "{left} payloads leaked, or dropped twice"
        );
        seen
    }
}

/// The threads of a mask.
fn thread_ids(mask: u8) -> Vec<ThreadId> {
    let all = (0..THREADS).filter(|thread| mask & 1 << thread != 0);
    all.map(thread_id).collect()
}

fn thread_id(thread: u8) -> ThreadId {
    ThreadId::new(format!("thread {thread}")).expect("valid")
}

fn no_connect(error: &ConnectError) -> NoConnect {
    match error {
        ConnectError::TooManyConnections { .. } => NoConnect::TooManyConnections,
        ConnectError::TooManyUsers { .. } => NoConnect::TooManyUsers,
        _ => NoConnect::Closed,
    }
}

fn refused<E>(error: &PublishError<E>) -> Refused {
    match error {
        PublishError::NoConnections(_) => Refused::NoConnections,
        PublishError::Full(_) => Refused::Full,
        _ => Refused::Closed,
    }
}

fn end(reason: CloseReason) -> End {
    match reason {
        CloseReason::Disconnected { code } => End::Disconnected(code),
        CloseReason::Evicted => End::Evicted,
        CloseReason::Replaced => End::Replaced,
        CloseReason::Idle => End::Idle,
        CloseReason::Overrun => End::Overrun,
        CloseReason::Revoked => End::Revoked,
        CloseReason::Shutdown => End::Shutdown,
        other => panic!("no connection can still see {other:?}"),
    }
}

fn got(received: Result<Received<Tainted>, TryRecvError>) -> Got<Value> {
    match received {
        Ok(Received::Event(d)) => Got::Event {
            number: d.number,
            value: (d.event.user, d.event.serial),
            origin: retention::origin(d.origin),
        },
        Ok(Received::Gap { missed, .. }) => Got::Gap(missed),
        Err(TryRecvError::Closed(closed)) => Got::Closed(end(closed.reason)),
        Err(TryRecvError::Empty) => Got::Empty,
        other => panic!("no such thing: {other:?}"),
    }
}
