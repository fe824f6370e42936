//! States of a lane that threads pass through too quickly for a test from outside: a publisher that
//! never comes back, a connection half way in or out.

use std::sync::Arc;
use std::task::{Wake, Waker};

use super::archive::{Archive, Asker, Replay};
use super::member::Member;
use super::{
    Accepted, Claim, Departure, Entered, Filling, JoinError, Kind, Lane, Newcomer, Reader, Refusal,
    Seat, State, Step, Terms,
};
use crate::error::CloseReason;
use crate::id::ConnectionId;
use crate::sync::{AtomicBool, Ordering};

const CAPACITY: usize = 4;
const NEWCOMER: Newcomer = (ConnectionId(1), None);

struct Device {
    seat: Seat,
    reader: Reader,
}

impl Device {
    fn first<E>() -> (Lane<E>, Self) {
        let lane = Lane::new(CAPACITY, Some(NEWCOMER), None);
        let device = Self::at(lane.load().seq(), None);
        lane.list(&device.seat);
        (lane, device)
    }

    /// Counted by the lane, and not listed.
    fn joining<E>(lane: &Lane<E>) -> Self {
        let cursor = lane.join(255).expect("open");
        let member = Member::new(ConnectionId(cursor), None, cursor);
        Self::at(cursor, Some(Arc::new(member)))
    }

    fn at(cursor: u64, seat: Seat) -> Self {
        Self {
            seat,
            reader: Reader::new(cursor),
        }
    }

    fn next<E: Clone>(&mut self, lane: &Lane<E>) -> Result<E, Step> {
        lane.read(lane.member(&self.seat), &mut self.reader)
            .map(|(_, entered)| entered.into_event())
    }

    fn parks(&self, lane: &Lane<u64>) -> bool {
        lane.park(lane.member(&self.seat), self.reader.cursor, Waker::noop())
    }
}

fn append<E>(lane: &Lane<E>, event: E, terms: Terms) -> Result<Accepted, Refusal> {
    lane.append(&mut Some(event), None, terms, &mut 0)
}

/// Gets into an event as somebody who was counted for it.
fn enter<E>(lane: &Lane<E>, number: u64) -> Entered<'_, E> {
    let id = ConnectionId(9);
    let hot = lane.ring.enter_hot(number, id, || true);
    let entered = hot.unwrap_or_else(|| lane.ring.enter_slot(number, id, || true));
    entered.unwrap_or_else(|found| panic!("{found:?}"))
}

/// Publishes what has been claimed, for so many readers.
fn fill<E>(lane: &Lane<E>, claim: &Claim<'_, E>, readers: u8, event: &mut Option<E>) -> bool {
    let entry = Filling {
        readers,
        kind: Kind::Ordinary,
        audience: None,
    };
    let mut evicted = [None, None];
    lane.ring.fill(claim, entry, event, &mut evicted)
}

/// A publisher takes a number and is never seen again.
fn freeze_a_publisher<E>(lane: &Lane<E>) {
    lane.state.fetch_add(State::ONE_NUMBER, Ordering::AcqRel);
}

#[test]
fn what_comes_after_frozen_publishers_is_read() {
    for frozen in 1..CAPACITY {
        let (lane, mut device) = Device::first();
        append(&lane, 1, Terms::OVERWRITE).expect("accepted");
        assert_eq!(device.next(&lane), Ok(1));
        for _ in 0..frozen {
            freeze_a_publisher(&lane);
        }
        // Nothing is known to come: the publishers are given their time.
        let first = device.reader.cursor;
        assert_eq!(device.next(&lane), Err(Step::Empty));
        assert!(!lane.ring.is_resolved(first));
        append(&lane, 2, Terms::OVERWRITE).expect("accepted");
        assert_eq!(device.next(&lane), Ok(2));
        assert_eq!(device.reader.stepped_over, frozen as u64);
    }
}

#[test]
fn a_sleeper_does_not_wait_for_a_frozen_publisher() {
    let (lane, mut device) = Device::first();
    freeze_a_publisher(&lane);
    assert_eq!(device.next(&lane), Err(Step::Empty));
    assert!(!device.parks(&lane), "there is a number to look at");
    assert_eq!(device.next(&lane), Err(Step::Empty));
    assert_eq!(device.reader.stepped_over, 1);
    assert!(device.parks(&lane));
    assert_eq!(lane.load().waiting(), 1);
    lane.unpark(lane.member(&device.seat));
    assert_eq!(lane.load().waiting(), 0);
}

#[test]
fn nobody_sleeps_on_what_has_ended() {
    let (lane, device) = Device::first();
    let other = Device::joining(&lane);
    lane.list(&other.seat);
    lane.close(lane.member(&other.seat), CloseReason::Idle);
    assert!(!other.parks(&lane), "the connection is closed");
    assert!(lane.shut());
    assert!(!device.parks(&lane), "the lane is closed");
    assert!(!lane.shut(), "it was shut before");
}

#[test]
fn a_frozen_publisher_does_not_stop_those_who_do_not_overwrite() {
    let (lane, mut device) = Device::first();
    freeze_a_publisher(&lane);
    for n in 1..4 * CAPACITY as u64 {
        append(&lane, n, Terms::REFUSE).expect("there is room");
        assert_eq!(device.next(&lane), Ok(n));
    }
}

#[test]
fn an_event_whose_overwriter_froze_is_not_waited_for() {
    let (lane, mut device) = Device::first();
    for n in 0..CAPACITY as u64 {
        append(&lane, n, Terms::OVERWRITE).expect("accepted");
    }
    // This one has taken the place of event 0, and will never fill it.
    freeze_a_publisher(&lane);
    for n in 5..8 {
        append(&lane, n, Terms::OVERWRITE).expect("accepted");
    }
    append(&lane, 8, Terms::REFUSE).expect("its number is no event");
    assert_eq!(device.next(&lane), Err(Step::Gap(5)));
    for n in 5..=8 {
        assert_eq!(device.next(&lane), Ok(n));
    }
}

#[test]
fn a_lane_that_was_shut_stays_so_when_its_last_connection_leaves() {
    let (lane, device) = Device::first::<u64>();
    lane.shut();
    let departure = lane.close(lane.member(&device.seat), CloseReason::Dropped);
    assert_eq!(departure, Departure::Last { accepted: 0 });
    assert_eq!(lane.join(255), Err(JoinError::Closed));
}

#[test]
fn what_somebody_on_the_way_in_has_to_read_is_not_overwritten() {
    let (lane, mut ann) = Device::first();
    let mut ben = Device::joining(&lane);
    for n in 0..CAPACITY as u64 {
        append(&lane, n, Terms::OVERWRITE).expect("accepted");
        assert_eq!(ann.next(&lane), Ok(n));
    }
    assert_eq!(append(&lane, 9, Terms::REFUSE), Err(Refusal::Full));
    lane.list(&ben.seat);
    assert_eq!(append(&lane, 9, Terms::REFUSE), Err(Refusal::Full));
    for n in 0..CAPACITY as u64 {
        assert_eq!(ben.next(&lane), Ok(n));
    }
    append(&lane, 9, Terms::REFUSE).expect("there is room");
}

#[test]
fn somebody_on_the_way_out_holds_an_event_until_not_counted_any_more() {
    let (lane, ann) = Device::first();
    let mut ben = Device::joining(&lane);
    lane.list(&ben.seat);
    for n in 0..CAPACITY as u64 {
        append(&lane, n, Terms::OVERWRITE).expect("accepted");
        assert_eq!(ben.next(&lane), Ok(n));
    }
    // What `close` does, one step at a time.
    assert!(lane.member(&ann.seat).close(CloseReason::Dropped));
    assert_eq!(append(&lane, 9, Terms::REFUSE), Err(Refusal::Full));
    let left = lane.depart();
    let (seq, last) = (left.seq(), left.live() == 0);
    assert!(!last);
    assert_eq!(append(&lane, 9, Terms::REFUSE), Err(Refusal::Full));
    lane.member(&ann.seat).set_left_at(seq);
    let accepted = append(&lane, 9, Terms::REFUSE).expect("nobody wants it any more");
    assert_eq!(accepted.connections, 1);
    assert_eq!(ben.next(&lane), Ok(9));
}

#[test]
fn the_last_to_leave_closes_the_lane() {
    let (lane, device) = Device::first();
    append(&lane, 1, Terms::OVERWRITE).expect("accepted");
    let departure = lane.close(lane.member(&device.seat), CloseReason::Dropped);
    assert_eq!(departure, Departure::Last { accepted: 1 });
    assert_eq!(lane.join(255), Err(JoinError::Closed));
}

#[test]
fn a_critical_event_that_is_about_to_be_overwritten_is_read() {
    for (before, critical) in [(0, 1), (0, 2), (0, 3), (7, 1), (7, 2), (7, 3)] {
        let (lane, mut device) = Device::first();
        for n in 0..before {
            append(&lane, n, Terms::OVERWRITE).expect("accepted");
            assert_eq!(device.next(&lane), Ok(n));
        }
        for n in 0..CAPACITY as u64 {
            let terms = if n == critical {
                Terms::CRITICAL
            } else {
                Terms::OVERWRITE
            };
            append(&lane, n, terms).expect("accepted");
        }
        append(&lane, 4, Terms::OVERWRITE).expect("accepted");
        // Their numbers are a lap above events that are still there.
        for _ in 0..critical {
            freeze_a_publisher(&lane);
        }
        assert_eq!(device.next(&lane), Err(Step::Gap(critical)));
        assert_eq!(device.next(&lane), Ok(critical));
    }
}

#[test]
fn who_leaves_gives_up_numbers_that_are_not_published_yet() {
    let (lane, ann) = Device::first();
    let mut ben = Device::joining(&lane);
    lane.list(&ben.seat);
    let claimed = lane.claim_next(&mut 0).expect("open");
    let (state, claim) = claimed.expect("a cell");
    lane.close(lane.member(&ann.seat), CloseReason::Dropped);
    lane.count_out(lane.member(&ann.seat), ann.reader.cursor);
    let mut event = Some(1);
    assert!(!fill(&lane, &claim, state.live(), &mut event));
    assert_eq!(event, Some(1), "it comes back");
    append(&lane, 2, Terms::OVERWRITE).expect("accepted");
    assert_eq!(ben.next(&lane), Ok(2));
}

#[test]
fn a_number_given_up_is_told_once_the_figures_are_taken_over() {
    let (lane, ann) = Device::first();
    append(&lane, 1, Terms::OVERWRITE).expect("accepted");
    freeze_a_publisher(&lane);
    freeze_a_publisher(&lane);
    let mut told = 0;
    lane.abandon(ann.reader.cursor + 1, &mut told);
    assert_eq!((told, lane.accepted()), (0, 2));
    let departure = lane.close(lane.member(&ann.seat), CloseReason::Dropped);
    assert_eq!(departure, Departure::Last { accepted: 2 });
    assert_eq!(lane.accepted(), 0, "the figures were taken over");
    lane.abandon(ann.reader.cursor + 2, &mut told);
    lane.abandon(ann.reader.cursor + 2, &mut told);
    assert_eq!(told, 2);
}

#[test]
fn a_critical_event_that_a_voided_number_takes_the_place_of_is_lost() {
    let (lane, mut ann) = Device::first();
    let mut ben = Device::joining(&lane);
    lane.list(&ben.seat);
    append(&lane, 0, Terms::CRITICAL).expect("accepted");
    for n in 1..CAPACITY as u64 {
        append(&lane, n, Terms::OVERWRITE).expect("accepted");
    }
    for n in 0..CAPACITY as u64 {
        assert_eq!(ben.next(&lane), Ok(n));
    }
    freeze_a_publisher(&lane);
    append(&lane, 9, Terms::OVERWRITE).expect("accepted");
    assert!(
        !lane.is_overrun(lane.member(&ann.seat)),
        "it is there still"
    );
    assert_eq!(ben.next(&lane), Ok(9));
    assert!(lane.is_overrun(lane.member(&ann.seat)) && !lane.is_overrun(lane.member(&ben.seat)));
    assert_eq!(ann.next(&lane), Err(Step::Overrun));
}

#[test]
fn a_closed_connection_steps_over_nothing() {
    let (lane, mut ann) = Device::first::<u64>();
    let ben = Device::joining(&lane);
    lane.list(&ben.seat);
    lane.close(lane.member(&ann.seat), CloseReason::Idle);
    freeze_a_publisher(&lane);
    lane.resolve(ann.reader.cursor);
    let closed = Step::Closed(CloseReason::Idle);
    assert_eq!(ann.next(&lane), Err(closed));
    assert_eq!(ann.reader.stepped_over, 0);
}

#[test]
fn a_critical_event_that_is_just_being_read_is_not_lost() {
    let (lane, ann) = Device::first();
    append(&lane, 0, Terms::CRITICAL).expect("accepted");
    let number = ann.reader.cursor;
    let entered = enter(&lane, number);
    lane.resolve(number + CAPACITY as u64);
    assert!(!lane.is_overrun(lane.member(&ann.seat)));
    assert_eq!(*entered.get(), 0);
}

#[test]
fn a_lane_drops_what_nobody_has_read() {
    let lane = Lane::new(CAPACITY, Some(NEWCOMER), None);
    lane.list(&None);
    let event = Arc::new(());
    for _ in 0..CAPACITY {
        let event = &mut Some(Arc::clone(&event));
        let accepted = lane.append(event, None, Terms::OVERWRITE, &mut 0);
        assert_eq!(accepted.expect("accepted").connections, 1);
    }
    assert_eq!(Arc::strong_count(&event), 1 + CAPACITY);
    drop(lane);
    assert_eq!(Arc::strong_count(&event), 1);
}

#[test]
fn a_claim_that_is_given_back_gives_back_what_it_took() {
    let (lane, _device) = Device::first();
    // The first takes the hot cell.
    append(&lane, 6, Terms::OVERWRITE).expect("accepted");
    append(&lane, 7, Terms::OVERWRITE).expect("accepted");
    let later = lane.load().seq() + CAPACITY as u64 - 1;
    let claim = lane
        .ring
        .claim(later, true, true)
        .expect("takes the event's cell");
    assert_eq!(claim.release(), Some(7));
    let claim = lane
        .ring
        .claim(later, true, true)
        .expect("the cell is free");
    assert_eq!(claim.release(), None);
}

#[test]
fn a_hot_cell_that_was_given_back_does_not_expect_what_may_be_one_too_many() {
    let (lane, _device) = Device::first();
    let slow = lane.load().seq();
    freeze_a_publisher(&lane);
    let (_, claim) = lane.claim_next(&mut 0).expect("open").expect("a cell");
    lane.ring.void(slow);
    // It comes late, gives the hot cell back, and the publisher behind it comes later still.
    lane.ring.give_up(slow);
    assert!(fill(&lane, &claim, 1, &mut Some(1)));
    assert!(!lane.ring.expects(slow + 2));
}

#[test]
fn an_event_in_the_hot_cell_is_overwritten_also_two_laps_later() {
    let (lane, mut device) = Device::first();
    for n in 0..4 {
        append(&lane, n, Terms::OVERWRITE).expect("accepted");
    }
    // Who would have overwritten it a lap later never comes.
    freeze_a_publisher(&lane);
    for n in 5..9 {
        append(&lane, n, Terms::OVERWRITE).expect("accepted");
    }
    assert_eq!(device.next(&lane), Err(Step::Gap(5)));
    for n in 5..9 {
        assert_eq!(device.next(&lane), Ok(n));
    }
    assert_eq!(device.next(&lane), Err(Step::Empty));
}

#[test]
fn a_hot_cell_in_use_again_leaves_no_place_to_a_slow_publisher_a_lap_older() {
    let (lane, mut device) = Device::first();
    append(&lane, 0, Terms::OVERWRITE).expect("accepted");
    append(&lane, 1, Terms::OVERWRITE).expect("accepted");
    assert_eq!(device.next(&lane), Ok(0));
    let slow = lane.load().seq();
    for _ in 0..CAPACITY {
        freeze_a_publisher(&lane);
    }
    assert!(!lane.ring.is_resolved(slow));
    let (_, claim) = lane.claim_next(&mut 0).expect("open").expect("a cell");
    assert!(matches!(claim, Claim::Hot(_)) && lane.ring.is_resolved(slow));
}

#[test]
fn an_event_that_somebody_is_in_is_overwritten_by_none_that_goes_through_the_hot_cell() {
    let (lane, _ann) = Device::first();
    let mut ben = Device::joining(&lane);
    lane.list(&ben.seat);
    let first = lane.load().seq();
    let enter = |number: u64| enter(&lane, first + number);
    append(&lane, 0, Terms::OVERWRITE).expect("accepted");
    append(&lane, 1, Terms::OVERWRITE).expect("accepted");
    drop((enter(0), enter(0)));
    let inside = enter(1);
    for n in 2..5 {
        append(&lane, n, Terms::OVERWRITE).expect("accepted");
    }
    drop((enter(2), enter(2)));
    // The hot cell is to be had again; the event a lap older has one reader inside, one to come.
    append(&lane, 5, Terms::OVERWRITE).expect("accepted");
    assert_eq!(*inside.get(), 1);
    drop(inside);
    ben.reader.cursor = first + 1;
    assert_eq!(ben.next(&lane), Err(Step::Gap(1)));
}

#[test]
fn a_lapped_reader_goes_on_at_a_critical_event_in_the_hot_cell_and_at_no_other() {
    for (terms, missed, next) in [(Terms::OVERWRITE, 3, 4), (Terms::CRITICAL, 1, 2)] {
        let (lane, mut device) = Device::first();
        append(&lane, 0, Terms::OVERWRITE).expect("accepted");
        append(&lane, 1, Terms::OVERWRITE).expect("accepted");
        assert_eq!(device.next(&lane), Ok(0));
        // In the hot cell again, before an event that is unread in its slot.
        append(&lane, 2, terms).expect("accepted");
        for n in 3..6 {
            append(&lane, n, Terms::OVERWRITE).expect("accepted");
        }
        // Who would have overwritten it never comes.
        freeze_a_publisher(&lane);
        append(&lane, 7, Terms::OVERWRITE).expect("accepted");
        assert_eq!(device.next(&lane), Err(Step::Gap(missed)));
        assert_eq!(device.next(&lane), Ok(next));
    }
}

#[test]
fn what_nobody_has_read_is_dropped_when_the_last_connection_is_closed() {
    let (lane, mut ann) = Device::first();
    let mut ben = Device::joining(&lane);
    lane.list(&ben.seat);
    let event = Arc::new(());
    let publish = || {
        append(&lane, Arc::clone(&event), Terms::OVERWRITE).expect("accepted");
    };
    publish();
    publish();
    assert!(ann.next(&lane).is_ok() && ann.next(&lane).is_ok() && ben.next(&lane).is_ok());
    // Its owner does not come back to count it out of the second, which stays in its slot while
    // later events go through the hot cell.
    lane.close(lane.member(&ben.seat), CloseReason::Idle);
    for _ in 0..CAPACITY {
        publish();
        assert!(ann.next(&lane).is_ok());
    }
    assert_eq!(Arc::strong_count(&event), 2);
    publish();
    publish();
    assert_eq!(Arc::strong_count(&event), 4);
    let left = lane.close(lane.member(&ann.seat), CloseReason::Idle);
    assert!(matches!(left, Departure::Last { .. }));
    assert_eq!(Arc::strong_count(&event), 1);
}

#[test]
fn one_replay_more_than_can_be_counted_finds_its_event_gone() {
    for (readers, is_there) in [(u8::MAX - 1, true), (u8::MAX, false)] {
        let (lane, _device) = Device::first();
        let number = lane.load().seq();
        let claim = lane.ring.claim(number, true, false).expect("a cell");
        assert!(fill(&lane, &claim, readers, &mut Some(1)));
        assert_eq!(lane.ring.revisit(number, &[]).is_ok(), is_there);
    }
}

#[test]
fn one_place_has_its_own_cell_and_four_spares() {
    let (lane, _device) = Device::first::<u64>();
    let numbers = (1..).map(|lap| lane.load().seq() + lap * CAPACITY as u64);
    let claims: Vec<_> = numbers
        .map_while(|number| lane.ring.claim(number, true, true))
        .collect();
    assert_eq!(claims.len(), 5, "one more is not to be had");
    // Each is a cell of its own: filling one leaves the others as they are.
    for claim in claims {
        assert_eq!(claim.release(), None);
    }
}

#[test]
fn numbers_are_for_years() {
    const { assert!(State::LAST_NUMBER > 1 << 43 && State::LAST_NUMBER < 1 << 44) };
}

#[test]
fn what_is_about_to_be_overwritten_is_recovered() {
    let archive = Archive::new(1, CAPACITY, None);
    let lane = Lane::new(CAPACITY, None, Some(archive));
    append(&lane, 7, Terms::CRITICAL).expect("it is kept");
    let to = lane.join(255).expect("open");
    // The last of them has claimed the place of what is to be recovered.
    for _ in 0..CAPACITY {
        freeze_a_publisher(&lane);
    }
    let mut recovered = Vec::new();
    let complete = lane.recover(to, |number, event| recovered.push((number, event)));
    assert_eq!(
        (recovered.as_slice(), complete),
        ([(0, 7)].as_slice(), true)
    );
}

#[test]
fn a_lane_that_was_shut_stays_shut_when_its_archive_goes() {
    let lane = Lane::<u64>::new(CAPACITY, None, Some(Archive::new(1, CAPACITY, None)));
    let seq = lane.load().seq();
    assert!(lane.shut() && lane.expire().is_some());
    assert_eq!(lane.load(), State(State::new(seq).0 | State::CLOSED));
    assert_eq!(lane.join(255), Err(JoinError::Closed));
}

#[test]
fn who_is_too_late_for_a_lane_that_only_its_archive_was_in_has_its_event_back() {
    let lane = Lane::new(CAPACITY, None, Some(Archive::new(1, CAPACITY, None)));
    let (_, claim) = lane.claim_next(&mut 0).expect("open").expect("a cell");
    assert_eq!(lane.expire(), Some(1));
    let entry = Filling {
        readers: 1,
        kind: Kind::Ordinary,
        audience: None,
    };
    let mut event = Some(1);
    assert!(!lane.ring.fill(&claim, entry, &mut event, &mut [None, None]));
    assert_eq!(event, Some(1));
}

/// A waker that sees whether a closed connection is found in its lane.
struct Looks(Lane<u64>, AtomicBool);

impl Wake for Looks {
    fn wake(self: Arc<Self>) {
        self.0.for_each(|member| {
            if !member.is_open() {
                self.1.store(true, Ordering::Release);
            }
        });
    }
}

#[test]
fn who_is_closed_is_found_until_it_was_woken() {
    for is_first in [true, false] {
        let (lane, ann) = Device::first();
        let ben = Device::joining(&lane);
        lane.list(&ben.seat);
        let looks = Arc::new(Looks(lane, AtomicBool::new(false)));
        let lane = &looks.0;
        let sleeper = if is_first { ann } else { ben };
        let member = lane.member(&sleeper.seat);
        let waker = Waker::from(Arc::clone(&looks));
        assert!(lane.park(member, sleeper.reader.cursor, &waker));
        // Others that come while it is closed wake it too, should the closer never get so far.
        lane.close(member, CloseReason::Idle);
        assert!(looks.1.load(Ordering::Acquire));
        lane.unpark(member);
        member.wake.clear();
    }
}

#[test]
fn a_number_that_is_no_event_is_no_hole_in_a_replay() {
    let lane = Lane::new(CAPACITY, None, Some(Archive::new(1, CAPACITY, None)));
    let from = lane.load().seq();
    append(&lane, 0, Terms::OVERWRITE).expect("kept");
    freeze_a_publisher(&lane);
    append(&lane, 2, Terms::OVERWRITE).expect("kept");
    let to = lane.join(255).expect("open");
    let asker = Asker {
        ids: [ConnectionId(9), ConnectionId(0)],
        is_exact: true,
    };
    let mut got = Vec::new();
    let first = lane.replay(&asker, from, to, |step| match step {
        Replay::Event(_, event) => got.push(event),
        Replay::StartOver => got.clear(),
    });
    assert_eq!((first, got.as_slice()), (from, [0, 2].as_slice()));
}

#[test]
fn after_a_burst_events_go_through_the_hot_cell_again() {
    for burst in 2..3 * CAPACITY as u64 {
        let (lane, mut device) = Device::first();
        let mut number = device.reader.cursor;
        let mut publish = |device: &mut Device, events: u64| {
            for n in 0..events {
                append(&lane, n, Terms::OVERWRITE).expect("accepted");
            }
            number += events;
            let place = lane.ring.describe(number - 1);
            while device.next(&lane) != Err(Step::Empty) {}
            place
        };
        assert!(publish(&mut device, 1).starts_with("hot cell"));
        assert!(!publish(&mut device, burst).starts_with("hot cell"));
        for _ in 0..3 {
            let place = publish(&mut device, 1);
            assert!(place.starts_with("hot cell"), "after {burst}: {place}");
        }
    }
}

#[test]
fn a_lane_that_is_kept_up_with_has_a_hot_cell_only() {
    let (lane, mut device) = Device::first();
    for n in 0..3 * CAPACITY as u64 {
        append(&lane, n, Terms::REFUSE).expect("accepted");
        assert_eq!(device.next(&lane), Ok(n));
        assert_eq!(device.next(&lane), Err(Step::Empty));
    }
    assert!(lane.ring.has_no_slots());
    append(&lane, 1, Terms::REFUSE).expect("accepted");
    append(&lane, 2, Terms::REFUSE).expect("accepted");
    assert!(!lane.ring.has_no_slots());
}
