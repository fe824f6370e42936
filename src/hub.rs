//! The hub: makes scopes, sweeps, and tells of all users.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::addressed::Addressed;
use crate::config::Builder;
use crate::engine::{Core, Target};
use crate::error::ConfigError;
use crate::id::UserId;
use crate::lifecycle::{Lifecycle, LifecycleError};
use crate::scope::UserScope;
use crate::stats::HubStats;

/// The routing engine. Cheap to clone; all clones are the same hub.
///
/// Whoever holds a `Hub` can make any user's scope: keep it where users are authenticated and
/// hand out [`UserScope`]s. When the last clone is dropped the hub shuts down.
pub struct Hub<E: Send + Sync + 'static> {
    pub(crate) core: Arc<Core<E>>,
}

impl Hub<()> {
    /// Starts from the default settings. [`Builder::build`] decides the type of the events.
    pub fn builder() -> Builder {
        Builder::default()
    }
}

impl<E: Send + Sync + 'static> Hub<E> {
    /// A hub with the default settings of [`Builder`].
    #[must_use]
    pub fn new() -> Self {
        Self::with_config(Builder::default(), |_| size_of::<E>())
    }

    fn with_config(config: Builder, weigh: fn(&E) -> usize) -> Self {
        Self {
            core: Arc::new(Core::new(config, weigh)),
        }
    }

    /// The capability to publish to one user and to connect as that user.
    ///
    /// Wait-free; allocates nothing for ids up to 24 bytes.
    #[must_use]
    pub fn scope(&self, user: UserId) -> UserScope<E> {
        UserScope::new(Arc::clone(&self.core), user)
    }

    /// The way to one user's connections for a publisher that does not keep a scope: as
    /// [`scope`](Self::scope), but borrowed, and for publishing only. Wait-free.
    #[must_use]
    pub fn to_user<'a>(&'a self, user: &'a UserId) -> Addressed<'a, E> {
        Addressed::new(&self.core, user, None, Target::All)
    }

    /// Users online. Wait-free.
    #[must_use]
    pub fn user_count(&self) -> usize {
        self.core.user_count()
    }

    /// Calls `f` with every user online and the number of their live connections. A user who comes or goes
    /// meanwhile may or may not be among them. Lock-free, linear in the users.
    ///
    /// `f` may take its time, panic and call back into the engine: nothing waits for it, and no more than
    /// 64 users are kept in memory for it.
    ///
    /// ```
    /// # let hub: laneway::Hub<u8> = laneway::Hub::new();
    /// # let ann = hub.scope(laneway::UserId::new("ann").unwrap());
    /// let _devices = (ann.connect().unwrap(), ann.connect().unwrap());
    /// let mut online = Vec::new();
    /// hub.for_each_user(|user, devices| online.push((user.to_string(), devices)));
    /// assert_eq!(online, [("ann".to_owned(), 2)]);
    /// ```
    ///
    /// # Panics
    ///
    /// If `f` does; the other users are not told of then.
    pub fn for_each_user(&self, mut f: impl FnMut(&UserId, usize)) {
        self.core.for_each(|user| {
            let live = user.lane.live();
            if live > 0 {
                f(&user.id, live);
            }
        });
    }

    /// Writes the inner state of every lane, for the report of an incident; no payloads, and no
    /// promise about the form. Lock-free, linear in all there is. `out` may take its time, as in
    /// [`for_each_user`](Self::for_each_user).
    ///
    /// # Errors
    ///
    /// Only those of `out`.
    pub fn dump(&self, out: &mut impl fmt::Write) -> fmt::Result {
        let mut done = writeln!(out, "{:?}", self.stats());
        self.core.for_each(|user| {
            if done.is_ok() {
                done = user.dump(out);
            }
        });
        done
    }

    /// Refuses events and connections from now on and wakes every sleeper. Connections can still
    /// read what was accepted before. Returns how many lanes it closed. Lock-free.
    pub fn shutdown(&self) -> usize {
        self.core.shutdown()
    }

    /// Whether the hub was shut down. Wait-free.
    #[must_use]
    pub fn is_shut_down(&self) -> bool {
        self.core.is_closed()
    }

    /// Closes connections that have been idle for longer than `idle_timeout`, and those that have
    /// lost a critical event without having noticed yet. Returns how many. Lock-free.
    ///
    /// With [`Retention`](crate::Retention) it also drops events that are too old, and ends the lanes
    /// of users who have had no connection for longer than the grace.
    ///
    /// Without retention it also gives back the memory in which a user's unread events were: in the second
    /// call that finds them all read and no new ones unread since the first.
    ///
    /// # Time
    ///
    /// `now` is the time since any fixed moment of the host's choice. A wait starts at the first sweep that
    /// sees its connection, its absent user or its event.
    ///
    /// One sweep lets at most a quarter of each wait pass, however late it comes: of the idle timeout, of the
    /// grace, of the age of events. So no connection is closed for a pause in which its peer could not be heard.
    /// A host sweeps at least four times in the shortest of its waits. With fewer sweeps the waits last longer.
    ///
    /// A sweep at an earlier time than the one before lets no time pass, and later sweeps count from there.
    /// A clock that jumps ahead and back costs a quarter of a wait at most, and makes nothing last for ever.
    ///
    /// ```
    /// # use std::time::Duration;
    /// let idle = Duration::from_secs(40);
    /// let hub = laneway::Hub::builder().idle_timeout(Some(idle)).build::<u8>()?;
    /// let _device = hub.scope(laneway::UserId::new("ann")?).connect()?;
    /// hub.sweep(Duration::ZERO);
    /// let day = Duration::from_secs(86_400);
    /// assert_eq!(hub.sweep(day), 0); // the process was stopped for a day: ten seconds pass
    /// let closed = (1..=4).map(|n| hub.sweep(day + n * idle / 4)).sum::<usize>();
    /// assert_eq!(closed, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn sweep(&self, now: Duration) -> usize {
        self.core.sweep(now)
    }

    /// Asks to be told who connects and who leaves, through a channel that holds `capacity` notices: from 1
    /// to 1 048 576. At most 16 subscribers can listen at a time; one that is dropped makes room.
    ///
    /// While there is a subscriber, each connect and each disconnect takes the short lock of each
    /// subscriber's channel, once for each notice: the only exception to lock-freedom. A subscriber takes the
    /// lock of its own channel. A full channel loses notices, which its [`Lifecycle::lost`] counts, and
    /// delays no call.
    ///
    /// The notices are over when the hub is shut down and no connection is left. A thread that is still
    /// inside the call that closed an earlier connection may tell its last notice after that.
    ///
    /// # Errors
    ///
    /// [`LifecycleError`] if `capacity` is out of its bounds, or there are 16 subscribers.
    pub fn lifecycle(&self, capacity: usize) -> Result<Lifecycle, LifecycleError> {
        self.core.lifecycle(capacity)
    }

    /// The hub's figures, summed over the users online. Lock-free.
    #[must_use]
    pub fn stats(&self) -> HubStats {
        self.core.stats()
    }
}

impl<E: Send + Sync + 'static> Default for Hub<E> {
    fn default() -> Self {
        Self::new()
    }
}

impl<E: Send + Sync + 'static> Clone for Hub<E> {
    fn clone(&self) -> Self {
        self.core.add_handle();
        Self {
            core: Arc::clone(&self.core),
        }
    }
}

impl<E: Send + Sync + 'static> Drop for Hub<E> {
    fn drop(&mut self) {
        self.core.release_handle();
    }
}

impl<E: Send + Sync + 'static> fmt::Debug for Hub<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub")
            .field("users", &self.user_count())
            .finish_non_exhaustive()
    }
}

impl Builder {
    /// Builds the hub.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] names the setting that is out of its bounds.
    pub fn build<E: Send + Sync + 'static>(self) -> Result<Hub<E>, ConfigError> {
        self.build_weighing(|_| size_of::<E>())
    }

    /// As [`build`](Self::build), for events that own more memory than their type shows: `weigh`
    /// says how many bytes one takes. It is asked only if [`Retention::bytes`](crate::Retention::bytes) is set, by the publisher
    /// of an event before the event is accepted; a panic of it reaches the publisher, and the event is
    /// not published.
    ///
    /// # Errors
    ///
    /// As [`build`](Self::build).
    pub fn build_weighing<E: Send + Sync + 'static>(
        self,
        weigh: fn(&E) -> usize,
    ) -> Result<Hub<E>, ConfigError> {
        self.check()?;
        Ok(Hub::with_config(self, weigh))
    }
}
