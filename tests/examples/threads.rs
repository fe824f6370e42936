//! `threads` with plain TCP, a line at a time.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

use super::program::Program;

struct Client(BufReader<TcpStream>);

impl Client {
    fn new(server: &Program) -> Self {
        Self(BufReader::new(server.connect()))
    }

    fn log_in(server: &Program, name: &str) -> Self {
        let mut client = Self::new(server);
        client.send(format!("LOGIN {name}-secret\r\n"));
        assert_eq!(client.line(), format!("OK {name}"));
        client
    }

    fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.get_mut().write_all(bytes.as_ref()).unwrap();
    }

    /// The next line; nothing at the end.
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }
}

#[test]
fn every_client_of_a_user_gets_what_one_says_and_no_other_users() {
    let server = Program::serve("threads");
    let mut anns = [
        Client::log_in(&server, "ann"),
        Client::log_in(&server, "ann"),
    ];
    let mut bob = Client::log_in(&server, "bob");
    for n in 0..10 {
        anns[n % 2].send(format!("SAY ann {n}\n"));
        bob.send(format!("SAY bob {n} 🦀\n"));
        for ann in &mut anns {
            assert_eq!(ann.line(), format!("EVENT ann {n}"));
        }
        assert_eq!(bob.line(), format!("EVENT bob {n} 🦀"));
    }
    // The other client goes on when one has left.
    let [gone, mut left] = anns;
    drop(gone);
    left.send("SAY alone\n");
    assert_eq!(left.line(), "EVENT alone");
}

#[test]
fn a_bad_line_is_told_to_its_sender_only() {
    let server = Program::serve("threads");
    let long = format!("LOGIN {}-secret\n", "x".repeat(201));
    for bad in [
        "\n",
        "LOGIN\n",
        "LOGIN ann\n",
        "LOGIN -secret\n",
        "SAY hello\n",
        &long,
    ] {
        let mut client = Client::new(&server);
        client.send(bad);
        assert_eq!(client.line(), "ERR send LOGIN and a token first", "{bad}");
        assert_eq!(client.line(), "", "the end");
    }
    let mut clients = [
        Client::log_in(&server, "ann"),
        Client::log_in(&server, "ann"),
    ];
    let long = [b"SAY ", vec![b'x'; 100_000].as_slice()].concat();
    for bad in [
        b"" as &[u8],
        b"say hello",
        b"SAY",
        b"SAY \xff\xfe",
        b"\0",
        &long,
    ] {
        clients[0].send([bad, b"\n"].concat());
        assert_eq!(clients[0].line(), "ERR send SAY and a text");
    }
    clients[0].send("SAY still here\n");
    for client in &mut clients {
        assert_eq!(client.line(), "EVENT still here");
    }
}

#[test]
fn a_client_that_sends_nothing_is_sent_away() {
    let server = Program::serve("threads");
    let mut silent = Client::new(&server);
    // It has three seconds.
    assert_eq!(silent.line(), "");
}

#[test]
fn one_client_too_many_is_refused() {
    let server = Program::serve("threads");
    let clients: Vec<_> = (0..10).map(|_| Client::log_in(&server, "ann")).collect();
    let mut refused = Client::new(&server);
    refused.send("LOGIN ann-secret\n");
    assert_eq!(refused.line(), "ERR the user has 10 connections already");
    drop(clients);
}

#[test]
fn enter_or_the_end_of_the_input_ends_every_client_after_what_was_accepted() {
    for end in [Program::press_enter, Program::end_input] {
        let mut server = Program::serve("threads");
        let mut clients = ["ann", "ann", "bob"].map(|name| Client::log_in(&server, name));
        for n in 0..20 {
            clients[0].send(format!("SAY {n}\n"));
        }
        let mut lines = (0..20).map(|n| format!("EVENT {n}"));
        assert!(lines.all(|line| clients[0].line() == line));
        end(&mut server);
        let mut lines = (0..20).map(|n| format!("EVENT {n}"));
        assert!(lines.all(|line| clients[1].line() == line));
        for client in &mut clients {
            let bye = client.line();
            assert!(bye.starts_with("BYE "), "{bye}");
            assert_eq!(client.line(), "", "the end");
        }
        let (success, said) = server.ended();
        assert!(success && said == ["stopped"], "{said:?}");
    }
}
