//! The words for reasons, which events and labels share.

use crate::error::{CloseReason, ConnectError, ResumeError};
use crate::retention::Resumed;

pub(super) const fn of_close(reason: CloseReason) -> &'static str {
    match reason {
        CloseReason::Dropped => "dropped",
        CloseReason::Disconnected { .. } => "disconnected",
        CloseReason::Evicted => "evicted",
        CloseReason::Replaced => "replaced",
        CloseReason::Idle => "idle",
        CloseReason::Overrun => "overrun",
        CloseReason::Exhausted => "exhausted",
        CloseReason::Revoked => "revoked",
        CloseReason::Shutdown => "shutdown",
        CloseReason::Drained => "drained",
    }
}

pub(super) const fn of_connect(why: &ConnectError) -> &'static str {
    match why {
        ConnectError::TooManyConnections { .. } => "too_many_connections",
        ConnectError::TooManyUsers { .. } => "too_many_users",
        ConnectError::LaneCapacity(_) => "lane_capacity",
        ConnectError::Note(_) => "note",
        ConnectError::Threads(_) => "threads",
        ConnectError::Closed => "closed",
        ConnectError::Revoked => "revoked",
        ConnectError::NotAllowed(_) => "not_allowed",
        ConnectError::Draining => "draining",
    }
}

pub(super) const fn of_resume(why: &ResumeError) -> &'static str {
    match why {
        ResumeError::Foreign => "foreign_position",
        ResumeError::Connect(why) => of_connect(why),
    }
}

pub(super) const fn of_result(result: &Resumed) -> &'static str {
    match result {
        Resumed::Complete { .. } => "complete",
        Resumed::Gap { .. } => "gap",
        Resumed::Reset => "reset",
    }
}

#[cfg(feature = "tracing")]
pub(super) const fn of_publish<E>(why: &crate::error::PublishError<E>) -> &'static str {
    use crate::error::PublishError;
    match why {
        PublishError::NoConnections(_) => "no_connections",
        PublishError::Full(_) => "full",
        PublishError::OverBudget(_) => "over_budget",
        PublishError::RateLimited(_) => "rate_limited",
        PublishError::Closed(_) => "closed",
        PublishError::Revoked(_) => "revoked",
        PublishError::NotAllowed(..) => "not_allowed",
    }
}
