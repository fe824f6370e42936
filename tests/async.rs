//! R091, R092, R093, R098: tasks that wait for room, for notices and for an end, and handles that keep no hub open.
#![cfg(not(any(laneway_loom, laneway_shuttle)))]
#![allow(clippy::disallowed_methods)] // Gives a sleeper time to fall asleep, and blocks on futures.

use std::future::{Future, Ready, ready};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use laneway::{
    Change, CloseReason, Closed, Connection, DrainPlan, Hub, Lifecycle, NoNotice, PublishError,
    Received, UserId, UserScope,
};

#[path = "common/executors.rs"]
mod executors;
#[path = "common/random.rs"]
mod random;
#[path = "common/wakes.rs"]
mod wakes;

use executors::{block_on, on_each_executor, task};
use random::Random;
use wakes::Calls;

/// Results that a task gets one after the other.
const TURNS: usize = 64;

fn hub(capacity: usize) -> Hub<Arc<u32>> {
    Hub::builder().lane_capacity(capacity).build().unwrap()
}

fn scope<E: Send + Sync>(hub: &Hub<E>, name: &str) -> UserScope<E> {
    hub.scope(UserId::new(name).unwrap())
}

/// A pause that is over at once, again and again.
#[allow(clippy::unnecessary_wraps)] // As `publish_when_free` asks for it.
fn no_pause(_: Duration) -> Option<Ready<()>> {
    Some(ready(()))
}

impl Calls {
    fn so_far(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

/// Reads events until `end` comes. They have to be 0 to `end`, without a gap.
async fn read_to(mut device: Connection<Arc<u32>>, end: u32) {
    for expected in 0..=end {
        match device.next().await {
            Ok(Received::Event(got)) => assert_eq!(*got.event, expected),
            other => panic!("{other:?} instead of {expected}"),
        }
    }
}

#[test]
fn r091_a_task_that_waits_for_room_misses_nothing_on_any_executor() {
    const LAST: u32 = 2_000;
    on_each_executor(|| {
        let hub = hub(4);
        let ann = scope(&hub, "ann");
        let [one, other] = [(); 2].map(|()| task(read_to(ann.connect().unwrap(), LAST)));
        let publishes = task(async move {
            let _hub = hub; // open until everything is published
            for n in 0..=LAST {
                let done = ann.publish_when_free(Arc::new(n), no_pause).await.unwrap();
                // Numbers of a publisher that was stopped too long are skipped.
                assert!(done.number >= u64::from(n));
            }
        });
        vec![publishes, one, other]
    });
}

#[test]
fn r091_a_task_waits_with_the_timer_of_its_runtime() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    runtime.block_on(async {
        let hub = hub(2);
        let ann = scope(&hub, "ann");
        let device = ann.connect().unwrap();
        let reads = tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(20)).await;
            read_to(device, 9).await;
        });
        let mut pauses = Vec::new();
        for n in 0..10 {
            let pause = |pause| {
                pauses.push(pause);
                Some(tokio::time::sleep(pause))
            };
            ann.publish_when_free(Arc::new(n), pause).await.unwrap();
        }
        reads.await.unwrap();
        let bounds = Duration::from_micros(10)..=Duration::from_millis(1);
        assert!(!pauses.is_empty() && pauses.iter().all(|p| bounds.contains(p)));
    });
}

#[test]
fn r091_a_wait_that_its_host_ends_hands_the_event_back() {
    let hub = hub(2);
    let ann = scope(&hub, "ann");
    let mut device = ann.connect().unwrap();
    let event = Arc::new(7);
    for _ in 0..2 {
        ann.publish(Arc::default()).unwrap();
    }
    let mut looks = 0;
    let back = block_on(ann.publish_when_free(Arc::clone(&event), |_| {
        looks += 1;
        (looks < 10).then(|| ready(()))
    }));
    let Err(PublishError::Full(back)) = back else {
        panic!("{back:?}")
    };
    assert!(Arc::ptr_eq(&back, &event));
    assert_eq!(looks, 10);
    // A refusal for another reason than room ends the wait at once.
    hub.shutdown();
    let refused = block_on(ann.publish_when_free(event, no_pause)).unwrap_err();
    assert!(refused.is_closed());
    while device.try_recv().is_ok() {}
    drop(device);
}

#[test]
fn r091_a_wait_ends_when_the_slow_device_goes() {
    let hub = hub(2);
    let ann = scope(&hub, "ann");
    let mut quick = ann.connect().unwrap();
    let slow = ann.connect().unwrap();
    for n in 0..2 {
        ann.publish(Arc::new(n)).unwrap();
        assert!(matches!(quick.try_recv(), Ok(Received::Event(_))));
    }
    let waits = thread::spawn({
        let ann = ann.clone();
        move || block_on(ann.publish_when_free(Arc::new(2), no_pause))
    });
    thread::sleep(Duration::from_millis(5));
    assert!(quick.try_recv().is_err(), "the lane is full");
    drop(slow);
    assert_eq!(waits.join().unwrap().unwrap().number, 2);
    // The last device goes, and there is no audience left.
    drop(quick);
    let refused = block_on(ann.publish_when_free(Arc::new(3), no_pause)).unwrap_err();
    assert!(refused.is_no_connections());
}

#[test]
fn r091_a_wait_that_is_dropped_drops_its_event_and_publishes_nothing() {
    const ROUNDS: u32 = 20_000;
    let hub = hub(2);
    let ann = scope(&hub, "ann");
    let mut device = ann.connect().unwrap();
    let mut random = Random(0x5eed);
    let mut cx = Context::from_waker(Waker::noop());
    let (mut expected, mut got, mut dropped) = (Vec::new(), Vec::new(), 0);
    for n in 0..ROUNDS {
        let event = Arc::new(n);
        let mut publish = Box::pin(ann.publish_when_free(Arc::clone(&event), no_pause));
        let mut is_done = false;
        for _ in 0..random.below(4) {
            if publish.as_mut().poll(&mut cx).is_ready() {
                is_done = true;
                break;
            }
            // Another branch of a `select!` comes in between.
            if random.below(4) == 0
                && let Ok(Received::Event(event)) = device.try_recv()
            {
                got.push(*event.event);
            }
        }
        drop(publish);
        if is_done {
            expected.push(n);
        } else {
            assert_eq!(Arc::strong_count(&event), 1, "the event is dropped");
            dropped += 1;
        }
        if random.below(3) == 0
            && let Ok(Received::Event(event)) = device.try_recv()
        {
            got.push(*event.event);
        }
    }
    while let Ok(Received::Event(event)) = device.try_recv() {
        got.push(*event.event);
    }
    assert_eq!(got, expected);
    assert!(dropped > 1_000 && expected.len() > 1_000);
}

#[test]
fn r091_a_pause_that_is_over_at_once_lets_the_other_tasks_run() {
    let hub = hub(2);
    let ann = scope(&hub, "ann");
    let _device = ann.connect().unwrap();
    for _ in 0..2 {
        ann.publish(Arc::default()).unwrap();
    }
    let calls = Arc::new(Calls::default());
    let waker = Waker::from(Arc::clone(&calls));
    let mut publish = pin!(ann.publish_when_free(Arc::default(), no_pause));
    for poll in 1..100 {
        let polled = publish.as_mut().poll(&mut Context::from_waker(&waker));
        assert!(polled.is_pending());
        assert_eq!(calls.so_far(), poll, "it wakes itself once a poll");
    }
}

/// Counts the notices until they are over.
async fn count(mut lifecycle: Lifecycle, counted: Arc<AtomicUsize>) {
    while lifecycle.next().await.is_some() {
        counted.fetch_add(1, Ordering::SeqCst);
    }
    assert_eq!(lifecycle.next().await, None, "for good");
    assert_eq!(lifecycle.try_next(), Err(NoNotice::Over));
    assert_eq!(lifecycle.lost(), 0);
}

#[test]
fn r092_each_task_that_awaits_notices_gets_all_of_them_on_any_executor() {
    const ROUNDS: usize = 500;
    let counted: [_; 3] = std::array::from_fn(|_| Arc::new(AtomicUsize::new(0)));
    on_each_executor(|| {
        let hub: Hub<u8> = Hub::new();
        let mut tasks: Vec<_> = counted
            .iter()
            .map(|counted| {
                counted.store(0, Ordering::SeqCst);
                let lifecycle = hub.lifecycle(8 * ROUNDS).unwrap();
                task(count(lifecycle, Arc::clone(counted)))
            })
            .collect();
        let counted = counted.clone();
        tasks.push(task(async move {
            let hub = hub; // open until all have come and gone
            let [ann, bob] = ["ann", "bob"].map(|name| scope(&hub, name));
            for n in 0..ROUNDS {
                drop((ann.connect().unwrap(), bob.connect().unwrap()));
                // Some notices find the tasks asleep, and some awake.
                while n % 10 == 0 && counted.iter().any(|c| c.load(Ordering::SeqCst) < 8 * n) {
                    let mut is_first = true;
                    std::future::poll_fn(|cx| {
                        if !std::mem::take(&mut is_first) {
                            return Poll::Ready(());
                        }
                        cx.waker().wake_by_ref();
                        Poll::Pending
                    })
                    .await;
                }
            }
        }));
        tasks
    });
    for counted in counted {
        assert_eq!(counted.load(Ordering::SeqCst), 8 * ROUNDS);
    }
}

#[test]
fn r092_a_task_that_awaits_notices_sleeps_behind_none_whatever_the_threads_do() {
    const ROUNDS: usize = 20_000;
    let hub: Hub<u8> = Hub::new();
    let ann = scope(&hub, "ann");
    let first = ann.connect().unwrap();
    let mut lifecycle = hub.lifecycle(8).unwrap();
    let counted = &AtomicUsize::new(0);
    thread::scope(|s| {
        s.spawn(move || {
            let mut second = None;
            let mut random = Random(3);
            for round in 0..ROUNDS {
                for _ in 0..random.below(100) {
                    std::hint::spin_loop();
                }
                // One notice, which nothing follows until it is counted.
                second = match second {
                    None => Some(ann.connect().unwrap()),
                    Some(_) => None,
                };
                let start = Instant::now();
                while counted.load(Ordering::SeqCst) == round {
                    if start.elapsed() > Duration::from_secs(20) {
                        return; // the end of the notices wakes the task that slept
                    }
                    std::hint::spin_loop();
                }
            }
            drop((first, hub));
        });
        block_on(async {
            for round in 0..ROUNDS {
                let notice = lifecycle.next().await.expect("not over");
                counted.store(round + 1, Ordering::SeqCst);
                assert!(!matches!(notice.change, Change::Online | Change::Offline));
            }
        });
    });
}

#[test]
fn r092_a_wait_for_notices_that_is_dropped_loses_none() {
    let hub: Hub<u8> = Hub::new();
    let ann = scope(&hub, "ann");
    let mut lifecycle = hub.lifecycle(1 << 16).unwrap();
    let mut random = Random(7);
    let (mut awaited, mut rounds) = (Vec::new(), 0);
    let calls = Arc::new(Calls::default());
    let waker = Waker::from(Arc::clone(&calls));
    let mut cx = Context::from_waker(&waker);
    for _ in 0..5_000 {
        let mut next = pin!(lifecycle.next());
        for _ in 0..random.below(3) {
            if let Poll::Ready(notice) = next.as_mut().poll(&mut cx) {
                awaited.push(notice.expect("not over"));
                break;
            }
            if random.below(2) == 0 {
                drop(ann.connect().unwrap());
                rounds += 1;
            }
        }
    }
    while let Ok(notice) = lifecycle.try_next() {
        awaited.push(notice);
    }
    assert_eq!(lifecycle.lost(), 0);
    assert_eq!(awaited.len(), 4 * rounds);
    assert!(awaited.chunks(4).enumerate().all(|(round, notices)| {
        let session = round as u64 + 1;
        notices
            .iter()
            .zip(0..)
            .all(|(notice, number)| (notice.session, notice.number) == (session, number))
    }));
    // A wait that was dropped is woken no more.
    assert!(pin!(lifecycle.next()).poll(&mut cx).is_pending());
    let woken = calls.so_far();
    drop(ann.connect().unwrap());
    assert_eq!(calls.so_far(), woken);
}

#[test]
fn r092_a_select_between_events_and_notices_loses_neither() {
    const ROUNDS: u32 = 3_000;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .unwrap();
    let hub = hub(1 << 13);
    let [ann, bob] = ["ann", "bob"].map(|name| scope(&hub, name));
    let mut device = ann.connect().unwrap();
    let mut lifecycle = hub.lifecycle(1 << 16).unwrap();
    let other = runtime.spawn(async move {
        for n in 0..ROUNDS {
            ann.publish(Arc::new(n)).unwrap();
            drop(bob.connect().unwrap());
            if n % 3 == 0 {
                tokio::task::yield_now().await;
            }
        }
    });
    let selects = runtime.spawn(async move {
        let (mut events, mut notices) = (0, 0);
        while events < ROUNDS || notices < 4 * ROUNDS {
            tokio::select! {
                got = device.next() => match got {
                    Ok(Received::Event(got)) => {
                        assert_eq!(*got.event, events);
                        events += 1;
                    }
                    other => panic!("{other:?}"),
                },
                notice = lifecycle.next() => {
                    assert_eq!(notice.unwrap().number, u64::from(notices % 4));
                    notices += 1;
                }
            }
        }
    });
    runtime.block_on(async {
        other.await.unwrap();
        selects.await.unwrap();
    });
    assert_eq!(hub.user_count(), 0);
}

#[test]
fn r092_a_task_that_always_finds_a_notice_gives_way() {
    let hub: Hub<u8> = Hub::new();
    let ann = scope(&hub, "ann");
    let mut lifecycle = hub.lifecycle(1 << 10).unwrap();
    for _ in 0..100 {
        drop(ann.connect().unwrap());
    }
    let calls = Arc::new(Calls::default());
    let waker = Waker::from(Arc::clone(&calls));
    let mut cx = Context::from_waker(&waker);
    let mut told = 0;
    for row in 1..=6 {
        while lifecycle.poll_next(&mut cx).is_ready() {
            told += 1;
        }
        assert_eq!((told, calls.so_far()), (row * TURNS, row));
    }
    while lifecycle.poll_next(&mut cx).is_ready() {
        told += 1;
    }
    assert_eq!(
        (told, calls.so_far()),
        (400, 6),
        "nothing is left, and it rests"
    );
}

#[test]
fn r092_a_task_is_woken_once_by_what_comes_and_by_the_end() {
    let hub: Hub<u8> = Hub::new();
    let ann = scope(&hub, "ann");
    let mut lifecycle = hub.lifecycle(1 << 10).unwrap();
    let calls = Arc::new(Calls::default());
    let waker = Waker::from(Arc::clone(&calls));
    let mut cx = Context::from_waker(&waker);
    assert!(lifecycle.poll_next(&mut cx).is_pending());
    let device = ann.connect().unwrap();
    assert_eq!(calls.so_far(), 1, "two notices wake it once");
    while lifecycle.poll_next(&mut cx).is_ready() {}
    hub.shutdown();
    assert_eq!(calls.so_far(), 1, "there is a device still");
    drop(device);
    assert_eq!(calls.so_far(), 2);
    let told = std::iter::from_fn(|| match lifecycle.poll_next(&mut cx) {
        Poll::Ready(notice) => notice,
        Poll::Pending => panic!("not over"),
    });
    assert_eq!(told.last().unwrap().change, Change::Offline);
    assert_eq!(calls.so_far(), 2, "the end is there, and wakes no more");
    // The end alone.
    let other: Hub<u8> = Hub::new();
    let mut alone = other.lifecycle(1).unwrap();
    assert!(alone.poll_next(&mut cx).is_pending());
    drop(other);
    assert_eq!(calls.so_far(), 3);
    assert_eq!(alone.poll_next(&mut cx), Poll::Ready(None));
    drop(alone);
    // The subscriber goes, and keeps no task.
    drop(lifecycle);
    drop(waker);
    for _ in 0..10_000 {
        // The collector's turn comes with later calls.
        let other = Hub::builder().shards(1).build::<u8>().unwrap();
        drop(scope(&other, "bob").connect().unwrap());
        if Arc::strong_count(&calls) == 1 {
            return;
        }
    }
    panic!("the waker is kept");
}

#[test]
fn r092_a_waker_of_notices_that_panics_or_calls_back_hurts_no_connect() {
    struct Panics;
    impl Wake for Panics {
        fn wake(self: Arc<Self>) {
            panic!("in a waker");
        }
    }
    struct Connects(UserScope<u8>);
    impl Wake for Connects {
        fn wake(self: Arc<Self>) {
            drop(self.0.connect().unwrap());
        }
    }
    let hub: Hub<u8> = Hub::new();
    let [ann, bob] = ["ann", "bob"].map(|name| scope(&hub, name));
    let wakers = [
        Waker::from(Arc::new(Panics)),
        Waker::from(Arc::new(Connects(bob))),
    ];
    let mut lifecycles = [(); 2].map(|()| hub.lifecycle(1 << 10).unwrap());
    for (lifecycle, waker) in lifecycles.iter_mut().zip(&wakers) {
        let polled = lifecycle.poll_next(&mut Context::from_waker(waker));
        assert!(polled.is_pending());
    }
    drop(ann.connect().unwrap());
    for lifecycle in &lifecycles {
        let told = std::iter::from_fn(|| lifecycle.try_next().ok());
        assert!(told.count() >= 8, "of ann and of bob");
    }
}

#[test]
fn r098_a_task_awaits_the_end_of_a_connection_on_any_executor() {
    on_each_executor(|| {
        let hub: Hub<u8> = Hub::new();
        let ann = scope(&hub, "ann");
        let [mut phone, mut laptop] = [(); 2].map(|()| ann.connect().unwrap());
        let (id, closer) = (phone.id(), ann.clone());
        vec![
            task(async move {
                let reason = CloseReason::Disconnected { code: 4000 };
                assert_eq!(phone.closed().await, Closed { reason });
                assert_eq!(phone.closed().await, Closed { reason }, "for good");
                ann.publish(2).unwrap();
            }),
            task(async move {
                closer.publish(1).unwrap();
                assert!(closer.disconnect(id, 4000));
                // The other device's task goes on, and publishes.
                assert!(matches!(laptop.next().await, Ok(Received::Event(_))));
                assert!(matches!(laptop.next().await, Ok(Received::Event(_))));
                hub.shutdown();
                let reason = CloseReason::Shutdown;
                assert_eq!(laptop.closed().await, Closed { reason });
            }),
        ]
    });
}

#[test]
fn r098_a_wait_for_the_end_reads_nothing_and_is_woken_by_the_end_alone() {
    type End = fn(&Hub<u8>, &UserScope<u8>) -> usize;
    let ends: [(End, CloseReason, bool); 3] = [
        (
            |_, ann| ann.disconnect_all(9),
            CloseReason::Disconnected { code: 9 },
            false,
        ),
        (|hub, _| hub.shutdown(), CloseReason::Shutdown, true),
        (
            |hub, _| {
                hub.drain(DrainPlan::within(Duration::ZERO))
                    .unwrap()
                    .step(Duration::ZERO)
                    .closed
            },
            CloseReason::Drained,
            false,
        ),
    ];
    for (end, reason, is_readable) in ends {
        let hub: Hub<u8> = Hub::new();
        let ann = scope(&hub, "ann");
        let mut device = ann.connect().unwrap();
        let calls = Arc::new(Calls::default());
        let waker = Waker::from(Arc::clone(&calls));
        let mut cx = Context::from_waker(&waker);
        ann.publish(1).unwrap();
        assert!(device.poll_closed(&mut cx).is_pending());
        ann.publish(2).unwrap();
        assert_eq!(calls.so_far(), 0, "an event is no end");
        assert_eq!(device.unread(), 2);
        assert_eq!((end(&hub, &ann), calls.so_far()), (1, 1));
        assert_eq!(device.poll_closed(&mut cx), Poll::Ready(Closed { reason }));
        assert_eq!(device.try_recv().is_ok(), is_readable);
        assert_eq!(device.poll_closed(&mut cx), Poll::Ready(Closed { reason }));
        assert_eq!(calls.so_far(), 1);
    }
}

#[test]
fn r098_a_wait_for_the_end_that_is_dropped_wakes_no_task() {
    let hub: Hub<u8> = Hub::new();
    let ann = scope(&hub, "ann");
    let mut device = ann.connect().unwrap();
    let [ended, came] = [(); 2].map(|()| Arc::new(Calls::default()));
    let wakers = [&ended, &came].map(|calls| Waker::from(Arc::clone(calls)));
    let [mut until_end, mut until_event] = wakers.each_ref().map(Context::from_waker);
    assert!(pin!(device.closed()).poll(&mut until_end).is_pending());
    // The next wait is for an event, and only its waker is called.
    assert!(device.poll_recv(&mut until_event).is_pending());
    ann.publish(1).unwrap();
    assert!(device.poll_recv(&mut until_event).is_ready());
    assert!(device.poll_recv(&mut until_event).is_pending());
    ann.disconnect_all(0);
    assert_eq!((ended.so_far(), came.so_far()), (0, 2));
    assert!(matches!(
        device.poll_recv(&mut until_event),
        Poll::Ready(Err(_))
    ));
}

#[test]
fn r093_a_weak_handle_keeps_no_hub_open() {
    let hub: Hub<u8> = Hub::new();
    let ann = scope(&hub, "ann");
    let mut device = ann.connect().unwrap();
    let weak = hub.downgrade();
    let strong = weak.upgrade().expect("open");
    drop(hub);
    assert!(!strong.is_shut_down(), "an upgraded handle is a handle");
    ann.publish(7).unwrap();
    drop(strong);
    assert!(weak.upgrade().is_none() && weak.clone().upgrade().is_none());
    assert!(matches!(device.try_recv(), Ok(Received::Event(_))));
    let closed = block_on(device.next()).unwrap_err();
    assert_eq!(closed.reason, CloseReason::Shutdown);
    assert!(ann.publish(8).unwrap_err().is_closed());
    drop((ann, device));
    assert!(weak.upgrade().is_none());
    assert!(format!("{weak:?}").contains("WeakHub"));
}

#[test]
fn r093_a_hub_that_was_shut_down_and_is_held_can_still_be_had() {
    let hub: Hub<u8> = Hub::new();
    let weak = hub.downgrade();
    hub.shutdown();
    assert!(weak.upgrade().expect("held").is_shut_down());
    drop(hub);
    assert!(weak.upgrade().is_none());
}

#[test]
fn r093_a_task_that_sweeps_ends_with_the_hub() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    runtime.block_on(async {
        let idle = Some(Duration::from_millis(40));
        let hub = Hub::builder().idle_timeout(idle).build::<u8>().unwrap();
        let mut device = scope(&hub, "ann").connect().unwrap();
        let (weak, start) = (hub.downgrade(), Instant::now());
        let sweeps = tokio::spawn(async move {
            let mut closed = 0;
            while let Some(hub) = weak.upgrade() {
                closed += hub.sweep(start.elapsed());
                drop(hub);
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            closed
        });
        assert_eq!(
            device.next().await.unwrap_err().reason,
            CloseReason::Idle,
            "the hub is swept while it is open"
        );
        drop(hub);
        assert_eq!(sweeps.await.unwrap(), 1);
    });
}

#[test]
fn r093_of_an_upgrade_and_the_last_drop_at_once_the_hub_is_open_or_not_had() {
    for round in 0..2_000_u32 {
        let hub = Hub::builder().shards(1).build::<u8>().unwrap();
        let (weak, ann) = (hub.downgrade(), scope(&hub, "ann"));
        let under_way = AtomicUsize::new(0);
        let upgrades = || {
            // Bounded, because two threads can keep the hub open for each other.
            for _ in 0..100 {
                let Some(hub) = weak.upgrade() else { return };
                under_way.fetch_add(1, Ordering::SeqCst);
                for _ in 0..20 {
                    std::hint::spin_loop();
                }
                assert!(!hub.is_shut_down(), "an upgraded handle keeps it open");
            }
        };
        thread::scope(|s| {
            s.spawn(upgrades);
            s.spawn(upgrades);
            while under_way.load(Ordering::SeqCst) < 4 {
                std::hint::spin_loop();
            }
            for _ in 0..round % 64 {
                std::hint::spin_loop();
            }
            drop(hub);
        });
        assert!(weak.upgrade().is_none());
        assert!(ann.connect().is_err());
    }
}
