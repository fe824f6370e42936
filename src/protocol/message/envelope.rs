//! The envelope of a message: its kind, and the fields of its JSON object.

use std::borrow::Cow;
use std::fmt;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::protocol::message::came::Came;
use crate::protocol::message::error::MessageError;
use crate::protocol::message::facts::{Member, Untold};
use crate::protocol::message::json;
use crate::protocol::message::kind::MessageKind;
use crate::protocol::message::limits::MessageLimits;
use crate::protocol::message::numbers::Numbers;
use crate::protocol::message::payload::{self, PayloadError};

/// A message: its kind, and the other fields of its JSON object.
///
/// A client's message keeps its text. The first call of [`fields`](Self::fields) parses it into values. A
/// handler that reads its [`payload`](Self::payload) as a type needs none. Two messages are equal if
/// their kinds and fields are.
///
/// ```
/// use laneway::protocol::{Message, MessageKind};
///
/// let came = Message::parse(br#"{"type": "chat", "text": "hello"}"#)?;
/// assert_eq!(came.kind, MessageKind::Chat);
/// assert_eq!(came, Message::new(MessageKind::Chat).with("text", "hello"));
/// # Ok::<(), laneway::protocol::MessageError>(())
/// ```
#[derive(Clone)]
pub struct Message {
    /// The type of the message.
    pub kind: MessageKind,
    pub(super) body: Body,
    /// How its numbers were written, where `serde_json` would write them in another way.
    pub(super) numbers: Numbers,
}

/// The fields of a message.
#[derive(Clone)]
pub(in crate::protocol) enum Body {
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
    /// Creates a message of the host's, without fields.
    ///
    /// ```
    /// use laneway::protocol::{Message, MessageKind};
    ///
    /// assert_eq!(Message::new(MessageKind::Ping).to_json(), r#"{"type":"ping"}"#);
    /// ```
    #[must_use]
    pub fn new(kind: MessageKind) -> Self {
        Self {
            kind,
            body: Body::Made(Map::new()),
            numbers: Numbers::default(),
        }
    }

    /// Sets a field, and returns the message.
    ///
    /// ```
    /// use laneway::protocol::{Message, MessageKind};
    ///
    /// let message = Message::new(MessageKind::Chat).with("text", "helo").with("text", "hello");
    /// assert_eq!(message.to_json(), r#"{"type":"chat","text":"hello"}"#);
    /// ```
    #[must_use]
    pub fn with(mut self, field: impl Into<String>, value: impl Into<Value>) -> Self {
        self.fields_mut().insert(field.into(), value.into());
        self
    }

    /// Parses the bytes of a client, within the default [`MessageLimits`].
    ///
    /// ```
    /// use laneway::protocol::{Message, MessageError, MessageKind};
    ///
    /// assert_eq!(Message::parse(br#"{"type": "ping"}"#)?.kind, MessageKind::Ping);
    /// assert_eq!(Message::parse(b"[]"), Err(MessageError::NotAnObject));
    /// # Ok::<(), MessageError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`MessageError`] says why the bytes are no message. No bytes cause a panic.
    pub fn parse(json: &[u8]) -> Result<Self, MessageError> {
        Self::parse_within(json, MessageLimits::default())
    }

    /// Parses the bytes of a client, within the host's limits.
    ///
    /// A name with escapes is the text that its escapes stand for. If an object has a name twice, the last
    /// value counts, and the message keeps no other.
    ///
    /// * A number is passed on exactly, or the message is refused. Numbers that an `f64` would round are
    ///   refused: whole ones beyond 64 bits, and those with too many digits.
    /// * [`to_json`](Self::to_json) writes a number as it came, `1e2` or `1.50`, unless one message writes
    ///   one value in two ways.
    /// * A value that is taken out of the message keeps its number, and not how that was written.
    ///
    /// Linear in the bytes, without recursion.
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
    /// As [`parse`](Self::parse). With limits beyond the defaults, fewer bytes are refused.
    pub fn parse_within(json: &[u8], limits: MessageLimits) -> Result<Self, MessageError> {
        let (kind, came, numbers) = Came::check(json, limits)?;
        Ok(Self {
            kind,
            body: Body::Came(came),
            numbers,
        })
    }

    /// Returns all fields but `type`. The first call parses a client's message. Lock-free.
    ///
    /// ```
    /// let json = br#"{"type": "chat", "payload": {"text": "hello"}}"#;
    /// let message = laneway::protocol::Message::parse(json)?;
    /// assert_eq!(message.fields()["payload"]["text"], "hello");
    /// # Ok::<(), laneway::protocol::MessageError>(())
    /// ```
    #[must_use]
    pub fn fields(&self) -> &Map<String, Value> {
        match &self.body {
            Body::Came(came) => came.fields(),
            Body::Made(fields) => fields,
        }
    }

    /// Returns all fields but `type`, for changes. Parses a client's message.
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
            Body::Came(_) => unreachable!("the body was replaced above"),
        }
    }

    /// Returns all fields but `type`, without a copy if the message is the host's.
    ///
    /// ```
    /// use laneway::protocol::{Message, MessageKind};
    ///
    /// let fields = Message::new(MessageKind::Chat).with("text", "hello").into_fields();
    /// assert_eq!(fields["text"], "hello");
    /// ```
    #[must_use]
    pub fn into_fields(self) -> Map<String, Value> {
        match self.body {
            Body::Came(came) => came.to_fields(),
            Body::Made(fields) => fields,
        }
    }

    /// Reads the payload as a type of the host's, from the bytes that were checked.
    ///
    /// | message | what is read |
    /// |---|---|
    /// | a JSON-RPC request or notification | `params`, an empty object without them |
    /// | any other with a `payload` | `payload` |
    /// | any other | the message itself, with its `type` |
    ///
    /// If a name comes twice, the last value counts. A message of the host's, or one that a middleware has
    /// changed, is read as [`to_json`](Self::to_json) writes it. Linear in the bytes.
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
    /// [`PayloadError`] if the payload does not fit `T`. A handler can return it with `?`: it becomes a
    /// [`HandlerError`](crate::protocol::HandlerError) with the code `INVALID_FIELD`.
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

    /// Returns the message as JSON, under its [outbound name](MessageKind::outbound_name).
    ///
    /// A valid JSON-RPC message has no `type`. Linear in the fields, without recursion at any depth.
    ///
    /// ```
    /// use laneway::protocol::{Message, MessageKind};
    ///
    /// let progress = Message::new(MessageKind::AgentProgress).with("percent", 50);
    /// assert_eq!(progress.to_json(), r#"{"type":"agent_update","percent":50}"#);
    /// ```
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

    /// Returns a field of the payload, else of the message itself. Parses a client's message.
    ///
    /// ```
    /// let json = br#"{"type": "chat", "payload": {"n": 1}, "n": 2, "m": 3}"#;
    /// let message = laneway::protocol::Message::parse(json)?;
    /// assert_eq!(message.field("n").and_then(|n| n.as_u64()), Some(1));
    /// assert_eq!(message.field("m").and_then(|m| m.as_u64()), Some(3));
    /// # Ok::<(), laneway::protocol::MessageError>(())
    /// ```
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&Value> {
        let fields = self.fields();
        let payload = fields.get("payload").and_then(|p| p.get(name));
        payload.or_else(|| fields.get(name))
    }

    /// Returns a [`field`](Self::field), if it is a text. Does not parse a text without escapes.
    ///
    /// ```
    /// let json = br#"{"type": "chat", "payload": {"text": "hello", "n": 1}}"#;
    /// let message = laneway::protocol::Message::parse(json)?;
    /// assert_eq!((message.text("text"), message.text("n")), (Some("hello"), None));
    /// # Ok::<(), laneway::protocol::MessageError>(())
    /// ```
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        let told = match &self.body {
            Body::Came(came) => came.text_field(name),
            Body::Made(_) => Err(Untold),
        };
        told.unwrap_or_else(|Untold| self.field(name).and_then(Value::as_str))
    }
}

/// Bytes that most messages fit into, so that few texts have to grow while they are written.
const ROOM: usize = 512;
