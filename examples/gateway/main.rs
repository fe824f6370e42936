//! A chat server with a simulated agent, on real sockets. laneway does all of its routing.
//!
//! ```text
//! cargo run --release --example gateway -- [--port 8080] [--pace 60]
//! ```
//!
//! `--port 0` takes any free port; `--pace` is the time between two steps of an agent, in
//! milliseconds. Log in with any name, in as many tabs as you like.

mod agent;
mod login;
mod socket;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::{DefaultBodyLimit, State};
use axum::response::Html;
use axum::routing::{get, post};
use laneway::protocol::{
    AgentRuns, Broadcaster, MemoryQuality, MessageLimits, MessageRouter, OpenRunLimits, Packet,
    Quality, RunRegistry,
};
use laneway::{Activity, Retention, Router};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::timeout;

use agent::Chat;
use login::Sessions;

/// What every request handler shares.
struct Gateway {
    router: Router<Packet>,
    messages: MessageRouter,
    broadcaster: Arc<Broadcaster>,
    quality: Quality,
    open: AgentRuns,
    sessions: Sessions,
    clock: Clock,
}

/// The host's time: the engine has none.
#[derive(Clone, Copy)]
struct Clock(Instant);

#[allow(clippy::disallowed_methods)] // The one place that reads it.
impl Clock {
    fn start() -> Self {
        Self(Instant::now())
    }

    fn now(self) -> Duration {
        self.0.elapsed()
    }
}

/// A socket's task holds a clone for as long as it runs.
type Running = mpsc::Sender<()>;

const USAGE: &str = "usage: gateway [--port NUMBER] [--pace MILLISECONDS]";

fn arguments() -> Result<(u16, Duration), String> {
    let (mut port, mut pace) = (8080, Duration::from_millis(60));
    let mut args = std::env::args().skip(1);
    while let Some(name) = args.next() {
        let value = args.next().ok_or_else(|| format!("{name}: no value"))?;
        let wrong = |e| format!("{name} {value}: {e}");
        match name.as_str() {
            "--port" => port = value.parse().map_err(wrong)?,
            "--pace" => pace = Duration::from_millis(value.parse().map_err(wrong)?),
            _ => return Err(format!("{name}: no such option")),
        }
    }
    Ok((port, pace))
}

#[tokio::main]
async fn main() -> ExitCode {
    let (port, pace) = match arguments() {
        Ok(arguments) => arguments,
        Err(wrong) => {
            eprintln!("gateway: {wrong}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match serve(port, pace).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(wrong) => {
            eprintln!("gateway: {wrong}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(port: u16, pace: Duration) -> Result<(), String> {
    let router = Router::builder()
        .lane_capacity(1024)
        .max_connections_per_user(32)
        .max_users(100_000)
        .idle_timeout(Some(Duration::from_secs(120)))
        // The socket's task reads on behalf of the tab, which is heard of by its pongs.
        .activity(Activity::Touch)
        // A tab that is reloaded within the grace has missed nothing.
        .retention(Some(
            Retention::events(1024).grace(Duration::from_secs(120)),
        ))
        .build()
        .map_err(|e| e.to_string())?;
    let gateway = Arc::new(gateway(&router, pace)?);
    let (running, mut all_stopped): (Running, _) = mpsc::channel(1);
    let app = axum::Router::new()
        .route("/", get(async || Html(include_str!("page.html"))))
        .route("/stats", get(stats))
        .route("/me", get(login::me))
        .route("/login", post(login::login))
        .route("/logout", post(login::logout))
        .route("/ws", get(socket::upgrade))
        .layer(axum::Extension(running))
        .layer(DefaultBodyLimit::max(4096))
        .with_state(Arc::clone(&gateway));

    // Before anybody is told the address, so that a signal never meets the default action.
    let mut interrupt = signal(SignalKind::interrupt()).map_err(|e| e.to_string())?;
    let mut terminate = signal(SignalKind::terminate()).map_err(|e| e.to_string())?;
    let listener = TcpListener::bind(("127.0.0.1", port))
        .await
        .map_err(|e| format!("cannot listen on 127.0.0.1:{port}: {e}"))?;
    let address = listener.local_addr().map_err(|e| e.to_string())?;
    println!("listening on http://{address}");

    let ending = Arc::clone(&gateway);
    let sweeper = tokio::spawn(sweep(Arc::clone(&gateway)));
    axum::serve(listener, app)
        .with_graceful_shutdown(async move {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            let (text, now) = ("the server is shutting down: ask again", ending.clock.now());
            let _ = ending.open.end_all("shutdown", text, true, now);
            // Every connection drains what was accepted and then ends.
            router.shutdown();
        })
        .await
        .map_err(|e| e.to_string())?;
    sweeper.abort();
    // The app is gone, so the channel ends with the last socket.
    if timeout(Duration::from_secs(5), all_stopped.recv())
        .await
        .is_err()
    {
        eprintln!("gateway: some sockets did not close in time");
    }
    println!("stopped");
    Ok(())
}

/// The one broadcaster, the one message router, and what they need.
fn gateway(router: &Router<Packet>, pace: Duration) -> Result<Gateway, String> {
    let clock = Clock::start();
    let broadcaster = Arc::new(Broadcaster::default());
    let figures = Arc::new(MemoryQuality::default());
    let limits = MessageLimits {
        bytes: 64 * 1024,
        ..MessageLimits::default()
    };
    let messages = MessageRouter::new(Arc::clone(&broadcaster), clock.now()).limits(limits);
    let quality = Quality::new(Arc::clone(&broadcaster), figures.clone());
    quality.register(&messages).map_err(|e| e.to_string())?;
    // Each user's, whatever the threads are called.
    let limits = OpenRunLimits {
        per_user: 32,
        ..OpenRunLimits::default()
    };
    let open = AgentRuns::new(Arc::clone(&broadcaster), limits);
    let chat = Chat {
        open: open.clone(),
        quality: figures,
        alerts: quality.clone(),
        runs: Arc::new(RunRegistry::default()),
        clock,
        pace,
    };
    messages.register("chat", chat).map_err(|e| e.to_string())?;
    Ok(Gateway {
        router: router.clone(),
        messages,
        broadcaster,
        quality,
        open,
        sessions: Sessions::default(),
        clock,
    })
}

/// Closes connections whose peer has been silent, and lets go of users who do not come back.
async fn sweep(gateway: Arc<Gateway>) {
    let mut tick = tokio::time::interval(Duration::from_secs(5));
    loop {
        tick.tick().await;
        gateway.router.sweep(gateway.clock.now());
    }
}

#[derive(serde::Serialize)]
struct Stats {
    users: usize,
    connections: usize,
    accepted: u64,
    missed: u64,
    refused_no_connections: u64,
    absent_users: usize,
    broadcasts: u64,
    contaminations_prevented: u64,
    messages_routed: u64,
}

async fn stats(State(gateway): State<Arc<Gateway>>) -> Json<Stats> {
    let stats = gateway.router.stats();
    let broadcasts = gateway.broadcaster.stats();
    Json(Stats {
        users: stats.users,
        connections: stats.connections,
        accepted: stats.accepted,
        missed: stats.missed,
        refused_no_connections: stats.refused_no_connections,
        absent_users: stats.absent_users,
        broadcasts: broadcasts.total,
        contaminations_prevented: broadcasts.contaminations_prevented,
        messages_routed: gateway.messages.stats().routed,
    })
}
