//! Waiting for the next event: a thread sleeps, or a task is woken.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use super::{Connection, PARKED};
use crate::error::{Closed, RecvTimeoutError, TryRecvError};
use crate::received::Received;

/// What a task can take in turn, or look for in vain, before it gives way.
const TURNS: u8 = 64;

/// Wakes a thread that sleeps in `recv`.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

impl<E: Clone + Send + Sync + 'static> Connection<E> {
    /// The next event or gap, sleeping until there is one.
    ///
    /// # Errors
    ///
    /// [`Closed`] when the connection is closed and everything it may still read has been read.
    pub fn recv(&mut self) -> Result<Received<E>, Closed> {
        loop {
            if let Some(done) = self.recv_until(None) {
                return done;
            }
        }
    }

    /// As [`recv`](Self::recv), for at most `timeout`.
    ///
    /// # Errors
    ///
    /// [`RecvTimeoutError::Timeout`] if nothing came, else as [`recv`](Self::recv).
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
            // Other users of this thread's token may end the sleep early; then look again.
            match deadline.map(|d| d.saturating_duration_since(Instant::now())) {
                // Also without a sleep: a flood of events for other connections lets none begin.
                Some(Duration::ZERO) => return None,
                _ if !parked => {}
                None => thread::park(),
                Some(left) => thread::park_timeout(left),
            }
        }
    }

    /// This thread's waker, made once a thread.
    fn blocking_waker(&mut self) -> Waker {
        let thread = thread::current();
        let id = thread.id();
        let blocking = &mut self.rare().blocking;
        if let Some((of, waker)) = blocking
            && *of == id
        {
            return waker.clone();
        }
        let waker = Waker::from(Arc::new(Unpark(thread)));
        *blocking = Some((id, waker.clone()));
        waker
    }

    fn park(&mut self, waker: &Waker) -> bool {
        let lane = &self.user.lane;
        let parked = lane.park(lane.member(&self.seat), &mut self.reader, waker);
        self.reader.pending |= if parked { PARKED } else { 0 };
        parked
    }

    /// Polls for the next event or gap; any async runtime's waker will do. Lock-free.
    ///
    /// A task that always finds something gives way all the same: after 64 turns without a rest this wakes
    /// the task and returns `Pending` once, though there is something to read. So the other tasks of its
    /// executor run, whatever the rate of events. [`try_recv`](Self::try_recv) has no such bound.
    ///
    /// # Panics
    ///
    /// As [`try_recv`](Self::try_recv), or if the waker does.
    pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Result<Received<E>, Closed>> {
        while self.reader.turns < TURNS {
            self.reader.turns += 1;
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
        // The connection is not registered for a wake, so the task wakes itself.
        self.reader.turns = 0;
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// The next event or gap as a future. Dropping the future loses nothing. Gives way to other tasks as
    /// [`poll_recv`](Self::poll_recv) does.
    #[allow(clippy::should_implement_trait)] // As the streams of futures crates name it.
    pub fn next(&mut self) -> Next<'_, E> {
        Next { connection: self }
    }
}

impl<E: Send + Sync + 'static> Connection<E> {
    /// Takes the registration in the lane back, if there is one.
    #[cold]
    pub(super) fn unpark(&mut self) {
        if self.reader.pending & PARKED != 0 {
            self.reader.pending &= !PARKED;
            self.user.lane.unpark(self.member());
        }
    }
}

/// The future of [`Connection::next`].
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
        // A cancelled wait takes its registration back, so publishers stop looking for it.
        self.connection.unpark();
    }
}
