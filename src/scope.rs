//! The capability bound to one user.

use std::fmt;
use std::sync::Arc;

#[cfg(feature = "jetstream")]
use crate::connection::Connection;
use crate::delivery::Delivery;
use crate::engine::{Cache, Core, Denied, Pass, Use};
use crate::error::PublishError;
use crate::id::UserId;
use crate::lane::Terms;
use crate::revocation::Generation;

// In the order of the documentation, which lists methods by the order of these lines.
mod connect;

mod publish;

mod when_free;

mod devices;

mod rooms;

mod attenuate;

mod ask;

mod pauses;

mod ruled;

/// The only value that publishes to a user and connects that user's devices.
///
/// ```
/// use laneway::{Hub, UserId, UserScope};
///
/// fn greet(scope: &UserScope<String>) -> bool {
///     // This code reaches ann and no other user: no method takes a user's id.
///     scope.publish(format!("hello {}", scope.user())).is_ok()
/// }
///
/// let hub = Hub::new();
/// let ann = hub.scope(UserId::new("ann")?);
/// let _device = ann.connect()?;
/// assert!(greet(&ann));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Which verb
///
/// A lane holds `lane_capacity` events. The verb decides what happens when a device has not read that many:
///
/// | verb | a device that is a whole lane behind | use it for |
/// |---|---|---|
/// | [`publish`](Self::publish) | skips, and receives [`Gap { missed }`](crate::Received::Gap) | typing, progress, presence |
/// | [`publish_critical`](Self::publish_critical) | receives the event, or is closed as [`Overrun`](crate::CloseReason::Overrun) | messages, results |
/// | [`try_publish`](Self::try_publish) | makes the call return [`Full`](PublishError::Full) with the event | a source that can hold events back |
/// | [`publish_timeout`](Self::publish_timeout) | makes the thread sleep and look again, and then return `Full` | a bulk transfer on a thread of its own |
///
/// [`publish_latest`](Self::publish_latest) is `publish` for a state of which only the newest event counts, and
/// [`until`](Self::until) gives a deadline to any of the first three verbs.
///
/// [`to_connection`](Self::to_connection), [`to_thread`](Self::to_thread) and [`to_others`](Self::to_others)
/// have the first three verbs for some of the devices. [`publish_batch`](Self::publish_batch) is a loop of
/// `publish`. A host reaches many users at once by a [`RoomSender`](crate::RoomSender).
///
/// A scope that has connected a device needs no lookup of its user. Any other needs none from its second publish
/// on. So a host keeps a scope for as long as it publishes to the user. A clone is cheap, and looks the user up anew.
///
/// The host can take a scope back: [`Hub::revoke`](crate::Hub::revoke). Code that needs a part of it gets a
/// [weaker one](Self::attenuate).
pub struct UserScope<E: Send + Sync + 'static> {
    core: Arc<Core<E>>,
    user: UserId,
    cache: Cache<E>,
}

impl<E: Send + Sync + 'static> UserScope<E> {
    pub(crate) fn new(core: Arc<Core<E>>, user: UserId, pass: Pass) -> Self {
        Self {
            core,
            user,
            cache: Cache::new(pass),
        }
    }

    /// Returns the id of the user.
    ///
    /// ```
    /// # let hub: laneway::Hub<u8> = laneway::Hub::new();
    /// let ann = hub.scope(laneway::UserId::new("ann")?);
    /// assert_eq!(ann.user().as_str(), "ann");
    /// # Ok::<(), laneway::InvalidId>(())
    /// ```
    #[must_use]
    pub fn user(&self) -> &UserId {
        &self.user
    }

    /// Returns the generation in which the hub made this scope, or the scope that it is a clone of. Wait-free.
    ///
    /// ```
    /// # let hub: laneway::Hub<u8> = laneway::Hub::new();
    /// # let user = laneway::UserId::new("ann")?;
    /// let ann = hub.scope(user);
    /// assert_eq!(ann.made_at(), ann.clone().made_at());
    /// # Ok::<(), laneway::InvalidId>(())
    /// ```
    #[must_use]
    pub fn made_at(&self) -> Generation {
        Generation(self.cache.pass.made_at())
    }

    /// Returns whether the host has [revoked](crate::Hub::revoke) this scope. Wait-free.
    ///
    /// ```
    /// # use laneway::{Hub, Revocation, UserId};
    /// # let hub: Hub<u8> = Hub::new();
    /// let ann = hub.scope(UserId::new("ann")?);
    /// hub.revoke(ann.user(), Revocation::all());
    /// assert!(ann.is_revoked());
    /// # Ok::<(), laneway::InvalidId>(())
    /// ```
    #[must_use]
    pub fn is_revoked(&self) -> bool {
        self.core.is_revoked(&self.user, &self.cache.pass)
    }

    /// Returns whether it is a connection of the same hub.
    #[cfg(feature = "jetstream")]
    pub(crate) fn is_of_hub(&self, connection: &Connection<E>) -> bool {
        connection.is_of(&self.core)
    }

    /// Takes the look at the gate with which each use of the scope begins.
    #[inline]
    fn admit(&self, for_what: Use<'_>) -> Result<(), Denied> {
        self.core.admit(&self.user, &self.cache.pass, for_what)
    }

    #[inline]
    fn deliver(&self, event: E, terms: Terms) -> Result<Delivery, PublishError<E>> {
        self.core
            .deliver(&self.user, Some(&self.cache), event, terms)
    }
}

impl<E: Send + Sync + 'static> Clone for UserScope<E> {
    fn clone(&self) -> Self {
        let pass = self.cache.pass.clone();
        Self::new(Arc::clone(&self.core), self.user.clone(), pass)
    }
}

impl<E: Send + Sync + 'static> fmt::Debug for UserScope<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserScope")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}
