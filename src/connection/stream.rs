//! A connection as a stream of futures-core.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::{FusedStream, Stream};

use super::{Connection, ENDED};
use crate::received::Received;

/// The events and gaps, until the connection is closed and read out. Gives way to other tasks as
/// [`poll_recv`](Connection::poll_recv) does.
///
/// The end does not say its reason. After it, [`try_recv`](Connection::try_recv) returns
/// [`Closed`](crate::Closed) with the reason.
///
/// [`Connection::next`] is the connection's own and returns a `Result`. The adapters of futures crates are
/// called on the stream as ever, and their `next` as `StreamExt::next(&mut connection)`.
impl<E: Clone + Send + Sync + 'static> Stream for Connection<E> {
    type Item = Received<E>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Received<E>>> {
        let connection = self.get_mut();
        if connection.is_terminated() {
            return Poll::Ready(None);
        }
        let next = connection.poll_recv(cx).map(Result::ok);
        if matches!(next, Poll::Ready(None)) {
            connection.reader.pending |= ENDED;
        }
        next
    }
}

/// The stream is terminated once it has returned `None`.
impl<E: Clone + Send + Sync + 'static> FusedStream for Connection<E> {
    fn is_terminated(&self) -> bool {
        self.reader.pending & ENDED != 0
    }
}
