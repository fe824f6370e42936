//! What a message goes through.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::{Handler, MessageKind, Middleware};

/// A set of kinds, by their index.
#[derive(Clone, Copy)]
pub(super) struct Kinds(u128);

impl Kinds {
    pub(super) fn of(kinds: Option<&[MessageKind]>) -> Self {
        const { assert!(MessageKind::KNOWN.len() < 128) };
        let all = |kinds: &[MessageKind]| kinds.iter().fold(0, |set, kind| set | Self::bit(kind));
        Self(kinds.map_or(u128::MAX, all))
    }

    fn bit(kind: &MessageKind) -> u128 {
        1 << kind.index()
    }

    pub(super) fn has(self, kind: &MessageKind) -> bool {
        self.0 & Self::bit(kind) != 0
    }
}

#[derive(Clone)]
pub(super) struct Named {
    pub(super) name: Arc<str>,
    pub(super) kinds: Kinds,
    pub(super) handler: Arc<Shielded>,
}

/// A handler of the host's whose `Drop` may panic: it is dropped wherever the last message that it was
/// at ends, which may be another user's.
pub(super) struct Shielded(pub(super) Option<Box<dyn Handler>>);

impl Drop for Shielded {
    fn drop(&mut self) {
        let handler = self.0.take();
        let dropped = catch_unwind(AssertUnwindSafe(|| drop(handler)));
        // What it panicked with may panic again when it is dropped.
        dropped.unwrap_or_else(std::mem::forget);
    }
}

/// What a message goes through: replaced as a whole, so one load shows all of it.
#[derive(Clone, Default)]
pub(super) struct Chain {
    pub(super) middleware: Vec<Arc<dyn Middleware>>,
    pub(super) handlers: Vec<Named>,
}
