//! The values of the registry of runs: limits, error and figures.

use std::error::Error;
use std::fmt;
use std::time::Duration;

/// The number of runs that a [`RunRegistry`](crate::protocol::RunRegistry) keeps, and for how long.
///
/// ```
/// use laneway::protocol::{RunLimits, RunRegistry};
///
/// let limits = RunLimits { total: 100, ..RunLimits::default() };
/// assert_eq!(RunRegistry::new(limits).len(), 0);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunLimits {
    /// Runs of all users. Default 10 000.
    pub total: usize,
    /// Runs of one user, from which on the user's runs are evicted first in a full registry. Default 1 000.
    pub fair_share: usize,
    /// The time after its last use for which a run is kept. Default 24 hours.
    pub lifetime: Duration,
}

impl Default for RunLimits {
    fn default() -> Self {
        Self {
            total: 10_000,
            fair_share: 1_000,
            lifetime: Duration::from_secs(24 * 60 * 60),
        }
    }
}

impl RunLimits {
    /// With another [`total`](Self#structfield.total).
    #[must_use]
    pub fn total(mut self, runs: usize) -> Self {
        self.total = runs;
        self
    }
    /// With another [`fair_share`](Self#structfield.fair_share).
    #[must_use]
    pub fn fair_share(mut self, runs: usize) -> Self {
        self.fair_share = runs;
        self
    }
    /// With another [`lifetime`](Self#structfield.lifetime).
    #[must_use]
    pub fn lifetime(mut self, time: Duration) -> Self {
        self.lifetime = time;
        self
    }
}

/// The reason why a run is not registered. It names no other user.
///
/// ```
/// # use std::time::Duration;
/// # use laneway::{ThreadId, UserId, protocol::*};
/// # let (ann, now) = (UserId::new("ann")?, Duration::ZERO);
/// # let (runs, run, thread) = (RunRegistry::default(), RunId::new("r")?, ThreadId::new("t")?);
/// runs.register(&ann, &run, &thread, now)?;
/// let moved = runs.register(&ann, &run, &ThreadId::new("other")?, now);
/// assert_eq!(moved, Err(RunRegistryError::OtherThread));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RunRegistryError {
    /// The user's run is registered in another thread. To move the run, remove it first.
    OtherThread,
    /// The limit is 0, or other threads hold all places and have not finished taking or returning them.
    Full,
}

impl fmt::Display for RunRegistryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OtherThread => "the run belongs to another thread",
            Self::Full => "there is no room for the run",
        })
    }
}

impl Error for RunRegistryError {}

/// The figures of a [`RunRegistry`](crate::protocol::RunRegistry), since it was created.
///
/// ```
/// # use std::time::Duration;
/// # use laneway::{ThreadId, UserId, protocol::*};
/// # let (ann, now) = (UserId::new("ann")?, Duration::ZERO);
/// # let (runs, run, thread) = (RunRegistry::default(), RunId::new("r")?, ThreadId::new("t")?);
/// runs.register(&ann, &run, &thread, now)?;
/// runs.register(&ann, &run, &thread, now)?; // the same run again
/// assert_eq!(runs.stats().registered, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct RunStats {
    /// Runs that were added. Registering a run again does not count.
    pub registered: u64,
    /// Runs that were evicted from a full registry.
    pub evicted: u64,
    /// Runs that were removed at the end of their lifetime.
    pub expired: u64,
}
