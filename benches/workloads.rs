//! What is measured. Each workload is set up once in its process and then run in rounds.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::peers::{CAPACITY, Hub};

/// A payload. Its taint says for whom it was made.
pub(crate) trait Event: Clone + Send + Sync + 'static {
    /// What events are made from.
    type Source: Sync + Send;
    fn source() -> Self::Source;
    fn make(source: &Self::Source, user: usize) -> Self;
    fn is_for(&self, user: usize) -> bool;
}

/// Payload V: 64 bytes handed over by value.
pub(crate) type Value = [u64; 8];
/// Payload H: made once, shared by every publish.
pub(crate) type Shared = Arc<Value>;

const TAINTS: usize = 64;

impl Event for Value {
    type Source = ();
    fn source() {}
    fn make((): &(), user: usize) -> Self {
        [(user % TAINTS) as u64; 8]
    }
    fn is_for(&self, user: usize) -> bool {
        self[0] == (user % TAINTS) as u64
    }
}

impl Event for Shared {
    type Source = Vec<Shared>;
    fn source() -> Self::Source {
        (0..TAINTS).map(|u| Arc::new(Value::make(&(), u))).collect()
    }
    fn make(source: &Self::Source, user: usize) -> Self {
        Arc::clone(&source[user % TAINTS])
    }
    fn is_for(&self, user: usize) -> bool {
        self[0] == (user % TAINTS) as u64
    }
}

/// What one round gave.
#[derive(Debug, Default)]
pub(crate) struct Sample {
    /// Rates are `…/us` and better when higher, anything else when lower.
    pub(crate) figures: Vec<(&'static str, f64)>,
    pub(crate) misrouted: usize,
    /// Published and never received, nor told as refused.
    pub(crate) lost: usize,
}

impl Sample {
    /// The mean time of `n` things since `start`.
    pub(crate) fn per(&mut self, name: &'static str, start: Instant, n: usize) {
        let ns = start.elapsed().as_nanos() as f64;
        self.figures.push((name, ns / n as f64));
    }

    fn quantiles(&mut self, of: &Histogram<u64>, names: &[(&'static str, f64)]) {
        for &(name, quantile) in names {
            let value = of.value_at_quantile(quantile) as f64;
            self.figures.push((name, value));
        }
    }
}

pub(crate) type Round = Box<dyn FnMut() -> Sample>;

/// The workloads' names with what they mean.
pub(crate) const NAMES: [&str; 18] = [
    "W1 1k",
    "W1 100k",
    "W1 1M",
    "W2 1",
    "W2 4",
    "W2 16",
    "W2 64",
    "W3",
    "W3b same",
    "W3b different",
    "W4",
    "W5",
    "W6",
    "W7 spinning",
    "W7 sleeping",
    "W8",
    "W9 1k",
    "W9 100k",
];

/// Those that need the machine's memory for themselves, or seconds a round.
pub(crate) fn is_heavy(workload: &str) -> bool {
    matches!(workload, "W1 1M" | "W5" | "W6")
}

/// `None`: the peer cannot do that.
pub(crate) fn set_up<H: Hub<E>, E: Event>(workload: &str) -> Option<Round> {
    Some(match workload {
        "W1 1k" => route::<H, E>(1_000),
        "W1 100k" => route::<H, E>(100_000),
        "W1 1M" => route::<H, E>(1_000_000),
        "W2 1" => fan_out::<H, E>(1),
        "W2 4" => fan_out::<H, E>(4),
        "W2 16" => fan_out::<H, E>(16),
        "W2 64" => fan_out::<H, E>(64),
        "W3" => pipeline::<H, E>(),
        "W3b same" => two_publishers::<H, E>(true),
        "W3b different" => two_publishers::<H, E>(false),
        "W4" => churn::<H, E>(),
        "W5" => memory::<H, E>(),
        "W6" => growth::<H, E>(),
        "W7 spinning" => latency::<H, E>(false),
        "W7 sleeping" if H::SLEEPS => latency::<H, E>(true),
        "W7 sleeping" => return None,
        "W8" => stalled::<H, E>(),
        "W9 1k" => set::<H, E>(1_000),
        "W9 100k" => set::<H, E>(100_000),
        other => panic!("no such workload: {other}"),
    })
}

pub(crate) fn name(user: usize) -> String {
    format!("user-{user:07}")
}

/// A cheap generator of numbers that are random enough to pick users.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new() -> Self {
        Self(0x9E37_79B9_7F4A_7C15)
    }

    pub(crate) fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((u128::from(self.0) * n as u128) >> 64) as usize
    }
}

fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 100_000_000_000, 3).expect("valid")
}

/// Nanoseconds since `since`.
fn ns(since: Instant) -> u64 {
    since.elapsed().as_nanos() as u64
}

/// W1: a random user, publish, then receive.
fn route<H: Hub<E>, E: Event>(users: usize) -> Round {
    const EVENTS: usize = 200_000;
    let hub = H::new(CAPACITY);
    let source = E::source();
    let names: Vec<_> = (0..users).map(|u| hub.user(&name(u))).collect();
    let mut tabs: Vec<_> = names.iter().map(|user| hub.connect(user)).collect();
    let mut random = Random::new();
    Box::new(move || {
        let mut sample = Sample::default();
        let start = Instant::now();
        for _ in 0..EVENTS {
            let user = random.below(users);
            hub.publish(&names[user], E::make(&source, user));
            match hub.receive(&mut tabs[user]) {
                Some(event) => sample.misrouted += usize::from(!event.is_for(user)),
                None => sample.lost += 1,
            }
        }
        sample.per("ns/event", start, EVENTS);
        sample
    })
}

/// W2: one user with several devices; publishes and deliveries timed apart.
fn fan_out<H: Hub<E>, E: Event>(devices: usize) -> Round {
    const BURST: usize = 32;
    let turns = 2_000 / devices.min(16);
    let hub = H::new(CAPACITY);
    let source = E::source();
    let user = hub.user(&name(1));
    let mut tabs: Vec<_> = (0..devices).map(|_| hub.connect(&user)).collect();
    Box::new(move || {
        let mut sample = Sample::default();
        let (mut publishing, mut receiving, mut draining) = (0, 0, 0);
        let mut received = 0;
        for turn in 0..2 * turns {
            let start = Instant::now();
            for _ in 0..BURST {
                hub.publish(&user, E::make(&source, 1));
            }
            publishing += ns(start);
            let start = Instant::now();
            for tab in &mut tabs {
                if turn % 2 == 0 {
                    while let Some(event) = hub.receive(tab) {
                        sample.misrouted += usize::from(!event.is_for(1));
                        received += 1;
                    }
                } else {
                    hub.drain(tab, |event| {
                        sample.misrouted += usize::from(!black_box(event).is_for(1));
                        received += 1;
                    });
                }
            }
            let spent = ns(start);
            if turn % 2 == 0 {
                receiving += spent;
            } else {
                draining += spent;
            }
        }
        let publishes = (2 * turns * BURST) as f64;
        let deliveries = (turns * BURST * devices) as f64;
        sample.lost = 2 * turns * BURST * devices - received;
        let half = publishing as f64 / 2.0;
        sample.figures = vec![
            ("ns/publish", publishing as f64 / publishes),
            ("ns/receive", receiving as f64 / deliveries),
            ("ns/drained", draining as f64 / deliveries),
            ("ns/delivery", (half + receiving as f64) / deliveries),
            ("ns/delivery drained", (half + draining as f64) / deliveries),
        ];
        sample
    })
}

/// W3: a publisher to 10 000 random users, and a consumer that goes round all of them.
fn pipeline<H: Hub<E>, E: Event>() -> Round {
    const USERS: usize = 10_000;
    const EVENTS: usize = 300_000;
    // So few that no user's bound is met, and so many that both threads have work.
    const UNDER_WAY: usize = 20_000;
    let hub = H::new(CAPACITY);
    let source = E::source();
    let names: Vec<_> = (0..USERS).map(|u| hub.user(&name(u))).collect();
    let mut tabs: Vec<_> = names.iter().map(|user| hub.connect(user)).collect();
    Box::new(move || {
        let received = AtomicUsize::new(0);
        let mut sample = Sample::default();
        let start = Instant::now();
        thread::scope(|s| {
            s.spawn(|| {
                crate::pin_to(1);
                let mut random = Random::new();
                for n in 0..EVENTS {
                    if n % 64 == 0 {
                        while n > received.load(Ordering::Acquire) + UNDER_WAY {
                            std::hint::spin_loop();
                        }
                    }
                    let user = random.below(USERS);
                    assert!(hub.publish(&names[user], E::make(&source, user)), "room");
                }
            });
            let mut all = 0;
            while all < EVENTS {
                for (user, tab) in tabs.iter_mut().enumerate() {
                    while let Some(event) = hub.receive(tab) {
                        sample.misrouted += usize::from(!event.is_for(user));
                        all += 1;
                    }
                    if user % 64 == 0 {
                        received.store(all, Ordering::Release);
                    }
                }
                received.store(all, Ordering::Release);
            }
        });
        let us = start.elapsed().as_secs_f64() * 1e6;
        sample.figures = vec![("delivered/us", EVENTS as f64 / us)];
        sample
    })
}

/// W3b: two publisher threads in bursts; the readers catch up between the bursts, untimed.
fn two_publishers<H: Hub<E>, E: Event>(same: bool) -> Round {
    const BURSTS: usize = 200;
    const BURST: usize = 1_000;
    let hub = H::new(4 * BURST.next_power_of_two());
    let source = E::source();
    let users = [hub.user(&name(1)), hub.user(&name(2))];
    let mut tabs = [hub.connect(&users[0]), hub.connect(&users[1])];
    Box::new(move || {
        let turn = AtomicUsize::new(0);
        let (hub, users, source, turn) = (&hub, &users, &source, &turn);
        // Spins until all three threads have come here so often.
        let meet = |times: usize| {
            turn.fetch_add(1, Ordering::AcqRel);
            while turn.load(Ordering::Acquire) < 3 * times {
                std::hint::spin_loop();
                if turn.load(Ordering::Acquire) < 3 * times {
                    thread::yield_now();
                }
            }
        };
        let publisher = |core: usize| {
            crate::pin_to(core);
            let user = if same { 0 } else { core };
            let mut spent = 0.0;
            for burst in 0..BURSTS {
                meet(2 * burst + 1);
                let start = Instant::now();
                for _ in 0..BURST {
                    hub.publish(&users[user], E::make(source, 1 + user));
                }
                spent += start.elapsed().as_secs_f64();
                meet(2 * burst + 2);
            }
            (BURSTS * BURST) as f64 / spent
        };
        let (mut received, mut misrouted) = (0, 0);
        let rate = thread::scope(|s| {
            let both = [0, 1].map(|core| s.spawn(move || publisher(core)));
            for burst in 0..BURSTS {
                meet(2 * burst + 1);
                meet(2 * burst + 2);
                for (user, tab) in tabs.iter_mut().enumerate() {
                    while let Some(event) = hub.receive(tab) {
                        misrouted += usize::from(!event.is_for(1 + user));
                        received += 1;
                    }
                }
            }
            both.map(|thread| thread.join().expect("ran"))
                .iter()
                .sum::<f64>()
        });
        Sample {
            figures: vec![("publishes/us", rate / 1e6)],
            misrouted,
            lost: 2 * BURSTS * BURST - received,
        }
    })
}

/// W4: second devices come and go while another thread publishes; first devices receive.
fn churn<H: Hub<E>, E: Event>() -> Round {
    const USERS: usize = 1_000;
    const PAIRS: usize = 100_000;
    let hub = H::new(CAPACITY);
    let source = E::source();
    let names: Vec<_> = (0..USERS).map(|u| hub.user(&name(u))).collect();
    let mut tabs: Vec<_> = names.iter().map(|user| hub.connect(user)).collect();
    Box::new(move || {
        let done = AtomicBool::new(false);
        let (mut sample, mut times, mut publishes) = (Sample::default(), histogram(), 0);
        let (pairs, us) = thread::scope(|s| {
            let churner = s.spawn(|| {
                crate::pin_to(1);
                let mut random = Random::new();
                let start = Instant::now();
                for _ in 0..PAIRS {
                    let user = &names[random.below(USERS)];
                    hub.disconnect(user, hub.connect(user));
                }
                done.store(true, Ordering::Release);
                (PAIRS, start.elapsed().as_secs_f64() * 1e6)
            });
            let mut random = Random::new();
            while !done.load(Ordering::Acquire) {
                let user = random.below(USERS);
                let event = E::make(&source, user);
                let start = Instant::now();
                hub.publish(&names[user], event);
                times.saturating_record(ns(start));
                publishes += 1;
                match hub.receive(&mut tabs[user]) {
                    Some(event) => sample.misrouted += usize::from(!event.is_for(user)),
                    None => sample.lost += 1,
                }
            }
            churner.join().expect("ran")
        });
        sample.figures = vec![
            ("pairs/us", pairs as f64 / us),
            ("publishes/us", f64::from(publishes) / us),
        ];
        sample.quantiles(
            &times,
            &[
                ("publish p50 ns", 0.5),
                ("publish p99 ns", 0.99),
                ("publish p99.9 ns", 0.999),
            ],
        );
        sample
    })
}

fn resident() -> f64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: Option<f64> = statm.split(' ').nth(1).and_then(|p| p.parse().ok());
    pages.unwrap_or(0.0) * 4096.0
}

/// W5: what a user costs who is connected and idle, before and after one event.
fn memory<H: Hub<E>, E: Event>() -> Round {
    const USERS: usize = 1_000_000;
    Box::new(move || {
        let mut sample = Sample::default();
        let hub = H::new(CAPACITY);
        let source = E::source();
        let names: Vec<_> = (0..USERS).map(|u| hub.user(&name(u))).collect();
        let before = resident();
        let mut tabs: Vec<_> = names.iter().map(|user| hub.connect(user)).collect();
        let connected = resident();
        for (user, tab) in tabs.iter_mut().enumerate() {
            hub.publish(&names[user], E::make(&source, user));
            match hub.receive(tab) {
                Some(event) => sample.misrouted += usize::from(!event.is_for(user)),
                None => sample.lost += 1,
            }
        }
        let per_user = |bytes: f64| (bytes - before) / USERS as f64;
        sample.figures = vec![
            ("bytes/idle user", per_user(connected)),
            ("bytes/user after an event", per_user(resident())),
        ];
        sample
    })
}

/// W6: from nothing to a million users while another thread publishes to those who are there.
fn growth<H: Hub<E>, E: Event>() -> Round {
    const USERS: usize = 1_000_000;
    Box::new(move || {
        let hub = H::new(CAPACITY);
        let source = E::source();
        let names: Vec<_> = (0..USERS).map(|u| hub.user(&name(u))).collect();
        let mut tabs = Vec::with_capacity(USERS);
        let there = AtomicUsize::new(0);
        let (mut connects, mut sample) = (histogram(), Sample::default());
        let (publishes, accepted, us) = thread::scope(|s| {
            let publisher = s.spawn(|| {
                crate::pin_to(1);
                let mut random = Random::new();
                let (mut times, mut accepted) = (histogram(), 0);
                loop {
                    let users = there.load(Ordering::Acquire);
                    if users == USERS {
                        return (times, accepted);
                    }
                    // Few enough that nobody's bound is met.
                    if users == 0 || accepted > users {
                        std::hint::spin_loop();
                        continue;
                    }
                    let user = random.below(users);
                    let event = E::make(&source, user);
                    let start = Instant::now();
                    accepted += usize::from(hub.publish(&names[user], event));
                    times.saturating_record(ns(start));
                }
            });
            let begin = Instant::now();
            for (user, name) in names.iter().enumerate() {
                let start = Instant::now();
                tabs.push(hub.connect(name));
                connects.saturating_record(ns(start));
                there.store(user + 1, Ordering::Release);
            }
            let us = begin.elapsed().as_secs_f64() * 1e6;
            let (times, accepted) = publisher.join().expect("ran");
            (times, accepted, us)
        });
        let mut received = 0;
        for (user, tab) in tabs.iter_mut().enumerate() {
            while let Some(event) = hub.receive(tab) {
                sample.misrouted += usize::from(!event.is_for(user));
                received += 1;
            }
        }
        sample.lost = accepted - received;
        sample.figures = vec![("connects/us", USERS as f64 / us)];
        sample.quantiles(
            &connects,
            &[
                ("connect p50 ns", 0.5),
                ("connect p99.99 ns", 0.9999),
                ("connect max ns", 1.0),
            ],
        );
        sample.quantiles(
            &publishes,
            &[("publish p99.99 ns", 0.9999), ("publish max ns", 1.0)],
        );
        sample
    })
}

/// One event at a time to a receiver on another core, which answers before the next one.
pub(crate) fn paced(
    sleeping: bool,
    mut publish: impl FnMut() -> bool + Send,
    mut receive: impl FnMut() -> bool,
) -> Sample {
    let events = if sleeping { 3_000 } else { 20_000 };
    let pause = Duration::from_micros(if sleeping { 60 } else { 3 });
    let begin = Instant::now();
    let (sent, seen) = (AtomicU64::new(0), AtomicUsize::new(0));
    let (mut times, mut sample) = (histogram(), Sample::default());
    thread::scope(|s| {
        s.spawn(|| {
            crate::pin_to(1);
            for n in 0..events {
                while seen.load(Ordering::Acquire) < n {
                    std::hint::spin_loop();
                }
                // The receiver is given the time to be waiting.
                let from = Instant::now();
                while from.elapsed() < pause {
                    std::hint::spin_loop();
                }
                sent.store(ns(begin), Ordering::Release);
                assert!(publish(), "there is room");
            }
        });
        for n in 0..events {
            sample.misrouted += usize::from(!receive());
            let at = ns(begin);
            times.saturating_record(at - sent.load(Ordering::Acquire));
            seen.store(n + 1, Ordering::Release);
        }
    });
    sample.quantiles(
        &times,
        &[("p50 ns", 0.5), ("p99 ns", 0.99), ("p99.9 ns", 0.999)],
    );
    sample
}

/// W7: from the publish to the receiver on another core.
fn latency<H: Hub<E>, E: Event>(sleeping: bool) -> Round {
    let hub = H::new(CAPACITY);
    let source = E::source();
    let user = hub.user(&name(1));
    let mut tab = hub.connect(&user);
    Box::new(move || {
        paced(
            sleeping,
            || hub.publish(&user, E::make(&source, 1)),
            || {
                if sleeping {
                    return hub.wait(&mut tab).is_some_and(|event| event.is_for(1));
                }
                loop {
                    match hub.receive(&mut tab) {
                        Some(event) => return event.is_for(1),
                        None => std::hint::spin_loop(),
                    }
                }
            },
        )
    })
}

/// The figures of W8 with a stalled device.
pub(crate) const STALLED: [&str; 3] = [
    "ns/event beside a stalled device",
    "p50 ns beside a stalled device",
    "events missed by its user's other device",
];

/// W8: what a device that never reads costs the others.
fn stalled<H: Hub<E>, E: Event>() -> Round {
    const USERS: usize = 100;
    const EVENTS: usize = 50_000;
    let source = E::source();
    let hubs = [false, true].map(|stalls| {
        let hub = H::new(CAPACITY);
        let names: Vec<_> = (0..USERS).map(|u| hub.user(&name(u))).collect();
        let tabs: Vec<_> = names.iter().map(|user| hub.connect(user)).collect();
        let other = hub.connect(&names[0]);
        (hub, names, tabs, other, stalls)
    });
    let mut hubs = hubs;
    Box::new(move || {
        let mut sample = Sample::default();
        for (hub, names, tabs, other, stalls) in &mut hubs {
            let (mut random, mut spent, mut turns) = (Random::new(), 0, histogram());
            let mut missed = 0;
            for _ in 0..EVENTS / 50 {
                // The user in question, between the others' events.
                hub.publish(&names[0], E::make(&source, 0));
                match hub.receive(&mut tabs[0]) {
                    Some(event) => sample.misrouted += usize::from(!event.is_for(0)),
                    None => missed += 1,
                }
                if !*stalls {
                    black_box(hub.receive(other));
                }
                let start = Instant::now();
                for _ in 0..50 {
                    let user = 1 + random.below(USERS - 1);
                    hub.publish(&names[user], E::make(&source, user));
                    match hub.receive(&mut tabs[user]) {
                        Some(event) => sample.misrouted += usize::from(!event.is_for(user)),
                        None => sample.lost += 1,
                    }
                }
                let turn = ns(start);
                spent += turn;
                turns.saturating_record(turn);
            }
            let each = spent as f64 / EVENTS as f64;
            let median = turns.value_at_quantile(0.5) as f64 / 50.0;
            if *stalls {
                let figures = STALLED.into_iter().zip([each, median, f64::from(missed)]);
                sample.figures.extend(figures);
            } else {
                sample.figures = vec![("ns/event", each), ("p50 ns", median)];
            }
        }
        sample
    })
}

/// W9: one event to many users.
fn set<H: Hub<E>, E: Event>(users: usize) -> Round {
    let turns = 100_000 / users;
    let hub = H::new(CAPACITY);
    let source = E::source();
    let names: Vec<_> = (0..users).map(|u| hub.user(&name(u))).collect();
    let mut tabs: Vec<_> = names.iter().map(|user| hub.connect(user)).collect();
    let mut random = Random::new();
    // In another order than they came in, as a subscription's set would be.
    let mut order: Vec<_> = (0..users).collect();
    for at in (1..users).rev() {
        order.swap(at, random.below(at + 1));
    }
    let mut by_order: Vec<_> = names.into_iter().map(Some).collect();
    let set: Vec<_> = order
        .iter()
        .map(|&at| by_order[at].take().expect("once"))
        .collect();
    Box::new(move || {
        let mut sample = Sample::default();
        let (mut spent, mut looped) = (0, 0);
        // One pass that is not timed, so that both ways find what a pass before them has left.
        for user in &set {
            hub.publish(user, E::make(&source, 1));
        }
        for tab in &mut tabs {
            sample.lost += usize::from(hub.receive(tab).is_none());
        }
        for _ in 0..turns {
            let event = E::make(&source, 1);
            let start = Instant::now();
            hub.publish_to_set(&set, &event);
            spent += ns(start);
            for tab in &mut tabs {
                sample.lost += usize::from(hub.receive(tab).is_none());
            }
            let start = Instant::now();
            for user in &set {
                hub.publish(user, event.clone());
            }
            looped += ns(start);
            for tab in &mut tabs {
                sample.lost += usize::from(hub.receive(tab).is_none());
            }
        }
        let all = (turns * users) as f64;
        sample.figures = vec![
            ("ns/user", spent as f64 / all),
            ("ns/user in a loop", looped as f64 / all),
        ];
        sample
    })
}
