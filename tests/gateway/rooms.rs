//! Rooms of people, presence, slow devices and floods, by the host's rules.

use std::time::Duration;

use futures_util::SinkExt;
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};
use tokio_tungstenite::tungstenite::Message;

use crate::conversations::conversation;
use crate::server::{LONG, Server, Socket, hear, say};

async fn ask(tab: &mut Socket, kind: &str, payload: Value) {
    let frame = json!({ "type": kind, "payload": payload }).to_string();
    tab.send(Message::text(frame)).await.unwrap();
}

async fn post(tab: &mut Socket, room: &str, text: &str) {
    ask(tab, "room_say", json!({ "room": room, "text": text })).await;
}

/// The next event of a kind. Those of presence come at any time.
async fn next(tab: &mut Socket, kind: &str) -> Value {
    loop {
        let mut frame = hear(tab).await;
        if frame["event"]["type"] == kind {
            return frame["event"].take();
        }
        assert!(frame["event"]["type"] == "room_state", "{kind}: {frame}");
    }
}

/// Waits until a room has these members.
async fn members(tab: &mut Socket, room: &str, expected: &[(&str, &str)]) {
    loop {
        let state = next(tab, "room_state").await;
        let members: Vec<_> = (state["members"].as_array().unwrap().iter())
            .map(|m| (m["name"].as_str().unwrap(), m["status"].as_str().unwrap()))
            .collect();
        if state["room"] == room && members == expected {
            return;
        }
    }
}

#[tokio::test]
async fn r084_a_post_reaches_the_members_of_a_room_and_no_other_user() {
    let server = Server::start();
    let mut tabs = Vec::new();
    for name in ["ann", "bob", "carl"] {
        tabs.push(server.tab(&server.login(name).await).await);
    }
    let [ann, bob, carl] = &mut tabs[..] else {
        unreachable!()
    };
    for tab in [&mut *ann, &mut *bob] {
        ask(tab, "room_join", json!({ "room": "lobby" })).await;
    }
    members(ann, "lobby", &[("ann", "online"), ("bob", "online")]).await;
    post(ann, "lobby", "hello <b>room</b>").await;
    for tab in [&mut *ann, &mut *bob] {
        let said = next(tab, "room_message").await;
        assert_eq!(said["from"], "ann");
        assert_eq!(said["text"], "hello <b>room</b>");
    }
    // A user who is no member learns nothing, of a room that there is and of one that there is not.
    for room in ["lobby", "nowhere", "direct:ann:bob"] {
        for kind in ["room_say", "room_leave"] {
            ask(carl, kind, json!({ "room": room, "text": "x" })).await;
            let told = next(carl, "error").await;
            assert_eq!(told["message"], "you are not in this room", "{told}");
        }
    }
    // A room of two has no third.
    ask(ann, "room_direct", json!({ "with": "bob" })).await;
    members(
        bob,
        "direct:ann:bob",
        &[("ann", "online"), ("bob", "online")],
    )
    .await;
    ask(carl, "room_join", json!({ "room": "direct:ann:bob" })).await;
    next(carl, "error").await;
    post(bob, "direct:ann:bob", "between us").await;
    assert_eq!(next(ann, "room_message").await["text"], "between us");
    // One who has left gets nothing more.
    ask(bob, "room_leave", json!({ "room": "lobby" })).await;
    next(bob, "room_message").await;
    next(bob, "room_left").await;
    post(ann, "lobby", "bob has gone").await;
    assert_eq!(next(ann, "room_message").await["text"], "bob has gone");
    post(ann, "direct:ann:bob", "still here").await;
    assert_eq!(next(bob, "room_message").await["text"], "still here");
    say(carl, "alone").await;
    conversation(carl, 1).await;
}

#[tokio::test]
async fn r084_requests_of_rooms_that_break_a_rule_are_told_and_change_nothing() {
    let server = Server::start();
    let token = server.login("ann").await;
    let (mut ann, mut other) = (server.tab(&token).await, server.tab(&token).await);
    for (kind, payload) in [
        ("room_join", json!({})),
        ("room_join", json!({ "room": "" })),
        ("room_join", json!({ "room": 7 })),
        ("room_join", json!({ "room": "a b" })),
        ("room_join", json!({ "room": "direct:ann:bob" })),
        ("room_join", json!({ "room": "x".repeat(33) })),
        ("room_direct", json!({})),
        ("room_direct", json!({ "with": "ann" })),
        ("room_direct", json!({ "with": "not-here" })),
        ("room_direct", json!({ "with": "ann:bob" })),
        ("room_accept", json!({})),
        ("room_accept", json!({ "with": "ann" })),
        ("room_accept", json!({ "with": "ann:bob" })),
        ("room_say", json!({ "room": "lobby", "text": "x" })),
        ("flood", json!({})),
        ("flood", json!({ "events": 0 })),
        ("flood", json!({ "events": 2001 })),
        ("flood", json!({ "events": "many" })),
    ] {
        ask(&mut ann, kind, payload.clone()).await;
        let told = hear(&mut ann).await;
        assert_eq!(told["event"]["type"], "error", "{kind} {payload}: {told}");
    }
    ask(&mut ann, "room_list", json!({})).await;
    assert_eq!(next(&mut ann, "rooms").await["rooms"], json!([]));
    for n in 0..16 {
        ask(
            &mut ann,
            "room_join",
            json!({ "room": format!("room-{n}") }),
        )
        .await;
        next(&mut ann, "room_state").await;
    }
    ask(&mut ann, "room_join", json!({ "room": "one-more" })).await;
    next(&mut ann, "error").await;
    for text in ["", &"x".repeat(2001)] {
        post(&mut ann, "room-0", text).await;
        next(&mut ann, "error").await;
    }
    // The answers went to the one device that asked.
    post(&mut ann, "room-0", "the first").await;
    assert_eq!(next(&mut other, "room_message").await["text"], "the first");
}

#[tokio::test]
async fn r084_a_user_who_posts_without_end_is_refused_and_fills_no_other_lane() {
    let server = Server::with(&["--lane", "64"]);
    let mut ann = server.tab(&server.login("ann").await).await;
    let mut bob = server.tab(&server.login("bob").await).await;
    for tab in [&mut ann, &mut bob] {
        ask(tab, "room_join", json!({ "room": "lobby" })).await;
        next(tab, "room_state").await;
    }
    for n in 0..200 {
        post(&mut ann, "lobby", &n.to_string()).await;
    }
    let mut refused = 0;
    loop {
        let frame = hear(&mut ann).await;
        refused += usize::from(frame["event"]["code"] == "TOO_FAST");
        if refused >= 100 {
            break;
        }
    }
    // Of each event that bob is told there is no gap before it.
    post(&mut bob, "lobby", "the last").await;
    loop {
        let frame = hear(&mut bob).await;
        assert!(frame["gap"].is_null(), "{frame}");
        if frame["event"]["text"] == "the last" {
            break;
        }
    }
}

#[tokio::test]
async fn r084_a_flood_makes_a_gap_for_the_slow_device_of_its_user_only() {
    let server = Server::with(&["--lane", "64"]);
    let token = server.login("ann").await;
    let (mut slow, mut quick) = (server.tab(&token).await, server.tab(&token).await);
    let mut bob = server.tab(&server.login("bob").await).await;
    slow.send(Message::text(r#"{"slow":200}"#)).await.unwrap();
    assert_eq!(hear(&mut slow).await, json!({ "slow": 200 }));
    ask(&mut quick, "flood", json!({ "events": 400 })).await;
    let mut seen = 0;
    while seen < 400 {
        let frame = hear(&mut quick).await;
        // A machine that is very busy may make the quick one slow.
        seen += frame["gap"].as_u64().unwrap_or(1);
    }
    // The figures of the last seconds are those of the flood.
    let told = async {
        while server.stats().await["wait_p99_us"].as_u64() < Some(1) {
            sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(LONG, told).await.expect("in time");
    assert!(server.stats().await["frames_written"].as_u64() >= Some(200));
    let (mut seen, mut missed) = (0, 0);
    slow.send(Message::text(r#"{"slow":0}"#)).await.unwrap();
    while seen + missed < 400 {
        let frame = hear(&mut slow).await;
        missed += frame["gap"].as_u64().unwrap_or_default();
        seen += u64::from(frame["event"].is_object());
    }
    assert_eq!(seen + missed, 400);
    assert!(missed >= 200, "{missed}");
    say(&mut bob, "quiet here").await;
    conversation(&mut bob, 1).await;
}

#[tokio::test]
async fn r084_a_slow_device_ends_with_its_peer_and_takes_at_most_two_seconds() {
    let server = Server::start();
    let token = server.login("ann").await;
    let (mut slow, mut quick) = (server.tab(&token).await, server.tab(&token).await);
    slow.send(Message::text(r#"{"slow":99999999}"#))
        .await
        .unwrap();
    assert_eq!(hear(&mut slow).await, json!({ "slow": 2000 }));
    for bad in [
        r#"{"slow":-1}"#,
        r#"{"slow":"x"}"#,
        r#"{"slow":1,"type":"x"}"#,
    ] {
        quick.send(Message::text(bad)).await.unwrap();
        let told = hear(&mut quick).await;
        assert!(
            told["slow"].is_null() && told["event"].is_object(),
            "{bad}: {told}"
        );
    }
    say(&mut quick, "hello").await;
    hear(&mut slow).await;
    drop(slow);
    let gone = server.until("connections", 1);
    timeout(Duration::from_millis(1500), gone)
        .await
        .expect("at once");
}

#[tokio::test]
async fn r084_a_user_without_a_device_is_away_and_then_offline() {
    let server = Server::with(&["--grace", "2500"]);
    let ann = server.login("ann").await;
    let (mut tab, hello) = server.tab_at(&ann, "").await;
    let mut bob = server.tab(&server.login("bob").await).await;
    for tab in [&mut tab, &mut bob] {
        ask(tab, "room_join", json!({ "room": "lobby" })).await;
    }
    members(&mut bob, "lobby", &[("ann", "online"), ("bob", "online")]).await;
    drop(tab);
    members(&mut bob, "lobby", &[("ann", "away"), ("bob", "online")]).await;
    post(&mut bob, "lobby", "for later").await;
    next(&mut bob, "room_message").await;
    // Within the grace: the replay has what came to the room.
    let query = format!("?position={}", hello["position"].as_str().unwrap());
    let (mut tab, hello) = server.tab_at(&ann, &query).await;
    assert!(hello["replayed"].as_u64() > Some(0), "{hello}");
    assert_eq!(next(&mut tab, "room_message").await["text"], "for later");
    members(&mut bob, "lobby", &[("ann", "online"), ("bob", "online")]).await;
    drop(tab);
    timeout(LONG, members(&mut bob, "lobby", &[("bob", "online")]))
        .await
        .expect("in time");
    // A user who logs out has left all rooms at once.
    let carl = server.login("carl").await;
    let mut tab = server.tab(&carl).await;
    ask(&mut tab, "room_join", json!({ "room": "lobby" })).await;
    members(&mut bob, "lobby", &[("bob", "online"), ("carl", "online")]).await;
    assert_eq!(server.logout(&carl).await, 204);
    loop {
        let state = next(&mut bob, "room_state").await;
        let members = state["members"].as_array().unwrap();
        if members.len() == 1 {
            break;
        }
        assert_eq!(members[1]["status"], "online", "not away first");
    }
}
