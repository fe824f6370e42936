//! The events and gaps that a connection receives.

use crate::retention::Origin;

/// An event or a gap, from the receiving calls of [`Connection`](crate::Connection).
///
/// ```
/// # let hub = laneway::Hub::builder().lane_capacity(2).build::<u8>()?;
/// # let ann = hub.scope(laneway::UserId::new("ann")?);
/// # let mut device = ann.connect()?;
/// # ann.publish_batch([3, 4, 5])?;
/// use laneway::Received;
///
/// let text = match device.recv()? {
///     Received::Event(next) => format!("event {}", next.event),
///     Received::Gap { missed, .. } => format!("reload: {missed} were skipped"),
///     _ => String::new(), // nothing to do
/// };
/// assert_eq!(text, "reload: 1 were skipped"); // in a lane of two events
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # The default arm
///
/// A later version may add a variant. Each number that a connection passes is an `Event`, is in a `Gap`, was
/// for other connections, or was superseded or expired, and that stays so. So the default arm may do nothing and go on with the loop.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Received<E> {
    /// The next event.
    Event(Delivered<E>),
    /// Numbers that this connection skipped, because it was more than a lane behind.
    ///
    /// Among them are numbers of events for other connections, and numbers that are no event because their
    /// publisher was stopped for too long.
    #[non_exhaustive]
    Gap {
        /// How many numbers, exactly.
        missed: u64,
    },
}

/// One event and its number in the user's lane.
///
/// ```
/// # let hub: laneway::Hub<u8> = laneway::Hub::new();
/// # let ann = hub.scope(laneway::UserId::new("ann")?);
/// # let mut device = ann.connect()?;
/// use laneway::{Origin, Received};
///
/// ann.publish(7)?;
/// let Received::Event(next) = device.recv()? else { panic!("one event is no gap") };
/// assert_eq!((next.number, next.event, next.origin), (0, 7, Origin::Live));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Delivered<E> {
    /// The number, from 0, the same on all devices of the user. A number may be missing: it was for other
    /// devices, superseded, expired, or no event.
    pub number: u64,
    /// The event: moved out for the last reader, cloned for the others.
    pub event: E,
    /// Whether it comes live, from a [resume](crate::UserScope::resume), or from a
    /// [recovery](crate::Connection::recover).
    pub origin: Origin,
}

/// The result of [`Connection::visit`](crate::Connection::visit).
///
/// ```
/// # let hub = laneway::Hub::builder().lane_capacity(2).build::<u8>()?;
/// # let ann = hub.scope(laneway::UserId::new("ann")?);
/// let mut device = ann.connect()?; // of a lane of two events
/// ann.publish_batch([3, 4, 5])?;
/// let first = device.visit(64, |_, _| {})?;
/// let second = device.visit(64, |_, _| {})?;
/// assert_eq!((first.missed, second.events), (1, 2));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[must_use]
#[non_exhaustive]
pub struct Visited {
    /// How many events were read.
    pub events: usize,
    /// How many numbers the gap after them has; 0 unless a gap ended the visit.
    pub missed: u64,
}

/// Makes an event that comes live.
#[inline]
pub(crate) fn received<E>(number: u64, event: E) -> Received<E> {
    Received::Event(Delivered {
        number,
        event,
        origin: Origin::Live,
    })
}
