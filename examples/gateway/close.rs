//! Why a socket ends, as its peer is told.

use std::fmt;

use axum::extract::ws::{CloseFrame, Message};
use laneway::{CloseReason, ConnectError, ResumeError};
use tokio_tungstenite::tungstenite;

/// The user logged out. The page asks for a name.
pub(crate) const LOGGED_OUT: u16 = 4001;

/// More bytes wait for the device than its user's lane has room for.
pub(crate) const TOO_MANY_BYTES: u16 = 4006;

/// A close code and its reason.
///
/// | code | reason | what the page does |
/// |---|---|---|
/// | 1001 | the server shuts down | comes back |
/// | 1002, 1007 | a frame that is none, a text that is no UTF-8 | comes back |
/// | 1008 | a query or a position that is none | forgets its position and comes back |
/// | 1009 | a message of more than 64 KiB | comes back without the message |
/// | 1013 | no room for another user | comes back later |
/// | 4001 | logged out | asks for a name |
/// | 4003 | three heartbeats without an answer | comes back |
/// | 4004 | too slow for critical events | comes back, and is told what it missed |
/// | 4005 | another socket goes on from this one's position: a late one of the same page, or the copy of a duplicated tab | takes its place back; the second time it forgets its position and says so |
/// | 4006 | 768 KiB of the lane, and no device of the user is slower | comes back, and is told what it missed |
/// | 4401 | no session, or one that has ended | asks for a name |
/// | 4403 | a position of another user | forgets its position and comes back |
/// | 4429 | too many tabs of this user | comes back later |
#[derive(Debug)]
pub(crate) struct Close {
    code: u16,
    reason: String,
}

impl Close {
    fn new(code: u16, reason: impl fmt::Display) -> Self {
        Self {
            code,
            reason: format!("{reason}"),
        }
    }

    pub(crate) fn shutdown() -> Self {
        CloseReason::Shutdown.into()
    }

    pub(crate) fn silent() -> Self {
        Self::new(4003, "no answer to the heartbeat")
    }

    pub(crate) fn too_many_bytes() -> Self {
        Self::new(TOO_MANY_BYTES, "too slow: too many bytes wait")
    }

    pub(crate) fn no_session() -> Self {
        Self::new(4401, "log in first")
    }

    pub(crate) fn malformed(what: impl fmt::Display) -> Self {
        Self::new(1008, what)
    }

    /// As a frame. A close frame has at most 125 bytes, two of which are its code.
    pub(crate) fn frame(self) -> Message {
        let mut reason = self.reason;
        while reason.len() > 123 {
            reason.pop();
        }
        Message::Close(Some(CloseFrame {
            code: self.code,
            reason: reason.into(),
        }))
    }
}

impl From<CloseReason> for Close {
    fn from(reason: CloseReason) -> Self {
        let code = match reason {
            CloseReason::Disconnected {
                code: TOO_MANY_BYTES,
            } => return Self::too_many_bytes(),
            CloseReason::Disconnected { code } => code,
            CloseReason::Shutdown | CloseReason::Drained => 1001,
            // A whole lane behind, with a critical event among the events that are gone.
            CloseReason::Overrun => 4004,
            CloseReason::Replaced => 4005,
            _ => 1000,
        };
        Self::new(code, reason)
    }
}

impl From<ResumeError> for Close {
    fn from(error: ResumeError) -> Self {
        let code = match error {
            ResumeError::Foreign => 4403,
            ResumeError::Connect(ConnectError::TooManyConnections { .. }) => 4429,
            ResumeError::Connect(ConnectError::Closed | ConnectError::Draining) => 1001,
            _ => 1013,
        };
        Self::new(code, error)
    }
}

impl From<axum::Error> for Close {
    /// What is wrong with a frame that came in. A peer that has gone is told in vain.
    fn from(error: axum::Error) -> Self {
        let error = error.into_inner();
        let code = match error.downcast_ref() {
            Some(tungstenite::Error::Capacity(_)) => 1009,
            Some(tungstenite::Error::Utf8(_)) => 1007,
            _ => 1002,
        };
        Self::new(code, error)
    }
}
