//! The faults that a check of agents' events finds.

use std::fmt;

/// A fault of one event, or of a run as a whole.
///
/// ```
/// use laneway::protocol::{Fault, SequenceChecker};
///
/// let mut checker = SequenceChecker::new(laneway::UserId::new("ann")?);
/// let found = checker.check(&serde_json::json!({"type": "agent_thinking", "user_id": "bob"}));
/// assert_eq!(found[0].fault, Fault::Foreign);
/// # Ok::<(), laneway::InvalidId>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// A field is missing or has the wrong type. For `type`, also: there is no such type.
    Malformed {
        /// The field. Empty if the event is no JSON object.
        field: &'static str,
    },
    /// The event belongs to another user. The checker looks at nothing else in it.
    Foreign,
    /// Events are missing before this one.
    Missing {
        /// The sequence of the first missing event.
        from: u64,
        /// The sequence of the last missing event.
        to: u64,
    },
    /// The run does not begin with `agent_started`.
    NoStart,
    /// The run has a second `agent_started`.
    DuplicateStart,
    /// An event with the same or a later sequence came before this one.
    OutOfOrder {
        /// The latest sequence that came before.
        after: u64,
    },
    /// An earlier event has the same `event_id`.
    DuplicateId,
    /// A tool completed that was not executing, or still executes when the agent completes.
    Unpaired {
        /// The name of the tool.
        tool: String,
    },
    /// A call starts under an id that another open call has.
    DuplicateCall {
        /// The name of the tool.
        tool: String,
    },
    /// The run has ended before this event.
    AfterEnd,
    /// The event names another thread than the first event of the run.
    OtherThread,
    /// The run has no last event.
    NoEnd,
    /// More runs, or tools of one run, are open than the checker follows.
    TooMany,
}

/// A fault and its place.
///
/// ```
/// use laneway::protocol::SequenceChecker;
///
/// let mut checker = SequenceChecker::new(laneway::UserId::new("ann")?);
/// let found = checker.check(&serde_json::json!("no object"));
/// assert_eq!(found[0].run, None);
/// assert_eq!(found[0].to_string(), r#"no run, an event without a sequence: Malformed { field: "" }"#);
/// # Ok::<(), laneway::InvalidId>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Violation {
    /// The run. `None` if the event names none.
    pub run: Option<String>,
    /// The sequence of the event, if it has one. For [`Fault::NoEnd`], the latest sequence of the run.
    pub sequence: Option<u64>,
    /// The fault.
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
