//! What a run shares with a host that ends it from outside: its sequence, its state, its one way out.

use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

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

/// A thread says something for the run.
const BUSY: u64 = 1;
/// A host wants the run ended; the thread that says something does it afterwards.
const ASKED: u64 = 2;
/// The run has said its last.
const ENDED: u64 = 4;
/// Where the sequence begins in the word.
const SHIFT: u32 = 3;

/// RunSetup run it is, and how it speaks.
pub(in crate::protocol) struct RunSetup {
    pub(in crate::protocol) broadcaster: Arc<Broadcaster>,
    pub(in crate::protocol) scope: UserScope<Packet>,
    pub(in crate::protocol) context: UserContext,
    pub(in crate::protocol) agent_name: String,
}

/// Why all runs end.
#[derive(Clone, Debug)]
pub(in crate::protocol) struct EndReason {
    pub(in crate::protocol) code: String,
    pub(in crate::protocol) message: String,
    pub(in crate::protocol) recoverable: bool,
    pub(in crate::protocol) at: Duration,
}

/// A run's place among those that are open.
pub(in crate::protocol) trait Place: Send + Sync {
    /// Why all runs end, if they do.
    fn end_reason(&self) -> Option<EndReason>;
    /// Gives the place back, once.
    fn leave(&self, core: &Arc<Core>);
}

/// A run, as its owner and the host see it.
///
/// Two threads may speak for a run: its owner, and a host that ends it. Each takes [`BUSY`] first. The
/// host never waits for the owner: it sets [`ASKED`] instead, and the owner says the end.
pub(in crate::protocol) struct Core {
    pub(in crate::protocol) setup: RunSetup,
    /// Drawn for this run, what its event ids begin with.
    stamp: Uuid,
    /// Events so far, and the three bits.
    word: AtomicU64,
    /// Of `stamp`, as the list of open runs finds it.
    hash: u64,
    place: Option<Box<dyn Place>>,
}

impl Keyed for Core {
    type Key = Uuid;
    fn hash(&self) -> u64 {
        self.hash
    }
    fn key(&self) -> &Uuid {
        &self.stamp
    }
}

/// What came of ending a run from outside.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::protocol) enum EndOutcome {
    /// The run had ended before.
    Before,
    /// The run's owner is saying something and will say the end.
    Asked,
    /// It has ended. Its user was told, if a device of the user's was there.
    Told,
    /// It has ended, and the event was refused.
    Untold,
}

impl Core {
    /// A run that has said nothing yet, and that only its caller may speak for.
    pub(in crate::protocol) fn new(
        setup: RunSetup,
        place: Option<Box<dyn Place>>,
        mask: u64,
    ) -> Result<Self, RunError> {
        if setup.scope.user() != setup.context.user() {
            return Err(RunError::ForeignScope);
        }
        required("agent_name", &setup.agent_name)?;
        let stamp = Uuid::new_v4();
        Ok(Self {
            setup,
            stamp,
            word: AtomicU64::new(BUSY),
            hash: stamp.as_u64_pair().1 & mask,
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

    /// Says `agent_started`. A run that cannot is over.
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

    /// Says something, unless the run is over.
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

    /// Says the last, unless the run is over. If that is refused, the run goes on.
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

    /// Says the last for a run that goes, and is over whatever comes of it.
    pub(in crate::protocol) fn abandon(core: &Arc<Self>, event: Message, now: Duration) {
        if let Some(before) = core.claim() {
            let told = core.publish(event, before + 1, now);
            Self::close(core, before + u64::from(told.is_ok()));
        }
    }

    /// Ends the run from outside. Never waits for the run's owner. Lock-free.
    pub(in crate::protocol) fn end(core: &Arc<Self>, reason: &EndReason) -> EndOutcome {
        let mut word = core.word.load(Ordering::Acquire);
        loop {
            if word & ENDED != 0 {
                return EndOutcome::Before;
            }
            let new = if word & BUSY == 0 { BUSY } else { ASKED };
            let exchanged =
                (core.word).compare_exchange(word, word | new, Ordering::AcqRel, Ordering::Acquire);
            match exchanged {
                Ok(_) if new == ASKED => return EndOutcome::Asked,
                Ok(_) => return Self::send_end(core, word >> SHIFT, reason),
                Err(other) => word = other,
            }
        }
    }

    /// Says that the host has ended the run, as the thread that has [`BUSY`].
    fn send_end(core: &Arc<Self>, before: u64, reason: &EndReason) -> EndOutcome {
        let event = failure(&reason.code, &reason.message, reason.recoverable);
        let told = core.publish(event, before + 1, reason.at);
        Self::close(core, before + u64::from(told.is_ok()));
        match told {
            Ok(_) => EndOutcome::Told,
            Err(_) => EndOutcome::Untold,
        }
    }

    /// The sequence so far, for the one thread that may speak now.
    fn claim(&self) -> Option<u64> {
        let mut word = self.word.load(Ordering::Acquire);
        loop {
            // The owner is one thread, so another one that is busy ends the run.
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

    /// Lets others speak, unless a host has asked for the end meanwhile: then says it.
    fn release(core: &Arc<Self>, sequence: u64) {
        let mut word = core.word.load(Ordering::Acquire);
        while word & ASKED == 0 {
            let new = sequence << SHIFT;
            // Fails if the host asks at this moment: a plain store would lose that, and the run would
            // go on after `end_all` has counted it.
            match (core.word).compare_exchange(word, new, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return,
                Err(other) => word = other,
            }
        }
        let reason = core.place().and_then(Place::end_reason);
        match reason {
            Some(reason) => _ = Self::send_end(core, sequence, &reason),
            // The reason is there before the first run is asked.
            None => Self::close(core, sequence),
        }
    }

    /// The run is over, and holds no place any more.
    fn close(core: &Arc<Self>, sequence: u64) {
        core.word
            .store(sequence << SHIFT | ENDED, Ordering::Release);
        if let Some(place) = core.place() {
            place.leave(core);
        }
    }

    /// The one way out.
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
            None | Some(BroadcastError::NoConnections | BroadcastError::Closed) => Ok(told),
            Some(_) => Err(RunError::Refused(Box::new(told))),
        }
    }
}

pub(in crate::protocol) fn failure(code: &str, message: &str, recoverable: bool) -> Message {
    Message::new(MessageKind::AgentError)
        .with("code", code)
        .with("message", message)
        .with("recoverable", recoverable)
}

pub(in crate::protocol) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
