//! Several processes as one: a user's devices, and a room's members, at every node, joined by a broker.
//!
//! ```text
//!   node A                                      node B
//!   Hub ── lanes of the users online here       Hub ── lanes of the users online here
//!    ▲                                           ▲
//!    │ 1. delivers                               │ 4. delivers, by the same path
//!   NodeScope("ann")                             │
//!    │ 2. queues                                 │
//!   Driver ── 3. publishes ──▶ broker ──▶ Driver, which listens for ann
//!                              laneway.chat.u.YW5u
//! ```
//!
//! Each process has a [`Hub`](crate::Hub) and a [`Node`] of it. A [`NodeScope`] publishes to a user's devices at
//! every node. The [`Driver`] subscribes to a user's subject at the user's first connection here, and unsubscribes
//! at the last. So an event goes to the nodes where its user is online, and to no other.
//!
//! A [`NodeRoom`] does the same for the members of a room, on `laneway.chat.r.ID`: the driver subscribes at the room's
//! first member here, and unsubscribes after the last. Joins and leaves stay [`UserScope::join`] and
//! [`leave`](crate::UserScope::leave), at each node where the user has devices.
//!
//! [`UserScope::join`]: crate::UserScope::join
//!
//! With the feature `jetstream` the broker keeps users' events for a while. A device that comes to another node, or back
//! after a restart of its node, gets what it has missed:
//! [`History`](https://docs.rs/laneway/latest/laneway/cluster/struct.History.html). Its [`Trail`] says what it has.
//!
//! A [`Relay`] is a broker. [`NatsRelay`](https://docs.rs/laneway/latest/laneway/cluster/struct.NatsRelay.html), of
//! the feature `nats`, is a connection to NATS. [`Loopback`] has an example of two nodes in one process. A [`Codec`]
//! turns events into bytes.
//!
//! # Promises
//!
//! * **Local first.** A publish delivers here before it does anything else, and never waits for the broker. If the
//!   broker is slow or gone, [`Published::relayed`] says that the event goes to no other node.
//! * **Isolation.** An event that comes from another node is published in the scope of the user whose subject it
//!   came on, or to the room's members here. Subjects are injective: see [`Subjects`].
//! * **The same check.** A packet of the protocol layer is checked at the node that receives it, as that node's
//!   broadcaster checks a message: for the user, or for each member of the room here. See
//!   [`PacketCodec`](https://docs.rs/laneway/latest/laneway/cluster/struct.PacketCodec.html).
//! * **Order.** Each device gets one node's events for a user in the order of the publishes, and one node's events
//!   for a room as well.
//! * **Once.** No device gets an event twice. A node drops its own events that come back.
//! * **A history**, with the feature `jetstream`: what a user's device has missed at other nodes, each event once. Or it is
//!   told that something is missing.
//! * **No silent loss.** Each node numbers its events for each user and each room. A node that has heard one number is
//!   told each later one that does not come, as [`ClusterEvent::Gap`] or [`ClusterEvent::RoomGap`], with the exact
//!   count. The publisher has been told
//!   `Dropped`, or the broker has lost the event. After a pause the publisher's node tells its last number, so the
//!   loss of the last events shows too. It tells it again after each connect of any node.
//!
//! # Not promised
//!
//! * An order between events of two nodes. Devices at two nodes may get them in different orders. Nor an order
//!   between a room's events and a user's, or those of two rooms.
//! * One copy for a member of several rooms: [`Hub::rooms`](crate::Hub::rooms) reaches the members here only. A
//!   node's broadcaster refuses a message to several rooms at once.
//! * Events that are in the queue when the driver's future is dropped, or that the broker's client has not written one tick
//!   after the hub's end.
//! * A membership at every node: a user who has joined at one node, and has a device at another one, receives the
//!   room's events there once the user has joined there as well.
//! * An announcement to all users online at every node: [`Announcer`](crate::Announcer) is one of a hub.
//! * Events that are published before a node's subscription has reached the broker, and the count of those that are
//!   lost before the first one of a publishing node has come.
//! * The loss of the last events for a user or a room, if their node ends before the next tick, or publishes meanwhile
//!   to more users than [`ClusterOptions::users`] or more rooms than [`ClusterOptions::rooms`].
//! * Delivery: a broker may lose events, critical ones too. What it loses on the way is in no history either. A host that reacts to a gap has the client load its
//!   state anew, as after a lane's own gap.
//! * A history of rooms: it has the events for users only.
//! * [`Position`](crate::Position)s and numbers of lanes are those of one hub, and a [`Trail`] is not. Events for a user who is away are
//!   kept only at the node that publishes them. Those for a room are kept at each node where the user is a member, if
//!   memberships are [kept](crate::Memberships) there.
//! * What only one hub knows stays there: connection ids, `connections` of a delivery, memberships and who is in a
//!   room, retention, statistics.
//!
//! # Cost
//!
//! | what | messages | bytes |
//! |---|---|---|
//! | a user comes online at a node | 1 subscription | 310 at most |
//! | a room gets its first member at a node | 1 subscription | 310 at most |
//! | a user goes offline, a room loses its last member at a node | 1 end of it | – |
//! | an event | 1 to the broker, 1 from it to each other node where the user is online or the room has a member | 27, the thread's id, the event; the subject of 13, the cluster's name and 4⁄3 of the id; the broker's own |
//! | a pause of a user's or a room's events | 1 as an event | as an event of no bytes |
//! | a node with [`history`](ClusterOptions::history) | – | 16 more for each event that a device here gets |
//! | a call of `History::since` | a mark, 3 to 4 questions, and each event that was missed | its user's frames since the trail |
//! | a connect of a node | 1 to each node; then each node's last number of each user and each room | as an event of no bytes |
//!
//! The guide has [figures](crate::guide#beyond-one-process). A node keeps the last numbers of
//! [`users`](ClusterOptions::users) users and [`rooms`](ClusterOptions::rooms) rooms it has published to, those of at
//! most 64 publishing nodes for each user online and each room with a member, and its queue. The driver delivers an
//! event for a room in one walk over its members here.
//!
//! # Trust
//!
//! A trail comes from a client, and may say anything: it decides which of its own user's events come.
//!
//! All nodes of a cluster trust each other and the broker: a process that may publish on a subject reaches that
//! user or those members. A host restricts `laneway.>` to its nodes by the broker's permissions. What a node receives may be anything:
//! a frame that is none is counted and dropped.

mod addressee;
mod codec;
mod driver;
mod error;
mod event;
mod frame;
#[cfg(feature = "jetstream")]
mod history;
mod inbound;
mod link;
mod listened;
mod loopback;
#[cfg(feature = "nats")]
mod nats;
mod node;
mod numbers;
mod outbound;
mod outbox;
mod owed;
#[cfg(feature = "protocol")]
mod packets;
mod relay;
pub(crate) mod relayed;
mod room;
#[cfg(feature = "jetstream")]
mod scan;
mod scope;
#[cfg(feature = "jetstream")]
mod sent;
mod stamp;
mod stats;
mod subject;
mod trail;

pub use addressee::Addressee;
pub use codec::{Closures, Codec, closures};
pub use driver::Driver;
pub use error::{ClusterError, CodecError, RelayError};
pub use event::ClusterEvent;
pub use frame::NodeId;
#[cfg(feature = "jetstream")]
pub use history::{History, HistoryError, HistoryOptions, Missed};
pub use loopback::{Loopback, LoopbackSubscription};
#[cfg(feature = "nats")]
pub use nats::{NatsError, NatsRelay, NatsSubscription};
pub use node::{ClusterOptions, Node};
#[cfg(feature = "protocol")]
pub use packets::PacketCodec;
pub use relay::{Incoming, Relay};
pub use relayed::{Relayed, Unrelayed};
pub use room::{NodeRoom, RoomPublished};
#[cfg(feature = "jetstream")]
pub use scan::Kept;
pub use scope::{NodeScope, Published};
pub use stamp::Stamp;
pub use stats::ClusterStats;
pub use subject::{MAX_NAME_BYTES, Subjects};
pub use trail::{InvalidTrail, Noted, Trail};
