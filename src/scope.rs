//! The capability bound to one user.

use std::fmt;
use std::sync::Arc;

use crate::connection::Connection;
use crate::error::{CloseReason, ConnectError, PublishError};
use crate::id::{ConnectionId, ThreadId, UserId};
use crate::router::Core;
use crate::stats::ConnectionInfo;
use crate::sync::Ordering;

/// What a publish did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
#[non_exhaustive]
pub struct Delivery {
    /// The event's number in the user's lane; later events have larger ones.
    pub number: u64,
    /// The connections that were live when the event was accepted: at least one.
    pub connections: usize,
}

/// Settings of one connection.
#[derive(Clone, Debug, Default)]
pub struct ConnectOptions {
    /// The thread that the connection is attached to.
    pub thread: Option<ThreadId>,
}

/// The only value that publishes to a user or connects as that user.
///
/// It has no method that takes a user: the scope is the address.
pub struct UserScope<E: Send + Sync + 'static> {
    core: Arc<Core<E>>,
    user: UserId,
}

impl<E: Send + Sync + 'static> UserScope<E> {
    pub(crate) fn new(core: Arc<Core<E>>, user: UserId) -> Self {
        Self { core, user }
    }

    /// Whose scope this is.
    #[must_use]
    pub fn user(&self) -> &UserId {
        &self.user
    }

    /// Opens a connection that gets every event accepted from now on. Lock-free.
    ///
    /// # Errors
    ///
    /// [`ConnectError`] says which limit stands in the way, or that the router was shut down.
    pub fn connect(&self) -> Result<Connection<E>, ConnectError> {
        self.connect_with(ConnectOptions::default())
    }

    /// [`connect`](Self::connect) with settings.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect).
    pub fn connect_with(&self, options: ConnectOptions) -> Result<Connection<E>, ConnectError> {
        self.core.connect(&self.user, options)
    }

    /// Delivers `event` to every live connection of the user, overwriting the oldest event that a
    /// late connection has not read; that connection is told exactly how much it missed.
    ///
    /// Lock-free; never waits for a reader. An overwritten payload is dropped before this returns.
    ///
    /// # Errors
    ///
    /// [`PublishError`] hands the event back.
    ///
    /// # Panics
    ///
    /// Only if the `Drop` of an overwritten event does; the new event is published then.
    pub fn publish(&self, event: E) -> Result<Delivery, PublishError<E>> {
        self.deliver(event, true)
    }

    /// As [`publish`](Self::publish), but refuses with [`PublishError::Full`] where it would have
    /// to overwrite; nobody observes anything then.
    ///
    /// # Errors
    ///
    /// [`PublishError`] hands the event back.
    pub fn try_publish(&self, event: E) -> Result<Delivery, PublishError<E>> {
        self.deliver(event, false)
    }

    fn deliver(&self, event: E, evict: bool) -> Result<Delivery, PublishError<E>> {
        let accepted = self.core.deliver(&self.user, event, evict)?;
        Ok(Delivery {
            number: accepted.number,
            connections: accepted.connections.into(),
        })
    }

    /// The user's live connections. Lock-free.
    #[must_use]
    pub fn connections(&self) -> Vec<ConnectionInfo> {
        let mut list = Vec::new();
        self.core.with_user(&self.user, |user| {
            user.lane.for_each(|member| {
                if member.is_open() {
                    list.push(ConnectionInfo {
                        id: member.id,
                        thread: member.thread.clone(),
                        unread: user.lane.unread(member.cursor.load(Ordering::Acquire)),
                        missed: member.missed.load(Ordering::Relaxed),
                    });
                }
            });
        });
        list
    }

    /// How many connections the user has. Lock-free.
    #[must_use]
    pub fn connection_count(&self) -> usize {
        self.core
            .with_user(&self.user, |user| user.lane.live())
            .unwrap_or(0)
    }

    /// Closes one of the user's connections with the host's `code`; what it has not read is cut
    /// off. `false`, and counted, if it is not a live connection of this user. Lock-free.
    pub fn disconnect(&self, connection: ConnectionId, code: u16) -> bool {
        let closed = self.close_where(code, |id| id == connection) == 1;
        if !closed {
            self.core
                .counters
                .unknown_connections
                .fetch_add(1, Ordering::Relaxed);
        }
        closed
    }

    /// Closes all of the user's connections with the host's `code` and says how many. Lock-free.
    pub fn disconnect_all(&self, code: u16) -> usize {
        self.close_where(code, |_| true)
    }

    fn close_where(&self, code: u16, which: impl Fn(ConnectionId) -> bool) -> usize {
        let Some(user) = self.core.find(&self.user) else {
            return 0;
        };
        let mut closed = 0;
        user.lane.for_each(|member| {
            let reason = CloseReason::Disconnected { code };
            if which(member.id) && self.core.close(&user, member, reason) {
                closed += 1;
            }
        });
        closed
    }
}

impl<E: Send + Sync + 'static> Clone for UserScope<E> {
    fn clone(&self) -> Self {
        Self {
            core: Arc::clone(&self.core),
            user: self.user.clone(),
        }
    }
}

impl<E: Send + Sync + 'static> fmt::Debug for UserScope<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserScope")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}
