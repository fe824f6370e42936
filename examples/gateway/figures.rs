//! What the gateway writes to its sockets: how much, how soon.
#![allow(clippy::disallowed_types)] // The host's own figures: one task writes, the operator reads.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use laneway::protocol::Packet;

/// Four to each power of two of microseconds, up to an hour.
const BUCKETS: usize = 128;
/// Seconds over which a quantile is taken.
const WINDOW: usize = 10;

/// Sums since the start, and figures of the last seconds.
pub(crate) struct Figures {
    events: AtomicU64,
    bytes: AtomicU64,
    waits: [AtomicU64; BUCKETS],
    recent: Mutex<Recent>,
}

#[derive(Default)]
struct Recent {
    /// The sums at each of the last seconds.
    sums: VecDeque<Sums>,
    rates: Rates,
}

#[derive(Clone, Copy)]
struct Sums {
    events: u64,
    bytes: u64,
    waits: [u64; BUCKETS],
}

/// Figures of the last second, and the quantile of the last ten.
#[derive(Clone, Copy, Default)]
pub(crate) struct Rates {
    pub(crate) events_per_s: u64,
    pub(crate) bytes_per_s: u64,
    /// From publish to socket, of 99 in 100 events that had their time with them.
    pub(crate) wait_p99_us: Option<u64>,
}

fn bucket(micros: u64) -> usize {
    let micros = micros.min(u32::MAX.into());
    if micros < 4 {
        return micros as usize;
    }
    let power = micros.ilog2();
    (power * 4 + (micros >> (power - 2) & 3) as u32) as usize
}

/// The largest number of a bucket.
fn bound(bucket: usize) -> u64 {
    match bucket {
        0..8 => bucket.min(3) as u64,
        _ => ((5 + bucket as u64 % 4) << (bucket / 4 - 2)) - 1,
    }
}

/// When an event was published, in microseconds of the gateway's clock. Rooms and floods write it. In a
/// JSON text the mark stands for a field only: a quote within a text has a backslash before it.
///
/// A post of a member at another gateway has that gateway's clock. So the p99 of a gateway in a cluster says nothing
/// while such posts come.
fn published(packet: &Packet) -> Option<u64> {
    let mark = r#""at":"#;
    if !matches!(packet.kind().name(), "flood" | "room_message") {
        return None;
    }
    let json = packet.json();
    let at = &json[json.find(mark)? + mark.len()..];
    let end = at.find(|c: char| !c.is_ascii_digit())?;
    at[..end].parse().ok()
}

impl Figures {
    pub(crate) fn new() -> Self {
        Self {
            events: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            waits: [const { AtomicU64::new(0) }; BUCKETS],
            recent: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Recent> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a frame that a socket has taken.
    pub(crate) fn wrote(&self, bytes: usize) {
        self.events.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Counts the time that a live event took to the socket of a device that is not slowed.
    pub(crate) fn waited(&self, packet: &Packet, now: Duration) {
        if let Some(at) = published(packet) {
            let wait = (now.as_micros() as u64).saturating_sub(at);
            self.waits[bucket(wait)].fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Takes the sums of a second. Called once a second.
    pub(crate) fn tick(&self) {
        let now = Sums {
            events: self.events.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
            waits: std::array::from_fn(|n| self.waits[n].load(Ordering::Relaxed)),
        };
        let mut recent = self.lock();
        if let (Some(oldest), Some(last)) = (recent.sums.front(), recent.sums.back()) {
            recent.rates = Rates {
                events_per_s: now.events - last.events,
                bytes_per_s: now.bytes - last.bytes,
                wait_p99_us: p99(&std::array::from_fn(|n| now.waits[n] - oldest.waits[n])),
            };
        }
        recent.sums.push_back(now);
        if recent.sums.len() > WINDOW {
            recent.sums.pop_front();
        }
    }

    pub(crate) fn rates(&self) -> Rates {
        self.lock().rates
    }

    /// Frames and bytes since the start.
    pub(crate) fn written(&self) -> (u64, u64) {
        let sum = |of: &AtomicU64| of.load(Ordering::Relaxed);
        (sum(&self.events), sum(&self.bytes))
    }
}

fn p99(waits: &[u64; BUCKETS]) -> Option<u64> {
    let all: u64 = waits.iter().sum();
    let mut below = 0;
    let bucket = waits.iter().position(|waits| {
        below += waits;
        below > 0 && below * 100 >= all * 99
    });
    bucket.map(bound)
}
