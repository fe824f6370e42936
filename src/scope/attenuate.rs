//! Weaker scopes, for code that needs only a part of what a scope can do.

use std::sync::Arc;

use super::UserScope;
use crate::engine::Grant;
use crate::error::AttenuateError;
use crate::limits::Limits;

impl<E: Send + Sync + 'static> UserScope<E> {
    /// Makes a weaker scope of the same user: one that publishes only, or connects only, for one thread, for so
    /// many events, until a deadline.
    ///
    /// ```
    /// # let hub: laneway::Hub<u8> = laneway::Hub::new();
    /// # let ann = hub.scope(laneway::UserId::new("ann")?);
    /// use laneway::{Limits, NotAllowed, PublishError};
    ///
    /// let mut phone = ann.connect()?;
    /// let plug_in = ann.attenuate(Limits::new().publish_only().events(1))?;
    /// assert!(plug_in.publish(7).is_ok());
    /// assert_eq!(plug_in.publish(8), Err(PublishError::NotAllowed(8, NotAllowed::Events)));
    /// assert_eq!(plug_in.connection_count(), 0); // it sees no connections
    /// assert!(plug_in.attenuate(Limits::new())?.publish(9).is_err()); // and never grows stronger
    /// # assert!(phone.try_recv().is_ok() && phone.try_recv().is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// A scope made from a weaker one is weaker still: limits add up, of two deadlines the earlier counts, and an
    /// event is counted by each limit above it. Clones share their count. The host
    /// [revokes](crate::Hub::revoke) a weaker scope with the scope that it was made from.
    ///
    /// A verb that is not allowed returns [`NotAllowed`](crate::NotAllowed) in its error, with the event. Verbs that
    /// list, count or close connections find none.
    ///
    /// A weaker scope is looked at anew, and looks its user up, at each use. Other scopes are not slower for it.
    ///
    /// # Errors
    ///
    /// [`AttenuateError`] if 8 limits by number or by time hold already.
    ///
    /// # Progress
    ///
    /// Wait-free. Uses of the weaker scope are lock-free: a publish takes its unit by an exchange.
    pub fn attenuate(&self, limits: Limits) -> Result<Self, AttenuateError> {
        let pass = &self.cache.pass;
        let grant = Grant::of(pass.grant(), limits)?;
        let core = Arc::clone(&self.core);
        Ok(Self::new(core, self.user.clone(), pass.with(grant)))
    }

    /// Returns how many more events this scope may publish, or `None` if no limit by number holds. Wait-free.
    ///
    /// ```
    /// # let hub: laneway::Hub<u8> = laneway::Hub::new();
    /// # let ann = hub.scope(laneway::UserId::new("ann")?);
    /// # use laneway::Limits;
    /// let weaker = ann.attenuate(Limits::new().events(3))?;
    /// assert_eq!((ann.events_left(), weaker.events_left()), (None, Some(3)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn events_left(&self) -> Option<u64> {
        self.cache.pass.grant().and_then(Grant::events_left)
    }
}
