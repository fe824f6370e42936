//! The part of a connection that other threads may touch: its mark, its cursor, its waker, its
//! figures.

use std::sync::Arc;
use std::time::Duration;

use crate::error::CloseReason;
use crate::id::{ConnectionId, ThreadId};
use crate::sync::{AtomicU64, Fault, Ordering, broken, pin};
use crate::table::storage::OnceLink;
use smallvec::SmallVec;

use super::about::{About, Profile};
use super::attachments::Attachments;
use super::wake::WakeCell;
use super::words::Mark;

/// One connection, as its lane knows it.
// The first three fields are those of every receive.
#[repr(C)]
pub(crate) struct Member {
    /// A [`Mark`]: whether and why the connection is closed, and where it ends.
    mark: AtomicU64,
    /// The next number to read. Only the owner writes it.
    cursor: AtomicU64,
    pub(crate) id: ConnectionId,
    /// Numbers that the owner has missed. Only the owner writes it.
    missed: AtomicU64,
    pub(crate) wake: WakeCell,
    /// Apart: few connections have a thread or a note, and all would pay for its room.
    profile: OnceLink<Profile>,
    /// The connection at the last sweep, as [`Activity`] packs it.
    activity: AtomicU64,
    swept: AtomicU64,
}

/// `[time : 42 | touched : 1 | behind : 1 | cursor : 20]`: what the last sweep saw of a connection.
/// The time is in milliseconds of the sweeps' clock. A cursor that moves by a multiple of 2^20
/// between two sweeps looks idle.
struct Activity;

impl Activity {
    const TOUCHED: u64 = 1 << 21;
    /// The connection was at or above the watermark.
    const BEHIND: u64 = 1 << 20;
    const CURSOR: u64 = Self::BEHIND - 1;
    const TIME_SHIFT: u32 = 22;
    const MAX_TIME: u64 = (1 << 42) - 1;
}

/// The times at which sweeps saw a connection: `[first : 32 | active : 32]`. Each is the host's time in
/// whole seconds, plus one. So 0 means that no sweep has come yet. Times beyond 136 years are cut.
#[derive(Clone, Copy)]
pub(crate) struct SweptTimes(u64);

impl SweptTimes {
    fn half(now: Duration) -> u64 {
        (now.as_secs().saturating_add(1)).min(u64::from(u32::MAX))
    }

    fn time(half: u64) -> Option<Duration> {
        (half & u64::from(u32::MAX))
            .checked_sub(1)
            .map(Duration::from_secs)
    }

    /// With another time of activity, which is also the first if there was none.
    fn active_at(self, now: Duration) -> Self {
        let now = Self::half(now);
        let first = if self.0 == 0 { now } else { self.0 >> 32 };
        Self((first << 32) + now)
    }

    /// The time of the first sweep that saw the connection.
    pub(crate) fn first(self) -> Option<Duration> {
        Self::time(self.0 >> 32)
    }

    /// The time of the last sweep that saw activity.
    pub(crate) fn active(self) -> Option<Duration> {
        Self::time(self.0)
    }
}

impl Member {
    /// Creates the member of a connection that has joined at `cursor`.
    pub(crate) fn new(id: ConnectionId, about: Option<&About>, cursor: u64) -> Self {
        Self {
            id,
            profile: OnceLink::new(about.map(|about| Profile::new(about, cursor))),
            mark: AtomicU64::new(Mark::OPEN.0),
            wake: WakeCell::new(),
            cursor: AtomicU64::new(cursor),
            missed: AtomicU64::new(0),
            activity: AtomicU64::new(Activity::TOUCHED),
            swept: AtomicU64::new(0),
        }
    }

    /// As `new`, for a lane's first member. Other threads skip it until `list` was called.
    pub(crate) fn unlisted(id: ConnectionId, about: Option<&About>, cursor: u64) -> Self {
        // The lane comes into the table before its first connection has told of its session. A
        // thread that found the member listed could close it first, and the session's notices would
        // come in the wrong order.
        let mark = if broken(Fault::BornListed) {
            Mark::OPEN
        } else {
            Mark::UNLISTED
        };
        Self {
            mark: AtomicU64::new(mark.0),
            ..Self::new(id, about, cursor)
        }
    }

    #[inline]
    fn load(&self) -> Mark {
        // Acquire: pairs with `set_left_at` and `owner_leaves`. That a connection is closed becomes
        // visible through the lane's state, which the closer exchanges afterwards.
        Mark(self.mark.load(Ordering::Acquire))
    }

    /// Returns the next number to read. Acquire: pairs with `advance`.
    #[inline]
    pub(crate) fn cursor(&self) -> u64 {
        self.cursor.load(Ordering::Acquire)
    }

    /// Only the owner calls this.
    #[inline]
    pub(crate) fn advance(&self, to: u64) {
        self.cursor.store(to, Ordering::Release);
    }

    /// What is known of the connection beside its place in the lane.
    pub(super) fn profile_if_any(&self) -> Option<&Profile> {
        self.profile.get()
    }

    /// As `profile_if_any`, with an empty one if there is none.
    pub(super) fn profile(&self) -> &Profile {
        loop {
            if let Some(profile) = self.profile.get() {
                return profile;
            }
            // Of two threads that come here, one puts its profile in, and both use that one.
            self.profile.set(Arc::default(), &pin());
        }
    }

    /// Calls `f` with the threads of the connection. Wait-free.
    pub(crate) fn with_attachments<R>(&self, f: impl FnOnce(&Attachments) -> R) -> R {
        match self.profile.get() {
            Some(profile) => profile.attachments.with(f),
            None => f(&Attachments::default()),
        }
    }

    /// Returns the threads that the connection is attached to now.
    pub(crate) fn threads(&self) -> Vec<ThreadId> {
        self.with_attachments(|list| list.threads().cloned().collect())
    }

    /// The host's note.
    pub(crate) fn note(&self) -> Option<&str> {
        self.profile.get()?.note.as_deref()
    }

    pub(crate) fn missed(&self) -> u64 {
        self.missed.load(Ordering::Relaxed)
    }

    /// Only the owner calls this.
    pub(crate) fn miss(&self, numbers: u64) {
        self.missed.fetch_add(numbers, Ordering::Relaxed);
    }

    /// Makes a lane's first member visible to other threads.
    pub(crate) fn list(&self) {
        // Release: pairs with the load in `is_listed`. No other thread writes the mark before.
        self.mark.store(Mark::OPEN.0, Ordering::Release);
    }

    /// Of a lane's first member: returns whether it was listed and its end is not set.
    pub(crate) fn is_listed(&self) -> bool {
        self.load().is_listed()
    }

    pub(crate) fn closed(&self) -> Option<CloseReason> {
        match self.load().reason() {
            0 => None,
            code => Some(CloseReason::from_code(code)),
        }
    }

    /// As `closed`, for a connection that the caller knows to be closed.
    #[cold]
    pub(crate) fn close_reason(&self) -> CloseReason {
        self.closed().unwrap_or(CloseReason::Dropped)
    }

    #[inline]
    pub(crate) fn is_open(&self) -> bool {
        self.load().reason() == 0
    }

    /// Returns the mark by an exchange that changes nothing. A closer that exchanges the mark later sees
    /// what this thread did before.
    pub(crate) fn exchange_nothing(&self) -> Mark {
        Mark(self.mark.fetch_or(0, Ordering::AcqRel))
    }

    /// Returns whether the connection is open, or is replaced by one that is not listed yet.
    pub(crate) fn is_open_or_replaced(&self) -> bool {
        let mark = self.load();
        // A replaced connection has its end set when its successor is listed.
        let is_replaced = mark.reason() == CloseReason::Replaced.code();
        mark.reason() == 0 || (is_replaced && mark.left_at().is_none())
    }

    /// Marks the connection as closed. Returns the mark before to the one caller that has done so,
    /// which is the closer. Returns `None` to all others.
    pub(crate) fn close(&self, reason: CloseReason) -> Option<Mark> {
        loop {
            let mark = self.load();
            if mark.0 & !Mark::ASLEEP != Mark::OPEN.0 {
                return None;
            }
            // The new mark drops the flag `ASLEEP`, so the closer takes the unit of `waiting` over.
            // The owner of a closed connection may never call again, and the unit would stay for
            // ever.
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

    /// The owner notes that it is counted in `waiting`. Returns `false` if the connection is
    /// closed. Then the owner takes its unit back.
    pub(crate) fn fall_asleep(&self) -> bool {
        let (open, asleep) = (Mark::OPEN.0, Mark::ASLEEP);
        self.mark
            .compare_exchange(open, asleep, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }

    /// The owner takes the note back. Returns whether it also takes its unit of `waiting` back,
    /// which otherwise the closer has done.
    pub(crate) fn wake_up(&self) -> bool {
        let (open, asleep) = (Mark::OPEN.0, Mark::ASLEEP);
        self.mark
            .compare_exchange(asleep, open, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }

    /// Returns the first number that does not count this connection, once the closer has set it.
    /// Acquire: pairs with `set_left_at`.
    pub(crate) fn left_at(&self) -> Option<u64> {
        self.load().left_at()
    }

    /// The closer sets the end. Returns whether the owner has gone before. Then the closer passes
    /// the unread events.
    pub(crate) fn set_left_at(&self, number: u64) -> bool {
        // The end and the flag of the owner are in one word, so exactly one of the two threads
        // finds the other done. Acquire: the closer sees how far the owner's cursor has come.
        let end = Mark::ends_at(number);
        Mark(self.mark.fetch_add(end, Ordering::AcqRel)).is_owner_gone()
    }

    /// As `set_left_at`, where the closer is the owner. A plain store: no other thread writes the
    /// mark of a closed connection.
    pub(crate) fn leave_at(&self, reason: CloseReason, number: u64) {
        let mark = Mark::closed(reason.code()).0 + Mark::ends_at(number);
        self.mark.store(mark, Ordering::Release);
    }

    /// The owner goes. Returns the end, if the closer has set it. Then the owner passes the unread
    /// events. Otherwise the closer finds the owner gone.
    pub(crate) fn owner_leaves(&self) -> Option<u64> {
        // In most cases the owner was the closer, and has set the end itself.
        let told = self.left_at();
        if told.is_some() {
            return told;
        }
        Mark(self.mark.fetch_or(Mark::OWNER_GONE, Ordering::AcqRel)).left_at()
    }

    /// Notes an activity, which the next sweep counts.
    pub(crate) fn touch(&self) {
        self.activity.fetch_or(Activity::TOUCHED, Ordering::Relaxed);
    }

    /// Notes whether the connection is behind. Returns whether that has changed, to one of several
    /// threads that note the same.
    pub(crate) fn set_behind(&self, is_behind: bool) -> bool {
        let flag = if is_behind { Activity::BEHIND } else { 0 };
        let before = self.note_activity(|seen| seen & !Activity::BEHIND | flag);
        before & Activity::BEHIND != flag
    }

    /// Exchanges the word of activity for what `change` makes of it. Returns the word before.
    fn note_activity(&self, change: impl Fn(u64) -> u64) -> u64 {
        let (ok, err) = (Ordering::Relaxed, Ordering::Relaxed);
        let mut seen = self.activity.load(Ordering::Relaxed);
        loop {
            let to = change(seen);
            match self.activity.compare_exchange(seen, to, ok, err) {
                Ok(before) => return before,
                Err(now) => seen = now,
            }
        }
    }

    /// When sweeps saw the connection.
    pub(crate) fn swept(&self) -> SweptTimes {
        SweptTimes(self.swept.load(Ordering::Relaxed))
    }

    /// How long the connection has been idle, in milliseconds, as seen by this sweep at the host's time
    /// `now`. A connection that was active since the sweep before has its time of activity set to `now`.
    pub(crate) fn idle_ms(&self, now_ms: u64, reading_counts: bool, now: Duration) -> u64 {
        let now_ms = now_ms.min(Activity::MAX_TIME);
        let cursor = self.cursor.load(Ordering::Relaxed) & Activity::CURSOR;
        let seen = self.activity.load(Ordering::Relaxed);
        let has_read = seen & Activity::CURSOR != cursor;
        if seen & Activity::TOUCHED == 0 && !(has_read && reading_counts) {
            return now_ms.saturating_sub(seen >> Activity::TIME_SHIFT);
        }
        // A touch between the load and the exchange is overwritten. This sweep counts the connection
        // as active anyway. The mark of a connection that is behind stays.
        let active = (now_ms << Activity::TIME_SHIFT) + cursor;
        self.note_activity(|seen| active | (seen & Activity::BEHIND));
        // Of two sweeps that see the connection at once, the time of either may stay.
        let swept = self.swept().active_at(now);
        self.swept.store(swept.0, Ordering::Relaxed);
        0
    }
}

pub(super) type Members = SmallVec<[Arc<Member>; 2]>;

/// The member of a connection, or `None` for the lane's first one.
pub(crate) type Seat = Option<Arc<Member>>;

/// The connection that a lane is made for.
pub(crate) type Newcomer = (ConnectionId, Option<Box<About>>);

/// A connection whose device has resumed, so another connection joins in its place. It stays listed
/// until that one is.
pub(crate) struct Ghost {
    pub(crate) seat: Seat,
    /// The first number that does not count the ghost, and counts the new connection.
    pub(crate) end: u64,
}
