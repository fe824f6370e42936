//! R082: wakers and payloads' `Drop`s that call back in, on threads with small stacks. Each story runs
//! in a process of its own, so that a stack that overflows is a failure and not the end of all tests.
#![cfg(not(any(laneway_loom, laneway_shuttle)))]
#![allow(clippy::disallowed_methods)] // Watches another process.

use std::io::Read;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use laneway::{Connection, Hub, Received, Retention, TryRecvError, UserId, UserScope};

/// Room for some tens of calls into the engine inside one another, in a debug build.
const STACK: usize = 256 * 1024;
/// A call inside a call for each of these would need a hundred times the stack.
const MANY: usize = 100_000;
const PATIENCE: Duration = Duration::from_secs(60);
/// Set in the processes that tell a story.
const CHILD: &str = "LANEWAY_REENTRANCE";

/// Runs `story`, a closure of a test, on a small stack in a process of its own, which runs that test
/// only.
fn alone<F: FnOnce() + Send + 'static>(story: F) {
    let path = std::any::type_name::<F>();
    let name = path.rsplit("::").nth(1).expect("a closure of a function");
    if std::env::var_os(CHILD).is_some() {
        let thread = thread::Builder::new().stack_size(STACK);
        thread.spawn(story).unwrap().join().expect("no panic");
        return;
    }
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--include-ignored"])
        .env(CHILD, "1")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let start = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if start.elapsed() > PATIENCE {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("{name} does not end");
        }
        thread::sleep(Duration::from_millis(5));
    };
    assert!(status.success(), "{name} ends with {status}");
    let mut told = String::new();
    child.stdout.unwrap().read_to_string(&mut told).unwrap();
    assert!(told.contains("1 passed"), "no such test: {name}");
}

fn user(name: &str) -> UserId {
    UserId::new(name).unwrap()
}

fn small<E: Send + Sync + 'static>() -> (Hub<E>, UserScope<E>) {
    let hub = Hub::builder()
        .lane_capacity(4)
        .max_connections_per_user(255)
        .build()
        .unwrap();
    let scope = hub.scope(user("ann"));
    (hub, scope)
}

/// A waker that always does the same, and counts.
struct Act<F> {
    calls: AtomicUsize,
    act: F,
}

impl<F: Fn() + Send + Sync> Wake for Act<F> {
    fn wake(self: Arc<Self>) {
        self.calls.fetch_add(1, Ordering::SeqCst);
        (self.act)();
    }
}

/// Puts the connection to sleep with a waker that acts. Returns the waker's side.
fn sleep<E, F>(connection: &mut Connection<E>, act: F) -> Arc<Act<F>>
where
    E: Clone + Send + Sync + 'static,
    F: Fn() + Send + Sync + 'static,
{
    let calls = AtomicUsize::new(0);
    let acting = Arc::new(Act { calls, act });
    let waker = Waker::from(Arc::clone(&acting));
    let polled = connection.poll_recv(&mut Context::from_waker(&waker));
    assert!(polled.is_pending());
    acting
}

fn calls<F>(waker: &Act<F>) -> usize {
    waker.calls.load(Ordering::SeqCst)
}

#[test]
fn r082_a_waker_that_publishes_to_its_own_user_is_called_once() {
    alone(|| {
        let (_hub, ann) = small::<u32>();
        let mut devices = [(); 3].map(|()| ann.connect().unwrap());
        let wakers = devices.each_mut().map(|device| {
            let scope = ann.clone();
            sleep(device, move || {
                scope.publish(2).unwrap();
            })
        });
        ann.publish(1).unwrap();
        assert_eq!(wakers.each_ref().map(|w| calls(w)), [1; 3]);
        for device in &mut devices {
            let mut got = Vec::new();
            while let Ok(Received::Event(event)) = device.try_recv() {
                got.push(event.event);
            }
            assert_eq!(got, [1, 2, 2, 2]);
        }
        assert_eq!(ann.connection_count(), 3);
    });
}

#[test]
fn r082_a_waker_that_shuts_the_router_down_is_called_once() {
    alone(|| {
        let (hub, ann) = small::<u32>();
        let mut device = ann.connect().unwrap();
        let inner = hub.clone();
        let waker = sleep(&mut device, move || {
            inner.shutdown();
        });
        ann.publish(1).unwrap();
        assert_eq!(calls(&waker), 1);
        assert!(hub.is_shut_down());
        assert!(matches!(device.try_recv(), Ok(Received::Event(e)) if e.event == 1));
        assert!(matches!(device.try_recv(), Err(TryRecvError::Closed(_))));
    });
}

#[test]
fn r082_a_shutdown_wakes_many_users_whose_wakers_shut_down() {
    alone(|| {
        let hub = Hub::<u32>::new();
        let connect = |n| hub.scope(user(&format!("user {n}"))).connect().unwrap();
        let mut devices: Vec<_> = (0..MANY / 20).map(connect).collect();
        let asleep = devices.iter_mut().map(|device| {
            let inner = hub.clone();
            sleep(device, move || {
                inner.shutdown();
            })
        });
        let wakers: Vec<_> = asleep.collect();
        hub.shutdown();
        assert!(wakers.iter().all(|waker| calls(waker) == 1));
    });
}

/// A payload whose drop publishes the next one, until so many have been dropped.
struct Chain {
    scope: UserScope<Chain>,
    left: Arc<AtomicUsize>,
}

impl Chain {
    fn publish(scope: &UserScope<Self>, left: &Arc<AtomicUsize>) {
        let chain = Self {
            scope: scope.clone(),
            left: Arc::clone(left),
        };
        if let Err(refused) = scope.publish(chain) {
            // Or its drop would publish it again.
            std::mem::forget(refused.into_inner());
        }
    }
}

impl Drop for Chain {
    fn drop(&mut self) {
        let less = |left: usize| left.checked_sub(1);
        let (set, fetch) = (Ordering::SeqCst, Ordering::SeqCst);
        if self.left.fetch_update(set, fetch, less).is_ok() {
            Self::publish(&self.scope, &self.left);
        }
    }
}

/// Fills a lane with events of a chain. The device has read none of them.
fn chained() -> (UserScope<Chain>, Connection<Chain>, Arc<AtomicUsize>) {
    let (hub, ann) = small();
    // It lives on in the payloads' scopes.
    std::mem::forget(hub);
    let device = ann.connect().unwrap();
    let left = Arc::new(AtomicUsize::new(0));
    for _ in 0..4 {
        Chain::publish(&ann, &left);
    }
    left.store(MANY, Ordering::SeqCst);
    (ann, device, left)
}

#[test]
fn r082_a_drop_that_publishes_into_a_full_lane_does_not_recurse() {
    alone(|| {
        let (ann, device, left) = chained();
        // Each event that makes room for the next one publishes one more.
        while left.load(Ordering::SeqCst) > 0 {
            Chain::publish(&ann, &left);
        }
        assert!(device.unread() >= MANY as u64);
    });
}

#[test]
fn r082_a_drop_that_publishes_what_is_visited_next_does_not_recurse() {
    alone(|| {
        let (_ann, mut device, left) = chained();
        let visited = device.visit(usize::MAX, |_, _| {}).unwrap();
        assert_eq!((visited.events, visited.missed), (MANY + 4, 0));
        assert_eq!(left.load(Ordering::SeqCst), 0);
    });
}

#[test]
fn r082_a_connection_that_goes_drops_what_publishes_to_those_that_stay() {
    alone(|| {
        let (ann, first, left) = chained();
        let mut second = ann.connect().unwrap();
        // Of four events, and of all that come in their place, it is the only reader.
        drop(first);
        let read = second.visit(usize::MAX, |_, _| {}).unwrap();
        assert_eq!(left.load(Ordering::SeqCst), 0);
        assert_eq!((read.events, read.missed), (MANY, 0));
    });
}

/// A payload whose drop shuts the hub down.
struct Ending(Hub<Ending>, Arc<AtomicUsize>);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.shutdown();
        self.1.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn r082_a_drop_that_shuts_the_router_down_ends_each_lane_once() {
    alone(|| {
        let (hub, ann) = small();
        let mut device = ann.connect().unwrap();
        let drops = Arc::new(AtomicUsize::new(0));
        let event = || Ending(hub.clone(), Arc::clone(&drops));
        let mut accepted = 0;
        // The first one that is dropped to make room refuses all that come after.
        while !hub.is_shut_down() {
            accepted += usize::from(ann.publish(event()).is_ok());
        }
        assert!(ann.publish(event()).is_err_and(|e| e.is_closed()));
        let read = device.visit(usize::MAX, |_, _| {}).unwrap();
        let read = match read.events {
            // The gap comes first.
            0 => device.visit(usize::MAX, |_, _| {}).unwrap().events,
            events => events,
        };
        assert!(read <= 4);
        drop(device);
        assert!(drops.load(Ordering::SeqCst) > accepted);
    });
}

#[test]
fn r082_a_shutdown_drops_the_events_of_many_absent_users_that_shut_down() {
    alone(|| {
        const USERS: usize = MANY / 20;
        let retention = Retention::events(2).max_absent_users(USERS);
        let builder = Hub::builder().lane_capacity(2).retention(Some(retention));
        let hub = builder.build().unwrap();
        let drops = Arc::new(AtomicUsize::new(0));
        for n in 0..USERS {
            let event = Ending(hub.clone(), Arc::clone(&drops));
            let scope = hub.scope(user(&format!("user {n}")));
            assert!(scope.publish_critical(event).is_ok());
        }
        assert_eq!(hub.stats().absent_users, USERS);
        hub.shutdown();
        assert_eq!(drops.load(Ordering::SeqCst), USERS);
        assert_eq!(hub.stats().absent_users, 0);
    });
}
