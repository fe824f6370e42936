//! Models of lanes that keep what was read.

use super::{
    Arc, CloseReason, ConnectionId, Departure, Lane, Model, Reader, Terms, append, append_event,
    event, model, publish, spawn,
};
use crate::lane::archive::{Archive, Asker, Replay};

/// A lane that keeps two events, and its first connection.
fn kept() -> (Model, Reader) {
    let archive = Archive::new(1, 2, None);
    Reader::first_in(Lane::new(2, Some((ConnectionId(1), None)), Some(archive)))
}

/// The same without a connection.
fn deserted() -> Model {
    Model::new(Lane::new(2, None, Some(Archive::new(1, 2, None))))
}

impl Reader {
    /// Replays what came from `from` on, before it goes on with what comes live.
    fn replay(&mut self, from: u64) {
        let asker = Asker {
            ids: [ConnectionId(1), ConnectionId(0)],
            is_exact: true,
        };
        let to = self.member().joined_at;
        let mut got = Vec::new();
        let first = self.lane.replay(&asker, from, to, |step| match step {
            Replay::Event(_, event) => got.push(*event),
            Replay::StartOver => got.clear(),
        });
        self.missed += first - from;
        self.got = got;
    }

    fn recover(&mut self) {
        let to = self.member().joined_at;
        let got = &mut self.got;
        self.lane.recover(to, |_, event| got.push(*event));
    }
}

/// Who resumes gets each event once, in order, whether it comes before or after, and though nobody
/// else is there; or is told that something is gone.
fn resume_while_publishing_and_leaving() {
    let (lane, ann) = kept();
    publish(&lane, 0);
    let from = ann.at.cursor;
    let other = Arc::clone(&lane);
    let t = spawn(move || publish(&other, 1));
    let u = spawn(move || ann.leave());
    let mut ben = Reader::join(&lane, 2);
    ben.replay(from);
    t.join().unwrap();
    u.join().unwrap();
    ben.read_all();
    assert!(ben.got.is_sorted_by(|a, b| a < b), "in order, and once");
    assert!(
        ben.got == [0, 1] || ben.missed > 0,
        "what looks whole is whole"
    );
    assert!(ben.got.contains(&1), "the last event is there");
    ben.leave();
    assert!(lane.expire().is_some());
}

/// The grace ends while somebody comes back: the lane goes on, or there is a new one to be had.
fn expiry_and_resume() {
    let (lane, ann) = kept();
    let from = ann.at.cursor;
    publish(&lane, 0);
    let departure = lane.close(ann.member(), CloseReason::Dropped);
    assert_eq!(departure, Departure::Deserted);
    lane.count_out(ann.member(), from);
    let other = Arc::clone(&lane);
    let t = spawn(move || other.expire().is_some());
    let joined = lane.join(255);
    let expired = t.join().unwrap();
    assert!(joined.is_ok() != expired, "joined, or ended, and not both");
    if let Ok(cursor) = joined {
        let mut ben = Reader::at(&lane, 2, cursor);
        ben.replay(from);
        publish(&lane, 1);
        ben.read_all();
        assert_eq!((ben.got.as_slice(), ben.missed), ([0, 1].as_slice(), 0));
        ben.leave();
        assert!(lane.expire().is_some());
    }
    assert!(append(&lane, 2, true).is_err(), "it is over");
}

/// A replay reads an event while it is overwritten: it has it whole or is told, and takes nothing
/// from who comes next.
fn replay_while_lapped() {
    let (lane, mut ann) = kept();
    let from = ann.at.cursor;
    publish(&lane, 0);
    publish(&lane, 1);
    ann.read_all();
    let other = Arc::clone(&lane);
    let t = spawn(move || publish(&other, 2));
    let mut ben = Reader::join(&lane, 2);
    ben.replay(from);
    t.join().unwrap();
    ben.read_all();
    assert!(ben.got.is_sorted_by(|a, b| a < b));
    assert!(ben.got.len() as u64 + ben.missed >= 3, "delivered or told");
    assert_eq!(ben.got.last(), Some(&2));
    let mut cat = Reader::join(&lane, 3);
    cat.replay(from);
    let whole = cat.got == [1, 2] || lane.load().seq() > from + 3;
    assert!(whole, "a replay takes nothing away");
    for reader in [ann, ben, cat] {
        reader.leave();
    }
    assert!(lane.expire().is_some());
}

/// Of two who ask for what nobody has seen, one gets it.
fn two_recover() {
    let lane = deserted();
    append_event(&lane, event(7), Terms::CRITICAL).expect("kept");
    let mut ben = Reader::join(&lane, 2);
    let other = Arc::clone(&lane);
    let t = spawn(move || {
        let mut cat = Reader::join(&other, 3);
        cat.recover();
        cat
    });
    ben.recover();
    let cat = t.join().unwrap();
    assert_eq!([&ben.got[..], &cat.got[..]].concat(), [7], "one gets it");
    ben.leave();
    cat.leave();
    assert!(lane.expire().is_some());
}

/// What is kept no longer is still there for who has to read it, however many let go of it.
fn two_release() {
    let (lane, mut ann) = kept();
    let sent = event(7);
    append_event(&lane, sent.clone(), Terms::OVERWRITE).expect("accepted");
    let end = ann.at.cursor + 1;
    let other = Arc::clone(&lane);
    let t = spawn(move || other.release(other.archive().expect("kept"), end));
    lane.release(lane.archive().expect("kept"), end);
    ann.read_all();
    t.join().unwrap();
    assert_eq!(
        (ann.got.as_slice(), ann.missed),
        ([7].as_slice(), 0),
        "read once"
    );
    assert_eq!(loom::sync::Arc::strong_count(&sent), 1, "and given back");
    ann.leave();
    assert!(lane.expire().is_some());
}

#[test]
fn resume_against_publish_and_leave() {
    model::sound(
        "resume, publish, last leave",
        2,
        resume_while_publishing_and_leaving,
    );
    model::twin("replay-with-holes", "what looks whole is whole");
}
#[test]
fn grace_expiry_against_resume() {
    model::sound("grace expiry, resume", 3, expiry_and_resume);
    model::twin("expire-in-two-steps", "joined, or ended");
}
#[test]
fn replay_against_a_lap() {
    model::sound("replay, evict", 3, replay_while_lapped);
    model::twin("replay-uncounted", "a replay takes nothing away");
    model::twin("steal-from-reader", "Concurrent read and write");
}
#[test]
fn recover_against_recover() {
    model::sound("recover, recover", 3, two_recover);
    model::twin("recover-in-two-steps", "one gets it");
}
#[test]
fn release_against_release() {
    model::sound("release, release, receive", 3, two_release);
    model::twin("release-in-two-steps", "read once");
}
