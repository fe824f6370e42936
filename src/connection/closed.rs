//! Waiting for the end of a connection, without reading.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::{Connection, PARKED};
use crate::error::Closed;

impl<E: Send + Sync + 'static> Connection<E> {
    /// Polls for the end of the connection, with the waker of any async runtime. Reads no event.
    ///
    /// ```
    /// # let hub: laneway::Hub<u8> = laneway::Hub::new();
    /// # let ann = hub.scope(laneway::UserId::new("ann")?);
    /// # use std::task::{Context, Poll, Waker};
    /// use laneway::{CloseReason, Closed};
    ///
    /// let mut device = ann.connect()?;
    /// let mut cx = Context::from_waker(Waker::noop());
    /// assert!(device.poll_closed(&mut cx).is_pending());
    /// ann.disconnect(device.id(), 4000); // wakes the task
    /// let reason = CloseReason::Disconnected { code: 4000 };
    /// assert_eq!(device.poll_closed(&mut cx), Poll::Ready(Closed { reason }));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// The connection keeps one waker, of the last poll, whatever it polls for. A waker may be called though
    /// the connection is open: when an event wakes another device of the user.
    ///
    /// # Panics
    ///
    /// If the waker does.
    ///
    /// # Progress
    ///
    /// Lock-free. A publish takes no step more while a connection waits like this.
    pub fn poll_closed(&mut self, cx: &mut Context<'_>) -> Poll<Closed> {
        let lane = &self.user.lane;
        if lane.park_until_closed(lane.member(&self.seat), cx.waker()) {
            self.reader.pending |= PARKED;
            return Poll::Pending;
        }
        let closed = self.member().closed();
        let reason = closed.unwrap_or_else(|| self.core.shutdown_reason());
        Poll::Ready(Closed { reason })
    }

    /// Returns a future of the end of the connection. It reads no event.
    ///
    /// A task that has stopped reading for a while, because its socket is full, say, learns like this that
    /// the device is gone:
    ///
    /// ```
    /// # use std::future::Future;
    /// use laneway::{Closed, Connection};
    ///
    /// /// Waits until the socket takes more, or returns why the device is closed.
    /// async fn wait(device: &mut Connection<String>, writable: impl Future) -> Result<(), Closed> {
    ///     tokio::select! {
    ///         closed = device.closed() => Err(closed),
    ///         _ = writable => Ok(()),
    ///     }
    /// }
    /// # let hub = laneway::Hub::new();
    /// # let ann = hub.scope(laneway::UserId::new("ann").unwrap());
    /// # let mut device = ann.connect().unwrap();
    /// # let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    /// # assert_eq!(runtime.block_on(wait(&mut device, std::future::ready(()))), Ok(()));
    /// # ann.disconnect(device.id(), 4000);
    /// # runtime.block_on(wait(&mut device, std::future::pending::<()>())).unwrap_err();
    /// ```
    ///
    /// After [`Hub::shutdown`](crate::Hub::shutdown) the connection can still [receive](Self::try_recv) what
    /// was accepted before. After any other end there is nothing more to receive. Dropping the future
    /// changes nothing. Progress is that of [`poll_closed`](Self::poll_closed).
    pub fn closed(&mut self) -> UntilClosed<'_, E> {
        UntilClosed { connection: self }
    }
}

/// The future of [`Connection::closed`]: why the connection was closed.
///
/// ```
/// # let hub: laneway::Hub<u8> = laneway::Hub::new();
/// # let ann = hub.scope(laneway::UserId::new("ann").unwrap());
/// # use std::{future::Future, pin::pin, task::{Context, Waker}};
/// let mut device = ann.connect().unwrap();
/// let closed: laneway::UntilClosed<'_, u8> = device.closed();
/// assert!(pin!(closed).poll(&mut Context::from_waker(Waker::noop())).is_pending());
/// ```
///
/// Dropping it changes nothing.
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct UntilClosed<'a, E: Send + Sync + 'static> {
    connection: &'a mut Connection<E>,
}

impl<E: Send + Sync + 'static> Future for UntilClosed<'_, E> {
    type Output = Closed;
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Closed> {
        self.connection.poll_closed(cx)
    }
}

impl<E: Send + Sync + 'static> Drop for UntilClosed<'_, E> {
    fn drop(&mut self) {
        // Without this, the waker of a task that has gone on would be called at the end.
        self.connection.unpark();
    }
}
