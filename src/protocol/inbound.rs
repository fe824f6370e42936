//! The messages of clients: one router, its handlers, and a bounded queue before it.

pub(in crate::protocol) mod answer;
pub(in crate::protocol) mod builtin;
pub(in crate::protocol) mod chain;
mod counts;
pub(in crate::protocol) mod error;
pub(in crate::protocol) mod handler;
pub(in crate::protocol) mod queue;
pub(in crate::protocol) mod repeats;
pub(in crate::protocol) mod sender;
pub(in crate::protocol) mod stats;
pub(in crate::protocol) mod typed;

// These add methods to `MessageRouter`, whose page lists the methods in the order of these lines.
// The empty lines keep the formatter from sorting them.
pub(in crate::protocol) mod dispatch;

mod registration;

mod passage;
