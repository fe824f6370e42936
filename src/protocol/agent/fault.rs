//! What may be wrong with the events of a run.

use std::fmt;

/// What is wrong with an event, or with a run.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// A field is not there, or not what it should be. `type` also if there is no such type.
    Malformed {
        /// The field; empty if the event is no JSON object.
        field: &'static str,
    },
    /// The event is another user's. It is not looked at any further.
    Foreign,
    /// The events of the run between the one before, if there was any, and this.
    Missing {
        /// The first of them.
        from: u64,
        /// The last of them.
        to: u64,
    },
    /// The run does not begin with `agent_started`.
    NoStart,
    /// A second `agent_started`.
    DuplicateStart,
    /// The event comes after one with the same sequence, or with a later one.
    OutOfOrder {
        /// The latest that came before.
        after: u64,
    },
    /// An event with this id came before.
    DuplicateId,
    /// A tool completed that was not executing, or was still executing when the agent completed.
    Unpaired {
        /// The tool.
        tool: String,
    },
    /// A call began under an id that is executing.
    DuplicateCall {
        /// The tool.
        tool: String,
    },
    /// The run is over.
    AfterEnd,
    /// The event names another thread than the run's first.
    OtherThread,
    /// The run has no end.
    NoEnd,
    /// More runs or tools at once than are checked.
    TooMany,
}

/// A fault, and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Violation {
    /// The run, if the event names one.
    pub run: Option<String>,
    /// The sequence of the event within the run, if it has one; at the end of all, the latest.
    pub sequence: Option<u64>,
    /// What is wrong.
    pub fault: Fault,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.run {
            Some(run) => write!(f, "run {run:?}, ")?,
            None => f.write_str("no run, ")?,
        }
        match self.sequence {
            Some(sequence) => write!(f, "event {sequence}: {:?}", self.fault),
            None => write!(f, "an event without a sequence: {:?}", self.fault),
        }
    }
}
