//! Devices that stand still, and hold the bytes of a lane that has no room for more.

use std::collections::HashMap;

use laneway::protocol::Packet;
use laneway::{Hub, UserId};

use crate::close::TOO_MANY_BYTES;

/// Bytes of one user's events that are kept for a reload.
pub(crate) const KEPT_BYTES: usize = 512 * 1024;
/// Bytes of one user's events, kept or unread. Beyond it the lane refuses an event.
pub(crate) const LANE_BYTES: u64 = 2 * KEPT_BYTES as u64;
/// More than a lane has that is read: what is kept, and what is on its way to devices that keep up.
const FULL_BYTES: u64 = LANE_BYTES / 4 * 3;

/// Events that a device has at least to read if it stands still.
const FEW: u64 = 8;
/// Looks for which a user is left alone after devices were closed: until those have given their bytes back.
const REST: u8 = 8;

/// The users whose devices were closed in the last looks, with the looks that are left.
pub(crate) type Resting = HashMap<UserId, u8>;

/// Closes the devices that hold a lane of more than 768 KiB: the slowest one, and those with half as much to
/// read. Without this a device that stands still would fill the lane, and the user's other devices would
/// receive nothing more.
pub(crate) fn close(hub: &Hub<Packet>, resting: &mut Resting) {
    resting.retain(|_, looks| {
        *looks -= 1;
        *looks > 0
    });
    hub.for_each_user(|user, _| {
        if resting.contains_key(user) {
            return;
        }
        let scope = hub.scope(user.clone());
        let devices = scope.connections();
        if devices
            .first()
            .is_none_or(|any| any.lane_bytes <= FULL_BYTES)
        {
            return;
        }
        let most = devices.iter().map(|device| device.unread).max();
        let is_slow = |unread| unread >= FEW && most.is_some_and(|most| unread > most / 2);
        for device in devices.iter().filter(|device| is_slow(device.unread)) {
            if scope.disconnect(device.id, TOO_MANY_BYTES) {
                resting.insert(user.clone(), REST);
            }
        }
    });
}
