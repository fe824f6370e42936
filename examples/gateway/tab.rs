//! One tab: its connection's events go out, its messages come in.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{Message, WebSocket};
use laneway::protocol::Packet;
use laneway::{Connection, Origin, Position, Received, Resumed, UserScope};
use serde_json::json;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep, timeout};

use crate::Gateway;
use crate::close::Close;
use crate::server::{Ending, drained};
use crate::sessions::Session;

/// A tab that takes nothing for so long is given up.
const SEND: Duration = Duration::from_secs(10);
/// A tab is closed at the heartbeat after so many without an answer.
const BEATS: u32 = 3;

pub(crate) struct Tab {
    gateway: Arc<Gateway>,
    session: Arc<Session>,
    scope: UserScope<Packet>,
    connection: Connection<Packet>,
    resumed: Option<Resumed>,
    slow: Duration,
    ending: Ending,
    /// Pings since the peer last sent something. The gateway's own writes say nothing of the peer: the
    /// system takes them for a while also if the peer has gone. Pings and not seconds: a gateway that was
    /// stopped itself would find all its peers silent.
    unanswered: u32,
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
        scope: UserScope<Packet>,
        connection: Connection<Packet>,
        resumed: Option<Resumed>,
        slow: Duration,
    ) -> Self {
        Self {
            ending: gateway.ending.subscribe(),
            gateway,
            session,
            scope,
            connection,
            resumed,
            slow,
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
            tokio::select! {
                received = self.connection.next() => {
                    let received = received.map_err(|closed| End::from(closed.reason))?;
                    send(socket, frame(&received, &self.connection.position())).await?;
                    sleep(self.slow).await;
                }
                message = socket.recv() => self.take(message.ok_or(End::Gone)??),
                _ = ticks.tick() => self.beat(socket).await?,
                // A tab that has more to read than it reads in this time ends without the rest.
                () = drained(&mut self.ending) => return Err(Close::shutdown().into()),
            }
        }
    }

    /// Routes what the tab says. The answer comes back through the connection.
    fn take(&mut self, message: Message) {
        self.unanswered = 0;
        let json = match message {
            Message::Text(text) => text.into(),
            // The message router answers bytes that are no message with an error.
            Message::Binary(bytes) => bytes,
            Message::Ping(_) | Message::Pong(_) | Message::Close(_) => return,
        };
        let (id, now) = (self.connection.id(), self.gateway.clock.now());
        let messages = &self.gateway.messages;
        let _ = messages.route_json(&self.scope, Some(id), &json, now);
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
        });
        match self.resumed {
            Some(Resumed::Gap { missed, .. }) => hello["gap"] = missed.into(),
            Some(Resumed::Reset) => hello["reset"] = true.into(),
            _ => {}
        }
        hello.to_string()
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
