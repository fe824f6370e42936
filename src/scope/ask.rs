//! A question to a user's devices, and an answer without a device.

use std::time::Duration;

use super::UserScope;
use crate::ask::Ask;
use crate::ask::id::AskId;
use crate::engine::{Denied, Target, Use};
use crate::error::{AnswerError, AskError};

impl<E: Send + Sync + 'static> UserScope<E> {
    /// Asks the user's devices: publishes the event that `question` makes of the id, and returns the asker's end.
    /// The first device that answers wins.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # let hub: laneway::Hub<String> = laneway::Hub::new();
    /// # let ann = hub.scope(laneway::UserId::new("ann")?);
    /// let (phone, laptop) = (ann.connect()?, ann.connect()?);
    /// let until = Duration::from_secs(30); // by the host's time, which `Hub::sweep` tells
    /// let mut ask = ann.ask(until, |id| format!("{id}: Log in?"))?;
    ///
    /// phone.answer(ask.id(), "yes".to_owned())?;
    /// assert!(laptop.answer(ask.id(), "no".to_owned()).is_err()); // too late
    /// let answer = ask.try_answer().unwrap()?;
    /// assert_eq!((answer.event.as_str(), answer.device), ("yes", Some(phone.id())));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// [`Addressed::ask`](crate::Addressed::ask) asks some of the devices. The event goes the way of each
    /// [`publish`](Self::publish). A device that skips it does not know of the question.
    ///
    /// The question is over when the first of these comes: an answer, a [`sweep`](crate::Hub::sweep) at `deadline` or
    /// later, the close of the last device that could answer, or the drop of the [`Ask`].
    ///
    /// # The way of the answer
    ///
    /// An answer goes to the holder of the [`Ask`] and to no lane. No device receives it, it has no number, and it is
    /// in no account. So it is no second way to deliver: it reaches only the code that has asked, through the value
    /// that this call returned, and only from a connection or a scope of the user who was asked.
    ///
    /// # Errors
    ///
    /// [`AskError`]: the publish was refused, or too many questions wait.
    ///
    /// # Panics
    ///
    /// If `question` does; nothing was asked then. Else as [`publish`](Self::publish).
    ///
    /// # Bounds
    ///
    /// 64 questions of a user wait at a time, and 65 536 of a hub. An answer takes one allocation.
    ///
    /// # Progress
    ///
    /// Lock-free, linear in the questions of the user.
    pub fn ask(
        &self,
        deadline: Duration,
        question: impl FnOnce(AskId) -> E,
    ) -> Result<Ask<E>, AskError<E>> {
        let cache = Some(&self.cache);
        let asked = self
            .core
            .ask(&self.user, cache, Target::All, deadline, question)?;
        Ok(Ask::new(asked))
    }

    /// Answers a question to this user without a device: for an answer that comes in another way than its
    /// connection.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # let hub: laneway::Hub<u8> = laneway::Hub::new();
    /// # let ann = hub.scope(laneway::UserId::new("ann")?);
    /// let _phone = ann.connect()?;
    /// let mut ask = ann.ask(Duration::from_secs(30), |_| 7)?;
    /// ann.answer(ask.id(), 8)?; // in a request of its own, say
    /// assert_eq!(ask.try_answer().unwrap()?.device, None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// A question for some devices may be answered so as well.
    ///
    /// # Errors
    ///
    /// [`AnswerError`] hands the answer back.
    ///
    /// # Progress
    ///
    /// Lock-free, linear in the questions of the user.
    pub fn answer(&self, question: AskId, answer: E) -> Result<(), AnswerError<E>> {
        match self.admit(Use::Publish(Target::All)) {
            Ok(()) => self.core.answer(&self.user, None, question, answer),
            Err(Denied::Revoked) => Err(AnswerError::Revoked(answer)),
            Err(Denied::NotAllowed(missing)) => Err(AnswerError::NotAllowed(answer, missing)),
        }
    }
}
