//! The terms and the outcomes of a lane's operations.

use crate::error::CloseReason;

/// A publish that was accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Accepted {
    pub(crate) number: u64,
    /// Live connections that count for the number, whether the event is for them or not.
    pub(crate) connections: u8,
    /// The lane keeps the event for connections that come back.
    pub(crate) kept: bool,
    /// The number of the lane in its hub, where the engine has noted it. Else 0.
    pub(crate) lane: u64,
}

/// An event that was not accepted, and the reason.
#[derive(Debug)]
pub(crate) struct Refused<E> {
    pub(crate) why: Refusal,
    pub(crate) event: E,
    /// Numbers that this publish gave up after the lane's figures were retired. The hub has counted
    /// them as accepted, and corrects that.
    pub(crate) late: u8,
}

impl<E> Refused<E> {
    pub(crate) fn new(why: Refusal, event: E, late: u8) -> Self {
        Self { why, event, late }
    }
}

/// How a publish treats readers that are behind, and sleepers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    /// A reader that is a lane behind misses events. Without it, the publish is refused.
    pub(crate) evict: bool,
    /// A connection that misses the event is closed.
    pub(crate) critical: bool,
    /// Sleepers are woken. Without it, the caller wakes them later.
    pub(crate) wake: bool,
}

impl Terms {
    pub(crate) const OVERWRITE: Self = Self {
        evict: true,
        critical: false,
        wake: true,
    };
    pub(crate) const REFUSE: Self = Self {
        evict: false,
        ..Self::OVERWRITE
    };
    pub(crate) const CRITICAL: Self = Self {
        critical: true,
        ..Self::OVERWRITE
    };
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// No connection is live, or none that the event is for.
    Vacant,
    /// A live connection has not passed the number `capacity` before, the directory is full, or too
    /// many claims became void.
    Full,
    /// The lane was shut, or the hub is closed.
    Closed,
    /// The bytes of the lane's unread events, or of all lanes', would be too many.
    OverBudget,
    /// The user's tokens are used up.
    RateLimited,
    /// The lane has no more numbers.
    Exhausted,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum JoinError {
    Closed,
    Limit,
    /// No connection is in the lane, and the caller did not allow this one to be the first.
    Deserted,
}

/// The outcome of a close.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Departure {
    /// Another thread has closed the connection before.
    Before,
    OneOfSeveral,
    /// It was the last connection, and the lane stays because it keeps its events.
    Deserted,
    /// It was the last connection, and the lane is over. `accepted` events were accepted, less
    /// those whose numbers are given up later.
    Last {
        accepted: u64,
    },
}

/// The outcome of a receive that returns no event.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The number of events that the connection has missed.
    Gap(u64),
    Empty,
    /// The connection is closed. With `Overrun` it may be open still, and the caller closes it: a
    /// critical event was evicted before it was read.
    Closed(CloseReason),
}
