//! The settings of a history, and its errors.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use async_nats::jetstream::stream::{Config, DiscardPolicy, StorageType};

use crate::cluster::subject::Subjects;

/// The settings of a [`History`](crate::cluster::History).
///
/// ```
/// use std::time::Duration;
/// use laneway::cluster::HistoryOptions;
///
/// let options = HistoryOptions::default().events(200).age(Duration::from_secs(600)).in_memory(true);
/// # drop(options);
/// ```
///
/// All nodes of a cluster open its history with the same settings: the last one to open sets them.
#[derive(Clone, Debug)]
#[must_use]
pub struct HistoryOptions {
    pub(super) events: u32,
    age: Duration,
    bytes: u64,
    is_in_memory: bool,
    replicas: u8,
    pub(super) limit: Duration,
}

impl Default for HistoryOptions {
    /// 1 000 events a user, of one hour, 1 GiB in all, in files, without a replica, and 5 s for a call.
    fn default() -> Self {
        Self {
            events: 1_000,
            age: Duration::from_secs(60 * 60),
            bytes: 1 << 30,
            is_in_memory: false,
            replicas: 1,
            limit: Duration::from_secs(5),
        }
    }
}

impl HistoryOptions {
    /// Sets how many frames of a user the history keeps, at least 2. Default 1 000.
    ///
    /// ```
    /// let options = laneway::cluster::HistoryOptions::default().events(100);
    /// # drop(options);
    /// ```
    ///
    /// An event for the user is a frame, and so is the last number that a node tells after a pause.
    pub fn events(mut self, events: u32) -> Self {
        self.events = events.max(2);
        self
    }

    /// Sets how long the history keeps an event, at least a second. Default one hour.
    ///
    /// ```
    /// let day = std::time::Duration::from_secs(24 * 60 * 60);
    /// let options = laneway::cluster::HistoryOptions::default().age(day);
    /// # drop(options);
    /// ```
    pub fn age(mut self, age: Duration) -> Self {
        self.age = age.max(Duration::from_secs(1));
        self
    }

    /// Sets how many bytes the history has of all users. Default 1 GiB.
    ///
    /// ```
    /// let options = laneway::cluster::HistoryOptions::default().bytes(64 << 20);
    /// # drop(options);
    /// ```
    pub fn bytes(mut self, bytes: u64) -> Self {
        self.bytes = bytes;
        self
    }

    /// Sets whether the history is in the memory of the server, and not in files. Default `false`.
    ///
    /// ```
    /// let options = laneway::cluster::HistoryOptions::default().in_memory(true);
    /// # drop(options);
    /// ```
    ///
    /// The server refuses to change it for a history that exists.
    pub fn in_memory(mut self, is_in_memory: bool) -> Self {
        self.is_in_memory = is_in_memory;
        self
    }

    /// Sets on how many servers of a cluster of NATS the history is, 1 to 5. Default 1.
    ///
    /// ```
    /// let options = laneway::cluster::HistoryOptions::default().replicas(3);
    /// # drop(options);
    /// ```
    pub fn replicas(mut self, replicas: u8) -> Self {
        self.replicas = replicas.clamp(1, 5);
        self
    }

    /// Sets how long a call may take. Default 5 s. A call waits for up to two [lingers](crate::cluster::NatsRelay::linger).
    ///
    /// ```
    /// let second = std::time::Duration::from_secs(1);
    /// let options = laneway::cluster::HistoryOptions::default().limit(second);
    /// # drop(options);
    /// ```
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    pub(super) fn config(&self, stream: &str, subjects: &Subjects) -> Config {
        Config {
            name: stream.to_owned(),
            subjects: vec![subjects.users(), subjects.mark()],
            max_messages_per_subject: self.events.into(),
            max_age: self.age,
            max_bytes: self.bytes.try_into().unwrap_or(i64::MAX),
            discard: DiscardPolicy::Old,
            storage: if self.is_in_memory {
                StorageType::Memory
            } else {
                StorageType::File
            },
            num_replicas: self.replicas.into(),
            ..Config::default()
        }
    }
}

/// The reason why a history cannot be opened or read. Live events come all the same.
///
/// ```
/// use laneway::cluster::HistoryError;
///
/// assert_eq!(HistoryError::Foreign.to_string(), "the trail is one of another user's device");
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum HistoryError {
    /// The name is none of a cluster.
    Name,
    /// The trail is one of another user's device.
    Foreign,
    /// The connection is not one of the scope's user at this node.
    Connection,
    /// The node's driver has ended.
    Stopped,
    /// The node's driver does not listen for the user in time. It may not run, or has another name of a cluster.
    Unheard,
    /// The events that this node publishes do not reach the broker in time.
    Queue,
    /// The broker does not answer in time.
    TimedOut,
    /// The broker refuses, or has no `JetStream`.
    Broker(Box<dyn Error + Send + Sync>),
}

impl HistoryError {
    pub(super) fn broker(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Broker(error.into())
    }
}

impl fmt::Display for HistoryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Name => "the name is none of a cluster",
            Self::Foreign => "the trail is one of another user's device",
            Self::Connection => "the connection is not one of the scope's user at this node",
            Self::Stopped => "the driver of the node has ended",
            Self::Unheard => "the driver of the node does not listen for the user",
            Self::Queue => "the node's events do not reach the broker in time",
            Self::TimedOut => "the broker does not answer in time",
            Self::Broker(_) => "the broker refuses",
        })
    }
}

impl Error for HistoryError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Broker(error) => Some(&**error),
            _ => None,
        }
    }
}
