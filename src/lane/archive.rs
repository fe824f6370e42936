//! What a lane that keeps read events has beside them, and what it does with them.
//!
//! The archive is a connection that nobody holds: it is counted in `live` from the lane's birth to
//! its end, is not listed, and never reads. So what connections have read stays in its cell until it
//! is overwritten, by the same steps that overwrite what a late connection has not read; and a lane
//! that its last connection leaves stays open until the archive leaves, by the same step that
//! closes any lane.

use crate::id::ConnectionId;
use crate::retention::BITS_40;
use crate::sync::{AtomicU64, Ordering, broken};

use super::ring::Found;
use super::{Lane, State};

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
    /// No other lane of the router has this number.
    pub(crate) incarnation: u64,
    /// The archive has counted itself out of everything below this number.
    floor: AtomicU64,
    /// Nothing below this number is to be recovered any more.
    recovered: AtomicU64,
    /// One more than the time of the first sweep that saw the lane without a connection; else 0.
    deserted_at: AtomicU64,
    /// Where the lane was at some sweeps: `[seq : 44 | time : 20]`.
    marks: [AtomicU64; MARKS],
    meter: Option<Meter>,
}

/// How much the kept events weigh.
struct Meter {
    /// In units.
    limit: u64,
    /// The sum of `sizes`, give or take what is just being added.
    total: AtomicU64,
    /// `[number : 44 | units : 20]` by position, 0 for nothing.
    sizes: Box<[AtomicU64]>,
}

impl Archive {
    /// `bytes` is the most that the events of a lane of so much `capacity` may weigh.
    pub(crate) fn new(incarnation: u64, capacity: usize, bytes: Option<usize>) -> Self {
        Self {
            incarnation,
            floor: AtomicU64::new(capacity as u64),
            recovered: AtomicU64::new(0),
            deserted_at: AtomicU64::new(0),
            marks: std::array::from_fn(|_| AtomicU64::new(0)),
            meter: bytes.map(|bytes| Meter {
                limit: bytes as u64 / UNIT,
                total: AtomicU64::new(0),
                sizes: (0..capacity).map(|_| AtomicU64::new(0)).collect(),
            }),
        }
    }

    /// Whether this lane is the one that a position names.
    pub(crate) fn is(&self, lane: u64) -> bool {
        self.incarnation & BITS_40 == lane
    }

    /// Whether no sweep for `grace_ms` has seen a connection, as far as the caller can tell.
    fn is_deserted(&self, now_ms: u64, grace_ms: u64) -> bool {
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
    fn aged(&self, seq: u64, now_ms: u64, age_ms: u64) -> u64 {
        // Rounded up, so that nothing goes too early.
        let tick = (now_ms / age_ms.div_ceil(TICKS)) % WRAP;
        let mut below = 0;
        for mark in &self.marks {
            let mark = mark.load(Ordering::Acquire);
            // A clock that jumped back shows as a very large difference.
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

impl Meter {
    fn size(&self, number: u64) -> &AtomicU64 {
        &self.sizes[number as usize & (self.sizes.len() - 1)]
    }

    fn add(&self, number: u64, bytes: usize) {
        let units = (bytes as u64).div_ceil(UNIT).min(MAX_UNITS);
        // First, so that nobody subtracts what was not added.
        self.total.fetch_add(units, Ordering::AcqRel);
        let size = number * WRAP + units;
        let before = self.size(number).fetch_max(size, Ordering::AcqRel);
        let gone = before.min(size) % WRAP;
        self.total.fetch_sub(gone, Ordering::AcqRel);
    }

    fn take(&self, number: u64) {
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

    fn is_over(&self) -> bool {
        self.total.load(Ordering::Acquire) > self.limit
    }
}

impl<E> Lane<E> {
    pub(crate) fn archive(&self) -> Option<&Archive> {
        self.archive.as_deref()
    }

    /// The number that a public form stands for.
    pub(crate) fn internal(&self, public: u64) -> u64 {
        public.saturating_add(self.ring.capacity())
    }

    /// The public form of a cursor.
    pub(crate) fn position(&self, cursor: u64) -> u64 {
        self.public(cursor)
    }

    /// Gives clones of the events from `from` up to below `to` that are for `asker`, to a connection
    /// that has joined at `to`. Returns the first number of what is whole: `from`, or a later one if
    /// something is gone, and then `each` was told to start over.
    pub(crate) fn replay(
        &self,
        asker: &Asker,
        from: u64,
        to: u64,
        mut each: impl FnMut(Replay<E>),
    ) -> u64
    where
        E: Clone,
    {
        let oldest = self.load().seq() - self.ring.capacity();
        let start = from.max(oldest.min(to));
        let mut first = start;
        for number in start..to {
            // Claimed before the join and not filled since: this connection is not counted for it.
            if !broken("replay-with-holes") {
                self.resolve(number);
            }
            match self.ring.revisit(number, &asker.ids) {
                Ok(entered) if entered.mine => {
                    each(Replay::Event(self.public(number), entered.into_event()));
                }
                Ok(_) if asker.is_exact => {}
                Err(Found::Void) => {}
                Err(_) if broken("replay-with-holes") => {}
                Ok(_) | Err(_) => {
                    each(Replay::StartOver);
                    first = number + 1;
                }
            }
        }
        first
    }

    /// Gives clones of the critical events below `to` that were accepted while nobody was connected
    /// and that no call of this function has given. Says whether nothing critical can have been
    /// dropped since the last call.
    pub(crate) fn recover(&self, to: u64, mut each: impl FnMut(u64, E)) -> bool
    where
        E: Clone,
    {
        let Some(archive) = self.archive() else {
            return true;
        };
        let from = if broken("recover-in-two-steps") {
            let from = archive.recovered.load(Ordering::Acquire);
            archive.recovered.store(to, Ordering::Release);
            from
        } else {
            archive.recovered.fetch_max(to, Ordering::AcqRel)
        };
        let from = from.max(self.ring.capacity());
        // What is a lap below `to` is gone, and noted, once all from there on is resolved. Not a lap
        // below what is claimed now: who claimed it may not have noted yet what it takes the place of.
        let oldest = to - self.ring.capacity();
        let mut complete = true;
        for number in from.max(oldest)..to {
            self.resolve(number);
            if self.ring.is_unseen(number) {
                // Such an event is for everybody.
                match self.ring.revisit(number, &[]) {
                    Ok(entered) => each(self.public(number), entered.into_event()),
                    Err(_) => complete = false,
                }
            }
        }
        // Last: what was gone before it was looked at has left its mark.
        let released = archive.floor.load(Ordering::Acquire) > from || self.is_over();
        complete && !(released && from < to) && !self.ring.has_lost(from)
    }

    /// Counts the archive out of everything below `to`: what nobody else has still to read is
    /// dropped. Each number is counted out once, because whoever raises the floor does it.
    pub(super) fn release(&self, archive: &Archive, to: u64) {
        let from = if broken("release-in-two-steps") {
            let from = archive.floor.load(Ordering::Acquire);
            archive.floor.store(to, Ordering::Release);
            from
        } else {
            archive.floor.fetch_max(to, Ordering::AcqRel)
        };
        let oldest = self.load().seq() - self.ring.capacity();
        for number in from.max(oldest)..to {
            self.resolve(number);
            drop(self.ring.count_out(number));
            if let Some(meter) = &archive.meter {
                meter.take(number);
            }
        }
    }

    /// Weighs the event that was accepted under a public number, and drops the oldest while all that
    /// are kept weigh too much.
    pub(crate) fn weigh(&self, public: u64, weigh: fn(&E) -> usize) {
        let Some(archive) = self.archive() else {
            return;
        };
        let Some(meter) = &archive.meter else { return };
        let number = self.internal(public);
        // Gone already: it is not kept.
        let Ok(entered) = self.ring.revisit(number, &[]) else {
            return;
        };
        let bytes = weigh(entered.get());
        drop(entered);
        meter.add(number, bytes);
        while meter.is_over() {
            let floor = archive.floor.load(Ordering::Acquire);
            if floor > number {
                break;
            }
            let oldest = self.load().seq() - self.ring.capacity();
            self.release(archive, (floor + 1).max(oldest.min(number)));
        }
        // Somebody may have gone past it before it was weighed.
        if archive.floor.load(Ordering::Acquire) > number {
            meter.take(number);
        }
    }

    /// Drops what is older than `age_ms`, and says whether nobody has been connected for
    /// `grace_ms`.
    pub(crate) fn tend(&self, now_ms: u64, grace_ms: u64, age_ms: Option<u64>) -> bool {
        let Some(archive) = self.archive() else {
            return false;
        };
        if let Some(age_ms) = age_ms {
            let below = archive.aged(self.load().seq(), now_ms, age_ms);
            self.release(archive, below);
        }
        self.live() == 0 && archive.is_deserted(now_ms, grace_ms)
    }

    /// Somebody is connected: the time of grace starts anew.
    pub(crate) fn settle(&self) {
        if let Some(archive) = self.archive() {
            archive.deserted_at.store(0, Ordering::Release);
        }
    }

    /// Ends a lane without connections: the archive leaves, which closes it. Gives the events that
    /// the lane had accepted, or `None` if somebody is connected, or it is over already.
    pub(crate) fn expire(&self) -> Option<u64> {
        let mut state = self.load();
        loop {
            if !state.is_archived() || state.connections() > 0 {
                return None;
            }
            let next = state.without_archive();
            if broken("expire-in-two-steps") {
                self.state
                    .fetch_sub(state.0 - (next.0 & !State::CLOSED), Ordering::AcqRel);
                self.state.fetch_or(State::CLOSED, Ordering::AcqRel);
                return Some(self.end(state.seq()));
            }
            match self
                .state
                .compare_exchange(state.0, next.0, Ordering::AcqRel, Ordering::Acquire)
            {
                Ok(_) => return Some(self.end(state.seq())),
                Err(now) => state = State(now),
            }
        }
    }
}

/// For whom a replay is.
pub(crate) struct Asker {
    /// Connections whose events it is to get.
    pub(crate) ids: [ConnectionId; 2],
    /// These are all; else an event for others may be one that it is to get.
    pub(crate) is_exact: bool,
}

/// A step of a replay.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Replay<E> {
    /// An event and its public number.
    Event(u64, E),
    /// An event is gone, and so what was given before is no part of the replay.
    StartOver,
}
