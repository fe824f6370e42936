//! Runs of agents: their events, the confirmations of events, and the thread of each run.

mod calls;
pub(in crate::protocol) mod cleaning;
pub(in crate::protocol) mod confirmation;
pub(in crate::protocol) mod confirmations;
pub(in crate::protocol) mod core;
pub(in crate::protocol) mod error;
mod expected;
pub(in crate::protocol) mod fault;
pub(in crate::protocol) mod open;
pub(in crate::protocol) mod registration;
pub(in crate::protocol) mod registry;
mod run_entry;
pub(in crate::protocol) mod secret;
pub(in crate::protocol) mod sequence;
pub(in crate::protocol) mod step;

// These three add methods to `AgentRun`, whose page lists the methods in the order of these lines.
// The empty lines keep the formatter from sorting them.
pub(in crate::protocol) mod run;

mod tools;

pub(in crate::protocol) mod run_end;
