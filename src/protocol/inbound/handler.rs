//! The host's part: handlers and middlewares, and the outcome of a message.

use std::sync::Arc;

use crate::panics;
use crate::protocol::inbound::error::HandlerError;
use crate::protocol::inbound::sender::Sender;
use crate::protocol::message::envelope::Message;
use crate::protocol::message::kind::MessageKind;

/// The result of a handler that has handled a message.
///
/// ```
/// use laneway::protocol::{Handled, Message, Sender};
///
/// // A handler that notes each message and leaves it to the next one.
/// let notes = |_: &Sender<'_>, _: &Message| Ok(Handled::Declined);
/// # let inbound = laneway::protocol::MessageRouter::new(Default::default(), Default::default());
/// inbound.register("notes", notes)?;
/// # Ok::<(), laneway::protocol::RegisterError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Handled {
    /// It handled the message. No other handler is asked.
    Done,
    /// It did not. The next handler is asked.
    Declined,
}

/// Handles messages. A closure is a handler of all kinds, [`typed`](crate::protocol::typed) makes one of
/// some kinds.
///
/// ```
/// use laneway::protocol::{Handled, Handler, HandlerError, Message, MessageKind, Sender};
///
/// struct Echo;
///
/// impl Handler for Echo {
///     fn kinds(&self) -> Option<&[MessageKind]> {
///         Some(&[MessageKind::Chat])
///     }
///
///     fn handle(&self, sender: &Sender<'_>, message: &Message) -> Result<Handled, HandlerError> {
///         if message.text("text").is_none_or(str::is_empty) {
///             return Err(HandlerError::new("NO_TEXT", "there is no text"));
///         }
///         let _ = sender.reply(message);
///         Ok(Handled::Done)
///     }
/// }
/// ```
pub trait Handler: Send + Sync {
    /// Returns the kinds that the handler is asked about, `None` for all. Called once, at registration.
    ///
    /// [`Unknown`](MessageKind::Unknown), with any name, stands for all unknown kinds.
    ///
    /// ```
    /// use laneway::protocol::{Handler, MessageKind, typed};
    ///
    /// let chats = typed([MessageKind::Chat], |_, _, (): ()| unreachable!("no message"));
    /// assert_eq!(chats.kinds(), Some(&[MessageKind::Chat][..]));
    /// ```
    fn kinds(&self) -> Option<&[MessageKind]> {
        None
    }

    /// Does what the message asks for, or declines it.
    ///
    /// ```
    /// # use std::{sync::Arc, time::Duration};
    /// # use laneway::{Hub, UserId, protocol::*};
    /// # let (hub, now) = (Hub::new(), Duration::ZERO);
    /// # let ann = hub.scope(UserId::new("ann")?);
    /// # let inbound = MessageRouter::new(Arc::default(), now);
    /// let fails = |_: &Sender<'_>, _: &Message| Err(HandlerError::new("NO_CREDIT", "pay first"));
    /// inbound.register("fails", fails)?;
    /// let outcome = inbound.route(&ann, None, Message::new(MessageKind::Chat), now);
    /// assert_eq!(outcome, Outcome::Failed(HandlerError::new("NO_CREDIT", "pay first")));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// An error ends the message: its sender receives the error, and no other handler is asked.
    ///
    /// # Panics
    ///
    /// The router catches a panic. It ends the message like an error, and the sender receives the code
    /// `INTERNAL` and nothing of the panic's text.
    fn handle(&self, sender: &Sender<'_>, message: &Message) -> Result<Handled, HandlerError>;
}

impl<F> Handler for F
where
    F: Fn(&Sender<'_>, &Message) -> Result<Handled, HandlerError> + Send + Sync,
{
    fn handle(&self, sender: &Sender<'_>, message: &Message) -> Result<Handled, HandlerError> {
        self(sender, message)
    }
}

/// Sees each message before its handlers, and its outcome afterwards.
///
/// ```
/// use std::sync::atomic::{AtomicU64, Ordering};
/// use laneway::protocol::{HandlerError, Message, Middleware, Outcome, Sender};
///
/// #[derive(Default)]
/// struct Failures(AtomicU64);
///
/// impl Middleware for Failures {
///     fn after(&self, _: &Sender<'_>, _: &Message, outcome: &Outcome) {
///         let failed = matches!(outcome, Outcome::Failed(_));
///         self.0.fetch_add(u64::from(failed), Ordering::Relaxed);
///     }
/// }
/// # laneway::protocol::MessageRouter::new(Default::default(), Default::default())
/// #     .wrap(Failures::default())?;
/// # Ok::<(), laneway::protocol::RegisterError>(())
/// ```
pub trait Middleware: Send + Sync {
    /// Runs before the handlers. It may change the message, or refuse it.
    ///
    /// ```
    /// # use std::{sync::Arc, time::Duration};
    /// # use laneway::{Hub, UserId, protocol::*};
    /// # let (hub, now) = (Hub::new(), Duration::ZERO);
    /// # let ann = hub.scope(UserId::new("ann")?);
    /// # let inbound = MessageRouter::new(Arc::default(), now);
    /// struct Stamps;
    /// impl Middleware for Stamps {
    ///     fn before(&self, sender: &Sender<'_>, message: &mut Message) -> Result<(), HandlerError> {
    ///         message.fields_mut().insert("at".into(), sender.now().as_secs().into());
    ///         Ok(())
    ///     }
    /// }
    /// inbound.wrap(Stamps)?;
    /// inbound.register("looks", |_: &Sender<'_>, message: &Message| {
    ///     assert_eq!(message.fields()["at"], 0);
    ///     Ok(Handled::Done)
    /// })?;
    /// let outcome = inbound.route(&ann, None, Message::new(MessageKind::Chat), now);
    /// assert_eq!(outcome, Outcome::Handled(Some("looks".into())));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// An error ends the message before a handler sees it, and its sender receives the error.
    ///
    /// # Panics
    ///
    /// The router catches a panic. The message counts as [`Outcome::Failed`].
    fn before(&self, _sender: &Sender<'_>, _message: &mut Message) -> Result<(), HandlerError> {
        Ok(())
    }

    /// Runs after the handlers, for the middlewares whose `before` accepted the message. The last runs first.
    ///
    /// ```
    /// # use std::{sync::Arc, time::Duration};
    /// # use laneway::{Hub, UserId, protocol::*};
    /// # let (hub, now) = (Hub::new(), Duration::ZERO);
    /// # let ann = hub.scope(UserId::new("ann")?);
    /// # let inbound = MessageRouter::new(Arc::default(), now);
    /// struct Log(std::sync::mpsc::SyncSender<Outcome>);
    /// impl Middleware for Log {
    ///     fn after(&self, _: &Sender<'_>, _: &Message, outcome: &Outcome) {
    ///         let _ = self.0.try_send(outcome.clone());
    ///     }
    /// }
    /// let (log, lines) = std::sync::mpsc::sync_channel(16);
    /// inbound.wrap(Log(log))?;
    /// let _ = inbound.route(&ann, None, Message::new(MessageKind::Chat), now);
    /// assert_eq!(lines.recv()?, Outcome::Unhandled);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Panics
    ///
    /// The router catches a panic. It changes no outcome.
    fn after(&self, _sender: &Sender<'_>, _message: &Message, _outcome: &Outcome) {}
}

/// The outcome of an inbound message.
///
/// ```
/// use laneway::protocol::Outcome;
///
/// fn log(outcome: &Outcome) -> String {
///     match outcome {
///         Outcome::Handled(Some(handler)) => format!("handled by {handler}"),
///         Outcome::Refused(error) | Outcome::Failed(error) => error.to_string(),
///         other => format!("{other:?}"),
///     }
/// }
/// assert_eq!(log(&Outcome::Unhandled), "Unhandled");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// The handler of this name accepted it, or a built-in reply for `None`.
    Handled(Option<Arc<str>>),
    /// No handler accepted it. Its sender received an `ack`, unless the kind gets no answer.
    Unhandled,
    /// It came before under the same message id, and was not handled again. Its sender received the answers
    /// of the first time.
    Repeated,
    /// It was no message, or a middleware refused it. Its sender received the error.
    Refused(HandlerError),
    /// Its handler failed or panicked, or a middleware panicked. Its sender received the error.
    Failed(HandlerError),
}

/// How a call of the host's code failed.
pub(in crate::protocol) enum Trouble {
    /// It returned this error.
    Error(HandlerError),
    /// It panicked. The error has nothing of the panic's text, which may name other users.
    Panic(HandlerError),
}

/// Runs the host's code, and catches a panic.
pub(in crate::protocol) fn contained<R>(
    f: impl FnOnce() -> Result<R, HandlerError>,
) -> Result<R, Trouble> {
    let panicked = || {
        let text = "the message could not be handled";
        Err(Trouble::Panic(HandlerError::new("INTERNAL", text)))
    };
    panics::contain(f).map_or_else(panicked, |done| done.map_err(Trouble::Error))
}
