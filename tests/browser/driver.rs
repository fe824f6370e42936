//! A browser, its windows, and what a person does in them.

use std::fmt::Debug;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use data_encoding::BASE64;
use fantoccini::actions::{InputSource, KeyAction, KeyActions};
use fantoccini::error::CmdError;
use fantoccini::wd::{WebDriverCompatibleCommand, WindowHandle};
use fantoccini::{Client, ClientBuilder};
use hyper::Method;
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;
use url::{ParseError, Url};

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

/// A command of Chromium's developer tools: `WebDriver` has none for it.
#[derive(Debug)]
struct Devtools {
    command: &'static str,
    parameters: Value,
}

impl WebDriverCompatibleCommand for Devtools {
    fn endpoint(&self, driver: &Url, session: Option<&str>) -> Result<Url, ParseError> {
        let session = session.expect("the browser has a session");
        driver.join(&format!("session/{session}/goog/cdp/execute"))
    }

    fn method_and_body(&self, _: &Url) -> (Method, Option<String>) {
        let body = json!({ "cmd": self.command, "params": self.parameters });
        (Method::POST, Some(body.to_string()))
    }
}

/// Runs one command to its end. The client's own task makes progress meanwhile, and only then.
fn complete<T, E: Debug>(runtime: &Runtime, command: impl Future<Output = Result<T, E>>) -> T {
    let answer = runtime.block_on(async { timeout(LONG, command).await });
    answer.expect("the driver answers").unwrap()
}

pub(crate) struct Browser {
    client: Client,
    runtime: Runtime,
    _driver: Running,
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
        let address = format!("http://127.0.0.1:{}", port.trim_end_matches('.'));
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let options = json!({ "args": FLAGS });
        let mut client = ClientBuilder::new(HttpConnector::new());
        client.capabilities(
            [("goog:chromeOptions".to_owned(), options)]
                .into_iter()
                .collect(),
        );
        let client = complete(&runtime, client.connect(&address));
        Some(Self {
            client,
            runtime,
            _driver: driver,
        })
    }

    fn complete<T>(&self, command: impl Future<Output = Result<T, CmdError>>) -> T {
        complete(&self.runtime, command)
    }

    /// Opens a tab of its own with this page and turns to it.
    pub(crate) fn tab(&self, url: &str) -> WindowHandle {
        let tab = self.complete(self.client.new_window(true)).handle;
        self.turn_to(&tab);
        self.complete(self.client.goto(url));
        tab
    }

    pub(crate) fn turn_to(&self, tab: &WindowHandle) {
        self.complete(self.client.switch_to_window(tab.clone()));
    }

    /// Closes the tab in front.
    pub(crate) fn close_tab(&self) {
        self.complete(self.client.close_window());
    }

    pub(crate) fn reload(&self) {
        self.complete(self.client.refresh());
    }

    /// Gives the tab in front this size in pixels, and the focus of the system.
    pub(crate) fn resize(&self, width: u32, height: u32) {
        let size =
            json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.devtools("Emulation.setDeviceMetricsOverride", size);
        self.devtools("Emulation.setScrollbarsHidden", json!({ "hidden": true }));
        self.devtools(
            "Emulation.setFocusEmulationEnabled",
            json!({ "enabled": true }),
        );
    }

    /// Presses a key and lets it go.
    pub(crate) fn key(&self, key: impl Into<char>) {
        let value = key.into();
        let keyboard = KeyActions::new("keyboard".to_owned())
            .then(KeyAction::Down { value })
            .then(KeyAction::Up { value });
        self.complete(self.client.perform_actions(keyboard));
    }

    /// What this tab's user prefers: `light` or `dark`.
    pub(crate) fn prefer(&self, scheme: &str) {
        let scheme = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        self.devtools("Emulation.setEmulatedMedia", json!({ "features": scheme }));
    }

    fn devtools(&self, command: &'static str, parameters: Value) -> Value {
        let command = Devtools {
            command,
            parameters,
        };
        self.complete(self.client.issue_cmd(command))
    }

    /// Writes a picture to `target/screenshots`: of the whole page, where `WebDriver` itself takes only what is in sight.
    pub(crate) fn picture(&self, name: &str) {
        let whole = json!({ "captureBeyondViewport": true });
        let png = self.devtools("Page.captureScreenshot", whole)["data"].take();
        let png = png.as_str().unwrap().as_bytes();
        let mut bytes = vec![0; BASE64.decode_len(png.len()).unwrap()];
        let length = BASE64.decode_mut(png, &mut bytes).unwrap();
        let mut path = std::env::current_exe().unwrap();
        // Of target/debug/deps/browser.
        for _ in 0..3 {
            path.pop();
        }
        path.push("screenshots");
        std::fs::create_dir_all(&path).unwrap();
        std::fs::write(path.join(format!("{name}.png")), &bytes[..length]).unwrap();
    }

    pub(crate) fn run(&self, script: &str) -> Value {
        self.with(script, &[])
    }

    fn with(&self, script: &str, arguments: &[&str]) -> Value {
        let arguments = arguments.iter().map(|&text| text.into()).collect();
        self.complete(self.client.execute(script, arguments))
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
        let closed = async { timeout(LONG, self.client.clone().close()).await };
        let closed = self.runtime.block_on(closed);
        if !std::thread::panicking() {
            closed.expect("the driver answers").unwrap();
        }
    }
}
