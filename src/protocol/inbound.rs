//! A bounded queue in front of the message router, for hosts that want a fixed number of workers.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::{HandlerError, MessageRouter, Outcome, Packet, rpc};
use crate::id::ConnectionId;
use crate::scope::UserScope;
use crate::sync::{AtomicUsize, Ordering};

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
/// Each client has an [`Inlet`] of its own, which holds at most its share of the queue and of the
/// workers. So a client that floods, or whose messages hang their handlers, is told that it is busy,
/// and nobody else is: as long as there are more workers than one share, and as many places as the
/// clients that flood have shares. A worker whose handler hangs is lost until it comes back; the
/// others go on. Putting in and taking out take the channel's short lock; handlers run outside of it.
#[derive(Clone, Debug)]
pub struct InboundQueue {
    jobs: flume::Sender<Job>,
    waiting: flume::Receiver<Job>,
    share: usize,
}

/// What a client sent, and whose it is.
#[derive(Debug)]
struct Job {
    client: Arc<Client>,
    json: Vec<u8>,
}

impl Drop for Job {
    fn drop(&mut self) {
        self.client.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

/// One client's way into an [`InboundQueue`].
///
/// Clones are the same client and share its share.
#[derive(Clone, Debug)]
pub struct Inlet(Arc<Client>);

impl Inlet {
    /// The client's messages that wait or are with a worker. Wait-free.
    #[must_use]
    pub fn under_way(&self) -> usize {
        self.0.under_way.load(Ordering::Relaxed)
    }
}

#[derive(Debug)]
struct Client {
    scope: UserScope<Packet>,
    connection: Option<ConnectionId>,
    under_way: AtomicUsize,
}

impl InboundQueue {
    /// A queue of `capacity` messages, of which one client has at most `share` under way: waiting, or
    /// with a worker.
    ///
    /// # Panics
    ///
    /// If either is 0.
    #[must_use]
    pub fn new(capacity: usize, share: usize) -> Self {
        assert!(
            capacity > 0 && share > 0,
            "a queue without room takes no message"
        );
        let (jobs, waiting) = flume::bounded(capacity);
        Self {
            jobs,
            waiting,
            share,
        }
    }

    /// A way in for one client: made once, where it connects. `connection` is where its answers go; all
    /// of the user's get them if there is none.
    #[must_use]
    pub fn inlet(&self, scope: UserScope<Packet>, connection: Option<ConnectionId>) -> Inlet {
        Inlet(Arc::new(Client {
            scope,
            connection,
            under_way: AtomicUsize::new(0),
        }))
    }

    /// Puts in what a client sent. Never waits for room. A client that is refused is told so by
    /// `router`, with the code `BUSY`, at the host's time `now`.
    ///
    /// # Errors
    ///
    /// [`Busy`] if the client has its share under way, or there is no room.
    pub fn submit(
        &self,
        router: &MessageRouter,
        inlet: &Inlet,
        json: Vec<u8>,
        now: Duration,
    ) -> Result<(), Busy> {
        let client = &inlet.0;
        let under_way = client.under_way.fetch_add(1, Ordering::Relaxed);
        // From here on it is the job that counts itself out.
        let job = Job {
            client: Arc::clone(client),
            json,
        };
        let job = if under_way < self.share {
            match self.jobs.try_send(job) {
                Ok(()) => return Ok(()),
                Err(full) => full.into_inner(),
            }
        } else {
            job
        };
        let error = HandlerError::new("BUSY", Busy.to_string());
        let _ = router.refuse(
            &client.scope,
            client.connection,
            &job.json,
            (rpc::BUSY, error),
            now,
        );
        Err(Busy)
    }

    /// Messages that wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// What a worker does again and again: takes one message to its handler, waiting for one for at
    /// most `timeout`. `now` is asked for the host's time once there is one.
    pub fn work(
        &self,
        router: &MessageRouter,
        timeout: Duration,
        now: impl FnOnce() -> Duration,
    ) -> Option<Outcome> {
        let job = self.waiting.recv_timeout(timeout).ok()?;
        let Client {
            scope, connection, ..
        } = &*job.client;
        Some(router.route_json(scope, *connection, &job.json, now()))
    }
}
