//! What is sent, and to which of a user's connections.

use crate::id::{ConnectionId, ThreadId};
use crate::protocol::message::kind::MessageKind;
use std::sync::Arc;

/// What devices get: a message as JSON, written once and shared by all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet(pub(super) Arc<(MessageKind, Box<str>)>);

impl Packet {
    /// What it is.
    #[must_use]
    pub fn kind(&self) -> &MessageKind {
        &self.0.0
    }

    /// The message as clients get it, under its outbound name.
    #[must_use]
    pub fn json(&self) -> &str {
        &self.0.1
    }
}

/// Which of the user's connections a message is for.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub enum Audience<'a> {
    /// All of them.
    #[default]
    Everybody,
    /// One.
    Connection(ConnectionId),
    /// Those attached to a thread.
    Thread(&'a ThreadId),
    /// All but one.
    Others(ConnectionId),
}
