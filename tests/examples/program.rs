//! An example as a child process, which is killed when its test ends.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

/// More than any step takes on a busy machine.
pub(crate) const LONG: Duration = Duration::from_secs(10);

/// `cargo test` builds the examples beside the tests, `cargo test --test examples` does not.
fn path(name: &str) -> PathBuf {
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    let path = path.join(format!("examples/{name}{}", std::env::consts::EXE_SUFFIX));
    assert!(path.exists(), "build it first: cargo build --examples");
    path
}

/// What a program says on its standard output and its standard error, line by line.
fn lines(output: impl Read + Send + 'static) -> Receiver<String> {
    let (line, lines) = mpsc::channel();
    thread::spawn(move || {
        let all = BufReader::new(output).lines();
        all.map_while(Result::ok).try_for_each(|l| line.send(l))
    });
    lines
}

pub(crate) struct Program {
    child: Child,
    said: Receiver<String>,
    complained: Receiver<String>,
    /// Where it listens.
    pub(crate) address: String,
}

impl Program {
    pub(crate) fn run(name: &str, args: &[&str]) -> Self {
        let mut child = Command::new(path(name))
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Self {
            said: lines(child.stdout.take().unwrap()),
            complained: lines(child.stderr.take().unwrap()),
            child,
            address: String::new(),
        }
    }

    /// Runs a server on a free port, and waits until it listens.
    pub(crate) fn serve(name: &str) -> Self {
        let mut program = Self::run(name, &["127.0.0.1:0"]);
        let line = program.said.recv_timeout(LONG).expect("it listens");
        let address = line.strip_prefix("listening on ").expect(&line);
        let address = address.split_once("://").map_or(address, |(_, rest)| rest);
        address.clone_into(&mut program.address);
        program
    }

    /// A client whose reads end after a time.
    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        stream
    }

    pub(crate) fn press_enter(&mut self) {
        self.child.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
    }

    pub(crate) fn end_input(&mut self) {
        self.child.stdin = None;
    }

    #[cfg(unix)]
    pub(crate) fn press_ctrl_c(&self) {
        let pid = self.child.id().to_string();
        let kill = Command::new("kill").args(["-INT", &pid]).status();
        assert!(kill.unwrap().success());
    }

    /// Waits for the end of the program. Returns whether it succeeded, and what it still had to say.
    pub(crate) fn ended(mut self) -> (bool, Vec<String>) {
        let mut rest = Vec::new();
        for output in [&self.said, &self.complained] {
            loop {
                match output.recv_timeout(LONG) {
                    Ok(line) => rest.push(line),
                    Err(mpsc::RecvTimeoutError::Disconnected) => break,
                    Err(mpsc::RecvTimeoutError::Timeout) => panic!("it does not end: {rest:?}"),
                }
            }
        }
        // Its outputs are closed, so it is at its end.
        (self.child.wait().unwrap().success(), rest)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_bad_or_taken_address_is_a_clear_error() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap();
    let addresses = [
        (taken.to_string(), "in use"),
        ("nonsense".into(), "address"),
    ];
    for name in ["sse", "websocket", "threads"] {
        for (address, why) in &addresses {
            let (success, said) = Program::run(name, &[address]).ended();
            let told = said.len() == 1 && said[0].contains(why);
            assert!(!success && told, "{name} {address}: {said:?}");
        }
    }
}
