//! R123: the gateway's metrics are the operator's.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::conversations::conversation;
use crate::server::{LONG, Server, say};

async fn get(address: &str, path: &str, host: &str, headers: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    let read = timeout(LONG, stream.read_to_string(&mut answer)).await;
    read.expect("in time").unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}

#[tokio::test]
async fn r123_the_gateway_serves_metrics_on_the_operators_port_only_and_names_no_user() {
    let mut server = Server::with(&["--metrics", "0"]);
    let line = server.line();
    let address = line.strip_prefix("metrics on http://").unwrap();
    let address = address.strip_suffix("/metrics").unwrap().to_owned();
    let token = server.login("ann-of-the-tests").await;
    let (mut tab, gone) = (server.tab(&token).await, server.tab(&token).await);
    say(&mut tab, "hello").await;
    conversation(&mut tab, 1).await;
    drop(gone);
    server.until("connections", 1).await;
    let (head, text) = get(&address, "/metrics", &address, "").await;
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    for row in [
        "laneway_users 1",
        "laneway_connections 1",
        "laneway_connects_total 2",
        "laneway_close_unread_events_count 1",
    ] {
        assert!(
            text.lines().any(|line| line == row),
            "{row} is not in:\n{text}"
        );
    }
    assert!(text.contains("\nlaneway_closes_total{reason="), "{text}");
    assert!(!text.contains("ann-of-the-tests"), "{text}");
    // Users have the other port, and pages of other sites, or under another name, have neither.
    let (head, _) = server.get("/metrics").await;
    assert!(head.starts_with("HTTP/1.1 404"), "{head}");
    let (head, _) = get(&address, "/metrics", "chat.example", "").await;
    assert!(head.starts_with("HTTP/1.1 421"), "{head}");
    let page = "Origin: https://chat.example\r\n";
    let (head, _) = get(&address, "/metrics", &address, page).await;
    assert!(head.starts_with("HTTP/1.1 403"), "{head}");
    let (head, _) = get(&address, "/stats", &address, "").await;
    assert!(head.starts_with("HTTP/1.1 404"), "{head}");
}
