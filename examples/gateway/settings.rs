//! What the command line sets.

use std::time::Duration;

pub(crate) const USAGE: &str = "usage: gateway [--port NUMBER] [--origin URL]... [--pace MILLISECONDS] \
[--beat MILLISECONDS] [--session MILLISECONDS] [--sessions NUMBER] [--connections NUMBER]";

/// Each has a default, so that the program runs without arguments.
pub(crate) struct Settings {
    /// Where the gateway listens on 127.0.0.1. With 0 the system chooses.
    pub(crate) port: u16,
    /// Pages that may log in and open sockets, beside the gateway's own: `https://chat.example`.
    pub(crate) origins: Vec<String>,
    /// The time between two steps of an agent.
    pub(crate) pace: Duration,
    /// The time between two heartbeats of a socket, which is closed after three without an answer.
    pub(crate) beat: Duration,
    /// How long a session lasts from its log-in on.
    pub(crate) session: Duration,
    /// Sessions at a time.
    pub(crate) sessions: usize,
    /// TCP connections at a time: sockets, requests, and those whose peer has still to close.
    pub(crate) connections: u16,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            port: 8080,
            origins: Vec::new(),
            pace: Duration::from_millis(60),
            beat: Duration::from_secs(15),
            session: Duration::from_secs(12 * 60 * 60),
            sessions: 10_000,
            connections: 4096,
        }
    }
}

impl Settings {
    /// Reads the arguments behind the program's name.
    pub(crate) fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut settings = Self::default();
        while let Some(name) = arguments.next() {
            let value = arguments
                .next()
                .ok_or_else(|| format!("{name}: no value"))?;
            match name.as_str() {
                "--port" => settings.port = number(&name, &value)?,
                "--origin" => settings.origins.push(value),
                "--pace" => settings.pace = Duration::from_millis(number(&name, &value)?),
                "--beat" => settings.beat = positive(&name, &value)?,
                "--session" => settings.session = positive(&name, &value)?,
                "--sessions" => settings.sessions = number(&name, &value)?,
                "--connections" => settings.connections = number(&name, &value)?,
                _ => return Err(format!("{name}: no such option")),
            }
        }
        Ok(settings)
    }
}

fn number<N: std::str::FromStr<Err = std::num::ParseIntError>>(
    name: &str,
    value: &str,
) -> Result<N, String> {
    value.parse().map_err(|e| format!("{name} {value}: {e}"))
}

fn positive(name: &str, value: &str) -> Result<Duration, String> {
    let milliseconds = number::<std::num::NonZeroU32>(name, value)?;
    Ok(Duration::from_millis(milliseconds.get().into()))
}
