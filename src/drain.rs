//! Draining a hub: it admits no user any more, tells those who are there, and closes them in batches.

use std::fmt;
use std::time::Duration;

use crate::engine::Draining;
use crate::hub::Hub;
use crate::id::UserId;

pub(crate) mod plan;
pub(crate) mod progress;
mod wait;
pub(crate) mod waiters;

pub use plan::{DrainError, DrainPlan};
pub use progress::{DrainPhase, DrainProgress};
pub use wait::Drained;

/// A drain that is under way, from [`Hub::drain`]. The host steps it.
///
/// ```
/// use std::time::Duration;
/// use laneway::{CloseReason, Closed, ConnectError, DrainPhase, DrainPlan, Hub, Received, UserId};
///
/// let hub: Hub<String> = Hub::new();
/// let ann = hub.scope(UserId::new("ann")?);
/// let mut device = ann.connect()?;
///
/// let plan = DrainPlan::within(Duration::from_secs(30));
/// let drain = hub.drain(plan.tell(|_user, delay| format!("come back after {delay:?}")))?;
/// assert_eq!(ann.connect().unwrap_err(), ConnectError::Draining);
///
/// // Of a timer, every quarter of a second, say. The first step tells ann, the second closes her lane.
/// drain.step(Duration::ZERO);
/// drain.step(Duration::from_millis(250));
/// assert!(matches!(device.recv()?, Received::Event(_)));
/// assert_eq!(device.recv(), Err(Closed { reason: CloseReason::Drained }));
/// let _delay = device.reconnect_after(); // for the close frame
/// drop(device);
/// assert_eq!(drain.step(Duration::from_millis(500)).phase, DrainPhase::Drained);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// A drain has no thread and reads no clock. Several threads may step it at once. A thread that is stopped
/// inside a step holds up no other: at most one user, whom that thread was telling, is not told by the event.
/// Dropping a `Drain` stops the steps and does not end the drain; [`Hub::shutdown`] ends it early.
///
/// It counts as a clone of the hub.
pub struct Drain<E: Send + Sync + 'static> {
    hub: Hub<E>,
}

impl<E: Send + Sync + 'static> Hub<E> {
    /// Begins to drain the hub: from now on connects are refused as
    /// [`ConnectError::Draining`](crate::ConnectError::Draining), resuming included.
    ///
    /// ```
    /// use std::time::Duration;
    /// use laneway::{DrainPhase, DrainPlan, Hub};
    ///
    /// let hub: Hub<u8> = Hub::new();
    /// let drain = hub.drain(DrainPlan::within(Duration::from_secs(30)))?;
    /// let mut now = Duration::ZERO;
    /// while drain.step(now).phase < DrainPhase::Drained {
    ///     now += Duration::from_millis(250); // a pause of the host's
    /// }
    /// assert!(hub.is_shut_down());
    /// # Ok::<(), laneway::DrainError>(())
    /// ```
    ///
    /// The host then calls [`Drain::step`] until [`DrainPhase::Drained`]. The table there says what each phase
    /// does. Nothing that is accepted is lost unsaid: its reader receives it, or is told by a
    /// [gap](crate::Received::Gap) or by its close, and
    /// [`ConnectionStats::unread`](crate::ConnectionStats) and [`DrainProgress::unread`] count it.
    ///
    /// A connect that is under way at this moment is refused, or is told and closed as all others are.
    ///
    /// A critical event for a user who is away is refused from now on, as
    /// [`NoConnections`](crate::PublishError::NoConnections), unless the user's lane is kept already. Kept
    /// lanes end with the drain, and what they hold goes with them.
    ///
    /// # Errors
    ///
    /// [`DrainError`] if the hub is draining or drained, or if a setting of `plan` is out of its bounds.
    ///
    /// # Progress
    ///
    /// Lock-free, linear in the users.
    pub fn drain(&self, plan: DrainPlan<E>) -> Result<Drain<E>, DrainError> {
        plan.check()?;
        if self.core.begin_drain(plan) {
            Ok(Drain { hub: self.clone() })
        } else {
            Err(DrainError::Draining)
        }
    }

    /// Returns whether a drain has begun. Wait-free.
    ///
    /// ```
    /// use std::time::Duration;
    /// use laneway::{DrainPlan, Hub};
    ///
    /// let hub: Hub<u8> = Hub::new();
    /// assert!(!hub.is_draining());
    /// let _drain = hub.drain(DrainPlan::within(Duration::from_secs(30)))?;
    /// assert!(hub.is_draining()); // a health check says so to the load balancer
    /// # Ok::<(), laneway::DrainError>(())
    /// ```
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.core.is_draining()
    }

    /// Returns the delay after which the user is to come back, or `None` if the hub is not draining.
    ///
    /// ```
    /// use std::time::Duration;
    /// use laneway::{ConnectError, DrainPlan, Hub, UserId};
    ///
    /// let (hub, ann) = (Hub::<u8>::new(), UserId::new("ann")?);
    /// assert_eq!(hub.reconnect_after(&ann), None);
    /// let _drain = hub.drain(DrainPlan::within(Duration::from_secs(30)))?;
    /// if let Err(ConnectError::Draining) = hub.scope(ann.clone()).connect() {
    ///     let _retry_after = hub.reconnect_after(&ann); // for the header of the 503
    /// }
    /// # assert!(hub.reconnect_after(&ann).is_some());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// Wait-free, linear in the length of the id.
    #[must_use]
    pub fn reconnect_after(&self, user: &UserId) -> Option<Duration> {
        self.core.reconnect_after(user)
    }
}

impl<E: Send + Sync + 'static> Drain<E> {
    pub(super) fn run(&self) -> &Draining<E> {
        // `Hub::drain` makes a handle only after it has put the run in, and a run stays.
        self.hub.core.draining().expect("a drain has begun")
    }

    /// Does the next batch of the drain. Returns how far it has come.
    ///
    /// ```
    /// use std::time::Duration;
    /// use laneway::{DrainPhase, DrainPlan, Hub, UserId};
    ///
    /// let hub: Hub<u8> = Hub::new();
    /// let scope = |n: u32| hub.scope(UserId::new(format!("user {n}")).unwrap());
    /// let _devices: Vec<_> = (0..100).map(|n| scope(n).connect().unwrap()).collect();
    /// let plan = DrainPlan::within(Duration::from_secs(30)).batch(40).tell(|_, _| 9);
    /// let drain = hub.drain(plan)?;
    /// let told = [0, 1, 2].map(|second| drain.step(Duration::from_secs(second)).told);
    /// assert_eq!(told, [40, 80, 100]);
    /// # Ok::<(), laneway::DrainError>(())
    /// ```
    ///
    /// `now` is the time since any fixed moment of the host's choice, as in [`Hub::sweep`]. Times count from
    /// the first step on. One step lets at most a quarter of the deadline pass, so a pause of the whole
    /// process cuts off no connection. A clock that goes back lets no time pass.
    ///
    /// A host steps as often as it wants batches, and goes on sweeping.
    ///
    /// # Panics
    ///
    /// If [`tell`](DrainPlan::tell) or [`before_closing`](DrainPlan::before_closing) does, or the `Drop` of an
    /// event that no connection reads any more. The drain goes on with the next step.
    ///
    /// # Progress
    ///
    /// Lock-free. A step tells or closes [`batch`](DrainPlan::batch) connections. The step that finds no user
    /// online shuts the hub down, which is linear in the lanes that are kept.
    pub fn step(&self, now: Duration) -> DrainProgress {
        self.hub.core.drain_step(self.run(), now)
    }

    /// Returns how far the drain has come, without a step. Wait-free.
    ///
    /// ```
    /// use std::time::Duration;
    /// use laneway::{DrainPhase, DrainPlan, Hub};
    ///
    /// let hub: Hub<u8> = Hub::new();
    /// let drain = hub.drain(DrainPlan::within(Duration::from_secs(30)))?;
    /// assert_eq!(drain.progress().phase, DrainPhase::Telling);
    /// # Ok::<(), laneway::DrainError>(())
    /// ```
    #[must_use]
    pub fn progress(&self) -> DrainProgress {
        self.hub.core.drain_progress(self.run())
    }
}

impl<E: Send + Sync + 'static> Clone for Drain<E> {
    fn clone(&self) -> Self {
        Self {
            hub: self.hub.clone(),
        }
    }
}

impl<E: Send + Sync + 'static> fmt::Debug for Drain<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Drain")
            .field("progress", &self.progress())
            .finish()
    }
}
