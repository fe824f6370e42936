//! The gateway's page in a real browser, driven by chromedriver. Without one it says so and passes.
#![cfg(all(feature = "protocol", not(any(laneway_loom, laneway_shuttle))))]
#![allow(clippy::disallowed_methods)] // Tests that wait for a browser.

mod controls;
mod driver;
mod network;
mod page;
mod panels;
mod users;
