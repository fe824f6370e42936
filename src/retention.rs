//! What a host sets and gets where lanes keep events that have been read.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::error::InvalidPosition;

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
/// let router = laneway::Router::builder().retention(Some(retention)).build::<String>();
/// assert!(router.is_ok());
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
    /// How old an event may become: [`Router::sweep`](crate::Router::sweep) drops it after that, and
    /// before one and a half times that and 6 ms if it comes often, give or take what a sweep takes.
    /// What live connections have still to read stays all the same. Default: no limit.
    pub age: Option<Duration>,
    /// How long a user without connections keeps the lane: from the first [sweep](crate::Router::sweep) that
    /// sees it so. One sweep lets a quarter of it pass at most. 0: until that first sweep. Default: one
    /// minute.
    pub grace: Duration,
    /// Users without connections who keep their lane, in the whole router. With one more the lane
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
    /// What the position stands in is gone: the router was started anew, the user had no connection
    /// for longer than the grace, or the router keeps nothing. The connection is a fresh one.
    Reset,
}

/// What came of [`Connection::recover`](crate::Connection::recover).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
#[non_exhaustive]
pub struct Recovered {
    /// Events that this connection now receives.
    pub events: usize,
    /// Whether these are all there were. `false` if some critical event since the last recovery, or
    /// any event where there is a limit of bytes or age, was dropped from the lane before this call.
    pub complete: bool,
}

/// Why a connection receives an event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
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

/// How far a connection has come: an opaque token to give to the client and to
/// [resume](crate::UserScope::resume) from.
///
/// It belongs to one user of one router: in the scope of another user it is refused, after a restart
/// it resets. As text it has 52 characters, all of them letters, digits, `-` or `_`, and so fits
/// into a URL or into the `Last-Event-ID` of server-sent events; as bytes it has 39.
///
/// It is bound to its user by a keyed hash that guards against mix-ups and not against an adversary
/// with time. Isolation does not rest on it: a scope replays its own user's events, whatever the
/// position says.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Position {
    pub(crate) router: u64,
    pub(crate) tag: u64,
    /// Of 40 bits.
    pub(crate) lane: u64,
    /// The number of the next event, of 48 bits.
    pub(crate) number: u64,
    /// Whose audiences count, of 48 bits.
    pub(crate) connection: u64,
    /// Whose else, if it was taken while a replay was not read to its end: 0 for no other's,
    /// `SEVERAL` for more than fit.
    pub(crate) before: u64,
}

/// More connections than a position has room for.
pub(crate) const SEVERAL: u64 = BITS_48;

pub(crate) const BITS_40: u64 = (1 << 40) - 1;
pub(crate) const BITS_48: u64 = (1 << 48) - 1;

const BYTES: usize = 8 + 8 + 5 + 6 + 6 + 6;
const CHARACTERS: usize = BYTES / 3 * 4;
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

impl Position {
    /// How many bytes a position has.
    pub const BYTES: usize = BYTES;

    /// Its fixed form as bytes.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; BYTES] {
        let mut bytes = [0; BYTES];
        let mut rest = bytes.as_mut_slice();
        for (field, len) in [
            (self.router, 8),
            (self.tag, 8),
            (self.lane, 5),
            (self.number, 6),
            (self.connection, 6),
            (self.before, 6),
        ] {
            let (at, after) = rest.split_at_mut(len);
            at.copy_from_slice(&field.to_be_bytes()[8 - len..]);
            rest = after;
        }
        bytes
    }

    /// The position with this form as bytes. Any bytes of the right number are some position; the
    /// scope that is to resume tells whether it is one of its own.
    ///
    /// # Errors
    ///
    /// [`InvalidPosition::Length`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, InvalidPosition> {
        if bytes.len() != BYTES {
            return Err(InvalidPosition::Length);
        }
        let mut rest = bytes;
        let mut field = |len: usize| {
            let (at, after) = rest.split_at(len);
            rest = after;
            at.iter().fold(0, |n, &byte| (n << 8) + u64::from(byte))
        };
        Ok(Self {
            router: field(8),
            tag: field(8),
            lane: field(5),
            number: field(6),
            connection: field(6),
            before: field(6),
        })
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0; CHARACTERS];
        let bytes = self.to_bytes();
        for (four, three) in text
            .as_chunks_mut::<4>()
            .0
            .iter_mut()
            .zip(bytes.as_chunks::<3>().0)
        {
            let bits = three.iter().fold(0, |n, &byte| n << 8 | usize::from(byte));
            for (i, character) in four.iter_mut().enumerate() {
                *character = ALPHABET[bits >> (18 - 6 * i) & 63];
            }
        }
        f.pad(std::str::from_utf8(&text).expect("the alphabet is ASCII"))
    }
}

impl FromStr for Position {
    type Err = InvalidPosition;

    fn from_str(text: &str) -> Result<Self, InvalidPosition> {
        if text.len() != CHARACTERS {
            return Err(InvalidPosition::Length);
        }
        let mut bytes = [0; BYTES];
        let fours = text.as_bytes().as_chunks::<4>().0;
        for (three, four) in bytes.as_chunks_mut::<3>().0.iter_mut().zip(fours) {
            let mut bits = 0_u32;
            for character in four {
                let digit = ALPHABET.iter().position(|c| c == character);
                bits = (bits << 6) + digit.ok_or(InvalidPosition::Character)? as u32;
            }
            three.copy_from_slice(&bits.to_be_bytes()[1..]);
        }
        Self::from_bytes(&bytes)
    }
}

impl fmt::Debug for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Position(..)")
    }
}
