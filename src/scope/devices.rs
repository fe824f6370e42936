//! The user's devices as the scope sees them: lists, counts, closes.

use std::fmt;
use std::sync::Arc;

use super::UserScope;
use crate::engine::{Use, User};
use crate::error::{AttachError, CloseReason};
use crate::id::{ConnectionId, ThreadId};
use crate::lane::member::Member;
use crate::stats::ConnectionInfo;
use crate::sync::Ordering;

impl<E: Send + Sync + 'static> UserScope<E> {
    /// Returns the user's entry, if there is one and the scope may look at it.
    fn find(&self) -> Option<Arc<User<E>>> {
        self.admit(Use::Look).ok()?;
        self.core.find(&self.user)
    }

    /// Calls `f` with that entry.
    fn with_user<R>(&self, f: impl FnOnce(&User<E>) -> R) -> Option<R> {
        self.admit(Use::Look).ok()?;
        self.core.with_user(&self.user, f)
    }

    /// Returns the user's live connections, never more than the limit.
    ///
    /// ```
    /// # let hub: laneway::Hub<u8> = laneway::Hub::new();
    /// # let ann = hub.scope(laneway::UserId::new("ann")?);
    /// let phone = ann.connect()?;
    /// ann.publish(7)?;
    /// let list = ann.connections();
    /// assert_eq!((list[0].id, list[0].unread), (phone.id(), 1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// Lock-free, linear in the connections.
    #[must_use]
    pub fn connections(&self) -> Vec<ConnectionInfo> {
        match self.admit(Use::Look) {
            Ok(()) => self.core.connections(&self.user),
            Err(_) => Vec::new(),
        }
    }

    /// Returns how many live connections the user has: 0 if the user is offline. Lock-free.
    ///
    /// ```
    /// # let hub: laneway::Hub<u8> = laneway::Hub::new();
    /// # let ann = hub.scope(laneway::UserId::new("ann")?);
    /// let is_online = || ann.connection_count() > 0;
    /// assert!(!is_online());
    /// let _phone = ann.connect()?;
    /// assert!(is_online());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn connection_count(&self) -> usize {
        self.with_user(|user| user.lane.live()).unwrap_or(0)
    }

    /// Closes one connection with the host's `code`. Returns whether the user had a live connection with
    /// this id.
    ///
    /// ```
    /// # let hub: laneway::Hub<u8> = laneway::Hub::new();
    /// # let ann = hub.scope(laneway::UserId::new("ann")?);
    /// use laneway::{CloseReason, Closed};
    ///
    /// let mut phone = ann.connect()?;
    /// assert!(ann.disconnect(phone.id(), 4001));
    /// assert_eq!(phone.recv(), Err(Closed { reason: CloseReason::Disconnected { code: 4001 } }));
    /// assert!(!ann.disconnect(phone.id(), 4001)); // not live any more
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// Cuts off what the connection has not read. An id that is not found is counted in
    /// [`HubStats::unknown_connections`](crate::HubStats::unknown_connections).
    ///
    /// # Progress
    ///
    /// Lock-free, linear in the connections. While the hub has [subscribers](crate::Hub::lifecycle), takes the
    /// short lock of each one's channel.
    pub fn disconnect(&self, connection: ConnectionId, code: u16) -> bool {
        let closed = self.close_where(code, |id| id == connection) > 0;
        if !closed {
            self.count_unknown();
        }
        closed
    }

    /// Closes all of the user's connections with the host's `code`. Returns how many it closed.
    ///
    /// ```
    /// # let hub: laneway::Hub<u8> = laneway::Hub::new();
    /// # let ann = hub.scope(laneway::UserId::new("ann")?);
    /// let _devices = (ann.connect()?, ann.connect()?);
    /// assert_eq!(ann.disconnect_all(4001), 2); // ann logs out
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// Cuts off what they have not read. A connection whose connect has not returned may stay. Progress is that of
    /// [`disconnect`](Self::disconnect).
    pub fn disconnect_all(&self, code: u16) -> usize {
        self.close_where(code, |_| true)
    }

    /// Attaches one connection to one more thread, from the next event on. Returns `false` if it is attached
    /// already.
    ///
    /// ```
    /// # let hub: laneway::Hub<u8> = laneway::Hub::new();
    /// # let ann = hub.scope(laneway::UserId::new("ann")?);
    /// use laneway::{AttachError, ThreadId};
    ///
    /// let oslo = ThreadId::new("Oslo")?;
    /// let tab = ann.connect()?;
    /// assert_eq!(ann.attach(tab.id(), oslo.clone()), Ok(true));
    /// assert!(tab.is_attached(&oslo));
    /// let bob = hub.scope(laneway::UserId::new("bob")?);
    /// assert_eq!(bob.attach(tab.id(), oslo), Err(AttachError::Unknown));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// As [`Connection::attach`](crate::Connection::attach), from any task. An id that is not found is counted in
    /// [`HubStats::unknown_connections`](crate::HubStats::unknown_connections).
    ///
    /// # Errors
    ///
    /// [`AttachError`]; nothing has changed then.
    ///
    /// # Progress
    ///
    /// Lock-free, linear in the connections and in the attachments.
    #[allow(clippy::needless_pass_by_value)] // The connection keeps the thread.
    pub fn attach(&self, connection: ConnectionId, thread: ThreadId) -> Result<bool, AttachError> {
        self.admit(Use::Look)?;
        let done = (self.core).with_connection(&self.user, connection, |user, member| {
            let done = user.attach(member, &thread);
            // Closed meanwhile: its device may have another connection.
            (done != Err(AttachError::Closed)).then_some(done)
        });
        done.unwrap_or_else(|| {
            self.count_unknown();
            Err(AttachError::Unknown)
        })
    }

    /// Detaches one connection from a thread, from the next event on. Returns whether the user has such a
    /// connection and it was attached.
    ///
    /// ```
    /// # let hub: laneway::Hub<u8> = laneway::Hub::new();
    /// # let ann = hub.scope(laneway::UserId::new("ann")?);
    /// # let oslo = laneway::ThreadId::new("Oslo")?;
    /// let tab = ann.connect()?;
    /// tab.attach(oslo.clone())?;
    /// assert!(ann.detach(tab.id(), &oslo));
    /// assert!(!tab.is_attached(&oslo));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// As [`Connection::detach`](crate::Connection::detach), from any task. An id that is not found is counted as
    /// there. Progress is that of [`attach`](Self::attach).
    pub fn detach(&self, connection: ConnectionId, thread: &ThreadId) -> bool {
        if self.admit(Use::Look).is_err() {
            return false;
        }
        let done = (self.core).with_connection(&self.user, connection, |user, member| {
            Some(self.core.detach(user, member, thread))
        });
        if done.is_none() {
            self.count_unknown();
        }
        done == Some(true)
    }

    fn count_unknown(&self) {
        let unknown = &self.core.counters.unknown_connections;
        unknown.fetch_add(1, Ordering::Relaxed);
    }

    fn close_where(&self, code: u16, which: impl Fn(ConnectionId) -> bool) -> usize {
        let Some(user) = self.find() else {
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

    /// Returns whether the user has a connection. Lock-free.
    ///
    /// ```
    /// # let hub: laneway::Hub<u8> = laneway::Hub::new();
    /// # let ann = hub.scope(laneway::UserId::new("ann")?);
    /// let device = ann.connect()?;
    /// assert!(ann.is_online());
    /// drop(device);
    /// assert!(!ann.is_online());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_online(&self) -> bool {
        self.with_user(|user| user.lane.live() > 0).unwrap_or(false)
    }

    /// Returns how many live connections have lost a critical event. Each is closed at its next call, or by
    /// the next sweep.
    ///
    /// ```
    /// # let hub: laneway::Hub<u8> = laneway::Hub::new();
    /// # let ann = hub.scope(laneway::UserId::new("ann")?);
    /// let _phone = ann.connect()?;
    /// ann.publish_critical(7)?;
    /// assert_eq!(ann.overrun_count(), 0); // the lane still holds the event
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// Lock-free, linear in the connections.
    #[must_use]
    pub fn overrun_count(&self) -> usize {
        self.overrun_where(|_| true)
    }

    /// The same among those of an audience.
    pub(crate) fn overrun_where(&self, among: impl Fn(&Member) -> bool) -> usize {
        let mut overrun = 0;
        self.with_user(|user| {
            user.lane.for_each(|member| {
                let lost = member.is_open() && user.lane.is_overrun(member);
                overrun += usize::from(lost && among(member));
            });
        });
        overrun
    }

    /// Writes the inner state of the user's lane, for the report of an incident.
    ///
    /// ```
    /// # let hub: laneway::Hub<u8> = laneway::Hub::new();
    /// # let ann = hub.scope(laneway::UserId::new("ann").unwrap());
    /// let _phone = ann.connect().unwrap();
    /// let mut report = String::new();
    /// ann.dump(&mut report)?;
    /// assert!(!report.is_empty());
    /// # Ok::<(), std::fmt::Error>(())
    /// ```
    ///
    /// The report has no payloads, and its form may change in any version. Writes nothing if the user is
    /// offline.
    ///
    /// # Errors
    ///
    /// Only those of `out`.
    ///
    /// # Progress
    ///
    /// Lock-free, linear in the connections.
    pub fn dump(&self, out: &mut impl fmt::Write) -> fmt::Result {
        match self.find() {
            Some(user) => user.dump(out),
            None => Ok(()),
        }
    }
}
