//! The gateway as its users meet it: the real program, real sockets.
#![cfg(not(any(laneway_loom, laneway_shuttle)))]

mod conversations;
mod crowd;
mod ends;
mod limits;
#[cfg(feature = "metrics")]
mod metrics;
mod names;
#[cfg(feature = "nats")]
mod nats;
#[cfg(feature = "nats")]
#[path = "../cluster/server.rs"]
#[allow(dead_code, clippy::disallowed_methods)] // Of other tests, which wait for a process.
mod nats_server;
mod operator;
mod rooms;
mod server;
