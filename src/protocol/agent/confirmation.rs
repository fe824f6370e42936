//! An event that is to be confirmed: how long it waits, its states, and what a confirmation comes to.

use crate::error::InvalidId;
use crate::sync::{AtomicU64, Ordering};
use std::error::Error;
use std::fmt;
use std::time::Duration;

/// How long a critical event waits for its confirmation.
pub const CONFIRMATION_TIMEOUT: Duration = Duration::from_secs(30);

/// How long an event waits that clients know as `agent_completed`.
pub const COMPLETION_TIMEOUT: Duration = Duration::from_secs(60);

/// How many events [`Confirmations`](crate::protocol::Confirmations) keeps, those included that a sweep has yet to remove.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConfirmationLimits {
    /// In all. Default 65 536.
    pub total: usize,
    /// Of one user. Default 1 024.
    pub per_user: usize,
}

impl Default for ConfirmationLimits {
    fn default() -> Self {
        Self {
            total: 65_536,
            per_user: 1_024,
        }
    }
}

/// How far an event has come. It only moves forward, and never on from the last three.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EventState {
    /// To be sent.
    Pending,
    /// Sent, and not confirmed.
    Sent,
    /// Its owner has it.
    Confirmed,
    /// It could not be sent.
    Failed,
    /// Its owner did not confirm it in time.
    TimedOut,
}

impl EventState {
    pub(super) fn from_word(word: u64) -> Self {
        match word & 7 {
            0 => Self::Pending,
            1 => Self::Sent,
            2 => Self::Confirmed,
            3 => Self::Failed,
            _ => Self::TimedOut,
        }
    }

    /// With the time since when, in microseconds.
    pub(super) fn word(self, since: u64) -> u64 {
        since << 3 | self as u64
    }

    pub(super) fn may_become(self, next: Self) -> bool {
        !self.is_final() && next as u64 > self as u64
    }

    /// Nothing more can become of it.
    #[must_use]
    pub fn is_final(self) -> bool {
        self as u64 > Self::Sent as u64
    }
}

/// Why an event is not expected to be confirmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExpectError {
    /// [`ConfirmationLimits::total`] is reached.
    Full,
    /// [`ConfirmationLimits::per_user`] is reached.
    UserFull,
    /// This event of this user is there already.
    AlreadyExpected,
    /// Nobody can confirm an event without an id, or with one longer than [`MAX_ID_BYTES`](crate::MAX_ID_BYTES).
    InvalidId(InvalidId),
}

impl fmt::Display for ExpectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.write_str("too many events are to be confirmed"),
            Self::UserFull => f.write_str("too many events are to be confirmed by this user"),
            Self::AlreadyExpected => f.write_str("the event is to be confirmed already"),
            Self::InvalidId(error) => error.fmt(f),
        }
    }
}

impl Error for ExpectError {}

/// Why an event does not move on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NotMoved {
    /// There is no such event of this user.
    Unknown,
    /// It has come this far already.
    Already(EventState),
}

impl fmt::Display for NotMoved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("there is no such event"),
            Self::Already(state) => write!(f, "the event is {state:?} already"),
        }
    }
}

impl Error for NotMoved {}

/// The answer to a client that confirms an event. Says nothing of anybody else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[must_use = "a confirmation may not count"]
pub enum Confirmation {
    /// It counts.
    Confirmed {
        /// Time since it was sent, or since it was expected if the host did not say so, as far as
        /// sweeps let it pass. 0 if the clock went back.
        after: Duration,
    },
    /// It was confirmed before, and that counts.
    AlreadyConfirmed,
    /// It failed or timed out before.
    TooLate,
    /// This user has no such event: there is none, it was removed, or it is somebody else's.
    Unknown,
}

/// What a sweep did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConfirmationSweep {
    /// Events that timed out at it. The next sweep removes them.
    pub timed_out: usize,
    /// Events that were final before it, and are gone now.
    pub removed: usize,
}

/// The figures of [`Confirmations`](crate::protocol::Confirmations).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConfirmationStats {
    /// Events that were to be confirmed.
    pub expected: u64,
    /// Those that were sent.
    pub sent: u64,
    /// Those that their owner confirmed.
    pub confirmed: u64,
    /// Those that could not be sent.
    pub failed: u64,
    /// Those that were not confirmed in time.
    pub timed_out: u64,
    /// Events that there was no place for.
    pub full: u64,
    /// Confirmations of a confirmed event.
    pub repeated: u64,
    /// Confirmations of an event that had failed or timed out.
    pub too_late: u64,
    /// Confirmations of an event that nobody has.
    pub unknown: u64,
    /// Confirmations of somebody else's event. Whoever sent them was told that it is unknown.
    pub foreign: u64,
}

/// The counters behind [`ConfirmationStats`], one for each of its figures.
#[derive(Default)]
pub(super) struct Counts {
    pub(super) expected: AtomicU64,
    pub(super) sent: AtomicU64,
    pub(super) confirmed: AtomicU64,
    pub(super) failed: AtomicU64,
    pub(super) timed_out: AtomicU64,
    pub(super) full: AtomicU64,
    pub(super) repeated: AtomicU64,
    pub(super) too_late: AtomicU64,
    pub(super) unknown: AtomicU64,
    pub(super) foreign: AtomicU64,
}

impl Counts {
    pub(super) fn read(&self) -> ConfirmationStats {
        let read = |from: &AtomicU64| from.load(Ordering::Relaxed);
        ConfirmationStats {
            expected: read(&self.expected),
            sent: read(&self.sent),
            confirmed: read(&self.confirmed),
            failed: read(&self.failed),
            timed_out: read(&self.timed_out),
            full: read(&self.full),
            repeated: read(&self.repeated),
            too_late: read(&self.too_late),
            unknown: read(&self.unknown),
            foreign: read(&self.foreign),
        }
    }
}

pub(super) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
