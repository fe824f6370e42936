//! The one router of inbound messages: its settings, the ways into it, and its figures.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::engine::clock::micros;
use crate::id::ConnectionId;
use crate::protocol::broadcaster::Broadcaster;
use crate::protocol::inbound::answer;
use crate::protocol::inbound::builtin::ClientErrors;
use crate::protocol::inbound::chain::Chain;
use crate::protocol::inbound::counts::Counts;
use crate::protocol::inbound::error::HandlerError;
use crate::protocol::inbound::handler::Outcome;
use crate::protocol::inbound::repeats::{RepeatLimits, Repeats};
use crate::protocol::inbound::sender::Sender;
use crate::protocol::inbound::stats::{DispatchStats, Status};
use crate::protocol::message::envelope::Message;
use crate::protocol::message::limits::MessageLimits;
use crate::protocol::message::rpc;
use crate::protocol::packet::Packet;
use crate::scope::UserScope;
use crate::sync::{AtomicU64, Ordering};
use crate::table::copy_on_write::CopyOnWrite;

/// A router without a handler of the host's is in error after this time.
const GRACE: Duration = Duration::from_secs(10);

/// Takes each inbound message to the first handler that accepts it. A host has one.
///
/// ```
/// use std::{sync::Arc, time::Duration};
/// use laneway::protocol::{Handled, Message, MessageKind, MessageRouter, Outcome, Sender, typed};
/// use laneway::{Hub, UserId};
/// use serde_json::Value;
///
/// let (hub, now) = (Hub::new(), Duration::ZERO);
/// let inbound = MessageRouter::new(Arc::default(), now);
/// let chat = |sender: &Sender<'_>, message: &Message, _: Value| {
///     let _ = sender.broadcast(message);
///     Ok(Handled::Done)
/// };
/// inbound.register("chat", typed([MessageKind::Chat], chat))?;
/// let ann = hub.scope(UserId::new("ann")?);
/// let outcome = |json: &str| inbound.route_json(&ann, None, json.as_bytes(), now);
/// assert_eq!(outcome(r#"{"type": "chat", "text": "hi"}"#), Outcome::Handled(Some("chat".into())));
/// assert_eq!(outcome(r#"{"type": "ping"}"#), Outcome::Handled(None)); // a built-in reply
/// assert_eq!(outcome(r#"{"type": "news"}"#), Outcome::Unhandled);
/// assert!(matches!(outcome("no JSON"), Outcome::Refused(_)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Order
///
/// The host's handlers are asked first, in the order of their registration, and then the built-in
/// replies. A handler that fails or panics ends its message, and no other. The host may add and remove
/// handlers while messages flow. A message goes to the handlers that were registered when it came.
///
/// # Messages without a handler
///
/// A message that no handler accepts counts as [`Outcome::Unhandled`]. Its sender receives
/// `{"type": "ack", "received_type": .., "status": "acknowledged", "timestamp": ..}`. The same goes for
/// unknown types, and for known ones that only a host can handle, such as `user_message`. A JSON-RPC
/// request receives the error −32601, a JSON-RPC notification nothing.
///
/// # Refused bytes
///
/// The router answers no answer: see
/// [`MessageKind::is_answered`](crate::protocol::MessageKind::is_answered). Bytes that are no message but
/// name `jsonrpc` are answered in JSON-RPC: −32700 if they are not JSON, −32600 if they are no request.
/// The answer has their id if that is a text or a number, else null. A batch is refused as a whole.
///
/// # Message ids
///
/// A message may have an id, `message_id` in its payload or at its top: a text of at most 200 bytes, or
/// a number. JSON-RPC has ids of its own, which are not looked at here.
///
/// * A message that comes again from the same user, with the same content, is not handled again. Its
///   sender receives the answers that [`Sender::reply`] sent the first time.
/// * Without such answers, its sender receives an `ack` with a `status`: `in_progress` while a handler
///   works on the first one, else `already_handled`.
/// * The same id with another content is refused as `MESSAGE_ID_REUSED`.
/// * A message that a middleware refused may come again.
///
/// [`RepeatLimits`] bounds how many ids are known. A message that was forgotten is handled like a new one.
///
/// # Progress
///
/// Dispatch takes no lock. It is lock-free, but for what the host's handlers do.
pub struct MessageRouter {
    broadcaster: Arc<Broadcaster>,
    limits: MessageLimits,
    patience: Option<Duration>,
    /// The microseconds from the start to the end of all time. They only grow.
    started: AtomicU64,
    pub(super) chain: CopyOnWrite<Chain>,
    pub(super) repeats: Repeats,
    pub(super) counts: Counts,
    pub(super) client_errors: ClientErrors,
}

impl fmt::Debug for MessageRouter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MessageRouter")
            .field("handlers", &self.handler_names())
            .finish_non_exhaustive()
    }
}

impl MessageRouter {
    /// Creates a router that answers through `broadcaster`. `started` is the host's time now.
    ///
    /// ```
    /// use std::{sync::Arc, time::Duration};
    /// use laneway::protocol::{Broadcaster, MessageRouter};
    ///
    /// let broadcaster = Arc::new(Broadcaster::default());
    /// let inbound = MessageRouter::new(Arc::clone(&broadcaster), Duration::ZERO);
    /// assert_eq!(inbound.stats().routed, 0);
    /// ```
    #[must_use]
    pub fn new(broadcaster: Arc<Broadcaster>, started: Duration) -> Self {
        Self {
            broadcaster,
            limits: MessageLimits::default(),
            patience: None,
            started: AtomicU64::new(u64::MAX - micros(started)),
            chain: CopyOnWrite::new(),
            repeats: Repeats::new(RepeatLimits::default()),
            counts: Counts::new(),
            client_errors: ClientErrors::new(),
        }
    }

    /// Sets the limits of a client's message.
    ///
    /// ```
    /// # use std::{sync::Arc, time::Duration};
    /// # use laneway::{Hub, UserId, protocol::*};
    /// # let (hub, now) = (Hub::new(), Duration::ZERO);
    /// # let ann = hub.scope(UserId::new("ann")?);
    /// let limits = MessageLimits { bytes: 16, ..MessageLimits::default() };
    /// let inbound = MessageRouter::new(Arc::default(), now).limits(limits);
    /// let outcome = inbound.route_json(&ann, None, br#"{"type": "heartbeat"}"#, now);
    /// assert!(matches!(outcome, Outcome::Refused(error) if error.code == "MESSAGE_TOO_LONG"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn limits(mut self, limits: MessageLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets how many messages the router knows again by their ids.
    ///
    /// ```
    /// # use std::{sync::Arc, time::Duration};
    /// # use laneway::{Hub, UserId, protocol::*};
    /// # let (hub, now) = (Hub::new(), Duration::ZERO);
    /// # let ann = hub.scope(UserId::new("ann")?);
    /// let none = RepeatLimits { messages: 0, ..RepeatLimits::default() };
    /// let inbound = MessageRouter::new(Arc::default(), now).repeats(none);
    /// let ping = br#"{"type": "ping", "message_id": "m-1"}"#;
    /// for _ in 0..2 {
    ///     assert_eq!(inbound.route_json(&ann, None, ping, now), Outcome::Handled(None));
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn repeats(mut self, limits: RepeatLimits) -> Self {
        self.repeats = Repeats::new(limits);
        self
    }

    /// Sets the time that a handler has: see [`Sender::deadline`].
    ///
    /// ```
    /// # use std::{sync::Arc, time::Duration};
    /// # use laneway::{Hub, UserId, protocol::*};
    /// # let (hub, now) = (Hub::new(), Duration::ZERO);
    /// # let ann = hub.scope(UserId::new("ann")?);
    /// let inbound = MessageRouter::new(Arc::default(), now).patience(Duration::from_secs(30));
    /// inbound.register("all", |sender: &Sender<'_>, _: &Message| {
    ///     assert_eq!(sender.deadline(), Some(Duration::from_secs(30)));
    ///     Ok(Handled::Done)
    /// })?;
    /// let outcome = inbound.route(&ann, None, Message::new(MessageKind::Chat), now);
    /// assert_eq!(outcome, Outcome::Handled(Some("all".into())));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = Some(patience);
        self
    }

    /// Takes the bytes of a client to their handler, and returns what became of them.
    ///
    /// `connection` is the connection that they came by, if the host knows it. Errors and answers go there
    /// only. Without it they go to all connections of the user. The user is the scope's, and no field of
    /// the message changes that. Lock-free, but for what the handler does.
    ///
    /// ```
    /// # use std::{sync::Arc, time::Duration};
    /// # use laneway::{Hub, UserId, protocol::*};
    /// # let (hub, now) = (Hub::new(), Duration::ZERO);
    /// # let ann = hub.scope(UserId::new("ann")?);
    /// # let inbound = MessageRouter::new(Arc::default(), now);
    /// let (mut phone, mut laptop) = (ann.connect()?, ann.connect()?);
    /// let outcome = inbound.route_json(&ann, Some(phone.id()), br#"{"type": "ping"}"#, now);
    /// assert_eq!(outcome, Outcome::Handled(None));
    /// assert!(phone.try_recv().is_ok()); // the `pong`
    /// assert!(laptop.try_recv().is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The outcome carries an error of the message. The same error was sent to the sender.
    pub fn route_json(
        &self,
        scope: &UserScope<Packet>,
        connection: Option<ConnectionId>,
        json: &[u8],
        now: Duration,
    ) -> Outcome {
        match Message::parse_within(json, self.limits) {
            Ok(message) => self.route(scope, connection, message, now),
            Err(error) => {
                let code = answer::refusal_code(&error);
                let error = HandlerError::new(error.code(), error.to_string());
                self.refuse(scope, connection, json, (code, error), now)
            }
        }
    }

    /// Refuses bytes that are no message or have no room. Their sender receives the error, unless they are
    /// an answer.
    pub(in crate::protocol) fn refuse(
        &self,
        scope: &UserScope<Packet>,
        connection: Option<ConnectionId>,
        json: &[u8],
        (code, error): (i64, HandlerError),
        now: Duration,
    ) -> Outcome {
        let sender = self.sender(scope, connection, now);
        sender.refuse(rpc::asks(json), code, &error);
        let outcome = Outcome::Refused(error);
        self.counts.ended(&outcome);
        outcome
    }

    /// Takes a message to its handler, as [`route_json`](Self::route_json) does.
    ///
    /// ```
    /// # use std::{sync::Arc, time::Duration};
    /// # use laneway::{Hub, UserId, protocol::*};
    /// # let (hub, now) = (Hub::new(), Duration::ZERO);
    /// # let ann = hub.scope(UserId::new("ann")?);
    /// # let inbound = MessageRouter::new(Arc::default(), now);
    /// let outcome = inbound.route(&ann, None, Message::new(MessageKind::Ping), now);
    /// assert_eq!(outcome, Outcome::Handled(None));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`route_json`](Self::route_json). The router refuses a message that is nested more than 126 deep.
    pub fn route(
        &self,
        scope: &UserScope<Packet>,
        connection: Option<ConnectionId>,
        mut message: Message,
        now: Duration,
    ) -> Outcome {
        let mut sender = self.sender(scope, connection, now);
        let outcome = self.settle(&mut sender, &mut message);
        message.discard();
        outcome
    }

    fn sender<'a>(
        &'a self,
        scope: &'a UserScope<Packet>,
        connection: Option<ConnectionId>,
        now: Duration,
    ) -> Sender<'a> {
        Sender {
            scope,
            connection,
            broadcaster: &self.broadcaster,
            now,
            deadline: self.patience.map(|patience| now.saturating_add(patience)),
            answers: None,
        }
    }

    fn handler_names(&self) -> Vec<Arc<str>> {
        let chain = self.chain.load();
        chain.handlers.iter().map(|h| Arc::clone(&h.name)).collect()
    }

    /// Returns whether the router has a handler, at the host's time `now`. Wait-free.
    ///
    /// ```
    /// # use std::{sync::Arc, time::Duration};
    /// # use laneway::protocol::*;
    /// let (start, later) = (Duration::from_secs(5), Duration::from_secs(15));
    /// let inbound = MessageRouter::new(Arc::default(), start);
    /// assert_eq!(inbound.status(start), Status::Initializing);
    /// assert_eq!(inbound.status(later), Status::Error);
    /// inbound.register("ignore", |_: &Sender<'_>, _: &Message| Ok(Handled::Done))?;
    /// assert_eq!(inbound.status(later), Status::Ready);
    /// # Ok::<(), RegisterError>(())
    /// ```
    #[must_use]
    pub fn status(&self, now: Duration) -> Status {
        let now = micros(now);
        // A start in the future came from a clock that has been set back since. Without this, the grace
        // would last until the clock is there again.
        let left = u64::MAX - now;
        let started = u64::MAX - self.started.fetch_max(left, Ordering::Relaxed).max(left);
        if !self.chain.load().handlers.is_empty() {
            Status::Ready
        } else if Duration::from_micros(now.saturating_sub(started)) < GRACE {
            Status::Initializing
        } else {
            Status::Error
        }
    }

    /// Returns the figures so far, as a copy. Wait-free.
    ///
    /// ```
    /// # use std::{sync::Arc, time::Duration};
    /// # use laneway::{Hub, UserId, protocol::*};
    /// # let (hub, now) = (Hub::new(), Duration::ZERO);
    /// # let ann = hub.scope(UserId::new("ann")?);
    /// # let inbound = MessageRouter::new(Arc::default(), now);
    /// for json in [r#"{"type": "ping"}"#, r#"{"type": "news"}"#, "no JSON"] {
    ///     let _ = inbound.route_json(&ann, None, json.as_bytes(), now);
    /// }
    /// let stats = inbound.stats();
    /// assert_eq!((stats.routed, stats.unhandled, stats.refused), (1, 1, 1));
    /// assert_eq!(stats.per_type["ping"], 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn stats(&self) -> DispatchStats {
        let counts = &self.counts;
        let read = |from: &AtomicU64| from.load(Ordering::Relaxed);
        DispatchStats {
            per_type: counts.per_type(),
            routed: read(&counts.routed),
            unhandled: read(&counts.unhandled),
            failed: read(&counts.failed),
            refused: read(&counts.refused),
            repeated: read(&counts.repeated),
            client_errors: self.client_errors.counts(),
            handlers: self.handler_names(),
        }
    }
}
