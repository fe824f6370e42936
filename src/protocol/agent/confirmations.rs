//! What users are to confirm, and whether they did.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ahash::RandomState;

use crate::error::InvalidId;
use crate::id::{MAX_ID_BYTES, UserId};
use crate::protocol::agent::confirmation::{
    COMPLETION_TIMEOUT, CONFIRMATION_TIMEOUT, Confirmation, ConfirmationLimits, ConfirmationStats,
    ConfirmationSweep, Counts, EventState, ExpectError, NotMoved, count,
};
use crate::protocol::clock::{Clock, micros};
use crate::protocol::message::kind::MessageKind;
use crate::protocol::quota::{Quota, ROOTS, Share, Spent, mask};
use crate::sync::{AtomicU64, Ordering, pin};
use crate::table::{Keyed, Table};

/// An event of a user.
struct Expected {
    key: (UserId, Box<str>),
    hash: u64,
    /// In microseconds.
    timeout: u64,
    /// The state, and since when. The one truth about this event.
    state: AtomicU64,
    share: Arc<Share>,
}

impl Keyed for Expected {
    type Key = (UserId, Box<str>);
    fn hash(&self) -> u64 {
        self.hash
    }
    fn key(&self) -> &Self::Key {
        &self.key
    }
}

impl Expected {
    fn is(&self, user: &UserId, event_id: &str) -> bool {
        &*self.key.1 == event_id && self.key.0 == *user
    }

    /// Gives the word before; the one caller that gets it has moved the event.
    fn advance(&self, next: EventState, since: u64) -> Result<u64, EventState> {
        let mut word = self.state.load(Ordering::Acquire);
        loop {
            let state = EventState::from_word(word);
            if !state.may_become(next) {
                return Err(state);
            }
            let new = next.word(since);
            match (self.state).compare_exchange(word, new, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return Ok(word),
                Err(other) => word = other,
            }
        }
    }
}

/// The events that are to be confirmed, by their owner and their id. A host has one.
///
/// An event is expected before it is sent, so that no confirmation can come too early. One that comes
/// before the host says [`sent`](Self::sent) counts: it proves that the event was. Times are the
/// host's, on any one clock, kept in whole microseconds.
///
/// Time passes at sweeps, at each at most 7.5 s, a quarter of [`CONFIRMATION_TIMEOUT`], however late it
/// comes: a host sweeps at least that often. So the first sweep after a pause does not time everything
/// out, a clock that goes back times out nothing early, and one that jumps ahead costs 7.5 s at most. An
/// event that is neither sent nor failed times out as well, counted from when it was
/// expected; so one that is kept for a later connection is best expected when it is handed out.
///
/// Nothing here locks, and no user's calls wait for another's.
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
    /// With these limits.
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

    /// By the id alone: then somebody else's event stands where one looks for it.
    fn hash(&self, event_id: &str) -> u64 {
        self.hasher.hash_one(event_id) & self.mask
    }

    fn find(&self, user: &UserId, event_id: &str) -> Option<Arc<Expected>> {
        let is_it = |event: &Expected| event.is(user, event_id);
        let found = self.events.find(self.hash(event_id), is_it, &pin())?.arc();
        Some(found)
    }

    /// Expects the user to confirm an event that is about to be sent. Lock-free.
    ///
    /// # Errors
    ///
    /// [`ExpectError`]: there is no place, the event is there already, or its id is none.
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

    /// The event was sent: its time runs from now. Lock-free.
    ///
    /// # Errors
    ///
    /// [`NotMoved`]: the user has no such event, or it was sent or is final already. Nothing to worry
    /// about if it is [`EventState::Confirmed`]: the client was faster.
    pub fn sent(&self, user: &UserId, event_id: &str, now: Duration) -> Result<(), NotMoved> {
        self.advance(user, event_id, EventState::Sent, now)?;
        count(&self.counts.sent);
        Ok(())
    }

    /// The event could not be sent, or nobody is left to confirm it. Lock-free.
    ///
    /// # Errors
    ///
    /// [`NotMoved`]: the user has no such event, or it is final already.
    pub fn failed(&self, user: &UserId, event_id: &str, now: Duration) -> Result<(), NotMoved> {
        self.advance(user, event_id, EventState::Failed, now)?;
        count(&self.counts.failed);
        Ok(())
    }

    /// A client of `user`, the user of its session, confirms an event. Lock-free.
    ///
    /// Only the owner's confirmation counts, and once. It counts until a sweep times the event out.
    pub fn confirm(&self, user: &UserId, event_id: &str, now: Duration) -> Confirmation {
        let (answer, counter) = self.answer(user, event_id, now);
        count(counter);
        answer
    }

    fn answer(&self, user: &UserId, event_id: &str, now: Duration) -> (Confirmation, &AtomicU64) {
        let counts = &self.counts;
        if event_id.len() > MAX_ID_BYTES {
            return (Confirmation::Unknown, &counts.unknown);
        }
        let Some(event) = self.find(user, event_id) else {
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

    /// How far an event has come; `None` if the user has no such event. Lock-free.
    #[must_use]
    pub fn state(&self, user: &UserId, event_id: &str) -> Option<EventState> {
        let event = self.find(user, event_id)?;
        Some(EventState::from_word(event.state.load(Ordering::Acquire)))
    }

    /// Removes the events that are final, and times out those whose time is over: an event that times
    /// out here is there until the next sweep. Lock-free, linear in the number of events.
    pub fn sweep(&self, now: Duration) -> ConfirmationSweep {
        let now = self.clock.sweep(now);
        let mut swept = ConfirmationSweep::default();
        self.events.for_each(|event| {
            let word = event.state.load(Ordering::Acquire);
            if EventState::from_word(word).is_final() {
                if self.events.remove(event, &pin()) {
                    self.quota.put_back(&event.share);
                    swept.removed += 1;
                }
            } else if now.saturating_sub(word >> 3) >= event.timeout {
                let new = EventState::TimedOut.word(now);
                // If it has moved meanwhile, its time is another one.
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

    /// Events that are there, of whatever state. Wait-free.
    #[must_use]
    pub fn len(&self) -> usize {
        self.quota.taken()
    }

    /// There is none. Wait-free.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The figures so far. Wait-free.
    #[must_use]
    pub fn stats(&self) -> ConfirmationStats {
        self.counts.read()
    }
}
