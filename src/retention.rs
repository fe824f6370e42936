//! What a host sets and gets where lanes keep events that have been read.

use std::time::Duration;

/// How much of what was read a lane keeps, and how long a user without connections keeps the lane;
/// for [`Builder::retention`](crate::Builder::retention).
///
/// In a lane that keeps events every publish to all of the user's connections is accepted, also while the
/// user has none: what is published then is there for a connection that
/// [resumes](crate::UserScope::resume). A user who is not known has no lane. An ordinary publish to them is
/// refused; a critical one makes a lane for them, and their next connection can
/// [recover](crate::Connection::recover) it.
///
/// Events are dropped oldest first, an [arena](crate::architecture::lane) at a time where the lane is full.
/// Since the lane holds a count of each, no reader moves an event out: each gets a clone. For the same
/// reason a lane with retention has at most 126 connections. Its memory is given back when it ends, not
/// after a burst.
///
/// ```
/// use std::time::Duration;
///
/// let retention = laneway::Retention::events(256).grace(Duration::from_secs(300));
/// let hub = laneway::Hub::builder().retention(Some(retention)).build::<String>();
/// assert!(hub.is_ok());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Retention {
    /// Events of one user, from 1 to 65 536: a lane's capacity is raised to the next power of two,
    /// and what is kept is at most the lane's capacity. Default 64.
    pub events: usize,
    /// What the events of one user may weigh together, in bytes; counted in steps of 16, and at most
    /// 16 MiB for one event. What live connections have still to read stays all the same. Default:
    /// no limit.
    pub bytes: Option<usize>,
    /// How old an event may become: [`Hub::sweep`](crate::Hub::sweep) drops it after that, and
    /// before one and a half times that and 6 ms if it comes often, give or take what a sweep takes.
    /// What live connections have still to read stays all the same. Default: no limit.
    pub age: Option<Duration>,
    /// How long a user without connections keeps the lane: from the first [sweep](crate::Hub::sweep) that
    /// sees it so. One sweep lets a quarter of it pass at most. 0: until that first sweep. Default: one
    /// minute.
    pub grace: Duration,
    /// Users without connections who keep their lane, in the whole hub. With one more the lane
    /// of the user who leaves ends at once, and a critical event to an unknown user is refused.
    /// Default 10 000.
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
    /// The default, with so many events of each user.
    #[must_use]
    pub fn events(events: usize) -> Self {
        Self {
            events,
            ..Self::default()
        }
    }
    /// With other [`bytes`](Self#structfield.bytes).
    #[must_use]
    pub fn bytes(mut self, bytes: usize) -> Self {
        self.bytes = Some(bytes);
        self
    }
    /// With another [`age`](Self#structfield.age).
    #[must_use]
    pub fn age(mut self, age: Duration) -> Self {
        self.age = Some(age);
        self
    }
    /// With another [`grace`](Self#structfield.grace).
    #[must_use]
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }
    /// With other [`max_absent_users`](Self#structfield.max_absent_users).
    #[must_use]
    pub fn max_absent_users(mut self, users: usize) -> Self {
        self.max_absent_users = users;
        self
    }
}

/// What came of [`UserScope::resume`](crate::UserScope::resume).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[must_use]
#[non_exhaustive]
pub enum Resumed {
    /// The connection receives every event that was for it from the position on: those with numbers
    /// from `from` up to below `to` as a replay, then live ones.
    #[non_exhaustive]
    Complete {
        /// The position's number.
        from: u64,
        /// The number of the first event that comes live.
        to: u64,
    },
    /// Some are gone. The connection receives every event from number `oldest` on.
    #[non_exhaustive]
    Gap {
        /// Numbers from the position on that are not replayed, whomever they were for.
        missed: u64,
        /// The first number that is.
        oldest: u64,
    },
    /// What the position stands in is gone: the hub was started anew, the user had no connection
    /// for longer than the grace, or the hub keeps nothing. The connection begins with what comes now.
    /// It has the device's id, unless the position is of another hub.
    Reset,
}

/// What came of [`Connection::recover`](crate::Connection::recover).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[must_use]
#[non_exhaustive]
pub struct Recovered {
    /// Events that this connection receives now, as far as no other connection receives them before.
    /// Those that it has asked for already do not count again; a closed connection has none.
    pub events: usize,
    /// Whether these are all that are owed. `false` if some critical event since the last recovery that was
    /// received to its end, or any event where there is a limit of bytes or age, was dropped from the
    /// lane before this call.
    pub complete: bool,
}

/// Why a connection receives an event.
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
