//! The part of a connection that others may touch: its mark of closing, its waker, its figures.

use crate::error::CloseReason;
use crate::id::{ConnectionId, ThreadId};
use crate::sync::{AtomicU64, Ordering, broken};
use crate::wake::WakeCell;

use super::word::Mark;

/// `seen_cursor` of a connection that counts as active at the next sweep; no cursor comes so far.
const TOUCHED: u64 = u64::MAX;

/// One connection as its lane knows it.
// What every read touches comes first.
#[repr(C)]
pub(crate) struct Member {
    mark: AtomicU64,
    /// Copies of the owner's figures, for statistics and the sweep.
    pub(crate) cursor: AtomicU64,
    pub(crate) id: ConnectionId,
    pub(crate) missed: AtomicU64,
    pub(crate) wake: WakeCell,
    /// Boxed, because few have one and all pay for the room.
    pub(crate) thread: Option<Box<ThreadId>>,
    /// Its first number.
    pub(crate) joined_at: u64,
    seen_cursor: AtomicU64,
    active_at: AtomicU64,
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
            seen_cursor: AtomicU64::new(TOUCHED),
            active_at: AtomicU64::new(0),
        }
    }

    /// As `new`, but nobody is to meet it before it is listed.
    pub(crate) fn coming(id: ConnectionId, thread: Option<ThreadId>, cursor: u64) -> Self {
        let mark = if broken("born-listed") {
            Mark::OPEN
        } else {
            Mark::COMING
        };
        Self {
            mark: AtomicU64::new(mark.0),
            ..Self::new(id, thread, cursor)
        }
    }

    #[inline]
    fn load(&self) -> Mark {
        // Acquire for the owner's tidying; that a connection is closed is made visible by the lane's
        // words.
        Mark(self.mark.load(Ordering::Acquire))
    }

    pub(crate) fn list(&self) {
        // Release: pairs with `is_listed`. Nobody else touches the mark before.
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

    /// Marks the connection closed; `true` for the one caller that did it.
    pub(crate) fn close(&self, reason: CloseReason) -> bool {
        let closed = Mark::closed(reason.code());
        self.mark
            .compare_exchange(Mark::OPEN.0, closed.0, Ordering::AcqRel, Ordering::Acquire)
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
        Mark(self.mark.fetch_add(end, Ordering::AcqRel)).is_gone()
    }

    /// The owner's: goes. Gives the first number that does not count it, or else the closer learns
    /// that it has gone.
    pub(crate) fn go(&self) -> Option<u64> {
        // Mostly the owner was the closer.
        let told = self.left_at();
        if told.is_some() {
            return told;
        }
        Mark(self.mark.fetch_or(Mark::GONE, Ordering::AcqRel)).left_at()
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
