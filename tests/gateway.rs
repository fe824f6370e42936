//! The gateway as its users meet it: the real program, real sockets.
#![cfg(not(any(laneway_loom, laneway_shuttle)))]

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// More than any step takes on a busy machine.
const LONG: Duration = Duration::from_secs(60);

/// `cargo test` builds the examples beside the tests, `cargo test --test gateway` does not.
fn program() -> PathBuf {
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

fn gateway(args: &[&str]) -> Command {
    let mut command = Command::new(program());
    command
        .args(args)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

struct Server {
    child: Child,
    stdout: BufReader<ChildStdout>,
    address: String,
}

impl Server {
    fn start() -> Self {
        let mut child = gateway(&["--port", "0", "--pace", "1"]).spawn().unwrap();
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

    /// One request, one answer: status line and headers, and the body.
    async fn request(&self, request: &str) -> (String, String) {
        let mut stream = TcpStream::connect(&self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.to_owned(), body.to_owned())
    }

    async fn get(&self, path: &str, cookie: &str) -> (String, String) {
        let host = &self.address;
        self.request(&format!(
            "GET {path} HTTP/1.1\r\nHost: {host}\r\nCookie: {cookie}\r\nConnection: close\r\n\r\n"
        ))
        .await
    }

    async fn post(&self, path: &str, cookie: &str, body: &str) -> (String, String) {
        let (host, length) = (&self.address, body.len());
        self.request(&format!(
            "POST {path} HTTP/1.1\r\nHost: {host}\r\nCookie: {cookie}\r\nConnection: close\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {length}\r\n\r\n{body}"
        ))
        .await
    }

    /// Logs in and gives the cookie.
    async fn login(&self, name: &str) -> String {
        let (head, _) = self.post("/login", "", &format!("name={name}")).await;
        assert!(head.starts_with("HTTP/1.1 303"), "{head}");
        let cookie = head
            .lines()
            .find_map(|line| line.strip_prefix("set-cookie: "))
            .unwrap();
        assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"));
        cookie.split(';').next().unwrap().to_owned()
    }

    async fn open(&self, query: &str, headers: &[(&'static str, &str)]) -> Result<Socket, Error> {
        let mut request = format!("ws://{}/ws{query}", self.address).into_client_request()?;
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        Ok(connect_async(request).await?.0)
    }

    async fn tab(&self, cookie: &str) -> Socket {
        self.tab_at(cookie, "").await.0
    }

    /// A tab, and what it is told first.
    async fn tab_at(&self, cookie: &str, query: &str) -> (Socket, Value) {
        let mut tab = self.open(query, &[("cookie", cookie)]).await.unwrap();
        let hello = hear(&mut tab).await;
        assert!(hello["position"].is_string() && hello["event"].is_null());
        (tab, hello)
    }

    async fn stats(&self) -> Value {
        serde_json::from_str(&self.get("/stats", "").await.1).unwrap()
    }

    /// Waits until nobody is online.
    async fn empty(&self) {
        timeout(LONG, async {
            loop {
                let stats = self.stats().await;
                if stats["users"] == 0 && stats["connections"] == 0 {
                    return;
                }
                sleep(Duration::from_millis(20)).await;
            }
        })
        .await
        .expect("everybody is gone");
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args([name, &pid])
                .status()
                .unwrap()
                .success()
        );
    }

    /// Waits for the end of the program; gives what it still had to say.
    fn ended(mut self) -> (bool, String) {
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).unwrap();
        (self.child.wait().unwrap().success(), rest)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn say(tab: &mut Socket, text: &str) {
    let frame = serde_json::json!({ "type": "message", "text": text }).to_string();
    tab.send(Message::text(frame)).await.unwrap();
}

async fn hear(tab: &mut Socket) -> Value {
    let text = async {
        loop {
            match tab.next().await.unwrap().unwrap() {
                Message::Text(text) => return serde_json::from_str(&text).unwrap(),
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("{other:?}"),
            }
        }
    };
    timeout(LONG, text).await.expect("in time")
}

/// The close code that ends a tab.
async fn close_code(tab: &mut Socket) -> u16 {
    loop {
        match timeout(LONG, tab.next())
            .await
            .expect("in time")
            .unwrap()
            .unwrap()
        {
            Message::Close(Some(frame)) => return frame.code.into(),
            Message::Close(None) => panic!("no code"),
            _ => {}
        }
    }
}

fn status(refused: Result<Socket, Error>) -> u16 {
    match refused {
        Err(Error::Http(response)) => response.status().as_u16(),
        other => panic!("{other:?}"),
    }
}

/// Everything a tab hears until `runs` runs are complete. Asserts the numbers and each run's order.
async fn conversation(tab: &mut Socket, runs: usize) -> Vec<Value> {
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
            let cookie = server.login(&name).await;
            let mut tabs = Vec::new();
            for _ in 0..3 {
                tabs.push(server.tab(&cookie).await);
            }
            let killed = server.tab(&cookie).await;
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
    let cookie = server.login("ann").await;
    let (mut slow, hello) = server.tab_at(&cookie, "?slow=50").await;
    let mut quick = server.tab(&cookie).await;
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
    let (mut again, hello) = server.tab_at(&cookie, &query).await;
    let gap = hello["gap"].as_u64().unwrap();
    assert_eq!(hear(&mut again).await["number"].as_u64(), Some(gap));
}

#[tokio::test]
async fn a_reload_resumes_the_conversation() {
    let server = Server::start();
    let cookie = server.login("ann").await;
    let (mut tab, hello) = server.tab_at(&cookie, "").await;
    say(&mut tab, "first").await;
    let first = conversation(&mut tab, 1).await;
    say(&mut tab, "second").await;
    assert_eq!(hear(&mut tab).await["event"]["text"], "second");
    drop(tab);
    server.empty().await;
    let query = format!("?position={}", hello["position"].as_str().unwrap());
    let (mut tab, hello) = server.tab_at(&cookie, &query).await;
    assert!(hello["gap"].is_null() && hello["reset"].is_null());
    let again = conversation(&mut tab, 2).await;
    assert_eq!(
        again[..first.len()],
        first,
        "the same again, and then the rest"
    );

    // A position is its user's own.
    let bob = server.login("bob").await;
    let foreign = server.open(&query, &[("cookie", &bob)]).await;
    assert_eq!(status(foreign), 403);
    let made_up = server.open("?position=x", &[("cookie", &cookie)]).await;
    assert_eq!(status(made_up), 400);
}

#[tokio::test]
async fn r053_critical_events_wait_for_their_user() {
    let server = Server::start();
    let cookie = server.login("ann").await;
    let mut tab = server.tab(&cookie).await;
    say(&mut tab, "answer me later").await;
    assert_eq!(hear(&mut tab).await["event"]["type"], "user_message");
    drop(tab);
    server.empty().await;
    // The run goes on with nobody there.
    let (mut tab, _) = server.tab_at(&cookie, "").await;
    loop {
        let frame = hear(&mut tab).await;
        if frame["event"]["type"] == "agent_completed" {
            break;
        }
    }
    // Each once: the next tab has nothing to recover.
    let mut next = server.tab(&cookie).await;
    say(&mut next, "hello").await;
    assert_eq!(hear(&mut next).await["event"]["text"], "hello");
}

#[tokio::test]
async fn r040_quality_is_asked_for_and_answered_in_its_own_tab() {
    let server = Server::start();
    let cookie = server.login("ann").await;
    let (mut tab, mut other) = (server.tab(&cookie).await, server.tab(&cookie).await);
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
    assert_eq!(status(server.open("", &[]).await), 401);
    assert_eq!(
        status(server.open("", &[("cookie", "laneway=made-up")]).await),
        401
    );
    let cookie = server.login("ann").await;
    let foreign = [
        ("cookie", cookie.as_str()),
        ("origin", "http://evil.example"),
    ];
    assert_eq!(status(server.open("", &foreign).await), 403);
    assert_eq!(
        status(server.open("?slow=x", &[("cookie", &cookie)]).await),
        400
    );
    for bad in [
        "name=",
        "name=%20ann",
        "name=a%00b",
        &format!("name={}", "x".repeat(201)),
    ] {
        let (head, body) = server.post("/login", "", bad).await;
        assert!(
            head.starts_with("HTTP/1.1 400") && body.contains("an id must"),
            "{head}"
        );
    }
    assert!(server.get("/me", "").await.0.starts_with("HTTP/1.1 401"));
    assert!(
        server
            .post("/logout", "", "")
            .await
            .0
            .starts_with("HTTP/1.1 401")
    );
    assert!(server.get("/", "").await.1.contains("<!doctype html>"));

    let own = format!("http://{}", server.address);
    let mut ann = server
        .open("", &[("cookie", &cookie), ("origin", &own)])
        .await
        .unwrap();
    assert!(hear(&mut ann).await["position"].is_string());
    let mut other = server.tab(&cookie).await;
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
    timeout(LONG, async { while let Some(Ok(_)) = ann.next().await {} })
        .await
        .unwrap();
    say(&mut other, "me too").await;
    conversation(&mut other, 1).await;
}

#[tokio::test]
async fn too_many_tabs_are_refused() {
    let server = Server::start();
    let cookie = server.login("ann").await;
    let mut tabs = Vec::new();
    for _ in 0..32 {
        tabs.push(server.tab(&cookie).await);
    }
    assert_eq!(status(server.open("", &[("cookie", &cookie)]).await), 429);
    say(&mut tabs[0], "hello").await;
    conversation(&mut tabs[31], 1).await;
}

#[tokio::test]
async fn r024_logout_closes_all_tabs_of_that_user_only() {
    let server = Server::start();
    let (ann, bob) = (server.login("ann").await, server.login("bob").await);
    let (mut tab, mut second) = (server.tab(&ann).await, server.tab(&ann).await);
    let mut other = server.tab(&bob).await;
    assert_eq!(server.get("/me", &ann).await.1, "ann");
    let (head, _) = server.post("/logout", &ann, "").await;
    assert!(head.starts_with("HTTP/1.1 303"));
    assert_eq!(close_code(&mut tab).await, 4001);
    assert_eq!(close_code(&mut second).await, 4001);
    assert_eq!(status(server.open("", &[("cookie", &ann)]).await), 401);
    say(&mut other, "alone").await;
    conversation(&mut other, 1).await;
    drop(other);
    server.empty().await;
}

#[tokio::test]
async fn it_stops_cleanly() {
    for signal in ["-INT", "-TERM"] {
        let server = Server::start();
        let cookie = server.login("ann").await;
        let mut tab = server.tab(&cookie).await;
        say(&mut tab, "hello").await;
        assert_eq!(hear(&mut tab).await["event"]["type"], "user_message");
        server.signal(signal);
        assert_eq!(close_code(&mut tab).await, 1001);
        drop(tab);
        let ended = tokio::task::spawn_blocking(|| server.ended());
        let (success, said) = timeout(LONG, ended).await.unwrap().unwrap();
        assert!(success && said == "stopped\n", "{said}");
    }
}

#[test]
fn bad_arguments_and_a_refused_port_are_clear_errors() {
    let said = |output: &Output| String::from_utf8_lossy(&output.stderr).into_owned();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let output = gateway(&["--port", &port]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains(&format!("cannot listen on 127.0.0.1:{port}")));
    for args in [
        &["--port"][..],
        &["--port", "x"],
        &["--pace", "-1"],
        &["--fast", "1"],
    ] {
        let output = gateway(args).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        assert!(said(&output).contains(args[0]) && said(&output).contains("usage:"));
    }
}
