//! Any script of calls by several users, with payloads that know whose they are: a receiver that
//! sees another user's payload, or anything else that the model does not expect, is a crash.
#![no_main]

#[path = "../../tests/common/mod.rs"]
mod common;

use arbitrary::{Arbitrary, Result, Unstructured};
use common::model::{How, Settings};
use common::script::{Call, For, run};
use libfuzzer_sys::fuzz_target;

#[derive(Debug)]
struct Script {
    settings: Settings,
    calls: Vec<Call>,
}

impl<'a> Arbitrary<'a> for Script {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let settings = Settings {
            capacity: 1 << u.int_in_range(1..=4)?,
            max_connections: u.int_in_range(1..=3)?,
            evict_oldest: u.arbitrary()?,
            max_users: u.int_in_range(2..=3)?,
            idle_timeout_ms: u.arbitrary::<bool>()?.then_some(100),
        };
        let mut calls = Vec::new();
        while !u.is_empty() && calls.len() < 200 {
            let who = u.arbitrary()?;
            calls.push(match u.int_in_range(0..=40)? {
                0..=3 => Call::Connect(who),
                4 | 5 => Call::ConnectWith(who, u.arbitrary()?),
                6..=18 => Call::Publish(who, how(u)?, to(u)?),
                19 => Call::Batch(who, u.arbitrary()?),
                20..=26 => Call::Receive(who),
                27 | 28 => Call::Drain(who, u.int_in_range(0..=8)?),
                29 | 30 => Call::Visit(who, u.int_in_range(0..=8)?),
                31 | 32 => Call::Drop(who),
                // Not `Forget`: what is lost on purpose would be found as a leak.
                33..=35 => Call::Disconnect(who, u.arbitrary()?),
                36 => Call::DisconnectAll(who),
                37 => Call::Touch(who),
                38 | 39 => Call::Sweep(u.int_in_range(-50..=300)?),
                _ => Call::Shutdown,
            });
        }
        Ok(Self { settings, calls })
    }
}

fn how(u: &mut Unstructured<'_>) -> Result<How> {
    Ok(*u.choose(&[How::Overwriting, How::Refusing, How::Critical])?)
}

fn to(u: &mut Unstructured<'_>) -> Result<For> {
    Ok(match u.int_in_range(0..=5)? {
        0 => For::Connection(u.arbitrary()?),
        1 => For::Thread(u.arbitrary()?),
        2 => For::Others(u.arbitrary()?),
        _ => For::Everybody,
    })
}

fuzz_target!(|script: Script| {
    run(script.settings, &script.calls);
});
