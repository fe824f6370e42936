//! The registry of runs: which thread of which user a run belongs to.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ahash::RandomState;

use crate::engine::clock::{Clock, micros};
use crate::id::{RunId, ThreadId, UserId};
use crate::protocol::agent::registration::{RunLimits, RunRegistryError, RunStats};
use crate::protocol::agent::run_entry::{GONE, RunEntry, Touched};
use crate::protocol::quota::{Quota, ROOTS, mask};
use crate::sync::{AtomicU64, Ordering, pin};
use crate::table::Table;

/// The runs of agents, each in one thread of its user. A host has one.
///
/// A run is known once it is registered; the registry reads no meaning out of an id. Equal run ids of
/// two users are two runs.
///
/// ```
/// use std::time::Duration;
/// use laneway::protocol::{RunId, RunRegistry};
/// use laneway::{ThreadId, UserId};
///
/// let runs = RunRegistry::default();
/// let (ann, bob) = (UserId::new("ann")?, UserId::new("bob")?);
/// let (thread, run, now) = (ThreadId::new("t")?, RunId::new("r")?, Duration::ZERO);
/// runs.register(&ann, &run, &thread, now)?;
/// assert_eq!(runs.thread_of(&ann, &run, now), Some(thread.clone()));
/// assert_eq!(runs.runs_of(&ann, &thread, now), [run.clone()]);
/// assert_eq!(runs.thread_of(&bob, &run, now), None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Time
///
/// Times are the host's, on any one clock. A run lives for its [`lifetime`](RunLimits::lifetime) after
/// its last use; [`register`](Self::register) and [`thread_of`](Self::thread_of) are uses. Time passes
/// at sweeps only, and at most a quarter of a lifetime at each. So a host sweeps at least that often.
///
/// * The first sweep after a pause of the process does not remove runs that were in use before it.
/// * A host clock that goes back expires no run early.
/// * A host clock that jumps ahead costs a run at most a quarter of its lifetime.
///
/// # Progress
///
/// No method takes a lock.
pub struct RunRegistry {
    clock: Clock,
    lifetime: u64,
    fair_share: usize,
    quota: Quota,
    runs: Table<RunEntry>,
    hasher: RandomState,
    mask: u64,
    registered: AtomicU64,
    evicted: AtomicU64,
    expired: AtomicU64,
}

impl Default for RunRegistry {
    fn default() -> Self {
        Self::new(RunLimits::default())
    }
}

impl fmt::Debug for RunRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunRegistry")
            .field("len", &self.len())
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

impl RunRegistry {
    /// Creates an empty registry with these limits.
    ///
    /// ```
    /// use laneway::protocol::{RunLimits, RunRegistry};
    ///
    /// assert!(RunRegistry::new(RunLimits::default()).is_empty());
    /// ```
    #[must_use]
    pub fn new(limits: RunLimits) -> Self {
        Self {
            clock: Clock::for_waits_of(limits.lifetime),
            lifetime: micros(limits.lifetime),
            fair_share: limits.fair_share,
            quota: Quota::new(limits.total, usize::MAX),
            runs: Table::new(ROOTS),
            hasher: RandomState::new(),
            mask: mask(limits.total),
            registered: AtomicU64::new(0),
            evicted: AtomicU64::new(0),
            expired: AtomicU64::new(0),
        }
    }

    fn hash(&self, user: &UserId, run: &RunId) -> u64 {
        self.hasher.hash_one((user, run)) & self.mask
    }

    fn find(&self, user: &UserId, run: &RunId) -> Option<Arc<RunEntry>> {
        let is_it = |found: &RunEntry| found.key.1 == *run && found.key.0 == *user;
        let hash = self.hash(user, run);
        Some(self.runs.find(hash, is_it, &pin())?.arc())
    }

    /// Removes a run that was last used at `last`. Returns `true` to the one thread that removed it.
    ///
    /// The run has ended once the exchange succeeds: later steps only tidy the table and the quota.
    fn end(&self, run: &Arc<RunEntry>, last: u64) -> bool {
        let ended = last != GONE
            && (run.used)
                .compare_exchange(last, GONE, Ordering::AcqRel, Ordering::Relaxed)
                .is_ok();
        if ended {
            self.runs.remove(run, &pin());
            self.quota.put_back(&run.share);
        }
        ended
    }

    /// Removes a run, whenever it was last used.
    fn end_now(&self, run: &Arc<RunEntry>) -> bool {
        loop {
            let last = run.used.load(Ordering::Acquire);
            if last == GONE {
                return false;
            }
            if self.end(run, last) {
                return true;
            }
        }
    }

    /// Registers the user's run in a thread. A run that is registered already counts as used.
    ///
    /// In a full registry the run that was used least recently is evicted. First choice are runs of this
    /// user, if it holds a [`fair_share`](RunLimits::fair_share). Second choice are runs of other users who
    /// do. Third choice are all runs. Lock-free, and linear in the number of runs when the registry is full.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use laneway::{ThreadId, UserId, protocol::*};
    /// # let (ann, now) = (UserId::new("ann")?, Duration::ZERO);
    /// # let (runs, run, thread) = (RunRegistry::default(), RunId::new("r")?, ThreadId::new("t")?);
    /// runs.register(&ann, &run, &thread, now)?;
    /// assert_eq!(runs.thread_of(&ann, &run, now), Some(thread));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// * [`RunRegistryError::OtherThread`] if the user's run is registered in another thread.
    /// * [`RunRegistryError::Full`] if there is no run to evict.
    pub fn register(
        &self,
        user: &UserId,
        run: &RunId,
        thread: &ThreadId,
        now: Duration,
    ) -> Result<(), RunRegistryError> {
        loop {
            if let Some(there) = self.find(user, run) {
                match there.touch(&self.clock, now, self.lifetime) {
                    Touched::Live if there.thread == *thread => return Ok(()),
                    Touched::Live => return Err(RunRegistryError::OtherThread),
                    Touched::Expired(last) => self.expire(&there, last),
                    // The thread that ended the run may be stopped before it removes the run from
                    // the table. Without this removal, the loop would wait for that thread.
                    Touched::Gone => self.runs.remove(&there, &pin()),
                };
                continue;
            }
            let Ok(share) = self.quota.take(user) else {
                self.evict(user)?;
                continue;
            };
            let new = Arc::new(RunEntry {
                key: (user.clone(), run.clone()),
                hash: self.hash(user, run),
                thread: thread.clone(),
                used: AtomicU64::new(self.clock.stamp(now)),
                share,
            });
            if self.runs.insert(&new, &pin()).is_ok() {
                self.registered.fetch_add(1, Ordering::Relaxed);
                return Ok(());
            }
            // Another thread has registered this run since `find`. The next round finds it.
            self.quota.put_back(&new.share);
        }
    }

    /// Removes the run that has to make room for the user's.
    fn evict(&self, user: &UserId) -> Result<(), RunRegistryError> {
        let mut oldest: Option<((u8, u64), Arc<RunEntry>)> = None;
        self.runs.for_each(|run| {
            let last = run.used.load(Ordering::Acquire);
            let class = match run.share.held() >= self.fair_share {
                true if run.key.0 == *user => 0,
                true => 1,
                false => 2,
            };
            let is_older = (oldest.as_ref()).is_none_or(|(rank, _)| (class, last) < *rank);
            if last != GONE && is_older {
                oldest = Some(((class, last), Arc::clone(run)));
            }
        });
        let ((_, last), run) = oldest.ok_or(RunRegistryError::Full)?;
        // If another thread has used the run since the walk, it stays. The caller tries again.
        if self.end(&run, last) {
            self.evicted.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Removes a run whose lifetime has ended, and counts it.
    fn expire(&self, run: &Arc<RunEntry>, last: u64) -> bool {
        let ended = self.end(run, last);
        self.expired.fetch_add(u64::from(ended), Ordering::Relaxed);
        ended
    }

    /// Returns the thread of the user's run, and counts this as a use.
    ///
    /// `None` if the user has no such run or it has expired. Other users' runs make no difference.
    /// Lock-free.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use laneway::{ThreadId, UserId, protocol::*};
    /// # let (ann, now) = (UserId::new("ann")?, Duration::ZERO);
    /// # let (runs, run, thread) = (RunRegistry::default(), RunId::new("r")?, ThreadId::new("t")?);
    /// assert_eq!(runs.thread_of(&ann, &run, now), None);
    /// runs.register(&ann, &run, &thread, now)?;
    /// assert_eq!(runs.thread_of(&ann, &run, now), Some(thread));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn thread_of(&self, user: &UserId, run: &RunId, now: Duration) -> Option<ThreadId> {
        let found = self.find(user, run)?;
        let live = matches!(found.touch(&self.clock, now, self.lifetime), Touched::Live);
        live.then(|| found.thread.clone())
    }

    /// Returns the user's live runs in a thread, sorted by id. This is no use of them.
    ///
    /// Lock-free, linear in the number of runs of all users.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use laneway::{ThreadId, UserId, protocol::*};
    /// # let (ann, now) = (UserId::new("ann")?, Duration::ZERO);
    /// # let (runs, run, thread) = (RunRegistry::default(), RunId::new("r")?, ThreadId::new("t")?);
    /// runs.register(&ann, &run, &thread, now)?;
    /// assert_eq!(runs.runs_of(&ann, &thread, now), [run]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn runs_of(&self, user: &UserId, thread: &ThreadId, now: Duration) -> Vec<RunId> {
        let now = self.clock.read(now);
        let mut runs = Vec::new();
        self.runs.for_each(|run| {
            let last = run.used.load(Ordering::Acquire);
            let live = last != GONE && now.saturating_sub(last) < self.lifetime;
            if live && run.thread == *thread && run.key.0 == *user {
                runs.push(run.key.1.clone());
            }
        });
        runs.sort_unstable();
        // A run that is removed and registered again during the walk may be visited twice.
        runs.dedup();
        runs
    }

    /// Removes the user's run. Returns `false` if the user has none. Lock-free.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use laneway::{ThreadId, UserId, protocol::*};
    /// # let (ann, now) = (UserId::new("ann")?, Duration::ZERO);
    /// # let (runs, run, thread) = (RunRegistry::default(), RunId::new("r")?, ThreadId::new("t")?);
    /// runs.register(&ann, &run, &thread, now)?;
    /// assert!(runs.remove(&ann, &run));
    /// assert!(!runs.remove(&ann, &run));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn remove(&self, user: &UserId, run: &RunId) -> bool {
        (self.find(user, run)).is_some_and(|found| self.end_now(&found))
    }

    /// Removes all runs of the user, and returns their number.
    ///
    /// A run that another thread registers during the call may stay. Lock-free, linear in the number of
    /// runs of all users.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use laneway::{ThreadId, UserId, protocol::*};
    /// # let (ann, now) = (UserId::new("ann")?, Duration::ZERO);
    /// # let (runs, run, thread) = (RunRegistry::default(), RunId::new("r")?, ThreadId::new("t")?);
    /// runs.register(&ann, &run, &thread, now)?;
    /// assert_eq!(runs.remove_user(&ann), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn remove_user(&self, user: &UserId) -> usize {
        let mut removed = 0;
        self.runs.for_each(|run| {
            removed += usize::from(run.key.0 == *user && self.end_now(run));
        });
        removed
    }

    /// Removes runs that were not used for their lifetime, and returns their number.
    ///
    /// Lock-free, linear in the number of runs.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use laneway::{ThreadId, UserId, protocol::*};
    /// # let (ann, now) = (UserId::new("ann")?, Duration::ZERO);
    /// # let (runs, run, thread) = (RunRegistry::default(), RunId::new("r")?, ThreadId::new("t")?);
    /// runs.register(&ann, &run, &thread, now)?;
    /// let day = RunLimits::default().lifetime;
    /// let removed: usize = (1..=4).map(|quarter| runs.sweep(now + day * quarter / 4)).sum();
    /// assert_eq!(removed, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn sweep(&self, now: Duration) -> usize {
        let now = self.clock.sweep(now);
        let mut expired = 0;
        self.runs.for_each(|run| {
            let last = run.used.load(Ordering::Acquire);
            // A run that is gone has a time of use later than `now`, so the difference is 0.
            if now.saturating_sub(last) >= self.lifetime {
                expired += usize::from(self.expire(run, last));
            }
        });
        expired
    }

    /// Returns the number of registered runs, including expired ones before their sweep. Wait-free.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use laneway::{ThreadId, UserId, protocol::*};
    /// # let (ann, now) = (UserId::new("ann")?, Duration::ZERO);
    /// # let (runs, run, thread) = (RunRegistry::default(), RunId::new("r")?, ThreadId::new("t")?);
    /// runs.register(&ann, &run, &thread, now)?;
    /// assert_eq!(runs.len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn len(&self) -> usize {
        self.quota.taken()
    }

    /// Returns `true` if no run is registered. Wait-free.
    ///
    /// ```
    /// assert!(laneway::protocol::RunRegistry::default().is_empty());
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
    /// # let (runs, run, thread) = (RunRegistry::default(), RunId::new("r")?, ThreadId::new("t")?);
    /// runs.register(&ann, &run, &thread, now)?;
    /// assert_eq!(runs.stats().registered, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn stats(&self) -> RunStats {
        let read = |from: &AtomicU64| from.load(Ordering::Relaxed);
        RunStats {
            registered: read(&self.registered),
            evicted: read(&self.evicted),
            expired: read(&self.expired),
        }
    }
}
