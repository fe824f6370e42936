//! Quality messages, and a provider that keeps the figures of runs in memory.

mod content;
mod fields;
pub(in crate::protocol) mod figures;
pub(in crate::protocol) mod provider;
pub(in crate::protocol) mod records;
pub(in crate::protocol) mod requests;
mod subscribers;
