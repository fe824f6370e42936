//! Settings of a hub, validated once.

use std::time::Duration;

use crate::error::ConfigError;
use crate::id::ThreadId;
use crate::observe::Sample;
use crate::retention::Retention;
use crate::room::limits::RoomLimits;

#[cfg(any(feature = "tracing", feature = "metrics"))]
mod sample;

/// The rule for a user who opens one connection too many, for [`Builder::limit_policy`].
///
/// ```
/// use laneway::{CloseReason, Closed, Hub, LimitPolicy, UserId};
///
/// let builder = Hub::builder().max_connections_per_user(1);
/// let hub: Hub<u8> = builder.limit_policy(LimitPolicy::EvictOldest).build()?;
/// let ann = hub.scope(UserId::new("ann")?);
/// let (mut old, _new) = (ann.connect()?, ann.connect()?);
/// assert_eq!(old.recv(), Err(Closed { reason: CloseReason::Evicted }));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LimitPolicy {
    /// The new connection is refused as
    /// [`ConnectError::TooManyConnections`](crate::ConnectError::TooManyConnections).
    #[default]
    Refuse,
    /// The connection that was opened first is closed as
    /// [`CloseReason::Evicted`](crate::CloseReason::Evicted).
    EvictOldest,
}

/// The sign that a connection's peer is alive, for [`Builder::activity`].
///
/// ```
/// # use std::time::Duration;
/// use laneway::{Activity, Hub, UserId};
///
/// let second = Duration::from_secs(1);
/// let builder = Hub::builder().idle_timeout(Some(second)).activity(Activity::Touch);
/// let hub: Hub<u8> = builder.build()?;
/// let device = hub.scope(UserId::new("ann")?).connect()?;
/// for n in 0..40 {
///     device.touch(); // the peer answered a ping
///     assert_eq!(hub.sweep(n * second / 4), 0);
/// }
/// assert_eq!((40..46).map(|n| hub.sweep(n * second / 4)).sum::<usize>(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Activity {
    /// The connection received something since the sweep before, or was [touched](crate::Connection::touch).
    ///
    /// For hosts whose peer itself asks for each event. A call that finds nothing to read is no activity, and
    /// neither is a pending [`next`](crate::Connection::next).
    #[default]
    ReadOrTouch,
    /// The connection was touched.
    ///
    /// For hosts with a writer that reads on the peer's behalf. Such a writer goes on reading for a peer that
    /// is gone, as long as the network takes what it writes. The host touches the connection when it hears
    /// of the peer.
    Touch,
}

/// Builds a [`Hub`](crate::Hub), from [`Hub::builder`](crate::Hub::builder).
///
/// ```
/// # use std::time::Duration;
/// use laneway::{Hub, Retention};
///
/// let hub: Hub<String> = Hub::builder()
///     .lane_capacity(256)
///     .max_connections_per_user(20)
///     .idle_timeout(Some(Duration::from_secs(120))) // sweep every 30 s or more often
///     .retention(Some(Retention::events(256)))
///     .build()?;
/// # assert_eq!(hub.user_count(), 0);
/// # Ok::<(), laneway::ConfigError>(())
/// ```
///
/// [`build`](Self::build) checks the bounds of all settings.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Builder {
    pub(crate) lane_capacity: usize,
    pub(crate) max_connections_per_user: usize,
    pub(crate) limit_policy: LimitPolicy,
    pub(crate) shards: usize,
    pub(crate) max_users: usize,
    pub(crate) idle_timeout: Option<Duration>,
    pub(crate) activity: Activity,
    pub(crate) retention: Option<Retention>,
    pub(crate) rooms: RoomLimits,
    pub(crate) sample: Sample,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            lane_capacity: 64,
            max_connections_per_user: 10,
            limit_policy: LimitPolicy::Refuse,
            shards: 65_536,
            max_users: usize::MAX,
            idle_timeout: None,
            activity: Activity::ReadOrTouch,
            retention: None,
            rooms: RoomLimits::default(),
            sample: Sample::default(),
        }
    }
}

/// How many connections a lane with retention can have. While a replay reads an event, it counts there
/// as one more connection, and an event counts both in eight bits together. The lane's own limit,
/// `State::MAX_ARCHIVED`, is the same.
const MAX_CONNECTIONS_WITH_RETENTION: usize = 126;

impl Retention {
    fn validate(&self, connections: usize) -> Result<(), ConfigError> {
        if !(1..=65_536).contains(&self.events) {
            return Err(ConfigError::RetainedEvents(self.events));
        }
        if self.bytes == Some(0) {
            return Err(ConfigError::RetainedBytes);
        }
        if self.age.is_some_and(|age| age.as_millis() == 0) {
            return Err(ConfigError::RetainedAge);
        }
        if connections > MAX_CONNECTIONS_WITH_RETENTION {
            return Err(ConfigError::ConnectionsWithRetention(connections));
        }
        Ok(())
    }
}

/// The length of the longest note on a connection, in bytes.
pub(crate) const MAX_NOTE_BYTES: usize = 1_024;

pub(crate) fn is_lane_capacity(events: usize) -> bool {
    (2..=65_536).contains(&events) && events.is_power_of_two()
}

impl Builder {
    /// Sets how many numbers a device may be behind before it skips events: a power of two from 2 to 65 536.
    /// Default 64.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use laneway::{ConfigError, Hub, LimitPolicy, Retention};
    /// let hub = Hub::builder().lane_capacity(256).build::<String>()?;
    /// let refused = Hub::builder().lane_capacity(100).build::<String>();
    /// assert_eq!(refused.unwrap_err(), ConfigError::LaneCapacity(100));
    /// # Ok::<(), ConfigError>(())
    /// ```
    ///
    /// A lane holds [a few events more](crate#limits). Room is allocated when there are unread events.
    pub fn lane_capacity(mut self, events: usize) -> Self {
        self.lane_capacity = events;
        self
    }
    /// Sets how many live connections a user may have: from 1 to 255, to 126 with retention. Default 10.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use laneway::{ConfigError, Hub, LimitPolicy, Retention};
    /// let hub = Hub::builder().max_connections_per_user(20).build::<String>()?;
    /// let refused = Hub::builder().max_connections_per_user(256).build::<String>();
    /// assert_eq!(refused.unwrap_err(), ConfigError::MaxConnectionsPerUser(256));
    /// # Ok::<(), ConfigError>(())
    /// ```
    pub fn max_connections_per_user(mut self, connections: usize) -> Self {
        self.max_connections_per_user = connections;
        self
    }
    /// Sets the rule for one connection too many. Default [`LimitPolicy::Refuse`].
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use laneway::{ConfigError, Hub, LimitPolicy, Retention};
    /// let hub = Hub::builder().limit_policy(LimitPolicy::EvictOldest).build::<String>()?;
    /// # assert_eq!(hub.user_count(), 0);
    /// # Ok::<(), ConfigError>(())
    /// ```
    pub fn limit_policy(mut self, policy: LimitPolicy) -> Self {
        self.limit_policy = policy;
        self
    }
    /// Sets the root slots of the user table, 8 bytes each: a power of two from 1 to 1 048 576. Default 65 536.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use laneway::{ConfigError, Hub, LimitPolicy, Retention};
    /// let small = Hub::builder().shards(256).build::<String>()?; // for some hundred users
    /// let refused = Hub::builder().shards(100).build::<String>();
    /// assert_eq!(refused.unwrap_err(), ConfigError::Shards(100));
    /// # Ok::<(), ConfigError>(())
    /// ```
    ///
    /// With the default a lookup among 100 000 users follows one or two links. The slots are never resized.
    pub fn shards(mut self, shards: usize) -> Self {
        self.shards = shards;
        self
    }
    /// Sets how many users may be online at a time, from 1. Default: no limit.
    ///
    /// ```
    /// use laneway::{ConnectError, Hub, UserId};
    ///
    /// let hub: Hub<u8> = Hub::builder().max_users(1).build()?;
    /// let _anns = hub.scope(UserId::new("ann")?).connect()?;
    /// let refused = hub.scope(UserId::new("bob")?).connect();
    /// assert_eq!(refused.unwrap_err(), ConnectError::TooManyUsers { limit: 1 });
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn max_users(mut self, users: usize) -> Self {
        self.max_users = users;
        self
    }
    /// Sets how long a connection may show no [`activity`](Self::activity) before a
    /// [sweep](crate::Hub::sweep) closes it. Default: for ever.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use laneway::{ConfigError, Hub, LimitPolicy, Retention};
    /// let hub = Hub::builder()
    ///     .idle_timeout(Some(Duration::from_secs(120))) // sweep every 30 s or more often
    ///     .build::<String>()?;
    /// let refused = Hub::builder().idle_timeout(Some(Duration::ZERO)).build::<String>();
    /// assert_eq!(refused.unwrap_err(), ConfigError::IdleTimeout);
    /// # Ok::<(), ConfigError>(())
    /// ```
    ///
    /// Needs a sweep at least four times in the timeout, because one sweep lets at most a quarter of it pass.
    /// Without sweeps nothing is closed.
    ///
    /// A pending [`next`](crate::Connection::next) or [`recv`](crate::Connection::recv) is no activity. So a
    /// healthy device for which no event comes is idle, unless the host [touches](crate::Connection::touch)
    /// it when it hears of the peer.
    ///
    /// More than zero, else [`ConfigError::IdleTimeout`]. A timeout of more than 139 years is for ever.
    pub fn idle_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.idle_timeout = timeout;
        self
    }

    /// Sets the sign that a connection's peer is alive. Default [`Activity::ReadOrTouch`].
    ///
    /// ```
    /// # use std::time::Duration;
    /// use laneway::{Activity, Hub};
    /// // A task per connection reads and writes to a socket; the peer's pongs touch the connection.
    /// let hub = Hub::builder()
    ///     .idle_timeout(Some(Duration::from_secs(120)))
    ///     .activity(Activity::Touch)
    ///     .build::<String>()?;
    /// # assert_eq!(hub.user_count(), 0);
    /// # Ok::<(), laneway::ConfigError>(())
    /// ```
    pub fn activity(mut self, activity: Activity) -> Self {
        self.activity = activity;
        self
    }

    /// Keeps events that have been read, for devices that come back. Default: off, and then an event is gone
    /// with its last reader.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use laneway::{ConfigError, Hub, LimitPolicy, Retention};
    /// let hub = Hub::builder()
    ///     .retention(Some(Retention::events(256))) // a grace of a minute: sweep every 15 s
    ///     .build::<String>()?;
    /// let refused = Hub::builder().retention(Some(Retention::events(0))).build::<String>();
    /// assert_eq!(refused.unwrap_err(), ConfigError::RetainedEvents(0));
    /// # Ok::<(), ConfigError>(())
    /// ```
    ///
    /// Its [grace](Retention#structfield.grace) and [age](Retention#structfield.age) need a sweep at least four
    /// times in the shorter of them.
    pub fn retention(mut self, retention: Option<Retention>) -> Self {
        self.retention = retention;
        self
    }

    /// Returns the first setting that is out of its bounds as an error.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        if !is_lane_capacity(self.lane_capacity) {
            return Err(ConfigError::LaneCapacity(self.lane_capacity));
        }
        if !(1..=255).contains(&self.max_connections_per_user) {
            return Err(ConfigError::MaxConnectionsPerUser(
                self.max_connections_per_user,
            ));
        }
        if !(1..=1 << 20).contains(&self.shards) || !self.shards.is_power_of_two() {
            return Err(ConfigError::Shards(self.shards));
        }
        if self.max_users == 0 {
            return Err(ConfigError::MaxUsers);
        }
        if self.idle_timeout.is_some_and(|timeout| timeout.is_zero()) {
            return Err(ConfigError::IdleTimeout);
        }
        if let Some(retention) = &self.retention {
            retention.validate(self.max_connections_per_user)?;
        }
        self.rooms.check()
    }
}

/// Settings of one connection, for [`UserScope::connect_with`](crate::UserScope::connect_with).
///
/// ```
/// # let hub: laneway::Hub<u8> = laneway::Hub::new();
/// # let ann = hub.scope(laneway::UserId::new("ann")?);
/// use laneway::{ConnectOptions, ThreadId};
///
/// let thread = Some(ThreadId::new("Oslo")?);
/// let tab = ann.connect_with(ConnectOptions { thread, ..ConnectOptions::default() })?;
/// assert_eq!(tab.thread().unwrap().as_str(), "Oslo");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConnectOptions {
    /// The thread that the connection is attached to.
    pub thread: Option<ThreadId>,
    /// The capacity of the user's lane, if this connection brings the user online: a power of two from 2 to
    /// 65 536. `None` is the hub's setting. Connections that come later share the lane as it is.
    pub lane_capacity: Option<usize>,
    /// A note of the host's on this device, of at most 1 024 bytes: its name, its address, a tag. It is in
    /// [`ConnectionInfo`](crate::ConnectionInfo), and laneway reads no meaning out of it. A connection that
    /// resumes has the note of its own options.
    pub note: Option<Box<str>>,
}

impl ConnectOptions {
    /// With a [`thread`](Self#structfield.thread).
    #[must_use]
    pub fn thread(mut self, thread: ThreadId) -> Self {
        self.thread = Some(thread);
        self
    }
    /// With a [`note`](Self#structfield.note).
    #[must_use]
    pub fn note(mut self, note: impl Into<Box<str>>) -> Self {
        self.note = Some(note.into());
        self
    }
    /// With another [`lane_capacity`](Self#structfield.lane_capacity).
    #[must_use]
    pub fn lane_capacity(mut self, events: usize) -> Self {
        self.lane_capacity = Some(events);
        self
    }
}
