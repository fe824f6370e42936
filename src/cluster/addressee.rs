//! Whom an event between nodes is for.

use crate::id::{RoomId, UserId};

/// Whom an event between nodes is for: a user, or the members of a room.
///
/// ```
/// use laneway::UserId;
/// use laneway::cluster::{Addressee, CodecError};
///
/// /// For the codec of a host without rooms.
/// fn receiver(to: &Addressee) -> Result<&UserId, CodecError> {
///     match to {
///         Addressee::User(user) => Ok(user),
///         _ => Err(CodecError::new("an event for no user")),
///     }
/// }
/// # assert!(receiver(&UserId::new("ann")?.into()).is_ok());
/// # assert!(receiver(&laneway::RoomId::new("Oslo")?.into()).is_err());
/// # Ok::<(), laneway::InvalidId>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Addressee {
    /// The user's devices.
    User(UserId),
    /// The members of the room, at the node that receives the event.
    Room(RoomId),
}

impl From<UserId> for Addressee {
    fn from(user: UserId) -> Self {
        Self::User(user)
    }
}

impl From<RoomId> for Addressee {
    fn from(room: RoomId) -> Self {
        Self::Room(room)
    }
}
