//! The figures of a router.

use std::collections::BTreeMap;

use crate::protocol::inbound::handler::Outcome;
use crate::protocol::message::kind::MessageKind;
use crate::sync::{AtomicU64, Ordering};

/// Messages by their kind, and by their outcome.
pub(in crate::protocol) struct Counts {
    per_type: [AtomicU64; MessageKind::KNOWN.len() + 1],
    pub(super) routed: AtomicU64,
    pub(super) unhandled: AtomicU64,
    pub(super) failed: AtomicU64,
    pub(super) refused: AtomicU64,
    pub(super) repeated: AtomicU64,
}

impl Counts {
    pub(super) fn new() -> Self {
        Self {
            per_type: std::array::from_fn(|_| AtomicU64::new(0)),
            routed: AtomicU64::new(0),
            unhandled: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            repeated: AtomicU64::new(0),
        }
    }

    /// Counts a message that came in.
    pub(super) fn came(&self, kind: &MessageKind) {
        self.per_type[kind.index()].fetch_add(1, Ordering::Relaxed);
    }

    /// Counts its outcome.
    pub(super) fn ended(&self, outcome: &Outcome) {
        match outcome {
            Outcome::Handled(_) => &self.routed,
            Outcome::Unhandled => &self.unhandled,
            Outcome::Repeated => &self.repeated,
            Outcome::Refused(_) => &self.refused,
            Outcome::Failed(_) => &self.failed,
        }
        .fetch_add(1, Ordering::Relaxed);
    }

    /// Returns the messages that came in, by the names of their kinds. Kinds without a message are left
    /// out.
    pub(super) fn per_type(&self) -> BTreeMap<&'static str, u64> {
        let names = MessageKind::KNOWN.iter().map(MessageKind::known_name);
        let counts = self.per_type.iter().map(|n| n.load(Ordering::Relaxed));
        let per_type = names.chain(["unknown"]).zip(counts);
        per_type.filter(|(_, count)| *count > 0).collect()
    }
}
