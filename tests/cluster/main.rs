//! Hubs as the nodes of a cluster: over a real nats-server, which is killed, started again and stopped for a while,
//! and over a broker inside the process.
#![cfg(not(any(laneway_loom, laneway_shuttle)))]
#![allow(clippy::disallowed_types, clippy::disallowed_methods)] // Tests wait, and share with locks.

#[allow(dead_code)] // One of them is enough here.
#[path = "../common/executors.rs"]
mod executors;
#[path = "../common/random.rs"]
mod random;

mod broker;
#[cfg(feature = "jetstream")]
mod history;
#[cfg(feature = "jetstream")]
mod history_hops;
#[cfg(feature = "jetstream")]
mod history_losses;
#[cfg(feature = "jetstream")]
mod kept;
mod latency;
mod lingers;
mod listening;
mod losses;
mod nodes;
mod packets;
mod room_losses;
mod room_nodes;
mod room_packets;
mod rooms;
mod script;
mod server;
mod subjects;
