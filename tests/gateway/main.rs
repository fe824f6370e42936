//! The gateway as its users meet it: the real program, real sockets.
#![cfg(not(any(laneway_loom, laneway_shuttle)))]

mod conversations;
mod ends;
mod limits;
#[cfg(feature = "metrics")]
mod metrics;
mod names;
mod operator;
mod rooms;
mod server;
