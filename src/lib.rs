//! A lock-free, in-process routing engine: every user has one bounded, sequenced *lane*, a
//! connection is a *cursor* into its own user's lane, and a *scope* is the only thing that can put
//! an event there.
//!
//! ```text
//!                 Router  (held by whoever authenticates)
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
//! use laneway::{Received, Router, UserId};
//!
//! let router: Router<String> = Router::new();
//! let ann = router.scope(UserId::new("ann").unwrap());
//! let mut phone = ann.connect().unwrap();
//! let mut laptop = ann.connect().unwrap();
//!
//! let delivery = ann.publish("hello".to_owned()).unwrap();
//! assert_eq!(delivery.connections, 2);
//!
//! for device in [&mut phone, &mut laptop] {
//!     let Ok(Received::Event(got)) = device.try_recv() else { panic!() };
//!     assert_eq!((got.number, got.event.as_str()), (0, "hello"));
//! }
//! ```
//!
//! # Guarantees
//!
//! * **Isolation.** What is published in a user's scope is observed only through that user's
//!   connections. No method that delivers takes an id of somebody else.
//! * **One order.** Two devices of a user see the events they have in common in the same order,
//!   with growing numbers.
//! * **No silent loss.** An event is delivered once to each connection live when it was accepted,
//!   or the loss is told: to the publisher as an error that hands the event back, to the reader as
//!   [`Received::Gap`] with an exact count.
//! * **Bounded.** A lane holds `lane_capacity` events. A slow device delays nobody.
//! * **Payloads** are moved out to their last reader, or dropped by whoever overwrites them, by the
//!   last connection that leaves without reading them, or with the router; never by a collector.
//!
//! A scope cannot be had from a connection:
//!
//! ```compile_fail,E0599
//! # let router: laneway::Router<u8> = laneway::Router::new();
//! let ann = router.scope(laneway::UserId::new("ann").unwrap());
//! let connection = ann.connect().unwrap();
//! let _ = connection.scope();
//! ```
//! ```
//! # let router: laneway::Router<u8> = laneway::Router::new();
//! let ann = router.scope(laneway::UserId::new("ann").unwrap());
//! let connection = ann.connect().unwrap();
//! let _ = connection.user();
//! ```
//!
//! and no two can receive from one connection:
//!
//! ```compile_fail,E0499
//! # let router: laneway::Router<u8> = laneway::Router::new();
//! # let ann = router.scope(laneway::UserId::new("ann").unwrap());
//! let mut connection = ann.connect().unwrap();
//! std::thread::scope(|s| {
//!     s.spawn(|| connection.try_recv());
//!     s.spawn(|| connection.try_recv());
//! });
//! ```
//! ```
//! # let router: laneway::Router<u8> = laneway::Router::new();
//! # let ann = router.scope(laneway::UserId::new("ann").unwrap());
//! let mut connection = ann.connect().unwrap();
//! std::thread::scope(|s| {
//!     s.spawn(|| connection.try_recv());
//! });
//! ```
//!
//! # Retention
//!
//! Off by default. With [`Builder::retention`] a lane keeps what its connections have read, and outlives
//! the last of them for a time of grace, so that a device whose network failed goes on where it was:
//!
//! ```
//! use laneway::{Origin, Position, Received, Resumed, Retention, Router, UserId};
//!
//! let router: Router<String> = Router::builder()
//!     .retention(Some(Retention::events(256)))
//!     .build()
//!     .unwrap();
//! let ann = router.scope(UserId::new("ann").unwrap());
//! let phone = ann.connect().unwrap();
//! // Sent with each event, as the `id:` of server-sent events, say.
//! let id: String = phone.position().to_string();
//! drop(phone);
//! ann.publish("while away".to_owned()).unwrap();
//!
//! // The client comes back with its `Last-Event-ID`.
//! let position: Position = id.parse().unwrap();
//! let (mut phone, resumed) = ann.resume(&position).unwrap();
//! assert!(matches!(resumed, Resumed::Complete { .. }));
//! let Ok(Received::Event(got)) = phone.try_recv() else { panic!() };
//! assert_eq!((got.event.as_str(), got.origin), ("while away", Origin::Replayed));
//! ```
//!
//! [`Resumed`] says whether what is replayed is complete, what is missing, or that the position's lane is
//! gone; a replay never has a hole. [`Connection::recover`] gives critical events that were accepted
//! while nobody was there. What is kept is lost with the process.
//!
//! # Progress
//!
//! | method | guarantee |
//! |---|---|
//! | `Router::scope`, `to_user`, `user_count`, `is_shut_down` | wait-free |
//! | `UserScope::publish`, `try_publish`, `publish_critical`, `publish_batch`, `publish_to_set`, `to_all`, `to_connection`, `to_thread`, `to_others` | lock-free; at most 16 numbers an event, then it comes back |
//! | `UserScope::publish_timeout` | sleeps between two looks at a full lane |
//! | `UserScope::connect`, `connect_with`, `disconnect`, `disconnect_all` | lock-free |
//! | `UserScope::resume`, `resume_with`, `Connection::recover` | lock-free; at most `lane_capacity` steps more than a connect |
//! | `UserScope::connections`, `connection_count`, `overrun_count`, `dump`, `Router::stats`, `for_each_user`, `sweep`, `shutdown`, `dump` | lock-free, linear in what they walk |
//! | `Connection::try_recv`, `poll_recv`, `visit`, `drain`, drop | lock-free; a gap or a drop takes at most `lane_capacity` steps |
//! | `Connection::recv`, `recv_timeout`, awaiting `next` | sleep when there is nothing to read |
//! | `Connection::id`, `user`, `thread`, `unread`, `missed`, `stats`, `touch`, `position` | wait-free |
//! | `Router::lifecycle`, and connects and disconnects while somebody is subscribed | a short lock in the channel |
//!
//! Exceptions, which are the host's: the allocator (on connect, and on the first lap of a lane that is not kept up with), the
//! payload's own `Clone` and `Drop`, and wakers. A bounded spin stands before a number whose
//! publisher does not come is given up; no thread ever waits for another without bound.
//!
//! # Closing
//!
//! Disconnected, evicted, idle, overrun and exhausted connections are cut: what they have not read
//! is gone. After a shutdown, or when the last [`Router`] is dropped, connections drain what was
//! accepted before and then get [`CloseReason::Shutdown`]; scopes that are still about are refused
//! with `Closed`.
//!
//! # What it does not do
//!
//! It stores nothing beyond the lanes and nothing on disk, knows no network, starts no thread, and reads no clock but
//! in [`Connection::recv_timeout`] and [`UserScope::publish_timeout`].
//!
//! # Limits
//!
//! 255 connections a user (127 with retention), 65 536 events a lane, ids of 200 bytes, 2⁴⁴ numbers a lane: 200 days at
//! a million a second for one user who is never offline. Then all of the user's connections are
//! closed with [`CloseReason::Exhausted`], the event comes back as `NoConnections`, and the next
//! connect gets a fresh lane.
//!
//! The user table never shrinks: entries go with their users, the nodes that were split for them stay
//! until the router goes. That grows with the number of different users there ever were, ever more
//! slowly: some 650 kB for 300 000 users who came and went with 500 online.
//!
//! # Critical events
//!
//! An event published with [`UserScope::publish_critical`] is not overwritten unread by anything
//! and left at that: when a later event has to take its place, every connection that is still a
//! whole lane behind has *overrun*. It is closed at its next call, or by the next sweep, and its
//! owner knows that it has to start over.
//!
//! # Misbehaving hosts
//!
//! | what | answer |
//! |---|---|
//! | a payload's `Drop` panics | whoever dropped it sees the panic: the publisher that overwrote it, after the new event is in place; the leaving connection; nobody else |
//! | a payload's `Clone`, or a visitor, panics | the panic reaches the receiver; the event counts as read, and is not leaked |
//! | a waker panics | caught; the publisher and the other sleepers go on |
//! | a waker or a `Drop` calls back into the engine, even to drop the router | allowed; nothing of ours is held at the time |
//! | a connection is forgotten | the lane keeps working; its place is freed by the sweep or by disconnecting it |
//! | a thread is killed while it holds a connection | as if forgotten |
//!
//! # Threat model
//!
//! laneway protects users from each other against mistakes in the host's code, against races, and
//! against hostile clients, who reach it only through what the host passes on: ids, and the rate of
//! messages. It does not protect against code in the same process that means harm.
//!
//! * Ids that a client chooses cannot be made to collide: equality is bytewise, hashing is keyed per
//!   router, and entries whose hashes are equal all the same stand side by side.
//! * A client that floods, or stops reading, fills or laps its own user's lane, nobody else's.
//! * Memory is bounded by `max_users`, `max_connections_per_user` and `lane_capacity`; their product
//!   times the size of a payload is the most that lanes can hold. With retention the lanes of
//!   `max_absent_users` come to that, and a replay's clones, a lane at most, for each connection that
//!   has resumed and has not read them.
//! * A [`Position`] of another user is refused without saying whose it is. Whatever a client makes of
//!   its own, it gets its own user's events at most.
//! * An error shown to one user never names another; [`Router::dump`] and the lifecycle notices name
//!   all of them and are for the host.
//!
//! What stays the host's: who is who. Whoever holds the [`Router`] can make any user's scope, so
//! keep it in the authenticator and hand out scopes:
//!
//! ```
//! mod authenticator {
//!     use laneway::{Router, UserId, UserScope};
//!
//!     pub struct Authenticator {
//!         router: Router<String>, // private, and nowhere else
//!     }
//!
//!     impl Authenticator {
//!         pub fn new() -> Self {
//!             Self { router: Router::new() }
//!         }
//!         /// The only way to a scope is a proof of who one is.
//!         pub fn log_in(&self, name: &str, password: &str) -> Option<UserScope<String>> {
//!             let user = UserId::new(name).ok()?;
//!             (password == "correct horse").then(|| self.router.scope(user))
//!         }
//!     }
//! }
//! let door = authenticator::Authenticator::new();
//! assert!(door.log_in("ann", "guess").is_none());
//! assert!(door.log_in("ann", "correct horse").is_some());
//! ```

pub mod architecture;
mod config;
mod connection;
mod error;
#[cfg(all(test, not(any(laneway_loom, laneway_shuttle))))]
mod frozen;
mod id;
#[cfg(any(laneway_loom, fuzzing))]
#[doc(hidden)]
pub mod internals;
mod lane;
mod lifecycle;
#[cfg(all(feature = "protocol", not(any(laneway_loom, laneway_shuttle))))]
pub mod protocol;
mod reentry;
mod retention;
mod router;
mod scope;
#[cfg(all(test, laneway_shuttle))]
mod shuffled;
mod stats;
mod sync;
mod table;
mod wake;

pub use config::{Builder, LimitPolicy};
pub use connection::{Connection, Delivered, Next, Received, Visited};
pub use error::{
    BatchError, CloseReason, Closed, ConfigError, ConnectError, InvalidId, InvalidPosition,
    PublishError, RecvTimeoutError, ResumeError, TryRecvError,
};
pub use id::{ConnectionId, MAX_ID_BYTES, ThreadId, UserId};
pub use lifecycle::{Change, Lifecycle, Notice};
pub use retention::{Origin, Position, Recovered, Resumed, Retention};
pub use router::Router;
pub use scope::{Addressed, BatchDelivery, ConnectOptions, Delivery, SetDelivery, UserScope};
pub use stats::{ConnectionInfo, ConnectionStats, Imbalance, RouterStats, conserved};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
