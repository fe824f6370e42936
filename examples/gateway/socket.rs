//! One tab: its connection's events go out, its messages come in.

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Query, State};
use axum::http::header::{HOST, ORIGIN};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use laneway::{CloseReason, ConnectError, Connection, Received, UserScope};
use tokio::time::{Instant, interval_at, sleep, timeout};

use crate::agent::{self, Event};
use crate::login::{Session, random_token};
use crate::{Gateway, Running};

const MESSAGE_BYTES: usize = 64 * 1024;
const TEXT_CHARS: usize = 4000;
/// A tab that takes nothing for so long is given up.
const SEND: Duration = Duration::from_secs(10);
const PING: Duration = Duration::from_secs(30);

#[derive(serde::Deserialize)]
pub(crate) struct Switches {
    /// For tests: the milliseconds that this tab takes for each event.
    #[serde(default)]
    slow: u64,
}

/// What a tab is told.
#[derive(serde::Serialize)]
#[serde(untagged)]
enum Frame<'a> {
    Event { number: u64, event: &'a Event },
    Gap { gap: u64 },
    Error { error: &'a str },
}

/// What a tab may say.
#[derive(serde::Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
enum Said {
    Message { text: String },
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
    let connection = scope.connect().map_err(|e| {
        let status = match e {
            ConnectError::TooManyConnections { .. } => StatusCode::TOO_MANY_REQUESTS,
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
        session,
        scope,
        slow: Duration::from_millis(switches.slow),
    };
    Ok(request
        .max_message_size(MESSAGE_BYTES)
        .on_upgrade(async move |socket| {
            tab.serve(socket, connection).await;
            drop(running);
        }))
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
    session: Session,
    scope: UserScope<Arc<Event>>,
    slow: Duration,
}

impl Tab {
    async fn serve(&self, mut socket: WebSocket, mut connection: Connection<Arc<Event>>) {
        let mut ping = interval_at(Instant::now() + PING, PING);
        loop {
            let sent = tokio::select! {
                received = connection.next() => match received {
                    Ok(received) => {
                        let sent = send_received(&mut socket, &received).await;
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
                    match self.hear(message) {
                        Ok(()) => true,
                        Err(error) => send(&mut socket, &Frame::Error { error: &error }).await,
                    }
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

    /// Acts on what the tab said. The error is for this tab alone.
    fn hear(&self, message: Message) -> Result<(), String> {
        let text = match message {
            Message::Text(text) => text,
            Message::Binary(_) => return Err("send text, not binary".to_owned()),
            Message::Ping(_) | Message::Pong(_) | Message::Close(_) => return Ok(()),
        };
        let Said::Message { text } =
            serde_json::from_str(&text).map_err(|e| format!("not understood: {e}"))?;
        let length = text.chars().count();
        if !(1..=TEXT_CHARS).contains(&length) {
            return Err(format!(
                "a message has 1 to {TEXT_CHARS} characters, not {length}"
            ));
        }
        let permit = Arc::clone(&self.session.runs)
            .try_acquire_owned()
            .map_err(|_| "too many runs at a time; wait for an answer".to_owned())?;
        let run = random_token::<8>().map_err(|_| "no random numbers".to_owned())?;
        let (scope, pace) = (self.scope.clone(), self.gateway.pace);
        tokio::spawn(async move {
            agent::run(scope, run.into(), text, pace).await;
            drop(permit);
        });
        Ok(())
    }
}

async fn send_received(socket: &mut WebSocket, received: &Received<Arc<Event>>) -> bool {
    match received {
        Received::Event(delivered) => {
            let (number, event) = (delivered.number, &*delivered.event);
            send(socket, &Frame::Event { number, event }).await
        }
        Received::Gap { missed, .. } => send(socket, &Frame::Gap { gap: *missed }).await,
        _ => true,
    }
}

async fn send(socket: &mut WebSocket, frame: &Frame<'_>) -> bool {
    let Ok(json) = serde_json::to_string(frame) else {
        return false;
    };
    let sent = timeout(SEND, socket.send(Message::Text(json.into()))).await;
    sent.is_ok_and(|s| s.is_ok())
}

fn close(reason: CloseReason) -> Message {
    let code = match reason {
        CloseReason::Disconnected { code } => code,
        CloseReason::Shutdown => 1001,
        CloseReason::Evicted => 4002,
        CloseReason::Idle => 4003,
        _ => 1000,
    };
    Message::Close(Some(CloseFrame {
        code,
        reason: reason.to_string().into(),
    }))
}
