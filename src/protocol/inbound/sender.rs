//! The sender of a message, as a handler sees it: the user, the time, and the ways to answer.

use std::fmt;
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

/// The user who sent a message, and the way back. A handler can answer no other user through it.
///
/// ```
/// use std::{sync::Arc, time::Duration};
/// use laneway::protocol::{Handled, Message, MessageRouter, Sender};
/// use laneway::{Hub, Received, UserId};
///
/// let (hub, now) = (Hub::new(), Duration::ZERO);
/// let inbound = MessageRouter::new(Arc::default(), now);
/// inbound.register("greets", |sender: &Sender<'_>, message: &Message| {
///     let hello = format!("hello {}", sender.user().as_str());
///     let _ = sender.reply(&Message::new(message.kind.clone()).with("text", hello));
///     Ok(Handled::Done)
/// })?;
/// let ann = hub.scope(UserId::new("ann")?);
/// let mut phone = ann.connect()?;
/// let _ = inbound.route_json(&ann, Some(phone.id()), br#"{"type": "chat"}"#, now);
/// let Received::Event(got) = phone.try_recv()? else { panic!("a gap") };
/// assert_eq!(got.event.json(), r#"{"type":"chat","text":"hello ann"}"#);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Sender<'a> {
    pub(in crate::protocol) scope: &'a UserScope<Packet>,
    pub(in crate::protocol) connection: Option<ConnectionId>,
    pub(in crate::protocol) broadcaster: &'a Broadcaster,
    pub(in crate::protocol) now: Duration,
    pub(in crate::protocol) deadline: Option<Duration>,
    /// The answers to the sender so far, if the message has an id by which it is known again.
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
    /// Returns the user's id. Wait-free.
    ///
    /// ```
    /// # use std::{sync::Arc, time::Duration};
    /// # use laneway::{Hub, UserId, protocol::*};
    /// # let (hub, now) = (Hub::new(), Duration::from_secs(1));
    /// # let ann = hub.scope(UserId::new("ann")?);
    /// # let inbound = MessageRouter::new(Arc::default(), now);
    /// inbound.register("looks", |sender: &Sender<'_>, _: &Message| {
    ///     assert_eq!(sender.user().as_str(), "ann");
    ///     Ok(Handled::Done)
    /// })?;
    /// let outcome = inbound.route(&ann, None, Message::new(MessageKind::Chat), now);
    /// assert_eq!(outcome, Outcome::Handled(Some("looks".into())));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn user(&self) -> &UserId {
        self.scope.user()
    }

    /// Returns the user's scope. A handler that works on after its return clones it. Wait-free.
    ///
    /// ```
    /// # use std::{sync::Arc, time::Duration};
    /// # use laneway::{Hub, UserId, protocol::*};
    /// # let (hub, now) = (Hub::new(), Duration::from_secs(1));
    /// # let ann = hub.scope(UserId::new("ann")?);
    /// # let inbound = MessageRouter::new(Arc::default(), now);
    /// inbound.register("looks", |sender: &Sender<'_>, _: &Message| {
    ///     assert_eq!(sender.scope().clone().user(), sender.user());
    ///     Ok(Handled::Done)
    /// })?;
    /// let outcome = inbound.route(&ann, None, Message::new(MessageKind::Chat), now);
    /// assert_eq!(outcome, Outcome::Handled(Some("looks".into())));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn scope(&self) -> &UserScope<Packet> {
        self.scope
    }

    /// Returns the connection that the message came by, if the host has named it. Wait-free.
    ///
    /// ```
    /// # use std::{sync::Arc, time::Duration};
    /// # use laneway::{Hub, UserId, protocol::*};
    /// # let (hub, now) = (Hub::new(), Duration::from_secs(1));
    /// # let ann = hub.scope(UserId::new("ann")?);
    /// # let inbound = MessageRouter::new(Arc::default(), now);
    /// inbound.register("looks", |sender: &Sender<'_>, _: &Message| {
    ///     assert_eq!(sender.connection(), None);
    ///     Ok(Handled::Done)
    /// })?;
    /// let outcome = inbound.route(&ann, None, Message::new(MessageKind::Chat), now);
    /// assert_eq!(outcome, Outcome::Handled(Some("looks".into())));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn connection(&self) -> Option<ConnectionId> {
        self.connection
    }

    /// Returns the host's time at which the message came. Wait-free.
    ///
    /// ```
    /// # use std::{sync::Arc, time::Duration};
    /// # use laneway::{Hub, UserId, protocol::*};
    /// # let (hub, now) = (Hub::new(), Duration::from_secs(1));
    /// # let ann = hub.scope(UserId::new("ann")?);
    /// # let inbound = MessageRouter::new(Arc::default(), now);
    /// inbound.register("looks", |sender: &Sender<'_>, _: &Message| {
    ///     assert_eq!(sender.now(), Duration::from_secs(1));
    ///     Ok(Handled::Done)
    /// })?;
    /// let outcome = inbound.route(&ann, None, Message::new(MessageKind::Chat), now);
    /// assert_eq!(outcome, Outcome::Handled(Some("looks".into())));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn now(&self) -> Duration {
        self.now
    }

    /// Returns the host's time by which a handler is to be done. The router stops no handler that is late.
    ///
    /// `None` without [`MessageRouter::patience`](crate::protocol::MessageRouter::patience). Wait-free.
    ///
    /// ```
    /// # use std::{sync::Arc, time::Duration};
    /// # use laneway::{Hub, UserId, protocol::*};
    /// # let (hub, now) = (Hub::new(), Duration::from_secs(1));
    /// # let ann = hub.scope(UserId::new("ann")?);
    /// # let inbound = MessageRouter::new(Arc::default(), now);
    /// inbound.register("looks", |sender: &Sender<'_>, _: &Message| {
    ///     assert_eq!(sender.deadline(), None);
    ///     Ok(Handled::Done)
    /// })?;
    /// let outcome = inbound.route(&ann, None, Message::new(MessageKind::Chat), now);
    /// assert_eq!(outcome, Outcome::Handled(Some("looks".into())));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn deadline(&self) -> Option<Duration> {
        self.deadline
    }

    /// Sends to the connection that the message came by, or to all of the user's if the host has not named
    /// it.
    ///
    /// If the message comes again under its id, the router sends the answer again. Lock-free.
    ///
    /// ```
    /// # use std::{sync::Arc, time::Duration};
    /// # use laneway::{Hub, UserId, protocol::*};
    /// # let (hub, now) = (Hub::new(), Duration::from_secs(1));
    /// # let ann = hub.scope(UserId::new("ann")?);
    /// # let inbound = MessageRouter::new(Arc::default(), now);
    /// inbound.register("echo", |sender: &Sender<'_>, message: &Message| {
    ///     assert_eq!(sender.reply(message).connections, 1);
    ///     Ok(Handled::Done)
    /// })?;
    /// let (phone, _laptop) = (ann.connect()?, ann.connect()?);
    /// let outcome = inbound.route_json(&ann, Some(phone.id()), br#"{"type": "chat"}"#, now);
    /// assert_eq!(outcome, Outcome::Handled(Some("echo".into())));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The result carries a refusal in [`Broadcast::refused`](field@Broadcast::refused).
    pub fn reply(&self, message: &Message) -> Broadcast {
        let (broadcast, packet) =
            (self.broadcaster).send_packet(self.scope, self.audience(), message, false, self.now);
        if let (Some(answers), Some(packet)) = (&self.answers, packet) {
            answers.change(|answers| answers.push(packet.clone()));
        }
        broadcast
    }

    fn audience(&self) -> Audience<'static> {
        self.connection.map_or(Audience::All, Audience::Connection)
    }

    /// Sends the answers of the first time again.
    pub(in crate::protocol) fn repeat(&self, answers: &[Packet]) {
        for packet in answers {
            (self.broadcaster).repeat(self.scope, self.audience(), packet, self.now);
        }
    }

    /// Sends to all connections of the user. It is no answer: a repeated message does not send it again.
    ///
    /// Lock-free.
    ///
    /// ```
    /// # use std::{sync::Arc, time::Duration};
    /// # use laneway::{Hub, UserId, protocol::*};
    /// # let (hub, now) = (Hub::new(), Duration::from_secs(1));
    /// # let ann = hub.scope(UserId::new("ann")?);
    /// # let inbound = MessageRouter::new(Arc::default(), now);
    /// inbound.register("shares", |sender: &Sender<'_>, message: &Message| {
    ///     assert_eq!(sender.broadcast(message).connections, 2);
    ///     Ok(Handled::Done)
    /// })?;
    /// let (phone, _laptop) = (ann.connect()?, ann.connect()?);
    /// let outcome = inbound.route_json(&ann, Some(phone.id()), br#"{"type": "chat"}"#, now);
    /// assert_eq!(outcome, Outcome::Handled(Some("shares".into())));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The result carries a refusal in [`Broadcast::refused`](field@Broadcast::refused).
    pub fn broadcast(&self, message: &Message) -> Broadcast {
        self.broadcaster.broadcast(self.scope, message, self.now)
    }

    /// Answers a JSON-RPC request with its result, under the request's own id.
    ///
    /// The answer has the members `jsonrpc`, `id` and `result`, and no other. Lock-free.
    ///
    /// ```
    /// # use std::{sync::Arc, time::Duration};
    /// # use laneway::{Hub, UserId, protocol::*};
    /// # let (hub, now) = (Hub::new(), Duration::from_secs(1));
    /// # let ann = hub.scope(UserId::new("ann")?);
    /// # let inbound = MessageRouter::new(Arc::default(), now);
    /// inbound.register("adds", |sender: &Sender<'_>, message: &Message| {
    ///     let (a, b): (i64, i64) = message.payload()?;
    ///     let _ = sender.answer(message, a + b);
    ///     Ok(Handled::Done)
    /// })?;
    /// let mut phone = ann.connect()?;
    /// let request = br#"{"jsonrpc": "2.0", "id": 7, "method": "add", "params": [2, 3]}"#;
    /// let _ = inbound.route_json(&ann, None, request, now);
    /// let laneway::Received::Event(got) = phone.try_recv()? else { panic!("a gap") };
    /// assert_eq!(got.event.json(), r#"{"id":7,"jsonrpc":"2.0","result":5}"#);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`BroadcastError::NoRequest`] in [`Broadcast::refused`](field@Broadcast::refused), if the message
    /// is no request. Then nothing is sent.
    pub fn answer(&self, request: &Message, result: impl Into<Value>) -> Broadcast {
        let result = json::Owned(result.into());
        if request.kind != MessageKind::JsonRpcRequest {
            return Broadcast::refused(request.kind.clone(), BroadcastError::NoRequest, self.now);
        }
        let answer = answer::answer(request);
        answer.sent_with("result", result, |answer| self.reply(answer))
    }

    /// Sends a reply of the router's own, with the time.
    pub(in crate::protocol) fn reply_stamped(&self, message: Message) {
        let ms = u64::try_from(self.now.as_millis()).unwrap_or(u64::MAX);
        let message = message.with("timestamp", ms);
        let _ = self.reply(&message);
        message.discard();
    }

    /// Sends the error of `message`, in the form that its kind asks for.
    pub(in crate::protocol) fn reply_error(&self, message: &Message, error: &HandlerError) {
        if message.kind == MessageKind::JsonRpcRequest {
            let code = answer::error_code(error);
            let _ = self.reply(&answer::error_answer(message, code, &error.message));
        } else if message.kind.is_answered() {
            self.tell_error(error);
        }
    }

    /// Sends the reason why bytes were refused, in the form that they ask for.
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
