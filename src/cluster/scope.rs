//! The verbs that publish to one user's devices at every node.

use std::fmt;
use std::sync::Arc;

use crate::addressed::Addressed;
use crate::cluster::frame::Local;
use crate::cluster::link::Link;
use crate::cluster::outbox::Outbox;
use crate::cluster::relayed::Relayed;
#[cfg(feature = "jetstream")]
use crate::connection::Connection;
use crate::delivery::Delivery;
use crate::error::PublishError;
use crate::id::{ConnectionId, ThreadId, UserId};
use crate::lane::Terms;
use crate::scope::UserScope;
use crate::sync::pin;

/// The result of a publish to a user's devices at every node.
///
/// ```
/// # let hub: laneway::Hub<String> = laneway::Hub::new();
/// # use laneway::cluster::{ClusterOptions, Loopback, Node, closures};
/// # let text = closures(|e: &String, out| { out.extend(e.bytes()); Ok(()) }, |_, _| Ok(String::new()));
/// # let (node, _driver) = Node::join(&hub, ClusterOptions::new("chat"), text, Loopback::new())?;
/// let ann = node.scope(laneway::UserId::new("ann")?);
/// let published = ann.publish("hello".to_owned())?;
/// assert_eq!(published.local, None); // ann has no device here
/// assert!(!published.relayed.is_queued()); // and no task runs the driver
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "an event that was not relayed is lost to the other nodes"]
#[non_exhaustive]
pub struct Published {
    /// The delivery to the user's devices here. `None` if there is none in the audience.
    pub local: Option<Delivery>,
    /// What became of the event on its way to the other nodes.
    pub relayed: Relayed,
}

/// The capability to publish to one user's devices at every node, from [`Node::scope`](crate::cluster::Node::scope).
///
/// Each verb delivers to the devices here first, as the verb of the same name of [`UserScope`] does. Then it puts
/// the event into the queue to the broker. It never waits for the broker. A node where the user has a device
/// delivers the event there by the same verb.
///
/// # Order
///
/// The devices at one node get one node's events for a user in the order of the publishes. Two calls that
/// overlap may have one order here and another one elsewhere. Events that two nodes publish have an order at each
/// node, and not the same.
///
/// # Progress
///
/// That of the verb of [`UserScope`], and the short lock of the queue.
pub struct NodeScope<E: Send + Sync + 'static> {
    local: UserScope<E>,
    link: Arc<Link>,
    outbox: Arc<Outbox<E>>,
}

impl<E: Send + Sync + 'static> NodeScope<E> {
    pub(super) fn new(local: UserScope<E>, link: Arc<Link>, outbox: Arc<Outbox<E>>) -> Self {
        Self {
            local,
            link,
            outbox,
        }
    }

    /// Returns the user.
    ///
    /// ```
    /// # let hub: laneway::Hub<String> = laneway::Hub::new();
    /// # use laneway::cluster::{ClusterOptions, Loopback, Node, closures};
    /// # let text = closures(|e: &String, out| { out.extend(e.bytes()); Ok(()) }, |_, _| Ok(String::new()));
    /// # let (node, _driver) = Node::join(&hub, ClusterOptions::new("chat"), text, Loopback::new())?;
    /// let ann = node.scope(laneway::UserId::new("ann")?);
    /// assert_eq!(ann.user(), ann.local().user());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn user(&self) -> &UserId {
        self.local.user()
    }

    /// Returns the scope of this hub alone: it connects devices, and publishes to the devices here.
    ///
    /// ```
    /// # let hub: laneway::Hub<String> = laneway::Hub::new();
    /// # use laneway::cluster::{ClusterOptions, Loopback, Node, closures};
    /// # let text = closures(|e: &String, out| { out.extend(e.bytes()); Ok(()) }, |_, _| Ok(String::new()));
    /// # let (node, _driver) = Node::join(&hub, ClusterOptions::new("chat"), text, Loopback::new())?;
    /// let ann = node.scope(laneway::UserId::new("ann")?);
    /// let phone = ann.local().connect()?;
    /// ann.local().to_connection(phone.id()).publish("only here".to_owned())?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn local(&self) -> &UserScope<E> {
        &self.local
    }

    /// Returns whether it is a connection of the user at this node.
    #[cfg(feature = "jetstream")]
    pub(super) fn owns(&self, connection: &Connection<E>) -> bool {
        self.local.is_of_hub(connection) && connection.user() == self.user()
    }

    #[cfg(feature = "jetstream")]
    pub(super) fn outbox(&self) -> &Outbox<E> {
        &self.outbox
    }
}

impl<E: Clone + Send + Sync + 'static> NodeScope<E> {
    /// Publishes to each of the user's devices, at every node. See [`UserScope::publish`].
    ///
    /// ```
    /// # let hub: laneway::Hub<String> = laneway::Hub::new();
    /// # use laneway::cluster::{ClusterOptions, Loopback, Node, closures};
    /// # let text = closures(|e: &String, out| { out.extend(e.bytes()); Ok(()) }, |_, _| Ok(String::new()));
    /// # let (node, _driver) = Node::join(&hub, ClusterOptions::new("chat"), text, Loopback::new())?;
    /// let ann = node.scope(laneway::UserId::new("ann")?);
    /// let _phone = ann.local().connect()?;
    /// assert_eq!(ann.publish("hello".to_owned())?.local.unwrap().connections, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// A clone of the event goes into the queue, so a large event belongs into an [`Arc`].
    ///
    /// # Errors
    ///
    /// [`PublishError`] hands the event back, and no node gets it: `Closed`, or `Full` where stopped threads take
    /// all room. A user without a device here is no error. A broker that is gone is no error: see
    /// [`Published::relayed`].
    pub fn publish(&self, event: E) -> Result<Published, PublishError<E>> {
        self.spread(self.local.to_all(), None, event, Terms::OVERWRITE)
    }

    /// Publishes an event that no device may miss that a node delivers to. See [`UserScope::publish_critical`].
    ///
    /// ```
    /// # let hub: laneway::Hub<String> = laneway::Hub::new();
    /// # use laneway::cluster::{ClusterOptions, Loopback, Node, closures};
    /// # let text = closures(|e: &String, out| { out.extend(e.bytes()); Ok(()) }, |_, _| Ok(String::new()));
    /// # let (node, _driver) = Node::join(&hub, ClusterOptions::new("chat"), text, Loopback::new())?;
    /// let ann = node.scope(laneway::UserId::new("ann")?);
    /// assert!(ann.publish_critical("hello".to_owned())?.local.is_none());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// The way between nodes may lose a critical event as any other. The node that misses it is told a gap.
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish).
    pub fn publish_critical(&self, event: E) -> Result<Published, PublishError<E>> {
        self.spread(self.local.to_all(), None, event, Terms::CRITICAL)
    }

    /// Publishes unless a device here has a whole lane to read. See [`UserScope::try_publish`].
    ///
    /// ```
    /// # let hub = laneway::Hub::builder().lane_capacity(2).build::<String>()?;
    /// # use laneway::cluster::{ClusterOptions, Loopback, Node, closures};
    /// # let text = closures(|e: &String, out| { out.extend(e.bytes()); Ok(()) }, |_, _| Ok(String::new()));
    /// # let (node, _driver) = Node::join(&hub, ClusterOptions::new("chat"), text, Loopback::new())?;
    /// let ann = node.scope(laneway::UserId::new("ann")?);
    /// let _phone = ann.local().connect()?; // of a lane of two events
    /// let _ = (ann.try_publish("1".into())?, ann.try_publish("2".into())?);
    /// assert!(ann.try_publish("3".into()).unwrap_err().is_full());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// A device at another node holds back no publisher: there the event is published as by
    /// [`publish`](Self::publish).
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish), and `Full`. No node gets an event that is handed back.
    pub fn try_publish(&self, event: E) -> Result<Published, PublishError<E>> {
        self.spread(self.local.to_all(), None, event, Terms::REFUSE)
    }

    /// Publishes to the user's devices that are attached to `thread`, at every node.
    ///
    /// ```
    /// # let hub: laneway::Hub<String> = laneway::Hub::new();
    /// # use laneway::cluster::{ClusterOptions, Loopback, Node, closures};
    /// # let text = closures(|e: &String, out| { out.extend(e.bytes()); Ok(()) }, |_, _| Ok(String::new()));
    /// # let (node, _driver) = Node::join(&hub, ClusterOptions::new("chat"), text, Loopback::new())?;
    /// let ann = node.scope(laneway::UserId::new("ann")?);
    /// let oslo = laneway::ThreadId::new("Oslo")?;
    /// assert!(ann.publish_to_thread(&oslo, "hello".to_owned())?.local.is_none());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish).
    pub fn publish_to_thread(
        &self,
        thread: &ThreadId,
        event: E,
    ) -> Result<Published, PublishError<E>> {
        let to = self.local.to_thread(thread);
        self.spread(to, Some(thread), event, Terms::OVERWRITE)
    }

    /// Publishes to all of the user's devices but one that is connected here: "my other devices".
    ///
    /// ```
    /// # let hub: laneway::Hub<String> = laneway::Hub::new();
    /// # use laneway::cluster::{ClusterOptions, Loopback, Node, closures};
    /// # let text = closures(|e: &String, out| { out.extend(e.bytes()); Ok(()) }, |_, _| Ok(String::new()));
    /// # let (node, _driver) = Node::join(&hub, ClusterOptions::new("chat"), text, Loopback::new())?;
    /// let ann = node.scope(laneway::UserId::new("ann")?);
    /// let (phone, _laptop) = (ann.local().connect()?, ann.local().connect()?);
    /// let published = ann.publish_to_others(phone.id(), "hello".to_owned())?;
    /// assert_eq!(published.local.unwrap().connections, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// The ids of connections are those of one hub. At the other nodes all devices get the event.
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish).
    pub fn publish_to_others(
        &self,
        than: ConnectionId,
        event: E,
    ) -> Result<Published, PublishError<E>> {
        self.spread(self.local.to_others(than), None, event, Terms::OVERWRITE)
    }

    /// Delivers here, and then queues the event for the other nodes.
    fn spread(
        &self,
        here: Addressed<'_, E>,
        thread: Option<&ThreadId>,
        event: E,
        terms: Terms,
    ) -> Result<Published, PublishError<E>> {
        let copy = event.clone();
        // Until the event is in the queue. A call of the history waits for it: an event that was accepted here before
        // a connection came, and queued after the history was read, would reach that connection in no way.
        let _guard = self.outbox.is_traced.then(pin);
        let done = if self.outbox.is_traced {
            here.publish_traced(event, terms).map(|traced| {
                let (lane, number) = (traced.lane, traced.delivery.number);
                (traced.delivery, Some(Local { lane, number }))
            })
        } else {
            here.publish_with(event, terms)
                .map(|delivery| (delivery, None))
        };
        let (local, at) = match done {
            Ok((delivery, at)) => (Some(delivery), at),
            Err(PublishError::NoConnections(_)) => (None, None),
            Err(refused) => return Err(refused),
        };
        let with = (thread.cloned(), at);
        let relayed = self.outbox.put(&self.link, copy, terms.critical, with);
        Ok(Published { local, relayed })
    }
}

impl<E: Send + Sync + 'static> Clone for NodeScope<E> {
    fn clone(&self) -> Self {
        let (link, outbox) = (Arc::clone(&self.link), Arc::clone(&self.outbox));
        Self::new(self.local.clone(), link, outbox)
    }
}

impl<E: Send + Sync + 'static> fmt::Debug for NodeScope<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NodeScope")
            .field("user", self.user())
            .finish_non_exhaustive()
    }
}
