//! The archive of a lane that keeps events after they were read.
//!
//! The archive is a connection without an owner. It is counted in `live` from the lane's first
//! moment to its end, is not listed, and never reads. So an event stays in its slot until the
//! archive passes it or its arena is evicted. The last connection to leave leaves the archive
//! behind, and the lane stays open. When the archive leaves, the lane closes by the same exchange
//! that closes any lane.

use std::sync::Arc;

use crate::position::BITS_40;
use crate::sync::{AtomicU64, Fault, Ordering, broken, pin};
use crate::table::storage::OnceLink;

/// Sweeps at which the archive remembers the lane's `seq`.
const MARKS: usize = 8;
/// The ticks into which the age limit is divided.
const TICKS: u64 = 4;
/// Times are stored modulo this many ticks.
const WRAP: u64 = 1 << 20;

/// The bytes of one unit of weight. Weights are rounded up.
const UNIT: u64 = 16;
/// The most units that the 20 bits of a size hold.
const MAX_UNITS: u64 = (1 << 20) - 1;

/// A lane's notes about the events that it keeps.
pub(crate) struct Archive {
    /// The lane's number, which no other lane of the hub has.
    pub(crate) incarnation: u64,
    /// The archive has passed every number below this one.
    pub(super) floor: AtomicU64,
    /// No event below this number is owed to a connection that recovers.
    owed_from: AtomicU64,
    /// For each place, the newest number there that was received as recovered. Allocated for the
    /// first such number.
    received: OnceLink<Vec<AtomicU64>>,
    /// The time of the first sweep that saw the lane without a connection, plus 1. 0 while a
    /// connection is there.
    pub(super) deserted_at: AtomicU64,
    /// The lane's `seq` at some sweeps: `[seq : 44 | time : 20]`.
    pub(super) marks: [AtomicU64; MARKS],
    pub(super) meter: Option<Meter>,
}

/// The weight of the kept events.
pub(super) struct Meter {
    /// In units of 16 bytes.
    pub(super) limit: u64,
    /// The sum of `sizes`. While an event is added, it is too high for a moment, and never too low.
    pub(super) total: AtomicU64,
    /// For each place, `[number : 44 | units : 20]`, or 0.
    pub(super) sizes: Box<[AtomicU64]>,
}

impl Archive {
    /// Creates the archive of a lane. `bytes` is the most that its kept events may weigh.
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

    pub(super) fn floor(&self) -> u64 {
        self.floor.load(Ordering::Acquire)
    }

    /// Returns whether this is the lane that a position names.
    pub(crate) fn is(&self, lane: u64) -> bool {
        self.incarnation & BITS_40 == lane
    }

    pub(super) fn owed_from(&self) -> u64 {
        self.owed_from.load(Ordering::Acquire)
    }

    /// Notes that every event that was owed below `to` was received.
    pub(super) fn raise_owed_from(&self, to: u64) {
        self.owed_from.fetch_max(to, Ordering::AcqRel);
    }

    /// Returns whether the event of `number` was received as recovered. Of a number more than a lane old
    /// whose place a newer one has taken, it is not known, and the answer is `false`: the event then counts
    /// as a loss.
    pub(super) fn is_received(&self, number: u64) -> bool {
        let at = |received: &Vec<AtomicU64>| place(received, number).load(Ordering::Acquire);
        self.received.get().is_some_and(|r| at(r) == number)
    }

    /// Notes that the event of `number` is received as recovered. Returns `false` if it was before.
    ///
    /// The table has a number for each place, not a bit. A connection that is being closed may be
    /// stopped before this exchange, and come when its place belongs to a newer event. With a bit
    /// that newer event would count as received, and be lost.
    pub(super) fn receive(&self, number: u64, capacity: usize) -> bool {
        loop {
            let Some(received) = self.received.get() else {
                let fresh = (0..capacity).map(|_| AtomicU64::new(0)).collect();
                // Another thread may be first. Then its table is the one that all use.
                self.received.set(Arc::new(fresh), &pin());
                continue;
            };
            let place = place(received, number);
            // One exchange: with a load and a store two connections could both find the event not
            // received, and both take it.
            if broken(Fault::ReceiveInTwoSteps) {
                let before = place.load(Ordering::Acquire);
                place.store(number, Ordering::Release);
                return before < number;
            }
            // The maximum keeps the newer number of the place.
            return place.fetch_max(number, Ordering::AcqRel) < number;
        }
    }

    /// Returns whether no sweep for `grace_ms` has seen a connection.
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

    /// Notes the lane's `seq` at this sweep. Returns the number below which every event is older
    /// than `age_ms`.
    pub(super) fn aged(&self, seq: u64, now_ms: u64, age_ms: u64) -> u64 {
        // Rounded up, so no event goes too early.
        let tick = (now_ms / age_ms.div_ceil(TICKS)) % WRAP;
        let mut below = 0;
        for mark in &self.marks {
            let mark = mark.load(Ordering::Acquire);
            // A mark of a later time than this sweep's shows as a difference of more than half the
            // range.
            let passed = tick.wrapping_sub(mark % WRAP) % WRAP;
            if mark != 0 && passed > TICKS && passed < WRAP / 2 {
                below = below.max(mark / WRAP);
            }
        }
        // The last of several sweeps in one tick counts.
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

    /// Returns the bytes of the event of `number`, in steps of 16. 0 if it is not kept.
    pub(super) fn bytes(&self, number: u64) -> u64 {
        let size = self.size(number).load(Ordering::Acquire);
        if size / WRAP == number {
            size % WRAP * UNIT
        } else {
            0
        }
    }

    /// Adds the weight of an event. Takes off the weight of the older event in the same place.
    pub(super) fn add(&self, number: u64, bytes: usize) {
        let units = (bytes as u64).div_ceil(UNIT).min(MAX_UNITS);
        // The total is raised before the size is stored. In the other order another thread could
        // find the size and subtract it first, and the total would wrap.
        self.total.fetch_add(units, Ordering::AcqRel);
        let size = number * WRAP + units;
        // The maximum, because a newer number may be in the place already. Then this event is gone,
        // and its own weight comes off again.
        let before = self.size(number).fetch_max(size, Ordering::AcqRel);
        let gone = before.min(size) % WRAP;
        self.total.fetch_sub(gone, Ordering::AcqRel);
    }

    /// Takes the weight of an event off, and of any older one in its place. Exchanged, so it comes
    /// off once.
    pub(super) fn take(&self, number: u64) {
        let at = self.size(number);
        let size = at.load(Ordering::Acquire);
        // A newer number in the place has its own weight, which stays.
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

/// How long something waits, and the time on the clock of that wait.
#[derive(Clone, Copy)]
pub(crate) struct Wait {
    pub(crate) ms: u64,
    pub(crate) now_ms: u64,
}
