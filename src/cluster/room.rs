//! The verbs that publish to a room's members at every node.

use std::fmt;
use std::sync::Arc;

use crate::cluster::link::Link;
use crate::cluster::outbox::Outbox;
use crate::cluster::relayed::{Relayed, Unrelayed};
use crate::delivery::RoomDelivery;
use crate::id::RoomId;
use crate::room::RoomSender;

/// The result of a publish to a room's members at every node.
///
/// ```
/// # use laneway::{Hub, RoomId};
/// # let hub: Hub<String> = Hub::new();
/// # use laneway::cluster::{ClusterOptions, Loopback, Node, closures};
/// # let text = closures(|e: &String, out| { out.extend(e.bytes()); Ok(()) }, |_, _| Ok(String::new()));
/// # let (node, _driver) = Node::join(&hub, ClusterOptions::new("chat"), text, Loopback::new())?;
/// let published = node.room(RoomId::new("Oslo")?).publish(&"hello".to_owned());
/// assert_eq!(published.local.users, 0); // the room has no member here
/// assert!(!published.relayed.is_queued()); // and no task runs the driver
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "an event that was not relayed is lost to the other nodes"]
#[non_exhaustive]
pub struct RoomPublished {
    /// The delivery to the members here.
    pub local: RoomDelivery,
    /// What became of the event on its way to the other nodes.
    pub relayed: Relayed,
}

/// The capability to publish to a room's members at every node, from [`Node::room`](crate::cluster::Node::room). The
/// host keeps it.
///
/// ```
/// use laneway::cluster::{ClusterOptions, CodecError, Loopback, Node, closures};
/// use laneway::{Hub, Received, RoomId, UserId};
///
/// let texts = || closures(
///     |event: &String, into| Ok(into.extend_from_slice(event.as_bytes())),
///     |_, bytes| String::from_utf8(bytes.to_vec()).map_err(CodecError::new),
/// );
/// let (here, there) = (Hub::new(), Hub::new());
/// let relay = Loopback::new();
/// let (node, driver) = Node::join(&here, ClusterOptions::new("chat"), texts(), relay.another())?;
/// let (other, its_driver) = Node::join(&there, ClusterOptions::new("chat"), texts(), relay)?;
///
/// # let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
/// # runtime.block_on(async {
/// let tick = || tokio::time::sleep(std::time::Duration::from_millis(50));
/// tokio::spawn(driver.run(tick));
/// tokio::spawn(its_driver.run(tick));
/// let (bob, oslo) = (there.scope(UserId::new("bob")?), RoomId::new("Oslo")?);
/// let mut phone = bob.connect()?;
/// bob.join(&oslo)?; // at the other node
/// # while !node.is_connected() || other.stats().subscribed_rooms == 0 { tokio::task::yield_now().await }
///
/// let published = node.room(oslo).publish(&"hello".to_owned());
/// assert!(published.relayed.is_queued());
/// let Received::Event(got) = phone.next().await? else { panic!("a gap") };
/// assert_eq!(got.event, "hello");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Each verb delivers to the members here first, as the verb of the same name of [`RoomSender`] does. Then it puts
/// the event into the queue to the broker. It never waits for the broker. A node at which the room has a member
/// delivers the event to its members by the same verb.
///
/// A membership is one of a hub: a user [joins](crate::UserScope::join) and leaves at each node where the user has
/// devices. [`RoomSender::members`] and [`RoomDelivery`] are those of one hub as well.
///
/// # Which members a publish reaches
///
/// At the node that publishes: as [`RoomSender`] says. At each other node: the members during the whole of the
/// delivery there, each device once. A user who leaves there before the publish begins is not reached. A user who
/// joins while the event is on its way may be reached.
///
/// # Order
///
/// The members at one node get one node's events for a room in the order of the publishes. Two calls that overlap may
/// have one order here and another one elsewhere. Events that two nodes publish, events for two rooms, and events for
/// a room and for a user have no order between nodes.
///
/// # Bounds
///
/// [`ClusterOptions::rooms`](crate::cluster::ClusterOptions::rooms). A node takes an event of another node in its
/// driver's task, in a walk that is linear in the room's members here.
///
/// # Progress
///
/// That of the verb of [`RoomSender`], and the short lock of the queue.
pub struct NodeRoom<E: Send + Sync + 'static> {
    local: RoomSender<E>,
    link: Arc<Link>,
    room: RoomId,
    outbox: Arc<Outbox<E>>,
}

impl<E: Send + Sync + 'static> NodeRoom<E> {
    pub(super) fn new(
        local: RoomSender<E>,
        room: RoomId,
        link: Arc<Link>,
        outbox: Arc<Outbox<E>>,
    ) -> Self {
        Self {
            local,
            link,
            room,
            outbox,
        }
    }

    /// Returns the room.
    ///
    /// ```
    /// # let hub: laneway::Hub<String> = laneway::Hub::new();
    /// # use laneway::cluster::{ClusterOptions, Loopback, Node, closures};
    /// # let text = closures(|e: &String, out| { out.extend(e.bytes()); Ok(()) }, |_, _| Ok(String::new()));
    /// # let (node, _driver) = Node::join(&hub, ClusterOptions::new("chat"), text, Loopback::new())?;
    /// let oslo = node.room(laneway::RoomId::new("Oslo")?);
    /// assert_eq!(oslo.room().as_str(), "Oslo");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn room(&self) -> &RoomId {
        &self.room
    }

    /// Returns the capability of this hub alone: it publishes to the members here, and lists them.
    ///
    /// ```
    /// # let hub: laneway::Hub<String> = laneway::Hub::new();
    /// # use laneway::cluster::{ClusterOptions, Loopback, Node, closures};
    /// # let text = closures(|e: &String, out| { out.extend(e.bytes()); Ok(()) }, |_, _| Ok(String::new()));
    /// # let (node, _driver) = Node::join(&hub, ClusterOptions::new("chat"), text, Loopback::new())?;
    /// let oslo = node.room(laneway::RoomId::new("Oslo")?);
    /// assert_eq!(oslo.local().publish(&"only here".to_owned()).users, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn local(&self) -> &RoomSender<E> {
        &self.local
    }
}

impl<E: Clone + Send + Sync + 'static> NodeRoom<E> {
    /// Publishes to each member, at every node. See [`RoomSender::publish`].
    ///
    /// ```
    /// # use laneway::{Hub, RoomId, UserId};
    /// # let hub: Hub<String> = Hub::new();
    /// # use laneway::cluster::{ClusterOptions, Loopback, Node, closures};
    /// # let text = closures(|e: &String, out| { out.extend(e.bytes()); Ok(()) }, |_, _| Ok(String::new()));
    /// # let (node, _driver) = Node::join(&hub, ClusterOptions::new("chat"), text, Loopback::new())?;
    /// let (ann, oslo) = (node.scope(UserId::new("ann")?), RoomId::new("Oslo")?);
    /// let _phone = ann.local().connect()?;
    /// ann.local().join(&oslo)?;
    /// assert_eq!(node.room(oslo).publish(&"hello".to_owned()).local.users, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// A clone of the event goes into the queue too, so a large event belongs into an [`Arc`]. A room without members
    /// is no error, and neither is a broker that is gone: see [`RoomPublished::relayed`]. A hub that is shut down
    /// sends nothing: `Dropped(Stopped)`.
    ///
    /// # Panics
    ///
    /// As [`RoomSender::publish`]. The other nodes do not get the event then.
    pub fn publish(&self, event: &E) -> RoomPublished {
        let local = self.local.publish(event);
        self.relay(local, event, false)
    }

    /// Publishes an event that no member's device may miss that a node delivers to. See
    /// [`RoomSender::publish_critical`].
    ///
    /// ```
    /// # let hub: laneway::Hub<String> = laneway::Hub::new();
    /// # use laneway::cluster::{ClusterOptions, Loopback, Node, closures};
    /// # let text = closures(|e: &String, out| { out.extend(e.bytes()); Ok(()) }, |_, _| Ok(String::new()));
    /// # let (node, _driver) = Node::join(&hub, ClusterOptions::new("chat"), text, Loopback::new())?;
    /// let oslo = node.room(laneway::RoomId::new("Oslo")?);
    /// assert_eq!(oslo.publish_critical(&"hello".to_owned()).local.users, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// The way between nodes may lose a critical event as any other. The node that misses it is told a gap.
    ///
    /// # Panics
    ///
    /// As [`publish`](Self::publish).
    pub fn publish_critical(&self, event: &E) -> RoomPublished {
        let local = self.local.publish_critical(event);
        self.relay(local, event, true)
    }

    fn relay(&self, local: RoomDelivery, event: &E, is_critical: bool) -> RoomPublished {
        let relayed = relay(&self.outbox, &self.link, &self.local, event, is_critical);
        RoomPublished { local, relayed }
    }
}

/// Queues an event for a room's members at the other nodes, after its delivery by `local`.
pub(super) fn relay<E: Clone + Send + Sync + 'static>(
    outbox: &Outbox<E>,
    link: &Arc<Link>,
    local: &RoomSender<E>,
    event: &E,
    is_critical: bool,
) -> Relayed {
    if local.is_closed() {
        outbox.lose(link, Unrelayed::Stopped)
    } else {
        outbox.put(link, event.clone(), is_critical, (None, None))
    }
}

impl<E: Send + Sync + 'static> Clone for NodeRoom<E> {
    fn clone(&self) -> Self {
        let (link, outbox) = (Arc::clone(&self.link), Arc::clone(&self.outbox));
        Self::new(self.local.clone(), self.room.clone(), link, outbox)
    }
}

impl<E: Send + Sync + 'static> fmt::Debug for NodeRoom<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NodeRoom")
            .field("room", &self.room)
            .finish_non_exhaustive()
    }
}
