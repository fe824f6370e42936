//! Notices of connections that come and go, through a bounded channel for each subscriber.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use flume::{Receiver, Sender};

use crate::error::CloseReason;
use crate::id::{ConnectionId, ThreadId, UserId};
use crate::lane::wake::WakeCell;
use crate::sync::{AtomicBool, AtomicU64, AtomicUsize, Ordering, pin};
use crate::table::storage::{Link, Owned, View};

#[cfg(feature = "stream")]
mod stream;
mod wait;

pub use wait::NextNotice;

/// One change of who is there.
///
/// A user's time online is a *session*, numbered so that a later one has the higher number. Within
/// a session the changes are numbered from 0 without holes: `Online` is 0, a connection's
/// `Disconnected` comes after its `Connected`, and `Offline` is the last. Notices may arrive in
/// another order than their numbers when several threads connect and disconnect at once; a number
/// that never arrives was lost because the channel was full. A session's numbers are for
/// two billion connections.
///
/// A connection that resumes has the id of the one that it continues. If that one is still there, its
/// `Disconnected` says [`CloseReason::Replaced`] and the next number is the `Connected` of the other
/// one, or that came before: a device whose last notice says `Replaced` is there.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Notice {
    /// Whose change it is.
    pub user: UserId,
    /// The time online that it belongs to.
    pub session: u64,
    /// Its place among the changes of that session.
    pub number: u64,
    /// What changed.
    pub change: Change,
}

/// What a [`Notice`] tells.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// The user's first connection is there.
    Online,
    /// The user's last connection is gone.
    Offline,
    /// A connection was opened.
    #[non_exhaustive]
    Connected {
        /// Which.
        connection: ConnectionId,
        /// The thread it is attached to.
        thread: Option<ThreadId>,
    },
    /// A connection was closed.
    #[non_exhaustive]
    Disconnected {
        /// Which.
        connection: ConnectionId,
        /// Why.
        reason: CloseReason,
    },
}

/// The receiving end of a hub's notices, from [`Hub::lifecycle`](crate::Hub::lifecycle).
///
/// Several can listen at a time, each through a channel of its own. Each loses what finds its own channel
/// full, and costs the others nothing. Dropping it ends its notices and drops what it has not read.
///
/// Each call takes the channel's short lock, as the thread that tells does.
pub struct Lifecycle {
    told: Receiver<Told>,
    inbox: Subscriber,
    /// Turns that its task has had since it last gave way.
    turns: u8,
    /// Its task was told that no more come.
    is_over: bool,
}

/// What goes through a channel.
enum Told {
    Notice(Notice),
    /// No more come. It stays in the channel, for later calls and other threads.
    Over,
}

impl Lifecycle {
    /// The next notice, if there is one.
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
    pub fn try_next(&self) -> Result<Notice, NoNotice> {
        self.open(self.told.try_recv().ok())
    }

    /// Puts the thread to sleep until there is a notice, for at most `timeout`, and returns it.
    ///
    /// # Errors
    ///
    /// [`NoNotice::Nothing`] if none came in time, [`NoNotice::Over`] as soon as that is so.
    pub fn next_timeout(&self, timeout: Duration) -> Result<Notice, NoNotice> {
        self.open(self.told.recv_timeout(timeout).ok())
    }

    fn open(&self, told: Option<Told>) -> Result<Notice, NoNotice> {
        let told = match told {
            Some(Told::Over) => {
                // The notice of a thread that told late comes first.
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

    /// How many notices found this channel full. Wait-free.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.inbox.0.lost.load(Ordering::Relaxed)
    }
}

/// Why there is no notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NoNotice {
    /// None was there, or none came in time. There may be one later.
    Nothing,
    /// The hub is shut down, and no connection is left.
    Over,
}

impl fmt::Display for NoNotice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nothing => "there is no notice yet",
            Self::Over => "the notices are over",
        })
    }
}
impl Error for NoNotice {}

/// Why a host is not told of changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LifecycleError {
    /// The capacity is not from 1 to 1 048 576.
    Capacity(usize),
    /// So many listen already.
    #[non_exhaustive]
    TooMany {
        /// The most that can.
        limit: usize,
    },
}

impl fmt::Display for LifecycleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Capacity(n) => write!(f, "the capacity must be from 1 to 1048576, not {n}"),
            Self::TooMany { limit } => write!(f, "there are {limit} subscribers already"),
        }
    }
}
impl Error for LifecycleError {}

impl Drop for Lifecycle {
    fn drop(&mut self) {
        // The hub keeps its end of the channel until it tells of the next change.
        self.told.drain().for_each(drop);
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
    /// For so many notices more. The end needs none.
    room: AtomicUsize,
    lost: AtomicU64,
    over: AtomicBool,
    /// Of the task that waits.
    wake: WakeCell,
}

impl Subscriber {
    /// A full channel loses the notice. Never waits for room.
    fn tell(&self, notice: Notice) {
        loop {
            let room = self.0.room.load(Ordering::Acquire);
            if room == 0 {
                self.0.lost.fetch_add(1, Ordering::Relaxed);
                return;
            }
            let (ok, err) = (Ordering::AcqRel, Ordering::Acquire);
            let taken = self.0.room.compare_exchange(room, room - 1, ok, err);
            if taken.is_ok() {
                self.put(Told::Notice(notice));
                self.0.wake.wake();
                return;
            }
        }
    }

    fn put(&self, told: Told) {
        // It fails only if the receiving end is gone.
        let _ = self.0.notices.send(told);
    }

    /// Tells that no more come, once.
    fn end(&self) {
        if !self.0.over.swap(true, Ordering::AcqRel) {
            self.put(Told::Over);
            self.0.wake.wake();
        }
    }

    fn is_there(&self) -> bool {
        !self.0.notices.is_disconnected()
    }
}

type List = Vec<Subscriber>;

/// Those who listen to a hub's notices, in a list that is replaced as a whole.
pub(crate) struct Subscribers(Link<List, u16>);

/// Of one hub at a time.
const MAX_SUBSCRIBERS: usize = 16;
/// That one channel holds.
const MAX_NOTICES: usize = 1 << 20;

impl Subscribers {
    pub(crate) fn new() -> Self {
        Self(Link::empty())
    }

    /// Whether no change has to be told.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds one with room for so many notices.
    pub(crate) fn add(&self, capacity: usize) -> Result<Lifecycle, LifecycleError> {
        if !(1..=MAX_NOTICES).contains(&capacity) {
            return Err(LifecycleError::Capacity(capacity));
        }
        // The room that is counted bounds it: the end of the notices needs none.
        let (notices, told) = flume::unbounded();
        let inbox = Subscriber(Arc::new(Inbox {
            notices,
            room: AtomicUsize::new(capacity),
            lost: AtomicU64::new(0),
            over: AtomicBool::new(false),
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

    /// The list, without those that are gone and with `added`.
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

    /// No guard is held when this returns: a channel's lock keeps no memory from being reclaimed.
    fn all(&self) -> Option<Arc<List>> {
        match self.0.load(&pin()) {
            View::Leaf(list) => Some(list.arc()),
            _ => None,
        }
    }

    /// Tells each of them.
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

    /// Tells each of them that no more come.
    pub(crate) fn end(&self) {
        if let Some(all) = self.all() {
            all.iter().for_each(Subscriber::end);
        }
    }
}
