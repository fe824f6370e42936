//! The one router of inbound messages: who handles what, in which order, and what comes of it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::registry::CopyOnWrite;
use super::{Audience, Broadcast, Broadcaster, Message, MessageKind, MessageLimits, Packet};
use crate::id::{ConnectionId, UserId};
use crate::scope::UserScope;
use crate::sync::{AtomicU64, Ordering};

/// How long a router may be without a handler of the host's before that is an error.
const GRACE: Duration = Duration::from_secs(10);
/// Codes of clients' errors that are counted apart; those that come later are `OTHER`.
const MAX_CODES: usize = 64;

/// Who sent a message, and the way back: the only users whom a handler can answer.
#[derive(Debug)]
pub struct Sender<'a> {
    scope: &'a UserScope<Packet>,
    connection: Option<ConnectionId>,
    broadcaster: &'a Broadcaster,
    now: Duration,
    deadline: Option<Duration>,
}

impl Sender<'_> {
    /// The user.
    #[must_use]
    pub fn user(&self) -> &UserId {
        self.scope.user()
    }
    /// The user's scope.
    #[must_use]
    pub fn scope(&self) -> &UserScope<Packet> {
        self.scope
    }
    /// The connection that it came by, if the host knows.
    #[must_use]
    pub fn connection(&self) -> Option<ConnectionId> {
        self.connection
    }
    /// The host's time at which it came.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.now
    }
    /// The host's time by which a handler is to be done. Nobody stops one that is not.
    #[must_use]
    pub fn deadline(&self) -> Option<Duration> {
        self.deadline
    }
    /// Answers the connection that the message came by, or all of the user's if that is not known.
    pub fn reply(&self, message: &Message) -> Broadcast {
        let audience = self
            .connection
            .map_or(Audience::Everybody, Audience::Connection);
        self.broadcaster
            .broadcast_to(self.scope, audience, message, self.now)
    }
    /// Sends to all of the user's connections.
    pub fn broadcast(&self, message: &Message) -> Broadcast {
        self.broadcaster.broadcast(self.scope, message, self.now)
    }

    fn stamped(&self, message: Message) -> Message {
        let ms = u64::try_from(self.now.as_millis()).unwrap_or(u64::MAX);
        message.with("timestamp", ms)
    }

    fn reply_error(&self, code: &str, text: &str) {
        let error = Message::new(MessageKind::ErrorMessage)
            .with("code", code)
            .with("message", text);
        let _ = self.reply(&self.stamped(error));
    }
}

/// Why a message was not handled. The sender sees both parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandlerError {
    /// For machines: one word that stays as it is.
    pub code: Cow<'static, str>,
    /// For people. It may name nobody but the sender.
    pub message: String,
}

impl HandlerError {
    /// An error with a code of its own.
    pub fn new(code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self {
            code: code.into(),
            message: message.into(),
        }
    }
}

impl fmt::Display for HandlerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

impl std::error::Error for HandlerError {}

/// What a handler did with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handled {
    /// All there was to do.
    Done,
    /// Nothing: the message is the next handler's.
    Declined,
}

/// Something that handles messages.
pub trait Handler: Send + Sync {
    /// Does what the message asks for, or declines it.
    ///
    /// # Errors
    ///
    /// An error ends the message: its sender is told, and no other handler is asked.
    fn handle(&self, sender: &Sender<'_>, message: &Message) -> Result<Handled, HandlerError>;
}

impl<F> Handler for F
where
    F: Fn(&Sender<'_>, &Message) -> Result<Handled, HandlerError> + Send + Sync,
{
    fn handle(&self, sender: &Sender<'_>, message: &Message) -> Result<Handled, HandlerError> {
        self(sender, message)
    }
}

/// Something that sees every message before and after its handlers.
pub trait Middleware: Send + Sync {
    /// May change the message, or refuse it.
    ///
    /// # Errors
    ///
    /// An error ends the message before any handler has seen it, and its sender is told.
    fn before(&self, _sender: &Sender<'_>, _message: &mut Message) -> Result<(), HandlerError> {
        Ok(())
    }
    /// Is told what came of it. Those that came first are told last.
    fn after(&self, _sender: &Sender<'_>, _message: &Message, _outcome: &Outcome) {}
}

/// What became of an inbound message.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// A handler took it: its name, or `None` for a built-in reply.
    Handled(Option<Arc<str>>),
    /// Nobody knows its type. It was acknowledged.
    Unhandled,
    /// It was no message, or a middleware refused it. Its sender was told.
    Refused(HandlerError),
    /// Its handler failed or panicked. Its sender was told.
    Failed(HandlerError),
}

/// A handler of that name is registered already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NameTaken;

impl fmt::Display for NameTaken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a handler of that name is registered already")
    }
}

impl std::error::Error for NameTaken {}

/// Whether a router can do its job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Status {
    /// No handler of the host's yet, for less than 10 s.
    Initializing,
    /// There is one at least.
    Ready,
    /// No handler of the host's for longer than that.
    Error,
}

/// The figures of a [`MessageRouter`]: a copy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DispatchStats {
    /// Messages that came in: of every known type, by its name, and all others under `unknown`.
    pub per_type: BTreeMap<&'static str, u64>,
    /// Those that a handler or a built-in reply took.
    pub routed: u64,
    /// Those of an unknown type that nobody took.
    pub unhandled: u64,
    /// Those whose handler failed or panicked.
    pub failed: u64,
    /// Those that were no message, or refused by a middleware.
    pub refused: u64,
    /// Errors that clients told of, by their code.
    pub client_errors: BTreeMap<String, u64>,
    /// The host's handlers in the order in which they are asked.
    pub handlers: Vec<Arc<str>>,
}

#[derive(Clone)]
struct Named {
    name: Arc<str>,
    handler: Arc<dyn Handler>,
}

/// Takes every inbound message to the first handler that wants it.
///
/// The host's handlers come first, in the order in which they were registered, then the built-in
/// replies. A handler that fails or panics ends its message and nothing else. Dispatch takes no lock;
/// handlers may be added and removed while messages flow. A host has one.
pub struct MessageRouter {
    broadcaster: Arc<Broadcaster>,
    limits: MessageLimits,
    patience: Option<Duration>,
    started: Duration,
    handlers: CopyOnWrite<Vec<Named>>,
    middleware: CopyOnWrite<Vec<Arc<dyn Middleware>>>,
    per_type: [AtomicU64; MessageKind::KNOWN.len() + 1],
    client_errors: CopyOnWrite<BTreeMap<String, Arc<AtomicU64>>>,
    routed: AtomicU64,
    unhandled: AtomicU64,
    failed: AtomicU64,
    refused: AtomicU64,
}

impl fmt::Debug for MessageRouter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MessageRouter")
            .field("handlers", &self.handler_names())
            .finish_non_exhaustive()
    }
}

impl MessageRouter {
    /// A router that answers through `broadcaster`. `started` is the host's time now.
    #[must_use]
    pub fn new(broadcaster: Arc<Broadcaster>, started: Duration) -> Self {
        Self {
            broadcaster,
            limits: MessageLimits::default(),
            patience: None,
            started,
            handlers: CopyOnWrite::new(),
            middleware: CopyOnWrite::new(),
            per_type: std::array::from_fn(|_| AtomicU64::new(0)),
            client_errors: CopyOnWrite::new(),
            routed: AtomicU64::new(0),
            unhandled: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        }
    }

    /// With these limits for what clients send.
    #[must_use]
    pub fn limits(mut self, limits: MessageLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Shows handlers a deadline so long after the message came.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = Some(patience);
        self
    }

    /// Adds a handler after those that are there. Lock-free.
    ///
    /// # Errors
    ///
    /// [`NameTaken`] if one of that name is registered.
    pub fn register(&self, name: &str, handler: impl Handler + 'static) -> Result<(), NameTaken> {
        let name: Arc<str> = name.into();
        let handler: Arc<dyn Handler> = Arc::new(handler);
        self.handlers.update(|list| {
            if list.iter().any(|other| other.name == name) {
                return Err(NameTaken);
            }
            let mut list = list.clone();
            list.push(Named {
                name: Arc::clone(&name),
                handler: Arc::clone(&handler),
            });
            Ok((list, ()))
        })
    }

    /// Takes a handler out; messages that it is at are finished by it. `false` if there is none of
    /// that name. Lock-free.
    pub fn remove(&self, name: &str) -> bool {
        let done = self.handlers.update(|list| {
            let rest: Vec<_> = list.iter().filter(|h| *h.name != *name).cloned().collect();
            if rest.len() == list.len() {
                return Err(());
            }
            Ok((rest, ()))
        });
        done.is_ok()
    }

    /// Adds a middleware inside of those that are there. Lock-free.
    pub fn wrap(&self, middleware: impl Middleware + 'static) {
        let middleware: Arc<dyn Middleware> = Arc::new(middleware);
        let added: Result<(), std::convert::Infallible> = self.middleware.update(|list| {
            let mut list = list.clone();
            list.push(Arc::clone(&middleware));
            Ok((list, ()))
        });
        let Ok(()) = added;
    }

    /// Takes what a client sent to its handler. `connection` is the one that it came by, if the host
    /// knows: errors and answers go there and nowhere else.
    ///
    /// Whose message it is comes from the scope; nothing in it changes that.
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
                self.refused.fetch_add(1, Ordering::Relaxed);
                let error = HandlerError::new(error.code(), error.to_string());
                self.sender(scope, connection, now)
                    .reply_error(&error.code, &error.message);
                Outcome::Refused(error)
            }
        }
    }

    /// Takes a message to its handler, as [`route_json`](Self::route_json).
    pub fn route(
        &self,
        scope: &UserScope<Packet>,
        connection: Option<ConnectionId>,
        mut message: Message,
        now: Duration,
    ) -> Outcome {
        let sender = self.sender(scope, connection, now);
        self.per_type[message.kind.index()].fetch_add(1, Ordering::Relaxed);
        let middleware = self.middleware.load();
        let mut inside = 0;
        let admitted = contained(|| {
            for layer in middleware.iter() {
                layer.before(&sender, &mut message)?;
                inside += 1;
            }
            Ok(())
        });
        let outcome = match admitted {
            Ok(()) => self.dispatch(&sender, &message),
            Err(error) => Outcome::Refused(error),
        };
        match &outcome {
            Outcome::Handled(_) => &self.routed,
            Outcome::Unhandled => &self.unhandled,
            Outcome::Refused(_) => &self.refused,
            Outcome::Failed(_) => &self.failed,
        }
        .fetch_add(1, Ordering::Relaxed);
        if let Outcome::Refused(error) | Outcome::Failed(error) = &outcome {
            if message.kind == MessageKind::JsonRpcRequest {
                let _ = sender.reply(&rpc_error(&message, -32603, &error.message));
            } else {
                sender.reply_error(&error.code, &error.message);
            }
        }
        for layer in middleware[..inside].iter().rev() {
            // What a middleware makes of it afterwards changes nothing.
            let _ = contained(|| {
                layer.after(&sender, &message, &outcome);
                Ok(())
            });
        }
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
        }
    }

    fn dispatch(&self, sender: &Sender<'_>, message: &Message) -> Outcome {
        for Named { name, handler } in self.handlers.load().iter() {
            match contained(|| handler.handle(sender, message)) {
                Ok(Handled::Done) => return Outcome::Handled(Some(Arc::clone(name))),
                Ok(Handled::Declined) => {}
                Err(error) => return Outcome::Failed(error),
            }
        }
        self.reply_built_in(sender, message)
    }

    /// What is answered when no handler of the host's wants the message.
    fn reply_built_in(&self, sender: &Sender<'_>, message: &Message) -> Outcome {
        use MessageKind as Kind;
        let named = |name: &str| Message::new(Kind::from_name(name));
        let reply = match &message.kind {
            Kind::Connect => Some(named("system_message").with("status", "connected")),
            Kind::Disconnect => Some(named("disconnect_acknowledged")),
            Kind::UserTyping | Kind::AgentTyping | Kind::TypingStarted | Kind::TypingStopped => {
                let thread = message.field("thread_id").cloned().unwrap_or(Value::Null);
                Some(named("typing_acknowledged").with("thread_id", thread))
            }
            Kind::Ping => Some(named("pong")),
            Kind::Heartbeat => Some(named("heartbeat_ack").with("status", "healthy")),
            Kind::ErrorMessage => {
                self.count_error(message.text("code").unwrap_or("UNKNOWN"));
                None
            }
            Kind::JsonRpcRequest => {
                let _ = sender.reply(&rpc_error(message, -32601, "method not found"));
                return Outcome::Unhandled;
            }
            Kind::Unknown(name) => {
                let ack = named("ack")
                    .with("received_type", &**name)
                    .with("status", "acknowledged");
                let _ = sender.reply(&sender.stamped(ack));
                return Outcome::Unhandled;
            }
            // Known, and nothing to be said: pongs, acks, notifications, what only hosts handle.
            _ => None,
        };
        if let Some(reply) = reply {
            let _ = sender.reply(&sender.stamped(reply));
        }
        Outcome::Handled(None)
    }

    fn count_error(&self, code: &str) {
        let known = self.client_errors.load();
        let code = if known.contains_key(code) || known.len() < MAX_CODES {
            code
        } else {
            "OTHER"
        };
        let counter: Result<_, std::convert::Infallible> = match known.get(code) {
            Some(counter) => Ok(Arc::clone(counter)),
            None => self.client_errors.update(|codes| {
                let mut codes = codes.clone();
                let counter = Arc::clone(codes.entry(code.to_owned()).or_default());
                Ok((codes, counter))
            }),
        };
        let Ok(counter) = counter;
        counter.fetch_add(1, Ordering::Relaxed);
    }

    fn handler_names(&self) -> Vec<Arc<str>> {
        let handlers = self.handlers.load();
        handlers.iter().map(|h| Arc::clone(&h.name)).collect()
    }

    /// Whether it can do its job, at the host's time `now`.
    #[must_use]
    pub fn status(&self, now: Duration) -> Status {
        if !self.handlers.load().is_empty() {
            Status::Ready
        } else if now.saturating_sub(self.started) < GRACE {
            Status::Initializing
        } else {
            Status::Error
        }
    }

    /// The figures so far. Lock-free.
    #[must_use]
    pub fn stats(&self) -> DispatchStats {
        let read = |from: &AtomicU64| from.load(Ordering::Relaxed);
        let names = MessageKind::KNOWN.iter().map(MessageKind::known_name);
        let per_type = names.chain(["unknown"]).zip(&self.per_type);
        let client_errors = self.client_errors.load();
        DispatchStats {
            per_type: per_type
                .map(|(name, count)| (name, read(count)))
                .filter(|(_, count)| *count > 0)
                .collect(),
            routed: read(&self.routed),
            unhandled: read(&self.unhandled),
            failed: read(&self.failed),
            refused: read(&self.refused),
            client_errors: client_errors
                .iter()
                .map(|(code, count)| (code.clone(), read(count)))
                .collect(),
            handlers: self.handler_names(),
        }
    }
}

/// Runs the host's code. A panic is an error that says nothing of what it was about.
fn contained<R>(f: impl FnOnce() -> Result<R, HandlerError>) -> Result<R, HandlerError> {
    catch_unwind(AssertUnwindSafe(f)).unwrap_or_else(|panic| {
        // Its own Drop may panic as well.
        std::mem::forget(panic);
        Err(HandlerError::new(
            "INTERNAL",
            "the message could not be handled",
        ))
    })
}

/// The JSON-RPC error answer to a request.
fn rpc_error(request: &Message, code: i64, text: &str) -> Message {
    rpc_answer(request).with("error", json!({"code": code, "message": text}))
}

fn rpc_answer(request: &Message) -> Message {
    let id = request.fields.get("id").cloned().unwrap_or(Value::Null);
    Message::new(MessageKind::JsonRpcResponse)
        .with("jsonrpc", "2.0")
        .with("id", id)
}

impl Sender<'_> {
    /// Answers a JSON-RPC request with its result, under the request's own id.
    pub fn answer(&self, request: &Message, result: impl Into<Value>) -> Broadcast {
        self.reply(&rpc_answer(request).with("result", result))
    }
}
