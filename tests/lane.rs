//! What threads that join, leave and lag see of one lane.
#![cfg(not(any(laneway_loom, laneway_shuttle)))]
#![allow(clippy::disallowed_methods)] // A thread sleeps so that it wakes in the middle of another.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use laneway::{
    Addressed, ConnectOptions, Connection, ConnectionId, Hub, Received, ThreadId, TryRecvError,
    UserId, UserScope, conserved,
};

fn ann<E: Send + Sync + 'static>(capacity: usize) -> (Hub<E>, UserScope<E>) {
    let hub = Hub::builder()
        .lane_capacity(capacity)
        .max_connections_per_user(255)
        .build()
        .unwrap();
    let scope = hub.scope(UserId::new("ann").unwrap());
    (hub, scope)
}

// ---- R072: audiences while connections join ----

const JOINS: usize = 2_000;
/// Events that each joiner reads before it leaves.
const READS: usize = 4;

/// What one joiner saw.
struct Seen {
    /// The numbers from its first one to the last one it read.
    numbers: Range<u64>,
    received: BTreeSet<u64>,
    /// Numbers that it was told it missed.
    missed: u64,
}

/// Connects to the thread, reads some events, and leaves.
fn join(scope: &UserScope<()>, thread: &ThreadId) -> Seen {
    let mut device = scope.connect_with(attached_to(thread)).unwrap();
    let (mut received, mut last) = (BTreeSet::new(), 0);
    while received.len() < READS {
        match device.try_recv() {
            Ok(Received::Event(got)) => {
                last = got.number;
                assert!(received.insert(last), "{last} comes twice");
            }
            Ok(_) | Err(TryRecvError::Empty) => {}
            Err(e) => panic!("{e}"),
        }
    }
    // The last event's number, and how many numbers it passed up to there.
    let stats = device.stats();
    let passed = stats.delivered + stats.stepped_over + stats.missed;
    Seen {
        numbers: last + 1 - passed..last + 1,
        received,
        missed: stats.missed,
    }
}

fn attached_to(thread: &ThreadId) -> ConnectOptions {
    ConnectOptions {
        threads: vec![thread.clone()],
        ..ConnectOptions::default()
    }
}

/// Publishes to `audience` while connections of one thread come and go. Each of them is in the
/// audience; so is one device that stays, and another one is not.
fn joiners_receive_what_is_for_them(
    audience: for<'a> fn(&'a UserScope<()>, &'a ThreadId, ConnectionId) -> Addressed<'a, ()>,
) {
    let (_hub, scope) = ann(1024);
    let thread = ThreadId::new("trip to Oslo").unwrap();
    let _stays = scope.connect_with(attached_to(&thread)).unwrap();
    let outsider = scope.connect().unwrap().id();
    let stop = AtomicBool::new(false);
    let (accepted, seen) = thread::scope(|s| {
        let publisher = s.spawn(|| {
            let mut accepted = BTreeSet::new();
            while !stop.load(Ordering::Relaxed) {
                let done = audience(&scope, &thread, outsider).publish(());
                accepted.insert(done.expect("a device is there").number);
            }
            accepted
        });
        let joiners = [(); 2].map(|()| {
            s.spawn(|| {
                let joins = (0..JOINS / 2).map(|_| join(&scope, &thread));
                joins.collect::<Vec<_>>()
            })
        });
        let seen = joiners.map(|joiner| joiner.join().unwrap());
        stop.store(true, Ordering::Relaxed);
        (publisher.join().unwrap(), seen)
    });
    let (mut silent, mut first) = (0, None);
    for seen in seen.iter().flatten() {
        assert!(seen.received.is_subset(&accepted), "a number of no event");
        let theirs = accepted.range(seen.numbers.clone()).copied();
        let lost: Vec<_> = theirs.filter(|n| !seen.received.contains(n)).collect();
        if lost.len() as u64 > seen.missed {
            silent += 1;
            first = first.or(Some((seen.numbers.clone(), lost)));
        }
    }
    assert!(
        silent == 0,
        "{silent} of {JOINS} joiners lost events without a word; of the numbers and lost numbers of \
         the first one: {first:?}"
    );
}

#[test]
fn r072_an_event_for_a_thread_reaches_those_that_join_it_at_that_moment() {
    joiners_receive_what_is_for_them(|scope, thread, _| scope.to_thread(thread));
}

#[test]
fn r072_an_event_for_the_others_reaches_those_that_join_at_that_moment() {
    joiners_receive_what_is_for_them(|scope, _, outsider| scope.to_others(outsider));
}

// ---- R074: closed from outside while lapped ----

const CLOSURES: usize = 20_000;

/// Reads until the end. Returns the sum of the gaps.
fn read_to_the_end(device: &mut Connection<u64>) -> u64 {
    let (mut missed, mut last) = (0, None);
    loop {
        match device.try_recv() {
            Ok(Received::Event(got)) => {
                assert!(last < Some(got.number), "numbers grow");
                last = Some(got.number);
            }
            Ok(Received::Gap { missed: gap, .. }) => missed += gap,
            Err(TryRecvError::Closed(_)) => return missed,
            _ => {}
        }
    }
}

#[test]
fn r074_a_connection_closed_while_it_is_lapped_is_told_nothing_behind_its_end() {
    let (hub, scope) = ann(2);
    // The lane stays open, and is lapped all the time.
    let stalled = scope.connect().unwrap();
    let (stop, offered) = (AtomicBool::new(false), AtomicU64::new(0));
    let open = std::sync::mpsc::sync_channel::<ConnectionId>(1);
    let mut told = 0;
    thread::scope(|s| {
        // With more threads than processors each of them stands still now and then, anywhere.
        for _ in 0..2 {
            s.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let n = offered.fetch_add(1, Ordering::Relaxed);
                    scope.publish(n).unwrap();
                }
            });
        }
        let (opened, to_close) = open;
        let closer = s.spawn(|| {
            for id in to_close {
                // Wakes up on the processor of one of the others, which stands still meanwhile.
                thread::sleep(Duration::from_micros(20));
                assert!(scope.disconnect(id, 7));
                for _ in 0..8 {
                    let n = offered.fetch_add(1, Ordering::Relaxed);
                    scope.publish(n).unwrap();
                }
            }
        });
        let mut broken = Vec::new();
        for _ in 0..CLOSURES {
            let mut device = scope.connect().unwrap();
            opened.send(device.id()).unwrap();
            let missed = read_to_the_end(&mut device);
            let stats = device.stats();
            told += missed;
            if conserved(0, 0, &laneway::HubStats::default(), [stats]).is_err()
                || missed != stats.missed
            {
                broken.push(stats);
            }
        }
        drop(opened);
        closer.join().unwrap();
        stop.store(true, Ordering::Relaxed);
        let (count, first) = (broken.len(), broken.first());
        assert!(count == 0, "{count} of {CLOSURES} do not add up: {first:?}");
    });
    let stats = hub.stats();
    assert_eq!(stats.missed, told);
    conserved(
        offered.into_inner(),
        hub.accepted(),
        &stats,
        [stalled.stats()],
    )
    .unwrap();
}

// ---- bounded work ----

thread_local! {
    static DROPS: Cell<usize> = const { Cell::new(0) };
}

struct Counted;

impl Drop for Counted {
    fn drop(&mut self) {
        DROPS.set(DROPS.get() + 1);
    }
}

#[test]
fn no_publish_drops_more_than_256_events_of_a_stalled_device() {
    const CAPACITY: usize = 65_536;
    let (_hub, scope) = ann(CAPACITY);
    let stalled = scope.connect().unwrap();
    let (mut most, mut all) = (0, 0);
    for _ in 0..2 * CAPACITY + 1_000 {
        DROPS.set(0);
        scope.publish(Counted).unwrap();
        most = most.max(DROPS.get());
        all += DROPS.get();
    }
    assert!(most <= 256, "one publish dropped {most} events");
    // All but what the lane may hold: its capacity, and three blocks of 256.
    let least = CAPACITY + 1_000 - 3 * 256 - 1;
    assert!(all >= least, "{all} events were dropped, not {least}");
    assert_eq!(stalled.unread(), 2 * CAPACITY as u64 + 1_000);
}
