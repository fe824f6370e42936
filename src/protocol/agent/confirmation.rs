//! The values of confirmations: timeouts, limits, states, answers and figures.

use crate::error::InvalidId;
use crate::sync::{AtomicU64, Ordering};
use std::error::Error;
use std::fmt;
use std::time::Duration;

/// The time that an event waits for its confirmation: 30 seconds.
///
/// ```
/// # use laneway::{UserId, protocol::*};
/// use laneway::protocol::CONFIRMATION_TIMEOUT;
///
/// # let (ann, now) = (UserId::new("ann")?, std::time::Duration::ZERO);
/// let (all, mut time) = (Confirmations::default(), now);
/// all.expect(&ann, "e-1", &MessageKind::AgentStarted, now)?;
/// while all.sweep(time).timed_out == 0 {
///     time += CONFIRMATION_TIMEOUT / 4;
/// }
/// assert_eq!(time - now, CONFIRMATION_TIMEOUT);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub const CONFIRMATION_TIMEOUT: Duration = Duration::from_secs(30);

/// The time that an `agent_completed` event waits for its confirmation: 60 seconds.
///
/// ```
/// use laneway::protocol::{COMPLETION_TIMEOUT, CONFIRMATION_TIMEOUT};
///
/// assert_eq!(COMPLETION_TIMEOUT, 2 * CONFIRMATION_TIMEOUT);
/// ```
pub const COMPLETION_TIMEOUT: Duration = Duration::from_secs(60);

/// The numbers of events that a [`Confirmations`](crate::protocol::Confirmations) keeps.
///
/// Events that have ended count until a sweep removes them.
///
/// ```
/// # use std::time::Duration;
/// # use laneway::{ThreadId, UserId, protocol::*};
/// # let (ann, now) = (UserId::new("ann")?, Duration::ZERO);
/// let limits = ConfirmationLimits { per_user: 1, ..ConfirmationLimits::default() };
/// let all = Confirmations::new(limits);
/// all.expect(&ann, "e-1", &MessageKind::AgentStarted, now)?;
/// let refused = all.expect(&ann, "e-2", &MessageKind::AgentStarted, now);
/// assert_eq!(refused, Err(ExpectError::UserFull));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConfirmationLimits {
    /// Events of all users. Default 65 536.
    pub total: usize,
    /// Events of one user. Default 1 024.
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

impl ConfirmationLimits {
    /// With another [`total`](Self#structfield.total).
    #[must_use]
    pub fn total(mut self, events: usize) -> Self {
        self.total = events;
        self
    }
    /// With another [`per_user`](Self#structfield.per_user).
    #[must_use]
    pub fn per_user(mut self, events: usize) -> Self {
        self.per_user = events;
        self
    }
}

/// The state of an event that is to be confirmed.
///
/// An event moves forward only: from `Pending` to `Sent` to one of the last three, or directly to one
/// of them. The last three are final.
///
/// ```
/// # use std::time::Duration;
/// # use laneway::{ThreadId, UserId, protocol::*};
/// # let (ann, now) = (UserId::new("ann")?, Duration::ZERO);
/// let all = Confirmations::default();
/// all.expect(&ann, "e-1", &MessageKind::AgentStarted, now)?;
/// assert_eq!(all.state(&ann, "e-1"), Some(EventState::Pending));
/// all.sent(&ann, "e-1", now)?;
/// assert_eq!(all.state(&ann, "e-1"), Some(EventState::Sent));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EventState {
    /// Expected, and not sent yet.
    Pending,
    /// Sent, and not confirmed yet.
    Sent,
    /// Its user has confirmed it.
    Confirmed,
    /// The host could not send it.
    Failed,
    /// Its user did not confirm it in time.
    TimedOut,
}

impl EventState {
    /// Returns the state in the lower three bits of an event's word.
    pub(super) fn from_word(word: u64) -> Self {
        match word & 7 {
            0 => Self::Pending,
            1 => Self::Sent,
            2 => Self::Confirmed,
            3 => Self::Failed,
            _ => Self::TimedOut,
        }
    }

    /// Packs the state with the time of its beginning, in microseconds.
    pub(super) fn word(self, since: u64) -> u64 {
        since << 3 | self as u64
    }

    /// Returns `true` if an event in this state may move to `next`.
    pub(super) fn may_become(self, next: Self) -> bool {
        !self.is_final() && next as u64 > self as u64
    }

    /// Returns `true` for the states that an event never leaves. Wait-free.
    ///
    /// ```
    /// use laneway::protocol::EventState;
    ///
    /// assert!(EventState::Confirmed.is_final());
    /// assert!(!EventState::Sent.is_final());
    /// ```
    #[must_use]
    pub fn is_final(self) -> bool {
        self as u64 > Self::Sent as u64
    }
}

/// The reason why an event is not expected.
///
/// ```
/// # use std::time::Duration;
/// # use laneway::{ThreadId, UserId, protocol::*};
/// # let (ann, now) = (UserId::new("ann")?, Duration::ZERO);
/// let all = Confirmations::default();
/// all.expect(&ann, "e-1", &MessageKind::AgentStarted, now)?;
/// let again = all.expect(&ann, "e-1", &MessageKind::AgentStarted, now);
/// assert_eq!(again, Err(ExpectError::AlreadyExpected));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExpectError {
    /// [`ConfirmationLimits::total`] is reached.
    Full,
    /// [`ConfirmationLimits::per_user`] is reached.
    UserFull,
    /// An event of this user with this id is expected already.
    AlreadyExpected,
    /// The event id is empty, or longer than [`MAX_ID_BYTES`](crate::MAX_ID_BYTES). No client could confirm it.
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

/// The reason why an event keeps its state.
///
/// ```
/// # use std::time::Duration;
/// # use laneway::{ThreadId, UserId, protocol::*};
/// # let (ann, now) = (UserId::new("ann")?, Duration::ZERO);
/// let all = Confirmations::default();
/// assert_eq!(all.sent(&ann, "e-1", now), Err(NotMoved::Unknown));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NotMoved {
    /// The user has no event with this id.
    Unknown,
    /// The event is in this state already, or this far.
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

/// The answer to a client that confirms an event. It names no other user.
///
/// ```
/// # use std::time::Duration;
/// # use laneway::{ThreadId, UserId, protocol::*};
/// # let (ann, now) = (UserId::new("ann")?, Duration::ZERO);
/// let all = Confirmations::default();
/// all.expect(&ann, "e-1", &MessageKind::AgentStarted, now)?;
/// assert_eq!(all.confirm(&ann, "e-1", now), Confirmation::Confirmed { after: Duration::ZERO });
/// assert_eq!(all.confirm(&ann, "e-1", now), Confirmation::AlreadyConfirmed);
/// assert_eq!(all.confirm(&ann, "e-2", now), Confirmation::Unknown);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[must_use = "a confirmation may not count"]
pub enum Confirmation {
    /// The confirmation counts.
    Confirmed {
        /// The time since the host called [`sent`](crate::protocol::Confirmations::sent), else since it
        /// called [`expect`](crate::protocol::Confirmations::expect).
        ///
        /// At most the time that sweeps let pass. 0 if the host's clock went back.
        after: Duration,
    },
    /// An earlier confirmation counts.
    AlreadyConfirmed,
    /// The event has failed or timed out.
    TooLate,
    /// This user has no such event: it never existed, a sweep removed it, or another user owns it.
    Unknown,
}

/// The result of [`Confirmations::sweep`](crate::protocol::Confirmations::sweep).
///
/// ```
/// # use std::time::Duration;
/// # use laneway::{ThreadId, UserId, protocol::*};
/// # let (ann, now) = (UserId::new("ann")?, Duration::ZERO);
/// let all = Confirmations::default();
/// all.expect(&ann, "e-1", &MessageKind::AgentStarted, now)?;
/// all.failed(&ann, "e-1", now)?;
/// assert_eq!(all.sweep(now).removed, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct ConfirmationSweep {
    /// Events that this sweep timed out. The next sweep removes them.
    pub timed_out: usize,
    /// Events that were final before this sweep. This sweep removed them.
    pub removed: usize,
}

/// The figures of a [`Confirmations`](crate::protocol::Confirmations), since it was created.
///
/// ```
/// # use std::time::Duration;
/// # use laneway::{ThreadId, UserId, protocol::*};
/// # let (ann, now) = (UserId::new("ann")?, Duration::ZERO);
/// let all = Confirmations::default();
/// all.expect(&ann, "e-1", &MessageKind::AgentStarted, now)?;
/// let _ = all.confirm(&ann, "e-2", now);
/// assert_eq!((all.stats().expected, all.stats().unknown), (1, 1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct ConfirmationStats {
    /// Events that [`expect`](crate::protocol::Confirmations::expect) accepted.
    pub expected: u64,
    /// Events that the host reported as sent.
    pub sent: u64,
    /// Events that their user confirmed in time.
    pub confirmed: u64,
    /// Events that the host reported as failed.
    pub failed: u64,
    /// Events that a sweep timed out.
    pub timed_out: u64,
    /// Events that were refused because a limit was reached.
    pub full: u64,
    /// Confirmations of an event that was confirmed before.
    pub repeated: u64,
    /// Confirmations of an event that had failed or timed out.
    pub too_late: u64,
    /// Confirmations of an event that no user has.
    pub unknown: u64,
    /// Confirmations of another user's event. Their sender received [`Confirmation::Unknown`].
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
    /// Returns the figures, each read on its own.
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
