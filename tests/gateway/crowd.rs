//! R084: what many peers cost who say nothing, and how soon those are gone who never finish.

use std::process::Command;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};
use tokio_tungstenite::MaybeTlsStream;

use crate::server::{LONG, Server, Socket, close_code};

/// Raises the limit of open files of a process as far as it goes. Returns whether it is at least `files`.
fn raise(pid: u32, files: u32) -> bool {
    let pid = pid.to_string();
    let raised = Command::new("prlimit")
        .args(["--pid", &pid, &format!("--nofile={files}:")])
        .output();
    raised.is_ok_and(|output| output.status.success())
}

/// Bytes of memory that a process has in the machine.
fn resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes: u64 = (line.unwrap().trim().trim_end_matches(" kB"))
        .parse()
        .unwrap();
    kilobytes * 1024
}

/// Sockets of as many users, each of which has been greeted.
async fn sockets(server: &Server, users: usize) -> Vec<Socket> {
    let mut all = Vec::with_capacity(users);
    // A few at a time, so that the requests do not become the peak of the memory.
    for first in (0..users).step_by(20) {
        let some = (first..users.min(first + 20)).map(|user| async move {
            let token = server.login(&format!("user-{user}")).await;
            server.tab(&token).await
        });
        all.extend(join_all(some).await);
    }
    all
}

/// Bytes that each of so many idle sockets takes of the gateway's memory.
async fn bytes_an_idle_socket(users: usize) -> u64 {
    let server = Server::with(&["--lane", "64"]);
    for pid in [std::process::id(), server.pid()] {
        assert!(raise(pid, 8192), "prlimit --nofile=8192");
    }
    drop(sockets(&server, 20).await);
    server.empty().await;
    let before = resident(server.pid());
    let tabs = sockets(&server, users).await;
    server.until("connections", users as u64).await;
    sleep(Duration::from_secs(3)).await;
    let after = resident(server.pid());
    drop(tabs);
    (after - before) / users as u64
}

#[tokio::test(flavor = "multi_thread")]
#[cfg(target_os = "linux")]
async fn r084_an_idle_socket_takes_little_memory() {
    // Of the program as it is built for tests. What it takes does not depend on that.
    let bytes = bytes_an_idle_socket(400).await;
    println!("{bytes} bytes an idle socket, of 400");
    assert!(bytes < 12_000, "{bytes}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement of half a minute: GATEWAY_PROGRAM names the program"]
#[cfg(target_os = "linux")]
async fn r084_two_thousand_idle_sockets_take_little_memory() {
    let bytes = bytes_an_idle_socket(2000).await;
    println!("{bytes} bytes an idle socket, of 2000");
    assert!(bytes < 12_000, "{bytes}");
}

/// Connections that never finish a request's head, and that drip.
async fn half_heads(server: &Server, count: usize) -> Vec<TcpStream> {
    let mut all = Vec::new();
    for _ in 0..count {
        let mut stream = server.connect().await;
        stream
            .write_all(b"GET / HTTP/1.1\r\nX-Slow: ")
            .await
            .unwrap();
        all.push(stream);
    }
    all
}

/// Sockets in the middle of a client's frame, whose pings are never answered.
async fn half_frames(server: &Server, count: usize) -> Vec<TcpStream> {
    // A text of 60 000 bytes, masked with zeros, of which none comes.
    const HEAD: [u8; 14] = [0x81, 0xff, 0, 0, 0, 0, 0, 0, 0xea, 0x60, 0, 0, 0, 0];
    let mut all = Vec::new();
    for tab in sockets(server, count).await {
        let MaybeTlsStream::Plain(mut stream) = tab.into_inner() else {
            unreachable!("no TLS")
        };
        stream.write_all(&HEAD).await.unwrap();
        all.push(stream);
    }
    all
}

/// How long a connection lasts that sends one more byte now and then.
async fn drip(stream: TcpStream, began: Instant) -> Duration {
    let (mut reader, mut writer) = stream.into_split();
    let dripping = tokio::spawn(async move {
        while writer.write_all(b"x").await.is_ok() {
            sleep(Duration::from_millis(700)).await;
        }
    });
    let mut told = Vec::new();
    let _ = timeout(LONG, reader.read_to_end(&mut told))
        .await
        .expect("it ends");
    dripping.abort();
    began.elapsed()
}

fn longest(lasted: Vec<Result<Duration, tokio::task::JoinError>>) -> Duration {
    let lasted = lasted.into_iter().map(|lasted| lasted.unwrap());
    lasted.max().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn r084_five_hundred_peers_that_never_finish_are_gone_in_their_time() {
    let server = Server::with(&["--beat", "1000"]);
    let frames = half_frames(&server, 250).await;
    let began = Instant::now();
    let heads = half_heads(&server, 250).await;
    let start = |stream| tokio::spawn(drip(stream, began));
    let heads: Vec<_> = heads.into_iter().map(start).collect();
    let frames: Vec<_> = frames.into_iter().map(start).collect();
    let (heads, frames) = tokio::join!(join_all(heads), join_all(frames));
    let (heads, frames) = (longest(heads), longest(frames));
    println!("the last of 250 half heads: {heads:?}, of 250 half frames: {frames:?}");
    // A head has 5 s, a silent peer three heartbeats and the next one; 3 s are for a busy machine.
    assert!(heads < Duration::from_secs(5 + 3), "{heads:?}");
    assert!(frames < Duration::from_secs(4 + 3), "{frames:?}");
    server.empty().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r084_an_interrupt_ends_the_program_in_its_time_with_silent_peers_connected() {
    let server = Server::start();
    let _heads = half_heads(&server, 200).await;
    let _frames = half_frames(&server, 100).await;
    // These read nothing, and answer no goodbye.
    let _mute = sockets(&server, 200).await;
    let mut tab = server.tab(&server.login("ann").await).await;
    let began = Instant::now();
    server.signal("-INT");
    assert_eq!(close_code(&mut tab).await, 1001);
    let (success, said, _) = server.ended().await;
    let took = began.elapsed();
    println!("the program ended {took:?} after the interrupt");
    assert!(success && said == "stopped\n", "{said}");
    // 5 s, and 3 s for a busy machine.
    assert!(took < Duration::from_secs(5 + 3), "{took:?}");
}
