//! What came of a message that was sent, and the figures of many.

use crate::protocol::message::isolation::Contaminated;
use crate::protocol::message::kind::MessageKind;
use std::fmt;
use std::time::Duration;

/// Why a message reached nobody. What it displays names nobody, so its user may see that; its fields
/// are for the host.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum BroadcastError {
    /// Nobody of the audience is connected.
    NoConnections,
    /// The router was shut down.
    Closed,
    /// The lane could not take it: too many threads were at it.
    Full,
    /// The body names another receiver, and the policy is to reject.
    Contaminated(Contaminated),
    /// The fields are nested more than 126 deep.
    TooDeep,
    /// It was to answer a message that is no request.
    NoRequest,
}

impl fmt::Display for BroadcastError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoConnections => f.write_str("nobody of the audience is connected"),
            Self::Closed => f.write_str("the router was shut down"),
            Self::Full => f.write_str("there was no room for the message"),
            Self::Contaminated(fields) => fields.fmt(f),
            Self::TooDeep => f.write_str("the message is nested too deeply"),
            Self::NoRequest => f.write_str("only a request can be answered"),
        }
    }
}

impl std::error::Error for BroadcastError {}

/// What became of one message: the result of everything in this layer that sends.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
#[must_use = "a user without connections got nothing"]
pub struct Broadcast {
    /// What was sent.
    pub kind: MessageKind,
    /// Its number in the user's lane, if it was accepted.
    pub number: Option<u64>,
    /// Connections it is for: 0 unless it was accepted.
    pub connections: usize,
    /// It stays in the user's lane for connections that come back. That nobody was there for it is no
    /// success all the same.
    pub kept: bool,
    /// Those among the user's connections that had lost a critical event by then: they are closed at
    /// their next call or by the next sweep, and do not get this message.
    pub cut_off: usize,
    /// Why it was not accepted, and the fields that were rewritten where it was.
    pub errors: Vec<String>,
    /// Why it was not accepted.
    pub refused: Option<BroadcastError>,
    /// The host's time of it.
    pub at: Duration,
}

impl Broadcast {
    /// Nothing has come of it yet.
    pub(super) fn new(kind: MessageKind, at: Duration) -> Self {
        Self {
            kind,
            number: None,
            connections: 0,
            kept: false,
            cut_off: 0,
            errors: Vec::new(),
            refused: None,
            at,
        }
    }

    /// One that was refused before it was sent.
    pub(super) fn refused(kind: MessageKind, error: BroadcastError, at: Duration) -> Self {
        let mut broadcast = Self::new(kind, at);
        broadcast.errors.push(error.to_string());
        broadcast.refused = Some(error);
        broadcast
    }

    /// Connections that can receive it.
    #[must_use]
    pub fn deliveries(&self) -> usize {
        self.connections.saturating_sub(self.cut_off)
    }

    /// At least one connection can receive it.
    #[must_use]
    pub fn is_successful(&self) -> bool {
        self.deliveries() > 0
    }

    /// Those that can receive it, in percent of those it is for; 0 for nobody.
    #[must_use]
    pub fn success_rate(&self) -> f64 {
        percent(self.deliveries() as u64, self.connections as u64)
    }
}

/// The figures of a [`Broadcaster`](crate::protocol::Broadcaster).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BroadcastStats {
    /// Messages that were to be sent: `successful + failed`.
    pub total: u64,
    /// Those that at least one connection can receive.
    pub successful: u64,
    /// The others.
    pub failed: u64,
    /// Connections that they were for, summed.
    pub connections: u64,
    /// Connections that can receive them, summed: never more than `connections`.
    pub deliveries: u64,
    /// Messages that named another receiver. Counted whether reporting is on or off.
    pub contaminations_prevented: u64,
}

impl BroadcastStats {
    /// Connections a message was for, on average; 0 if there was none.
    #[must_use]
    pub fn connections_per_broadcast(&self) -> f64 {
        ratio(self.connections, self.total)
    }

    /// Connections that can receive a message, on average; 0 if there was none.
    #[must_use]
    pub fn deliveries_per_broadcast(&self) -> f64 {
        ratio(self.deliveries, self.total)
    }

    /// Successful ones in percent; 0 if there was none.
    #[must_use]
    pub fn success_rate(&self) -> f64 {
        percent(self.successful, self.total)
    }
}

pub(in crate::protocol) fn percent(part: u64, of: u64) -> f64 {
    100.0 * ratio(part, of)
}

#[allow(clippy::cast_precision_loss)] // Figures for people.
fn ratio(part: u64, of: u64) -> f64 {
    if of == 0 {
        return 0.0;
    }
    part as f64 / of as f64
}
