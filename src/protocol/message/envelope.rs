//! What clients send and get: a typed envelope around JSON.

use serde_json::{Map, Value};

use crate::protocol::message::error::MessageError;
use crate::protocol::message::json::Owned;
use crate::protocol::message::kind::MessageKind;
use crate::protocol::message::numbers::Numbers;
use crate::protocol::message::{json, rpc};

/// A message: its kind, and the other fields of its JSON object.
///
/// Two messages are equal if their kinds and fields are.
#[derive(Clone, Debug)]
pub struct Message {
    /// What it is.
    pub kind: MessageKind,
    /// Everything but `type`, as it came.
    pub fields: Map<String, Value>,
    /// How its numbers were written, where `serde_json` would write them in another way.
    numbers: Numbers,
}

impl PartialEq for Message {
    fn eq(&self, other: &Self) -> bool {
        self.kind == other.kind && self.fields == other.fields
    }
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

impl Message {
    /// A message of the host's own.
    #[must_use]
    pub fn new(kind: MessageKind) -> Self {
        Self {
            kind,
            fields: Map::new(),
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
        if json.len() > limits.bytes {
            let limit = limits.bytes;
            return Err(MessageError::TooLong { limit });
        }
        let text = std::str::from_utf8(json).map_err(|_| MessageError::NotUtf8)?;
        let value = serde_json::from_str(text).map_err(|error| not_json(&error))?;
        if !json::is_within(&value, limits.depth) {
            let limit = limits.depth;
            return Err(MessageError::TooDeep { limit });
        }
        let numbers = Numbers::of(text).map_err(|_| MessageError::InexactNumber)?;
        let mut fields = match value {
            Value::Object(fields) => fields,
            Value::Array(list) if list.iter().any(|item| item.get("jsonrpc").is_some()) => {
                return Err(MessageError::Batch);
            }
            _ => return Err(MessageError::NotAnObject),
        };
        let kind = match fields.remove("type") {
            None | Some(Value::Null) => {
                rpc::kind(&fields).ok_or(if fields.contains_key("jsonrpc") {
                    MessageError::BadRpc
                } else {
                    MessageError::NoType
                })?
            }
            Some(Value::String(name)) if !name.trim().is_empty() => MessageKind::from_name(&name),
            Some(_) => return Err(MessageError::BadType),
        };
        Ok(Self {
            kind,
            fields,
            numbers,
        })
    }

    /// The message as clients get it, under its outbound name.
    ///
    /// A valid JSON-RPC message goes out as its text asks, without `type`. Does not recurse, however
    /// deep the fields are nested.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut out = String::with_capacity(ROOM);
        out.push('{');
        if rpc::kind(&self.fields).as_ref() != Some(&self.kind) {
            out.push_str(r#""type":"#);
            json::text(&mut out, self.kind.outbound_name());
        }
        for (name, value) in self.fields.iter().filter(|(name, _)| *name != "type") {
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
        let payload = self.fields.get("payload").and_then(|p| p.get(name));
        payload.or_else(|| self.fields.get(name))
    }

    /// [`field`](Self::field), if it is a text.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.field(name).and_then(Value::as_str)
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
        json::discard_fields(message.fields);
        done
    }
}

/// Bytes that most messages find enough, so that few are written to a place that has to grow.
const ROOM: usize = 512;

fn not_json(error: &serde_json::Error) -> MessageError {
    // The one number that JSON allows and the parser does not.
    if error.to_string().starts_with("number out of range") {
        return MessageError::InexactNumber;
    }
    MessageError::NotJson {
        line: error.line(),
        column: error.column(),
    }
}
