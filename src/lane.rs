//! One user's lane: it orders the user's events, and keeps each until every connection has passed
//! it.
//!
//! One word, the state, holds `seq`, `live` and `waiting`. A publisher claims a number by one
//! exchange on it. The same exchange fixes the event's audience, tells whether a connection sleeps,
//! and decides whether the event goes into the hot slot or into an arena. A connection joins by an
//! exchange on the same word, so it counts for exactly the numbers after its join.
//!
//! The protocol is described on the architecture page of the lane, with a picture and a glossary. A
//! lane knows nothing of users.

pub(crate) mod about;
pub(crate) mod account;
pub(crate) mod archive;
mod arena;
pub(crate) mod attach;
pub(crate) mod attachments;
pub(crate) mod audience;
mod beside;
mod burst;
mod claim;
pub(crate) mod conflation;
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
pub(crate) mod pool;
mod publish;
mod read;
mod reader;
mod reclaim;
pub(crate) mod replay;
mod reuse;
pub(crate) mod rule;
mod search;
mod sleep;
mod slot;
pub(crate) mod wake;
mod words;

#[cfg(all(test, laneway_loom))]
mod models;

pub(crate) use beside::Beside;
pub(crate) use core::Lane;
pub(crate) use member::{Ghost, Newcomer, Seat};
pub(crate) use outcome::{Accepted, Departure, JoinError, Refusal, Refused, Step, Terms};
pub(crate) use read::Seen;
pub(crate) use reader::Reader;
