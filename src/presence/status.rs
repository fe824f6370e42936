//! What a tracker says of a user, and the changes that it reports.

use crate::id::UserId;

/// Whether a user is there.
///
/// ```
/// use std::time::Duration;
/// use laneway::{Hub, PresenceSettings, Retention, Status, UserId};
///
/// let retention = Some(Retention::events(64)); // with a grace of a minute
/// let hub: Hub<u8> = Hub::builder().retention(retention).build()?;
/// let mut presence = hub.presence(PresenceSettings::default())?;
/// let ann = hub.scope(UserId::new("ann")?);
/// drop(ann.connect()?);
/// let device = ann.connect()?;
/// presence.step(Duration::ZERO);
/// assert_eq!(presence.status(ann.user()), Status::Online);
/// drop(device);
/// presence.step(Duration::ZERO);
/// assert_eq!(presence.status(ann.user()), Status::Away);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Status {
    /// The user has no connection, and the user's lane is gone.
    Offline,
    /// The user has no connection. The lane is kept for a device that comes back, by
    /// [`Retention`](crate::Retention).
    Away,
    /// The user has a connection.
    Online,
}

/// One change of a user's status.
///
/// ```
/// use std::time::Duration;
/// use laneway::{Hub, PresenceSettings, PresenceUpdate, Status, UserId};
///
/// let hub: Hub<u8> = Hub::new();
/// let mut presence = hub.presence(PresenceSettings::default())?;
/// let feed = presence.subscribe(16)?;
/// let PresenceUpdate::Snapshot { number, .. } = feed.try_next()? else { panic!("the first") };
/// let _device = hub.scope(UserId::new("ann")?).connect()?;
/// presence.step(Duration::ZERO);
/// let PresenceUpdate::Change(change) = feed.try_next()? else { panic!("a change") };
/// assert_eq!((change.number, change.from, change.to), (number + 1, Status::Offline, Status::Online));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct PresenceChange {
    /// The place among all changes of the tracker: 1 is the first, and there are no holes.
    pub number: u64,
    /// The user.
    pub user: UserId,
    /// The status before. It is the `to` of the user's change before, or `Offline`.
    pub from: Status,
    /// The status now, another one.
    pub to: Status,
}

/// What a subscriber receives, from [`PresenceFeed`](crate::PresenceFeed).
///
/// ```
/// use laneway::{PresenceUpdate, Status, UserId};
/// use std::collections::HashMap;
///
/// /// A client's view, which is right after each update.
/// fn apply(view: &mut HashMap<UserId, Status>, update: PresenceUpdate) {
///     match update {
///         PresenceUpdate::Snapshot { users, .. } => *view = users.into_iter().collect(),
///         PresenceUpdate::Change(change) => drop(view.insert(change.user, change.to)),
///         _ => {} // of a later version
///     }
/// }
/// # let hub = laneway::Hub::<u8>::new();
/// # let mut presence = hub.presence(Default::default())?;
/// # apply(&mut HashMap::new(), presence.subscribe(1)?.try_next()?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum PresenceUpdate {
    /// All users who are not offline. The first update is one, and so is the next one after changes that the
    /// subscriber was too slow for.
    #[non_exhaustive]
    Snapshot {
        /// The number of the last change that it contains. The next change has the number after it.
        number: u64,
        /// The users, in no order.
        users: Vec<(UserId, Status)>,
        /// How many changes the subscriber has not received before this snapshot.
        lost: u64,
    },
    /// One change, after all those before it.
    Change(PresenceChange),
}

/// What one step of a tracker has done, from [`Presence::step`](crate::Presence::step).
///
/// ```
/// # use std::time::Duration;
/// # let hub: laneway::Hub<u8> = laneway::Hub::new();
/// let mut presence = hub.presence(Default::default())?;
/// assert_eq!(presence.step(Duration::ZERO).changes, 0);
/// # Ok::<(), laneway::PresenceError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PresenceStep {
    /// Changes of users' statuses.
    pub changes: u64,
    /// Notices were lost or there was room again, so this step looked at all users of the hub.
    pub has_looked_at_all: bool,
    /// A user is left out and counts as offline: [`max_users`](crate::PresenceSettings::max_users) are tracked.
    pub is_full: bool,
    /// The hub is shut down and no connection is left. No step changes anything any more.
    pub is_over: bool,
}
