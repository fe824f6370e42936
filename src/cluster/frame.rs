//! A frame: an event on its way between nodes, with a header of fixed size.

use std::fmt;
use std::hash::{BuildHasher, RandomState};

use crate::id::ThreadId;

/// A node of a cluster: a hub, from its join to the end of its driver.
///
/// ```
/// # let hub: laneway::Hub<String> = laneway::Hub::new();
/// # use laneway::cluster::{ClusterOptions, Loopback, Node, closures};
/// # let text = closures(|e: &String, out| { out.extend(e.bytes()); Ok(()) }, |_, _| Ok(String::new()));
/// let (node, _driver) = Node::join(&hub, ClusterOptions::new("chat"), text, Loopback::new())?;
/// assert_eq!(node.id().to_string().len(), 16);
/// # Ok::<(), laneway::cluster::ClusterError>(())
/// ```
///
/// 64 random bits, so two nodes of a cluster of a thousand are the same with a probability below 10⁻¹³. Two that
/// are the same take each other's events for their own, and drop them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub(super) u64);

impl NodeId {
    pub(super) fn random() -> Self {
        // The keys of the standard library's hasher are random, and each hasher has others.
        Self(RandomState::new().hash_one(0))
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NodeId({self})")
    }
}

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// An event, which a device may miss.
    Event,
    /// An event, which no device may miss.
    Critical,
    /// No event: the last number of a user's events, so that the loss of the last ones shows.
    Tip,
    /// A node is connected anew, or has lost something. Each node tells it the tips again.
    Hello,
}

/// The fixed part of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) kind: Kind,
    pub(super) node: NodeId,
    /// When the node began to number this user's events: a count of its own.
    pub(super) born: u64,
    /// The number of the event, from 1. Of a tip: that of the last event.
    pub(super) number: u64,
    /// Where the event is at its publisher's node. Of an event for a user only.
    pub(super) local: Option<Local>,
}

/// Where an event is at the node that has published it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Local {
    /// The lane that has accepted it.
    pub(super) lane: u64,
    /// Its number in that lane.
    pub(super) number: u64,
}

/// The mark of a frame with a [`Local`], beside the kind.
const TRACED: u8 = 1 << 4;
/// The bytes of a [`Local`], between the thread's id and the event.
const LOCAL_BYTES: usize = 8 + 8;

/// The version of this form. A node drops frames of another version, and counts them.
const VERSION: u8 = 1;
/// The bytes of a header: version, kind, node, born, number, and the length of the thread's id.
pub(super) const HEADER_BYTES: usize = 1 + 1 + 8 + 8 + 8 + 1;

impl Header {
    /// Writes a frame up to its event.
    pub(super) fn write(&self, thread: Option<&ThreadId>, into: &mut Vec<u8>) {
        let kind = match self.kind {
            Kind::Event => 0,
            Kind::Critical => 1,
            Kind::Tip => 2,
            Kind::Hello => 3,
        };
        let mark = if self.local.is_some() { TRACED } else { 0 };
        into.extend_from_slice(&[VERSION, kind + mark]);
        for word in [self.node.0, self.born, self.number] {
            into.extend_from_slice(&word.to_le_bytes());
        }
        let thread = thread.map_or(&[][..], ThreadId::as_bytes);
        // An id has at most 200 bytes.
        into.push(thread.len() as u8);
        into.extend_from_slice(thread);
        if let Some(Local { lane, number }) = self.local {
            into.extend_from_slice(&lane.to_le_bytes());
            into.extend_from_slice(&number.to_le_bytes());
        }
    }

    /// Reads a frame: its header, its thread, and the bytes of its event. `None` if it is no frame.
    pub(super) fn read(frame: &[u8]) -> Option<(Self, Option<ThreadId>, &[u8])> {
        let (header, rest) = frame.split_at_checked(HEADER_BYTES)?;
        let (kind, is_traced) = match (header[0], header[1] & !TRACED) {
            (VERSION, 0) => (Kind::Event, header[1] & TRACED != 0),
            (VERSION, 1) => (Kind::Critical, header[1] & TRACED != 0),
            (VERSION, 2) if header[1] & TRACED == 0 => (Kind::Tip, false),
            (VERSION, 3) if header[1] & TRACED == 0 => (Kind::Hello, false),
            _ => return None,
        };
        let (thread, event) = rest.split_at_checked(usize::from(header[HEADER_BYTES - 1]))?;
        let thread = match thread {
            [] => None,
            bytes => Some(ThreadId::new(std::str::from_utf8(bytes).ok()?).ok()?),
        };
        let (local, event) = if is_traced {
            let (local, event) = event.split_at_checked(LOCAL_BYTES)?;
            let (lane, number) = (word(local, 0), word(local, 8));
            (Some(Local { lane, number }), event)
        } else {
            (None, event)
        };
        let header = Self {
            kind,
            node: NodeId(word(header, 2)),
            born: word(header, 10),
            number: word(header, 18),
            local,
        };
        Some((header, thread, event))
    }
}

/// Returns the eight bytes at `at` as a number.
fn word(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn r134_a_frame_is_read_as_it_was_written_and_any_bytes_are_a_frame_or_none(
            words in any::<[u64; 3]>(),
            local in proptest::option::of(any::<[u64; 2]>()),
            thread in proptest::option::of("[a-zé]{1,90}"),
            event in proptest::collection::vec(any::<u8>(), 0..40),
            cut in 0..64_usize,
            change in any::<u8>(),
        ) {
            let thread = thread.map(|text| ThreadId::new(text).unwrap());
            for kind in [Kind::Event, Kind::Critical, Kind::Tip, Kind::Hello] {
                let [node, born, number] = words;
                let local = local.map(|[lane, number]| Local { lane, number });
                let local = local.filter(|_| matches!(kind, Kind::Event | Kind::Critical));
                let header = Header { kind, node: NodeId(node), born, number, local };
                let mut frame = Vec::new();
                header.write(thread.as_ref(), &mut frame);
                frame.extend_from_slice(&event);
                let read = Header::read(&frame);
                prop_assert_eq!(read, Some((header, thread.clone(), &event[..])));
                // Whatever is cut off or changed, reading does not panic.
                let at = cut % frame.len();
                frame[at] = change;
                let _ = Header::read(&frame);
                let _ = Header::read(&frame[..at]);
            }
        }
    }
}
