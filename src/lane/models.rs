//! loom models of the lane: capacity 2, two or three threads. Each property has a sound model and a
//! broken twin, a one-line defect in the real code, that loom must reject at the same bound.
//!
//! Events are loom's `Arc`s, so a leaked or twice dropped payload fails a model too.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Wake, Waker};

use super::member::Member;
use super::{Departure, Lane, Refusal, Seat, Step, Terms};
use crate::error::CloseReason;
use crate::id::ConnectionId;
use crate::sync::model;

mod hot;
mod retained;

type Event = loom::sync::Arc<u64>;
type Model = Arc<Lane<Event>>;

fn event(n: u64) -> Event {
    loom::sync::Arc::new(n)
}

struct Reader {
    lane: Model,
    seat: Seat,
    at: super::Reader,
    got: Vec<u64>,
    missed: u64,
}

impl Reader {
    /// A new lane and its first connection.
    fn first() -> (Model, Self) {
        Self::first_of(2)
    }

    fn first_of(capacity: usize) -> (Model, Self) {
        Self::first_in(Lane::new(capacity, Some((ConnectionId(1), None)), None))
    }

    /// A lane and the connection that it was made for.
    fn first_in(lane: Lane<Event>) -> (Model, Self) {
        let (cursor, lane) = (lane.load().seq(), Model::new(lane));
        let reader = Self::sit(&lane, None, cursor);
        (lane, reader)
    }

    /// As `first`, of a lane in which no event goes through the hot cell.
    fn first_by_slots() -> (Model, Self) {
        let (lane, reader) = Self::first();
        lane.ring.lose_hot_cell();
        (lane, reader)
    }

    fn join(lane: &Model, id: u64) -> Self {
        Self::at(lane, id, lane.join(255).expect("open"))
    }

    fn at(lane: &Model, id: u64, cursor: u64) -> Self {
        let member = Arc::new(Member::new(ConnectionId(id), None, cursor));
        Self::sit(lane, Some(member), cursor)
    }

    fn sit(lane: &Model, seat: Seat, cursor: u64) -> Self {
        lane.list(&seat);
        Self {
            lane: Arc::clone(lane),
            seat,
            at: super::Reader::new(cursor),
            got: Vec::new(),
            missed: 0,
        }
    }

    fn member(&self) -> &Member {
        self.lane.member(&self.seat)
    }

    /// One read; `false` when there is nothing more for now.
    fn read(&mut self) -> bool {
        match self.lane.read(self.lane.member(&self.seat), &mut self.at) {
            Ok((_, entered)) => self.got.push(*entered.into_event()),
            Err(Step::Gap(missed)) => self.missed += missed,
            Err(Step::Overrun) => {
                self.lane.close(self.member(), CloseReason::Overrun);
                return false;
            }
            Err(Step::Empty | Step::Closed(_)) => return false,
        }
        true
    }

    fn read_all(&mut self) {
        while self.read() {}
    }

    fn leave(self) {
        self.lane.close(self.member(), CloseReason::Dropped);
        self.lane.count_out(self.member(), self.at.cursor);
    }
}

fn publish(lane: &Model, n: u64) {
    assert!(append(&lane, n, true).is_ok(), "a live lane takes an event");
}

fn append_event(lane: &Model, event: Event, terms: Terms) -> Result<super::Accepted, Refusal> {
    lane.append(&mut Some(event), None, terms, &mut 0)
}

fn append(lane: &Model, n: u64, evict: bool) -> Result<super::Accepted, Refusal> {
    append_event(
        lane,
        event(n),
        if evict {
            Terms::OVERWRITE
        } else {
            Terms::REFUSE
        },
    )
}

fn spawn<T: 'static>(f: impl FnOnce() -> T + 'static) -> loom::thread::JoinHandle<T> {
    loom::thread::spawn(f)
}

fn two_publishers() {
    let (lane, mut reader) = Reader::first_by_slots();
    let other = Arc::clone(&lane);
    let t = spawn(move || publish(&other, 1));
    publish(&lane, 2);
    t.join().unwrap();
    reader.read_all();
    reader.got.sort_unstable();
    assert_eq!(
        (reader.got.as_slice(), reader.missed),
        ([1, 2].as_slice(), 0)
    );
    reader.leave();
}

fn eviction_and_readers() {
    let (lane, mut ann) = Reader::first_by_slots();
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
        assert!(told >= 3, "every event is delivered or told as missed");
        reader.leave();
    }
}

fn readers_count_down_while_lapped() {
    let (lane, mut ann) = Reader::first_by_slots();
    let mut ben = Reader::join(&lane, 2);
    publish(&lane, 0);
    publish(&lane, 1);
    let t = spawn(move || {
        ann.read();
        ann
    });
    let other = Arc::clone(&lane);
    let u = spawn(move || publish(&other, 2));
    ben.read();
    let ann = t.join().unwrap();
    u.join().unwrap();
    ben.read_all();
    ann.leave();
    assert!(ben.got.is_sorted());
    ben.leave();
}

fn leave_while_publishing((lane, ann): (Model, Reader)) {
    let mut ben = Reader::join(&lane, 2);
    let sent = event(7);
    let (other, copy) = (Arc::clone(&lane), sent.clone());
    let t = spawn(move || assert!(append_event(&other, copy, Terms::OVERWRITE).is_ok()));
    ann.leave();
    t.join().unwrap();
    ben.read_all();
    assert_eq!(ben.got, [7]);
    assert_eq!(
        loom::sync::Arc::strong_count(&sent),
        1,
        "read by all who count: given back"
    );
    ben.leave();
}

fn last_leave_and_join() {
    let (lane, ann) = Reader::first();
    let other = Arc::clone(&lane);
    let t = spawn(move || {
        if other.join(255).is_ok() {
            assert!(
                append(&other, 1, true).is_ok(),
                "who has joined is published to"
            );
            assert!(!other.is_closed(), "a lane with a connection is open");
        } else {
            assert!(other.is_closed());
        }
    });
    let departure = lane.close(ann.member(), CloseReason::Dropped);
    let last = matches!(departure, Departure::Last { .. });
    lane.count_out(ann.member(), ann.at.cursor);
    assert!(
        !last || lane.join(255).is_err(),
        "a lane left by its last connection stays closed"
    );
    t.join().unwrap();
}

fn close_while_reading() {
    let (lane, mut ann) = Reader::first();
    let mut ben = Reader::join(&lane, 2);
    let (other, seat) = (Arc::clone(&lane), ann.seat.clone());
    let t = spawn(move || {
        other.close(other.member(&seat), CloseReason::Evicted);
        publish(&other, 1);
    });
    ann.read();
    t.join().unwrap();
    ben.read_all();
    assert_eq!(
        (ben.got.as_slice(), ben.missed),
        ([1].as_slice(), 0),
        "ben's event is ben's"
    );
    assert!(
        ann.got.is_empty(),
        "a removed connection receives nothing more"
    );
    ann.leave();
    ben.leave();
}

#[derive(Default)]
struct Calls(AtomicUsize);
impl Wake for Calls {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Relaxed);
    }
}

fn wait_and(close: bool) {
    let (lane, reader) = Reader::first();
    let _other_device = Reader::join(&lane, 2);
    let calls = Arc::new(Calls::default());
    let (other, seat) = (Arc::clone(&lane), reader.seat.clone());
    let t = spawn(move || {
        if close {
            other.close(other.member(&seat), CloseReason::Idle);
        } else {
            publish(&other, 1);
        }
    });
    let waker = Waker::from(Arc::clone(&calls));
    let parked = lane.park(reader.member(), reader.at.cursor, &waker);
    t.join().unwrap();
    if parked {
        assert_eq!(calls.0.load(Relaxed), 1, "a sleeper is woken, once");
        lane.unpark(reader.member());
    }
    lane.shut();
}

fn wait_and_publish() {
    wait_and(false);
}
fn wait_and_close() {
    wait_and(true);
}

/// A publisher that is stopped while it wakes leaves the sleeper to those who come after it.
fn frozen_waker() {
    let (lane, reader) = Reader::first();
    let calls = Arc::new(Calls::default());
    let waker = Waker::from(Arc::clone(&calls));
    assert!(lane.park(reader.member(), reader.at.cursor, &waker));
    reader.member().wake.wake_and_freeze();
    let other = Arc::clone(&lane);
    let t = spawn(move || publish(&other, 1));
    publish(&lane, 2);
    t.join().unwrap();
    assert!(calls.0.load(Relaxed) > 0, "a sleeper is woken");
    lane.unpark(reader.member());
    lane.shut();
}

/// A publisher that never comes back must not keep a reader from what is behind it.
fn frozen_publisher() {
    let (lane, mut reader) = Reader::first_by_slots();
    // What a publisher does first, and then nothing more.
    lane.state
        .fetch_add(super::State::ONE_NUMBER, crate::sync::Ordering::AcqRel);
    let other = Arc::clone(&lane);
    let t = spawn(move || publish(&other, 1));
    reader.read();
    t.join().unwrap();
    reader.read_all();
    assert_eq!(
        (reader.got.as_slice(), reader.missed),
        ([1].as_slice(), 0),
        "what comes after a frozen publisher is read"
    );
    reader.leave();
}

/// A publisher that comes late finds its number voided and keeps its event.
fn slow_publisher_is_lapped() {
    let (lane, mut reader) = Reader::first_by_slots();
    let other = Arc::clone(&lane);
    let t = spawn(move || append(&other, 1, true));
    publish(&lane, 2);
    // Voids the slow one's number if it is in between.
    reader.read_all();
    let last = append(&lane, 3, true).expect("accepted").number;
    reader.read_all();
    let slow = t.join().unwrap().expect("accepted").number;
    reader.read_all();
    if slow > last {
        assert_eq!(reader.got.last(), Some(&1), "the event keeps its number");
    }
    // A number that was voided and then overwritten is told as missed too.
    let told = reader.got.len() as u64 + reader.missed;
    assert!(
        (3..=reader.at.cursor - 2).contains(&told),
        "every event is delivered or told"
    );
    reader.leave();
}

/// One place, two that want it.
fn joins_at_the_limit() {
    let (lane, _first) = Reader::first();
    let other = Arc::clone(&lane);
    let t = spawn(move || other.join(2).is_ok());
    let here = lane.join(2).is_ok();
    assert!(t.join().unwrap() != here, "exactly one finds the place");
}

/// Who joins is counted by exactly the events that it gets.
fn join_while_publishing() {
    let (lane, mut ann) = Reader::first();
    let other = Arc::clone(&lane);
    let t = spawn(move || append(&other, 1, true).expect("ann is there").connections);
    let mut ben = Reader::join(&lane, 2);
    let counted = t.join().unwrap();
    ann.read_all();
    ben.read_all();
    let got = ann.got.len() + ben.got.len();
    assert_eq!(usize::from(counted), got, "counted and delivered agree");
    ann.leave();
    ben.leave();
}

/// A reader that stands still inside an event while its lane is lapped keeps that event.
fn lapped_while_inside() {
    let (lane, mut ann) = Reader::first_by_slots();
    let ben = Reader::join(&lane, 2);
    publish(&lane, 0);
    let other = Arc::clone(&lane);
    let t = spawn(move || publish(&other, 1));
    let Ok((_, entered)) = lane.read(lane.member(&ann.seat), &mut ann.at) else {
        panic!("there is an event");
    };
    publish(&lane, 2);
    publish(&lane, 3);
    assert_eq!(**entered.get(), 0, "the event stays in place");
    drop(entered);
    t.join().unwrap();
    ann.leave();
    ben.leave();
}

/// A reader gets the critical event or is closed; two publishers overwrite whatever it has not read.
fn critical_and_slow_reader() {
    let (lane, mut reader) = Reader::first_by_slots();
    publish(&lane, 0);
    append_event(&lane, event(1), Terms::CRITICAL).expect("accepted");
    let other = Arc::clone(&lane);
    let t = spawn(move || {
        // Refused once the reader is closed.
        let _ = append(&other, 2, true);
        let _ = append(&other, 3, true);
    });
    reader.read();
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

/// A critical event whose publisher is slow does not come where its reader has passed with a gap.
fn critical_and_lapped_reader() {
    let (lane, mut reader) = Reader::first_by_slots();
    publish(&lane, 0);
    let other = Arc::clone(&lane);
    let t = spawn(move || append_event(&other, event(7), Terms::CRITICAL).is_ok());
    publish(&lane, 1);
    // One that never comes, but takes the reader further.
    lane.state
        .fetch_add(super::State::ONE_NUMBER, crate::sync::Ordering::AcqRel);
    reader.read();
    let accepted = t.join().unwrap();
    reader.read_all();
    assert!(
        !accepted
            || reader.got.contains(&7)
            || reader.member().closed() == Some(CloseReason::Overrun),
        "the critical event is delivered, or the connection is closed"
    );
    reader.leave();
    lane.shut();
}

/// Whoever goes while somebody else closes it is counted out of what it has not read.
fn leave_while_closed() {
    let (lane, mut ann) = Reader::first();
    let mut ben = Reader::join(&lane, 2);
    publish(&lane, 0);
    let sent = event(1);
    append_event(&lane, sent.clone(), Terms::OVERWRITE).expect("accepted");
    ann.read();
    ben.read_all();
    let (other, seat) = (Arc::clone(&lane), ann.seat.clone());
    let t = spawn(move || {
        other.close(other.member(&seat), CloseReason::Evicted);
        publish(&other, 2);
    });
    ann.leave();
    ben.read_all();
    t.join().unwrap();
    ben.read_all();
    assert_eq!(ben.got, [0, 1, 2]);
    assert_eq!(
        loom::sync::Arc::strong_count(&sent),
        1,
        "nothing is kept for who has left"
    );
    ben.leave();
}

/// Each connection reads what is for it and steps over the rest.
fn audiences() {
    let (lane, mut ann) = Reader::first();
    let mut ben = Reader::join(&lane, 2);
    let other = Arc::clone(&lane);
    let t = spawn(move || {
        let audience = other.select(|member| member.id == ConnectionId(2));
        other.append(
            &mut Some(event(1)),
            Some(&audience),
            Terms::OVERWRITE,
            &mut 0,
        )
    });
    ann.read();
    ben.read();
    let accepted = t.join().unwrap().expect("ben is there");
    assert_eq!(accepted.connections, 1);
    for reader in [&mut ann, &mut ben] {
        reader.read_all();
    }
    assert!(ann.got.is_empty(), "ann gets nothing of ben's");
    assert_eq!(
        (ben.got.as_slice(), ann.at.stepped_over),
        ([1].as_slice(), 1)
    );
    ann.leave();
    ben.leave();
}

fn try_publish_overwrites_nothing() {
    let (lane, mut reader) = Reader::first_by_slots();
    publish(&lane, 0);
    let other = Arc::clone(&lane);
    let t = spawn(move || {
        let _ = append(&other, 1, false);
    });
    let _ = append(&lane, 2, false);
    t.join().unwrap();
    reader.read_all();
    assert_eq!(reader.missed, 0, "nothing was overwritten");
    assert!(reader.got.len() >= 2 && reader.got[0] == 0);
    reader.leave();
}

/// What a connection that has joined has to read is not overwritten, listed or not.
fn try_publish_and_join() {
    let (lane, mut ann) = Reader::first_by_slots();
    let other = Arc::clone(&lane);
    let t = spawn(move || Reader::join(&other, 2));
    publish(&lane, 0);
    publish(&lane, 1);
    ann.read();
    let _ = append(&lane, 2, false);
    let mut ben = t.join().unwrap();
    ben.read_all();
    assert_eq!(ben.missed, 0, "what ben has to read is there");
    ann.leave();
    ben.leave();
}

/// Who is counted for an event has not lost what that event takes the place of.
fn try_publish_and_leave() {
    let (lane, ann) = Reader::first_by_slots();
    let mut ben = Reader::join(&lane, 2);
    publish(&lane, 0);
    publish(&lane, 1);
    ben.read();
    let other = Arc::clone(&lane);
    let t = spawn(move || append(&other, 2, false).map(|accepted| accepted.connections));
    ann.leave();
    let counted = t.join().unwrap();
    assert!(
        counted != Ok(2),
        "ann is gone, or what she has not read stays"
    );
    ben.read_all();
    ben.leave();
}

#[test]
fn publish_and_publish() {
    model::sound("publish, publish", 3, two_publishers);
}
#[test]
fn eviction_against_receive() {
    model::sound("evict, receive", 3, eviction_and_readers);
    model::twin("steal-from-reader", "Concurrent read and write");
}
#[test]
fn two_readers_against_a_lap() {
    model::sound("two readers, lap", 2, readers_count_down_while_lapped);
    model::twin("join-evicted", "panicked");
}
#[test]
fn leave_against_publish() {
    model::sound("leave, publish", 3, || {
        leave_while_publishing(Reader::first_by_slots());
    });
    model::twin("leave-unresolved", "read by all who count");
}
#[test]
fn last_leave_against_join() {
    model::sound("last leave, join", 3, last_leave_and_join);
    model::twin("vacant-but-open", "a lane left by its last");
}
#[test]
fn close_against_receive_and_publish() {
    model::sound("close, receive", 3, close_while_reading);
    model::twin("read-after-close", "ben's event is ben's");
}
#[test]
fn wait_against_publish() {
    model::sound("wait, publish", 3, wait_and_publish);
    model::twin("publish-without-wake", "a sleeper is woken");
    model::twin("sleep-without-looking", "a sleeper is woken");
}
#[test]
fn wait_against_close() {
    model::sound("wait, close", 3, wait_and_close);
    model::twin("close-without-wake", "a sleeper is woken");
}
#[test]
fn passing_a_frozen_publisher() {
    model::sound("frozen publisher", 3, frozen_publisher);
    model::twin("wait-for-the-frozen", "what comes after a frozen publisher");
}
#[test]
fn lapping_a_slow_publisher() {
    model::sound("slow publisher", 3, slow_publisher_is_lapped);
    model::twin("steal-from-void", "Concurrent write accesses");
    model::twin("acquire-in-two-steps", "Concurrent write accesses");
}
#[test]
fn try_publish_against_try_publish() {
    model::sound(
        "try_publish, try_publish",
        3,
        try_publish_overwrites_nothing,
    );
    model::twin("overwrite-when-full", "nothing was overwritten");
}
#[test]
fn try_publish_against_join() {
    model::sound("try_publish, join", 3, try_publish_and_join);
    model::twin("overlook-joining", "what ben has to read");
}
#[test]
fn try_publish_against_leave() {
    model::sound("try_publish, leave", 3, try_publish_and_leave);
    model::twin("overlook-leaving", "ann is gone, or what");
}
#[test]
fn critical_publish_against_a_slow_reader() {
    model::sound("critical, slow reader", 3, critical_and_slow_reader);
    model::twin("forget-critical", "the critical event is delivered, or");
    model::twin("skip-critical", "the critical event is delivered, or");
}
#[test]
fn critical_publish_against_a_lapped_reader() {
    model::sound("critical, lapped reader", 3, critical_and_lapped_reader);
    model::twin(
        "jump-over-the-unresolved",
        "the critical event is delivered, or",
    );
}
#[test]
fn leave_against_close() {
    model::sound("leave, close", 3, leave_while_closed);
    model::twin("leave-it-to-the-owner", "nothing is kept for who has left");
}
#[test]
fn audience_against_readers() {
    model::sound("audience", 3, audiences);
    model::twin("read-what-is-for-others", "ann gets nothing of ben's");
}
#[test]
fn join_against_join_at_the_limit() {
    model::sound("join, join at the limit", 3, joins_at_the_limit);
    model::twin("join-in-two-steps", "exactly one finds the place");
}
#[test]
fn join_against_publish() {
    model::sound("join, publish", 3, join_while_publishing);
    model::twin("join-then-look", "counted and delivered agree");
}
#[test]
fn lapping_a_reader_that_stands_still() {
    model::sound("lap a standing reader", 3, lapped_while_inside);
    model::twin("steal-from-reader", "the event stays in place");
}
#[test]
fn waking_behind_a_frozen_waker() {
    model::sound("frozen waker", 3, frozen_waker);
    model::twin("trust-the-other-waker", "a sleeper is woken");
}
