//! Several gateways as one, joined by a server of NATS: a user's devices may be at any of them.

use std::time::Duration;

use laneway::cluster::{ClusterEvent, ClusterOptions, NatsRelay, Node, PacketCodec};
use laneway::protocol::{Broadcaster, Message, MessageKind, Packet};
use laneway::{Hub, RoomId, UserId};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::Clock;

/// What the gateways of one server have in common.
const NAME: &str = "gateway";
const TICK: Duration = Duration::from_secs(1);

/// The task that joins this gateway with the others.
pub(crate) struct Driving(JoinHandle<()>);

impl Driving {
    /// Waits until the last messages of the hub, whose connections have all closed, are on their way to the other
    /// gateways. A server that takes nothing delays this by a tick.
    pub(crate) async fn end(self) {
        let _ = timeout(TICK + TICK / 4, self.0).await;
    }
}

/// Joins the gateways at this server, if there is one. Returns the broadcaster whose messages reach a user's devices at
/// all of them.
///
/// What a member posts reaches the members of the room of that name at all of them. Memberships, sessions, positions
/// and numbers are those of one gateway.
pub(crate) async fn join(
    server: Option<&str>,
    hub: &Hub<Packet>,
    clock: Clock,
) -> Result<(Broadcaster, Option<Driving>), String> {
    let Some(server) = server else {
        return Ok((Broadcaster::default(), None));
    };
    let relay = NatsRelay::connect(server)
        .await
        .map_err(|e| format!("--cluster {server}: {e}"))?;
    let own = hub.clone();
    let options = ClusterOptions::new(NAME).told(move |event| match event {
        ClusterEvent::Connected => eprintln!("gateway: the cluster's server is there"),
        ClusterEvent::Disconnected => eprintln!("gateway: the cluster's server is gone"),
        ClusterEvent::Gap { user, missed, .. } => tell_gap(&own, user, *missed, clock),
        ClusterEvent::RoomGap { room, missed, .. } => tell_room_gap(&own, room, *missed),
        other => eprintln!("gateway: {other:?}"),
    });
    let (node, driver) =
        Node::join(hub, options, PacketCodec::default(), relay).map_err(|e| e.to_string())?;
    let driving = tokio::spawn(driver.run(|| tokio::time::sleep(TICK)));
    let broadcaster = Broadcaster::default().relayed_by(&node);
    Ok((broadcaster, Some(Driving(driving))))
}

/// Tells the user's devices here, and at no other gateway: each of those knows its own losses.
fn tell_gap(hub: &Hub<Packet>, user: &UserId, missed: u64, clock: Clock) {
    let _ = Broadcaster::default().broadcast(&hub.scope(user.clone()), &gap(missed), clock.now());
}

/// Tells the room's members here, and at no other gateway.
fn tell_room_gap(hub: &Hub<Packet>, room: &RoomId, missed: u64) {
    let gap = gap(missed).with("room", room.as_str());
    let _ = Broadcaster::default().broadcast_to_room(&hub.room(room.clone()), &gap);
}

fn gap(missed: u64) -> Message {
    Message::new(MessageKind::Unknown("node_gap".into())).with("missed", missed)
}
