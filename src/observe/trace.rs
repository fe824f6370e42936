//! Events of `tracing`. `laneway::observability` has them in one table.
//!
//! A user's id is a field of `DEBUG` events only. An event of a level above `DEBUG` has none, so a host that
//! sends these elsewhere sends no ids. No event has a payload, or a word that a client chose.

use tracing::{debug, info, warn};

use super::words;
use crate::drain::progress::DrainPhase;
use crate::error::{CloseReason, ConnectError, PublishError, ResumeError};
use crate::id::{ConnectionId, UserId};
use crate::retention::Resumed;

const CONNECTION: &str = "laneway::connection";
const PUBLISH: &str = "laneway::publish";
const PROTOCOL: &str = "laneway::protocol";
const HUB: &str = "laneway::hub";

pub(super) fn connected(user: &UserId, connection: ConnectionId) {
    debug!(target: CONNECTION, user = user.as_str(), connection = connection.0, "connected");
}

pub(super) fn connect_refused(user: &UserId, why: &ConnectError) {
    let reason = words::of_connect(why);
    debug!(target: CONNECTION, user = user.as_str(), reason, "connect refused");
}

pub(super) fn resumed(user: &UserId, connection: ConnectionId, result: &Resumed) {
    let missed = match result {
        Resumed::Gap { missed, .. } => Some(*missed),
        Resumed::Complete { .. } => Some(0),
        // The hub does not know what the device had.
        Resumed::Reset => None,
    };
    debug!(
        target: CONNECTION,
        user = user.as_str(),
        connection = connection.0,
        result = words::of_result(result),
        missed,
        "resumed"
    );
}

pub(super) fn resume_refused(user: &UserId, why: &ResumeError) {
    let reason = words::of_resume(why);
    debug!(target: CONNECTION, user = user.as_str(), reason, "resume refused");
}

pub(super) fn closed(
    user: &UserId,
    connection: ConnectionId,
    reason: CloseReason,
    unread: impl Fn() -> u64,
) {
    let code = match reason {
        CloseReason::Disconnected { code } => Some(code),
        _ => None,
    };
    debug!(
        target: CONNECTION,
        user = user.as_str(),
        connection = connection.0,
        reason = words::of_close(reason),
        code,
        unread = unread(),
        "closed"
    );
}

pub(super) fn gap(user: &UserId, connection: ConnectionId, missed: u64) {
    debug!(target: CONNECTION, user = user.as_str(), connection = connection.0, missed, "gap");
}

pub(super) fn published(user: &UserId, number: u64, connections: u8) {
    debug!(target: PUBLISH, user = user.as_str(), number, connections, "published");
}

pub(super) fn publish_refused<E>(user: &UserId, why: &PublishError<E>) {
    let reason = words::of_publish(why);
    debug!(target: PUBLISH, user = user.as_str(), reason, "publish refused");
}

pub(super) fn contaminated(fields: usize, first: Option<&'static str>) {
    warn!(target: PROTOCOL, fields, first, "contaminated");
}

pub(super) fn shut_down(lanes: usize) {
    info!(target: HUB, lanes, "shut down");
}

pub(super) fn drain_begun(connections: usize) {
    info!(target: HUB, connections, "drain begun");
}

pub(super) fn drain_reached(phase: DrainPhase) {
    let phase = match phase {
        DrainPhase::Telling => "telling",
        DrainPhase::Delivering => "delivering",
        DrainPhase::Closing => "closing",
        DrainPhase::Cutting => "cutting",
        DrainPhase::Drained => "drained",
    };
    info!(target: HUB, phase, "drain phase");
}
