//! Messages of a chat server over the engine: who sent them, what they mean, and who receives them.
//!
//! The engine delivers values and does not look into them. This layer defines what they mean.
//!
//! ```text
//!  a client's bytes
//!       │  Message::parse
//!    Message
//!       │
//!  MessageRouter ──▶ Handler        the host's code; it sees one Sender, the message's own user
//!       │               │
//!       │            AgentRun       the events of an agent, numbered
//!       │               │
//!       └─ answers ─▶ Broadcaster   checks the body, writes the JSON once
//!                       │
//!                   UserScope       the engine's lane of one user
//!                       │
//!                    Packet  ──▶  each device of that user
//! ```
//!
//! ```
//! use std::{sync::Arc, time::Duration};
//! use laneway::protocol::{Handled, Message, MessageRouter, Sender};
//! use laneway::{Received, Hub, UserId};
//!
//! let (engine, now) = (Hub::new(), Duration::ZERO);
//! let inbound = MessageRouter::new(Arc::default(), now);
//! inbound.register("echo", |sender: &Sender<'_>, message: &Message| {
//!     let _ = sender.reply(message);
//!     Ok(Handled::Done)
//! })?;
//! let ann = engine.scope(UserId::new("ann")?);
//! let mut phone = ann.connect()?;
//! let _ = inbound.route_json(&ann, Some(phone.id()), br#"{"type": "chat", "text": "hi"}"#, now);
//! let Received::Event(answer) = phone.try_recv()? else { panic!("a gap") };
//! assert_eq!(answer.event.json(), r#"{"type":"chat","text":"hi"}"#);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The rooms
//!
//! | room | holds |
//! |---|---|
//! | message | [`Message`] and [`MessageKind`], the envelope; [`Isolation`], the check for foreign receivers |
//! | inbound | [`MessageRouter`] with its [`Handler`]s and [`Middleware`]; [`InboundQueue`] for a fixed number of workers |
//! | agent | [`AgentRun`] and [`AgentRuns`]; [`Confirmations`] of events; [`RunRegistry`]; [`SequenceChecker`] for tests; [`clean`] |
//! | quality | [`Quality`], its [`QualityProvider`], and [`MemoryQuality`], a provider in memory |
//! | outbound | [`Broadcaster`], the only sender; [`Packet`], [`Audience`], [`Broadcast`], [`RoomBroadcast`], [`RoomRefusal`] |
//!
//! [`UserContext`] names the user, thread, run and request that an agent works for.
//!
//! # Errors
//!
//! An error that this layer displays names no user but the receiver. Each send returns a [`Broadcast`],
//! which says whether the engine accepted the message and why not. A user without connections is such a
//! result, and no error of a run.
//!
//! # What it does not do
//!
//! * It opens no socket, reads no clock and starts no thread. Each call that needs the time takes
//!   `now`, the host's time on any one clock.
//! * It authenticates no user. A scope comes from the host, and nothing in a message changes the scope.
//! * It stores nothing on disk. Confirmations, registered runs and quality records are in memory.
//! * It cannot stop a handler of the host that hangs.
//!
//! # Limits
//!
//! | what | limit | default |
//! |---|---|---|
//! | silence of a client | [`IDLE_TIMEOUT`], which the host sets | 300 s |
//! | a message | [`MessageLimits`] | 262 144 bytes, 32 levels of nesting |
//! | handlers, middlewares | [`MAX_HANDLERS`] | 256 of each |
//! | messages known again by their ids | [`RepeatLimits`] | 4 096 users, 64 messages of each |
//! | open runs | [`OpenRunLimits`] | 10 000, 256 of one user |
//! | open calls of tools in a run | [`MAX_OPEN_TOOLS`] | 32 |
//! | JSON of a tool's parameters or results | [`MAX_CLEANED_BYTES`] | 65 536 bytes |
//! | events to confirm | [`ConfirmationLimits`] | 65 536, 1 024 of one user |
//! | registered runs | [`RunLimits`] | 10 000, kept for 24 hours after the last use |
//! | subscribers of quality alerts | [`MAX_SUBSCRIBERS`] | 10 000 |
//! | quality records | [`MAX_RECORDS`], [`MAX_RECORDED_USERS`] | 256 of a user, 1 024 users |
//!
//! Sending and routing take no lock. [`InboundQueue`] takes the short locks of its channels.

use std::time::Duration;

/// How long a client of this layer may show no activity before a sweep closes its connection: 300 s.
///
/// The engine has no idle timeout unless the host sets one. A host of this layer passes this value.
///
/// ```
/// use laneway::protocol::{IDLE_TIMEOUT, Packet};
///
/// let builder = laneway::Hub::builder().idle_timeout(Some(IDLE_TIMEOUT));
/// let engine: laneway::Hub<Packet> = builder.build()?;
/// # Ok::<(), laneway::ConfigError>(())
/// ```
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(300);

mod agent;
mod broadcast;
mod broadcaster;
mod context;
#[cfg(test)]
mod frozen;
mod inbound;
mod message;
mod packet;
mod per_user;
mod placeholder;
mod quality;
mod quota;
#[cfg(feature = "cluster")]
mod relay_hook;
mod room_broadcast;

pub use crate::id::{RequestId, RunId};
pub use agent::cleaning::{MAX_CLEANED_BYTES, clean};
pub use agent::confirmation::{
    COMPLETION_TIMEOUT, CONFIRMATION_TIMEOUT, Confirmation, ConfirmationLimits, ConfirmationStats,
    ConfirmationSweep, EventState, ExpectError, NotMoved,
};
pub use agent::confirmations::Confirmations;
pub use agent::error::{MAX_OPEN_TOOLS, RunError};
pub use agent::fault::{Fault, Violation};
pub use agent::open::{AgentRuns, OpenRunLimits, RunsEnded};
pub use agent::registration::{RunLimits, RunRegistryError, RunStats};
pub use agent::registry::RunRegistry;
pub use agent::run::AgentRun;
pub use agent::run_end::NotEnded;
pub use agent::sequence::{MAX_CHECKED_IDS, MAX_CHECKED_RUNS, MAX_CHECKED_TOOLS, SequenceChecker};
pub use broadcast::{Broadcast, BroadcastError, BroadcastStats};
pub use broadcaster::{Broadcaster, UnknownFlag};
pub use context::{ContextBuilder, ContextError, MAX_DEPTH, UserContext};
pub use inbound::dispatch::MessageRouter;
pub use inbound::error::HandlerError;
pub use inbound::handler::{Handled, Handler, Middleware, Outcome};
pub use inbound::queue::{Busy, InboundQueue, Inlet};
pub use inbound::repeats::RepeatLimits;
pub use inbound::sender::Sender;
pub use inbound::stats::{DispatchStats, MAX_HANDLERS, RegisterError, Status};
pub use inbound::typed::typed;
pub use message::contamination::{Contaminated, Contamination, ForeignField, Isolated};
pub use message::envelope::Message;
pub use message::error::MessageError;
pub use message::facts::ROUTING_FIELDS;
pub use message::isolation::Isolation;
pub use message::kind::MessageKind;
pub use message::limits::MessageLimits;
pub use message::payload::PayloadError;
pub use packet::{Audience, Packet};
pub use quality::figures::{MAX_RECORDED_USERS, MemoryQuality};
pub use quality::provider::{
    CONTENT_TYPES, MAX_PERIOD_HOURS, QualityProvider, QualityRequest, REPORT_TYPES,
};
pub use quality::records::{MAX_RECORDS, RunRecord};
pub use quality::requests::{MAX_SUBSCRIBERS, Quality, QualityReach};
#[cfg(feature = "cluster")]
pub(crate) use relay_hook::PacketRelay;
pub use room_broadcast::{RoomBroadcast, RoomRefusal};
