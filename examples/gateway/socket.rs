//! `GET /ws`: from a request to a tab, or to the close code that says why not.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::QueryRejection;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{Query, State};
use axum::response::Response;
use laneway::protocol::Packet;
use laneway::{Connection, Position, ResumeError, Resumed, UserScope};

use crate::Gateway;
use crate::close::Close;
use crate::tab::{self, Attached, Tab};

/// What the gateway speaks. A page offers it, and the token of its session beside it: the protocol is the
/// one header that a page can set, and it is not a part of the address, which is written to logs.
const PROTOCOL: &str = "laneway";
/// A client's message. A frame is refused by its header, before there is room for its content.
const MESSAGE_BYTES: usize = 64 * 1024;
const READ_BYTES: usize = 1024;
/// An event, which is longer than the message that it tells of by a name and a few numbers.
const WRITE_BYTES: usize = 1024 * 1024;
/// The longest that a test may ask a tab to take for an event. The tab sees neither its peer's end nor the
/// gateway's meanwhile.
const SLOWEST: Duration = Duration::from_millis(100);

/// What a tab asks for.
#[derive(serde::Deserialize)]
pub(crate) struct Wishes {
    /// For tests: the milliseconds that this tab takes for each event.
    #[serde(default)]
    slow: u64,
    /// How far the page has come, if it has been here before.
    position: Option<String>,
}

/// `GET /ws`. Browsers hide the status of a refused handshake from their pages. So the gateway first
/// accepts the socket, and then closes it with the code that says why.
pub(crate) async fn upgrade(
    State(gateway): State<Arc<Gateway>>,
    wishes: Result<Query<Wishes>, QueryRejection>,
    request: WebSocketUpgrade,
) -> Response {
    let token = token(&request);
    request
        .protocols([PROTOCOL])
        .max_frame_size(MESSAGE_BYTES)
        .max_message_size(MESSAGE_BYTES)
        .read_buffer_size(READ_BYTES)
        .write_buffer_size(0)
        .max_write_buffer_size(WRITE_BYTES)
        .on_upgrade(async move |socket| match enter(gateway, &token, wishes) {
            Ok(entered) => entered.serve(socket).await,
            Err(refused) => tab::close(socket, refused).await,
        })
}

fn token(request: &WebSocketUpgrade) -> String {
    let offered = request.requested_protocols();
    let mut offered = offered.filter_map(|value| value.to_str().ok());
    let token = offered.find(|offer| *offer != PROTOCOL);
    token.unwrap_or_default().to_owned()
}

fn enter(
    gateway: Arc<Gateway>,
    token: &str,
    wishes: Result<Query<Wishes>, QueryRejection>,
) -> Result<Tab, Close> {
    let Query(wishes) = wishes.map_err(|e| Close::malformed(e.body_text()))?;
    let slow = Duration::from_millis(wishes.slow);
    if slow > SLOWEST {
        return Err(Close::malformed("a tab takes at most 100 ms"));
    }
    let position = wishes.position.as_deref().map(str::parse::<Position>);
    let position = position.transpose().map_err(Close::malformed)?;
    let now = gateway.clock.now();
    let session = gateway.sessions.find(token, now);
    let session = session.ok_or_else(Close::no_session)?;
    let scope = gateway.hub.scope(session.user.clone());
    // Before the connection, so that it is dropped after it also where this function ends early.
    let here = gateway.absent.is_back(session.user.clone());
    let (connection, resumed) = attach(&scope, position.as_ref())?;
    // A log-out between `find` and `attach` has not seen this connection; a later one does.
    if !gateway.sessions.is_open(&session, now) {
        return Err(Close::no_session());
    }
    let attached = Attached {
        scope,
        connection,
        resumed,
        here,
    };
    Ok(Tab::new(gateway, session, attached, slow))
}

/// A page that has been here before goes on where it was. The first connection gets the critical events
/// that came while the user had none.
fn attach(
    scope: &UserScope<Packet>,
    position: Option<&Position>,
) -> Result<(Connection<Packet>, Option<Resumed>), ResumeError> {
    let (mut connection, resumed) = match position {
        None => (scope.connect()?, None),
        Some(position) => {
            let (connection, resumed) = scope.resume(position)?;
            (connection, Some(resumed))
        }
    };
    // Critical events that the lane has dropped were never this tab's, so it is not told of them.
    let _ = connection.recover();
    Ok((connection, resumed))
}
