//! How much of a message is looked at.

/// How much of a client's message is looked at before it is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageLimits {
    /// Bytes of JSON, at most 4 294 967 295. Default 262 144.
    pub bytes: usize,
    /// Objects and lists within each other, at most 127, more cannot be parsed. Default 32.
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
