//! The run of an agent: its events, in their order, to its user and nobody else.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::protocol::agent::cleaning::clean;
use crate::protocol::agent::core::{Core, Whose, failure, millis};
use crate::protocol::agent::error::{MAX_OPEN_TOOLS, RunError, required};
use crate::protocol::broadcast::Broadcast;
use crate::protocol::broadcaster::Broadcaster;
use crate::protocol::context::UserContext;
use crate::protocol::message::envelope::Message;
use crate::protocol::message::json;
use crate::protocol::message::kind::MessageKind;
use crate::protocol::packet::Packet;
use crate::scope::UserScope;

/// One run of one agent for one user's request: says what the agent does, as it does it.
///
/// [`start`](Self::start) says `agent_started`. Then come [`thinking`](Self::thinking), pieces of the
/// answer as [`chunk`](Self::chunk), and pairs of [`tool_executing`](Self::tool_executing) and
/// [`tool_completed`](Self::tool_completed). Two calls of one tool at once have ids:
/// [`call_executing`](Self::call_executing), [`call_completed`](Self::call_completed). In the end comes
/// [`complete`](Self::complete) or [`fail`](Self::fail), after which there is no run that could say
/// anything. A run that is dropped before its end says `agent_error` with the code `abandoned`. Runs
/// that a host may have to end from outside begin with [`AgentRuns`](crate::protocol::AgentRuns).
///
/// Every event has these fields, and its own:
///
/// | field | |
/// |---|---|
/// | `type` | its kind |
/// | `event_id` | unique for ever |
/// | `user_id`, `thread_id`, `run_id`, `request_id` | of the context |
/// | `agent_name` | |
/// | `timestamp` | the host's time, in milliseconds |
/// | `sequence` | its place in this run, from 1, without holes |
///
/// All but `agent_thinking` and `agent_response_chunk` are sent as [critical](UserScope::publish_critical): a connected device
/// gets them or is closed.
///
/// What the broadcaster says comes back as it is. An event that found nobody connected, or the router
/// shut down, has happened all the same: the run goes on, and so do its numbers. Where a method fails,
/// nothing has happened. Texts that an event requires have to have something else than blanks in
/// them.
///
/// Lock-free, each method: a number of steps for the user's lane, as [`UserScope::publish_critical`],
/// and for what is said.
///
/// ```
/// use std::sync::Arc;
/// use std::time::Duration;
///
/// use laneway::protocol::{AgentRun, Broadcaster, RunId, UserContext};
/// use laneway::{Router, ThreadId, UserId};
/// use serde_json::json;
///
/// let (ann, now) = (UserId::new("ann")?, Duration::ZERO);
/// let context = UserContext::builder(ann.clone(), ThreadId::new("t-7")?, RunId::new("r-7")?).build()?;
/// let scope = Router::new().scope(ann);
///
/// let (mut run, told) = AgentRun::start(Arc::default(), scope, context, "planner", now)?;
/// assert!(!told.is_successful(), "nobody is connected");
/// let _ = run.thinking("that calls for a search", now)?;
/// let _ = run.tool_executing("search", json!({"query": "lanes", "api_key": "k"}), now)?;
/// let took = Duration::from_millis(80);
/// let _ = run.tool_completed("search", json!(["three"]), took, true, now)?;
/// let _ = run.complete("success", "There are three lanes.", took, now)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// There is nothing to call after the end:
///
/// ```compile_fail,E0382
/// # use laneway::protocol::AgentRun;
/// # use std::time::Duration;
/// fn f(mut run: AgentRun) {
///     let _ = run.complete("success", "done", Duration::ZERO, Duration::ZERO);
///     let _ = run.thinking("and another thing", Duration::ZERO);
/// }
/// ```
#[must_use = "dropping it tells its user that it was abandoned"]
pub struct AgentRun {
    core: Arc<Core>,
    /// The latest time a method was told.
    latest: Duration,
    /// Calls of tools that execute, oldest first.
    open: Vec<Call>,
}

/// A call of a tool.
#[derive(Debug)]
struct Call {
    /// Of a call that has one. The others are known by their tool's name.
    id: Option<String>,
    tool: String,
}

impl AgentRun {
    /// Begins a run, and says `agent_started`.
    ///
    /// A context is good for one run: a part of a request that is a run of its own has a
    /// [child](UserContext::child) of the context.
    ///
    /// # Errors
    ///
    /// [`RunError::ForeignScope`] if the scope is not of the context's user, [`RunError::Empty`] for an
    /// agent without a name, [`RunError::Refused`]. Then there is no run, and no device is told anything.
    ///
    /// # Panics
    ///
    /// If the system has no random numbers.
    pub fn start(
        broadcaster: Arc<Broadcaster>,
        scope: UserScope<Packet>,
        context: UserContext,
        agent_name: &str,
        now: Duration,
    ) -> Result<(Self, Broadcast), RunError> {
        let whose = Whose {
            broadcaster,
            scope,
            context,
            agent_name: agent_name.to_owned(),
        };
        Self::begin(Arc::new(Core::new(whose, None, 0)?), now)
    }

    /// Begins a run of this core, which has said nothing yet.
    pub(in crate::protocol) fn begin(
        core: Arc<Core>,
        now: Duration,
    ) -> Result<(Self, Broadcast), RunError> {
        let told = Core::begin(&core, now)?;
        let run = Self {
            core,
            latest: now,
            open: Vec::new(),
        };
        Ok((run, told))
    }

    /// Says `agent_thinking` with `reasoning`. A device that is a whole lane behind may miss it.
    ///
    /// # Errors
    ///
    /// [`RunError::Empty`], [`RunError::Ended`], [`RunError::Refused`].
    pub fn thinking(&mut self, reasoning: &str, now: Duration) -> Result<Broadcast, RunError> {
        self.see(now);
        required("reasoning", reasoning)?;
        let event = Message::new(MessageKind::AgentThinking).with("reasoning", reasoning);
        self.core.say(event, now)
    }

    /// Says `agent_response_chunk` with `text`: the next piece of an answer that is still being made. Blanks
    /// are a piece as well. A device that is a whole lane behind may miss it: the whole answer comes with
    /// [`complete`](Self::complete).
    ///
    /// # Errors
    ///
    /// [`RunError::Empty`] for no text at all, [`RunError::Ended`], [`RunError::Refused`].
    ///
    /// ```
    /// # use std::{sync::Arc, time::Duration};
    /// # use laneway::protocol::{AgentRun, RunId, UserContext};
    /// # use laneway::{Router, ThreadId, UserId};
    /// # let (ann, now) = (UserId::new("ann")?, Duration::ZERO);
    /// # let context = UserContext::builder(ann.clone(), ThreadId::new("t-7")?, RunId::new("r-7")?).build()?;
    /// # let scope = Router::new().scope(ann);
    /// let (mut run, _) = AgentRun::start(Arc::default(), scope, context, "planner", now)?;
    /// for piece in ["There ", "are ", "three."] {
    ///     let _ = run.chunk(piece, now)?;
    /// }
    /// let _ = run.complete("success", "There are three.", Duration::ZERO, now)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn chunk(&mut self, text: &str, now: Duration) -> Result<Broadcast, RunError> {
        self.see(now);
        if text.is_empty() {
            return Err(RunError::Empty { field: "text" });
        }
        let event = Message::new(MessageKind::AgentResponseChunk).with("text", text);
        self.core.say(event, now)
    }

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
    /// # Errors
    ///
    /// As [`tool_executing`](Self::tool_executing); [`RunError::ToolOpen`] for an id that is executing.
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
        self.see(now);
        required("tool_name", tool_name)?;
        id.map_or(Ok(()), |id| required("call_id", id))?;
        if self.open_call(id, tool_name).is_some() {
            return Err(RunError::ToolOpen);
        }
        if self.open.len() >= MAX_OPEN_TOOLS {
            return Err(RunError::TooManyTools);
        }
        let event = Message::new(MessageKind::ToolExecuting)
            .with("tool_name", tool_name)
            .with("parameters", clean(&parameters.0));
        let told = self.core.say(with_call(event, id), now)?;
        self.open.push(Call {
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
        self.see(now);
        required("tool_name", tool_name)?;
        let call = self.open_call(None, tool_name);
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
        self.see(now);
        required("call_id", call_id)?;
        let call = self.open_call(Some(call_id), "");
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
        let Call { id, tool } = &self.open[at];
        let event = Message::new(MessageKind::ToolCompleted)
            .with("tool_name", tool.as_str())
            .with("results", clean(&results.0))
            .with("duration", millis(duration))
            .with("success", success);
        let told = self.core.say(with_call(event, id.as_deref()), now)?;
        self.open.remove(at);
        Ok(told)
    }

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
        self.see(now);
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
        self.see(now);
        let check = required("code", code).and(required("message", message));
        self.end(check, failure(code, message, recoverable), now)
    }

    /// The context that it was started with.
    #[must_use]
    pub fn context(&self) -> &UserContext {
        &self.core.whose.context
    }

    /// Who runs.
    #[must_use]
    pub fn agent_name(&self) -> &str {
        &self.core.whose.agent_name
    }

    /// Events so far: the number of the last one.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.core.sequence()
    }

    /// Whether [`AgentRuns::end_all`](crate::protocol::AgentRuns::end_all) has ended it. Wait-free.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        self.core.is_ended()
    }

    /// The names of the tools that are executing, oldest first: one that is called twice stands twice.
    pub fn open_tools(&self) -> impl Iterator<Item = &str> {
        self.open.iter().map(|call| call.tool.as_str())
    }

    /// A call by its id, or one without an id by its tool's name.
    fn open_call(&self, id: Option<&str>, tool: &str) -> Option<usize> {
        let is_it = |call: &Call| call.id.as_deref() == id && (id.is_some() || call.tool == tool);
        self.open.iter().position(is_it)
    }

    fn see(&mut self, now: Duration) {
        self.latest = self.latest.max(now);
    }

    /// The last event, unless a check has failed.
    fn end(
        self,
        check: Result<(), RunError>,
        event: Message,
        now: Duration,
    ) -> Result<Broadcast, NotEnded> {
        let told = check.and_then(|()| Core::say_last(&self.core, event, now));
        told.map_err(|error| NotEnded {
            run: Box::new(self),
            error,
        })
    }
}

impl Drop for AgentRun {
    fn drop(&mut self) {
        let event = failure("abandoned", "the run was dropped before its end", false);
        // Of a run that is over this says nothing.
        Core::abandon(&self.core, event, self.latest);
    }
}

impl fmt::Debug for AgentRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AgentRun")
            .field("context", self.context())
            .field("agent_name", &self.agent_name())
            .field("sequence", &self.sequence())
            .field("open", &self.open)
            .finish_non_exhaustive()
    }
}

fn with_call(event: Message, id: Option<&str>) -> Message {
    match id {
        Some(id) => event.with("call_id", id),
        None => event,
    }
}

/// A run that could not be ended this way. It goes on as long as this is kept.
#[derive(Debug)]
#[must_use = "dropping it drops the run, which tells its user that it was abandoned"]
pub struct NotEnded {
    /// The run, as it was.
    pub run: Box<AgentRun>,
    /// Why it has not ended.
    pub error: RunError,
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
