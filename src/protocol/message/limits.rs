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
