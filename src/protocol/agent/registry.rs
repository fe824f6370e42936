//! Which thread a run belongs to.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ahash::RandomState;

use crate::id::{RunId, ThreadId, UserId};
use crate::protocol::agent::registration::{RunLimits, RunRegistryError, RunStats};
use crate::protocol::clock::{Clock, micros};
use crate::protocol::quota::{Quota, ROOTS, Share, mask};
use crate::sync::{AtomicU64, Ordering, pin};
use crate::table::{Keyed, Table};

/// The time of use of a run that is no more. Later than any time.
const GONE: u64 = u64::MAX;

/// A run, and both directions in one.
struct Run {
    key: (UserId, RunId),
    hash: u64,
    thread: ThreadId,
    /// The clock's time of the last use, or [`GONE`]. The one truth about this run.
    used: AtomicU64,
    share: Arc<Share>,
}

impl Keyed for Run {
    type Key = (UserId, RunId);
    fn hash(&self) -> u64 {
        self.hash
    }
    fn key(&self) -> &Self::Key {
        &self.key
    }
}

/// What a use of a run comes to.
enum Touched {
    Live,
    /// Unused for too long since this time.
    Expired(u64),
    Gone,
}

impl Run {
    fn touch(&self, clock: &Clock, now: Duration, lifetime: u64) -> Touched {
        let (read, stamp) = (clock.read(now), clock.stamp(now));
        let mut last = self.used.load(Ordering::Acquire);
        loop {
            if last == GONE {
                return Touched::Gone;
            }
            if read.saturating_sub(last) >= lifetime {
                return Touched::Expired(last);
            }
            let new = last.max(stamp);
            match (self.used).compare_exchange(last, new, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return Touched::Live,
                Err(other) => last = other,
            }
        }
    }
}

/// The runs of agents, each in a thread of the user who owns it. A host has one.
///
/// A run is what was registered and nothing else: no id is looked into. Two users' runs of the same
/// id are two runs. Times are the host's, on any one clock.
///
/// Time passes at sweeps, at each at most a quarter of a [`lifetime`](RunLimits), however late it comes: a host
/// sweeps at least that often. So the first sweep after a pause does not remove what was used before it,
/// a clock that goes back expires nothing early, and one that jumps ahead costs a quarter of a lifetime at most.
/// Registering and [`thread_of`](Self::thread_of) are uses.
///
/// Nothing here locks.
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
pub struct RunRegistry {
    clock: Clock,
    lifetime: u64,
    fair_share: usize,
    quota: Quota,
    runs: Table<Run>,
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
    /// With these limits.
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

    fn find(&self, user: &UserId, run: &RunId) -> Option<Arc<Run>> {
        let is_it = |found: &Run| found.key.1 == *run && found.key.0 == *user;
        let hash = self.hash(user, run);
        Some(self.runs.find(hash, is_it, &pin())?.arc())
    }

    /// Removes a run that was last used then; `true` for the one caller that did. It is no more from
    /// the exchange on.
    fn end(&self, run: &Arc<Run>, last: u64) -> bool {
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

    /// Removes a run whenever it was last used.
    fn end_now(&self, run: &Arc<Run>) -> bool {
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

    /// Registers the user's run, or uses it if it is there. When the registry is full, the run that was
    /// used least recently goes: the user's own if the user holds a [`fair_share`](RunLimits), else
    /// one of those users' who do, else anybody's.
    ///
    /// Lock-free; linear in the number of runs when the registry is full.
    ///
    /// # Errors
    ///
    /// [`RunRegistryError`]: the run is in another thread, or there is no place at all.
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
                    // Whoever ended it has not come to this yet.
                    Touched::Gone => self.runs.remove(&there, &pin()),
                };
                continue;
            }
            let Ok(share) = self.quota.take(user) else {
                self.evict(user)?;
                continue;
            };
            let new = Arc::new(Run {
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
            self.quota.put_back(&new.share);
        }
    }

    /// Makes room for the user, unless somebody else uses what was to go.
    fn evict(&self, user: &UserId) -> Result<(), RunRegistryError> {
        let mut oldest: Option<((u8, u64), Arc<Run>)> = None;
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
        if self.end(&run, last) {
            self.evicted.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    fn expire(&self, run: &Arc<Run>, last: u64) -> bool {
        let ended = self.end(run, last);
        self.expired.fetch_add(u64::from(ended), Ordering::Relaxed);
        ended
    }

    /// The thread of the user's run, which is used by this. `None` if the user has no such run, which
    /// says nothing of other users', or if it has expired. Lock-free.
    #[must_use]
    pub fn thread_of(&self, user: &UserId, run: &RunId, now: Duration) -> Option<ThreadId> {
        let found = self.find(user, run)?;
        let live = matches!(found.touch(&self.clock, now, self.lifetime), Touched::Live);
        live.then(|| found.thread.clone())
    }

    /// The user's runs in a thread, in the order of their ids: those that
    /// [`thread_of`](Self::thread_of) gives this thread for. It uses none. Lock-free, linear in the
    /// number of runs.
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
        // One that was removed and came back during the walk can be met twice.
        runs.dedup();
        runs
    }

    /// Removes the user's run; `false` if the user has none. Lock-free.
    pub fn remove(&self, user: &UserId, run: &RunId) -> bool {
        (self.find(user, run)).is_some_and(|found| self.end_now(&found))
    }

    /// Removes all of the user's runs, and nobody else's; tells how many. One that is registered
    /// meanwhile may stay. Lock-free, linear in the number of runs.
    pub fn remove_user(&self, user: &UserId) -> usize {
        let mut removed = 0;
        self.runs.for_each(|run| {
            removed += usize::from(run.key.0 == *user && self.end_now(run));
        });
        removed
    }

    /// Removes the runs that have not been used for their lifetime; tells how many. Lock-free, linear
    /// in the number of runs.
    pub fn sweep(&self, now: Duration) -> usize {
        let now = self.clock.sweep(now);
        let mut expired = 0;
        self.runs.for_each(|run| {
            let last = run.used.load(Ordering::Acquire);
            // Of one that is gone the time of use is later than now.
            if now.saturating_sub(last) >= self.lifetime {
                expired += usize::from(self.expire(run, last));
            }
        });
        expired
    }

    /// Runs that are there, including those that a sweep has yet to remove. Wait-free.
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
    pub fn stats(&self) -> RunStats {
        let read = |from: &AtomicU64| from.load(Ordering::Relaxed);
        RunStats {
            registered: read(&self.registered),
            evicted: read(&self.evicted),
            expired: read(&self.expired),
        }
    }
}
