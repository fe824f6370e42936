//! A bounded queue in front of the message router, for hosts that want a fixed number of workers.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::id::ConnectionId;
use crate::protocol::inbound::answer;
use crate::protocol::inbound::dispatch::MessageRouter;
use crate::protocol::inbound::error::HandlerError;
use crate::protocol::inbound::handler::Outcome;
use crate::protocol::packet::Packet;
use crate::protocol::quota::{Quota, Share, raise};
use crate::scope::UserScope;
use crate::sync::{AtomicUsize, Ordering};

/// Users whose mailboxes the table has room for before its lists grow.
const USERS: usize = 1 << 16;

/// There is no room for a message: tell the client to try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Busy;

impl fmt::Display for Busy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("too many messages are waiting: try again later")
    }
}

impl std::error::Error for Busy {}

/// A queue of messages that wait for a worker. Cheap to clone; all clones are the same queue.
///
/// Messages of one user are handled one at a time, in the order in which they were submitted, however
/// many workers there are and whichever [`Inlet`] they came by. Messages of different users are handled
/// side by side; a user with many messages gets one turn among the others' turns.
///
/// A user has at most a share of the places, whatever the number of the user's inlets, and at most one
/// worker. So a user who floods, or whose messages hang their handlers, is told to be busy, and no other
/// user is, as long as there is a worker more than users whose handlers hang, and as many places as the
/// users who flood have shares. A worker whose handler hangs is lost until it comes back; the others go
/// on. Putting in and taking out take the channels' short locks; handlers run outside of them.
///
/// ```
/// use std::sync::Arc;
/// use std::time::Duration;
///
/// use laneway::protocol::{Busy, InboundQueue, MessageRouter};
/// use laneway::{Hub, UserId};
///
/// let (engine, now) = (Hub::new(), Duration::ZERO);
/// let router = MessageRouter::new(Arc::default(), now);
/// let queue = InboundQueue::new(1_024, 1);
/// let inlet = queue.inlet(engine.scope(UserId::new("ann")?), None);
/// queue.submit(&router, &inlet, br#"{"type":"ping"}"#.to_vec(), now)?;
/// assert_eq!(queue.submit(&router, &inlet, br#"{"type":"ping"}"#.to_vec(), now), Err(Busy));
/// assert!(queue.work(&router, Duration::ZERO, || now).is_some());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct InboundQueue(Arc<Inner>);

struct Inner {
    /// Users who have a message that waits and none that is handled: each is in it once.
    ready: (flume::Sender<Arc<User>>, flume::Receiver<Arc<User>>),
    /// Messages that wait, of all users.
    waiting: AtomicUsize,
    capacity: usize,
    share: usize,
    users: Arc<Quota<Mailbox>>,
}

type User = Share<Mailbox>;

/// A user's messages.
struct Mailbox {
    jobs: (flume::Sender<Job>, flume::Receiver<Job>),
    /// Those that wait.
    waiting: AtomicUsize,
    /// Those that wait, and the one that a worker has.
    under_way: AtomicUsize,
}

impl Default for Mailbox {
    fn default() -> Self {
        Self {
            jobs: flume::unbounded(), // As long as `waiting` allows.
            waiting: AtomicUsize::new(0),
            under_way: AtomicUsize::new(0),
        }
    }
}

/// What a client sent, and whose it is.
struct Job {
    client: Arc<Client>,
    json: Vec<u8>,
}

/// One client's way into an [`InboundQueue`].
///
/// Clones are the same client. All of a user's clients share the user's share.
#[derive(Clone)]
pub struct Inlet(Arc<Client>);

impl Inlet {
    /// The user's messages that wait or are with a worker. Wait-free.
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
        for user in self.ready.1.drain() {
            user.of.jobs.1.drain();
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
    /// A queue in which `capacity` messages may wait, `share` of them one user's. The message that a
    /// worker has does not wait any more, so a share of 1 serves a client that sends its next message
    /// when it has the answer.
    ///
    /// If either is 0, each message is refused as [`Busy`].
    #[must_use]
    pub fn new(capacity: usize, share: usize) -> Self {
        Self(Arc::new(Inner {
            ready: flume::unbounded(), // Each user once.
            waiting: AtomicUsize::new(0),
            capacity,
            share,
            users: Arc::new(Quota::roomy(USERS)),
        }))
    }

    /// A way in for one client: made once, where it connects. `connection` is where its answers go; all
    /// of the user's get them if there is none. Lock-free.
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

    /// Puts in what a client sent. Never waits for room. A client that is refused is told so by
    /// `router`, with the code `BUSY`, at the host's time `now`, unless it sent an answer.
    ///
    /// # Errors
    ///
    /// [`Busy`] if the user's share is waiting, or there is no room.
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
            // After the message is in: the worker that is told finds one.
            if mailbox.under_way.fetch_add(1, Ordering::AcqRel) == 0 {
                self.0.is_ready(&client.user);
            }
            return Ok(());
        }
        let error = (answer::BUSY, HandlerError::new("BUSY", Busy.to_string()));
        let _ = router.refuse(&client.scope, client.connection, &json, error, now);
        Err(Busy)
    }

    /// Messages that wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.0.waiting.load(Ordering::Relaxed)
    }

    /// What a worker does again and again: takes one message to its handler, waiting for one for at
    /// most `timeout`. `now` is asked for the host's time once there is one.
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
