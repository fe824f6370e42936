//! Which event of a user it is, among those of all nodes.

use crate::cluster::frame::{Header, Local, NodeId};

/// Which event of a user it is, among those of all nodes. A [`Trail`](crate::cluster::Trail) takes note of it.
///
/// An event has two stamps. A device at the node that published it has the one of its lane: [`Node::stamp_of`](crate::cluster::Node::stamp_of). A
/// device at another node has the one of the frame: [`Codec::decode_stamped`](crate::cluster::Codec::decode_stamped).
///
/// ```
/// # let hub: laneway::Hub<String> = laneway::Hub::new();
/// # use laneway::cluster::{ClusterOptions, Loopback, Node, Noted, Trail, closures};
/// # let text = closures(|e: &String, out| { out.extend(e.bytes()); Ok(()) }, |_, _| Ok(String::new()));
/// # let (node, _driver) = Node::join(&hub, ClusterOptions::new("chat"), text, Loopback::new())?;
/// use laneway::Received;
///
/// let ann = node.scope(laneway::UserId::new("ann")?);
/// let (mut phone, mut trail) = (ann.local().connect()?, Trail::new(ann.user()));
/// let _ = ann.publish("hello".to_owned())?;
/// let Received::Event(next) = phone.recv()? else { panic!("a gap") };
/// let stamp = node.stamp_of(&phone, next.number).expect("a connection of this node");
/// assert_eq!(trail.note(stamp), Noted::New);
/// assert_eq!(trail.note(stamp), Noted::Repeated);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Stamp {
    pub(super) numbering: Numbering,
    pub(super) number: u64,
    /// Where the event is at its publisher's node. A device that was there may have it from there.
    pub(super) local: Option<Local>,
    pub(super) claim: Claim,
}

/// Whose numbers they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Numbering {
    /// The numbers are those of a lane at the publisher's node. Else they are those of its driver.
    pub(super) is_local: bool,
    pub(super) node: NodeId,
    /// The lane, or when the driver began to number the user's events.
    pub(super) count: u64,
}

/// Which lower numbers a stamp speaks for as well.
#[cfg_attr(not(feature = "jetstream"), allow(dead_code))] // Only the history makes the last two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Claim {
    /// Those from this one on: the device has passed them in its lane.
    From(u64),
    /// None. If some are missing, it is a gap.
    Live,
    /// All: those that were missing were in the history before it, or are counted by it.
    Kept,
    /// None. Those that are missing come live.
    Held,
}

impl Numbering {
    pub(super) fn relayed(header: &Header) -> Self {
        Self {
            is_local: false,
            node: header.node,
            count: header.born,
        }
    }

    pub(super) fn local(node: NodeId, lane: u64) -> Self {
        Self {
            is_local: true,
            node,
            count: lane,
        }
    }
}

impl Stamp {
    /// Returns the stamp of an event in a lane of this node, for a connection whose first number there is `first`.
    pub(super) fn local(node: NodeId, (lane, first): (u64, u64), number: u64) -> Self {
        Self {
            numbering: Numbering::local(node, lane),
            number,
            local: None,
            claim: Claim::From(first.min(number)),
        }
    }

    /// Returns the stamp of an event that comes from another node.
    pub(super) fn live(header: &Header) -> Self {
        Self::relayed(header, Claim::Live)
    }

    pub(super) fn relayed(header: &Header, claim: Claim) -> Self {
        Self {
            numbering: Numbering::relayed(header),
            number: header.number,
            local: header.local,
            claim,
        }
    }
}
