//! A real nats-server on loopback, which a test can kill, start again, and stop for a while.

use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// A server with a port of its own.
pub(crate) struct Server {
    port: u16,
    /// Where it keeps streams, if it does.
    store: Option<PathBuf>,
    process: Option<Child>,
}

impl Server {
    /// Starts a server, or says that there is none here.
    pub(crate) fn start() -> Option<Self> {
        Self::start_with(false)
    }

    /// Starts a server that keeps streams, in a directory of its own, or says that there is none here.
    #[cfg(feature = "jetstream")]
    pub(crate) fn start_keeping() -> Option<Self> {
        Self::start_with(true)
    }

    fn start_with(keeps: bool) -> Option<Self> {
        let is_there = Command::new("nats-server")
            .arg("--version")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        if is_there.is_err() {
            println!("not tested: nats-server is not installed");
            return None;
        }
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let name = format!("laneway-test-{}-{port}", std::process::id());
        let mut server = Self {
            port,
            store: keeps.then(|| std::env::temp_dir().join(name)),
            process: None,
        };
        server.restart();
        Some(server)
    }

    pub(crate) fn address(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Ends the server as a crash does.
    pub(crate) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }

    /// Starts the server again at the same port, and waits until it listens.
    pub(crate) fn restart(&mut self) {
        self.kill();
        let port = self.port.to_string();
        let mut command = Command::new("nats-server");
        command.args(["-a", "127.0.0.1", "-p", &port]);
        if let Some(store) = &self.store {
            command.arg("-js").arg("-sd").arg(store);
        }
        let process = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        self.process = Some(process.unwrap());
        let start = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(start.elapsed() < Duration::from_secs(20), "it listens");
            sleep(Duration::from_millis(20));
        }
    }

    /// From now on the server's threads run only when no other thread wants their processor, as if they were on
    /// another machine.
    pub(crate) fn give_way(&self) {
        let process = self.process.as_ref().unwrap().id().to_string();
        let done = Command::new("chrt")
            .args(["--idle", "--all-tasks", "--pid", "0", &process])
            .status();
        assert!(done.unwrap().success());
    }

    /// Stops the process, as a network that swallows everything, or lets it go on.
    pub(crate) fn pause(&self, is_paused: bool) {
        let signal = if is_paused { "-STOP" } else { "-CONT" };
        let process = self.process.as_ref().unwrap().id().to_string();
        let sent = Command::new("kill").args([signal, &process]).status();
        assert!(sent.unwrap().success());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
        if let Some(store) = &self.store {
            let _ = std::fs::remove_dir_all(store);
        }
    }
}
