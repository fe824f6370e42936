//! The verbs that publish an event with a rule.

use std::time::Duration;

use super::UserScope;
use crate::addressed::Addressed;
use crate::delivery::Delivery;
use crate::engine::{Aim, Effect};
use crate::error::PublishError;
use crate::id::ConflationKey;
use crate::lane::Terms;

impl<E: Send + Sync + 'static> UserScope<E> {
    /// [Publishes](Self::publish) the newest state of `key`. A device that has not read the earlier ones steps
    /// over them.
    ///
    /// ```
    /// use laneway::{ConflationKey, Hub, Received, UserId};
    ///
    /// let hub = Hub::builder().conflation(Some(8)).build::<u8>()?;
    /// let ann = hub.scope(UserId::new("ann")?);
    /// let (mut phone, progress) = (ann.connect()?, ConflationKey::new("upload 7")?);
    /// for percent in [10, 20, 30] {
    ///     ann.publish_latest(&progress, percent)?;
    /// }
    /// let Ok(Received::Event(next)) = phone.try_recv() else { panic!("no gap") };
    /// assert_eq!((next.number, next.event), (2, 30));
    /// assert_eq!(phone.stats().superseded, 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// For a state of which only the newest counts: a cursor, progress, presence. The event is for all of the
    /// user's connections. A device that keeps up receives each event. A device that is behind receives
    /// the newest of each key in the place where that one was published, and counts those before in
    /// [`ConnectionStats::superseded`](crate::ConnectionStats::superseded).
    ///
    /// * An event is superseded only after the later one was accepted. If the device misses that one, its gap
    ///   has it, as any other event.
    /// * No event before a [`publish_barrier`](Self::publish_barrier) is superseded by one after it.
    /// * A [resume](Self::resume) leaves out superseded events as well.
    /// * While calls of other threads publish the same key or a barrier, an event may be delivered that this
    ///   text would let the device step over. The newest one is always delivered or missed.
    ///
    /// Needs [`Builder::conflation`](crate::Builder::conflation). Without it each event is delivered.
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish). Panics are as there.
    ///
    /// # Bounds
    ///
    /// A superseded event takes its room until each device has passed it. A user has so many keys as the
    /// builder says. The key that was published longest ago falls out for a new one.
    ///
    /// # Progress
    ///
    /// Lock-free, as [`publish`](Self::publish); one allocation, and two more for a key that is not remembered.
    pub fn publish_latest(
        &self,
        key: &ConflationKey,
        event: E,
    ) -> Result<Delivery, PublishError<E>> {
        self.deliver_with(Effect::Supersedes(key), event)
    }

    /// [Publishes](Self::publish) an event that no [`publish_latest`](Self::publish_latest) reaches over: no event
    /// before it is superseded by one after it.
    ///
    /// ```
    /// # use laneway::{ConflationKey, Hub, Received, UserId};
    /// # let hub = Hub::builder().conflation(Some(8)).build::<&str>()?;
    /// # let ann = hub.scope(UserId::new("ann")?);
    /// let (mut phone, cursor) = (ann.connect()?, ConflationKey::new("cursor")?);
    /// ann.publish_latest(&cursor, "line 1")?;
    /// ann.publish_barrier("line 2 is deleted")?;
    /// ann.publish_latest(&cursor, "line 4")?;
    /// ann.publish_latest(&cursor, "line 5")?;
    /// let mut seen = Vec::new();
    /// while let Ok(Received::Event(next)) = phone.try_recv() {
    ///     seen.push(next.event);
    /// }
    /// assert_eq!(seen, ["line 1", "line 2 is deleted", "line 5"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// The barrier itself is an ordinary event. A device that is more than a lane behind may miss it.
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish). A barrier that is refused is none.
    ///
    /// # Panics
    ///
    /// As [`publish`](Self::publish). The barrier then lies between the events before this call and those after
    /// it.
    ///
    /// # Progress
    ///
    /// Lock-free, as [`publish`](Self::publish). While a thread is stopped in this call, no event of the user
    /// supersedes another one, and each is delivered.
    pub fn publish_barrier(&self, event: E) -> Result<Delivery, PublishError<E>> {
        self.deliver_with(Effect::Bars, event)
    }

    /// Addresses all connections of this user, up to a deadline. As
    /// [`to_all`](Self::to_all) and [`Addressed::until`].
    ///
    /// ```
    /// # use std::time::Duration;
    /// # let hub: laneway::Hub<&str> = laneway::Hub::new();
    /// # let ann = hub.scope(laneway::UserId::new("ann")?);
    /// let mut phone = ann.connect()?;
    /// let second = Duration::from_secs(1);
    /// ann.until(5 * second).publish("bob is typing")?;
    /// hub.sweep(4 * second);
    /// assert!(phone.try_recv().is_ok());
    /// ann.until(5 * second).publish("bob is typing")?;
    /// hub.sweep(6 * second);
    /// assert!(phone.try_recv().is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// Wait-free.
    #[must_use]
    pub fn until(&self, deadline: Duration) -> Addressed<'_, E> {
        self.to_all().until(deadline)
    }

    fn deliver_with(&self, effect: Effect<'_>, event: E) -> Result<Delivery, PublishError<E>> {
        let (cache, aim) = (Some(&self.cache), Aim::with(effect));
        self.core
            .deliver_ruled(&self.user, cache, &aim, event, Terms::OVERWRITE)
    }
}
