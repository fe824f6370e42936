//! The run of an agent: its events, in their order, to its user and nobody else.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::protocol::agent::calls::OpenCalls;
use crate::protocol::agent::core::{Core, RunSetup, failure};
use crate::protocol::agent::error::{RunError, required};
use crate::protocol::broadcast::Broadcast;
use crate::protocol::broadcaster::Broadcaster;
use crate::protocol::context::UserContext;
use crate::protocol::message::envelope::Message;
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
    pub(super) core: Arc<Core>,
    /// The latest time a method was told.
    latest: Duration,
    /// Calls of tools that execute, oldest first.
    pub(super) open: OpenCalls,
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
        let setup = RunSetup {
            broadcaster,
            scope,
            context,
            agent_name: agent_name.to_owned(),
        };
        Self::begin(Arc::new(Core::new(setup, None, 0)?), now)
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
            open: OpenCalls::default(),
        };
        Ok((run, told))
    }

    /// Says `agent_thinking` with `reasoning`. A device that is a whole lane behind may miss it.
    ///
    /// # Errors
    ///
    /// [`RunError::Empty`], [`RunError::Ended`], [`RunError::Refused`].
    pub fn thinking(&mut self, reasoning: &str, now: Duration) -> Result<Broadcast, RunError> {
        self.note_time(now);
        required("reasoning", reasoning)?;
        let event = Message::new(MessageKind::AgentThinking).with("reasoning", reasoning);
        self.core.send_next(event, now)
    }

    /// Says `agent_response_chunk` with `text`: the next piece of an answer that is still being made. Blanks
    /// are a piece as well. A device that is a whole lane behind may miss it: the whole answer comes with
    /// [`complete`](Self::complete).
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
    ///
    /// # Errors
    ///
    /// [`RunError::Empty`] for no text at all, [`RunError::Ended`], [`RunError::Refused`].
    pub fn chunk(&mut self, text: &str, now: Duration) -> Result<Broadcast, RunError> {
        self.note_time(now);
        if text.is_empty() {
            return Err(RunError::Empty { field: "text" });
        }
        let event = Message::new(MessageKind::AgentResponseChunk).with("text", text);
        self.core.send_next(event, now)
    }

    /// The context that it was started with.
    #[must_use]
    pub fn context(&self) -> &UserContext {
        &self.core.setup.context
    }

    /// Who runs.
    #[must_use]
    pub fn agent_name(&self) -> &str {
        &self.core.setup.agent_name
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
        self.open.tools()
    }

    pub(super) fn note_time(&mut self, now: Duration) {
        self.latest = self.latest.max(now);
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
