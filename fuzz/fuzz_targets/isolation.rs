//! Any script of calls by several users, with payloads that know whose they are: a receiver that
//! sees another user's payload, or anything else that the model does not expect, is a crash.
#![no_main]

#[path = "../../tests/common/mod.rs"]
mod common;

use arbitrary::{Arbitrary, Result, Unstructured};
use common::model::budgets::Budgets;
use common::model::{How, Keeping, Settings};
use common::script::call::For;
use common::script::{Call, run};
use libfuzzer_sys::fuzz_target;

#[derive(Debug)]
struct Script {
    settings: Settings,
    calls: Vec<Call>,
}

impl<'a> Arbitrary<'a> for Script {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let (capacity, max_connections) = (1 << u.int_in_range(1..=4)?, u.int_in_range(1..=3)?);
        let (evict_oldest, max_users) = (u.arbitrary()?, u.int_in_range(2..=3)?);
        // An input from before there was retention means what it meant, unless it has a bit set that
        // meant nothing.
        let bits: u8 = u.arbitrary()?;
        let has_every_verb = bits & 0x86 == 0x80;
        let settings = Settings {
            capacity,
            max_connections,
            evict_oldest,
            max_users,
            idle_timeout_ms: (bits & 1 != 0).then_some(100),
            retention: (bits & 2 != 0).then(|| keeping(bits >> 2)),
            keeps_members: bits & 10 == 8,
            conflation: (bits & 0x86 == 0x84).then(|| 1 + usize::from(bits >> 3 & 7)),
            budgets: Budgets::default(),
        };
        let settings = if has_every_verb {
            with_more(settings, bits, u.arbitrary()?, u.arbitrary()?)
        } else {
            settings
        };
        let has_rooms = bits & 0x86 == 4;
        let mut calls = Vec::new();
        while !u.is_empty() && calls.len() < 200 {
            let who = u.arbitrary()?;
            let call: u8 = u.arbitrary()?;
            if has_every_verb && call >= 4 * 41 {
                calls.push(newer(u, who, call)?);
                continue;
            }
            if settings.retention.is_some() && call >= 4 * 41 {
                calls.push(match call % 8 {
                    0 => Call::Remember(who),
                    1 | 2 => Call::Part(who),
                    3..=5 => Call::Resume(who, u.arbitrary()?),
                    6 if call < 244 => Call::ResumeAs(who, u.arbitrary()?),
                    6 => Call::EndAbsent(who),
                    _ => Call::Recover(who),
                });
                continue;
            }
            if has_rooms && call >= 4 * 41 {
                calls.push(match call % 8 {
                    0..=2 => Call::Join(who, u.arbitrary()?),
                    3 => Call::Leave(who, u.arbitrary()?),
                    4 if call < 200 => Call::ForgetUser(who),
                    4 => Call::Announce(call < 230),
                    _ => Call::PublishToRooms(who, u.arbitrary()?, u.arbitrary()?),
                });
                continue;
            }
            if settings.conflation.is_some() && call >= 4 * 41 {
                calls.push(match call % 8 {
                    0..=3 => Call::Latest(who, u.int_in_range(0..=11)?),
                    4 => Call::Barrier(who),
                    5 | 6 => Call::Until(who, how(u)?, to(u)?, u.int_in_range(-2..=40)?),
                    _ => Call::Merged(who, u.int_in_range(0..=8)?),
                });
                continue;
            }
            calls.push(match call % 41 {
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
                37 if call < 123 => Call::Touch(who),
                37 if call < 200 => Call::Attach(who, u.arbitrary()?),
                37 => Call::Detach(who, u.arbitrary()?),
                38 => Call::Sweep(u.int_in_range(-50..=300)?),
                39 => Call::Revoke(who, u.arbitrary()?),
                _ => Call::Shutdown,
            });
        }
        Ok(Self { settings, calls })
    }
}

/// Retention, keys and budgets together, for inputs that call every verb.
fn with_more(settings: Settings, bits: u8, kept: u8, budgets: u8) -> Settings {
    let mut retention = (kept & 3 != 0).then(|| keeping(kept >> 2));
    if let Some(keeping) = retention.as_mut().filter(|_| settings.keeps_members) {
        // Which members get the last lanes depends on the order of their places.
        keeping.max_absent_users = 10_000;
    }
    Settings {
        retention,
        conflation: (bits & 16 != 0).then(|| 1 + usize::from(bits >> 5 & 3)),
        budgets: Budgets {
            lane: [None, Some(64), Some(120), Some(250)][usize::from(budgets & 3)],
            hub: [None, Some(128), Some(200), Some(380)][usize::from(budgets >> 2 & 3)],
        },
        ..settings
    }
}

/// The verbs that came later.
fn newer(u: &mut Unstructured<'_>, who: u8, call: u8) -> Result<Call> {
    Ok(match call % 46 {
        0..=2 => Call::Weaken(who, u.arbitrary()?, u.arbitrary()?),
        3..=6 => Call::PublishWeaker(who, how(u)?, to(u)?),
        7..=10 => Call::UseWeaker(who, u.arbitrary()?, u.arbitrary()?),
        11..=14 => Call::Ask(who, to(u)?, u.int_in_range(-2..=20)?),
        15 => Call::AskWeaker(who, to(u)?),
        16..=19 => Call::Answer(who, u.arbitrary()?),
        20 => Call::AnswerAs(who, u.arbitrary()?),
        21 | 22 => Call::TakeAnswer(who),
        23 => Call::DropAsk(who),
        24 => Call::BeginDrain(who),
        25..=28 => Call::Step(u.int_in_range(-5..=40)?),
        29..=31 => Call::Join(who, u.arbitrary()?),
        32 => Call::Leave(who, u.arbitrary()?),
        33 => Call::ForgetUser(who),
        34..=36 => Call::PublishToRooms(who, u.arbitrary()?, u.arbitrary()?),
        37 => Call::Announce(u.arbitrary()?),
        38 | 39 => Call::Latest(who, u.int_in_range(0..=11)?),
        40 => Call::Barrier(who),
        41 => Call::Until(who, how(u)?, to(u)?, u.int_in_range(-2..=40)?),
        42 => Call::Part(who),
        43 => Call::Resume(who, u.arbitrary()?),
        44 => Call::ResumeAs(who, u.arbitrary()?),
        _ => Call::Recover(who),
    })
}

/// Six bits of settings.
fn keeping(bits: u8) -> Keeping {
    let (bytes, age_ms) = [
        (None, None),
        (Some(64), None),
        (Some(160), None),
        (None, Some(96)),
    ][usize::from(bits & 3)];
    Keeping {
        events: 1 + u64::from(bits % 5),
        bytes,
        age_ms,
        grace_ms: [0, 100, 400, 2000][usize::from(bits >> 2 & 3)],
        max_absent_users: [0, 1, 2, 10_000][usize::from(bits >> 4 & 3)],
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
        _ => For::All,
    })
}

fuzz_target!(|script: Script| {
    run(script.settings, &script.calls);
});
