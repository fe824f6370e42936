//! The methods of a message that only this layer calls.

use serde_json::Value;

use crate::protocol::message::envelope::{Body, Message};
use crate::protocol::message::facts::{Facts, Member, routing};
use crate::protocol::message::json::{Owned, Visit};
use crate::protocol::message::kind::MessageKind;
use crate::protocol::message::scan::Scan;
use crate::protocol::message::{json, rpc, token};

impl Message {
    /// Writes its numbers as `other` writes them.
    pub(in crate::protocol) fn numbers_of(mut self, other: &Self) -> Self {
        self.numbers = other.numbers.clone();
        self
    }

    /// Calls `send` with this message and one more field, and returns its result.
    ///
    /// The field's value may be nested to any depth. It is dropped without recursion.
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
        // The scan has bounded the depth of a client's message.
        if let Body::Made(fields) = self.body {
            json::discard_fields(fields);
        }
    }

    /// Returns `true` if no field is nested deeper than can be passed on.
    pub(in crate::protocol) fn is_within(&self) -> bool {
        match &self.body {
            Body::Came(_) => true,
            Body::Made(fields) => json::are_within(fields),
        }
    }

    /// Returns `true` if it is known to have no routing field.
    pub(in crate::protocol) fn names_no_receiver(&self) -> bool {
        matches!(&self.body, Body::Came(came) if !came.facts.names_receiver)
    }

    /// Returns whether a field names a receiver, at any depth. Linear in the message.
    pub(in crate::protocol) fn has_receiver(&self) -> bool {
        let visit = |name: Option<&str>, _: &Value, _| match name.and_then(routing) {
            Some(_) => Visit::Stop,
            None => Visit::Enter,
        };
        !self.names_no_receiver() && !json::all_fields(self.fields(), visit)
    }

    /// Returns its kind by the rules of JSON-RPC 2.0. `None` if it is no JSON-RPC.
    pub(in crate::protocol) fn rpc_kind(&self) -> Option<MessageKind> {
        match &self.body {
            Body::Came(came) => came.rpc_kind(),
            Body::Made(fields) => rpc::Members::of(fields)?.kind(),
        }
    }

    /// Returns the JSON-RPC id.
    pub(in crate::protocol) fn rpc_id(&self) -> Option<Value> {
        match &self.body {
            Body::Came(came) => came.value(Member::Id),
            Body::Made(fields) => fields.get("id").cloned(),
        }
    }

    /// Returns the id by which it is known again: of the payload, else of the message itself.
    pub(in crate::protocol) fn message_id(&self) -> Option<Value> {
        match &self.body {
            Body::Came(came) => {
                (came.value(Member::PayloadMessageId)).or_else(|| came.value(Member::MessageId))
            }
            Body::Made(_) => self.field("message_id").cloned(),
        }
    }

    /// Returns a hash of the kind and the fields, equal for fields in any order.
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
