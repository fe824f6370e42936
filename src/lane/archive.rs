//! What a lane that keeps read events has beside them, and what it does with them.
//!
//! The archive is a connection without an owner: it is counted in `live` from the lane's first moment
//! to its end, is not listed, and never reads. So what connections have read stays in its slot until
//! the archive passes it or its arena is evicted. A lane that its last connection leaves stays open
//! until the archive leaves, by the same step that closes any lane.

use std::sync::Arc;

use crate::position::BITS_40;
use crate::sync::{AtomicU64, Fault, Ordering, broken, pin};
use crate::table::storage::OnceLink;

/// Sweeps remember where the lane was at so many times.
const MARKS: usize = 8;
/// The age that is looked for is cut into so many ticks.
const TICKS: u64 = 4;
/// The times of marks are kept modulo this many ticks.
const WRAP: u64 = 1 << 20;

/// Sizes are counted in units of so many bytes, rounded up.
const UNIT: u64 = 16;
const MAX_UNITS: u64 = (1 << 20) - 1;

/// What goes with the events that a lane keeps.
pub(crate) struct Archive {
    /// No other lane of the hub has this number.
    pub(crate) incarnation: u64,
    /// The archive has counted itself out of everything below this number.
    pub(super) floor: AtomicU64,
    /// No event below this number is owed to a connection that recovers.
    owed_from: AtomicU64,
    /// By place, the newest number that was received as recovered. Made for the first one.
    received: OnceLink<Vec<AtomicU64>>,
    /// One more than the time of the first sweep that saw the lane without a connection; else 0.
    pub(super) deserted_at: AtomicU64,
    /// Where the lane was at some sweeps: `[seq : 44 | time : 20]`.
    pub(super) marks: [AtomicU64; MARKS],
    pub(super) meter: Option<Meter>,
}

/// How much the kept events weigh.
pub(super) struct Meter {
    /// In units.
    pub(super) limit: u64,
    /// The sum of `sizes`, give or take what is just being added.
    pub(super) total: AtomicU64,
    /// `[number : 44 | units : 20]` by position, 0 for nothing.
    pub(super) sizes: Box<[AtomicU64]>,
}

impl Archive {
    /// `bytes` is the most that the events of a lane of so much `capacity` may weigh.
    pub(crate) fn new(incarnation: u64, capacity: usize, bytes: Option<usize>) -> Self {
        Self {
            incarnation,
            floor: AtomicU64::new(capacity as u64),
            owed_from: AtomicU64::new(0),
            received: OnceLink::empty(),
            deserted_at: AtomicU64::new(0),
            marks: std::array::from_fn(|_| AtomicU64::new(0)),
            meter: bytes.map(|bytes| Meter {
                limit: bytes as u64 / UNIT,
                total: AtomicU64::new(0),
                sizes: (0..capacity).map(|_| AtomicU64::new(0)).collect(),
            }),
        }
    }

    /// The archive has counted itself out of everything below this number.
    pub(super) fn floor(&self) -> u64 {
        self.floor.load(Ordering::Acquire)
    }

    /// Whether this lane is the one that a position names.
    pub(crate) fn is(&self, lane: u64) -> bool {
        self.incarnation & BITS_40 == lane
    }

    /// The number from which events may be owed to a connection that recovers.
    pub(super) fn owed_from(&self) -> u64 {
        self.owed_from.load(Ordering::Acquire)
    }

    /// All that was owed below `to` was received.
    pub(super) fn raise_owed_from(&self, to: u64) {
        self.owed_from.fetch_max(to, Ordering::AcqRel);
    }

    /// Whether the event of `number` was received as recovered.
    pub(super) fn is_received(&self, number: u64) -> bool {
        let at = |received: &Vec<AtomicU64>| place(received, number).load(Ordering::Acquire);
        self.received.get().is_some_and(|r| at(r) >= number)
    }

    /// Notes that the event of `number` is received as recovered; `false` if it was before.
    ///
    /// Numbers, not bits: a connection that is just being closed may come late, when its place belongs to
    /// an event that was accepted after it. With a bit that later event would count as received.
    pub(super) fn receive(&self, number: u64, capacity: usize) -> bool {
        loop {
            let Some(received) = self.received.get() else {
                let fresh = (0..capacity).map(|_| AtomicU64::new(0)).collect();
                self.received.set(Arc::new(fresh), &pin());
                continue;
            };
            let place = place(received, number);
            if broken(Fault::ReceiveInTwoSteps) {
                let before = place.load(Ordering::Acquire);
                place.store(number, Ordering::Release);
                return before < number;
            }
            return place.fetch_max(number, Ordering::AcqRel) < number;
        }
    }

    /// Whether no sweep for `grace_ms` has seen a connection, as far as the caller can tell.
    pub(super) fn is_deserted(&self, now_ms: u64, grace_ms: u64) -> bool {
        let now = now_ms.saturating_add(1);
        match self
            .deserted_at
            .compare_exchange(0, now, Ordering::AcqRel, Ordering::Acquire)
        {
            Ok(_) => grace_ms == 0,
            Err(since) => now.saturating_sub(since) >= grace_ms,
        }
    }

    /// Notes that the lane is at `seq`, and gives the number below which everything is older than
    /// `age_ms`.
    pub(super) fn aged(&self, seq: u64, now_ms: u64, age_ms: u64) -> u64 {
        // Rounded up, so that nothing goes too early.
        let tick = (now_ms / age_ms.div_ceil(TICKS)) % WRAP;
        let mut below = 0;
        for mark in &self.marks {
            let mark = mark.load(Ordering::Acquire);
            // The time of a sweep that came late, behind another one, shows as a very large difference.
            let passed = tick.wrapping_sub(mark % WRAP) % WRAP;
            if mark != 0 && passed > TICKS && passed < WRAP / 2 {
                below = below.max(mark / WRAP);
            }
        }
        // Of several sweeps in one tick the last one counts.
        self.marks[tick as usize % MARKS].store(seq * WRAP + tick, Ordering::Release);
        below
    }
}

fn place(received: &[AtomicU64], number: u64) -> &AtomicU64 {
    &received[number as usize & (received.len() - 1)]
}

impl Meter {
    pub(super) fn size(&self, number: u64) -> &AtomicU64 {
        &self.sizes[number as usize & (self.sizes.len() - 1)]
    }

    pub(super) fn add(&self, number: u64, bytes: usize) {
        let units = (bytes as u64).div_ceil(UNIT).min(MAX_UNITS);
        // First, so that no thread subtracts what was not added.
        self.total.fetch_add(units, Ordering::AcqRel);
        let size = number * WRAP + units;
        let before = self.size(number).fetch_max(size, Ordering::AcqRel);
        let gone = before.min(size) % WRAP;
        self.total.fetch_sub(gone, Ordering::AcqRel);
    }

    pub(super) fn take(&self, number: u64) {
        let at = self.size(number);
        let size = at.load(Ordering::Acquire);
        let old = size / WRAP <= number;
        if old
            && at
                .compare_exchange(size, 0, Ordering::AcqRel, Ordering::Acquire)
                .is_ok()
        {
            self.total.fetch_sub(size % WRAP, Ordering::AcqRel);
        }
    }

    pub(super) fn is_over(&self) -> bool {
        self.total.load(Ordering::Acquire) > self.limit
    }
}

/// A wait, and the time that has passed on its clock.
#[derive(Clone, Copy)]
pub(crate) struct Wait {
    pub(crate) ms: u64,
    pub(crate) now_ms: u64,
}
