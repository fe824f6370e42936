//! Who is who: a name for a token in a cookie. No passwords; this is an example.
#![allow(clippy::disallowed_types)] // The host's own table of sessions, far from any delivery.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::{Form, State};
use axum::http::header::{COOKIE, SET_COOKIE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use laneway::UserId;

use crate::Gateway;

/// Sessions at a time.
const SESSIONS: usize = 100_000;
/// Tells a tab that its user logged out.
const LOGGED_OUT: u16 = 4001;

/// Somebody who has logged in.
#[derive(Clone)]
pub(crate) struct Session {
    pub(crate) token: String,
    pub(crate) user: UserId,
}

/// Sessions by token.
#[derive(Default)]
pub(crate) struct Sessions(Mutex<HashMap<String, Session>>);

impl Sessions {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Session>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The session of a request.
    pub(crate) fn find(&self, headers: &HeaderMap) -> Option<Session> {
        let token = headers
            .get_all(COOKIE)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(';'))
            .find_map(|pair| pair.trim().strip_prefix("laneway="))?;
        self.lock().get(token).cloned()
    }

    /// Whether the session has not been ended meanwhile.
    pub(crate) fn is_valid(&self, session: &Session) -> bool {
        self.lock().contains_key(&session.token)
    }
}

/// As many random bytes as make a token that nobody guesses, in hexadecimal digits.
pub(crate) fn random_token<const BYTES: usize>() -> Result<String, StatusCode> {
    let mut bytes = [0; BYTES];
    getrandom::fill(&mut bytes).map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    Ok(hex::encode(bytes))
}

#[derive(serde::Deserialize)]
pub(crate) struct Credentials {
    name: String,
}

/// `POST /login`
pub(crate) async fn login(
    State(gateway): State<Arc<Gateway>>,
    Form(credentials): Form<Credentials>,
) -> Result<Response, Response> {
    let user = UserId::new(credentials.name)
        .map_err(|e| (StatusCode::BAD_REQUEST, e.to_string()).into_response())?;
    let token = random_token::<32>().map_err(IntoResponse::into_response)?;
    let session = Session {
        token: token.clone(),
        user,
    };
    let mut sessions = gateway.sessions.lock();
    if sessions.len() >= SESSIONS {
        return Err((StatusCode::SERVICE_UNAVAILABLE, "too many sessions").into_response());
    }
    sessions.insert(token.clone(), session);
    drop(sessions);
    let cookie = format!("laneway={token}; HttpOnly; SameSite=Strict; Path=/");
    Ok(([(SET_COOKIE, cookie)], Redirect::to("/")).into_response())
}

/// `POST /logout`: ends every session and closes every tab of the user.
pub(crate) async fn logout(
    State(gateway): State<Arc<Gateway>>,
    headers: HeaderMap,
) -> Result<Redirect, StatusCode> {
    let session = gateway
        .sessions
        .find(&headers)
        .ok_or(StatusCode::UNAUTHORIZED)?;
    gateway
        .sessions
        .lock()
        .retain(|_, s| s.user != session.user);
    let scope = gateway.router.scope(session.user);
    gateway.quality.unsubscribe(&scope);
    scope.disconnect_all(LOGGED_OUT);
    Ok(Redirect::to("/"))
}

/// `GET /me`: the name of whoever asks.
pub(crate) async fn me(
    State(gateway): State<Arc<Gateway>>,
    headers: HeaderMap,
) -> Result<String, StatusCode> {
    gateway
        .sessions
        .find(&headers)
        .map(|session| session.user.as_str().to_owned())
        .ok_or(StatusCode::UNAUTHORIZED)
}
