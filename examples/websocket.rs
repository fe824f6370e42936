//! Web sockets: a user's devices, who is online, and an end that each device is told of.
//!
//! ```text
//! cargo run --example websocket     # an address may follow, with port 0 for any free one
//! curl -N -b token=ann-secret ws://127.0.0.1:8080/     # if this curl can; websocat also sends
//! ```
//!
//! A text that a device sends reaches all devices of its user, as `{"text":"hello"}`. Each device gets `{"online":[…]}`
//! first, then `{"user":"bob","online":true}` as users come and go. Ctrl-c drains the hub: each device gets
//! `{"back_in_ms":1234}`, another number for each user, and is closed with 1012.
use std::{sync::Arc, time::Duration};

use axum::extract::State;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code::RESTART};
use axum::http::{HeaderMap, StatusCode, header::COOKIE};
use axum::response::{Response, Result};
use laneway::{
    Change, Connection, DrainPhase, DrainPlan, Hub, Lifecycle, Received, UserId, UserScope,
};
use serde_json::json;
use tokio::{sync::Semaphore, time};

const SOCKETS: u32 = 10_000;
/// A device that takes nothing for so long is given up.
const PATIENCE: Duration = Duration::from_secs(10);
/// Of the drain, and then of the close frames.
const DEADLINE: Duration = Duration::from_secs(3);
type Shared = (Hub<Message>, Arc<Semaphore>);

/// The user's scope. A host asks its own store of sessions; here the token of NAME is NAME-secret.
fn log_in(hub: &Hub<Message>, headers: &HeaderMap) -> Option<UserScope<Message>> {
    let mut cookies = headers.get(COOKIE)?.to_str().ok()?.split(';');
    let token = cookies.find_map(|cookie| cookie.trim().strip_prefix("token="))?;
    let user = UserId::new(token.strip_suffix("-secret")?).ok()?;
    Some(hub.scope(user))
}

/// `GET /`: the socket of one device, which is one connection of its user.
async fn open(shared: State<Shared>, headers: HeaderMap, ws: WebSocketUpgrade) -> Result<Response> {
    let State((hub, places)) = shared;
    let scope = log_in(&hub, &headers);
    let scope = scope.ok_or((StatusCode::UNAUTHORIZED, "no such token"))?;
    let place = places.try_acquire_owned();
    let place = place.map_err(|_| (StatusCode::SERVICE_UNAVAILABLE, "too many sockets"))?;
    let device = scope.connect();
    let device = device.map_err(|e| (StatusCode::SERVICE_UNAVAILABLE, e.to_string()))?;
    let mut users = Vec::new();
    hub.for_each_user(|user, _| users.push(user.to_string()));
    let online = Message::text(json!({ "online": users }).to_string());
    let _ = scope.to_connection(device.id()).publish(online);
    let ws = ws.max_message_size(4096);
    Ok(ws.on_upgrade(async move |socket| {
        serve(socket, scope, device).await;
        drop(place);
    }))
}

/// Carries events out and texts in, until the device leaves or the hub is shut down.
async fn serve(mut socket: WebSocket, scope: UserScope<Message>, mut device: Connection<Message>) {
    let mut is_open = true;
    while is_open {
        let message = tokio::select! {
            received = device.next() => match received {
                Ok(Received::Event(next)) => next.event,
                Ok(Received::Gap { missed, .. }) => Message::text(format!(r#"{{"gap":{missed}}}"#)),
                Ok(_) => continue,
                Err(closed) => {
                    is_open = false;
                    Message::Close(Some(CloseFrame { code: RESTART, reason: closed.to_string().into() }))
                }
            },
            message = socket.recv() => match message {
                Some(Ok(Message::Text(text))) => {
                    // Refused only when this device is closed, and then `next` says so.
                    let _ = scope.publish(Message::text(json!({ "text": &*text }).to_string()));
                    continue;
                }
                Some(Ok(Message::Binary(_))) => Message::text(r#"{"error":"send text"}"#),
                Some(Ok(_)) => continue,
                _ => return,
            },
        };
        is_open &= time::timeout(PATIENCE, socket.send(message)).await.is_ok();
    }
    drop(device); // A drain waits for connections, not for sockets.
    // A device answers a close frame when it has read it. The socket goes after that.
    while let Ok(Some(Ok(_))) = time::timeout(PATIENCE, socket.recv()).await {}
}

/// A thread of the host's own tells all devices who comes and goes, and sweeps.
fn tend(hub: &Hub<Message>, notices: &Lifecycle, start: time::Instant) {
    while !hub.is_shut_down() {
        let notice = notices.next_timeout(PATIENCE).ok();
        let notice = notice.filter(|n| matches!(n.change, Change::Online | Change::Offline));
        if let Some(user) = notice.map(|notice| notice.user) {
            // Notices may come out of order. Each makes the host look at what is true now.
            let online = hub.scope(user.clone()).connection_count() > 0;
            let message = json!({ "user": user.as_str(), "online": online }).to_string();
            let message = Message::text(message);
            hub.for_each_user(|user, _| drop(hub.to_user(user).publish(message.clone())));
        }
        hub.sweep(start.elapsed()); // The hub has no clock: the host says what time it is.
    }
}

#[tokio::main]
async fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let hub = Hub::new();
    let (tended, notices) = (hub.clone(), hub.lifecycle(1024)?);
    std::thread::spawn(move || tend(&tended, &notices, time::Instant::now()));
    let places = Arc::new(Semaphore::new(SOCKETS as usize));
    let app = axum::Router::new().route("/", axum::routing::any(open));
    let app = app.with_state((hub.clone(), Arc::clone(&places)));
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:8080".into());
    let listener = tokio::net::TcpListener::bind(address).await?;
    let told = format!("listening on ws://{}", listener.local_addr()?);
    tokio::spawn(axum::serve(listener, app).into_future());
    // Polled in this order: the process handles ctrl-c before it tells its address.
    tokio::join!(tokio::signal::ctrl_c(), async { println!("{told}") }).0?;
    // Each device is told when to come back, and is closed after the events that were accepted before.
    let back_in = |delay: Duration| json!({ "back_in_ms": delay.as_millis() as u64 }).to_string();
    let plan = DrainPlan::within(DEADLINE).tell(move |_, delay| Message::text(back_in(delay)));
    let (drain, start) = (hub.drain(plan)?, time::Instant::now());
    while drain.step(start.elapsed()).phase < DrainPhase::Drained {
        time::sleep(DEADLINE / 100).await; // between two batches
    }
    let all = places.acquire_many(SOCKETS);
    let drained = time::timeout(DEADLINE, all).await.is_ok();
    println!("{}", if drained { "stopped" } else { "stopped late" });
    Ok(())
}
