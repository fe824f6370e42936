//! R084, R134, R136: several gateways as one, over a real nats-server.

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};
use std::time::Duration;

use futures_util::SinkExt;
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};
use tokio_tungstenite::tungstenite::Message;

use crate::nats_server::Server as Broker;
use crate::server::{LONG, OPERATOR, Server, Socket, gateway, hear, program, say};

/// The next event of a kind.
async fn next(tab: &mut Socket, kind: &str) -> serde_json::Value {
    loop {
        let mut frame = hear(tab).await;
        if frame["event"]["type"] == kind {
            return frame["event"].take();
        }
    }
}

fn two_gateways(broker: &Broker) -> (Server, Server) {
    let address = broker.address();
    let gateway = || Server::with(&["--cluster", &address]);
    (gateway(), gateway())
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
    let (one, two) = two_gateways(&broker);
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
    // Bob is told his own, and nothing else.
    say(&mut other, "alone").await;
    assert_eq!(hear(&mut other).await["event"]["text"], "alone");
}

#[tokio::test]
async fn r137_the_last_words_of_a_gateway_reach_the_devices_at_another_one() {
    let Some(broker) = Broker::start() else {
        return;
    };
    let address = broker.address();
    // The answers of the one take seconds.
    let one = Server::with(&["--cluster", &address, "--pace", "300"]);
    let two = Server::with(&["--cluster", &address]);
    let mut here = one.tab(&one.login("ann").await).await;
    let mut there = two.tab(&two.login("ann").await).await;
    meet(&mut there, &mut here).await;
    say(&mut here, "one two three").await;
    next(&mut there, "agent_started").await;
    one.signal("-INT");
    let last = next(&mut there, "agent_error").await;
    assert!(last.to_string().contains("shutting down"), "{last}");
    assert!(one.ended().await.0);
    // The other one goes on.
    say(&mut there, "still here").await;
    next(&mut there, "agent_completed").await;
}

async fn ask(tab: &mut Socket, kind: &str, payload: Value) {
    let frame = json!({ "type": kind, "payload": payload }).to_string();
    tab.send(Message::text(frame)).await.unwrap();
}

async fn post(tab: &mut Socket, text: &str) {
    ask(tab, "room_say", json!({ "room": "lobby", "text": text })).await;
}

/// The members at each gateway.
const ONE: &[&str] = &["ann"];
const TWO: &[&str] = &["ann", "bob"];

/// What comes to a tab from now on, until it is silent for a second: the texts of posts, and how many were lost. Its
/// gateway has these members.
async fn heard(tab: &mut Socket, here: &[&str]) -> (Vec<String>, u64) {
    let (mut posts, mut lost) = (Vec::new(), 0);
    while let Ok(frame) = timeout(Duration::from_secs(1), hear(tab)).await {
        let event = &frame["event"];
        match event["type"].as_str() {
            Some("room_message") => posts.push(event["text"].as_str().unwrap().to_owned()),
            Some("node_gap") => {
                assert_eq!(event["room"], "lobby");
                lost += event["missed"].as_u64().unwrap();
            }
            Some("room_state") => {
                let members = event["members"].as_array().unwrap();
                let is_here = |member: &Value| here.contains(&member["name"].as_str().unwrap());
                assert!(members.iter().all(is_here), "{event}");
            }
            other => panic!("{other:?}: {frame}"),
        }
    }
    (posts, lost)
}

#[tokio::test]
async fn r136_a_post_reaches_the_members_at_two_gateways_once_and_a_loss_is_told() {
    let Some(mut broker) = Broker::start() else {
        return;
    };
    let (one, two) = two_gateways(&broker);
    // Ann has a device at each gateway, and is a member at both.
    let mut ann = one.tab(&one.login("ann").await).await;
    let mut anns = two.tab(&two.login("ann").await).await;
    let mut bob = two.tab(&two.login("bob").await).await;
    let mut carl = two.tab(&two.login("carl").await).await;
    for tab in [&mut ann, &mut anns, &mut bob] {
        ask(tab, "room_join", json!({ "room": "lobby" })).await;
        next(tab, "room_state").await;
    }
    // Each gateway may not listen for the room yet.
    let met = async {
        loop {
            post(&mut ann, "0").await;
            post(&mut bob, "0").await;
            let (near, far) = (heard(&mut ann, ONE).await.0, heard(&mut bob, TWO).await.0);
            if near.len() == 2 && far.len() == 2 {
                return;
            }
        }
    };
    timeout(LONG, met).await.expect("they meet");
    heard(&mut anns, TWO).await;
    post(&mut ann, "of ann").await;
    post(&mut bob, "of bob").await;
    for (tab, here) in [(&mut ann, ONE), (&mut anns, TWO), (&mut bob, TWO)] {
        let (mut posts, lost) = heard(tab, here).await;
        posts.sort();
        assert_eq!((posts, lost), (vec!["of ann".into(), "of bob".into()], 0));
    }
    // A user who is no member hears nothing. One who has left at one gateway stays a member at the other.
    assert_eq!(heard(&mut carl, &[]).await, (vec![], 0));
    ask(&mut anns, "room_leave", json!({ "room": "lobby" })).await;
    next(&mut anns, "room_left").await;
    post(&mut bob, "without").await;
    assert_eq!(heard(&mut ann, ONE).await, (vec!["without".into()], 0));
    assert_eq!(heard(&mut anns, TWO).await, (vec![], 0));
    heard(&mut bob, TWO).await;
    // What is posted while the broker is away is told to the members at the other gateway.
    broker.kill();
    sleep(Duration::from_millis(500)).await;
    for text in ["lost", "lost"] {
        post(&mut bob, text).await;
    }
    assert_eq!(heard(&mut bob, TWO).await.0.len(), 2);
    broker.restart();
    let told = async {
        let gap = next(&mut ann, "node_gap").await;
        assert_eq!((&gap["missed"], &gap["room"]), (&json!(2), &json!("lobby")));
    };
    timeout(LONG, told).await.expect("told");
    post(&mut bob, "again").await;
    assert_eq!(next(&mut ann, "room_message").await["text"], "again");
    assert_eq!(heard(&mut ann, ONE).await, (vec![], 0));
}

#[tokio::test]
async fn r136_a_direct_room_of_people_at_two_gateways_is_of_these_two() {
    let Some(broker) = Broker::start() else {
        return;
    };
    let (one, two) = two_gateways(&broker);
    let mut ann = one.tab(&one.login("ann").await).await;
    let mut bob = two.tab(&two.login("bob").await).await;
    let mut carl = two.tab(&two.login("carl").await).await;
    let room = "direct:ann:bob";
    // A gateway may not listen for its users and rooms yet, so ann asks again.
    let opened = async {
        loop {
            ask(&mut ann, "room_direct", json!({ "with": "bob" })).await;
            if let Ok(invited) =
                timeout(Duration::from_secs(1), next(&mut bob, "room_invited")).await
            {
                return invited;
            }
        }
    };
    let invited = timeout(LONG, opened).await.expect("an invitation");
    assert_eq!(invited["with"], "ann");
    ask(&mut bob, "room_accept", json!({ "with": "ann" })).await;
    assert_eq!(next(&mut bob, "room_state").await["room"], room);
    let said = |text: &str| json!({ "room": room, "text": text });
    let heard = async {
        loop {
            ask(&mut ann, "room_say", said("hello")).await;
            let came = timeout(Duration::from_secs(1), next(&mut bob, "room_message"));
            if let Ok(came) = came.await {
                return came;
            }
        }
    };
    let came = timeout(LONG, heard).await.expect("a message");
    assert_eq!(
        (&came["from"], &came["text"]),
        (&json!("ann"), &json!("hello"))
    );
    ask(&mut bob, "room_say", said("and back")).await;
    while next(&mut ann, "room_message").await["text"] != "and back" {}
    // No third one comes in, and none has heard a word.
    for (verb, payload) in [
        ("room_say", said("me too")),
        ("room_join", json!({ "room": room })),
    ] {
        ask(&mut carl, verb, payload).await;
        assert_eq!(hear(&mut carl).await["event"]["type"], "error");
    }
    // An answer to an invitation invites no one: bob hears of no other one.
    let rest = timeout(Duration::from_secs(2), next(&mut bob, "room_invited")).await;
    assert!(rest.is_err(), "{rest:?}");
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

#[tokio::test]
async fn r084_a_script_starts_a_server_and_two_gateways_and_ends_them() {
    let Some(broker) = Broker::start() else {
        return;
    };
    // Its port is free then.
    let port = broker.address().rsplit(':').next().unwrap().to_owned();
    drop(broker);
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/gateways.sh");
    let mut script = Command::new(script)
        .env("PORT", port)
        .env("GATEWAY_PROGRAM", program())
        .env("GATEWAY_OPERATOR", OPERATOR)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let pid = script.id().to_string();
    let (said, complained) = (script.stdout.take().unwrap(), script.stderr.take().unwrap());
    let told = tokio::task::spawn_blocking(move || {
        let lines = |from| BufReader::new(from).lines().map_while(Result::ok);
        let joined = "gateway: the cluster's server is there";
        let joined = lines(Box::new(complained) as Box<dyn Read>).filter(|line| line == joined);
        assert_eq!(joined.take(2).count(), 2);
        let mut lines = lines(Box::new(said) as Box<dyn Read>);
        let addresses = lines.by_ref().take(2).collect::<Vec<_>>();
        assert!(Command::new("kill").arg(pid).status().unwrap().success());
        (addresses, lines.collect::<Vec<_>>())
    });
    let (addresses, after) = timeout(LONG, told).await.expect("they start").unwrap();
    assert!(
        addresses
            .iter()
            .all(|line| line.starts_with("listening on http://127.0.0.1:"))
    );
    assert_ne!(addresses[0], addresses[1]);
    assert_eq!(after, ["stopped", "stopped"]);
    assert!(script.wait().unwrap().success());
}
