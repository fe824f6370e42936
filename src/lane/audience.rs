//! The audience of an event, as a rule that each reader applies to itself.

use super::member::Member;
use crate::id::{ConnectionId, ThreadId};
use crate::sync::{Fault, broken};

/// The connections of a user that an event is for, if not all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Audience {
    Connection(ConnectionId),
    /// All connections but one.
    Others(ConnectionId),
    /// The connections that are attached to a thread.
    Thread(ThreadId),
}

impl Audience {
    /// Returns whether the event is for a connection with this id, attached to this thread.
    pub(crate) fn has(&self, id: ConnectionId, thread: Option<&ThreadId>) -> bool {
        match self {
            Self::Connection(only) => id == *only,
            Self::Others(but) => id != *but,
            Self::Thread(of) => thread == Some(of),
        }
    }

    /// Returns whether the event is for this connection.
    pub(crate) fn has_member(&self, member: &Member) -> bool {
        self.has(member.id, member.thread()) || broken(Fault::ReadWhatIsForOthers)
    }

    /// Returns whether a connection that is just joining can be in the audience. An audience of one
    /// names a connection that is listed already, or that does not exist.
    pub(crate) fn may_have_a_newcomer(&self) -> bool {
        !matches!(self, Self::Connection(_))
    }
}
