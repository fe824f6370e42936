//! How a run ends.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use crate::protocol::agent::core::{Core, failure, millis};
use crate::protocol::agent::error::{RunError, required};
use crate::protocol::agent::run::AgentRun;
use crate::protocol::broadcast::Broadcast;
use crate::protocol::message::envelope::Message;
use crate::protocol::message::kind::MessageKind;

/// A run that could not be ended this way. It goes on as long as this is kept.
#[derive(Debug)]
#[must_use = "dropping it drops the run, which tells its user that it was abandoned"]
pub struct NotEnded {
    /// The run, as it was.
    pub run: Box<AgentRun>,
    /// Why it has not ended.
    pub error: RunError,
}

impl AgentRun {
    /// Ends the run: says `agent_completed` with `status`, `final_response`, and `duration` in
    /// milliseconds. The response may be empty: some runs end with nothing to say.
    ///
    /// # Errors
    ///
    /// [`NotEnded`] hands the run back, with [`RunError::ToolsOpen`] while tools are executing,
    /// [`RunError::Empty`] for the status, [`RunError::Ended`], or [`RunError::Refused`].
    pub fn complete(
        mut self,
        status: &str,
        final_response: &str,
        duration: Duration,
        now: Duration,
    ) -> Result<Broadcast, NotEnded> {
        self.note_time(now);
        let check = match self.open.len() {
            0 => required("status", status),
            count => Err(RunError::ToolsOpen { count }),
        };
        let event = Message::new(MessageKind::AgentCompleted)
            .with("status", status)
            .with("final_response", final_response)
            .with("duration", millis(duration));
        self.end(check, event, now)
    }

    /// Ends the run, whatever is executing: says `agent_error` with `code`, `message`, and whether it
    /// is `recoverable`.
    ///
    /// # Errors
    ///
    /// [`NotEnded`] hands the run back, with [`RunError::Empty`], [`RunError::Ended`] or
    /// [`RunError::Refused`].
    pub fn fail(
        mut self,
        code: &str,
        message: &str,
        recoverable: bool,
        now: Duration,
    ) -> Result<Broadcast, NotEnded> {
        self.note_time(now);
        let check = required("code", code).and(required("message", message));
        self.end(check, failure(code, message, recoverable), now)
    }

    /// The last event, unless a check has failed.
    fn end(
        self,
        check: Result<(), RunError>,
        event: Message,
        now: Duration,
    ) -> Result<Broadcast, NotEnded> {
        let told = check.and_then(|()| Core::send_last(&self.core, event, now));
        told.map_err(|error| NotEnded {
            run: Box::new(self),
            error,
        })
    }
}

impl fmt::Display for NotEnded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl Error for NotEnded {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.error)
    }
}
