//! A browser, its windows, and what a person does in them.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// More than any step takes on a busy machine.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// The operator's password.
pub(crate) const OPERATOR: &str = "operator-of-a-test";

const FLAGS: [&str; 10] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    // A tab that is not in front is not slower.
    "--disable-background-timer-throttling",
    "--disable-renderer-backgrounding",
    "--disable-backgrounding-occluded-windows",
];

/// A program that ends with the test.
pub(crate) struct Running(Child);

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

/// Starts the gateway and gives its address, as `http://host:port`.
pub(crate) fn gateway(args: &[&str]) -> (Running, String) {
    let mut path: PathBuf = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    let mut program = Command::new(path.join("examples/gateway"));
    // An argument goes before an environment variable.
    program.env("GATEWAY_LANE", "1024");
    program.env("GATEWAY_OPERATOR", OPERATOR);
    start(program.args(["--port", "0"]).args(args), "listening on ")
}

/// The bytes of a text in base64.
fn base64(text: &str) -> Vec<u8> {
    let digit = |c: u8| match c {
        b'A'..=b'Z' => c - b'A',
        b'a'..=b'z' => c - b'a' + 26,
        b'0'..=b'9' => c - b'0' + 52,
        b'+' => 62,
        _ => 63,
    };
    let digits: Vec<u8> = text.trim_end_matches('=').bytes().map(digit).collect();
    let four = |four: &[u8]| {
        let bits = (0..4).fold(0, |bits, n| {
            bits << 6 | u32::from(*four.get(n).unwrap_or(&0))
        });
        bits.to_be_bytes()[1..four.len()].to_vec()
    };
    digits.chunks(4).flat_map(four).collect()
}

pub(crate) struct Browser {
    _driver: Running,
    port: u16,
    session: String,
}

impl Browser {
    /// `None` where there is no chromedriver.
    pub(crate) fn start() -> Option<Self> {
        if Command::new("chromedriver")
            .arg("--version")
            .output()
            .is_err()
        {
            println!("not checked: there is no chromedriver");
            return None;
        }
        let mark = "started successfully on port ";
        let (driver, port) = start(Command::new("chromedriver").arg("--port=0"), mark);
        let mut browser = Self {
            _driver: driver,
            port: port.trim_end_matches('.').parse().unwrap(),
            session: String::new(),
        };
        let options = json!({ "goog:chromeOptions": { "args": FLAGS } });
        let asked = json!({ "capabilities": { "alwaysMatch": options } });
        let session = browser.call("POST", "", &asked)["sessionId"].take();
        browser.session = format!("/{}", session.as_str().unwrap());
        Some(browser)
    }

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

    /// Opens a tab of its own with this page and turns to it.
    pub(crate) fn tab(&self, url: &str) -> String {
        let tab = self.call("POST", "/window/new", &json!({ "type": "tab" }))["handle"].take();
        let tab = tab.as_str().unwrap().to_owned();
        self.turn_to(&tab);
        self.call("POST", "/url", &json!({ "url": url }));
        tab
    }

    pub(crate) fn turn_to(&self, tab: &str) {
        self.call("POST", "/window", &json!({ "handle": tab }));
    }

    /// Closes the tab in front.
    pub(crate) fn close_tab(&self) {
        self.call("DELETE", "/window", &json!({}));
    }

    pub(crate) fn reload(&self) {
        self.call("POST", "/refresh", &json!({}));
    }

    /// Gives the tab in front this size in pixels, and the focus of the system.
    pub(crate) fn resize(&self, width: u32, height: u32) {
        let size =
            json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.devtools("Emulation.setDeviceMetricsOverride", &size);
        self.devtools("Emulation.setScrollbarsHidden", &json!({ "hidden": true }));
        self.devtools(
            "Emulation.setFocusEmulationEnabled",
            &json!({ "enabled": true }),
        );
    }

    /// Presses a key and lets it go: a character, or a key's code.
    pub(crate) fn key(&self, key: &str) {
        let [down, up] = ["keyDown", "keyUp"].map(|kind| json!({ "type": kind, "value": key }));
        let keyboard = json!({ "type": "key", "id": "keyboard", "actions": [down, up] });
        self.call("POST", "/actions", &json!({ "actions": [keyboard] }));
    }

    /// What this tab's user prefers: `light` or `dark`.
    pub(crate) fn prefer(&self, scheme: &str) {
        let scheme = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        self.devtools("Emulation.setEmulatedMedia", &json!({ "features": scheme }));
    }

    fn devtools(&self, command: &str, parameters: &Value) -> Value {
        let body = json!({ "cmd": command, "params": parameters });
        self.call("POST", "/goog/cdp/execute", &body)
    }

    /// Writes a picture of the whole page to `target/screenshots`.
    pub(crate) fn picture(&self, name: &str) {
        let whole = json!({ "captureBeyondViewport": true });
        let png = self.devtools("Page.captureScreenshot", &whole)["data"].take();
        let png = base64(png.as_str().unwrap());
        let mut path = std::env::current_exe().unwrap();
        // Of target/debug/deps/browser.
        for _ in 0..3 {
            path.pop();
        }
        path.push("screenshots");
        std::fs::create_dir_all(&path).unwrap();
        std::fs::write(path.join(format!("{name}.png")), png).unwrap();
    }

    pub(crate) fn run(&self, script: &str) -> Value {
        self.with(script, &[])
    }

    fn with(&self, script: &str, arguments: &[&str]) -> Value {
        let body = json!({ "script": script, "args": arguments });
        self.call("POST", "/execute/sync", &body)
    }

    /// Waits until this expression is true.
    pub(crate) fn wait_for(&self, what: &str, expression: &str) {
        let start = Instant::now();
        while self.run(&format!("return {expression}")) != true {
            let page = self.run("return document.body.innerText");
            assert!(start.elapsed() < LONG, "{what}: {page}");
            sleep(Duration::from_millis(50));
        }
    }

    /// Logs the tab in, and waits until its page is connected.
    pub(crate) fn log_in(&self, name: &str) {
        self.wait_for(
            "the page asks who is there",
            "!document.getElementById('login').hidden",
        );
        let script = "document.getElementById('name').value = arguments[0];
             document.getElementById('login').requestSubmit()";
        self.with(script, &[name]);
        self.wait_for_open();
        assert_eq!(self.text_of("who"), name);
    }

    pub(crate) fn wait_for_open(&self) {
        let open = "document.getElementById('state').dataset.open === '1'";
        self.wait_for("it is connected", open);
    }

    pub(crate) fn wait_for_lost(&self) {
        let lost = "!document.getElementById('state').dataset.open";
        self.wait_for("it notices that it is not connected", lost);
    }

    pub(crate) fn say(&self, text: &str) {
        let script = "document.getElementById('text').value = arguments[0];
             document.getElementById('say').requestSubmit()";
        self.with(script, &[text]);
    }

    /// Waits until so many answers are complete.
    pub(crate) fn wait_for_answers(&self, answers: usize) {
        let done =
            format!("document.getElementById('log').innerText.split('· done').length > {answers}");
        self.wait_for("the agent is done", &done);
    }

    pub(crate) fn text_of(&self, id: &str) -> String {
        let script = "return document.getElementById(arguments[0]).innerText";
        self.with(script, &[id]).as_str().unwrap().to_owned()
    }

    /// What stands in the field of the message.
    pub(crate) fn typed(&self) -> String {
        let text = self.run("return document.getElementById('text').value");
        text.as_str().unwrap().to_owned()
    }

    pub(crate) fn log(&self) -> String {
        self.text_of("log")
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Without this the browser outlives its driver. A test that has failed may have no browser any more.
        if !std::thread::panicking() {
            self.call("DELETE", "", &json!({}));
        }
    }
}
