//! The run of an agent: its events, in their order, to its user and nobody else.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use uuid::Uuid;

use super::{
    Broadcast, BroadcastError, Broadcaster, Message, MessageKind, Packet, UserContext, clean, json,
};
use crate::scope::UserScope;

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
    /// A tool of this name was started and is not completed.
    ToolOpen,
    /// No tool of this name was started, or it is completed already.
    ToolNotOpen,
    /// [`MAX_OPEN_TOOLS`] are open.
    TooManyTools,
    /// The end of the run while tools are open.
    ToolsOpen {
        /// How many.
        count: usize,
    },
    /// The broadcaster refused the event: it names another receiver, or there was no room for it. It
    /// may be tried again.
    ///
    /// That nobody is connected is no error, see [`AgentRun`].
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
            Self::Refused(broadcast) => match &broadcast.refused {
                Some(error) => error.fmt(f),
                None => f.write_str("the event was refused"),
            },
        }
    }
}

impl Error for RunError {}

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

/// One run of one agent for one user's request: says what the agent does, as it does it.
///
/// [`start`](Self::start) says `agent_started`. Then come [`thinking`](Self::thinking) and pairs of
/// [`tool_executing`](Self::tool_executing) and [`tool_completed`](Self::tool_completed), and in the end
/// [`complete`](Self::complete) or [`fail`](Self::fail), after which there is no run that could say
/// anything. A run that is dropped before its end says `agent_error` with the code `abandoned`.
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
/// All but `agent_thinking` are sent as [critical](UserScope::publish_critical): a connected device
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
    broadcaster: Arc<Broadcaster>,
    scope: UserScope<Packet>,
    context: UserContext,
    agent_name: String,
    /// Drawn for this run, what its event ids begin with.
    stamp: Uuid,
    /// Events so far.
    sequence: u64,
    /// The latest time a method was told.
    latest: Duration,
    /// Tools that execute, oldest first.
    open: Vec<String>,
    ended: bool,
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
    /// agent without a name, [`RunError::Refused`]. Then there is no run, and nobody is told anything.
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
        if scope.user() != context.user() {
            return Err(RunError::ForeignScope);
        }
        required("agent_name", agent_name)?;
        let mut run = Self {
            broadcaster,
            scope,
            context,
            agent_name: agent_name.to_owned(),
            stamp: Uuid::new_v4(),
            sequence: 0,
            latest: now,
            open: Vec::new(),
            ended: true, // Until it has begun.
        };
        let told = run.emit(Message::new(MessageKind::AgentStarted), now)?;
        run.ended = false;
        Ok((run, told))
    }

    /// Says `agent_thinking` with `reasoning`. A device that is a whole lane behind may miss it.
    ///
    /// # Errors
    ///
    /// [`RunError::Empty`], [`RunError::Refused`].
    pub fn thinking(&mut self, reasoning: &str, now: Duration) -> Result<Broadcast, RunError> {
        self.see(now);
        required("reasoning", reasoning)?;
        let event = Message::new(MessageKind::AgentThinking).with("reasoning", reasoning);
        self.emit(event, now)
    }

    /// Says `tool_executing` with `tool_name` and the [cleaned](clean) `parameters`.
    ///
    /// # Errors
    ///
    /// [`RunError::Empty`], [`RunError::ToolOpen`] for a name that is executing,
    /// [`RunError::TooManyTools`] beyond [`MAX_OPEN_TOOLS`], [`RunError::Refused`].
    pub fn tool_executing(
        &mut self,
        tool_name: &str,
        parameters: Value,
        now: Duration,
    ) -> Result<Broadcast, RunError> {
        let parameters = json::Owned(parameters);
        self.see(now);
        required("tool_name", tool_name)?;
        if self.open_tool(tool_name).is_some() {
            return Err(RunError::ToolOpen);
        }
        if self.open.len() >= MAX_OPEN_TOOLS {
            return Err(RunError::TooManyTools);
        }
        let event = Message::new(MessageKind::ToolExecuting)
            .with("tool_name", tool_name)
            .with("parameters", clean(&parameters.0));
        let told = self.emit(event, now)?;
        self.open.push(tool_name.to_owned());
        Ok(told)
    }

    /// Says `tool_completed` with `tool_name`, the [cleaned](clean) `results`, `duration` in
    /// milliseconds, and `success`.
    ///
    /// # Errors
    ///
    /// [`RunError::Empty`], [`RunError::ToolNotOpen`] for a name that is not executing,
    /// [`RunError::Refused`].
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
        let tool = self.open_tool(tool_name).ok_or(RunError::ToolNotOpen)?;
        let event = Message::new(MessageKind::ToolCompleted)
            .with("tool_name", tool_name)
            .with("results", clean(&results.0))
            .with("duration", millis(duration))
            .with("success", success);
        let told = self.emit(event, now)?;
        self.open.remove(tool);
        Ok(told)
    }

    /// Ends the run: says `agent_completed` with `status`, `final_response`, and `duration` in
    /// milliseconds.
    ///
    /// # Errors
    ///
    /// [`NotEnded`] hands the run back, with [`RunError::ToolsOpen`] while tools are executing,
    /// [`RunError::Empty`], or [`RunError::Refused`].
    pub fn complete(
        mut self,
        status: &str,
        final_response: &str,
        duration: Duration,
        now: Duration,
    ) -> Result<Broadcast, NotEnded> {
        self.see(now);
        let check = match self.open.len() {
            0 => required("status", status).and(required("final_response", final_response)),
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
    /// [`NotEnded`] hands the run back, with [`RunError::Empty`] or [`RunError::Refused`].
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
        &self.context
    }

    /// Who runs.
    #[must_use]
    pub fn agent_name(&self) -> &str {
        &self.agent_name
    }

    /// Events so far: the number of the last one.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// The names of the tools that are executing, oldest first.
    pub fn open_tools(&self) -> impl Iterator<Item = &str> {
        self.open.iter().map(String::as_str)
    }

    fn open_tool(&self, name: &str) -> Option<usize> {
        self.open.iter().position(|open| open == name)
    }

    fn see(&mut self, now: Duration) {
        self.latest = self.latest.max(now);
    }

    /// The last event, unless a check has failed.
    fn end(
        mut self,
        check: Result<(), RunError>,
        event: Message,
        now: Duration,
    ) -> Result<Broadcast, NotEnded> {
        match check.and_then(|()| self.emit(event, now)) {
            Ok(told) => {
                self.ended = true;
                Ok(told)
            }
            Err(error) => Err(NotEnded {
                run: Box::new(self),
                error,
            }),
        }
    }

    /// The one way out.
    fn emit(&mut self, event: Message, now: Duration) -> Result<Broadcast, RunError> {
        let sequence = self.sequence + 1;
        let event = event
            .with("event_id", format!("{}-{sequence}", self.stamp))
            .with("user_id", self.context.user().as_str())
            .with("thread_id", self.context.thread().as_str())
            .with("run_id", self.context.run().as_str())
            .with("request_id", self.context.request().as_str())
            .with("agent_name", self.agent_name.as_str())
            .with("timestamp", millis(now))
            .with("sequence", sequence);
        let told = match event.kind {
            MessageKind::AgentThinking => self.broadcaster.broadcast(&self.scope, &event, now),
            _ => self
                .broadcaster
                .broadcast_critical(&self.scope, &event, now),
        };
        match told.refused {
            None | Some(BroadcastError::NoConnections | BroadcastError::Closed) => {
                self.sequence = sequence;
                Ok(told)
            }
            Some(_) => Err(RunError::Refused(Box::new(told))),
        }
    }
}

impl Drop for AgentRun {
    fn drop(&mut self) {
        if !self.ended {
            let event = failure("abandoned", "the run was dropped before its end", false);
            // Nobody is left who could be told.
            let _ = self.emit(event, self.latest);
        }
    }
}

impl fmt::Debug for AgentRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AgentRun")
            .field("context", &self.context)
            .field("agent_name", &self.agent_name)
            .field("sequence", &self.sequence)
            .field("open", &self.open)
            .finish_non_exhaustive()
    }
}

fn failure(code: &str, message: &str, recoverable: bool) -> Message {
    Message::new(MessageKind::AgentError)
        .with("code", code)
        .with("message", message)
        .with("recoverable", recoverable)
}

fn required(field: &'static str, text: &str) -> Result<(), RunError> {
    if text.trim().is_empty() {
        return Err(RunError::Empty { field });
    }
    Ok(())
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
