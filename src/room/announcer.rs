//! The capability to publish to all users online.

use std::fmt;
use std::sync::Arc;

use crate::delivery::RoomDelivery;
use crate::engine::Core;
use crate::hub::Hub;
use crate::lane::Terms;

/// The only value that publishes to all users online, from [`Hub::announcer`]. The host keeps it.
///
/// ```
/// # use laneway::{Hub, UserId};
/// let hub: Hub<&str> = Hub::new();
/// let announcer = hub.announcer();
/// let (ann, bob) = (hub.scope(UserId::new("ann")?), hub.scope(UserId::new("bob")?));
/// let _devices = (ann.connect()?, ann.connect()?, bob.connect()?);
/// let done = announcer.publish(&"down for an hour from 22:00");
/// assert_eq!((done.users, done.connections, done.refused), (2, 3, 0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Announcer<E: Send + Sync + 'static> {
    core: Arc<Core<E>>,
}

impl<E: Send + Sync + 'static> Hub<E> {
    /// Returns the capability to publish to all users online. Wait-free.
    ///
    /// ```
    /// let hub: laneway::Hub<u8> = laneway::Hub::new();
    /// let done = hub.announcer().publish(&7);
    /// assert_eq!(done.users, 0); // no user is online
    /// ```
    #[must_use]
    pub fn announcer(&self) -> Announcer<E> {
        Announcer {
            core: Arc::clone(&self.core),
        }
    }
}

impl<E: Send + Sync + 'static> Announcer<E> {
    /// [Publishes](crate::UserScope::publish) a clone of `event` to each user online.
    ///
    /// ```
    /// # let hub: laneway::Hub<u8> = laneway::Hub::new();
    /// # let ann = hub.scope(laneway::UserId::new("ann")?);
    /// let phone = ann.connect()?;
    /// assert_eq!(hub.announcer().publish(&7).connections, 1);
    /// assert_eq!(phone.unread(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// A user who is online during the whole call is reached once. One who comes or goes meanwhile may or may
    /// not be reached. A user who is away is not reached, also if [`Retention`](crate::Retention) keeps the
    /// lane.
    ///
    /// This is a loop: one user's lane has no effect on another's.
    ///
    /// # Panics
    ///
    /// If the event's `Clone` panics, or if a publish drops an older event whose `Drop` panics. The users
    /// that come after receive nothing then.
    ///
    /// # Progress
    ///
    /// Lock-free, linear in the users. The walk keeps up to 64 users in memory.
    pub fn publish(&self, event: &E) -> RoomDelivery
    where
        E: Clone,
    {
        self.core.announce(event, Terms::OVERWRITE)
    }

    /// Publishes a clone of `event` to each user online as
    /// [`UserScope::publish_critical`](crate::UserScope::publish_critical) does.
    ///
    /// ```
    /// # let hub: laneway::Hub<u8> = laneway::Hub::new();
    /// # let ann = hub.scope(laneway::UserId::new("ann")?);
    /// let _phone = ann.connect()?;
    /// assert_eq!(hub.announcer().publish_critical(&7).users, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Panics
    ///
    /// As [`publish`](Self::publish). Progress is as there.
    pub fn publish_critical(&self, event: &E) -> RoomDelivery
    where
        E: Clone,
    {
        self.core.announce(event, Terms::CRITICAL)
    }
}

impl<E: Send + Sync + 'static> Clone for Announcer<E> {
    fn clone(&self) -> Self {
        Self {
            core: Arc::clone(&self.core),
        }
    }
}

impl<E: Send + Sync + 'static> fmt::Debug for Announcer<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Announcer").finish_non_exhaustive()
    }
}
