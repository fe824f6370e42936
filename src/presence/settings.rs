//! The settings of a tracker, and why there is none.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use crate::lifecycle::LifecycleError;

/// The settings of a tracker, for [`Hub::presence`](crate::Hub::presence).
///
/// ```
/// use std::time::Duration;
/// use laneway::{Hub, PresenceSettings};
///
/// let hub: Hub<u8> = Hub::new();
/// let settings = PresenceSettings::default().debounce(Duration::from_secs(3)).max_users(50_000);
/// let presence = hub.presence(settings)?;
/// # assert!(presence.is_empty());
/// # Ok::<(), laneway::PresenceError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct PresenceSettings {
    pub(crate) debounce: Duration,
    pub(crate) max_users: usize,
    pub(crate) notices: usize,
}

impl Default for PresenceSettings {
    fn default() -> Self {
        Self {
            debounce: Duration::ZERO,
            max_users: 1_000_000,
            notices: 65_536,
        }
    }
}

impl PresenceSettings {
    /// Sets how long a user has to be without a connection before that counts. Default: not at all.
    ///
    /// ```
    /// use std::time::Duration;
    /// use laneway::{Hub, PresenceSettings, Status, UserId};
    ///
    /// let second = Duration::from_secs(1);
    /// let hub: Hub<u8> = Hub::new();
    /// let mut presence = hub.presence(PresenceSettings::default().debounce(4 * second))?;
    /// let ann = hub.scope(UserId::new("ann")?);
    /// drop(ann.connect()?);
    /// let device = ann.connect()?;
    /// presence.step(0 * second);
    /// drop(device);
    /// for n in 1..=4 {
    ///     presence.step(n * second);
    ///     assert_eq!(presence.status(ann.user()), Status::Online);
    /// }
    /// presence.step(5 * second);
    /// assert_eq!(presence.status(ann.user()), Status::Offline);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// A user who is back before makes no change. A user who comes counts at once. The wait begins at the step
    /// that finds the user gone. One step lets at most a quarter of the wait pass.
    pub fn debounce(mut self, time: Duration) -> Self {
        self.debounce = time;
        self
    }

    /// Sets how many users are tracked, from 1. Default 1 000 000.
    ///
    /// ```
    /// use std::time::Duration;
    /// use laneway::{Hub, PresenceSettings, UserId};
    ///
    /// let hub: Hub<u8> = Hub::new();
    /// let mut presence = hub.presence(PresenceSettings::default().max_users(1))?;
    /// let _ann = hub.scope(UserId::new("ann")?).connect()?;
    /// let _bob = hub.scope(UserId::new("bob")?).connect()?;
    /// let progress = presence.step(Duration::ZERO);
    /// assert_eq!((progress.changes, presence.len()), (1, 1));
    /// assert!(progress.is_full);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// Users beyond that count as offline. When a place is free, the next step looks at all users of the hub.
    pub fn max_users(mut self, users: usize) -> Self {
        self.max_users = users;
        self
    }

    /// Sets how many notices wait between two steps, from 1 to 1 048 576. Default 65 536.
    ///
    /// ```
    /// use std::time::Duration;
    /// use laneway::{Hub, PresenceSettings, UserId};
    ///
    /// let hub: Hub<u8> = Hub::new();
    /// let mut presence = hub.presence(PresenceSettings::default().notices(1))?;
    /// let scope = |n: u32| hub.scope(UserId::new(format!("user {n}")).unwrap());
    /// let _devices: Vec<_> = (0..9).map(|n| scope(n).connect().unwrap()).collect();
    /// assert!(presence.step(Duration::ZERO).has_looked_at_all);
    /// assert_eq!(presence.len(), 9);
    /// # Ok::<(), laneway::PresenceError>(())
    /// ```
    ///
    /// If more come, the next step looks at all users of the hub instead.
    pub fn notices(mut self, notices: usize) -> Self {
        self.notices = notices;
        self
    }
}

/// The reason why there is no tracker, or no subscriber of one.
///
/// ```
/// use laneway::{Hub, PresenceError, PresenceSettings};
///
/// let hub: Hub<u8> = Hub::new();
/// let refused = hub.presence(PresenceSettings::default().max_users(0));
/// assert_eq!(refused.unwrap_err(), PresenceError::MaxUsers);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PresenceError {
    /// A tracker of no users.
    MaxUsers,
    /// The hub has no room for the notices of one more tracker, or not for so many.
    Notices(LifecycleError),
    /// The capacity of a subscriber is not from 1 to 1 048 576.
    Capacity(usize),
    /// The tracker has as many subscribers as it can have.
    #[non_exhaustive]
    TooMany {
        /// How many it can have.
        limit: usize,
    },
}

impl fmt::Display for PresenceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MaxUsers => f.write_str("a tracker needs room for 1 user at least"),
            Self::Notices(error) => error.fmt(f),
            Self::Capacity(n) => write!(f, "the capacity must be from 1 to 1048576, not {n}"),
            Self::TooMany { limit } => write!(f, "there are {limit} subscribers already"),
        }
    }
}

impl Error for PresenceError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Notices(error) => Some(error),
            _ => None,
        }
    }
}

impl From<LifecycleError> for PresenceError {
    fn from(error: LifecycleError) -> Self {
        Self::Notices(error)
    }
}
