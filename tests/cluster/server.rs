//! A real nats-server on loopback, which a test can kill, start again, and stop for a while.

use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// A server with a port of its own.
pub(crate) struct Server {
    port: u16,
    process: Option<Child>,
}

impl Server {
    /// Starts a server, or says that there is none here.
    pub(crate) fn start() -> Option<Self> {
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
        let mut server = Self {
            port,
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
        let process = Command::new("nats-server")
            .args(["-a", "127.0.0.1", "-p", &port])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
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
    }
}
