//! Which of a user's scopes a host revokes, and what happens to the connections.

use crate::id::ConnectionId;

/// A time in the life of a hub, as scopes count it: whether a scope was made before or after.
///
/// ```
/// # let hub: laneway::Hub<u8> = laneway::Hub::new();
/// # let user = laneway::UserId::new("ann")?;
/// let old = hub.scope(user.clone());
/// let change = hub.next_generation(); // ann changes her password
/// let new = hub.scope(user);
/// assert!(old.made_at() < change && change <= new.made_at());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// [`Hub::next_generation`](crate::Hub::next_generation) and each revocation begin one. No clock is
/// read for it. Generations of two hubs have no order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Generation(pub(crate) u64);

/// Which of a user's scopes [`Hub::revoke`](crate::Hub::revoke) revokes, and which of the user's connections
/// it leaves.
///
/// | the host wants | revocation |
/// |---|---|
/// | to lock a user out | `Revocation::all()` |
/// | to end old sessions, with a mark from [`next_generation`](crate::Hub::next_generation) | `Revocation::before(mark)` |
/// | to log out all devices but this one | `Revocation::before(mark).keep_connection(id)` |
/// | no more scopes, but what runs may finish | `Revocation::all().keep_connections()` |
///
/// ```
/// use laneway::{Hub, Revocation, UserId};
///
/// let hub: Hub<u8> = Hub::new();
/// let ann = UserId::new("ann")?;
/// let (phone, laptop) = (hub.scope(ann.clone()), hub.scope(ann.clone()));
/// let (kept, _other) = (phone.connect()?, laptop.connect()?);
/// let mark = hub.next_generation();
/// let fresh = hub.scope(ann.clone()); // for the phone
/// assert_eq!(hub.revoke(&ann, Revocation::before(mark).keep_connection(kept.id())), 1);
/// assert!(fresh.publish(7).is_ok() && laptop.publish(8).unwrap_err().is_revoked());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a revocation does nothing before `Hub::revoke`"]
pub struct Revocation {
    pub(crate) before: Option<Generation>,
    pub(crate) connections: Remaining,
}

/// The connections that a revocation leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Remaining {
    None,
    Only(ConnectionId),
    All,
}

impl Revocation {
    /// Revokes all scopes of the user that there are, and closes all connections.
    ///
    /// ```
    /// # use laneway::{Hub, Revocation, UserId};
    /// # let (hub, user) = (Hub::<u8>::new(), UserId::new("ann")?);
    /// let ann = hub.scope(user.clone());
    /// hub.revoke(&user, Revocation::all());
    /// assert!(ann.is_revoked() && !hub.scope(user).is_revoked());
    /// # Ok::<(), laneway::InvalidId>(())
    /// ```
    pub fn all() -> Self {
        Self {
            before: None,
            connections: Remaining::None,
        }
    }

    /// Revokes the scopes that were made before `generation`, and closes all connections: a connection does
    /// not remember the scope that has made it.
    ///
    /// ```
    /// # use laneway::{Hub, Revocation, UserId};
    /// # let (hub, user) = (Hub::<u8>::new(), UserId::new("ann")?);
    /// let old = hub.scope(user.clone());
    /// let mark = hub.next_generation();
    /// let new = hub.scope(user.clone());
    /// hub.revoke(&user, Revocation::before(mark));
    /// assert!(old.is_revoked() && !new.is_revoked());
    /// # Ok::<(), laneway::InvalidId>(())
    /// ```
    pub fn before(generation: Generation) -> Self {
        Self {
            before: Some(generation),
            ..Self::all()
        }
    }

    /// Closes no connection. What is connected goes on receiving.
    ///
    /// ```
    /// # use laneway::{Hub, Revocation, UserId};
    /// # let (hub, user) = (Hub::<u8>::new(), UserId::new("ann")?);
    /// let device = hub.scope(user.clone()).connect()?;
    /// hub.revoke(&user, Revocation::all().keep_connections());
    /// hub.scope(user).publish(7)?;
    /// assert_eq!(device.unread(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn keep_connections(mut self) -> Self {
        self.connections = Remaining::All;
        self
    }

    /// Closes all connections but this device's.
    ///
    /// ```
    /// # use laneway::{Hub, Revocation, UserId};
    /// # let (hub, user) = (Hub::<u8>::new(), UserId::new("ann")?);
    /// let ann = hub.scope(user.clone());
    /// let (phone, _laptop) = (ann.connect()?, ann.connect()?);
    /// assert_eq!(hub.revoke(&user, Revocation::all().keep_connection(phone.id())), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn keep_connection(mut self, device: ConnectionId) -> Self {
        self.connections = Remaining::Only(device);
        self
    }
}
