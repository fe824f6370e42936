//! R084: what the gateway holds for its users is limited, and nothing is held for those who have gone.

use futures_util::SinkExt;
use tokio_tungstenite::tungstenite::Message;

use crate::conversations::conversation;
use crate::server::{Server, close_code, hear, say};

#[tokio::test]
async fn r084_too_many_tabs_of_a_user_are_refused_and_cost_no_other_user_a_tab() {
    let server = Server::start();
    let token = server.login("ann").await;
    let mut tabs = Vec::new();
    for _ in 0..32 {
        tabs.push(server.tab(&token).await);
    }
    // By whatever session.
    let second = server.login("ann").await;
    for token in [&token, &second] {
        assert_eq!(close_code(&mut server.socket(token, "").await).await, 4429);
    }
    server.tab(&server.login("bob").await).await;
    say(&mut tabs[0], "hello").await;
    conversation(&mut tabs[31], 1).await;
    // A tab that goes leaves its place.
    drop(tabs.pop());
    server.until("connections", 31).await;
    server.tab(&second).await;
}

#[tokio::test]
async fn r084_sessions_of_a_user_are_limited_and_the_oldest_that_is_not_in_use_is_out() {
    let server = Server::start();
    let bob = server.login("bob").await;
    let first = server.login("ann").await;
    let mut tab = server.tab(&first).await;
    let second = server.login("ann").await;
    let third = server.login("ann").await;
    for _ in 3..32 {
        server.login("ann").await;
    }
    assert_eq!(server.stats().await["sessions"], 33);
    // The oldest is in use, so the second oldest is out.
    let last = server.login("ann").await;
    assert_eq!(server.stats().await["sessions"], 33);
    assert_eq!(
        close_code(&mut server.socket(&second, "").await).await,
        4401
    );
    let (_third, _last) = (server.tab(&third).await, server.tab(&last).await);
    // However many come, the user's own and nobody else's make room.
    for _ in 0..100 {
        server.login("ann").await;
    }
    assert_eq!(server.stats().await["sessions"], 33);
    say(&mut tab, "hello").await;
    conversation(&mut tab, 1).await;
    server.tab(&bob).await;
}

#[tokio::test]
async fn r084_a_user_with_a_tab_for_each_session_gets_no_other() {
    let server = Server::start();
    let mut tabs = Vec::new();
    for _ in 0..32 {
        tabs.push(server.tab(&server.login("ann").await).await);
    }
    let (status, told) = server.try_login(br#"{"name":"ann"}"#).await;
    assert!(
        status == 429 && told.contains("close one"),
        "{status} {told}"
    );
    server.login("bob").await;
    drop(tabs.pop());
    server.until("connections", 31).await;
    server.login("ann").await;
}

#[tokio::test]
async fn r084_a_flood_of_log_ins_is_limited_and_ends_no_tab() {
    let server = Server::with(&["--sessions", "20"]);
    let ann = server.login("ann").await;
    let mut tab = server.tab(&ann).await;
    let idle = server.login("bob").await;
    for user in 0..100 {
        server.login(&format!("user-{user}")).await;
    }
    assert_eq!(server.stats().await["sessions"], 20);
    assert_eq!(close_code(&mut server.socket(&idle, "").await).await, 4401);
    say(&mut tab, "hello").await;
    conversation(&mut tab, 1).await;
    // All in use.
    let mut tabs = Vec::new();
    for user in 0..19 {
        let token = server.login(&format!("user-{user}")).await;
        tabs.push(server.tab(&token).await);
    }
    let (status, told) = server.try_login(br#"{"name":"carl"}"#).await;
    assert!(status == 503 && told.contains("later"), "{status} {told}");
}

#[tokio::test]
async fn r084_a_session_ends_and_with_it_its_tab_and_what_it_asked_for() {
    let server = Server::with(&["--session", "3000", "--beat", "200"]);
    let token = server.login("ann").await;
    let mut tab = server.tab(&token).await;
    let ask = r#"{"type":"subscribe_quality_alerts","payload":{"action":"subscribe"}}"#;
    tab.send(Message::text(ask)).await.unwrap();
    let answer = hear(&mut tab).await;
    assert_eq!(answer["event"]["status"], "subscribed", "{answer}");
    assert_eq!(server.stats().await["alert_subscribers"], 1);
    // In use or not.
    assert_eq!(close_code(&mut tab).await, 4401);
    assert_eq!(close_code(&mut server.socket(&token, "").await).await, 4401);
    assert_eq!(server.logout(&token).await, 401);
    server.until("sessions", 0).await;
    server.until("alert_subscribers", 0).await;
    server.empty().await;
}
