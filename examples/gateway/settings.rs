//! The settings, from the command line. `--help` prints them.

use std::num::{NonZeroU32, ParseIntError};
use std::time::Duration;

use clap::Parser;

/// A chat server with a simulated agent. Times are in milliseconds.
#[derive(Parser)]
#[command(name = "gateway")]
pub(crate) struct Settings {
    /// The port on 127.0.0.1. With 0 the system chooses one.
    #[arg(long, value_name = "NUMBER", default_value_t = 8080)]
    pub(crate) port: u16,
    /// A page that may log in and open sockets, beside the gateway's own: `https://chat.example`.
    #[arg(long = "origin", value_name = "URL")]
    pub(crate) origins: Vec<String>,
    /// The time between two steps of an agent.
    #[arg(long, value_name = "MS", default_value = "60", value_parser = time, allow_negative_numbers = true)]
    pub(crate) pace: Duration,
    /// The time between two heartbeats of a socket, which is closed after three without an answer.
    #[arg(long, value_name = "MS", default_value = "15000", value_parser = positive)]
    pub(crate) beat: Duration,
    /// The life of a session from its log-in on.
    #[arg(long, value_name = "MS", default_value = "43200000", value_parser = positive)]
    pub(crate) session: Duration,
    /// Sessions at a time.
    #[arg(long, value_name = "NUMBER", default_value_t = 10_000)]
    pub(crate) sessions: usize,
    /// TCP connections at a time: sockets, requests, and those whose peer has still to close.
    #[arg(long, value_name = "NUMBER", default_value_t = 4096)]
    pub(crate) connections: u16,
    /// A second port on 127.0.0.1, for the operator: metrics for Prometheus at /metrics.
    #[cfg(feature = "metrics")]
    #[arg(long, value_name = "PORT")]
    pub(crate) metrics: Option<u16>,
}

fn time(text: &str) -> Result<Duration, ParseIntError> {
    text.parse().map(Duration::from_millis)
}

fn positive(text: &str) -> Result<Duration, ParseIntError> {
    let milliseconds: NonZeroU32 = text.parse()?;
    Ok(Duration::from_millis(milliseconds.get().into()))
}
