//! Histories of real threads, checked against the sequential model: there is an order of the calls
//! that respects real time and in which the model gives the same answers. The search is Wing and
//! Gong's, with Lowe's memory of the configurations that were seen.
//!
//! ```text
//! LANEWAY_HISTORIES=1000000 cargo test --release --test linearizability -- --nocapture
//! ```
#![cfg(not(any(laneway_loom, laneway_shuttle)))]

mod common;
#[path = "linearizability/history.rs"]
mod history;
#[path = "linearizability/order.rs"]
mod order;
#[path = "linearizability/steps.rs"]
mod steps;
#[path = "linearizability/verbs.rs"]
mod verbs;

use common::model::{End, Got, How, Origin, Refused, Resumed};
use history::{Answer, Call, FIRST, Kind, Record, history, overlaps, told};
use order::has_an_order;

/// One after the other, half of them without retention.
fn kind(seed: u64) -> Kind {
    match seed / 2 % 4 {
        3 => Kind::Ruled,
        0 => Kind::Recovering,
        1 => Kind::Sweeping,
        _ => Kind::Plain,
    }
}

#[test]
fn every_history_has_a_sequential_order() {
    let wanted = std::env::var("LANEWAY_HISTORIES").map_or(2_000, |n| n.parse().expect("a number"));
    let seed = std::env::var("LANEWAY_SEED").map_or(0, |n| n.parse().expect("a number"));
    let (mut histories, mut overlapping) = (0, 0);
    // At least half of what is wanted has to overlap; a busy machine needs more histories for that.
    while histories < wanted || (overlapping < wanted / 2 && histories < 3 * wanted) {
        let kind = kind(seed + histories);
        let records = history(kind, seed + histories);
        overlapping += u64::from(overlaps(&records));
        assert!(
            has_an_order(kind, &records),
            "{kind:?} history {histories} of seed {seed} has no order:\n{}",
            told(&records)
        );
        histories += 1;
    }
    let percent = 100 * overlapping / histories;
    println!("{histories} histories, {percent} % of them with calls that overlap");
    assert!(overlapping > 0, "this machine runs one thread at a time");
}

/// Rooms, revocations and questions: calls of several steps, with a search of their own.
#[test]
fn r100_r118_r120_every_history_of_rooms_revocations_and_questions_has_an_order() {
    let wanted = std::env::var("LANEWAY_HISTORIES").map_or(1_200, |n| n.parse().expect("a number"));
    let seed: u64 = std::env::var("LANEWAY_SEED").map_or(0, |n| n.parse().expect("a number"));
    let mut overlapping = 0;
    for at in 0..wanted {
        let kinds = [verbs::Kind::Rooms, verbs::Kind::Gate, verbs::Kind::Asks];
        let kind = kinds[at as usize % kinds.len()];
        let records = verbs::history(kind, seed + at);
        let is_beside = |pair: &[verbs::Record]| pair[1].began < pair[0].ended;
        overlapping += u64::from(records.windows(2).any(is_beside));
        assert!(
            steps::has_an_order(kind, &records),
            "{kind:?} history {at} of seed {seed} has no order:\n{records:#?}"
        );
    }
    println!(
        "{wanted} histories, {} % of them with calls that overlap",
        100 * overlapping / wanted
    );
}

/// One thread, whose calls come one after the other.
fn calls_of_one(calls: &[(verbs::Call, verbs::Answer)]) -> Vec<verbs::Record> {
    let records = (0..).step_by(2).zip(calls);
    records
        .map(|(began, &(call, answer))| verbs::Record {
            thread: 0,
            call,
            answer,
            began,
            ended: began + 1,
        })
        .collect()
}

#[test]
fn a_history_of_verbs_without_an_order_is_found() {
    use verbs::{Answer::*, Call, Kind};
    let rooms = [
        (Call::Join(0), Joined(None)),
        (Call::Connect(1), Done),
        (Call::Join(0), Joined(Some(true))),
        (Call::Join(1), Joined(Some(true))),
        (Call::PublishToRooms(None, 7), Reached(1, 1, 0)),
        (Call::Leave(0), Left(true)),
        (Call::PublishToRooms(Some(0), 8), Reached(0, 0, 0)),
        (Call::Receive(1), Received(Some(7))),
        (Call::Receive(1), Received(None)),
        (Call::Drop(1), Done),
        (Call::PublishToRooms(None, 9), Reached(0, 0, 0)),
    ];
    let gate = [
        (Call::Connect(1), Done),
        (Call::Publish(7), Published(Some(1))),
        (Call::Revoke(true), Closed(1)),
        (Call::Publish(8), Revoked),
        (Call::Connect(2), Revoked),
        (Call::Renew, Done),
        (Call::Publish(9), Published(None)),
        (Call::Receive(1), Ended(End::Revoked)),
    ];
    let asks = [
        (Call::Ask(7), Published(None)),
        (Call::Connect(1), Done),
        (Call::Ask(8), Published(Some(1))),
        (Call::Take(8), Waits),
        (Call::Answer(1, 8), Answered(true)),
        (Call::Answer(1, 8), Answered(false)),
        (Call::Take(8), Taken(1)),
        (Call::Take(8), Done),
        (Call::Ask(9), Published(Some(1))),
        (Call::DisconnectAll, Closed(1)),
        (Call::Answer(1, 9), NoDevice),
        (Call::Take(9), NoDevice),
    ];
    // Reached twice, after it has left, never, offline; accepted or connected by a revoked scope, or not closed; an
    // answer that is lost, comes twice, or is taken after the end.
    let wrong = [
        (4, Reached(1, 1, 1)),
        (4, Reached(2, 2, 0)),
        (4, Reached(0, 0, 0)),
        (6, Reached(1, 1, 0)),
        (8, Received(Some(7))),
        (10, Reached(0, 0, 1)),
        (0, Joined(Some(true))),
        (3, Joined(Some(false))),
    ];
    check_verbs(Kind::Rooms, &rooms, &wrong);
    let wrong = [
        (2, Closed(0)),
        (3, Published(None)),
        (4, Done),
        (6, Revoked),
        (7, Received(Some(7))),
    ];
    check_verbs(Kind::Gate, &gate, &wrong);
    let wrong = [
        (4, Answered(false)),
        (5, Answered(true)),
        (6, Waits),
        (7, Taken(1)),
        (10, Answered(true)),
        (11, Waits),
        (9, Closed(0)),
    ];
    check_verbs(Kind::Asks, &asks, &wrong);
}

fn check_verbs(
    kind: verbs::Kind,
    good: &[(verbs::Call, verbs::Answer)],
    wrong: &[(usize, verbs::Answer)],
) {
    let has_an_order = |calls: &[_]| steps::has_an_order(kind, &calls_of_one(calls));
    assert!(has_an_order(good), "{kind:?}");
    for &(at, answer) in wrong {
        let mut bad = good.to_vec();
        bad[at].1 = answer;
        assert!(
            !has_an_order(&bad),
            "{answer:?} at {at} of {kind:?} goes unnoticed"
        );
    }
}

fn record(began: u64, ended: u64, call: Call, answer: Answer) -> Record {
    Record {
        call,
        answer,
        began,
        ended,
    }
}

/// To one connection.
fn published(number: u64) -> Answer {
    Answer::Published(Ok((number, 1)))
}

#[test]
fn a_history_without_an_order_is_found() {
    let record = |began, call, answer| record(began, began + 1, call, answer);
    let publish = |value| Call::Publish(How::Overwriting, value);
    let got = |number, value| {
        Answer::Received(Got::Event {
            number,
            value,
            origin: Origin::Live,
        })
    };
    let good = [
        record(0, Call::Connect(1), Answer::Connected(true)),
        record(2, publish(10), published(0)),
        record(4, publish(11), published(1)),
        record(6, Call::Receive(1), got(0, 10)),
        record(8, Call::Receive(1), got(1, 11)),
        record(10, Call::Receive(1), Answer::Received(Got::Empty)),
    ];
    assert!(has_an_order(Kind::Plain, &good));
    // Each is a bug that laneway could have: a stale read, a swap, a loss, a double delivery.
    let wrong = [
        (3, Answer::Received(Got::Empty)),
        (3, got(0, 11)),
        (3, got(1, 11)),
        (4, got(0, 10)),
        (5, got(1, 11)),
        (2, published(0)),
        (1, Answer::Published(Ok((0, 2)))),
        (1, Answer::Published(Err(Refused::NoConnections))),
    ];
    for (at, answer) in wrong {
        let mut bad = good;
        bad[at].answer = answer;
        assert!(
            !has_an_order(Kind::Plain, &bad),
            "{answer:?} at {at} goes unnoticed"
        );
    }
    // With an overlap, the same answer can be right.
    let mut late = good;
    late[3].answer = Answer::Received(Got::Empty);
    late[3].began = 1;
    late[3].ended = 3;
    late[4].answer = got(0, 10);
    late[5].answer = got(1, 11);
    assert!(has_an_order(Kind::Plain, &late));
}

#[test]
fn a_history_with_a_hole_in_a_replay_is_found() {
    let record = |began, call, answer| record(began, began + 1, call, answer);
    let kept = |number| Answer::Published(Ok((number, 0)));
    let publish = |value| Call::Publish(How::Overwriting, value);
    let got = |number, value, origin| {
        Answer::Received(Got::Event {
            number,
            value,
            origin,
        })
    };
    let whole = |from, to| Answer::Resumed(Some(Resumed::Complete { from, to }));
    let gap = |missed, oldest| Answer::Resumed(Some(Resumed::Gap { missed, oldest }));
    let (replayed, recovered) = (Origin::Replayed, Origin::Recovered);
    let good = [
        record(0, publish(10), kept(0)),
        record(2, Call::Publish(How::Critical, 11), kept(1)),
        record(4, Call::Resume(1, FIRST), whole(0, 2)),
        record(6, Call::Recover(1), Answer::Recovered(1, true)),
        record(8, Call::Receive(1), got(0, 10, replayed)),
        record(10, Call::Receive(1), got(1, 11, recovered)),
        record(12, Call::Receive(1), Answer::Received(Got::Empty)),
        record(14, Call::Leave(1), Answer::Left),
        record(16, publish(12), kept(2)),
        record(18, Call::Resume(2, 1), whole(2, 3)),
        record(20, Call::Receive(2), got(2, 12, replayed)),
        record(22, Call::Resume(3, FIRST), gap(1, 1)),
        record(24, Call::Receive(3), got(1, 11, replayed)),
    ];
    assert!(has_an_order(Kind::Recovering, &good));
    // A hole, an order, an event twice, a loss that is not told, or told wrongly, or of nothing.
    let wrong = [
        (4, got(1, 11, recovered)),
        (4, got(0, 10, Origin::Live)),
        (5, got(0, 10, replayed)),
        (5, got(1, 11, replayed)),
        (6, got(1, 11, Origin::Live)),
        (10, Answer::Received(Got::Empty)),
        (10, got(1, 11, replayed)),
        (2, whole(0, 1)),
        (2, gap(1, 1)),
        (2, Answer::Resumed(Some(Resumed::Reset))),
        (2, Answer::Resumed(None)),
        (3, Answer::Recovered(0, true)),
        (3, Answer::Recovered(1, false)),
        (3, Answer::Recovered(2, true)),
        (9, whole(1, 3)),
        (11, whole(0, 3)),
        (11, gap(2, 2)),
        (12, got(2, 12, replayed)),
        (8, Answer::Published(Err(Refused::NoConnections))),
    ];
    for (at, answer) in wrong {
        let mut bad = good;
        bad[at].answer = answer;
        let found = !has_an_order(Kind::Recovering, &bad);
        assert!(found, "{answer:?} at {at} goes unnoticed");
    }
    // A publish takes an event's place meanwhile: the device misses that event, or reads it before.
    for resumed in [gap(1, 1), whole(0, 2)] {
        let history = [
            good[0],
            good[1],
            Record {
                ended: 7,
                ..record(4, Call::Resume(1, FIRST), resumed)
            },
            record(5, publish(12), Answer::Published(Ok((2, 1)))),
        ];
        assert!(has_an_order(Kind::Recovering, &history), "{resumed:?}");
    }
    // A lane that was swept away cannot be resumed from.
    let swept = |answer| {
        let sweep = record(2, Call::Sweep, Answer::Swept(0));
        let history = [good[0], sweep, record(4, Call::Resume(1, FIRST), answer)];
        has_an_order(Kind::Sweeping, &history)
    };
    assert!(swept(Answer::Resumed(Some(Resumed::Reset))) && !swept(whole(0, 1)));
}

/// Number 3 was given up by the last publish here, which was slow: it had lost its place to 201 a
/// lap before, and 201, a critical event, was still there when connection 200 was told of a gap.
#[test]
fn a_gap_ends_at_a_critical_event_that_is_still_there() {
    let history = |receives: &[Got<u32>]| {
        let mut all = vec![
            record(0, 1, Call::Connect(200), Answer::Connected(true)),
            record(2, 3, Call::Publish(How::Overwriting, 102), published(0)),
            record(4, 8, Call::Publish(How::Critical, 201), published(1)),
            record(5, 6, Call::Publish(How::Overwriting, 103), published(2)),
            record(7, 20, Call::Publish(How::Critical, 104), published(5)),
            record(9, 10, Call::Publish(How::Critical, 202), published(4)),
        ];
        for (at, got) in (11..).step_by(2).zip(receives) {
            all.push(record(
                at,
                at + 1,
                Call::Receive(200),
                Answer::Received(*got),
            ));
        }
        has_an_order(Kind::Plain, &all)
    };
    let critical = Got::Event {
        number: 1,
        value: 201,
        origin: Origin::Live,
    };
    let overrun = Got::Closed(End::Overrun);
    assert!(history(&[Got::Gap(1), critical]));
    assert!(history(&[Got::Gap(1), overrun]));
    assert!(history(&[overrun, overrun]));
    assert!(
        !history(&[Got::Gap(2)]),
        "a critical event is lost without a word"
    );
    assert!(
        !history(&[Got::Gap(4)]),
        "a critical event is lost without a word"
    );
    assert!(!history(&[overrun, critical]), "an event after the end");
}

/// A lane of two with five events that are not critical but for the third, while a sixth one is published, or a
/// call closes the connection.
#[test]
fn r074_a_gap_is_a_part_only_if_the_end_comes_next() {
    let history = |beside: Option<(Call, Answer)>, receives: &[Got<u32>]| {
        let mut all = vec![record(0, 1, Call::Connect(1), Answer::Connected(true))];
        for n in 0..5 {
            let how = if n == 2 {
                How::Critical
            } else {
                How::Overwriting
            };
            let at = 2 + 2 * n;
            let call = Call::Publish(how, 100 + n as u32);
            all.push(record(at, at + 1, call, published(n)));
        }
        all.extend(beside.map(|(call, answer)| record(20, 22, call, answer)));
        for (at, got) in (21..).step_by(2).zip(receives) {
            let (call, answer) = (Call::Receive(1), Answer::Received(*got));
            all.push(record(at, at + 1, call, answer));
        }
        has_an_order(Kind::Plain, &all)
    };
    let publish = Some((Call::Publish(How::Overwriting, 105), published(5)));
    let close = Some((Call::Disconnect(1), Answer::Closed(true)));
    let (overrun, closed) = (Got::Closed(End::Overrun), Got::Closed(End::Disconnected(7)));
    let critical = Got::Event {
        number: 2,
        value: 102,
        origin: Origin::Live,
    };
    assert!(history(publish, &[Got::Gap(1), overrun]));
    assert!(history(close, &[Got::Gap(1), closed]));
    assert!(history(close, &[Got::Gap(2), closed]));
    assert!(history(None, &[Got::Gap(2), critical]));
    assert!(!history(None, &[Got::Gap(1), overrun]), "no call cut it");
    assert!(!history(publish, &[Got::Gap(1), Got::Gap(1)]), "two parts");
    assert!(
        !history(publish, &[Got::Gap(1), Got::Gap(2)]),
        "not the end"
    );
    assert!(!history(close, &[Got::Gap(1), critical]), "not the end");
}

/// A lane of two, and a critical event that is three numbers more than that behind its end.
#[test]
fn a_late_critical_event_is_read_or_its_readers_are_closed() {
    let history = |answers: &[(usize, Got<u32>)]| {
        let mut all = vec![
            record(0, 1, Call::Connect(1), Answer::Connected(true)),
            record(2, 3, Call::Connect(2), Answer::Connected(true)),
        ];
        for number in 0..6 {
            let (how, value) = match number {
                1 => (How::Critical, 11),
                _ => (How::Overwriting, 10 + number as u32),
            };
            let (call, began) = (Call::Publish(how, value), 4 + 2 * number);
            let published = Answer::Published(Ok((number, 2)));
            all.push(record(began, began + 1, call, published));
        }
        for (at, (name, got)) in (20..).step_by(2).zip(answers) {
            let received = Answer::Received(*got);
            all.push(record(at, at + 1, Call::Receive(*name), received));
        }
        has_an_order(Kind::Plain, &all)
    };
    let critical = Got::Event {
        number: 1,
        value: 11,
        origin: Origin::Live,
    };
    let overrun = Got::Closed(End::Overrun);
    assert!(history(&[
        (1, Got::Gap(1)),
        (1, critical),
        (1, Got::Gap(2))
    ]));
    assert!(history(&[(1, overrun), (2, overrun)]));
    // The search does not know which call drops it, and so takes this too.
    assert!(history(&[(1, Got::Gap(1)), (1, critical), (2, overrun)]));
    assert!(!history(&[(1, Got::Gap(4))]), "lost without a word");
    assert!(
        !history(&[(1, overrun), (2, Got::Gap(1))]),
        "both have lost it"
    );
    assert!(!history(&[(1, critical)]), "number 0 is not told");
    assert!(!history(&[
        (1, Got::Gap(1)),
        (1, critical),
        (1, Got::Gap(1))
    ]));
}
