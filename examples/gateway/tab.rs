//! One tab: its connection's events go out, its messages come in.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{Message, WebSocket};
use laneway::protocol::Packet;
use laneway::{CloseReason, Connection, Origin, Position, Received, Resumed, UserScope};
use serde_json::json;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until, timeout};

use crate::Gateway;
use crate::absent::Here;
use crate::close::Close;
use crate::server::{Ending, drained};
use crate::sessions::Session;

/// A tab that takes nothing for so long is given up.
const SEND: Duration = Duration::from_secs(10);
/// A tab is closed at the heartbeat after so many without an answer.
const BEATS: u32 = 3;

/// The lane's side of a tab.
pub(crate) struct Attached {
    pub(crate) scope: UserScope<Packet>,
    pub(crate) connection: Connection<Packet>,
    pub(crate) resumed: Option<Resumed>,
    /// Behind the connection, so that it is dropped after it.
    pub(crate) here: Here,
}

pub(crate) struct Tab {
    gateway: Arc<Gateway>,
    session: Arc<Session>,
    scope: UserScope<Packet>,
    connection: Connection<Packet>,
    resumed: Option<Resumed>,
    /// Behind the connection, so that it is dropped after it.
    _here: Here,
    /// The pause after each event, and when the last one ends.
    slow: Duration,
    ready: Instant,
    ending: Ending,
    /// Pings since the peer last sent something. The gateway's own writes say nothing of the peer: the
    /// system takes them for a while also if the peer has gone. Pings and not seconds: a gateway that was
    /// stopped itself would find all its peers silent.
    unanswered: u32,
}

/// The longest pause that a page may ask for.
const SLOWEST_MS: u64 = 2000;

/// What a device asks of its own reader: `{"slow":250}`, in milliseconds for each event.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Slow {
    slow: u64,
}

impl Slow {
    /// `None` for each other message, by its first bytes.
    fn parse(json: &[u8]) -> Option<Self> {
        let is_own = json.starts_with(br#"{"slow":"#);
        is_own.then(|| serde_json::from_slice(json).ok()).flatten()
    }

    fn pause(&self) -> Duration {
        Duration::from_millis(self.slow.min(SLOWEST_MS))
    }
}

/// Why a tab ends.
enum End {
    /// The peer closed, or takes nothing.
    Gone,
    Close(Close),
}

impl<C: Into<Close>> From<C> for End {
    fn from(close: C) -> Self {
        Self::Close(close.into())
    }
}

impl Tab {
    pub(crate) fn new(
        gateway: Arc<Gateway>,
        session: Arc<Session>,
        attached: Attached,
        slow: Duration,
    ) -> Self {
        let Attached {
            scope,
            connection,
            resumed,
            here,
        } = attached;
        Self {
            ending: gateway.ending.subscribe(),
            _here: here,
            gateway,
            session,
            scope,
            connection,
            resumed,
            slow,
            ready: Instant::now(),
            unanswered: 0,
        }
    }

    /// Serves the socket to its end, and says why it ends.
    pub(crate) async fn serve(mut self, mut socket: WebSocket) {
        let end = self.run(&mut socket).await;
        // The tab's place is free before the peer hears of the end.
        drop(self);
        if let Err(End::Close(why)) = end {
            close(socket, why).await;
        }
    }

    async fn run(&mut self, socket: &mut WebSocket) -> Result<(), End> {
        send(socket, self.hello()).await?;
        let beat = self.gateway.beat;
        let mut ticks = interval_at(Instant::now() + beat, beat);
        // Ticks that were missed would else come at once, and leave the peer no time to answer.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let pauses = self.ready > Instant::now();
            tokio::select! {
                received = next(&mut self.connection, pauses) => self.pass(socket, &received?).await?,
                () = sleep_until(self.ready), if pauses => {}
                message = socket.recv() => self.take(socket, message.ok_or(End::Gone)??).await?,
                _ = ticks.tick() => self.beat(socket).await?,
                // A tab that has more to read than it reads in this time ends without the rest.
                () = drained(&mut self.ending) => return Err(Close::shutdown().into()),
            }
        }
    }

    /// Passes on what the connection has received, and begins the pause of a slow device.
    async fn pass(
        &mut self,
        socket: &mut WebSocket,
        received: &Received<Packet>,
    ) -> Result<(), End> {
        let frame = frame(received, &self.connection.position());
        let bytes = frame.len();
        // A peer that takes nothing holds its lane's bytes up, until the gateway closes the device.
        tokio::select! {
            biased;
            sent = send(socket, frame) => sent?,
            end = cut_off(&mut self.connection) => return Err(end),
        }
        let figures = &self.gateway.figures;
        figures.wrote(bytes);
        match received {
            Received::Event(event) if event.origin == Origin::Live && self.slow.is_zero() => {
                figures.waited(&event.event, self.gateway.clock.now());
            }
            _ => {}
        }
        if !self.slow.is_zero() {
            self.ready = Instant::now() + self.slow;
        }
        Ok(())
    }

    /// Routes what the tab says. The answer comes back through the connection. How slow a device is to be
    /// is the socket's own affair, and answered by the socket.
    async fn take(&mut self, socket: &mut WebSocket, message: Message) -> Result<(), End> {
        self.unanswered = 0;
        let json = match message {
            Message::Text(text) => text.into(),
            // The message router answers bytes that are no message with an error.
            Message::Binary(bytes) => bytes,
            Message::Ping(_) | Message::Pong(_) | Message::Close(_) => return Ok(()),
        };
        if let Some(slow) = Slow::parse(&json) {
            self.slow = slow.pause();
            self.ready = Instant::now() + self.slow;
            let slow = self.slow.as_millis() as u64;
            return send(socket, json!({ "slow": slow }).to_string()).await;
        }
        let (id, now) = (self.connection.id(), self.gateway.clock.now());
        let messages = &self.gateway.messages;
        let _ = messages.route_json(&self.scope, Some(id), &json, now);
        Ok(())
    }

    /// Asks the peer for a sign of life, and gives one that a page can see: browsers answer pings
    /// themselves.
    async fn beat(&mut self, socket: &mut WebSocket) -> Result<(), End> {
        let now = self.gateway.clock.now();
        if !self.gateway.sessions.is_open(&self.session, now) {
            return Err(Close::no_session().into());
        }
        if self.unanswered == BEATS {
            return Err(Close::silent().into());
        }
        self.unanswered += 1;
        write(socket, Message::Ping("".into())).await?;
        send(socket, json!({ "beat": self.beat_ms() }).to_string()).await
    }

    fn beat_ms(&self) -> u64 {
        self.gateway.beat.as_millis() as u64
    }

    /// What a tab is told first: who it is, where it stands, what it has lost of what it asked for, and
    /// how soon it hears something again.
    fn hello(&self) -> String {
        let mut hello = json!({
            "user": self.session.user.as_str(),
            "position": self.connection.position().to_string(),
            "beat": self.beat_ms(),
            "lane": self.gateway.lane,
        });
        match self.resumed {
            Some(Resumed::Complete { from, to, .. }) => hello["replayed"] = (to - from).into(),
            Some(Resumed::Gap { missed, .. }) => hello["gap"] = missed.into(),
            Some(Resumed::Reset) => hello["reset"] = true.into(),
            _ => {}
        }
        hello.to_string()
    }
}

/// The next event of a connection. While the device pauses, only its end.
async fn next(connection: &mut Connection<Packet>, pauses: bool) -> Result<Received<Packet>, End> {
    if pauses {
        return Err(cut_off(connection).await);
    }
    connection
        .next()
        .await
        .map_err(|closed| closed.reason.into())
}

/// Waits until the device is closed, and may read no more. At a shutdown it still receives what was accepted.
async fn cut_off(connection: &mut Connection<Packet>) -> End {
    match connection.closed().await.reason {
        CloseReason::Shutdown | CloseReason::Drained => std::future::pending().await,
        reason => reason.into(),
    }
}

/// What a tab is told: an event with its number and where to resume from, or how much is missing.
fn frame(received: &Received<Packet>, position: &Position) -> String {
    match received {
        Received::Event(delivered) => {
            let recovered = match delivered.origin {
                Origin::Recovered => r#""recovered":true,"#,
                _ => "",
            };
            let (number, event) = (delivered.number, delivered.event.json());
            format!(r#"{{"number":{number},{recovered}"position":"{position}","event":{event}}}"#)
        }
        Received::Gap { missed, .. } => format!(r#"{{"gap":{missed}}}"#),
        _ => "{}".to_owned(),
    }
}

async fn send(socket: &mut WebSocket, frame: String) -> Result<(), End> {
    write(socket, Message::Text(frame.into())).await
}

async fn write(socket: &mut WebSocket, message: Message) -> Result<(), End> {
    let written = timeout(SEND, socket.send(message)).await;
    written.ok().and_then(Result::ok).ok_or(End::Gone)
}

/// Ends a socket with a word. The [peer](crate::peer) then waits for the other side to end it, too.
pub(crate) async fn close(mut socket: WebSocket, why: Close) {
    let _ = write(&mut socket, why.frame()).await;
}
