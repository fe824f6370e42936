//! The ledger of events that users are to confirm.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ahash::RandomState;

use crate::engine::clock::{Clock, micros};
use crate::error::InvalidId;
use crate::id::{MAX_ID_BYTES, UserId};
use crate::protocol::agent::confirmation::{
    COMPLETION_TIMEOUT, CONFIRMATION_TIMEOUT, Confirmation, ConfirmationLimits, ConfirmationStats,
    ConfirmationSweep, Counts, EventState, ExpectError, NotMoved, count,
};
use crate::protocol::agent::expected::Expected;
use crate::protocol::message::kind::MessageKind;
use crate::protocol::quota::{Quota, ROOTS, Spent, mask};
use crate::sync::{AtomicU64, Ordering, pin};
use crate::table::Table;

/// The events that users are to confirm, by user and event id. A host has one.
///
/// A host calls [`expect`](Self::expect) before it sends an event, so that no confirmation can come
/// too early. A confirmation before [`sent`](Self::sent) counts: the client must have the event.
/// An event that is neither sent nor failed times out too, counted from `expect`. For an event that
/// waits in a lane for a later connection, a host best calls `expect` when it hands the event out.
///
/// ```
/// use std::time::Duration;
/// use laneway::UserId;
/// use laneway::protocol::{Confirmation, Confirmations, MessageKind};
///
/// let confirmations = Confirmations::default();
/// let (ann, now) = (UserId::new("ann")?, Duration::from_secs(1));
/// confirmations.expect(&ann, "event-1", &MessageKind::AgentCompleted, now)?;
/// confirmations.sent(&ann, "event-1", now)?;
/// let after = Duration::from_millis(20);
/// let answer = confirmations.confirm(&ann, "event-1", now + after);
/// assert_eq!(answer, Confirmation::Confirmed { after });
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Time
///
/// Times are the host's, on any one clock, kept in whole microseconds. Time passes at sweeps only, and
/// at most 7.5 s at each: a quarter of [`CONFIRMATION_TIMEOUT`]. So a host sweeps at least that often.
///
/// * The first sweep after a pause of the process does not time out every event.
/// * A host clock that goes back times out no event early.
/// * A host clock that jumps ahead costs an event at most 7.5 s.
///
/// # Progress
///
/// No method takes a lock, and no user's call waits for another user's.
pub struct Confirmations {
    clock: Clock,
    quota: Quota,
    events: Table<Expected>,
    hasher: RandomState,
    mask: u64,
    counts: Counts,
}

impl Default for Confirmations {
    fn default() -> Self {
        Self::new(ConfirmationLimits::default())
    }
}

impl fmt::Debug for Confirmations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Confirmations")
            .field("len", &self.len())
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

impl Confirmations {
    /// Creates a ledger with these limits.
    ///
    /// ```
    /// use laneway::protocol::{ConfirmationLimits, Confirmations};
    ///
    /// let all = Confirmations::new(ConfirmationLimits { total: 100, per_user: 10 });
    /// assert!(all.is_empty());
    /// ```
    #[must_use]
    pub fn new(limits: ConfirmationLimits) -> Self {
        Self {
            clock: Clock::for_waits_of(CONFIRMATION_TIMEOUT),
            quota: Quota::new(limits.total, limits.per_user),
            events: Table::new(ROOTS),
            hasher: RandomState::new(),
            mask: mask(limits.total),
            counts: Counts::default(),
        }
    }

    /// Hashes the id alone, not the user: then a search for a foreign event finds it, and counts it as
    /// [`foreign`](ConfirmationStats::foreign).
    fn hash(&self, event_id: &str) -> u64 {
        self.hasher.hash_one(event_id) & self.mask
    }

    fn find(&self, user: &UserId, event_id: &str) -> Option<Arc<Expected>> {
        let is_it = |event: &Expected| event.is(user, event_id);
        let found = self.events.find(self.hash(event_id), is_it, &pin())?.arc();
        Some(found)
    }

    /// Adds an event that the user is to confirm. Call it before the event is sent. Lock-free.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use laneway::{ThreadId, UserId, protocol::*};
    /// # let (ann, now) = (UserId::new("ann")?, Duration::ZERO);
    /// let all = Confirmations::default();
    /// all.expect(&ann, "e-1", &MessageKind::AgentStarted, now)?;
    /// assert_eq!(all.len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// * [`ExpectError::Full`] and [`ExpectError::UserFull`] if a limit is reached.
    /// * [`ExpectError::AlreadyExpected`] if the user has an event with this id.
    /// * [`ExpectError::InvalidId`] if the id is empty or too long.
    pub fn expect(
        &self,
        user: &UserId,
        event_id: &str,
        kind: &MessageKind,
        now: Duration,
    ) -> Result<(), ExpectError> {
        if event_id.is_empty() {
            return Err(ExpectError::InvalidId(InvalidId::Empty));
        }
        if event_id.len() > MAX_ID_BYTES {
            return Err(ExpectError::InvalidId(InvalidId::TooLong));
        }
        // Before the insertion: the ledger never holds more events than the limit.
        let share = self.quota.take(user).map_err(|spent| {
            count(&self.counts.full);
            match spent {
                Spent::All => ExpectError::Full,
                Spent::User => ExpectError::UserFull,
            }
        })?;
        let timeout = match kind.outbound_name() {
            "agent_completed" => COMPLETION_TIMEOUT,
            _ => CONFIRMATION_TIMEOUT,
        };
        let event = Arc::new(Expected {
            key: (user.clone(), event_id.into()),
            hash: self.hash(event_id),
            timeout: micros(timeout),
            state: AtomicU64::new(EventState::Pending.word(self.clock.stamp(now))),
            share,
        });
        if self.events.insert(&event, &pin()).is_err() {
            self.quota.put_back(&event.share);
            return Err(ExpectError::AlreadyExpected);
        }
        count(&self.counts.expected);
        Ok(())
    }

    fn advance(
        &self,
        user: &UserId,
        event_id: &str,
        next: EventState,
        now: Duration,
    ) -> Result<(), NotMoved> {
        let event = self.find(user, event_id).ok_or(NotMoved::Unknown)?;
        let moved = event.advance(next, self.clock.stamp(now));
        moved.map(|_| ()).map_err(NotMoved::Already)
    }

    /// Records that the event was sent. Its timeout counts from now. Lock-free.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use laneway::{ThreadId, UserId, protocol::*};
    /// # let (ann, now) = (UserId::new("ann")?, Duration::ZERO);
    /// let all = Confirmations::default();
    /// all.expect(&ann, "e-1", &MessageKind::AgentStarted, now)?;
    /// all.sent(&ann, "e-1", now)?;
    /// assert_eq!(all.sent(&ann, "e-1", now), Err(NotMoved::Already(EventState::Sent)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`NotMoved`] if the user has no such event, or it was sent or is final already. A host may ignore
    /// [`EventState::Confirmed`]: the client confirmed before this call.
    pub fn sent(&self, user: &UserId, event_id: &str, now: Duration) -> Result<(), NotMoved> {
        self.advance(user, event_id, EventState::Sent, now)?;
        count(&self.counts.sent);
        Ok(())
    }

    /// Records that the event could not be sent, or that no device is left to confirm it. Lock-free.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use laneway::{ThreadId, UserId, protocol::*};
    /// # let (ann, now) = (UserId::new("ann")?, Duration::ZERO);
    /// let all = Confirmations::default();
    /// all.expect(&ann, "e-1", &MessageKind::AgentStarted, now)?;
    /// all.failed(&ann, "e-1", now)?;
    /// assert_eq!(all.confirm(&ann, "e-1", now), Confirmation::TooLate);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`NotMoved`] if the user has no such event, or it is final already.
    pub fn failed(&self, user: &UserId, event_id: &str, now: Duration) -> Result<(), NotMoved> {
        self.advance(user, event_id, EventState::Failed, now)?;
        count(&self.counts.failed);
        Ok(())
    }

    /// Records that a client confirms an event. `user` is the user of the client's session.
    ///
    /// A confirmation counts once, only for the event's own user, and until a sweep times the event out.
    /// Lock-free.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use laneway::{ThreadId, UserId, protocol::*};
    /// # let (ann, now) = (UserId::new("ann")?, Duration::ZERO);
    /// let (all, bob) = (Confirmations::default(), UserId::new("bob")?);
    /// all.expect(&ann, "e-1", &MessageKind::AgentStarted, now)?;
    /// assert_eq!(all.confirm(&bob, "e-1", now), Confirmation::Unknown);
    /// assert_eq!(all.confirm(&ann, "e-1", now), Confirmation::Confirmed { after: Duration::ZERO });
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn confirm(&self, user: &UserId, event_id: &str, now: Duration) -> Confirmation {
        let (answer, counter) = self.answer(user, event_id, now);
        count(counter);
        answer
    }

    /// Returns the answer, and the counter of that answer.
    fn answer(&self, user: &UserId, event_id: &str, now: Duration) -> (Confirmation, &AtomicU64) {
        let counts = &self.counts;
        if event_id.len() > MAX_ID_BYTES {
            return (Confirmation::Unknown, &counts.unknown);
        }
        let Some(event) = self.find(user, event_id) else {
            // The sender receives the same answer in both cases. Only the host's figures differ.
            let is_it = |event: &Expected| &*event.key.1 == event_id;
            let guard = pin();
            let other = self.events.find(self.hash(event_id), is_it, &guard);
            let counter = match other {
                Some(_) => &counts.foreign,
                None => &counts.unknown,
            };
            return (Confirmation::Unknown, counter);
        };
        match event.advance(EventState::Confirmed, self.clock.stamp(now)) {
            Ok(word) => {
                let after = Duration::from_micros(self.clock.read(now).saturating_sub(word >> 3));
                (Confirmation::Confirmed { after }, &counts.confirmed)
            }
            Err(EventState::Confirmed) => (Confirmation::AlreadyConfirmed, &counts.repeated),
            Err(_) => (Confirmation::TooLate, &counts.too_late),
        }
    }

    /// Returns the state of an event. `None` if the user has no such event. Lock-free.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use laneway::{ThreadId, UserId, protocol::*};
    /// # let (ann, now) = (UserId::new("ann")?, Duration::ZERO);
    /// let all = Confirmations::default();
    /// all.expect(&ann, "e-1", &MessageKind::AgentStarted, now)?;
    /// assert_eq!(all.state(&ann, "e-1"), Some(EventState::Pending));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn state(&self, user: &UserId, event_id: &str) -> Option<EventState> {
        let event = self.find(user, event_id)?;
        Some(EventState::from_word(event.state.load(Ordering::Acquire)))
    }

    /// Removes final events, and times out events that have waited too long.
    ///
    /// An event that this sweep times out stays until the next sweep, so that a late confirmation gets
    /// [`Confirmation::TooLate`]. Lock-free, linear in the number of events.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use laneway::{ThreadId, UserId, protocol::*};
    /// # let (ann, now) = (UserId::new("ann")?, Duration::ZERO);
    /// let all = Confirmations::default();
    /// all.expect(&ann, "e-1", &MessageKind::AgentStarted, now)?;
    /// let _ = all.confirm(&ann, "e-1", now);
    /// assert_eq!((all.sweep(now).removed, all.len()), (1, 0));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn sweep(&self, now: Duration) -> ConfirmationSweep {
        let now = self.clock.sweep(now);
        let mut swept = ConfirmationSweep::default();
        self.events.for_each(|event| {
            let word = event.state.load(Ordering::Acquire);
            if EventState::from_word(word).is_final() {
                // Two sweeps may run at once. `remove` returns `true` to one of them, so the place is
                // returned once.
                if self.events.remove(event, &pin()) {
                    self.quota.put_back(&event.share);
                    swept.removed += 1;
                }
            } else if now.saturating_sub(word >> 3) >= event.timeout {
                let new = EventState::TimedOut.word(now);
                // A client may have confirmed the event since the load above. A plain store would
                // turn a confirmation that counted into a timeout.
                let done =
                    (event.state).compare_exchange(word, new, Ordering::AcqRel, Ordering::Relaxed);
                if done.is_ok() {
                    count(&self.counts.timed_out);
                    swept.timed_out += 1;
                }
            }
        });
        swept
    }

    /// Returns the number of events in the ledger, in any state. Wait-free.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use laneway::{ThreadId, UserId, protocol::*};
    /// # let (ann, now) = (UserId::new("ann")?, Duration::ZERO);
    /// let all = Confirmations::default();
    /// all.expect(&ann, "e-1", &MessageKind::AgentStarted, now)?;
    /// assert_eq!(all.len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn len(&self) -> usize {
        self.quota.taken()
    }

    /// Returns `true` if the ledger holds no event. Wait-free.
    ///
    /// ```
    /// assert!(laneway::protocol::Confirmations::default().is_empty());
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the figures so far, each read on its own. Wait-free.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use laneway::{ThreadId, UserId, protocol::*};
    /// # let (ann, now) = (UserId::new("ann")?, Duration::ZERO);
    /// let all = Confirmations::default();
    /// all.expect(&ann, "e-1", &MessageKind::AgentStarted, now)?;
    /// assert_eq!(all.stats().expected, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn stats(&self) -> ConfirmationStats {
        self.counts.read()
    }
}
