//! The message ids that a client may send again, and the answers of the first time.

use std::sync::Arc;

use serde_json::Value;

use crate::id::{MAX_ID_BYTES, UserId};
use crate::protocol::message::envelope::Message;
use crate::protocol::message::kind::MessageKind;
use crate::protocol::message::token;
use crate::protocol::packet::Packet;
use crate::protocol::per_user::{Kept, PerUser};
use crate::sync::{AtomicUsize, Guard, Ordering, pin};
use crate::table::storage::{Link, Owned, View};

/// How many messages a [`MessageRouter`](crate::protocol::MessageRouter) knows again by their ids.
///
/// ```
/// use std::{sync::Arc, time::Duration};
/// use laneway::protocol::{MessageRouter, Outcome, RepeatLimits};
/// use laneway::{Hub, UserId};
///
/// let limits = RepeatLimits { messages: 1, ..RepeatLimits::default() };
/// let inbound = MessageRouter::new(Arc::default(), Duration::ZERO).repeats(limits);
/// let (hub, now) = (Hub::new(), Duration::ZERO);
/// let ann = hub.scope(UserId::new("ann")?);
/// let send = |id: u8| {
///     let json = format!(r#"{{"type": "ping", "message_id": {id}}}"#);
///     inbound.route_json(&ann, None, json.as_bytes(), now)
/// };
/// assert_eq!((send(1), send(1)), (Outcome::Handled(None), Outcome::Repeated));
/// assert_eq!((send(2), send(1)), (Outcome::Handled(None), Outcome::Handled(None))); // 1 was forgotten
/// # Ok::<(), laneway::InvalidId>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RepeatLimits {
    /// Users whose messages are known again. For a further user, the users whose last message is the
    /// oldest are forgotten. Default 4 096.
    pub users: usize,
    /// Messages of one user that are known again. A further message replaces the oldest. Default 64. With
    /// 0 no message is known again.
    pub messages: usize,
    /// Bytes of the answers to one user's messages. Beyond that, the answers to the oldest messages are
    /// forgotten. Default 16 384.
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

/// The answers to one message, in their order.
#[derive(Default)]
struct Answers {
    /// Empty if the message had no answer, or its answers are forgotten.
    packets: Arc<Vec<Packet>>,
    bytes: usize,
}

/// A message that is known again.
struct Known {
    /// One more than the number of the message before it.
    number: u64,
    id: Value,
    /// Most messages have another id. The hash tells them apart without a look at the id's text.
    id_hash: u64,
    /// A hash of the kind and the fields.
    content: u64,
    /// Empty while a handler works on the message.
    answers: Link<Answers, u16>,
    /// The message that came after this one.
    next: Link<Known, u16>,
}

impl Known {
    fn new(number: u64, print: &Print) -> Self {
        Self {
            number,
            id: print.id.clone(),
            id_hash: print.id_hash,
            content: print.content,
            answers: Link::empty(),
            next: Link::empty(),
        }
    }

    fn has(&self, print: &Print) -> bool {
        self.id_hash == print.id_hash && self.id == print.id
    }

    fn seen(&self, print: &Print, guard: &Guard) -> Seen {
        if self.content != print.content {
            return Seen::Other;
        }
        match self.answers.load(guard) {
            View::Leaf(answers) => Seen::Answered(Arc::clone(&answers.packets)),
            _ => Seen::Handling,
        }
    }
}

impl Drop for Known {
    /// Drops the messages behind it in a loop.
    ///
    /// The field `next` would drop them by recursion, and overflow the stack at a limit of a million.
    fn drop(&mut self) {
        let mut next = self.next.take_owned();
        // An error is a message that the list still holds.
        while let Owned::Leaf(known) = next
            && let Some(mut known) = Arc::into_inner(known)
        {
            next = known.next.take_owned();
        }
    }
}

/// The known messages of one user, from the oldest to the latest.
///
/// A message is added by one exchange on the empty link at the end. A thread gets there only past all
/// messages of the list, so of two threads with one id the later finds the message of the earlier.
/// No other message is touched. Lock-free: an exchange fails only if another thread has added a message
/// or removed one.
struct List {
    oldest: Link<Known, u16>,
    /// The bytes of all answers of the list.
    bytes: AtomicUsize,
    /// The answers of a message whose answers are forgotten.
    none: Arc<Answers>,
}

impl Default for List {
    fn default() -> Self {
        Self {
            oldest: Link::empty(),
            bytes: AtomicUsize::new(0),
            none: Arc::default(),
        }
    }
}

impl List {
    fn each<'g>(&'g self, guard: &'g Guard) -> impl Iterator<Item = &'g Known> {
        let mut link = &self.oldest;
        std::iter::from_fn(move || match link.load(guard) {
            View::Leaf(known) => {
                link = &known.get().next;
                Some(known.get())
            }
            _ => None,
        })
    }

    /// Adds the message, and removes the oldest if there are more than `limit`. Returns how it was seen if
    /// it is there.
    fn add(&self, print: &Print, limit: usize, guard: &Guard) -> Result<Arc<Known>, Seen> {
        let (mut link, mut number) = (&self.oldest, 0);
        loop {
            let View::Leaf(known) = link.load(guard) else {
                let new = Arc::new(Known::new(number, print));
                let added = Owned::Leaf(Arc::clone(&new));
                if link.compare_exchange(View::Empty, added, guard).is_ok() {
                    self.trim(number, limit as u64, guard);
                    return Ok(new);
                }
                // Another thread has added a message here, which may have this id: look at it.
                continue;
            };
            let known = known.get();
            if known.has(print) {
                return Err(known.seen(print, guard));
            }
            (link, number) = (&known.next, known.number + 1);
        }
    }

    /// Removes the messages whose number is `limit` or more below `latest`.
    fn trim(&self, latest: u64, limit: u64, guard: &Guard) {
        loop {
            let view = self.oldest.load(guard);
            let View::Leaf(oldest) = view else {
                return;
            };
            if latest.saturating_sub(oldest.number) < limit {
                return;
            }
            let View::Leaf(next) = oldest.get().next.load(guard) else {
                return;
            };
            // Before the removal: `bytes` must not count answers that no walk finds any more. They would
            // take the room of others for ever. A handler that still works on it adds none.
            self.forget(oldest.get(), guard);
            // Fails if another thread has removed `oldest`, and then the next one is looked at.
            let _ = (self.oldest).compare_exchange(view, Owned::Leaf(next.arc()), guard);
        }
    }

    /// Keeps the answers to a message, and forgets the oldest beyond `limit` bytes.
    fn answer(&self, known: &Known, answers: Answers, limit: usize, guard: &Guard) {
        let bytes = answers.bytes;
        // Before the exchange: another thread may forget these answers at once. It would take off `bytes`
        // what is not in it yet.
        self.bytes.fetch_add(bytes, Ordering::AcqRel);
        let answers = Owned::Leaf(Arc::new(answers));
        let kept = (known.answers).compare_exchange(View::Empty, answers, guard);
        if kept.is_err() {
            self.bytes.fetch_sub(bytes, Ordering::AcqRel);
        }
        for known in self.each(guard) {
            if self.bytes.load(Ordering::Acquire) <= limit {
                return;
            }
            if matches!(known.answers.load(guard), View::Leaf(_)) {
                self.forget(known, guard);
            }
        }
    }

    /// Forgets the answers to a message, also those that have not come yet.
    fn forget(&self, known: &Known, guard: &Guard) {
        loop {
            let view = known.answers.load(guard);
            let bytes = match view {
                View::Leaf(answers) if answers.bytes == 0 => return,
                View::Leaf(answers) => answers.bytes,
                _ => 0,
            };
            let none = Owned::Leaf(Arc::clone(&self.none));
            if (known.answers).compare_exchange(view, none, guard).is_ok() {
                self.bytes.fetch_sub(bytes, Ordering::AcqRel);
                return;
            }
        }
    }
}

/// The messages with an id that a router remembers.
pub(in crate::protocol) struct Repeats {
    limits: RepeatLimits,
    users: PerUser<List>,
}

/// The id of a message, and a hash of its content.
pub(in crate::protocol) struct Print {
    /// A text or a number: a number and the same digits as a text are two ids.
    pub(in crate::protocol) id: Value,
    id_hash: u64,
    content: u64,
}

/// A message that is known from now on, and may be answered.
pub(in crate::protocol) struct Noted {
    user: Arc<Kept<List>>,
    known: Arc<Known>,
}

/// Whether a message came before.
pub(in crate::protocol) enum Seen {
    /// It did not.
    First(Noted),
    /// It did, and a handler works on it.
    Handling,
    /// It did, and these were its answers. Empty if it had none, or they are forgotten.
    Answered(Arc<Vec<Packet>>),
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

    /// Returns the id of a message, if it has one by which it can be known again.
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
        let (is_id, id_hash) = match &id {
            Value::String(text) => {
                let is_id = !text.is_empty() && text.len() <= MAX_ID_BYTES;
                (is_id, token::text_content(text))
            }
            // Numbers share one hash: the values themselves are compared.
            other => (other.is_number(), 0),
        };
        is_id.then(|| Print {
            id,
            id_hash,
            content: message.content(),
        })
    }

    /// Returns whether the user has sent this before. If not, it is known from now on.
    pub(in crate::protocol) fn see(&self, user: &UserId, print: &Print) -> Seen {
        let user = self.users.get_or_default(user);
        match (user.value).add(print, self.limits.messages, &pin()) {
            Ok(known) => Seen::First(Noted { user, known }),
            Err(seen) => seen,
        }
    }

    /// Keeps the answers to a message that was handled.
    pub(in crate::protocol) fn answered(&self, noted: &Noted, packets: Arc<Vec<Packet>>) {
        let answers = Answers {
            bytes: packets.iter().map(|packet| packet.json().len()).sum(),
            packets,
        };
        let list = &noted.user.value;
        list.answer(&noted.known, answers, self.limits.answer_bytes, &pin());
    }
}
