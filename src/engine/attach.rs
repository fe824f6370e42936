//! Attachments, by the owner of a connection or by a scope.

use super::core::Core;
use super::user::User;
use crate::error::{AttachError, NotAllowed};
use crate::id::{ConnectionId, ThreadId, UserId};
use crate::lane::attach::Unattached;
use crate::lane::attachments::MAX_ATTACHMENTS;
use crate::lane::member::Member;

impl<E: Send + Sync + 'static> User<E> {
    /// Attaches a connection to a thread. Returns `false` if it is attached already.
    pub(crate) fn attach(&self, member: &Member, thread: &ThreadId) -> Result<bool, AttachError> {
        if !member.is_open() {
            return Err(AttachError::Closed);
        }
        match self.lane.attach(member, thread) {
            Ok(()) => Ok(true),
            Err(Unattached::Already) => Ok(false),
            Err(Unattached::TooMany) => Err(AttachError::TooManyThreads {
                limit: MAX_ATTACHMENTS,
            }),
            Err(Unattached::Closed) => Err(AttachError::Closed),
            Err(Unattached::Bound) => Err(AttachError::NotAllowed(NotAllowed::Thread)),
        }
    }
}

impl<E: Send + Sync + 'static> Core<E> {
    /// Detaches a connection from a thread. Returns whether it was live and attached.
    pub(crate) fn detach(&self, user: &User<E>, member: &Member, thread: &ThreadId) -> bool {
        let is_detached = member.is_open() && user.lane.detach(member, thread);
        if is_detached {
            // A question to the thread may have no device left.
            self.end_questions(&user.id);
        }
        is_detached
    }

    /// Calls `f` with the user's live connection of this id, once for each that is listed until `f`
    /// returns a result.
    pub(crate) fn with_connection<R>(
        &self,
        user: &UserId,
        id: ConnectionId,
        mut f: impl FnMut(&User<E>, &Member) -> Option<R>,
    ) -> Option<R> {
        let found = self.with_user(user, |user| {
            let mut found = None;
            user.lane.for_each(|member| {
                if found.is_none() && member.id == id && member.is_open() {
                    found = f(user, member);
                }
            });
            found
        });
        found.flatten()
    }
}
