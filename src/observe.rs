//! The engine reports here what has happened, for the host's subscriber of `tracing` and its recorder of
//! `metrics`.
//!
//! Each function is named after what has happened. Without the two features all of them are empty, and
//! each argument that takes work is a closure. So the engine's own files need no condition.
//!
//! A subscriber and a recorder are the host's code. A panic of theirs is caught here. Otherwise it would end
//! a close half-way, and the events of that connection would stay in memory.

use crate::drain::progress::DrainPhase;
use crate::error::{CloseReason, ConnectError, PublishError, ResumeError};
use crate::id::{ConnectionId, UserId};
use crate::retention::Resumed;

#[cfg(any(feature = "tracing", feature = "metrics"))]
mod words;

#[cfg(feature = "tracing")]
mod trace;

#[cfg(feature = "metrics")]
pub(crate) mod meter;

/// The share of publishes that are observed, for `Builder::sample_publishes`. Empty without the features.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sample {
    /// One publish in so many. 0 stands for none.
    #[cfg(any(feature = "tracing", feature = "metrics"))]
    pub(crate) one_in: u32,
}

/// Calls the function of this name in `trace` and in `meter`, as far as the features are enabled.
macro_rules! report {
    (events only: $function:ident $arguments:tt) => {{
        #[cfg(feature = "tracing")]
        caught(|| trace::$function $arguments);
        #[cfg(not(feature = "tracing"))]
        let _ = &$arguments;
    }};
    ($function:ident $arguments:tt) => {{
        #[cfg(feature = "tracing")]
        caught(|| trace::$function $arguments);
        #[cfg(feature = "metrics")]
        caught(|| meter::$function $arguments);
        #[cfg(not(any(feature = "tracing", feature = "metrics")))]
        let _ = &$arguments;
    }};
}

/// Calls the host's code, and catches its panic.
#[cfg(any(feature = "tracing", feature = "metrics"))]
fn caught(f: impl FnOnce()) {
    let _ = crate::panics::contain(f);
}

/// A connection was listed.
#[inline]
pub(crate) fn connected(user: &UserId, connection: ConnectionId) {
    report!(connected(user, connection));
}

/// A scope was refused a connection.
#[inline]
pub(crate) fn connect_refused(user: &UserId, why: &ConnectError) {
    report!(connect_refused(user, why));
}

/// A device has a connection again, and knows what it has missed.
#[inline]
pub(crate) fn resumed(user: &UserId, connection: ConnectionId, result: &Resumed) {
    report!(resumed(user, connection, result));
}

/// A device was refused a connection from its position.
#[inline]
pub(crate) fn resume_refused(user: &UserId, why: &ResumeError) {
    report!(resume_refused(user, why));
}

/// A connection was closed. `unread` returns how many numbers it had not read.
#[inline]
pub(crate) fn closed(
    user: &UserId,
    connection: ConnectionId,
    reason: CloseReason,
    unread: impl Fn() -> u64,
) {
    report!(closed(user, connection, reason, &unread));
}

/// A connection has received a gap.
#[inline]
pub(crate) fn gap(user: &UserId, connection: ConnectionId, missed: u64) {
    report!(gap(user, connection, missed));
}

/// A lane has accepted an event. Reports one in so many.
#[inline(always)]
#[allow(clippy::inline_always)] // A call is a tenth of a publish.
pub(crate) fn published(sample: Sample, user: &UserId, hash: u64, number: u64, connections: u8) {
    #[cfg(any(feature = "tracing", feature = "metrics"))]
    // By number and user instead of a count that all publishers would write. The hash spreads users who
    // have few events.
    if sample.one_in != 0
        && hash
            .wrapping_add(number)
            .is_multiple_of(sample.one_in.into())
    {
        published_sampled(user, number, connections);
    }
    #[cfg(not(any(feature = "tracing", feature = "metrics")))]
    let _ = (sample, user, hash, number, connections);
}

#[cfg(any(feature = "tracing", feature = "metrics"))]
#[cold]
#[inline(never)]
fn published_sampled(user: &UserId, number: u64, connections: u8) {
    report!(published(user, number, connections));
}

/// An event goes back to its publisher. Metrics count it from the hub's figures.
#[inline]
pub(crate) fn publish_refused<E>(user: &UserId, why: PublishError<E>) -> PublishError<E> {
    report!(events only: publish_refused(user, &why));
    why
}

/// A body named another user. Its first such field is one of `protocol::ROUTING_FIELDS`.
#[cfg_attr(
    any(not(feature = "protocol"), laneway_loom, laneway_shuttle),
    allow(dead_code)
)]
#[inline]
pub(crate) fn contaminated(fields: usize, first: Option<&'static str>) {
    report!(contaminated(fields, first));
}

/// The hub was shut down.
#[inline]
pub(crate) fn shut_down(lanes: usize) {
    report!(events only: shut_down(lanes));
}

/// A drain has begun.
#[inline]
pub(crate) fn drain_begun(connections: usize) {
    report!(events only: drain_begun(connections));
}

/// A drain has come to a later phase.
#[inline]
pub(crate) fn drain_reached(phase: DrainPhase) {
    report!(events only: drain_reached(phase));
}
