//! The report's first table: a question in words, and its answer.

use std::fmt::Write as _;

use super::data::{Data, OURS, Rivals, is_rate, number};
use crate::workloads::{BURST, STALLED};

/// The question, workload, payload and figure, and the floor's name and figure.
type Question = (
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    Option<(&'static str, &'static str)>,
);

const SHARED_RING: &str = "floor: disruptor";
const IN_PLACE: &str = "ns/delivery drained";

const QUESTIONS: [Question; 20] = [
    (
        "An event to one of 1 000 users, published and received",
        "W1 1k",
        "V",
        "ns/event",
        Some(("floor: lookup + ring", "ns/event")),
    ),
    (
        "An event to one of 100 000 users, published and received",
        "W1 100k",
        "V",
        "ns/event",
        Some(("floor: lookup + ring", "ns/event")),
    ),
    (
        "An event to one of a million users, published and received",
        "W1 1M",
        "V",
        "ns/event",
        Some(("floor: lookup + ring", "ns/event")),
    ),
    (
        "A delivery to a user's only device, in bursts of 32",
        "W2 1",
        "V",
        "ns/delivery",
        Some(("floor: SPSC ring", "ns/delivery")),
    ),
    (
        "A delivery to one of 16 devices, the publish's part included",
        "W2 16",
        "V",
        "ns/delivery",
        None,
    ),
    (
        "A delivery to one of 16 devices, read in place",
        "W2 16",
        "V",
        IN_PLACE,
        Some((SHARED_RING, IN_PLACE)),
    ),
    (
        "A delivery to one of 64 devices, read in place",
        "W2 64",
        "V",
        IN_PLACE,
        Some((SHARED_RING, IN_PLACE)),
    ),
    (
        "Deliveries from one thread to another that goes round 10 000 users",
        "W3",
        "H",
        "delivered/us",
        None,
    ),
    (
        "Publishes of two threads to two users",
        "W3b different",
        "H",
        "publishes/us",
        None,
    ),
    (
        "Publishes of two threads to the same user",
        "W3b same",
        "H",
        "publishes/us",
        Some((SHARED_RING, "publishes/us")),
    ),
    (
        "Second devices that come and go while another thread publishes",
        "W4",
        "H",
        "pairs/us",
        None,
    ),
    (
        "The slowest of a hundred publishes meanwhile (p99)",
        "W4",
        "H",
        "publish p99 ns",
        None,
    ),
    (
        "The slowest of a thousand publishes (p99.9) to a user with a device that never reads, 65 536 events behind",
        "W8 deep",
        "H",
        "publish p99.9 ns",
        None,
    ),
    (
        "A user who is connected and idle, of a million",
        "W5",
        "H",
        "bytes/idle user",
        None,
    ),
    (
        "The slowest connect while a million users come",
        "W6",
        "H",
        "connect max ns",
        None,
    ),
    (
        "The slowest publish while a million users come",
        "W6",
        "H",
        "publish max ns",
        None,
    ),
    (
        "From a publish to a receiver on another core that looks without a pause (p50)",
        "W7 spinning",
        "V",
        "p50 ns",
        Some(("floor: SPSC ring", "p50 ns")),
    ),
    (
        "An event to another user while a device never reads",
        "W8",
        "H",
        STALLED[0],
        None,
    ),
    (
        "An event to a room of 100 000 users, received by each of them",
        "W9 100k",
        "H",
        "ns/user received",
        Some(("floor: one broadcast", "ns/user received")),
    ),
    (
        "What is left of a user after a burst of 64 events of a kilobyte, read and swept twice",
        "W10",
        "H",
        BURST[2][0],
        None,
    ),
];

fn with_unit(value: f64, figure: &str) -> String {
    let unit = match figure {
        rate if is_rate(rate) => "million/s",
        bytes if bytes.contains("bytes") => "bytes",
        _ => "ns",
    };
    format!("{} {unit}", number(value))
}

/// A row a question.
pub(super) fn answer(data: &Data, out: &mut String) {
    out.push_str("| what was measured | laneway by scope | best peer | ratio | floor |\n|---|---|---|---|---|\n");
    for (words, workload, payload, figure, floor) in QUESTIONS {
        let ours = data.get(workload, payload, OURS[1], figure);
        let best = data.best(workload, payload, figure, Rivals::All);
        let (Some(ours), Some((peer, best))) = (ours, best) else {
            continue;
        };
        let ratio = data.ratio(workload, payload, OURS[1], figure, Rivals::All);
        let ratio = ratio.map_or_else(String::new, |(_, ratio)| format!("{ratio:.2}"));
        let floor = floor.and_then(|(name, figure)| {
            let value = with_unit(data.get(workload, payload, name, figure)?, figure);
            Some(format!("{}: {value}", name.trim_start_matches("floor: ")))
        });
        writeln!(
            out,
            "| {words} ({workload}, {payload}) | {} | {peer}: {} | {ratio} | {} |",
            with_unit(ours, figure),
            with_unit(best, figure),
            floor.unwrap_or_default(),
        )
        .expect("a string");
    }
    out.push('\n');
}
