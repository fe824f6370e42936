//! The settings of rooms, in the builder of a hub.

use super::limits::Memberships;
use crate::config::Builder;

impl Builder {
    /// Sets how many rooms a user may be in: from 1 to 65 536. Default 64.
    ///
    /// ```
    /// # use laneway::{ConfigError, Hub};
    /// let hub = Hub::builder().max_rooms_per_user(200).build::<String>()?;
    /// let refused = Hub::builder().max_rooms_per_user(0).build::<String>();
    /// assert_eq!(refused.unwrap_err(), ConfigError::MaxRoomsPerUser(0));
    /// # Ok::<(), ConfigError>(())
    /// ```
    ///
    /// A join and a leave copy the list of the user's rooms.
    pub fn max_rooms_per_user(mut self, rooms: usize) -> Self {
        self.rooms.max_rooms_per_user = rooms;
        self
    }

    /// Sets how many members a room may have: from 1 to 2³⁰. Default 1 048 576.
    ///
    /// ```
    /// # use laneway::{ConfigError, Hub};
    /// let hub = Hub::builder().max_members_per_room(500).build::<String>()?;
    /// let refused = Hub::builder().max_members_per_room(0).build::<String>();
    /// assert_eq!(refused.unwrap_err(), ConfigError::MaxMembersPerRoom(0));
    /// # Ok::<(), ConfigError>(())
    /// ```
    pub fn max_members_per_room(mut self, members: usize) -> Self {
        self.rooms.max_members_per_room = members;
        self
    }

    /// Sets when a membership ends without a leave. Default [`Memberships::Online`].
    ///
    /// ```
    /// # use laneway::{ConfigError, Hub};
    /// use laneway::Memberships;
    ///
    /// let kept = Memberships::Kept { max_users: 10_000 };
    /// let hub = Hub::builder().memberships(kept).build::<String>()?;
    /// let none = Memberships::Kept { max_users: 0 };
    /// let refused = Hub::builder().memberships(none).build::<String>();
    /// assert_eq!(refused.unwrap_err(), ConfigError::KeptMembers);
    /// # Ok::<(), ConfigError>(())
    /// ```
    pub fn memberships(mut self, memberships: Memberships) -> Self {
        self.rooms.memberships = memberships;
        self
    }
}
