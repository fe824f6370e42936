//! One tab: its connection's events go out, its messages come in.

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Query, State};
use axum::http::header::{HOST, ORIGIN};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use laneway::protocol::Packet;
use laneway::{
    CloseReason, ConnectError, Connection, Origin, Position, Received, ResumeError, Resumed,
    UserScope,
};
use tokio::time::{Instant, interval_at, sleep, timeout};

use crate::{Gateway, Running};

const MESSAGE_BYTES: usize = 64 * 1024;
/// A tab that takes nothing for so long is given up.
const SEND: Duration = Duration::from_secs(10);
const PING: Duration = Duration::from_secs(30);

#[derive(serde::Deserialize)]
pub(crate) struct Switches {
    /// For tests: the milliseconds that this tab takes for each event.
    #[serde(default)]
    slow: u64,
    /// How far the page has come, if it has been here before.
    position: Option<String>,
}

/// `GET /ws`
pub(crate) async fn upgrade(
    State(gateway): State<Arc<Gateway>>,
    Extension(running): Extension<Running>,
    Query(switches): Query<Switches>,
    headers: HeaderMap,
    request: WebSocketUpgrade,
) -> Result<Response, Response> {
    let refuse = |status: StatusCode, why: &str| (status, why.to_owned()).into_response();
    if !same_origin(&headers) {
        return Err(refuse(StatusCode::FORBIDDEN, "another site's page"));
    }
    let session = gateway.sessions.find(&headers);
    let session = session.ok_or_else(|| refuse(StatusCode::UNAUTHORIZED, "log in first"))?;
    let scope = gateway.router.scope(session.user.clone());
    let position = switches.position.as_deref().map(str::parse::<Position>);
    let position = position.transpose();
    let position = position.map_err(|e| refuse(StatusCode::BAD_REQUEST, &e.to_string()))?;
    let (connection, resumed) = attach(&scope, position.as_ref()).map_err(|e| {
        let status = match e {
            ResumeError::Foreign => StatusCode::FORBIDDEN,
            ResumeError::Connect(ConnectError::TooManyConnections { .. }) => {
                StatusCode::TOO_MANY_REQUESTS
            }
            _ => StatusCode::SERVICE_UNAVAILABLE,
        };
        refuse(status, &e.to_string())
    })?;
    // A logout that came before the connect has not seen this connection; one that comes later does.
    if !gateway.sessions.is_valid(&session) {
        return Err(refuse(StatusCode::UNAUTHORIZED, "log in first"));
    }
    let tab = Tab {
        gateway,
        scope,
        slow: Duration::from_millis(switches.slow),
    };
    Ok(request
        .max_message_size(MESSAGE_BYTES)
        .on_upgrade(async move |socket| {
            tab.serve(socket, connection, resumed).await;
            drop(running);
        }))
}

/// A page that has been here before goes on where it was; and whoever comes first gets the critical
/// events that nobody was there for.
fn attach(
    scope: &UserScope<Packet>,
    position: Option<&Position>,
) -> Result<(Connection<Packet>, Option<Resumed>), ResumeError> {
    let (mut connection, resumed) = match position {
        None => (scope.connect()?, None),
        Some(position) => {
            let (connection, resumed) = scope.resume(position)?;
            (connection, Some(resumed))
        }
    };
    // What is not there any more is told nowhere: it was nobody's yet.
    let _ = connection.recover();
    Ok((connection, resumed))
}

/// Browsers name the page that opens a socket; only this server's own page may.
fn same_origin(headers: &HeaderMap) -> bool {
    let Some(origin) = headers.get(ORIGIN) else {
        return true;
    };
    let text = |value: &axum::http::HeaderValue| value.to_str().ok().map(str::to_owned);
    let authority = text(origin).and_then(|o| Some(o.split_once("://")?.1.to_owned()));
    authority.is_some() && authority == headers.get(HOST).and_then(text)
}

struct Tab {
    gateway: Arc<Gateway>,
    scope: UserScope<Packet>,
    slow: Duration,
}

impl Tab {
    async fn serve(
        &self,
        mut socket: WebSocket,
        mut connection: Connection<Packet>,
        resumed: Option<Resumed>,
    ) {
        if !send(&mut socket, hello(resumed, &connection.position())).await {
            return;
        }
        let mut ping = interval_at(Instant::now() + PING, PING);
        loop {
            let sent = tokio::select! {
                received = connection.next() => match received {
                    Ok(received) => {
                        let frame = frame(&received, &connection.position());
                        let sent = send(&mut socket, frame).await;
                        sleep(self.slow).await;
                        sent
                    }
                    Err(closed) => {
                        let _ = timeout(SEND, socket.send(close(closed.reason))).await;
                        return;
                    }
                },
                message = socket.recv() => {
                    let Some(Ok(message)) = message else { return };
                    connection.touch();
                    let json = match message {
                        Message::Text(text) => text.into(),
                        // The router says what is wrong with bytes that are no message.
                        Message::Binary(bytes) => bytes,
                        Message::Ping(_) | Message::Pong(_) | Message::Close(_) => continue,
                    };
                    // Whatever comes of it comes back through the connection.
                    let id = connection.id();
                    let now = self.gateway.clock.now();
                    let _ = self.gateway.messages.route_json(&self.scope, Some(id), &json, now);
                    true
                }
                _ = ping.tick() => {
                    timeout(SEND, socket.send(Message::Ping("".into()))).await.is_ok_and(|s| s.is_ok())
                }
            };
            if !sent {
                return;
            }
        }
    }
}

/// What a tab is told first: where it stands, and what it has lost of what it asked for.
fn hello(resumed: Option<Resumed>, position: &Position) -> String {
    let lost = match resumed {
        Some(Resumed::Gap { missed, .. }) => format!(r#""gap":{missed},"#),
        Some(Resumed::Reset) => r#""reset":true,"#.to_owned(),
        _ => String::new(),
    };
    format!(r#"{{{lost}"position":"{position}"}}"#)
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

async fn send(socket: &mut WebSocket, frame: String) -> bool {
    let sent = timeout(SEND, socket.send(Message::Text(frame.into()))).await;
    sent.is_ok_and(|s| s.is_ok())
}

fn close(reason: CloseReason) -> Message {
    let code = match reason {
        CloseReason::Disconnected { code } => code,
        CloseReason::Shutdown => 1001,
        CloseReason::Evicted => 4002,
        CloseReason::Idle => 4003,
        // It was a whole lane behind, with a critical event among what is gone.
        CloseReason::Overrun => 4004,
        // Another tab has gone on from this one's position: this one was duplicated.
        CloseReason::Replaced => 4005,
        _ => 1000,
    };
    Message::Close(Some(CloseFrame {
        code,
        reason: reason.to_string().into(),
    }))
}
