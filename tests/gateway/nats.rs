//! R084, R134: several gateways as one, over a real nats-server.

use std::time::Duration;

use futures_util::SinkExt;
use serde_json::json;
use tokio::time::{sleep, timeout};
use tokio_tungstenite::tungstenite::Message;

use crate::nats_server::Server as Broker;
use crate::server::{LONG, Server, Socket, gateway, hear, say};

/// The next event of a kind.
async fn next(tab: &mut Socket, kind: &str) -> serde_json::Value {
    loop {
        let mut frame = hear(tab).await;
        if frame["event"]["type"] == kind {
            return frame["event"].take();
        }
    }
}

/// Says a word at `here` until the device at `there` hears it: its gateway may not listen yet.
async fn meet(here: &mut Socket, there: &mut Socket) {
    let met = async {
        loop {
            say(here, "are you there").await;
            next(here, "agent_completed").await;
            let heard = timeout(Duration::from_millis(500), next(there, "agent_completed"));
            if heard.await.is_ok() {
                return;
            }
        }
    };
    timeout(LONG, met).await.expect("they meet");
    // What is still under way of the words before.
    while timeout(Duration::from_millis(500), hear(there))
        .await
        .is_ok()
    {}
}

#[tokio::test]
async fn r084_a_users_devices_at_two_gateways_hear_the_same_and_no_other_user() {
    let Some(broker) = Broker::start() else {
        return;
    };
    let address = broker.address();
    let (one, two) = (
        Server::with(&["--cluster", &address]),
        Server::with(&["--cluster", &address]),
    );
    let mut here = one.tab(&one.login("ann").await).await;
    let mut there = two.tab(&two.login("ann").await).await;
    let mut other = two.tab(&two.login("bob").await).await;
    meet(&mut here, &mut there).await;
    // A run that is begun at one gateway streams to both.
    say(&mut here, "one two three").await;
    let (mut near, mut far) = (String::new(), String::new());
    for (tab, answer) in [(&mut here, &mut near), (&mut there, &mut far)] {
        assert_eq!(next(tab, "user_message").await["text"], "one two three");
        *answer = next(tab, "agent_completed").await["final_response"].to_string();
    }
    assert!(near == far && near.contains("3 words"), "{near} {far}");
    // A post reaches the members at its gateway with all of their devices.
    let ask = |kind: &str, payload| {
        Message::text(json!({ "type": kind, "payload": payload }).to_string())
    };
    let lobby = json!({ "room": "lobby" });
    here.send(ask("room_join", lobby)).await.unwrap();
    next(&mut there, "room_state").await;
    let post = json!({ "room": "lobby", "text": "hello" });
    here.send(ask("room_say", post)).await.unwrap();
    assert_eq!(next(&mut there, "room_message").await["text"], "hello");
    // Bob is told his own, and nothing else.
    say(&mut other, "alone").await;
    assert_eq!(hear(&mut other).await["event"]["text"], "alone");
}

#[tokio::test]
async fn r084_a_gateway_whose_broker_is_gone_serves_its_own_users() {
    let Some(mut broker) = Broker::start() else {
        return;
    };
    let server = Server::with(&["--cluster", &broker.address()]);
    let mut tab = server.tab(&server.login("ann").await).await;
    broker.kill();
    sleep(Duration::from_millis(300)).await;
    say(&mut tab, "still here").await;
    next(&mut tab, "agent_completed").await;
    server.signal("-TERM");
    assert!(server.ended().await.0);
}

#[test]
fn r084_an_address_that_is_none_is_a_clear_error() {
    let output = gateway(&["--port", "0", "--cluster", "no address"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("--cluster no address"), "{said}");
}
