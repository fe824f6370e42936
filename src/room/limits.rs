//! How many rooms and members there may be, and when a membership ends.

use crate::error::ConfigError;

/// When a membership of a room ends without a leave, for
/// [`Builder::memberships`](crate::Builder::memberships).
///
/// ```
/// use laneway::{Hub, Memberships, RoomId, UserId};
///
/// let kept = Memberships::Kept { max_users: 10_000 };
/// let hub: Hub<u8> = Hub::builder().memberships(kept).build()?;
/// let (ann, oslo) = (hub.scope(UserId::new("ann")?), RoomId::new("Oslo")?);
/// ann.join(&oslo)?; // ann is offline
/// let _phone = ann.connect()?;
/// assert_eq!(hub.room(oslo).publish(&7).users, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Memberships {
    /// With the user's lane: when the last connection goes, or with [`Retention`](crate::Retention) when
    /// the grace is over. So a device that comes back in time finds in its replay what came to its rooms.
    ///
    /// A user without a lane cannot join.
    #[default]
    Online,
    /// By a leave only, by [`Hub::forget`](crate::Hub::forget), or by a shutdown. A user may join while
    /// offline.
    ///
    /// The rooms take memory for users who never come back. So at most `max_users` may be in rooms, from 1.
    Kept {
        /// How many users may be in rooms at a time.
        max_users: usize,
    },
}

/// What a join did.
///
/// ```
/// # let hub: laneway::Hub<u8> = laneway::Hub::new();
/// # let ann = hub.scope(laneway::UserId::new("ann")?);
/// # let _phone = ann.connect()?;
/// use laneway::{Joined, RoomId};
///
/// let oslo = RoomId::new("Oslo")?;
/// assert_eq!((ann.join(&oslo)?, ann.join(&oslo)?), (Joined::Now, Joined::Before));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Joined {
    /// The user has become a member.
    Now,
    /// The user was a member already.
    Before,
}

/// The settings of a hub's rooms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RoomLimits {
    pub(crate) max_rooms_per_user: usize,
    pub(crate) max_members_per_room: usize,
    pub(crate) memberships: Memberships,
}

impl Default for RoomLimits {
    fn default() -> Self {
        Self {
            max_rooms_per_user: 64,
            max_members_per_room: 1 << 20,
            memberships: Memberships::Online,
        }
    }
}

impl RoomLimits {
    /// Returns the first setting that is out of its bounds as an error.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        if !(1..=65_536).contains(&self.max_rooms_per_user) {
            return Err(ConfigError::MaxRoomsPerUser(self.max_rooms_per_user));
        }
        if !(1..=1 << 30).contains(&self.max_members_per_room) {
            return Err(ConfigError::MaxMembersPerRoom(self.max_members_per_room));
        }
        if self.memberships == (Memberships::Kept { max_users: 0 }) {
            return Err(ConfigError::KeptMembers);
        }
        Ok(())
    }
}
