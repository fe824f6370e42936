//! How far a drain has come.

/// A phase of a drain. A later phase is greater.
///
/// ```
/// use laneway::DrainPhase;
/// assert!(DrainPhase::Telling < DrainPhase::Drained);
/// ```
///
/// | phase | connects | publishes | ends when |
/// |---|---|---|---|
/// | `Telling` | refused | accepted | each user online is told |
/// | `Delivering` | refused | accepted | [`publish_for`](crate::DrainPlan::publish_for) has passed |
/// | `Closing` | refused | refused, lane by lane | each connection has read what was accepted, and has gone |
/// | `Cutting` | refused | refused | the drain has closed the rest |
/// | `Drained` | refused | refused | |
///
/// The deadline ends each of the first three. A hub without a user online is drained at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum DrainPhase {
    /// Each user online gets the event that tells of the drain.
    Telling,
    /// Publishes go on, and connections read.
    Delivering,
    /// Lanes are closed in batches. A connection receives what was accepted before, then
    /// [`CloseReason::Drained`](crate::CloseReason::Drained).
    Closing,
    /// The deadline has passed. What is left is closed in batches, and its unread events are counted.
    Cutting,
    /// No user is online, and the hub is shut down.
    Drained,
}

impl DrainPhase {
    pub(crate) const fn from_word(word: u64) -> Self {
        match word {
            0 => Self::Telling,
            1 => Self::Delivering,
            2 => Self::Closing,
            3 => Self::Cutting,
            _ => Self::Drained,
        }
    }
}

/// How far a drain has come, from [`Drain::step`](crate::Drain::step). Each figure is read on its own; those
/// of a step that another thread is in come when that step returns.
///
/// ```
/// use std::time::Duration;
/// use laneway::{DrainPhase, DrainPlan, Hub, UserId};
///
/// let hub: Hub<u8> = Hub::new();
/// let ann = hub.scope(UserId::new("ann")?);
/// let device = ann.connect()?; // never reads
/// ann.publish(7)?;
/// let drain = hub.drain(DrainPlan::within(Duration::from_secs(4)).tell(|_, _| 9))?;
/// let steps = (0..8).map(|second| drain.step(Duration::from_secs(second)));
/// let last = steps.last().expect("eight steps");
/// assert_eq!((last.phase, last.told, last.cut, last.unread), (DrainPhase::Drained, 1, 1, 2));
/// assert_eq!(device.stats().unread, 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct DrainProgress {
    /// The phase.
    pub phase: DrainPhase,
    /// Users online now.
    pub users: usize,
    /// Connections that the last whole walk over the users has found live. A walk takes several steps.
    pub connections: usize,
    /// Users whose lane has accepted the event that tells of the drain.
    pub told: usize,
    /// Users for whom that event was made and refused: their last connection had left meanwhile.
    pub untold: usize,
    /// Lanes that the drain has closed. Their connections receive what was accepted before.
    pub closed: usize,
    /// Connections that the drain has closed after the deadline.
    pub cut: usize,
    /// Numbers that these had not read. A connection that was receiving at that moment may have read one
    /// more; its own [`stats`](crate::Connection::stats) are exact.
    pub unread: u64,
    /// Lanes without connections, kept by [`Retention`](crate::Retention), that the drain has ended.
    pub absent: usize,
}
