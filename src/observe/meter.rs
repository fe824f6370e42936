//! Metrics, with all names. `laneway::observability` has them in one table.
//!
//! A label has one of the words in `words.rs`. No label has a user, a connection, or a word that a client
//! chose, so the number of series is fixed.

use metrics::{
    Key, Label, Level, Metadata, Unit, counter, describe_counter, describe_gauge,
    describe_histogram, gauge, histogram, with_recorder,
};

use super::words;
use crate::error::{CloseReason, ConnectError, ResumeError};
use crate::id::{ConnectionId, UserId};
use crate::retention::Resumed;
use crate::stats::HubStats;

const CONNECTS: &str = "laneway_connects_total";
const CONNECTS_REFUSED: &str = "laneway_connects_refused_total";
const RESUMES: &str = "laneway_resumes_total";
const CLOSES: &str = "laneway_closes_total";
const GAPS: &str = "laneway_gaps_total";
const CONTAMINATIONS: &str = "laneway_contaminations_total";
const GAP_MISSED: &str = "laneway_gap_missed_events";
const UNREAD: &str = "laneway_close_unread_events";
const FAN_OUT: &str = "laneway_publish_connections";
const USERS: &str = "laneway_users";
const CONNECTIONS: &str = "laneway_connections";
const ABSENT: &str = "laneway_absent_users";
const ACCEPTED: &str = "laneway_publishes_accepted_total";
const REFUSED: &str = "laneway_publishes_refused_total";
const MISSED: &str = "laneway_missed_events_total";

static METADATA: Metadata<'static> = Metadata::new("laneway", Level::INFO, Some("laneway"));

// Keys of what each connect and each close records. The macros would make a new key at each call, and
// allocate its label.
static CONNECTS_KEY: Key = Key::from_static_name(CONNECTS);
static UNREAD_KEY: Key = Key::from_static_name(UNREAD);
static DROPPED_LABEL: [Label; 1] = [Label::from_static_parts("reason", "dropped")];
static DROPPED_KEY: Key = Key::from_static_parts(CLOSES, &DROPPED_LABEL);

pub(super) fn connected(_: &UserId, _: ConnectionId) {
    with_recorder(|recorder| {
        let connects = recorder.register_counter(&CONNECTS_KEY, &METADATA);
        connects.increment(1);
    });
}

pub(super) fn connect_refused(_: &UserId, why: &ConnectError) {
    counter!(CONNECTS_REFUSED, "reason" => words::of_connect(why)).increment(1);
}

pub(super) fn resumed(_: &UserId, _: ConnectionId, result: &Resumed) {
    counter!(RESUMES, "result" => words::of_result(result)).increment(1);
}

pub(super) fn resume_refused(_: &UserId, why: &ResumeError) {
    counter!(CONNECTS_REFUSED, "reason" => words::of_resume(why)).increment(1);
}

#[allow(clippy::cast_precision_loss)] // Beyond 2^53 unread events.
pub(super) fn closed(_: &UserId, _: ConnectionId, reason: CloseReason, unread: impl Fn() -> u64) {
    with_recorder(|recorder| {
        // Most closes are by the owner. The other reasons are rare.
        let closes = if reason == CloseReason::Dropped {
            recorder.register_counter(&DROPPED_KEY, &METADATA)
        } else {
            counter!(CLOSES, "reason" => words::of_close(reason))
        };
        closes.increment(1);
        let at_close = recorder.register_histogram(&UNREAD_KEY, &METADATA);
        at_close.record(unread() as f64);
    });
}

#[allow(clippy::cast_precision_loss)] // Beyond 2^53 missed events.
pub(super) fn gap(_: &UserId, _: ConnectionId, missed: u64) {
    counter!(GAPS).increment(1);
    histogram!(GAP_MISSED).record(missed as f64);
}

pub(super) fn published(_: &UserId, _: u64, connections: u8) {
    histogram!(FAN_OUT).record(f64::from(connections));
}

pub(super) fn contaminated(_: usize, _: Option<&'static str>) {
    counter!(CONTAMINATIONS).increment(1);
}

/// Records the figures that the hub counts anyway, for [`Hub::record_metrics`](crate::Hub::record_metrics).
#[allow(clippy::cast_precision_loss)] // Beyond 2^53 users.
pub(crate) fn record(stats: &HubStats) {
    super::caught(|| {
        describe();
        gauge!(USERS).set(stats.users as f64);
        gauge!(CONNECTIONS).set(stats.connections as f64);
        gauge!(ABSENT).set(stats.absent_users as f64);
        counter!(MISSED).absolute(stats.missed);
        for (reason, count) in [
            ("no_connections", stats.refused_no_connections),
            ("full", stats.refused_full),
            ("over_budget", stats.refused_over_budget),
            ("rate_limited", stats.refused_rate_limited),
            ("closed", stats.refused_closed),
            ("revoked", stats.refused_revoked),
            ("not_allowed", stats.refused_not_allowed),
        ] {
            counter!(REFUSED, "reason" => reason).absolute(count);
        }
    });
}

/// Records what lanes have accepted, for [`Hub::record_accepted`](crate::Hub::record_accepted).
pub(crate) fn record_accepted(accepted: u64) {
    super::caught(|| counter!(ACCEPTED).absolute(accepted));
}

fn describe() {
    for (name, what) in [
        (
            CONNECTS,
            "Connections that were opened, resumed ones included",
        ),
        (CONNECTS_REFUSED, "Connects and resumes that were refused"),
        (RESUMES, "Resumes that were not refused"),
        (CLOSES, "Connections that were closed"),
        (GAPS, "Gaps that connections have received"),
        (CONTAMINATIONS, "Bodies that named another user"),
        (ACCEPTED, "Events that lanes have accepted"),
        (REFUSED, "Events that went back to their publishers"),
        (MISSED, "Numbers in the gaps of all connections"),
    ] {
        describe_counter!(name, Unit::Count, what);
    }
    describe_gauge!(USERS, Unit::Count, "Users online");
    describe_gauge!(CONNECTIONS, Unit::Count, "Live connections");
    describe_gauge!(
        ABSENT,
        Unit::Count,
        "Users without a connection whose lanes are kept"
    );
    describe_histogram!(GAP_MISSED, Unit::Count, "Numbers in one gap");
    describe_histogram!(
        UNREAD,
        Unit::Count,
        "Numbers that a connection had not read when it was closed"
    );
    describe_histogram!(
        FAN_OUT,
        Unit::Count,
        "Connections that one publish of the sample is for"
    );
}
