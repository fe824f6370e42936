//! The choice of the events that a device has missed, among those of its user in the history.

use std::collections::HashMap;

use crate::cluster::addressee::Addressee;
use crate::cluster::codec::Codec;
use crate::cluster::frame::{Header, Kind, Local, NodeId};
use crate::cluster::stamp::{Claim, Numbering, Stamp};
use crate::cluster::trail::Trail;
use crate::id::ThreadId;

/// An event that a device has missed, from [`History::since`](crate::cluster::History::since).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Kept<E> {
    /// The event.
    pub event: E,
    /// Which one it is. The host notes it in the device's trail when it hands the event to the client.
    pub stamp: Stamp,
    /// The thread that it is for. The connection was attached to it at the time of the call.
    pub thread: Option<ThreadId>,
    /// It was published as critical.
    pub is_critical: bool,
}

/// The choice, while frames of the history come in the order of the stream.
pub(super) struct Scan<'a, E> {
    trail: &'a Trail,
    /// The node at which the device is now.
    node: NodeId,
    /// The device's lane there, and the first number that comes live.
    live: (u64, u64),
    to: Addressee,
    is_attached: &'a dyn Fn(&ThreadId) -> bool,
    /// The last number of each node that came, or that the trail has.
    last: HashMap<Numbering, Option<u64>>,
    /// The last event of each node that came.
    taken: HashMap<Numbering, u64>,
    /// All numbers up to these are handed out, or will be.
    handled: HashMap<Numbering, u64>,
    /// The sequence of the first event that comes live.
    pub(super) held: Option<u64>,
    pub(super) events: Vec<Kept<E>>,
    /// Numbers of events that are not in the history.
    pub(super) lost: u64,
    pub(super) undecodable: u64,
}

impl<'a, E> Scan<'a, E> {
    pub(super) fn new(
        trail: &'a Trail,
        (node, live): (NodeId, (u64, u64)),
        to: Addressee,
        is_attached: &'a dyn Fn(&ThreadId) -> bool,
    ) -> Self {
        Self {
            trail,
            node,
            live,
            to,
            is_attached,
            last: HashMap::new(),
            taken: HashMap::new(),
            handled: HashMap::new(),
            held: None,
            events: Vec::new(),
            lost: 0,
            undecodable: 0,
        }
    }

    /// Takes the frame with this sequence.
    pub(super) fn take<C: Codec<E>>(&mut self, sequence: u64, frame: &[u8], codec: &C) {
        let Some((header, thread, event)) = Header::read(frame) else {
            self.undecodable += 1;
            return;
        };
        if header.kind == Kind::Hello {
            return;
        }
        let numbering = Numbering::relayed(&header);
        self.count(numbering, &header);
        if header.kind != Kind::Tip {
            // A number of the lane and one of the driver may say it, and one is enough. Two publishers of a node may
            // have one order in the lane and another one here. So no order between the two is assumed.
            let is_seen = self.trail.has(numbering, header.number)
                || header
                    .local
                    .is_some_and(|at| self.trail.has_at(header.node, at));
            // A broker may store a frame twice.
            let before = self.taken.insert(numbering, header.number);
            let is_repeated = before.is_some_and(|before| before >= header.number);
            if !is_seen && self.comes_live(&header) {
                self.held.get_or_insert(sequence);
            } else if !is_seen && !is_repeated {
                self.keep(&header, thread, event, codec);
            }
        }
        if self.held.is_none() {
            let handled = self.handled.entry(numbering).or_default();
            *handled = header.number.max(*handled);
        }
    }

    /// Counts the numbers before this frame that have not come.
    fn count(&mut self, numbering: Numbering, header: &Header) {
        let trail = self.trail;
        let last = self
            .last
            .entry(numbering)
            .or_insert_with(|| trail.highest(numbering));
        let before = header.number - u64::from(header.kind != Kind::Tip && header.number > 0);
        if let Some(last) = *last {
            self.lost += before.saturating_sub(last);
        }
        *last = Some(last.unwrap_or(0).max(header.number));
    }

    /// Returns whether the connection receives the event itself.
    fn comes_live(&self, header: &Header) -> bool {
        let (lane, first) = self.live;
        let is_here = |at: Local| header.node == self.node && at.lane == lane && at.number >= first;
        header.local.is_some_and(is_here)
    }

    fn keep<C: Codec<E>>(
        &mut self,
        header: &Header,
        thread: Option<ThreadId>,
        event: &[u8],
        codec: &C,
    ) {
        if thread.as_ref().is_some_and(|t| !(self.is_attached)(t)) {
            return;
        }
        // Behind an event that comes live, the numbers of this node have a hole.
        let is_behind = self.held.is_some() && header.node == self.node;
        let claim = if is_behind { Claim::Held } else { Claim::Kept };
        let stamp = Stamp::relayed(header, claim);
        let Ok(event) = codec.decode_stamped(&self.to, event, stamp) else {
            self.undecodable += 1;
            return;
        };
        self.events.push(Kept {
            event,
            stamp,
            thread,
            is_critical: header.kind == Kind::Critical,
        });
    }

    /// Returns the numbers up to which all is handed out once the events are.
    pub(super) fn handled(&self) -> Vec<(Numbering, u64)> {
        self.handled.iter().map(|(of, to)| (*of, *to)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::closures;
    use crate::id::UserId;

    #[test]
    fn r141_an_event_behind_one_that_comes_live_speaks_for_no_number_but_its_own() {
        const NODE: NodeId = NodeId(7);
        // The device is at the node that has published all three. Its connection began with number 10 of the lane.
        const LIVE: (u64, u64) = (5, 10);
        let user = UserId::new("ann").unwrap();
        let header = |number, in_lane| Header {
            kind: Kind::Event,
            node: NODE,
            born: 1,
            number,
            local: Some(Local {
                lane: LIVE.0,
                number: in_lane,
            }),
        };
        let numbering = Numbering::relayed(&header(1, 1));
        let mut trail = Trail::new(&user);
        trail.note(Stamp::live(&header(1, 1)));

        let text = closures(
            |event: &String, into| {
                into.extend_from_slice(event.as_bytes());
                Ok(())
            },
            |_, bytes| Ok(String::from_utf8(bytes.to_vec()).unwrap()),
        );
        let before = trail.clone();
        let mut scan = Scan::new(&before, (NODE, LIVE), Addressee::User(user), &|_| true);
        // Two publishers: the lane has them in the other order.
        for (sequence, header) in [(20, header(2, 10)), (21, header(3, 9))] {
            let mut frame = Vec::new();
            header.write(None, &mut frame);
            frame.extend_from_slice(b"hello");
            scan.take(sequence, &frame, &text);
        }
        assert_eq!(scan.held, Some(20));
        let [kept] = &scan.events[..] else {
            panic!("one event was missed")
        };
        trail.note(kept.stamp);
        assert!(trail.has(numbering, 3));
        // The connection may end before it has received the event.
        assert!(!trail.has(numbering, 2));
    }
}
