//! The connections that are behind.

use super::Hub;
use crate::laggard::{Lag, Laggard};

impl<E: Send + Sync + 'static> Hub<E> {
    /// Returns the `most` slowest connections of all users, the slowest first; at most 1024.
    ///
    /// ```
    /// # let hub: laneway::Hub<u8> = laneway::Hub::new();
    /// # let scope = |name| hub.scope(laneway::UserId::new(name).unwrap());
    /// use laneway::Lag;
    ///
    /// let (ann, bob) = (scope("ann"), scope("bob"));
    /// let _devices = (ann.connect()?, bob.connect()?);
    /// ann.publish(1)?;
    /// bob.publish_batch([1, 2])?;
    /// let slow = hub.laggards(1, Lag::Unread);
    /// assert_eq!((slow[0].user.as_str(), slow[0].unread), ("bob", 2));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// Connections that have read everything are not among them. Of two that are as slow, the one with the lower
    /// id comes first. The order is exact for the figures that the call has seen: the one walk looks at
    /// each connection once, while others read on. [`Lag::Age`] goes by what sweeps saw.
    ///
    /// # Progress
    ///
    /// Lock-free, linear in the connections. Each one found takes at most `most` steps more, and one for
    /// each unread event where the hub weighs.
    #[must_use]
    pub fn laggards(&self, most: usize, by: Lag) -> Vec<Laggard> {
        self.core.laggards(most, by)
    }
}
