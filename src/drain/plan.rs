//! The plan of a drain: what the host says before it begins.

use std::error::Error;
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use crate::id::UserId;

/// Makes the event that tells a user of the drain.
pub(crate) type MakeEvent<E> = dyn Fn(&UserId, Duration) -> E + Send + Sync;
type Tell<E> = AssertUnwindSafe<Box<MakeEvent<E>>>;
type Hook = AssertUnwindSafe<Box<dyn Fn() + Send + Sync>>;

/// How a hub is drained, for [`Hub::drain`](crate::Hub::drain).
///
/// ```
/// use std::time::Duration;
/// use laneway::DrainPlan;
///
/// let plan = DrainPlan::within(Duration::from_secs(30))
///     .publish_for(Duration::from_secs(10))
///     .reconnect(Duration::from_secs(1), Duration::from_secs(60))
///     .batch(500)
///     .tell(|_user, delay| format!("restarting: come back in {} ms", delay.as_millis()));
/// # let hub = laneway::Hub::<String>::new();
/// # assert!(hub.drain(plan).is_ok());
/// ```
///
/// The bounds are checked by [`Hub::drain`](crate::Hub::drain).
#[must_use]
pub struct DrainPlan<E> {
    pub(crate) deadline: Duration,
    pub(crate) publish_for: Duration,
    pub(crate) batch: usize,
    pub(crate) seed: Option<u64>,
    after: Duration,
    spread: Duration,
    hooks: Hooks<E>,
}

/// The host's functions, which the hub drops when it is drained or shut down.
pub(crate) struct Hooks<E> {
    tell: Option<Tell<E>>,
    before_closing: Option<Hook>,
}

impl<E> Hooks<E> {
    /// Returns the function that makes the events, if there is one.
    pub(crate) fn tell(&self) -> Option<&MakeEvent<E>> {
        self.tell.as_ref().map(|tell| &*tell.0)
    }

    /// Calls the function that comes before closing, if there is one.
    pub(crate) fn before_closing(&self) {
        if let Some(hook) = &self.before_closing {
            hook.0();
        }
    }
}

impl<E> DrainPlan<E> {
    /// A plan that closes what is left `deadline` after the first step.
    ///
    /// ```
    /// use std::time::Duration;
    /// use laneway::{DrainPhase, DrainPlan, Hub};
    ///
    /// let hub: Hub<u8> = Hub::new();
    /// let drain = hub.drain(DrainPlan::within(Duration::from_secs(30)))?;
    /// let progress = drain.step(Duration::ZERO); // no user is online
    /// assert_eq!(progress.phase, DrainPhase::Drained);
    /// # Ok::<(), laneway::DrainError>(())
    /// ```
    ///
    /// Of a deadline, one step lets at most a quarter pass. So a host steps at least four times within it.
    pub fn within(deadline: Duration) -> Self {
        Self {
            deadline,
            publish_for: Duration::ZERO,
            batch: 1_000,
            seed: None,
            after: Duration::ZERO,
            spread: Duration::from_secs(30),
            hooks: Hooks {
                tell: None,
                before_closing: None,
            },
        }
    }

    /// Sets the event that tells each user online of the drain, made from the user's id and the delay after
    /// which to come back. Default: none, and then a device learns of the drain by its close.
    ///
    /// ```
    /// use std::time::Duration;
    /// use laneway::{DrainPlan, Hub, Received, UserId};
    ///
    /// let hub: Hub<String> = Hub::new();
    /// let mut device = hub.scope(UserId::new("ann")?).connect()?;
    /// let plan = DrainPlan::within(Duration::from_secs(30));
    /// let drain = hub.drain(plan.tell(|user, _delay| format!("good-bye {user}")))?;
    /// drain.step(Duration::ZERO);
    /// let Received::Event(told) = device.recv()? else { panic!("one event is no gap") };
    /// assert_eq!(told.event, "good-bye ann");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// The event is published as [`publish_critical`](crate::UserScope::publish_critical) does. `tell` runs
    /// once a user, inside a step, and may call any method of this crate. If it panics, the panic reaches the
    /// step, and that user is not told by an event. A step that is stopped inside it holds up no other.
    ///
    /// The hub keeps `tell` until it is drained or shut down. A `tell` that owns a [`Hub`](crate::Hub) keeps that
    /// hub open.
    pub fn tell(mut self, tell: impl Fn(&UserId, Duration) -> E + Send + Sync + 'static) -> Self {
        self.hooks.tell = Some(AssertUnwindSafe(Box::new(tell)));
        self
    }

    /// Sets the delays after which users may come back: from `after` to `after + spread`, evenly. Default:
    /// from 0 to 30 s.
    ///
    /// ```
    /// use std::time::Duration;
    /// use laneway::{DrainPlan, Hub, UserId};
    ///
    /// let hub: Hub<u8> = Hub::new();
    /// let (after, spread) = (Duration::from_secs(2), Duration::from_secs(60));
    /// let _drain = hub.drain(DrainPlan::within(Duration::from_secs(30)).reconnect(after, spread))?;
    /// let delay = hub.reconnect_after(&UserId::new("ann")?).expect("the hub is draining");
    /// assert!((after..after + spread).contains(&delay));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// A user has one delay, which all of the user's devices share. It is a hash of the id and the
    /// [seed](Self::seed).
    pub fn reconnect(mut self, after: Duration, spread: Duration) -> Self {
        (self.after, self.spread) = (after, spread);
        self
    }

    /// Sets the number from which the delays are computed. Default: drawn from the keys of the hub.
    ///
    /// ```
    /// use std::time::Duration;
    /// use laneway::{DrainPlan, Hub, UserId};
    ///
    /// let delay = |seed| {
    ///     let hub: Hub<u8> = Hub::new();
    ///     let _drain = hub.drain(DrainPlan::within(Duration::from_secs(30)).seed(seed)).unwrap();
    ///     hub.reconnect_after(&UserId::new("ann").unwrap())
    /// };
    /// assert_eq!(delay(7), delay(7));
    /// assert_ne!(delay(7), delay(8));
    /// ```
    ///
    /// With one seed a user has the same delay on each machine and in each version of this crate. A client
    /// that knows the seed and chooses its own id can choose its delay.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Sets how long after the first step publishes are accepted. Default: until all users are told.
    ///
    /// ```
    /// use std::time::Duration;
    /// use laneway::{DrainError, DrainPlan, Hub};
    ///
    /// let second = Duration::from_secs(1);
    /// let hub: Hub<u8> = Hub::new();
    /// let refused = hub.drain(DrainPlan::within(10 * second).publish_for(11 * second));
    /// assert_eq!(refused.unwrap_err(), DrainError::PublishFor(11 * second));
    /// # assert!(hub.drain(DrainPlan::within(10 * second).publish_for(10 * second)).is_ok());
    /// ```
    ///
    /// At most the deadline, else [`DrainError::PublishFor`].
    pub fn publish_for(mut self, time: Duration) -> Self {
        self.publish_for = time;
        self
    }

    /// Sets how many connections one step tells or closes: at least 1. Default 1 000.
    ///
    /// ```
    /// use std::time::Duration;
    /// use laneway::{DrainError, DrainPlan, Hub};
    ///
    /// let hub: Hub<u8> = Hub::new();
    /// let refused = hub.drain(DrainPlan::within(Duration::from_secs(30)).batch(0));
    /// assert_eq!(refused.unwrap_err(), DrainError::Batch);
    /// ```
    ///
    /// The connections of one user are in one step, so a step may do up to 254 more.
    pub fn batch(mut self, connections: usize) -> Self {
        self.batch = connections;
        self
    }

    /// Sets what the host does when publishes are about to be refused, once: the last events of its own.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use laneway::{DrainPlan, Hub, UserId};
    /// # let hub: Hub<u8> = Hub::new();
    /// # let ann = hub.scope(UserId::new("ann")?);
    /// # let mut device = ann.connect()?;
    /// let last = ann.clone();
    /// let plan = DrainPlan::within(Duration::from_secs(30));
    /// let drain = hub.drain(plan.before_closing(move || drop(last.publish(9))))?;
    /// drain.step(Duration::ZERO);
    /// assert_eq!(device.unread(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// A host of agents calls `AgentRuns::end_all` of the protocol layer here, so that each open run ends with an event that its
    /// user receives. One step calls `hook`. Until it returns, or until the deadline, no lane is closed. If it
    /// panics, the panic reaches that step, and the drain goes on. It is not called if the host
    /// [shuts the hub down](crate::Hub::shutdown) before. The hub keeps it as it keeps [`tell`](Self::tell).
    pub fn before_closing(mut self, hook: impl Fn() + Send + Sync + 'static) -> Self {
        self.hooks.before_closing = Some(AssertUnwindSafe(Box::new(hook)));
        self
    }

    /// Returns the first setting that is out of its bounds as an error.
    pub(crate) fn check(&self) -> Result<(), DrainError> {
        if self.batch == 0 {
            return Err(DrainError::Batch);
        }
        if self.publish_for > self.deadline {
            return Err(DrainError::PublishFor(self.publish_for));
        }
        Ok(())
    }

    /// Returns the delay of a user.
    pub(crate) fn delay(&self, user: &UserId, seed: u64) -> Duration {
        let share = u128::from(mix(user.as_str(), seed) >> 32);
        // The spread has at most 94 bits, so the product fits into 126.
        let nanos = (self.spread.as_nanos() * share) >> 32;
        let seconds = (nanos / 1_000_000_000) as u64;
        let spread = Duration::new(seconds, (nanos % 1_000_000_000) as u32);
        self.after.saturating_add(spread)
    }

    /// Takes the host's functions out.
    pub(crate) fn take_hooks(&mut self) -> Hooks<E> {
        Hooks {
            tell: self.hooks.tell.take(),
            before_closing: self.hooks.before_closing.take(),
        }
    }
}

/// A hash of 64 bits in which each bit depends on each byte: FNV-1a, then the last steps of `SplitMix64`. It
/// does not depend on the machine.
fn mix(text: &str, seed: u64) -> u64 {
    let mut hash = seed ^ 0xcbf2_9ce4_8422_2325;
    for byte in text.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

impl<E> fmt::Debug for DrainPlan<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DrainPlan")
            .field("deadline", &self.deadline)
            .field("publish_for", &self.publish_for)
            .field("after", &self.after)
            .field("spread", &self.spread)
            .field("batch", &self.batch)
            .finish_non_exhaustive()
    }
}

/// The reason why a drain did not begin.
///
/// ```
/// use std::time::Duration;
/// use laneway::{DrainError, DrainPlan, Hub};
///
/// let hub: Hub<u8> = Hub::new();
/// let _drain = hub.drain(DrainPlan::within(Duration::from_secs(30)))?;
/// let second = hub.drain(DrainPlan::within(Duration::from_secs(30)));
/// assert_eq!(second.unwrap_err(), DrainError::Draining);
/// # Ok::<(), DrainError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DrainError {
    /// The hub is draining already, or has been drained.
    Draining,
    /// A batch of no connections would never end.
    Batch,
    /// Publishes would be accepted beyond the deadline.
    PublishFor(Duration),
}

impl fmt::Display for DrainError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Draining => f.write_str("the hub is draining already"),
            Self::Batch => f.write_str("a batch must have at least 1 connection"),
            Self::PublishFor(time) => write!(f, "publishing for {time:?} is beyond the deadline"),
        }
    }
}
impl Error for DrainError {}
