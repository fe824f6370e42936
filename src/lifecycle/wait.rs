//! Waiting for the next notice without a thread: a task is woken.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::{Lifecycle, Notice};

impl Lifecycle {
    /// Polls for the next notice; any async runtime's waker will do. `None` once the notices are over, and
    /// from then on.
    ///
    /// Gives way to other tasks as [`Connection::poll_recv`](crate::Connection::poll_recv) does. Takes the
    /// short lock of its own channel.
    ///
    /// The thread that connects or disconnects calls the waker. If it is stopped before that, the thread of
    /// the next notice calls it.
    ///
    /// # Panics
    ///
    /// If the waker does.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Notice>> {
        self.notices.poll_next(cx)
    }

    /// The next notice as a future, `None` once the notices are over. Dropping the future loses nothing.
    ///
    /// Each subscriber has a channel of its own, so several tasks wait for the same changes with a
    /// [`Hub::lifecycle`](crate::Hub::lifecycle) each. Gives way to other tasks as
    /// [`poll_next`](Self::poll_next) does.
    ///
    /// ```
    /// use laneway::{Change, Hub, Lifecycle, UserId};
    ///
    /// async fn count_online(mut lifecycle: Lifecycle) -> usize {
    ///     let mut online = 0;
    ///     while let Some(notice) = lifecycle.next().await {
    ///         online += usize::from(notice.change == Change::Online);
    ///     }
    ///     online // the hub is shut down, and no connection is left
    /// }
    ///
    /// let hub: Hub<u8> = Hub::new();
    /// let counting = count_online(hub.lifecycle(16)?);
    /// drop(hub.scope(UserId::new("ann")?).connect()?);
    /// drop(hub);
    /// # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    /// # assert_eq!(runtime.block_on(counting), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[allow(clippy::should_implement_trait)] // As the streams of futures crates name it.
    pub fn next(&mut self) -> NextNotice<'_> {
        NextNotice { lifecycle: self }
    }
}

/// The future of [`Lifecycle::next`].
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct NextNotice<'a> {
    lifecycle: &'a mut Lifecycle,
}

impl Future for NextNotice<'_> {
    type Output = Option<Notice>;
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.lifecycle.poll_next(cx)
    }
}

impl Drop for NextNotice<'_> {
    fn drop(&mut self) {
        // A cancelled wait is over: the next thread that tells does not call its waker.
        self.lifecycle.notices.disarm();
    }
}
