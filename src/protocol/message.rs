//! What clients send and get: a typed envelope around JSON.

use std::error::Error;
use std::fmt;

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::{Map, Value};

use super::MessageKind;

/// A message: its kind, and the other fields of its JSON object.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// What it is.
    pub kind: MessageKind,
    /// Everything but `type`, as it came.
    pub fields: Map<String, Value>,
}

/// How much of a client's message is looked at before it is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageLimits {
    /// Bytes of JSON. Default 262 144.
    pub bytes: usize,
    /// Objects and lists within each other, at most 127, more cannot be parsed. Default 32.
    pub depth: usize,
}

impl Default for MessageLimits {
    fn default() -> Self {
        Self {
            bytes: 256 * 1024,
            depth: 32,
        }
    }
}

/// Why bytes are not a message. Safe to be shown to their sender: it repeats nothing of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MessageError {
    /// Longer than the limit.
    TooLong {
        /// The limit in bytes.
        limit: usize,
    },
    /// Nested more deeply than the limit.
    TooDeep {
        /// The limit.
        limit: usize,
    },
    /// Not UTF-8.
    NotUtf8,
    /// Not JSON, or nested beyond what can be parsed.
    NotJson {
        /// Where, from 1.
        line: usize,
        /// Where in the line, from 1.
        column: usize,
    },
    /// JSON, but not an object.
    NotAnObject,
    /// There is no `type`, or it is null, and it is not JSON-RPC 2.0 either.
    NoType,
    /// `type` is not a text, or an empty or blank one.
    BadType,
}

impl MessageError {
    /// The same for machines: one word that stays as it is.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::TooLong { .. } => "MESSAGE_TOO_LONG",
            Self::TooDeep { .. } => "MESSAGE_TOO_DEEP",
            Self::NotUtf8 => "MESSAGE_NOT_UTF8",
            Self::NotJson { .. } => "MESSAGE_NOT_JSON",
            Self::NotAnObject => "MESSAGE_NOT_AN_OBJECT",
            Self::NoType => "MESSAGE_WITHOUT_TYPE",
            Self::BadType => "MESSAGE_TYPE_INVALID",
        }
    }
}

impl fmt::Display for MessageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { limit } => write!(f, "the message is longer than {limit} bytes"),
            Self::TooDeep { limit } => write!(f, "the message is nested deeper than {limit}"),
            Self::NotUtf8 => f.write_str("the message is not UTF-8"),
            Self::NotJson { line, column } => {
                write!(f, "the message is not JSON: line {line}, column {column}")
            }
            Self::NotAnObject => f.write_str("the message is not a JSON object"),
            Self::NoType => f.write_str("the message has no type"),
            Self::BadType => f.write_str("the type of the message is not a text with content"),
        }
    }
}

impl Error for MessageError {}

impl Message {
    /// A message of the host's own.
    #[must_use]
    pub fn new(kind: MessageKind) -> Self {
        Self {
            kind,
            fields: Map::new(),
        }
    }

    /// The same with one field more, or another value of it.
    #[must_use]
    pub fn with(mut self, field: impl Into<String>, value: impl Into<Value>) -> Self {
        self.fields.insert(field.into(), value.into());
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
    /// # Errors
    ///
    /// As [`parse`](Self::parse).
    pub fn parse_within(json: &[u8], limits: MessageLimits) -> Result<Self, MessageError> {
        if json.len() > limits.bytes {
            let limit = limits.bytes;
            return Err(MessageError::TooLong { limit });
        }
        let text = std::str::from_utf8(json).map_err(|_| MessageError::NotUtf8)?;
        let value = serde_json::from_str(text).map_err(|e| MessageError::NotJson {
            line: e.line(),
            column: e.column(),
        })?;
        if !is_within(&value, limits.depth) {
            let limit = limits.depth;
            return Err(MessageError::TooDeep { limit });
        }
        let Value::Object(mut fields) = value else {
            return Err(MessageError::NotAnObject);
        };
        let kind = match fields.remove("type") {
            None | Some(Value::Null) => json_rpc(&fields).ok_or(MessageError::NoType)?,
            Some(Value::String(name)) if !name.trim().is_empty() => MessageKind::from_name(&name),
            Some(_) => return Err(MessageError::BadType),
        };
        Ok(Self { kind, fields })
    }

    /// The message as clients get it, under its outbound name.
    #[must_use]
    #[allow(clippy::missing_panics_doc)] // Names are texts, and values are JSON already.
    pub fn to_json(&self) -> String {
        let mut json = Vec::with_capacity(ROOM);
        serde_json::to_writer(&mut json, &Outbound(self)).expect("fields are JSON");
        String::from_utf8(json).expect("JSON is UTF-8")
    }

    /// A field of the payload, else of the message itself.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&Value> {
        let payload = self.fields.get("payload").and_then(|p| p.get(name));
        payload.or_else(|| self.fields.get(name))
    }

    /// [`field`](Self::field), if it is a text.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.field(name).and_then(Value::as_str)
    }
}

/// What a message without a type is by the rules of JSON-RPC 2.0, if it is any.
fn json_rpc(fields: &Map<String, Value>) -> Option<MessageKind> {
    if fields.get("jsonrpc").and_then(Value::as_str) != Some("2.0") {
        return None;
    }
    let has = |name: &str| fields.contains_key(name);
    match (
        fields.get("method").is_some_and(Value::is_string),
        has("id"),
    ) {
        (true, true) => Some(MessageKind::JsonRpcRequest),
        (true, false) => Some(MessageKind::JsonRpcNotification),
        _ if has("result") || has("error") => Some(MessageKind::JsonRpcResponse),
        _ => None,
    }
}

/// Bytes that most messages find enough, so that few are written to a place that has to grow.
const ROOM: usize = 512;

/// A message with its type in front.
struct Outbound<'a>(&'a Message);

impl Serialize for Outbound<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Message { kind, fields } = self.0;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("type", kind.outbound_name())?;
        for (name, value) in fields.iter().filter(|(name, _)| *name != "type") {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

/// Whether nothing stands within more than `depth` objects and lists.
fn is_within(value: &Value, depth: usize) -> bool {
    let below = |v: &Value| depth > 0 && is_within(v, depth - 1);
    match value {
        Value::Array(list) => depth > 0 && list.iter().all(below),
        Value::Object(object) => depth > 0 && object.values().all(below),
        _ => true,
    }
}
