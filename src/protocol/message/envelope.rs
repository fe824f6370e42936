//! What clients send and get: a typed envelope around JSON.

use std::borrow::Cow;
use std::fmt;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::protocol::message::came::Came;
use crate::protocol::message::error::MessageError;
use crate::protocol::message::facts::{Facts, Member, Untold};
use crate::protocol::message::json::Owned;
use crate::protocol::message::kind::MessageKind;
use crate::protocol::message::limits::MessageLimits;
use crate::protocol::message::numbers::Numbers;
use crate::protocol::message::payload::{self, PayloadError};
use crate::protocol::message::scan::Scan;
use crate::protocol::message::{json, rpc, token};

/// A message: its kind, and the other fields of its JSON object.
///
/// A client's message keeps its text. Its fields are parsed into values when they are asked for, and
/// never for a handler that reads its [`payload`](Self::payload) as a type.
///
/// Two messages are equal if their kinds and fields are.
#[derive(Clone)]
pub struct Message {
    /// What it is.
    pub kind: MessageKind,
    body: Body,
    /// How its numbers were written, where `serde_json` would write them in another way.
    numbers: Numbers,
}

/// The fields of a message.
#[derive(Clone)]
enum Body {
    /// As a client sent them.
    Came(Box<Came>),
    /// The host's own, or a client's that the host has changed.
    Made(Map<String, Value>),
}

impl PartialEq for Message {
    fn eq(&self, other: &Self) -> bool {
        self.kind == other.kind && self.fields() == other.fields()
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("kind", &self.kind)
            .field("fields", self.fields())
            .finish_non_exhaustive()
    }
}

impl Message {
    /// A message of the host's own.
    #[must_use]
    pub fn new(kind: MessageKind) -> Self {
        Self {
            kind,
            body: Body::Made(Map::new()),
            numbers: Numbers::default(),
        }
    }

    /// The same, its numbers written as `other` writes them.
    pub(in crate::protocol) fn numbers_of(mut self, other: &Self) -> Self {
        self.numbers = other.numbers.clone();
        self
    }

    /// The same with one field more, or another value of it.
    #[must_use]
    pub fn with(mut self, field: impl Into<String>, value: impl Into<Value>) -> Self {
        self.fields_mut().insert(field.into(), value.into());
        self
    }

    /// What a client sent, within the default [`MessageLimits`].
    ///
    /// # Errors
    ///
    /// [`MessageError`], and never a panic, whatever the bytes are.
    pub fn parse(json: &[u8]) -> Result<Self, MessageError> {
        Self::parse_within(json, MessageLimits::default())
    }

    /// What a client sent, within the host's limits.
    ///
    /// Escaped names are names: what counts is the text that JSON means. Of a name that an object has
    /// twice the last value counts, and the others are gone.
    ///
    /// A number is passed on exactly or the message is refused. [`to_json`](Self::to_json) writes it as
    /// it came, `1e2` or `1.50`, unless one message writes one value in two ways. A value that is taken
    /// out of the message keeps its number, and not how that was written. Refused are numbers that an
    /// `f64` would round: whole ones beyond 64 bits, and those with too many digits.
    ///
    /// ```
    /// use laneway::protocol::{Message, MessageError};
    ///
    /// let text = r#"{"type":"chat","price":1.50}"#;
    /// assert_eq!(Message::parse(text.as_bytes())?.to_json(), text);
    /// let rounded = br#"{"type":"chat","account":123456789012345678901}"#;
    /// assert_eq!(Message::parse(rounded), Err(MessageError::InexactNumber));
    /// # Ok::<(), MessageError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`parse`](Self::parse).
    pub fn parse_within(json: &[u8], limits: MessageLimits) -> Result<Self, MessageError> {
        let (kind, came, numbers) = Came::check(json, limits)?;
        Ok(Self {
            kind,
            body: Body::Came(came),
            numbers,
        })
    }

    /// Everything but `type`, as it came. The first call parses it, if it is a client's. Lock-free.
    #[must_use]
    pub fn fields(&self) -> &Map<String, Value> {
        match &self.body {
            Body::Came(came) => came.fields(),
            Body::Made(fields) => fields,
        }
    }

    /// The same, to be changed.
    ///
    /// ```
    /// use laneway::protocol::{Message, MessageKind};
    ///
    /// let mut message = Message::parse(br#"{"type": "chat", "text": "hello"}"#)?;
    /// message.fields_mut().insert("seen".into(), true.into());
    /// assert_eq!(message, Message::new(MessageKind::Chat).with("text", "hello").with("seen", true));
    /// # Ok::<(), laneway::protocol::MessageError>(())
    /// ```
    pub fn fields_mut(&mut self) -> &mut Map<String, Value> {
        if let Body::Came(came) = &self.body {
            self.body = Body::Made(came.to_fields());
        }
        match &mut self.body {
            Body::Made(fields) => fields,
            Body::Came(_) => unreachable!("it was made just now"),
        }
    }

    /// The same, without the message.
    #[must_use]
    pub fn into_fields(self) -> Map<String, Value> {
        match self.body {
            Body::Came(came) => came.to_fields(),
            Body::Made(fields) => fields,
        }
    }

    /// The payload as a type of the host's, read straight from the bytes that were checked.
    ///
    /// The payload is `params` of a JSON-RPC request or notification, and `payload` of all others. Where
    /// JSON-RPC has no `params`, an empty object is read. A message without `payload` is read itself,
    /// `type` included. Of a name that comes twice the last value counts, as everywhere.
    ///
    /// A message of the host's own, or one that a middleware has changed, is read as
    /// [`to_json`](Self::to_json) writes it.
    ///
    /// ```
    /// use laneway::protocol::Message;
    ///
    /// #[derive(serde::Deserialize)]
    /// struct Chat {
    ///     text: String,
    /// }
    ///
    /// let message = Message::parse(br#"{"type": "chat", "payload": {"text": "hello"}}"#)?;
    /// assert_eq!(message.payload::<Chat>()?.text, "hello");
    /// let error = message.payload::<Vec<u8>>().unwrap_err();
    /// assert_eq!(error.to_string(), "payload: invalid type: map, expected a sequence");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`PayloadError`] if it does not fit `T`. As a [`HandlerError`](crate::protocol::HandlerError) it
    /// has the code `INVALID_FIELD`, so a handler can end with `?`.
    pub fn payload<T: DeserializeOwned>(&self) -> Result<T, PayloadError> {
        use MessageKind::{JsonRpcNotification, JsonRpcRequest};
        let (name, member, none) = match self.kind {
            JsonRpcRequest | JsonRpcNotification => ("params", Member::Params, Some("{}")),
            _ => ("payload", Member::Payload, None),
        };
        let (found, whole) = match &self.body {
            Body::Came(came) if !came.facts.names_twice => {
                (came.json(member).map(Cow::from), Some(came.text()))
            }
            _ => {
                let written = |value| {
                    let mut out = String::with_capacity(ROOM);
                    json::write(&mut out, value, &self.numbers);
                    Cow::from(out)
                };
                (self.fields().get(name).map(written), None)
            }
        };
        if let Some(json) = found.or(none.map(Cow::from)) {
            return payload::read(name, &json);
        }
        let whole = whole.map_or_else(|| self.to_json().into(), Cow::from);
        payload::read("", &whole)
    }

    /// The message as clients get it, under its outbound name.
    ///
    /// A valid JSON-RPC message goes out as its text asks, without `type`. Does not recurse, however
    /// deep the fields are nested.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut out = String::with_capacity(ROOM);
        out.push('{');
        if self.rpc_kind().as_ref() != Some(&self.kind) {
            out.push_str(r#""type":"#);
            json::text(&mut out, self.kind.outbound_name());
        }
        for (name, value) in self.fields().iter().filter(|(name, _)| *name != "type") {
            if out.len() > 1 {
                out.push(',');
            }
            json::text(&mut out, name);
            out.push(':');
            json::write(&mut out, value, &self.numbers);
        }
        out.push('}');
        out
    }

    /// A field of the payload, else of the message itself.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&Value> {
        let fields = self.fields();
        let payload = fields.get("payload").and_then(|p| p.get(name));
        payload.or_else(|| fields.get(name))
    }

    /// [`field`](Self::field), if it is a text. One that a client wrote without escapes is not parsed.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        let told = match &self.body {
            Body::Came(came) => came.text_field(name),
            Body::Made(_) => Err(Untold),
        };
        told.unwrap_or_else(|Untold| self.field(name).and_then(Value::as_str))
    }

    /// What `send` makes of this message with one more field. The field's value, which may be nested to
    /// any depth, is dropped without recursion.
    pub(in crate::protocol) fn sent_with<R>(
        self,
        field: &str,
        mut value: Owned,
        send: impl FnOnce(&Self) -> R,
    ) -> R {
        let message = self.with(field, value.0.take());
        let done = send(&message);
        message.discard();
        done
    }

    /// Drops a message without recursion.
    pub(in crate::protocol) fn discard(self) {
        // The scan has bounded the depth of what came.
        if let Body::Made(fields) = self.body {
            json::discard_fields(fields);
        }
    }

    /// Whether each field is nested no deeper than can be passed on.
    pub(in crate::protocol) fn is_within(&self) -> bool {
        match &self.body {
            Body::Came(_) => true,
            Body::Made(fields) => json::are_within(fields),
        }
    }

    /// Whether it is known to have no routing field.
    pub(in crate::protocol) fn names_no_receiver(&self) -> bool {
        matches!(&self.body, Body::Came(came) if !came.facts.names_receiver)
    }

    /// What it is by the rules of JSON-RPC 2.0, whatever its kind.
    pub(in crate::protocol) fn rpc_kind(&self) -> Option<MessageKind> {
        match &self.body {
            Body::Came(came) => came.rpc_kind(),
            Body::Made(fields) => rpc::Members::of(fields)?.kind(),
        }
    }

    /// The JSON-RPC id.
    pub(in crate::protocol) fn rpc_id(&self) -> Option<Value> {
        match &self.body {
            Body::Came(came) => came.value(Member::Id),
            Body::Made(fields) => fields.get("id").cloned(),
        }
    }

    /// The id by which a message is known again: of the payload, else of the message itself.
    pub(in crate::protocol) fn message_id(&self) -> Option<Value> {
        match &self.body {
            Body::Came(came) => {
                (came.value(Member::PayloadMessageId)).or_else(|| came.value(Member::MessageId))
            }
            Body::Made(_) => self.field("message_id").cloned(),
        }
    }

    /// A hash of what it says: equal for the same kind and fields, in any order.
    pub(in crate::protocol) fn content(&self) -> u64 {
        let fields = match &self.body {
            Body::Came(came) if !came.facts.names_twice => came.facts.content,
            _ => {
                let mut facts = Facts::default();
                let _ = Scan::of(&self.to_json(), &mut facts);
                facts.content
            }
        };
        token::mix(fields, token::content(self.kind.name()))
    }
}

/// Bytes that most messages find enough, so that few are written to a place that has to grow.
const ROOM: usize = 512;
