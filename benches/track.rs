//! laneway beside itself: a dozen points to compare before and after a change.
//!
//! ```text
//! cargo bench -- --save-baseline before
//! cargo bench -- --baseline before
//! ```

use std::hint::black_box;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use laneway::{ConnectOptions, Connection, Hub, RoomId, ThreadId, UserId, UserScope};

/// 64 bytes.
type Event = [u64; 8];
const EVENT: Event = [7; 8];

fn id(n: usize) -> UserId {
    UserId::new(format!("user-{n:07}")).expect("valid")
}

fn online(users: usize) -> (Hub<Event>, Vec<UserScope<Event>>, Vec<Connection<Event>>) {
    let hub = Hub::new();
    let scopes: Vec<_> = (0..users).map(|n| hub.scope(id(n))).collect();
    let connected = scopes.iter().map(|scope| scope.connect().expect("room"));
    let mut tabs: Vec<_> = connected.collect();
    // A scope keeps what its second publish finds.
    for _ in 0..2 {
        for scope in &scopes {
            scope.publish(EVENT).expect("online");
        }
        tabs.iter_mut().for_each(drain);
    }
    (hub, scopes, tabs)
}

fn drain(tab: &mut Connection<Event>) {
    let _ = tab.visit(usize::MAX, |_, event| {
        black_box(event);
    });
}

/// A number below `n` that is random enough.
fn pick(state: &mut u64, n: usize) -> usize {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    (*state % n as u64) as usize
}

fn one_device(c: &mut Criterion) {
    let (hub, scopes, mut tabs) = online(1);
    let (ann, tab, user) = (&scopes[0], &mut tabs[0], id(0));
    c.bench_function("publish, receive", |b| {
        b.iter(|| (ann.publish(EVENT).is_ok(), tab.try_recv().is_ok()));
    });
    c.bench_function("publish by id, receive", |b| {
        b.iter(|| {
            let sent = hub.to_user(&user).publish(EVENT);
            (sent.is_ok(), tab.try_recv().is_ok())
        });
    });
    c.bench_function("try_publish, receive", |b| {
        b.iter(|| (ann.try_publish(EVENT).is_ok(), tab.try_recv().is_ok()));
    });
    c.bench_function("publish_critical, receive", |b| {
        b.iter(|| (ann.publish_critical(EVENT).is_ok(), tab.try_recv().is_ok()));
    });
    c.bench_function("sleep, publish, wake, receive", |b| {
        let mut context = Context::from_waker(Waker::noop());
        b.iter(|| {
            assert!(tab.poll_recv(&mut context) == Poll::Pending);
            (ann.publish(EVENT).is_ok(), tab.try_recv().is_ok())
        });
    });
    let absent = hub.scope(id(1));
    c.bench_function("publish to an absent user", |b| {
        b.iter(|| absent.publish(EVENT).is_err());
    });
}

fn several_devices(c: &mut Criterion) {
    let (_hub, scopes, mut tabs) = online(1);
    let ann = &scopes[0];
    tabs.extend((0..3).map(|_| ann.connect().expect("room")));
    c.bench_function("publish to 4 devices, receive", |b| {
        b.iter(|| {
            let sent = ann.publish(EVENT).is_ok();
            for tab in &mut tabs {
                black_box(tab.try_recv().is_ok());
            }
            sent
        });
    });
    let thread = ThreadId::new("thread").expect("valid");
    tabs.pop();
    let options = ConnectOptions {
        threads: vec![thread.clone()],
        ..ConnectOptions::default()
    };
    tabs.push(ann.connect_with(options).expect("room"));
    c.bench_function("publish to one of 4 devices by its thread, receive", |b| {
        b.iter(|| {
            let sent = ann.to_thread(&thread).publish(EVENT).is_ok();
            tabs.iter_mut().for_each(drain);
            sent
        });
    });
}

fn bursts(c: &mut Criterion) {
    let (_hub, scopes, mut tabs) = online(1);
    let mut group = c.benchmark_group("bursts of 64");
    group.throughput(Throughput::Elements(64));
    group.bench_function("publish_batch, visit", |b| {
        b.iter(|| {
            let sent = scopes[0].publish_batch([EVENT; 64]).is_ok();
            drain(&mut tabs[0]);
            sent
        });
    });
    let mut into = Vec::with_capacity(64);
    group.bench_function("publish, drain", |b| {
        b.iter(|| {
            (0..64).for_each(|_| drop(scopes[0].publish(EVENT)));
            into.clear();
            tabs[0].drain(64, &mut into)
        });
    });
}

fn many_users(c: &mut Criterion) {
    const USERS: usize = 100_000;
    let (hub, scopes, mut tabs) = online(USERS);
    let mut state = 0x9E37_79B9_7F4A_7C15;
    c.bench_function("publish, receive, one of 100 000 users", |b| {
        b.iter(|| {
            let n = pick(&mut state, USERS);
            (scopes[n].publish(EVENT).is_ok(), tabs[n].try_recv().is_ok())
        });
    });
    let mut group = c.benchmark_group("to 1 000 users");
    group.throughput(Throughput::Elements(1_000));
    let room = RoomId::new("room").expect("valid");
    for scope in &scopes[..1_000] {
        scope.join(&room).expect("room");
    }
    let room = hub.room(room);
    group.bench_function("publish to a room", |b| {
        b.iter_batched(
            || tabs[..1_000].iter_mut().for_each(drain),
            |()| room.publish(&EVENT),
            BatchSize::PerIteration,
        );
    });
}

fn connects(c: &mut Criterion) {
    let (hub, scopes, _tabs) = online(1_000);
    let offline = hub.scope(id(1_000));
    c.bench_function("connect, disconnect", |b| {
        b.iter(|| offline.connect().is_ok());
    });
    c.bench_function("connect, disconnect a second device", |b| {
        b.iter(|| scopes[0].connect().is_ok());
    });
}

criterion_group! {
    name = track;
    config = Criterion::default()
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(4));
    targets = one_device, several_devices, bursts, many_users, connects
}
criterion_main!(track);
