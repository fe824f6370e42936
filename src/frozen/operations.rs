//! The operations in which a thread is stopped.
#![allow(clippy::unnecessary_wraps)] // All operations have one signature.
#![allow(clippy::wildcard_imports)] // The list names each of them.

mod host;
mod publish;
mod receive;

use host::*;
use publish::*;
use receive::*;

use super::world::{Event, World};
use super::{BLOCKS, CAPACITY, rooms};
use crate::Connection;

/// Whose connections an operation may close beside its own device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ends {
    Nothing,
    Ann,
    All,
}

/// The operation in which a thread is stopped, with a device of ann's.
pub(super) struct Operation {
    pub(super) name: &'static str,
    pub(super) capacity: usize,
    /// Events published before it, unread by its device.
    pub(super) backlog: usize,
    /// Ann has another device that is as late.
    pub(super) shared: bool,
    pub(super) ends: Ends,
    pub(super) run: Run,
}

type Device = Connection<Event>;
type Run = fn(&World, Device) -> Option<Device>;

/// In a lane of four.
const fn small(name: &'static str, backlog: usize, shared: bool, run: Run) -> Operation {
    Operation {
        name,
        capacity: CAPACITY,
        backlog,
        shared,
        ends: Ends::Nothing,
        run,
    }
}

/// In a lane whose bursts take several blocks.
const fn burst(name: &'static str, backlog: usize, shared: bool, run: Run) -> Operation {
    Operation {
        capacity: BLOCKS,
        ..small(name, backlog, shared, run)
    }
}

/// In a lane of four that it may end.
const fn ending(name: &'static str, backlog: usize, ends: Ends, run: Run) -> Operation {
    Operation {
        ends,
        ..small(name, backlog, true, run)
    }
}

pub(super) const OPERATIONS: &[Operation] = &[
    // Publishing.
    small("publish", 0, false, publish),
    small("publish that overwrites", CAPACITY, true, publish),
    small(
        "publish_critical that overwrites",
        CAPACITY,
        true,
        publish_critical,
    ),
    small("try_publish", 0, false, try_publish),
    small("try_publish to a full lane", CAPACITY, true, try_publish),
    small("publish_batch", 1, true, publish_batch),
    small("publish_latest of two keys", 0, true, publish_latest),
    burst("publish_latest, and receive", 0, true, latest_and_receive),
    small("publish_barrier", 1, true, publish_barrier),
    small("publish until a deadline", 0, true, publish_until),
    small("publish to one device", 0, true, publish_to_one),
    small("publish to a thread", 0, true, publish_to_thread),
    small("attach to a thread", 1, true, attach),
    small("detach from a thread", 1, true, detach),
    small("attach by the user", 0, true, attach_by_user),
    small("publish to the others", 0, true, publish_to_others),
    small(
        "publish_critical to an absent user",
        0,
        false,
        publish_to_absent,
    ),
    burst("publish of a burst", 0, false, publish_burst),
    burst("publish at the end of a block", 16, true, publish),
    burst("publish behind the end of a block", 17, true, publish),
    burst("publish in the third block", 33, true, publish),
    burst(
        "publish that overwrites a block",
        BLOCKS + 16,
        true,
        publish,
    ),
    // Receiving.
    small("receive, one reader of two", 1, true, receive),
    small("receive, last reader", 1, false, receive),
    small("receive, lapped", CAPACITY + 1, true, receive_all),
    burst("receive at the end of a block", 16, false, receive_all),
    burst("receive behind the end of a block", 17, true, receive_all),
    burst("receive in the middle of a burst", 33, true, receive_some),
    burst("receive, lapped by blocks", BLOCKS + 33, true, receive_some),
    burst("visit", 17, false, visit),
    burst("receive, merged", 33, true, receive_merged),
    small(
        "receive, merged up to a gap",
        CAPACITY + 1,
        true,
        receive_merged,
    ),
    burst("drain", 17, true, drain_some),
    small("poll, sleep and wake", 0, false, poll),
    small("wait with a timeout", 0, false, wait),
    // Coming and going.
    small("connect", 0, false, connect),
    small("resume", 2, true, resume),
    burst("resume of a burst", 33, true, resume),
    small("resume in the place of a live connection", 2, true, succeed),
    burst("resume in the place of one in a burst", 33, true, succeed),
    small("recover", 0, false, recover),
    small("recover and receive", 0, false, recover_absent),
    small("drop a connection", 2, true, leave),
    burst("drop a connection in a burst", 17, true, leave),
    burst("drop the last reader of a burst", 33, false, leave),
    small("disconnect from outside", 2, true, disconnect),
    burst("disconnect from outside in a burst", 17, true, disconnect),
    // Sweeping and ending.
    small("sweep", 2, true, sweep),
    small("tell of all users", 2, true, tell_of_all),
    small("laggards", 2, true, laggards),
    small("subscribe, and tell of a connect", 0, true, subscribe),
    burst("sweep after a burst", 33, false, sweep_after_burst),
    ending(
        "sweep that closes overrun connections",
        1,
        Ends::Ann,
        sweep_overrun,
    ),
    ending(
        "sweep that ends an absent lane",
        0,
        Ends::Nothing,
        sweep_absent,
    ),
    ending(
        "end the lane of an absent user",
        0,
        Ends::Nothing,
        end_absent,
    ),
    // Rooms.
    small("join a room", 0, true, rooms::join),
    small(
        "leave a room, and join it again",
        0,
        true,
        rooms::leave_and_join,
    ),
    small("watch rooms, join one and leave it", 0, true, rooms::watch),
    small("publish to a room", 1, true, rooms::publish_to_room),
    small(
        "publish_critical to two rooms",
        1,
        true,
        rooms::publish_to_two,
    ),
    small("forget the rooms of a user", 0, true, rooms::forget),
    small("members of a room", 0, true, rooms::members),
    ending("disconnect_all", 2, Ends::Ann, disconnect_all),
    ending("revoke", 2, Ends::Ann, revoke),
    small("publish by a weaker scope", 0, true, publish_weaker),
    small("ask, answer and take the answer", 0, true, ask_and_answer),
    small("ask and give up", 0, true, ask_and_give_up),
    ending("shutdown", 2, Ends::All, shutdown),
    ending("drain", 2, Ends::All, drain_hub),
];
