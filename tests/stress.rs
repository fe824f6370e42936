//! Threads that publish, lap, overrun, connect, leave and die, with the laws checked again and
//! again while all threads hold still. Runs for a second in `cargo test`, and for ten minutes by
//!
//! ```text
//! cargo test --release --test stress -- --ignored --nocapture
//! ```
#![cfg(not(any(laneway_loom, laneway_shuttle)))]
#![allow(clippy::disallowed_methods, clippy::disallowed_types)] // The test itself waits and locks.

mod common;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use common::random::Random;
use laneway::{
    CloseReason, Closed, Connection, ConnectionStats, Hub, LimitPolicy, Received, TryRecvError,
    UserId, UserScope, conserved,
};

const USERS: usize = 6;
const CAPACITY: usize = 16;
const READERS: usize = 3;
const PUBLISHERS: usize = 2;
/// How much longer a slow machine gets until everything has happened once.
const PATIENCE: Duration = Duration::from_secs(60);

/// An event that knows whose it is.
#[derive(Debug)]
struct Event {
    user: usize,
    /// Critical events of a user are numbered, so that a missing one shows.
    critical: Option<u64>,
    kills_its_reader: bool,
    body: Vec<u8>,
}

impl Clone for Event {
    fn clone(&self) -> Self {
        assert!(!self.kills_its_reader, "dies while it reads");
        Self {
            body: self.body.clone(),
            ..*self
        }
    }
}

#[derive(Default)]
struct Tally {
    offered: AtomicU64,
    received: AtomicU64,
    missed: AtomicU64,
    overruns: AtomicU64,
    deaths: AtomicU64,
    connects: AtomicU64,
}

impl Tally {
    /// Whether each of the rare things has happened.
    fn has_seen_all(&self) -> bool {
        let rare = [&self.missed, &self.overruns, &self.deaths, &self.connects];
        rare.iter().all(|count| count.load(Ordering::Relaxed) > 0)
    }
}

fn add(to: &AtomicU64, n: u64) {
    to.fetch_add(n, Ordering::Relaxed);
}

/// A device and what it may expect.
struct Device {
    user: usize,
    connection: Connection<Event>,
    last: Option<u64>,
    last_critical: Option<u64>,
}

impl Device {
    /// Reads up to `max`; `false` once it has ended.
    fn read(&mut self, max: u64, tally: &Tally) -> bool {
        for _ in 0..max {
            match catch_unwind(AssertUnwindSafe(|| self.connection.try_recv())) {
                Ok(Ok(Received::Event(got))) => {
                    add(&tally.received, 1);
                    assert_eq!(got.event.user, self.user, "misrouted");
                    assert!(
                        self.last.is_none_or(|last| last < got.number),
                        "out of order"
                    );
                    self.last = Some(got.number);
                    if let Some(critical) = got.event.critical {
                        let next = self.last_critical.map_or(critical, |last| last + 1);
                        assert_eq!(critical, next, "a critical event was missed in silence");
                        self.last_critical = Some(critical);
                    }
                }
                Ok(Ok(Received::Gap { missed, .. })) => add(&tally.missed, missed),
                Ok(Ok(other)) => panic!("no such thing: {other:?}"),
                Ok(Err(TryRecvError::Empty)) => return true,
                Ok(Err(TryRecvError::Closed(Closed { reason }))) => {
                    add(&tally.overruns, u64::from(reason == CloseReason::Overrun));
                    return false;
                }
                Ok(Err(other)) => panic!("no such error: {other:?}"),
                Err(_) => {
                    add(&tally.deaths, 1);
                    return false;
                }
            }
        }
        true
    }
}

fn reader(
    scopes: &[UserScope<Event>],
    random: &mut Random,
    devices: &mut Vec<Device>,
    tally: &Tally,
) {
    for _ in 0..200 {
        match random.below(20) {
            0 | 1 if devices.len() < 8 => {
                let user = random.below(USERS as u64) as usize;
                if let Ok(connection) = scopes[user].connect() {
                    add(&tally.connects, 1);
                    devices.push(Device {
                        user,
                        connection,
                        last: None,
                        last_critical: None,
                    });
                }
            }
            2 if !devices.is_empty() => {
                let at = random.below(devices.len() as u64) as usize;
                drop(devices.swap_remove(at));
            }
            3 if random.below(20) == 0 => {
                let user = random.below(USERS as u64) as usize;
                scopes[user].disconnect_all(4000);
            }
            _ if !devices.is_empty() => {
                let at = random.below(devices.len() as u64) as usize;
                if !devices[at].read(random.below(12), tally) {
                    drop(devices.swap_remove(at));
                }
            }
            _ => {}
        }
    }
}

fn publisher(
    mine: usize,
    scopes: &[UserScope<Event>],
    random: &mut Random,
    criticals: &mut [u64],
    tally: &Tally,
) {
    for _ in 0..200 {
        // Critical events of a user come from one thread, so that they are numbered in order.
        let critical = random.below(8) == 0;
        let all = random.below(USERS as u64) as usize;
        let user = if critical {
            all / PUBLISHERS * PUBLISHERS + mine
        } else {
            all
        };
        let scope = &scopes[user];
        let event = |critical, kills_its_reader| Event {
            user,
            critical,
            kills_its_reader,
            body: vec![user as u8; 40],
        };
        add(&tally.offered, 1);
        if critical {
            let serial = criticals[user];
            criticals[user] +=
                u64::from(scope.publish_critical(event(Some(serial), false)).is_ok());
            continue;
        }
        match random.below(10) {
            0 | 1 => drop(scope.try_publish(event(None, false))),
            2 => {
                add(&tally.offered, 2);
                let batch = [0; 3].map(|_| event(None, false));
                if let Err(e) = scope.publish_batch(batch) {
                    // The events behind the refused one were not offered.
                    let unoffered = 2 - e.delivery.events as u64;
                    tally.offered.fetch_sub(unoffered, Ordering::Relaxed);
                }
            }
            3 => match scope.connections().first() {
                Some(info) => drop(scope.to_others(info.id).publish(event(None, false))),
                None => drop(scope.publish(event(None, false))),
            },
            4 if random.below(50) == 0 => drop(scope.publish(event(None, true))),
            _ => drop(scope.publish(event(None, false))),
        }
    }
}

fn resident_kib() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm.split(' ').nth(1).and_then(|p| p.parse::<u64>().ok());
    pages.unwrap_or(0) * 4
}

#[test]
fn r016_r060_nothing_is_lost_misrouted_or_leaked_under_mixed_load() {
    mixed_load(Duration::from_secs(1));
}

/// `LANEWAY_SOAK_SECONDS` makes it longer or shorter.
#[test]
#[ignore = "takes ten minutes"]
fn soak() {
    let seconds = std::env::var("LANEWAY_SOAK_SECONDS").map_or(600, |s| s.parse().unwrap());
    mixed_load(Duration::from_secs(seconds));
}

#[allow(clippy::too_many_lines)] // One story, told once.
fn mixed_load(duration: Duration) {
    // Readers die by a panic in a payload; that is part of the plan and needs no report.
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let text = info.payload().downcast_ref::<&str>();
        if text.is_none_or(|text| !text.contains("dies while it reads")) {
            report(info);
        }
    }));
    let hub = Hub::builder()
        .lane_capacity(CAPACITY)
        .max_connections_per_user(5)
        .limit_policy(LimitPolicy::EvictOldest)
        .build::<Event>()
        .unwrap();
    let scopes: Vec<_> = (0..USERS)
        .map(|u| hub.scope(UserId::new(format!("user {u}")).unwrap()))
        .collect();
    let tally = Tally::default();
    let stop = AtomicBool::new(false);
    // All threads meet before and after each check.
    let still = Barrier::new(READERS + PUBLISHERS + 1);
    let (told, figures) = std::sync::mpsc::channel::<Vec<ConnectionStats>>();
    thread::scope(|s| {
        for seed in 0..READERS {
            let (scopes, tally, stop, still, told) = (&scopes, &tally, &stop, &still, told.clone());
            s.spawn(move || {
                let mut random = Random(0x9E37_79B9_7F4A_7C15 + seed as u64);
                let mut devices = Vec::new();
                while !stop.load(Ordering::SeqCst) {
                    for _ in 0..50 {
                        reader(scopes, &mut random, &mut devices, tally);
                    }
                    still.wait();
                    told.send(devices.iter().map(|d| d.connection.stats()).collect())
                        .unwrap();
                    still.wait();
                }
            });
        }
        for mine in 0..PUBLISHERS {
            let (scopes, tally, stop, still) = (&scopes, &tally, &stop, &still);
            s.spawn(move || {
                let mut random = Random(0xD1B5_4A32_D192_ED03 + mine as u64);
                let mut criticals = [0; USERS];
                while !stop.load(Ordering::SeqCst) {
                    for _ in 0..50 {
                        publisher(mine, scopes, &mut random, &mut criticals, tally);
                    }
                    still.wait();
                    still.wait();
                }
            });
        }
        let start = Instant::now();
        let (mut checks, mut next_report, mut after_a_minute) = (0, 0, None);
        while !stop.load(Ordering::SeqCst) {
            still.wait();
            let live: Vec<_> = (0..READERS).flat_map(|_| figures.recv().unwrap()).collect();
            let stats = hub.stats();
            conserved(
                tally.offered.load(Ordering::Relaxed),
                hub.accepted(),
                &stats,
                live,
            )
            .unwrap();
            assert_eq!(stats.missed, tally.missed.load(Ordering::Relaxed));
            let (mut users, mut connections) = (0, 0);
            hub.for_each_user(|_, live| {
                users += 1;
                connections += live;
            });
            assert_eq!((stats.users, stats.connections), (users, connections));
            hub.sweep(start.elapsed());
            checks += 1;
            let elapsed = start.elapsed().as_secs();
            if elapsed >= next_report {
                let resident = resident_kib();
                println!(
                    "{elapsed} s: {checks} checks, {} offered, {} received, {} missed, {} overruns, \
                     {} connects, {} deaths, {resident} KiB",
                    tally.offered.load(Ordering::Relaxed),
                    tally.received.load(Ordering::Relaxed),
                    tally.missed.load(Ordering::Relaxed),
                    stats.overruns,
                    tally.connects.load(Ordering::Relaxed),
                    tally.deaths.load(Ordering::Relaxed),
                );
                next_report = elapsed + 10;
                if elapsed >= 60 {
                    let first = *after_a_minute.get_or_insert(resident);
                    assert!(
                        resident <= first + first / 10 + 2048,
                        "memory grows: {first} KiB before"
                    );
                }
            }
            // A slow machine needs longer until everything has happened once.
            let over = start.elapsed() >= duration;
            let tame = !tally.has_seen_all() && start.elapsed() < duration + PATIENCE;
            stop.store(over && !tame, Ordering::SeqCst);
            still.wait();
        }
        assert!(tally.has_seen_all(), "too tame");
    });
    drop(scopes);
    assert_eq!((hub.user_count(), hub.stats().connections), (0, 0));
}
