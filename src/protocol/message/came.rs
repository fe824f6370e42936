//! A message as a client sent it: its text, checked once, and its fields from the first time that they are asked for.

use std::borrow::Cow;
use std::ops::Range;

use once_cell::race::OnceBox;
use serde_json::{Map, Value};

use crate::protocol::message::error::MessageError;
use crate::protocol::message::facts::{Facts, Member, Root, Untold};
use crate::protocol::message::kind::MessageKind;
use crate::protocol::message::limits::MessageLimits;
use crate::protocol::message::numbers::Numbers;
use crate::protocol::message::scan::Scan;
use crate::protocol::message::{json, rpc};

/// A client's message as it came.
#[derive(Clone)]
pub(in crate::protocol) struct Came {
    text: Box<str>,
    pub(in crate::protocol) facts: Facts,
    /// Made by the first thread that asks; threads that ask at once each parse, and one of them publishes.
    fields: OnceBox<Map<String, Value>>,
}

impl Came {
    /// Checks what a client sent. Returns it with its kind, and how its numbers are written.
    pub(in crate::protocol) fn check(
        json: &[u8],
        limits: MessageLimits,
    ) -> Result<(MessageKind, Box<Self>, Numbers), MessageError> {
        let limit = limits.bytes.min(u32::MAX as usize);
        if json.len() > limit {
            return Err(MessageError::TooLong { limit });
        }
        let text = std::str::from_utf8(json).map_err(|_| MessageError::NotUtf8)?;
        // In its place before the scan: what the scan finds is not moved.
        let mut came = Box::new(Self {
            text: text.into(),
            facts: Facts::default(),
            fields: OnceBox::new(),
        });
        let Self { text, facts, .. } = &mut *came;
        let floats = Scan::of(text, facts).ok_or_else(|| not_json(text))?;
        if facts.depth > limits.depth && (!facts.names_twice || is_deep(text, limits.depth)) {
            let limit = limits.depth;
            return Err(MessageError::TooDeep { limit });
        }
        let numbers = Numbers::of(&floats).map_err(|_| MessageError::InexactNumber)?;
        match facts.root {
            Root::Object => {}
            Root::Batch => return Err(MessageError::Batch),
            Root::Other => return Err(MessageError::NotAnObject),
        }
        Ok((came.kind()?, came, numbers))
    }

    fn kind(&self) -> Result<MessageKind, MessageError> {
        match self.json(Member::Type) {
            None | Some("null") => self.rpc_kind().ok_or(match self.json(Member::JsonRpc) {
                Some(_) => MessageError::BadRpc,
                None => MessageError::NoType,
            }),
            Some(json) => match text_of(json) {
                Some(name) if !name.trim().is_empty() => Ok(MessageKind::from_name(&name)),
                _ => Err(MessageError::BadType),
            },
        }
    }

    /// The kind of the message by the rules of JSON-RPC 2.0.
    pub(in crate::protocol) fn rpc_kind(&self) -> Option<MessageKind> {
        let sort = |member| self.json(member).map(rpc::Sort::of_json);
        if text_of(self.json(Member::JsonRpc)?)? != rpc::VERSION {
            return None;
        }
        let members = rpc::Members {
            method: sort(Member::Method),
            id: sort(Member::Id),
            params: sort(Member::Params),
            answers: sort(Member::Result).or(sort(Member::Error)).is_some(),
        };
        members.kind()
    }

    /// The text, whole.
    pub(in crate::protocol) fn text(&self) -> &str {
        &self.text
    }

    /// The JSON of a member.
    pub(in crate::protocol) fn json(&self, member: Member) -> Option<&str> {
        let Range { start, end } = self.facts.member(member)?;
        Some(&self.text[start..end])
    }

    /// The value of a member.
    pub(in crate::protocol) fn value(&self, member: Member) -> Option<Value> {
        let json = self.json(member)?;
        match text_of(json) {
            Some(text) => Some(text.into()),
            None => serde_json::from_str(json).ok(),
        }
    }

    /// A field of the payload, else of the message, if it is a text.
    pub(in crate::protocol) fn text_field(&self, name: &str) -> Result<Option<&str>, Untold> {
        if name == "type" {
            // It is none of the fields of the message itself.
            return Err(Untold);
        }
        let Some(range) = self.facts.field(&self.text, name)? else {
            return Ok(None);
        };
        match text_of(&self.text[range]) {
            Some(Cow::Borrowed(text)) => Ok(Some(text)),
            Some(Cow::Owned(_)) => Err(Untold),
            None => Ok(None),
        }
    }

    /// All its members but `type`.
    pub(in crate::protocol) fn fields(&self) -> &Map<String, Value> {
        self.fields.get_or_init(|| Box::new(self.parsed()))
    }

    /// Returns a copy of its members but `type`, and parses only if `fields` has not.
    pub(in crate::protocol) fn to_fields(&self) -> Map<String, Value> {
        self.fields.get().map_or_else(|| self.parsed(), Map::clone)
    }

    fn parsed(&self) -> Map<String, Value> {
        // The scan took the text for an object, and it takes what the parser takes.
        let mut fields: Map<_, _> = serde_json::from_str(&self.text).unwrap_or_default();
        fields.remove("type");
        fields
    }
}

/// The text that a text of JSON means.
fn text_of(json: &str) -> Option<Cow<'_, str>> {
    let inner = json.strip_prefix('"')?.strip_suffix('"')?;
    if inner.contains('\\') {
        return serde_json::from_str(json).ok().map(Cow::Owned);
    }
    Some(Cow::Borrowed(inner))
}

/// Whether it is too deep without the values that a later value of the same name replaces.
#[cold]
fn is_deep(text: &str, depth: usize) -> bool {
    serde_json::from_str(text).is_ok_and(|value| !json::is_within(&value, depth))
}

/// Why `serde_json` refuses a text.
#[cold]
fn not_json(text: &str) -> MessageError {
    let (line, column) = match serde_json::from_str::<Value>(text) {
        // The one number that JSON allows and the parser does not.
        Err(error) if error.to_string().starts_with("number out of range") => {
            return MessageError::InexactNumber;
        }
        Err(error) => (error.line(), error.column()),
        Ok(_) => (1, 1),
    };
    MessageError::NotJson { line, column }
}
