//! The part of a connection that others may touch: its mark of closing, its waker, its figures.

use std::sync::Arc;

use crate::error::CloseReason;
use crate::id::{ConnectionId, ThreadId};
use crate::sync::{AtomicU64, Fault, Ordering, broken};
use smallvec::SmallVec;

use super::wake::WakeCell;
use super::words::Mark;

/// One connection as its lane knows it.
// What every read touches comes first.
#[repr(C)]
pub(crate) struct Member {
    mark: AtomicU64,
    /// The next number to read. Only the owner writes it.
    cursor: AtomicU64,
    pub(crate) id: ConnectionId,
    /// Numbers that the owner was told it missed. Only the owner writes it.
    missed: AtomicU64,
    pub(crate) wake: WakeCell,
    /// Boxed, because few have one and all pay for the room.
    pub(crate) thread: Option<Box<ThreadId>>,
    /// Its first number.
    pub(crate) joined_at: u64,
    activity: AtomicU64,
}

/// What the last sweep saw of a connection: `[time : 42 | touched : 1 | cursor : 21]`, the time in
/// milliseconds that sweeps let pass. A cursor that moved by exactly a multiple of two million between two
/// sweeps looks idle to that sweep.
struct Activity;

impl Activity {
    const TOUCHED: u64 = 1 << 21;
    const CURSOR: u64 = Self::TOUCHED - 1;
    const TIME_SHIFT: u32 = 22;
    const MAX_TIME: u64 = (1 << 42) - 1;
}

impl Member {
    pub(crate) fn new(id: ConnectionId, thread: Option<ThreadId>, cursor: u64) -> Self {
        Self {
            id,
            thread: thread.map(Box::new),
            joined_at: cursor,
            mark: AtomicU64::new(Mark::OPEN.0),
            wake: WakeCell::new(),
            cursor: AtomicU64::new(cursor),
            missed: AtomicU64::new(0),
            activity: AtomicU64::new(Activity::TOUCHED),
        }
    }

    /// As `new`, but no other thread finds it before it is listed.
    pub(crate) fn unlisted(id: ConnectionId, thread: Option<ThreadId>, cursor: u64) -> Self {
        let mark = if broken(Fault::BornListed) {
            Mark::OPEN
        } else {
            Mark::UNLISTED
        };
        Self {
            mark: AtomicU64::new(mark.0),
            ..Self::new(id, thread, cursor)
        }
    }

    #[inline]
    fn load(&self) -> Mark {
        // Acquire: pairs with `set_left_at` and `owner_leaves`. That a connection is closed is made visible by
        // the lane's words.
        Mark(self.mark.load(Ordering::Acquire))
    }

    /// The next number to read. Acquire: what the owner passed before it is passed.
    #[inline]
    pub(crate) fn cursor(&self) -> u64 {
        self.cursor.load(Ordering::Acquire)
    }

    /// The owner's.
    #[inline]
    pub(crate) fn advance(&self, to: u64) {
        self.cursor.store(to, Ordering::Release);
    }

    /// Numbers that the owner was told it missed.
    pub(crate) fn missed(&self) -> u64 {
        self.missed.load(Ordering::Relaxed)
    }

    /// The owner's.
    pub(crate) fn miss(&self, numbers: u64) {
        self.missed.fetch_add(numbers, Ordering::Relaxed);
    }

    pub(crate) fn list(&self) {
        // Release: pairs with `is_listed`. No other thread touches the mark before.
        self.mark.store(Mark::OPEN.0, Ordering::Release);
    }

    /// Of a lane's own member: whether it was listed and its closer has not told yet.
    pub(crate) fn is_listed(&self) -> bool {
        self.load().is_listed()
    }

    /// Why the connection was closed, if it was.
    pub(crate) fn closed(&self) -> Option<CloseReason> {
        match self.load().reason() {
            0 => None,
            code => Some(CloseReason::from_code(code)),
        }
    }

    /// As `closed`, for a connection that is known to be.
    #[cold]
    pub(crate) fn close_reason(&self) -> CloseReason {
        self.closed().unwrap_or(CloseReason::Dropped)
    }

    #[inline]
    pub(crate) fn is_open(&self) -> bool {
        self.load().reason() == 0
    }

    /// Whether it is open, or a connection that takes its place is not listed yet.
    pub(crate) fn is_open_or_replaced(&self) -> bool {
        let mark = self.load();
        let is_replaced = mark.reason() == CloseReason::Replaced.code();
        mark.reason() == 0 || (is_replaced && mark.left_at().is_none())
    }

    /// Marks the connection closed, for the one caller that does. Returns the mark before, which tells
    /// whether the connection was counted as asleep. `None`: it was closed before.
    pub(crate) fn close(&self, reason: CloseReason) -> Option<Mark> {
        loop {
            let mark = self.load();
            if mark.0 & !Mark::ASLEEP != Mark::OPEN.0 {
                return None;
            }
            // The closer takes the sleeper's count along: a connection that is closed and not polled
            // again is not counted in `waiting` for ever.
            let closed = Mark::closed(reason.code());
            let (ok, err) = (Ordering::AcqRel, Ordering::Acquire);
            if self
                .mark
                .compare_exchange(mark.0, closed.0, ok, err)
                .is_ok()
            {
                return Some(mark);
            }
        }
    }

    /// The owner's: notes that it is counted as asleep. `false` if the connection is closed; then the
    /// owner takes the count back.
    pub(crate) fn fall_asleep(&self) -> bool {
        let (open, asleep) = (Mark::OPEN.0, Mark::ASLEEP);
        self.mark
            .compare_exchange(open, asleep, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }

    /// The owner's: `true` if it is to take its count back, which a closer may have done.
    pub(crate) fn wake_up(&self) -> bool {
        let (open, asleep) = (Mark::OPEN.0, Mark::ASLEEP);
        self.mark
            .compare_exchange(asleep, open, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }

    /// The first number that does not count this connection, once the closer has told.
    pub(crate) fn left_at(&self) -> Option<u64> {
        // Acquire: pairs with `set_left_at`.
        self.load().left_at()
    }

    /// The closer's: tells. `true` if the owner has gone before.
    pub(crate) fn set_left_at(&self, number: u64) -> bool {
        // Acquire: the owner's cursor.
        let end = Mark::ends_at(number);
        Mark(self.mark.fetch_add(end, Ordering::AcqRel)).is_owner_gone()
    }

    /// As `set_left_at`, where the closer is the owner: no other thread writes the mark of a closed one.
    pub(crate) fn leave_at(&self, reason: CloseReason, number: u64) {
        let mark = Mark::closed(reason.code()).0 + Mark::ends_at(number);
        self.mark.store(mark, Ordering::Release);
    }

    /// The owner's: goes. Returns the first number that does not count it, or else the closer learns
    /// that the owner has gone.
    pub(crate) fn owner_leaves(&self) -> Option<u64> {
        // Mostly the owner was the closer.
        let told = self.left_at();
        if told.is_some() {
            return told;
        }
        Mark(self.mark.fetch_or(Mark::OWNER_GONE, Ordering::AcqRel)).left_at()
    }

    /// Counts as activity at the next sweep.
    pub(crate) fn touch(&self) {
        self.activity.fetch_or(Activity::TOUCHED, Ordering::Relaxed);
    }

    /// How long the connection has been idle, in milliseconds, as seen by this sweep.
    pub(crate) fn idle_ms(&self, now_ms: u64, reading_counts: bool) -> u64 {
        let now_ms = now_ms.min(Activity::MAX_TIME);
        let cursor = self.cursor.load(Ordering::Relaxed) & Activity::CURSOR;
        let seen = self.activity.load(Ordering::Relaxed);
        let has_read = seen & Activity::CURSOR != cursor;
        if seen & Activity::TOUCHED == 0 && !(has_read && reading_counts) {
            return now_ms.saturating_sub(seen >> Activity::TIME_SHIFT);
        }
        // A touch that comes in between is overwritten, and this sweep counts it.
        let active = (now_ms << Activity::TIME_SHIFT) + cursor;
        self.activity.store(active, Ordering::Relaxed);
        0
    }
}

pub(super) type Members = SmallVec<[Arc<Member>; 2]>;

/// A connection's member, unless that is the lane's own.
pub(crate) type Seat = Option<Arc<Member>>;

/// The connection that a lane is made for.
pub(crate) type Newcomer = (ConnectionId, Option<ThreadId>);

/// A connection in whose place another one has joined. It stays listed until that one is.
pub(crate) struct Ghost {
    pub(super) seat: Seat,
    /// The first number that does not count it, and does count the other one.
    pub(crate) end: u64,
}
