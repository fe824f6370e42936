//! Publishing from a task that waits for room.

use std::future::Future;
use std::time::Duration;

use super::UserScope;
use super::pauses::{Attempt, Pauses};
use crate::delivery::Delivery;
use crate::error::PublishError;
use crate::turns::rest;

impl<E: Send + Sync + 'static> UserScope<E> {
    /// Publishes `event` as [`try_publish`](Self::try_publish) does, and waits in the task while the lane has no
    /// room for it, in numbers or in [bytes](crate::Builder::lane_bytes). This is back-pressure for a task that can afford it. It blocks no thread and no other task.
    ///
    /// The host supplies the timer. While there is no room, this calls `pause` with a proposal from 10 µs to
    /// 1 ms, awaits the future that `pause` returns, and looks again. If `pause` returns `None`, the wait is
    /// over, and the event comes back as `Full` or `OverBudget`. Before each pause the task gives way once to the other tasks
    /// of its executor. So a pause that is over at once does not starve them.
    ///
    /// Readers do not wake the publisher, because each reader would have to look for one at each event.
    ///
    /// ```
    /// # let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    /// # runtime.block_on(async {
    /// # let hub: laneway::Hub<u8> = laneway::Hub::builder().lane_capacity(2).build().unwrap();
    /// # let ann = hub.scope(laneway::UserId::new("ann").unwrap());
    /// use std::time::{Duration, Instant};
    ///
    /// let mut device = ann.connect().unwrap();
    /// ann.publish_batch([0, 1]).unwrap(); // a lane of two events is full
    ///
    /// // For 20 ms at most:
    /// let start = Instant::now();
    /// let pause = |pause| (start.elapsed() < Duration::from_millis(20)).then(|| tokio::time::sleep(pause));
    /// assert!(ann.publish_when_free(2, pause).await.unwrap_err().is_full());
    ///
    /// device.try_recv().unwrap();
    /// // As long as it takes:
    /// ann.publish_when_free(2, |pause| Some(tokio::time::sleep(pause))).await?;
    /// # Ok::<(), laneway::PublishError<u8>>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Cancellation
    ///
    /// The event is published in the poll that returns ready, or not at all. Dropping the future before that
    /// drops the event. To have the event back, end the wait with `pause`.
    ///
    /// # Errors
    ///
    /// [`PublishError`] hands the event back, with `Full` or `OverBudget` when `pause` returns `None`. An event
    /// that weighs more than a whole budget comes back at once.
    pub async fn publish_when_free<P, F>(
        &self,
        event: E,
        mut pause: P,
    ) -> Result<Delivery, PublishError<E>>
    where
        P: FnMut(Duration) -> Option<F>,
        F: Future<Output = ()>,
    {
        let mut pauses = Pauses::new();
        let mut attempt = self.publish_or_wait(event);
        loop {
            let refused = match attempt {
                Attempt::Break(done) => return done,
                Attempt::Continue(refused) => refused,
            };
            let Some(pausing) = pause(pauses.next()) else {
                return Err(refused);
            };
            // Without it: on an executor of one thread, pauses that are over at once keep the reader from
            // running, and the lane stays full.
            rest().await;
            pausing.await;
            attempt = self.publish_again(refused);
        }
    }
}
