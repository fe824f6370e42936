//! `websocket` with a real client.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::program::{LONG, Program};

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

async fn open(server: &Program, cookie: &str) -> Result<Socket, Error> {
    let mut request = format!("ws://{}/", server.address).into_client_request()?;
    request
        .headers_mut()
        .insert("cookie", cookie.parse().unwrap());
    Ok(connect_async(request).await?.0)
}

/// A user's device, and the users who are online when it comes.
async fn device(server: &Program, name: &str) -> (Socket, Vec<String>) {
    let cookie = format!("theme=dark; token={name}-secret");
    let mut device = open(server, &cookie).await.unwrap();
    loop {
        // A change that is told while the device connects may come first.
        if let Some(users) = hear(&mut device).await["online"].as_array() {
            let mut users: Vec<_> = users.iter().map(|u| u.as_str().unwrap().into()).collect();
            users.sort();
            return (device, users);
        }
    }
}

async fn hear(device: &mut Socket) -> Value {
    match timeout(LONG, device.next())
        .await
        .expect("in time")
        .unwrap()
        .unwrap()
    {
        Message::Text(text) => serde_json::from_str(&text).unwrap(),
        other => panic!("{other:?}"),
    }
}

/// The next text. Passes over who comes and goes.
async fn text(device: &mut Socket) -> String {
    loop {
        let heard = hear(device).await;
        if heard["user"].is_null() {
            return heard["text"].as_str().expect("a text").to_owned();
        }
    }
}

/// Waits until the device is told so of a user.
async fn told(device: &mut Socket, user: &str, online: bool) {
    while hear(device).await != json!({ "user": user, "online": online }) {}
}

async fn say(device: &mut Socket, text: &str) {
    device.send(Message::text(text)).await.unwrap();
}

#[tokio::test]
async fn every_device_of_a_user_gets_what_one_says_and_no_other_users() {
    let server = Program::serve("websocket");
    let (mut phone, _) = device(&server, "ann").await;
    let (mut tablet, _) = device(&server, "ann").await;
    let (mut bob, _) = device(&server, "bob").await;
    for n in 0..10 {
        say(&mut phone, &format!("ann {n} \"{{}}\" 🦀")).await;
        say(&mut bob, &format!("bob {n}")).await;
    }
    for n in 0..10 {
        let anns = format!("ann {n} \"{{}}\" 🦀");
        assert_eq!(text(&mut phone).await, anns);
        assert_eq!(text(&mut tablet).await, anns);
        assert_eq!(text(&mut bob).await, format!("bob {n}"));
    }
}

#[tokio::test]
async fn every_device_is_told_who_comes_online_and_who_goes() {
    let server = Program::serve("websocket");
    let (mut ann, online) = device(&server, "ann").await;
    assert_eq!(online, ["ann"]);
    let (phone, online) = device(&server, "bob").await;
    assert_eq!(online, ["ann", "bob"]);
    told(&mut ann, "bob", true).await;
    let (tablet, _) = device(&server, "bob").await;
    // Bob is online as long as one of his devices is; and so is every user who was online before.
    drop(phone);
    let (carl, online) = device(&server, "carl").await;
    assert_eq!(online, ["ann", "bob", "carl"]);
    told(&mut ann, "carl", true).await;
    drop(tablet);
    told(&mut ann, "bob", false).await;
    drop(carl);
    told(&mut ann, "carl", false).await;
    let (_bob, online) = device(&server, "bob").await;
    assert_eq!(online, ["ann", "bob"]);
    told(&mut ann, "bob", true).await;
}

#[tokio::test]
async fn a_bad_message_is_told_to_its_sender_only() {
    let server = Program::serve("websocket");
    for cookie in [
        "",
        "token=",
        "token=ann",
        "token=-secret",
        "other=ann-secret",
    ] {
        let refused = open(&server, cookie).await;
        let Err(Error::Http(answer)) = refused else {
            panic!("{cookie}: {refused:?}")
        };
        assert_eq!(answer.status().as_u16(), 401);
        assert_eq!(answer.into_body().unwrap(), b"no such token");
    }
    let (mut phone, _) = device(&server, "ann").await;
    let (mut tablet, _) = device(&server, "ann").await;
    phone.send(Message::binary(vec![1, 2, 255])).await.unwrap();
    while hear(&mut phone).await["error"] != "send text" {}
    say(&mut phone, "still here").await;
    assert_eq!(text(&mut phone).await, "still here");
    assert_eq!(text(&mut tablet).await, "still here");
    // A message that is too large ends its own socket, and no other one.
    let _ = phone.send(Message::text("x".repeat(5_000))).await;
    let end = async { while let Some(Ok(_)) = phone.next().await {} };
    timeout(LONG, end).await.expect("in time");
    say(&mut tablet, "me too").await;
    assert_eq!(text(&mut tablet).await, "me too");
}

#[tokio::test]
async fn one_device_too_many_is_refused() {
    let server = Program::serve("websocket");
    let mut devices = Vec::new();
    for _ in 0..10 {
        devices.push(device(&server, "ann").await);
    }
    let Err(Error::Http(answer)) = open(&server, "token=ann-secret").await else {
        panic!("an eleventh device")
    };
    assert_eq!(answer.status().as_u16(), 503);
    let why = String::from_utf8(answer.into_body().unwrap()).unwrap();
    assert!(why.contains("10 connections"), "{why}");
}

/// What the device is told until it is closed, and the code of the close.
#[cfg(unix)]
async fn close_code(device: &mut Socket) -> (Vec<String>, u16) {
    let mut texts = Vec::new();
    loop {
        match timeout(LONG, device.next())
            .await
            .expect("in time")
            .unwrap()
            .unwrap()
        {
            Message::Close(frame) => return (texts, frame.expect("a code").code.into()),
            Message::Text(text) if text.contains("\"text\"") => texts.push(text.to_string()),
            _ => {}
        }
    }
}

#[cfg(unix)]
async fn ended(server: Program) -> (bool, Vec<String>) {
    let ended = tokio::task::spawn_blocking(|| server.ended());
    timeout(LONG, ended).await.expect("in time").unwrap()
}

#[cfg(unix)]
#[tokio::test]
async fn ctrl_c_closes_every_socket_with_1012_after_what_was_accepted() {
    let server = Program::serve("websocket");
    let (mut phone, _) = device(&server, "ann").await;
    let (mut tablet, _) = device(&server, "ann").await;
    let (mut bob, _) = device(&server, "bob").await;
    for n in 0..20 {
        say(&mut phone, &n.to_string()).await;
    }
    // The phone has heard the last of them, so all of them are accepted.
    while text(&mut phone).await != "19" {}
    // A connection that never becomes a socket holds nothing up.
    let _idle = server.connect();
    server.press_ctrl_c();
    let all: Vec<_> = (0..20).map(|n| format!("{{\"text\":\"{n}\"}}")).collect();
    assert_eq!(close_code(&mut tablet).await, (all, 1012));
    assert_eq!(close_code(&mut phone).await, (vec![], 1012));
    assert_eq!(close_code(&mut bob).await, (vec![], 1012));
    for mut device in [phone, tablet, bob] {
        // Sends the answer to the close frame.
        let _ = device.close(None).await;
    }
    assert_eq!(ended(server).await, (true, vec!["stopped".to_owned()]));
}

#[cfg(unix)]
#[tokio::test]
async fn a_device_that_does_not_answer_holds_the_end_up_no_longer_than_the_deadline() {
    let server = Program::serve("websocket");
    let (silent, _) = device(&server, "ann").await;
    let (mut bob, _) = device(&server, "bob").await;
    server.press_ctrl_c();
    assert_eq!(close_code(&mut bob).await.1, 1012);
    // The device is there, and reads nothing. The deadline is three seconds.
    let ended = timeout(Duration::from_secs(10), ended(server)).await;
    assert_eq!(
        ended.expect("bounded"),
        (true, vec!["stopped late".to_owned()])
    );
    drop(silent);
}
