//! JSON-RPC 2.0 as its text says: what a message is, and what it asks for.

use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use crate::protocol::message::kind::MessageKind;

/// What `jsonrpc` says.
pub(in crate::protocol) const VERSION: &str = "2.0";

/// The members of an object whose `jsonrpc` is `"2.0"`.
pub(in crate::protocol) struct Members {
    pub(in crate::protocol) method: Option<Sort>,
    pub(in crate::protocol) id: Option<Sort>,
    pub(in crate::protocol) params: Option<Sort>,
    /// There is a `result` or an `error`.
    pub(in crate::protocol) answers: bool,
}

/// The sort of a JSON value, as far as JSON-RPC tells them apart.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::protocol) enum Sort {
    Null,
    Flag,
    Number,
    Text,
    /// An object or a list.
    Structured,
}

impl Sort {
    fn of(value: &Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(_) => Self::Flag,
            Value::Number(_) => Self::Number,
            Value::String(_) => Self::Text,
            Value::Array(_) | Value::Object(_) => Self::Structured,
        }
    }

    fn is_id(self) -> bool {
        matches!(self, Self::Text | Self::Number | Self::Null)
    }

    /// The sort of the value that this text of JSON is.
    pub(in crate::protocol) fn of_json(json: &str) -> Self {
        match json.as_bytes().first() {
            Some(b'n') => Self::Null,
            Some(b't' | b'f') => Self::Flag,
            Some(b'"') => Self::Text,
            Some(b'{' | b'[') => Self::Structured,
            _ => Self::Number,
        }
    }
}

impl Members {
    pub(in crate::protocol) fn of(fields: &Map<String, Value>) -> Option<Self> {
        if fields.get("jsonrpc")? != VERSION {
            return None;
        }
        let sort = |name: &str| fields.get(name).map(Sort::of);
        Some(Self {
            method: sort("method"),
            id: sort("id"),
            params: sort("params"),
            answers: fields.contains_key("result") || fields.contains_key("error"),
        })
    }

    /// Returns the kind of an object with these members by the rules of JSON-RPC 2.0, if it has one.
    pub(in crate::protocol) fn kind(&self) -> Option<MessageKind> {
        match (self.method, self.id) {
            (Some(Sort::Text), id) => {
                let structured = |params| params == Sort::Structured;
                let is_valid = id.is_none_or(Sort::is_id) && self.params.is_none_or(structured);
                let kind = match id {
                    Some(_) => MessageKind::JsonRpcRequest,
                    None => MessageKind::JsonRpcNotification,
                };
                is_valid.then_some(kind)
            }
            (None, _) if self.answers => Some(MessageKind::JsonRpcResponse),
            _ => None,
        }
    }
}

pub(in crate::protocol) fn is_id(value: &Value) -> bool {
    Sort::of(value).is_id()
}

/// Which answer bytes ask for that are refused before they are a message.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::protocol) enum Asks {
    /// None: they are an answer themselves, or a notification.
    Nothing,
    /// One of JSON-RPC, under this id.
    Rpc(Value),
    /// One of this crate's messages.
    Message,
}

/// Returns the request in refused bytes. Linear in their length; takes memory for their id only.
pub(in crate::protocol) fn asks(json: &[u8]) -> Asks {
    let speaks_rpc = || json.windows(9).any(|part| part == br#""jsonrpc""#);
    match serde_json::from_slice(json) {
        Ok(Shape(asks)) => asks,
        Err(_) if speaks_rpc() => Asks::Rpc(Value::Null),
        Err(_) => Asks::Message,
    }
}

/// The members of a message that say what it asks for.
struct Shape(Asks);

impl<'de> Deserialize<'de> for Shape {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Shapes { in_batch: false })
    }
}

/// An item of a batch.
struct Item(Asks);

impl<'de> Deserialize<'de> for Item {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let shape = deserializer.deserialize_any(Shapes { in_batch: true })?;
        Ok(Self(shape.0))
    }
}

struct Shapes {
    in_batch: bool,
}

impl<'de> Visitor<'de> for Shapes {
    type Value = Shape;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Shape, A::Error> {
        let (mut kind, mut id, mut method, mut answers, mut rpc) = (None, None, None, false, false);
        while let Some(name) = map.next_key::<String>()? {
            match &*name {
                "type" => kind = Some(map.next_value::<Scalar>()?.0),
                "id" => id = Some(map.next_value::<Scalar>()?.0),
                "method" => method = Some(map.next_value::<Scalar>()?.0),
                _ => {
                    answers |= name == "result" || name == "error";
                    rpc |= name == "jsonrpc";
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        let kind = match kind {
            Some(Value::String(name)) => Some(MessageKind::from_name(&name)),
            _ => None,
        };
        Ok(Shape(match (kind, id) {
            (Some(kind), _) if !kind.is_answered() => Asks::Nothing,
            (Some(MessageKind::JsonRpcRequest), id) => Asks::Rpc(id.unwrap_or_default()),
            (Some(_), _) => Asks::Message,
            (None, _) if !rpc => Asks::Message,
            (None, _) if answers && method.is_none() => Asks::Nothing,
            (None, Some(id)) => Asks::Rpc(id),
            (None, None) if method.is_some_and(|method| method.is_string()) => Asks::Nothing,
            (None, None) => Asks::Rpc(Value::Null),
        }))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Shape, A::Error> {
        if self.in_batch {
            while list.next_element::<IgnoredAny>()?.is_some() {}
            return Ok(Shape(Asks::Message));
        }
        let (mut any, mut asking) = (false, false);
        while let Some(Item(asks)) = list.next_element()? {
            any |= asks != Asks::Message;
            asking |= asks != Asks::Nothing;
        }
        Ok(Shape(match (any, asking) {
            (false, _) => Asks::Message,
            // A batch of answers.
            (true, false) => Asks::Nothing,
            (true, true) => Asks::Rpc(Value::Null),
        }))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Shape, E> {
        Ok(Shape(Asks::Message))
    }
    fn visit_i64<E>(self, _: i64) -> Result<Shape, E> {
        Ok(Shape(Asks::Message))
    }
    fn visit_u64<E>(self, _: u64) -> Result<Shape, E> {
        Ok(Shape(Asks::Message))
    }
    fn visit_f64<E>(self, _: f64) -> Result<Shape, E> {
        Ok(Shape(Asks::Message))
    }
    fn visit_str<E>(self, _: &str) -> Result<Shape, E> {
        Ok(Shape(Asks::Message))
    }
    fn visit_unit<E>(self) -> Result<Shape, E> {
        Ok(Shape(Asks::Message))
    }
}

/// A text or a whole number of 64 bits; null for anything else, which could not be repeated exactly.
struct Scalar(Value);

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Scalars)
    }
}

struct Scalars;

impl<'de> Visitor<'de> for Scalars {
    type Value = Scalar;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Scalar, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Scalar(Value::Null))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Scalar, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Scalar(Value::Null))
    }
    fn visit_bool<E>(self, _: bool) -> Result<Scalar, E> {
        Ok(Scalar(Value::Null))
    }
    fn visit_i64<E>(self, number: i64) -> Result<Scalar, E> {
        Ok(Scalar(number.into()))
    }
    fn visit_u64<E>(self, number: u64) -> Result<Scalar, E> {
        Ok(Scalar(number.into()))
    }
    fn visit_f64<E>(self, _: f64) -> Result<Scalar, E> {
        Ok(Scalar(Value::Null))
    }
    fn visit_str<E>(self, text: &str) -> Result<Scalar, E> {
        Ok(Scalar(text.into()))
    }
    fn visit_unit<E>(self) -> Result<Scalar, E> {
        Ok(Scalar(Value::Null))
    }
}
