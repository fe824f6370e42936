//! Waiting for the next event: a thread sleeps, or a task is woken.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use super::{Connection, PARKED};
use crate::error::{Closed, RecvTimeoutError, TryRecvError};
use crate::received::Received;
use crate::turns::{give_way, take_turn};
use crate::unpark::unparks;

impl<E: Clone + Send + Sync + 'static> Connection<E> {
    /// Puts the thread to sleep until there is an event or a gap, and returns it.
    ///
    /// ```
    /// # let hub: laneway::Hub<u8> = laneway::Hub::new();
    /// # let ann = hub.scope(laneway::UserId::new("ann")?);
    /// use laneway::Received;
    ///
    /// let mut device = ann.connect()?;
    /// ann.publish(7)?;
    /// let Received::Event(got) = device.recv()? else { panic!("one event is no gap") };
    /// assert_eq!(got.event, 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Closed`] when the connection is closed and everything it may still read has been read.
    ///
    /// # Panics
    ///
    /// As [`try_recv`](Self::try_recv).
    ///
    /// # Progress
    ///
    /// Puts the thread to sleep while there is nothing to read. To sleep is no
    /// [activity](crate::Builder::idle_timeout).
    pub fn recv(&mut self) -> Result<Received<E>, Closed> {
        loop {
            if let Some(done) = self.recv_until(None) {
                return done;
            }
        }
    }

    /// Puts the thread to sleep as [`recv`](Self::recv) does, for at most `timeout`.
    ///
    /// ```
    /// # let hub: laneway::Hub<u8> = laneway::Hub::new();
    /// # let ann = hub.scope(laneway::UserId::new("ann")?);
    /// # use std::time::Duration;
    /// use laneway::RecvTimeoutError;
    ///
    /// let mut device = ann.connect()?;
    /// let nothing = device.recv_timeout(Duration::from_millis(5));
    /// assert_eq!(nothing, Err(RecvTimeoutError::Timeout));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`RecvTimeoutError::Timeout`] if nothing came, else as [`recv`](Self::recv). Panics and progress are
    /// as there.
    #[allow(clippy::disallowed_methods)] // A call whose purpose is to wait.
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<Received<E>, RecvTimeoutError> {
        match self.recv_until(Instant::now().checked_add(timeout)) {
            Some(done) => done.map_err(RecvTimeoutError::Closed),
            None => Err(RecvTimeoutError::Timeout),
        }
    }

    #[allow(clippy::disallowed_methods)] // The one place that sleeps.
    fn recv_until(&mut self, deadline: Option<Instant>) -> Option<Result<Received<E>, Closed>> {
        loop {
            match self.try_recv() {
                Ok(received) => return Some(Ok(received)),
                Err(TryRecvError::Closed(closed)) => return Some(Err(closed)),
                Err(TryRecvError::Empty) => {}
            }
            let waker = self.blocking_waker();
            let parked = self.park(&waker);
            // Other code may unpark this thread and so end the sleep early. The loop then looks again.
            match deadline.map(|d| d.saturating_duration_since(Instant::now())) {
                // Before `parked`: while events for other connections keep coming, `park` fails each time,
                // and without this arm the loop would run beyond the deadline.
                Some(Duration::ZERO) => return None,
                _ if !parked => {}
                None => thread::park(),
                Some(left) => thread::park_timeout(left),
            }
        }
    }

    /// Returns this thread's waker, which is made once a thread.
    fn blocking_waker(&mut self) -> Waker {
        let thread = thread::current();
        let id = thread.id();
        let blocking = &mut self.rare().blocking;
        if let Some((of, waker)) = blocking
            && *of == id
        {
            return waker.clone();
        }
        let waker = unparks(thread);
        *blocking = Some((id, waker.clone()));
        waker
    }

    fn park(&mut self, waker: &Waker) -> bool {
        let lane = &self.user.lane;
        let parked = lane.park(lane.member(&self.seat), &mut self.reader, waker);
        self.reader.pending |= if parked { PARKED } else { 0 };
        parked
    }

    /// Polls for the next event or gap, with the waker of any async runtime.
    ///
    /// ```
    /// # let hub: laneway::Hub<u8> = laneway::Hub::new();
    /// # let ann = hub.scope(laneway::UserId::new("ann")?);
    /// # use std::task::{Context, Poll, Waker};
    /// let mut device = ann.connect()?;
    /// let mut cx = Context::from_waker(Waker::noop());
    /// assert!(device.poll_recv(&mut cx).is_pending());
    /// ann.publish(7)?; // wakes the task
    /// assert!(matches!(device.poll_recv(&mut cx), Poll::Ready(Ok(_))));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    ///
    /// # Panics
    ///
    /// As [`try_recv`](Self::try_recv), or if the waker does.
    ///
    /// # Bounds
    ///
    /// After 64 polls without a rest this wakes the task and returns `Pending` once, though there is
    /// something to read. So the other tasks of the executor run, whatever the rate of events.
    ///
    /// # Progress
    ///
    /// Lock-free.
    pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Result<Received<E>, Closed>> {
        while take_turn(&mut self.reader.turns) {
            match self.try_recv() {
                Ok(received) => return Poll::Ready(Ok(received)),
                Err(TryRecvError::Closed(closed)) => return Poll::Ready(Err(closed)),
                Err(TryRecvError::Empty) => {
                    if self.park(cx.waker()) {
                        self.reader.turns = 0;
                        return Poll::Pending;
                    }
                }
            }
        }
        // The connection is not registered for a wake.
        give_way(&mut self.reader.turns, cx)
    }

    /// Returns a future of the next event or gap.
    ///
    /// ```
    /// # let hub: laneway::Hub<u8> = laneway::Hub::new();
    /// # let ann = hub.scope(laneway::UserId::new("ann")?);
    /// # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    /// # runtime.block_on(async {
    /// use laneway::Received;
    ///
    /// let mut device = ann.connect()?;
    /// ann.publish(7)?;
    /// drop(device.next()); // in a `select!` that another branch wins, say
    /// let Received::Event(got) = device.next().await? else { panic!("one event is no gap") };
    /// assert_eq!(got.event, 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// A dropped future loses no event: the future reads only in the poll that returns the event. A pending
    /// future is no [activity](crate::Builder::idle_timeout). The type's page has a whole
    /// [receive loop](Connection).
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv). Panics, bounds and progress are those of [`poll_recv`](Self::poll_recv).
    #[allow(clippy::should_implement_trait)] // As the streams of futures crates name it.
    pub fn next(&mut self) -> Next<'_, E> {
        Next { connection: self }
    }
}

impl<E: Send + Sync + 'static> Connection<E> {
    /// Removes the registration in the lane, if there is one.
    #[cold]
    pub(super) fn unpark(&mut self) {
        if self.reader.pending & PARKED != 0 {
            self.reader.pending &= !PARKED;
            self.user.lane.unpark(self.member());
        }
    }
}

/// The future of [`Connection::next`]: the next event or gap.
///
/// ```
/// # let hub: laneway::Hub<u8> = laneway::Hub::new();
/// # let ann = hub.scope(laneway::UserId::new("ann").unwrap());
/// # use std::{future::Future, pin::pin, task::{Context, Waker}};
/// let mut device = ann.connect().unwrap();
/// let next: laneway::Next<'_, u8> = device.next();
/// assert!(pin!(next).poll(&mut Context::from_waker(Waker::noop())).is_pending());
/// ```
///
/// Dropping it loses no event.
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct Next<'a, E: Send + Sync + 'static> {
    connection: &'a mut Connection<E>,
}

impl<E: Clone + Send + Sync + 'static> Future for Next<'_, E> {
    type Output = Result<Received<E>, Closed>;
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.connection.poll_recv(cx)
    }
}

impl<E: Send + Sync + 'static> Drop for Next<'_, E> {
    fn drop(&mut self) {
        // Without this, each later publish would look for the sleeper until the next receive.
        self.connection.unpark();
    }
}
