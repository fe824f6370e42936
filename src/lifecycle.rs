//! Subscriptions to notices, each through a bounded channel of its own.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::lane::wake::WakeCell;
use crate::sync::channel::{Receiver, Sender, unbounded};
use crate::sync::{AtomicBool, AtomicU64, AtomicUsize, Ordering, fence, pin};
use crate::table::storage::{Link, Owned, View};

#[cfg(feature = "stream")]
mod stream;
mod wait;

pub use wait::NextNotice;

mod notice;

pub use notice::{Change, LifecycleError, NoNotice, Notice};

/// The receiving end of a hub's notices, from [`Hub::lifecycle`](crate::Hub::lifecycle).
///
/// ```
/// use std::time::Duration;
/// use laneway::{Hub, Lifecycle, NoNotice};
///
/// // On a thread of the host's own.
/// fn watch(notices: &Lifecycle, mut changed: impl FnMut(&str)) {
///     loop {
///         match notices.next_timeout(Duration::from_secs(5)) {
///             Ok(notice) => changed(notice.user.as_str()), // look at the hub for what is true now
///             Err(NoNotice::Over) => return,
///             Err(_) => {} // nothing for now; a good moment to sweep
///         }
///     }
/// }
/// # let hub: Hub<u8> = Hub::new();
/// # let notices = hub.lifecycle(16)?;
/// # drop(hub.scope(laneway::UserId::new("ann")?).connect()?);
/// # hub.shutdown();
/// # let mut seen = 0;
/// # watch(&notices, |user| { assert_eq!(user, "ann"); seen += 1; });
/// # assert_eq!(seen, 4);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// A hub has up to 16 subscribers. A full channel loses notices, and no other subscriber notices that.
/// Dropping the subscriber ends its notices, and drops those that it has not read.
///
/// # Progress
///
/// A thread that receives from a channel and one that sends to it may wait for each other, for a few steps.
/// The documentation calls this the short lock of the channel.
pub struct Lifecycle {
    told: Receiver<Told>,
    inbox: Subscriber,
    /// Turns that its task has had since it last gave way.
    turns: u8,
    /// Its task was told that no more come.
    is_over: bool,
}

/// A message of a channel.
enum Told {
    Notice(Notice),
    /// No more notices come. This message stays in the channel, for later calls and other threads.
    Over,
}

impl Lifecycle {
    /// Returns the next notice, if there is one.
    ///
    /// ```
    /// use laneway::{Change, NoNotice, Hub, UserId};
    ///
    /// let hub: Hub<u8> = Hub::new();
    /// let lifecycle = hub.lifecycle(16)?;
    /// assert_eq!(lifecycle.try_next(), Err(NoNotice::Nothing));
    /// let device = hub.scope(UserId::new("ann")?).connect()?;
    /// assert_eq!(lifecycle.try_next()?.change, Change::Online);
    /// hub.shutdown();
    /// drop(device);
    /// let told = std::iter::from_fn(|| lifecycle.try_next().ok());
    /// assert_eq!(told.last().unwrap().change, Change::Offline);
    /// assert_eq!(lifecycle.try_next(), Err(NoNotice::Over));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`NoNotice::Nothing`] for now, or [`NoNotice::Over`] for good.
    ///
    /// # Progress
    ///
    /// Takes the short lock of this channel. Does not wait for a notice.
    pub fn try_next(&self) -> Result<Notice, NoNotice> {
        self.open(self.told.try_recv().ok())
    }

    /// Puts the thread to sleep until there is a notice, for at most `timeout`, and returns it.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # let hub: laneway::Hub<u8> = laneway::Hub::new();
    /// let notices = hub.lifecycle(16)?;
    /// let nothing = notices.next_timeout(Duration::from_millis(5));
    /// assert_eq!(nothing, Err(laneway::NoNotice::Nothing));
    /// # Ok::<(), laneway::LifecycleError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`NoNotice::Nothing`] if none came in time, [`NoNotice::Over`] as soon as that is so.
    ///
    /// # Progress
    ///
    /// Takes the short lock of this channel, and puts the thread to sleep while there is nothing.
    pub fn next_timeout(&self, timeout: Duration) -> Result<Notice, NoNotice> {
        self.open(self.told.recv_timeout(timeout).ok())
    }

    fn open(&self, told: Option<Told>) -> Result<Notice, NoNotice> {
        let told = match told {
            Some(Told::Over) => {
                // A thread that closed a connection before the end may send its notice after the end.
                // Without this look that notice would never be read.
                let late = self.told.try_recv().ok();
                self.inbox.put(Told::Over);
                late.or(told)
            }
            told => told,
        };
        match told {
            None => Err(NoNotice::Nothing),
            Some(Told::Over) => Err(NoNotice::Over),
            Some(Told::Notice(notice)) => {
                self.inbox.0.room.fetch_add(1, Ordering::AcqRel);
                Ok(notice)
            }
        }
    }

    /// Returns how many notices this channel has lost because it was full. Wait-free.
    ///
    /// ```
    /// # let hub: laneway::Hub<u8> = laneway::Hub::new();
    /// # let ann = hub.scope(laneway::UserId::new("ann")?);
    /// let notices = hub.lifecycle(1)?;
    /// let _device = ann.connect()?; // `Online` and `Connected`
    /// assert_eq!(notices.lost(), 1); // so look at all users: `Hub::for_each_user`
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.inbox.0.lost.load(Ordering::Acquire)
    }
}

impl Drop for Lifecycle {
    fn drop(&mut self) {
        // The next change takes this subscriber off the list.
        self.inbox.0.gone.store(true, Ordering::Release);
        self.inbox.0.wake.clear();
    }
}

impl fmt::Debug for Lifecycle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lifecycle")
            .field("waiting", &self.told.len())
            .field("lost", &self.lost())
            .finish_non_exhaustive()
    }
}

/// The sending end of one subscriber's channel.
#[derive(Clone)]
struct Subscriber(Arc<Inbox>);

struct Inbox {
    notices: Sender<Told>,
    /// How many notices more fit in. The end needs no room.
    room: AtomicUsize,
    lost: AtomicU64,
    over: AtomicBool,
    /// The receiving end was dropped.
    gone: AtomicBool,
    /// Of the task that waits.
    wake: WakeCell,
}

impl Subscriber {
    /// Sends a notice, or loses it if the channel is full. Never waits for room.
    fn tell(&self, notice: Notice) {
        loop {
            let room = self.0.room.load(Ordering::Acquire);
            if room == 0 {
                // Release: pairs with `lost`. A subscriber that sees the loss sees the change.
                self.0.lost.fetch_add(1, Ordering::Release);
                return;
            }
            let (ok, err) = (Ordering::AcqRel, Ordering::Acquire);
            let taken = self.0.room.compare_exchange(room, room - 1, ok, err);
            if taken.is_ok() {
                self.put(Told::Notice(notice));
                self.wake();
                return;
            }
        }
    }

    fn put(&self, told: Told) {
        // It fails only if the receiving end is gone.
        let _ = self.0.notices.send(told);
    }

    /// Sends the end of the notices, once.
    fn end(&self) {
        if !self.0.over.swap(true, Ordering::AcqRel) {
            self.put(Told::Over);
            self.wake();
        }
    }

    /// Wakes the task that waits, after a message was put in.
    fn wake(&self) {
        // Pairs with the fence in `poll_next`.
        fence(Ordering::SeqCst);
        self.0.wake.wake();
    }

    fn is_there(&self) -> bool {
        !self.0.gone.load(Ordering::Acquire)
    }
}

type List = Vec<Subscriber>;

/// A hub's subscribers, in a list that is replaced as a whole.
pub(crate) struct Subscribers(Link<List, u16>);

/// Of one hub at a time.
const MAX_SUBSCRIBERS: usize = 16;
/// Of one channel.
const MAX_NOTICES: usize = 1 << 20;

impl Subscribers {
    pub(crate) fn new() -> Self {
        Self(Link::empty())
    }

    /// Returns whether no change has to be sent.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds a subscriber with room for `capacity` notices.
    pub(crate) fn add(&self, capacity: usize) -> Result<Lifecycle, LifecycleError> {
        if !(1..=MAX_NOTICES).contains(&capacity) {
            return Err(LifecycleError::Capacity(capacity));
        }
        // `room` bounds the channel. A bounded channel could have no place left for the end.
        let (notices, told) = unbounded();
        let inbox = Subscriber(Arc::new(Inbox {
            notices,
            room: AtomicUsize::new(capacity),
            lost: AtomicU64::new(0),
            over: AtomicBool::new(false),
            gone: AtomicBool::new(false),
            wake: WakeCell::new(),
        }));
        self.relist(Some(&inbox))?;
        Ok(Lifecycle {
            told,
            inbox,
            turns: 0,
            is_over: false,
        })
    }

    /// Replaces the list by one without dropped subscribers and with `added`.
    fn relist(&self, added: Option<&Subscriber>) -> Result<(), LifecycleError> {
        let guard = pin();
        loop {
            let view = self.0.load(&guard);
            let mut list: List = match view {
                View::Leaf(list) => list.iter().filter(|s| s.is_there()).cloned().collect(),
                _ => Vec::new(),
            };
            if list.len() >= MAX_SUBSCRIBERS && added.is_some() {
                let limit = MAX_SUBSCRIBERS;
                return Err(LifecycleError::TooMany { limit });
            }
            list.extend(added.cloned());
            let new = if list.is_empty() {
                Owned::Empty
            } else {
                Owned::Leaf(Arc::new(list))
            };
            if self.0.compare_exchange(view, new, &guard).is_ok() {
                return Ok(());
            }
        }
    }

    /// Returns the list. No guard is held then: a thread that is stopped with a channel's lock would keep
    /// the whole process from freeing memory.
    fn all(&self) -> Option<Arc<List>> {
        match self.0.load(&pin()) {
            View::Leaf(list) => Some(list.arc()),
            _ => None,
        }
    }

    /// Sends a notice to each subscriber.
    pub(crate) fn tell(&self, notice: impl FnOnce() -> Notice) {
        let Some(all) = self.all() else { return };
        let notice = notice();
        for subscriber in all.iter() {
            subscriber.tell(notice.clone());
        }
        if !all.iter().all(Subscriber::is_there) {
            let _ = self.relist(None);
        }
    }

    /// Sends the end to each subscriber.
    pub(crate) fn end(&self) {
        if let Some(all) = self.all() {
            all.iter().for_each(Subscriber::end);
        }
    }
}
