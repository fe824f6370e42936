//! The handlers and middlewares that a message goes through.

use std::sync::Arc;

use crate::panics;
use crate::protocol::inbound::handler::{Handler, Middleware};
use crate::protocol::message::kind::MessageKind;

/// A set of kinds, by their index.
#[derive(Clone, Copy)]
pub(in crate::protocol) struct Kinds(u128);

impl Kinds {
    pub(in crate::protocol) fn of(kinds: Option<&[MessageKind]>) -> Self {
        const { assert!(MessageKind::KNOWN.len() < 128) };
        let all = |kinds: &[MessageKind]| kinds.iter().fold(0, |set, kind| set | Self::bit(kind));
        Self(kinds.map_or(u128::MAX, all))
    }

    fn bit(kind: &MessageKind) -> u128 {
        1 << kind.index()
    }

    pub(in crate::protocol) fn has(self, kind: &MessageKind) -> bool {
        self.0 & Self::bit(kind) != 0
    }
}

#[derive(Clone)]
pub(in crate::protocol) struct Named {
    pub(in crate::protocol) name: Arc<str>,
    pub(in crate::protocol) kinds: Kinds,
    pub(in crate::protocol) handler: Arc<Shielded>,
}

/// A handler of the host's whose `Drop` may panic.
///
/// The thread that frees the last chain with the handler drops it, in the middle of any user's message.
pub(in crate::protocol) struct Shielded(pub(in crate::protocol) Option<Box<dyn Handler>>);

impl Drop for Shielded {
    fn drop(&mut self) {
        let handler = self.0.take();
        let _ = panics::contain(|| drop(handler));
    }
}

/// The middlewares and handlers of a router. Replaced as a whole, so one load shows all of it.
#[derive(Clone, Default)]
pub(in crate::protocol) struct Chain {
    pub(in crate::protocol) middleware: Vec<Arc<dyn Middleware>>,
    pub(in crate::protocol) handlers: Vec<Named>,
}
