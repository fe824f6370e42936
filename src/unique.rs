//! Ids that no other process draws again.

use std::fmt;

use data_encoding::BASE64URL_NOPAD;

/// 128 random bits. As text they have 22 characters: letters, digits, `-` and `_`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unique(u128);

impl Unique {
    /// Draws an id.
    ///
    /// # Panics
    ///
    /// If the system has no random bytes.
    pub(crate) fn new() -> Self {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).expect("the system has random bytes");
        Self(u128::from_be_bytes(bytes))
    }

    /// Returns 64 of the bits, for a table.
    pub(crate) fn hash(self) -> u64 {
        self.0 as u64
    }
}

impl fmt::Display for Unique {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.0.to_be_bytes();
        BASE64URL_NOPAD.encode_display(&bytes).fmt(f)
    }
}
