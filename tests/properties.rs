//! Random scripts over the whole public interface, against the sequential model.
#![cfg(not(any(laneway_loom, laneway_shuttle)))]

mod common;

use std::cell::RefCell;

use common::model::{How, Settings};
use common::script::{Call, For, Seen, run};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, FileFailurePersistence, TestRunner};

fn settings() -> impl Strategy<Value = Settings> {
    let capacity = prop_oneof![Just(2), Just(4), Just(16)];
    let idle = prop_oneof![Just(None), Just(Some(100))];
    (capacity, 1..4_usize, any::<bool>(), 2..4_usize, idle).prop_map(
        |(capacity, max_connections, evict_oldest, max_users, idle_timeout_ms)| Settings {
            capacity,
            max_connections,
            evict_oldest,
            max_users,
            idle_timeout_ms,
        },
    )
}

fn how() -> impl Strategy<Value = How> {
    prop_oneof![
        4 => Just(How::Overwriting),
        3 => Just(How::Refusing),
        4 => Just(How::Critical),
    ]
}

fn to() -> impl Strategy<Value = For> {
    prop_oneof![
        4 => Just(For::Everybody),
        1 => any::<u8>().prop_map(For::Connection),
        1 => any::<u8>().prop_map(For::Thread),
        1 => any::<u8>().prop_map(For::Others),
    ]
}

fn call() -> impl Strategy<Value = Call> {
    let (user, at) = (any::<u8>(), any::<u8>());
    prop_oneof![
        8 => user.prop_map(Call::Connect),
        4 => (user, at).prop_map(|(user, other)| Call::ConnectWith(user, other)),
        30 => (user, how(), to()).prop_map(|(user, how, to)| Call::Publish(user, how, to)),
        4 => (user, 0..8_u8).prop_map(|(user, events)| Call::Batch(user, events)),
        15 => at.prop_map(Call::Receive),
        4 => (at, 0..8_u8).prop_map(|(at, max)| Call::Drain(at, max)),
        4 => (at, 0..8_u8).prop_map(|(at, max)| Call::Visit(at, max)),
        4 => at.prop_map(Call::Drop),
        1 => at.prop_map(Call::Forget),
        3 => (user, at).prop_map(|(user, at)| Call::Disconnect(user, at)),
        1 => user.prop_map(Call::DisconnectAll),
        2 => at.prop_map(Call::Touch),
        3 => (-50..300_i16).prop_map(Call::Sweep),
        1 => Just(Call::Shutdown),
    ]
}

#[test]
fn r001_to_r024_any_script_does_what_the_model_does() {
    const CASES: u32 = 1500;
    let tally = RefCell::new(Vec::<Seen>::new());
    let mut runner = TestRunner::new(Config {
        cases: CASES,
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(
            "tests/properties.regressions",
        ))),
        ..Config::default()
    });
    runner
        .run(&(settings(), vec(call(), 1..120)), |(settings, calls)| {
            tally.borrow_mut().push(run(settings, &calls));
            Ok(())
        })
        .unwrap_or_else(|failure| panic!("{failure}"));
    let tally = tally.into_inner();
    for (outcome, name) in Seen::NAMES.iter().enumerate() {
        let cases = tally
            .iter()
            .filter(|seen| seen.counts()[outcome] > 0)
            .count();
        let percent = 100 * cases / tally.len();
        println!("{name}: in {percent} % of {} cases", tally.len());
        assert!(percent >= 5, "{name} is too rare: {percent} %");
    }
}
