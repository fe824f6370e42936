//! The limits, the error and the figures of the registry of runs.

use std::error::Error;
use std::fmt;
use std::time::Duration;

/// How long a [`RunRegistry`](crate::protocol::RunRegistry) keeps runs, and how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunLimits {
    /// Runs in all. Default 10 000.
    pub total: usize,
    /// Once the registry is full, users who hold this many runs make room before others do. Default
    /// 1 000.
    pub fair_share: usize,
    /// Time after its last use that a run is kept. Default 24 hours.
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

/// Why a run is not registered. Says nothing of other users.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RunRegistryError {
    /// The user's run belongs to another thread of the user. To move it, remove it first.
    OtherThread,
    /// All places are just being taken or given back; or there is none.
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

/// The figures of a [`RunRegistry`](crate::protocol::RunRegistry).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RunStats {
    /// Runs that were registered, not counting those that were there.
    pub registered: u64,
    /// Runs that made room for others.
    pub evicted: u64,
    /// Runs that were removed because nobody used them for long.
    pub expired: u64,
}
