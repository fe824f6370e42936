//! R081: calls that wait give way, and say why there is nothing.
#![cfg(not(any(laneway_loom, laneway_shuttle)))]
#![allow(clippy::disallowed_methods)] // Gives a sleeper time to fall asleep.

use std::cell::Cell;
use std::collections::VecDeque;
use std::future::Future;
use std::iter::from_fn;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use laneway::{
    Change, ConnectOptions, Connection, Hub, Lifecycle, LifecycleError, NoNotice, Received,
    Retention, ThreadId, UserId, UserScope,
};

#[path = "common/wakes.rs"]
mod wakes;

use wakes::Calls;

const LONG: Duration = Duration::from_secs(60);
/// Results that a task gets one after the other.
const TURNS: usize = 64;

fn ann() -> (Hub<u32>, UserScope<u32>) {
    let hub: Hub<u32> = Hub::new();
    let ann = hub.scope(UserId::new("ann").unwrap());
    (hub, ann)
}

#[test]
fn r081_a_task_that_always_finds_something_lets_timers_of_its_thread_run() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let (_hub, ann) = ann();
    let rang = Rc::new(Cell::new(false));
    let tasks = tokio::task::LocalSet::new();
    let alarm = Rc::clone(&rang);
    tasks.spawn_local(async move {
        tokio::time::sleep(Duration::from_millis(5)).await;
        alarm.set(true);
    });
    let start = Instant::now();
    tasks.block_on(&runtime, async {
        let busy = tokio::task::spawn_local(async move {
            let mut device = ann.connect().unwrap();
            for n in 0.. {
                ann.publish(n).unwrap();
                let got = device.next().await;
                assert!(matches!(got, Ok(Received::Event(d)) if d.event == n));
                if rang.get() || start.elapsed() > Duration::from_secs(5) {
                    return rang.get();
                }
            }
            false
        });
        assert!(busy.await.unwrap(), "the timer's task has run");
    });
}

type Task = Pin<Box<dyn Future<Output = ()>>>;

/// Polls its tasks in turn, each when it was woken, until all are done.
fn run(tasks: impl IntoIterator<Item = Task>) {
    struct Woken(AtomicBool);
    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::SeqCst);
        }
    }
    let mut queue: VecDeque<_> = tasks
        .into_iter()
        .map(|task| (task, Arc::new(Woken(AtomicBool::new(true)))))
        .collect();
    let mut idle = 0;
    while let Some((mut task, woken)) = queue.pop_front() {
        if woken.0.swap(false, Ordering::SeqCst) {
            idle = 0;
            let waker = Waker::from(Arc::clone(&woken));
            if task
                .as_mut()
                .poll(&mut Context::from_waker(&waker))
                .is_ready()
            {
                continue;
            }
        }
        idle += 1;
        queue.push_back((task, woken));
        assert!(idle <= queue.len(), "no task was woken");
    }
}

#[test]
fn r081_tasks_of_any_executor_take_turns_while_one_reads_without_a_rest() {
    const EVENTS: u32 = 1_000;
    let (hub, ann) = ann();
    let bob = hub.scope(UserId::new("bob").unwrap());
    let read = Rc::new(Cell::new(0));
    let seen = Rc::new(Cell::new(0));
    let reads = |scope: UserScope<u32>| -> Task {
        let read = Rc::clone(&read);
        Box::pin(async move {
            let mut device = scope.connect().unwrap();
            for n in 0..EVENTS {
                scope.publish(n).unwrap();
                let got = device.next().await;
                assert!(matches!(got, Ok(Received::Event(d)) if d.event == n));
                read.set(read.get() + 1);
            }
        })
    };
    let (looks, look) = (Rc::clone(&read), Rc::clone(&seen));
    let mut turns = 0;
    let between = std::future::poll_fn(move |cx| {
        if looks.get() == 2 * EVENTS {
            return Poll::Ready(());
        }
        turns += 1;
        look.set(turns);
        cx.waker().wake_by_ref();
        Poll::Pending
    });
    run([reads(ann), reads(bob), Box::pin(between)]);
    assert_eq!(read.get(), 2 * EVENTS, "every event is read");
    let turns = EVENTS as usize / TURNS;
    assert!(seen.get() >= turns, "{} turns for the others", seen.get());
}

/// So many results until the connection gives way.
fn in_a_row(device: &mut Connection<u32>, mut before: impl FnMut()) -> usize {
    let calls = Arc::new(Calls::default());
    let waker = Waker::from(Arc::clone(&calls));
    let results = (0..10_000).find(|_| {
        before();
        device
            .poll_recv(&mut Context::from_waker(&waker))
            .is_pending()
    });
    assert_eq!(calls.0.load(Ordering::SeqCst), 1, "the task is woken");
    results.expect("it gives way")
}

#[test]
fn r081_a_poll_gives_way_after_64_results_and_loses_nothing() {
    let (_hub, ann) = ann();
    let mut device = ann.connect().unwrap();
    let mut offered = 0;
    let mut publish = || {
        ann.publish(offered).unwrap();
        offered += 1;
    };
    for _ in 0..3 {
        assert_eq!(in_a_row(&mut device, &mut publish), TURNS);
    }
    // The event before which it gave way is still there. Calls that do not wait have no such bound.
    for _ in 0..3 {
        assert!(matches!(device.try_recv(), Ok(Received::Event(_))));
    }
    for n in 0..1_000 {
        ann.publish(n).unwrap();
        assert!(matches!(device.try_recv(), Ok(Received::Event(d)) if d.event == n));
    }
    // A rest is as good.
    let mut cx = Context::from_waker(Waker::noop());
    for n in 0..1_000 {
        if n % 60 == 0 {
            assert!(device.poll_recv(&mut cx).is_pending(), "there is nothing");
        }
        ann.publish(n).unwrap();
        let got = device.poll_recv(&mut cx);
        assert!(matches!(got, Poll::Ready(Ok(Received::Event(d))) if d.event == n));
    }
}

#[test]
fn r081_a_poll_gives_way_whatever_its_results_are() {
    let hub = Hub::builder().lane_capacity(2).build::<u32>().unwrap();
    let ann = hub.scope(UserId::new("ann").unwrap());
    // Gaps.
    let mut device = ann.connect().unwrap();
    let row = in_a_row(&mut device, || {
        for n in 0..3 {
            ann.publish(n).unwrap();
        }
    });
    assert_eq!(row, TURNS);
    // The end, asked for again and again.
    ann.disconnect_all(7);
    assert_eq!(in_a_row(&mut device, || ()), TURNS);
    // A replay.
    let retention = Some(Retention::events(256));
    let hub = Hub::builder().retention(retention).build().unwrap();
    let ann = hub.scope(UserId::new("ann").unwrap());
    let position = ann.connect().unwrap().position();
    for n in 0..200 {
        ann.publish(n).unwrap();
    }
    let (mut device, _) = ann.resume(&position).unwrap();
    assert_eq!(in_a_row(&mut device, || ()), TURNS);
}

#[test]
fn r081_a_wait_that_gave_way_and_is_dropped_loses_nothing() {
    let (_hub, ann) = ann();
    let mut device = ann.connect().unwrap();
    let mut cx = Context::from_waker(Waker::noop());
    let mut got = Vec::new();
    for n in 0..1_000 {
        ann.publish(n).unwrap();
        let mut next = pin!(device.next());
        if let Poll::Ready(Ok(Received::Event(event))) = next.as_mut().poll(&mut cx) {
            got.push(event.event);
        }
    }
    while let Ok(Received::Event(event)) = device.try_recv() {
        got.push(event.event);
    }
    assert!(got.into_iter().eq(0..1_000));
}

fn changes(lifecycle: &Lifecycle) -> Vec<Change> {
    from_fn(|| lifecycle.try_next().ok().map(|n| n.change)).collect()
}

#[test]
fn r081_each_subscriber_is_told_and_a_slow_one_costs_the_others_nothing() {
    let (hub, ann) = ann();
    let (quick, slow) = (hub.lifecycle(100).unwrap(), hub.lifecycle(3).unwrap());
    let threads = vec![ThreadId::new("Oslo").unwrap()];
    let options = ConnectOptions {
        threads,
        ..ConnectOptions::default()
    };
    drop((ann.connect().unwrap(), ann.connect_with(options).unwrap()));
    let (all, some) = (changes(&quick), changes(&slow));
    assert_eq!((all.len(), &all[..3]), (6, &some[..]));
    assert_eq!(
        (quick.lost(), slow.lost()),
        (0, 3),
        "each is told of its own"
    );
    // A later one hears what comes later, and one that goes takes no other's notices along.
    let later = hub.lifecycle(100).unwrap();
    drop(slow);
    drop(ann.connect().unwrap());
    assert_eq!(changes(&quick).len(), 4);
    assert_eq!(changes(&later).len(), 4);
}

#[test]
fn r081_subscribers_and_their_channels_are_bounded() {
    let (hub, ann) = ann();
    for capacity in [0, (1 << 20) + 1, usize::MAX] {
        let refused = hub.lifecycle(capacity).unwrap_err();
        assert_eq!(refused, LifecycleError::Capacity(capacity));
    }
    let mut all: Vec<_> = (0..16).map(|_| hub.lifecycle(1 << 20).unwrap()).collect();
    let refused = hub.lifecycle(1).unwrap_err();
    assert!(matches!(refused, LifecycleError::TooMany { limit: 16, .. }));
    assert!(!refused.to_string().is_empty());
    // One that goes makes room, without a change in between or with one.
    all.pop();
    all.push(hub.lifecycle(8).unwrap());
    all.pop();
    drop(ann.connect().unwrap());
    all.push(hub.lifecycle(8).unwrap());
    assert!(hub.lifecycle(1).is_err());
    assert!(all[..15].iter().all(|one| changes(one).len() == 4));
}

#[test]
fn r081_notices_that_are_over_are_told_from_none_yet() {
    for retention in [None, Some(Retention::events(8))] {
        let builder = Hub::builder().retention(retention);
        let hub = builder.build::<u32>().unwrap();
        let (ann, bob) = ["ann", "bob"]
            .map(|name| hub.scope(UserId::new(name).unwrap()))
            .into();
        let lifecycle = hub.lifecycle(100).unwrap();
        assert_eq!(lifecycle.try_next(), Err(NoNotice::Nothing));
        let short = Duration::from_millis(1);
        assert_eq!(lifecycle.next_timeout(short), Err(NoNotice::Nothing));
        // Bob is absent, or gone; ann has two devices.
        drop(bob.connect().unwrap());
        let devices = (ann.connect().unwrap(), ann.connect().unwrap());
        hub.shutdown();
        assert_eq!(changes(&lifecycle).len(), 7);
        assert_eq!(
            lifecycle.try_next(),
            Err(NoNotice::Nothing),
            "some are there"
        );
        drop(devices);
        assert_eq!(changes(&lifecycle).len(), 3);
        // At once, again and again, though there are scopes and a hub.
        let start = Instant::now();
        for _ in 0..3 {
            assert_eq!(lifecycle.next_timeout(LONG), Err(NoNotice::Over));
            assert_eq!(lifecycle.try_next(), Err(NoNotice::Over));
        }
        assert!(start.elapsed() < LONG);
        // One that comes later is told so too, and a refused connect changes nothing.
        assert!(ann.connect().is_err());
        let later = hub.lifecycle(1).unwrap();
        assert_eq!(later.next_timeout(Duration::MAX), Err(NoNotice::Over));
    }
}

#[test]
fn r081_a_full_channel_has_room_for_the_end() {
    let (hub, ann) = ann();
    let lifecycle = hub.lifecycle(1).unwrap();
    drop(ann.connect().unwrap());
    drop(hub);
    assert_eq!(lifecycle.try_next().unwrap().change, Change::Online);
    assert_eq!(lifecycle.lost(), 3);
    assert_eq!(lifecycle.try_next(), Err(NoNotice::Over));
}

#[test]
fn r081_the_end_wakes_every_thread_that_waits_for_a_notice() {
    let (hub, ann) = ann();
    let lifecycle = hub.lifecycle(8).unwrap();
    let device = ann.connect().unwrap();
    assert_eq!(changes(&lifecycle).len(), 2);
    let start = Instant::now();
    thread::scope(|s| {
        let wait = || {
            while lifecycle.next_timeout(LONG).is_ok() {}
            lifecycle.next_timeout(LONG)
        };
        let threads = [s.spawn(wait), s.spawn(wait), s.spawn(wait)];
        thread::sleep(Duration::from_millis(20));
        drop(hub);
        drop(device);
        for thread in threads {
            assert_eq!(thread.join().unwrap(), Err(NoNotice::Over));
        }
    });
    assert!(start.elapsed() < LONG);
}

#[test]
fn r081_threads_that_share_a_subscriber_are_all_told_that_it_is_over() {
    let (hub, _ann) = ann();
    let lifecycle = hub.lifecycle(1).unwrap();
    hub.shutdown();
    thread::scope(|s| {
        for _ in 0..2 {
            s.spawn(|| {
                for _ in 0..100_000 {
                    assert_eq!(lifecycle.try_next(), Err(NoNotice::Over));
                }
            });
        }
    });
}
