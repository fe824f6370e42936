//! JSON-RPC 2.0 as its text says: what a message is, and what it asks for.

use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use crate::protocol::message::kind::MessageKind;

/// What the fields of an object are by the rules of JSON-RPC 2.0, if they are any of it.
pub(in crate::protocol) fn kind(fields: &Map<String, Value>) -> Option<MessageKind> {
    if fields.get("jsonrpc").and_then(Value::as_str) != Some("2.0") {
        return None;
    }
    match (fields.get("method"), fields.get("id")) {
        (Some(Value::String(_)), id) => {
            let structured = |v: &Value| v.is_array() || v.is_object();
            let is_valid = id.is_none_or(is_id) && fields.get("params").is_none_or(structured);
            let kind = match id {
                Some(_) => MessageKind::JsonRpcRequest,
                None => MessageKind::JsonRpcNotification,
            };
            is_valid.then_some(kind)
        }
        (None, _) if has_answer(fields) => Some(MessageKind::JsonRpcResponse),
        _ => None,
    }
}

fn has_answer(fields: &Map<String, Value>) -> bool {
    fields.contains_key("result") || fields.contains_key("error")
}

pub(in crate::protocol) fn is_id(value: &Value) -> bool {
    value.is_string() || value.is_number() || value.is_null()
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

/// What refused bytes ask for. Linear in their length; takes memory for their id only.
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
