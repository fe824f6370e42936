//! The figures and the status of a message router.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// The most handlers of one router, and the most middlewares.
///
/// ```
/// assert_eq!(laneway::protocol::MAX_HANDLERS, 256);
/// ```
pub const MAX_HANDLERS: usize = 256;

/// The reason why the router did not add a handler or a middleware.
///
/// ```
/// use laneway::protocol::RegisterError;
///
/// let text = RegisterError::NameTaken.to_string();
/// assert_eq!(text, "a handler of that name is registered already");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RegisterError {
    /// A handler of that name is registered.
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

/// Whether a router has a handler of the host's.
///
/// ```
/// use std::{sync::Arc, time::Duration};
/// use laneway::protocol::{MessageRouter, Status};
///
/// let inbound = MessageRouter::new(Arc::default(), Duration::ZERO);
/// assert_eq!(inbound.status(Duration::from_secs(9)), Status::Initializing);
/// assert_eq!(inbound.status(Duration::from_secs(10)), Status::Error);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Status {
    /// It has none, and was created less than 10 s ago.
    Initializing,
    /// It has at least one.
    Ready,
    /// It has none, and was created 10 s ago or earlier.
    Error,
}

/// The figures of a [`MessageRouter`](crate::protocol::MessageRouter), as a copy.
///
/// ```
/// use std::{sync::Arc, time::Duration};
/// use laneway::protocol::{Message, MessageKind, MessageRouter};
/// use laneway::{Hub, UserId};
///
/// let (hub, now) = (Hub::new(), Duration::ZERO);
/// let inbound = MessageRouter::new(Arc::default(), now);
/// let ann = hub.scope(UserId::new("ann")?);
/// let _ = inbound.route(&ann, None, Message::new(MessageKind::Ping), now);
/// let _ = inbound.route_json(&ann, None, br#"{"type": "error", "code": "E1"}"#, now);
/// let stats = inbound.stats();
/// assert_eq!((stats.routed, stats.per_type["ping"], stats.client_errors["E1"]), (2, 1, 1));
/// # Ok::<(), laneway::InvalidId>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct DispatchStats {
    /// Messages that came in, by the name of a known type, and all others under `unknown`. Bytes that
    /// were no message have no type.
    pub per_type: BTreeMap<&'static str, u64>,
    /// Messages that a handler or a built-in reply accepted.
    pub routed: u64,
    /// Messages that no handler accepted, of an unknown type or of a known one.
    pub unhandled: u64,
    /// Messages whose handler failed or panicked, or whose middleware panicked.
    pub failed: u64,
    /// Bytes that were no message, and messages that a middleware refused.
    pub refused: u64,
    /// Messages that came again under their message id.
    pub repeated: u64,
    /// Errors that clients reported, by their code: 64 codes of at most 64 bytes, and `OTHER`.
    pub client_errors: BTreeMap<String, u64>,
    /// The host's handlers in the order in which they are asked.
    pub handlers: Vec<Arc<str>>,
}
