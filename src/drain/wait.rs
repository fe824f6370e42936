//! Waiting for the end of a drain without a thread.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::Drain;
use super::progress::DrainProgress;

impl<E: Send + Sync + 'static> Drain<E> {
    /// Returns a future of the moment at which the hub is drained, beside the task or thread that steps.
    ///
    /// ```
    /// # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    /// # runtime.block_on(async {
    /// use std::time::Duration;
    /// use laneway::{DrainPlan, Hub};
    ///
    /// let hub: Hub<u8> = Hub::new();
    /// let drain = hub.drain(DrainPlan::within(Duration::from_secs(30)))?;
    /// drain.step(Duration::ZERO); // of a task with a timer
    /// assert_eq!(drain.drained().await.users, 0);
    /// # Ok::<(), laneway::DrainError>(())
    /// # }).unwrap();
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// The future makes no step itself. Dropping it changes nothing.
    ///
    /// # Bounds
    ///
    /// Up to 16 futures sleep at a time. Each further one polls again and again.
    ///
    /// # Progress
    ///
    /// Wait-free.
    pub fn drained(&self) -> Drained<'_, E> {
        Drained {
            drain: self,
            place: None,
        }
    }
}

/// The future of [`Drain::drained`](crate::Drain::drained).
///
/// ```
/// # use std::time::Duration;
/// # use std::{future::Future, pin::pin, task::{Context, Waker}};
/// # use laneway::{DrainPlan, Drained, Hub, UserId};
/// # let hub: Hub<u8> = Hub::new();
/// # let _device = hub.scope(UserId::new("ann").unwrap()).connect().unwrap();
/// # let drain = hub.drain(DrainPlan::within(Duration::from_secs(30))).unwrap();
/// let drained: Drained<'_, u8> = drain.drained();
/// assert!(pin!(drained).poll(&mut Context::from_waker(Waker::noop())).is_pending());
/// ```
#[must_use = "futures do nothing unless polled"]
pub struct Drained<'a, E: Send + Sync + 'static> {
    drain: &'a Drain<E>,
    /// The place among the tasks that wait, once it is polled.
    place: Option<usize>,
}

impl<E: Send + Sync + 'static> Future for Drained<'_, E> {
    type Output = DrainProgress;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<DrainProgress> {
        let drain = self.drain;
        let run = drain.run();
        if !run.is_over() {
            self.place = self.place.or_else(|| run.waiters.take());
            match self.place {
                Some(place) => run.waiters.arm(place, cx.waker()),
                // Without a place no step would wake the task, so it comes back by itself.
                None => cx.waker().wake_by_ref(),
            }
            // The second look. Without it: the task finds the drain not over, a step ends it and finds no
            // waker, and the task arms and sleeps for ever.
            if !run.is_over_after_arming() {
                return Poll::Pending;
            }
        }
        Poll::Ready(drain.progress())
    }
}

impl<E: Send + Sync + 'static> Drop for Drained<'_, E> {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            self.drain.run().waiters.give_back(place);
        }
    }
}

impl<E: Send + Sync + 'static> fmt::Debug for Drained<'_, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Drained").finish_non_exhaustive()
    }
}
