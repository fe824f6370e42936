//! The threads of a connection: attach and detach.

use super::Connection;
use crate::error::AttachError;
use crate::id::ThreadId;

impl<E: Send + Sync + 'static> Connection<E> {
    /// Attaches this connection to one more thread. Returns `false` if it is attached already.
    ///
    /// ```
    /// # let hub: laneway::Hub<u8> = laneway::Hub::new();
    /// # let ann = hub.scope(laneway::UserId::new("ann")?);
    /// use laneway::{Received, ThreadId};
    ///
    /// let (oslo, rome) = (ThreadId::new("Oslo")?, ThreadId::new("Rome")?);
    /// let mut tab = ann.connect()?;
    /// assert_eq!(tab.attach(oslo.clone()), Ok(true));
    /// assert_eq!(tab.attach(rome.clone()), Ok(true));
    /// ann.to_thread(&oslo).publish(7)?;
    /// tab.detach(&oslo); // has no effect on what was accepted before
    /// let Ok(Received::Event(got)) = tab.try_recv() else { panic!() };
    /// assert_eq!(got.event, 7);
    /// assert_eq!(tab.threads(), [rome]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// The connection receives each event for the thread that is accepted after this call has returned, and
    /// none that was accepted before the call. An attachment is an interval of the lane's numbers: a connection
    /// that is behind decides on an event by the threads it had when the event was accepted.
    ///
    /// A connection has at most 64 attachments. An ended one counts until the connection has read the events
    /// up to its end.
    ///
    /// A [position](Self::position) names the threads of the moment. A host sends a new one after an attach.
    ///
    /// # Errors
    ///
    /// [`AttachError`] if the connection has 64 attachments or is closed, or is one of an
    /// [attenuated](crate::UserScope::attenuate) scope for another thread.
    ///
    /// # Progress
    ///
    /// Lock-free, linear in the attachments.
    #[allow(clippy::needless_pass_by_value)] // The connection keeps the thread.
    pub fn attach(&self, thread: ThreadId) -> Result<bool, AttachError> {
        self.user.attach(self.member(), &thread)
    }

    /// Detaches this connection from a thread. Returns whether it was live and attached.
    ///
    /// ```
    /// # let hub: laneway::Hub<u8> = laneway::Hub::new();
    /// # let ann = hub.scope(laneway::UserId::new("ann")?);
    /// use laneway::{ConnectOptions, ThreadId};
    ///
    /// let oslo = ThreadId::new("Oslo")?;
    /// let tab = ann.connect_with(ConnectOptions::default().thread(oslo.clone()))?;
    /// assert!(tab.detach(&oslo));
    /// assert!(!tab.detach(&oslo));
    /// assert!(ann.to_thread(&oslo).publish(7).is_err()); // no connection has the thread
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// The connection receives each event for the thread that was accepted before this call, also if it has
    /// not read it yet, and none that is accepted after the call has returned.
    ///
    /// # Progress
    ///
    /// Lock-free, linear in the attachments.
    pub fn detach(&self, thread: &ThreadId) -> bool {
        self.core.detach(&self.user, self.member(), thread)
    }

    /// Returns the threads that this connection is attached to, in the order of the attachments. Wait-free.
    ///
    /// ```
    /// # let hub: laneway::Hub<u8> = laneway::Hub::new();
    /// # let ann = hub.scope(laneway::UserId::new("ann")?);
    /// assert!(ann.connect()?.threads().is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn threads(&self) -> Vec<ThreadId> {
        self.member().threads()
    }

    /// Returns whether this connection is attached to a thread. Wait-free.
    ///
    /// ```
    /// # let hub: laneway::Hub<u8> = laneway::Hub::new();
    /// # let ann = hub.scope(laneway::UserId::new("ann")?);
    /// # let oslo = laneway::ThreadId::new("Oslo")?;
    /// assert!(!ann.connect()?.is_attached(&oslo));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_attached(&self, thread: &ThreadId) -> bool {
        self.member().with_attachments(|list| list.has_now(thread))
    }
}
