//! The hub: makes scopes, sweeps, and reports on all users.

use std::fmt;
use std::sync::Arc;

use crate::addressed::Addressed;
use crate::config::Builder;
use crate::engine::{Core, Target};
use crate::error::ConfigError;
use crate::id::UserId;
use crate::lifecycle::{Lifecycle, LifecycleError};
use crate::scope::UserScope;
use crate::stats::HubStats;

// In the order of the documentation, which lists methods by the order of these lines.
mod time;

mod absent;

mod laggards;

mod revoke;

#[cfg(feature = "metrics")]
mod metrics;

/// The routing engine: makes a [`UserScope`] for each user. All clones are the same hub.
///
/// ```
/// use laneway::{Hub, UserId};
///
/// let hub: Hub<String> = Hub::new();
/// let ann = hub.scope(UserId::new("ann")?);
/// let device = ann.connect()?;
/// ann.publish("hello".to_owned())?;
/// assert_eq!(device.unread(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// A hub has no `publish`: an event goes to one user, and the scope names that user once. Code with a hub
/// can make any user's scope. So a host keeps the hub where it authenticates, and passes scopes on.
///
/// Each device but the last gets a clone of an event, so put a large event into an [`Arc`].
///
/// The hub shuts down when its last clone is dropped. A clone in the task that [sweeps](Self::sweep) keeps
/// it open, so a host with such a task calls [`shutdown`](Self::shutdown).
pub struct Hub<E: Send + Sync + 'static> {
    pub(crate) core: Arc<Core<E>>,
}

impl Hub<()> {
    /// Starts from the default settings. [`Builder::build`] decides the type of the events.
    ///
    /// ```
    /// let hub = laneway::Hub::builder().lane_capacity(256).build::<String>()?;
    /// assert_eq!(hub.user_count(), 0);
    /// # Ok::<(), laneway::ConfigError>(())
    /// ```
    pub fn builder() -> Builder {
        Builder::default()
    }
}

impl<E: Send + Sync + 'static> Hub<E> {
    /// Creates a hub with the default settings of [`Builder`].
    ///
    /// ```
    /// let hub: laneway::Hub<String> = laneway::Hub::new();
    /// assert!(!hub.is_shut_down());
    /// ```
    #[must_use]
    pub fn new() -> Self {
        Self::with_config(Builder::default(), |_| size_of::<E>())
    }

    fn with_config(config: Builder, weigh: fn(&E) -> usize) -> Self {
        Self {
            core: Arc::new(Core::new(config, weigh)),
        }
    }

    /// Returns the capability to publish to one user and to connect that user's devices.
    ///
    /// ```
    /// # use laneway::{Hub, UserId};
    /// # let hub: Hub<u8> = Hub::new();
    /// let ann = hub.scope(UserId::new("ann")?); // after ann has logged in
    /// assert_eq!(ann.user().as_str(), "ann");
    /// # Ok::<(), laneway::InvalidId>(())
    /// ```
    ///
    /// The hub does not have to know the user. [`revoke`](Self::revoke) takes scopes back. Wait-free; allocates
    /// nothing for ids up to 24 bytes.
    #[must_use]
    pub fn scope(&self, user: UserId) -> UserScope<E> {
        let pass = self.core.make_pass();
        UserScope::new(Arc::clone(&self.core), user, pass)
    }

    /// Addresses one user for a publisher that keeps no scope: borrowed, and for publishing only.
    ///
    /// ```
    /// # use laneway::{Hub, UserId};
    /// # let hub: Hub<u8> = Hub::new();
    /// let ann = UserId::new("ann")?;
    /// let _device = hub.scope(ann.clone()).connect()?;
    /// assert_eq!(hub.to_user(&ann).publish(7)?.connections, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// Each publish looks the user up. A [`scope`](Self::scope) keeps the entry that it found. Wait-free.
    #[must_use]
    pub fn to_user<'a>(&'a self, user: &'a UserId) -> Addressed<'a, E> {
        Addressed::new(&self.core, user, None, Target::All)
    }

    /// Returns the number of users with a live connection. Wait-free.
    ///
    /// ```
    /// # let hub: laneway::Hub<u8> = laneway::Hub::new();
    /// # let ann = hub.scope(laneway::UserId::new("ann")?);
    /// let _devices = (ann.connect()?, ann.connect()?);
    /// assert_eq!(hub.user_count(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn user_count(&self) -> usize {
        self.core.user_count()
    }

    /// Returns whether the user has a connection. Lock-free.
    ///
    /// ```
    /// use laneway::{Hub, UserId};
    ///
    /// let (hub, ann) = (Hub::<u8>::new(), UserId::new("ann")?);
    /// let device = hub.scope(ann.clone()).connect()?;
    /// assert!(hub.is_online(&ann));
    /// drop(device);
    /// assert!(!hub.is_online(&ann));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_online(&self, user: &UserId) -> bool {
        self.core.is_online(user)
    }

    /// Calls `f` with each user online and the number of that user's live connections.
    ///
    /// ```
    /// # let hub: laneway::Hub<u8> = laneway::Hub::new();
    /// # let ann = hub.scope(laneway::UserId::new("ann").unwrap());
    /// let _devices = (ann.connect().unwrap(), ann.connect().unwrap());
    /// let mut reached = 0;
    /// hub.for_each_user(|user, _devices| {
    ///     // An event for all users: `f` may publish.
    ///     reached += hub.to_user(user).publish(7).map_or(0, |done| done.connections);
    /// });
    /// assert_eq!(reached, 2);
    /// ```
    ///
    /// The walk may include or miss a user who comes or goes meanwhile. `f` may call any method of this
    /// crate, may take its time, and may panic.
    ///
    /// # Panics
    ///
    /// If `f` does. The walk ends there.
    ///
    /// # Progress
    ///
    /// Lock-free, linear in the users. No other call waits for `f`. While `f` runs, the walk keeps up to 64
    /// users in memory.
    pub fn for_each_user(&self, mut f: impl FnMut(&UserId, usize)) {
        self.core.for_each(|user| {
            let live = user.lane.live();
            if live > 0 {
                f(&user.id, live);
            }
        });
    }

    /// Writes the inner state of each lane, for the report of an incident.
    ///
    /// ```
    /// # let hub: laneway::Hub<u8> = laneway::Hub::new();
    /// # let ann = hub.scope(laneway::UserId::new("ann").unwrap());
    /// let _device = ann.connect().unwrap();
    /// let mut report = String::new();
    /// hub.dump(&mut report)?;
    /// assert!(report.contains("ann"));
    /// # Ok::<(), std::fmt::Error>(())
    /// ```
    ///
    /// The report names all users and has no payloads. Its form may change in any version.
    ///
    /// # Errors
    ///
    /// Only those of `out`.
    ///
    /// # Progress
    ///
    /// Lock-free, linear in the connections. `out` may take its time, as in
    /// [`for_each_user`](Self::for_each_user).
    pub fn dump(&self, out: &mut impl fmt::Write) -> fmt::Result {
        let (accepted, bytes) = (self.accepted(), self.unread_bytes());
        let mut done = writeln!(
            out,
            "{:?}, {accepted} accepted, {bytes} unread bytes",
            self.stats()
        );
        self.core.for_each(|user| {
            if done.is_ok() {
                done = user.dump(out);
            }
        });
        done
    }

    /// Refuses events and connections from now on. Returns how many lanes this call closed.
    ///
    /// ```
    /// # let hub: laneway::Hub<u8> = laneway::Hub::new();
    /// # let ann = hub.scope(laneway::UserId::new("ann")?);
    /// use laneway::{CloseReason, Closed, Received};
    ///
    /// let mut device = ann.connect()?;
    /// ann.publish(7)?;
    /// assert_eq!(hub.shutdown(), 1);
    /// assert!(ann.publish(8).unwrap_err().is_closed());
    /// assert!(matches!(device.recv()?, Received::Event(_))); // what was accepted before
    /// assert_eq!(device.recv(), Err(Closed { reason: CloseReason::Shutdown }));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// Wakes each sleeping connection. Lock-free, linear in the connections.
    pub fn shutdown(&self) -> usize {
        self.core.shutdown()
    }

    /// Returns whether the hub was shut down. A task that sweeps ends then. Wait-free.
    ///
    /// ```
    /// # let hub: laneway::Hub<u8> = laneway::Hub::new();
    /// let sweeper = hub.clone();
    /// hub.shutdown();
    /// assert!(sweeper.is_shut_down());
    /// ```
    #[must_use]
    pub fn is_shut_down(&self) -> bool {
        self.core.is_closed()
    }

    /// Subscribes to notices of connects and disconnects, through a channel for `capacity` notices.
    ///
    /// A list of the users who are online, for all clients:
    ///
    /// ```
    /// use laneway::{Change, Hub, UserId};
    ///
    /// let hub: Hub<String> = Hub::new();
    /// let notices = hub.lifecycle(1024)?;
    /// # let _ann = hub.scope(UserId::new("ann")?).connect()?;
    /// while let Ok(notice) = notices.try_next() {
    ///     if let Change::Online | Change::Offline = notice.change {
    ///         // The notice is a trigger. The hub says what is true now.
    ///         let is_online = hub.scope(notice.user.clone()).connection_count() > 0;
    ///         let text = format!("{}: {is_online}", notice.user);
    ///         hub.for_each_user(|user, _| drop(hub.to_user(user).publish(text.clone())));
    /// #       assert_eq!(text, "ann: true");
    ///     }
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// Notices may come out of order, and a full channel loses them: [`Lifecycle::lost`] counts these. So a
    /// subscriber looks at the hub after each notice, and at all users when `lost` has grown.
    ///
    /// The notices end when the hub is shut down and no connection is left. A thread that is still inside
    /// the call that closed an earlier connection may send its last notice after that.
    ///
    /// # Errors
    ///
    /// [`LifecycleError`] if `capacity` is not from 1 to 1 048 576, or if there are 16 subscribers. A
    /// subscriber that is dropped makes room.
    ///
    /// # Progress
    ///
    /// Lock-free. While there is a subscriber, each connect and each disconnect takes the short lock of each
    /// subscriber's channel, once a notice. No call waits for room in a channel.
    pub fn lifecycle(&self, capacity: usize) -> Result<Lifecycle, LifecycleError> {
        self.core.lifecycle(capacity)
    }

    /// Returns the figures that the hub counts. Wait-free: one load for each figure, whatever the number of users.
    ///
    /// ```
    /// # let hub: laneway::Hub<u8> = laneway::Hub::new();
    /// # let ann = hub.scope(laneway::UserId::new("ann")?);
    /// let _devices = (ann.connect()?, ann.connect()?);
    /// let stats = hub.stats();
    /// assert_eq!((stats.users, stats.connections), (1, 2));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// Each figure is exact while no call is under way. A connection is counted until it is closed, not until it
    /// is dropped. [`accepted`](Self::accepted) and [`unread_bytes`](Self::unread_bytes) are
    /// calls of their own, because they may have to look at each user.
    #[must_use]
    pub fn stats(&self) -> HubStats {
        self.core.stats()
    }

    /// Returns the number of events that lanes have accepted, those of users who went offline included.
    ///
    /// ```
    /// # let hub: laneway::Hub<u8> = laneway::Hub::new();
    /// # let ann = hub.scope(laneway::UserId::new("ann")?);
    /// let device = ann.connect()?;
    /// ann.publish(7)?;
    /// drop(device);
    /// assert_eq!(hub.accepted(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// Each lane counts its own events: a counter of the hub would be one more word that all publishers write.
    /// The figure is exact while no call is under way. An event that is for no connection that is
    /// there, and is kept, counts as well.
    ///
    /// # Progress
    ///
    /// Lock-free, linear in the users: a tenth of a second and more for a million.
    #[must_use]
    pub fn accepted(&self) -> u64 {
        self.core.accepted()
    }

    /// Returns the bytes that the unread and kept events of all users weigh. 0 in a hub without
    /// [`lane_bytes`](Builder::lane_bytes) and [`hub_bytes`](Builder::hub_bytes).
    ///
    /// ```
    /// # use laneway::{Hub, UserId};
    /// let hub = Hub::builder().hub_bytes(Some(1024)).build::<u64>()?;
    /// let ann = hub.scope(UserId::new("ann")?);
    /// let mut device = ann.connect()?;
    /// ann.publish(7)?;
    /// assert_eq!(hub.unread_bytes(), 8);
    /// device.try_recv()?;
    /// assert_eq!(hub.unread_bytes(), 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// With `hub_bytes` this is the sum that the budget is compared with. It has the events of
    /// closed connections that are not dropped, also where such a connection was the user's last one. With
    /// `lane_bytes` alone there is no such sum: the call adds up the lanes of users who are online or kept.
    ///
    /// # Progress
    ///
    /// Wait-free with `hub_bytes`, or with neither: at most one load. With `lane_bytes` alone lock-free, linear in the
    /// users.
    #[must_use]
    pub fn unread_bytes(&self) -> u64 {
        self.core.unread_bytes()
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
    /// ```
    /// use laneway::{ConfigError, Hub};
    ///
    /// let hub: Hub<String> = Hub::builder().lane_capacity(256).build()?;
    /// let refused = Hub::builder().lane_capacity(100).build::<String>();
    /// assert_eq!(refused.unwrap_err(), ConfigError::LaneCapacity(100));
    /// # Ok::<(), ConfigError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ConfigError`] names the setting that is out of its bounds.
    pub fn build<E: Send + Sync + 'static>(self) -> Result<Hub<E>, ConfigError> {
        self.build_weighing(|_| size_of::<E>())
    }

    /// Builds a hub for events that own more memory than their type shows. `weigh` returns an event's bytes.
    ///
    /// ```
    /// use laneway::{Hub, Retention};
    ///
    /// let retention = Retention::events(256).bytes(64 * 1024);
    /// let hub: Hub<String> = Hub::builder()
    ///     .retention(Some(retention))
    ///     .build_weighing(|text: &String| size_of::<String>() + text.len())?;
    /// # assert!(!hub.is_shut_down());
    /// # Ok::<(), laneway::ConfigError>(())
    /// ```
    ///
    /// Only a hub with [`Retention::bytes`](crate::Retention::bytes), [`lane_bytes`](Self::lane_bytes),
    /// [`hub_bytes`](Self::hub_bytes) or a [`rate`](Self::rate) calls `weigh`. The publisher calls it
    /// before its event is accepted. If `weigh` panics, the panic reaches the publisher, and the event is not
    /// published.
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
