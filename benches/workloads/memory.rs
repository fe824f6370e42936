//! What a user takes in memory.

use std::time::Duration;

use super::{Event, Round, Sample, name};
use crate::counting;
use crate::peers::{CAPACITY, Rival};

fn resident() -> f64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: Option<f64> = statm.split(' ').nth(1).and_then(|p| p.parse().ok());
    pages.unwrap_or(0.0) * 4096.0
}

/// W5: what a user costs who is connected and idle, before and after one event.
pub(super) fn memory<H: Rival<E>, E: Event>() -> Round {
    const USERS: usize = 1_000_000;
    Box::new(move || {
        let mut sample = Sample::default();
        let hub = H::new(CAPACITY);
        let source = E::source();
        let names: Vec<_> = (0..USERS).map(|u| hub.user(&name(u))).collect();
        let before = resident();
        let mut tabs: Vec<_> = names.iter().map(|user| hub.connect(user)).collect();
        let connected = resident();
        for (user, tab) in tabs.iter_mut().enumerate() {
            hub.publish(&names[user], E::make(&source, user));
            match hub.receive(tab) {
                Some(event) => sample.misrouted += usize::from(!event.is_for(user)),
                None => sample.lost += 1,
            }
        }
        let per_user = |bytes: f64| (bytes - before) / USERS as f64;
        sample.figures = vec![
            ("bytes/idle user", per_user(connected)),
            ("bytes/user after an event", per_user(resident())),
        ];
        sample
    })
}

/// The bytes in use and the resident ones.
#[derive(Clone, Copy)]
struct Memory {
    in_use: f64,
    resident: f64,
}

impl Memory {
    fn now() -> Self {
        counting::trim();
        Self {
            in_use: counting::in_use(),
            resident: resident(),
        }
    }

    fn and(self, more: Self) -> Self {
        Self {
            in_use: self.in_use + more.in_use,
            resident: self.resident + more.resident,
        }
    }

    /// The bytes allocated since `then`, for each of `users`.
    fn since(self, then: Self, users: usize) -> Self {
        Self {
            in_use: (self.in_use - then.in_use) / users as f64,
            resident: (self.resident - then.resident) / users as f64,
        }
    }
}

/// The figures of W10, in use and resident at each of four moments.
pub(crate) const BURST: [[&str; 2]; 4] = [
    ["bytes before", "resident before"],
    ["bytes full", "resident full"],
    ["bytes after", "resident after"],
    ["bytes after all at once", "resident after all at once"],
];

/// W10: what a burst leaves behind.
///
/// One user after another gets as many events of a kilobyte as a lane holds and reads them; then
/// come two sweeps, and that is "after". Only then a tenth of the users are full at the same time,
/// for all of them would take 6.6 GB; what that adds for each of these is "full", and what is left
/// of it when they have read and two more sweeps have passed is "after all at once".
pub(crate) fn burst<H: Rival<E>, E: Event>() -> Round {
    const USERS: usize = 100_000;
    const AT_ONCE: usize = USERS / 10;
    Box::new(move || {
        counting::start();
        let mut sample = Sample::default();
        let hub = H::new(CAPACITY);
        let source = E::source();
        let names: Vec<_> = (0..USERS).map(|u| hub.user(&name(u))).collect();
        let mut tabs = Vec::with_capacity(USERS);
        let nothing = Memory::now();
        tabs.extend(names.iter().map(|user| hub.connect(user)));
        let before = Memory::now();
        let fill = |user: usize| {
            for _ in 0..CAPACITY {
                hub.publish(&names[user], E::make(&source, user));
            }
        };
        let mut read = |user: usize, tab: &mut H::Tab| {
            let mut unread = CAPACITY;
            while let Some(event) = hub.receive(tab) {
                sample.misrouted += usize::from(!event.is_for(user));
                unread -= 1;
            }
            sample.lost += unread;
        };
        let sweep_twice = |from: u64| {
            hub.sweep(Duration::from_secs(from));
            hub.sweep(Duration::from_secs(from + 1));
        };
        for (user, tab) in tabs.iter_mut().enumerate() {
            fill(user);
            read(user, tab);
        }
        sweep_twice(1);
        let after = Memory::now();
        (0..AT_ONCE).for_each(fill);
        let full = Memory::now();
        for (user, tab) in tabs[..AT_ONCE].iter_mut().enumerate() {
            read(user, tab);
        }
        sweep_twice(3);
        let emptied = Memory::now();
        let settled = after.since(nothing, USERS);
        // A tenth of the users add memory of their own, on top of each user's.
        let moments = [
            before.since(nothing, USERS),
            settled.and(full.since(after, AT_ONCE)),
            settled,
            settled.and(emptied.since(after, AT_ONCE)),
        ];
        for (names, memory) in BURST.into_iter().zip(moments) {
            let values = [memory.in_use, memory.resident];
            sample.figures.extend(names.into_iter().zip(values));
        }
        sample
    })
}
