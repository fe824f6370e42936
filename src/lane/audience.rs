//! Whom an event is for, as a rule that each reader applies to itself.

use super::member::Member;
use crate::id::{ConnectionId, ThreadId};
use crate::sync::{Fault, broken};

/// The connections of a user that an event is for, if not all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Audience {
    Connection(ConnectionId),
    /// All but one.
    Others(ConnectionId),
    /// Those attached to a thread.
    Thread(ThreadId),
}

impl Audience {
    /// Whether the event is for a connection with this id, attached to this thread.
    pub(crate) fn has(&self, id: ConnectionId, thread: Option<&ThreadId>) -> bool {
        match self {
            Self::Connection(only) => id == *only,
            Self::Others(but) => id != *but,
            Self::Thread(of) => thread == Some(of),
        }
    }

    /// Whether the event is for this connection.
    pub(crate) fn has_member(&self, member: &Member) -> bool {
        self.has(member.id, member.thread.as_deref()) || broken(Fault::ReadWhatIsForOthers)
    }

    /// Whether a connection that is just coming can be among them. The device with the id of an audience is
    /// listed, or it is not there yet.
    pub(crate) fn may_have_a_newcomer(&self) -> bool {
        !matches!(self, Self::Connection(_))
    }
}
