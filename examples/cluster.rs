//! A node of a cluster: a chat on the terminal, of which each process is a node.
//!
//! ```sh
//! examples/cluster.sh          # starts a nats-server and three nodes, says something at each, and ends
//! cargo run --features nats --example cluster -- nats://127.0.0.1:4222 ann lobby
//! ```
//!
//! The arguments are the server's address, the user's name, and a room's. Each line of the input is published to all
//! devices of that user, at every node. A line that begins with `#` is published to the members of the room, at every
//! node. Each event that the user's device here receives is a line of the output. So are gaps.

use std::error::Error;
use std::io::BufRead;
use std::sync::Arc;
use std::time::Duration;

use laneway::cluster::{ClusterEvent, ClusterOptions, CodecError, NatsRelay, Node, closures};
use laneway::{Connection, Hub, Received, RoomId, UserId};

type Text = Arc<str>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or("nats://127.0.0.1:4222".into());
    let user = UserId::new(arguments.next().unwrap_or("ann".into()))?;
    let room = RoomId::new(arguments.next().unwrap_or("lobby".into()))?;

    // An event is a text, and travels as its bytes.
    let texts = closures(
        |event: &Text, into| {
            into.extend_from_slice(event.as_bytes());
            Ok(())
        },
        |_, bytes| {
            let text = std::str::from_utf8(bytes).map_err(CodecError::new)?;
            Ok(text.into())
        },
    );
    let hub: Hub<Text> = Hub::new();
    let options = ClusterOptions::new("example").told(|event| match event {
        ClusterEvent::Connected => println!("* the server is there"),
        ClusterEvent::Disconnected => {
            println!("* the server is gone: only devices here get what is said");
        }
        ClusterEvent::Gap { missed, .. } | ClusterEvent::RoomGap { missed, .. } => {
            println!("* {missed} lines of another node were lost");
        }
        _ => {}
    });
    let relay = NatsRelay::connect(&address).await?;
    let (node, driver) = Node::join(&hub, options, texts, relay)?;
    let driving = tokio::spawn(driver.run(|| tokio::time::sleep(Duration::from_secs(1))));

    let scope = node.scope(user);
    let device = tokio::spawn(show(scope.local().connect()?));
    // A membership is one of this node. It ends with the user's last device here.
    scope.local().join(&room)?;
    let room = node.room(room);
    println!(
        "* node {} of {} in {}",
        node.id(),
        scope.user(),
        room.room()
    );

    // The terminal has a thread of its own, because reading it blocks.
    let saying = tokio::task::spawn_blocking(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            let text: Text = line.as_str().into();
            let relayed = if line.starts_with('#') {
                room.publish(&text).relayed
            } else {
                match scope.publish(text) {
                    Ok(published) => published.relayed,
                    Err(refused) => return println!("* {refused}"),
                }
            };
            if !relayed.is_queued() {
                println!("* not relayed: {relayed:?}");
            }
        }
    });
    saying.await?;
    hub.shutdown();
    device.await?;
    // The driver sends what was published before.
    driving.await?;
    Ok(())
}

/// Prints what the device receives, until the hub is shut down.
async fn show(mut device: Connection<Text>) {
    loop {
        match device.next().await {
            Ok(Received::Event(next)) => println!("{}", next.event),
            Ok(Received::Gap { missed, .. }) => println!("* {missed} lines were too fast"),
            Ok(_) => {}
            Err(_) => return,
        }
    }
}
