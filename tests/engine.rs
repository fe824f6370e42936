//! The public interface, one behaviour each.
#![cfg(not(any(laneway_loom, laneway_shuttle)))]
#![allow(clippy::disallowed_methods)] // Gives a sleeper time to fall asleep.

use std::future::Future;
use std::hint::black_box;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use laneway::{
    CloseReason, Closed, ConfigError, ConnectError, Connection, Hub, LimitPolicy, Received,
    RecvTimeoutError, Retention, Revocation, TryRecvError, UserId, UserScope,
};

#[path = "common/wakes.rs"]
mod wakes;

use wakes::Calls;

const SECOND: Duration = Duration::from_secs(1);

fn user(name: &str) -> UserId {
    UserId::new(name).expect("valid")
}

fn small<E: Send + Sync + 'static>() -> Hub<E> {
    Hub::builder().lane_capacity(4).build().expect("valid")
}

/// More events than a small lane holds for three devices that read nothing: its capacity, and a block
/// of four for each of them and two more.
const MOST: i32 = 4 + 5 * 4 + 2;

/// Everything there is: the events, and how many numbers were missed.
fn all<E: Clone + Send + Sync + 'static>(connection: &mut Connection<E>) -> (Vec<E>, u64) {
    let (mut events, mut lost) = (Vec::new(), 0);
    loop {
        match connection.try_recv() {
            Ok(Received::Event(delivered)) => events.push(delivered.event),
            Ok(Received::Gap { missed, .. }) => lost += missed,
            Ok(_) => unreachable!("no other kind"),
            Err(_) => return (events, lost),
        }
    }
}

#[test]
fn r001_every_device_of_the_user_and_nobody_else() {
    let hub = small();
    let (ann, bob) = (hub.scope(user("ann")), hub.scope(user("bob")));
    let (mut phone, mut laptop) = (ann.connect().unwrap(), ann.connect().unwrap());
    let mut other = bob.connect().unwrap();
    for n in 0..3 {
        assert_eq!(ann.publish(n).unwrap().connections, 2);
    }
    assert_eq!(all(&mut phone), (vec![0, 1, 2], 0));
    assert_eq!(all(&mut laptop), (vec![0, 1, 2], 0));
    assert_eq!(all(&mut other), (vec![], 0));
}

#[test]
fn r003_an_event_for_nobody_comes_back() {
    let hub: Hub<String> = small();
    let refused = hub.scope(user("ann")).publish("hi".into()).unwrap_err();
    assert!(refused.is_no_connections());
    assert_eq!(refused.into_inner(), "hi");
    assert_eq!(hub.stats().refused_no_connections, 1);
}

#[test]
fn a_lapped_reader_is_told_exactly_what_it_missed() {
    let hub = small();
    let ann = hub.scope(user("ann"));
    let (mut quick, mut slow) = (ann.connect().unwrap(), ann.connect().unwrap());
    let mut seen = Vec::new();
    for n in 0..11 {
        ann.publish(n).unwrap();
        seen.extend(all(&mut quick).0);
    }
    assert_eq!(seen, (0..11).collect::<Vec<_>>());
    assert_eq!(slow.unread(), 11);
    assert_eq!(all(&mut slow), (vec![7, 8, 9, 10], 7));
    assert_eq!(slow.missed(), 7);
    assert_eq!(hub.stats().missed, 7);
}

#[test]
fn try_publish_refuses_rather_than_overwrites() {
    let hub = small();
    let ann = hub.scope(user("ann"));
    let mut device = ann.connect().unwrap();
    for n in 0..4 {
        ann.try_publish(n).unwrap();
    }
    let full = ann.try_publish(4).unwrap_err();
    assert!(full.is_full());
    assert_eq!(full.into_inner(), 4);
    assert!(matches!(device.try_recv(), Ok(Received::Event(d)) if d.number == 0));
    assert_eq!(ann.try_publish(5).unwrap().number, 4);
    assert_eq!(all(&mut device), (vec![1, 2, 3, 5], 0));
}

#[test]
fn a_device_that_was_disconnected_and_forgotten_does_not_fill_the_lane() {
    let hub = small();
    let ann = hub.scope(user("ann"));
    let lost = ann.connect().unwrap();
    let id = lost.id();
    let mut device = ann.connect().unwrap();
    for n in 0..4 {
        ann.publish(n).unwrap();
    }
    all(&mut device);
    assert!(ann.try_publish(4).unwrap_err().is_full());
    std::mem::forget(lost);
    assert!(ann.disconnect(id, 1));
    assert_eq!(ann.try_publish(5).unwrap().connections, 1);
    assert_eq!(all(&mut device), (vec![5], 0));
}

#[test]
fn r014_earlier_events_are_not_replayed_and_a_removed_connection_gets_nothing() {
    let hub = small();
    let ann = hub.scope(user("ann"));
    let mut early = ann.connect().unwrap();
    ann.publish(1).unwrap();
    let mut late = ann.connect().unwrap();
    ann.publish(2).unwrap();
    assert!(late.id() > early.id());
    assert_eq!(all(&mut late), (vec![2], 0));
    assert!(ann.disconnect(early.id(), 4000));
    let reason = CloseReason::Disconnected { code: 4000 };
    assert_eq!(
        early.try_recv(),
        Err(TryRecvError::Closed(Closed { reason }))
    );
    assert_eq!(ann.publish(3).unwrap().connections, 1);
    drop(early);
    assert_eq!(all(&mut late), (vec![3], 0));
}

#[test]
fn r013_a_connection_of_another_user_cannot_be_addressed() {
    let hub: Hub<u8> = small();
    let (ann, bob) = (hub.scope(user("ann")), hub.scope(user("bob")));
    let device = bob.connect().unwrap();
    let _ann = ann.connect().unwrap();
    assert!(!ann.disconnect(device.id(), 1));
    assert_eq!(bob.connection_count(), 1);
    assert_eq!(hub.stats().unknown_connections, 1);
}

#[test]
fn r022_the_last_device_takes_the_user_out() {
    let hub: Hub<u8> = small();
    let ann = hub.scope(user("ann"));
    let (a, b) = (ann.connect().unwrap(), ann.connect().unwrap());
    assert_eq!((hub.user_count(), ann.connection_count()), (1, 2));
    drop(a);
    assert_eq!((hub.user_count(), ann.connection_count()), (1, 1));
    b.disconnect();
    assert_eq!((hub.user_count(), ann.connection_count()), (0, 0));
    assert!(ann.publish(1).unwrap_err().is_no_connections());
    let mut again = ann.connect().unwrap();
    ann.publish(2).unwrap();
    assert_eq!(all(&mut again), (vec![2], 0));
    assert_eq!(hub.accepted(), 1);
}

#[test]
fn r024_all_devices_of_a_user_are_disconnected_at_once() {
    let hub: Hub<u8> = small();
    let ann = hub.scope(user("ann"));
    let mut devices: Vec<_> = (0..5).map(|_| ann.connect().unwrap()).collect();
    assert_eq!(ann.disconnect_all(7), 5);
    assert_eq!(ann.disconnect_all(7), 0);
    for device in &mut devices {
        let reason = CloseReason::Disconnected { code: 7 };
        assert_eq!(device.recv(), Err(Closed { reason }));
    }
    assert_eq!(hub.user_count(), 0);
}

#[test]
fn r020_one_connection_too_many_is_refused_or_replaces_the_oldest() {
    let builder = Hub::builder().max_connections_per_user(2);
    let refusing = builder.clone().build::<u8>().unwrap();
    let ann = refusing.scope(user("ann"));
    let _two = (ann.connect().unwrap(), ann.connect().unwrap());
    assert_eq!(
        ann.connect().unwrap_err(),
        ConnectError::TooManyConnections { limit: 2 }
    );

    let evicting = builder
        .limit_policy(LimitPolicy::EvictOldest)
        .build::<u8>()
        .unwrap();
    let ann = evicting.scope(user("ann"));
    let (mut first, second) = (ann.connect().unwrap(), ann.connect().unwrap());
    let third = ann.connect().unwrap();
    assert_eq!(
        first.recv(),
        Err(Closed {
            reason: CloseReason::Evicted
        })
    );
    let ids: Vec<_> = ann.connections().iter().map(|c| c.id).collect();
    assert_eq!(ids, [second.id(), third.id()]);
}

#[test]
fn the_users_online_are_told_with_their_devices() {
    let hub: Hub<u8> = small();
    let ann = hub.scope(user("ann"));
    let _devices = [ann.connect().unwrap(), ann.connect().unwrap()];
    let _ben = hub.scope(user("ben")).connect().unwrap();
    drop(hub.scope(user("cem")).connect().unwrap());
    let mut told = Vec::new();
    hub.for_each_user(|user, devices| told.push((user.to_string(), devices)));
    told.sort();
    assert_eq!(told, [("ann".to_owned(), 2), ("ben".to_owned(), 1)]);
    assert!(!hub.is_shut_down());
    hub.shutdown();
    assert!(hub.is_shut_down());
}

#[test]
fn max_users_is_a_limit_and_not_a_leak() {
    let hub = Hub::builder().max_users(1).build::<u8>().unwrap();
    let ann = hub.scope(user("ann")).connect().unwrap();
    let bob = hub.scope(user("bob"));
    assert_eq!(
        bob.connect().unwrap_err(),
        ConnectError::TooManyUsers { limit: 1 }
    );
    drop(ann);
    assert!(bob.connect().is_ok());
}

#[test]
fn r021_a_sweep_closes_what_neither_reads_nor_is_touched() {
    let timeout = Some(Duration::from_secs(10));
    let hub = Hub::builder().idle_timeout(timeout).build::<u8>().unwrap();
    let ann = hub.scope(user("ann"));
    let (mut idle, mut reading, touched) = (
        ann.connect().unwrap(),
        ann.connect().unwrap(),
        ann.connect().unwrap(),
    );
    assert_eq!(hub.sweep(Duration::from_secs(100)), 0);
    ann.publish(1).unwrap();
    reading.try_recv().unwrap();
    touched.touch();
    assert_eq!(
        hub.sweep(Duration::from_secs(90)),
        0,
        "a clock that jumps back closes nothing"
    );
    reading.touch();
    touched.touch();
    // Ten seconds and more, at the pace of four sweeps to the timeout.
    for now in [93, 96, 99] {
        assert_eq!(hub.sweep(Duration::from_secs(now)), 0);
        reading.touch();
        touched.touch();
    }
    assert_eq!(hub.sweep(Duration::from_secs(102)), 0, "just ten");
    assert_eq!(hub.sweep(Duration::from_secs(103)), 1);
    assert_eq!(
        idle.recv(),
        Err(Closed {
            reason: CloseReason::Idle
        })
    );
    assert_eq!(ann.connection_count(), 2);
}

#[test]
fn after_a_shutdown_readers_drain_and_everybody_else_is_refused() {
    let hub = small();
    let ann = hub.scope(user("ann"));
    let mut device = ann.connect().unwrap();
    ann.publish(1).unwrap();
    assert_eq!(hub.shutdown(), 1);
    assert!(ann.publish(2).unwrap_err().is_closed());
    assert!(hub.scope(user("bob")).publish(2).unwrap_err().is_closed());
    assert_eq!(ann.connect().unwrap_err(), ConnectError::Closed);
    assert!(matches!(device.recv(), Ok(Received::Event(d)) if d.event == 1));
    assert_eq!(
        device.recv(),
        Err(Closed {
            reason: CloseReason::Shutdown
        })
    );
}

#[test]
fn the_last_router_that_goes_shuts_down_and_wakes_who_waits() {
    let hub: Hub<u8> = small();
    let clone = hub.clone();
    let ann = hub.scope(user("ann"));
    let mut device = ann.connect().unwrap();
    let waiting = thread::spawn(move || device.recv());
    drop(hub);
    assert!(ann.publish(1).is_ok(), "a clone is left");
    drop(clone);
    assert!(matches!(waiting.join().unwrap(), Ok(Received::Event(_))));
    assert!(ann.publish(2).unwrap_err().is_closed() || ann.connection_count() == 0);
}

#[test]
fn a_blocked_recv_sleeps_until_an_event_a_close_or_its_time() {
    let hub: Hub<u8> = small();
    let ann = hub.scope(user("ann"));
    let mut device = ann.connect().unwrap();
    let short = Duration::from_millis(5);
    assert_eq!(device.recv_timeout(short), Err(RecvTimeoutError::Timeout));
    let id = device.id();
    let (tell, told) = std::sync::mpsc::channel();
    let waiting = thread::spawn(move || {
        let event = device.recv();
        tell.send(()).unwrap();
        (event, device.recv())
    });
    thread::sleep(Duration::from_millis(20));
    ann.publish(9).unwrap();
    // A busy machine may take longer than any sleep, and a closed connection reads nothing more.
    told.recv().unwrap();
    thread::sleep(Duration::from_millis(20));
    assert!(ann.disconnect(id, 3));
    let (event, end) = waiting.join().unwrap();
    assert!(matches!(event, Ok(Received::Event(d)) if d.event == 9));
    assert_eq!(
        end,
        Err(Closed {
            reason: CloseReason::Disconnected { code: 3 }
        })
    );
}

#[test]
fn a_burst_wakes_a_task_once() {
    let hub: Hub<u8> = small();
    let ann = hub.scope(user("ann"));
    let mut device = ann.connect().unwrap();
    let calls = Arc::new(Calls::default());
    let waker = Waker::from(Arc::clone(&calls));
    let mut cx = Context::from_waker(&waker);
    for round in 1..=3 {
        assert!(device.poll_recv(&mut cx).is_pending());
        for n in 0..4 {
            ann.publish(n).unwrap();
        }
        assert_eq!(calls.0.load(Ordering::Relaxed), round);
        assert!(matches!(
            device.poll_recv(&mut cx),
            Poll::Ready(Ok(Received::Event(_)))
        ));
        assert_eq!(all(&mut device).0.len(), 3);
    }
    ann.publish(0).unwrap();
    assert_eq!(calls.0.load(Ordering::Relaxed), 3, "no connection waits");
}

#[test]
fn a_wait_is_taken_back_once() {
    let hub: Hub<u8> = small();
    let ann = hub.scope(user("ann"));
    let (mut phone, mut laptop) = (ann.connect().unwrap(), ann.connect().unwrap());
    let mut cx = Context::from_waker(Waker::noop());
    assert!(laptop.poll_recv(&mut cx).is_pending());
    assert!(pin!(phone.next()).poll(&mut cx).is_pending());
    assert_eq!(waiting(&ann), "1", "the phone's wait was cancelled");
    drop(phone.next());
    assert_eq!(waiting(&ann), "1");
    drop(phone);
    assert_eq!(waiting(&ann), "1");
    let mut tab = ann.connect().unwrap();
    assert!(tab.poll_recv(&mut cx).is_pending());
    assert_eq!(waiting(&ann), "2");
    drop(laptop);
    assert_eq!(waiting(&ann), "1", "who leaves does not wait any more");
    assert_eq!(ann.connection_count(), 1);
}

#[test]
fn connections_that_were_closed_in_their_sleep_are_no_sleepers() {
    let hub = Hub::builder()
        .max_connections_per_user(2)
        .limit_policy(LimitPolicy::EvictOldest)
        .build::<u64>()
        .unwrap();
    let ann = hub.scope(user("ann"));
    let mut cx = Context::from_waker(Waker::noop());
    // Each evicts the one before the last, which is asleep and is not polled again.
    let mut devices: Vec<_> = (0..600)
        .map(|_| {
            let mut device = ann.connect().unwrap();
            assert!(device.poll_recv(&mut cx).is_pending());
            device
        })
        .collect();
    assert_eq!(hub.stats().connections, 2);
    let mut last = devices.split_off(598);
    assert_eq!(ann.publish(1).unwrap().connections, 2);
    for device in &mut last {
        assert_eq!(all(device), (vec![1], 0));
    }
    drop(last);
    assert!(ann.publish(2).unwrap_err().is_no_connections());
    drop(devices);
    assert_eq!((hub.user_count(), hub.stats().connections), (0, 0));
}

#[test]
fn overrun_connections_are_counted() {
    let hub = small();
    let ann = hub.scope(user("ann"));
    let mut devices: Vec<_> = (0..3).map(|_| ann.connect().unwrap()).collect();
    // The first unread event stays until every device has passed it; those behind it are a burst.
    ann.publish(0).unwrap();
    ann.publish_critical(0).unwrap();
    assert_eq!(all(&mut devices[0]), (vec![0, 0], 0));
    assert_eq!(ann.overrun_count(), 0);
    for n in 1..4 {
        ann.publish(n).unwrap();
        assert_eq!(ann.overrun_count(), 0, "within the capacity");
    }
    // The lane drops it when it needs the room, and then for both.
    for n in 4..MOST {
        ann.publish(n).unwrap();
        if ann.overrun_count() > 0 {
            break;
        }
    }
    assert_eq!(ann.overrun_count(), 2);
    let closed = devices[1].try_recv();
    assert_eq!(
        closed,
        Err(TryRecvError::Closed(Closed {
            reason: CloseReason::Overrun
        }))
    );
    assert_eq!(ann.overrun_count(), 1);
}

#[test]
fn what_only_closed_connections_have_not_read_is_in_nobodys_way() {
    for left in 0..4 {
        let hub = small();
        let ann = hub.scope(user("ann"));
        let (mut phone, mut laptop) = (ann.connect().unwrap(), ann.connect().unwrap());
        for n in 0..4 {
            ann.publish(n).unwrap();
        }
        assert_eq!(all(&mut phone).0.len(), 4);
        assert!(matches!(laptop.try_recv(), Ok(Received::Event(_))));
        // It is closed, and its owner does not look.
        assert!(ann.disconnect(laptop.id(), 1));
        for n in 0..8 + left {
            ann.publish(n).unwrap();
            assert_eq!(all(&mut phone), (vec![n], 0));
        }
        for n in 0..4 {
            ann.try_publish(n).expect("there is room");
        }
        assert!(ann.try_publish(4).is_err());
        assert_eq!(all(&mut phone), (vec![0, 1, 2, 3], 0));
    }
}

/// The part of a report that says how many sleepers a lane counts.
fn waiting(ann: &UserScope<u8>) -> String {
    let mut dump = String::new();
    ann.dump(&mut dump).unwrap();
    let at = dump.find("waiting ").unwrap();
    dump[at..].split(' ').nth(1).unwrap().to_owned()
}

#[test]
fn a_wait_that_is_over_leaves_nothing_behind() {
    let hub: Hub<u8> = small();
    let ann = hub.scope(user("ann"));
    let mut device = ann.connect().unwrap();
    let calls = Arc::new(Calls::default());
    let waker = Waker::from(Arc::clone(&calls));
    let mut cx = Context::from_waker(&waker);
    // More often than a lane can count sleepers.
    for _ in 0..300 {
        assert!(device.poll_recv(&mut cx).is_pending());
        assert_eq!(waiting(&ann), "1");
        ann.publish(1).unwrap();
        assert!(device.poll_recv(&mut cx).is_ready());
        assert_eq!(waiting(&ann), "0");
    }
    assert_eq!(
        (calls.0.load(Ordering::Relaxed), ann.connection_count()),
        (300, 1)
    );
}

#[test]
fn a_cancelled_wait_is_not_woken() {
    let hub: Hub<u8> = small();
    let ann = hub.scope(user("ann"));
    let mut device = ann.connect().unwrap();
    let calls = Arc::new(Calls::default());
    let waker = Waker::from(Arc::clone(&calls));
    let mut next = Box::pin(device.next());
    assert!(
        next.as_mut()
            .poll(&mut Context::from_waker(&waker))
            .is_pending()
    );
    drop(next);
    assert_eq!(waiting(&ann), "0");
    ann.publish(1).unwrap();
    assert_eq!(calls.0.load(Ordering::Relaxed), 0);
    assert_eq!(all(&mut device), (vec![1], 0));
}

/// Not empty: what points behind the counters of an empty one is lost to a leak checker, which would
/// report wakers that the collector has not come to at the end of the process.
struct Panics(#[allow(dead_code)] u64);
impl Wake for Panics {
    fn wake(self: Arc<Self>) {
        panic!("the host's waker")
    }
}

#[test]
fn r016_a_waker_that_panics_hurts_neither_publisher_nor_other_devices() {
    let hub: Hub<u8> = small();
    let ann = hub.scope(user("ann"));
    let (mut bad, mut good) = (ann.connect().unwrap(), ann.connect().unwrap());
    let calls = Arc::new(Calls::default());
    let (panics, counts) = (
        Waker::from(Arc::new(Panics(0))),
        Waker::from(Arc::clone(&calls)),
    );
    assert!(
        bad.poll_recv(&mut Context::from_waker(&panics))
            .is_pending()
    );
    assert!(
        good.poll_recv(&mut Context::from_waker(&counts))
            .is_pending()
    );
    assert_eq!(ann.publish(1).unwrap().connections, 2);
    assert_eq!(calls.0.load(Ordering::Relaxed), 1);
    assert_eq!(all(&mut bad), (vec![1], 0));
}

/// Counts its drops.
#[derive(Clone)]
struct Counted(Arc<AtomicUsize>);
impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn payloads_are_dropped_once_and_when_promised() {
    let drops = Arc::new(AtomicUsize::new(0));
    let dropped = || drops.load(Ordering::Relaxed);
    let hub = small();
    let ann = hub.scope(user("ann"));
    let (mut a, b) = (ann.connect().unwrap(), ann.connect().unwrap());
    for _ in 0..4 {
        ann.publish(Counted(Arc::clone(&drops))).unwrap();
    }
    assert_eq!(dropped(), 0);
    ann.publish(Counted(Arc::clone(&drops))).unwrap();
    assert!(
        dropped() <= 1,
        "at most the one that is beyond the capacity"
    );
    assert_eq!(a.visit(1, |_, _| {}).unwrap().missed, 1);
    assert_eq!(a.visit(2, |_, _| {}).unwrap().events, 2);
    assert!(dropped() <= 1, "b has still to read");
    drop(b);
    assert_eq!(
        dropped(),
        3,
        "b counted itself out, and was the last reader of three of them"
    );
    assert_eq!(a.visit(9, |_, _| {}).unwrap().events, 2);
    assert_eq!(dropped(), 5, "dropped by its last reader");
    ann.publish(Counted(Arc::clone(&drops))).unwrap();
    drop(a);
    assert_eq!(dropped(), 6, "the last to leave leaves nothing behind");
}

#[test]
fn settings_out_of_bounds_are_named() {
    let builder = Hub::builder;
    let of = |b: laneway::Builder| b.build::<u8>().map(|_| ()).unwrap_err();
    for capacity in [0, 1, 3, 1 << 20] {
        assert_eq!(
            of(builder().lane_capacity(capacity)),
            ConfigError::LaneCapacity(capacity)
        );
    }
    for limit in [0, 256] {
        let refused = of(builder().max_connections_per_user(limit));
        assert_eq!(refused, ConfigError::MaxConnectionsPerUser(limit));
    }
    assert_eq!(of(builder().shards(3)), ConfigError::Shards(3));
    assert_eq!(of(builder().max_users(0)), ConfigError::MaxUsers);
    assert_eq!(
        of(builder().idle_timeout(Some(Duration::ZERO))),
        ConfigError::IdleTimeout
    );
}

#[test]
fn r017_ids_are_refused_rather_than_repaired() {
    use laneway::InvalidId::{Blank, ControlCharacter, Empty, TooLong};
    let long = "x".repeat(201);
    let bad = [
        ("", Empty),
        (&*long, TooLong),
        ("a\nb", ControlCharacter),
        (" a", Blank),
    ];
    for (text, why) in bad {
        assert_eq!(UserId::new(text), Err(why));
    }
    assert_eq!(UserId::new("a "), Err(Blank));
    for text in ["a", "ünï", &"y".repeat(24), &"z".repeat(25), &long[..200]] {
        assert_eq!(user(text).as_str(), text);
    }
    assert_ne!(user("Ann"), user("ann"));
    // A long id is equal to another one with the same text, and to no other.
    assert_eq!(user(&"z".repeat(25)), user(&"z".repeat(25)));
    assert_ne!(user(&"z".repeat(25)), user(&"z".repeat(26)));
    assert_ne!(user(&"z".repeat(24)), user(&"z".repeat(25)));
}

#[test]
fn every_capacity_laps_correctly() {
    for capacity in [2, 4, 8, 16, 64, 256] {
        let hub = Hub::builder().lane_capacity(capacity).build().unwrap();
        let ann = hub.scope(user("ann"));
        let (mut quick, mut slow) = (ann.connect().unwrap(), ann.connect().unwrap());
        let total = capacity as u64 * 3 + 1;
        for n in 0..total {
            ann.publish(n).unwrap();
            assert_eq!(all(&mut quick), (vec![n], 0));
        }
        let kept = total - capacity as u64;
        assert_eq!(
            all(&mut slow),
            ((kept..total).collect(), kept),
            "capacity {capacity}"
        );
    }
}

#[test]
fn r060_threads_publish_lap_connect_and_leave_and_nothing_is_lost_or_misrouted() {
    let hub: Hub<(usize, u64)> = small();
    let users: Vec<_> = (0..4)
        .map(|u| hub.scope(user(&format!("user-{u}"))))
        .collect();
    let end = u64::MAX;
    thread::scope(|s| {
        for (u, scope) in users.iter().enumerate() {
            let mut device = scope.connect().unwrap();
            s.spawn(move || {
                let (mut told, mut last) = (0, None);
                loop {
                    match device.recv_timeout(Duration::from_secs(20)).unwrap() {
                        Received::Event(d) => {
                            assert_eq!(d.event.0, u, "a foreign event");
                            assert!(last < Some(d.number), "numbers grow");
                            last = Some(d.number);
                            told += 1;
                            if d.event.1 == end {
                                break;
                            }
                        }
                        Received::Gap { missed, .. } => told += missed,
                        _ => unreachable!("no other kind"),
                    }
                }
                assert!(
                    told >= 20_001,
                    "every event was delivered or told as missed: {told}"
                );
            });
            let publish = move |half: u64| {
                for n in 0..10_000 {
                    scope.publish((u, half * 10_000 + n)).unwrap();
                }
            };
            let publishers = [0, 1].map(|half| s.spawn(move || publish(half)));
            s.spawn(move || {
                for _ in 0..500 {
                    let mut visitor = scope.connect().unwrap();
                    assert!(
                        all(&mut visitor).0.iter().all(|e| e.0 == u),
                        "a foreign event"
                    );
                }
                for publisher in publishers {
                    publisher.join().unwrap();
                }
                scope.publish((u, end)).unwrap();
            });
        }
    });
    assert_eq!(hub.accepted(), 80_004);
    assert_eq!((hub.user_count(), hub.stats().connections), (0, 0));
}

#[test]
fn r019_closing_one_users_connections_leaves_every_other_users_alone() {
    let hub: Hub<u8> = small();
    let (ann, bob) = (hub.scope(user("ann")), hub.scope(user("bob")));
    let (hers, mut his) = (ann.connect().unwrap(), bob.connect().unwrap());
    // Her ids mean nothing in his scope, and the end of her scopes ends nothing of his.
    assert!(!bob.disconnect(hers.id(), 1));
    assert_eq!((ann.connection_count(), bob.connection_count()), (1, 1));
    assert_eq!(ann.disconnect_all(1), 1);
    drop((ann, hers));
    assert_eq!(hub.user_count(), 1);
    assert_eq!(bob.publish(7).unwrap().connections, 1);
    assert_eq!(all(&mut his), (vec![7], 0));
}

#[test]
fn r023_figures_of_users_and_connections() {
    let hub: Hub<u8> = Hub::builder().lane_capacity(2).build().unwrap();
    let (ann, bob) = (hub.scope(user("ann")), hub.scope(user("bob")));
    let (mut phone, tab) = (ann.connect().unwrap(), ann.connect().unwrap());
    let _his = bob.connect().unwrap();
    let stats = hub.stats();
    assert_eq!((stats.users, stats.connections), (2, 3));
    let mut per_user = Vec::new();
    hub.for_each_user(|user, count| per_user.push((user.clone(), count)));
    per_user.sort();
    assert_eq!(per_user, [(user("ann"), 2), (user("bob"), 1)]);
    for n in 0..3 {
        ann.publish(n).unwrap();
        phone.try_recv().unwrap();
    }
    let of = |id| {
        let list = ann.connections();
        let info = list.iter().find(|info| info.id == id).unwrap();
        (info.unread, info.missed)
    };
    assert_eq!(of(phone.id()).0, 0);
    assert!(of(tab.id()).0 >= 2, "it has read nothing");
    let mut tab = tab;
    let (got, missed) = all(&mut tab);
    assert_eq!((got, missed), (vec![1, 2], 1));
    assert_eq!(of(tab.id()), (0, 1));
}

#[test]
fn r023_connections_are_counted_in_and_out_on_every_way() {
    for retention in [None, Some(Retention::events(4))] {
        let builder = Hub::builder().lane_capacity(4).retention(retention);
        let builder = builder
            .max_connections_per_user(2)
            .idle_timeout(Some(SECOND));
        let hub: Hub<u8> = builder.build().unwrap();
        let (ann, bob) = (hub.scope(user("ann")), hub.scope(user("bob")));
        let count = || {
            let mut walked = 0;
            hub.for_each_user(|_, live| walked += live);
            let stats = hub.stats();
            assert_eq!(stats.connections, walked);
            (stats.users, stats.connections)
        };
        let (phone, tab, his) = (
            ann.connect().unwrap(),
            ann.connect().unwrap(),
            bob.connect().unwrap(),
        );
        assert_eq!(count(), (2, 3));
        assert!(ann.connect().is_err(), "two are the most");
        assert_eq!(count(), (2, 3));
        // A device that resumes takes its own place. Its ghost counts no more, also when it is dropped.
        let position = phone.position();
        let (again, _) = ann.resume(&position).unwrap();
        assert_eq!(count(), (2, 3));
        drop(phone);
        assert_eq!(count(), (2, 3));
        // A connection that the host has closed is counted out once.
        assert!(ann.disconnect(tab.id(), 1));
        assert_eq!(count(), (2, 2));
        drop(tab);
        assert_eq!(count(), (2, 2));
        drop(again);
        assert_eq!(count(), (1, 1));
        let (again, _) = ann.resume(&position).unwrap();
        hub.revoke(ann.user(), Revocation::all());
        assert_eq!(count(), (1, 1));
        assert!(ann.connect().is_err(), "revoked");
        assert_eq!(count(), (1, 1));
        drop(again);
        for n in 0..9 {
            hub.sweep(n * SECOND);
        }
        assert_eq!(count(), (0, 0), "idle");
        drop(his);
        let late = bob.connect().unwrap();
        hub.shutdown();
        assert!(bob.connect().is_err(), "shut down");
        assert_eq!(count(), (1, 1));
        drop(late);
        assert_eq!(count(), (0, 0));
    }
}

#[test]
fn r023_a_forgotten_connection_is_counted_out_by_a_sweep() {
    for retention in [None, Some(Retention::events(4))] {
        let builder = Hub::builder().retention(retention);
        let hub: Hub<u8> = builder.idle_timeout(Some(SECOND)).build().unwrap();
        std::mem::forget(hub.scope(user("bob")).connect().unwrap());
        assert_eq!(hub.stats().connections, 1);
        for n in 0..9 {
            hub.sweep(n * SECOND);
        }
        assert_eq!((hub.stats().users, hub.stats().connections), (0, 0));
    }
}

#[test]
fn r023_an_evicted_connection_is_counted_out() {
    let builder = Hub::builder().max_connections_per_user(2);
    let builder = builder.limit_policy(LimitPolicy::EvictOldest);
    let hub: Hub<u8> = builder.build().unwrap();
    let ann = hub.scope(user("ann"));
    let devices: Vec<_> = (0..9).map(|_| ann.connect().unwrap()).collect();
    assert_eq!(hub.stats().connections, 2);
    drop(devices);
    assert_eq!(hub.stats().connections, 0);
}

/// Uses a figure, so that the compiler does not leave it out.
fn look_at<T>(figure: T) {
    black_box(figure);
}

/// `cargo test --release --test engine -- --ignored --nocapture million`. The medians of eleven times.
#[test]
#[ignore = "measures time, in release"]
fn r023_figures_of_a_million_users_take_no_walk() {
    let hub: Hub<u64> = Hub::builder().max_users(1_000_000).build().unwrap();
    let name = |n| UserId::new(format!("user-{n:07}")).unwrap();
    let connect = |n| hub.scope(name(n)).connect().unwrap();
    let devices: Vec<_> = (0..1_000_000).map(connect).collect();
    let median = |calls: u32, call: &dyn Fn()| {
        let time = || {
            let start = Instant::now();
            (0..calls).for_each(|_| call());
            start.elapsed() / calls
        };
        let mut times: Vec<_> = std::iter::repeat_with(time).take(11).collect();
        times.sort_unstable();
        times[5]
    };
    let count = median(1_000, &|| look_at(hub.user_count()));
    let stats = median(1_000, &|| look_at(hub.stats()));
    let accepted = median(1, &|| look_at(hub.accepted()));
    println!("user_count {count:?}, stats {stats:?}, accepted {accepted:?}");
    assert_eq!(hub.stats().connections, devices.len());
    assert!(stats < Duration::from_micros(10));
}
