//! The audience of an event, as a rule that each reader applies to itself.

use super::attachments::Attachments;
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
    /// Returns whether the event of `number` is for this connection.
    ///
    /// An event for a thread is for the connections that were attached to it when the event was
    /// accepted. A reader that is behind may be attached to other threads by now.
    pub(crate) fn has(&self, member: &Member, number: u64) -> bool {
        let is_attached = |list: &Attachments, of: &ThreadId| list.has(of, number);
        self.has_if(member, is_attached) || broken(Fault::ReadWhatIsForOthers)
    }

    /// Returns whether an event that is accepted now is for this connection.
    pub(crate) fn has_now(&self, member: &Member) -> bool {
        self.has_if(member, Attachments::has_now) || broken(Fault::ReadWhatIsForOthers)
    }

    fn has_if(
        &self,
        member: &Member,
        is_attached: impl FnOnce(&Attachments, &ThreadId) -> bool,
    ) -> bool {
        match self {
            Self::Connection(only) => member.id == *only,
            Self::Others(but) => member.id != *but,
            Self::Thread(of) => member.with_attachments(|list| is_attached(list, of)),
        }
    }

    /// Returns whether a connection that is just joining can be in the audience. An audience of one
    /// names a connection that is listed already, or that does not exist.
    pub(crate) fn may_have_a_newcomer(&self) -> bool {
        !matches!(self, Self::Connection(_))
    }
}
