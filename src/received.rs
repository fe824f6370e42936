//! What a connection receives.

use crate::retention::Origin;

/// What a connection receives.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Received<E> {
    /// The next event.
    Event(Delivered<E>),
    /// Numbers that this connection skipped, because it was more than a lane behind. Those of events for
    /// other connections are among them, and those that were no event and went with the events around
    /// them.
    #[non_exhaustive]
    Gap {
        /// How many, exactly.
        missed: u64,
    },
}

/// One event and its number in the user's lane.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Delivered<E> {
    /// The number, from 0; the same on every device of the user.
    pub number: u64,
    /// The event: moved out for the last reader, cloned for the others.
    pub event: E,
    /// Whether it comes live, or was asked for.
    pub origin: Origin,
}

/// What [`Connection::visit`](crate::Connection::visit) did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[must_use]
#[non_exhaustive]
pub struct Visited {
    /// Events read.
    pub events: usize,
    /// Numbers missed after them; 0 unless a gap ended the visit.
    pub missed: u64,
}

/// An event that comes live.
#[inline]
pub(crate) fn received<E>(number: u64, event: E) -> Received<E> {
    Received::Event(Delivered {
        number,
        event,
        origin: Origin::Live,
    })
}
