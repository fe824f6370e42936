//! The verbs by which a user joins and leaves rooms.

use super::UserScope;
use crate::engine::Use;
use crate::id::RoomId;
use crate::room::error::JoinRoomError;
use crate::room::limits::Joined;

impl<E: Send + Sync + 'static> UserScope<E> {
    /// Makes the user a member of a room: from now on each publish to the room reaches the user.
    ///
    /// ```
    /// # use laneway::{Hub, RoomId, UserId};
    /// # let hub: Hub<u8> = Hub::new();
    /// # let ann = hub.scope(UserId::new("ann")?);
    /// let oslo = RoomId::new("Oslo")?;
    /// let phone = ann.connect()?;
    /// ann.join(&oslo)?;
    /// hub.room(oslo).publish(&7);
    /// assert_eq!(phone.unread(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// All devices of the user are reached, also those that connect later. The membership ends by
    /// [`leave`](Self::leave), and as [`Memberships`](crate::Memberships) says.
    ///
    /// A room needs no making. The host decides which users may join, before it calls. A publish that runs
    /// meanwhile may or may not reach the user.
    ///
    /// # Errors
    ///
    /// [`JoinRoomError`] names the limit that is reached, or says that the user is offline, that the scope was
    /// revoked or has no right to connect, or that the hub was shut down. The user is in the same rooms as before.
    ///
    /// # Progress
    ///
    /// Lock-free. Copies the list of the user's rooms; in a room that had more members, looks at one bit for
    /// each place. The first join of a hub allocates a table as large as the [user
    /// table](crate::Builder::shards).
    pub fn join(&self, room: &RoomId) -> Result<Joined, JoinRoomError> {
        self.admit(Use::Connect(&[]))?;
        self.core.join(&self.user, room)
    }

    /// Ends the user's membership of a room. Returns whether there was one.
    ///
    /// ```
    /// # use laneway::{Hub, RoomId, UserId};
    /// # let hub: Hub<u8> = Hub::new();
    /// # let ann = hub.scope(UserId::new("ann")?);
    /// let oslo = RoomId::new("Oslo")?;
    /// let phone = ann.connect()?;
    /// ann.join(&oslo)?;
    /// assert!(ann.leave(&oslo));
    /// assert_eq!(hub.room(oslo).publish(&7).users, 0);
    /// # assert_eq!(phone.unread(), 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// No publish to the room that begins after this call reaches the user. One that runs meanwhile may. What
    /// was published before stays in the user's lane. A scope that was revoked, or that has no right to connect,
    /// ends no membership.
    ///
    /// # Progress
    ///
    /// Lock-free. Copies the list of the user's rooms.
    pub fn leave(&self, room: &RoomId) -> bool {
        self.admit(Use::Connect(&[])).is_ok() && self.core.leave(&self.user, room)
    }

    /// Returns the rooms that the user is in, in no order. Lock-free.
    ///
    /// ```
    /// # use laneway::{Hub, RoomId, UserId};
    /// # let hub: Hub<u8> = Hub::new();
    /// # let ann = hub.scope(UserId::new("ann")?);
    /// let oslo = RoomId::new("Oslo")?;
    /// let phone = ann.connect()?;
    /// ann.join(&oslo)?;
    /// assert_eq!(ann.rooms(), [oslo]);
    /// drop(phone);
    /// assert!(ann.rooms().is_empty()); // memberships end with the last device
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn rooms(&self) -> Vec<RoomId> {
        match self.admit(Use::Look) {
            Ok(()) => self.core.rooms_of(&self.user),
            Err(_) => Vec::new(),
        }
    }
}
