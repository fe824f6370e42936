//! What the host writes: handlers and middleware, what they are given, and what they answer.

use std::convert::Infallible;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::id::{ConnectionId, UserId};
use crate::protocol::broadcast::{Broadcast, BroadcastError};
use crate::protocol::broadcaster::Broadcaster;
use crate::protocol::inbound::answer;
use crate::protocol::inbound::error::HandlerError;
use crate::protocol::message::envelope::Message;
use crate::protocol::message::json;
use crate::protocol::message::kind::MessageKind;
use crate::protocol::message::rpc::Asks;
use crate::protocol::packet::{Audience, Packet};
use crate::scope::UserScope;
use crate::table::copy_on_write::CopyOnWrite;

/// Who sent a message, and the way back: the only users whom a handler can answer.
pub struct Sender<'a> {
    pub(in crate::protocol) scope: &'a UserScope<Packet>,
    pub(in crate::protocol) connection: Option<ConnectionId>,
    pub(in crate::protocol) broadcaster: &'a Broadcaster,
    pub(in crate::protocol) now: Duration,
    pub(in crate::protocol) deadline: Option<Duration>,
    /// What this sender was answered, if that is to be known.
    pub(in crate::protocol) answers: Option<CopyOnWrite<Vec<Packet>>>,
}

impl fmt::Debug for Sender<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender")
            .field("scope", &self.scope)
            .field("connection", &self.connection)
            .field("now", &self.now)
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
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
        let (broadcast, packet) =
            (self.broadcaster).reply(self.scope, self.audience(), message, self.now);
        if let (Some(answers), Some(packet)) = (&self.answers, packet) {
            let noted: Result<(), Infallible> = answers.update(|answers| {
                let packet = [packet.clone()];
                Ok((answers.iter().cloned().chain(packet).collect(), ()))
            });
            let Ok(()) = noted;
        }
        broadcast
    }

    fn audience(&self) -> Audience<'static> {
        self.connection
            .map_or(Audience::Everybody, Audience::Connection)
    }

    /// Answers once more what was answered before.
    pub(in crate::protocol) fn repeat(&self, answers: &[Packet]) {
        for packet in answers {
            (self.broadcaster).repeat(self.scope, self.audience(), packet, self.now);
        }
    }

    /// Sends to all of the user's connections.
    pub fn broadcast(&self, message: &Message) -> Broadcast {
        self.broadcaster.broadcast(self.scope, message, self.now)
    }

    /// Answers a JSON-RPC request with its result, under the request's own id.
    ///
    /// The answer has the members `jsonrpc`, `id` and `result`, and no other. To anything but a
    /// request nothing is sent, and the result says [`BroadcastError::NoRequest`].
    pub fn answer(&self, request: &Message, result: impl Into<Value>) -> Broadcast {
        let result = json::Owned(result.into());
        if request.kind != MessageKind::JsonRpcRequest {
            return Broadcast::refused(request.kind.clone(), BroadcastError::NoRequest, self.now);
        }
        let answer = answer::answer(request);
        answer.sent_with("result", result, |answer| self.reply(answer))
    }

    /// A reply of the router's own: with the time.
    pub(in crate::protocol) fn reply_stamped(&self, message: Message) {
        let ms = u64::try_from(self.now.as_millis()).unwrap_or(u64::MAX);
        let message = message.with("timestamp", ms);
        let _ = self.reply(&message);
        message.discard();
    }

    /// Tells the sender what went wrong with `message`, in the form that its kind asks for.
    pub(in crate::protocol) fn reply_error(&self, message: &Message, error: &HandlerError) {
        if message.kind == MessageKind::JsonRpcRequest {
            let code = answer::error_code(error);
            let _ = self.reply(&answer::error_answer(message, code, &error.message));
        } else if message.kind.is_answered() {
            self.tell_error(error);
        }
    }

    /// Tells the sender why bytes were refused, in the form that they ask for.
    pub(in crate::protocol) fn refuse(&self, asks: Asks, code: i64, error: &HandlerError) {
        match asks {
            Asks::Nothing => {}
            Asks::Rpc(id) => _ = self.reply(&answer::error(id, code, &error.message)),
            Asks::Message => self.tell_error(error),
        }
    }

    fn tell_error(&self, error: &HandlerError) {
        self.reply_stamped(
            Message::new(MessageKind::ErrorMessage)
                .with("code", &*error.code)
                .with("message", &*error.message),
        );
    }
}

/// What a handler did with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Handled {
    /// All there was to do.
    Done,
    /// Nothing: the message is the next handler's.
    Declined,
}

/// Something that handles messages: a closure, or what [`typed`](crate::protocol::typed) makes of one.
pub trait Handler: Send + Sync {
    /// The kinds that it is asked about: all of them if `None`. Asked once, at registration. One that
    /// is [`Unknown`](MessageKind::Unknown) stands for all unknown ones.
    fn kinds(&self) -> Option<&[MessageKind]> {
        None
    }

    /// Does what the message asks for, or declines it.
    ///
    /// # Errors
    ///
    /// An error ends the message: its sender is told, and no other handler is asked. A panic does the
    /// same and tells the sender nothing of what it said.
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
    /// Is told what came of it. Those that came first are told last. Those whose `before` was not
    /// reached, or refused, are not told. A panic is caught and changes nothing.
    fn after(&self, _sender: &Sender<'_>, _message: &Message, _outcome: &Outcome) {}
}

/// What became of an inbound message.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// A handler took it: its name, or `None` for a built-in reply.
    Handled(Option<Arc<str>>),
    /// Nobody took it. Its sender was told, unless it is a kind that gets no answer.
    Unhandled,
    /// It came before under the same message id, and was not handled again. Its sender got the answers of
    /// then.
    Repeated,
    /// It was no message, or a middleware refused it. Its sender was told.
    Refused(HandlerError),
    /// Its handler failed or panicked, or a middleware panicked. Its sender was told.
    Failed(HandlerError),
}

/// Why the host's code did not do it.
pub(in crate::protocol) enum Trouble {
    /// It said so.
    Error(HandlerError),
    /// It panicked. Says nothing of what it was about.
    Panic(HandlerError),
}

/// Runs the host's code.
pub(in crate::protocol) fn contained<R>(
    f: impl FnOnce() -> Result<R, HandlerError>,
) -> Result<R, Trouble> {
    match catch_unwind(AssertUnwindSafe(f)) {
        Ok(done) => done.map_err(Trouble::Error),
        Err(panic) => {
            // Its own Drop may panic as well.
            std::mem::forget(panic);
            let text = "the message could not be handled";
            Err(Trouble::Panic(HandlerError::new("INTERNAL", text)))
        }
    }
}
