//! A device through all its connections: it keeps its id, and what is owed to it stays owed.
#![cfg(not(any(laneway_loom, laneway_shuttle)))]
#![allow(clippy::disallowed_types)] // Threads that begin at one time.

use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use laneway::{
    Change, CloseReason, Closed, ConnectError, ConnectOptions, Connection, Hub, InvalidPosition,
    LimitPolicy, Origin, Position, Received, ResumeError, Resumed, Retention, ThreadId,
    TryRecvError, UserId, UserScope, conserved,
};

fn user(name: &str) -> UserId {
    UserId::new(name).expect("valid")
}

/// A hub that keeps eight events, and ann's scope; at most three connections.
fn eight(policy: LimitPolicy) -> (Hub<u32>, UserScope<u32>) {
    let builder = Hub::builder().lane_capacity(8).shards(16);
    let builder = builder.retention(Some(Retention::events(8)));
    let builder = builder.max_connections_per_user(3).limit_policy(policy);
    let hub = builder.build().expect("valid");
    let ann = hub.scope(user("ann"));
    (hub, ann)
}

fn keeping() -> (Hub<u32>, UserScope<u32>) {
    eight(LimitPolicy::Refuse)
}

type Device = Connection<u32>;

fn thread_named(name: &str) -> ThreadId {
    ThreadId::new(name).expect("valid")
}

fn attached(thread: &ThreadId) -> ConnectOptions {
    ConnectOptions {
        threads: vec![thread.clone()],
        ..ConnectOptions::default()
    }
}

/// Everything there is.
fn all(device: &mut Device) -> Vec<u32> {
    with_origin(device).into_iter().map(|(e, _)| e).collect()
}

fn with_origin(device: &mut Device) -> Vec<(u32, Origin)> {
    let mut events = Vec::new();
    while let Ok(Received::Event(delivered)) = device.try_recv() {
        events.push((delivered.event, delivered.origin));
    }
    events
}

fn one(device: &mut Device) -> (u32, Origin) {
    match device.try_recv() {
        Ok(Received::Event(delivered)) => (delivered.event, delivered.origin),
        other => panic!("no event: {other:?}"),
    }
}

fn end(device: &mut Device) -> Option<CloseReason> {
    match device.try_recv() {
        Err(TryRecvError::Closed(Closed { reason })) => Some(reason),
        _ => None,
    }
}

#[track_caller]
fn whole(resumed: Resumed) {
    assert!(matches!(resumed, Resumed::Complete { .. }), "{resumed:?}");
}

#[track_caller]
fn resume(ann: &UserScope<u32>, position: &Position) -> Device {
    let (device, resumed) = ann.resume(position).expect("room");
    whole(resumed);
    device
}

#[test]
fn r070_what_is_addressed_to_a_device_is_replayed_however_often_it_has_resumed() {
    let (_hub, ann) = keeping();
    let phone = ann.connect().unwrap();
    let (id, mut position) = (phone.id(), phone.position());
    drop(phone);
    for n in 0..6 {
        let mut phone = resume(&ann, &position);
        assert_eq!(phone.id(), id);
        ann.to_connection(id).publish(n).unwrap();
        ann.to_others(id).publish(100).unwrap_err();
        // Nothing is read: each position is that of the first event.
        position = phone.position();
        if n == 5 {
            assert_eq!(all(&mut phone), [0, 1, 2, 3, 4, 5]);
        }
    }
    let mut phone = resume(&ann, &position);
    assert_eq!(all(&mut phone), [0, 1, 2, 3, 4, 5]);
}

#[test]
fn r070_an_event_for_a_thread_is_replayed_to_a_device_that_was_away_and_comes_back() {
    let (_hub, ann) = keeping();
    let oslo = thread_named("Oslo");
    let [phone, tab] = [(); 2].map(|()| ann.connect_with(attached(&oslo)).unwrap());
    let position = phone.position();
    drop(phone);
    assert!(ann.to_thread(&oslo).publish_critical(7).unwrap().kept);
    let (mut phone, resumed) = ann.resume_with(&position, attached(&oslo)).unwrap();
    whole(resumed);
    assert!(phone.recover().complete);
    assert_eq!(all(&mut phone), [7]);
    drop(tab);
}

#[test]
fn r070_r072_an_event_for_a_thread_goes_by_the_thread_at_its_time() {
    let (_hub, ann) = keeping();
    let threads = ["Oslo", "Rome"].map(thread_named);
    let [oslo, rome] = &threads;
    let _there = threads
        .each_ref()
        .map(|t| ann.connect_with(attached(t)).unwrap());
    let say = |number: u32| {
        ann.to_thread(oslo).publish(number).unwrap();
        ann.to_thread(rome).publish(number + 1).unwrap();
    };
    let phone = ann.connect_with(attached(oslo)).unwrap();
    let position = phone.position();
    drop(phone);
    say(10);
    let into = |position: &Position, thread: Option<&ThreadId>| {
        let options = thread.map_or_else(ConnectOptions::default, attached);
        ann.resume_with(position, options).unwrap()
    };
    // It was in Oslo until it came back, whichever thread it goes to.
    let (mut phone, resumed) = into(&position, Some(rome));
    whole(resumed);
    say(20);
    assert_eq!(all(&mut phone), [10, 21]);
    // Both threads, each at its time, also in a position between the two.
    let (phone, _) = into(&position, Some(rome));
    say(30);
    let between = phone.position();
    drop(phone);
    let (mut phone, resumed) = into(&between, None);
    whole(resumed);
    say(40);
    assert_eq!(all(&mut phone), [10, 20, 31]);
    // A position has room for two threads: a third is told of a gap, and loses nothing in silence.
    let (phone, _) = into(&between, None);
    let third = phone.position();
    drop(phone);
    let (mut phone, resumed) = into(&third, Some(rome));
    assert!(matches!(resumed, Resumed::Gap { .. }), "{resumed:?}");
    say(50);
    assert_eq!(all(&mut phone), [51]);
}

#[test]
fn r070_an_answer_reaches_the_device_and_an_event_for_the_others_does_not() {
    for retention in [None, Some(Retention::events(8))] {
        let builder = Hub::builder().retention(retention);
        let hub: Hub<u32> = builder.build().unwrap();
        let ann = hub.scope(user("ann"));
        let mut phone = ann.connect().unwrap();
        let mut tab = ann.connect().unwrap();
        let asked = phone.id();
        let position = phone.position();
        let (mut again, _) = ann.resume(&position).unwrap();
        assert_eq!(again.id(), asked);
        assert_eq!(end(&mut phone), Some(CloseReason::Replaced));
        let delivery = ann.to_connection(asked).publish(1).unwrap();
        assert_eq!(delivery.connections, 1);
        let delivery = ann.to_others(asked).publish(2).unwrap();
        assert_eq!(delivery.connections, 1);
        assert_eq!((all(&mut again), all(&mut tab)), (vec![1], vec![2]));
        drop(phone);
        assert_eq!(ann.connection_count(), 2, "the ghost takes nothing along");
        assert!(ann.disconnect(asked, 7));
        let reason = CloseReason::Disconnected { code: 7 };
        assert_eq!(end(&mut again), Some(reason));
        assert!(!ann.disconnect(asked, 7));
        let stats = [&tab, &again].map(Connection::stats);
        conserved(2, hub.accepted(), &hub.stats(), stats).unwrap();
    }
}

#[test]
fn r070_a_device_takes_its_own_place_at_the_limit() {
    for policy in [LimitPolicy::Refuse, LimitPolicy::EvictOldest] {
        let (hub, ann) = eight(policy);
        let mut oldest = ann.connect().unwrap();
        let ghost = ann.connect().unwrap();
        let mut newest = ann.connect().unwrap();
        ann.publish(1).unwrap();
        let (mut device, resumed) = ann.resume(&ghost.position()).unwrap();
        whole(resumed);
        assert_eq!(ann.connection_count(), 3);
        assert_eq!(ann.publish(2).unwrap().connections, 3);
        for device in [&mut oldest, &mut newest, &mut device] {
            assert_eq!(
                all(device),
                [1, 2],
                "nothing is lost, and no device is closed"
            );
        }
        drop(ghost);
        assert_eq!((hub.user_count(), ann.connection_count()), (1, 3));
    }
}

#[test]
fn r070_the_only_connection_is_replaced_without_going_offline() {
    for retention in [None, Some(Retention::events(8).max_absent_users(0))] {
        let builder = Hub::builder().retention(retention).max_users(1);
        let hub: Hub<u32> = builder.max_connections_per_user(1).build().unwrap();
        let ann = hub.scope(user("ann"));
        let notices = hub.lifecycle(16).unwrap();
        let phone = ann.connect().unwrap();
        let id = phone.id();
        let (again, resumed) = ann.resume(&phone.position()).unwrap();
        assert_eq!(resumed == Resumed::Reset, retention.is_none());
        drop(phone);
        drop(again);
        let told: Vec<_> = std::iter::from_fn(|| notices.try_next().ok()).collect();
        let numbers: Vec<_> = told.iter().map(|notice| notice.number).collect();
        assert_eq!(numbers, [0, 1, 2, 3, 4, 5]);
        assert!(told.iter().all(|notice| notice.session == told[0].session));
        let steps: Vec<_> = told.into_iter().map(|notice| notice.change).collect();
        let [online, first, replaced, second, left, offline] = &steps[..] else {
            panic!("{steps:?}");
        };
        assert_eq!((online, offline), (&Change::Online, &Change::Offline));
        let is_connected = |change: &Change| matches!(change, Change::Connected { connection, .. } if *connection == id);
        assert!(is_connected(first) && is_connected(second));
        let is_gone = |change: &Change, why| matches!(change, Change::Disconnected { connection, reason, .. } if (*connection, *reason) == (id, why));
        assert!(is_gone(replaced, CloseReason::Replaced));
        assert!(is_gone(left, CloseReason::Dropped));
    }
}

#[test]
fn r070_of_two_that_resume_one_position_the_later_has_the_id() {
    let (_hub, ann) = keeping();
    let phone = ann.connect().unwrap();
    let position = phone.position();
    drop(phone);
    ann.publish(1).unwrap();
    let mut first = resume(&ann, &position);
    let mut second = resume(&ann, &position);
    assert_eq!(end(&mut first), Some(CloseReason::Replaced));
    assert_eq!(first.id(), second.id());
    assert_eq!(all(&mut second), [1]);
    assert_eq!(ann.connection_count(), 1);
    // The event that the earlier one has not read still comes after its position.
    let mut third = resume(&ann, &first.position());
    assert_eq!(all(&mut third), [1]);
}

#[test]
fn r070_of_many_that_resume_one_position_at_once_one_has_the_id() {
    const TOGETHER: usize = 4;
    for round in 0..300 {
        let builder = Hub::builder().lane_capacity(8).shards(1);
        let retention = (round % 2 == 0).then(|| Retention::events(8));
        let hub: Hub<u32> = builder.retention(retention).build().unwrap();
        let ann = hub.scope(user("ann"));
        let phone = ann.connect().unwrap();
        let (id, position) = (phone.id(), phone.position());
        // A ghost is there, or not.
        let ghost = (round % 3 == 0).then_some(phone);
        let barrier = Barrier::new(TOGETHER);
        let mut devices: Vec<_> = thread::scope(|s| {
            let resume = || {
                barrier.wait();
                ann.resume(&position).expect("room").0
            };
            let threads = [(); TOGETHER].map(|()| s.spawn(resume));
            threads.map(|t| t.join().unwrap()).into()
        });
        devices.extend(ghost);
        assert_eq!(ann.connection_count(), 1, "round {round}");
        assert_eq!(ann.publish(1).unwrap().connections, 1);
        assert!(devices.iter().all(|device| device.id() == id));
        let got: Vec<_> = devices.iter_mut().map(all).collect();
        assert_eq!(got.concat(), [1]);
        drop(devices);
        assert_eq!(hub.user_count(), 0);
    }
}

#[test]
fn r070_a_position_of_a_lane_that_has_ended_keeps_the_id() {
    let (hub, ann) = keeping();
    let phone = ann.connect().unwrap();
    let (id, position) = (phone.id(), phone.position());
    drop(phone);
    for hours in 1..=8 {
        hub.sweep(Duration::from_secs(3600 * hours));
    }
    assert_eq!(hub.stats().absent_users, 0);
    let (phone, resumed) = ann.resume(&position).unwrap();
    assert_eq!((phone.id(), resumed), (id, Resumed::Reset));
    // Of another hub it is no device of this one.
    let (_other, ann) = keeping();
    let tab = ann.connect().unwrap();
    let (fresh, resumed) = ann.resume(&position).unwrap();
    assert_eq!(resumed, Resumed::Reset);
    assert_ne!(fresh.id(), tab.id());
    assert_eq!(ann.connection_count(), 2, "no connection is replaced");
}

#[test]
fn r020_the_oldest_is_the_connection_that_was_opened_first_whatever_its_id() {
    let (_hub, ann) = eight(LimitPolicy::EvictOldest);
    let phone = ann.connect().unwrap();
    let position = phone.position();
    let mut tab = ann.connect().unwrap();
    drop(phone);
    let (mut phone, _) = ann.resume(&position).unwrap();
    assert!(phone.id() < tab.id());
    let _others = [(); 2].map(|()| ann.connect().unwrap());
    assert_eq!(end(&mut tab), Some(CloseReason::Evicted));
    assert_eq!(end(&mut phone), None);
}

#[test]
fn r070_a_position_of_an_earlier_form_is_an_error_of_its_own() {
    let outdated = Err(InvalidPosition::Outdated);
    assert_eq!(Position::from_bytes(&[7; 39]), outdated);
    assert_eq!("A".repeat(52).parse::<Position>(), outdated);
    for length in [0, 38, 40, 47, 49] {
        let error = Err(InvalidPosition::Length);
        assert_eq!(Position::from_bytes(&vec![7; length]), error);
    }
}

/// Bits that differ.
fn distance(a: &Position, b: &Position) -> u32 {
    let (a, b) = (a.to_bytes(), b.to_bytes());
    let differ = a.iter().zip(b).map(|(a, b)| (a ^ b).count_ones());
    differ.sum()
}

#[test]
fn r070_positions_show_no_counter() {
    let (hub, ann) = keeping();
    let bob = hub.scope(user("bob"));
    let mut phone = ann.connect().unwrap();
    let mut positions = Vec::new();
    for n in 0..64 {
        // One event, and one connection and one lane more of another user.
        ann.publish(n).unwrap();
        assert_eq!(all(&mut phone), [n]);
        drop(bob.connect().unwrap());
        positions.push(phone.position());
        positions.push(ann.connect().unwrap().position());
    }
    // All but the hub's number changes with any of what is inside; 40 words of bits, of which half differ.
    let first = positions[0];
    for (i, a) in positions.iter().enumerate() {
        for b in &positions[i + 1..] {
            let differ = distance(a, b);
            assert!((100..220).contains(&differ), "{differ} of 320 bits differ");
        }
        assert_eq!(a.to_bytes()[..8], first.to_bytes()[..8]);
    }
    // The same place gives the same position, so that a client can compare them.
    assert_eq!(phone.position(), phone.position());
}

#[test]
fn r071_what_is_owed_stays_owed_until_it_is_received() {
    let (_hub, ann) = keeping();
    for n in [1, 2, 3] {
        ann.publish_critical(n).unwrap();
    }
    // A handshake that fails; one that fails after an event; one whose host closes it.
    let mut phone = ann.connect().unwrap();
    assert_eq!(phone.recover().events, 3);
    drop(phone);
    let mut phone = ann.connect().unwrap();
    assert_eq!(phone.recover().events, 3);
    assert_eq!(one(&mut phone), (1, Origin::Recovered));
    drop(phone);
    let mut phone = ann.connect().unwrap();
    assert_eq!(phone.recover().events, 2);
    assert!(ann.disconnect(phone.id(), 7));
    assert!(phone.try_recv().is_err());
    let mut phone = ann.connect().unwrap();
    let done = phone.recover();
    assert_eq!((done.events, done.complete), (2, true));
    assert_eq!(phone.recover().events, 0, "it has asked for these");
    let recovered = [2, 3].map(|n| (n, Origin::Recovered));
    assert_eq!(with_origin(&mut phone), recovered);
    let mut tab = ann.connect().unwrap();
    assert_eq!(tab.recover().events, 0, "each once");
}

#[test]
fn r071_a_loss_stays_a_loss_when_a_newer_event_is_received_in_its_place() {
    let retention = Some(Retention::events(1));
    let hub: Hub<u32> = (Hub::builder().lane_capacity(2).retention(retention))
        .build()
        .unwrap();
    let ann = hub.scope(UserId::new("ann").unwrap());
    ann.publish_critical(0).unwrap(); // ann is away, and never gets it
    let phone = ann.connect().unwrap();
    for event in 1..4 {
        ann.publish(event).unwrap();
    }
    let position = phone.position();
    drop(phone);
    ann.publish_critical(4).unwrap();
    ann.publish_critical(5).unwrap();
    let (mut phone, _) = ann.resume(&position).unwrap();
    let first = phone.recover();
    assert_eq!((first.events, first.complete), (2, false));
    let Ok(Received::Event(got)) = phone.try_recv() else {
        panic!("an event is owed")
    };
    assert_eq!((got.event, got.origin), (4, Origin::Recovered));
    let again = phone.recover();
    assert_eq!((again.events, again.complete), (0, false));
}

#[test]
fn r071_of_two_that_recover_each_event_goes_to_the_one_that_comes_to_it_first() {
    let (_hub, ann) = keeping();
    for n in [1, 2, 3, 4] {
        ann.publish_critical(n).unwrap();
    }
    let [mut phone, mut tab] = [(); 2].map(|()| ann.connect().unwrap());
    assert_eq!((phone.recover().events, tab.recover().events), (4, 4));
    assert_eq!(one(&mut phone), (1, Origin::Recovered));
    assert_eq!(one(&mut tab), (2, Origin::Recovered));
    let mut visited = Vec::new();
    let done = tab.visit(1, |_, event| visited.push(*event)).unwrap();
    assert_eq!((done.events, visited), (1, vec![3]));
    ann.publish(5).unwrap();
    let rest = [(4, Origin::Recovered), (5, Origin::Live)];
    assert_eq!(with_origin(&mut phone), rest);
    assert_eq!(with_origin(&mut tab), [(5, Origin::Live)]);
    assert_eq!((phone.stats().replayed, tab.stats().replayed), (2, 2));
}

#[test]
fn r071_an_event_in_hand_is_received_though_the_lane_has_dropped_it() {
    let (_hub, ann) = keeping();
    ann.publish_critical(1).unwrap();
    let mut phone = ann.connect().unwrap();
    assert_eq!(phone.recover().events, 1);
    for n in 2..40 {
        ann.publish(n).unwrap();
    }
    let mut tab = ann.connect().unwrap();
    let done = tab.recover();
    assert_eq!(
        (done.events, done.complete),
        (0, false),
        "the lane has it no more"
    );
    assert_eq!(one(&mut phone), (1, Origin::Recovered));
}

#[test]
fn r071_what_a_device_has_resumed_it_receives_though_another_has_recovered_it() {
    let (_hub, ann) = keeping();
    let phone = ann.connect().unwrap();
    let position = phone.position();
    drop(phone);
    ann.publish_critical(1).unwrap();
    ann.publish(2).unwrap();
    let mut phone = resume(&ann, &position);
    let mut tab = ann.connect().unwrap();
    assert_eq!((phone.recover().events, tab.recover().events), (1, 1));
    assert_eq!(with_origin(&mut tab), [(1, Origin::Recovered)]);
    let replayed = [1, 2].map(|n| (n, Origin::Replayed));
    assert_eq!(with_origin(&mut phone), replayed);
}

#[test]
fn r071_of_many_that_recover_at_once_and_go_each_event_is_received_once() {
    const EVENTS: u32 = 8;
    for round in 0..200 {
        let (hub, ann) = keeping();
        for n in 0..EVENTS {
            ann.publish_critical(n).unwrap();
        }
        let barrier = Barrier::new(3);
        let reads = |max: usize| {
            barrier.wait();
            let mut device = ann.connect().expect("room");
            let _ = device.recover();
            let mut got = Vec::new();
            while got.len() < max
                && let Ok(Received::Event(d)) = device.try_recv()
            {
                assert_eq!(d.origin, Origin::Recovered);
                got.push(d.event);
            }
            got
        };
        let mut got: Vec<u32> = thread::scope(|s| {
            let threads = [0, 3, 5].map(|max| s.spawn(move || reads(max)));
            threads.map(|t| t.join().unwrap()).concat()
        });
        let mut device = ann.connect().unwrap();
        assert!(device.recover().complete, "round {round}");
        got.extend(all(&mut device));
        got.sort_unstable();
        assert!(got.iter().copied().eq(0..EVENTS), "round {round}: {got:?}");
        conserved(u64::from(EVENTS), hub.accepted(), &hub.stats(), []).unwrap();
    }
}

#[test]
fn r070_a_shut_down_router_replaces_no_connection() {
    let (hub, ann) = keeping();
    let mut phone = ann.connect().unwrap();
    ann.publish(1).unwrap();
    hub.shutdown();
    let error = ann.resume(&phone.position()).unwrap_err();
    assert_eq!(error, ResumeError::Connect(ConnectError::Closed));
    assert_eq!(all(&mut phone), [1]);
    assert_eq!(end(&mut phone), Some(CloseReason::Shutdown));
}

/// A device that reads and resumes, and what it got.
struct Course {
    device: Device,
    received: Vec<u64>,
    missed: u64,
}

impl Course {
    /// The old connection is open until the new one has its place.
    fn resume(&mut self, ann: &UserScope<u32>) {
        let position = self.device.position();
        let (again, resumed) = ann.resume(&position).expect("its own place");
        if let Resumed::Gap { missed, .. } = resumed {
            self.missed += missed;
        } else {
            whole(resumed);
        }
        assert_eq!(again.id(), self.device.id());
        assert_eq!(end(&mut self.device), Some(CloseReason::Replaced));
        self.device = again;
    }

    fn read(&mut self) {
        while let Ok(received) = self.device.try_recv() {
            match received {
                Received::Event(d) => self.received.push(d.number),
                Received::Gap { missed, .. } => self.missed += missed,
                _ => unreachable!("no other kind"),
            }
        }
    }

    /// Each event was received once or told as missed. A number without an event counts as missed if it
    /// was overwritten, and else not.
    fn check(&self, accepted: &[u64]) {
        assert!(self.received.is_sorted_by(|a, b| a < b), "each once");
        let lost = accepted
            .iter()
            .filter(|n| self.received.binary_search(n).is_err());
        let (lost, events) = (lost.count() as u64, accepted.len() as u64);
        let no_events = accepted.last().map_or(0, |last| last + 1 - events);
        let told = lost..=lost + no_events;
        assert!(told.contains(&self.missed), "{} of {told:?}", self.missed);
    }
}

#[test]
fn r070_each_of_a_users_devices_keeps_its_place_while_they_resume_and_events_come() {
    const ROUNDS: usize = 500;
    let (hub, ann) = keeping();
    let devices = [(); 3].map(|()| ann.connect().unwrap());
    let going = AtomicUsize::new(devices.len());
    let (accepted, courses) = thread::scope(|s| {
        let publisher = s.spawn(|| {
            let mut accepted = Vec::new();
            while going.load(Ordering::Acquire) > 0 {
                let delivery = ann.publish(0).unwrap();
                assert_eq!(delivery.connections, 3);
                accepted.push(delivery.number);
            }
            accepted
        });
        s.spawn(|| {
            while going.load(Ordering::Acquire) > 0 {
                ann.connect().expect_err("no place is free at any time");
            }
        });
        let courses = devices.map(|device| {
            let (ann, going) = (&ann, &going);
            s.spawn(move || {
                let mut course = Course {
                    device,
                    received: Vec::new(),
                    missed: 0,
                };
                for _ in 0..ROUNDS {
                    course.read();
                    course.resume(ann);
                    assert!(ann.connections().len() <= 3);
                }
                going.fetch_sub(1, Ordering::AcqRel);
                course
            })
        });
        let courses = courses.map(|course| course.join().unwrap());
        (publisher.join().unwrap(), courses)
    });
    let stats = courses.map(|mut course| {
        course.read();
        course.check(&accepted);
        course.device.stats()
    });
    conserved(accepted.len() as u64, hub.accepted(), &hub.stats(), stats).unwrap();
}
