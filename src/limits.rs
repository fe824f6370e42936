//! What a host takes from a scope before it passes it on.

use std::time::Duration;

use crate::id::ThreadId;

/// What an [attenuated](crate::UserScope::attenuate) scope may still do. Limits of one value hold together.
///
/// | code that gets the scope | limits |
/// |---|---|
/// | a webhook that reports the end of a job | `Limits::new().publish_only().events(1)` |
/// | a display that shows and never says anything | `Limits::new().receive_only()` |
/// | a plug-in in one conversation | `Limits::new().publish_only().thread(oslo)` |
/// | a link that is good for an hour | `Limits::new().until(now + hour)` |
///
/// ```
/// use laneway::{Hub, Limits, UserId};
///
/// let hub: Hub<u8> = Hub::new();
/// let ann = hub.scope(UserId::new("ann")?);
/// let _device = ann.connect()?;
/// let webhook = ann.attenuate(Limits::new().publish_only().events(1))?;
/// assert!(webhook.publish(7).is_ok());
/// assert!(webhook.publish(8).unwrap_err().is_not_allowed());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use = "limits do nothing before `UserScope::attenuate`"]
pub struct Limits {
    pub(crate) is_publish_only: bool,
    pub(crate) is_receive_only: bool,
    pub(crate) thread: Option<ThreadId>,
    pub(crate) events: Option<u64>,
    pub(crate) until: Option<Duration>,
}

impl Limits {
    /// Starts without any limit.
    ///
    /// ```
    /// # let hub: laneway::Hub<u8> = laneway::Hub::new();
    /// # let ann = hub.scope(laneway::UserId::new("ann")?);
    /// use laneway::Limits;
    /// assert!(ann.attenuate(Limits::new())?.connect().is_ok()); // as before
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// The scope publishes only: it neither connects nor sees or closes connections.
    ///
    /// ```
    /// # let hub: laneway::Hub<u8> = laneway::Hub::new();
    /// # let ann = hub.scope(laneway::UserId::new("ann")?);
    /// # use laneway::Limits;
    /// let weaker = ann.attenuate(Limits::new().publish_only())?;
    /// assert!(weaker.connect().is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn publish_only(mut self) -> Self {
        self.is_publish_only = true;
        self
    }

    /// The scope connects and resumes only: it neither publishes nor sees or closes connections.
    ///
    /// ```
    /// # let hub: laneway::Hub<u8> = laneway::Hub::new();
    /// # let ann = hub.scope(laneway::UserId::new("ann")?);
    /// # use laneway::Limits;
    /// let weaker = ann.attenuate(Limits::new().receive_only())?;
    /// let _display = weaker.connect()?;
    /// assert!(weaker.publish(7).unwrap_err().is_not_allowed());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// Together with [`publish_only`](Self::publish_only) the scope does nothing.
    pub fn receive_only(mut self) -> Self {
        self.is_receive_only = true;
        self
    }

    /// The scope is for one thread.
    ///
    /// ```
    /// # let hub: laneway::Hub<u8> = laneway::Hub::new();
    /// # let ann = hub.scope(laneway::UserId::new("ann")?);
    /// use laneway::{ConnectOptions, Limits, ThreadId};
    ///
    /// let oslo = ThreadId::new("Oslo")?;
    /// let weaker = ann.attenuate(Limits::new().thread(oslo.clone()))?;
    /// let _device = weaker.connect_with(ConnectOptions::default().thread(oslo.clone()))?;
    /// assert!(weaker.to_thread(&oslo).publish(7).is_ok());
    /// assert!(weaker.publish(8).unwrap_err().is_not_allowed()); // for all threads
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// It publishes by [`to_thread`](crate::UserScope::to_thread) with this thread, and connects with this thread
    /// in its [`ConnectOptions`](crate::ConnectOptions). It does not resume, and neither sees nor closes
    /// connections. A connection that it makes receives what such a connection does: also events for all. Two
    /// different threads leave nothing.
    pub fn thread(mut self, thread: ThreadId) -> Self {
        self.thread = Some(thread);
        self
    }

    /// The scope and its clones publish so many events together.
    ///
    /// ```
    /// # let hub: laneway::Hub<u8> = laneway::Hub::new();
    /// # let ann = hub.scope(laneway::UserId::new("ann")?);
    /// # use laneway::Limits;
    /// # let _device = ann.connect()?;
    /// let weaker = ann.attenuate(Limits::new().events(2))?;
    /// assert!(weaker.publish(1).is_ok() && weaker.clone().publish(2).is_ok());
    /// assert!(weaker.publish(3).unwrap_err().is_not_allowed());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// A publish takes its unit before it is accepted, and gives it back if it is refused. Between the two another
    /// thread may be refused for the last unit. If the host's `weigh` panics, the unit is gone.
    pub fn events(mut self, events: u64) -> Self {
        self.events = Some(events);
        self
    }

    /// The scope does nothing any more once the host's time has come to `deadline`. Connections stay.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # let hub: laneway::Hub<u8> = laneway::Hub::new();
    /// # let ann = hub.scope(laneway::UserId::new("ann")?);
    /// # use laneway::Limits;
    /// let weaker = ann.attenuate(Limits::new().until(Duration::from_secs(60)))?;
    /// hub.sweep(Duration::from_secs(59));
    /// assert!(weaker.connect().is_ok());
    /// hub.sweep(Duration::from_secs(60));
    /// assert!(weaker.connect().is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// The host's time is that of its last [`sweep`](crate::Hub::sweep). No clock is read, so without sweeps no
    /// deadline passes. A scope that was refused once for its time stays so, also when the host's clock jumps
    /// back.
    pub fn until(mut self, deadline: Duration) -> Self {
        self.until = Some(deadline);
        self
    }
}
