//! What is answered when no handler of the host's wants a message, and the errors that clients tell of.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;

use serde_json::Value;

use super::registry::CopyOnWrite;
use super::{Message, MessageKind, Outcome, Sender, rpc};
use crate::sync::{AtomicU64, Ordering};

/// Codes of clients' errors that are counted apart; those that come later are [`OTHER`].
const MAX_CODES: usize = 64;
/// Bytes of a code; longer ones are [`OTHER`].
const MAX_CODE_BYTES: usize = 64;
const OTHER: &str = "OTHER";
/// Those without a code.
const UNKNOWN: &str = "UNKNOWN";

/// The built-in reply, last in every chain.
pub(super) fn reply(sender: &Sender<'_>, message: &Message, errors: &ClientErrors) -> Outcome {
    use MessageKind as Kind;
    let named = |name: &str| Message::new(Kind::from_name(name));
    let reply = match &message.kind {
        Kind::Connect => named("system_message").with("status", "connected"),
        Kind::Disconnect => named("disconnect_acknowledged"),
        Kind::UserTyping | Kind::AgentTyping | Kind::TypingStarted | Kind::TypingStopped => {
            let thread = message.field("thread_id").cloned().unwrap_or(Value::Null);
            named("typing_acknowledged").with("thread_id", thread)
        }
        Kind::Ping => named("pong"),
        Kind::Heartbeat => named("heartbeat_ack").with("status", "healthy"),
        Kind::Pong | Kind::HeartbeatAck => return Outcome::Handled(None),
        Kind::ErrorMessage => {
            match message.field("code") {
                Some(Value::String(code)) => errors.count(code),
                Some(Value::Number(code)) => errors.count(&code.to_string()),
                _ => errors.count(UNKNOWN),
            }
            return Outcome::Handled(None);
        }
        Kind::JsonRpcRequest => {
            let error = rpc::error_answer(message, rpc::METHOD_NOT_FOUND, "method not found");
            let _ = sender.reply(&error);
            return Outcome::Unhandled;
        }
        // A peer's answer, or a notification: two routers that face each other fall silent here.
        other if !other.is_answered() => return Outcome::Unhandled,
        // Of an unknown type, or of a known one that only hosts can handle and none does.
        other => {
            let ack = named("ack")
                .with("received_type", other.name())
                .with("status", "acknowledged");
            sender.reply_stamped(ack);
            return Outcome::Unhandled;
        }
    };
    sender.reply_stamped(reply);
    Outcome::Handled(None)
}

/// How often clients told of an error, by its code: bounded in number and length.
pub(super) struct ClientErrors(CopyOnWrite<BTreeMap<Box<str>, Arc<AtomicU64>>>);

impl ClientErrors {
    pub(super) fn new() -> Self {
        Self(CopyOnWrite::new())
    }

    fn count(&self, code: &str) {
        let code = if code.len() > MAX_CODE_BYTES {
            OTHER
        } else {
            code
        };
        let known = self.0.load();
        let counter: Result<_, Infallible> = match known.get(code) {
            Some(counter) => Ok(Arc::clone(counter)),
            None => self.0.update(|codes| {
                let known = codes.contains_key(code) || code == UNKNOWN;
                let room = known || codes.len() < MAX_CODES;
                let code = if room { code } else { OTHER };
                let mut codes = codes.clone();
                let counter = Arc::clone(codes.entry(code.into()).or_default());
                Ok((codes, counter))
            }),
        };
        let Ok(counter) = counter;
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn counts(&self) -> BTreeMap<String, u64> {
        let known = self.0.load();
        let counts = known
            .iter()
            .map(|(code, count)| (code.to_string(), count.load(Ordering::Relaxed)));
        counts.collect()
    }
}
