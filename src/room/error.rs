//! Why a user has not become a member of a room.

use std::error::Error;
use std::fmt;

use crate::error::NotAllowed;

/// The reason why a user has not become a member of a room, from
/// [`UserScope::join`](crate::UserScope::join). Nothing has changed then.
///
/// ```
/// use laneway::{Hub, JoinRoomError, RoomId, UserId};
///
/// let hub: Hub<u8> = Hub::builder().max_rooms_per_user(1).build()?;
/// let ann = hub.scope(UserId::new("ann")?);
/// assert_eq!(ann.join(&RoomId::new("Oslo")?), Err(JoinRoomError::Offline));
/// let _phone = ann.connect()?;
/// ann.join(&RoomId::new("Oslo")?)?;
/// let refused = ann.join(&RoomId::new("Rome")?).unwrap_err();
/// assert_eq!(refused, JoinRoomError::TooManyRooms { limit: 1 });
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum JoinRoomError {
    /// The user has no connection and no lane that is kept, and memberships end with the lane.
    Offline,
    /// The user is in as many rooms as allowed.
    TooManyRooms {
        /// The limit.
        limit: usize,
    },
    /// The room has as many members as allowed. Users who are just joining or leaving count.
    RoomFull {
        /// The limit.
        limit: usize,
    },
    /// As many users are in rooms as allowed, where memberships are kept.
    TooManyUsers {
        /// The limit.
        limit: usize,
    },
    /// The host has [revoked](crate::Hub::revoke) the scope.
    Revoked,
    /// The scope is a [weaker one](crate::UserScope::attenuate) that may not connect a device without a
    /// thread.
    NotAllowed(NotAllowed),
    /// The hub was shut down.
    Closed,
}

impl fmt::Display for JoinRoomError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Offline => f.write_str("the user has no live connection"),
            Self::TooManyRooms { limit } => write!(f, "the user is in {limit} rooms already"),
            Self::RoomFull { limit } => write!(f, "the room has {limit} members already"),
            Self::TooManyUsers { limit } => write!(f, "{limit} users are in rooms already"),
            Self::Revoked => f.write_str("the scope was revoked"),
            Self::NotAllowed(missing) => missing.fmt(f),
            Self::Closed => f.write_str("the hub was shut down"),
        }
    }
}
impl Error for JoinRoomError {}
