//! The records of one user's runs.

use std::collections::VecDeque;
use std::time::Duration;

/// Runs that are kept of one user; the oldest goes first.
pub const MAX_RECORDS: usize = 256;

/// What came of one run of an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunRecord {
    /// Whether it ended as it should.
    pub success: bool,
    /// How long it took.
    pub duration: Duration,
    /// Characters of its answer.
    pub characters: usize,
    /// The host's time of its end.
    pub at: Duration,
}

/// A record, and what its time is worth.
#[derive(Clone, Copy)]
struct Kept {
    record: RunRecord,
    /// The earliest time at which the record's own time was still in the future.
    ahead_at: Option<Duration>,
}

impl Kept {
    /// When the run ended, as far as it can have by `now`.
    fn ended(&self, now: Duration) -> Duration {
        if self.record.at <= now {
            self.record.at
        } else {
            self.ahead_at.unwrap_or(now)
        }
    }

    fn is_ahead(&self, now: Duration) -> bool {
        self.record.at > now && self.ahead_at.is_none_or(|seen| seen > now)
    }
}

#[derive(Clone, Default)]
pub(super) struct Records {
    kept: VecDeque<Kept>,
    /// The latest time of those that are gone.
    gone: Option<Duration>,
}

/// The records of a period.
pub(super) struct Period {
    pub(super) records: Vec<RunRecord>,
    /// None of it is gone.
    pub(super) complete: bool,
}

impl Records {
    /// Adds a record. `may_have_lost`: there may have been others of this user.
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

    pub(super) fn are_ahead(&self, now: Duration) -> bool {
        self.kept.iter().any(|kept| kept.is_ahead(now))
    }

    pub(super) fn note_ahead(&mut self, now: Duration) {
        for kept in self.kept.iter_mut().filter(|kept| kept.is_ahead(now)) {
            kept.ahead_at = Some(now);
        }
    }

    pub(super) fn since(&self, from: Duration, now: Duration) -> Period {
        let of_period = self.kept.iter().filter(|kept| kept.ended(now) >= from);
        Period {
            records: of_period.map(|kept| kept.record).collect(),
            complete: self.gone.is_none_or(|gone| gone < from),
        }
    }
}
