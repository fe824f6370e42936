//! Revocation: the host takes scopes back that it has handed out.

use super::Hub;
use crate::id::UserId;
use crate::revocation::{Generation, Revocation};

impl<E: Send + Sync + 'static> Hub<E> {
    /// Begins a generation of scopes: those made from now on are told from those made before.
    ///
    /// ```
    /// # use laneway::{Hub, UserId};
    /// # let hub: Hub<u8> = Hub::new();
    /// let mark = hub.next_generation();
    /// assert!(hub.scope(UserId::new("ann")?).made_at() >= mark);
    /// # Ok::<(), laneway::InvalidId>(())
    /// ```
    ///
    /// Wait-free.
    #[must_use]
    pub fn next_generation(&self) -> Generation {
        self.core.next_generation()
    }

    /// Revokes scopes of a user. Returns how many connections it has closed.
    ///
    /// ```
    /// use laneway::{CloseReason, Closed, ConnectError, Hub, Revocation, UserId};
    ///
    /// let (hub, user) = (Hub::<u8>::new(), UserId::new("ann")?);
    /// let ann = hub.scope(user.clone());
    /// let mut device = ann.connect()?;
    /// assert_eq!(hub.revoke(&user, Revocation::all()), 1);
    ///
    /// let refused = ann.publish(7).unwrap_err();
    /// assert!(refused.is_revoked() && refused.into_inner() == 7);
    /// assert_eq!(ann.connect().unwrap_err(), ConnectError::Revoked);
    /// assert_eq!(device.recv(), Err(Closed { reason: CloseReason::Revoked }));
    /// assert!(hub.scope(user).connect().is_ok()); // after ann has logged in again
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// When the call has returned, no use of a revoked scope that begins later succeeds. Clones of a revoked scope
    /// are revoked as well. Each use of a scope is decided at one moment, when it begins: a publish that has
    /// begun before the call may end after it.
    ///
    /// | a revoked scope | does |
    /// |---|---|
    /// | publishes, addresses, publishes a batch | returns [`PublishError::Revoked`](crate::PublishError::Revoked) with the event |
    /// | connects, resumes | returns [`ConnectError::Revoked`](crate::ConnectError::Revoked) |
    /// | disconnects, lists or counts connections, dumps | finds none |
    ///
    /// The [`Revocation`] says which connections are closed, as
    /// [`CloseReason::Revoked`](crate::CloseReason::Revoked). A connection that joins at the same moment through a
    /// revoked scope is closed or refused. One that joins through a newer scope may be closed as well.
    ///
    /// Code that holds a [`Hub`] is the host's: [`to_user`](Self::to_user) and new scopes are not revoked.
    ///
    /// # Bounds
    ///
    /// The hub remembers the revocations of 65 536 users, one entry a user, for ever. Beyond that the oldest
    /// eighth makes room. From then on the hub refuses each scope that is older than those revocations,
    /// **whatever its user is**. So a revoked scope stays revoked, and a host that revokes so often hands out
    /// new scopes to its oldest sessions. More threads than one in this call may exceed the bound by one each.
    ///
    /// Each scope takes one lookup at its first use after a revocation of any user. A scope is otherwise not
    /// slower.
    ///
    /// # Progress
    ///
    /// Lock-free, linear in the user's connections. Once in 8 192 revoked users it is linear in the
    /// revocations. While the hub has [subscribers](Self::lifecycle), takes the short lock of each one's channel.
    pub fn revoke(&self, user: &UserId, revocation: Revocation) -> usize {
        self.core.revoke(user, &revocation)
    }

    /// Returns how many users have revocations that the hub remembers one by one. Wait-free.
    ///
    /// ```
    /// # use laneway::{Hub, Revocation, UserId};
    /// # let hub: Hub<u8> = Hub::new();
    /// hub.revoke(&UserId::new("ann")?, Revocation::all());
    /// assert_eq!(hub.revoked_users(), 1);
    /// # Ok::<(), laneway::InvalidId>(())
    /// ```
    #[must_use]
    pub fn revoked_users(&self) -> usize {
        self.core.revoked_users()
    }
}
