//! The connections of a user that a publish names.

use crate::id::{ConnectionId, ThreadId};
use crate::lane::audience::Audience;

/// The connections that an event is for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Target<'a> {
    All,
    Connection(ConnectionId),
    Thread(&'a ThreadId),
    Except(ConnectionId),
}

impl Target<'_> {
    /// Returns the rule that readers apply to themselves, or `None` for all connections.
    pub(super) fn audience(&self) -> Option<Audience> {
        match *self {
            Self::All => None,
            Self::Connection(id) => Some(Audience::Connection(id)),
            Self::Thread(thread) => Some(Audience::Thread(thread.clone())),
            Self::Except(id) => Some(Audience::Others(id)),
        }
    }
}
