//! Users see their own conversations, whole, and those of no other user.

use std::collections::HashMap;

use futures_util::SinkExt;
use serde_json::Value;
use tokio_tungstenite::tungstenite::Message;

use crate::server::{Server, Socket, close_code, hear, say};

/// Everything a tab hears until `runs` runs are complete. Asserts the numbers and each run's order.
pub(crate) async fn conversation(tab: &mut Socket, runs: usize) -> Vec<Value> {
    let mut heard: Vec<Value> = Vec::new();
    let mut completed = 0;
    while completed < runs {
        let mut frame = hear(tab).await;
        assert!(frame["event"].is_object(), "{frame}");
        // Each connection's own.
        let position = frame.as_object_mut().unwrap().remove("position");
        assert!(position.is_some_and(|p| p.is_string()));
        completed += usize::from(frame["event"]["type"] == "agent_completed");
        if let Some(last) = heard.last() {
            // Not always by one: a publisher that is stopped for long loses its number.
            assert!(frame["number"].as_u64() > last["number"].as_u64());
        }
        heard.push(frame);
    }
    let mut by_run: HashMap<&str, Vec<&str>> = HashMap::new();
    for frame in &heard {
        let event = &frame["event"];
        by_run
            .entry(event["run_id"].as_str().expect("of a run"))
            .or_default()
            .push(event["type"].as_str().unwrap());
    }
    assert_eq!(by_run.len(), runs);
    for types in by_run.values() {
        let (first, answers) = types.split_at(5);
        let expected = [
            "user_message",
            "agent_started",
            "agent_thinking",
            "tool_executing",
            "tool_completed",
        ];
        assert_eq!(first, expected);
        let (last, answers) = answers.split_last().unwrap();
        assert!(*last == "agent_completed" && !answers.is_empty());
        assert!(answers.iter().all(|t| *t == "agent_response_chunk"));
    }
    heard
}

/// 50 users with 3 tabs each say 20 things, spread over the tabs; then a fourth tab that dies.
#[tokio::test(flavor = "multi_thread")]
async fn r001_every_tab_of_a_user_sees_the_same_conversation_and_nobody_elses() {
    const MESSAGES: usize = 20;
    let server = &*Box::leak(Box::new(Server::start()));
    let users = (0..50).map(|u| {
        tokio::spawn(async move {
            let name = format!("user-{u}");
            let token = server.login(&name).await;
            let mut tabs = Vec::new();
            for _ in 0..3 {
                tabs.push(server.tab(&token).await);
            }
            let killed = server.tab(&token).await;
            for m in 0..MESSAGES {
                say(&mut tabs[m % 3], &format!("{name} says {m}")).await;
            }
            // Without a goodbye: the TCP connection just ends in the middle of the runs.
            drop(killed);
            let mut all = Vec::new();
            for tab in &mut tabs {
                all.push(conversation(tab, MESSAGES).await);
            }
            assert!(all[0] == all[1] && all[1] == all[2], "one order");
            let mut said: Vec<_> = all[0]
                .iter()
                .filter(|frame| frame["event"]["type"] == "user_message")
                .map(|frame| frame["event"]["text"].as_str().unwrap().to_owned())
                .collect();
            said.sort();
            let mut expected: Vec<_> = (0..MESSAGES).map(|m| format!("{name} says {m}")).collect();
            expected.sort();
            assert_eq!(said, expected, "all of one's own, and nothing else");
        })
    });
    for user in users.collect::<Vec<_>>() {
        user.await.unwrap();
    }
    server.empty().await;
    let stats = server.stats().await;
    assert_eq!(stats["missed"], 0);
    server.signal("-KILL");
}

#[tokio::test]
async fn r053_a_tab_too_slow_for_critical_events_is_closed_and_stalls_nobody() {
    let server = Server::start();
    let token = server.login("ann").await;
    let (mut slow, hello) = server.tab_at(&token, "?slow=50").await;
    let mut quick = server.tab(&token).await;
    let mut heard = 0;
    for m in 0..320 {
        say(&mut quick, &format!("message {m}")).await;
        heard += conversation(&mut quick, 1).await.len();
    }
    // The lane's capacity and four blocks of 256, and what the slow tab reads meanwhile.
    assert!(
        heard > 2_500,
        "enough to drop what the slow tab has not read: {heard}"
    );
    assert_eq!(close_code(&mut slow).await, 4004);
    // It comes back from where it began, and is told exactly what is gone.
    let query = format!("?position={}", hello["position"].as_str().unwrap());
    let (mut again, hello) = server.tab_at(&token, &query).await;
    let gap = hello["gap"].as_u64().unwrap();
    assert_eq!(hear(&mut again).await["number"].as_u64(), Some(gap));
}

#[tokio::test]
async fn a_reload_resumes_the_conversation() {
    let server = Server::start();
    let token = server.login("ann").await;
    let (mut tab, hello) = server.tab_at(&token, "").await;
    say(&mut tab, "first").await;
    let first = conversation(&mut tab, 1).await;
    say(&mut tab, "second").await;
    assert_eq!(hear(&mut tab).await["event"]["text"], "second");
    drop(tab);
    server.empty().await;
    let query = format!("?position={}", hello["position"].as_str().unwrap());
    let (mut tab, hello) = server.tab_at(&token, &query).await;
    assert!(hello["gap"].is_null() && hello["reset"].is_null());
    let again = conversation(&mut tab, 2).await;
    assert_eq!(
        again[..first.len()],
        first,
        "the same again, and then the rest"
    );

    // A position is its user's own.
    let bob = server.login("bob").await;
    assert_eq!(
        close_code(&mut server.socket(&bob, &query).await).await,
        4403
    );
}

#[tokio::test]
async fn r053_critical_events_wait_for_their_user() {
    let server = Server::start();
    let token = server.login("ann").await;
    let mut tab = server.tab(&token).await;
    say(&mut tab, "answer me later").await;
    assert_eq!(hear(&mut tab).await["event"]["type"], "user_message");
    drop(tab);
    server.empty().await;
    // The run goes on without a tab.
    let (mut tab, _) = server.tab_at(&token, "").await;
    loop {
        let frame = hear(&mut tab).await;
        if frame["event"]["type"] == "agent_completed" {
            break;
        }
    }
    // Each once: the next tab has nothing to recover.
    let mut next = server.tab(&token).await;
    say(&mut next, "hello").await;
    assert_eq!(hear(&mut next).await["event"]["text"], "hello");
}

#[tokio::test]
async fn r040_quality_is_asked_for_and_answered_in_its_own_tab() {
    let server = Server::start();
    let token = server.login("ann").await;
    let (mut tab, mut other) = (server.tab(&token).await, server.tab(&token).await);
    say(&mut tab, "hello").await;
    conversation(&mut tab, 1).await;
    conversation(&mut other, 1).await;
    let ask = r#"{"type":"get_quality_metrics","payload":{"period_hours":1}}"#;
    tab.send(Message::text(ask)).await.unwrap();
    let answer = hear(&mut tab).await;
    assert_eq!(answer["event"]["type"], "quality_metrics", "{answer}");
    say(&mut other, "next").await;
    assert_eq!(hear(&mut other).await["event"]["text"], "next");
}

#[tokio::test]
async fn r003_bad_input_is_told_to_its_sender_only() {
    let server = Server::start();
    let token = server.login("ann").await;
    let mut ann = server.tab(&token).await;
    let mut other = server.tab(&token).await;
    let long = serde_json::json!({ "type": "message", "text": "x".repeat(4001) }).to_string();
    for (bad, told) in [
        ("", "error"),
        ("no JSON", "error"),
        ("{}", "error"),
        (r#"{"type":null}"#, "error"),
        (r#"{"type":"message","text":""}"#, "error"),
        (&long, "error"),
        (r#"{"type":"shout","text":"x"}"#, "ack"),
    ] {
        ann.send(Message::text(bad)).await.unwrap();
        assert_eq!(hear(&mut ann).await["event"]["type"], told, "{bad}");
    }
    ann.send(Message::binary(vec![1, 2, 255])).await.unwrap();
    assert_eq!(hear(&mut ann).await["event"]["type"], "error");
    // The session says who speaks, whatever a message claims.
    let claim = r#"{"type":"message","text":"still here","user_id":"bob","userId":"bob"}"#;
    ann.send(Message::text(claim)).await.unwrap();
    assert_eq!(
        conversation(&mut ann, 1).await,
        conversation(&mut other, 1).await
    );

    // Too large to be read at all: that ends the tab, and that tab only.
    let _ = ann.send(Message::text("x".repeat(100_000))).await;
    assert_eq!(close_code(&mut ann).await, 1009);
    say(&mut other, "me too").await;
    conversation(&mut other, 1).await;
}

#[tokio::test]
async fn r024_logout_closes_all_tabs_of_that_user_only() {
    let server = Server::start();
    let (ann, bob) = (server.login("ann").await, server.login("bob").await);
    let (mut tab, mut second) = (server.tab(&ann).await, server.tab(&ann).await);
    let mut other = server.tab(&bob).await;
    assert_eq!(server.logout(&ann).await, 204);
    assert_eq!(close_code(&mut tab).await, 4001);
    assert_eq!(close_code(&mut second).await, 4001);
    assert_eq!(close_code(&mut server.socket(&ann, "").await).await, 4401);
    assert_eq!(server.logout(&ann).await, 401);
    say(&mut other, "alone").await;
    conversation(&mut other, 1).await;
    drop(other);
    server.empty().await;
}
