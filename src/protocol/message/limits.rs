//! The limits of a message.

/// The limits of a client's message. A message beyond them is refused.
///
/// ```
/// use laneway::protocol::{Message, MessageError, MessageLimits};
///
/// let limits = MessageLimits { depth: 2, ..MessageLimits::default() };
/// let deep = Message::parse_within(br#"{"type": "chat", "a": [[1]]}"#, limits);
/// assert_eq!(deep, Err(MessageError::TooDeep { limit: 2 }));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageLimits {
    /// Bytes of JSON, at most 4 294 967 295. Default 262 144.
    pub bytes: usize,
    /// Objects and lists within each other, at most 127: the parser refuses more. Default 32.
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

impl MessageLimits {
    /// With another [`bytes`](Self#structfield.bytes).
    #[must_use]
    pub fn bytes(mut self, bytes: usize) -> Self {
        self.bytes = bytes;
        self
    }
    /// With another [`depth`](Self#structfield.depth).
    #[must_use]
    pub fn depth(mut self, depth: usize) -> Self {
        self.depth = depth;
        self
    }
}
