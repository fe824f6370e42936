//! Notices as a stream of futures-core.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::{FusedStream, Stream};

use super::{Lifecycle, Notice};

/// The notices, until they are over: the items of [`Lifecycle::next`].
impl Stream for Lifecycle {
    type Item = Notice;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Notice>> {
        Lifecycle::poll_next(self.get_mut(), cx)
    }
}

/// The stream is terminated once it has returned `None`.
impl FusedStream for Lifecycle {
    fn is_terminated(&self) -> bool {
        self.notices.is_over()
    }
}
