//! The part of a connection that only its owner touches.

use super::arena::Pin;

/// How far a connection's owner has come, beside the cursor that other threads read.
pub(crate) struct Reader<E> {
    /// The arena in which the reader stands.
    pub(super) pin: Pin<E>,
    /// The first number that counts the connection.
    pub(crate) joined_at: u64,
    /// Numbers that were passed and were no event, or an event that its rule kept from this reader.
    pub(super) stepped_over: u64,
    /// The reader was the last connection to pass the number before its cursor.
    pub(super) passed_last: bool,
    /// The connection was counted out with no number to pass.
    pub(super) is_counted_out: bool,
    /// The connection's own: flags for what it does before it looks at the lane again.
    pub(crate) pending: u8,
    /// The connection's own: turns of its task since it last gave way to other tasks.
    pub(crate) turns: u8,
}

impl<E> Reader<E> {
    /// Creates the reader of a connection that has passed no number since it joined at `cursor`.
    pub(crate) fn new(cursor: u64) -> Self {
        Self {
            pin: Pin::none(),
            joined_at: cursor,
            stepped_over: 0,
            passed_last: false,
            is_counted_out: false,
            pending: 0,
            turns: 0,
        }
    }
}
