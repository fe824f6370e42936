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

// The storage: the packed words, where an event lies, and how memory comes and goes.
mod arena;
mod directory;
mod discard;
mod home;
mod reclaim;
mod reuse;
mod slot;
mod words;

// The verbs, over the storage. `core` has the lane itself, `outcome` what a verb returns.
mod burst;
mod claim;
mod core;
mod join;
mod leave;
mod outcome;
mod publish;
mod read;
mod search;
mod sleep;

// A connection: its owner's part, the part that other threads touch, and the list that wakes and closes it.
pub(crate) mod about;
mod list;
pub(crate) mod member;
mod reader;
pub(crate) mod wake;

// Rules: which events of a lane a reader steps over.
pub(crate) mod attach;
pub(crate) mod attachments;
pub(crate) mod audience;
pub(crate) mod conflation;
pub(crate) mod rule;

// What few lanes have: kept events and their replay, and budgets of bytes.
pub(crate) mod account;
pub(crate) mod archive;
mod beside;
mod keep;
pub(crate) mod pool;
pub(crate) mod replay;

#[cfg(all(test, laneway_loom))]
mod models;

pub(crate) use beside::Beside;
pub(crate) use core::Lane;
pub(crate) use member::{Ghost, Newcomer, Seat};
pub(crate) use outcome::{Accepted, Departure, JoinError, Refusal, Refused, Step, Terms};
pub(crate) use read::Seen;
pub(crate) use reader::Reader;
