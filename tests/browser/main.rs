//! The gateway's page in a real browser, driven by chromedriver. Without one it says so and passes.
#![cfg(all(feature = "protocol", not(any(laneway_loom, laneway_shuttle))))]
#![allow(clippy::disallowed_methods)] // Tests that wait for a browser.

#[cfg(feature = "nats")]
mod cluster;
mod controls;
mod driver;
#[cfg(feature = "nats")]
#[path = "../cluster/server.rs"]
#[allow(dead_code)] // Of other tests.
mod nats_server;
mod network;
mod page;
mod panels;
mod users;
