//! A handle that does not keep its hub open.

use std::fmt;
use std::sync::{Arc, Weak};

use crate::engine::Core;
use crate::hub::Hub;

/// A handle that does not keep its hub open, from [`Hub::downgrade`]. For timers that sweep.
pub struct WeakHub<E: Send + Sync + 'static> {
    core: Weak<Core<E>>,
}

impl<E: Send + Sync + 'static> Hub<E> {
    /// A handle that does not keep the hub open: the hub shuts down when the last `Hub` is dropped,
    /// whatever weak handles there are. Wait-free.
    ///
    /// ```
    /// use std::time::{Duration, Instant};
    ///
    /// let hub: laneway::Hub<u8> = laneway::Hub::new();
    /// let (weak, start) = (hub.downgrade(), Instant::now());
    /// let sweeper = std::thread::spawn(move || {
    ///     while let Some(hub) = weak.upgrade() {
    ///         hub.sweep(start.elapsed());
    ///         drop(hub); // before the sleep, so that it does not keep the hub open
    ///         std::thread::sleep(Duration::from_millis(5));
    ///     }
    /// });
    /// drop(hub);
    /// sweeper.join().unwrap(); // it ends with the hub
    /// ```
    #[must_use]
    pub fn downgrade(&self) -> WeakHub<E> {
        WeakHub {
            core: Arc::downgrade(&self.core),
        }
    }
}

impl<E: Send + Sync + 'static> WeakHub<E> {
    /// The hub, or `None` once its last [`Hub`] is dropped, for good. Scopes and connections that are
    /// still about do not count. Lock-free.
    ///
    /// The result is a `Hub` as any other. If all others are dropped meanwhile, it is the last, and
    /// dropping it shuts the hub down.
    #[must_use]
    pub fn upgrade(&self) -> Option<Hub<E>> {
        let core = self.core.upgrade()?;
        core.add_handle_if_any().then(|| Hub { core })
    }
}

impl<E: Send + Sync + 'static> Clone for WeakHub<E> {
    fn clone(&self) -> Self {
        Self {
            core: Weak::clone(&self.core),
        }
    }
}

impl<E: Send + Sync + 'static> fmt::Debug for WeakHub<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WeakHub").finish_non_exhaustive()
    }
}
