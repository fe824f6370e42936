//! The waker of a thread that sleeps.

use std::sync::Arc;
use std::task::{Wake, Waker};
use std::thread::Thread;

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Returns a waker that ends the sleep of `thread`.
pub(crate) fn unparks(thread: Thread) -> Waker {
    Waker::from(Arc::new(Unpark(thread)))
}
