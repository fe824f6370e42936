//! A handler of one type of payload.

use std::marker::PhantomData;

use serde::de::DeserializeOwned;

use crate::protocol::inbound::error::HandlerError;
use crate::protocol::inbound::handler::{Handled, Handler};
use crate::protocol::inbound::sender::Sender;
use crate::protocol::message::envelope::Message;
use crate::protocol::message::kind::MessageKind;

struct Typed<T, F> {
    kinds: Vec<MessageKind>,
    handle: F,
    payload: PhantomData<fn() -> T>,
}

impl<T, F> Handler for Typed<T, F>
where
    T: DeserializeOwned,
    F: Fn(&Sender<'_>, &Message, T) -> Result<Handled, HandlerError> + Send + Sync,
{
    fn kinds(&self) -> Option<&[MessageKind]> {
        Some(&self.kinds)
    }

    fn handle(&self, sender: &Sender<'_>, message: &Message) -> Result<Handled, HandlerError> {
        (self.handle)(sender, message, message.payload()?)
    }
}

/// Makes a handler of messages of these kinds, which gets their payload as a `T`.
///
/// [`Message::payload`] says which part of a message is its payload. It is read once a message, without a
/// tree of values.
///
/// ```
/// use std::time::Duration;
/// use laneway::protocol::{Handled, Message, MessageKind, MessageRouter, Outcome, typed};
/// use laneway::{Received, Hub, UserId};
/// use serde::Deserialize;
///
/// #[derive(Deserialize)]
/// struct StartAgent {
///     agent: String,
///     #[serde(default)]
///     tools: Vec<String>,
/// }
///
/// let inbound = MessageRouter::new(Default::default(), Duration::ZERO);
/// let start = typed([MessageKind::StartAgent], |sender, _, start: StartAgent| {
///     let text = format!("{} with {} tools", start.agent, start.tools.len());
///     let _ = sender.reply(&Message::new(MessageKind::Chat).with("text", text));
///     Ok(Handled::Done)
/// });
/// inbound.register("agents", start)?;
///
/// let hub = Hub::new();
/// let ann = hub.scope(UserId::new("ann")?);
/// let mut phone = ann.connect()?;
/// let good = br#"{"type": "start_agent", "payload": {"agent": "planner"}}"#;
/// let outcome = inbound.route_json(&ann, None, good, Duration::ZERO);
/// assert_eq!(outcome, Outcome::Handled(Some("agents".into())));
/// let Received::Event(got) = phone.try_recv()? else { panic!("a gap") };
/// assert_eq!(got.event.json(), r#"{"type":"chat","text":"planner with 0 tools"}"#);
///
/// let bad = br#"{"type": "start_agent", "payload": {"agent": 7}}"#;
/// let Outcome::Failed(error) = inbound.route_json(&ann, None, bad, Duration::ZERO) else {
///     unreachable!()
/// };
/// assert_eq!(error.code, "INVALID_FIELD");
/// assert_eq!(error.message, "payload.agent: invalid type: integer `7`, expected a string");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// A payload that does not fit `T` is an error of its sender, with the code `INVALID_FIELD`, −32602 in
/// JSON-RPC. `handle` is not called then, and no other handler is asked.
pub fn typed<T: DeserializeOwned>(
    kinds: impl IntoIterator<Item = MessageKind>,
    handle: impl Fn(&Sender<'_>, &Message, T) -> Result<Handled, HandlerError> + Send + Sync,
) -> impl Handler {
    Typed {
        kinds: kinds.into_iter().collect(),
        handle,
        payload: PhantomData,
    }
}
