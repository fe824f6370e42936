//! A bounded queue in front of the message router, for hosts that want a fixed number of workers.

use std::time::Duration;

use super::{MessageRouter, Outcome, Packet};
use crate::id::ConnectionId;
use crate::scope::UserScope;

/// What a client sent, and whose it is.
#[derive(Debug)]
pub struct Job {
    /// The sender's scope.
    pub scope: UserScope<Packet>,
    /// The connection that it came by, if the host knows.
    pub connection: Option<ConnectionId>,
    /// What came.
    pub json: Vec<u8>,
}

/// The queue is full: tell the client to try again. The job comes back.
#[derive(Debug)]
pub struct Busy(pub Job);

impl std::fmt::Display for Busy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("busy: too many messages are waiting")
    }
}

impl std::error::Error for Busy {}

/// A queue of messages that wait for a worker. Cheap to clone; all clones are the same queue.
///
/// A worker whose handler hangs is lost until it comes back; the others go on. The queue takes its
/// channel's short lock.
#[derive(Clone, Debug)]
pub struct InboundQueue {
    jobs: flume::Sender<Job>,
    waiting: flume::Receiver<Job>,
}

impl InboundQueue {
    /// A queue of so many messages.
    ///
    /// # Panics
    ///
    /// If `capacity` is 0.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        assert!(capacity > 0, "a queue without room takes no message");
        let (jobs, waiting) = flume::bounded(capacity);
        Self { jobs, waiting }
    }

    /// Puts a message in. Never waits.
    ///
    /// # Errors
    ///
    /// [`Busy`] if there is no room.
    #[allow(clippy::result_large_err)] // The job is the caller's and comes back whole.
    pub fn submit(&self, job: Job) -> Result<(), Busy> {
        self.jobs.try_send(job).map_err(|e| Busy(e.into_inner()))
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
        Some(router.route_json(&job.scope, job.connection, &job.json, now()))
    }
}
