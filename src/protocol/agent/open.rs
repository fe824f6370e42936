//! The list of open runs, with which a host that shuts down ends them.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::protocol::agent::core::{Core, EndOutcome, EndReason, Place, RunSetup};
use crate::protocol::agent::error::{RunError, required};
use crate::protocol::agent::run::AgentRun;
use crate::protocol::broadcast::Broadcast;
use crate::protocol::broadcaster::Broadcaster;
use crate::protocol::context::UserContext;
use crate::protocol::packet::Packet;
use crate::protocol::quota::{Quota, ROOTS, Share, mask};
use crate::scope::UserScope;
use crate::sync::pin;
use crate::table::Table;
use crate::table::copy_on_write::CopyOnWrite;

/// The numbers of runs that an [`AgentRuns`] keeps open.
///
/// ```
/// use laneway::protocol::{AgentRuns, OpenRunLimits};
///
/// let limits = OpenRunLimits { per_user: 2, ..OpenRunLimits::default() };
/// let runs = AgentRuns::new(Default::default(), limits);
/// assert_eq!((limits.total, runs.len()), (10_000, 0));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenRunLimits {
    /// Runs of all users. Default 10 000.
    pub total: usize,
    /// Runs of one user. Default 256.
    pub per_user: usize,
}

impl Default for OpenRunLimits {
    fn default() -> Self {
        Self {
            total: 10_000,
            per_user: 256,
        }
    }
}

impl OpenRunLimits {
    /// With another [`total`](Self#structfield.total).
    #[must_use]
    pub fn total(mut self, runs: usize) -> Self {
        self.total = runs;
        self
    }
    /// With another [`per_user`](Self#structfield.per_user).
    #[must_use]
    pub fn per_user(mut self, runs: usize) -> Self {
        self.per_user = runs;
        self
    }
}

/// The result of [`AgentRuns::end_all`].
///
/// ```
/// # use std::time::Duration;
/// # use laneway::{Hub, ThreadId, UserId, protocol::*};
/// # let engine = Hub::new();
/// # let (ann, now) = (engine.scope(UserId::new("ann")?), Duration::ZERO);
/// # let ids = (ann.user().clone(), ThreadId::new("t-7")?, RunId::new("r-7")?);
/// # let context = UserContext::builder(ids.0, ids.1, ids.2).build()?;
/// let runs = AgentRuns::new(Default::default(), OpenRunLimits::default());
/// let _open = runs.start(ann, context, "planner", now)?;
/// let ended = runs.end_all("shutdown", "the server restarts", true, now)?;
/// assert_eq!((ended.told, ended.untold, ended.speaking), (1, 0, 0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
#[must_use = "some runs may end a moment later"]
pub struct RunsEnded {
    /// Runs that have ended. Their last event went to the connections of their users, if there were any.
    pub told: usize,
    /// Runs that have ended. The broadcaster refused their last event.
    pub untold: usize,
    /// Runs whose owner was sending an event. The owner ends them right after that event.
    pub speaking: usize,
}

/// Starts runs that the host can end. Cheap to clone; all clones share one list. A host has one.
///
/// The list holds open runs only, at most as many as [`OpenRunLimits`] says. No method takes a lock.
///
/// ```
/// use std::time::Duration;
/// use laneway::protocol::{AgentRuns, OpenRunLimits, RunError, RunId, UserContext};
/// use laneway::{Hub, ThreadId, UserId};
///
/// let (engine, now) = (Hub::new(), Duration::ZERO);
/// let runs = AgentRuns::new(Default::default(), OpenRunLimits::default());
/// let ann = engine.scope(UserId::new("ann")?);
/// let ids = (ann.user().clone(), ThreadId::new("t-7")?, RunId::new("r-7")?);
/// let context = UserContext::builder(ids.0, ids.1, ids.2).build()?;
/// let (mut run, _) = runs.start(ann, context, "planner", now)?;
/// assert_eq!(runs.len(), 1);
///
/// // The host shuts down. Each device of ann receives an `agent_error`.
/// let ended = runs.end_all("shutdown", "the server restarts: ask again", true, now)?;
/// assert_eq!((ended.told, runs.len()), (1, 0));
/// assert_eq!(run.thinking("hm", now), Err(RunError::Ended));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct AgentRuns(Arc<Inner>);

struct Inner {
    broadcaster: Arc<Broadcaster>,
    quota: Quota,
    mask: u64,
    runs: Table<Core>,
    end_reason: CopyOnWrite<Option<EndReason>>,
}

/// The entry of one run.
struct Registered {
    all: Arc<Inner>,
    share: Arc<Share>,
}

impl Place for Registered {
    fn end_reason(&self) -> Option<EndReason> {
        Option::clone(&self.all.end_reason.load())
    }

    fn leave(&self, core: &Arc<Core>) {
        // `remove` returns `true` to one caller only, so the place is returned once.
        if self.all.runs.remove(core, &pin()) {
            self.all.quota.put_back(&self.share);
        }
    }
}

impl fmt::Debug for AgentRuns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AgentRuns")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

impl AgentRuns {
    /// Creates an empty list. All of its runs send through `broadcaster`.
    ///
    /// ```
    /// use laneway::protocol::{AgentRuns, OpenRunLimits};
    ///
    /// let runs = AgentRuns::new(Default::default(), OpenRunLimits::default());
    /// assert!(runs.is_empty());
    /// ```
    #[must_use]
    pub fn new(broadcaster: Arc<Broadcaster>, limits: OpenRunLimits) -> Self {
        Self(Arc::new(Inner {
            broadcaster,
            quota: Quota::new(limits.total, limits.per_user),
            mask: mask(limits.total),
            runs: Table::new(ROOTS),
            end_reason: CopyOnWrite::new(),
        }))
    }

    /// Starts a run, as [`AgentRun::start`] does, and lists it until it ends. Lock-free.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use laneway::{Hub, ThreadId, UserId, protocol::*};
    /// # let engine = Hub::new();
    /// # let (ann, now) = (engine.scope(UserId::new("ann")?), Duration::ZERO);
    /// # let ids = (ann.user().clone(), ThreadId::new("t-7")?, RunId::new("r-7")?);
    /// # let context = UserContext::builder(ids.0, ids.1, ids.2).build()?;
    /// let runs = AgentRuns::new(Default::default(), OpenRunLimits { total: 1, per_user: 1 });
    /// let first = runs.start(ann.clone(), context.clone(), "planner", now)?;
    /// let second = runs.start(ann, context, "planner", now);
    /// assert_eq!(second.map(drop), Err(RunError::TooManyRuns));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// * As [`AgentRun::start`].
    /// * [`RunError::TooManyRuns`] if a limit is reached.
    /// * [`RunError::ShuttingDown`] after [`end_all`](Self::end_all).
    ///
    /// # Panics
    ///
    /// Panics if the system has no random numbers.
    pub fn start(
        &self,
        scope: UserScope<Packet>,
        context: UserContext,
        agent_name: &str,
        now: Duration,
    ) -> Result<(AgentRun, Broadcast), RunError> {
        let share = self.0.quota.take(context.user());
        let share = share.map_err(|_| RunError::TooManyRuns)?;
        let registered = Registered {
            all: Arc::clone(&self.0),
            share: Arc::clone(&share),
        };
        let setup = RunSetup {
            broadcaster: Arc::clone(&self.0.broadcaster),
            scope,
            context,
            agent_name: agent_name.to_owned(),
        };
        let core = Core::new(setup, Some(Box::new(registered)), self.0.mask).map(Arc::new);
        let core = core.inspect_err(|_| self.0.quota.put_back(&share))?;
        if self.0.runs.insert(&core, &pin()).is_err() {
            // Another open run has drawn the same random id.
            self.0.quota.put_back(&share);
            return Err(RunError::TooManyRuns);
        }
        // The reason is read after the insertion. Read before it, `end_all` could set the reason and
        // finish its walk in between, and this run would start after all runs were ended.
        if self.0.end_reason.load().is_some() {
            if let Some(place) = core.place() {
                place.leave(&core);
            }
            return Err(RunError::ShuttingDown);
        }
        AgentRun::begin(core, now)
    }

    /// Ends all open runs, and lets no other run start.
    ///
    /// Each run sends `agent_error` with `code`, `message` and `recoverable` as its last event. A second
    /// call replaces the reason for runs that have not sent it yet.
    ///
    /// The call waits for no run. A run whose owner is sending an event is counted as
    /// [`speaking`](RunsEnded::speaking), and ends after that event. A host may wait until
    /// [`len`](Self::len) is 0 before it shuts the engine down. Lock-free, linear in the open runs.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use laneway::{Hub, ThreadId, UserId, protocol::*};
    /// # let engine = Hub::new();
    /// # let (ann, now) = (engine.scope(UserId::new("ann")?), Duration::ZERO);
    /// # let ids = (ann.user().clone(), ThreadId::new("t-7")?, RunId::new("r-7")?);
    /// # let context = UserContext::builder(ids.0, ids.1, ids.2).build()?;
    /// let runs = AgentRuns::new(Default::default(), OpenRunLimits::default());
    /// let _ = runs.end_all("shutdown", "the server restarts", true, now)?;
    /// let late = runs.start(ann, context, "planner", now);
    /// assert_eq!(late.map(drop), Err(RunError::ShuttingDown));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`RunError::Empty`] if `code` or `message` is blank. Then no run has ended.
    pub fn end_all(
        &self,
        code: &str,
        message: &str,
        recoverable: bool,
        now: Duration,
    ) -> Result<RunsEnded, RunError> {
        required("code", code).and(required("message", message))?;
        let reason = EndReason {
            code: code.to_owned(),
            message: message.to_owned(),
            recoverable,
            at: now,
        };
        (self.0.end_reason).change(|current| *current = Some(reason.clone()));
        let mut ended = RunsEnded::default();
        self.0.runs.for_each(|core| match Core::end(core, &reason) {
            EndOutcome::Before => {}
            EndOutcome::Told => ended.told += 1,
            EndOutcome::Untold => ended.untold += 1,
            EndOutcome::Asked => ended.speaking += 1,
        });
        Ok(ended)
    }

    /// Returns the number of open runs. Wait-free.
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
    /// assert_eq!(runs.len(), 1);
    /// drop(run);
    /// assert_eq!(runs.len(), 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.quota.taken()
    }

    /// Returns `true` if no run is open. Wait-free.
    ///
    /// ```
    /// # use laneway::protocol::*;
    /// let runs = AgentRuns::new(Default::default(), OpenRunLimits::default());
    /// assert!(runs.is_empty());
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
