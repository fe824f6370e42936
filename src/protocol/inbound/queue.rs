//! A bounded queue in front of the message router, for hosts that want a fixed number of workers.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, unbounded};

use crate::id::ConnectionId;
use crate::protocol::inbound::answer;
use crate::protocol::inbound::dispatch::MessageRouter;
use crate::protocol::inbound::error::HandlerError;
use crate::protocol::inbound::handler::Outcome;
use crate::protocol::packet::Packet;
use crate::protocol::quota::{Quota, Share, raise};
use crate::scope::UserScope;
use crate::sync::{AtomicUsize, Ordering};

/// Users whose mailboxes are found without a walk. With more users, the lists of the table grow.
const USERS: usize = 1 << 16;

/// The error of a queue without room for a message. The client should try again later.
///
/// ```
/// let text = laneway::protocol::Busy.to_string();
/// assert_eq!(text, "too many messages are waiting: try again later");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Busy;

impl fmt::Display for Busy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("too many messages are waiting: try again later")
    }
}

impl std::error::Error for Busy {}

/// A queue of messages that wait for a worker thread of the host's. All clones are the same queue.
///
/// * Messages of one user are handled one at a time, in the order in which they were submitted. Neither
///   more workers nor more [`Inlet`]s change that.
/// * Messages of different users are handled side by side. A user with many messages gets one turn among
///   the turns of the others.
///
/// ```
/// use std::sync::Arc;
/// use std::time::Duration;
///
/// use laneway::protocol::{Busy, InboundQueue, MessageRouter};
/// use laneway::{Hub, UserId};
///
/// let (hub, now) = (Hub::new(), Duration::ZERO);
/// let inbound = MessageRouter::new(Arc::default(), now);
/// let queue = InboundQueue::new(1_024, 1);
/// let inlet = queue.inlet(hub.scope(UserId::new("ann")?), None);
/// queue.submit(&inbound, &inlet, br#"{"type":"ping"}"#.to_vec(), now)?;
/// assert_eq!(queue.submit(&inbound, &inlet, br#"{"type":"ping"}"#.to_vec(), now), Err(Busy));
/// assert!(queue.work(&inbound, Duration::ZERO, || now).is_some());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Bounds
///
/// A user has at most one share of the places and one worker, whatever the number of the user's inlets.
/// A user who floods the queue, or whose messages hang their handlers, receives [`Busy`]. No other user
/// does under two conditions:
///
/// * There is at least one worker more than users whose handlers hang.
/// * There are more places than the shares of the users who flood.
///
/// # Progress
///
/// Submitting and taking out take the short locks of the channels. Handlers run outside of them. A worker
/// whose handler hangs is lost until the handler returns. The other workers go on.
#[derive(Clone)]
pub struct InboundQueue(Arc<Inner>);

struct Inner {
    /// The users with a message that waits and none that is handled, each once.
    ready: (Sender<Arc<User>>, Receiver<Arc<User>>),
    /// Messages that wait, of all users.
    waiting: AtomicUsize,
    capacity: usize,
    share: usize,
    users: Arc<Quota<Mailbox>>,
}

type User = Share<Mailbox>;

/// A user's messages.
struct Mailbox {
    jobs: (Sender<Job>, Receiver<Job>),
    /// Messages that wait.
    waiting: AtomicUsize,
    /// Messages that wait, and the one that a worker has.
    under_way: AtomicUsize,
}

impl Default for Mailbox {
    fn default() -> Self {
        Self {
            jobs: unbounded(), // As long as `waiting` allows.
            waiting: AtomicUsize::new(0),
            under_way: AtomicUsize::new(0),
        }
    }
}

/// The bytes of a client.
struct Job {
    client: Arc<Client>,
    json: Vec<u8>,
}

/// One client's way into an [`InboundQueue`]. Clones are the same client.
///
/// All clients of one user have one share of the queue together.
///
/// ```
/// # use std::{sync::Arc, time::Duration};
/// # use laneway::{Hub, UserId, protocol::*};
/// # let (hub, now) = (Hub::new(), Duration::ZERO);
/// # let ann = hub.scope(UserId::new("ann")?);
/// # let inbound = MessageRouter::new(Arc::default(), now);
/// let queue = InboundQueue::new(1_024, 1);
/// let (phone, laptop) = (queue.inlet(ann.clone(), None), queue.inlet(ann, None));
/// queue.submit(&inbound, &phone, br#"{"type": "ping"}"#.to_vec(), now)?;
/// assert_eq!(queue.submit(&inbound, &laptop, br#"{"type": "ping"}"#.to_vec(), now), Err(Busy));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Inlet(Arc<Client>);

impl Inlet {
    /// Returns the number of the user's messages that wait or that a worker has. Wait-free.
    ///
    /// ```
    /// # use std::{sync::Arc, time::Duration};
    /// # use laneway::{Hub, UserId, protocol::*};
    /// # let (hub, now) = (Hub::new(), Duration::ZERO);
    /// # let ann = hub.scope(UserId::new("ann")?);
    /// # let inbound = MessageRouter::new(Arc::default(), now);
    /// let queue = InboundQueue::new(1_024, 16);
    /// let inlet = queue.inlet(ann, None);
    /// queue.submit(&inbound, &inlet, br#"{"type": "ping"}"#.to_vec(), now)?;
    /// assert_eq!(inlet.under_way(), 1);
    /// queue.work(&inbound, Duration::ZERO, || now);
    /// assert_eq!(inlet.under_way(), 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn under_way(&self) -> usize {
        self.0.user.of.under_way.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for Inlet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inlet")
            .field("scope", &self.0.scope)
            .field("connection", &self.0.connection)
            .field("under_way", &self.under_way())
            .finish()
    }
}

struct Client {
    scope: UserScope<Packet>,
    connection: Option<ConnectionId>,
    user: Arc<User>,
    users: Arc<Quota<Mailbox>>,
}

impl Drop for Client {
    fn drop(&mut self) {
        // With the user's last client the mailbox goes: its messages keep their clients.
        self.users.put_back(&self.user);
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // A message keeps its client, the client its mailbox, and the mailbox the message. No worker comes
        // to take it out any more.
        for user in self.ready.1.try_iter() {
            user.of.jobs.1.try_iter().for_each(drop);
        }
    }
}

/// A user's turn with a worker. It ends when this is dropped, also by a panic.
struct Turn<'a> {
    queue: &'a Inner,
    user: Arc<User>,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        // AcqRel: what the handler did is seen by the worker that takes the user's next message.
        if self.user.of.under_way.fetch_sub(1, Ordering::AcqRel) > 1 {
            self.queue.is_ready(&self.user);
        }
    }
}

impl Inner {
    fn is_ready(&self, user: &Arc<User>) {
        // Fails without receivers, and this has one.
        let _ = self.ready.0.send(Arc::clone(user));
    }

    /// Takes a place for a message of the user's.
    fn take_place(&self, mailbox: &Mailbox) -> bool {
        let of_user = raise(&mailbox.waiting, self.share) == Ok(true);
        let of_all = of_user && raise(&self.waiting, self.capacity) == Ok(true);
        if of_user && !of_all {
            mailbox.waiting.fetch_sub(1, Ordering::AcqRel);
        }
        of_all
    }
}

impl fmt::Debug for InboundQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InboundQueue")
            .field("waiting", &self.waiting())
            .field("capacity", &self.0.capacity)
            .field("share", &self.0.share)
            .finish_non_exhaustive()
    }
}

impl InboundQueue {
    /// Creates a queue in which `capacity` messages may wait, at most `share` of one user.
    ///
    /// The message that a worker has does not wait. So a share of 1 serves a client that sends its next
    /// message after the answer.
    ///
    /// ```
    /// let queue = laneway::protocol::InboundQueue::new(1_024, 16);
    /// assert_eq!(queue.waiting(), 0);
    /// ```
    ///
    /// If either is 0, each message is refused as [`Busy`].
    #[must_use]
    pub fn new(capacity: usize, share: usize) -> Self {
        Self(Arc::new(Inner {
            ready: unbounded(), // Each user once.
            waiting: AtomicUsize::new(0),
            capacity,
            share,
            users: Arc::new(Quota::roomy(USERS)),
        }))
    }

    /// Creates the way in of one client. The host calls it once for each client, when it connects.
    ///
    /// The answers go to `connection`, or without one to all connections of the user. Lock-free.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use laneway::{Hub, UserId, protocol::*};
    /// # let (hub, now) = (Hub::new(), Duration::ZERO);
    /// # let ann = hub.scope(UserId::new("ann")?);
    /// let queue = InboundQueue::new(1_024, 16);
    /// let phone = ann.connect()?;
    /// let inlet = queue.inlet(ann, Some(phone.id()));
    /// assert_eq!(inlet.under_way(), 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn inlet(&self, scope: UserScope<Packet>, connection: Option<ConnectionId>) -> Inlet {
        let users = Arc::clone(&self.0.users);
        Inlet(Arc::new(Client {
            user: users.take_unlimited(scope.user()),
            scope,
            connection,
            users,
        }))
    }

    /// Adds the bytes of a client. Never waits for room.
    ///
    /// ```
    /// # use std::{sync::Arc, time::Duration};
    /// # use laneway::{Hub, UserId, protocol::*};
    /// # let (hub, now) = (Hub::new(), Duration::ZERO);
    /// # let ann = hub.scope(UserId::new("ann")?);
    /// # let inbound = MessageRouter::new(Arc::default(), now);
    /// let queue = InboundQueue::new(1_024, 16);
    /// let inlet = queue.inlet(ann, None);
    /// queue.submit(&inbound, &inlet, br#"{"type": "ping"}"#.to_vec(), now)?;
    /// assert_eq!(queue.waiting(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Busy`] if the user's share is waiting, or there is no room. The router then sends the client an
    /// error with the code `BUSY`, at the host's time `now`, unless the bytes are an answer.
    pub fn submit(
        &self,
        router: &MessageRouter,
        inlet: &Inlet,
        json: Vec<u8>,
        now: Duration,
    ) -> Result<(), Busy> {
        let client = &inlet.0;
        let mailbox = &client.user.of;
        if self.0.take_place(mailbox) {
            let job = Job {
                client: Arc::clone(client),
                json,
            };
            // Fails without receivers, and the mailbox has one.
            let _ = mailbox.jobs.0.send(job);
            // After the message is in. In the other order a worker could take the user's turn in
            // between, find no message, and leave this one without a turn.
            if mailbox.under_way.fetch_add(1, Ordering::AcqRel) == 0 {
                self.0.is_ready(&client.user);
            }
            return Ok(());
        }
        let error = (answer::BUSY, HandlerError::new("BUSY", Busy.to_string()));
        let _ = router.refuse(&client.scope, client.connection, &json, error, now);
        Err(Busy)
    }

    /// Returns the number of messages that wait, of all users. Wait-free.
    ///
    /// ```
    /// assert_eq!(laneway::protocol::InboundQueue::new(1_024, 16).waiting(), 0);
    /// ```
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.0.waiting.load(Ordering::Relaxed)
    }

    /// Takes one message to its handler. A worker thread of the host's calls this in a loop.
    ///
    /// Waits at most `timeout` for a message, and returns `None` without one. Calls `now` for the host's
    /// time once there is a message.
    ///
    /// ```
    /// # use std::{sync::Arc, time::Duration};
    /// # use laneway::{Hub, UserId, protocol::*};
    /// # let (hub, now) = (Hub::new(), Duration::ZERO);
    /// # let ann = hub.scope(UserId::new("ann")?);
    /// # let inbound = MessageRouter::new(Arc::default(), now);
    /// let queue = InboundQueue::new(1_024, 16);
    /// let inlet = queue.inlet(ann, None);
    /// queue.submit(&inbound, &inlet, br#"{"type": "ping"}"#.to_vec(), now)?;
    /// let work = || queue.work(&inbound, Duration::from_millis(1), || now);
    /// assert_eq!((work(), work()), (Some(Outcome::Handled(None)), None));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn work(
        &self,
        router: &MessageRouter,
        timeout: Duration,
        now: impl FnOnce() -> Duration,
    ) -> Option<Outcome> {
        let user = self.0.ready.1.recv_timeout(timeout).ok()?;
        let turn = Turn {
            queue: &self.0,
            user,
        };
        let mailbox = &turn.user.of;
        let job = mailbox.jobs.1.try_recv().ok()?;
        mailbox.waiting.fetch_sub(1, Ordering::AcqRel);
        self.0.waiting.fetch_sub(1, Ordering::AcqRel);
        let Client {
            scope, connection, ..
        } = &*job.client;
        Some(router.route_json(scope, *connection, &job.json, now()))
    }
}
