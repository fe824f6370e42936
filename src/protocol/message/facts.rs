//! The facts that one scan of a client's bytes finds.

use std::ops::Range;

use smallvec::SmallVec;

/// Containers and members that a scan keeps without an allocation: most messages have fewer.
pub(in crate::protocol) const INLINE: usize = 8;

/// The fields of a body that name its receiver, at every depth.
///
/// `user_id` and `sender_id` name an origin and no receiver. They are delivered as they are.
///
/// ```
/// use laneway::protocol::ROUTING_FIELDS;
///
/// assert!(ROUTING_FIELDS.contains(&"recipient_id"));
/// assert!(!ROUTING_FIELDS.contains(&"sender_id"));
/// ```
pub const ROUTING_FIELDS: [&str; 3] = ["recipient_id", "target_user_id", "userId"];

/// Returns the routing field of this name.
pub(in crate::protocol) fn routing(name: &str) -> Option<&'static str> {
    ROUTING_FIELDS.into_iter().find(|field| *field == name)
}

/// A member that the layer reads of a message: one of the message's own, or its payload's id.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::protocol) enum Member {
    Type,
    JsonRpc,
    Method,
    Id,
    Params,
    Result,
    Error,
    Payload,
    MessageId,
    PayloadMessageId,
}

impl Member {
    const COUNT: usize = Self::PayloadMessageId as usize + 1;

    /// Returns the member of the message itself that has this name.
    pub(in crate::protocol) fn of(name: &str) -> Option<Self> {
        Some(match name {
            "type" => Self::Type,
            "jsonrpc" => Self::JsonRpc,
            "method" => Self::Method,
            "id" => Self::Id,
            "params" => Self::Params,
            "result" => Self::Result,
            "error" => Self::Error,
            "payload" => Self::Payload,
            "message_id" => Self::MessageId,
            _ => return None,
        })
    }
}

/// A part of a text, in 32 bits each: no value ends at 0.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::protocol) struct Span {
    start: u32,
    end: u32,
}

impl Span {
    pub(in crate::protocol) fn new(start: usize, end: usize) -> Self {
        let (start, end) = (start as u32, end as u32);
        Self { start, end }
    }

    fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }

    fn of(self, text: &str) -> &str {
        &text[self.range()]
    }
}

/// A member of the message or of its payload.
#[derive(Clone, Copy, Debug)]
pub(in crate::protocol) struct Spot {
    pub(in crate::protocol) is_payload: bool,
    pub(in crate::protocol) name: Span,
    pub(in crate::protocol) value: Span,
}

/// The value that a text is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::protocol) enum Root {
    Object,
    /// A list whose items have a member `jsonrpc`.
    Batch,
    #[default]
    Other,
}

/// The text cannot answer the question. Its values can.
pub(in crate::protocol) struct Untold;

/// The facts of one text.
#[derive(Clone, Debug, Default)]
pub(in crate::protocol) struct Facts {
    /// Where the value of each [`Member`] is: the last one of its name.
    pub(in crate::protocol) members: [Span; Member::COUNT],
    /// The members of the message and of its payload, names as they are written.
    pub(in crate::protocol) spots: SmallVec<[Spot; INLINE]>,
    /// The most containers within each other.
    pub(in crate::protocol) depth: usize,
    pub(in crate::protocol) root: Root,
    /// A routing field is there, at some depth.
    pub(in crate::protocol) names_receiver: bool,
    /// An object may have a name twice.
    pub(in crate::protocol) names_twice: bool,
    /// A name is written with escapes.
    pub(in crate::protocol) names_escaped: bool,
    /// A hash of all members but `type`. Equal for members in another order, and for names and texts with
    /// other escapes. Meaningless if `names_twice`.
    pub(in crate::protocol) content: u64,
}

impl Facts {
    /// Returns the place of this member's value.
    pub(in crate::protocol) fn member(&self, member: Member) -> Option<Range<usize>> {
        let span = self.members[member as usize];
        (span.end > 0).then(|| span.range())
    }

    /// Returns the place of a field's value: in the payload, else in the message itself.
    pub(in crate::protocol) fn field(
        &self,
        text: &str,
        name: &str,
    ) -> Result<Option<Range<usize>>, Untold> {
        if self.names_twice || self.names_escaped {
            return Err(Untold);
        }
        let find = |is_payload| {
            let is_it = |spot: &&Spot| spot.is_payload == is_payload && spot.name.of(text) == name;
            self.spots.iter().find(is_it)
        };
        let found = find(true).or_else(|| find(false));
        Ok(found.map(|spot| spot.value.range()))
    }
}
