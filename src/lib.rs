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
//! # Progress
//!
//! | method | guarantee |
//! |---|---|
//! | `Router::scope`, `user_count`, `is_shut_down` | wait-free |
//! | `UserScope::publish`, `try_publish` | lock-free; at most 16 numbers, then the event comes back |
//! | `UserScope::connect`, `connect_with`, `disconnect`, `disconnect_all` | lock-free |
//! | `UserScope::connections`, `connection_count`, `Router::stats`, `for_each_user`, `sweep`, `shutdown` | lock-free, linear in what they walk |
//! | `Connection::try_recv`, `poll_recv`, `visit`, `drain`, drop | lock-free; a gap or a drop takes at most `lane_capacity` steps |
//! | `Connection::recv`, `recv_timeout`, awaiting `next` | sleep when there is nothing to read |
//! | `Connection::id`, `user`, `thread`, `unread`, `missed`, `touch` | wait-free |
//!
//! Exceptions, which are the host's: the allocator (on connect, and on a lane's first lap), the
//! payload's own `Clone` and `Drop`, and wakers. A bounded spin stands before a number whose
//! publisher does not come is given up; no thread ever waits for another without bound.
//!
//! # Closing
//!
//! Disconnected, evicted and idle connections are cut: what they have not read is gone. After a
//! shutdown, or when the last [`Router`] is dropped, connections drain what was accepted before and
//! then get [`CloseReason::Shutdown`]; scopes that are still about are refused with `Closed`.
//!
//! # What it does not do
//!
//! It stores nothing beyond the lanes, knows no network, starts no thread, and reads no clock but
//! in [`Connection::recv_timeout`].
//!
//! # Limits
//!
//! 255 connections a user, 65 536 events a lane, ids of 200 bytes, 2⁴⁴ events a lane (200 days at a
//! million a second for one user who is never offline; what happens then is not defined yet).

pub mod architecture;
mod config;
mod connection;
mod error;
mod id;
mod lane;
mod router;
mod scope;
mod stats;
mod sync;
mod table;
mod wake;

pub use config::{Builder, LimitPolicy};
pub use connection::{Connection, Delivered, Next, Received, Visited};
pub use error::{
    CloseReason, Closed, ConfigError, ConnectError, InvalidId, PublishError, RecvTimeoutError,
    TryRecvError,
};
pub use id::{ConnectionId, MAX_ID_BYTES, ThreadId, UserId};
pub use router::Router;
pub use scope::{ConnectOptions, Delivery, UserScope};
pub use stats::{ConnectionInfo, RouterStats};
