//! Several gateways as one, joined by a server of NATS: a user's devices may be at any of them.

use std::time::Duration;

use laneway::cluster::{ClusterEvent, ClusterOptions, NatsRelay, Node, PacketCodec};
use laneway::protocol::{Broadcaster, Message, MessageKind, Packet};
use laneway::{Hub, UserId};

use crate::Clock;

/// What the gateways of one server have in common.
const NAME: &str = "gateway";
const TICK: Duration = Duration::from_secs(1);

/// Joins the gateways at this server. Returns the broadcaster whose messages reach a user's devices at all of them.
///
/// Rooms, sessions, positions and numbers are those of one gateway. What a member posts reaches the members at this
/// gateway, with all of their devices.
pub(crate) async fn join(
    server: &str,
    hub: &Hub<Packet>,
    clock: Clock,
) -> Result<Broadcaster, String> {
    let relay = NatsRelay::connect(server)
        .await
        .map_err(|e| format!("--cluster {server}: {e}"))?;
    let own = hub.clone();
    let options = ClusterOptions::new(NAME).told(move |event| match event {
        ClusterEvent::Connected => eprintln!("gateway: the cluster's server is there"),
        ClusterEvent::Disconnected => eprintln!("gateway: the cluster's server is gone"),
        ClusterEvent::Gap { user, missed, .. } => tell_gap(&own, user, *missed, clock),
        other => eprintln!("gateway: {other:?}"),
    });
    let (node, driver) =
        Node::join(hub, options, PacketCodec::default(), relay).map_err(|e| e.to_string())?;
    // It ends with the hub.
    tokio::spawn(driver.run(|| tokio::time::sleep(TICK)));
    Ok(Broadcaster::default().relayed_by(&node))
}

/// Tells the user's devices here, and at no other gateway: each of those knows its own losses.
fn tell_gap(hub: &Hub<Packet>, user: &UserId, missed: u64, clock: Clock) {
    let gap = Message::new(MessageKind::Unknown("node_gap".into())).with("missed", missed);
    let _ = Broadcaster::default().broadcast(&hub.scope(user.clone()), &gap, clock.now());
}
