//! Settings of a hub, validated once.

use std::time::Duration;

use crate::error::ConfigError;
use crate::id::ThreadId;
use crate::retention::Retention;

/// What happens when a user opens one connection too many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LimitPolicy {
    /// The new connection is refused.
    #[default]
    Refuse,
    /// The oldest connection is closed with [`CloseReason::Evicted`](crate::CloseReason::Evicted).
    EvictOldest,
}

/// What shows that a connection's peer is there, for [`Builder::activity`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Activity {
    /// That the connection reads, or is [touched](crate::Connection::touch). Right where the peer itself
    /// asks for each event. A call that finds nothing to read is no activity.
    #[default]
    ReadOrTouch,
    /// That the connection is touched. Right where the host's writer reads on the peer's behalf: a writer
    /// goes on reading for a peer that is gone as long as the network takes what it writes. The host
    /// touches the connection when it hears of the peer.
    Touch,
}

/// Builds a [`Hub`](crate::Hub).
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
        }
    }
}

/// Connections that a lane with retention can have: while a replay reads an event, it counts there
/// as one more, and the two together are counted in eight bits. The lane's own limit,
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

pub(crate) fn is_lane_capacity(events: usize) -> bool {
    (2..=65_536).contains(&events) && events.is_power_of_two()
}

impl Builder {
    /// How many numbers a device may be behind before it skips events: a power of two from 2 to 65 536.
    /// A lane holds [a few events more](crate#limits). Default 64.
    pub fn lane_capacity(mut self, events: usize) -> Self {
        self.lane_capacity = events;
        self
    }
    /// Live connections of one user: from 1 to 255, to 126 with retention. Default 10.
    pub fn max_connections_per_user(mut self, connections: usize) -> Self {
        self.max_connections_per_user = connections;
        self
    }
    /// What happens to one too many. Default [`LimitPolicy::Refuse`].
    pub fn limit_policy(mut self, policy: LimitPolicy) -> Self {
        self.limit_policy = policy;
        self
    }
    /// Root slots of the user table, 8 bytes each: a power of two from 1 to 1 048 576. Default 65 536:
    /// a lookup among 100 000 users then follows one or two links. The slots are never resized.
    pub fn shards(mut self, shards: usize) -> Self {
        self.shards = shards;
        self
    }
    /// Users online at a time. Default: no limit.
    pub fn max_users(mut self, users: usize) -> Self {
        self.max_users = users;
        self
    }
    /// How long a connection may show no [`activity`](Self::activity) before a
    /// [sweep](crate::Hub::sweep) closes it. One sweep lets a quarter of it pass at most. What is longer than
    /// 139 years is for ever. Default: for ever.
    pub fn idle_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.idle_timeout = timeout;
        self
    }

    /// What counts as activity of a connection. Default [`Activity::ReadOrTouch`].
    ///
    /// ```
    /// # use std::time::Duration;
    /// use laneway::{Activity, Hub};
    /// // A task per connection reads and writes to a socket; the peer's pongs touch the connection.
    /// let hub = Hub::builder()
    ///     .idle_timeout(Some(Duration::from_secs(120)))
    ///     .activity(Activity::Touch)
    ///     .build::<String>()?;
    /// # Ok::<(), laneway::ConfigError>(())
    /// ```
    pub fn activity(mut self, activity: Activity) -> Self {
        self.activity = activity;
        self
    }

    /// Keeps events that have been read, for connections that come back. Default: off, and then
    /// an event is gone with its last reader.
    pub fn retention(mut self, retention: Option<Retention>) -> Self {
        self.retention = retention;
        self
    }

    /// Whether all settings are within their bounds.
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
        Ok(())
    }
}

/// Settings of one connection.
///
/// ```
/// use laneway::{ConnectOptions, ThreadId};
///
/// let options = ConnectOptions::default().thread(ThreadId::new("Oslo")?).lane_capacity(256);
/// assert_eq!(options.lane_capacity, Some(256));
/// # Ok::<(), laneway::InvalidId>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConnectOptions {
    /// The thread that the connection is attached to.
    pub thread: Option<ThreadId>,
    /// The capacity of the user's lane, if this connection brings the user online; the hub's
    /// setting if there is none. Connections that come later share the lane as it is.
    pub lane_capacity: Option<usize>,
}

impl ConnectOptions {
    /// With a [`thread`](Self#structfield.thread).
    #[must_use]
    pub fn thread(mut self, thread: ThreadId) -> Self {
        self.thread = Some(thread);
        self
    }
    /// With another [`lane_capacity`](Self#structfield.lane_capacity).
    #[must_use]
    pub fn lane_capacity(mut self, events: usize) -> Self {
        self.lane_capacity = Some(events);
        self
    }
}
