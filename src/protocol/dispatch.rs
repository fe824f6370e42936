//! The one router of inbound messages: who handles what, in which order, and what comes of it.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use super::builtin::{self, ClientErrors};
use super::handler::{Trouble, contained};
use super::json::{self, MAX_NESTING};
use super::registry::CopyOnWrite;
use super::{
    Broadcaster, Handled, Handler, HandlerError, Message, MessageError, MessageKind, MessageLimits,
    Middleware, Outcome, Packet, Sender, rpc,
};
use crate::id::ConnectionId;
use crate::scope::UserScope;
use crate::sync::{AtomicU64, Ordering};

/// How long a router may be without a handler of the host's before that is an error.
const GRACE: Duration = Duration::from_secs(10);
/// Handlers of one router, and middlewares of one router.
pub const MAX_HANDLERS: usize = 256;

/// A handler or a middleware cannot be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RegisterError {
    /// A handler of that name is registered already.
    NameTaken,
    /// There are [`MAX_HANDLERS`] already.
    TooMany,
}

impl fmt::Display for RegisterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NameTaken => f.write_str("a handler of that name is registered already"),
            Self::TooMany => write!(f, "a router has at most {MAX_HANDLERS} of them"),
        }
    }
}

impl std::error::Error for RegisterError {}

/// Whether a message may go to handlers.
fn check(message: &Message) -> Result<(), HandlerError> {
    if !json::are_within(&message.fields) {
        let limit = MAX_NESTING;
        let error = MessageError::TooDeep { limit };
        return Err(HandlerError::new(error.code(), error.to_string()));
    }
    let is_rpc = message.kind == MessageKind::JsonRpcRequest;
    if is_rpc && rpc::kind(&message.fields) != Some(MessageKind::JsonRpcRequest) {
        let text = MessageError::BadRpc.to_string();
        return Err(HandlerError::new("INVALID_REQUEST", text));
    }
    Ok(())
}

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
    /// Messages that came in: of every known type, by its name, and all others under `unknown`. What
    /// was no message has no type.
    pub per_type: BTreeMap<&'static str, u64>,
    /// Those that a handler or a built-in reply took.
    pub routed: u64,
    /// Those that nobody took, of an unknown type or of a known one.
    pub unhandled: u64,
    /// Those whose handler failed or panicked, or whose middleware panicked.
    pub failed: u64,
    /// Those that were no message, or refused by a middleware.
    pub refused: u64,
    /// Errors that clients told of, by their code: 64 codes of up to 64 bytes, and `OTHER`.
    pub client_errors: BTreeMap<String, u64>,
    /// The host's handlers in the order in which they are asked.
    pub handlers: Vec<Arc<str>>,
}

/// A set of kinds, by their index.
#[derive(Clone, Copy)]
struct Kinds(u128);

impl Kinds {
    fn of(kinds: Option<&[MessageKind]>) -> Self {
        const { assert!(MessageKind::KNOWN.len() < 128) };
        let all = |kinds: &[MessageKind]| kinds.iter().fold(0, |set, kind| set | Self::bit(kind));
        Self(kinds.map_or(u128::MAX, all))
    }

    fn bit(kind: &MessageKind) -> u128 {
        1 << kind.index()
    }
}

#[derive(Clone)]
struct Named {
    name: Arc<str>,
    kinds: Kinds,
    handler: Arc<Shielded>,
}

/// A handler of the host's whose `Drop` may panic: it is dropped wherever the last message that it was
/// at ends, which may be another user's.
struct Shielded(Option<Box<dyn Handler>>);

impl Drop for Shielded {
    fn drop(&mut self) {
        let handler = self.0.take();
        let dropped = catch_unwind(AssertUnwindSafe(|| drop(handler)));
        // What it panicked with may panic again when it is dropped.
        dropped.unwrap_or_else(std::mem::forget);
    }
}

/// What a message goes through: replaced as a whole, so one load shows all of it.
#[derive(Clone, Default)]
struct Chain {
    middleware: Vec<Arc<dyn Middleware>>,
    handlers: Vec<Named>,
}

/// Takes every inbound message to the first handler that wants it.
///
/// The host's handlers come first, in the order in which they were registered, then the built-in
/// replies. A handler that fails or panics ends its message and nothing else. Handlers may be added
/// and removed while messages flow: a message goes through those that were there when it came.
///
/// A message that nobody takes counts as [`Outcome::Unhandled`], and its sender is told that it came
/// and no more: `{"type": "ack", "received_type": .., "status": "acknowledged", "timestamp": ..}`.
/// That goes for types that nobody knows and for known ones that only hosts can handle, such as
/// `user_message`. JSON-RPC requests get the error −32601, its notifications nothing.
///
/// An answer is never answered, see [`MessageKind::is_answered`]. What is refused before it is a message
/// is answered in JSON-RPC if it names `jsonrpc`: −32700 for what is not JSON, −32600 for what is no
/// request, with its id where that is a text or a number, else null. A batch is refused as a whole.
///
/// A host has one. Dispatch takes no lock and is lock-free but for what handlers do.
pub struct MessageRouter {
    broadcaster: Arc<Broadcaster>,
    limits: MessageLimits,
    patience: Option<Duration>,
    started: Duration,
    chain: CopyOnWrite<Chain>,
    per_type: [AtomicU64; MessageKind::KNOWN.len() + 1],
    client_errors: ClientErrors,
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
            chain: CopyOnWrite::new(),
            per_type: std::array::from_fn(|_| AtomicU64::new(0)),
            client_errors: ClientErrors::new(),
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
    /// [`RegisterError`] if one of that name is registered, or there are too many.
    pub fn register(
        &self,
        name: &str,
        handler: impl Handler + 'static,
    ) -> Result<(), RegisterError> {
        let added = Named {
            name: name.into(),
            kinds: Kinds::of(handler.kinds()),
            handler: Arc::new(Shielded(Some(Box::new(handler)))),
        };
        self.chain.update(|chain| {
            if chain.handlers.iter().any(|other| other.name == added.name) {
                return Err(RegisterError::NameTaken);
            }
            if chain.handlers.len() == MAX_HANDLERS {
                return Err(RegisterError::TooMany);
            }
            let mut chain = chain.clone();
            chain.handlers.push(added.clone());
            Ok((chain, ()))
        })
    }

    /// Takes a handler out; messages that it is at are finished by it. `false` if there is none of
    /// that name. Lock-free.
    pub fn remove(&self, name: &str) -> bool {
        let done: Result<_, Infallible> = self.chain.update(|chain| {
            let mut rest = chain.clone();
            rest.handlers.retain(|handler| *handler.name != *name);
            let removed = rest.handlers.len() < chain.handlers.len();
            Ok((rest, removed))
        });
        let Ok(removed) = done;
        removed
    }

    /// Adds a middleware inside of those that are there. Lock-free.
    ///
    /// # Errors
    ///
    /// [`RegisterError::TooMany`].
    pub fn wrap(&self, middleware: impl Middleware + 'static) -> Result<(), RegisterError> {
        let middleware: Arc<dyn Middleware> = Arc::new(middleware);
        self.chain.update(|chain| {
            if chain.middleware.len() == MAX_HANDLERS {
                return Err(RegisterError::TooMany);
            }
            let mut chain = chain.clone();
            chain.middleware.push(Arc::clone(&middleware));
            Ok((chain, ()))
        })
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
                let code = rpc::refusal_code(&error);
                let error = HandlerError::new(error.code(), error.to_string());
                self.refuse(scope, connection, json, (code, error), now)
            }
        }
    }

    /// Refuses what is no message or has no room, and tells its sender, unless it is an answer.
    pub(super) fn refuse(
        &self,
        scope: &UserScope<Packet>,
        connection: Option<ConnectionId>,
        json: &[u8],
        (code, error): (i64, HandlerError),
        now: Duration,
    ) -> Outcome {
        let sender = self.sender(scope, connection, now);
        sender.refuse(rpc::asks(json), code, &error);
        self.refused.fetch_add(1, Ordering::Relaxed);
        Outcome::Refused(error)
    }

    /// Takes a message to its handler, as [`route_json`](Self::route_json). One that is nested more than
    /// 126 deep is refused.
    pub fn route(
        &self,
        scope: &UserScope<Packet>,
        connection: Option<ConnectionId>,
        mut message: Message,
        now: Duration,
    ) -> Outcome {
        let sender = self.sender(scope, connection, now);
        let outcome = self.settle(&sender, &mut message);
        json::discard_fields(message.fields);
        outcome
    }

    /// What becomes of a message.
    fn settle(&self, sender: &Sender<'_>, message: &mut Message) -> Outcome {
        // What came in, whatever a middleware makes of it.
        self.per_type[message.kind.index()].fetch_add(1, Ordering::Relaxed);
        let chain = self.chain.load();
        let mut inside = 0;
        let mut admitted = check(message).map_err(Trouble::Error);
        let layers: &[_] = match admitted {
            Ok(()) => &chain.middleware,
            Err(_) => &[],
        };
        for layer in layers {
            admitted = contained(|| layer.before(sender, message));
            if admitted.is_err() {
                break;
            }
            inside += 1;
        }
        let outcome = match admitted {
            Ok(()) => self.dispatch(&chain.handlers, sender, message),
            Err(Trouble::Error(error)) => Outcome::Refused(error),
            Err(Trouble::Panic(error)) => Outcome::Failed(error),
        };
        match &outcome {
            Outcome::Handled(_) => &self.routed,
            Outcome::Unhandled => &self.unhandled,
            Outcome::Refused(_) => &self.refused,
            Outcome::Failed(_) => &self.failed,
        }
        .fetch_add(1, Ordering::Relaxed);
        if let Outcome::Refused(error) | Outcome::Failed(error) = &outcome {
            sender.reply_error(message, error);
        }
        for layer in layers[..inside].iter().rev() {
            let told = contained(|| {
                layer.after(sender, message, &outcome);
                Ok(())
            });
            // What a middleware makes of it afterwards changes nothing.
            drop(told);
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

    fn dispatch(&self, handlers: &[Named], sender: &Sender<'_>, message: &Message) -> Outcome {
        let bit = Kinds::bit(&message.kind);
        for candidate in handlers.iter().filter(|h| h.kinds.0 & bit != 0) {
            let Some(handler) = &candidate.handler.0 else {
                continue;
            };
            match contained(|| handler.handle(sender, message)) {
                Ok(Handled::Done) => return Outcome::Handled(Some(Arc::clone(&candidate.name))),
                Ok(Handled::Declined) => {}
                Err(Trouble::Error(error) | Trouble::Panic(error)) => {
                    return Outcome::Failed(error);
                }
            }
        }
        builtin::reply(sender, message, &self.client_errors)
    }

    fn handler_names(&self) -> Vec<Arc<str>> {
        let chain = self.chain.load();
        chain.handlers.iter().map(|h| Arc::clone(&h.name)).collect()
    }

    /// Whether it can do its job, at the host's time `now`. Wait-free.
    #[must_use]
    pub fn status(&self, now: Duration) -> Status {
        if !self.chain.load().handlers.is_empty() {
            Status::Ready
        } else if now.saturating_sub(self.started) < GRACE {
            Status::Initializing
        } else {
            Status::Error
        }
    }

    /// The figures so far: a copy. Wait-free.
    #[must_use]
    pub fn stats(&self) -> DispatchStats {
        let read = |from: &AtomicU64| from.load(Ordering::Relaxed);
        let names = MessageKind::KNOWN.iter().map(MessageKind::known_name);
        let per_type = names.chain(["unknown"]).zip(&self.per_type);
        DispatchStats {
            per_type: per_type
                .map(|(name, count)| (name, read(count)))
                .filter(|(_, count)| *count > 0)
                .collect(),
            routed: read(&self.routed),
            unhandled: read(&self.unhandled),
            failed: read(&self.failed),
            refused: read(&self.refused),
            client_errors: self.client_errors.counts(),
            handlers: self.handler_names(),
        }
    }
}
