//! The one way by which a message reaches a user's devices.

use crate::error::PublishError;
use crate::protocol::broadcast::{Broadcast, BroadcastError, BroadcastStats};
use crate::protocol::message::envelope::Message;
use crate::protocol::message::isolation::Isolation;
use crate::protocol::packet::{Audience, Packet};
use crate::scope::{Addressed, UserScope};
use crate::sync::{AtomicBool, AtomicU64, Ordering};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

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
        if !message.is_within() {
            return Err(BroadcastError::TooDeep);
        }
        let isolated = self.isolation.check_message(message, scope.user());
        let (message, rewritten) = isolated.map_err(BroadcastError::Contaminated)?;
        let fields = rewritten.iter().map(ToString::to_string);
        broadcast.errors.extend(fields);
        // A copy of its length: to shrink the text in its place costs the allocator more.
        let json = message.to_json().as_str().into();
        let packet = Packet(Arc::new((message.kind.clone(), json)));
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
