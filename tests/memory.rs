//! R080: what a lane keeps after a burst, and what is left of one that has ended. R079: what the host's
//! callbacks keep from being reclaimed.
#![cfg(not(any(laneway_loom, laneway_shuttle)))]
#![allow(clippy::disallowed_types)] // The tests take turns.

use std::cell::Cell;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use allocation_counter::measure;
use laneway::{Connection, Hub, UserId, UserScope};

const USERS: i64 = 200;
const BURST: usize = 64;
/// What a user may take more after a burst than before it, in bytes.
const SLACK: i64 = 64;

type Event = [u8; 100];
const EVENT: Event = [7; 100];

/// One test at a time: the collector frees what one thread has retired on any other, and bytes are
/// counted by thread.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The bytes that `f` takes and does not give back, on this thread.
fn bytes(f: impl FnOnce()) -> i64 {
    measure(f).bytes_current
}

/// Lets the collector come to all that was retired.
fn collect() {
    for _ in 0..500 {
        crossbeam_epoch::pin().flush();
    }
}

fn scopes(hub: &Hub<Event>) -> Vec<UserScope<Event>> {
    (0..USERS)
        .map(|n| hub.scope(UserId::new(format!("user {n}")).unwrap()))
        .collect()
}

fn hub(capacity: usize) -> Hub<Event> {
    let builder = Hub::builder().lane_capacity(capacity).shards(256);
    builder.build().unwrap()
}

fn read_all(devices: &mut [Connection<Event>]) {
    for device in devices {
        loop {
            let visited = device.visit(BURST, |_, _| {}).unwrap();
            if visited.events == 0 && visited.missed == 0 {
                break;
            }
        }
    }
}

/// So many events to each user, which all devices read then.
fn burst(scopes: &[UserScope<Event>], devices: &mut [Connection<Event>], events: usize) {
    for scope in scopes {
        for _ in 0..events {
            scope.publish(EVENT).unwrap();
        }
    }
    read_all(devices);
}

/// What a user takes more after a burst and two sweeps.
fn kept_after_a_burst(capacity: usize, devices: usize, events: usize) -> i64 {
    let hub = hub(capacity);
    let scopes = scopes(&hub);
    let connect = |_| scopes.iter().map(|scope| scope.connect().unwrap());
    let mut devices: Vec<_> = (0..devices).flat_map(connect).collect();
    // Each scope finds its user, and each device has read.
    burst(&scopes, &mut devices, 1);
    burst(&scopes, &mut devices, 1);
    hub.sweep(Duration::from_secs(1));
    collect();
    let kept = bytes(|| {
        burst(&scopes, &mut devices, events);
        hub.sweep(Duration::from_secs(2));
        hub.sweep(Duration::from_secs(3));
        collect();
    });
    // And it goes on as before.
    burst(&scopes, &mut devices, 1);
    assert!(devices.iter().all(|device| device.unread() == 0));
    kept / USERS
}

#[test]
fn r080_events_that_are_read_one_at_a_time_leave_nothing() {
    let _turn = turn();
    for devices in [1, 2] {
        let kept = kept_after_a_burst(64, devices, 1);
        assert!(kept <= SLACK, "{kept} bytes a user stay, {devices} devices");
    }
}

#[test]
fn r080_a_burst_that_was_read_leaves_nothing_after_two_sweeps() {
    let _turn = turn();
    for (capacity, devices, events) in [(64, 1, BURST), (64, 2, BURST), (16, 1, 5), (256, 1, 200)] {
        let kept = kept_after_a_burst(capacity, devices, events);
        assert!(
            kept <= SLACK,
            "{kept} bytes a user stay after {events} events in a lane of {capacity}, {devices} devices"
        );
    }
}

#[test]
fn r080_a_burst_that_was_lapped_leaves_nothing_after_two_sweeps() {
    let _turn = turn();
    for devices in [1, 2] {
        let kept = kept_after_a_burst(16, devices, 4 * BURST);
        assert!(kept <= SLACK, "{kept} bytes a user stay, {devices} devices");
    }
}

/// What a user takes who has connected, read one event, and does nothing more.
fn idle_lane(hub: &Hub<Event>) -> i64 {
    let scope = hub.scope(UserId::new("idle").unwrap());
    // The thread's first pin registers it.
    collect();
    let mut devices = Vec::with_capacity(1);
    let taken = bytes(|| devices.push(scope.connect().unwrap()));
    burst(&[scope], &mut devices, 1);
    taken
}

/// What is left of each user once all devices have gone, while a scope points at each.
fn left_of_ended_lanes(events: usize, unread: usize) -> (i64, i64) {
    let hub = hub(64);
    let idle = idle_lane(&hub);
    let scopes = scopes(&hub);
    // The table's nodes stay.
    drop(
        scopes
            .iter()
            .map(|s| s.connect().unwrap())
            .collect::<Vec<_>>(),
    );
    collect();
    let left = bytes(|| {
        let connect = |scope: &UserScope<Event>| scope.connect().unwrap();
        let mut devices: Vec<_> = scopes.iter().map(connect).collect();
        burst(&scopes, &mut devices, events);
        for scope in &scopes {
            for _ in 0..unread {
                scope.publish(EVENT).unwrap();
            }
        }
        drop(devices);
        collect();
    });
    assert_eq!(hub.user_count(), 0);
    (left / USERS, idle)
}

fn ended_lanes_hold_no_more_than_an_idle_one(events: usize, unread: usize) {
    let (left, idle) = left_of_ended_lanes(events, unread);
    assert!(
        left <= idle + SLACK,
        "{left} bytes are left of a lane that ended after {events} events with {unread} unread, an \
         idle one takes {idle}"
    );
}

#[test]
fn r080_a_lane_that_has_ended_without_a_burst_holds_no_more_than_an_idle_one() {
    let _turn = turn();
    ended_lanes_hold_no_more_than_an_idle_one(1, 0);
}

#[test]
fn r080_a_lane_that_has_ended_with_more_behind_it_holds_no_more_than_an_idle_one() {
    let _turn = turn();
    ended_lanes_hold_no_more_than_an_idle_one(1, 1);
    for unread in [0, 1, 40, 200] {
        ended_lanes_hold_no_more_than_an_idle_one(BURST, unread);
    }
}

/// How many users come and go while a callback hangs, and the bytes that may stay for it.
const CHURN: usize = 4_000;
const HELD: i64 = 100_000;

/// Hangs when it is called for the first time, until it is let go on.
struct Hangs {
    reached: SyncSender<()>,
    go_on: Receiver<()>,
    hung: bool,
}

impl Hangs {
    fn hang(&mut self) {
        if !std::mem::replace(&mut self.hung, true) {
            self.reached.send(()).unwrap();
            self.go_on.recv().unwrap();
        }
    }
}

type Call = fn(&Hub<Event>, Hangs);

impl fmt::Write for Hangs {
    fn write_str(&mut self, _: &str) -> fmt::Result {
        self.hang();
        Ok(())
    }
}

/// The bytes that users who come and go leave behind while `call` hangs in the host's code.
fn left_while(call: impl FnOnce(&Hub<Event>, Hangs) + Send) -> i64 {
    let hub = hub(16);
    let scopes = scopes(&hub);
    let _staying: Vec<_> = scopes
        .iter()
        .map(|scope| scope.connect().unwrap())
        .collect();
    let (reached, is_reached) = sync_channel(1);
    let (go_on, may_go_on) = sync_channel(1);
    let hangs = Hangs {
        reached,
        go_on: may_go_on,
        hung: false,
    };
    let mut left = 0;
    std::thread::scope(|s| {
        s.spawn(|| call(&hub, hangs));
        is_reached.recv().unwrap();
        left = bytes(|| {
            for n in 0..CHURN {
                let scope = hub.scope(UserId::new(format!("guest {n}")).unwrap());
                let device = scope.connect().unwrap();
                scope.publish(EVENT).unwrap();
                drop(device);
            }
            collect();
        });
        go_on.send(()).unwrap();
    });
    left
}

#[test]
fn r079_a_callback_that_hangs_keeps_no_memory_of_users_who_come_and_go() {
    let _turn = turn();
    let calls: [(&str, Call); 3] = [
        ("for_each_user", |hub, mut hangs| {
            hub.for_each_user(|_, _| hangs.hang());
        }),
        ("dump", |hub, mut hangs| {
            // What the hub writes of itself comes first.
            let mut lines = 0;
            hub.dump(&mut Lines(|| {
                lines += 1;
                if lines > 2 {
                    hangs.hang();
                }
            }))
            .unwrap();
        }),
        ("dump of a user", |hub, mut hangs| {
            let scope = hub.scope(UserId::new("user 7").unwrap());
            scope.dump(&mut hangs).unwrap();
        }),
    ];
    for (name, call) in calls {
        let left = left_while(call);
        assert!(left < HELD, "{name}: {left} bytes stay");
    }
}

#[test]
fn r079_a_callback_that_panics_keeps_nothing() {
    let _turn = turn();
    let hub = hub(16);
    let _devices: Vec<_> = scopes(&hub).iter().map(|s| s.connect().unwrap()).collect();
    let panics = || hub.for_each_user(|_, _| panic!("the host's"));
    assert!(catch_unwind(AssertUnwindSafe(panics)).is_err());
    let panics = || hub.dump(&mut Lines(|| panic!("the host's")));
    assert!(catch_unwind(AssertUnwindSafe(panics)).is_err());
    let left = bytes(|| {
        for n in 0..CHURN {
            let scope = hub.scope(UserId::new(format!("guest {n}")).unwrap());
            drop(scope.connect().unwrap());
        }
        collect();
    });
    assert!(left < HELD, "{left} bytes stay");
    let mut seen = 0;
    hub.for_each_user(|_, _| seen += 1);
    assert_eq!(seen, USERS, "and the next call tells of all");
}

/// The bytes that stay after 1 000 calls, in each of which the host's code panics.
fn left_by_panics(mut call: impl FnMut()) -> i64 {
    let hook = std::panic::take_hook();
    // The usual one writes into memory of the test.
    std::panic::set_hook(Box::new(|_| {}));
    (0..100).for_each(|_| call());
    let left = bytes(|| (0..1_000).for_each(|_| call()));
    std::panic::set_hook(hook);
    left
}

thread_local! {
    static DROPS_PANIC: Cell<bool> = const { Cell::new(false) };
}

/// Its drop panics with a text of its own, while the thread wants that.
struct Panics(u64);

impl Drop for Panics {
    fn drop(&mut self) {
        assert!(!DROPS_PANIC.get(), "the drop of {}", self.0);
    }
}

#[test]
fn r079_payloads_whose_drops_panic_leave_nothing() {
    let _turn = turn();
    let hub = Hub::builder().lane_capacity(64).build().unwrap();
    let ann = hub.scope(UserId::new("ann").unwrap());
    let _stalled = ann.connect().unwrap();
    (0..1_000).for_each(|n| drop(ann.publish(Panics(n))));
    DROPS_PANIC.set(true);
    let mut told = 0;
    // One in sixteen evicts sixteen events.
    let left = left_by_panics(|| {
        let publish = || ann.publish(Panics(0)).is_ok();
        told += usize::from(catch_unwind(AssertUnwindSafe(publish)).is_err());
    });
    DROPS_PANIC.set(false);
    assert!(told >= 60, "{told} publishes panicked");
    assert!(left <= SLACK, "{left} bytes stay");
}

#[test]
fn r079_wakers_that_panic_leave_nothing() {
    struct Bad;
    impl Wake for Bad {
        fn wake(self: Arc<Self>) {
            panic!("the waker of {}", Arc::strong_count(&self));
        }
    }
    let _turn = turn();
    let hub = hub(16);
    let ann = hub.scope(UserId::new("ann").unwrap());
    let mut device = ann.connect().unwrap();
    let bad = Waker::from(Arc::new(Bad));
    let left = left_by_panics(|| {
        let pending = device
            .poll_recv(&mut Context::from_waker(&bad))
            .is_pending();
        assert!(pending && ann.publish(EVENT).is_ok() && device.try_recv().is_ok());
    });
    assert!(left <= SLACK, "{left} bytes stay");
}

#[cfg(feature = "protocol")]
#[test]
fn r079_a_client_whose_messages_make_a_handler_panic_leaves_nothing() {
    use laneway::protocol::{
        Handled, Handler, HandlerError, Message, MessageRouter, Outcome, Sender,
    };
    struct Bad;
    impl Handler for Bad {
        fn handle(&self, _: &Sender<'_>, message: &Message) -> Result<Handled, HandlerError> {
            panic!("{:?}", message.kind);
        }
    }
    let _turn = turn();
    let hub = Hub::builder().lane_capacity(16).build().unwrap();
    let ann = hub.scope(UserId::new("ann").unwrap());
    let mut device = ann.connect().unwrap();
    let router = MessageRouter::new(Arc::default(), Duration::ZERO);
    router.register("bad", Bad).unwrap();
    let left = left_by_panics(|| {
        let json = br#"{"type":"chat"}"#;
        let outcome = router.route_json(&ann, Some(device.id()), json, Duration::ZERO);
        assert!(matches!(outcome, Outcome::Failed(_)), "{outcome:?}");
        while device.try_recv().is_ok() {}
    });
    assert!(left <= SLACK, "{left} bytes stay");
}

/// Calls its function at each piece that is written.
struct Lines<F>(F);

impl<F: FnMut()> fmt::Write for Lines<F> {
    fn write_str(&mut self, _: &str) -> fmt::Result {
        (self.0)();
        Ok(())
    }
}
