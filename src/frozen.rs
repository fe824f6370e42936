//! A thread that is stopped anywhere stops nobody else: shown for every shared access of every
//! operation. The thread is stopped before its k-th access, for each k in turn; everybody else
//! finishes; the thread goes on; and the laws hold.

use std::sync::Arc;
use std::sync::atomic::{AtomicIsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use crate::sync::Stop;
use crate::{
    Connection, PublishError, Received, Retention, Router, TryRecvError, UserId, UserScope,
    conserved,
};

const CAPACITY: usize = 4;
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
impl Drop for Event {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[derive(Clone)]
struct World {
    alive: Arc<AtomicIsize>,
    router: Router<Event>,
    ann: UserScope<Event>,
    bob: UserScope<Event>,
    offered: u64,
}

impl World {
    /// `keeps`: with retention, and so little room that it drops events early.
    fn new(keeps: bool) -> Self {
        let retention = Retention::events(CAPACITY).bytes(48);
        let router = Router::builder()
            .lane_capacity(CAPACITY)
            .shards(1)
            .retention(keeps.then_some(retention))
            .build()
            .expect("valid");
        let scope = |name| router.scope(UserId::new(name).expect("valid"));
        Self {
            alive: Arc::default(),
            ann: scope("ann"),
            bob: scope("bob"),
            router,
            offered: 0,
        }
    }

    fn publish(&mut self, scope: &UserScope<Event>) {
        self.offered += 1;
        let event = Event::new(&self.alive, self.offered);
        scope.publish(event).expect("accepted");
    }

    /// What everybody else does while the thread stands still.
    fn go_on(&mut self, tablet: &mut Connection<Event>, other: &mut Connection<Event>) {
        let (ann, bob) = (self.ann.clone(), self.bob.clone());
        drain(tablet);
        for _ in 0..3 * CAPACITY {
            self.publish(&ann);
            self.publish(&bob);
            drain(tablet);
            assert_eq!(drain(other), 1, "another user notices nothing");
        }
        for _ in 0..3 * CAPACITY {
            self.publish(&ann);
        }
        let mut fresh = ann.connect().expect("room");
        self.publish(&ann);
        assert_eq!(drain(&mut fresh), 1);
        drain(tablet);
        drop(fresh);
        let cut = ann.connect().expect("room");
        assert!(ann.disconnect(cut.id(), 1));
        self.publish(&ann);
        assert!(drain(tablet) > 0, "events go on arriving");
        self.router.sweep(Duration::ZERO);
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

/// What a stopped thread does, with a device of ann's; how many events it offers.
struct Operation {
    name: &'static str,
    /// Events published before it, unread by its device.
    backlog: usize,
    /// Ann has another device that is as late.
    shared: bool,
    offers: u64,
    run: fn(&World, Connection<Event>) -> Option<Connection<Event>>,
}

fn event(world: &World) -> Event {
    Event::new(&world.alive, 0)
}

const OPERATIONS: [Operation; 14] = [
    Operation {
        name: "publish",
        backlog: 0,
        shared: false,
        offers: 1,
        run: |world, device| {
            let _ = world.ann.publish(event(world));
            Some(device)
        },
    },
    Operation {
        name: "publish that overwrites",
        backlog: CAPACITY,
        shared: true,
        offers: 1,
        run: |world, device| {
            let _ = world.ann.publish(event(world));
            Some(device)
        },
    },
    Operation {
        name: "publish_critical that overwrites",
        backlog: CAPACITY,
        shared: true,
        offers: 3,
        run: |world, device| {
            for _ in 0..3 {
                let _ = world.ann.publish_critical(event(world));
            }
            Some(device)
        },
    },
    Operation {
        name: "try_publish",
        backlog: 0,
        shared: false,
        offers: 1,
        run: |world, device| {
            let _ = world.ann.try_publish(event(world));
            Some(device)
        },
    },
    Operation {
        name: "publish to one device",
        backlog: 0,
        shared: true,
        offers: 1,
        run: |world, device| {
            let _ = world.ann.to_connection(device.id()).publish(event(world));
            Some(device)
        },
    },
    Operation {
        name: "receive, one reader of two",
        backlog: 1,
        shared: true,
        offers: 0,
        run: |_, mut device| {
            let _ = device.try_recv();
            Some(device)
        },
    },
    Operation {
        name: "receive, last reader",
        backlog: 1,
        shared: false,
        offers: 0,
        run: |_, mut device| {
            let _ = device.try_recv();
            Some(device)
        },
    },
    Operation {
        name: "receive, lapped",
        backlog: CAPACITY + 1,
        shared: true,
        offers: 0,
        run: |_, mut device| {
            drain(&mut device);
            Some(device)
        },
    },
    Operation {
        name: "connect",
        backlog: 0,
        shared: false,
        offers: 0,
        run: |world, device| {
            drop(device);
            world.ann.connect().ok()
        },
    },
    Operation {
        name: "resume",
        backlog: 2,
        shared: true,
        offers: 0,
        run: |world, device| {
            let position = device.position();
            drop(device);
            world.ann.resume(&position).ok().map(|(device, _)| device)
        },
    },
    Operation {
        name: "recover",
        backlog: 0,
        shared: false,
        offers: 0,
        run: |_, mut device| {
            let _ = device.recover();
            Some(device)
        },
    },
    Operation {
        name: "drop a connection",
        backlog: 2,
        shared: true,
        offers: 0,
        run: |_, device| {
            drop(device);
            None
        },
    },
    Operation {
        name: "disconnect from outside",
        backlog: 2,
        shared: true,
        offers: 0,
        run: |world, device| {
            world.ann.disconnect(device.id(), 7);
            Some(device)
        },
    },
    Operation {
        name: "wait with a timeout",
        backlog: 0,
        shared: false,
        offers: 0,
        run: |_, mut device| {
            let _ = device.recv_timeout(Duration::ZERO);
            Some(device)
        },
    },
];

/// Runs the operation with its thread stopped before access `k`; `false` if it has fewer accesses.
#[allow(clippy::disallowed_methods)] // Watches the other thread.
fn stopped_before(k: usize, operation: &'static Operation, keeps: bool) -> bool {
    let mut world = World::new(keeps);
    let (ann, bob) = (world.ann.clone(), world.bob.clone());
    let mut tablet = ann.connect().expect("room");
    let mut other = bob.connect().expect("room");
    let device = ann.connect().expect("room");
    let mut late = operation.shared.then(|| ann.connect().expect("room"));
    for _ in 0..operation.backlog {
        world.publish(&ann);
        drain(&mut tablet);
    }
    world.offered += operation.offers;
    let stop = Stop::before(k);
    let (stopped, theirs) = (Arc::clone(&stop), world.clone());
    let thread = thread::spawn(move || stopped.run(|| (operation.run)(&theirs, device)));
    while !stop.is_reached() && !thread.is_finished() {
        thread::yield_now();
    }
    let reached = stop.is_reached();
    // In a thread of their own, so that one who waits is noticed.
    let (done, told) = mpsc::channel();
    thread::spawn(move || {
        world.go_on(&mut tablet, &mut other);
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
    conserved(world.offered, &world.router.stats(), stats)
        .unwrap_or_else(|e| panic!("{name}, stopped before access {k}: {e}"));
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

#[test]
#[allow(clippy::disallowed_methods)] // Tells how long it took.
fn a_thread_stopped_at_any_access_stops_nobody_else() {
    let both = OPERATIONS.iter().map(|operation| (operation, false));
    for (operation, keeps) in both.chain(OPERATIONS.iter().map(|operation| (operation, true))) {
        let start = Instant::now();
        let accesses = (0..10_000).find(|&k| !stopped_before(k, operation, keeps));
        let accesses = accesses.expect("an operation ends");
        assert!(accesses > 0 || operation.name == "recover");
        println!(
            "{}{}: stopped before each of {accesses} accesses, {:.0?}",
            operation.name,
            if keeps { ", with retention" } else { "" },
            start.elapsed()
        );
    }
}

/// A publish that is stopped while the user's last connection leaves, after a shutdown perhaps.
#[allow(clippy::disallowed_methods)] // Watches the other thread.
fn left_behind_before(k: usize, shutdown: bool, kept: bool, keeps: bool) -> bool {
    let mut world = World::new(keeps);
    let ann = world.ann.clone();
    let device = ann.connect().expect("room");
    for _ in 0..=CAPACITY {
        world.publish(&ann);
    }
    // One scope has kept its entry, the other looks it up.
    let scope = if kept { ann } else { world.ann.clone() };
    world.offered += 1;
    let event = event(&world);
    let stop = Stop::before(k);
    let stopped = Arc::clone(&stop);
    let thread = thread::spawn(move || stopped.run(|| scope.publish(event)));
    while !stop.is_reached() && !thread.is_finished() {
        thread::yield_now();
    }
    let reached = stop.is_reached();
    if shutdown {
        world.router.shutdown();
    }
    drop(device);
    stop.release();
    let done = thread.join().expect("goes on");
    if reached && shutdown {
        let closed = |e: &PublishError<Event>| matches!(e, PublishError::Closed(_));
        assert!(done.as_ref().err().is_none_or(closed), "access {k}");
    }
    drop(done);
    conserved(world.offered, &world.router.stats(), [])
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

/// A connect that is stopped while the router is shut down ends like all others.
#[allow(clippy::disallowed_methods)] // Watches the other thread.
fn connects_before(k: usize, keeps: bool) -> bool {
    let world = World::new(keeps);
    let ann = world.ann.clone();
    let stop = Stop::before(k);
    let stopped = Arc::clone(&stop);
    let thread = thread::spawn(move || stopped.run(|| ann.connect()));
    while !stop.is_reached() && !thread.is_finished() {
        thread::yield_now();
    }
    let reached = stop.is_reached();
    world.router.shutdown();
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
