//! Devices that go and come back where they stopped, while others publish, recover and sweep.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use shuttle::rand::{Rng, thread_rng};
use shuttle::sync::Mutex;
use shuttle::thread;

use super::schedules;
use crate::{
    CloseReason, Connection, Hub, LimitPolicy, Origin, Position, Received, Resumed, Retention,
    TryRecvError, UserId, UserScope, conserved,
};

const USERS: usize = 2;
const PUBLISHERS: usize = 3;
const READERS: usize = 3;
const CALLS: usize = 12;
const CAPACITY: usize = 4;

#[derive(Clone, Debug)]
struct Event {
    user: usize,
    serial: usize,
    _counted: Arc<()>,
}

/// One device through all its connections.
struct Device {
    user: usize,
    connection: Connection<Event>,
    /// Where it began, if that is known, in the lane where it is now.
    start: Option<u64>,
    /// Nothing below it is to come any more.
    next: u64,
    received: Vec<u64>,
    missed: u64,
    /// Where live gaps ended, at the least.
    gaps: Vec<u64>,
}

impl Device {
    /// A device that comes twice, because resuming tells the number where it begins.
    fn new(user: usize, scope: &UserScope<Event>) -> Self {
        let connection = scope.connect().expect("room");
        let position = connection.position();
        let mut device = Self {
            user,
            connection,
            start: None,
            next: 0,
            received: Vec::new(),
            missed: 0,
            gaps: Vec::new(),
        };
        device.resume(scope, &position);
        device
    }

    /// Goes on in another connection; the old one is open until the new one is there, or not.
    fn come_back(&mut self, scope: &UserScope<Event>) {
        let position = self.connection.position();
        if thread_rng().gen_range(0..2) == 0 {
            self.connection = scope.connect().expect("room");
        }
        self.resume(scope, &position);
    }

    fn resume(&mut self, scope: &UserScope<Event>, position: &Position) {
        let (connection, resumed) = scope.resume(position).expect("its own");
        self.connection = connection;
        let (from, oldest) = match resumed {
            Resumed::Complete { from, .. } => (from, from),
            Resumed::Gap { missed, oldest } => (oldest - missed, oldest),
            Resumed::Reset => {
                self.start = None;
                self.next = 0;
                self.received.clear();
                self.gaps.clear();
                self.missed = 0;
                return;
            }
        };
        assert!(from >= self.next, "what it has comes again");
        self.start = self.start.or(Some(from));
        self.missed += oldest - from;
        self.next = oldest;
    }

    /// One receive; `false` at the end.
    fn read(&mut self) -> bool {
        match self.connection.try_recv() {
            Ok(Received::Event(got)) => {
                assert_eq!(got.event.user, self.user, "a foreign event");
                assert!(got.number >= self.next, "twice, or out of order");
                self.next = got.number + 1;
                self.received.push(got.number);
                true
            }
            Ok(Received::Gap { missed }) => {
                self.missed += missed;
                self.next += missed;
                self.gaps.push(self.next);
                true
            }
            Err(TryRecvError::Empty) => false,
            Err(TryRecvError::Closed(closed)) => {
                assert_ne!(
                    closed.reason,
                    CloseReason::Shutdown,
                    "in a lane that is over"
                );
                false
            }
        }
    }

    /// Between where it began and `end`, each event was received or told as missed.
    fn check(&self, end: u64, accepted: &BTreeSet<u64>) {
        let Some(start) = self.start else { return };
        let events = accepted.range(start..end).count() as u64;
        let received = self.received.iter().filter(|n| **n >= start).count() as u64;
        let (lost, no_events) = (events - received, end - start - events);
        // A number without an event counts as missed if it was overwritten, and else not.
        assert!(
            (lost..=lost + no_events).contains(&self.missed),
            "{lost} of {events} were lost, and {} told",
            self.missed
        );
        let last = accepted.last().map_or(0, |last| last + 1);
        let overwritten = |gap: &u64| gap + CAPACITY as u64 <= last;
        assert!(
            self.gaps.iter().all(overwritten),
            "a gap over what is there"
        );
    }
}

/// The notes of all threads on one schedule.
#[derive(Default)]
struct Told {
    offered: u64,
    /// User and number.
    accepted: BTreeSet<(usize, u64)>,
    /// Critical events that came while the user had no connection.
    unseen: BTreeSet<usize>,
    recovered: BTreeSet<usize>,
    /// Some were said to be gone.
    incomplete: bool,
}

struct Host {
    hub: Hub<Event>,
    scopes: Vec<UserScope<Event>>,
    /// Lanes of who is not there end at once.
    sweeps: bool,
    counted: Arc<()>,
    told: Mutex<Told>,
}

impl Host {
    fn publish(&self, serial: usize) {
        let user = thread_rng().gen_range(0..USERS);
        let event = Event {
            user,
            serial,
            _counted: Arc::clone(&self.counted),
        };
        let scope = &self.scopes[user];
        let (critical, done) = match thread_rng().gen_range(0..6) {
            0 => (false, scope.try_publish(event)),
            1 | 2 => (true, scope.publish_critical(event)),
            _ => (false, scope.publish(event)),
        };
        let mut told = self.told.lock().unwrap();
        told.offered += 1;
        if let Ok(delivery) = done {
            let fresh = told.accepted.insert((user, delivery.number));
            assert!(fresh || self.sweeps, "a number is given twice");
            if critical && delivery.connections == 0 {
                told.unseen.insert(serial);
            }
        }
    }

    /// Connects, recovers at most so many events, and disconnects.
    fn recover(&self, user: usize, most: usize) {
        let mut connection = self.scopes[user].connect().expect("room");
        let done = connection.recover();
        self.told.lock().unwrap().incomplete |= !done.complete;
        for _ in 0..most {
            let Ok(Received::Event(got)) = connection.try_recv() else {
                return;
            };
            assert_eq!(got.event.user, user, "a foreign event");
            if got.origin == Origin::Recovered {
                let mut told = self.told.lock().unwrap();
                assert!(told.recovered.insert(got.event.serial), "recovered twice");
            }
        }
    }

    fn reader(&self) -> Vec<Device> {
        let mut devices: Vec<Device> = Vec::new();
        for _ in 0..CALLS {
            let user = thread_rng().gen_range(0..USERS);
            let at = thread_rng().gen_range(0..devices.len().max(1));
            match thread_rng().gen_range(0..12) {
                0 => devices.push(Device::new(user, &self.scopes[user])),
                1 if self.sweeps => drop(self.hub.sweep(Duration::ZERO)),
                2 => self.recover(user, thread_rng().gen_range(0..CAPACITY)),
                _ if devices.is_empty() => devices.push(Device::new(user, &self.scopes[user])),
                3..=5 => {
                    let device = &mut devices[at];
                    device.come_back(&self.scopes[device.user]);
                }
                6 if self.sweeps => drop(devices.swap_remove(at)),
                _ => drop(devices[at].read()),
            }
        }
        devices
    }

    fn check(&self, mut devices: Vec<Device>) {
        for device in &mut devices {
            while device.read() {}
        }
        let stats = devices.iter().map(|device| device.connection.stats());
        let offered = self.told.lock().unwrap().offered;
        let (accepted, figures) = (self.hub.accepted(), self.hub.stats());
        conserved(offered, accepted, &figures, stats).expect("nothing vanishes");
        if !self.sweeps {
            let accepted = self.told.lock().unwrap().accepted.clone();
            for device in &mut devices {
                let position = device.connection.position();
                device.resume(&self.scopes[device.user], &position);
                let end = device.next;
                let own = accepted.iter().filter(|(user, _)| *user == device.user);
                device.check(end, &own.map(|(_, number)| *number).collect());
            }
            assert_eq!(self.hub.stats().stale_positions, 0, "no lane has ended");
            (0..USERS).for_each(|user| self.recover(user, usize::MAX));
            let told = self.told.lock().unwrap();
            assert!(
                told.recovered.is_subset(&told.unseen),
                "a connection was there"
            );
            let all = told.recovered.len() == told.unseen.len();
            assert!(
                all || told.incomplete,
                "some are lost, and no device was told"
            );
        }
        let counts = self.scopes.iter().map(UserScope::connection_count);
        let (live, all) = (counts.sum::<usize>(), self.hub.stats().connections);
        assert_eq!(all, live, "each connection counts once");
        drop(devices);
        assert_eq!(
            self.hub.stats().connections,
            0,
            "each connection counts once"
        );
        assert_eq!(self.hub.user_count(), 0, "no user is left behind");
        self.hub.shutdown();
        assert_eq!(self.hub.stats().absent_users, 0, "no lane is left behind");
        assert_eq!(
            Arc::strong_count(&self.counted),
            1,
            "events are left behind"
        );
    }
}

fn schedule() {
    let sweeps = thread_rng().gen_range(0..2) == 0;
    let mut retention = Retention::events(CAPACITY);
    if sweeps {
        retention = retention.grace(Duration::ZERO);
    }
    if thread_rng().gen_range(0..2) == 0 {
        retention = retention.bytes(2 * size_of::<Event>());
    }
    let hub = Hub::builder()
        .lane_capacity(CAPACITY)
        .max_connections_per_user(4)
        .limit_policy(LimitPolicy::EvictOldest)
        .shards(1)
        .retention(Some(retention))
        .build::<Event>()
        .expect("valid");
    let scope = |u| hub.scope(UserId::new(format!("user {u}")).expect("valid"));
    let host = Arc::new(Host {
        scopes: (0..USERS).map(scope).collect(),
        hub,
        sweeps,
        counted: Arc::new(()),
        told: Mutex::new(Told::default()),
    });
    let publishers: Vec<_> = (0..PUBLISHERS)
        .map(|name| {
            let host = Arc::clone(&host);
            thread::spawn(move || (0..CALLS).for_each(|n| host.publish(name * CALLS + n)))
        })
        .collect();
    let readers: Vec<_> = (0..READERS)
        .map(|_| {
            let host = Arc::clone(&host);
            thread::spawn(move || host.reader())
        })
        .collect();
    for publisher in publishers {
        publisher.join().unwrap();
    }
    let join = |reader: thread::JoinHandle<Vec<Device>>| reader.join().unwrap();
    let devices = readers.into_iter().flat_map(join).collect();
    host.check(devices);
}

#[test]
fn r014_r053_random_schedules_of_users_who_come_back() {
    let schedules = schedules();
    shuttle::check_random(schedule, schedules);
    println!(
        "{schedules} schedules of {} threads with retention",
        PUBLISHERS + READERS + 1
    );
}
