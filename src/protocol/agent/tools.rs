//! The events of a run's tools.

use std::time::Duration;

use serde_json::Value;

use crate::protocol::agent::calls::Call;
use crate::protocol::agent::cleaning::clean;
use crate::protocol::agent::core::millis;
use crate::protocol::agent::error::{MAX_OPEN_TOOLS, RunError, required};
use crate::protocol::agent::run::AgentRun;
use crate::protocol::broadcast::Broadcast;
use crate::protocol::message::envelope::Message;
use crate::protocol::message::json;
use crate::protocol::message::kind::MessageKind;

impl AgentRun {
    /// Sends `tool_executing` with `tool_name` and the [cleaned](clean) `parameters`.
    ///
    /// At most [`MAX_OPEN_TOOLS`] calls are open at a time. Lock-free.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use laneway::{Hub, ThreadId, UserId, protocol::*};
    /// # let engine = Hub::new();
    /// # let (ann, now) = (engine.scope(UserId::new("ann")?), Duration::ZERO);
    /// # let ids = (ann.user().clone(), ThreadId::new("t-7")?, RunId::new("r-7")?);
    /// # let context = UserContext::builder(ids.0, ids.1, ids.2).build()?;
    /// # let (mut run, _) = AgentRun::start(Default::default(), ann, context, "planner", now)?;
    /// use serde_json::json;
    ///
    /// let _ = run.tool_executing("search", json!({"query": "lanes"}), now)?;
    /// assert_eq!(run.tool_executing("search", json!({}), now), Err(RunError::ToolOpen));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// * [`RunError::Empty`] if the name is blank.
    /// * [`RunError::ToolOpen`] if a call of this name without an id is open.
    /// * [`RunError::TooManyTools`] if [`MAX_OPEN_TOOLS`] calls are open.
    /// * [`RunError::Ended`], [`RunError::Refused`].
    pub fn tool_executing(
        &mut self,
        tool_name: &str,
        parameters: Value,
        now: Duration,
    ) -> Result<Broadcast, RunError> {
        self.executing(None, tool_name, &json::Owned(parameters), now)
    }

    /// As [`tool_executing`](Self::tool_executing), with a `call_id` that the event carries too.
    ///
    /// A tool may have several open calls, each with its own id. Lock-free.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use laneway::{Hub, ThreadId, UserId, protocol::*};
    /// # let engine = Hub::new();
    /// # let (ann, now) = (engine.scope(UserId::new("ann")?), Duration::ZERO);
    /// # let ids = (ann.user().clone(), ThreadId::new("t-7")?, RunId::new("r-7")?);
    /// # let context = UserContext::builder(ids.0, ids.1, ids.2).build()?;
    /// # let (mut run, _) = AgentRun::start(Default::default(), ann, context, "planner", now)?;
    /// use serde_json::json;
    ///
    /// let took = Duration::from_millis(80);
    /// let _ = run.call_executing("search", "call-1", json!({"query": "lanes"}), now)?;
    /// let _ = run.call_executing("search", "call-2", json!({"query": "roads"}), now)?;
    /// let _ = run.call_completed("call-2", json!([]), took, true, now)?;
    /// let _ = run.call_completed("call-1", json!(["three"]), took, true, now)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`tool_executing`](Self::tool_executing). [`RunError::ToolOpen`] if a call with this id is open.
    pub fn call_executing(
        &mut self,
        tool_name: &str,
        call_id: &str,
        parameters: Value,
        now: Duration,
    ) -> Result<Broadcast, RunError> {
        self.executing(Some(call_id), tool_name, &json::Owned(parameters), now)
    }

    /// Sends the start of a call, and then opens the call: an event that is refused opens none.
    fn executing(
        &mut self,
        id: Option<&str>,
        tool_name: &str,
        parameters: &json::Owned,
        now: Duration,
    ) -> Result<Broadcast, RunError> {
        self.note_time(now);
        required("tool_name", tool_name)?;
        id.map_or(Ok(()), |id| required("call_id", id))?;
        if self.open.find(id, tool_name).is_some() {
            return Err(RunError::ToolOpen);
        }
        if self.open.len() >= MAX_OPEN_TOOLS {
            return Err(RunError::TooManyTools);
        }
        let event = Message::new(MessageKind::ToolExecuting)
            .with("tool_name", tool_name)
            .with("parameters", clean(&parameters.0));
        let told = self.core.send_next(with_call(event, id), now)?;
        self.open.add(Call {
            id: id.map(str::to_owned),
            tool: tool_name.to_owned(),
        });
        Ok(told)
    }

    /// Sends `tool_completed` with `tool_name`, the [cleaned](clean) `results`, `duration` in
    /// milliseconds, and `success`.
    ///
    /// Lock-free.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use laneway::{Hub, ThreadId, UserId, protocol::*};
    /// # let engine = Hub::new();
    /// # let (ann, now) = (engine.scope(UserId::new("ann")?), Duration::ZERO);
    /// # let ids = (ann.user().clone(), ThreadId::new("t-7")?, RunId::new("r-7")?);
    /// # let context = UserContext::builder(ids.0, ids.1, ids.2).build()?;
    /// # let (mut run, _) = AgentRun::start(Default::default(), ann, context, "planner", now)?;
    /// use serde_json::json;
    ///
    /// let _ = run.tool_executing("search", json!({}), now)?;
    /// let _ = run.tool_completed("search", json!(["three"]), Duration::from_millis(80), true, now)?;
    /// assert_eq!(run.open_tools().count(), 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// * [`RunError::Empty`] if the name is blank.
    /// * [`RunError::ToolNotOpen`] if no call of this name without an id is open.
    /// * [`RunError::Ended`], [`RunError::Refused`].
    pub fn tool_completed(
        &mut self,
        tool_name: &str,
        results: Value,
        duration: Duration,
        success: bool,
        now: Duration,
    ) -> Result<Broadcast, RunError> {
        let results = json::Owned(results);
        self.note_time(now);
        required("tool_name", tool_name)?;
        let call = self.open.find(None, tool_name);
        self.completed(call, &results, duration, success, now)
    }

    /// As [`tool_completed`](Self::tool_completed), for the call with this id. The event names the tool.
    ///
    /// Lock-free.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use laneway::{Hub, ThreadId, UserId, protocol::*};
    /// # let engine = Hub::new();
    /// # let (ann, now) = (engine.scope(UserId::new("ann")?), Duration::ZERO);
    /// # let ids = (ann.user().clone(), ThreadId::new("t-7")?, RunId::new("r-7")?);
    /// # let context = UserContext::builder(ids.0, ids.1, ids.2).build()?;
    /// # let (mut run, _) = AgentRun::start(Default::default(), ann, context, "planner", now)?;
    /// use serde_json::json;
    ///
    /// let none = run.call_completed("call-1", json!([]), Duration::ZERO, true, now);
    /// assert_eq!(none, Err(RunError::ToolNotOpen));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`tool_completed`](Self::tool_completed). [`RunError::ToolNotOpen`] if no call with this id is
    /// open.
    pub fn call_completed(
        &mut self,
        call_id: &str,
        results: Value,
        duration: Duration,
        success: bool,
        now: Duration,
    ) -> Result<Broadcast, RunError> {
        let results = json::Owned(results);
        self.note_time(now);
        required("call_id", call_id)?;
        let call = self.open.find(Some(call_id), "");
        self.completed(call, &results, duration, success, now)
    }

    /// Sends the end of a call, and then closes the call: an event that is refused closes none.
    fn completed(
        &mut self,
        call: Option<usize>,
        results: &json::Owned,
        duration: Duration,
        success: bool,
        now: Duration,
    ) -> Result<Broadcast, RunError> {
        let at = call.ok_or(RunError::ToolNotOpen)?;
        let Call { id, tool } = self.open.get(at);
        let event = Message::new(MessageKind::ToolCompleted)
            .with("tool_name", tool.as_str())
            .with("results", clean(&results.0))
            .with("duration", millis(duration))
            .with("success", success);
        let told = self.core.send_next(with_call(event, id.as_deref()), now)?;
        self.open.remove(at);
        Ok(told)
    }
}

/// Adds the id of a call to its event.
fn with_call(event: Message, id: Option<&str>) -> Message {
    match id {
        Some(id) => event.with("call_id", id),
        None => event,
    }
}
