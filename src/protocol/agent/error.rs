//! The reasons why a run does not send an event.

use std::error::Error;
use std::fmt;

use crate::protocol::broadcast::Broadcast;

/// Calls of tools that one run has open at a time, at most.
///
/// ```
/// # use std::time::Duration;
/// # use laneway::{Hub, ThreadId, UserId, protocol::*};
/// # let engine = Hub::new();
/// # let (ann, now) = (engine.scope(UserId::new("ann")?), Duration::ZERO);
/// # let ids = (ann.user().clone(), ThreadId::new("t-7")?, RunId::new("r-7")?);
/// # let context = UserContext::builder(ids.0, ids.1, ids.2).build()?;
/// # let (mut run, _) = AgentRun::start(Default::default(), ann, context, "planner", now)?;
/// use laneway::protocol::MAX_OPEN_TOOLS;
///
/// for call in 0..MAX_OPEN_TOOLS {
///     let _ = run.call_executing("search", &format!("call-{call}"), ().into(), now)?;
/// }
/// assert_eq!(run.tool_executing("search", ().into(), now), Err(RunError::TooManyTools));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub const MAX_OPEN_TOOLS: usize = 32;

/// The reason why an event was not sent.
///
/// No part of the event was sent, its number is free, and the run is unchanged. A displayed error
/// names no other user, so the host may show it to the run's user.
///
/// A user without connections is no error: see [`AgentRun`](crate::protocol::AgentRun).
///
/// ```
/// # use std::time::Duration;
/// # use laneway::{Hub, ThreadId, UserId, protocol::*};
/// # let engine = Hub::new();
/// # let (ann, now) = (engine.scope(UserId::new("ann")?), Duration::ZERO);
/// # let ids = (ann.user().clone(), ThreadId::new("t-7")?, RunId::new("r-7")?);
/// # let context = UserContext::builder(ids.0, ids.1, ids.2).build()?;
/// # let (mut run, _) = AgentRun::start(Default::default(), ann, context, "planner", now)?;
/// let refused = run.tool_completed("search", ().into(), Duration::ZERO, true, now).unwrap_err();
/// assert_eq!(refused, RunError::ToolNotOpen);
/// assert_eq!(refused.to_string(), "the tool is not executing");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum RunError {
    /// The scope and the context belong to different users.
    ForeignScope,
    /// A required text is empty or blank.
    Empty {
        /// The event's name for the text.
        field: &'static str,
    },
    /// A call of this tool, or with this id, is open already.
    ToolOpen,
    /// No call of this tool, or with this id, is open.
    ToolNotOpen,
    /// [`MAX_OPEN_TOOLS`] calls are open.
    TooManyTools,
    /// The run cannot complete while calls of tools are open.
    ToolsOpen {
        /// Open calls.
        count: usize,
    },
    /// [`AgentRuns::end_all`](crate::protocol::AgentRuns::end_all) has ended the run.
    Ended,
    /// [`AgentRuns::end_all`](crate::protocol::AgentRuns::end_all) has ended all runs, and no run starts any
    /// more.
    ShuttingDown,
    /// A limit of [`OpenRunLimits`](crate::protocol::OpenRunLimits) is reached.
    TooManyRuns,
    /// The broadcaster refused the event. The caller may try again.
    ///
    /// Either the event names another receiver and the policy is to reject, or the lane had no room.
    Refused(Box<Broadcast>),
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ForeignScope => f.write_str("the scope and the context are of different users"),
            Self::Empty { field } => write!(f, "{field} has to say something"),
            Self::ToolOpen => f.write_str("the tool is executing already"),
            Self::ToolNotOpen => f.write_str("the tool is not executing"),
            Self::TooManyTools => write!(f, "{MAX_OPEN_TOOLS} tools are executing already"),
            Self::ToolsOpen { count } => write!(f, "tools are still executing: {count}"),
            Self::Ended => f.write_str("the run was ended"),
            Self::ShuttingDown => f.write_str("no run begins any more"),
            Self::TooManyRuns => f.write_str("too many runs are open"),
            Self::Refused(broadcast) => match &broadcast.refused {
                Some(error) => error.fmt(f),
                None => f.write_str("the event was refused"),
            },
        }
    }
}

impl Error for RunError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Refused(broadcast) => broadcast.refused.as_ref().map(|error| error as _),
            _ => None,
        }
    }
}

/// Returns an error if `text` is empty or blank.
pub(in crate::protocol) fn required(field: &'static str, text: &str) -> Result<(), RunError> {
    if text.trim().is_empty() {
        return Err(RunError::Empty { field });
    }
    Ok(())
}
