//! The lane protocol: one exchange on the state word decides where an event lives.
//!
//! The state word carries `seq`, `live` and `waiting` together. So a publisher learns its number, its
//! exact audience and whether a connection sleeps in one step, and a connection takes its first number
//! and is counted in one step. The lane knows nothing of users.

pub(crate) mod archive;
mod arena;
pub(crate) mod audience;
mod burst;
mod claim;
mod core;
mod directory;
mod discard;
mod home;
mod join;
mod keep;
mod leave;
mod list;
pub(crate) mod member;
mod outcome;
mod publish;
mod read;
mod reader;
mod reclaim;
pub(crate) mod replay;
mod reuse;
mod sleep;
mod slot;
mod wake;
mod words;

#[cfg(all(test, laneway_loom))]
mod models;

pub(crate) use core::Lane;
pub(crate) use member::{Ghost, Newcomer, Seat};
pub(crate) use outcome::{Accepted, Departure, JoinError, Refusal, Refused, Step, Terms};
pub(crate) use read::Seen;
pub(crate) use reader::Reader;
