//! `sse` with real HTTP: a plain stream, chunks, server-sent events.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use super::program::Program;

/// Sends one request and returns the stream that answers.
fn send(server: &Program, line: &str, headers: &str, body: &[u8]) -> BufReader<TcpStream> {
    let mut stream = server.connect();
    let (host, length) = (&server.address, body.len());
    let head =
        format!("{line} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {length}\r\n{headers}\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(body).unwrap();
    BufReader::new(stream)
}

/// The status and the headers, in lower case.
fn head(answer: &mut impl BufRead) -> (u16, String) {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert!(
            answer.read_line(&mut head).unwrap() > 0,
            "a whole head: {head}"
        );
    }
    let status = head.split(' ').nth(1).and_then(|s| s.parse().ok());
    (status.expect(&head), head.to_lowercase())
}

/// One request, one answer.
fn ask(server: &Program, line: &str, headers: &str, body: &[u8]) -> (u16, String) {
    let headers = format!("{headers}Connection: close\r\n");
    let mut answer = send(server, line, &headers, body);
    let (status, _) = head(&mut answer);
    let mut body = String::new();
    answer.read_to_string(&mut body).unwrap();
    (status, body)
}

fn cookie(name: &str) -> String {
    format!("Cookie: theme=dark; token={name}-secret\r\n")
}

fn post(server: &Program, name: &str, text: &str) {
    let (status, answer) = ask(server, "POST /events", &cookie(name), text.as_bytes());
    assert_eq!(status, 200, "{answer}");
}

#[derive(Debug, Default)]
struct Event {
    name: String,
    id: String,
    data: Option<String>,
}

struct Stream(BufReader<TcpStream>, String);

impl Stream {
    /// Opens a user's stream. Its first event has an id and, unless something is lost, no data.
    fn open(server: &Program, name: &str, last: Option<&str>) -> (Self, Event) {
        let last = last.map_or(String::new(), |id| format!("Last-Event-ID: {id}\r\n"));
        let headers = format!("{}{last}", cookie(name));
        let mut answer = send(server, "GET /events", &headers, b"");
        let (status, head) = head(&mut answer);
        assert!(
            status == 200 && head.contains("content-type: text/event-stream"),
            "{head}"
        );
        assert!(head.contains("transfer-encoding: chunked"), "{head}");
        let mut stream = Self(answer, String::new());
        let first = stream.next().expect("where to resume");
        (stream, first)
    }

    /// The next event; `None` at the end of the stream.
    fn next(&mut self) -> Option<Event> {
        loop {
            while !self.1.contains("\n\n") {
                self.chunk()?;
            }
            let (text, rest) = self.1.split_once("\n\n").unwrap();
            let mut event = Event::default();
            for line in text.lines() {
                let (field, value) = line.split_once(':').unwrap();
                let value = value.strip_prefix(' ').unwrap_or(value);
                match field {
                    "id" => value.clone_into(&mut event.id),
                    "event" => value.clone_into(&mut event.name),
                    "data" => match &mut event.data {
                        Some(data) => *data = format!("{data}\n{value}"),
                        data => *data = Some(value.to_owned()),
                    },
                    // A comment that keeps the stream alive comes later than any event.
                    "" => panic!("no event in time"),
                    other => panic!("{other}"),
                }
            }
            self.1 = rest.to_owned();
            if !event.id.is_empty() {
                return Some(event);
            }
        }
    }

    fn chunk(&mut self) -> Option<()> {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        let length = usize::from_str_radix(line.trim(), 16).expect("a chunk's length");
        let mut bytes = vec![0; length + 2];
        self.0.read_exact(&mut bytes).unwrap();
        // A carriage return ends a line, too.
        let text = str::from_utf8(&bytes[..length]).unwrap();
        self.1 += &text.replace("\r\n", "\n").replace('\r', "\n");
        (length > 0).then_some(())
    }

    /// The next events' texts.
    fn texts(&mut self, number: usize) -> Vec<String> {
        let next = |_| {
            let event = self.next().unwrap();
            assert_eq!(event.name, "", "{event:?}");
            event.data.unwrap()
        };
        (0..number).map(next).collect()
    }
}

fn numbered(range: std::ops::Range<u64>) -> Vec<String> {
    range.map(|n| format!("event {n}")).collect()
}

#[test]
fn every_stream_of_a_user_gets_what_the_user_posts_and_no_other_users() {
    let server = Program::serve("sse");
    let (mut phone, _) = Stream::open(&server, "ann", None);
    let (mut tablet, _) = Stream::open(&server, "ann", None);
    let (mut bob, _) = Stream::open(&server, "bob", None);
    let mut anns = Vec::new();
    for n in 0..10 {
        anns.push(format!("ann says {n}"));
        post(&server, "ann", &anns[n]);
        post(&server, "bob", &format!("bob says {n}"));
    }
    assert_eq!(phone.texts(10), anns);
    assert_eq!(tablet.texts(10), anns);
    assert_eq!(bob.texts(10)[9], "bob says 9");
    // A text of several lines, some of which look like fields, is one event.
    post(
        &server,
        "ann",
        "two\nlines\r\nid: x\revent: y\n\ndata: z 🦀",
    );
    let event = phone.next().unwrap();
    assert_eq!((event.name.as_str(), event.id.len()), ("", 64));
    assert_eq!(
        event.data.unwrap().replace('\n', "|"),
        "two|lines||id: x|event: y||data: z 🦀"
    );
}

#[test]
fn a_dropped_stream_resumes_with_nothing_missing_and_nothing_twice() {
    let server = Program::serve("sse");
    let (mut stream, start) = Stream::open(&server, "ann", None);
    assert_eq!((start.name.as_str(), &start.data), ("", &None));
    for text in numbered(0..6) {
        post(&server, "ann", &text);
    }
    assert_eq!(stream.texts(2), numbered(0..2));
    let last = stream.next().unwrap();
    assert_eq!(last.data.as_deref(), Some("event 2"));
    // Three events are under way or waiting, and three come while there is no stream.
    drop(stream);
    for text in numbered(6..9) {
        post(&server, "ann", &text);
    }
    let (mut stream, first) = Stream::open(&server, "ann", Some(&last.id));
    assert_eq!(
        (first.name.as_str(), &first.data),
        ("", &None),
        "nothing is lost"
    );
    post(&server, "ann", "event 9");
    assert_eq!(stream.texts(7), numbered(3..10));
    // A stream that broke before its first event has a place to resume from, too.
    let (mut again, _) = Stream::open(&server, "ann", Some(&start.id));
    assert_eq!(again.texts(10), numbered(0..10));
    // And one that broke in the middle of a replay.
    let (mut replay, _) = Stream::open(&server, "ann", Some(&start.id));
    let middle = (0..4).map(|_| replay.next().unwrap()).last().unwrap();
    drop(replay);
    let (mut rest, _) = Stream::open(&server, "ann", Some(&middle.id));
    assert_eq!(rest.texts(6), numbered(4..10));
}

#[test]
fn what_is_gone_is_an_event_of_its_own_that_says_how_much() {
    const EVENTS: u64 = 200;
    let server = Program::serve("sse");
    let (stream, start) = Stream::open(&server, "ann", None);
    drop(stream);
    for text in numbered(0..EVENTS) {
        post(&server, "ann", &text);
    }
    let (mut stream, first) = Stream::open(&server, "ann", Some(&start.id));
    assert_eq!(first.name, "gap");
    let missed: u64 = first.data.unwrap().parse().unwrap();
    assert!((1..=EVENTS - 64).contains(&missed), "{missed}");
    let left = usize::try_from(EVENTS - missed).unwrap();
    assert_eq!(stream.texts(left), numbered(missed..EVENTS));
    // The gap's own id resumes behind the gap.
    let (mut again, told) = Stream::open(&server, "ann", Some(&first.id));
    assert_eq!(told.name, "");
    assert_eq!(again.texts(1), numbered(missed..missed + 1));
    // An id of an earlier run of the server is a position in no lane of this one.
    let (_stream, first) = Stream::open(&Program::serve("sse"), "ann", Some(&start.id));
    assert_eq!(first.name, "reset");
}

#[test]
fn a_bad_request_is_told_to_its_sender_and_changes_nothing() {
    let server = Program::serve("sse");
    let (mut ann, anns) = Stream::open(&server, "ann", None);
    let (mut bob, _) = Stream::open(&server, "bob", None);
    let id = |id: &str| format!("{}Last-Event-ID: {id}\r\n", cookie("bob"));
    let large = vec![b'x'; 5000];
    let bad: [(&str, &str, &[u8], u16, &str); 12] = [
        ("GET /events", "", b"", 401, "no such token"),
        (
            "GET /events",
            "Cookie: token=\r\n",
            b"",
            401,
            "no such token",
        ),
        (
            "GET /events",
            "Cookie: token=ann\r\n",
            b"",
            401,
            "no such token",
        ),
        (
            "GET /events",
            "Cookie: token=-secret\r\n",
            b"",
            401,
            "no such token",
        ),
        (
            "POST /events",
            "Cookie: token=ä-secret\r\n",
            b"hello",
            401,
            "no such token",
        ),
        ("GET /events", &id("x"), b"", 400, "64 characters"),
        (
            "GET /events",
            &id(&"ä".repeat(32)),
            b"",
            400,
            "64 characters",
        ),
        ("GET /events", &id(&"!".repeat(64)), b"", 400, "letters"),
        (
            "GET /events",
            &id(&anns.id),
            b"",
            403,
            "none of this user's",
        ),
        ("POST /events", &cookie("bob"), b"", 400, "empty"),
        ("POST /events", &cookie("bob"), b"\xff\xfe", 400, "UTF-8"),
        ("POST /events", &cookie("bob"), &large, 413, "length limit"),
    ];
    for (line, headers, body, status, why) in bad {
        let answer = ask(&server, line, headers, body);
        assert!(
            answer.0 == status && answer.1.contains(why),
            "{line} {headers}: {answer:?}"
        );
    }
    let (status, why) = ask(&server, "POST /events", &cookie("carl"), b"hello");
    assert!(status == 503 && why.contains("no live connection"), "{why}");
    post(&server, "ann", "still here");
    post(&server, "bob", "me too");
    assert_eq!(
        (ann.texts(1), bob.texts(1)),
        (vec!["still here".into()], vec!["me too".into()])
    );
}

#[test]
fn one_stream_too_many_is_refused_until_another_one_ends() {
    let server = Program::serve("sse");
    let streams: Vec<_> = (0..10)
        .map(|_| Stream::open(&server, "ann", None).0)
        .collect();
    let (status, why) = ask(&server, "GET /events", &cookie("ann"), b"");
    assert!(status == 503 && why.contains("10 connections"), "{why}");
    drop(streams);
}

#[cfg(unix)]
#[test]
fn ctrl_c_ends_every_stream_after_what_was_accepted() {
    let server = Program::serve("sse");
    let (mut ann, _) = Stream::open(&server, "ann", None);
    let (mut bob, _) = Stream::open(&server, "bob", None);
    // A connection that asks for nothing holds nothing up.
    let _idle = server.connect();
    for text in numbered(0..20) {
        post(&server, "ann", &text);
    }
    server.press_ctrl_c();
    assert_eq!(ann.texts(20), numbered(0..20));
    assert!(ann.next().is_none() && bob.next().is_none());
    let (success, said) = server.ended();
    assert!(success && said == ["stopped"], "{said:?}");
}
