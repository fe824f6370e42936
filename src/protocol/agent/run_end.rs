//! The end of a run.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use crate::protocol::agent::core::{Core, failure, millis};
use crate::protocol::agent::error::{RunError, required};
use crate::protocol::agent::run::AgentRun;
use crate::protocol::broadcast::Broadcast;
use crate::protocol::message::envelope::Message;
use crate::protocol::message::kind::MessageKind;

/// The error of an end that was refused. It hands the run back.
///
/// The run goes on while this value exists. Dropping the value drops the run, which then sends
/// `agent_error` with the code `abandoned`.
///
/// ```
/// # use std::time::Duration;
/// # use laneway::{Hub, ThreadId, UserId, protocol::*};
/// # let engine = Hub::new();
/// # let (ann, now) = (engine.scope(UserId::new("ann")?), Duration::ZERO);
/// # let ids = (ann.user().clone(), ThreadId::new("t-7")?, RunId::new("r-7")?);
/// # let context = UserContext::builder(ids.0, ids.1, ids.2).build()?;
/// # let (mut run, _) = AgentRun::start(Default::default(), ann, context, "planner", now)?;
/// let _ = run.tool_executing("search", serde_json::json!({}), now)?;
/// let refused = run.complete("success", "done", Duration::ZERO, now).unwrap_err();
/// assert_eq!(refused.error, RunError::ToolsOpen { count: 1 });
/// let _ = refused.run.fail("timeout", "the search did not answer", true, now)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[non_exhaustive]
#[must_use = "dropping it drops the run, which tells its user that it was abandoned"]
pub struct NotEnded {
    /// The run, unchanged.
    pub run: Box<AgentRun>,
    /// The reason of the refusal.
    pub error: RunError,
}

impl AgentRun {
    /// Ends the run: sends `agent_completed` with `status`, `final_response`, and `duration` in
    /// milliseconds.
    ///
    /// The response may be empty. Lock-free.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use laneway::{Hub, ThreadId, UserId, protocol::*};
    /// # let engine = Hub::new();
    /// # let (ann, now) = (engine.scope(UserId::new("ann")?), Duration::ZERO);
    /// # let ids = (ann.user().clone(), ThreadId::new("t-7")?, RunId::new("r-7")?);
    /// # let context = UserContext::builder(ids.0, ids.1, ids.2).build()?;
    /// # let (mut run, _) = AgentRun::start(Default::default(), ann, context, "planner", now)?;
    /// let took = Duration::from_millis(120);
    /// assert!(run.complete("success", "There are three lanes.", took, now).is_ok());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`NotEnded`] hands the run back, with one of these:
    ///
    /// * [`RunError::ToolsOpen`] while calls of tools are open.
    /// * [`RunError::Empty`] if `status` is blank.
    /// * [`RunError::Ended`], [`RunError::Refused`].
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

    /// Ends the run: sends `agent_error` with `code`, `message`, and whether it is `recoverable`.
    ///
    /// Calls of tools may be open. Lock-free.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use laneway::{Hub, ThreadId, UserId, protocol::*};
    /// # let engine = Hub::new();
    /// # let (ann, now) = (engine.scope(UserId::new("ann")?), Duration::ZERO);
    /// # let ids = (ann.user().clone(), ThreadId::new("t-7")?, RunId::new("r-7")?);
    /// # let context = UserContext::builder(ids.0, ids.1, ids.2).build()?;
    /// # let (mut run, _) = AgentRun::start(Default::default(), ann, context, "planner", now)?;
    /// let _ = run.tool_executing("search", serde_json::json!({}), now)?;
    /// assert!(run.fail("timeout", "the search did not answer", true, now).is_ok());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`NotEnded`] hands the run back, with [`RunError::Empty`] for a blank text, [`RunError::Ended`],
    /// or [`RunError::Refused`].
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

    /// Sends the last event, unless a check has failed.
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
