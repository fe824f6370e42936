//! The only way by which a message of this layer reaches a user's devices.

use crate::addressed::Addressed;
use crate::error::PublishError;
use crate::protocol::broadcast::{Broadcast, BroadcastError, BroadcastStats};
use crate::protocol::message::envelope::Message;
use crate::protocol::message::isolation::Isolation;
use crate::protocol::packet::{Audience, Packet};
use crate::protocol::placeholder::is_unauthenticated;
#[cfg(feature = "cluster")]
use crate::protocol::relay_hook::{PacketRelay, RelayHook};
use crate::scope::UserScope;
use crate::sync::{AtomicBool, AtomicU64, Ordering};
use std::fmt;
#[cfg(feature = "cluster")]
use std::sync::Arc;
use std::time::Duration;

/// The error for a flag name that [`Broadcaster::set_flag`] does not know.
///
/// ```
/// use laneway::protocol::{Broadcaster, UnknownFlag};
///
/// assert_eq!(Broadcaster::default().set_flag("isolation", false), Err(UnknownFlag));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownFlag;

impl fmt::Display for UnknownFlag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("there is no such flag: the only one is reporting")
    }
}

impl std::error::Error for UnknownFlag {}

/// Sends messages to users, and counts them. A host has one, which all of its senders share.
///
/// For each message the broadcaster checks that the body names no other receiver. It writes the
/// message as JSON once, and publishes it in the scope that the caller passes.
///
/// * Only a scope, or a [room](Self::broadcast_to_room) of the host, can say which users receive the message.
/// * No flag turns the check off.
/// * A user who is not authenticated yet receives no message: see [`BroadcastError::Unauthenticated`].
/// * Sending is lock-free, and linear in the connections of the user.
/// * An [audit](crate::protocol::Isolation::audited) runs inside the call, and its progress is the
///   host's.
///
/// ```
/// use std::time::Duration;
/// use laneway::protocol::{Broadcaster, Message, MessageKind};
/// use laneway::{Received, Hub, UserId};
///
/// let engine = Hub::new();
/// let ann = engine.scope(UserId::new("ann")?);
/// let mut phone = ann.connect()?;
/// let hello = Message::new(MessageKind::Chat).with("text", "hello");
/// let sent = Broadcaster::default().broadcast(&ann, &hello, Duration::ZERO);
/// assert!(sent.is_successful());
/// let Received::Event(got) = phone.try_recv()? else { panic!("a gap") };
/// assert_eq!(got.event.json(), r#"{"type":"chat","text":"hello"}"#);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Default)]
pub struct Broadcaster {
    isolation: Isolation,
    silent: AtomicBool,
    successful: AtomicU64,
    failed: AtomicU64,
    connections: AtomicU64,
    deliveries: AtomicU64,
    #[cfg(feature = "cluster")]
    pub(super) relay: RelayHook,
}

impl Broadcaster {
    /// Creates a broadcaster that handles a foreign receiver in a body as `isolation` says.
    ///
    /// ```
    /// use laneway::protocol::{Broadcaster, Contamination, Isolation};
    ///
    /// let broadcaster = Broadcaster::new(Isolation::new(Contamination::Reject));
    /// assert_eq!(broadcaster.stats().total, 0);
    /// ```
    #[must_use]
    pub fn new(isolation: Isolation) -> Self {
        Self {
            isolation,
            ..Self::default()
        }
    }

    /// Sends packets to other nodes from now on.
    #[cfg(feature = "cluster")]
    pub(crate) fn with_relay(mut self, relay: Arc<dyn PacketRelay>) -> Self {
        self.relay = RelayHook(Some(relay));
        self
    }

    /// Sends a message to all connections of the user.
    ///
    /// A device that is more than a lane behind may miss it, and receives an exact gap instead.
    /// Lock-free, linear in the connections of the user.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use laneway::{Hub, UserId, protocol::*};
    /// # let (engine, broadcaster) = (Hub::new(), Broadcaster::default());
    /// # let ann = engine.scope(UserId::new("ann")?);
    /// let _phone = ann.connect()?;
    /// let sent = broadcaster.broadcast(&ann, &Message::new(MessageKind::Chat), Duration::ZERO);
    /// assert_eq!((sent.connections, sent.refused), (1, None));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The result carries a refusal in [`Broadcast::refused`](field@Broadcast::refused).
    pub fn broadcast(
        &self,
        scope: &UserScope<Packet>,
        message: &Message,
        at: Duration,
    ) -> Broadcast {
        self.send(scope, Audience::All, message, false, at)
    }

    /// Sends a critical message to all connections of the user.
    ///
    /// Each connection receives it, or the engine closes the connection: see
    /// [`UserScope::publish_critical`]. Lock-free, linear in the connections of the user.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use laneway::{Hub, UserId, protocol::*};
    /// # let (engine, broadcaster) = (Hub::new(), Broadcaster::default());
    /// # let ann = engine.scope(UserId::new("ann")?);
    /// let mut phone = ann.connect()?;
    /// let notice = Message::new(MessageKind::AgentCompleted);
    /// let _ = broadcaster.broadcast_critical(&ann, &notice, Duration::ZERO);
    /// assert!(matches!(phone.try_recv()?, laneway::Received::Event(_)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The result carries a refusal in [`Broadcast::refused`](field@Broadcast::refused).
    pub fn broadcast_critical(
        &self,
        scope: &UserScope<Packet>,
        message: &Message,
        at: Duration,
    ) -> Broadcast {
        self.send(scope, Audience::All, message, true, at)
    }

    /// Sends a message to some connections of the user.
    ///
    /// Lock-free, linear in the connections of the user.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use laneway::{Hub, UserId, protocol::*};
    /// # let (engine, broadcaster) = (Hub::new(), Broadcaster::default());
    /// # let ann = engine.scope(UserId::new("ann")?);
    /// let (phone, mut laptop) = (ann.connect()?, ann.connect()?);
    /// let typing = Message::new(MessageKind::Chat);
    /// let others = Audience::Others(phone.id());
    /// assert_eq!(broadcaster.broadcast_to(&ann, others, &typing, Duration::ZERO).connections, 1);
    /// assert!(laptop.try_recv().is_ok());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The result carries a refusal in [`Broadcast::refused`](field@Broadcast::refused).
    /// [`BroadcastError::NoConnections`] means that no open connection matches the audience.
    pub fn broadcast_to(
        &self,
        scope: &UserScope<Packet>,
        audience: Audience<'_>,
        message: &Message,
        at: Duration,
    ) -> Broadcast {
        self.send(scope, audience, message, false, at)
    }

    /// Sends as the public methods do, and drops the packet.
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

    /// Sends a packet again that this broadcaster has sent to the same user before.
    ///
    /// The packet was checked then, so this call does not check it.
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

    /// Checks, writes, publishes and counts one message. Returns the packet too, which `repeat` can send again.
    pub(super) fn send_packet(
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

    /// Writes the reason of a refusal into the result, and counts the result.
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
        self.count(broadcast.connections, broadcast.deliveries());
    }

    /// Adds one result to the sums, unless the host has turned that off.
    pub(super) fn count(&self, connections: usize, deliveries: usize) {
        // Relaxed: the flag guards no other memory. A send that runs beside `set_flag` may go either way.
        if self.silent.load(Ordering::Relaxed) {
            return;
        }
        let add = |to: &AtomicU64, n: u64| to.fetch_add(n, Ordering::Release);
        // The order matters, because `stats` may read between two of these additions.
        // `stats` reads in the opposite order: failed, successful, deliveries, connections.
        // If `successful` came first, a snapshot could count a success without its delivery.
        // If `deliveries` came first, a snapshot could count more deliveries than connections.
        // Release: pairs with the Acquire in `stats`.
        add(&self.connections, connections as u64);
        add(&self.deliveries, deliveries as u64);
        add(&self.successful, u64::from(deliveries > 0));
        add(&self.failed, u64::from(deliveries == 0));
    }

    /// Checks the body, writes the packet, and publishes it.
    fn publish(
        &self,
        scope: &UserScope<Packet>,
        audience: Audience<'_>,
        message: &Message,
        critical: bool,
        broadcast: &mut Broadcast,
    ) -> Result<Packet, BroadcastError> {
        // The clients of an id for users without a log-in are not one user.
        if is_unauthenticated(scope.user().as_str()) {
            return Err(BroadcastError::Unauthenticated);
        }
        if !message.is_within() {
            return Err(BroadcastError::TooDeep);
        }
        let isolated = self.isolation.check_message(message, scope.user());
        let (message, rewritten) = isolated.map_err(BroadcastError::Contaminated)?;
        let fields = rewritten.iter().map(ToString::to_string);
        broadcast.errors.extend(fields);
        let packet = Packet::written(&message);
        let done = Self::deliver(scope, audience, packet.clone(), critical, broadcast);
        #[cfg(feature = "cluster")]
        {
            let refused = done.as_ref().err();
            let user = scope.user();
            broadcast.relayed = self.relay.pass(refused, user, audience, &packet, critical);
        }
        done.map(|()| packet)
    }

    /// Publishes a packet whose body was checked already.
    fn deliver(
        scope: &UserScope<Packet>,
        audience: Audience<'_>,
        packet: Packet,
        critical: bool,
        broadcast: &mut Broadcast,
    ) -> Result<(), BroadcastError> {
        let to: Addressed<'_, Packet> = match audience {
            Audience::All => scope.to_all(),
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
            PublishError::Revoked(_) => BroadcastError::Revoked,
            PublishError::NotAllowed(_, missing) => BroadcastError::NotAllowed(missing),
            PublishError::Full(_) => BroadcastError::Full,
            PublishError::OverBudget(_) => BroadcastError::OverBudget,
            PublishError::RateLimited(_) => BroadcastError::RateLimited,
        })?;
        broadcast.number = Some(delivery.number);
        broadcast.connections = delivery.connections;
        broadcast.kept = delivery.kept;
        let cut_off = scope.overrun_where(|member| match audience {
            Audience::All => true,
            Audience::Connection(only) => member.id == only,
            Audience::Thread(only) => member.with_attachments(|list| list.has_now(only)),
            Audience::Others(than) => member.id != than,
        });
        // A connection that joined after the publish is not in `delivery.connections`.
        // `overrun_where` may already count it, and `cut_off` would then exceed `connections`.
        broadcast.cut_off = cut_off.min(delivery.connections);
        Ok(())
    }

    /// Turns a flag on or off. The only flag is `reporting`, and it is on at first.
    ///
    /// While `reporting` is off, the broadcaster adds no results to its sums. Earlier sums stay.
    /// Wait-free.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use laneway::{Hub, UserId, protocol::*};
    /// # let (engine, broadcaster) = (Hub::new(), Broadcaster::default());
    /// # let ann = engine.scope(UserId::new("ann")?);
    /// broadcaster.set_flag("reporting", false)?;
    /// let _ = broadcaster.broadcast(&ann, &Message::new(MessageKind::Chat), Duration::ZERO);
    /// assert_eq!(broadcaster.stats().total, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
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

    /// Returns the sums so far.
    ///
    /// A snapshot taken during a send may lack part of that send. It never holds more deliveries than
    /// connections. Wait-free.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use laneway::{Hub, UserId, protocol::*};
    /// # let (engine, broadcaster) = (Hub::new(), Broadcaster::default());
    /// # let ann = engine.scope(UserId::new("ann")?);
    /// let _phone = ann.connect()?;
    /// let _ = broadcaster.broadcast(&ann, &Message::new(MessageKind::Chat), Duration::ZERO);
    /// assert_eq!(broadcaster.stats().deliveries, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn stats(&self) -> BroadcastStats {
        // Acquire: pairs with the Release in `count`. A read that sees one addition of a result
        // also sees the additions that `count` made before it. Hence the order of these reads.
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
