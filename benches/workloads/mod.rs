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
pub(crate) use memory::{BURST, burst};
pub(crate) use stalled::STALLED;
pub(crate) use threads::{BURST_CAPACITY, bursts};
pub(crate) use users::{W2_BURST, per_member, room_turns, route_events, w2_turns};

use crate::peers::Rival;

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

/// The workloads: the name, and what is done, in words.
pub(crate) const WORKLOADS: [(&str, &str); 23] = [
    (
        "W1 1k",
        "One thread publishes an event to a random one of 1 000 users, and that user's only device receives it before the next one.",
    ),
    (
        "W1 100k",
        "One thread publishes an event to a random one of 100 000 users, and that user's only device receives it before the next one.",
    ),
    (
        "W1 1M",
        "One thread publishes an event to a random one of a million users, and that user's only device receives it before the next one.",
    ),
    (
        "W2 1",
        "One thread publishes bursts of 32 events to a user with one device, which then reads them: half of the bursts event by event (receive), the others all at once and in place where a peer can (drained). A delivery is a publish's part and a read together.",
    ),
    (
        "W2 4",
        "As W2 1, to a user with 4 devices. A publish is shared among its 4 deliveries.",
    ),
    (
        "W2 16",
        "As W2 1, to a user with 16 devices. A publish is shared among its 16 deliveries.",
    ),
    (
        "W2 64",
        "As W2 1, to a user with 64 devices. A publish is shared among its 64 deliveries.",
    ),
    (
        "W3",
        "One thread publishes to 10 000 random users while another one goes round all their devices and reads what there is.",
    ),
    (
        "W3b same",
        "Two threads publish bursts of 1 000 events to the same user at the same time. The device reads between the bursts, which is not timed.",
    ),
    (
        "W3b different",
        "Two threads publish bursts of 1 000 events at the same time, to a user each. The devices read between the bursts, which is not timed.",
    ),
    ("W3b same, 4 publishers", "As W3b same, with four threads."),
    (
        "W3b different, 4 publishers",
        "As W3b different, with four threads.",
    ),
    (
        "W4",
        "One thread connects and disconnects second devices of 1 000 users (a pair) while another one publishes to these users and times each publish.",
    ),
    (
        "W4 deep",
        "A lane holds 65 536 events. One device of a user reads each event, one never reads and is that far behind, a third one comes and goes on another thread. Each publish is timed: none may do more work than 256 events ask for.",
    ),
    (
        "W5",
        "A million users connect a device each; then each gets one event and reads it. Resident bytes a user, the names not counted.",
    ),
    (
        "W6",
        "A million users connect one after another while another thread publishes to those who are there. Each connect and each publish is timed.",
    ),
    (
        "W7 spinning",
        "From a publish to its receiver on another core, which looks without a pause. One event at a time.",
    ),
    (
        "W7 sleeping",
        "From a publish to its receiver on another core, which sleeps until it is woken. One event at a time.",
    ),
    (
        "W8",
        "One thread publishes to 99 users whose devices read each event, once without and once beside a user with a device that never reads.",
    ),
    (
        "W8 deep",
        "A lane holds 65 536 events. One thread publishes to a user with a device that never reads and is that far behind, in turn with users without one (the others). Each publish is timed: none may do more work than 256 events ask for.",
    ),
    (
        "W9 1k",
        "One event to each of 1 000 users, as a room where a peer has that, and in a loop of publishes. Received: each device has read it besides.",
    ),
    (
        "W9 100k",
        "One event to each of 100 000 users, as a room where a peer has that, and in a loop of publishes. Received: each device has read it besides.",
    ),
    (
        "W10",
        "100 000 users with a device each get a burst of 64 events of a kilobyte, one user after another, and each device reads them; then come two sweeps (laneway's own; no peer has anything for that): \"after\". Afterwards 10 000 of them, for all would take 6.6 GB, get such a burst at the same time (\"full\", payloads included), read it, and two sweeps follow (\"after all at once\"). Bytes a user in use by the allocator's count, and resident when the allocator has returned its free pages.",
    ),
];

/// The workloads' names.
pub(crate) const NAMES: [&str; WORKLOADS.len()] = {
    let mut names = [""; WORKLOADS.len()];
    let mut at = 0;
    while at < names.len() {
        names[at] = WORKLOADS[at].0;
        at += 1;
    }
    names
};

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
pub(crate) fn set_up<H: Rival<E>, E: Event>(workload: &str) -> Option<Round> {
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
