//! The queue from publishers to the driver.

use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};

use crate::cluster::addressee::Addressee;
use crate::cluster::frame::{Local, NodeId};
use crate::cluster::link::{Link, Links};
use crate::cluster::relayed::{Relayed, Unrelayed};
use crate::cluster::stats::{Counters, add};
use crate::id::ThreadId;
use crate::lane::wake::WakeCell;
use crate::notices::{Inbox, Notices, channel};
use crate::sync::{AtomicBool, AtomicU64, Ordering, fence, pin};

/// An event that waits for the broker.
pub(super) struct Waiting<E> {
    pub(super) link: Arc<Link>,
    pub(super) event: E,
    pub(super) is_critical: bool,
    pub(super) thread: Option<ThreadId>,
    /// Where the event is at this node, if the node's frames say it.
    pub(super) local: Option<Local>,
    /// How many events of the link were dropped before this one.
    pub(super) dropped_before: u64,
}

/// The state that publishers and the driver of a node share.
pub(super) struct Outbox<E> {
    pub(super) node: NodeId,
    pub(super) users: Links,
    pub(super) rooms: Links,
    queue: Sender<Waiting<E>>,
    /// Links with drops that were not collected yet.
    owed: Arc<Inbox<Arc<Link>>>,
    /// Of the driver.
    pub(super) wake: WakeCell,
    pub(super) is_connected: AtomicBool,
    /// The driver has ended.
    pub(super) is_stopped: AtomicBool,
    /// A greeting is due, and all last numbers are to be told again.
    pub(super) greets: AtomicBool,
    /// Another node has greeted: all last numbers are to be told again.
    pub(super) retells: AtomicBool,
    /// Ticks of the host's timer.
    pub(super) ticks: AtomicU64,
    /// Events of the queue that the driver has sent, or could not.
    pub(super) handled: AtomicU64,
    /// How often the driver was polled.
    pub(super) polls: AtomicU64,
    /// The frames of this node say where their events are at this node.
    pub(super) is_traced: bool,
    pub(super) counters: Counters,
}

/// The driver's ends of an outbox.
pub(super) struct Waitings<E> {
    pub(super) queue: Receiver<Waiting<E>>,
    pub(super) owed: Notices<Arc<Link>>,
}

impl<E> Outbox<E> {
    /// Creates an outbox with room for `queue` events, and for the drops of so many users and rooms.
    pub(super) fn new(
        queue: usize,
        users: usize,
        rooms: usize,
        is_traced: bool,
    ) -> (Self, Waitings<E>) {
        let (queue, queue_out) = bounded(queue);
        // Each link is in it at most once. Links that their table has no room for may not fit in.
        let (owed, owed_out) = channel(2 * (users + rooms));
        let outbox = Self {
            node: NodeId::random(),
            users: Links::new(users),
            rooms: Links::new(rooms),
            queue,
            owed,
            wake: WakeCell::new(),
            is_connected: AtomicBool::new(false),
            is_stopped: AtomicBool::new(false),
            greets: AtomicBool::new(false),
            retells: AtomicBool::new(false),
            ticks: AtomicU64::new(0),
            handled: AtomicU64::new(0),
            polls: AtomicU64::new(0),
            is_traced,
            counters: Counters::default(),
        };
        let waitings = Waitings {
            queue: queue_out,
            owed: owed_out,
        };
        (outbox, waitings)
    }

    /// Returns the link to a user or a room. Lock-free.
    pub(super) fn link(&self, to: Addressee) -> Arc<Link> {
        match &to {
            Addressee::User(_) => self.users.to(to),
            Addressee::Room(_) => self.rooms.to(to),
        }
    }

    /// Queues an event, or drops and counts it. Waits for no room.
    pub(super) fn put(
        &self,
        link: &Arc<Link>,
        event: E,
        is_critical: bool,
        (thread, local): (Option<ThreadId>, Option<Local>),
    ) -> Relayed {
        if !self.is_connected.load(Ordering::Acquire) {
            let why = if self.is_stopped.load(Ordering::Acquire) {
                Unrelayed::Stopped
            } else {
                Unrelayed::Disconnected
            };
            return self.lose(link, why);
        }
        let waiting = Waiting {
            link: Arc::clone(link),
            event,
            is_critical,
            thread,
            local,
            dropped_before: link.owed.dropped(),
        };
        // Until the event is counted. Without it: a publisher queues an event for a room and is stopped before it counts,
        // another one queues and counts the next. The driver sends the first. A call of the history finds one event
        // counted and one sent, and reads before the second is there. With it the call waits for the first one's count.
        let _guard = self.is_traced.then(pin);
        match self.queue.try_send(waiting) {
            Ok(()) => {
                add(&self.counters.queued, 1);
                // Pairs with the fence in `poll_step`. This thread queues and then looks for a waker, the driver arms
                // and then looks into the queue. So one of the two looks finds what the other thread has written.
                fence(Ordering::SeqCst);
                self.wake.wake();
                Relayed::Queued
            }
            Err(TrySendError::Full(_)) => self.lose(link, Unrelayed::Full),
            Err(TrySendError::Disconnected(_)) => self.lose(link, Unrelayed::Stopped),
        }
    }

    /// Counts an event as dropped.
    #[cold]
    pub(super) fn lose(&self, link: &Arc<Link>, why: Unrelayed) -> Relayed {
        match why {
            Unrelayed::Full => add(&self.counters.dropped_full, 1),
            _ => add(&self.counters.dropped_disconnected, 1),
        }
        if link.owed.drop_one() {
            self.ask(link);
        }
        Relayed::Dropped(why)
    }

    /// Asks the driver to collect the drops of a link.
    fn ask(&self, link: &Arc<Link>) {
        if self.owed.send(Arc::clone(link)) {
            self.wake.wake();
        } else {
            add(&self.counters.untold, 1);
        }
    }
}
