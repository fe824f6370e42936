//! What calls of a lane are asked for, and what comes of them.

use crate::error::CloseReason;

/// What a publish did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Accepted {
    pub(crate) number: u64,
    /// Live connections that the event counts, whether it is for them or not.
    pub(crate) connections: u8,
    /// The lane keeps it for connections that come back.
    pub(crate) kept: bool,
}

/// An event that was not taken, and why.
#[derive(Debug)]
pub(crate) struct Refused<E> {
    pub(crate) why: Refusal,
    pub(crate) event: E,
    /// Numbers that were given up after the lane's figures had been taken over.
    pub(crate) late: u8,
}

impl<E> Refused<E> {
    pub(crate) fn new(why: Refusal, event: E, late: u8) -> Self {
        Self { why, event, late }
    }
}

/// How an event is to be appended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    /// Let a late connection miss what it has not read, rather than refuse.
    pub(crate) evict: bool,
    /// No connection misses it and stays open.
    pub(crate) critical: bool,
    /// Wake sleepers; else that is still owed.
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

/// Why a lane did not take an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    Vacant,
    Full,
    Closed,
    /// There are no more numbers.
    Exhausted,
}

/// Why a connection could not join.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum JoinError {
    Closed,
    Limit,
    /// No connection is there, and the caller did not say that it may be the first.
    Deserted,
}

/// What closing a connection did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Departure {
    /// It was closed before.
    Before,
    OneOfSeveral,
    /// The lane keeps its events for connections that come back.
    Deserted,
    /// The lane is closed and empty now. It had accepted so many events, less those that are given up
    /// late.
    Last {
        accepted: u64,
    },
}

/// What a reader got instead of an event.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Gap(u64),
    Empty,
    /// The connection is closed. With `Overrun` it may be open still, and the caller closes it: a
    /// critical event was evicted before it was read.
    Closed(CloseReason),
}
