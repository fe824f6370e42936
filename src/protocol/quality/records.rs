//! The records of one user's runs.

use std::collections::VecDeque;
use std::time::Duration;

/// Records of one user that a [`MemoryQuality`](crate::protocol::MemoryQuality) keeps. A further record
/// replaces the oldest.
///
/// ```
/// assert_eq!(laneway::protocol::MAX_RECORDS, 256);
/// ```
pub const MAX_RECORDS: usize = 256;

/// The result of one run of an agent, as the host records it.
///
/// ```
/// use std::time::Duration;
/// use laneway::UserId;
/// use laneway::protocol::{MemoryQuality, RunRecord};
///
/// let (took, at) = (Duration::from_millis(80), Duration::from_secs(60));
/// let record = RunRecord { success: true, duration: took, characters: 24, at };
/// MemoryQuality::default().record(&UserId::new("ann")?, record);
/// # Ok::<(), laneway::InvalidId>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunRecord {
    /// `true` if the run ended as it should.
    pub success: bool,
    /// The time from the start to the end of the run.
    pub duration: Duration,
    /// Characters of the final answer.
    pub characters: usize,
    /// The host's time at the end of the run.
    pub at: Duration,
}

/// A record, and the correction of its time.
#[derive(Clone, Copy)]
struct Kept {
    record: RunRecord,
    /// The earliest host time at which a look found `record.at` in the future. `None` without one.
    ahead_at: Option<Duration>,
}

impl Kept {
    /// Returns the end of the run as of `now`. For a record from the future, the first look at it.
    ///
    /// A host clock that ran ahead stamps such a record. Without this, it would outlive the others.
    fn ended(&self, now: Duration) -> Duration {
        if self.record.at <= now {
            self.record.at
        } else {
            self.ahead_at.unwrap_or(now)
        }
    }

    /// Returns `true` if the record's time is in the future, and no earlier look has found that.
    fn is_ahead(&self, now: Duration) -> bool {
        self.record.at > now && self.ahead_at.is_none_or(|seen| seen > now)
    }
}

/// The records of one user, in the order in which the host recorded them.
#[derive(Clone, Default)]
pub(super) struct Records {
    kept: VecDeque<Kept>,
    /// The latest `at` of the records that were removed. Periods that begin before it are incomplete.
    gone: Option<Duration>,
}

/// The records of a period.
pub(super) struct Period {
    pub(super) records: Vec<RunRecord>,
    /// `true` if no record of the period was removed.
    pub(super) complete: bool,
}

impl Records {
    /// Adds a record, and removes the oldest if there are too many.
    ///
    /// `may_have_lost`: a user's list was removed at some time, and it may have been this user's.
    pub(super) fn add(&mut self, record: RunRecord, may_have_lost: bool) {
        if self.kept.is_empty() && may_have_lost {
            self.gone = self.gone.max(Some(record.at));
        }
        while self.kept.len() >= MAX_RECORDS {
            let oldest = self.kept.pop_front();
            self.gone = self.gone.max(oldest.map(|kept| kept.record.at));
        }
        self.kept.push_back(Kept {
            record,
            ahead_at: None,
        });
    }

    /// Returns `true` if [`note_ahead`](Self::note_ahead) would change a record.
    pub(super) fn are_ahead(&self, now: Duration) -> bool {
        self.kept.iter().any(|kept| kept.is_ahead(now))
    }

    /// Notes `now` in each record whose time is in the future.
    pub(super) fn note_ahead(&mut self, now: Duration) {
        for kept in self.kept.iter_mut().filter(|kept| kept.is_ahead(now)) {
            kept.ahead_at = Some(now);
        }
    }

    /// Returns the records whose run ended at `from` or later.
    pub(super) fn since(&self, from: Duration, now: Duration) -> Period {
        let of_period = self.kept.iter().filter(|kept| kept.ended(now) >= from);
        Period {
            records: of_period.map(|kept| kept.record).collect(),
            complete: self.gone.is_none_or(|gone| gone < from),
        }
    }
}
