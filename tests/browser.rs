//! The gateway's page in a real browser, driven by chromedriver. Without one it says so and passes.
#![cfg(all(feature = "protocol", not(any(laneway_loom, laneway_shuttle))))]
#![allow(clippy::disallowed_methods)] // A test that waits for a browser.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// More than any step takes on a busy machine.
const LONG: Duration = Duration::from_secs(60);

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a program and gives what the line that contains `mark` says behind it.
fn start(program: &mut Command, mark: &str) -> (Running, String) {
    let mut child = program.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let line = lines.find_map(|line| Some(line.unwrap().split_once(mark)?.1.to_owned()));
    // The rest is read to its end, so that the program never meets a closed pipe.
    std::thread::spawn(move || lines.for_each(drop));
    (Running(child), line.expect("it starts"))
}

struct Browser {
    port: u16,
    session: String,
}

impl Browser {
    fn call(&self, method: &str, path: &str, body: &Value) -> Value {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        let (session, body) = (&self.session, body.to_string());
        write!(
            stream,
            "{method} /session{session}{path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len(),
        )
        .unwrap();
        // The driver keeps the connection open, whatever it is asked.
        let mut stream = BufReader::new(stream);
        let (mut head, mut length) = (String::new(), 0);
        while !head.ends_with("\r\n\r\n") {
            let start = head.len();
            assert!(stream.read_line(&mut head).unwrap() > 0, "{head}");
            let line = head[start..].to_ascii_lowercase();
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).unwrap();
        let body = String::from_utf8(body).unwrap();
        assert!(head.starts_with("HTTP/1.1 200"), "{head}{body}");
        serde_json::from_str::<Value>(&body).unwrap()["value"].take()
    }

    fn run(&self, script: &str) -> Value {
        let body = json!({ "script": script, "args": [] });
        self.call("POST", "/execute/sync", &body)
    }

    fn wait_for(&self, what: &str, script: &str) {
        let start = Instant::now();
        while self.run(script) != true {
            let log = self.run("return document.body.innerText");
            assert!(start.elapsed() < LONG, "{what}: {log}");
            sleep(Duration::from_millis(50));
        }
    }

    fn log(&self) -> String {
        let log = self.run("return document.getElementById('log').innerText");
        log.as_str().unwrap().to_owned()
    }
}

fn gateway() -> PathBuf {
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    path.join("examples/gateway")
}

#[test]
fn r053_a_page_that_is_reloaded_shows_its_conversation_again() {
    let driver = Command::new("chromedriver").arg("--version").output();
    if driver.is_err() {
        println!("not checked: there is no chromedriver");
        return;
    }
    let (_server, address) = start(
        Command::new(gateway()).args(["--port", "0", "--pace", "5"]),
        "listening on ",
    );
    let (_driver, port) = start(
        Command::new("chromedriver").arg("--port=0"),
        "started successfully on port ",
    );
    let mut browser = Browser {
        port: port.trim_end_matches('.').parse().unwrap(),
        session: String::new(),
    };
    let flags = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
    ];
    let asked = json!({"capabilities": {"alwaysMatch": {"goog:chromeOptions": {"args": flags}}}});
    let session = browser.call("POST", "", &asked)["sessionId"].take();
    browser.session = format!("/{}", session.as_str().unwrap());

    browser.call("POST", "/url", &json!({ "url": address }));
    let known = "return !document.getElementById('login').hidden";
    browser.wait_for("the page asks who is there", known);
    browser.run(
        "document.querySelector('#login input').value = 'ann';
         document.getElementById('login').requestSubmit()",
    );
    let open = "return document.getElementById('state').dataset.open === '1'";
    browser.wait_for("it is connected", open);
    browser.run(
        "document.getElementById('text').value = 'one two three';
         document.getElementById('say').requestSubmit()",
    );
    let done = "return document.getElementById('log').innerText.includes('· done')";
    browser.wait_for("the agent is done", done);
    let answer = "You wrote 3 words with 11 letters, and I read them all.";
    assert!(browser.log().contains("one two three") && browser.log().contains(answer));
    browser.run("document.getElementById('figures').click()");
    let figures = "return document.getElementById('log').innerText.includes('1 answers in 24 h')";
    browser.wait_for("quality is told", figures);
    let before = browser.log();

    browser.call("POST", "/refresh", &json!({}));
    browser.wait_for("all of it is there again", figures);
    assert_eq!(browser.log(), before);
    browser.call("DELETE", "", &json!({}));
}
