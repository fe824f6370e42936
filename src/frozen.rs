//! A thread that is stopped anywhere stops no other thread: shown for every shared access of every
//! operation. The thread is stopped before its k-th access, for each k in turn; all other threads
//! finish; the thread goes on; and the laws hold.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use crate::sync::Stop;
use crate::{Connection, PublishError, TryRecvError, conserved};

mod bursts;
mod gaps;
mod operations;
mod rooms;
mod world;
use operations::{OPERATIONS, Operation};
use world::{Event, World, drain};

const CAPACITY: usize = 4;
/// Of a lane whose bursts take several blocks, of 16 events each.
const BLOCKS: usize = 64;
const PATIENCE: Duration = Duration::from_secs(30);

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
    let (accepted, figures) = (world.hub.accepted(), world.hub.stats());
    conserved(
        world.offered.load(Ordering::SeqCst),
        accepted,
        &figures,
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
    let (accepted, figures) = (world.hub.accepted(), world.hub.stats());
    conserved(
        world.offered.load(Ordering::SeqCst),
        accepted,
        &figures,
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
    let (accepted, figures) = (world.hub.accepted(), world.hub.stats());
    assert_eq!(figures.connections, 0, "stopped before access {k}");
    conserved(world.offered.load(Ordering::SeqCst), accepted, &figures, [])
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
