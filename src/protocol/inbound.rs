//! What clients send: one router, its handlers, and a bounded queue before it.

pub(in crate::protocol) mod answer;
pub(in crate::protocol) mod builtin;
pub(in crate::protocol) mod chain;
pub(in crate::protocol) mod dispatch;
pub(in crate::protocol) mod error;
pub(in crate::protocol) mod handler;
pub(in crate::protocol) mod queue;
pub(in crate::protocol) mod repeats;
pub(in crate::protocol) mod stats;
pub(in crate::protocol) mod typed;
