//! The listener: it accepts connections, limits them, and ends them in time.

use std::future::Future;
use std::io;
use std::net::Ipv4Addr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::peer::Peer;

/// How long a peer may take to send its request, the headers and then the body.
pub(crate) const REQUEST: Duration = Duration::from_secs(5);
/// Bytes of a request that are held at a time; a longer head is answered with 431.
const HEAD_BYTES: usize = 16 * 1024;
const HEADERS: usize = 64;
/// Events accepted before a shutdown are delivered within this time, or not at all.
pub(crate) const DRAIN: Duration = Duration::from_secs(2);
/// All connections have closed so long after a shutdown, or the gateway leaves them.
const SHUTDOWN: Duration = Duration::from_secs(5);
/// Bytes of a connection that the system holds each way. Without a limit of its own a peer that takes nothing costs up
/// to some megabytes that are in no account of the gateway's.
const SYSTEM_BYTES: u32 = 64 * 1024;
/// Connections that wait to be accepted.
const BACKLOG: u32 = 1024;
const FULL: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

/// Listens on this port of 127.0.0.1. Each connection has the listener's limits of bytes, of which Linux takes double.
pub(crate) fn bind(port: u16) -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    // As a listener of the standard library: a gateway may start again at once.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.set_send_buffer_size(SYSTEM_BYTES)?;
    socket.set_recv_buffer_size(SYSTEM_BYTES)?;
    socket.bind((Ipv4Addr::LOCALHOST, port).into())?;
    socket.listen(BACKLOG)
}

/// When the gateway stops delivering; `None` while it is not shutting down.
pub(crate) type Ending = watch::Receiver<Option<Instant>>;

/// Waits for the shutdown and then for its last moment. Safe to be dropped and called again.
pub(crate) async fn drained(ending: &mut Ending) {
    // An error is a server that has gone, which is an end, too.
    let moment = ending.wait_for(Option::is_some).await.map(|moment| *moment);
    if let Ok(Some(moment)) = moment {
        sleep_until(moment).await;
    }
}

/// Serves `app` until `stop`, on at most so many `connections` at a time. Returns whether all of them
/// closed in time.
pub(crate) async fn serve(
    listener: TcpListener,
    connections: u16,
    app: axum::Router,
    ending: &watch::Sender<Option<Instant>>,
    stop: impl Future<Output = ()>,
) -> bool {
    let places = Arc::new(Semaphore::new(connections.into()));
    let mut stop = pin!(stop);
    loop {
        let accepted = tokio::select! {
            () = &mut stop => break,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = accepted else {
            // The process has no descriptor left: without the pause this loop takes a whole core.
            sleep(Duration::from_millis(50)).await;
            continue;
        };
        match Arc::clone(&places).try_acquire_owned() {
            Ok(place) => drop(tokio::spawn(connection(
                Peer::new(stream, place),
                app.clone(),
                ending.subscribe(),
            ))),
            Err(_) => refuse(&stream),
        }
    }
    drop((listener, app));
    ending.send_replace(Some(Instant::now() + DRAIN));
    // The last connection to end gives back the last place.
    timeout(SHUTDOWN, places.acquire_many(connections.into()))
        .await
        .is_ok()
}

fn refuse(stream: &TcpStream) {
    // The buffer of a new connection has room. A peer whose request is here already may see a reset
    // instead: without a place there is no task that waits until the peer has read.
    let _ = stream.try_write(FULL);
}

/// One request, since each answer says `Connection: close`. A socket is what the request turns into; the socket's own task then goes on.
async fn connection(peer: Peer, app: axum::Router, mut ending: Ending) {
    let http = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(REQUEST)
        .max_buf_size(HEAD_BYTES)
        .max_headers(HEADERS)
        .serve_connection(TokioIo::new(peer), TowerToHyperService::new(app))
        .with_upgrades();
    let mut http = pin!(http);
    tokio::select! {
        // Headers, body and answer: the last has as much time as a peer that reads nothing leaves it.
        _ = timeout(REQUEST * 3, http.as_mut()) => return,
        _ = ending.wait_for(Option::is_some) => {}
    }
    http.as_mut().graceful_shutdown();
    let _ = timeout(DRAIN, http).await;
}
