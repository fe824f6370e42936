//! What is measured. Each workload is set up once in its process and then run in rounds.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use crate::peers::Hub;

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
    /// Nanoseconds, or whatever the figure's name says.
    pub(crate) figures: Vec<(&'static str, f64)>,
    pub(crate) misrouted: usize,
    /// Published and never received, nor told as refused or missed.
    pub(crate) lost: usize,
}

pub(crate) type Round = Box<dyn FnMut() -> Sample>;

/// The workloads' names with what they mean.
pub(crate) const NAMES: [&str; 6] = [
    "W1 1k",
    "W1 100k",
    "W2 1",
    "W2 4",
    "W3b same",
    "W3b different",
];

pub(crate) fn set_up<H: Hub<E>, E: Event>(workload: &str) -> Round {
    match workload {
        "W1 1k" => route::<H, E>(1_000),
        "W1 100k" => route::<H, E>(100_000),
        "W2 1" => fan_out::<H, E>(1),
        "W2 4" => fan_out::<H, E>(4),
        "W3b same" => two_publishers::<H, E>(true),
        "W3b different" => two_publishers::<H, E>(false),
        other => panic!("no such workload: {other}"),
    }
}

fn name(user: usize) -> String {
    format!("user-{user:07}")
}

/// A cheap generator of numbers that are random enough to pick users.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((u128::from(self.0) * n as u128) >> 64) as usize
    }
}

/// W1: a random user, publish, then receive.
fn route<H: Hub<E>, E: Event>(users: usize) -> Round {
    const EVENTS: usize = 200_000;
    let hub = H::new(crate::peers::CAPACITY);
    let source = E::source();
    let names: Vec<_> = (0..users).map(|u| hub.user(&name(u))).collect();
    let mut tabs: Vec<_> = names.iter().map(|user| hub.connect(user)).collect();
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
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
        let ns = start.elapsed().as_nanos() as f64;
        sample.figures.push(("ns/event", ns / EVENTS as f64));
        sample
    })
}

/// W2: one user with several devices; publishes and deliveries timed apart.
fn fan_out<H: Hub<E>, E: Event>(devices: usize) -> Round {
    const TURNS: usize = 2_000;
    const BURST: usize = 32;
    let hub = H::new(crate::peers::CAPACITY);
    let source = E::source();
    let user = hub.user(&name(1));
    let mut tabs: Vec<_> = (0..devices).map(|_| hub.connect(&user)).collect();
    Box::new(move || {
        let mut sample = Sample::default();
        let (mut publishing, mut receiving, mut draining) = (0, 0, 0);
        let mut received = 0;
        for turn in 0..2 * TURNS {
            let start = Instant::now();
            for _ in 0..BURST {
                hub.publish(&user, E::make(&source, 1));
            }
            publishing += start.elapsed().as_nanos();
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
            let spent = start.elapsed().as_nanos();
            if turn % 2 == 0 {
                receiving += spent;
            } else {
                draining += spent;
            }
        }
        let publishes = (2 * TURNS * BURST) as f64;
        let deliveries = (TURNS * BURST * devices) as f64;
        sample.lost = 2 * TURNS * BURST * devices - received;
        sample
            .figures
            .push(("ns/publish", publishing as f64 / publishes));
        sample
            .figures
            .push(("ns/receive", receiving as f64 / deliveries));
        sample
            .figures
            .push(("ns/drained", draining as f64 / deliveries));
        let both = publishing as f64 / 2.0 + receiving as f64;
        sample.figures.push(("ns/delivery", both / deliveries));
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
