//! Quality messages, and a provider that keeps figures in memory.

pub(in crate::protocol) mod figures;
pub(in crate::protocol) mod requests;
