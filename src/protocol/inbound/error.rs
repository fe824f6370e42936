//! The error of a handler.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;

use crate::protocol::message::payload::PayloadError;

/// The reason why a message was not handled. Its sender receives both parts.
///
/// ```
/// use laneway::protocol::{Handled, HandlerError, Message, Sender};
///
/// fn pay(_: &Sender<'_>, message: &Message) -> Result<Handled, HandlerError> {
///     match message.text("card") {
///         Some(_) => Ok(Handled::Done),
///         None => Err(HandlerError::new("NO_CARD", "there is no card")),
///     }
/// }
/// # laneway::protocol::MessageRouter::new(Default::default(), Default::default())
/// #     .register("pay", pay)?;
/// # Ok::<(), laneway::protocol::RegisterError>(())
/// ```
///
/// # JSON-RPC
///
/// The sender of a JSON-RPC request receives `message` and a number in place of `code`:
///
/// | `code` | number |
/// |---|---|
/// | `INVALID_PARAMS`, `INVALID_FIELD` | −32602 |
/// | `METHOD_NOT_FOUND` | −32601 |
/// | `INVALID_REQUEST` | −32600 |
/// | `PARSE_ERROR` | −32700 |
/// | `BUSY` | −32000 |
/// | a whole number, such as `-32042` | that number |
/// | any other | −32603 |
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HandlerError {
    /// For machines: one word, which stays the same between versions.
    pub code: Cow<'static, str>,
    /// For people. It must name no user but the sender.
    pub message: String,
}

impl HandlerError {
    /// Creates an error with a code of the host's.
    ///
    /// ```
    /// let error = laneway::protocol::HandlerError::new("NO_CARD", "there is no card");
    /// assert_eq!(error.to_string(), "NO_CARD: there is no card");
    /// ```
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

/// Has the code `INVALID_FIELD`.
impl From<PayloadError> for HandlerError {
    fn from(error: PayloadError) -> Self {
        Self::new("INVALID_FIELD", error.to_string())
    }
}
