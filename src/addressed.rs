//! Some or all of one user's connections, as a publisher addresses them.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::ask::Ask;
use crate::ask::id::AskId;
use crate::delivery::Delivery;
#[cfg(feature = "cluster")]
use crate::engine::Traced;
use crate::engine::{Aim, Cache, Core, Target, nanos};
use crate::error::{AskError, PublishError};
use crate::id::UserId;
use crate::lane::Terms;

/// Some or all of one user's connections, with the verbs that publish to them.
///
/// ```
/// # let hub: laneway::Hub<u8> = laneway::Hub::new();
/// # let ann = hub.scope(laneway::UserId::new("ann")?);
/// let (phone, _laptop) = (ann.connect()?, ann.connect()?);
/// let others = ann.to_others(phone.id());
/// assert_eq!(others.publish(7)?.connections, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Each publish goes to the connections of that moment, also to one that joins during the call. The others
/// pass the event's number and step over it. [`Delivery::connections`] counts the audience just before the
/// event is accepted.
///
/// The verbs are those of [`UserScope`](crate::UserScope#which-verb). An audience other than all connections
/// takes one allocation a publish, and so does a [deadline](Self::until).
pub struct Addressed<'a, E: Send + Sync + 'static> {
    core: &'a Arc<Core<E>>,
    user: &'a UserId,
    cache: Option<&'a Cache<E>>,
    aim: Aim<'a>,
}

impl<E: Send + Sync + 'static> Clone for Addressed<'_, E> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<E: Send + Sync + 'static> Copy for Addressed<'_, E> {}

impl<E: Send + Sync + 'static> fmt::Debug for Addressed<'_, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Addressed")
            .field("user", self.user)
            .field("target", &self.aim.target)
            .field("deadline", &self.aim.deadline)
            .finish_non_exhaustive()
    }
}

impl<'a, E: Send + Sync + 'static> Addressed<'a, E> {
    pub(crate) fn new(
        core: &'a Arc<Core<E>>,
        user: &'a UserId,
        cache: Option<&'a Cache<E>>,
        target: Target<'a>,
    ) -> Self {
        Self {
            core,
            user,
            cache,
            aim: Aim::at(target),
        }
    }

    /// With a deadline: from this time on readers step over the event.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # let hub: laneway::Hub<&str> = laneway::Hub::new();
    /// # let ann = hub.scope(laneway::UserId::new("ann")?);
    /// let mut phone = ann.connect()?;
    /// let second = Duration::from_secs(1);
    /// ann.to_all().until(30 * second).publish_critical("may the agent send this mail?")?;
    /// hub.tick(30 * second); // the phone was asleep
    /// assert!(phone.try_recv().is_err());
    /// assert_eq!(phone.stats().expired, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// `deadline` is a time on the clock of [`Hub::sweep`](crate::Hub::sweep) and
    /// [`Hub::tick`](crate::Hub::tick). The engine reads no clock: an event expires when one of these two has
    /// told a time at or after the deadline, and not before. A deadline that has come already is no error.
    /// The event is accepted then, and each reader steps over it.
    ///
    /// The reader decides when it comes to the event. It counts an expired one in
    /// [`ConnectionStats::expired`](crate::ConnectionStats::expired). An expired event takes its room until
    /// each reader has passed it. A [resume](crate::UserScope::resume) and a
    /// [recovery](crate::Connection::recover) leave out events that are expired at that moment.
    ///
    /// A critical event may expire too. A device that is late steps over it and stays connected. But the lane
    /// notes only the number of a critical event whose room it needs. So a device that has not passed it by
    /// then is closed, whether the event is expired or not.
    ///
    /// Wait-free. A publish with a deadline takes one allocation.
    #[must_use]
    pub fn until(mut self, deadline: Duration) -> Self {
        self.aim.deadline = Some(nanos(deadline));
        self
    }

    /// Publishes `event` to these connections, as [`UserScope::publish`](crate::UserScope::publish) does.
    ///
    /// ```
    /// # let hub: laneway::Hub<u8> = laneway::Hub::new();
    /// # let ann = hub.scope(laneway::UserId::new("ann")?);
    /// let phone = ann.connect()?;
    /// let delivery = ann.to_connection(phone.id()).publish(7)?;
    /// assert_eq!((delivery.number, delivery.connections), (0, 1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`PublishError`] hands the event back; `NoConnections` if the audience has no connection and none is
    /// joining.
    ///
    /// # Panics
    ///
    /// As the method of the scope, also in bounds and progress.
    pub fn publish(&self, event: E) -> Result<Delivery, PublishError<E>> {
        self.deliver(event, Terms::OVERWRITE)
    }

    /// Publishes `event` to these connections unless the lane is full, as
    /// [`UserScope::try_publish`](crate::UserScope::try_publish) does.
    ///
    /// ```
    /// # let hub = laneway::Hub::builder().lane_capacity(2).build::<u8>()?;
    /// # let ann = hub.scope(laneway::UserId::new("ann")?);
    /// let (phone, _laptop) = (ann.connect()?, ann.connect()?);
    /// ann.publish_batch([3, 4])?; // in a lane of two events
    /// assert!(ann.to_connection(phone.id()).try_publish(5).unwrap_err().is_full());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// The lane is full if any connection of the user is a whole lane behind: all of them pass the number.
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish), and `Full`. Progress is that of the method of the scope.
    pub fn try_publish(&self, event: E) -> Result<Delivery, PublishError<E>> {
        self.deliver(event, Terms::REFUSE)
    }

    /// Publishes `event`, which none of these connections may miss, as
    /// [`UserScope::publish_critical`](crate::UserScope::publish_critical) does.
    ///
    /// ```
    /// # let hub: laneway::Hub<u8> = laneway::Hub::new();
    /// # let ann = hub.scope(laneway::UserId::new("ann")?);
    /// let phone = ann.connect()?;
    /// assert!(ann.to_connection(phone.id()).publish_critical(7).is_ok());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// The lane notes only the event's number. So a connection outside of the audience is closed too if it
    /// has not passed the event when the room is needed.
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish).
    ///
    /// # Panics
    ///
    /// As the method of the scope, also in bounds and progress.
    pub fn publish_critical(&self, event: E) -> Result<Delivery, PublishError<E>> {
        self.deliver(event, Terms::CRITICAL)
    }

    /// Asks these connections, as [`UserScope::ask`](crate::UserScope::ask) does. Only they may answer, and a scope.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # let hub: laneway::Hub<u8> = laneway::Hub::new();
    /// # let ann = hub.scope(laneway::UserId::new("ann")?);
    /// use laneway::AnswerError;
    ///
    /// let (phone, laptop) = (ann.connect()?, ann.connect()?);
    /// let ask = ann.to_connection(phone.id()).ask(Duration::from_secs(30), |_| 7)?;
    /// assert_eq!(laptop.answer(ask.id(), 8), Err(AnswerError::NotAsked(8)));
    /// assert!(phone.answer(ask.id(), 8).is_ok());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As the method of the scope, also in panics, bounds and progress.
    pub fn ask(
        &self,
        deadline: Duration,
        question: impl FnOnce(AskId) -> E,
    ) -> Result<Ask<E>, AskError<E>> {
        let asked = self
            .core
            .ask(self.user, self.cache, self.aim.target, deadline, question)?;
        Ok(Ask::new(asked))
    }

    /// Publishes under these terms.
    #[cfg(feature = "cluster")]
    pub(crate) fn publish_with(&self, event: E, terms: Terms) -> Result<Delivery, PublishError<E>> {
        self.deliver(event, terms)
    }

    /// Publishes, and returns the lane that has accepted the event.
    #[cfg(feature = "cluster")]
    pub(crate) fn publish_traced(&self, event: E, terms: Terms) -> Result<Traced, PublishError<E>> {
        self.core
            .deliver_as(self.user, self.cache, &self.aim, event, terms)
    }

    #[inline]
    fn deliver(&self, event: E, terms: Terms) -> Result<Delivery, PublishError<E>> {
        self.core
            .deliver_ruled(self.user, self.cache, &self.aim, event, terms)
    }
}
