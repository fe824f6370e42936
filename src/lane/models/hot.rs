//! Models of the hot cell: events that no slot names.

use std::sync::Arc;

use super::{
    Event, Model, Reader, append, append_event, event, leave_while_publishing, publish, spawn,
};
use crate::error::CloseReason;
use crate::lane::ring::Filling;
use crate::lane::word::Kind;
use crate::lane::{State, Terms};
use crate::sync::{Ordering, model};

/// Two publishers and a reader in between: each event comes once, whichever way it takes.
fn two_publishers_and_a_reader() {
    let (lane, mut reader) = Reader::first();
    let other = Arc::clone(&lane);
    let t = spawn(move || publish(&other, 1));
    publish(&lane, 2);
    reader.read();
    t.join().unwrap();
    reader.read_all();
    reader.got.sort_unstable();
    assert_eq!(
        (reader.got.as_slice(), reader.missed),
        ([1, 2].as_slice(), 0)
    );
    publish(&lane, 3);
    reader.read_all();
    assert_eq!(reader.got, [1, 2, 3]);
    reader.leave();
}

/// A slow publisher's number is given up by the reader that has to pass it: by all or by nobody.
fn slow_publisher_is_passed() {
    let (lane, mut reader) = Reader::first();
    let other = Arc::clone(&lane);
    let t = spawn(move || append(&other, 1, true).expect("accepted").number);
    let behind = append(&lane, 2, true).expect("accepted").number;
    reader.read_all();
    let slow = t.join().unwrap();
    reader.read_all();
    let order = if slow < behind { [1, 2] } else { [2, 1] };
    assert_eq!(
        (reader.got.as_slice(), reader.missed),
        (&order[..], 0),
        "each once, in order"
    );
    reader.leave();
}

/// A number that somebody has passed stays passed when the hot cell becomes free for it only then.
fn number_is_passed_before_the_cell_is_free() {
    let (lane, mut ann) = Reader::first_of(4);
    let mut ben = Reader::join(&lane, 2);
    publish(&lane, 0);
    ann.read();
    let other = Arc::clone(&lane);
    let t = spawn(move || publish(&other, 1));
    // What ann does if something behind it has come.
    drop(lane.ring.void(ann.at.cursor));
    ann.read();
    ben.read();
    t.join().unwrap();
    for reader in [&mut ann, &mut ben] {
        reader.read_all();
        assert_eq!(reader.got, [0, 1], "each once, in order");
    }
    ann.leave();
    ben.leave();
}

/// What a publisher does that has claimed `number`, once; its event may come back.
fn fill(lane: &Model, number: u64, n: u64, kind: Kind) -> bool {
    let entry = Filling {
        readers: 1,
        kind,
        audience: None,
    };
    let claim = lane.ring.claim(number, true, true);
    claim.is_some_and(|claim| {
        lane.ring
            .fill(&claim, entry, &mut Some(event(n)), &mut [None, None])
    })
}

/// A publisher that is a lap behind does not bring its event under a number that was told as missed.
fn slow_publisher_is_lapped() {
    let (lane, mut reader) = Reader::first();
    let other = Arc::clone(&lane);
    let sent: Event = event(1);
    let copy = sent.clone();
    let t = spawn(move || append_event(&other, copy, Terms::OVERWRITE).is_ok());
    fill(&lane, reader.at.cursor + 2, 2, Kind::Ordinary);
    reader.read();
    t.join().unwrap();
    reader.read_all();
    let left = loom::sync::Arc::strong_count(&sent);
    assert_eq!(left, 1, "what was read or missed is gone");
    reader.leave();
}

/// After a burst the hot cell is in use again, and belongs to one publisher.
fn hot_cell_after_a_burst() {
    let (lane, mut reader) = Reader::first();
    publish(&lane, 0);
    let other = Arc::clone(&lane);
    let t = spawn(move || publish(&other, 1));
    reader.read();
    publish(&lane, 2);
    t.join().unwrap();
    reader.read_all();
    assert_eq!(reader.missed, 0);
    reader.got.sort_unstable();
    assert_eq!(reader.got, [0, 1, 2]);
    reader.leave();
}

/// Readers that count down an event in the hot cell while it is overwritten free the cell once.
fn readers_count_down_while_lapped() {
    let (lane, mut ann) = Reader::first();
    let mut ben = Reader::join(&lane, 2);
    publish(&lane, 0);
    publish(&lane, 1);
    let t = spawn(move || {
        ann.read();
        ann
    });
    publish(&lane, 2);
    ben.read();
    let mut ann = t.join().unwrap();
    for reader in [&mut ann, &mut ben] {
        reader.read_all();
        let told = reader.got.len() as u64 + reader.missed;
        assert_eq!(told, 3, "every event is delivered or told as missed");
    }
    ann.leave();
    ben.leave();
}

/// An event in the hot cell that is overwritten while it is read is read whole or missed.
fn eviction_and_readers() {
    let (lane, mut ann) = Reader::first();
    let mut ben = Reader::join(&lane, 2);
    publish(&lane, 0);
    publish(&lane, 1);
    let other = Arc::clone(&lane);
    let t = spawn(move || publish(&other, 2));
    ann.read();
    ben.read();
    t.join().unwrap();
    for mut reader in [ann, ben] {
        reader.read_all();
        assert!(reader.got.is_sorted(), "events come in order");
        let told = reader.got.len() as u64 + reader.missed;
        assert_eq!(told, 3, "every event is delivered or told as missed");
        reader.leave();
    }
}

/// A reader gets the critical event in the hot cell or is closed.
fn critical_and_slow_reader() {
    let (lane, mut reader) = Reader::first();
    append_event(&lane, event(1), Terms::CRITICAL).expect("accepted");
    publish(&lane, 0);
    let other = Arc::clone(&lane);
    let t = spawn(move || {
        // Refused once the reader is closed.
        let _ = append(&other, 2, true);
    });
    reader.read();
    t.join().unwrap();
    reader.read_all();
    assert!(
        reader.got.contains(&1) || reader.member().closed() == Some(CloseReason::Overrun),
        "the critical event is delivered, or the connection is closed"
    );
    reader.leave();
    lane.shut();
}

/// Of two that do not overwrite, each is read or refused.
fn try_publish_twice() {
    let (lane, mut reader) = Reader::first();
    let other: Model = Arc::clone(&lane);
    let t = spawn(move || append(&other, 1, false).is_ok());
    let here = append(&lane, 2, false).is_ok();
    let there = t.join().unwrap();
    reader.read_all();
    let accepted = usize::from(here) + usize::from(there);
    assert_eq!((reader.got.len(), reader.missed), (accepted, 0));
    reader.leave();
}

/// What is a lap older than the number after one that was barred is not overlooked.
fn barred_and_full() {
    let (lane, mut ann) = Reader::first();
    let mut ben = Reader::join(&lane, 2);
    publish(&lane, 0);
    publish(&lane, 1);
    ann.read();
    ben.read_all();
    let other = Arc::clone(&lane);
    let t = spawn(move || publish(&other, 2));
    pass_claimed(&lane, ben.at.cursor);
    t.join().unwrap();
    for n in 3..6 {
        let _ = append(&lane, n, false);
    }
    ann.read_all();
    assert!(
        ann.got.len() <= 3,
        "no more is unread than there is room for"
    );
    ann.leave();
    ben.leave();
}

/// An event with a slow publisher does not come to be unread beside all that a lane has room for.
fn slow_publisher_behind_a_burst() {
    let (lane, mut reader) = Reader::first();
    publish(&lane, 0);
    let slow = lane.load().seq();
    lane.state.fetch_add(State::ONE_NUMBER, Ordering::AcqRel);
    let other = Arc::clone(&lane);
    let t = spawn(move || fill(&other, slow, 1, Kind::Critical));
    publish(&lane, 2);
    publish(&lane, 3);
    t.join().unwrap();
    reader.read_all();
    assert!(
        reader.got.len() <= 2,
        "no more is unread than there is room for"
    );
    reader.leave();
}

/// A publisher that brings the hot cell into use again, for a number that somebody passes meanwhile.
fn passed_while_coming_into_use() {
    let (lane, mut reader) = Reader::first();
    publish(&lane, 0);
    publish(&lane, 1);
    reader.read_all();
    let slow = lane.load().seq();
    lane.state.fetch_add(State::ONE_NUMBER, Ordering::AcqRel);
    let other = Arc::clone(&lane);
    let t = spawn(move || fill(&other, slow, 2, Kind::Ordinary));
    drop(lane.ring.void(slow));
    reader.read_all();
    let is_filled = t.join().unwrap();
    assert_eq!(
        is_filled,
        reader.got.contains(&2),
        "an event for all or for nobody"
    );
    reader.leave();
}

/// What a reader does that has to pass the next number.
fn pass_claimed(lane: &Model, number: u64) {
    if lane.load().seq() > number {
        drop(lane.ring.void(number));
    }
}

/// A publisher that has its event in a slot does not leave the hot cell with who bars it late.
fn barred_after_all() {
    let (lane, mut reader) = Reader::first();
    let first = reader.at.cursor;
    let other = Arc::clone(&lane);
    let t = spawn(move || {
        publish(&other, 1);
        // One that never comes, and one a lap above the first.
        other.state.fetch_add(State::ONE_NUMBER, Ordering::AcqRel);
        publish(&other, 2);
    });
    pass_claimed(&lane, first);
    t.join().unwrap();
    reader.read_all();
    assert!(!lane.ring.has_kept_hot(first), "the hot cell is given back");
    reader.leave();
}

#[test]
fn hot_bar_against_try_publish() {
    model::sound("hot: bar, try_publish", 3, barred_and_full);
    model::twin("bar-but-the-next", "no more is unread");
}
#[test]
fn hot_again_with_a_slow_publisher() {
    model::sound(
        "hot: after a burst, slow publisher",
        3,
        slow_publisher_behind_a_burst,
    );
    model::twin("re-arm-over-the-unresolved", "no more is unread");
}
#[test]
fn hot_again_and_passed() {
    model::sound(
        "hot: after a burst, passed",
        3,
        passed_while_coming_into_use,
    );
    model::twin("re-arm-without-looking", "an event for all or for nobody");
}
#[test]
fn hot_bar_against_a_lap() {
    model::sound("hot: bar, lap", 3, barred_after_all);
    model::twin("return-what-is-kept-only", "the hot cell is given back");
}
#[test]
fn hot_publish_and_publish() {
    model::sound(
        "hot: publish, publish, receive",
        3,
        two_publishers_and_a_reader,
    );
    model::twin("expect-anybody", "Concurrent write accesses");
}
#[test]
fn hot_passing_a_slow_publisher() {
    model::sound("hot: slow publisher", 3, slow_publisher_is_passed);
    model::twin("note-without-bar", "each once, in order");
}
#[test]
fn hot_passing_before_the_cell_is_free() {
    model::sound(
        "hot: slow publisher, slow reader",
        3,
        number_is_passed_before_the_cell_is_free,
    );
    model::twin("bar-without-note", "each once, in order");
}
#[test]
fn hot_lapping_a_slow_publisher() {
    model::sound("hot: lap a slow publisher", 3, slow_publisher_is_lapped);
    model::twin("lap-without-bar", "what was read or missed is gone");
}
#[test]
fn hot_again_after_a_burst() {
    model::sound("hot: after a burst", 3, hot_cell_after_a_burst);
    model::twin("re-arm-too-early", "Concurrent write accesses");
}
#[test]
fn hot_eviction_against_receive() {
    model::sound("hot: evict, receive", 3, eviction_and_readers);
    model::twin("steal-from-reader", "Concurrent read and write");
}
#[test]
fn hot_two_readers_against_a_lap() {
    model::sound("hot: two readers, lap", 3, readers_count_down_while_lapped);
    model::twin("join-evicted", "panicked");
}
#[test]
fn hot_critical_against_a_slow_reader() {
    model::sound("hot: critical, slow reader", 3, critical_and_slow_reader);
    model::twin("forget-critical", "the critical event is delivered, or");
}
#[test]
fn hot_try_publish_against_try_publish() {
    model::sound("hot: try_publish, try_publish", 3, try_publish_twice);
}
#[test]
fn hot_leave_against_publish() {
    model::sound("hot: leave, publish", 3, || {
        leave_while_publishing(Reader::first());
    });
    model::twin("leave-unresolved", "read by all who count");
}
