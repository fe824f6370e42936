//! A thread that is stopped anywhere stops no other thread: shown for every shared access of every
//! operation. The thread is stopped before its k-th access, for each k in turn; all other threads
//! finish; the thread goes on; and the laws hold.

use std::sync::Arc;
use std::sync::atomic::{AtomicIsize, AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use crate::sync::Stop;
use crate::{
    ConnectOptions, Connection, Hub, LimitPolicy, Merge, PublishError, Received, Retention, RoomId,
    ThreadId, TryRecvError, UserId, UserScope, conserved,
};

mod bursts;
mod operations;
mod rooms;
use operations::{Ends, OPERATIONS, Operation};

const CAPACITY: usize = 4;
/// Of a lane whose bursts take several blocks, of 16 events each.
const BLOCKS: usize = 64;
const PATIENCE: Duration = Duration::from_secs(30);

/// Counts how many of its kind are alive.
#[derive(Debug)]
struct Event(Arc<AtomicIsize>, u64);

impl Event {
    fn new(alive: &Arc<AtomicIsize>, n: u64) -> Self {
        alive.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(alive), n)
    }
}
impl Clone for Event {
    fn clone(&self) -> Self {
        Self::new(&self.0, self.1)
    }
}
/// Any two are of one stream.
impl Merge for Event {
    fn can_merge(&self, _: &Self) -> bool {
        true
    }
    fn merge(&mut self, _: Self) {}
    fn size(&self) -> usize {
        1
    }
}
impl Drop for Event {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[derive(Clone)]
struct World {
    alive: Arc<AtomicIsize>,
    hub: Hub<Event>,
    ann: UserScope<Event>,
    bob: UserScope<Event>,
    /// Of a user without a connection.
    cem: UserScope<Event>,
    thread: ThreadId,
    /// In which ann is at times.
    room: RoomId,
    capacity: usize,
    offered: Arc<AtomicU64>,
}

impl World {
    /// `keeps`: with retention, and so little room that it drops events early.
    fn new(capacity: usize, keeps: bool) -> Self {
        Self::limited(capacity, keeps, 10)
    }

    /// The oldest connection has to go when there would be more than `connections`.
    fn limited(capacity: usize, keeps: bool, connections: usize) -> Self {
        let retention = Retention::events(capacity).bytes(12 * capacity);
        let hub = Hub::builder()
            .lane_capacity(capacity)
            .max_connections_per_user(connections)
            .limit_policy(LimitPolicy::EvictOldest)
            .shards(1)
            .retention(keeps.then_some(retention))
            // So large that no event is refused: each one is charged, and released.
            .hub_bytes((keeps && capacity == BLOCKS).then_some(1 << 40))
            .conflation(Some(1))
            .build()
            .expect("valid");
        let scope = |name| hub.scope(UserId::new(name).expect("valid"));
        Self {
            alive: Arc::default(),
            ann: scope("ann"),
            bob: scope("bob"),
            cem: scope("cem"),
            thread: ThreadId::new("thread").expect("valid"),
            room: RoomId::new("room").expect("valid"),
            hub,
            capacity,
            offered: Arc::default(),
        }
    }

    /// An event that is to be offered.
    fn event(&self) -> Event {
        let n = self.offered.fetch_add(1, Ordering::SeqCst);
        Event::new(&self.alive, n)
    }

    fn publish(&self, scope: &UserScope<Event>) {
        scope.publish(self.event()).expect("accepted");
    }

    /// A device of ann's, attached to the thread.
    fn device(&self) -> Connection<Event> {
        let options = ConnectOptions::default().thread(self.thread.clone());
        self.ann.connect_with(options).expect("room")
    }

    /// The calls of all other threads while this thread stands still.
    fn go_on(&self, ends: Ends, tablet: &mut Connection<Event>, other: &mut Connection<Event>) {
        match ends {
            Ends::Nothing => self.go_on_with_ann(tablet, other),
            Ends::Ann | Ends::All => self.go_on_anyhow(ends, tablet, other),
        }
    }

    fn go_on_with_ann(&self, tablet: &mut Connection<Event>, other: &mut Connection<Event>) {
        let (ann, bob) = (&self.ann, &self.bob);
        drain(tablet);
        for _ in 0..3 * self.capacity {
            self.publish(ann);
            self.publish(bob);
            drain(tablet);
            assert_eq!(drain(other), 1, "another user notices nothing");
        }
        for _ in 0..3 * self.capacity {
            self.publish(ann);
        }
        let mut fresh = ann.connect().expect("room");
        self.publish(ann);
        assert_eq!(drain(&mut fresh), 1);
        drain(tablet);
        drop(fresh);
        let cut = ann.connect().expect("room");
        assert!(ann.disconnect(cut.id(), 1));
        self.publish(ann);
        assert!(drain(tablet) > 0, "events go on arriving");
        self.go_on_in_rooms(tablet);
        self.hub.sweep(Duration::ZERO);
    }

    /// The same while ann's connections are being closed, or all are.
    fn go_on_anyhow(
        &self,
        ends: Ends,
        tablet: &mut Connection<Event>,
        other: &mut Connection<Event>,
    ) {
        for _ in 0..3 * self.capacity {
            let _ = self.ann.publish(self.event());
            let _ = self.bob.publish(self.event());
            drain(tablet);
            let events = drain(other);
            assert!(
                events == 1 || ends == Ends::All,
                "another user notices nothing"
            );
        }
        if let Ok(mut fresh) = self.ann.connect() {
            let _ = self.ann.try_publish(self.event());
            drain(&mut fresh);
        }
        self.hub.sweep(Duration::ZERO);
    }
}

/// Everything there is; how many events.
fn drain(connection: &mut Connection<Event>) -> usize {
    let mut events = 0;
    while let Ok(received) = connection.try_recv() {
        events += usize::from(matches!(received, Received::Event(_)));
    }
    events
}

/// How a stop is made.
#[derive(Clone, Copy, Debug)]
struct Setting {
    keeps: bool,
    /// The operation's device is closed from outside while its thread stands still.
    cut: bool,
}

/// Runs the operation with its thread stopped before access `k`; `false` if it has fewer accesses.
#[allow(clippy::disallowed_methods)] // Watches the other thread.
fn stopped_before(k: usize, operation: &'static Operation, setting: Setting) -> bool {
    let world = World::new(operation.capacity, setting.keeps);
    let (ann, bob) = (world.ann.clone(), world.bob.clone());
    let mut tablet = ann.connect().expect("room");
    let mut other = bob.connect().expect("room");
    let device = world.device();
    let id = device.id();
    let mut late = operation.shared.then(|| ann.connect().expect("room"));
    for _ in 0..operation.backlog {
        world.publish(&ann);
        drain(&mut tablet);
    }
    let stop = Stop::before(k);
    let (stopped, theirs) = (Arc::clone(&stop), world.clone());
    let thread = thread::spawn(move || stopped.run(|| (operation.run)(&theirs, device)));
    while !stop.is_reached() && !thread.is_finished() {
        thread::yield_now();
    }
    let reached = stop.is_reached();
    if setting.cut {
        ann.disconnect(id, 7);
    }
    // In a thread of their own, so that one that waits is noticed.
    let (done, told) = mpsc::channel();
    thread::spawn(move || {
        world.go_on(operation.ends, &mut tablet, &mut other);
        let _ = done.send((world, tablet, other));
    });
    let name = operation.name;
    let (world, mut tablet, mut other) = told
        .recv_timeout(PATIENCE)
        .unwrap_or_else(|e| panic!("{name}, stopped before access {k}, stops others: {e}"));
    stop.release();
    let mut device = thread.join().expect("goes on");
    let mut connections: Vec<_> = [Some(&mut tablet), Some(&mut other)]
        .into_iter()
        .chain([device.as_mut(), late.as_mut()])
        .flatten()
        .collect();
    for connection in &mut connections {
        drain(connection);
    }
    let stats = connections.iter().map(|c| c.stats());
    conserved(
        world.offered.load(Ordering::SeqCst),
        &world.hub.stats(),
        stats,
    )
    .unwrap_or_else(|e| panic!("{name}, stopped before access {k}, {setting:?}: {e}"));
    drop((tablet, other, device, late, ann, bob));
    let alive = Arc::clone(&world.alive);
    drop(world);
    assert_eq!(
        alive.load(Ordering::SeqCst),
        0,
        "{name}, stopped before access {k}: each payload is dropped once"
    );
    reached
}

/// Stops the operation before each of its accesses.
#[allow(clippy::disallowed_methods)] // Tells how long it took.
fn stopped_anywhere(operation: &'static Operation, setting: Setting) {
    let start = Instant::now();
    let accesses = (0..10_000).find(|&k| !stopped_before(k, operation, setting));
    let accesses = accesses.expect("an operation ends");
    assert!(accesses > 0 || operation.name == "recover");
    println!(
        "{}, backlog {} of {}, {setting:?}: stopped before each of {accesses} accesses, {:.0?}",
        operation.name,
        operation.backlog,
        operation.capacity,
        start.elapsed()
    );
}

#[test]
fn a_thread_stopped_at_any_access_stops_no_other() {
    let (keeps, cut) = (false, false);
    for operation in OPERATIONS {
        stopped_anywhere(operation, Setting { keeps, cut });
    }
}

#[test]
fn a_thread_stopped_at_any_access_of_a_lane_that_keeps_stops_no_other() {
    let (keeps, cut) = (true, false);
    for operation in OPERATIONS {
        stopped_anywhere(operation, Setting { keeps, cut });
    }
}

#[test]
fn r074_a_receive_stopped_while_its_device_is_closed_is_told_nothing_behind_its_end() {
    let receives = |operation: &&Operation| operation.name.starts_with("receive");
    for operation in OPERATIONS.iter().filter(receives) {
        for keeps in [false, true] {
            stopped_anywhere(operation, Setting { keeps, cut: true });
        }
    }
}

/// A connect to a full user that is stopped on its way. `false` if it has fewer accesses.
#[allow(clippy::disallowed_methods)] // Watches the other thread.
fn evicts_before(k: usize, keeps: bool) -> bool {
    let world = World::limited(CAPACITY, keeps, 2);
    let mut devices = vec![world.device(), world.device()];
    world.publish(&world.ann);
    let stop = Stop::before(k);
    let (stopped, ann) = (Arc::clone(&stop), world.ann.clone());
    let thread = thread::spawn(move || stopped.run(|| ann.connect()));
    while !stop.is_reached() && !thread.is_finished() {
        thread::yield_now();
    }
    let reached = stop.is_reached();
    for _ in 0..3 {
        devices.push(world.ann.connect().expect("the oldest goes"));
        assert!(world.ann.connection_count() <= 2);
        let _ = world.ann.publish(world.event());
        for device in &mut devices {
            drain(device);
        }
    }
    stop.release();
    devices.push(thread.join().expect("goes on").expect("the oldest goes"));
    assert_eq!(world.ann.connection_count(), 2);
    let stats = devices.iter().map(Connection::stats);
    conserved(
        world.offered.load(Ordering::SeqCst),
        &world.hub.stats(),
        stats,
    )
    .unwrap_or_else(|e| panic!("stopped before access {k}: {e}"));
    reached
}

#[test]
fn a_connect_that_evicts_stopped_at_any_access_stops_no_other() {
    for keeps in [false, true] {
        let accesses = (0..10_000).find(|&k| !evicts_before(k, keeps));
        assert!(accesses.expect("a connect ends") > 0);
    }
}

/// A publish that is stopped while the user's last connection leaves, after a shutdown perhaps.
#[allow(clippy::disallowed_methods)] // Watches the other thread.
fn left_behind_before(k: usize, shutdown: bool, kept: bool, keeps: bool) -> bool {
    let world = World::new(CAPACITY, keeps);
    let ann = world.ann.clone();
    let device = ann.connect().expect("room");
    for _ in 0..=CAPACITY {
        world.publish(&ann);
    }
    // One scope has kept its entry, the other looks it up.
    let scope = if kept { ann } else { world.ann.clone() };
    let event = world.event();
    let stop = Stop::before(k);
    let stopped = Arc::clone(&stop);
    let thread = thread::spawn(move || stopped.run(|| scope.publish(event)));
    while !stop.is_reached() && !thread.is_finished() {
        thread::yield_now();
    }
    let reached = stop.is_reached();
    if shutdown {
        world.hub.shutdown();
    }
    drop(device);
    stop.release();
    let done = thread.join().expect("goes on");
    if reached && shutdown {
        let closed = |e: &PublishError<Event>| matches!(e, PublishError::Closed(_));
        assert!(done.as_ref().err().is_none_or(closed), "access {k}");
    }
    drop(done);
    conserved(world.offered.load(Ordering::SeqCst), &world.hub.stats(), [])
        .unwrap_or_else(|e| panic!("stopped before access {k}: {e}"));
    reached
}

#[test]
fn an_event_whose_user_leaves_meanwhile_is_accounted_for() {
    for (shutdown, kept) in [(false, false), (false, true), (true, false), (true, true)] {
        for keeps in [false, true] {
            let accesses = (0..10_000).find(|&k| !left_behind_before(k, shutdown, kept, keeps));
            assert!(accesses.expect("a publish ends") > 0);
        }
    }
}

/// A connect that is stopped while the hub is shut down ends like all others.
#[allow(clippy::disallowed_methods)] // Watches the other thread.
fn connects_before(k: usize, keeps: bool) -> bool {
    let world = World::new(CAPACITY, keeps);
    let ann = world.ann.clone();
    let stop = Stop::before(k);
    let stopped = Arc::clone(&stop);
    let thread = thread::spawn(move || stopped.run(|| ann.connect()));
    while !stop.is_reached() && !thread.is_finished() {
        thread::yield_now();
    }
    let reached = stop.is_reached();
    world.hub.shutdown();
    stop.release();
    if let Ok(mut connection) = thread.join().expect("goes on") {
        let ended = connection.try_recv().expect_err("nothing was published");
        assert!(matches!(ended, TryRecvError::Closed(_)), "access {k}");
    }
    reached
}

#[test]
fn a_connect_that_a_shutdown_overtakes_is_closed() {
    for keeps in [false, true] {
        assert!((0..10_000).any(|k| !connects_before(k, keeps)));
    }
}

/// A look at the connections that is stopped on its way, while the oldest ones make room for others.
#[allow(clippy::disallowed_methods)] // Watches the other thread.
fn lists_before(k: usize, keeps: bool) -> bool {
    let world = World::limited(CAPACITY, keeps, 2);
    let mut devices = vec![world.device(), world.device()];
    let stop = Stop::before(k);
    let (stopped, ann) = (Arc::clone(&stop), world.ann.clone());
    let thread = thread::spawn(move || stopped.run(|| ann.connections().len()));
    while !stop.is_reached() && !thread.is_finished() {
        thread::yield_now();
    }
    let reached = stop.is_reached();
    devices.push(world.ann.connect().expect("the oldest goes"));
    stop.release();
    let listed = thread.join().expect("goes on");
    assert!(listed <= 2, "stopped before access {k}: {listed} of 2");
    reached
}

#[test]
fn r020_a_look_at_the_connections_never_shows_more_than_the_limit() {
    for keeps in [false, true] {
        let accesses = (0..10_000).find(|&k| !lists_before(k, keeps));
        assert!(accesses.expect("a look ends") > 0);
    }
}
