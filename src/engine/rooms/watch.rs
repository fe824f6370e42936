//! Notices to the nodes of a cluster: a room has begun in this hub, or has ended.
//!
//! A notice is a trigger. The watcher asks the hub what is true now. Each change is followed by its notice. So the
//! look after the last notice sees the last change, in whatever order the notices of a room come.

use std::cell::RefCell;
use std::mem::take;
use std::sync::Arc;
use std::task::{Context, Poll};

use smallvec::SmallVec;

use crate::id::RoomId;
use crate::lane::wake::WakeCell;
use crate::sync::channel::{Receiver, Sender, unbounded};
use crate::sync::{AtomicBool, AtomicU64, AtomicUsize, Fault, Guard, Ordering, broken, fence, pin};
use crate::table::copy_on_write::CopyOnWrite;

/// The receiving end of one watcher's notices.
pub(crate) struct RoomWatch {
    notices: Receiver<RoomId>,
    inbox: Arc<Inbox>,
}

/// The sending end.
struct Inbox {
    notices: Sender<RoomId>,
    /// How many notices more fit in.
    room: AtomicUsize,
    lost: AtomicU64,
    /// The receiving end was dropped.
    is_gone: AtomicBool,
    /// Of the task that waits.
    wake: WakeCell,
}

/// A hub's watchers of rooms. At most as many as subscribers to its notices: a node is one of each.
pub(crate) struct Watchers(CopyOnWrite<Vec<Arc<Inbox>>>);

/// One call that may begin or end rooms: its guard, and the rooms that it has begun or ended.
///
/// The watchers are told when it is dropped, behind the guard: a thread that is stopped with a channel's lock would
/// otherwise keep the whole process from freeing memory.
pub(super) struct Call<'a> {
    // Fields are dropped in this order.
    pub(super) guard: Guard,
    changes: Changes<'a>,
}

struct Changes<'a> {
    watchers: &'a Watchers,
    rooms: RefCell<SmallVec<[RoomId; 1]>>,
}

impl RoomWatch {
    /// Returns the room of the next notice, if there is one.
    pub(crate) fn try_next(&self) -> Option<RoomId> {
        let room = self.notices.try_recv().ok()?;
        self.inbox.room.fetch_add(1, Ordering::AcqRel);
        Some(room)
    }

    /// Polls for the next notice.
    pub(crate) fn poll_next(&self, cx: &Context<'_>) -> Poll<RoomId> {
        if let Some(room) = self.try_next() {
            return Poll::Ready(room);
        }
        self.inbox.wake.arm(cx.waker());
        // The second look. Without it: the task finds the channel empty, another thread puts a notice in and finds
        // no waker, and the task arms and sleeps behind that notice. This thread arms and then looks, that one puts
        // in and then looks for a waker. Between its two steps each has a fence. So this look finds the notice, or
        // that thread finds the waker.
        fence(Ordering::SeqCst);
        if broken(Fault::WatchWithoutLooking) {
            return Poll::Pending;
        }
        match self.try_next() {
            None => Poll::Pending,
            Some(room) => {
                self.inbox.wake.disarm();
                Poll::Ready(room)
            }
        }
    }

    /// Returns how many notices were lost because the channel was full. Wait-free.
    pub(crate) fn lost(&self) -> u64 {
        self.inbox.lost.load(Ordering::Acquire)
    }
}

impl Drop for RoomWatch {
    fn drop(&mut self) {
        // The next change takes this watcher off the list.
        self.inbox.is_gone.store(true, Ordering::Release);
        self.inbox.wake.clear();
    }
}

impl Inbox {
    /// Sends a notice, or loses it if the channel is full. Never waits for room.
    fn tell(&self, room: &RoomId) {
        let mut left = self.room.load(Ordering::Acquire);
        while left > 0 {
            let (ok, err) = (Ordering::AcqRel, Ordering::Acquire);
            match self.room.compare_exchange(left, left - 1, ok, err) {
                Ok(_) => {
                    // It fails only if the receiving end is gone.
                    let _ = self.notices.send(room.clone());
                    // Pairs with the fence in `poll_next`.
                    fence(Ordering::SeqCst);
                    return self.wake.wake();
                }
                Err(now) => left = now,
            }
        }
        // Release: pairs with `lost`. A watcher that sees the loss sees the change.
        self.lost.fetch_add(1, Ordering::Release);
    }

    fn is_there(&self) -> bool {
        !self.is_gone.load(Ordering::Acquire)
    }
}

impl Watchers {
    pub(crate) fn new() -> Self {
        Self(CopyOnWrite::empty())
    }

    /// Adds a watcher with room for so many notices.
    pub(super) fn add(&self, capacity: usize) -> RoomWatch {
        // `room` bounds it. A bounded channel would allocate all of it at once.
        let (sender, notices) = unbounded();
        let inbox = Arc::new(Inbox {
            notices: sender,
            room: AtomicUsize::new(capacity),
            lost: AtomicU64::new(0),
            is_gone: AtomicBool::new(false),
            wake: WakeCell::new(),
        });
        self.relist(Some(&inbox));
        RoomWatch { notices, inbox }
    }

    /// Sends a notice to each watcher.
    pub(super) fn tell(&self, room: &RoomId) {
        let all = self.0.load();
        for inbox in all.iter() {
            inbox.tell(room);
        }
        if !all.iter().all(|inbox| inbox.is_there()) {
            self.relist(None);
        }
    }

    /// Replaces the list by one without dropped watchers and with `added`.
    fn relist(&self, added: Option<&Arc<Inbox>>) {
        self.0.change(|list| {
            list.retain(|inbox| inbox.is_there());
            list.extend(added.cloned());
        });
    }
}

impl<'a> Call<'a> {
    pub(super) fn begin(watchers: &'a Watchers) -> Self {
        let rooms = RefCell::default();
        Self {
            guard: pin(),
            changes: Changes { watchers, rooms },
        }
    }

    /// Notes a room that has begun or ended. One branch in a hub that was never a node.
    pub(super) fn note(&self, room: &RoomId) {
        let Changes { watchers, rooms } = &self.changes;
        if !watchers.0.was_never_set() {
            rooms.borrow_mut().push(room.clone());
        }
    }

    /// Tells the watchers at once: a defect of the models.
    pub(super) fn tell_now(&self, room: &RoomId) {
        self.changes.watchers.tell(room);
    }
}

impl Drop for Changes<'_> {
    fn drop(&mut self) {
        for room in take(self.rooms.get_mut()) {
            self.watchers.tell(&room);
        }
    }
}
