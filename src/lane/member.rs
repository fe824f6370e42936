//! The part of a connection that others may touch: its mark of closing, its waker, its figures.

use crate::error::CloseReason;
use crate::id::{ConnectionId, ThreadId};
use crate::sync::{AtomicU64, Ordering};
use crate::wake::WakeCell;

/// `closed` of a connection that is open.
const OPEN: u64 = 0;
/// `left_at` of a lane's own member before it is listed.
const COMING: u64 = u64::MAX - 2;
/// `left_at` while it is not known yet.
const UNKNOWN: u64 = u64::MAX;
/// `left_at` while it is not known yet, and the owner has gone.
const GONE: u64 = u64::MAX - 1;
/// `seen_cursor` of a connection that counts as active at the next sweep; no cursor comes so far.
const TOUCHED: u64 = u64::MAX;

/// One connection as its lane knows it.
// What every read touches comes first, on one cache line.
#[repr(C)]
pub(crate) struct Member {
    closed: AtomicU64,
    /// Copies of the owner's figures, for statistics and the sweep.
    pub(crate) cursor: AtomicU64,
    pub(crate) missed: AtomicU64,
    pub(crate) id: ConnectionId,
    pub(crate) wake: WakeCell,
    /// Boxed, because few have one and all pay for the room.
    pub(crate) thread: Option<Box<ThreadId>>,
    /// Its first number.
    pub(crate) joined_at: u64,
    left_at: AtomicU64,
    seen_cursor: AtomicU64,
    active_at: AtomicU64,
}

impl Member {
    pub(crate) fn new(id: ConnectionId, thread: Option<ThreadId>, cursor: u64) -> Self {
        Self {
            id,
            thread: thread.map(Box::new),
            joined_at: cursor,
            closed: AtomicU64::new(OPEN),
            left_at: AtomicU64::new(UNKNOWN),
            wake: WakeCell::new(),
            cursor: AtomicU64::new(cursor),
            missed: AtomicU64::new(0),
            seen_cursor: AtomicU64::new(TOUCHED),
            active_at: AtomicU64::new(0),
        }
    }

    /// Why the connection was closed, if it was.
    pub(crate) fn closed(&self) -> Option<CloseReason> {
        match self.closed.load(Ordering::Acquire) {
            OPEN => None,
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
        // Acquire for the owner's tidying; the mark itself is made visible by the lane's words.
        self.closed.load(Ordering::Acquire) == OPEN
    }

    /// Marks the connection closed; `true` for the one caller that did it.
    pub(crate) fn mark(&self, reason: CloseReason) -> bool {
        self.closed
            .compare_exchange(OPEN, reason.code(), Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }

    /// The first number that does not count this connection, once the closer has told.
    pub(crate) fn left_at(&self) -> Option<u64> {
        // Acquire: pairs with `set_left_at`.
        Some(self.left_at.load(Ordering::Acquire)).filter(|&n| n < COMING)
    }

    /// As `new`, but nobody is to meet it before it is listed.
    pub(crate) fn coming(id: ConnectionId, thread: Option<ThreadId>, cursor: u64) -> Self {
        Self {
            left_at: AtomicU64::new(COMING),
            ..Self::new(id, thread, cursor)
        }
    }

    pub(crate) fn list(&self) {
        // Release: pairs with `is_listed`.
        self.left_at.store(UNKNOWN, Ordering::Release);
    }

    /// Whether it was listed and its closer has not told yet.
    pub(crate) fn is_listed(&self) -> bool {
        matches!(self.left_at.load(Ordering::Acquire), UNKNOWN | GONE)
    }

    /// The closer's: tells. `true` if the owner has gone before.
    pub(crate) fn set_left_at(&self, number: u64) -> bool {
        // Acquire: the owner's cursor.
        self.left_at.swap(number, Ordering::AcqRel) == GONE
    }

    /// The owner's: goes. Gives the first number that does not count it, or else the closer learns
    /// that it has gone.
    pub(crate) fn go(&self) -> Option<u64> {
        let told =
            self.left_at
                .compare_exchange(UNKNOWN, GONE, Ordering::AcqRel, Ordering::Acquire);
        told.err()
    }

    /// Counts as activity at the next sweep.
    pub(crate) fn touch(&self) {
        self.seen_cursor.store(TOUCHED, Ordering::Relaxed);
    }

    /// The time of the last activity, in the sweeping host's milliseconds, as seen by this sweep.
    pub(crate) fn active_at(&self, now_ms: u64) -> u64 {
        let cursor = self.cursor.load(Ordering::Relaxed);
        if self.seen_cursor.swap(cursor, Ordering::Relaxed) != cursor {
            self.active_at.store(now_ms, Ordering::Relaxed);
            return now_ms;
        }
        self.active_at.load(Ordering::Relaxed)
    }
}
