//! One live device of one user: the receiving end.

use std::fmt;
use std::sync::Arc;
use std::task::Waker;
use std::thread::ThreadId as OsThreadId;
use std::time::Duration;

use crate::engine::{Core, User};
use crate::error::CloseReason;
use crate::id::{ConnectionId, UserId};
use crate::lane::member::Member;
use crate::lane::rule::Verdict;
use crate::lane::{Reader, Seat};
use crate::stats::ConnectionStats;

// In the order of the documentation, which lists methods by the order of these lines.
mod receive;

mod wait;

mod closed;

#[cfg(feature = "stream")]
mod stream;

mod batch;

mod merge;

mod resume;

mod answer;

mod attach;

mod replayed;

pub use closed::UntilClosed;
use replayed::Replayed;
pub use wait::Next;

/// One live connection of one user: a device. Dropping it disconnects.
///
/// The task of a device receives events and reads its socket in turn:
///
/// ```
/// use laneway::{Closed, Connection, Received};
/// use tokio::sync::mpsc::Receiver;
///
/// async fn serve(mut device: Connection<String>, mut socket: Receiver<String>) -> Option<Closed> {
///     loop {
///         tokio::select! {
///             received = device.next() => match received {
///                 Ok(Received::Event(next)) => println!("send {}: {}", next.number, next.event),
///                 Ok(Received::Gap { missed, .. }) => println!("send: {missed} were skipped"),
///                 Ok(_) => {} // of a later version: no event, and no loss
///                 Err(closed) => return Some(closed), // the last thing it receives
///             },
///             // When the socket is first, `next` is dropped. The event comes at the next turn.
///             text = socket.recv() => println!("from the client: {}", text?),
///         }
///     }
/// }
/// # let hub = laneway::Hub::new();
/// # let device = hub.scope(laneway::UserId::new("ann").unwrap()).connect().unwrap();
/// # hub.shutdown();
/// # let (_socket, texts) = tokio::sync::mpsc::channel(1);
/// # let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
/// # let closed = runtime.block_on(serve(device, texts)).unwrap();
/// # assert_eq!(closed.reason, laneway::CloseReason::Shutdown);
/// ```
///
/// | to receive | call |
/// |---|---|
/// | in an async task, under any runtime | [`next`](Self::next), [`poll_recv`](Self::poll_recv) |
/// | on a thread that sleeps | [`recv`](Self::recv), [`recv_timeout`](Self::recv_timeout) |
/// | what is there, without waiting | [`try_recv`](Self::try_recv), [`drain`](Self::drain), [`visit`](Self::visit) |
/// | nothing, until it is closed | [`closed`](Self::closed), [`poll_closed`](Self::poll_closed) |
/// | pieces of a stream as one event | [`try_recv_merged`](Self::try_recv_merged), [`recv_merged`](Self::recv_merged), [`next_merged`](Self::next_merged) |
///
/// With [`Retention`](crate::Retention) the host sends [`position`](Self::position) to the client at connect,
/// before the first event, and again with each event.
///
/// Receiving takes `&mut self`, so no two threads can receive from one connection.
pub struct Connection<E: Send + Sync + 'static> {
    // Declared before the user, and so dropped before: it may have pinned an arena of the user's lane.
    reader: Reader<E>,
    core: Arc<Core<E>>,
    user: Arc<User<E>>,
    seat: Seat,
    rare: Option<Box<Rare<E>>>,
}

/// The part that few connections have.
struct Rare<E> {
    /// Events that it stepped over because of their rules.
    superseded: u64,
    expired: u64,
    replayed: Replayed<E>,
    /// The waker of the thread that slept in `recv` last.
    blocking: Option<(OsThreadId, Waker)>,
}

impl<E> Default for Rare<E> {
    fn default() -> Self {
        Self {
            superseded: 0,
            expired: 0,
            replayed: Replayed::default(),
            blocking: None,
        }
    }
}

impl<E> Rare<E> {
    /// Counts an event that its rule has kept from the connection. Those for other connections are
    /// counted by the lane alone.
    fn count(rare: &mut Option<Box<Self>>, verdict: Verdict) {
        match verdict {
            Verdict::Superseded => rare.get_or_insert_default().superseded += 1,
            Verdict::Expired => rare.get_or_insert_default().expired += 1,
            Verdict::Deliver | Verdict::ForOthers => {}
        }
    }
}

/// A registration in the lane is to be taken back.
const PARKED: u8 = 1;
/// There are events from before the connection's time.
const REPLAY: u8 = 2;
/// The connection as a stream has returned its end. Stays for good.
const ENDED: u8 = 4;

impl<E: Send + Sync + 'static> Connection<E> {
    pub(crate) fn new(core: Arc<Core<E>>, user: Arc<User<E>>, seat: Seat) -> Self {
        Self {
            reader: Reader::new(user.lane.member(&seat).cursor()),
            core,
            user,
            seat,
            rare: None,
        }
    }

    #[inline]
    fn member(&self) -> &Member {
        self.user.lane.member(&self.seat)
    }

    /// Returns the device's id. A connection that [resumes](crate::UserScope::resume) keeps it. Wait-free.
    ///
    /// ```
    /// # let hub: laneway::Hub<u8> = laneway::Hub::new();
    /// # let ann = hub.scope(laneway::UserId::new("ann")?);
    /// let (phone, laptop) = (ann.connect()?, ann.connect()?);
    /// assert_ne!(phone.id(), laptop.id());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn id(&self) -> ConnectionId {
        self.member().id
    }

    /// Returns the user of this connection. Wait-free.
    ///
    /// ```
    /// # let hub: laneway::Hub<u8> = laneway::Hub::new();
    /// # let ann = hub.scope(laneway::UserId::new("ann")?);
    /// assert_eq!(ann.connect()?.user(), ann.user());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn user(&self) -> &UserId {
        &self.user.id
    }

    /// Returns the host's note, from its [`ConnectOptions`](crate::ConnectOptions#structfield.note). Wait-free.
    ///
    /// ```
    /// # use laneway::ConnectOptions;
    /// # let hub: laneway::Hub<u8> = laneway::Hub::new();
    /// # let ann = hub.scope(laneway::UserId::new("ann")?);
    /// let phone = ann.connect_with(ConnectOptions::default().note("Pixel 9"))?;
    /// assert_eq!(phone.note(), Some("Pixel 9"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn note(&self) -> Option<&str> {
        self.member().note()
    }

    /// Returns how many numbers this connection has not read. Wait-free.
    ///
    /// ```
    /// # let hub: laneway::Hub<u8> = laneway::Hub::new();
    /// # let ann = hub.scope(laneway::UserId::new("ann")?);
    /// let mut device = ann.connect()?;
    /// ann.publish_batch([3, 4])?;
    /// device.try_recv()?;
    /// assert_eq!(device.unread(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn unread(&self) -> u64 {
        self.user.lane.unread(self.member())
    }

    /// Returns how many numbers the gaps of this connection had in all. Wait-free.
    ///
    /// ```
    /// # let hub = laneway::Hub::builder().lane_capacity(2).build::<u8>()?;
    /// # let ann = hub.scope(laneway::UserId::new("ann")?);
    /// let mut device = ann.connect()?; // of a lane of two events
    /// ann.publish_batch([3, 4, 5])?;
    /// while device.try_recv().is_ok() {}
    /// assert_eq!(device.missed(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn missed(&self) -> u64 {
        self.member().missed()
    }

    /// Returns what became of the numbers of this connection. Wait-free.
    ///
    /// ```
    /// # let hub: laneway::Hub<u8> = laneway::Hub::new();
    /// # let ann = hub.scope(laneway::UserId::new("ann")?);
    /// let mut device = ann.connect()?;
    /// ann.publish_batch([3, 4])?;
    /// device.try_recv()?;
    /// assert_eq!((device.stats().delivered, device.stats().unread), (1, 1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn stats(&self) -> ConnectionStats {
        let stats = self.user.lane.stats(self.member(), &self.reader);
        let Some(rare) = self.rare.as_deref() else {
            return stats;
        };
        ConnectionStats {
            // The lane counts all numbers that were passed without an event.
            stepped_over: stats.stepped_over - rare.superseded - rare.expired,
            superseded: rare.superseded,
            expired: rare.expired,
            replayed: rare.replayed.received,
            ..stats
        }
    }

    /// Returns the delay after which the user is to come back, or `None` if the hub is not draining.
    ///
    /// ```
    /// use std::time::Duration;
    /// use laneway::{DrainPlan, Hub, UserId};
    ///
    /// let hub: Hub<u8> = Hub::new();
    /// let device = hub.scope(UserId::new("ann")?).connect()?;
    /// assert_eq!(device.reconnect_after(), None);
    /// let _drain = hub.drain(DrainPlan::within(Duration::from_secs(30)))?;
    /// assert_eq!(device.reconnect_after(), hub.reconnect_after(device.user()));
    /// # assert!(device.reconnect_after().is_some());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// All of the user's devices have one delay. Wait-free, linear in the length of the id.
    #[must_use]
    pub fn reconnect_after(&self) -> Option<Duration> {
        self.core.reconnect_after(self.user())
    }

    /// Counts as [activity](crate::Builder::activity) at the next sweep: the host has heard of the peer.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # let second = Duration::from_secs(1);
    /// # let hub = laneway::Hub::builder().idle_timeout(Some(second)).build::<u8>()?;
    /// # let ann = hub.scope(laneway::UserId::new("ann")?);
    /// # let device = ann.connect()?;
    /// for quarter in 0..40 {
    ///     device.touch(); // at a pong, say
    ///     assert_eq!(hub.sweep(quarter * second / 4), 0);
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// Wait-free.
    pub fn touch(&self) {
        self.member().touch();
    }

    /// Disconnects, as dropping does.
    ///
    /// ```
    /// # let hub: laneway::Hub<u8> = laneway::Hub::new();
    /// # let ann = hub.scope(laneway::UserId::new("ann")?);
    /// let device = ann.connect()?;
    /// device.disconnect();
    /// assert_eq!(ann.connection_count(), 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Panics
    ///
    /// If this call drops an unread event whose `Drop` panics. It drops those that no other connection has
    /// to read.
    ///
    /// # Progress
    ///
    /// Lock-free; takes one step for each unread number that the lane holds.
    pub fn disconnect(self) {}

    /// Returns the number of its lane, and the first number there that counts for this connection.
    #[cfg(feature = "cluster")]
    pub(crate) fn place(&self) -> (u64, u64) {
        let first = self.user.lane.public(self.reader.joined_at);
        (self.core.lane_number(&self.user), first)
    }

    /// Returns whether it is a connection of this hub.
    #[cfg(feature = "cluster")]
    pub(crate) fn is_of(&self, core: &Arc<Core<E>>) -> bool {
        Arc::ptr_eq(&self.core, core)
    }

    fn rare(&mut self) -> &mut Rare<E> {
        self.rare.get_or_insert_default()
    }
}

impl<E: Send + Sync + 'static> Drop for Connection<E> {
    fn drop(&mut self) {
        if self.reader.pending != 0 {
            self.unpark();
        }
        let lane = &self.user.lane;
        let member = lane.member(&self.seat);
        let owner = Some(&mut self.reader);
        self.core
            .close_as(&self.user, member, CloseReason::Dropped, owner);
        lane.leave(member, &mut self.reader);
        member.wake.clear();
    }
}

impl<E: Send + Sync + 'static> fmt::Debug for Connection<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("id", &self.id())
            .field("user", self.user())
            .finish_non_exhaustive()
    }
}
