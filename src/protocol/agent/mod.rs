//! Runs of agents: their events, what users confirm of them, and which run is whose.

pub(in crate::protocol) mod cleaning;
pub(in crate::protocol) mod confirmation;
pub(in crate::protocol) mod confirmations;
pub(in crate::protocol) mod core;
pub(in crate::protocol) mod error;
pub(in crate::protocol) mod fault;
pub(in crate::protocol) mod open;
pub(in crate::protocol) mod registration;
pub(in crate::protocol) mod registry;
pub(in crate::protocol) mod secret;
pub(in crate::protocol) mod sequence;
pub(in crate::protocol) mod step;

// Each of these adds methods to `AgentRun`: its page lists them in the order of this list.
pub(in crate::protocol) mod run;

mod calls;
mod tools;

pub(in crate::protocol) mod run_end;
