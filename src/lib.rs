//! A lock-free, in-process routing engine: a *scope* puts events into one user's bounded, sequenced *lane*,
//! and each device of that user is a *cursor* in it.
//!
//! ```text
//!                 Hub  (held by the authenticator)
//!                   │ scope(user)
//!      ┌────────────┴────────────┐
//!  UserScope("ann")          UserScope("bob")          publishes, connects
//!      │                         │
//!  lane │0│1│2│3│ │ │        lane │0│ │ │ │            bounded, numbered
//!        ▲   ▲                    ▲
//!        │   └ Connection #2      └ Connection #3      one cursor a device
//!        └ Connection #1
//! ```
//!
//! ```
//! use laneway::{Hub, Received, UserId};
//!
//! let hub: Hub<String> = Hub::new();
//! let ann = hub.scope(UserId::new("ann")?);
//! let (mut phone, mut laptop) = (ann.connect()?, ann.connect()?);
//!
//! let delivery = ann.publish("hello".to_owned())?;
//! assert_eq!(delivery.connections, 2);
//! for device in [&mut phone, &mut laptop] {
//!     let Received::Event(next) = device.try_recv()? else { panic!("one event is no gap") };
//!     assert_eq!((next.number, next.event.as_str()), (0, "hello"));
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The [guide] says how to embed it: which verb when, async and threads, the sweep, devices that come back.
//! [`UserScope`] publishes, [`Connection`] receives, [`Builder`] has the settings. [`architecture`] explains
//! the inside.
//!
//! # Guarantees
//!
//! * **Isolation.** Only a user's own connections observe what is published in the user's scope. No method
//!   that delivers takes an id of another user.
//! * **One order.** Two devices of a user see the events they have in common in the same order,
//!   with growing numbers.
//! * **No silent loss.** An event is delivered once to each connection live when it was accepted, or the
//!   loss is reported: to the publisher as an error that hands the event back, to the reader as
//!   [`Received::Gap`] with an exact count. An event that its publisher gave a [deadline](Addressed::until)
//!   or a [key](UserScope::publish_latest) may be stepped over instead, and is counted.
//! * **Bounded.** A lane holds `lane_capacity` events, and [a few more](#limits) while devices stand still
//!   in it. A slow device delays neither a publisher nor another device.
//! * **Lock-free.** A thread that is stopped anywhere inside laneway stops no other thread. The
//!   [table of progress](#progress) names the calls that sleep or take a lock.
//!
//! A connection has no scope, so the code of a device cannot publish:
//!
//! ```compile_fail,E0599
//! # let hub: laneway::Hub<u8> = laneway::Hub::new();
//! let ann = hub.scope(laneway::UserId::new("ann").unwrap());
//! let connection = ann.connect().unwrap();
//! let _ = connection.scope();
//! ```
//! ```
//! # let hub: laneway::Hub<u8> = laneway::Hub::new();
//! let ann = hub.scope(laneway::UserId::new("ann").unwrap());
//! let connection = ann.connect().unwrap();
//! let _ = connection.user();
//! ```
//!
//! Two threads cannot receive from one connection:
//!
//! ```compile_fail,E0499
//! # let hub: laneway::Hub<u8> = laneway::Hub::new();
//! # let ann = hub.scope(laneway::UserId::new("ann").unwrap());
//! let mut connection = ann.connect().unwrap();
//! std::thread::scope(|s| {
//!     s.spawn(|| connection.try_recv());
//!     s.spawn(|| connection.try_recv());
//! });
//! ```
//! ```
//! # let hub: laneway::Hub<u8> = laneway::Hub::new();
//! # let ann = hub.scope(laneway::UserId::new("ann").unwrap());
//! let mut connection = ann.connect().unwrap();
//! std::thread::scope(|s| {
//!     s.spawn(|| connection.try_recv());
//! });
//! ```
//!
//! # Consistency
//!
//! A publish takes effect in one step. That step decides the event's number and the connections that it is
//! for. Publishes to one user have one order; publishes to two users have none.
//!
//! ## Critical events
//!
//! A device that is more than a lane behind skips ordinary events. It receives a critical one as long as
//! the lane holds it. A later publish may need the room of a critical event that is more than a lane old. Then
//! each connection that has not read it has *overrun*. It is closed at its next call, or by the next sweep,
//! with [`CloseReason::Overrun`]. Its owner knows that it has to start over.
//!
//! ## Rules
//!
//! A device decides when it comes to an event. It steps over one whose [deadline](Addressed::until) the host has told,
//! and over one that a later event of its [key](UserScope::publish_latest) has superseded.
//! [`ConnectionStats`] counts both. A device that keeps up steps over nothing. No event supersedes one on the other
//! side of a [barrier](UserScope::publish_barrier). An expired critical event closes no device that comes to it,
//! but the lane may need its room before: then it closes a device as any critical event does.
//!
//! ## Retention
//!
//! Off by default. With [`Builder::retention`] a lane keeps what its connections have read. It outlives the
//! last of them for a time of grace. So a device whose network failed goes on where it was, by
//! [`UserScope::resume`] from a [`Position`].
//!
//! [`Resumed`] says whether the replay is complete, how much is missing, or that the position's lane is gone.
//! A replay never has a hole. A connection that resumes is the same device: it has the id of the one that it
//! continues, and takes its place if that one is still live. It also receives events addressed to that id, or
//! to a thread while the device was attached to it. [`Connection::recover`] returns critical events that were
//! accepted while the user had no connection. Each is owed until a connection receives it.
//!
//! ## Closing
//!
//! Disconnected, evicted, replaced, idle, overrun and exhausted connections are cut: their unread events are
//! gone. After a shutdown, or when the last [`Hub`] is dropped, connections drain what was accepted before.
//! Then they receive [`CloseReason::Shutdown`]. Scopes that are kept are refused with `Closed`.
//!
//! [`Hub::drain`] does the same in batches, and slowly: users are told first, with a delay of their own after
//! which to come back. Until its deadline each connection receives what was accepted. What is unread then is
//! counted.
//!
//! ## Payloads
//!
//! An event is moved out to its last reader, or dropped by it. An unread one is dropped by the last device
//! that skips it or leaves, by the publish that needs its room, or with the hub. A collector never drops one.
//!
//! # What it does not do
//!
//! It stores nothing beyond the lanes and nothing on disk: the events that retention keeps are lost with the
//! process. It starts no thread, and knows no network but for the feature `nats`. It reads no clock but in
//! [`Connection::recv_timeout`], [`Lifecycle::next_timeout`] and [`UserScope::publish_timeout`].
//!
//! It does not authenticate. Code that holds the [`Hub`] can make any user's scope, so a host keeps the hub
//! in the authenticator and passes scopes on:
//!
//! ```
//! mod authenticator {
//!     use laneway::{Hub, UserId, UserScope};
//!
//!     pub struct Authenticator {
//!         hub: Hub<String>, // private, and nowhere else
//!     }
//!
//!     impl Authenticator {
//!         pub fn new() -> Self {
//!             Self { hub: Hub::new() }
//!         }
//!         /// The only way to a scope is a proof of identity.
//!         pub fn log_in(&self, name: &str, password: &str) -> Option<UserScope<String>> {
//!             let user = UserId::new(name).ok()?;
//!             (password == "correct horse").then(|| self.hub.scope(user))
//!         }
//!     }
//! }
//! let door = authenticator::Authenticator::new();
//! assert!(door.log_in("ann", "guess").is_none());
//! assert!(door.log_in("ann", "correct horse").is_some());
//! ```
//!
//! ## Threat model
//!
//! laneway protects users from each other against mistakes in the host's code, against races, and
//! against hostile clients. A client reaches it only through what the host passes on: ids, and the rate of
//! messages. It does not protect against code in the same process that means harm.
//!
//! * Ids that a client chooses cannot be made to collide. Equality is bytewise, hashing is keyed per hub,
//!   and entries whose hashes are equal all the same stand side by side.
//! * A client that floods, or stops reading, fills the lane of its own user, and no other.
//! * Memory is bounded by `max_users` times what [a lane holds](#limits) times the size of a payload. With
//!   retention the lanes of `max_absent_users` come to that, and so do a replay's clones: at most a lane for
//!   each connection that has resumed and has not read them.
//! * A [`Position`] of another user is refused, and the error does not name that user. A client that alters
//!   its own position receives at most its own user's events. The contents are masked: a client cannot read
//!   the hub's counters from it. A [`ConnectionId`] is such a counter.
//! * A scope that was [revoked](Hub::revoke) does nothing from then on, for ever, and neither do its clones.
//!   When the hub's memory of revocations is full, it refuses old scopes of all users, and no revoked one is
//!   good again.
//! * An answer comes from a connection or a scope of the user who was asked. The id of a question belongs to its
//!   user: a connection of another user is refused, as with a made-up id, and that is counted.
//! * An error shown to one user never names another. [`Hub::dump`] and the lifecycle notices name
//!   all of them and are for the host.
//!
//! # Errors
//!
//! Each error is a value. One that refuses an event hands it back: [`PublishError::into_inner`].
//! [`CloseReason`] has a table of HTTP statuses and WebSocket close codes for each reason and each error.
//!
//! | a host that misbehaves | answer |
//! |---|---|
//! | a payload's `Drop` panics | the panic reaches the one call that dropped it: the publish that needed its room, after the new event is in place; the receive that skipped it; the connection that leaves |
//! | a payload's `Clone`, or a visitor, panics | the panic reaches the receiver; the event counts as read, and is not leaked |
//! | a waker panics | caught; the publisher and the other sleepers go on |
//! | a subscriber of `tracing` or a recorder of `metrics` panics | caught; the call goes on |
//! | a waker or a `Drop` calls back into the engine, even to drop the hub | allowed; the engine holds nothing at the time |
//! | the callback of `for_each_user`, or the writer of `dump`, hangs or panics | all other calls go on, and memory is reclaimed; at most 64 users are kept for it |
//! | a waker, `weigh`, or a payload's `Clone` or `Drop` hangs | the call that it is in hangs; the others go on. A guard of the collector may be held at the time: memory that the process retires meanwhile is freed when it returns |
//! | a connection is forgotten | the lane keeps working; its place is freed by the sweep or by disconnecting it |
//! | a thread is killed while it holds a connection | as if forgotten |
//!
//! # Limits
//!
//! 255 connections a user (126 with retention), 65 536 events a lane, ids of 200 bytes, 2⁴⁴ numbers a lane: 200 days at
//! a million a second for one user who is never offline. Then all of the user's connections are
//! closed with [`CloseReason::Exhausted`], the event comes back as `NoConnections`, and the next
//! connect makes a fresh lane.
//!
//! A lane holds at most `lane_capacity` + (n + 2) × L + 1 payloads. n is the number of connections that stand
//! still behind the others. L is a quarter of the capacity, at least 16 and at most 256, or the capacity if
//! that is less. A user who keeps up takes no memory for that: room for unread events is
//! allocated when there are some. [`Hub::sweep`] gives it back at the second call that finds them all read
//! and no new ones since the first.
//!
//! The user table never shrinks: entries go with their users, the nodes that were split for them stay
//! until the hub goes. That grows with the number of different users there ever were, ever more
//! slowly: some 650 kB for 300 000 users who came and went with 500 online.
//!
//! # Performance
//!
//! A publish is two atomic read-modify-writes, whatever the number of devices. The last reader of an event
//! needs none, each other reader one, and in a burst one more an arena. A warm publish or receive
//! allocates nothing and makes no system call. laneway allocates on connect, when unread events need more
//! room, and for an event that is not for all connections or counts for a budget of bytes. `benches/RESULTS.md` in the repository compares
//! it with its peers in one run, and `benches/NOTES.md` says where peers are ahead.
//!
//! ## Progress
//!
//! | method | guarantee |
//! |---|---|
//! | `Hub::scope`, `to_user`, `user_count`, `stats`, `is_shut_down`, `tick`, `next_generation`, `revoked_users`, `UserScope::made_at`, `is_revoked`, `attenuate`, `events_left` | wait-free |
//! | `Hub::revoke` | lock-free, linear in the user's connections; once in 8 192 revoked users linear in the revocations |
//! | `UserScope::publish`, `try_publish`, `publish_critical`, `publish_batch`, `publish_latest`, `publish_barrier`, `until`, `to_all`, `to_connection`, `to_thread`, `to_others` | lock-free; at most 16 numbers an event, then it comes back |
//! | `RoomSender::publish`, `publish_critical`, `members`, `Announcer::publish`, `publish_critical` | lock-free, linear in the members or users; the same a member as a publish |
//! | `UserScope::join`, `leave`, `rooms`, `Hub::forget` | lock-free, linear in the user's rooms; a join in a room that had more members looks at one bit for each |
//! | `Hub::end_absent` | lock-free, linear in the kept events and the user's rooms |
//! | `Hub::room`, `rooms`, `announcer` | wait-free |
//! | `RoomSender::member_count` | lock-free, linear in the rooms of the call |
//! | `UserScope::publish_timeout` | sleeps between two looks at a full lane |
//! | `UserScope::publish_when_free` | lock-free; the host's pause between two looks at a full lane |
//! | `UserScope::connect`, `connect_with`, `disconnect`, `disconnect_all` | lock-free |
//! | `Connection::attach`, `detach`, `UserScope::attach`, `detach` | lock-free, linear in the attachments, of which there are 64 at most |
//! | `UserScope::ask`, `answer`, `Addressed::ask`, `Connection::answer`, `Ask::try_answer`, polling and dropping an `Ask` | lock-free, linear in the questions of the user |
//! | `Ask::wait_timeout` | sleeps while there is no answer |
//! | `Hub::drain`, `Drain::step` | lock-free; a step does one batch |
//! | `Drain::progress`, `drained`, `Hub::is_draining`, `reconnect_after`, `Connection::reconnect_after` | wait-free |
//! | `Hub::record_metrics`, of the feature `metrics` | wait-free but for the host's recorder |
//! | `Hub::record_accepted`, of the feature `metrics` | that of `Hub::accepted`, and the host's recorder |
//! | `UserScope::resume`, `resume_with` | lock-free; at most `lane_capacity` steps more than a connect |
//! | `Connection::recover` | lock-free; one step for each number that the lane holds |
//! | `UserScope::connections`, `connection_count`, `is_online`, `overrun_count`, `dump`, `Hub::is_online`, `accepted`, `unread_bytes`, `laggards`, `for_each_user`, `sweep`, `shutdown`, `dump` | lock-free, linear in what they walk |
//! | `Connection::try_recv`, `try_recv_merged`, `poll_recv`, `poll_recv_merged`, `visit`, `drain`, drop | lock-free; a gap or a drop takes one step for each unread number that the lane holds |
//! | `Connection::poll_closed`, awaiting `closed` | lock-free; sleeps while the connection is open |
//! | `Connection::recv`, `recv_merged`, `recv_timeout`, awaiting `next` and `next_merged` | sleep when there is nothing to read |
//! | `Connection::id`, `user`, `threads`, `is_attached`, `note`, `unread`, `missed`, `stats`, `touch`, `position` | wait-free |
//! | `Hub::lifecycle`, `Lifecycle::lost` | lock-free |
//! | connects, disconnects and sweeps that close, while there are subscribers | the short lock of each subscriber's channel |
//! | `Lifecycle::try_next`, drop | the short lock of its own channel |
//! | `Hub::presence`, `Presence::step`, `subscribe` | one owner; the short lock of its own channels |
//! | `RoomSender::presence`, `RoomPresence::update`, `members`, `status`, `number` | lock-free, linear in the members |
//! | `Presence::status`, `users`, `len`, `is_empty`, `devices` | lock-free, linear in what they walk |
//! | `PresenceFeed::try_next`, `poll_next`, `next` | the short lock of its own channel |
//! | `PresenceFeed::next_timeout` | the same, and sleeps when there is nothing to read |
//! | `Lifecycle::next_timeout` | the same, and sleeps when there is nothing to read |
//! | `NodeScope::publish` and its other verbs, of the feature `cluster` | that of the scope's verb, and the short lock of the queue to the broker |
//! | `NodeRoom::publish`, `publish_critical` | that of the verb of `RoomSender`, and the short lock of the queue to the broker |
//! | `Node::stamp_of`, `Trail::note` and its other methods | lock-free, linear in the trail's ranges |
//! | `History::since`, of the feature `jetstream` | an async call that waits for the broker, within a limit |
//! | joins and leaves that begin or end a room, while the hub is a node | the short lock of each node's channel |
//!
//! Exceptions, which are the host's: the allocator, the payload's own `Clone` and `Drop`, and wakers. A reader
//! spins a bounded time before it gives up a number whose publisher does not come. No thread waits for another
//! without bound.
//!
//! # Features
//!
//! * `protocol`, on by default: the module `protocol`, messages of a chat server over the engine.
//! * `cluster`: the module `cluster`, several hubs as one over a broker of the host's. No dependency.
//! * `nats`: that broker is NATS, on tokio.
//! * `jetstream`: the broker keeps users' events for devices that come to another node.
//! * `tracing`: events of connections, gaps, refusals and the hub. [`observability`] has their fields.
//! * `metrics`: counters, gauges and histograms. [`observability`] has their names.
//! * `stream`: connections and lifecycle notices are `Stream`s of futures-core.
//! * `serde`: serde reads and writes ids, positions, and what is received, told and counted.
//!
//! # Verification
//!
//! Each lock-free protocol has a loom model of all interleavings up to a bound, beside a broken twin that the
//! model must reject. Property tests, fuzz targets and histories of real threads check the crate against one
//! sequential reference model. [`conserved`] checks the laws of conservation in a host's own tests. Unsafe
//! code stands in four files. `tests/README.md` says what each technique covers, and what it leaves out.

mod addressed;
mod ask;
#[cfg(all(feature = "cluster", not(any(laneway_loom, laneway_shuttle))))]
pub mod cluster;
#[cfg(all(test, laneway_loom))]
#[path = "cluster/owed.rs"]
mod cluster_owed;
// The protocol layer uses parts that the engine does not.
#[cfg_attr(
    any(not(feature = "protocol"), laneway_loom, laneway_shuttle),
    allow(dead_code)
)]
mod config;
mod connection;
mod delivery;
mod docs;
mod drain;
mod engine;
#[cfg_attr(
    any(not(feature = "protocol"), laneway_loom, laneway_shuttle),
    allow(dead_code)
)]
mod error;
#[cfg(all(test, not(any(laneway_loom, laneway_shuttle))))]
mod frozen;
mod hub;
mod id;
#[cfg(any(laneway_loom, fuzzing))]
#[doc(hidden)]
pub mod internals;
mod laggard;
mod lane;
mod lifecycle;
mod limits;
mod merge;
mod notices;
mod observe;
mod panics;
mod position;
mod presence;
#[cfg(all(feature = "protocol", not(any(laneway_loom, laneway_shuttle))))]
pub mod protocol;
mod rate;
mod received;
mod retention;
mod revocation;
mod room;
mod scope;
#[cfg(all(test, laneway_shuttle))]
mod shuffled;
mod stats;
mod sync;
mod table;
mod turns;
#[cfg(all(feature = "protocol", not(any(laneway_loom, laneway_shuttle))))]
mod unique;
mod unpark;
mod weak_hub;

pub use addressed::Addressed;
pub use ask::Ask;
pub use ask::answer::Answer;
pub use ask::id::AskId;
pub use config::{Activity, Builder, ConnectOptions, LimitPolicy};
pub use connection::{Connection, Next, UntilClosed};
pub use delivery::{BatchDelivery, Delivery, RoomDelivery};
pub use docs::{architecture, guide, observability};
pub use drain::{Drain, DrainError, DrainPhase, DrainPlan, DrainProgress, Drained};
pub use error::{
    AnswerError, AskError, AttachError, AttenuateError, BatchError, CloseReason, Closed,
    ConfigError, ConnectError, InvalidId, InvalidPosition, NoAnswer, NotAllowed, PublishError,
    RecvTimeoutError, ResumeError, TryRecvError,
};
pub use hub::Hub;
pub use id::{ConflationKey, ConnectionId, MAX_ID_BYTES, RoomId, ThreadId, UserId};
pub use laggard::{Lag, Laggard};
pub use lifecycle::{Change, Lifecycle, LifecycleError, NextNotice, NoNotice, Notice};
pub use limits::Limits;
pub use merge::{Merge, Merged};
pub use position::Position;
pub use presence::{
    NextUpdate, Presence, PresenceChange, PresenceError, PresenceFeed, PresenceSettings,
    PresenceStep, PresenceUpdate, RoomChange, RoomPresence, Status,
};
pub use rate::Rate;
pub use received::{Delivered, Received, Visited};
pub use retention::{Origin, Recovered, Resumed, Retention};
pub use revocation::{Generation, Revocation};
pub use room::{Announcer, JoinRoomError, Joined, Memberships, RoomSender};
pub use scope::UserScope;
pub use stats::{ConnectionInfo, ConnectionStats, HubStats, Imbalance, conserved};
pub use weak_hub::WeakHub;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
