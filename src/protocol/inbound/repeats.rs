//! Message ids that a client sends again, and what was answered the first time.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;

use serde_json::Value;

use crate::id::{MAX_ID_BYTES, UserId};
use crate::protocol::message::envelope::Message;
use crate::protocol::message::kind::MessageKind;
use crate::protocol::packet::Packet;
use crate::protocol::per_user::PerUser;
use crate::table::copy_on_write::CopyOnWrite;

/// How many messages a [`MessageRouter`](crate::protocol::MessageRouter) knows again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RepeatLimits {
    /// Users whose messages are known again: of more, those who were heard longest ago are forgotten.
    /// Default 4 096.
    pub users: usize,
    /// Messages of one user: of more, the oldest are forgotten. Default 64. With 0 none is known again.
    pub messages: usize,
    /// Bytes of the answers to all of them: of more, the answers to the oldest are forgotten. Default
    /// 16 384.
    pub answer_bytes: usize,
}

impl Default for RepeatLimits {
    fn default() -> Self {
        Self {
            users: 4_096,
            messages: 64,
            answer_bytes: 16 * 1_024,
        }
    }
}

impl RepeatLimits {
    /// With another [`users`](Self#structfield.users).
    #[must_use]
    pub fn users(mut self, users: usize) -> Self {
        self.users = users;
        self
    }
    /// With another [`messages`](Self#structfield.messages).
    #[must_use]
    pub fn messages(mut self, messages: usize) -> Self {
        self.messages = messages;
        self
    }
    /// With another [`answer_bytes`](Self#structfield.answer_bytes).
    #[must_use]
    pub fn answer_bytes(mut self, bytes: usize) -> Self {
        self.answer_bytes = bytes;
        self
    }
}

/// A message that is known again.
#[derive(Clone)]
struct Known {
    id: Arc<Value>,
    /// Of its kind and its fields.
    print: u64,
    /// `None` while it is handled.
    answers: Option<Answers>,
}

/// What a message was answered.
#[derive(Clone)]
pub(in crate::protocol) enum Answers {
    /// These, in this order.
    Kept(Arc<[Packet]>),
    /// Something that is not there any more.
    Forgotten,
}

impl Answers {
    fn bytes(&self) -> usize {
        match self {
            Self::Kept(all) => all.iter().map(|packet| packet.json().len()).sum(),
            Self::Forgotten => 0,
        }
    }
}

type List = CopyOnWrite<VecDeque<Known>>;

/// What a router remembers of messages that have an id.
pub(in crate::protocol) struct Repeats {
    limits: RepeatLimits,
    users: PerUser<List>,
}

/// The id of a message and what it says.
pub(in crate::protocol) struct Print {
    /// A text or a number: a number and the same digits as a text are two ids.
    pub(in crate::protocol) id: Value,
    print: u64,
}

/// Whether a message came before.
pub(in crate::protocol) enum Seen {
    /// It did not.
    First,
    /// It is being handled.
    Handling,
    /// It was answered.
    Answered(Answers),
    /// Its id came with another message.
    Other,
}

impl Repeats {
    pub(in crate::protocol) fn new(limits: RepeatLimits) -> Self {
        Self {
            limits,
            users: PerUser::new(limits.users),
        }
    }

    /// The id of a message, if it has one that can be known again.
    pub(in crate::protocol) fn print(&self, message: &Message) -> Option<Print> {
        let is_rpc = matches!(
            message.kind,
            MessageKind::JsonRpcRequest
                | MessageKind::JsonRpcResponse
                | MessageKind::JsonRpcNotification
        );
        if is_rpc || self.limits.messages == 0 {
            return None;
        }
        let id = message.message_id()?;
        let is_id = match &id {
            Value::String(text) => !text.is_empty() && text.len() <= MAX_ID_BYTES,
            other => other.is_number(),
        };
        is_id.then(|| Print {
            id,
            print: message.content(),
        })
    }

    /// Whether the user has sent this before; from now on it is being handled.
    pub(in crate::protocol) fn see(&self, user: &UserId, print: &Print) -> Seen {
        let kept = self.users.get_or_default(user);
        let seen = kept.value.update(|list| {
            if let Some(known) = list.iter().find(|known| *known.id == print.id) {
                return Err(match &known.answers {
                    _ if known.print != print.print => Seen::Other,
                    None => Seen::Handling,
                    Some(answers) => Seen::Answered(answers.clone()),
                });
            }
            let mut list = list.clone();
            while list.len() >= self.limits.messages {
                list.pop_front();
            }
            list.push_back(Known {
                id: Arc::new(print.id.clone()),
                print: print.print,
                answers: None,
            });
            Ok((list, Seen::First))
        });
        seen.unwrap_or_else(|seen| seen)
    }

    /// The message was handled, and these are the answers.
    pub(in crate::protocol) fn answered(
        &self,
        user: &UserId,
        print: &Print,
        answers: &Arc<[Packet]>,
    ) {
        let Some(kept) = self.users.get(user) else {
            return;
        };
        let done: Result<(), Infallible> = kept.value.update(|list| {
            let mut list = list.clone();
            if let Some(known) = list.iter_mut().find(|known| *known.id == print.id) {
                known.answers = Some(Answers::Kept(Arc::clone(answers)));
            }
            let bytes = |known: &Known| known.answers.as_ref().map_or(0, Answers::bytes);
            let mut all: usize = list.iter().map(bytes).sum();
            for known in &mut list {
                if all <= self.limits.answer_bytes {
                    break;
                }
                all -= bytes(known);
                if known.answers.is_some() {
                    known.answers = Some(Answers::Forgotten);
                }
            }
            Ok((list, ()))
        });
        let Ok(()) = done;
    }
}
