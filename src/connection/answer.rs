//! Answering a question from a device.

use super::Connection;
use crate::ask::id::AskId;
use crate::error::AnswerError;

impl<E: Send + Sync + 'static> Connection<E> {
    /// Answers a question to this device's user. The first answer wins.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # let hub: laneway::Hub<u8> = laneway::Hub::new();
    /// # let ann = hub.scope(laneway::UserId::new("ann")?);
    /// # let bob = hub.scope(laneway::UserId::new("bob")?);
    /// use laneway::AnswerError;
    ///
    /// let (hers, his) = (ann.connect()?, bob.connect()?);
    /// let ask = ann.ask(Duration::from_secs(30), |_| 7)?;
    /// assert_eq!(his.answer(ask.id(), 8), Err(AnswerError::Unknown(8)));
    /// assert!(hers.answer(ask.id(), 8).is_ok());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// The answer goes to the [asker](crate::UserScope::ask) only. A device that resumes may
    /// answer what it was asked before.
    ///
    /// # Errors
    ///
    /// [`AnswerError`] hands the answer back. The id of another user's question is refused like a made-up one.
    ///
    /// # Progress
    ///
    /// Lock-free, linear in the questions of the user.
    pub fn answer(&self, question: AskId, answer: E) -> Result<(), AnswerError<E>> {
        let member = self.member();
        if !member.is_open() {
            return Err(AnswerError::Closed(answer));
        }
        (self.core).answer(&self.user.id, Some(member), question, answer)
    }
}
