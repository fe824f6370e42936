//! The asker's end of a question: the answer of the first device, or the reason why there is none.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use crate::delivery::Delivery;
use crate::engine::{Asked, over};
use crate::error::NoAnswer;
use crate::sync::{Fault, Ordering, broken, fence};
use crate::table::storage::Handed;
use crate::unpark::unparks;

// Public values that the engine needs too.
pub(crate) mod answer;
pub(crate) mod id;

use answer::Answer;
use id::AskId;

/// A question that waits for its answer, from [`UserScope::ask`](crate::UserScope::ask).
///
/// | to get the answer | call |
/// |---|---|
/// | in an async task, under any runtime | `.await`, of the value or of `&mut` it |
/// | on a thread that sleeps | [`wait_timeout`](Self::wait_timeout) |
/// | what is there, without waiting | [`try_answer`](Self::try_answer) |
///
/// ```
/// use std::time::Duration;
/// use laneway::{AskId, Connection, Hub, Received, UserId};
///
/// #[derive(Clone)]
/// enum Event {
///     Question(AskId, &'static str),
///     Answer(bool),
/// }
///
/// fn confirm(mut phone: Connection<Event>) {
///     if let Ok(Received::Event(next)) = phone.recv()
///         && let Event::Question(id, _text) = next.event
///     {
///         let _late = phone.answer(id, Event::Answer(true));
///     }
/// }
///
/// # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
/// # runtime.block_on(async {
/// let hub = Hub::new();
/// let ann = hub.scope(UserId::new("ann")?);
/// let phone = ann.connect()?;
/// let until = Duration::from_secs(30); // by the host's time, which `Hub::sweep` tells
/// let ask = ann.ask(until, |id| Event::Question(id, "Log in?")).map_err(|e| e.to_string())?;
/// std::thread::spawn(move || confirm(phone));
/// assert!(matches!(ask.await?.event, Event::Answer(true)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Dropping it gives the question up. A device that answers later gets its answer back. A dropped `.await` of
/// `&mut` it loses nothing.
#[must_use = "dropping it gives the question up"]
pub struct Ask<E: Send + Sync + 'static> {
    asked: Asked<E>,
    delivery: Delivery,
}

impl<E: Send + Sync + 'static> Ask<E> {
    pub(crate) fn new((asked, delivery): (Asked<E>, Delivery)) -> Self {
        Self { asked, delivery }
    }

    /// Returns the id that an answer names. Wait-free.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # let hub: laneway::Hub<u8> = laneway::Hub::new();
    /// # let ann = hub.scope(laneway::UserId::new("ann")?);
    /// let device = ann.connect()?;
    /// let ask = ann.ask(Duration::from_secs(30), |_| 7)?;
    /// assert!(device.answer(ask.id(), 8).is_ok());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn id(&self) -> AskId {
        self.asked.question.id
    }

    /// Returns what the publish of the question did. Wait-free.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # let hub: laneway::Hub<u8> = laneway::Hub::new();
    /// # let ann = hub.scope(laneway::UserId::new("ann")?);
    /// let _devices = (ann.connect()?, ann.connect()?);
    /// assert_eq!(ann.ask(Duration::from_secs(30), |_| 7)?.delivery().connections, 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn delivery(&self) -> Delivery {
        self.delivery
    }

    /// Returns the answer, the reason why there is none, or `None` while the question waits. Lock-free.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # let hub: laneway::Hub<u8> = laneway::Hub::new();
    /// # let ann = hub.scope(laneway::UserId::new("ann")?);
    /// let device = ann.connect()?;
    /// let mut ask = ann.ask(Duration::from_secs(30), |_| 7)?;
    /// assert_eq!(ask.try_answer(), None);
    /// device.answer(ask.id(), 8)?;
    /// assert_eq!(ask.try_answer().unwrap()?.event, 8);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`NoAnswer`]. After the answer was returned, [`NoAnswer::Taken`].
    pub fn try_answer(&mut self) -> Option<Result<Answer<E>, NoAnswer>> {
        match self.asked.question.verdict.take(over::TAKEN) {
            Handed::Open => None,
            Handed::Value(answer) => Some(Ok(*answer)),
            Handed::Over(over::DEADLINE) => Some(Err(NoAnswer::Deadline)),
            Handed::Over(over::NO_DEVICE) => Some(Err(NoAnswer::NoDevice)),
            Handed::Over(_) => Some(Err(NoAnswer::Taken)),
        }
    }

    /// Puts the thread to sleep until the question is over, for at most `timeout`. `None` if it still waits.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # let hub: laneway::Hub<u8> = laneway::Hub::new();
    /// # let ann = hub.scope(laneway::UserId::new("ann")?);
    /// let _device = ann.connect()?;
    /// let mut ask = ann.ask(Duration::from_secs(30), |_| 7)?;
    /// assert_eq!(ask.wait_timeout(Duration::from_millis(5)), None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// The timeout is one of the clock and ends this call only. The question's own deadline is told by
    /// [`Hub::sweep`](crate::Hub::sweep).
    ///
    /// # Errors
    ///
    /// As [`try_answer`](Self::try_answer).
    ///
    /// # Progress
    ///
    /// Puts the thread to sleep while there is no answer.
    #[allow(clippy::disallowed_methods)] // A call whose purpose is to wait.
    pub fn wait_timeout(&mut self, timeout: Duration) -> Option<Result<Answer<E>, NoAnswer>> {
        let deadline = Instant::now().checked_add(timeout);
        let waker = unparks(thread::current());
        loop {
            if let Some(done) = self.look_or_arm(&waker) {
                return Some(done);
            }
            // Other code may unpark this thread and so end the sleep early. The loop then looks again.
            match deadline.map(|d| d.saturating_duration_since(Instant::now())) {
                Some(Duration::ZERO) => {
                    self.asked.question.wake.disarm();
                    return None;
                }
                Some(left) => thread::park_timeout(left),
                None => thread::park(),
            }
        }
    }

    /// Looks for the answer, and leaves the waker if there is none.
    pub(crate) fn look_or_arm(&mut self, waker: &Waker) -> Option<Result<Answer<E>, NoAnswer>> {
        if let Some(done) = self.try_answer() {
            return Some(done);
        }
        self.asked.question.wake.arm(waker);
        // Pairs with the fence in `Question::tell`. The second look: a device may have answered after the first one,
        // and have found no waker.
        fence(Ordering::SeqCst);
        if broken(Fault::AskWithoutLooking) {
            return None;
        }
        let done = self.try_answer();
        if done.is_some() {
            self.asked.question.wake.disarm();
        }
        done
    }
}

impl<E: Send + Sync + 'static> Future for Ask<E> {
    type Output = Result<Answer<E>, NoAnswer>;

    /// Lock-free. The thread that answers or ends the question calls the waker.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.look_or_arm(cx.waker()) {
            Some(done) => Poll::Ready(done),
            None => Poll::Pending,
        }
    }
}

impl<E: Send + Sync + 'static> fmt::Debug for Ask<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ask")
            .field("id", &self.id())
            .field("user", &self.asked.user)
            .finish_non_exhaustive()
    }
}
