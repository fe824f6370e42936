//! What is between a browser and the gateway, and what may become of it.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::thread::{sleep, spawn};
use std::time::Duration;

use crate::driver::{Running, gateway};

const TICK: Duration = Duration::from_millis(10);
const PASS: u8 = 0;
/// Takes connections, and nothing goes through them.
const HOLE: u8 = 1;
/// Answers handshakes of sockets with 429; other requests pass.
const REFUSE: u8 = 2;

#[derive(Default)]
struct State {
    mode: AtomicU8,
    /// Connections of an earlier generation end.
    generation: AtomicU64,
    refused: AtomicUsize,
}

/// A proxy in front of a gateway.
pub(crate) struct Network {
    _gateway: Running,
    /// The gateway behind the proxy.
    pub(crate) gateway: String,
    /// The proxy.
    pub(crate) address: String,
    state: Arc<State>,
}

impl Network {
    pub(crate) fn start(args: &[&str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let (running, gateway) = gateway(&[&["--origin", &address], args].concat());
        let state = Arc::new(State::default());
        let (shared, behind) = (Arc::clone(&state), gateway["http://".len()..].to_owned());
        spawn(move || {
            for client in listener.incoming() {
                let (state, behind) = (Arc::clone(&shared), behind.clone());
                // A peer that has gone is no trouble of the proxy's.
                spawn(move || serve(client?, &behind, &state));
            }
        });
        Self {
            _gateway: running,
            gateway,
            address,
            state,
        }
    }

    pub(crate) fn pass(&self) {
        self.state.mode.store(PASS, Ordering::SeqCst);
    }

    /// Connections stay open, and nothing arrives any more.
    pub(crate) fn swallow(&self) {
        self.state.mode.store(HOLE, Ordering::SeqCst);
    }

    pub(crate) fn refuse(&self) {
        self.state.mode.store(REFUSE, Ordering::SeqCst);
    }

    /// Ends all connections that there are.
    pub(crate) fn cut(&self) {
        self.state.generation.fetch_add(1, Ordering::SeqCst);
    }

    /// Handshakes that were refused.
    pub(crate) fn refused(&self) -> usize {
        self.state.refused.load(Ordering::SeqCst)
    }
}

fn serve(mut client: TcpStream, behind: &str, state: &Arc<State>) -> std::io::Result<()> {
    let generation = state.generation.load(Ordering::SeqCst);
    while state.mode.load(Ordering::SeqCst) == HOLE {
        sleep(TICK);
    }
    let mut server = TcpStream::connect(behind)?;
    if state.mode.load(Ordering::SeqCst) == REFUSE {
        let head = head(&client)?;
        if head.to_ascii_lowercase().contains("upgrade: websocket") {
            state.refused.fetch_add(1, Ordering::SeqCst);
            return client
                .write_all(b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\n\r\n");
        }
        server.write_all(head.as_bytes())?;
    }
    let (back, to_client) = (server.try_clone()?, client.try_clone()?);
    let shared = Arc::clone(state);
    spawn(move || pump(back, to_client, &shared, generation));
    pump(client, server, state, generation)
}

/// The head of a request, and whatever came with it.
fn head(client: &TcpStream) -> std::io::Result<String> {
    let mut reader = BufReader::new(client);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") && reader.read_line(&mut head)? > 0 {}
    head.push_str(&String::from_utf8_lossy(reader.buffer()));
    Ok(head)
}

fn pump(
    mut from: TcpStream,
    mut to: TcpStream,
    state: &State,
    generation: u64,
) -> std::io::Result<()> {
    from.set_read_timeout(Some(TICK))?;
    let mut bytes = [0; 4096];
    let mut read = 0;
    while state.generation.load(Ordering::SeqCst) == generation {
        // Before a write, not before a read: the bytes of a read that began earlier are swallowed, too.
        if state.mode.load(Ordering::SeqCst) == HOLE {
            sleep(TICK);
            continue;
        }
        to.write_all(&bytes[..read])?;
        read = match from.read(&mut bytes) {
            Ok(0) => return to.shutdown(Shutdown::Write),
            Ok(read) => read,
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => 0,
            Err(e) => return Err(e),
        };
    }
    to.shutdown(Shutdown::Both)
}
