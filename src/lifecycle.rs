//! Subscriptions to notices, each through a bounded channel of its own.

use std::fmt;
use std::time::Duration;

use crate::notices::Notices;

#[cfg(feature = "stream")]
mod stream;
mod wait;

pub use wait::NextNotice;

mod notice;

pub use notice::{Change, LifecycleError, NoNotice, Notice};

/// The receiving end of a hub's notices, from [`Hub::lifecycle`](crate::Hub::lifecycle).
///
/// ```
/// use std::time::Duration;
/// use laneway::{Hub, Lifecycle, NoNotice};
///
/// // On a thread of the host's own.
/// fn watch(notices: &Lifecycle, mut changed: impl FnMut(&str)) {
///     loop {
///         match notices.next_timeout(Duration::from_secs(5)) {
///             Ok(notice) => changed(notice.user.as_str()), // look at the hub for what is true now
///             Err(NoNotice::Over) => return,
///             Err(_) => {} // nothing for now; a good moment to sweep
///         }
///     }
/// }
/// # let hub: Hub<u8> = Hub::new();
/// # let notices = hub.lifecycle(16)?;
/// # drop(hub.scope(laneway::UserId::new("ann")?).connect()?);
/// # hub.shutdown();
/// # let mut seen = 0;
/// # watch(&notices, |user| { assert_eq!(user, "ann"); seen += 1; });
/// # assert_eq!(seen, 4);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// A hub has up to 16 subscribers. A full channel loses notices, and no other subscriber notices that.
/// Dropping the subscriber ends its notices, and drops those that it has not read.
///
/// # Progress
///
/// A thread that receives from a channel and one that sends to it may wait for each other, for a few steps.
/// The documentation calls this the short lock of the channel.
pub struct Lifecycle {
    pub(crate) notices: Notices<Notice>,
}

impl Lifecycle {
    /// Returns the next notice, if there is one.
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
    ///
    /// # Progress
    ///
    /// Takes the short lock of this channel. Does not wait for a notice.
    pub fn try_next(&self) -> Result<Notice, NoNotice> {
        self.notices.try_next()
    }

    /// Puts the thread to sleep until there is a notice, for at most `timeout`, and returns it.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # let hub: laneway::Hub<u8> = laneway::Hub::new();
    /// let notices = hub.lifecycle(16)?;
    /// let nothing = notices.next_timeout(Duration::from_millis(5));
    /// assert_eq!(nothing, Err(laneway::NoNotice::Nothing));
    /// # Ok::<(), laneway::LifecycleError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`NoNotice::Nothing`] if none came in time, [`NoNotice::Over`] as soon as that is so.
    ///
    /// # Progress
    ///
    /// Takes the short lock of this channel, and puts the thread to sleep while there is nothing.
    pub fn next_timeout(&self, timeout: Duration) -> Result<Notice, NoNotice> {
        self.notices.next_timeout(timeout)
    }

    /// Returns how many notices this channel has lost because it was full. Wait-free.
    ///
    /// ```
    /// # let hub: laneway::Hub<u8> = laneway::Hub::new();
    /// # let ann = hub.scope(laneway::UserId::new("ann")?);
    /// let notices = hub.lifecycle(1)?;
    /// let _device = ann.connect()?; // `Online` and `Connected`
    /// assert_eq!(notices.lost(), 1); // so look at all users: `Hub::for_each_user`
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.notices.lost()
    }
}

impl fmt::Debug for Lifecycle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lifecycle")
            .field("waiting", &self.notices.waiting())
            .field("lost", &self.lost())
            .finish_non_exhaustive()
    }
}
