//! A node: a hub in a cluster.

use std::fmt;
use std::sync::Arc;

use crate::cluster::codec::Codec;
use crate::cluster::driver::Driver;
use crate::cluster::error::ClusterError;
use crate::cluster::event::{ClusterEvent, Told};
use crate::cluster::frame::NodeId;
use crate::cluster::outbox::Outbox;
use crate::cluster::relay::Relay;
use crate::cluster::room::NodeRoom;
use crate::cluster::scope::NodeScope;
use crate::cluster::stamp::Stamp;
use crate::cluster::stats::ClusterStats;
use crate::cluster::subject::Subjects;
use crate::connection::Connection;
use crate::engine::Core;
use crate::hub::Hub;
use crate::id::{RoomId, UserId};
use crate::room::RoomSender;
use crate::scope::UserScope;
use crate::sync::Ordering;

/// The settings of a node.
///
/// ```
/// use laneway::cluster::{ClusterEvent, ClusterOptions};
///
/// let options = ClusterOptions::new("chat").queue(4096).told(|event| {
///     if let ClusterEvent::Gap { user, missed, .. } = event {
///         eprintln!("{user} misses {missed} events");
///     }
/// });
/// # drop(options);
/// ```
#[must_use]
pub struct ClusterOptions {
    name: String,
    queue: usize,
    users: usize,
    rooms: usize,
    is_traced: bool,
    told: Option<Told>,
}

impl ClusterOptions {
    /// Creates the default settings for the cluster of this name. Nodes of other names share nothing with it.
    ///
    /// ```
    /// let options = laneway::cluster::ClusterOptions::new("chat");
    /// # drop(options);
    /// ```
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            queue: 8_192,
            users: 1 << 18,
            rooms: 1 << 16,
            is_traced: false,
            told: None,
        }
    }

    /// Sets how many events may wait for the broker, 1 to 1 048 576. Default 8 192.
    ///
    /// ```
    /// let options = laneway::cluster::ClusterOptions::new("chat").queue(64);
    /// # drop(options);
    /// ```
    pub fn queue(mut self, events: usize) -> Self {
        self.queue = events;
        self
    }

    /// Sets for how many users the node numbers the events that it publishes, 2 to 16 777 216. Default 262 144.
    ///
    /// A node that publishes to more users in turn forgets the number of the user to whom it published longest
    /// ago. The loss of that user's last events may not be told then.
    ///
    /// ```
    /// let options = laneway::cluster::ClusterOptions::new("chat").users(1 << 20);
    /// # drop(options);
    /// ```
    pub fn users(mut self, users: usize) -> Self {
        self.users = users;
        self
    }

    /// Sets for how many rooms the node numbers the events that it publishes, 2 to 16 777 216. Default 65 536.
    ///
    /// A node that publishes to more rooms in turn forgets the number of the room to which it published longest
    /// ago. The loss of that room's last events may not be told then.
    ///
    /// ```
    /// let options = laneway::cluster::ClusterOptions::new("chat").rooms(1 << 18);
    /// # drop(options);
    /// ```
    pub fn rooms(mut self, rooms: usize) -> Self {
        self.rooms = rooms;
        self
    }

    /// Sets whether the node's frames say where their events are at this node. Default `false`.
    ///
    /// ```
    /// let options = laneway::cluster::ClusterOptions::new("chat").history(true);
    /// # drop(options);
    /// ```
    ///
    /// Each node of a cluster that uses `History`, of the feature `jetstream`, has it on: then a device that has
    /// received an event at the node that published it does not get it again at another node. A frame of a user's event
    /// that a device here gets has 16 bytes more.
    pub fn history(mut self, is_on: bool) -> Self {
        self.is_traced = is_on;
        self
    }

    /// Sets the closure that is called with each [`ClusterEvent`], in the driver's task.
    ///
    /// ```
    /// let (tell, told) = std::sync::mpsc::channel();
    /// let options = laneway::cluster::ClusterOptions::new("chat").told(move |event| drop(tell.send(event.clone())));
    /// # drop((options, told));
    /// ```
    ///
    /// # Panics
    ///
    /// A panic of `told` ends the driver's task.
    pub fn told(mut self, told: impl Fn(&ClusterEvent) + Send + Sync + 'static) -> Self {
        self.told = Some(Box::new(told));
        self
    }
}

impl fmt::Debug for ClusterOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClusterOptions")
            .field("name", &self.name)
            .field("queue", &self.queue)
            .field("users", &self.users)
            .field("rooms", &self.rooms)
            .field("history", &self.is_traced)
            .finish_non_exhaustive()
    }
}

/// Notices of each kind that may wait for the driver. More are lost, and the driver walks over all users or all rooms.
const NOTICES: usize = 1 << 16;

/// A hub in a cluster: makes the capabilities whose publishes reach a user's devices, or a room's members, at
/// every node.
///
/// [`Loopback`](crate::cluster::Loopback) has an example of two nodes. All clones are the same node. A host keeps
/// it where it keeps the hub, because code with a node can make any user's scope, and any room's.
///
/// A node does not keep its hub open.
pub struct Node<E: Send + Sync + 'static> {
    pub(super) core: Arc<Core<E>>,
    pub(super) outbox: Arc<Outbox<E>>,
}

impl<E: Send + Sync + 'static> Node<E> {
    /// Joins a hub to a cluster. Returns the node, and its driver, which the host runs.
    ///
    /// ```
    /// # let hub: laneway::Hub<String> = laneway::Hub::new();
    /// # use laneway::cluster::{ClusterError, ClusterOptions, Loopback, Node, closures};
    /// # let text = closures(|e: &String, out| { out.extend(e.bytes()); Ok(()) }, |_, _| Ok(String::new()));
    /// let refused = Node::join(&hub, ClusterOptions::new("two words"), text, Loopback::new());
    /// assert_eq!(refused.unwrap_err(), ClusterError::Name);
    /// ```
    ///
    /// The node takes one of the 16 subscriptions to the hub's notices.
    ///
    /// # Errors
    ///
    /// [`ClusterError`] says which setting is out of its bounds, or that the hub has too many subscribers.
    pub fn join<C: Codec<E>, R: Relay>(
        hub: &Hub<E>,
        options: ClusterOptions,
        codec: C,
        relay: R,
    ) -> Result<(Self, Driver<E, C, R>), ClusterError> {
        let subjects = Subjects::new(&options.name)?;
        if !(1..=1 << 20).contains(&options.queue) {
            return Err(ClusterError::Queue(options.queue));
        }
        if !(2..=1 << 24).contains(&options.users) {
            return Err(ClusterError::Users(options.users));
        }
        if !(2..=1 << 24).contains(&options.rooms) {
            return Err(ClusterError::Rooms(options.rooms));
        }
        // Before the driver's first walk. In the other order a user or a room could come in between, and stay unheard.
        let notices = hub.lifecycle(NOTICES).map_err(ClusterError::Lifecycle)?;
        let rooms = hub.core.watch_rooms(NOTICES);
        let rooms = rooms.map_err(ClusterError::Lifecycle)?;
        let (outbox, waitings) = Outbox::new(
            options.queue,
            options.users,
            options.rooms,
            options.is_traced,
        );
        let node = Self {
            core: Arc::clone(&hub.core),
            outbox: Arc::new(outbox),
        };
        let told = options.told.unwrap_or_else(|| Box::new(|_| {}));
        let driver = Driver::new(
            (Arc::clone(&node.core), Arc::clone(&node.outbox)),
            waitings,
            (notices, rooms),
            (codec, relay),
            (subjects, (options.users, options.rooms), told),
        );
        Ok((node, driver))
    }

    /// Returns the capability to publish to one user, at every node, and to connect that user's devices here.
    ///
    /// ```
    /// # let hub: laneway::Hub<String> = laneway::Hub::new();
    /// # use laneway::cluster::{ClusterOptions, Loopback, Node, closures};
    /// # let text = closures(|e: &String, out| { out.extend(e.bytes()); Ok(()) }, |_, _| Ok(String::new()));
    /// let (node, _driver) = Node::join(&hub, ClusterOptions::new("chat"), text, Loopback::new())?;
    /// let ann = node.scope(laneway::UserId::new("ann")?);
    /// assert_eq!(ann.user().as_str(), "ann");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// Lock-free. One allocation for a user who is new to the node.
    #[must_use]
    pub fn scope(&self, user: UserId) -> NodeScope<E> {
        let link = self.outbox.link(user.clone().into());
        let local = UserScope::new(Arc::clone(&self.core), user, self.core.make_pass());
        NodeScope::new(local, link, Arc::clone(&self.outbox))
    }

    /// Returns the capability to publish to a room's members, at every node. [`NodeRoom`] has an example of two nodes.
    ///
    /// ```
    /// # let hub: laneway::Hub<String> = laneway::Hub::new();
    /// # use laneway::cluster::{ClusterOptions, Loopback, Node, closures};
    /// # let text = closures(|e: &String, out| { out.extend(e.bytes()); Ok(()) }, |_, _| Ok(String::new()));
    /// let (node, _driver) = Node::join(&hub, ClusterOptions::new("chat"), text, Loopback::new())?;
    /// let oslo = node.room(laneway::RoomId::new("Oslo")?);
    /// assert_eq!(oslo.local().member_count(), 0); // a room without members is no error
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// Lock-free. Two allocations more for a room that is new to the node.
    #[must_use]
    pub fn room(&self, room: RoomId) -> NodeRoom<E> {
        let link = self.outbox.link(room.clone().into());
        let local = RoomSender::new(Arc::clone(&self.core), [room.clone()]);
        NodeRoom::new(local, room, link, Arc::clone(&self.outbox))
    }

    /// Returns the id of the node. Wait-free.
    ///
    /// ```
    /// # let hub: laneway::Hub<String> = laneway::Hub::new();
    /// # use laneway::cluster::{ClusterOptions, Loopback, Node, closures};
    /// # let text = || closures(|e: &String, out| { out.extend(e.bytes()); Ok(()) }, |_, _| Ok(String::new()));
    /// let (node, _driver) = Node::join(&hub, ClusterOptions::new("chat"), text(), Loopback::new())?;
    /// let (other, _driver) = Node::join(&hub, ClusterOptions::new("chat"), text(), Loopback::new())?;
    /// assert_ne!(node.id(), other.id());
    /// # Ok::<(), laneway::cluster::ClusterError>(())
    /// ```
    #[must_use]
    pub fn id(&self) -> NodeId {
        self.outbox.node
    }

    /// Returns the stamp of an event that a connection here has received under this number, and that no other node has
    /// published. `None` if the connection is not one of this node's hub. [`Stamp`] has an example.
    ///
    /// An event of another node has a stamp of its own, from its frame. Of any other event of the lane, this is the
    /// right one: also of one that is for this hub alone, and of a room's.
    ///
    /// Lock-free.
    #[must_use]
    pub fn stamp_of(&self, connection: &Connection<E>, number: u64) -> Option<Stamp> {
        if !connection.is_of(&self.core) {
            return None;
        }
        Some(Stamp::local(self.id(), connection.place(), number))
    }

    /// Returns whether the broker is connected, as far as the driver knows. Wait-free.
    ///
    /// ```
    /// # let hub: laneway::Hub<String> = laneway::Hub::new();
    /// # use laneway::cluster::{ClusterOptions, Loopback, Node, closures};
    /// # let text = closures(|e: &String, out| { out.extend(e.bytes()); Ok(()) }, |_, _| Ok(String::new()));
    /// let (node, _driver) = Node::join(&hub, ClusterOptions::new("chat"), text, Loopback::new())?;
    /// assert!(!node.is_connected()); // no task runs the driver
    /// # Ok::<(), laneway::cluster::ClusterError>(())
    /// ```
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.outbox.is_connected.load(Ordering::Acquire)
    }

    /// Returns the node's figures. Wait-free.
    ///
    /// ```
    /// # let hub: laneway::Hub<String> = laneway::Hub::new();
    /// # use laneway::cluster::{ClusterOptions, Loopback, Node, closures};
    /// # let text = closures(|e: &String, out| { out.extend(e.bytes()); Ok(()) }, |_, _| Ok(String::new()));
    /// let (node, _driver) = Node::join(&hub, ClusterOptions::new("chat"), text, Loopback::new())?;
    /// let _ = node.scope(laneway::UserId::new("ann")?).publish("hello".to_owned())?;
    /// assert_eq!(node.stats().dropped_disconnected, 1); // no task runs the driver
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn stats(&self) -> ClusterStats {
        self.outbox.counters.read()
    }
}

impl<E: Send + Sync + 'static> Clone for Node<E> {
    fn clone(&self) -> Self {
        Self {
            core: Arc::clone(&self.core),
            outbox: Arc::clone(&self.outbox),
        }
    }
}

impl<E: Send + Sync + 'static> fmt::Debug for Node<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node")
            .field("id", &self.id())
            .field("is_connected", &self.is_connected())
            .finish_non_exhaustive()
    }
}
