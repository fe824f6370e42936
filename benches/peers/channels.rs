//! Bounded channels. Each drops the newest event when it is full, and tells its sender.

/// A bounded channel.
pub(crate) trait Channel<E>: 'static {
    type Sender: Send + Sync + 'static;
    type Receiver: Send;
    fn bounded(capacity: usize) -> (Self::Sender, Self::Receiver);
    /// `false` if the event did not get in.
    fn send(sender: &Self::Sender, event: E) -> bool;
    fn receive(receiver: &mut Self::Receiver) -> Option<E>;
    /// Sleeps until there is an event, or there will be none.
    fn wait(receiver: &mut Self::Receiver) -> Option<E>;
}

macro_rules! channel {
    ($(#[$doc:meta])* $name:ident, $sender:ty, $receiver:ty, $bounded:path, $wait:ident) => {
        $(#[$doc])*
        pub(crate) struct $name;

        impl<E: Send + 'static> Channel<E> for $name {
            type Sender = $sender;
            type Receiver = $receiver;
            fn bounded(capacity: usize) -> (Self::Sender, Self::Receiver) {
                $bounded(capacity)
            }
            fn send(sender: &Self::Sender, event: E) -> bool {
                sender.try_send(event).is_ok()
            }
            fn receive(receiver: &mut Self::Receiver) -> Option<E> {
                receiver.try_recv().ok()
            }
            fn wait(receiver: &mut Self::Receiver) -> Option<E> {
                receiver.$wait().into_iter().next()
            }
        }
    };
}

channel!(
    /// The standard library's.
    Std,
    std::sync::mpsc::SyncSender<E>,
    std::sync::mpsc::Receiver<E>,
    std::sync::mpsc::sync_channel,
    recv
);
channel!(
    /// Sender and receiver share a lock.
    Flume,
    flume::Sender<E>,
    flume::Receiver<E>,
    flume::bounded,
    recv
);
channel!(
    /// Allocates all its room at once.
    Crossbeam,
    crossbeam_channel::Sender<E>,
    crossbeam_channel::Receiver<E>,
    crossbeam_channel::bounded,
    recv
);
channel!(
    /// Counts its room in a semaphore.
    Tokio,
    tokio::sync::mpsc::Sender<E>,
    tokio::sync::mpsc::Receiver<E>,
    tokio::sync::mpsc::channel,
    blocking_recv
);

/// Sender and receiver share a lock.
pub(crate) struct Kanal;

impl<E: Send + 'static> Channel<E> for Kanal {
    type Sender = kanal::Sender<E>;
    type Receiver = kanal::Receiver<E>;
    fn bounded(capacity: usize) -> (Self::Sender, Self::Receiver) {
        kanal::bounded(capacity)
    }
    fn send(sender: &Self::Sender, event: E) -> bool {
        sender.try_send(event).is_ok_and(|sent| sent)
    }
    fn receive(receiver: &mut Self::Receiver) -> Option<E> {
        receiver.try_recv().ok().flatten()
    }
    fn wait(receiver: &mut Self::Receiver) -> Option<E> {
        receiver.recv().ok()
    }
}
