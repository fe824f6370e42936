//! The part of a run that its owner and the host's ending thread share: sequence, state, and sending.

use std::sync::Arc;
use std::time::Duration;

use crate::protocol::agent::error::{RunError, required};
use crate::protocol::broadcast::{Broadcast, BroadcastError};
use crate::protocol::broadcaster::Broadcaster;
use crate::protocol::context::UserContext;
use crate::protocol::message::envelope::Message;
use crate::protocol::message::kind::MessageKind;
use crate::protocol::packet::Packet;
use crate::scope::UserScope;
use crate::sync::{AtomicU64, Ordering};
use crate::table::Keyed;
use crate::unique::Unique;

/// A thread is sending an event of the run.
const BUSY: u64 = 1;
/// A host asked for the end while the owner was sending. The owner sends the end afterwards.
const ASKED: u64 = 2;
/// The run has sent its last event.
const ENDED: u64 = 4;
/// The position of the sequence in the word, above the three bits.
const SHIFT: u32 = 3;

/// The parts that a run is made of: the ids of its events, and the way to its user.
pub(in crate::protocol) struct RunSetup {
    pub(in crate::protocol) broadcaster: Arc<Broadcaster>,
    pub(in crate::protocol) scope: UserScope<Packet>,
    pub(in crate::protocol) context: UserContext,
    pub(in crate::protocol) agent_name: String,
}

/// The reason that a host gave when it ended all runs.
#[derive(Clone, Debug)]
pub(in crate::protocol) struct EndReason {
    pub(in crate::protocol) code: String,
    pub(in crate::protocol) message: String,
    pub(in crate::protocol) recoverable: bool,
    pub(in crate::protocol) at: Duration,
}

/// The entry of one run in the list of open runs.
pub(in crate::protocol) trait Place: Send + Sync {
    /// Returns the reason for which all runs end. `None` while runs go on.
    fn end_reason(&self) -> Option<EndReason>;
    /// Takes the run off the list. A second call changes nothing.
    fn leave(&self, core: &Arc<Core>);
}

/// The shared part of a run.
///
/// Two threads may send for a run: its owner, and a host that ends it. Each sets [`BUSY`] first, so one
/// sends at a time and the sequence has no holes. The host never waits for the owner. If the owner is
/// sending, the host sets [`ASKED`], and the owner sends the end after its own event.
pub(in crate::protocol) struct Core {
    pub(in crate::protocol) setup: RunSetup,
    /// A random id, with which the ids of this run's events begin.
    stamp: Unique,
    /// `[sequence of the last event:61 | ENDED | ASKED | BUSY]`
    word: AtomicU64,
    /// The bits of `stamp` under which the list of open runs finds this run.
    hash: u64,
    place: Option<Box<dyn Place>>,
}

impl Keyed for Core {
    type Key = Unique;
    fn hash(&self) -> u64 {
        self.hash
    }
    fn key(&self) -> &Unique {
        &self.stamp
    }
}

/// The result of ending a run from outside.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::protocol) enum EndOutcome {
    /// The run had ended before the call.
    Before,
    /// The owner is sending an event, and will send the end after it.
    Asked,
    /// The run has ended, and the engine accepted its last event or found no connection.
    Told,
    /// The run has ended, and the broadcaster refused its last event.
    Untold,
}

impl Core {
    /// Creates a core that has sent nothing. It starts [`BUSY`], so a host that ends it before
    /// [`begin`](Self::begin) only asks.
    pub(in crate::protocol) fn new(
        setup: RunSetup,
        place: Option<Box<dyn Place>>,
        mask: u64,
    ) -> Result<Self, RunError> {
        if setup.scope.user() != setup.context.user() {
            return Err(RunError::ForeignScope);
        }
        required("agent_name", &setup.agent_name)?;
        let stamp = Unique::new();
        Ok(Self {
            setup,
            stamp,
            word: AtomicU64::new(BUSY),
            hash: stamp.hash() & mask,
            place,
        })
    }

    pub(in crate::protocol) fn place(&self) -> Option<&dyn Place> {
        self.place.as_deref()
    }

    pub(in crate::protocol) fn sequence(&self) -> u64 {
        self.word.load(Ordering::Acquire) >> SHIFT
    }

    pub(in crate::protocol) fn is_ended(&self) -> bool {
        self.word.load(Ordering::Acquire) & ENDED != 0
    }

    /// Sends `agent_started`. A run that cannot send it has ended.
    pub(in crate::protocol) fn begin(
        core: &Arc<Self>,
        now: Duration,
    ) -> Result<Broadcast, RunError> {
        let told = core.publish(Message::new(MessageKind::AgentStarted), 1, now);
        match &told {
            Ok(_) => Self::release(core, 1),
            Err(_) => Self::close(core, 0),
        }
        told
    }

    /// Sends the next event, unless the run has ended.
    pub(in crate::protocol) fn send_next(
        self: &Arc<Self>,
        event: Message,
        now: Duration,
    ) -> Result<Broadcast, RunError> {
        let before = self.claim().ok_or(RunError::Ended)?;
        let told = self.publish(event, before + 1, now);
        Self::release(self, before + u64::from(told.is_ok()));
        told
    }

    /// Sends the last event, unless the run has ended. If the event is refused, the run goes on.
    pub(in crate::protocol) fn send_last(
        core: &Arc<Self>,
        event: Message,
        now: Duration,
    ) -> Result<Broadcast, RunError> {
        let before = core.claim().ok_or(RunError::Ended)?;
        let told = core.publish(event, before + 1, now);
        match &told {
            Ok(_) => Self::close(core, before + 1),
            Err(_) => Self::release(core, before),
        }
        told
    }

    /// Sends the last event of a run that is dropped. The run ends even if the event is refused.
    pub(in crate::protocol) fn abandon(core: &Arc<Self>, event: Message, now: Duration) {
        if let Some(before) = core.claim() {
            let told = core.publish(event, before + 1, now);
            Self::close(core, before + u64::from(told.is_ok()));
        }
    }

    /// Ends the run from outside. Never waits for the owner. Lock-free.
    pub(in crate::protocol) fn end(core: &Arc<Self>, reason: &EndReason) -> EndOutcome {
        let mut word = core.word.load(Ordering::Acquire);
        loop {
            if word & ENDED != 0 {
                return EndOutcome::Before;
            }
            let new = if word & BUSY == 0 { BUSY } else { ASKED };
            // An exchange: the owner may finish its event between the load and this line. An ASKED set
            // then would wait for the owner's next event, which may never come.
            let exchanged =
                (core.word).compare_exchange(word, word | new, Ordering::AcqRel, Ordering::Acquire);
            match exchanged {
                Ok(_) if new == ASKED => return EndOutcome::Asked,
                Ok(_) => return Self::send_end(core, word >> SHIFT, reason),
                Err(other) => word = other,
            }
        }
    }

    /// Sends the host's reason as the last event. The caller has set [`BUSY`].
    fn send_end(core: &Arc<Self>, before: u64, reason: &EndReason) -> EndOutcome {
        let event = failure(&reason.code, &reason.message, reason.recoverable);
        let told = core.publish(event, before + 1, reason.at);
        Self::close(core, before + u64::from(told.is_ok()));
        match told {
            Ok(_) => EndOutcome::Told,
            Err(_) => EndOutcome::Untold,
        }
    }

    /// Sets [`BUSY`] and returns the sequence so far. `None` if the run has ended or is about to.
    fn claim(&self) -> Option<u64> {
        let mut word = self.word.load(Ordering::Acquire);
        loop {
            // The owner calls through `&mut`, so only the host can be busy here: it sends the end.
            if word & (BUSY | ENDED) != 0 {
                return None;
            }
            let new = word | BUSY;
            match (self.word).compare_exchange(word, new, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return Some(word >> SHIFT),
                Err(other) => word = other,
            }
        }
    }

    /// Clears [`BUSY`]. If a host has asked for the end meanwhile, sends the end instead.
    fn release(core: &Arc<Self>, sequence: u64) {
        let mut word = core.word.load(Ordering::Acquire);
        while word & ASKED == 0 {
            let new = sequence << SHIFT;
            // An exchange, because the host may set ASKED between the load and this line. A plain
            // store would erase ASKED, and a run that `end_all` has counted as ending would go on.
            match (core.word).compare_exchange(word, new, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return,
                Err(other) => word = other,
            }
        }
        let reason = core.place().and_then(Place::end_reason);
        match reason {
            Some(reason) => _ = Self::send_end(core, sequence, &reason),
            // Not reached: `end_all` sets the reason before it asks a run.
            None => Self::close(core, sequence),
        }
    }

    /// Marks the run as ended, and takes it off the list of open runs.
    fn close(core: &Arc<Self>, sequence: u64) {
        // Release: pairs with the Acquire in `end` and `claim`. This store may erase ASKED that a host
        // sets at this moment. The run has ended all the same, as that host asked.
        core.word
            .store(sequence << SHIFT | ENDED, Ordering::Release);
        if let Some(place) = core.place() {
            place.leave(core);
        }
    }

    /// Adds the common fields to an event and broadcasts it. Every event of a run passes here.
    fn publish(&self, event: Message, sequence: u64, now: Duration) -> Result<Broadcast, RunError> {
        let RunSetup {
            broadcaster,
            scope,
            context,
            agent_name,
        } = &self.setup;
        let event = event
            .with("event_id", format!("{}-{sequence}", self.stamp))
            .with("user_id", context.user().as_str())
            .with("thread_id", context.thread().as_str())
            .with("run_id", context.run().as_str())
            .with("request_id", context.request().as_str())
            .with("agent_name", agent_name.as_str())
            .with("timestamp", millis(now))
            .with("sequence", sequence);
        let told = match event.kind {
            MessageKind::AgentThinking | MessageKind::AgentResponseChunk => {
                broadcaster.broadcast(scope, &event, now)
            }
            _ => broadcaster.broadcast_critical(scope, &event, now),
        };
        match told.refused {
            None
            | Some(
                BroadcastError::NoConnections | BroadcastError::Closed | BroadcastError::Revoked,
            ) => Ok(told),
            Some(_) => Err(RunError::Refused(Box::new(told))),
        }
    }
}

/// Builds an `agent_error`.
pub(in crate::protocol) fn failure(code: &str, message: &str, recoverable: bool) -> Message {
    Message::new(MessageKind::AgentError)
        .with("code", code)
        .with("message", message)
        .with("recoverable", recoverable)
}

/// Returns whole milliseconds, at most `u64::MAX`.
pub(in crate::protocol) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
