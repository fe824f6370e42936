//! R084: every wait has an end, and every end is told.

use std::process::Output;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};
use tokio_tungstenite::MaybeTlsStream;
use tokio_tungstenite::tungstenite::Message;

use crate::conversations::conversation;
use crate::server::{LONG, Server, Socket, close_code, gateway, hear, say};

/// What a shutdown takes at most, with time to spare on a busy machine.
const SHUTDOWN: Duration = Duration::from_secs(20);

#[tokio::test]
async fn it_stops_cleanly() {
    for signal in ["-INT", "-TERM"] {
        let server = Server::start();
        let token = server.login("ann").await;
        let mut tab = server.tab(&token).await;
        say(&mut tab, "hello").await;
        assert_eq!(hear(&mut tab).await["event"]["type"], "user_message");
        server.signal(signal);
        assert_eq!(close_code(&mut tab).await, 1001);
        drop(tab);
        let (success, said, complaints) = server.ended().await;
        assert!(
            success && said == "stopped\n" && complaints.is_empty(),
            "{said}{complaints}"
        );
    }
}

#[tokio::test]
async fn r084_half_a_request_does_not_stop_the_shutdown() {
    let server = Server::start();
    let token = server.login("ann").await;
    let mut tab = server.tab(&token).await;
    let mut halves = Vec::new();
    for half in [
        "",
        "GET / HT",
        "GET / HTTP/1.1\r\nHost: ",
        "POST /login HTTP/1.1\r\nHost: HOST\r\nContent-Type: application/json\r\nContent-Length: 14\r\n\r\n{",
    ] {
        let mut stream = server.connect().await;
        let half = half.replace("HOST", &server.address);
        stream.write_all(half.as_bytes()).await.unwrap();
        halves.push(stream);
    }
    // A socket whose peer never answers the goodbye, and one that never reads.
    let _mute = server.tab(&token).await;
    sleep(Duration::from_millis(200)).await;
    let began = Instant::now();
    server.signal("-TERM");
    assert_eq!(close_code(&mut tab).await, 1001);
    let (success, said, _) = server.ended().await;
    assert!(success && said == "stopped\n", "{said}");
    assert!(began.elapsed() < SHUTDOWN, "{:?}", began.elapsed());
}

#[tokio::test]
async fn r084_a_tab_that_is_slow_for_a_test_ends_when_its_peer_or_the_gateway_does() {
    let server = Server::start();
    let token = server.login("ann").await;
    for query in [
        "?slow=101",
        "?slow=18446744073709551615",
        "?slow=x",
        "?slow=-1",
    ] {
        assert_eq!(
            close_code(&mut server.socket(&token, query).await).await,
            1008,
            "{query}"
        );
    }
    let mut slow = Vec::new();
    for _ in 0..16 {
        slow.push(server.tab_at(&token, "?slow=100").await.0);
    }
    let mut quick = server.tab(&token).await;
    // More than the slow tabs read in 10 s.
    for _ in 0..10 {
        say(&mut quick, "hello").await;
        conversation(&mut quick, 1).await;
    }
    slow.truncate(8);
    let began = Instant::now();
    server.until("connections", 9).await;
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
    server.signal("-TERM");
    for tab in &mut slow {
        assert_eq!(close_code(tab).await, 1001);
    }
    drop((slow, quick));
    assert!(server.ended().await.0);
}

/// Reads to the end of a connection that sends `bytes` one by one, and gives what it was told.
async fn drip(mut stream: TcpStream, head: &str, bytes: u8) -> String {
    stream.write_all(head.as_bytes()).await.unwrap();
    let (mut reader, mut writer) = stream.into_split();
    let dripping = tokio::spawn(async move {
        while writer.write_all(&[bytes]).await.is_ok() {
            sleep(Duration::from_millis(100)).await;
        }
    });
    let mut told = Vec::new();
    let _ = timeout(LONG, reader.read_to_end(&mut told))
        .await
        .expect("it ends");
    dripping.abort();
    String::from_utf8(told).unwrap()
}

#[tokio::test]
async fn r084_a_request_that_drips_in_is_ended() {
    let server = Server::start();
    let began = Instant::now();
    let host = &server.address;
    let headers = format!("GET / HTTP/1.1\r\nHost: {host}\r\nX-Slow: ");
    let body = format!(
        "POST /login HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n\
         Content-Length: 4000\r\n\r\n"
    );
    let chunked = format!(
        "POST /login HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n\
         Transfer-Encoding: chunked\r\n\r\n1000\r\n"
    );
    // Nothing at all is a request that drips in, too.
    let silent = async {
        let mut told = Vec::new();
        let mut stream = server.connect().await;
        let read = timeout(LONG, stream.read_to_end(&mut told)).await;
        read.expect("it ends")
    };
    let (_, _, told, chunked) = tokio::join!(
        silent,
        drip(server.connect().await, &headers, b'x'),
        drip(server.connect().await, &body, b' '),
        drip(server.connect().await, &chunked, b' '),
    );
    assert!(told.starts_with("HTTP/1.1 408"), "{told}");
    assert!(chunked.starts_with("HTTP/1.1 408"), "{chunked}");
    assert!(
        began.elapsed() < Duration::from_secs(20),
        "{:?}",
        began.elapsed()
    );
}

#[tokio::test]
async fn r084_a_request_that_is_too_large_is_refused_while_it_comes() {
    let server = Server::start();
    let host = &server.address;
    let json = "Content-Type: application/json\r\n";
    // The sizes are only announced, and of the last one only a part comes: the answer waits for no more.
    for (head, content, status) in [
        (
            format!(
                "POST /login HTTP/1.1\r\nHost: {host}\r\n{json}Content-Length: 100000000\r\n\r\n"
            ),
            0,
            "413",
        ),
        (
            format!(
                "POST /login HTTP/1.1\r\nHost: {host}\r\n{json}Transfer-Encoding: chunked\r\n\r\nFFFFFFF\r\n"
            ),
            8192,
            "413",
        ),
        (
            format!("GET / HTTP/1.1\r\nHost: {host}\r\nX-Long: "),
            20_000,
            "431",
        ),
    ] {
        let mut stream = server.connect().await;
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(&vec![b'x'; content]).await.unwrap();
        let mut told = [0; 12];
        let read = timeout(Duration::from_secs(4), stream.read_exact(&mut told)).await;
        read.expect("sooner than a time-out").unwrap();
        assert_eq!(
            std::str::from_utf8(&told).unwrap(),
            format!("HTTP/1.1 {status}")
        );
    }
}

/// The stream below a tab.
fn raw(tab: &mut Socket) -> &mut TcpStream {
    match tab.get_mut() {
        MaybeTlsStream::Plain(stream) => stream,
        other => unreachable!("{other:?}"),
    }
}

/// The close code that stands last in what a tab has received, all of which it never answered.
async fn unanswered_code(tab: &mut Socket) -> u16 {
    const CLOSE: u8 = 0x88;
    let mut received = Vec::new();
    let read = timeout(LONG, raw(tab).read_to_end(&mut received)).await;
    read.expect("it ends").expect("all of it is there");
    let is_last = |at: &usize| match received[*at..] {
        [CLOSE, length, _, _, ..] => at + 2 + usize::from(length) == received.len(),
        _ => false,
    };
    let at = (0..received.len()).rev().find(is_last).expect("a code");
    u16::from_be_bytes([received[at + 2], received[at + 3]])
}

/// The head of a client's frame with a mask of zeros, and no content yet.
fn frame_head(opcode: u8, length: u64) -> Vec<u8> {
    let mut head = vec![opcode];
    if length <= 125 {
        head.push(0x80 | length as u8);
    } else {
        head.push(0x80 | 127);
        head.extend(length.to_be_bytes());
    }
    head.extend([0; 4]);
    head
}

#[tokio::test]
async fn r084_a_frame_ends_its_socket_with_its_reason_before_it_is_whole() {
    const TEXT: u8 = 0x81;
    const PART: u8 = 0x01;
    const MORE: u8 = 0x00;
    let server = Server::start();
    let token = server.login("ann").await;
    let mut other = server.tab(&token).await;
    let part =
        |opcode, length: usize| [frame_head(opcode, length as u64), vec![b'x'; length]].concat();
    for (what, bytes, code) in [
        (
            "a frame of 10 MB is announced",
            frame_head(TEXT, 10_000_000),
            1009,
        ),
        (
            "a frame of 2^62 bytes is announced",
            frame_head(TEXT, 1 << 62),
            1009,
        ),
        (
            "a part of a frame comes",
            [frame_head(TEXT, 70_000), vec![b'x'; 60_000]].concat(),
            1009,
        ),
        (
            "more comes than is announced",
            [frame_head(TEXT, 100_000), vec![b'x'; 1_000_000]].concat(),
            1009,
        ),
        (
            "fragments add up",
            [part(PART, 40_000), part(MORE, 40_000)].concat(),
            1009,
        ),
        (
            "no UTF-8",
            [frame_head(TEXT, 2), vec![0xff, 0xfe]].concat(),
            1007,
        ),
        ("a reserved bit", frame_head(0xc1, 0), 1002),
        ("a reserved opcode", frame_head(0x83, 0), 1002),
        ("a ping of 126 bytes", part(0x89, 126), 1002),
        ("no mask", vec![TEXT, 1, b'x'], 1002),
    ] {
        let mut tab = server.tab(&token).await;
        // The gateway may have closed before all of it is written.
        let _ = raw(&mut tab).write_all(&bytes).await;
        assert_eq!(close_code(&mut tab).await, code, "{what}");
    }
    say(&mut other, "hello").await;
    conversation(&mut other, 1).await;
    server.until("connections", 1).await;
}

#[tokio::test]
async fn r084_a_peer_that_answers_no_ping_is_closed_however_much_it_is_sent() {
    let server = Server::with(&["--beat", "200"]);
    let token = server.login("ann").await;
    let (mut mute, mut quick) = (server.tab(&token).await, server.tab(&token).await);
    // This one says nothing either, and answers pings.
    let mut still = server.tab(&token).await;
    let listening = tokio::spawn(async move {
        while let Some(Ok(message)) = still.next().await {
            assert!(!message.is_close(), "{message:?}");
        }
    });
    // A peer that sends no more than a part of a frame is silent.
    let mut part = server.tab(&token).await;
    raw(&mut part)
        .write_all(&frame_head(0x81, 60_000))
        .await
        .unwrap();
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(3) {
        // The gateway's own writes to the silent tabs go well all the time.
        say(&mut quick, "hello").await;
        conversation(&mut quick, 1).await;
        sleep(Duration::from_millis(50)).await;
    }
    server.until("connections", 2).await;
    assert_eq!(unanswered_code(&mut mute).await, 4003);
    assert_eq!(unanswered_code(&mut part).await, 4003);
    assert!(!listening.is_finished(), "it answered");
    listening.abort();
}

#[tokio::test]
async fn r084_a_gateway_that_was_stopped_does_not_take_its_peers_for_silent() {
    let server = Server::with(&["--beat", "200"]);
    let token = server.login("ann").await;
    let mut tabs = Vec::new();
    for _ in 0..8 {
        let mut tab = server.tab(&token).await;
        tabs.push(tokio::spawn(async move {
            while let Some(Ok(message)) = tab.next().await {
                assert!(!message.is_close(), "{message:?}");
            }
        }));
    }
    for _ in 0..3 {
        sleep(Duration::from_millis(500)).await;
        server.signal("-STOP");
        sleep(Duration::from_millis(1500)).await;
        server.signal("-CONT");
    }
    sleep(Duration::from_millis(500)).await;
    assert!(tabs.iter().all(|tab| !tab.is_finished()));
    server.until("connections", 8).await;
}

#[tokio::test]
async fn r084_a_peer_that_closes_is_answered_with_its_own_code() {
    let server = Server::start();
    let token = server.login("ann").await;
    let mut tab = server.tab(&token).await;
    let frame = tokio_tungstenite::tungstenite::protocol::CloseFrame {
        code: 4711.into(),
        reason: "enough".into(),
    };
    tab.send(Message::Close(Some(frame))).await.unwrap();
    assert_eq!(close_code(&mut tab).await, 4711);
    server.empty().await;
}

#[test]
fn bad_arguments_and_a_refused_port_are_clear_errors() {
    let said = |output: &Output| String::from_utf8_lossy(&output.stderr).into_owned();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let output = gateway(&["--port", &port]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains(&format!("cannot listen on 127.0.0.1:{port}")));
    for origin in [
        "chat.example",
        "https://chat.example/",
        "ftp://chat.example",
        "https://",
    ] {
        let output = gateway(&["--port", "0", "--origin", origin])
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(said(&output).contains(&format!("--origin {origin}")));
    }
    for args in [
        &["--port"][..],
        &["--port", "x"],
        &["--pace", "-1"],
        &["--beat", "0"],
        &["--session", "0"],
        &["--fast", "1"],
    ] {
        let output = gateway(args).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        assert!(said(&output).contains(args[0]) && said(&output).contains("--help"));
    }
    let help = gateway(&["--help"]).output().unwrap();
    assert!(String::from_utf8_lossy(&help.stdout).contains("--session <MS>"));
}
