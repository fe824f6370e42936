//! The settings, from the command line. `--help` prints them.

use std::num::{NonZeroU32, ParseIntError};
use std::time::Duration;

use clap::Parser;

/// A chat server with rooms of people and a simulated agent. Times are in milliseconds.
///
/// Each setting is an argument or an environment variable; the argument goes first.
#[derive(Parser)]
#[command(name = "gateway", version)]
pub(crate) struct Settings {
    /// The port on 127.0.0.1. With 0 the system chooses one.
    #[arg(
        long,
        env = "GATEWAY_PORT",
        value_name = "NUMBER",
        default_value_t = 8080
    )]
    pub(crate) port: u16,
    /// A page that may log in and open sockets, beside the gateway's own: `https://chat.example`.
    #[arg(
        long = "origin",
        env = "GATEWAY_ORIGIN",
        value_name = "URL",
        value_delimiter = ','
    )]
    pub(crate) origins: Vec<String>,
    /// The time between two steps of an agent.
    #[arg(long, env = "GATEWAY_PACE", value_name = "MS", default_value = "60", value_parser = time, allow_negative_numbers = true)]
    pub(crate) pace: Duration,
    /// The time between two heartbeats of a socket, which is closed after three without an answer.
    #[arg(long, env = "GATEWAY_BEAT", value_name = "MS", default_value = "15000", value_parser = positive)]
    pub(crate) beat: Duration,
    /// The life of a session from its log-in on.
    #[arg(long, env = "GATEWAY_SESSION", value_name = "MS", default_value = "43200000", value_parser = positive)]
    pub(crate) session: Duration,
    /// Sessions at a time.
    #[arg(
        long,
        env = "GATEWAY_SESSIONS",
        value_name = "NUMBER",
        default_value_t = 10_000
    )]
    pub(crate) sessions: usize,
    /// TCP connections at a time: sockets, requests, and those whose peer has still to close.
    #[arg(
        long,
        env = "GATEWAY_CONNECTIONS",
        value_name = "NUMBER",
        default_value_t = 4096
    )]
    pub(crate) connections: u16,
    /// Events of a user that are kept for a device: a power of two from 16. A device further behind is told
    /// how many it missed.
    #[arg(long, env = "GATEWAY_LANE", value_name = "NUMBER", default_value = "64", value_parser = lane)]
    pub(crate) lane: usize,
    /// The time that a user without a device is away, before the user is offline.
    #[arg(long, env = "GATEWAY_GRACE", value_name = "MS", default_value = "120000", value_parser = positive)]
    pub(crate) grace: Duration,
    /// Users without a device whose events are kept. Beyond it the user who left first is offline.
    #[arg(
        long,
        env = "GATEWAY_ABSENT",
        value_name = "NUMBER",
        default_value_t = 10_000
    )]
    pub(crate) absent: u16,
    /// The password of /stats: 16 to 128 of a-z, A-Z, 0-9, - and _. Without it, the gateway makes one and
    /// prints the page's address with it.
    #[arg(long, env = "GATEWAY_OPERATOR", hide_env_values = true, value_name = "PASSWORD", value_parser = password)]
    pub(crate) operator: Option<String>,
    /// A second port on 127.0.0.1, for the operator: metrics for Prometheus at /metrics.
    #[cfg(feature = "metrics")]
    #[arg(long, env = "GATEWAY_METRICS", value_name = "PORT")]
    pub(crate) metrics: Option<u16>,
    /// A server of NATS that joins this gateway with others: `nats://127.0.0.1:4222`.
    #[cfg_attr(
        feature = "nats",
        arg(long, env = "GATEWAY_CLUSTER", value_name = "URL")
    )]
    #[cfg_attr(not(feature = "nats"), arg(skip))]
    pub(crate) cluster: Option<String>,
}

fn time(text: &str) -> Result<Duration, ParseIntError> {
    text.parse().map(Duration::from_millis)
}

fn positive(text: &str) -> Result<Duration, ParseIntError> {
    let milliseconds: NonZeroU32 = text.parse()?;
    Ok(Duration::from_millis(milliseconds.get().into()))
}

fn lane(text: &str) -> Result<usize, String> {
    let events: usize = text.parse().map_err(|e: ParseIntError| e.to_string())?;
    let is_lane = events.is_power_of_two() && (16..=65_536).contains(&events);
    let wrong = || "not a power of two from 16 to 65536".to_owned();
    is_lane.then_some(events).ok_or_else(wrong)
}

fn password(text: &str) -> Result<String, String> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let is_password = (16..=128).contains(&text.len()) && text.chars().all(is_plain);
    let wrong = || "not 16 to 128 of a-z, A-Z, 0-9, - and _".to_owned();
    is_password.then(|| text.to_owned()).ok_or_else(wrong)
}
