//! Messages, and whose they are: what a chat server says over the engine.
//!
//! The engine delivers values and does not look into them. Here are the envelope that clients and
//! hosts agree on ([`Message`], [`MessageKind`]), the check that a body names nobody but its receiver
//! ([`Isolation`]), the context of a request ([`UserContext`]), the one way by which messages go out
//! ([`Broadcaster`]) and the one by which they come in ([`MessageRouter`]), the events of an agent
//! ([`AgentRun`]) and those that are open ([`AgentRuns`]), what clients are to confirm
//! ([`Confirmations`]), which run is whose ([`RunRegistry`]), and a check of agents' events for the tests of hosts ([`SequenceChecker`]).
//! Nothing here reads a clock. What is kept for users is bounded, and the oldest goes first.
//!
//! ```
//! use laneway::protocol::{Isolation, Message, MessageKind};
//! use laneway::{Router, UserId};
//!
//! let router: Router<String> = Router::new();
//! let ann = router.scope(UserId::new("ann")?);
//! let _phone = ann.connect()?;
//!
//! let message = Message::parse(br#"{"type": "user_input", "payload": {"userId": "bob"}}"#)?;
//! assert_eq!(message.kind, MessageKind::UserMessage);
//!
//! let isolation = Isolation::default();
//! let body = message.fields.get("payload").expect("there is one");
//! let isolated = isolation.check(body, ann.user())?;
//! assert_eq!(isolated.body["userId"], "ann");
//! ann.publish(isolated.body.to_string())?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod broadcast;
mod builtin;
mod chain;
mod cleaning;
mod confirmation;
mod context;
mod dispatch;
mod dispatch_stats;
mod figures;
#[cfg(test)]
mod frozen;
mod handler;
mod inbound;
mod isolation;
mod json;
mod kind;
mod message;
mod numbers;
mod open_runs;
mod per_user;
mod quality;
mod quota;
mod repeats;
mod rpc;
mod run;
mod run_core;
mod run_error;
mod runs;
mod secret;
mod sequence;
mod step;

pub use broadcast::{
    Audience, Broadcast, BroadcastError, BroadcastStats, Broadcaster, Packet, UnknownFlag,
};
pub use cleaning::{MAX_CLEANED_BYTES, clean};
pub use confirmation::{
    COMPLETION_TIMEOUT, CONFIRMATION_TIMEOUT, Confirmation, ConfirmationLimits, ConfirmationStats,
    ConfirmationSweep, Confirmations, EventState, ExpectError, NotMoved,
};
pub use context::{ContextBuilder, ContextError, MAX_DEPTH, UserContext};
pub use dispatch::MessageRouter;
pub use dispatch_stats::{DispatchStats, MAX_HANDLERS, RegisterError, Status};
pub use figures::{MAX_RECORDED_USERS, MAX_RECORDS, MemoryQuality, RunRecord};
pub use handler::{Handled, Handler, HandlerError, Middleware, Outcome, Sender};
pub use inbound::{Busy, InboundQueue, Inlet};
pub use isolation::{
    Contaminated, Contamination, ForeignField, Isolated, Isolation, ROUTING_FIELDS,
};
pub use kind::MessageKind;
pub use message::{Message, MessageError, MessageLimits};
pub use open_runs::{AgentRuns, OpenRunLimits, RunsEnded};
pub use quality::{
    CONTENT_TYPES, MAX_PERIOD_HOURS, MAX_SUBSCRIBERS, Quality, QualityProvider, QualityReach,
    QualityRequest, REPORT_TYPES,
};
pub use repeats::RepeatLimits;
pub use run::AgentRun;
pub use run_error::{MAX_OPEN_TOOLS, NotEnded, RunError};
pub use runs::{RunLimits, RunRegistry, RunRegistryError, RunStats};
pub use sequence::{
    Fault, MAX_CHECKED_IDS, MAX_CHECKED_RUNS, MAX_CHECKED_TOOLS, SequenceChecker, Violation,
};

pub use crate::id::{RequestId, RunId};
