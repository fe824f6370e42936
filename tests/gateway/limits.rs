//! R084: what the gateway holds for its users is limited, and nothing is held for those who have gone.

use std::time::Duration;

use futures_util::SinkExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;
use tokio::time::{sleep, timeout};
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use crate::conversations::conversation;
use crate::server::{LONG, Server, Socket, close_code, hear, say};

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
    // However many sessions ann opens, only her own make room.
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

#[tokio::test]
async fn r084_what_is_kept_for_a_reload_is_limited_in_bytes_and_a_loss_is_told() {
    let server = Server::start();
    let token = server.login("ann").await;
    let (mut tab, hello) = server.tab_at(&token, "").await;
    // 16 KB each, in far fewer events than are kept.
    let long = "\u{1f600}".repeat(4000);
    let mut events = 0;
    for _ in 0..40 {
        say(&mut tab, &long).await;
        events += conversation(&mut tab, 1).await.len();
    }
    assert!(events < 1000, "{events}");
    drop(tab);
    server.empty().await;
    let query = format!("?position={}", hello["position"].as_str().unwrap());
    let (mut tab, hello) = server.tab_at(&token, &query).await;
    let gap = hello["gap"].as_u64().expect("a part of it is gone");
    assert_eq!(hear(&mut tab).await["number"].as_u64(), Some(gap));
}

#[tokio::test]
async fn r084_a_user_who_reloads_comes_back_whoever_else_comes_and_goes() {
    let server = Server::with(&["--absent", "4"]);
    let first = server.login("first").await;
    let (_, first_was) = server.tab_at(&first, "").await;
    server.empty().await;
    // More users than are kept, who come once and leave.
    for user in 0..12 {
        let (mut tab, _) = server
            .tab_at(&server.login(&format!("user-{user}")).await, "")
            .await;
        say(&mut tab, "hello").await;
        conversation(&mut tab, 1).await;
        drop(tab);
        server.empty().await;
    }
    assert_eq!(server.stats().await["absent_users"], 4);
    // Ann leaves last, and is kept.
    let ann = server.login("ann").await;
    let (mut tab, hello) = server.tab_at(&ann, "").await;
    say(&mut tab, "before the reload").await;
    let said = conversation(&mut tab, 1).await;
    drop(tab);
    server.empty().await;
    assert_eq!(server.stats().await["absent_users"], 4);
    let query = format!("?position={}", hello["position"].as_str().unwrap());
    let (mut tab, hello) = server.tab_at(&ann, &query).await;
    assert_eq!(hello["replayed"].as_u64(), Some(said.len() as u64));
    assert_eq!(conversation(&mut tab, 1).await, said);
    // The one who left first is not, and is told so.
    let query = format!("?position={}", first_was["position"].as_str().unwrap());
    assert_eq!(server.tab_at(&first, &query).await.1["reset"], true);
    // A run that ends while its user is away does not make one more.
    let late = server.login("late").await;
    let mut tab = server.tab(&late).await;
    say(&mut tab, "answer me later").await;
    hear(&mut tab).await;
    drop(tab);
    sleep(Duration::from_millis(500)).await;
    assert_eq!(server.stats().await["absent_users"], 4);
}

/// Says so much, at half a megabyte a second, that a device that stands still fills its lane. The others hear all of it.
async fn say_three_megabytes(server: &Server, quick: &mut Socket) {
    // 32 KB each, in far fewer events than a lane has.
    let long = "\u{1f600}".repeat(4000);
    for _ in 0..96 {
        say(quick, &long).await;
        for frame in conversation(quick, 1).await {
            assert!(frame["gap"].is_null(), "{frame}");
        }
        let held = server.stats().await["unread_bytes"].as_u64().unwrap();
        assert!(held <= 1024 * 1024, "{held}");
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn r084_a_device_that_stands_still_holds_limited_bytes_and_stalls_no_other() {
    let server = Server::start();
    let token = server.login("ann").await;
    let (mut slow, hello) = server.tab_at(&token, "").await;
    let mut quick = server.tab(&token).await;
    slow.send(Message::text(r#"{"slow":2000}"#)).await.unwrap();
    assert_eq!(hear(&mut slow).await["slow"], 2000);
    say_three_megabytes(&server, &mut quick).await;
    assert_eq!(close_code(&mut slow).await, 4006);
    let query = format!("?position={}", hello["position"].as_str().unwrap());
    let (mut slow, hello) = server.tab_at(&token, &query).await;
    assert!(hello["gap"].as_u64() > Some(0), "{hello}");
    // It has the id that was closed, and stays.
    say(&mut quick, "the last").await;
    loop {
        if hear(&mut slow).await["event"]["text"] == "the last" {
            break;
        }
    }
}

#[tokio::test]
async fn r084_a_peer_that_takes_nothing_holds_limited_bytes_and_stalls_no_other() {
    let server = Server::start();
    let token = server.login("ann").await;
    // A peer with little room of its own, which never reads: the gateway waits in a write.
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let stream = socket.connect(server.address.parse().unwrap()).await;
    let mut request = format!("ws://{}/ws", server.address)
        .into_client_request()
        .unwrap();
    let offered = format!("laneway, {token}").parse().unwrap();
    request
        .headers_mut()
        .insert("sec-websocket-protocol", offered);
    let (_stalled, _) = client_async(request, stream.unwrap()).await.unwrap();
    let mut quick = server.tab(&token).await;
    server.until("connections", 2).await;
    say_three_megabytes(&server, &mut quick).await;
    server.until("connections", 1).await;
}

#[tokio::test]
async fn r084_connections_are_limited_and_those_that_ask_for_nothing_make_room() {
    let server = Server::with(&["--connections", "8"]);
    let token = server.login("ann").await;
    let mut tab = server.tab(&token).await;
    // The log-in's own connection has ended by now, or ends.
    let mut idle = Vec::new();
    while idle.len() < 8 {
        idle.push(server.connect().await);
    }
    let mut refused = server.connect().await;
    let mut told = String::new();
    let read = timeout(LONG, refused.read_to_string(&mut told)).await;
    read.expect("at once").unwrap();
    assert!(told.starts_with("HTTP/1.1 503"), "{told}");
    // The tab goes on, and the rest is over in its time.
    say(&mut tab, "hello").await;
    conversation(&mut tab, 1).await;
    let mut ended = idle.pop().unwrap();
    let read = timeout(LONG, ended.read_to_string(&mut String::new())).await;
    read.expect("it ends").unwrap();
    drop(idle);
    let again = async {
        loop {
            let mut stream = server.connect().await;
            let request = format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", server.address);
            let mut told = String::new();
            if stream.write_all(request.as_bytes()).await.is_ok()
                && stream.read_to_string(&mut told).await.is_ok()
                && told.starts_with("HTTP/1.1 200")
            {
                return;
            }
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(LONG, again).await.expect("there is room again");
}
