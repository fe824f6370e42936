//! Questions that are not asked, not answered, and answers that are not taken.

use std::error::Error;
use std::fmt;

use super::{NotAllowed, PublishError};

/// The reason why a question was not asked.
///
/// ```
/// # use std::time::Duration;
/// # let hub: laneway::Hub<u8> = laneway::Hub::new();
/// # let ann = hub.scope(laneway::UserId::new("ann")?);
/// use laneway::AskError;
///
/// let refused = ann.ask(Duration::from_secs(30), |_| 7).unwrap_err();
/// let AskError::Publish(error) = refused else { panic!("there is room") };
/// assert!(error.is_no_connections() && error.into_inner() == 7);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum AskError<E> {
    /// The event was refused. The error hands it back.
    Publish(PublishError<E>),
    /// As many questions to this user wait as may. No event was made.
    TooManyOfUser {
        /// The limit.
        limit: usize,
    },
    /// As many questions of the whole hub wait as may. No event was made.
    TooMany {
        /// The limit.
        limit: usize,
    },
}

impl<E> fmt::Debug for AskError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Publish(error) => f.debug_tuple("Publish").field(error).finish(),
            Self::TooManyOfUser { limit } => write!(f, "TooManyOfUser {{ limit: {limit} }}"),
            Self::TooMany { limit } => write!(f, "TooMany {{ limit: {limit} }}"),
        }
    }
}

impl<E> fmt::Display for AskError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Publish(error) => error.fmt(f),
            Self::TooManyOfUser { limit } => {
                write!(f, "{limit} questions to the user wait already")
            }
            Self::TooMany { limit } => write!(f, "{limit} questions wait already"),
        }
    }
}

impl<E: 'static> Error for AskError<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Publish(error) => Some(error),
            Self::TooManyOfUser { .. } | Self::TooMany { .. } => None,
        }
    }
}

/// The reason why a question has no answer.
///
/// ```
/// # use std::time::Duration;
/// # let hub: laneway::Hub<u8> = laneway::Hub::new();
/// # let ann = hub.scope(laneway::UserId::new("ann")?);
/// use laneway::NoAnswer;
///
/// let device = ann.connect()?;
/// let mut ask = ann.ask(Duration::from_secs(30), |_| 7)?;
/// hub.sweep(Duration::from_secs(30));
/// assert_eq!(ask.try_answer(), Some(Err(NoAnswer::Deadline)));
/// # drop(device);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NoAnswer {
    /// The host's time has come to the deadline.
    Deadline,
    /// No device is connected any more that the question was for.
    NoDevice,
    /// The answer was taken by an earlier call.
    Taken,
}

impl fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Deadline => "the deadline has passed",
            Self::NoDevice => "no device is left to answer",
            Self::Taken => "the answer was taken already",
        })
    }
}
impl Error for NoAnswer {}

/// The reason why an answer was not taken, with the answer.
///
/// ```
/// # use std::time::Duration;
/// # let hub: laneway::Hub<u8> = laneway::Hub::new();
/// # let ann = hub.scope(laneway::UserId::new("ann")?);
/// use laneway::AnswerError;
///
/// let (phone, laptop) = (ann.connect()?, ann.connect()?);
/// let mut id = None;
/// let _ask = ann.ask(Duration::from_secs(30), |of| { id = Some(of); 7 })?;
/// phone.answer(id.unwrap(), 1)?;
/// assert_eq!(laptop.answer(id.unwrap(), 2), Err(AnswerError::Over(2)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum AnswerError<E> {
    /// The question waits no more: another device has answered, the deadline has passed, no device was left, or
    /// the asker has gone.
    Over(E),
    /// The user was asked no such question. The error is the same for another user's question and for an id that a
    /// client made up. Counted in [`HubStats::foreign_answers`](crate::HubStats::foreign_answers).
    Unknown(E),
    /// The question was for other devices of the user.
    NotAsked(E),
    /// The connection is closed.
    Closed(E),
    /// The host has [revoked](crate::Hub::revoke) the scope.
    Revoked(E),
    /// The scope was [attenuated](crate::UserScope::attenuate), and has this right no longer.
    NotAllowed(E, NotAllowed),
}

impl<E> AnswerError<E> {
    /// Returns the answer.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # let hub: laneway::Hub<u8> = laneway::Hub::new();
    /// # let ann = hub.scope(laneway::UserId::new("ann")?);
    /// # let device = ann.connect()?;
    /// let mut id = None;
    /// drop(ann.ask(Duration::from_secs(30), |of| { id = Some(of); 7 })?);
    /// let late = device.answer(id.unwrap(), 8).unwrap_err();
    /// assert_eq!(late.into_inner(), 8);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn into_inner(self) -> E {
        match self {
            Self::Over(event)
            | Self::Unknown(event)
            | Self::NotAsked(event)
            | Self::Closed(event)
            | Self::Revoked(event)
            | Self::NotAllowed(event, _) => event,
        }
    }
}

impl<E> fmt::Debug for AnswerError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Over(_) => "Over(..)",
            Self::Unknown(_) => "Unknown(..)",
            Self::NotAsked(_) => "NotAsked(..)",
            Self::Closed(_) => "Closed(..)",
            Self::Revoked(_) => "Revoked(..)",
            Self::NotAllowed(_, missing) => return write!(f, "NotAllowed(.., {missing:?})"),
        })
    }
}

impl<E> fmt::Display for AnswerError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Over(_) => "the question waits no more",
            Self::Unknown(_) => "the user was asked no such question",
            Self::NotAsked(_) => "the question was for other devices",
            Self::Closed(_) => "the connection is closed",
            Self::Revoked(_) => "the scope was revoked",
            Self::NotAllowed(_, missing) => return missing.fmt(f),
        })
    }
}
impl<E> Error for AnswerError<E> {}
