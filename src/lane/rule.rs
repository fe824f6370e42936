//! The rule of an event, which each reader applies to itself. A plain event has none.

use std::sync::Arc;

use super::account::Charge;
use super::audience::Audience;
use super::conflation::Newest;
use super::member::Member;

/// What decides whether a reader receives an event or steps over it.
#[derive(Debug, Default)]
pub(crate) struct Rule {
    /// The connections that the event is for, if not all.
    pub(crate) audience: Option<Audience>,
    /// The time from which on readers step over the event, in the nanoseconds of the hub's time.
    pub(crate) deadline: Option<u64>,
    /// The newest number of the event's key, if it has one.
    pub(crate) newest: Option<Arc<Newest>>,
    /// The bytes that are reserved for the event, until it leaves the lane.
    pub(crate) charge: Option<Charge>,
}

/// What a reader does with an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Deliver,
    /// It is for other connections.
    ForOthers,
    /// A later event of its key was accepted.
    Superseded,
    /// Its deadline has come.
    Expired,
}

impl Rule {
    /// Returns whether the rule says nothing.
    pub(crate) fn is_plain(&self) -> bool {
        let is_for_all = self.audience.is_none() && self.deadline.is_none();
        is_for_all && self.newest.is_none() && self.charge.is_none()
    }

    /// Returns what a connection does with the event of `number`. `now` loads the hub's time.
    ///
    /// The time is loaded after the event was found. In the other order a host could tell the deadline and
    /// then publish the event, and the reader would deliver it by the time before.
    pub(crate) fn verdict(
        &self,
        member: &Member,
        number: u64,
        now: impl FnOnce() -> u64,
    ) -> Verdict {
        match &self.audience {
            Some(audience) if !audience.has(member, number) => Verdict::ForOthers,
            _ => self.verdict_for_all(number, now),
        }
    }

    /// As `verdict`, for a connection that the event is for.
    pub(crate) fn verdict_for_all(&self, number: u64, now: impl FnOnce() -> u64) -> Verdict {
        if (self.newest.as_ref()).is_some_and(|newest| newest.supersedes(number)) {
            Verdict::Superseded
        } else if self.deadline.is_some_and(|deadline| now() >= deadline) {
            Verdict::Expired
        } else {
            Verdict::Deliver
        }
    }
}
