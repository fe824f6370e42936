//! The runs that are open, so that a host that shuts down can end them.

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::protocol::agent::core::{Core, EndOutcome, EndReason, Place, RunSetup};
use crate::protocol::agent::error::{RunError, required};
use crate::protocol::agent::run::AgentRun;
use crate::protocol::broadcast::Broadcast;
use crate::protocol::broadcaster::Broadcaster;
use crate::protocol::context::UserContext;
use crate::protocol::copy_on_write::CopyOnWrite;
use crate::protocol::packet::Packet;
use crate::protocol::quota::{Quota, ROOTS, Share, mask};
use crate::scope::UserScope;
use crate::sync::pin;
use crate::table::Table;

/// How many runs [`AgentRuns`] has open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenRunLimits {
    /// In all. Default 10 000.
    pub total: usize,
    /// Of one user. Default 256.
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

/// What came of [`AgentRuns::end_all`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
#[must_use = "some runs may end a moment later"]
pub struct RunsEnded {
    /// Runs that have ended. Their users were told, if they are connected.
    pub told: usize,
    /// Runs that have ended, and setup last event the broadcaster refused.
    pub untold: usize,
    /// Runs that were just saying something. The thread that says it ends them right afterwards.
    pub speaking: usize,
}

/// Starts runs that the host can end. Cheap to clone; all clones are one. A host has one.
///
/// It keeps the runs that are open and nothing else, as many as its limits say, and no user more than a
/// share. Nothing here locks.
///
/// ```
/// use std::sync::Arc;
/// use std::time::Duration;
///
/// use laneway::protocol::{AgentRuns, OpenRunLimits, RunError, RunId, UserContext};
/// use laneway::{Router, ThreadId, UserId};
///
/// let runs = AgentRuns::new(Arc::default(), OpenRunLimits::default());
/// let (ann, now) = (UserId::new("ann")?, Duration::ZERO);
/// let context = UserContext::builder(ann.clone(), ThreadId::new("t-7")?, RunId::new("r-7")?).build()?;
/// let scope = Router::new().scope(ann);
/// let (mut run, _) = runs.start(scope, context, "planner", now)?;
/// assert_eq!(runs.len(), 1);
///
/// // The host shuts down, and ann is told so by an `agent_error`.
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

/// The place of one run.
struct Registered {
    all: Arc<Inner>,
    share: Arc<Share>,
}

impl Place for Registered {
    fn end_reason(&self) -> Option<EndReason> {
        Option::clone(&self.all.end_reason.load())
    }

    fn leave(&self, core: &Arc<Core>) {
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
    /// With these limits. All runs speak through `broadcaster`.
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

    /// Begins a run, as [`AgentRun::start`]. Lock-free.
    ///
    /// # Errors
    ///
    /// As [`AgentRun::start`]; [`RunError::TooManyRuns`] beyond the limits, [`RunError::ShuttingDown`]
    /// after [`end_all`](Self::end_all).
    ///
    /// # Panics
    ///
    /// If the system has no random numbers.
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
            // The same random number twice.
            self.0.quota.put_back(&share);
            return Err(RunError::TooManyRuns);
        }
        // In this order: either this sees the reason, or `end_all`, which sets the reason before it
        // looks, sees the run.
        if self.0.end_reason.load().is_some() {
            if let Some(place) = core.place() {
                place.leave(&core);
            }
            return Err(RunError::ShuttingDown);
        }
        AgentRun::begin(core, now)
    }

    /// Ends all runs that are open: each says `agent_error` with `code`, `message` and whether it is
    /// `recoverable`, as the last event of its sequence. None begins any more. A second call changes the
    /// reason for those that still speak.
    ///
    /// Waits for no run: one setup owner is just saying something is counted as `speaking`, and ends
    /// when that is said. The host may look at [`len`](Self::len) before it shuts its router down.
    /// Lock-free, linear in the runs.
    ///
    /// # Errors
    ///
    /// [`RunError::Empty`] for a code or a message that says nothing. Then nothing has ended.
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
        let set: Result<(), Infallible> =
            (self.0.end_reason).update(|_| Ok((Some(reason.clone()), ())));
        let Ok(()) = set;
        let mut ended = RunsEnded::default();
        self.0.runs.for_each(|core| match Core::end(core, &reason) {
            EndOutcome::Before => {}
            EndOutcome::Told => ended.told += 1,
            EndOutcome::Untold => ended.untold += 1,
            EndOutcome::Asked => ended.speaking += 1,
        });
        Ok(ended)
    }

    /// Runs that are open. Wait-free.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.quota.taken()
    }

    /// None is open. Wait-free.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
