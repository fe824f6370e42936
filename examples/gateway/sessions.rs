//! Sessions: each is one tab's, has an end, and is the only thing that says which user a tab is.
#![allow(clippy::disallowed_types)] // The host's own table of sessions, far from any delivery.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use laneway::UserId;

use crate::settings::Settings;

/// Sessions of one user: as many as the user may have tabs.
pub(crate) const PER_USER: usize = 32;

/// A tab that has logged in.
pub(crate) struct Session {
    token: String,
    pub(crate) user: UserId,
    since: Duration,
}

/// Why there is no session.
pub(crate) enum NoSession {
    /// All of the user's sessions have an open socket.
    TooManyOfUser,
    /// All sessions of the gateway have one.
    TooMany,
    /// The system has no random bytes.
    NoToken,
}

/// Sessions by token.
///
/// There are at most 32 of one user and `--sessions` of all. Where there is no room, the oldest session
/// without an open socket makes room: of the user's own if the user has too many. A session with an open
/// socket never does, so a flood of log-ins ends no tab that is in use. A session ends with a log-out, or
/// `--session` after its log-in.
pub(crate) struct Sessions {
    limit: usize,
    life: Duration,
    all: Mutex<HashMap<String, Arc<Session>>>,
}

impl Sessions {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            limit: settings.sessions,
            life: settings.session,
            all: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<Session>>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens a session and returns its token.
    pub(crate) fn open(&self, user: UserId, now: Duration) -> Result<String, NoSession> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).map_err(|_| NoSession::NoToken)?;
        let token = hex::encode(bytes);
        let mut all = self.lock();
        if !make_room(&mut all, PER_USER, |session| session.user == user) {
            return Err(NoSession::TooManyOfUser);
        }
        if !make_room(&mut all, self.limit, |_| true) {
            return Err(NoSession::TooMany);
        }
        let session = Session {
            token: token.clone(),
            user,
            since: now,
        };
        all.insert(token.clone(), Arc::new(session));
        Ok(token)
    }

    /// The session of a token. It counts as in use until the caller drops it.
    pub(crate) fn find(&self, token: &str, now: Duration) -> Option<Arc<Session>> {
        let session = self.lock().get(token).cloned();
        session.filter(|session| !self.is_over(session, now))
    }

    /// Whether a session that was found has not ended meanwhile.
    pub(crate) fn is_open(&self, session: &Session, now: Duration) -> bool {
        !self.is_over(session, now) && self.lock().contains_key(&session.token)
    }

    fn is_over(&self, session: &Session, now: Duration) -> bool {
        now.saturating_sub(session.since) >= self.life
    }

    /// Ends all sessions of a user.
    pub(crate) fn end_all(&self, user: &UserId) {
        self.lock().retain(|_, session| session.user != *user);
    }

    /// Ends the sessions that are over. Returns the users who have no session any more.
    pub(crate) fn sweep(&self, now: Duration) -> HashSet<UserId> {
        let mut gone = HashSet::new();
        let mut all = self.lock();
        all.retain(|_, session| {
            let over = self.is_over(session, now);
            if over {
                gone.insert(session.user.clone());
            }
            !over
        });
        for session in all.values() {
            gone.remove(&session.user);
        }
        gone
    }

    pub(crate) fn len(&self) -> usize {
        self.lock().len()
    }
}

/// Ends the oldest session without a socket if `limit` are there of those that `of` counts. Returns
/// whether there is room for one more.
fn make_room(
    all: &mut HashMap<String, Arc<Session>>,
    limit: usize,
    of: impl Fn(&Session) -> bool,
) -> bool {
    if all.values().filter(|session| of(session)).count() < limit {
        return true;
    }
    // A socket is a session's second owner.
    let idle = |session: &&Arc<Session>| of(session) && Arc::strong_count(session) == 1;
    let oldest = all
        .values()
        .filter(idle)
        .min_by_key(|session| session.since);
    match oldest.map(|session| session.token.clone()) {
        Some(token) => all.remove(&token).is_some(),
        None => false,
    }
}
