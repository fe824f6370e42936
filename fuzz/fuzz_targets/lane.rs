//! One user, tiny capacities, three devices: laps, gaps, critical events and wrap-around, a byte a
//! call, so that the input is mostly about the order of calls.
#![no_main]

#[path = "../../tests/common/mod.rs"]
mod common;

use common::model::budgets::Budgets;
use common::model::{How, Settings};
use common::script::call::For;
use common::script::{Call, run};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((first, rest)) = input.split_first() else {
        return;
    };
    let settings = Settings {
        capacity: 2 << (first % 3),
        max_connections: 3,
        evict_oldest: first & 8 != 0,
        max_users: 1,
        idle_timeout_ms: None,
        retention: None,
        keeps_members: false,
        conflation: None,
        budgets: Budgets::default(),
    };
    let call = |byte: &u8| {
        let at = byte >> 4;
        match byte & 15 {
            0..=3 => Call::Publish(0, How::Overwriting, For::All),
            4 => Call::Publish(0, How::Refusing, For::All),
            5 | 6 => Call::Publish(0, How::Critical, For::All),
            7 => Call::Publish(0, How::Overwriting, For::Others(at)),
            8 => Call::Batch(0, at),
            9 | 10 => Call::Receive(at),
            11 => Call::Visit(at, 4),
            12 => Call::Drain(at, 3),
            13 => Call::Connect(0),
            14 => Call::Drop(at),
            _ => Call::Sweep(1),
        }
    };
    let calls: Vec<_> = rest.iter().take(300).map(call).collect();
    run(settings, &calls);
});
