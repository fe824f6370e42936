//! Some or all of one user's connections, as a publisher addresses them.

use std::fmt;
use std::sync::Arc;

use crate::delivery::Delivery;
use crate::engine::{Cache, Core, Target};
use crate::error::PublishError;
use crate::id::UserId;
use crate::lane::Terms;

/// Some or all of one user's connections: those that are connected at each publish. Borrowed from a
/// scope or from the hub.
///
/// [`Delivery::connections`] counts the ones among them that were open just before the event was accepted.
/// All of the user's connections pass the event's number; those it is not for step over it. Each
/// decides that by itself, so a connection that joins at that moment gets what is for it. An audience
/// other than all connections takes one allocation a publish.
pub struct Addressed<'a, E: Send + Sync + 'static> {
    core: &'a Arc<Core<E>>,
    user: &'a UserId,
    cache: Option<&'a Cache<E>>,
    target: Target<'a>,
}

impl<E: Send + Sync + 'static> Clone for Addressed<'_, E> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<E: Send + Sync + 'static> Copy for Addressed<'_, E> {}

impl<E: Send + Sync + 'static> fmt::Debug for Addressed<'_, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Addressed")
            .field("user", self.user)
            .field("target", &self.target)
            .finish_non_exhaustive()
    }
}

impl<'a, E: Send + Sync + 'static> Addressed<'a, E> {
    pub(crate) fn new(
        core: &'a Arc<Core<E>>,
        user: &'a UserId,
        cache: Option<&'a Cache<E>>,
        target: Target<'a>,
    ) -> Self {
        Self {
            core,
            user,
            cache,
            target,
        }
    }

    /// As [`UserScope::publish`](crate::UserScope::publish).
    ///
    /// # Errors
    ///
    /// [`PublishError`] hands the event back; `NoConnections` if no connection of the audience is there
    /// and none is joining.
    pub fn publish(&self, event: E) -> Result<Delivery, PublishError<E>> {
        self.deliver(event, Terms::OVERWRITE)
    }

    /// As [`UserScope::try_publish`](crate::UserScope::try_publish).
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish), and `Full`.
    pub fn try_publish(&self, event: E) -> Result<Delivery, PublishError<E>> {
        self.deliver(event, Terms::REFUSE)
    }

    /// As [`UserScope::publish_critical`](crate::UserScope::publish_critical). A connection outside of the audience that has not passed the
    /// event when its room is needed is closed too: the lane notes only the event's number.
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish).
    pub fn publish_critical(&self, event: E) -> Result<Delivery, PublishError<E>> {
        self.deliver(event, Terms::CRITICAL)
    }

    #[inline]
    fn deliver(&self, event: E, terms: Terms) -> Result<Delivery, PublishError<E>> {
        self.core
            .deliver(self.user, self.cache, self.target, event, terms)
    }
}
