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
//! let body = message.fields().get("payload").expect("there is one");
//! let isolated = isolation.check(body, ann.user())?;
//! assert_eq!(isolated.body["userId"], "ann");
//! ann.publish(isolated.body.to_string())?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod agent;
mod broadcast;
mod broadcaster;
mod clock;
mod context;
mod copy_on_write;
#[cfg(test)]
mod frozen;
mod inbound;
mod message;
mod packet;
mod per_user;
mod quality;
mod quota;

pub use crate::id::{RequestId, RunId};
pub use agent::cleaning::{MAX_CLEANED_BYTES, clean};
pub use agent::confirmation::{
    COMPLETION_TIMEOUT, CONFIRMATION_TIMEOUT, Confirmation, ConfirmationLimits, ConfirmationStats,
    ConfirmationSweep, EventState, ExpectError, NotMoved,
};
pub use agent::confirmations::Confirmations;
pub use agent::error::{MAX_OPEN_TOOLS, RunError};
pub use agent::open::{AgentRuns, OpenRunLimits, RunsEnded};
pub use agent::registry::{RunLimits, RunRegistry, RunRegistryError, RunStats};
pub use agent::run::{AgentRun, NotEnded};
pub use agent::sequence::{
    Fault, MAX_CHECKED_IDS, MAX_CHECKED_RUNS, MAX_CHECKED_TOOLS, SequenceChecker, Violation,
};
pub use broadcast::{Broadcast, BroadcastError, BroadcastStats};
pub use broadcaster::{Broadcaster, UnknownFlag};
pub use context::{ContextBuilder, ContextError, MAX_DEPTH, UserContext};
pub use inbound::dispatch::MessageRouter;
pub use inbound::error::HandlerError;
pub use inbound::handler::{Handled, Handler, Middleware, Outcome, Sender};
pub use inbound::queue::{Busy, InboundQueue, Inlet};
pub use inbound::repeats::RepeatLimits;
pub use inbound::stats::{DispatchStats, MAX_HANDLERS, RegisterError, Status};
pub use inbound::typed::typed;
pub use message::envelope::Message;
pub use message::error::MessageError;
pub use message::facts::ROUTING_FIELDS;
pub use message::isolation::{Contaminated, Contamination, ForeignField, Isolated, Isolation};
pub use message::kind::MessageKind;
pub use message::limits::MessageLimits;
pub use message::payload::PayloadError;
pub use packet::{Audience, Packet};
pub use quality::figures::{MAX_RECORDED_USERS, MAX_RECORDS, MemoryQuality, RunRecord};
pub use quality::requests::{
    CONTENT_TYPES, MAX_PERIOD_HOURS, MAX_SUBSCRIBERS, Quality, QualityProvider, QualityReach,
    QualityRequest, REPORT_TYPES,
};
