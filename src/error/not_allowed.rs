//! What an attenuated scope may not do.

use std::error::Error;
use std::fmt;

/// The right that an [attenuated](crate::UserScope::attenuate) scope does not have, or not any more.
///
/// ```
/// # let hub: laneway::Hub<u8> = laneway::Hub::new();
/// # let ann = hub.scope(laneway::UserId::new("ann")?);
/// use laneway::{ConnectError, Limits, NotAllowed};
///
/// let webhook = ann.attenuate(Limits::new().publish_only())?;
/// let refused = webhook.connect().unwrap_err();
/// assert_eq!(refused, ConnectError::NotAllowed(NotAllowed::Connect));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NotAllowed {
    /// The scope may only connect.
    Publish,
    /// The scope may only publish.
    Connect,
    /// The scope is for one thread. A publish has to be addressed to it, a connection attached to it, and
    /// no device may resume.
    Thread,
    /// The scope has published as many events as it may.
    Events,
    /// The scope's time is up.
    Time,
}

impl fmt::Display for NotAllowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Publish => "the scope may not publish",
            Self::Connect => "the scope may not connect",
            Self::Thread => "the scope is for another thread",
            Self::Events => "the scope has published all that it may",
            Self::Time => "the time of the scope is up",
        })
    }
}
impl Error for NotAllowed {}

/// The reason why a scope was not [attenuated](crate::UserScope::attenuate): it has been attenuated with a
/// deadline or a number of events too often.
///
/// ```
/// # let hub: laneway::Hub<u8> = laneway::Hub::new();
/// # let mut ann = hub.scope(laneway::UserId::new("ann")?);
/// use laneway::Limits;
///
/// let refused = loop {
///     match ann.attenuate(Limits::new().events(7)) {
///         Ok(weaker) => ann = weaker,
///         Err(refused) => break refused,
///     }
/// };
/// assert_eq!(refused.limit, 8);
/// # Ok::<(), laneway::InvalidId>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AttenuateError {
    /// How often a scope can be attenuated so.
    pub limit: usize,
}

impl fmt::Display for AttenuateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the scope was attenuated {} times already", self.limit)
    }
}
impl Error for AttenuateError {}
