//! The one router of inbound messages: who handles what, in which order, and what comes of it.

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::engine::clock::micros;
use crate::id::ConnectionId;
use crate::protocol::broadcaster::Broadcaster;
use crate::protocol::inbound::builtin::ClientErrors;
use crate::protocol::inbound::chain::{Chain, Kinds, Named, Shielded};
use crate::protocol::inbound::error::HandlerError;
use crate::protocol::inbound::handler::{
    Handled, Handler, Middleware, Outcome, Sender, Trouble, contained,
};
use crate::protocol::inbound::repeats::{Answers, Print, RepeatLimits, Repeats, Seen};
use crate::protocol::inbound::stats::{DispatchStats, MAX_HANDLERS, RegisterError, Status};
use crate::protocol::inbound::{answer, builtin};
use crate::protocol::message::envelope::Message;
use crate::protocol::message::error::MessageError;
use crate::protocol::message::json::MAX_NESTING;
use crate::protocol::message::kind::MessageKind;
use crate::protocol::message::limits::MessageLimits;
use crate::protocol::message::rpc;
use crate::protocol::packet::Packet;
use crate::scope::UserScope;
use crate::sync::{AtomicU64, Ordering};
use crate::table::copy_on_write::CopyOnWrite;

/// How long a router may be without a handler of the host's before that is an error.
const GRACE: Duration = Duration::from_secs(10);

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
/// A message may have an id, `message_id` in its payload or at its top: a text of at most 200 bytes, or a
/// number. One that comes again from the same user, with the same content, is not handled again. Its
/// sender gets the answers that were given by [`Sender::reply`] the first time, or an `ack` with the
/// `status` `in_progress` while it is handled, or `already_handled` if there were no answers or they are
/// not kept any more. The same id with another content is refused as `MESSAGE_ID_REUSED`. How many are
/// known again is bounded by [`RepeatLimits`]; one that was forgotten is handled like a new one. What a
/// middleware refused may come again. JSON-RPC has ids of its own, which are not looked at here.
///
/// A host has one. Dispatch takes no lock and is lock-free but for what handlers do.
pub struct MessageRouter {
    broadcaster: Arc<Broadcaster>,
    limits: MessageLimits,
    patience: Option<Duration>,
    /// The microseconds from its start to the end of all time, which only grow.
    started: AtomicU64,
    chain: CopyOnWrite<Chain>,
    repeats: Repeats,
    per_type: [AtomicU64; MessageKind::KNOWN.len() + 1],
    client_errors: ClientErrors,
    routed: AtomicU64,
    unhandled: AtomicU64,
    failed: AtomicU64,
    refused: AtomicU64,
    repeated: AtomicU64,
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
            started: AtomicU64::new(u64::MAX - micros(started)),
            chain: CopyOnWrite::new(),
            repeats: Repeats::new(RepeatLimits::default()),
            per_type: std::array::from_fn(|_| AtomicU64::new(0)),
            client_errors: ClientErrors::new(),
            routed: AtomicU64::new(0),
            unhandled: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            repeated: AtomicU64::new(0),
        }
    }

    /// With these limits for what clients send.
    #[must_use]
    pub fn limits(mut self, limits: MessageLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Knows so many messages again by their ids.
    #[must_use]
    pub fn repeats(mut self, limits: RepeatLimits) -> Self {
        self.repeats = Repeats::new(limits);
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
                let code = answer::refusal_code(&error);
                let error = HandlerError::new(error.code(), error.to_string());
                self.refuse(scope, connection, json, (code, error), now)
            }
        }
    }

    /// Refuses what is no message or has no room, and tells its sender, unless it is an answer.
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
        let mut sender = self.sender(scope, connection, now);
        let outcome = self.settle(&mut sender, &mut message);
        message.discard();
        outcome
    }

    /// What becomes of a message.
    fn settle(&self, sender: &mut Sender<'_>, message: &mut Message) -> Outcome {
        // What came in, whatever a middleware makes of it.
        self.per_type[message.kind.index()].fetch_add(1, Ordering::Relaxed);
        let chain = self.chain.load();
        let mut inside = 0;
        let mut admitted = check(message).map_err(Trouble::Error);
        // As it came: a middleware may add what differs each time.
        let print = match admitted {
            Ok(()) => self.repeats.print(message),
            Err(_) => None,
        };
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
            Ok(()) => self.once(&chain.handlers, sender, message, print.as_ref()),
            Err(Trouble::Error(error)) => Outcome::Refused(error),
            Err(Trouble::Panic(error)) => Outcome::Failed(error),
        };
        match &outcome {
            Outcome::Handled(_) => &self.routed,
            Outcome::Unhandled => &self.unhandled,
            Outcome::Repeated => &self.repeated,
            Outcome::Refused(_) => &self.refused,
            Outcome::Failed(_) => &self.failed,
        }
        .fetch_add(1, Ordering::Relaxed);
        if let Outcome::Refused(error) | Outcome::Failed(error) = &outcome {
            sender.reply_error(message, error);
        }
        if let (Some(answers), Some(print)) = (sender.answers.take(), print) {
            let answers = answers.load().iter().cloned().collect();
            self.repeats.answered(sender.user(), &print, &answers);
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
            answers: None,
        }
    }

    /// Dispatches a message, unless its id came before.
    fn once(
        &self,
        handlers: &[Named],
        sender: &mut Sender<'_>,
        message: &Message,
        print: Option<&Print>,
    ) -> Outcome {
        let seen = print.map_or(Seen::First, |print| self.repeats.see(sender.user(), print));
        let again = |status: &str| {
            let ack = Message::new(MessageKind::from_name("ack"))
                .with("received_type", message.kind.name())
                .with("status", status)
                .with(
                    "message_id",
                    print.map_or(Value::Null, |print| print.id.clone()),
                );
            if message.kind.is_answered() {
                sender.reply_stamped(ack);
            }
            Outcome::Repeated
        };
        match seen {
            Seen::First => {
                sender.answers = print.map(|_| CopyOnWrite::new());
                self.dispatch(handlers, sender, message)
            }
            Seen::Handling => again("in_progress"),
            Seen::Answered(Answers::Kept(answers)) if !answers.is_empty() => {
                sender.repeat(&answers);
                Outcome::Repeated
            }
            Seen::Answered(_) => again("already_handled"),
            Seen::Other => {
                let text = "this message id came with another message";
                Outcome::Refused(HandlerError::new("MESSAGE_ID_REUSED", text))
            }
        }
    }

    fn dispatch(&self, handlers: &[Named], sender: &Sender<'_>, message: &Message) -> Outcome {
        for candidate in handlers.iter().filter(|h| h.kinds.has(&message.kind)) {
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
        let now = micros(now);
        // A start in the future was told by a clock that has been set back since.
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
            repeated: read(&self.repeated),
            client_errors: self.client_errors.counts(),
            handlers: self.handler_names(),
        }
    }
}

/// Whether a message may go to handlers.
fn check(message: &Message) -> Result<(), HandlerError> {
    if !message.is_within() {
        let limit = MAX_NESTING;
        let error = MessageError::TooDeep { limit };
        return Err(HandlerError::new(error.code(), error.to_string()));
    }
    let is_rpc = message.kind == MessageKind::JsonRpcRequest;
    if is_rpc && message.rpc_kind() != Some(MessageKind::JsonRpcRequest) {
        let text = MessageError::BadRpc.to_string();
        return Err(HandlerError::new("INVALID_REQUEST", text));
    }
    Ok(())
}
