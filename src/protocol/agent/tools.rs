//! What a run says of its tools.

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
    /// Says `tool_executing` with `tool_name` and the [cleaned](clean) `parameters`.
    ///
    /// # Errors
    ///
    /// [`RunError::Empty`], [`RunError::ToolOpen`] for a name that is executing,
    /// [`RunError::TooManyTools`] beyond [`MAX_OPEN_TOOLS`], [`RunError::Ended`],
    /// [`RunError::Refused`].
    pub fn tool_executing(
        &mut self,
        tool_name: &str,
        parameters: Value,
        now: Duration,
    ) -> Result<Broadcast, RunError> {
        self.executing(None, tool_name, &json::Owned(parameters), now)
    }

    /// As [`tool_executing`](Self::tool_executing), for one of several calls of a tool that may be open
    /// at once: says `call_id` as well.
    ///
    /// ```
    /// # use std::{sync::Arc, time::Duration};
    /// # use laneway::protocol::{AgentRun, RunId, UserContext};
    /// # use laneway::{Router, ThreadId, UserId};
    /// # use serde_json::json;
    /// # let (ann, now) = (UserId::new("ann")?, Duration::ZERO);
    /// # let context = UserContext::builder(ann.clone(), ThreadId::new("t-7")?, RunId::new("r-7")?).build()?;
    /// # let scope = Router::new().scope(ann);
    /// # let (mut run, _) = AgentRun::start(Arc::default(), scope, context, "planner", now)?;
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
    /// As [`tool_executing`](Self::tool_executing); [`RunError::ToolOpen`] for an id that is executing.
    pub fn call_executing(
        &mut self,
        tool_name: &str,
        call_id: &str,
        parameters: Value,
        now: Duration,
    ) -> Result<Broadcast, RunError> {
        self.executing(Some(call_id), tool_name, &json::Owned(parameters), now)
    }

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

    /// Says `tool_completed` with `tool_name`, the [cleaned](clean) `results`, `duration` in
    /// milliseconds, and `success`.
    ///
    /// # Errors
    ///
    /// [`RunError::Empty`], [`RunError::ToolNotOpen`] for a name that is not executing,
    /// [`RunError::Ended`], [`RunError::Refused`].
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

    /// As [`tool_completed`](Self::tool_completed), for a call by its id. The event says the tool's name.
    ///
    /// # Errors
    ///
    /// As [`tool_completed`](Self::tool_completed); [`RunError::ToolNotOpen`] for an id that is not
    /// executing.
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

fn with_call(event: Message, id: Option<&str>) -> Message {
    match id {
        Some(id) => event.with("call_id", id),
        None => event,
    }
}
