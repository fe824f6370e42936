//! Retention: settings and results where lanes keep events that have been read.

use std::time::Duration;

/// How much a lane keeps of what was read, and how long a user without connections keeps the lane.
///
/// ```
/// use std::time::Duration;
/// use laneway::{Hub, Retention};
///
/// let retention = Retention::events(256).grace(Duration::from_secs(300));
/// let hub: Hub<String> = Hub::builder().retention(Some(retention)).build()?;
/// # assert_eq!(retention.events, 256);
/// # Ok::<(), laneway::ConfigError>(())
/// ```
///
/// Age and grace pass only at calls of [`Hub::sweep`](crate::Hub::sweep). A host with retention sweeps at
/// least four times in the shorter of the two.
///
/// | a publish to a user who | is |
/// |---|---|
/// | has a connection, or had one within the grace | accepted and kept, for a device that [resumes](crate::UserScope::resume) |
/// | has no lane | refused; if it is critical, a lane is made, and the next device can [recover](crate::Connection::recover) it |
///
/// The second column is for events to all connections. The lane drops the oldest events first, an
/// [arena](crate::architecture::lane) at a time where it is full.
///
/// # Costs
///
/// The lane holds a count of each event, so no reader moves an event out: each receives a clone. For the
/// same reason a lane has at most 126 connections. The lane's memory is given back when the lane ends,
/// not after a burst.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Retention {
    /// How many events of one user are kept, from 1 to 65 536. A lane's capacity is raised to the next power
    /// of two, and at most the lane's capacity is kept. Default 64.
    pub events: usize,
    /// How many bytes the kept events of one user weigh together. Counted in steps of 16, and at most 16 MiB
    /// for one event. Events that live connections have still to read stay all the same. Default: no limit.
    pub bytes: Option<usize>,
    /// How old a kept event becomes, from 1 ms.
    ///
    /// Only [`Hub::sweep`](crate::Hub::sweep) drops it, so a host sweeps at least four times in the age. Then
    /// the event goes between the age and one and a half times the age. Add 6 ms and the time of a sweep.
    /// Events that live connections have still to read stay all the same. Default: no limit.
    pub age: Option<Duration>,
    /// How long a user without connections keeps the lane, from the first [sweep](crate::Hub::sweep) that
    /// finds the user away.
    ///
    /// Without sweeps the lane stays. One sweep lets at most a quarter of the grace pass. 0 ends the lane at
    /// that first sweep. Default: one minute.
    pub grace: Duration,
    /// How many users without connections keep their lane, in the whole hub. At the limit the lane of a
    /// user who leaves ends at once, and a critical event to a user without a lane is refused. Default 10 000.
    pub max_absent_users: usize,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            events: 64,
            bytes: None,
            age: None,
            grace: Duration::from_secs(60),
            max_absent_users: 10_000,
        }
    }
}

impl Retention {
    /// Starts from the default, with a number of events for each user.
    ///
    /// ```
    /// let retention = laneway::Retention::events(256);
    /// assert_eq!(retention.grace.as_secs(), 60);
    /// ```
    #[must_use]
    pub fn events(events: usize) -> Self {
        Self {
            events,
            ..Self::default()
        }
    }
    /// Sets [`bytes`](Self#structfield.bytes). Events that own memory need
    /// [`build_weighing`](crate::Builder::build_weighing).
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use laneway::Retention;
    /// let retention = Retention::events(256).bytes(64 * 1024);
    /// assert_eq!(retention.bytes, Some(65_536));
    /// ```
    #[must_use]
    pub fn bytes(mut self, bytes: usize) -> Self {
        self.bytes = Some(bytes);
        self
    }
    /// Sets [`age`](Self#structfield.age).
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use laneway::Retention;
    /// let retention = Retention::events(256).age(Duration::from_secs(600));
    /// assert_eq!(retention.age, Some(Duration::from_secs(600))); // sweep every 15 s: the grace is a minute
    /// ```
    #[must_use]
    pub fn age(mut self, age: Duration) -> Self {
        self.age = Some(age);
        self
    }
    /// Sets [`grace`](Self#structfield.grace).
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use laneway::Retention;
    /// let retention = Retention::events(256).grace(Duration::from_secs(300));
    /// assert_eq!(retention.grace.as_secs(), 300); // sweep every 75 s or more often
    /// ```
    #[must_use]
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }
    /// Sets [`max_absent_users`](Self#structfield.max_absent_users).
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use laneway::Retention;
    /// let retention = Retention::events(256).max_absent_users(1_000);
    /// assert_eq!(retention.max_absent_users, 1_000);
    /// ```
    #[must_use]
    pub fn max_absent_users(mut self, users: usize) -> Self {
        self.max_absent_users = users;
        self
    }
}

/// The result of [`UserScope::resume`](crate::UserScope::resume).
///
/// ```
/// # let hub: laneway::Hub<u8> = laneway::Hub::new();
/// # let ann = hub.scope(laneway::UserId::new("ann")?);
/// # let position = ann.connect()?.position();
/// use laneway::Resumed;
///
/// let (_device, resumed) = ann.resume(&position)?;
/// let reload = match resumed {
///     Resumed::Complete { .. } => false,
///     _ => true, // the client loads its state anew; the events that follow have no hole
/// };
/// # assert!(reload, "this hub has no retention");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[must_use]
#[non_exhaustive]
pub enum Resumed {
    /// The connection receives each event that was for it from the position on. Those with numbers from
    /// `from` up to below `to` are replayed, and live ones follow.
    #[non_exhaustive]
    Complete {
        /// The position's number.
        from: u64,
        /// The number of the first event that comes live.
        to: u64,
    },
    /// Some events are gone. The connection receives each event from number `oldest` on.
    #[non_exhaustive]
    Gap {
        /// How many numbers from the position on are not replayed. Those for other devices count too.
        missed: u64,
        /// The first number that is replayed, or comes live.
        oldest: u64,
    },
    /// The lane of the position is gone: the process was started anew, the user was away for longer than the
    /// grace, or the hub has no retention.
    ///
    /// The connection begins with the next event. It has the device's id, unless the position is of another
    /// hub.
    Reset,
}

/// The result of [`Connection::recover`](crate::Connection::recover).
///
/// ```
/// # let hub: laneway::Hub<u8> = laneway::Hub::new();
/// # let ann = hub.scope(laneway::UserId::new("ann")?);
/// let recovered = ann.connect()?.recover(); // of a hub without retention
/// assert_eq!((recovered.events, recovered.complete), (0, true));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[must_use]
#[non_exhaustive]
pub struct Recovered {
    /// How many events this connection receives now, as far as no other connection receives them before.
    /// Events that it has asked for already do not count again. A closed connection has none.
    pub events: usize,
    /// Whether these are all events that are owed. May be `false` although none is missing, and is never
    /// `true` when one is.
    ///
    /// `false` if a critical event was dropped from the lane since the last recovery that was received to its
    /// end. Where there is a limit of bytes or age, a dropped event of any kind counts.
    ///
    /// A loss is told once, by the first call that comes to it. Of two calls at the same time both may tell it.
    pub complete: bool,
}

/// The reason why a connection receives an event.
///
/// ```
/// # let hub: laneway::Hub<u8> = laneway::Hub::new();
/// # let ann = hub.scope(laneway::UserId::new("ann")?);
/// # let mut device = ann.connect()?;
/// # ann.publish(7)?;
/// use laneway::{Origin, Received};
///
/// let Received::Event(next) = device.recv()? else { panic!("one event is no gap") };
/// assert_eq!(next.origin, Origin::Live);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Origin {
    /// It was connected when the event was accepted.
    #[default]
    Live,
    /// It resumed at a position before the event.
    Replayed,
    /// It recovered a critical event that was accepted while the user had no connection.
    Recovered,
}
