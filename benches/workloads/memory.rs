//! What a user takes in memory.

use super::{Event, Round, Sample, name};
use crate::peers::{CAPACITY, Hub};

fn resident() -> f64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: Option<f64> = statm.split(' ').nth(1).and_then(|p| p.parse().ok());
    pages.unwrap_or(0.0) * 4096.0
}

/// W5: what a user costs who is connected and idle, before and after one event.
pub(super) fn memory<H: Hub<E>, E: Event>() -> Round {
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
