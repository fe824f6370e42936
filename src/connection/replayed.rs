//! The events that wait in a connection, accepted before its time.

use std::collections::VecDeque;

use crate::position::Attached;

/// An event that waits to be received, for one reason or for both.
pub(super) struct Waiting<E> {
    pub(super) number: u64,
    pub(super) event: E,
    /// Whether it came after the position.
    pub(super) replayed: bool,
    /// Whether it is owed to the connection that receives it first.
    pub(super) owed: bool,
}

/// All events that wait to be received.
pub(super) struct Replayed<E> {
    pub(super) events: VecDeque<Waiting<E>>,
    /// How many of these are owed.
    pub(super) owed: usize,
    /// The threads in the position from which this connection resumed.
    pub(super) attached: Option<Attached>,
    /// The number at which a closed connection was cut off.
    pub(super) cut_off: Option<u64>,
    pub(super) received: u64,
}

impl<E> Default for Replayed<E> {
    fn default() -> Self {
        Self {
            events: VecDeque::new(),
            owed: 0,
            attached: None,
            cut_off: None,
            received: 0,
        }
    }
}

impl<E> Replayed<E> {
    /// Returns the number of the event that comes next, or would come if it were not cut off.
    pub(super) fn next(&self) -> Option<u64> {
        let next = self.events.front().map(|next| next.number);
        next.into_iter().chain(self.cut_off).min()
    }

    /// Adds an event that is owed. Returns whether it is new.
    pub(super) fn owe(&mut self, number: u64, event: E) -> bool {
        let at = match self.events.binary_search_by_key(&number, |w| w.number) {
            Ok(at) => at,
            Err(at) => {
                let waiting = Waiting {
                    number,
                    event,
                    replayed: false,
                    owed: false,
                };
                self.events.insert(at, waiting);
                at
            }
        };
        let is_new = !std::mem::replace(&mut self.events[at].owed, true);
        self.owed += usize::from(is_new);
        is_new
    }
}
