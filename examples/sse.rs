//! Server-sent events: one endpoint streams a user's events, and resumes a stream that broke.
//!
//! ```text
//! cargo run --example sse            # an address may follow, with port 0 for any free one; ctrl-c drains and ends
//! curl -N -b token=ann-secret http://127.0.0.1:8080/events
//! curl -b token=ann-secret -d hello http://127.0.0.1:8080/events
//! ```
//!
//! A browser's `EventSource` sends the cookie, and `Last-Event-ID` when it comes back by itself.
use std::convert::Infallible;
use std::{sync::Arc, time::Duration};

use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode, header::COOKIE};
use axum::response::IntoResponse;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::stream::{self, StreamExt};
use laneway::{Hub, Received, UserId, UserScope};
use laneway::{Position, ResumeError, Resumed, Retention};
use tokio::time::{interval, timeout};

/// Each stream of a user gets a clone of an event, so an event is cheap to clone.
type Text = Arc<str>;
type Answer<T> = Result<T, (StatusCode, String)>;

/// The only code that has the hub, for the hub reaches every user. A handler gets its caller's scope.
#[derive(Clone)]
struct Door(Hub<Text>);

impl Door {
    fn log_in(&self, headers: &HeaderMap) -> Answer<UserScope<Text>> {
        // A host asks its own store of sessions. Here the token of NAME is NAME-secret.
        let cookies = headers.get(COOKIE).and_then(|c| c.to_str().ok());
        let mut cookies = cookies.unwrap_or_default().split(';').map(str::trim);
        let name = cookies.find_map(|c| c.strip_prefix("token=")?.strip_suffix("-secret"));
        match UserId::new(name.unwrap_or_default()) {
            Ok(user) => Ok(self.0.scope(user)),
            Err(_) => Err((StatusCode::UNAUTHORIZED, "no such token".into())),
        }
    }
}

/// `POST /events`: the body is an event for all streams of the caller.
async fn publish(State(door): State<Door>, headers: HeaderMap, text: String) -> Answer<String> {
    let scope = door.log_in(&headers)?;
    if text.is_empty() {
        return Err((StatusCode::BAD_REQUEST, "the event is empty".into()));
    }
    // Refused if the user has had no stream for longer than the grace, or if the hub was shut down.
    match scope.publish(text.into()) {
        Ok(delivery) => Ok(format!("event {}\n", delivery.number)),
        Err(refused) => Err((StatusCode::SERVICE_UNAVAILABLE, refused.to_string())),
    }
}

/// `GET /events`: what came after `Last-Event-ID`, and then what comes.
async fn events(State(door): State<Door>, headers: HeaderMap) -> Answer<impl IntoResponse> {
    let scope = door.log_in(&headers)?;
    let id = headers.get("last-event-id").map(|id| id.to_str());
    let attached = match id.map(|id| id.unwrap_or_default().parse::<Position>()) {
        None => scope.connect().map(|c| (c, None)).map_err(Into::into),
        Some(Ok(position)) => scope.resume(&position).map(|(c, r)| (c, Some(r))),
        Some(Err(e)) => return Err((StatusCode::BAD_REQUEST, e.to_string())),
    };
    let (connection, resumed) = attached.map_err(|e| match e {
        ResumeError::Foreign => (StatusCode::FORBIDDEN, e.to_string()),
        _ => (StatusCode::SERVICE_UNAVAILABLE, e.to_string()),
    })?;
    // The client keeps the id of an event without data: where to resume before the first event.
    let first = Event::default().id(connection.position().to_string());
    let first = match resumed {
        Some(Resumed::Gap { missed, .. }) => first.event("gap").data(missed.to_string()),
        Some(Resumed::Reset) => first.event("reset").data("start over"),
        _ => first,
    };
    let rest = stream::unfold(connection, async |mut connection| {
        // The stream ends when the connection is closed.
        let received = connection.next().await.ok()?;
        let next = Event::default().id(connection.position().to_string());
        let next = match received {
            Received::Event(received) => next.data(received.event),
            Received::Gap { missed, .. } => next.event("gap").data(missed.to_string()),
            _ => next,
        };
        Some((next, connection))
    });
    let all = stream::iter([first]).chain(rest).map(Ok::<_, Infallible>);
    Ok(Sse::new(all).keep_alive(KeepAlive::default()))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let retention = Some(Retention::events(64).grace(Duration::from_secs(300)));
    let hub = Hub::builder().retention(retention).build()?;
    let app = axum::Router::new().route("/events", axum::routing::get(events).post(publish));
    let app = app.layer(DefaultBodyLimit::max(4096));
    let app = app.with_state(Door(hub.clone()));
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:8080".into());
    let listener = tokio::net::TcpListener::bind(address).await?;
    let told = format!("listening on http://{}", listener.local_addr()?);
    // The hub has no clock: the host calls the sweep and says what time it is.
    let (sweeping, mut tick) = (hub.clone(), interval(Duration::from_secs(5)));
    tokio::spawn(async move {
        let start = tick.tick().await;
        loop {
            sweeping.sweep(tick.tick().await - start);
        }
    });
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let server = axum::serve(listener, app).with_graceful_shutdown(async { drop(stopped.await) });
    let server = tokio::spawn(server.into_future());
    // Polled in this order: the process handles ctrl-c before it tells its address.
    tokio::join!(tokio::signal::ctrl_c(), async { println!("{told}") }).0?;
    hub.shutdown(); // Each stream ends after the events that were accepted before.
    drop(stop);
    let drained = timeout(Duration::from_secs(5), server).await.is_ok();
    println!("{}", if drained { "stopped" } else { "stopped late" });
    Ok(())
}
