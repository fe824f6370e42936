//! A chat server with rooms of people and a simulated agent, on real sockets. laneway does all of its routing.
//!
//! ```text
//! cargo run --release --example gateway -- [--port 8080] [--origin URL]... [--pace 60]
//!     [--beat 15000] [--session 43200000] [--sessions 10000] [--connections 4096]
//!     [--lane 64] [--grace 120000] [--absent 10000] [--operator PASSWORD]
//! ```
//!
//! With `--features metrics` the option `--metrics PORT` serves `/metrics` for Prometheus on that port. With `--features
//! nats` the option `--cluster nats://127.0.0.1:4222` joins all gateways at that server of NATS: a user's devices, and
//! the members of a room, may be at any of them; `examples/gateways.sh` starts such a server and two gateways. Times are in milliseconds; `--help` says what each is, and which environment variable sets it.
//! The page shows two users side by side, each with several devices; each panel and each tab has a session of its own.
//!
//! # Ends and limits
//!
//! | what | ends or is refused |
//! |---|---|
//! | a request's headers, its body | after 5 s each; its answer 15 s after the connection began |
//! | a request's head, its body | beyond 16 KiB, beyond 4 KiB |
//! | a message, a frame | beyond 64 KiB by its header, with 1009 |
//! | a session | at log-out, or `--session` after its log-in; its socket within a heartbeat, with 4401 |
//! | sessions of a user, of all | beyond 32 and `--sessions` the oldest without a socket is out |
//! | a socket whose peer answers no ping | after three heartbeats, with 4003 |
//! | a socket whose peer takes nothing | after 10 s |
//! | a closed connection | when its peer closes, or after 2 s |
//! | connections | beyond `--connections` with 503 |
//! | what the system holds of a connection | beyond 128 KiB each way the peer waits, or the gateway |
//! | a user's events, kept and unread | beyond 1 MiB refused; from 768 KiB on the slowest device is closed with 4006 |
//! | users who are away | beyond `--absent` the one who left first is offline |
//! | what is kept for a reload | beyond `--lane` events or 512 KiB of a user the oldest are out, and told as missed |
//! | rooms | beyond 16 of a user, 8 of them direct, and 64 members |
//! | what a user posts into rooms | beyond 20 at once and 5 a second |
//! | what a slow device takes for an event | beyond 2 s |
//! | floods | beyond 2000 events, and one of a user at a time |
//! | `/stats` | without the operator's password |
//! | the program | 5 s after SIGINT or SIGTERM, on Windows after Ctrl-C |
//!
//! # Figures
//!
//! Of a program built for release, on two cores of an Intel Xeon with other work, 2026-11-26. `tests/gateway/crowd.rs`
//! measures them and fails beyond the last column. The memory is that of the process, without the system's own.
//!
//! | what | measured | at most |
//! |---|---|---|
//! | memory of an idle socket, of 2 000 with a user each | 7.2 KB (14.3 KB with a read buffer of 8 KiB in place of 1 KiB) | 12 KB |
//! | 250 connections that drip half a request's head: the last one is gone after | 5.0 s | 8 s |
//! | 250 sockets that drip half a frame, with a heartbeat of 1 s: the last one is gone after | 4.0 s | 7 s |
//! | the program ends after SIGINT, with 500 peers of these kinds and some that answer nothing | 4.0 s | 8 s |
//!
//! # Who may ask
//!
//! Requests are refused unless their host is the gateway's own and their origin, if they have one, is one of its pages:
//! 127.0.0.1 and localhost, and each `--origin`. `close::Close` lists the close codes, `name::parse` the rule of names.

mod absent;
mod agent;
mod close;
#[cfg(feature = "nats")]
mod cluster;
mod figures;
mod flood;
mod guard;
mod login;
#[cfg(feature = "metrics")]
mod metrics;
mod name;
mod page;
mod peer;
mod presence;
mod rooms;
mod server;
mod sessions;
mod settings;
mod socket;
mod stats;
mod stuck;
mod tab;
mod turns;
mod watch;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};
use clap::Parser;
use laneway::protocol::{
    AgentRuns, Broadcaster, MemoryQuality, MessageLimits, MessageRouter, OpenRunLimits, Packet,
    Quality, RegisterError, RunRegistry,
};
use laneway::{DrainPhase, DrainPlan, Hub, PresenceFeed, Retention};
use tokio::net::TcpListener;

use absent::Absent;
use agent::Chat;
use figures::Figures;
use flood::Flood;
use guard::Origins;
use presence::People;
use rooms::Rooms;
use sessions::Sessions;
use settings::Settings;
use stats::Operator;
use stuck::Resting;

/// What every request handler shares.
struct Gateway {
    hub: Hub<Packet>,
    messages: MessageRouter,
    broadcaster: Arc<Broadcaster>,
    quality: Quality,
    open: AgentRuns,
    runs: Arc<RunRegistry>,
    sessions: Sessions,
    people: People,
    rooms: Rooms,
    absent: Arc<Absent>,
    figures: Figures,
    operator: Operator,
    clock: Clock,
    beat: Duration,
    lane: usize,
    grace: Duration,
    /// When everything stops, once the gateway shuts down.
    ending: tokio::sync::watch::Sender<Option<tokio::time::Instant>>,
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

#[tokio::main]
async fn main() -> ExitCode {
    match serve(Settings::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(wrong) => {
            eprintln!("gateway: {wrong}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(settings: Settings) -> Result<(), String> {
    let hub = hub(&settings)?;
    let clock = Clock::start();
    #[cfg(feature = "nats")]
    let (broadcaster, driving) = cluster::join(settings.cluster.as_deref(), &hub, clock).await?;
    #[cfg(not(feature = "nats"))]
    let broadcaster = Broadcaster::default();
    let (gateway, feed) = gateway(&settings, hub, broadcaster, clock)?;
    let gateway = Arc::new(gateway);
    // Before the address is printed: a signal that comes earlier meets the default action.
    let signal = shutdown_signal().map_err(|e| e.to_string())?;
    let (listener, port) = listen(settings.port)?;
    let origins = Arc::new(Origins::new(port, settings.origins)?);
    println!("listening on http://127.0.0.1:{port}");
    if settings.operator.is_none() {
        let password = gateway.operator.password();
        println!("with the gateway's own figures: http://127.0.0.1:{port}/#operator={password}");
    }
    #[cfg(feature = "metrics")]
    if let Some(port) = settings.metrics {
        metrics::serve(port, Arc::clone(&gateway))?;
    }

    let sweeper = tokio::spawn(sweep(Arc::clone(&gateway)));
    let (people, rooms) = (gateway.people.clone(), gateway.rooms.clone());
    let watcher = tokio::spawn(watch::watch(people, feed, rooms, gateway.clock));
    let stop = async {
        signal.await;
        drain(&gateway);
    };
    let app = app(Arc::clone(&gateway), origins);
    let closed = server::serve(listener, settings.connections, app, &gateway.ending, stop).await;
    sweeper.abort();
    watcher.abort();
    gateway.hub.shutdown();
    #[cfg(feature = "nats")]
    if let (Some(driving), true) = (driving, closed) {
        driving.end().await;
    }
    if !closed {
        eprintln!("gateway: some connections did not close in time");
    }
    println!("stopped");
    Ok(())
}

/// Listens on this port of 127.0.0.1, or on one of the system's choice for 0. Returns the port as well.
fn listen(port: u16) -> Result<(TcpListener, u16), String> {
    let listener =
        server::bind(port).map_err(|e| format!("cannot listen on 127.0.0.1:{port}: {e}"))?;
    let address = listener.local_addr().map_err(|e| e.to_string())?;
    Ok((listener, address.port()))
}

/// The time between two batches of a drain.
const BATCH: Duration = Duration::from_millis(20);

/// Ends the open runs, and then closes all connections in batches. Each of them first receives what was
/// accepted.
fn drain(gateway: &Gateway) {
    let (open, clock) = (gateway.open.clone(), gateway.clock);
    let plan = DrainPlan::within(server::DRAIN).before_closing(move || {
        let text = "the server is shutting down: ask again";
        let _ = open.end_all("shutdown", text, true, clock.now());
    });
    // The only drain of this hub.
    let Ok(drain) = gateway.hub.drain(plan) else {
        return;
    };
    tokio::spawn(async move {
        while drain.step(clock.now()).phase < DrainPhase::Drained {
            tokio::time::sleep(BATCH).await;
        }
    });
}

/// Listens from this call on. The future it returns ends at SIGINT or SIGTERM.
#[cfg(unix)]
fn shutdown_signal() -> std::io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// Listens from this call on. The future it returns ends at Ctrl-C.
#[cfg(not(unix))]
fn shutdown_signal() -> std::io::Result<impl Future<Output = ()>> {
    let mut interrupt = tokio::signal::windows::ctrl_c()?;
    Ok(async move { _ = interrupt.recv().await })
}

fn app(gateway: Arc<Gateway>, origins: Arc<Origins>) -> axum::Router {
    axum::Router::new()
        .route("/", get(page::html))
        .route("/page/{file}", get(page::file))
        .route("/stats", get(stats::stats))
        .route("/login", post(login::login))
        .route("/logout", post(login::logout))
        .route("/ws", get(socket::upgrade))
        .layer(DefaultBodyLimit::max(guard::BODY_BYTES))
        .layer(axum::middleware::from_fn_with_state(origins, guard::guard))
        .with_state(gateway)
}

/// Users for whom the hub keeps a lane in the moment before [`Absent`] ends the first one's.
const MORE_ABSENT: usize = 1000;

fn hub(settings: &Settings) -> Result<Hub<Packet>, String> {
    Hub::builder()
        .lane_capacity(settings.lane)
        .max_rooms_per_user(rooms::PER_USER)
        .max_members_per_room(rooms::MEMBERS)
        .max_connections_per_user(sessions::PER_USER)
        .max_users(100_000)
        .lane_bytes(Some(stuck::LANE_BYTES))
        // A tab that is reloaded within the grace has missed nothing.
        .retention(Some(
            Retention::events(settings.lane)
                .bytes(stuck::KEPT_BYTES)
                .max_absent_users(usize::from(settings.absent) + MORE_ABSENT)
                .grace(settings.grace),
        ))
        .build_weighing(|packet: &Packet| packet.json().len())
        .map_err(|e| e.to_string())
}

/// The one broadcaster, the one message router, and what they need.
///
/// In a cluster the broadcaster's messages reach a user's devices at every gateway.
fn gateway(
    settings: &Settings,
    hub: Hub<Packet>,
    broadcaster: Broadcaster,
    clock: Clock,
) -> Result<(Gateway, PresenceFeed), String> {
    let broadcaster = Arc::new(broadcaster);
    let absent = Absent::new(hub.clone(), settings.absent.into());
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
    let runs = Arc::new(RunRegistry::default());
    let chat = Chat {
        open: open.clone(),
        quality: figures,
        alerts: quality.clone(),
        runs: Arc::clone(&runs),
        absent: Arc::clone(&absent),
        clock,
        pace: settings.pace,
    };
    messages.register("chat", chat).map_err(|e| e.to_string())?;
    let (people, feed) = People::of_hub(&hub)?;
    let (shared, is_in_cluster) = (Arc::clone(&broadcaster), settings.cluster.is_some());
    let rooms = Rooms::new(hub.clone(), shared, people.clone(), is_in_cluster);
    register(&messages, &rooms, &broadcaster, clock).map_err(|e| e.to_string())?;
    let gateway = Gateway {
        hub,
        messages,
        broadcaster,
        quality,
        open,
        runs,
        sessions: Sessions::new(settings),
        people,
        rooms,
        absent,
        figures: Figures::new(),
        operator: Operator::new(settings.operator.as_deref())?,
        clock,
        beat: settings.beat,
        lane: settings.lane,
        grace: settings.grace,
        ending: tokio::sync::watch::Sender::new(None),
    };
    Ok((gateway, feed))
}

/// Takes what users say to rooms, and their floods.
fn register(
    messages: &MessageRouter,
    rooms: &Rooms,
    broadcaster: &Arc<Broadcaster>,
    clock: Clock,
) -> Result<(), RegisterError> {
    let flood = Flood {
        broadcaster: Arc::clone(broadcaster),
        clock,
        running: Arc::default(),
    };
    messages.register("rooms", rooms.clone())?;
    messages.register("flood", flood)?;
    Ok(())
}

/// The times between two sweeps, between two of the figures, and between two looks at full lanes.
const SWEEP: Duration = Duration::from_secs(5);
const SECOND: Duration = Duration::from_secs(1);
const LOOK: Duration = Duration::from_millis(250);

/// Lets go of users who do not come back, of sessions that are over, and of what those asked for.
async fn sweep(gateway: Arc<Gateway>) {
    // So that a user is offline soon after the grace, however short it is.
    let every = SWEEP.min(gateway.grace).max(SECOND / 10);
    let [mut seconds, mut looks] = [SECOND, LOOK].map(tokio::time::interval);
    for tick in [&mut seconds, &mut looks] {
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    }
    let mut sweeps = tokio::time::interval(every);
    let mut resting = Resting::new();
    loop {
        tokio::select! {
            _ = seconds.tick() => { gateway.figures.tick(); continue }
            _ = looks.tick() => { stuck::close(&gateway.hub, &mut resting); continue }
            _ = sweeps.tick() => {}
        }
        let now = gateway.clock.now();
        gateway.hub.sweep(now);
        gateway.runs.sweep(now);
        gateway.rooms.sweep(now);
        for user in gateway.sessions.sweep(now) {
            gateway.rooms.forget(&user, now);
            gateway.quality.unsubscribe(&gateway.hub.scope(user));
        }
    }
}
