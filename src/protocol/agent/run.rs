//! The run of an agent: its events, numbered, to the devices of its user only.

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

/// One run of one agent for one request of a user. Its methods send the run's events.
///
/// 1. [`start`](Self::start) sends `agent_started`.
/// 2. [`thinking`](Self::thinking), [`chunk`](Self::chunk), and pairs of
///    [`tool_executing`](Self::tool_executing) and [`tool_completed`](Self::tool_completed) follow in
///    any order. Several open calls of one tool have ids: [`call_executing`](Self::call_executing) and
///    [`call_completed`](Self::call_completed).
/// 3. [`complete`](Self::complete) or [`fail`](Self::fail) sends the last event and consumes the run.
///
/// A run that is dropped before its end sends `agent_error` with the code `abandoned`. A host that
/// may have to end runs from outside starts them with [`AgentRuns`](crate::protocol::AgentRuns).
///
/// ```
/// use std::{sync::Arc, time::Duration};
/// use laneway::protocol::{AgentRun, Broadcaster, RunId, UserContext};
/// use laneway::{Hub, ThreadId, UserId};
/// use serde_json::json;
///
/// let (engine, now) = (Hub::new(), Duration::ZERO);
/// let ann = engine.scope(UserId::new("ann")?);
/// let ids = (ann.user().clone(), ThreadId::new("t-7")?, RunId::new("r-7")?);
/// let context = UserContext::builder(ids.0, ids.1, ids.2).build()?;
///
/// let phone = ann.connect()?;
/// let (mut run, sent) = AgentRun::start(Arc::new(Broadcaster::default()), ann, context, "planner", now)?;
/// assert!(sent.is_successful());
/// let _ = run.thinking("this needs a search", now)?;
/// let _ = run.tool_executing("search", json!({"query": "lanes", "api_key": "k"}), now)?;
/// let took = Duration::from_millis(80);
/// let _ = run.tool_completed("search", json!(["three"]), took, true, now)?;
/// let _ = run.complete("success", "There are three lanes.", took, now)?;
/// assert_eq!(phone.unread(), 5);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// No method can be called after the end:
///
/// ```compile_fail,E0382
/// # use laneway::protocol::AgentRun;
/// # use std::time::Duration;
/// fn f(mut run: AgentRun) {
///     let _ = run.complete("success", "done", Duration::ZERO, Duration::ZERO);
///     let _ = run.thinking("and another thing", Duration::ZERO);
/// }
/// ```
///
/// Every event has these fields, and its own:
///
/// | field | value |
/// |---|---|
/// | `type` | the kind |
/// | `event_id` | a text that no other event has |
/// | `user_id`, `thread_id`, `run_id`, `request_id` | the ids of the context |
/// | `agent_name` | the name that `start` was given |
/// | `timestamp` | the host's time, in milliseconds |
/// | `sequence` | the event's place in this run: 1, 2, 3, without holes |
///
/// `agent_thinking` and `agent_response_chunk` are ordinary messages: a device that is more than a
/// lane behind may miss them. All other events are [critical](UserScope::publish_critical): a device
/// receives them, or the engine closes it.
///
/// # Errors
///
/// A method that returns an error has sent nothing, and its number is free for the next event.
///
/// An event that reaches no device counts as sent, and the run goes on. The [`Broadcast`] says so.
/// That holds for a user without connections, and for an engine that is shut down.
///
/// # Progress
///
/// Each method is lock-free. It takes the steps of [`UserScope::publish_critical`], and a number of
/// steps linear in the size of the event.
#[must_use = "dropping it tells its user that it was abandoned"]
pub struct AgentRun {
    /// The part that a host's thread may touch as well.
    pub(super) core: Arc<Core>,
    /// The latest time that the owner passed: the time of the event that a drop sends.
    latest: Duration,
    /// Calls of tools that execute now.
    pub(super) open: OpenCalls,
}

impl AgentRun {
    /// Starts a run, and sends `agent_started`.
    ///
    /// A context serves one run. A part of the request that is a run of its own has a
    /// [child](UserContext::child) of the context. Lock-free.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use laneway::{Hub, ThreadId, UserId, protocol::*};
    /// # let engine = Hub::new();
    /// # let (ann, now) = (engine.scope(UserId::new("ann")?), Duration::ZERO);
    /// # let ids = (ann.user().clone(), ThreadId::new("t-7")?, RunId::new("r-7")?);
    /// # let context = UserContext::builder(ids.0, ids.1, ids.2).build()?;
    /// let (run, sent) = AgentRun::start(Default::default(), ann, context, "planner", now)?;
    /// assert_eq!((run.agent_name(), run.sequence()), ("planner", 1));
    /// assert!(!sent.is_successful()); // ann has no device
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// In each case no run starts, and no device receives an event.
    ///
    /// * [`RunError::ForeignScope`] if the scope and the context belong to different users.
    /// * [`RunError::Empty`] if `agent_name` is blank.
    /// * [`RunError::Refused`] if the broadcaster refuses the event.
    ///
    /// # Panics
    ///
    /// Panics if the system has no random numbers.
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

    /// Starts a run of a core that has sent nothing yet.
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

    /// Sends `agent_thinking` with the text `reasoning`.
    ///
    /// A device that is more than a lane behind may miss it. Lock-free.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use laneway::{Hub, ThreadId, UserId, protocol::*};
    /// # let engine = Hub::new();
    /// # let (ann, now) = (engine.scope(UserId::new("ann")?), Duration::ZERO);
    /// # let ids = (ann.user().clone(), ThreadId::new("t-7")?, RunId::new("r-7")?);
    /// # let context = UserContext::builder(ids.0, ids.1, ids.2).build()?;
    /// # let (mut run, _) = AgentRun::start(Default::default(), ann, context, "planner", now)?;
    /// let _ = run.thinking("this needs a search", now)?;
    /// assert_eq!(run.thinking("  ", now), Err(RunError::Empty { field: "reasoning" }));
    /// assert_eq!(run.sequence(), 2); // the start, and one thought
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`RunError::Empty`] for a blank text, [`RunError::Ended`], [`RunError::Refused`].
    pub fn thinking(&mut self, reasoning: &str, now: Duration) -> Result<Broadcast, RunError> {
        self.note_time(now);
        required("reasoning", reasoning)?;
        let event = Message::new(MessageKind::AgentThinking).with("reasoning", reasoning);
        self.core.send_next(event, now)
    }

    /// Sends `agent_response_chunk` with `text`: the next piece of an answer that grows.
    ///
    /// A piece may be blank. A device that is more than a lane behind may miss a piece; the whole answer
    /// follows with [`complete`](Self::complete). Lock-free.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use laneway::{Hub, ThreadId, UserId, protocol::*};
    /// # let engine = Hub::new();
    /// # let (ann, now) = (engine.scope(UserId::new("ann")?), Duration::ZERO);
    /// # let ids = (ann.user().clone(), ThreadId::new("t-7")?, RunId::new("r-7")?);
    /// # let context = UserContext::builder(ids.0, ids.1, ids.2).build()?;
    /// # let (mut run, _) = AgentRun::start(Default::default(), ann, context, "planner", now)?;
    /// for piece in ["There ", "are ", "three."] {
    ///     let _ = run.chunk(piece, now)?;
    /// }
    /// let _ = run.complete("success", "There are three.", Duration::ZERO, now)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`RunError::Empty`] for the empty text, [`RunError::Ended`], [`RunError::Refused`].
    pub fn chunk(&mut self, text: &str, now: Duration) -> Result<Broadcast, RunError> {
        self.note_time(now);
        if text.is_empty() {
            return Err(RunError::Empty { field: "text" });
        }
        let event = Message::new(MessageKind::AgentResponseChunk).with("text", text);
        self.core.send_next(event, now)
    }

    /// Returns the context that the run was started with. Wait-free.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use laneway::{Hub, ThreadId, UserId, protocol::*};
    /// # let engine = Hub::new();
    /// # let (ann, now) = (engine.scope(UserId::new("ann")?), Duration::ZERO);
    /// # let ids = (ann.user().clone(), ThreadId::new("t-7")?, RunId::new("r-7")?);
    /// # let context = UserContext::builder(ids.0, ids.1, ids.2).build()?;
    /// # let (mut run, _) = AgentRun::start(Default::default(), ann, context, "planner", now)?;
    /// assert_eq!(run.context().user().as_str(), "ann");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn context(&self) -> &UserContext {
        &self.core.setup.context
    }

    /// Returns the name of the agent. Wait-free.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use laneway::{Hub, ThreadId, UserId, protocol::*};
    /// # let engine = Hub::new();
    /// # let (ann, now) = (engine.scope(UserId::new("ann")?), Duration::ZERO);
    /// # let ids = (ann.user().clone(), ThreadId::new("t-7")?, RunId::new("r-7")?);
    /// # let context = UserContext::builder(ids.0, ids.1, ids.2).build()?;
    /// # let (mut run, _) = AgentRun::start(Default::default(), ann, context, "planner", now)?;
    /// assert_eq!(run.agent_name(), "planner");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn agent_name(&self) -> &str {
        &self.core.setup.agent_name
    }

    /// Returns the number of the last event that was sent. Wait-free.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use laneway::{Hub, ThreadId, UserId, protocol::*};
    /// # let engine = Hub::new();
    /// # let (ann, now) = (engine.scope(UserId::new("ann")?), Duration::ZERO);
    /// # let ids = (ann.user().clone(), ThreadId::new("t-7")?, RunId::new("r-7")?);
    /// # let context = UserContext::builder(ids.0, ids.1, ids.2).build()?;
    /// # let (mut run, _) = AgentRun::start(Default::default(), ann, context, "planner", now)?;
    /// assert_eq!(run.sequence(), 1); // `agent_started`
    /// let _ = run.thinking("hm", now)?;
    /// assert_eq!(run.sequence(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.core.sequence()
    }

    /// Returns `true` if [`AgentRuns::end_all`](crate::protocol::AgentRuns::end_all) has ended the run.
    ///
    /// Wait-free.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use laneway::{Hub, ThreadId, UserId, protocol::*};
    /// # let engine = Hub::new();
    /// # let (ann, now) = (engine.scope(UserId::new("ann")?), Duration::ZERO);
    /// # let ids = (ann.user().clone(), ThreadId::new("t-7")?, RunId::new("r-7")?);
    /// # let context = UserContext::builder(ids.0, ids.1, ids.2).build()?;
    /// let runs = AgentRuns::new(Default::default(), OpenRunLimits::default());
    /// let (run, _) = runs.start(ann, context, "planner", now)?;
    /// let _ = runs.end_all("shutdown", "the server restarts", true, now)?;
    /// assert!(run.is_ended());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_ended(&self) -> bool {
        self.core.is_ended()
    }

    /// Returns the names of the tools that execute now, oldest call first.
    ///
    /// A tool with two open calls appears twice. Wait-free.
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
    /// assert!(run.open_tools().eq(["search"]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open_tools(&self) -> impl Iterator<Item = &str> {
        self.open.tools()
    }

    /// Records the host's time before any check, so that a drop after an error has it too.
    pub(super) fn note_time(&mut self, now: Duration) {
        self.latest = self.latest.max(now);
    }
}

impl Drop for AgentRun {
    fn drop(&mut self) {
        let event = failure("abandoned", "the run was dropped before its end", false);
        // A run that has ended sends nothing here: its claim fails.
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
