//! What is measured. Each workload is set up once in its process and then run in rounds.

mod churn;
mod latency;
mod memory;
mod stalled;
mod threads;
mod users;

use std::sync::Arc;
use std::time::Instant;

use hdrhistogram::Histogram;

pub(crate) use latency::paced;
pub(crate) use memory::burst;
pub(crate) use stalled::STALLED;
pub(crate) use threads::{BURST_CAPACITY, bursts};
pub(crate) use users::{W2_BURST, route_events, w2_turns};

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
/// Payload of W10: a kilobyte, made anew for every publish.
pub(crate) type Kilobyte = Arc<[u8; 1024]>;

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

impl Event for Kilobyte {
    type Source = ();
    fn source() {}
    fn make((): &(), user: usize) -> Self {
        Arc::new([(user % TAINTS) as u8; 1024])
    }
    fn is_for(&self, user: usize) -> bool {
        usize::from(self[0]) == user % TAINTS
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
pub(crate) const NAMES: [&str; 23] = [
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
    "W3b same, 4 publishers",
    "W3b different, 4 publishers",
    "W4",
    "W4 deep",
    "W5",
    "W6",
    "W7 spinning",
    "W7 sleeping",
    "W8",
    "W8 deep",
    "W9 1k",
    "W9 100k",
    "W10",
];

/// The cores that a workload needs to mean anything.
pub(crate) fn cores(workload: &str) -> usize {
    if workload.ends_with("4 publishers") {
        4
    } else {
        1
    }
}

/// Those that need the machine's memory for themselves, or seconds a round.
pub(crate) fn is_heavy(workload: &str) -> bool {
    matches!(workload, "W1 1M" | "W5" | "W6" | "W10")
}

/// Those that are measured with payload H only: seconds a peer, or a payload of their own.
pub(crate) fn is_of_one_payload(workload: &str) -> bool {
    matches!(workload, "W6" | "W10")
}

/// Those that a process can run only once: memory that it has given back does not show again.
pub(crate) fn is_once(workload: &str) -> bool {
    matches!(workload, "W5" | "W10")
}

/// `None`: the peer cannot do that.
pub(crate) fn set_up<H: Hub<E>, E: Event>(workload: &str) -> Option<Round> {
    Some(match workload {
        "W1 1k" => users::route::<H, E>(1_000),
        "W1 100k" => users::route::<H, E>(100_000),
        "W1 1M" => users::route::<H, E>(1_000_000),
        "W2 1" => users::fan_out::<H, E>(1),
        "W2 4" => users::fan_out::<H, E>(4),
        "W2 16" => users::fan_out::<H, E>(16),
        "W2 64" => users::fan_out::<H, E>(64),
        "W3" => threads::pipeline::<H, E>(),
        "W3b same" => threads::publishers::<H, E>(2, true),
        "W3b different" => threads::publishers::<H, E>(2, false),
        "W3b same, 4 publishers" => threads::publishers::<H, E>(4, true),
        "W3b different, 4 publishers" => threads::publishers::<H, E>(4, false),
        "W4" => churn::churn::<H, E>(),
        "W4 deep" => churn::churn_deep::<H, E>(),
        "W5" => memory::memory::<H, E>(),
        "W6" => churn::growth::<H, E>(),
        "W7 spinning" => latency::latency::<H, E>(false),
        "W7 sleeping" if H::SLEEPS => latency::latency::<H, E>(true),
        "W7 sleeping" => return None,
        "W8" => stalled::stalled::<H, E>(),
        "W8 deep" => stalled::stalled_deep::<H, E>(),
        "W9 1k" => users::set::<H, E>(1_000),
        "W9 100k" => users::set::<H, E>(100_000),
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

/// The quantiles of publishes.
const PUBLISH: [(&str, f64); 4] = [
    ("publish p50 ns", 0.5),
    ("publish p99 ns", 0.99),
    ("publish p99.9 ns", 0.999),
    ("publish max ns", 1.0),
];

fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 100_000_000_000, 3).expect("valid")
}

/// Nanoseconds since `since`.
fn ns(since: Instant) -> u64 {
    since.elapsed().as_nanos() as u64
}
