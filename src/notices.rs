//! A bounded channel of notices: threads put notices in and never wait for room, and one receiver takes them out.
//!
//! The channel holds as many notices as its capacity says. A notice that finds no room is lost and counted. The end
//! of the notices needs no room.
//!
//! **Progress.** Each call takes the short lock of the channel, except [`Notices::lost`], which is wait-free. A thread
//! that puts a notice in repeats only if another thread has taken room or made room in the meantime.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::lane::wake::WakeCell;
use crate::lifecycle::NoNotice;
use crate::sync::channel::{Receiver, Sender, unbounded};
use crate::sync::{AtomicBool, AtomicU64, AtomicUsize, Fault, Ordering, broken, fence};
use crate::turns::{give_way, take_turn};

#[cfg(all(test, laneway_loom))]
mod models;
mod subscribers;

pub(crate) use subscribers::{Subscribers, fence_after_change};

/// The receiving end. Dropping it drops the notices that were not read.
pub(crate) struct Notices<T> {
    messages: Receiver<Message<T>>,
    inbox: Arc<Inbox<T>>,
    /// Turns that its task has had since it last gave way.
    turns: u8,
    /// Its task was told that no more come.
    is_over: bool,
}

/// The sending end.
pub(crate) struct Inbox<T> {
    messages: Sender<Message<T>>,
    capacity: usize,
    /// How many notices more fit in.
    room: AtomicUsize,
    lost: AtomicU64,
    is_over: AtomicBool,
    /// The receiving end was dropped.
    is_gone: AtomicBool,
    /// Of the task that waits.
    wake: WakeCell,
}

/// A message of a channel.
enum Message<T> {
    Notice(T),
    /// No more notices come. This message stays in the channel: it wakes each thread that sleeps in it.
    Over,
}

/// Creates a channel with room for `capacity` notices.
pub(crate) fn channel<T>(capacity: usize) -> (Arc<Inbox<T>>, Notices<T>) {
    // `room` bounds it. A bounded channel would allocate all of it at once, and could have no place left for the end.
    let (sender, messages) = unbounded();
    let inbox = Arc::new(Inbox {
        messages: sender,
        capacity,
        room: AtomicUsize::new(capacity),
        lost: AtomicU64::new(0),
        is_over: AtomicBool::new(false),
        is_gone: AtomicBool::new(false),
        wake: WakeCell::new(),
    });
    let notices = Notices {
        messages,
        inbox: Arc::clone(&inbox),
        turns: 0,
        is_over: false,
    };
    (inbox, notices)
}

impl<T> Notices<T> {
    /// Returns the next notice, if there is one.
    pub(crate) fn try_next(&self) -> Result<T, NoNotice> {
        let ask = || self.inbox.is_over.load(Ordering::Acquire);
        // Before the look. In the other order: this thread finds the channel empty, another one puts a notice in and
        // then the end, and this thread returns that the notices are over, with one unread.
        let was_over = ask();
        match self.open(self.messages.try_recv().ok()) {
            Some(notice) => Ok(notice),
            // Not by the message alone: another receiving thread may have it out at the moment.
            None if was_over || broken(Fault::AskForTheEndLast) && ask() => Err(NoNotice::Over),
            None => Err(NoNotice::Nothing),
        }
    }

    /// Puts the thread to sleep until there is a notice, for at most `timeout`, and returns it.
    pub(crate) fn next_timeout(&self, timeout: Duration) -> Result<T, NoNotice> {
        match self.open(self.messages.recv_timeout(timeout).ok()) {
            Some(notice) => Ok(notice),
            // The time is over, or the notices are.
            None => self.try_next(),
        }
    }

    /// Returns the notice of a message, or the one behind the end.
    fn open(&self, message: Option<Message<T>>) -> Option<T> {
        match message? {
            Message::Notice(notice) => {
                self.inbox.room.fetch_add(1, Ordering::AcqRel);
                Some(notice)
            }
            Message::Over => {
                // A thread may put its notice in after another one has put the end in. Without this look that notice
                // would never be read.
                let late = if broken(Fault::StopAtTheEnd) {
                    None
                } else {
                    self.messages.try_recv().ok()
                };
                let _ = self.inbox.messages.send(Message::Over);
                // A channel has one end, so `late` is a notice.
                self.open(late)
            }
        }
    }

    /// Polls for the next notice. `None` once they are over, and from then on. Gives way to other tasks.
    pub(crate) fn poll_next(&mut self, cx: &Context<'_>) -> Poll<Option<T>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        if !take_turn(&mut self.turns) {
            return give_way(&mut self.turns, cx);
        }
        let mut found = self.try_next();
        if matches!(found, Err(NoNotice::Nothing)) {
            self.inbox.wake.arm(cx.waker());
            // The second look. Without it: the task finds the channel empty, another thread puts a notice in and finds
            // no waker, and the task arms and sleeps behind that notice. This thread arms and then looks, that one puts
            // in and then looks for a waker. Between its two steps each has a fence. So this look finds the notice, or
            // that thread finds the waker.
            fence(Ordering::SeqCst);
            if !broken(Fault::WaitWithoutLooking) {
                found = self.try_next();
            }
            if matches!(found, Err(NoNotice::Nothing)) {
                self.turns = 0;
                return Poll::Pending;
            }
        }
        self.disarm();
        self.is_over = found.is_err();
        Poll::Ready(found.ok())
    }

    /// Ends a wait: the next thread that puts a notice in does not call its waker.
    pub(crate) fn disarm(&self) {
        self.inbox.wake.disarm();
    }

    /// Returns whether a poll has returned `None`.
    #[cfg(feature = "stream")]
    pub(crate) fn is_over(&self) -> bool {
        self.is_over
    }

    /// Returns how many notices were lost because the channel was full.
    pub(crate) fn lost(&self) -> u64 {
        self.inbox.lost.load(Ordering::Acquire)
    }

    /// Returns how many notices are in the channel, or are on their way into it or out of it.
    pub(crate) fn waiting(&self) -> usize {
        self.inbox.waiting()
    }
}

impl<T> Drop for Notices<T> {
    fn drop(&mut self) {
        self.inbox.is_gone.store(true, Ordering::Release);
        self.inbox.wake.clear();
    }
}

impl<T> Inbox<T> {
    /// Puts a notice in, or loses it if the channel is full. Returns whether it is in. Never waits for room.
    pub(crate) fn send(&self, notice: T) -> bool {
        let mut room = self.room.load(Ordering::Acquire);
        while room > 0 {
            let (ok, err) = (Ordering::AcqRel, Ordering::Acquire);
            let taken = if broken(Fault::RoomInTwoSteps) {
                self.room.store(room - 1, Ordering::Release);
                Ok(room)
            } else {
                self.room.compare_exchange(room, room - 1, ok, err)
            };
            match taken {
                Ok(_) => {
                    self.put(Message::Notice(notice));
                    return true;
                }
                Err(now) => room = now,
            }
        }
        // Release: pairs with `lost`. A receiver that sees the loss sees the change.
        let order = if broken(Fault::LoseUnordered) {
            Ordering::Relaxed
        } else {
            Ordering::Release
        };
        self.lost.fetch_add(1, order);
        false
    }

    /// Puts the end of the notices in, once.
    pub(crate) fn end(&self) {
        if !self.is_over.swap(true, Ordering::AcqRel) {
            self.put(Message::Over);
        }
    }

    /// Puts a message in, and wakes the task that waits.
    fn put(&self, message: Message<T>) {
        // It fails only if the receiving end is gone.
        let _ = self.messages.send(message);
        // Pairs with the fence in `poll_next`.
        fence(Ordering::SeqCst);
        self.wake.wake();
    }

    /// Returns how many notices are in the channel, or are on their way into it or out of it.
    pub(crate) fn waiting(&self) -> usize {
        self.capacity - self.room.load(Ordering::Acquire)
    }

    /// Returns whether the receiving end is there.
    pub(crate) fn is_there(&self) -> bool {
        !self.is_gone.load(Ordering::Acquire)
    }
}
