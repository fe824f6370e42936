//! The program, and what its clients do: requests, log-ins, sockets.

use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

pub(crate) type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// More than any step takes on a busy machine.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// The operator's password.
pub(crate) const OPERATOR: &str = "operator-of-a-test";

/// `cargo test` builds the examples beside the tests, `cargo test --test gateway` does not. A measurement names the
/// program that is built for release.
pub(crate) fn program() -> PathBuf {
    if let Some(program) = std::env::var_os("GATEWAY_PROGRAM") {
        return program.into();
    }
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    let path = path.join("examples/gateway");
    assert!(
        path.exists(),
        "build it first: cargo build --example gateway"
    );
    path
}

pub(crate) fn gateway(args: &[&str]) -> Command {
    let mut command = Command::new(program());
    command
        .args(args)
        // An argument goes before an environment variable.
        .env("GATEWAY_LANE", "1024")
        .env("GATEWAY_OPERATOR", OPERATOR)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

pub(crate) struct Server {
    child: Child,
    stdout: BufReader<ChildStdout>,
    pub(crate) address: String,
}

impl Server {
    pub(crate) fn start() -> Self {
        Self::with(&[])
    }

    pub(crate) fn with(args: &[&str]) -> Self {
        let pace: &[&str] = if args.contains(&"--pace") {
            &[]
        } else {
            &["--pace", "1"]
        };
        let args = [&["--port", "0"], pace, args].concat();
        let mut child = gateway(&args).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on http://").unwrap();
        Self {
            address: address.to_owned(),
            child,
            stdout,
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(&self.address).await.unwrap()
    }

    /// One request, one answer: status line and headers, and the body.
    pub(crate) async fn request(&self, request: &[u8]) -> (String, String) {
        let mut stream = self.connect().await;
        stream.write_all(request).await.unwrap();
        let mut answer = String::new();
        let read = timeout(LONG, stream.read_to_string(&mut answer)).await;
        read.expect("in time").unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.to_owned(), body.to_owned())
    }

    pub(crate) async fn get(&self, path: &str) -> (String, String) {
        self.get_as(path, "").await
    }

    /// Gets with these headers beside the usual one.
    pub(crate) async fn get_as(&self, path: &str, headers: &str) -> (String, String) {
        let host = &self.address;
        let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n{headers}\r\n");
        self.request(request.as_bytes()).await
    }

    /// Posts `body` with these headers beside the usual ones; gives the status and the body.
    pub(crate) async fn post(&self, path: &str, headers: &str, body: &[u8]) -> (u16, String) {
        let (host, length) = (&self.address, body.len());
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {length}\r\n{headers}\r\n"
        );
        let request = [head.as_bytes(), body].concat();
        let (head, body) = self.request(&request).await;
        (status(&head), body)
    }

    /// What a log-in with these bytes is answered.
    pub(crate) async fn try_login(&self, body: &[u8]) -> (u16, String) {
        let json = "Content-Type: application/json\r\n";
        self.post("/login", json, body).await
    }

    /// Logs in and gives the session's token.
    pub(crate) async fn login(&self, name: &str) -> String {
        let body = json!({ "name": name }).to_string();
        let (status, answer) = self.try_login(body.as_bytes()).await;
        assert_eq!(status, 200, "{answer}");
        let answer: Value = serde_json::from_str(&answer).unwrap();
        assert_eq!(answer["name"], name);
        answer["token"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn logout(&self, token: &str) -> u16 {
        let header = format!("Authorization: Bearer {token}\r\n");
        self.post("/logout", &header, b"").await.0
    }

    pub(crate) async fn open(
        &self,
        query: &str,
        headers: &[(&'static str, &str)],
    ) -> Result<Socket, Error> {
        let mut request = format!("ws://{}/ws{query}", self.address).into_client_request()?;
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        Ok(connect_async(request).await?.0)
    }

    /// A socket of a session, whatever becomes of it.
    pub(crate) async fn socket(&self, token: &str, query: &str) -> Socket {
        let offered = format!("laneway, {token}");
        let offered = [("sec-websocket-protocol", offered.as_str())];
        self.open(query, &offered).await.unwrap()
    }

    pub(crate) async fn tab(&self, token: &str) -> Socket {
        self.tab_at(token, "").await.0
    }

    /// A tab, and what it is told first.
    pub(crate) async fn tab_at(&self, token: &str, query: &str) -> (Socket, Value) {
        let mut tab = self.socket(token, query).await;
        let hello = hear(&mut tab).await;
        assert!(hello["position"].is_string() && hello["event"].is_null());
        (tab, hello)
    }

    /// The next line that the program prints.
    #[cfg(feature = "metrics")]
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        line.trim().to_owned()
    }

    pub(crate) async fn stats(&self) -> Value {
        let operator = format!("Authorization: Bearer {OPERATOR}\r\n");
        serde_json::from_str(&self.get_as("/stats", &operator).await.1).unwrap()
    }

    /// Waits until a figure has this value.
    pub(crate) async fn until(&self, figure: &str, value: u64) {
        let reached = async {
            while self.stats().await[figure] != value {
                sleep(Duration::from_millis(20)).await;
            }
        };
        let reached = timeout(LONG, reached).await;
        reached.unwrap_or_else(|_| panic!("{figure} is not {value}"));
    }

    /// Waits until no user is online.
    pub(crate) async fn empty(&self) {
        self.until("users", 0).await;
        self.until("connections", 0).await;
    }

    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args([name, &pid])
                .status()
                .unwrap()
                .success()
        );
    }

    /// Waits for the end of the program; gives its success, what it still said, and its complaints.
    pub(crate) async fn ended(mut self) -> (bool, String, String) {
        let ended = tokio::task::spawn_blocking(move || {
            let (mut said, mut complaints) = (String::new(), String::new());
            self.stdout.read_to_string(&mut said).unwrap();
            let mut stderr = self.child.stderr.take().unwrap();
            stderr.read_to_string(&mut complaints).unwrap();
            (self.child.wait().unwrap().success(), said, complaints)
        });
        timeout(LONG, ended).await.expect("it ends").unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The status of an answer that begins like this.
pub(crate) fn status(head: &str) -> u16 {
    head.split(' ').nth(1).unwrap().parse().unwrap()
}

pub(crate) async fn say(tab: &mut Socket, text: &str) {
    let frame = json!({ "type": "message", "text": text }).to_string();
    tab.send(Message::text(frame)).await.unwrap();
}

/// What a tab is told next, but for the heartbeat.
pub(crate) async fn hear(tab: &mut Socket) -> Value {
    let text = async {
        loop {
            match tab.next().await.unwrap().unwrap() {
                Message::Text(text) => {
                    let frame: Value = serde_json::from_str(&text).unwrap();
                    if frame["beat"].is_null() || frame["user"].is_string() {
                        return frame;
                    }
                }
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("{other:?}"),
            }
        }
    };
    timeout(LONG, text).await.expect("in time")
}

/// The close code that ends a tab, after which the gateway ends its direction, too.
pub(crate) async fn close_code(tab: &mut Socket) -> u16 {
    let mut code = None;
    let ended = async {
        loop {
            match tab.next().await {
                Some(Ok(Message::Close(frame))) => code = frame.map(|f| f.code.into()),
                Some(Ok(_)) => assert!(code.is_none(), "a word after the last one"),
                Some(Err(e)) => panic!("no goodbye but {e}"),
                None => return,
            }
        }
    };
    timeout(LONG, ended).await.expect("in time");
    code.expect("a code")
}
