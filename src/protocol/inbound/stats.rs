//! What a message router tells of itself.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// Handlers of one router, and middlewares of one router.
pub const MAX_HANDLERS: usize = 256;

/// A handler or a middleware cannot be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RegisterError {
    /// A handler of that name is registered already.
    NameTaken,
    /// There are [`MAX_HANDLERS`] already.
    TooMany,
}

impl fmt::Display for RegisterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NameTaken => f.write_str("a handler of that name is registered already"),
            Self::TooMany => write!(f, "a router has at most {MAX_HANDLERS} of them"),
        }
    }
}

impl std::error::Error for RegisterError {}

/// Whether a router can do its job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Status {
    /// No handler of the host's yet, for less than 10 s.
    Initializing,
    /// There is one at least.
    Ready,
    /// No handler of the host's for longer than that.
    Error,
}

/// The figures of a [`MessageRouter`](crate::protocol::MessageRouter): a copy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct DispatchStats {
    /// Messages that came in: of every known type, by its name, and all others under `unknown`. What
    /// was no message has no type.
    pub per_type: BTreeMap<&'static str, u64>,
    /// Those that a handler or a built-in reply took.
    pub routed: u64,
    /// Those that no handler took, of an unknown type or of a known one.
    pub unhandled: u64,
    /// Those whose handler failed or panicked, or whose middleware panicked.
    pub failed: u64,
    /// Those that were no message, or refused by a middleware.
    pub refused: u64,
    /// Those that came again under their message id.
    pub repeated: u64,
    /// Errors that clients told of, by their code: 64 codes of up to 64 bytes, and `OTHER`.
    pub client_errors: BTreeMap<String, u64>,
    /// The host's handlers in the order in which they are asked.
    pub handlers: Vec<Arc<str>>,
}
