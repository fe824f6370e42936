//! What a tracker knows of its users as of its last step.

use super::{Presence, Status};
use crate::id::UserId;
use crate::stats::ConnectionInfo;

impl<E: Send + Sync + 'static> Presence<E> {
    /// Returns a user's status as of the last step.
    ///
    /// ```
    /// use laneway::{Hub, PresenceSettings, Status, UserId};
    ///
    /// let hub: Hub<u8> = Hub::new();
    /// let presence = hub.presence(PresenceSettings::default())?;
    /// assert_eq!(presence.status(&UserId::new("ann")?), Status::Offline);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn status(&self, user: &UserId) -> Status {
        self.users.get(user).map_or(Status::Offline, |t| t.shown)
    }

    /// Returns all users who are not offline as of the last step, in no order.
    ///
    /// ```
    /// use laneway::{Hub, PresenceSettings, UserId};
    ///
    /// let hub: Hub<u8> = Hub::new();
    /// let _phone = hub.scope(UserId::new("ann")?).connect()?;
    /// let presence = hub.presence(PresenceSettings::default())?;
    /// assert_eq!(presence.users().count(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn users(&self) -> impl Iterator<Item = (&UserId, Status)> {
        self.users
            .iter()
            .map(|(user, tracked)| (user, tracked.shown))
    }

    /// Returns how many users are not offline as of the last step.
    ///
    /// ```
    /// # let hub: laneway::Hub<u8> = laneway::Hub::new();
    /// assert_eq!(hub.presence(Default::default())?.len(), 0);
    /// # Ok::<(), laneway::PresenceError>(())
    /// ```
    #[must_use]
    pub fn len(&self) -> usize {
        self.users.len()
    }

    /// Returns whether all users are offline as of the last step.
    ///
    /// ```
    /// # let hub: laneway::Hub<u8> = laneway::Hub::new();
    /// assert!(hub.presence(Default::default())?.is_empty());
    /// # Ok::<(), laneway::PresenceError>(())
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the user's devices now, with the note that the host gave each at connect.
    ///
    /// ```
    /// use laneway::{ConnectOptions, Hub, PresenceSettings, UserId};
    ///
    /// let hub: Hub<u8> = Hub::new();
    /// let ann = hub.scope(UserId::new("ann")?);
    /// let _phone = ann.connect_with(ConnectOptions::default().note("Pixel 9, Oslo"))?;
    /// let presence = hub.presence(PresenceSettings::default())?;
    /// let devices = presence.devices(ann.user());
    /// assert_eq!(devices[0].note.as_deref(), Some("Pixel 9, Oslo"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// The list of [`UserScope::connections`](crate::UserScope::connections). Lock-free, linear in the
    /// connections.
    #[must_use]
    pub fn devices(&self, user: &UserId) -> Vec<ConnectionInfo> {
        self.core.connections(user)
    }
}
