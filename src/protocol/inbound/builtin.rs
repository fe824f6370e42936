//! The built-in replies to messages that no handler accepts, and the errors that clients report.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use crate::id::UserId;
use crate::protocol::inbound::answer;
use crate::protocol::inbound::handler::Outcome;
use crate::protocol::inbound::sender::Sender;
use crate::protocol::message::envelope::Message;
use crate::protocol::message::kind::MessageKind;
use crate::protocol::per_user::PerUser;
use crate::protocol::quota::raise;
use crate::sync::{AtomicU64, AtomicUsize, Ordering};
use crate::table::copy_on_write::CopyOnWrite;

/// Codes of clients' errors that are counted apart. Later codes count as [`OTHER`].
const MAX_CODES: usize = 64;
/// The most bytes of a code. Longer codes count as [`OTHER`].
const MAX_CODE_BYTES: usize = 64;
/// Codes that one user may be the first to report.
const MAX_INVENTED: usize = 8;
/// Users whose new codes are counted. For a further user, the users that were counted longest ago make
/// room.
const MAX_INVENTORS: usize = 4_096;
const OTHER: &str = "OTHER";
/// The code of errors without one.
const UNKNOWN: &str = "UNKNOWN";

/// Sends the built-in reply, behind all handlers of the host's.
pub(in crate::protocol) fn reply(
    sender: &Sender<'_>,
    message: &Message,
    errors: &ClientErrors,
) -> Outcome {
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
                Some(Value::String(code)) => errors.count(sender.user(), code),
                Some(Value::Number(code)) => errors.count(sender.user(), &code.to_string()),
                _ => errors.count(sender.user(), UNKNOWN),
            }
            return Outcome::Handled(None);
        }
        Kind::JsonRpcRequest => {
            let error = answer::error_answer(message, answer::METHOD_NOT_FOUND, "method not found");
            let _ = sender.reply(&error);
            return Outcome::Unhandled;
        }
        // An answer, or a notification. Without this line, two routers that are wired to each other
        // would answer each other without end.
        other if !other.is_answered() => return Outcome::Unhandled,
        // An unknown type, or a known one that only a host can handle.
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

/// How often clients reported an error, by its code. Bounded in number and length.
///
/// A user who invents codes fills a part of them only. The rest stays for the codes of other users.
pub(in crate::protocol) struct ClientErrors {
    codes: CopyOnWrite<BTreeMap<Box<str>, Arc<AtomicU64>>>,
    /// By user, the codes that the user was the first to report.
    invented: PerUser<AtomicUsize>,
}

impl ClientErrors {
    pub(in crate::protocol) fn new() -> Self {
        Self {
            codes: CopyOnWrite::new(),
            invented: PerUser::new(MAX_INVENTORS),
        }
    }

    fn count(&self, user: &UserId, code: &str) {
        let code = if code.len() > MAX_CODE_BYTES {
            OTHER
        } else {
            code
        };
        let known = self.codes.load();
        let counter = match known.get(code) {
            Some(counter) => Arc::clone(counter),
            None if code == UNKNOWN || self.may_invent(user) => self.counter(code),
            None => self.counter(OTHER),
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns the counter of a code. Creates it if there is room, else returns that of [`OTHER`].
    fn counter(&self, code: &str) -> Arc<AtomicU64> {
        self.codes.change(|codes| {
            let known = codes.contains_key(code) || code == UNKNOWN;
            let room = known || codes.len() < MAX_CODES;
            let code = if room { code } else { OTHER };
            Arc::clone(codes.entry(code.into()).or_default())
        })
    }

    /// Returns `true` if the user may report one more code that is not known, and counts it.
    fn may_invent(&self, user: &UserId) -> bool {
        let invented = self.invented.get_or_default(user);
        raise(&invented.value, MAX_INVENTED) == Ok(true)
    }

    pub(in crate::protocol) fn counts(&self) -> BTreeMap<String, u64> {
        let known = self.codes.load();
        let counts = known
            .iter()
            .map(|(code, count)| (code.to_string(), count.load(Ordering::Relaxed)));
        counts.collect()
    }
}
