//! The reasons why bytes are no message.

use std::error::Error;
use std::fmt;

/// The reason why bytes are no message. It repeats nothing of them, so the host may show it to the sender.
///
/// ```
/// use laneway::protocol::{Message, MessageError};
///
/// let error = Message::parse(b"{").unwrap_err();
/// assert_eq!(error, MessageError::NotJson { line: 1, column: 1 });
/// assert_eq!(error.to_string(), "the message is not JSON: line 1, column 1");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MessageError {
    /// They are longer than the limit.
    TooLong {
        /// The limit in bytes.
        limit: usize,
    },
    /// They are nested more deeply than the limit.
    TooDeep {
        /// The limit.
        limit: usize,
    },
    /// They are not UTF-8.
    NotUtf8,
    /// They are not JSON, or nested more deeply than the parser accepts.
    NotJson {
        /// The line of the fault, from 1.
        line: usize,
        /// The column of the fault in its line, from 1.
        column: usize,
    },
    /// They are JSON, but no object.
    NotAnObject,
    /// There is no `type`, or it is null, and no `jsonrpc`.
    NoType,
    /// `type` is no text, or an empty or blank one.
    BadType,
    /// There is no `type`, and the message has `jsonrpc` but is no JSON-RPC 2.0.
    BadRpc,
    /// They are a JSON-RPC batch. The client has to send its requests one by one.
    Batch,
    /// A number has more digits than can be passed on, or is too large. The client can send it as a text.
    InexactNumber,
}

impl MessageError {
    /// Returns the reason as one word, which stays the same between versions. Wait-free.
    ///
    /// ```
    /// let error = laneway::protocol::Message::parse(b"7").unwrap_err();
    /// assert_eq!(error.code(), "MESSAGE_NOT_AN_OBJECT");
    /// ```
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::TooLong { .. } => "MESSAGE_TOO_LONG",
            Self::TooDeep { .. } => "MESSAGE_TOO_DEEP",
            Self::NotUtf8 => "MESSAGE_NOT_UTF8",
            Self::NotJson { .. } => "MESSAGE_NOT_JSON",
            Self::NotAnObject => "MESSAGE_NOT_AN_OBJECT",
            Self::NoType => "MESSAGE_WITHOUT_TYPE",
            Self::BadType => "MESSAGE_TYPE_INVALID",
            Self::BadRpc => "MESSAGE_RPC_INVALID",
            Self::Batch => "MESSAGE_BATCH",
            Self::InexactNumber => "MESSAGE_NUMBER_INEXACT",
        }
    }
}

impl fmt::Display for MessageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { limit } => write!(f, "the message is longer than {limit} bytes"),
            Self::TooDeep { limit } => write!(f, "the message is nested deeper than {limit}"),
            Self::NotUtf8 => f.write_str("the message is not UTF-8"),
            Self::NotJson { line, column } => {
                write!(f, "the message is not JSON: line {line}, column {column}")
            }
            Self::NotAnObject => f.write_str("the message is not a JSON object"),
            Self::NoType => f.write_str("the message has no type"),
            Self::BadType => f.write_str("the type of the message is not a text with content"),
            Self::BadRpc => f.write_str("the message is not valid JSON-RPC 2.0"),
            Self::Batch => f.write_str("batches are not supported: send each request by itself"),
            Self::InexactNumber => {
                f.write_str("the message has a number that cannot be passed on exactly")
            }
        }
    }
}

impl Error for MessageError {}
