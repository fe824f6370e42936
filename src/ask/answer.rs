//! An answer, as the asker gets it.

use crate::id::ConnectionId;

/// The answer to a question, from [`Ask`](crate::Ask).
///
/// ```
/// # use std::time::Duration;
/// # let hub: laneway::Hub<&str> = laneway::Hub::new();
/// # let ann = hub.scope(laneway::UserId::new("ann")?);
/// let phone = ann.connect()?;
/// let mut id = None;
/// let mut ask = ann.ask(Duration::from_secs(30), |of| { id = Some(of); "Shall I?" }).map_err(|e| e.to_string())?;
/// phone.answer(id.unwrap(), "yes").map_err(|e| e.to_string())?;
/// let answer = ask.try_answer().unwrap()?;
/// assert_eq!((answer.event, answer.device), ("yes", Some(phone.id())));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
// Of 8 bytes at least, whatever the event is: the word of a handover counts on it.
#[repr(align(8))]
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Answer<E> {
    /// The device that has answered, or `None` if a scope has.
    pub device: Option<ConnectionId>,
    /// What it has answered.
    pub event: E,
}

impl<E> Answer<E> {
    pub(crate) fn new(device: Option<ConnectionId>, event: E) -> Self {
        Self { device, event }
    }
}
