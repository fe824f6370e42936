//! Settings of a hub, validated once.

use std::time::Duration;

use crate::error::ConfigError;
use crate::id::ThreadId;
use crate::observe::Sample;
use crate::rate::Rate;
use crate::retention::Retention;
use crate::room::limits::RoomLimits;

mod budgets;
mod policy;

#[cfg(any(feature = "tracing", feature = "metrics"))]
mod sample;

pub use policy::{Activity, LimitPolicy};

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
    pub(crate) conflation: Option<usize>,
    pub(crate) unread_watermark: Option<u64>,
    pub(crate) sample: Sample,
    pub(crate) lane_bytes: Option<u64>,
    pub(crate) hub_bytes: Option<u64>,
    pub(crate) rate: Option<Rate>,
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
            conflation: None,
            unread_watermark: None,
            sample: Sample::default(),
            lane_bytes: None,
            hub_bytes: None,
            rate: None,
        }
    }
}

/// How many connections a lane with retention can have. While a replay reads an event, it counts there
/// as one more connection, and an event counts both in eight bits together. The lane's own limit,
/// `State::MAX_ARCHIVED`, is the same.
const MAX_CONNECTIONS_WITH_RETENTION: usize = 126;

/// The most keys of one user that are conflated.
const MAX_CONFLATION_KEYS: usize = 4096;

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

    /// Lets [`publish_latest`](crate::UserScope::publish_latest) conflate, and sets how many keys of one user are
    /// remembered: from 1 to 4096. Default: off, and then each event of a key is delivered.
    ///
    /// ```
    /// # use laneway::ConfigError;
    /// # use laneway::Hub;
    /// let hub = Hub::builder().conflation(Some(16)).build::<String>()?;
    /// let refused = Hub::builder().conflation(Some(0)).build::<String>();
    /// assert_eq!(refused.unwrap_err(), ConfigError::ConflationKeys(0));
    /// # Ok::<(), ConfigError>(())
    /// ```
    ///
    /// Up to eight keys are remembered exactly. More are spread over sets of eight by their hashes, with twice to
    /// four times so many places. All the same a set may be full of them. The key that was published longest ago falls out first. Its next
    /// event then supersedes none of those before, and each of these is delivered: no event is lost by it.
    ///
    /// Each user takes 8 bytes for each set, and 100 bytes or so for each key that was published. A key of more
    /// than 24 bytes takes its length as well.
    pub fn conflation(mut self, keys: Option<usize>) -> Self {
        self.conflation = keys;
        self
    }

    /// Sets how many unread numbers make a connection one that is behind. Default: none is.
    ///
    /// ```
    /// # use std::time::Duration;
    /// use laneway::{Change, Hub, UserId};
    ///
    /// let hub = Hub::builder().unread_watermark(Some(2)).build::<u8>()?;
    /// let ann = hub.scope(UserId::new("ann")?);
    /// let phone = ann.connect()?;
    /// let notices = hub.lifecycle(16)?;
    /// ann.publish_batch([3, 4])?;
    /// hub.sweep(Duration::ZERO);
    /// let Change::Behind { connection, unread, .. } = notices.try_next()?.change else { panic!() };
    /// assert_eq!((connection, unread), (phone.id(), 2));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// Each [sweep](crate::Hub::sweep) looks. It sends a notice [`Behind`](crate::Change::Behind) for a connection
    /// that has come to the watermark since the sweep before, and [`CaughtUp`](crate::Change::CaughtUp) for one that
    /// is below it again. A crossing and its way back between two sweeps are not seen.
    ///
    /// From 1, else [`ConfigError::UnreadWatermark`].
    pub fn unread_watermark(mut self, unread: Option<u64>) -> Self {
        self.unread_watermark = unread;
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
        if let Some(keys) = self.conflation
            && !(1..=MAX_CONFLATION_KEYS).contains(&keys)
        {
            return Err(ConfigError::ConflationKeys(keys));
        }
        if self.unread_watermark == Some(0) {
            return Err(ConfigError::UnreadWatermark);
        }
        self.check_budgets()?;
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
/// let oslo = ThreadId::new("Oslo")?;
/// let tab = ann.connect_with(ConnectOptions::default().thread(oslo.clone()))?;
/// assert_eq!(tab.threads(), [oslo]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConnectOptions {
    /// The threads that the connection is attached to, at most 64. It may be
    /// [attached](crate::Connection::attach) to others later. A connection that takes the place of a live one
    /// of its device and names no thread here keeps the threads of that one.
    pub threads: Vec<ThreadId>,
    /// The capacity of the user's lane, if this connection brings the user online: a power of two from 2 to
    /// 65 536. `None` is the hub's setting. Connections that come later share the lane as it is.
    pub lane_capacity: Option<usize>,
    /// A note of the host's on this device, of at most 1 024 bytes: its name, its address, a tag. It is in
    /// [`ConnectionInfo`](crate::ConnectionInfo), and laneway reads no meaning out of it. A connection that
    /// resumes has the note of its own options.
    pub note: Option<Box<str>>,
}

impl ConnectOptions {
    /// With one more of the [`threads`](Self#structfield.threads).
    #[must_use]
    pub fn thread(mut self, thread: ThreadId) -> Self {
        self.threads.push(thread);
        self
    }
    /// With these [`threads`](Self#structfield.threads) too.
    #[must_use]
    pub fn threads(mut self, threads: impl IntoIterator<Item = ThreadId>) -> Self {
        self.threads.extend(threads);
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
