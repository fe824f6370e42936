//! What the figures are meant to be.

use std::fmt::Write as _;

use super::data::{Data, OURS, number};
use crate::workloads::STALLED;

/// The goals: workload, payload, figure, who, at least so many times the best peer.
const GOALS: [(&str, &str, &str, &str, f64); 42] = [
    ("W1 1k", "V", "ns/event", OURS[0], 1.8),
    ("W1 1k", "H", "ns/event", OURS[0], 1.4),
    ("W1 1k", "V", "ns/event", OURS[1], 2.5),
    ("W1 1k", "H", "ns/event", OURS[1], 2.0),
    ("W1 100k", "V", "ns/event", OURS[1], 2.0),
    ("W1 100k", "H", "ns/event", OURS[1], 2.0),
    ("W1 1M", "H", "ns/event", OURS[1], 2.0),
    ("W2 1", "V", "ns/delivery", OURS[1], 2.5),
    ("W2 1", "H", "ns/delivery", OURS[1], 2.0),
    ("W2 4", "V", "ns/delivery", OURS[1], 1.5),
    ("W2 4", "H", "ns/delivery", OURS[1], 1.2),
    ("W2 16", "V", "ns/delivery", OURS[1], 1.5),
    ("W2 16", "H", "ns/delivery", OURS[1], 1.2),
    ("W2 64", "V", "ns/delivery", OURS[1], 1.5),
    ("W2 64", "H", "ns/delivery", OURS[1], 1.2),
    ("W2 4", "V", "ns/delivery drained", OURS[1], 2.0),
    ("W2 16", "V", "ns/delivery drained", OURS[1], 2.0),
    ("W2 64", "V", "ns/delivery drained", OURS[1], 2.0),
    ("W3", "H", "delivered/us", OURS[1], 1.3),
    ("W3", "V", "delivered/us", OURS[1], 1.0),
    ("W3b same", "H", "publishes/us", OURS[1], 1.3),
    ("W3b same", "V", "publishes/us", OURS[1], 1.3),
    ("W3b different", "H", "publishes/us", OURS[1], 1.5),
    ("W3b different", "V", "publishes/us", OURS[1], 1.5),
    ("W4", "H", "pairs/us", OURS[1], 1.3),
    ("W4", "V", "pairs/us", OURS[1], 1.3),
    ("W4", "H", "publish p50 ns", OURS[1], 1.0),
    ("W4", "H", "publish p99 ns", OURS[1], 1.0),
    ("W4", "H", "publish p99.9 ns", OURS[1], 1.0),
    ("W5", "H", "bytes/idle user", OURS[1], 1.0),
    ("W5", "H", "bytes/user after an event", OURS[1], 1.0),
    ("W6", "H", "connects/us", OURS[1], 1.5),
    ("W6", "H", "connect p99.99 ns", OURS[1], 1.0),
    ("W6", "H", "connect max ns", OURS[1], 1.0),
    ("W6", "H", "publish p99.99 ns", OURS[1], 1.0),
    ("W6", "H", "publish max ns", OURS[1], 1.0),
    ("W7 spinning", "V", "p50 ns", OURS[1], 1.0),
    ("W7 spinning", "H", "p50 ns", OURS[1], 1.0),
    ("W7 sleeping", "V", "p50 ns", OURS[1], 1.0),
    ("W7 sleeping", "H", "p50 ns", OURS[1], 1.0),
    ("W9 1k", "H", "ns/user", OURS[1], 1.0),
    ("W9 100k", "H", "ns/user", OURS[1], 1.0),
];

/// The goals that are no comparison with the best peer: what, how much it is, at most so much.
type Bound = (&'static str, fn(&Data) -> Option<f64>, f64);

const BOUNDS: [Bound; 14] = [
    (
        "W1 1k V: by id, times lookup and SPSC ring",
        |d| d.of("W1 1k", "V", OURS[0], "ns/event", "floor: lookup + ring"),
        1.3,
    ),
    (
        "W1 1k H: by id, times lookup and SPSC ring",
        |d| d.of("W1 1k", "H", OURS[0], "ns/event", "floor: lookup + ring"),
        1.3,
    ),
    (
        "W2 H: a publish to 64 devices, times one to a single device",
        |d| d.over(("W2 64", "ns/publish"), ("W2 1", "ns/publish")),
        1.1,
    ),
    (
        "W5 H: bytes an idle user",
        |d| d.get("W5", "H", OURS[1], "bytes/idle user"),
        300.0,
    ),
    (
        "W5 H: bytes a user after an event",
        |d| d.get("W5", "H", OURS[1], "bytes/user after an event"),
        500.0,
    ),
    (
        "W6 H: worst connect, times that of the best peer with DashMap",
        |d| d.of_dashmap("connect max ns"),
        0.1,
    ),
    (
        "W6 H: worst publish, times that of the best peer with DashMap",
        |d| d.of_dashmap("publish max ns"),
        0.1,
    ),
    (
        "W7 spinning V: p50, times the SPSC ring's",
        |d| d.of("W7 spinning", "V", OURS[1], "p50 ns", "floor: SPSC ring"),
        1.4,
    ),
    (
        "W7 spinning H: p50, times the SPSC ring's",
        |d| d.of("W7 spinning", "H", OURS[1], "p50 ns", "floor: SPSC ring"),
        1.4,
    ),
    (
        "W8 H: others' time an event beside a stalled device, times that without",
        |d| d.over(("W8", STALLED[0]), ("W8", "ns/event")),
        1.03,
    ),
    (
        "W8 H: others' p50 beside a stalled device, times that without",
        |d| d.over(("W8", STALLED[1]), ("W8", "p50 ns")),
        1.03,
    ),
    (
        "W8 H: events missed by the other device of the stalled one's user",
        |d| d.get("W8", "H", OURS[1], STALLED[2]),
        0.0,
    ),
    (
        "W9 1k H: an event to a set, a user, times a loop of publishes",
        |d| d.over(("W9 1k", "ns/user"), ("W9 1k", "ns/user in a loop")),
        1.0,
    ),
    (
        "W9 100k H: an event to a set, a user, times a loop of publishes",
        |d| d.over(("W9 100k", "ns/user"), ("W9 100k", "ns/user in a loop")),
        0.333,
    ),
];

pub(super) fn goals(data: &Data, out: &mut String) {
    out.push_str("## Goals\n\nHow many times as good as the best peer laneway is on each figure, and how many times it is meant to be.\n\n");
    out.push_str("| workload | payload | figure | laneway | best peer | ratio | goal | |\n|---|---|---|---|---|---|---|---|\n");
    for (workload, payload, figure, ours, goal) in GOALS {
        if let Some((peer, ratio)) = data.ratio(workload, payload, ours, figure) {
            let met = if ratio >= goal { "met" } else { "missed" };
            let ours = ours.trim_start_matches("laneway ");
            writeln!(
                out,
                "| {workload} | {payload} | {figure} | {ours} | {peer} | {ratio:.2} | {goal} | {met} |"
            )
            .expect("a string");
        }
    }
    out.push_str("\n| what | is | at most | |\n|---|---|---|---|\n");
    for (what, is, limit) in BOUNDS {
        if let Some(is) = is(data) {
            let met = if is <= limit { "met" } else { "missed" };
            writeln!(out, "| {what} | {} | {limit} | {met} |", number(is)).expect("a string");
        }
    }
    out.push('\n');
}
