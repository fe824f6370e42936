//! What a handler could not do.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;

use crate::protocol::message::payload::PayloadError;

/// Why a message was not handled. The sender sees both parts.
///
/// The sender of a JSON-RPC request sees `message` and a number: −32602 for the codes `INVALID_PARAMS`
/// and `INVALID_FIELD`, −32601 for `METHOD_NOT_FOUND`, −32600 for `INVALID_REQUEST`, −32700 for
/// `PARSE_ERROR`, −32000 for `BUSY`, the number itself if `code` is a whole number such as `-32042`,
/// and −32603 for all others.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HandlerError {
    /// For machines: one word that stays as it is.
    pub code: Cow<'static, str>,
    /// For people. It may name nobody but the sender.
    pub message: String,
}

impl HandlerError {
    /// An error with a code of its own.
    pub fn new(code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self {
            code: code.into(),
            message: message.into(),
        }
    }
}

impl fmt::Display for HandlerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

impl Error for HandlerError {}

/// With the code `INVALID_FIELD`.
impl From<PayloadError> for HandlerError {
    fn from(error: PayloadError) -> Self {
        Self::new("INVALID_FIELD", error.to_string())
    }
}
