//! The error of an attachment.

use std::error::Error;
use std::fmt;

use super::NotAllowed;

/// The reason why a connection was not attached to a thread. Nothing has changed.
///
/// ```
/// # let hub: laneway::Hub<u8> = laneway::Hub::new();
/// # let ann = hub.scope(laneway::UserId::new("ann")?);
/// use laneway::{AttachError, ThreadId};
///
/// let tab = ann.connect()?;
/// for n in 0..64 {
///     assert_eq!(tab.attach(ThreadId::new(format!("thread {n}"))?), Ok(true));
/// }
/// let refused = tab.attach(ThreadId::new("one more")?);
/// assert_eq!(refused, Err(AttachError::TooManyThreads { limit: 64 }));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AttachError {
    /// The connection has as many attachments as allowed. One that has ended counts until the connection has
    /// read the events that it had to the end.
    TooManyThreads {
        /// The limit.
        limit: usize,
    },
    /// The connection is closed.
    Closed,
    /// The user has no live connection with this id.
    Unknown,
    /// The host has [revoked](crate::Hub::revoke) the scope.
    Revoked,
    /// The scope was [attenuated](crate::UserScope::attenuate): it may not see connections, or the connection
    /// is one of a scope for another thread.
    NotAllowed(NotAllowed),
}

impl fmt::Display for AttachError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooManyThreads { limit } => {
                write!(f, "the connection has {limit} attachments already")
            }
            Self::Closed => f.write_str("the connection is closed"),
            Self::Unknown => f.write_str("the user has no such connection"),
            Self::Revoked => f.write_str("the scope was revoked"),
            Self::NotAllowed(missing) => missing.fmt(f),
        }
    }
}
impl Error for AttachError {}
