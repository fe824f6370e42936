//! Why a run does not say something.

use std::error::Error;
use std::fmt;

use crate::protocol::broadcast::Broadcast;

/// Tools that a run has open at once, at most.
pub const MAX_OPEN_TOOLS: usize = 32;

/// Why an event was not sent. Nothing of it was, its number is free, and the run is where it was.
///
/// Says nothing of anybody else, so the run's user may see it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum RunError {
    /// The scope and the context are not of the same user.
    ForeignScope,
    /// A text that has to say something is empty or blank.
    Empty {
        /// The event's name for it.
        field: &'static str,
    },
    /// A tool of this name, or a call of this id, was started and is not completed.
    ToolOpen,
    /// No tool of this name, or call of this id, was started, or it is completed already.
    ToolNotOpen,
    /// [`MAX_OPEN_TOOLS`] are open.
    TooManyTools,
    /// The end of the run while tools are open.
    ToolsOpen {
        /// How many.
        count: usize,
    },
    /// The run is over: [`AgentRuns::end_all`](crate::protocol::AgentRuns::end_all) has ended it, and its user was
    /// told why.
    Ended,
    /// [`AgentRuns::end_all`](crate::protocol::AgentRuns::end_all) has ended all runs, and none begins any more.
    ShuttingDown,
    /// As many runs are open as may be, in all or of this user.
    TooManyRuns,
    /// The broadcaster refused the event: it names another receiver, or there was no room for it. It
    /// may be tried again.
    ///
    /// A user without connections is no error, see [`AgentRun`](crate::protocol::AgentRun).
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

impl Error for RunError {}

/// Whether a required text has something else than blanks in it.
pub(in crate::protocol) fn required(field: &'static str, text: &str) -> Result<(), RunError> {
    if text.trim().is_empty() {
        return Err(RunError::Empty { field });
    }
    Ok(())
}
