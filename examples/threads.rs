//! No async: one thread reads a client's lines, another one writes what the client receives.
//!
//! ```text
//! cargo run --example threads       # an address may follow, with port 0 for any free one; Enter drains and ends
//! curl telnet://127.0.0.1:7000
//! LOGIN ann-secret
//! SAY hello
//! ```
//!
//! Each client of ann gets `EVENT hello`, one that was too slow `GAP 3`, and each `BYE` and why at the end.
#![allow(clippy::disallowed_methods)] // A host has a clock, and a thread that waits for time.
use std::io::{self, BufRead, BufReader, LineWriter, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::{sync::mpsc, thread, time};

use laneway::{Connection, Hub, Received, UserId, UserScope};

const LINE_BYTES: u64 = 1024;
/// How long a client may take to log in, and to take a line.
const PATIENCE: time::Duration = time::Duration::from_secs(3);

/// The user's scope, for a token that is known. The scope reaches this user and no other.
fn log_in(hub: &Hub<String>, line: &str) -> Option<UserScope<String>> {
    // A host asks its own store of sessions. Here the token of NAME is NAME-secret.
    let name = line.strip_prefix("LOGIN ")?.strip_suffix("-secret")?;
    Some(hub.scope(UserId::new(name).ok()?))
}

/// The next line, empty if it is too long or not UTF-8; `None` at the end of the input.
fn line(input: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut bytes = Vec::new();
    let read = input.take(LINE_BYTES).read_until(b'\n', &mut bytes)?;
    if !bytes.ends_with(b"\n") {
        bytes.clear();
        input.skip_until(b'\n')?;
    }
    let line = String::from_utf8(bytes).unwrap_or_default();
    Ok((read > 0).then(|| line.trim_end().to_owned()))
}

/// Reads a client's lines, until it leaves or its connection is closed.
fn serve(hub: &Hub<String>, mut stream: TcpStream) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut input = BufReader::new(stream.try_clone()?);
    let Some(scope) = line(&mut input)?.and_then(|line| log_in(hub, &line)) else {
        return writeln!(stream, "ERR send LOGIN and a token first");
    };
    let connection = match scope.connect() {
        Ok(connection) => connection,
        Err(refused) => return writeln!(stream, "ERR {refused}"),
    };
    writeln!(stream, "OK {}", scope.user())?;
    stream.set_read_timeout(None)?;
    let id = connection.id();
    let own = scope.to_connection(id);
    thread::Builder::new().spawn(move || {
        let _ = write(connection, &mut LineWriter::new(&stream));
        stream.shutdown(Shutdown::Both) // Ends the reader's wait.
    })?;
    while let Ok(Some(line)) = line(&mut input) {
        // Refused only if the connection is closed, and then the writer tells the client.
        let _ = match line.strip_prefix("SAY ") {
            Some(text) => scope.publish(format!("EVENT {text}")),
            None => own.publish("ERR send SAY and a text".into()),
        };
    }
    scope.disconnect(id, 0); // Ends the writer's wait.
    Ok(())
}

/// Writes what a connection receives, until it is closed or the client takes no more.
fn write(mut connection: Connection<String>, stream: &mut impl Write) -> io::Result<()> {
    loop {
        match connection.recv() {
            Ok(Received::Event(next)) => writeln!(stream, "{}", next.event)?,
            Ok(Received::Gap { missed, .. }) => writeln!(stream, "GAP {missed}")?,
            Ok(_) => {}
            Err(closed) => return writeln!(stream, "BYE {}", closed.reason),
        }
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let hub = Hub::new();
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:7000".into());
    let listener = TcpListener::bind(address)?;
    let address = listener.local_addr()?;
    println!("listening on {address}");
    // The hub has no clock: the host calls the sweep and says what time it is.
    let (sweeping, stopping, start) = (hub.clone(), hub.clone(), time::Instant::now());
    thread::spawn(move || {
        while !sweeping.is_shut_down() {
            sweeping.sweep(start.elapsed());
            thread::sleep(PATIENCE);
        }
    });
    thread::spawn(move || {
        let _ = io::stdin().read_line(&mut String::new());
        stopping.shutdown(); // Each connection ends after the events that were accepted before.
        TcpStream::connect(address) // Ends the wait for one more client.
    });
    // Each client's thread keeps a clone of `running`.
    let (running, ended) = mpsc::channel::<()>();
    for stream in listener.incoming().take_while(|_| !hub.is_shut_down()) {
        let (hub, running) = (hub.clone(), running.clone());
        let client = move || {
            let _running = running;
            serve(&hub, stream?)
        };
        // Without a thread the stream is dropped, and so closed.
        let _ = thread::Builder::new().spawn(client);
    }
    drop(running);
    let drained = ended.recv_timeout(2 * PATIENCE) == Err(mpsc::RecvTimeoutError::Disconnected);
    println!("{}", if drained { "stopped" } else { "stopped late" });
    Ok(())
}
