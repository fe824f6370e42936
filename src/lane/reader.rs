//! What a connection's owner alone knows of its way through the lane.

use super::arena::Pin;

/// What a connection's owner alone knows of its way through the lane.
pub(crate) struct Reader<E> {
    pub(super) pin: Pin<E>,
    /// Numbers passed that were no event, or an event for others.
    pub(super) stepped_over: u64,
    /// It was the last connection to pass the number before its cursor.
    pub(super) passed_last: bool,
    /// Its connection is counted out, and has no number to pass.
    pub(super) is_counted_out: bool,
    /// The connection's: a set of what is to be done before the next look at the lane.
    pub(crate) pending: u8,
    /// The connection's: turns that its task has had since it last gave way.
    pub(crate) turns: u8,
}

impl<E> Reader<E> {
    pub(crate) fn new() -> Self {
        Self {
            pin: Pin::none(),
            stepped_over: 0,
            passed_last: false,
            is_counted_out: false,
            pending: 0,
            turns: 0,
        }
    }
}
