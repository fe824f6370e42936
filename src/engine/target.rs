//! What a publish asks for: the connections that it names, and its rules.

use crate::id::{ConflationKey, ConnectionId, ThreadId};
use crate::lane::audience::Audience;

/// The connections that an event is for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Target<'a> {
    All,
    Connection(ConnectionId),
    Thread(&'a ThreadId),
    Except(ConnectionId),
}

impl Target<'_> {
    /// Returns the rule that readers apply to themselves, or `None` for all connections.
    pub(super) fn audience(&self) -> Option<Audience> {
        match *self {
            Self::All => None,
            Self::Connection(id) => Some(Audience::Connection(id)),
            Self::Thread(thread) => Some(Audience::Thread(thread.clone())),
            Self::Except(id) => Some(Audience::Others(id)),
        }
    }
}

/// What an event does to those before it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Effect<'a> {
    None,
    /// It supersedes those of its key.
    Supersedes(&'a ConflationKey),
    /// No later event supersedes one of them.
    Bars,
}

/// What a publish asks for beside its terms.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Aim<'a> {
    pub(crate) target: Target<'a>,
    /// In nanoseconds of the hub's time.
    pub(crate) deadline: Option<u64>,
    pub(crate) effect: Effect<'a>,
}

impl<'a> Aim<'a> {
    /// For all connections, without a rule.
    pub(crate) const ALL: Self = Self::at(Target::All);

    /// For a target, without a rule.
    #[inline]
    pub(crate) const fn at(target: Target<'a>) -> Self {
        Self {
            target,
            deadline: None,
            effect: Effect::None,
        }
    }

    /// For all connections, with an effect.
    pub(crate) const fn with(effect: Effect<'a>) -> Self {
        Self {
            effect,
            ..Self::ALL
        }
    }

    /// Returns whether the event gets no rule.
    #[inline]
    pub(super) fn is_plain(&self) -> bool {
        let is_for_all = matches!(self.target, Target::All);
        is_for_all && self.deadline.is_none() && matches!(self.effect, Effect::None)
    }
}
