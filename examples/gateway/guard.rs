//! What every request passes first: its host, its origin, its deadline.

use std::sync::Arc;

use axum::body::HttpBody;
use axum::extract::{Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONNECTION, CONTENT_SECURITY_POLICY, HOST, ORIGIN, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio::time::timeout;

use crate::server::REQUEST;

/// The page runs its own script and talks to its own server; no other page may frame it.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);

/// Longest body of a request.
pub(crate) const BODY_BYTES: usize = 4096;

const TOO_LONG: Refusal = (StatusCode::PAYLOAD_TOO_LARGE, "the body is too long");
const LATE: Refusal = (
    StatusCode::REQUEST_TIMEOUT,
    "the request did not come in time",
);

type Refusal = (StatusCode, &'static str);

/// The pages that may use the gateway: `http://127.0.0.1:8080`.
pub(crate) struct Origins(Vec<String>);

impl Origins {
    /// The gateway's own on `port`, and those that the host allows.
    pub(crate) fn new(port: u16, allowed: Vec<String>) -> Result<Self, String> {
        let is_origin = |origin: &String| match origin.split_once("://") {
            Some(("http" | "https", host)) => !host.is_empty() && !host.contains(['/', ' ']),
            _ => false,
        };
        if let Some(wrong) = allowed.iter().find(|origin| !is_origin(origin)) {
            return Err(format!(
                "--origin {wrong}: not of the form http://host:port"
            ));
        }
        let own = ["127.0.0.1", "localhost"].map(|host| format!("http://{host}:{port}"));
        Ok(Self(own.into_iter().chain(allowed).collect()))
    }

    /// A page of another site can give its own name the gateway's address (DNS rebinding). Its requests
    /// then name it as their host, and as their origin, so that the two agree.
    fn has_host(&self, host: &HeaderValue) -> bool {
        let hosts = self.0.iter().filter_map(|origin| origin.split_once("://"));
        hosts
            .into_iter()
            .any(|(_, name)| name.as_bytes().eq_ignore_ascii_case(host.as_bytes()))
    }

    /// Browsers name the page that sends a request. Programs that are no browsers name none.
    fn has_origin(&self, origin: &HeaderValue) -> bool {
        self.0
            .iter()
            .any(|allowed| allowed.as_bytes() == origin.as_bytes())
    }

    fn check(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let mut hosts = headers.get_all(HOST).iter();
        if !hosts.next().is_some_and(|host| self.has_host(host)) || hosts.next().is_some() {
            return Err((
                StatusCode::MISDIRECTED_REQUEST,
                "not the host of this server",
            ));
        }
        if !headers
            .get_all(ORIGIN)
            .iter()
            .all(|origin| self.has_origin(origin))
        {
            return Err((StatusCode::FORBIDDEN, "another site's page"));
        }
        Ok(())
    }
}

/// Refuses strangers, and bodies that are too long or do not come in time.
pub(crate) async fn guard(
    State(origins): State<Arc<Origins>>,
    request: Request,
    next: Next,
) -> Response {
    let mut response = match origins.check(request.headers()) {
        Err(refused) => refused.into_response(),
        // By its announced length. The limit of what comes is axum's `DefaultBodyLimit`.
        Ok(()) if request.body().size_hint().lower() > BODY_BYTES as u64 => {
            TOO_LONG.into_response()
        }
        Ok(()) => {
            let answer = timeout(REQUEST, next.run(request)).await;
            answer.unwrap_or_else(|_| LATE.into_response())
        }
    };
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, POLICY);
    for (name, value) in [
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (REFERRER_POLICY, "no-referrer"),
        // A log-in's answer is a token.
        (CACHE_CONTROL, "no-store"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    // A handshake has a connection header of its own.
    let close = HeaderValue::from_static("close");
    headers.entry(CONNECTION).or_insert(close);
    response
}
