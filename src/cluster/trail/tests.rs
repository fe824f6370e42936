//! Trails against a model: the set of numbers that a device has been handed.

use std::collections::HashSet;

use proptest::prelude::*;

use super::*;
use crate::cluster::frame::NodeId;

fn ann() -> UserId {
    UserId::new("ann").unwrap()
}

fn relayed(node: u64, number: u64, claim: Claim) -> Stamp {
    let numbering = Numbering {
        is_local: false,
        node: NodeId(node),
        count: 1,
    };
    Stamp {
        numbering,
        number,
        local: None,
        claim,
    }
}

fn local(lane: u64, first: u64, number: u64) -> Stamp {
    Stamp {
        numbering: Numbering::local(NodeId(7), lane),
        number,
        local: None,
        claim: Claim::From(first),
    }
}

#[test]
fn r140_a_trail_knows_what_it_has_noted_and_tells_each_gap_once() {
    let mut trail = Trail::new(&ann());
    let mut note = |number| trail.note(relayed(1, number, Claim::Live));
    assert_eq!(note(4), Noted::New, "the first sets the base");
    assert_eq!(note(5), Noted::New);
    assert_eq!(note(5), Noted::Repeated);
    assert_eq!(note(8), Noted::Gap { missed: 2 });
    assert_eq!(note(9), Noted::New);
    assert_eq!(note(7), Noted::New, "it came by the history");
    assert_eq!(note(7), Noted::Repeated);
    assert_eq!(note(3), Noted::New, "below the base nothing was noted");
    assert_eq!(note(6), Noted::New);
    assert_eq!(note(10), Noted::New, "the holes are filled");
    assert_eq!(trail.ranges.len(), 1);
}

#[test]
fn r140_a_lane_speaks_for_the_numbers_of_a_connection_and_for_no_others() {
    let mut trail = Trail::new(&ann());
    assert_eq!(trail.note(local(1, 10, 14)), Noted::New);
    let lane = |number| trail.has(Numbering::local(NodeId(7), 1), number);
    assert!(!lane(9), "before the connection");
    assert!(lane(10) && lane(13), "the device has passed them");
    assert!(!lane(15));
    // It was away from 15 to 19, in which the lane went on.
    assert_eq!(trail.note(local(1, 20, 21)), Noted::New);
    let lane = |number| trail.has(Numbering::local(NodeId(7), 1), number);
    assert!(!lane(15) && !lane(19) && lane(20));
    assert!(
        !trail.has(Numbering::local(NodeId(7), 2), 12),
        "another lane"
    );
}

#[test]
fn r140_an_event_that_a_device_has_from_its_publishers_node_is_repeated_elsewhere() {
    let mut trail = Trail::new(&ann());
    trail.note(local(1, 0, 4));
    let live = |number, at| Stamp {
        local: Some(Local {
            lane: 1,
            number: at,
        }),
        ..relayed(7, number, Claim::Live)
    };
    assert_eq!(trail.note(live(1, 3)), Noted::Repeated);
    assert_eq!(trail.note(live(2, 4)), Noted::Repeated);
    assert_eq!(trail.note(live(3, 5)), Noted::New);
    assert_eq!(trail.note(live(5, 2)), Noted::Repeated, "behind a gap");
    assert_eq!(trail.note(live(6, 8)), Noted::Gap { missed: 2 });
}

#[test]
fn r140_an_event_that_comes_live_is_not_passed_by_one_behind_it() {
    let mut trail = Trail::new(&ann());
    trail.note(relayed(1, 3, Claim::Kept));
    trail.note(relayed(1, 6, Claim::Held));
    let numbering = relayed(1, 0, Claim::Live).numbering;
    assert!(!trail.has(numbering, 4) && !trail.has(numbering, 5));
    trail.note(relayed(1, 9, Claim::Kept));
    assert!(trail.has(numbering, 8) && !trail.has(numbering, 5));
}

#[test]
fn r140_a_trail_moves_on_with_the_history_and_only_with_its_users() {
    let mut trail = Trail::new(&ann());
    trail.note(relayed(1, 3, Claim::Live));
    trail.note(relayed(1, 6, Claim::Live));
    let numbering = relayed(1, 0, Claim::Live).numbering;
    let reached = |user| Reached {
        user,
        stream: 5,
        floor: 6,
        floor_at: 7,
        numbers: vec![(numbering, 8)],
    };
    let before = trail.clone();
    trail.advance(&reached(trail.user() + 1));
    assert_eq!(trail, before);
    trail.advance(&reached(trail.user()));
    assert_eq!((trail.noted_since(), trail.floor), (0, 6));
    assert_eq!(trail.ranges.len(), 1);
    assert!(trail.has(numbering, 8) && trail.has(numbering, 4));
}

#[test]
fn r140_a_trail_is_bounded_and_its_text_too() {
    let mut trail = Trail::new(&ann());
    for node in 0..200 {
        trail.note(relayed(node, 5, Claim::Live));
        // Each second event is for a thread of other devices.
        for number in 3..40 {
            trail.note(relayed(node, 2 * number, Claim::Live));
        }
        assert!(trail.ranges.len() <= MAX_RANGES);
    }
    let text = trail.to_string();
    assert!(text.len() <= 2_866, "{}", text.len());
    assert_eq!(text.parse(), Ok(trail));
    let mut one = Trail::new(&ann());
    one.note(relayed(1, 1, Claim::Live));
    assert_eq!(one.to_string().len(), 94);
    assert!(format!("{text}AAAA").parse::<Trail>().is_err());
}

fn claims() -> impl Strategy<Value = Claim> {
    prop_oneof![Just(Claim::Live), Just(Claim::Held), Just(Claim::Kept)]
}

proptest! {
    #[test]
    fn r140_any_text_is_a_trail_or_an_error(
        text in prop_oneof!["[A-Za-z0-9_-]{0,400}", "\\PC{0,60}"],
        cut in 0..400_usize,
        change in any::<u8>(),
        notes in proptest::collection::vec((0..4_u64, 1..60_u64, claims()), 0..20),
    ) {
        if let Ok(trail) = text.parse::<Trail>() {
            prop_assert_eq!(trail.to_string(), text);
        }
        let mut trail = Trail::new(&ann());
        for (node, number, claim) in notes {
            trail.note(relayed(node, number, claim));
        }
        let text = trail.to_string();
        prop_assert_eq!(&text.parse::<Trail>(), &Ok(trail));
        let mut bytes = text.into_bytes();
        let at = cut % bytes.len();
        bytes[at] = change & 0x7f;
        let changed = String::from_utf8(bytes).unwrap();
        for text in [&changed[..], &changed[..at]] {
            if let Ok(mut trail) = text.parse::<Trail>() {
                prop_assert_eq!(&trail.to_string(), text);
                trail.note(relayed(1, 50, Claim::Kept));
            }
        }
    }

    /// With stamps that speak for themselves alone, a trail is a set, as long as it has room.
    #[test]
    fn r140_a_trail_is_a_set_of_what_was_handed_out(
        notes in proptest::collection::vec((0..3_u64, 1..20_u64), 0..80),
    ) {
        let (mut trail, mut model) = (Trail::new(&ann()), HashSet::new());
        for (node, number) in notes {
            let stamp = relayed(node, number, Claim::Held);
            let noted = trail.note(stamp);
            let is_new = model.insert((node, number));
            prop_assert_eq!(noted, if is_new { Noted::New } else { Noted::Repeated });
            for number in 0..21 {
                let stamp = relayed(node, number, Claim::Held);
                prop_assert_eq!(trail.has(stamp.numbering, number), model.contains(&(node, number)));
            }
        }
    }

    /// Live stamps tell the numbers between the highest one below and themselves.
    #[test]
    fn r140_gaps_add_up(
        steps in proptest::collection::vec(1..4_u64, 1..60),
    ) {
        let mut trail = Trail::new(&ann());
        let (mut number, mut skipped, mut told) = (1, 0, 0);
        prop_assert_eq!(trail.note(relayed(1, number, Claim::Live)), Noted::New);
        for step in steps {
            number += step;
            skipped += step - 1;
            if let Noted::Gap { missed } = trail.note(relayed(1, number, Claim::Live)) {
                told += missed;
            }
        }
        prop_assert_eq!(told, skipped);
        prop_assert!(trail.ranges.len() <= MAX_HOLES + 1);
    }
}
