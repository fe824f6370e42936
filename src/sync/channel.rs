//! The channel of notices: crossbeam-channel, which does not compile under `crossbeam_loom`. Models on the
//! real collector have a stand-in, whose lock no thread of a model is stopped in.

#[cfg(not(crossbeam_loom))]
pub(crate) use crossbeam_channel::{Receiver, Sender, unbounded};

#[cfg(crossbeam_loom)]
pub(crate) use stand_in::{Receiver, Sender, unbounded};

#[cfg(crossbeam_loom)]
#[allow(clippy::disallowed_types)] // Only in models.
mod stand_in {
    use std::collections::VecDeque;
    use std::sync::{Arc, Mutex, MutexGuard};
    use std::time::Duration;

    type Messages<T> = Arc<Mutex<VecDeque<T>>>;

    pub(crate) struct Sender<T>(Messages<T>);
    pub(crate) struct Receiver<T>(Messages<T>);

    pub(crate) fn unbounded<T>() -> (Sender<T>, Receiver<T>) {
        let messages = Messages::default();
        (Sender(Arc::clone(&messages)), Receiver(messages))
    }

    fn lock<T>(messages: &Messages<T>) -> MutexGuard<'_, VecDeque<T>> {
        messages.lock().expect("no thread panics inside")
    }

    impl<T> Sender<T> {
        pub(crate) fn send(&self, message: T) -> Result<(), T> {
            lock(&self.0).push_back(message);
            Ok(())
        }
    }

    impl<T> Receiver<T> {
        pub(crate) fn try_recv(&self) -> Result<T, ()> {
            lock(&self.0).pop_front().ok_or(())
        }

        pub(crate) fn recv_timeout(&self, _timeout: Duration) -> Result<T, ()> {
            self.try_recv()
        }
    }
}
