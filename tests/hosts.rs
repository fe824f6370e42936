//! What hosts may do to the engine, by mistake or on purpose: each has an answer.
#![cfg(not(any(laneway_loom, laneway_shuttle)))]
#![allow(clippy::disallowed_methods, clippy::disallowed_types)] // Hosts lock and sleep.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use laneway::{
    Change, CloseReason, Closed, ConnectError, ConnectOptions, Connection, ConnectionStats, Hub,
    Imbalance, PublishError, Received, ThreadId, TryRecvError, UserId, UserScope, conserved,
};

fn small<E: Send + Sync + 'static>() -> (Hub<E>, UserScope<E>) {
    let hub = Hub::builder()
        .lane_capacity(4)
        .max_connections_per_user(255)
        .build()
        .unwrap();
    let scope = hub.scope(UserId::new("ann").unwrap());
    (hub, scope)
}

/// More events than a small lane holds for two devices that read nothing: its capacity, and a block of
/// four for each of them and two more.
const MOST: u32 = 4 + 4 * 4 + 2;

fn next<E: Clone + Send + Sync + 'static>(connection: &mut Connection<E>) -> E {
    match connection.try_recv() {
        Ok(Received::Event(delivered)) => delivered.event,
        Ok(Received::Gap { missed, .. }) => panic!("a gap of {missed}"),
        other => panic!("{:?}", other.err()),
    }
}

fn closed<E: Clone + Send + Sync + 'static>(connection: &mut Connection<E>) -> CloseReason {
    match connection.try_recv() {
        Err(TryRecvError::Closed(Closed { reason })) => reason,
        _ => panic!("not closed"),
    }
}

/// A payload that misbehaves on demand.
struct Bad {
    n: u32,
    panics_on_clone: bool,
    panics_on_drop: bool,
}

impl Bad {
    fn good(n: u32) -> Arc<Self> {
        Arc::new(Self {
            n,
            panics_on_clone: false,
            panics_on_drop: false,
        })
    }
}

#[derive(Clone)]
struct Dropping(#[allow(dead_code)] Arc<Bad>);

impl Drop for Bad {
    fn drop(&mut self) {
        assert!(!self.panics_on_drop, "the payload's drop panics");
    }
}

struct Cloning(Arc<Bad>);

impl Clone for Cloning {
    fn clone(&self) -> Self {
        assert!(!self.0.panics_on_clone, "the payload's clone panics");
        Self(Arc::clone(&self.0))
    }
}

#[test]
fn a_payload_whose_drop_panics_hurts_who_drops_it_and_nobody_else() {
    let (_hub, ann) = small();
    let (mut quick, mut slow) = (ann.connect().unwrap(), ann.connect().unwrap());
    let bad = Arc::new(Bad {
        n: 0,
        panics_on_clone: false,
        panics_on_drop: true,
    });
    // The first unread event stays until both devices have passed it.
    ann.publish(Dropping(Bad::good(0))).unwrap();
    ann.publish(Dropping(bad)).unwrap();
    for n in 1..4 {
        ann.publish(Dropping(Bad::good(n))).unwrap();
    }
    // The publisher that needs its room drops it; the new event is there all the same.
    let panics = |n| {
        let publish = AssertUnwindSafe(|| ann.publish(Dropping(Bad::good(n))));
        catch_unwind(publish).is_err()
    };
    let last = (4..MOST).find(|n| panics(*n)).expect("it is dropped");
    for device in [&mut quick, &mut slow] {
        let missed = match device.try_recv() {
            Ok(Received::Gap { missed, .. }) => missed,
            other => panic!("{:?}", other.err()),
        };
        assert_eq!(missed, u64::from(last) - 2);
        for _ in 0..4 {
            next(device);
        }
    }
    ann.publish(Dropping(Bad::good(0))).unwrap();
    next(&mut quick);
}

/// Its drop panics with its number, once that is asked for.
struct Numbered(u32, Arc<AtomicBool>);

impl Drop for Numbered {
    fn drop(&mut self) {
        assert!(!self.1.load(Ordering::SeqCst), "the drop of {}", self.0);
    }
}

#[test]
fn of_several_drops_that_panic_in_one_call_the_first_is_told() {
    let hub = Hub::builder().lane_capacity(4).build().unwrap();
    let ann = hub.scope(UserId::new("ann").unwrap());
    let device = ann.connect().unwrap();
    let panics = Arc::new(AtomicBool::new(false));
    let publish = |n| drop(ann.publish(Numbered(n, Arc::clone(&panics))));
    (0..9).for_each(publish);
    // The first event stays; this publish evicts the four after it.
    panics.store(true, Ordering::SeqCst);
    let told = catch_unwind(AssertUnwindSafe(|| publish(9))).unwrap_err();
    panics.store(false, Ordering::SeqCst);
    assert_eq!(told.downcast_ref::<String>().unwrap(), "the drop of 1");
    assert_eq!(device.stats().unread, 10);
}

#[test]
fn r016_a_panic_whose_value_panics_when_it_is_dropped_is_forgotten() {
    struct Again;
    impl Drop for Again {
        fn drop(&mut self) {
            panic!("again");
        }
    }
    struct Bad;
    impl Wake for Bad {
        fn wake(self: Arc<Self>) {
            std::panic::panic_any(Again);
        }
    }
    let (_hub, ann) = small();
    let mut device = ann.connect().unwrap();
    let bad = Waker::from(Arc::new(Bad));
    let mut asleep = Context::from_waker(&bad);
    for n in 0..3 {
        assert!(device.poll_recv(&mut asleep).is_pending());
        ann.publish(Arc::new(n)).unwrap();
        assert!(device.try_recv().is_ok());
    }
}

#[test]
fn devices_that_stand_in_forty_blocks_are_told_exactly_what_they_miss() {
    const DEVICES: usize = 40;
    let (_hub, ann) = small();
    let mut devices: Vec<_> = (0..DEVICES).map(|_| ann.connect().unwrap()).collect();
    let event = Arc::new(0);
    // Numbers that a device has got, or has been told that it missed.
    let numbers = |device: &mut Connection<Arc<i32>>| match device.try_recv() {
        Ok(Received::Event(_)) => 1,
        Ok(Received::Gap { missed, .. }) => missed,
        _ => 0,
    };
    let mut seen = [0; DEVICES];
    for n in 0..4 * DEVICES {
        ann.publish(Arc::clone(&event)).unwrap();
        // A gap and an event. The device has more to read, and so stays in that event's block.
        if n % 4 == 2 {
            seen[n / 4] = numbers(&mut devices[n / 4]) + numbers(&mut devices[n / 4]);
        }
    }
    for (device, seen) in devices.iter_mut().zip(seen) {
        let rest = std::iter::repeat_with(|| numbers(device));
        let rest: u64 = rest.take_while(|numbers| *numbers > 0).sum();
        assert_eq!(seen + rest, 4 * DEVICES as u64);
    }
    drop(devices);
    assert_eq!(Arc::strong_count(&event), 1, "nothing leaks");
}

#[test]
fn a_payload_whose_clone_panics_counts_as_read() {
    let (hub, ann) = small();
    let (mut phone, mut laptop) = (ann.connect().unwrap(), ann.connect().unwrap());
    let bad = Arc::new(Bad {
        n: 0,
        panics_on_clone: true,
        panics_on_drop: false,
    });
    ann.publish(Cloning(Arc::clone(&bad))).unwrap();
    ann.publish(Cloning(Bad::good(1))).unwrap();
    let received = catch_unwind(AssertUnwindSafe(|| phone.try_recv()));
    assert!(received.is_err(), "the first of two readers clones");
    assert_eq!(next(&mut phone).0.n, 1);
    assert_eq!(
        next(&mut laptop).0.n,
        0,
        "the last reader takes it without a clone"
    );
    assert_eq!(next(&mut laptop).0.n, 1);
    let stats = [phone.stats(), laptop.stats()];
    laneway::conserved(2, hub.accepted(), &hub.stats(), stats).unwrap();
    drop((phone, laptop));
    assert_eq!(Arc::strong_count(&bad), 1, "nothing leaks");
}

#[test]
fn a_visitor_that_panics_has_read_the_event() {
    let (_hub, ann) = small();
    let mut device = ann.connect().unwrap();
    ann.publish(1).unwrap();
    ann.publish(2).unwrap();
    let visit = catch_unwind(AssertUnwindSafe(|| device.visit(5, |_, _| panic!("host"))));
    assert!(visit.is_err());
    assert_eq!(next(&mut device), 2);
}

/// A payload that publishes when it is dropped.
#[derive(Clone)]
struct Reentrant(Option<(UserScope<Reentrant>, Arc<AtomicUsize>)>);

impl Drop for Reentrant {
    fn drop(&mut self) {
        if let Some((scope, drops)) = self.0.take() {
            drops.fetch_add(1, Ordering::SeqCst);
            let _ = scope.publish(Self(None));
            let _ = scope.connect();
            let _ = scope.disconnect_all(1);
        }
    }
}

#[test]
fn a_drop_may_call_back_into_the_engine() {
    let (hub, ann) = small();
    let drops = Arc::new(AtomicUsize::new(0));
    let device = ann.connect().unwrap();
    for _ in 0..4 {
        let event = Reentrant(Some((ann.clone(), Arc::clone(&drops))));
        ann.publish(event).unwrap();
    }
    // Makes room for itself: the drop of the first disconnects all, and then the others are dropped.
    for _ in 4..MOST {
        if hub.user_count() > 0 {
            let _ = ann.publish(Reentrant(None));
        }
    }
    assert_eq!(hub.user_count(), 0);
    drop(device);
    assert_eq!(drops.load(Ordering::SeqCst), 4);
}

struct Act(Mutex<Option<Box<dyn FnOnce() + Send>>>);
impl Wake for Act {
    fn wake(self: Arc<Self>) {
        let act = self.0.lock().unwrap().take();
        if let Some(act) = act {
            act();
        }
    }
}

/// A waker that does what it likes.
fn waker(act: impl FnOnce() + Send + 'static) -> Waker {
    Waker::from(Arc::new(Act(Mutex::new(Some(Box::new(act))))))
}

#[test]
fn the_waker_of_a_device_that_has_gone_is_let_go_of() {
    let (_hub, ann) = small::<u64>();
    let mut phone = ann.connect().unwrap();
    let _tab = ann.connect().unwrap();
    let task = Arc::new(Act(Mutex::new(None)));
    let waker = Waker::from(Arc::clone(&task));
    let polled = phone.poll_recv(&mut Context::from_waker(&waker));
    assert!(polled.is_pending() && Arc::strong_count(&task) == 3);
    drop((phone, waker));
    // The collector does it, some connects later.
    let gone = (0..100_000).any(|_| {
        drop(ann.connect().unwrap());
        Arc::strong_count(&task) == 1
    });
    assert!(gone);
}

#[test]
fn a_waker_may_call_back_panic_or_drop_the_router() {
    for what in 0..3 {
        let (hub, ann) = small::<u32>();
        let (mut phone, mut laptop) = (ann.connect().unwrap(), ann.connect().unwrap());
        let _kept = (what != 2).then(|| hub.clone());
        let (scope, mut held) = (ann.clone(), Some(hub));
        let waker = waker(move || match what {
            0 => {
                scope.publish(2).unwrap();
                drop(scope.connect());
            }
            1 => panic!("the waker panics"),
            _ => drop(held.take()),
        });
        assert!(
            phone
                .poll_recv(&mut Context::from_waker(&waker))
                .is_pending()
        );
        ann.publish(1).unwrap();
        for device in [&mut phone, &mut laptop] {
            assert_eq!(next(device), 1);
            match what {
                0 => assert_eq!(next(device), 2),
                1 => assert!(matches!(device.try_recv(), Err(TryRecvError::Empty))),
                _ => assert_eq!(closed(device), CloseReason::Shutdown),
            }
        }
    }
}

#[test]
fn a_forgotten_connection_is_reclaimed_by_the_sweep_or_from_outside() {
    let hub = Hub::builder()
        .lane_capacity(4)
        .max_connections_per_user(2)
        .idle_timeout(Some(Duration::from_secs(1)))
        .build()
        .unwrap();
    let ann = hub.scope(UserId::new("ann").unwrap());
    std::mem::forget(ann.connect().unwrap());
    let forgotten = ann.connect().unwrap();
    let id = forgotten.id();
    std::mem::forget(forgotten);
    for n in 0..20 {
        ann.publish(n).unwrap();
    }
    assert!(matches!(
        ann.connect(),
        Err(ConnectError::TooManyConnections { limit: 2 })
    ));
    assert!(ann.disconnect(id, 1));
    let mut device = ann.connect().unwrap();
    ann.publish(20).unwrap();
    assert_eq!(next(&mut device), 20);
    let quarters = 0..=5;
    let closed = quarters.map(|n| {
        device.touch();
        hub.sweep(n * Duration::from_millis(250))
    });
    assert_eq!(closed.sum::<usize>(), 1);
    assert_eq!(ann.connection_count(), 1);
}

#[test]
fn two_hundred_and_fifty_five_connections_and_no_more() {
    let (hub, ann) = small();
    let mut devices: Vec<_> = (0..255).map(|_| ann.connect().unwrap()).collect();
    assert!(matches!(
        ann.connect(),
        Err(ConnectError::TooManyConnections { limit: 255 })
    ));
    for n in 0..10 {
        assert_eq!(ann.publish(n).unwrap().connections, 255);
        for device in &mut devices {
            assert_eq!(next(device), n);
        }
    }
    assert_eq!(
        ann.to_others(devices[0].id())
            .publish(10)
            .unwrap()
            .connections,
        254
    );
    assert_eq!(ann.disconnect_all(1), 255);
    assert_eq!(hub.user_count(), 0);
}

#[test]
fn every_reason_of_closing_is_told() {
    let hub = Hub::builder()
        .lane_capacity(2)
        .max_connections_per_user(1)
        .limit_policy(laneway::LimitPolicy::EvictOldest)
        .idle_timeout(Some(Duration::from_secs(1)))
        .build()
        .unwrap();
    let ann = hub.scope(UserId::new("ann").unwrap());
    let mut device = ann.connect().unwrap();
    assert!(ann.disconnect(device.id(), 4000));
    assert_eq!(
        closed(&mut device),
        CloseReason::Disconnected { code: 4000 }
    );
    device = ann.connect().unwrap();
    let mut newer = ann.connect().unwrap();
    assert_eq!(closed(&mut device), CloseReason::Evicted);
    let quarters = (0..=5).map(|n| hub.sweep(n * Duration::from_millis(250)));
    assert_eq!(quarters.sum::<usize>(), 1);
    assert_eq!(closed(&mut newer), CloseReason::Idle);
    device = ann.connect().unwrap();
    ann.publish(0).unwrap();
    ann.publish_critical(1).unwrap();
    for n in 2..MOST {
        ann.publish(n).unwrap();
    }
    assert_eq!(closed(&mut device), CloseReason::Overrun);
    assert_eq!(hub.stats().overruns, 1);
    device = ann.connect().unwrap();
    ann.publish(4).unwrap();
    assert_eq!(hub.shutdown(), 1);
    assert!(matches!(ann.publish(5), Err(PublishError::Closed(5))));
    assert!(matches!(ann.connect(), Err(ConnectError::Closed)));
    assert_eq!(next(&mut device), 4);
    for _ in 0..3 {
        assert_eq!(closed(&mut device), CloseReason::Shutdown);
    }
}

#[test]
fn an_ordinary_event_does_not_overwrite_a_critical_one_unread() {
    let (hub, ann) = small();
    let (mut quick, mut slow) = (ann.connect().unwrap(), ann.connect().unwrap());
    ann.publish(0).unwrap();
    ann.publish_critical(1).unwrap();
    for n in 2..5 {
        ann.publish(n).unwrap();
    }
    // A lap later event 0 is gone, but the critical one is not skipped with it.
    assert!(matches!(
        slow.try_recv(),
        Ok(Received::Gap { missed: 1, .. })
    ));
    assert_eq!(next(&mut slow), 1);
    assert!(matches!(
        quick.try_recv(),
        Ok(Received::Gap { missed: 1, .. })
    ));
    for n in 1..5 {
        assert_eq!(next(&mut quick), n);
    }
    // A device that has read it and is a lap behind again gets a gap only.
    for n in 5..10 {
        ann.publish(n).unwrap();
        assert_eq!(next(&mut quick), n);
    }
    assert!(matches!(slow.try_recv(), Ok(Received::Gap { .. })));
    assert_eq!(hub.stats().overruns, 0);
    // The sweep closes a device that has not read it, even without a call of the device.
    drop(slow);
    let asleep = ann.connect().unwrap();
    ann.publish_critical(10).unwrap();
    for n in 11..10 + MOST {
        ann.publish(n).unwrap();
    }
    assert!(asleep.unread() > 4);
    let before = ann.connection_count();
    assert_eq!(hub.sweep(Duration::ZERO), 2, "both have lost it");
    assert_eq!((before, ann.connection_count()), (2, 0));
}

#[test]
fn an_audience_is_counted_exactly_and_others_step_over() {
    let (hub, ann) = small();
    let thread = ThreadId::new("trip to Oslo").unwrap();
    let options = ConnectOptions {
        threads: vec![thread.clone()],
        ..ConnectOptions::default()
    };
    let mut a = ann.connect_with(options.clone()).unwrap();
    let mut b = ann.connect_with(options).unwrap();
    let mut c = ann.connect().unwrap();
    assert_eq!(ann.to_thread(&thread).publish(1).unwrap().connections, 2);
    assert_eq!(ann.to_connection(c.id()).publish(2).unwrap().connections, 1);
    assert_eq!(ann.to_others(a.id()).publish(3).unwrap().connections, 2);
    let to_all = ann.publish(4).unwrap();
    assert_eq!((to_all.number, to_all.connections), (3, 3));
    let read = |device: &mut Connection<u32>| {
        let mut seen = Vec::new();
        while let Ok(Received::Event(d)) = device.try_recv() {
            seen.push((d.number, d.event));
        }
        seen
    };
    assert_eq!(read(&mut a), [(0, 1), (3, 4)]);
    assert_eq!(read(&mut b), [(0, 1), (2, 3), (3, 4)]);
    assert_eq!(read(&mut c), [(1, 2), (2, 3), (3, 4)]);
    assert_eq!(a.stats().stepped_over, 2);
    // R013: a scope finds no connection of another user, and none that is gone.
    let bob = hub.scope(UserId::new("bob").unwrap());
    let other = bob.connect().unwrap();
    assert!(
        ann.to_connection(other.id())
            .publish(5)
            .unwrap_err()
            .is_no_connections()
    );
    assert_eq!(hub.stats().unknown_connections, 1);
    let gone = c.id();
    drop(c);
    assert!(
        ann.to_connection(gone)
            .publish(6)
            .unwrap_err()
            .is_no_connections()
    );
    laneway::conserved(
        6,
        hub.accepted(),
        &hub.stats(),
        [a.stats(), b.stats(), other.stats()],
    )
    .unwrap();
}

#[test]
fn figures_that_do_not_add_up_are_told() {
    let (hub, ann) = small();
    let mut device = ann.connect().unwrap();
    for n in 0..3 {
        ann.publish(n).unwrap();
    }
    assert_eq!(next(&mut device), 0);
    let (accepted, stats, connection) = (hub.accepted(), hub.stats(), device.stats());
    conserved(3, accepted, &stats, [connection]).unwrap();
    for offered in [2, 4] {
        let told = conserved(offered, accepted, &stats, [connection]).unwrap_err();
        let is = Imbalance::Hub {
            offered,
            accepted,
            stats,
        };
        assert_eq!(told, is);
        assert!(told.to_string().contains(&format!("{offered} events")));
    }
    for change in [
        (|c| c.numbers += 1) as fn(&mut ConnectionStats),
        |c| c.delivered -= 1,
        |c| c.stepped_over += 1,
        |c| c.missed += 1,
        |c| c.unread -= 1,
    ] {
        let mut wrong = connection;
        change(&mut wrong);
        let told = conserved(3, accepted, &stats, [connection, wrong]).unwrap_err();
        assert_eq!(told, Imbalance::Connection(wrong));
        assert!(told.to_string().contains("unaccounted"));
    }
}

#[test]
fn a_batch_wakes_once_and_tells_what_it_did() {
    struct Count(AtomicUsize);
    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    let (hub, ann) = small();
    assert!(
        ann.publish_batch([1])
            .unwrap_err()
            .error
            .is_no_connections()
    );
    let mut device = ann.connect().unwrap();
    let count = Arc::new(Count(AtomicUsize::new(0)));
    let waker = Waker::from(Arc::clone(&count));
    assert_eq!(
        device.poll_recv(&mut Context::from_waker(&waker)),
        Poll::Pending
    );
    let woken = Arc::clone(&count);
    let events = (1..4).inspect(move |_| assert_eq!(woken.0.load(Ordering::SeqCst), 0));
    let delivery = ann.publish_batch(events).unwrap();
    assert_eq!((delivery.events, delivery.last.unwrap().number), (3, 2));
    assert_eq!(count.0.load(Ordering::SeqCst), 1);
    // A panic in the iterator does not forget the sleeper.
    while device.try_recv().is_ok() {}
    assert_eq!(
        device.poll_recv(&mut Context::from_waker(&waker)),
        Poll::Pending
    );
    let events = (1..3).inspect(|n| assert!(*n < 2, "the iterator panics"));
    assert!(catch_unwind(AssertUnwindSafe(|| ann.publish_batch(events))).is_err());
    assert_eq!(count.0.load(Ordering::SeqCst), 2);
    assert_eq!(next(&mut device), 1);
    hub.shutdown();
    let refused = ann.publish_batch([7, 8]).unwrap_err();
    assert_eq!(
        (refused.delivery.events, refused.error.into_inner()),
        (0, 7)
    );
}

#[test]
fn a_host_that_wants_to_may_wait_for_room() {
    let (_hub, ann) = small();
    let mut device = ann.connect().unwrap();
    for n in 0..4 {
        ann.try_publish(n).unwrap();
    }
    let start = Instant::now();
    let full = ann
        .publish_timeout(4, Duration::from_millis(20))
        .unwrap_err();
    assert!(full.is_full() && start.elapsed() >= Duration::from_millis(20));
    let scope = ann.clone();
    let waiting = thread::spawn(move || scope.publish_timeout(5, Duration::from_secs(60)));
    thread::sleep(Duration::from_millis(5));
    assert_eq!(next(&mut device), 0);
    assert_eq!(waiting.join().unwrap().unwrap().number, 4);
}

#[test]
fn a_lane_may_have_a_capacity_of_its_own() {
    let (_hub, ann) = small();
    let with = |lane_capacity| ConnectOptions {
        lane_capacity: Some(lane_capacity),
        ..ConnectOptions::default()
    };
    for bad in [0, 1, 3, 1 << 20] {
        let refused = ann.connect_with(with(bad)).unwrap_err();
        assert_eq!(refused, ConnectError::LaneCapacity(bad));
    }
    let mut device = ann.connect_with(with(16)).unwrap();
    let _second = ann.connect_with(with(2)).unwrap();
    for n in 0..16 {
        ann.publish(n).unwrap();
    }
    assert_eq!(next(&mut device), 0, "sixteen fit, whatever came later");
}

#[test]
fn notices_are_lost_when_the_channel_is_full_and_counted() {
    let (hub, ann) = small::<u32>();
    let lifecycle = hub.lifecycle(3).unwrap();
    let device = ann.connect().unwrap();
    let second = ann.connect().unwrap();
    drop((device, second));
    assert_eq!(lifecycle.lost(), 3);
    let told: Vec<_> = std::iter::from_fn(|| lifecycle.try_next().ok()).collect();
    assert_eq!(told[0].change, Change::Online);
    assert_eq!(told.iter().map(|n| n.number).collect::<Vec<_>>(), [0, 1, 2]);
    let device = ann.connect().unwrap();
    let online = lifecycle.try_next().unwrap();
    assert!(online.session > told[0].session && online.change == Change::Online);
    drop(device);
    assert_eq!(lifecycle.lost(), 3, "there was room for the rest");
}

#[test]
fn a_shutdown_under_full_load_ends_everybody_and_loses_nothing_silently() {
    let (hub, ann) = small::<u64>();
    let stop = AtomicBool::new(false);
    thread::scope(|s| {
        let publishers = [0, 1].map(|_| {
            let scope = ann.clone();
            let stop = &stop;
            s.spawn(move || {
                let mut offered = 0;
                while !stop.load(Ordering::Relaxed) {
                    offered += 1;
                    if scope.publish(offered).is_err_and(|e| e.is_closed()) {
                        break;
                    }
                }
                offered
            })
        });
        let readers = [0, 1].map(|_| {
            let mut device = ann.connect().unwrap();
            s.spawn(move || {
                while device.recv().is_ok() {}
                device.stats()
            })
        });
        thread::sleep(Duration::from_millis(50));
        hub.shutdown();
        let stats = readers.map(|reader| reader.join().unwrap());
        stop.store(true, Ordering::Relaxed);
        let offered = publishers.map(|p| p.join().unwrap()).iter().sum();
        laneway::conserved(offered, hub.accepted(), &hub.stats(), []).unwrap();
        for stats in stats {
            // Numbers that publishers took up in the moment of the shutdown are still unread.
            let passed = stats.delivered + stats.stepped_over + stats.missed;
            assert_eq!(stats.numbers, passed + stats.unread);
            assert!(stats.unread <= 2 * 16);
        }
    });
}

#[test]
fn a_dump_tells_the_state_and_no_payload() {
    let (hub, ann) = small();
    let mut device = ann.connect().unwrap();
    ann.publish("secret".to_owned()).unwrap();
    ann.publish_critical("hidden".to_owned()).unwrap();
    next(&mut device);
    let mut dump = String::new();
    hub.dump(&mut dump).unwrap();
    ann.dump(&mut dump).unwrap();
    assert!(dump.contains("seq 2 live 1") && dump.contains("critical") && dump.contains("ann"));
    assert!(!dump.contains("secret") && !dump.contains("hidden"));
}

#[test]
fn a_connection_tells_who_it_is() {
    let (_hub, ann) = small::<u32>();
    let thread = ThreadId::new("trip to Oslo").unwrap();
    let options = ConnectOptions {
        threads: vec![thread.clone()],
        ..ConnectOptions::default()
    };
    let (on, off) = (ann.connect_with(options).unwrap(), ann.connect().unwrap());
    assert_eq!(
        (on.threads(), off.threads()),
        (vec![thread.clone()], vec![])
    );
    assert!(on.id() != off.id() && on.user() == ann.user());
    let listed = ann.connections();
    assert_eq!(listed.len(), 2);
    assert!(
        listed
            .iter()
            .any(|info| info.id == on.id() && info.threads == [thread.clone()])
    );
}

#[test]
fn a_router_lends_the_way_to_a_user() {
    let (hub, ann) = small();
    assert!(
        hub.to_user(ann.user())
            .publish(0)
            .unwrap_err()
            .is_no_connections()
    );
    let (mut phone, mut laptop) = (ann.connect().unwrap(), ann.connect().unwrap());
    assert_eq!(hub.to_user(ann.user()).publish(1).unwrap().connections, 2);
    hub.to_user(ann.user()).publish_critical(2).unwrap();
    for device in [&mut phone, &mut laptop] {
        assert_eq!((next(device), next(device)), (1, 2));
    }
}

#[test]
fn a_batch_of_reads_tells_the_end_only_when_it_has_read_nothing() {
    let (hub, ann) = small();
    let (mut a, mut b) = (ann.connect().unwrap(), ann.connect().unwrap());
    for n in 0..3 {
        ann.publish(n).unwrap();
    }
    hub.shutdown();
    let ended = Closed {
        reason: CloseReason::Shutdown,
    };
    assert_eq!(a.visit(2, |_, _| {}).unwrap().events, 2);
    assert_eq!(a.visit(9, |_, _| {}).unwrap().events, 1);
    assert_eq!(a.visit(9, |_, _| {}), Err(ended));
    let mut into = Vec::new();
    assert_eq!(b.drain(9, &mut into), Ok(3));
    assert_eq!(b.drain(9, &mut into), Err(ended));
    assert_eq!(into.len(), 3);
}

/// 100 000 connects and disconnects against publishers that never rest, while a sweeper's clock
/// jumps about. No device gets another user's event, no device that reads idles out, nothing is left behind.
#[test]
fn connections_come_and_go_in_a_storm_of_publishes() {
    const CONNECTS: u64 = 100_000;
    const USERS: u64 = 4;
    let hub = Hub::builder()
        .lane_capacity(8)
        .idle_timeout(Some(Duration::from_secs(1 << 40)))
        .build::<(u64, u64)>()
        .expect("valid");
    let scope = |u: u64| hub.scope(UserId::new(format!("user {u}")).expect("valid"));
    let scopes: Vec<_> = (0..USERS).map(scope).collect();
    let (offered, received, done) = (AtomicU64::new(0), AtomicU64::new(0), AtomicBool::new(false));
    thread::scope(|s| {
        s.spawn(|| {
            for n in 0_u64.. {
                if done.load(Ordering::Acquire) {
                    break;
                }
                let user = n % USERS;
                let _ = scopes[user as usize].publish((user, n));
                offered.fetch_add(1, Ordering::Relaxed);
                if n % 64 == 0 {
                    // Back and forth: what the clock goes ahead adds up, to less than the idle timeout.
                    let now = Duration::from_secs(1000 + n / 64 * 7 % 30);
                    assert_eq!(hub.sweep(now), 0, "no connection is idle");
                }
            }
        });
        let mut open = VecDeque::new();
        for n in 0..CONNECTS {
            let user = n % USERS;
            open.push_back((user, scopes[user as usize].connect().expect("room")));
            if open.len() < 16 {
                continue;
            }
            let (user, mut connection) = open.pop_front().expect("sixteen are open");
            let mut last = None;
            for _ in 0..4 {
                if let Ok(Received::Event(delivered)) = connection.try_recv() {
                    assert_eq!(delivered.event.0, user, "an event of another user");
                    assert!(last < Some(delivered.event.1), "events come in order");
                    last = Some(delivered.event.1);
                    received.fetch_add(1, Ordering::Relaxed);
                }
            }
            let stats = connection.stats();
            let told = stats.delivered + stats.stepped_over + stats.missed + stats.unread;
            assert_eq!(told, stats.numbers, "nothing vanishes");
        }
        done.store(true, Ordering::Release);
    });
    assert_eq!(hub.user_count(), 0);
    let offered = offered.into_inner();
    laneway::conserved(offered, hub.accepted(), &hub.stats(), []).expect("nothing vanishes");
    println!(
        "{offered} events offered, {} received",
        received.into_inner()
    );
}
