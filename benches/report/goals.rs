//! What the figures are meant to be.

use std::fmt::Write as _;

use super::data::{Data, OURS, Rivals, number};
use crate::workloads::{BURST, STALLED};

const BY_ID: &str = OURS[0];
const BY_SCOPE: &str = OURS[1];
const PAYLOADS: [&str; 2] = ["V", "H"];

/// Workload, figure, laneway's side, with whom it is compared, and at least so many times the best
/// of these: with payload V and with payload H.
type Goal = (&'static str, &'static str, &'static str, Rivals, [f64; 2]);

const GOALS: [Goal; 14] = [
    ("W1 1k", "ns/event", BY_SCOPE, Rivals::All, [1.7, 1.3]),
    ("W1 1k", "ns/event", BY_ID, Rivals::All, [1.3, 1.1]),
    ("W1 100k", "ns/event", BY_SCOPE, Rivals::All, [2.0, 2.0]),
    ("W1 1M", "ns/event", BY_SCOPE, Rivals::All, [1.5, 1.5]),
    ("W2 1", "ns/delivery", BY_SCOPE, Rivals::All, [1.3, 1.1]),
    ("W2 4", "ns/delivery", BY_SCOPE, Rivals::All, [1.5, 1.1]),
    ("W2 16", "ns/delivery", BY_SCOPE, Rivals::All, [1.5, 1.1]),
    ("W2 64", "ns/delivery", BY_SCOPE, Rivals::All, [1.5, 1.1]),
    (
        "W2 4",
        "ns/delivery drained",
        BY_SCOPE,
        Rivals::All,
        [2.0, 2.0],
    ),
    (
        "W2 16",
        "ns/delivery drained",
        BY_SCOPE,
        Rivals::All,
        [2.0, 2.0],
    ),
    (
        "W2 64",
        "ns/delivery drained",
        BY_SCOPE,
        Rivals::All,
        [2.0, 2.0],
    ),
    ("W3", "delivered/us", BY_SCOPE, Rivals::All, [1.3, 1.5]),
    (
        "W3b different",
        "publishes/us",
        BY_SCOPE,
        Rivals::All,
        [1.2, 1.2],
    ),
    (
        "W3b same",
        "publishes/us",
        BY_SCOPE,
        Rivals::Lockless,
        [1.0, 1.0],
    ),
];

/// Of workloads that are to be no worse than before: the ratios, by scope and with payloads V and
/// H, in the record of 26 November 2026. A ratio carries over from machine to machine, a time does
/// not.
const RECORD: [(&str, &str, [f64; 2]); 10] = [
    ("W4", "pairs/us", [1.52, 1.21]),
    ("W4", "publish p50 ns", [4.48, 4.20]),
    ("W4", "publish p99 ns", [2.97, 2.61]),
    ("W4", "publish p99.9 ns", [2.89, 2.45]),
    ("W6", "connects/us", [f64::NAN, 1.53]),
    ("W6", "connect p99.99 ns", [f64::NAN, 1.29]),
    ("W6", "publish p99.99 ns", [f64::NAN, 1.21]),
    ("W7 spinning", "p50 ns", [1.02, 1.16]),
    ("W7 spinning", "p99 ns", [0.92, 0.84]),
    ("W8", STALLED[0], [1.12, 1.00]),
];

/// Two runs of the same program agree within so much.
const AGREEMENT: f64 = 0.9;

/// The goals that are no comparison with the best peer: what, how much it is, at most so much.
type Bound = (&'static str, fn(&Data) -> Option<f64>, f64);

const BOUNDS: [Bound; 10] = [
    (
        "W5 H: bytes an idle user",
        |d| d.get("W5", "H", BY_SCOPE, "bytes/idle user"),
        311.0,
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
        |d| d.get("W8", "H", BY_SCOPE, STALLED[2]),
        0.0,
    ),
    (
        "W8 deep H: slowest of a thousand publishes beside a stalled device, times the median one",
        |d| {
            d.over(
                ("W8 deep", "publish p99.9 ns"),
                ("W8 deep", "publish p50 ns"),
            )
        },
        256.0,
    ),
    (
        // Both meet the machine's interruptions; what the first has more is work.
        "W8 deep H: worst publish beside a stalled device less the others' worst, times the median one",
        |d| {
            let get = |figure| d.get("W8 deep", "H", BY_SCOPE, figure);
            let more = get("publish max ns")? - get("others' max ns")?;
            Some(more / get("publish p50 ns")?)
        },
        256.0,
    ),
    (
        "W10: bytes in use a user after the burst and two sweeps, more than before",
        |d| d.more(BURST[2][0], BURST[0][0]),
        64.0,
    ),
    (
        "W10: resident bytes a user after the burst and two sweeps, more than before",
        |d| d.more(BURST[2][1], BURST[0][1]),
        64.0,
    ),
];

fn verdict(met: bool) -> &'static str {
    if met { "met" } else { "missed" }
}

pub(super) fn goals(data: &Data, out: &mut String) {
    out.push_str(
        "## Goals\n\nHow many times as good as the best peer laneway is on each figure, and how many times it is meant to be. \
         *Before*: the ratio of the last record, met if the ratio is not more than 10 % below. *Without a lock*: the best of \
         the peers that have none.\n\n\
         | workload | payload | figure | laneway | best peer | ratio | goal | |\n|---|---|---|---|---|---|---|---|\n",
    );
    for (workload, figure, ours, rivals, ratios) in GOALS {
        for (payload, goal) in PAYLOADS.into_iter().zip(ratios) {
            let Some((peer, ratio)) = data.ratio(workload, payload, ours, figure, rivals) else {
                continue;
            };
            let without = if matches!(rivals, Rivals::Lockless) {
                " (without a lock)"
            } else {
                ""
            };
            writeln!(
                out,
                "| {workload} | {payload} | {figure} | {} | {peer}{without} | {ratio:.2} | {goal} | {} |",
                ours.trim_start_matches("laneway "),
                verdict(ratio >= goal),
            )
            .expect("a string");
        }
    }
    for (workload, figure, ratios) in RECORD {
        for (payload, before) in PAYLOADS.into_iter().zip(ratios) {
            let found = data.ratio(workload, payload, BY_SCOPE, figure, Rivals::All);
            if let (Some((peer, ratio)), false) = (found, before.is_nan()) {
                let met = verdict(ratio >= AGREEMENT * before);
                writeln!(
                    out,
                    "| {workload} | {payload} | {figure} | by scope | {peer} | {ratio:.2} | before: {before} | {met} |"
                )
                .expect("a string");
            }
        }
    }
    out.push_str("\n| what | is | at most | |\n|---|---|---|---|\n");
    for (what, is, limit) in BOUNDS {
        if let Some(is) = is(data) {
            let met = verdict(is <= limit);
            writeln!(out, "| {what} | {} | {limit} | {met} |", number(is)).expect("a string");
        }
    }
    out.push('\n');
}
