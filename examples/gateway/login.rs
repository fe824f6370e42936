//! Log-in and log-out. No passwords; this is an example.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, StatusCode};

use crate::close::LOGGED_OUT;
use crate::sessions::NoSession;
use crate::{Gateway, name};

/// JSON in UTF-8 spells each name in one way only. A form that is decoded leniently makes one name of all
/// bytes that are no UTF-8.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Credentials {
    name: String,
}

/// What a tab keeps for itself. A cookie would be shared by all tabs of a browser: with the second
/// log-in, the sockets of the first tab would come back as the second user's.
#[derive(serde::Serialize)]
pub(crate) struct LoggedIn {
    name: String,
    token: String,
}

type Refused = (StatusCode, String);

/// `POST /login`
pub(crate) async fn login(
    State(gateway): State<Arc<Gateway>>,
    Json(credentials): Json<Credentials>,
) -> Result<Json<LoggedIn>, Refused> {
    let user =
        name::parse(&credentials.name).map_err(|e| (StatusCode::BAD_REQUEST, e.to_string()))?;
    let name = user.as_str().to_owned();
    let now = gateway.clock.now();
    let token = gateway.sessions.open(user, now).map_err(|e| match e {
        NoSession::TooManyOfUser => (
            StatusCode::TOO_MANY_REQUESTS,
            "this name has too many open tabs: close one".to_owned(),
        ),
        NoSession::TooMany => (
            StatusCode::SERVICE_UNAVAILABLE,
            "there are too many open tabs: try again later".to_owned(),
        ),
        NoSession::NoToken => (
            StatusCode::INTERNAL_SERVER_ERROR,
            "no random bytes for a token".to_owned(),
        ),
    })?;
    Ok(Json(LoggedIn { name, token }))
}

/// `POST /logout`: ends every session and closes every tab of the user.
pub(crate) async fn logout(
    State(gateway): State<Arc<Gateway>>,
    headers: HeaderMap,
) -> Result<StatusCode, StatusCode> {
    let token = headers.get(AUTHORIZATION).and_then(|v| v.to_str().ok());
    let session = token
        .and_then(|text| text.strip_prefix("Bearer "))
        .and_then(|token| gateway.sessions.find(token, gateway.clock.now()))
        .ok_or(StatusCode::UNAUTHORIZED)?;
    gateway.sessions.end_all(&session.user);
    let scope = gateway.hub.scope(session.user.clone());
    gateway.quality.unsubscribe(&scope);
    gateway.rooms.forget(&session.user, gateway.clock.now());
    scope.disconnect_all(LOGGED_OUT);
    Ok(StatusCode::NO_CONTENT)
}
