//! The engine below the handles: which users are online, and the one path by which an event reaches
//! a lane.
//!
//! It joins the table, which finds a user's entry, and the lane, which orders one user's events.
//! Neither knows the other.

mod absent;
mod admit;
mod ask;
mod asks;
mod attach;
mod budget;
mod cache;
mod connect;
// The protocol layer uses the rest.
#[cfg_attr(
    any(not(feature = "protocol"), laneway_loom, laneway_shuttle),
    allow(dead_code)
)]
pub(crate) mod clock;
mod clocks;
mod core;
mod counters;
mod deliver;
mod drain;
mod draining;
mod figures;
mod gate;
mod grant;
mod laggards;
#[cfg(all(test, laneway_loom))]
mod models;
mod notify;
mod pass;
mod refuse;
mod revoked;
mod rooms;
mod session;
mod sweep;
mod target;
#[cfg(all(test, not(any(laneway_loom, laneway_shuttle))))]
mod tests;
mod time;
mod user;
mod wait;

pub(crate) use admit::Denied;
pub(crate) use ask::Asked;
pub(crate) use asks::over;
pub(crate) use cache::Cache;
pub(crate) use core::Core;
#[cfg(feature = "cluster")]
pub(crate) use deliver::Traced;
pub(crate) use draining::Draining;
pub(crate) use grant::{Grant, Use};
pub(crate) use pass::Pass;
pub(crate) use target::{Aim, Effect, Target};
pub(crate) use time::nanos;
pub(crate) use user::User;
