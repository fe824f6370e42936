//! Why bytes are no message.

use std::error::Error;
use std::fmt;

/// Why bytes are not a message. Safe to be shown to their sender: it repeats nothing of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MessageError {
    /// Longer than the limit.
    TooLong {
        /// The limit in bytes.
        limit: usize,
    },
    /// Nested more deeply than the limit.
    TooDeep {
        /// The limit.
        limit: usize,
    },
    /// Not UTF-8.
    NotUtf8,
    /// Not JSON, or nested beyond what can be parsed.
    NotJson {
        /// Where, from 1.
        line: usize,
        /// Where in the line, from 1.
        column: usize,
    },
    /// JSON, but not an object.
    NotAnObject,
    /// There is no `type`, or it is null, and it is not JSON-RPC 2.0 either.
    NoType,
    /// `type` is not a text, or an empty or blank one.
    BadType,
    /// There is no `type`, and `jsonrpc` is there, but what it says is no JSON-RPC 2.0.
    BadRpc,
    /// A JSON-RPC batch. Its requests have to be sent one by one.
    Batch,
    /// A number has more digits than can be passed on, or is too large. A text may hold it.
    InexactNumber,
}

impl MessageError {
    /// The same for machines: one word that stays as it is.
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
