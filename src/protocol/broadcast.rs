//! The one way by which a message reaches a user's devices, and what came of it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::{Contaminated, Isolation, Message, MessageKind, json};
use crate::error::PublishError;
use crate::id::{ConnectionId, ThreadId};
use crate::scope::{Addressed, UserScope};
use crate::sync::{AtomicBool, AtomicU64, Ordering};

/// What devices get: a message as JSON, written once and shared by all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet(Arc<(MessageKind, Box<str>)>);

impl Packet {
    /// What it is.
    #[must_use]
    pub fn kind(&self) -> &MessageKind {
        &self.0.0
    }

    /// The message as clients get it, under its outbound name.
    #[must_use]
    pub fn json(&self) -> &str {
        &self.0.1
    }
}

/// Which of the user's connections a message is for.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub enum Audience<'a> {
    /// All of them.
    #[default]
    Everybody,
    /// One.
    Connection(ConnectionId),
    /// Those attached to a thread.
    Thread(&'a ThreadId),
    /// All but one.
    Others(ConnectionId),
}

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
    fn new(kind: MessageKind, at: Duration) -> Self {
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

fn percent(part: u64, of: u64) -> f64 {
    100.0 * ratio(part, of)
}

#[allow(clippy::cast_precision_loss)] // Figures for people.
fn ratio(part: u64, of: u64) -> f64 {
    if of == 0 {
        return 0.0;
    }
    part as f64 / of as f64
}

/// The figures of a [`Broadcaster`].
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

/// A flag that there is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownFlag;

impl fmt::Display for UnknownFlag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("there is no such flag: the only one is reporting")
    }
}

impl std::error::Error for UnknownFlag {}

/// Sends messages to users: checks the body, writes it once, publishes it in the user's scope, and
/// keeps the figures. A host has one, which all that send share.
///
/// It cannot be told whom to send to but by a scope. Nothing turns the check off. Sending is lock-free
/// and linear in the user's connections; an [audit](Isolation::audited) is the host's.
#[derive(Debug, Default)]
pub struct Broadcaster {
    isolation: Isolation,
    silent: AtomicBool,
    successful: AtomicU64,
    failed: AtomicU64,
    connections: AtomicU64,
    deliveries: AtomicU64,
}

impl Broadcaster {
    /// With this way to deal with a body that names somebody else.
    #[must_use]
    pub fn new(isolation: Isolation) -> Self {
        Self {
            isolation,
            ..Self::default()
        }
    }

    /// Sends to all of the user's connections.
    pub fn broadcast(
        &self,
        scope: &UserScope<Packet>,
        message: &Message,
        at: Duration,
    ) -> Broadcast {
        self.send(scope, Audience::Everybody, message, false, at)
    }

    /// Sends a message that no connection misses and stays open, as
    /// [`UserScope::publish_critical`].
    pub fn broadcast_critical(
        &self,
        scope: &UserScope<Packet>,
        message: &Message,
        at: Duration,
    ) -> Broadcast {
        self.send(scope, Audience::Everybody, message, true, at)
    }

    /// Sends to some of the user's connections.
    pub fn broadcast_to(
        &self,
        scope: &UserScope<Packet>,
        audience: Audience<'_>,
        message: &Message,
        at: Duration,
    ) -> Broadcast {
        self.send(scope, audience, message, false, at)
    }

    /// What everything above does.
    fn send(
        &self,
        scope: &UserScope<Packet>,
        audience: Audience<'_>,
        message: &Message,
        critical: bool,
        at: Duration,
    ) -> Broadcast {
        self.send_packet(scope, audience, message, critical, at).0
    }

    /// As [`broadcast_to`](Self::broadcast_to), with what the devices get.
    pub(super) fn reply(
        &self,
        scope: &UserScope<Packet>,
        audience: Audience<'_>,
        message: &Message,
        at: Duration,
    ) -> (Broadcast, Option<Packet>) {
        self.send_packet(scope, audience, message, false, at)
    }

    /// Sends once more what was sent to the same user before.
    pub(super) fn repeat(
        &self,
        scope: &UserScope<Packet>,
        audience: Audience<'_>,
        packet: &Packet,
        at: Duration,
    ) {
        let mut broadcast = Broadcast::new(packet.kind().clone(), at);
        let done = Self::deliver(scope, audience, packet.clone(), false, &mut broadcast);
        self.settle(&mut broadcast, done.err());
    }

    fn send_packet(
        &self,
        scope: &UserScope<Packet>,
        audience: Audience<'_>,
        message: &Message,
        critical: bool,
        at: Duration,
    ) -> (Broadcast, Option<Packet>) {
        let mut broadcast = Broadcast::new(message.kind.clone(), at);
        let done = self.publish(scope, audience, message, critical, &mut broadcast);
        let (packet, error) = match done {
            Ok(packet) => (Some(packet), None),
            Err(error) => (None, Some(error)),
        };
        self.settle(&mut broadcast, error);
        (broadcast, packet)
    }

    /// Says why it was refused, if it was, and counts it.
    fn settle(&self, broadcast: &mut Broadcast, error: Option<BroadcastError>) {
        if let Some(error) = error {
            match &error {
                BroadcastError::Contaminated(refused) => {
                    let fields = refused.fields.iter().map(ToString::to_string);
                    broadcast.errors.extend(fields);
                }
                other => broadcast.errors.push(other.to_string()),
            }
            broadcast.refused = Some(error);
        }
        if !self.silent.load(Ordering::Relaxed) {
            self.count(broadcast);
        }
    }

    fn count(&self, broadcast: &Broadcast) {
        let add = |to: &AtomicU64, n: u64| to.fetch_add(n, Ordering::Release);
        let deliveries = broadcast.deliveries();
        // In this order, so that no snapshot has more deliveries than connections, or a success that
        // was delivered to nobody: each is Release, and `stats` reads them backwards with Acquire.
        add(&self.connections, broadcast.connections as u64);
        add(&self.deliveries, deliveries as u64);
        add(&self.successful, u64::from(deliveries > 0));
        add(&self.failed, u64::from(deliveries == 0));
    }

    fn publish(
        &self,
        scope: &UserScope<Packet>,
        audience: Audience<'_>,
        message: &Message,
        critical: bool,
        broadcast: &mut Broadcast,
    ) -> Result<Packet, BroadcastError> {
        if !json::are_within(&message.fields) {
            return Err(BroadcastError::TooDeep);
        }
        let isolated = self.isolation.check_message(message, scope.user());
        let (message, rewritten) = isolated.map_err(BroadcastError::Contaminated)?;
        let fields = rewritten.iter().map(ToString::to_string);
        broadcast.errors.extend(fields);
        let packet = Packet(Arc::new((message.kind.clone(), message.to_json().into())));
        Self::deliver(scope, audience, packet.clone(), critical, broadcast)?;
        Ok(packet)
    }

    /// Publishes what was checked and written.
    fn deliver(
        scope: &UserScope<Packet>,
        audience: Audience<'_>,
        packet: Packet,
        critical: bool,
        broadcast: &mut Broadcast,
    ) -> Result<(), BroadcastError> {
        let to: Addressed<'_, Packet> = match audience {
            Audience::Everybody => scope.to_all(),
            Audience::Connection(id) => scope.to_connection(id),
            Audience::Thread(thread) => scope.to_thread(thread),
            Audience::Others(id) => scope.to_others(id),
        };
        let done = if critical {
            to.publish_critical(packet)
        } else {
            to.publish(packet)
        };
        let delivery = done.map_err(|error| match error {
            PublishError::NoConnections(_) => BroadcastError::NoConnections,
            PublishError::Closed(_) => BroadcastError::Closed,
            PublishError::Full(_) => BroadcastError::Full,
        })?;
        broadcast.number = Some(delivery.number);
        broadcast.connections = delivery.connections;
        broadcast.kept = delivery.kept;
        let cut_off = scope.overrun_where(|id, thread| match audience {
            Audience::Everybody => true,
            Audience::Connection(only) => id == only,
            Audience::Thread(only) => thread == Some(only),
            Audience::Others(than) => id != than,
        });
        // Who has come since is not counted in the one and may be in the other.
        broadcast.cut_off = cut_off.min(delivery.connections);
        Ok(())
    }

    /// Turns a flag on or off. There is one: `reporting`, without which figures are not kept. What was
    /// counted before stays.
    ///
    /// # Errors
    ///
    /// [`UnknownFlag`] for any other name.
    pub fn set_flag(&self, name: &str, on: bool) -> Result<(), UnknownFlag> {
        if name != "reporting" {
            return Err(UnknownFlag);
        }
        self.silent.store(!on, Ordering::Relaxed);
        Ok(())
    }

    /// The figures so far. Wait-free.
    #[must_use]
    pub fn stats(&self) -> BroadcastStats {
        // Acquire: pairs with the Release in `count`; what was counted before is seen.
        let read = |from: &AtomicU64| from.load(Ordering::Acquire);
        let failed = read(&self.failed);
        let successful = read(&self.successful);
        let deliveries = read(&self.deliveries);
        BroadcastStats {
            total: successful + failed,
            successful,
            failed,
            connections: read(&self.connections),
            deliveries,
            contaminations_prevented: self.isolation.contaminations_prevented(),
        }
    }
}
