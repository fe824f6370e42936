//! `GET /stats`: the figures of the gateway, for its operator only.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, StatusCode};

use crate::Gateway;

/// The one who may see figures of all users. Known by a password, in the header `Authorization: Bearer`.
pub(crate) struct Operator(String);

impl Operator {
    /// With this password, or with one of 32 random bytes.
    pub(crate) fn new(password: Option<&str>) -> Result<Self, String> {
        if let Some(password) = password {
            return Ok(Self(password.to_owned()));
        }
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).map_err(|e| e.to_string())?;
        Ok(Self(hex::encode(bytes)))
    }

    pub(crate) fn password(&self) -> &str {
        &self.0
    }

    fn sent(&self, headers: &HeaderMap) -> bool {
        let sent = headers.get(AUTHORIZATION).and_then(|v| v.to_str().ok());
        let sent = sent.and_then(|text| text.strip_prefix("Bearer "));
        sent.is_some_and(|sent| is_same(sent.as_bytes(), self.0.as_bytes()))
    }
}

/// Looks at all bytes, so that the time says nothing of the first wrong one.
fn is_same(a: &[u8], b: &[u8]) -> bool {
    let differences = a.iter().zip(b).fold(0, |sum, (a, b)| sum | (a ^ b));
    a.len() == b.len() && differences == 0
}

#[derive(serde::Serialize)]
pub(crate) struct Stats {
    users: usize,
    connections: usize,
    sessions: usize,
    alert_subscribers: usize,
    accepted: u64,
    missed: u64,
    refused_no_connections: u64,
    absent_users: usize,
    unread_bytes: u64,
    broadcasts: u64,
    contaminations_prevented: u64,
    messages_routed: u64,
    frames_written: u64,
    bytes_written: u64,
    events_per_s: u64,
    bytes_per_s: u64,
    wait_p99_us: Option<u64>,
}

pub(crate) async fn stats(
    State(gateway): State<Arc<Gateway>>,
    headers: HeaderMap,
) -> Result<Json<Stats>, (StatusCode, &'static str)> {
    if !gateway.operator.sent(&headers) {
        return Err((StatusCode::UNAUTHORIZED, "for the operator only"));
    }
    // The hub counts these. It sums up `accepted` and `unread_bytes` below over the users, of which a gateway has
    // some thousands: a millisecond once a second.
    let stats = gateway.hub.stats();
    let broadcasts = gateway.broadcaster.stats();
    let rates = gateway.figures.rates();
    let (frames_written, bytes_written) = gateway.figures.written();
    Ok(Json(Stats {
        users: stats.users,
        connections: stats.connections,
        sessions: gateway.sessions.len(),
        alert_subscribers: gateway.quality.subscriber_count(),
        accepted: gateway.hub.accepted(),
        missed: stats.missed,
        refused_no_connections: stats.refused_no_connections,
        absent_users: stats.absent_users,
        unread_bytes: gateway.hub.unread_bytes(),
        broadcasts: broadcasts.total,
        contaminations_prevented: broadcasts.contaminations_prevented,
        messages_routed: gateway.messages.stats().routed,
        frames_written,
        bytes_written,
        events_per_s: rates.events_per_s,
        bytes_per_s: rates.bytes_per_s,
        wait_p99_us: rates.wait_p99_us,
    }))
}
