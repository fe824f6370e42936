//! What holds in every model.

use std::sync::atomic::Ordering::Relaxed;

use super::{Counts, Done, L, Left, Reader};

/// Everything that was accepted while the reader was live was read, in order, or told as missed. Of
/// what is told, so many numbers may have been void.
pub(in crate::lane::models) fn exact(done: &Done, to: u64, left: &Left, voids: u64) {
    let Left { joined, got, .. } = left;
    assert!(got.windows(2).all(|w| w[0].0 < w[1].0), "order");
    let told = got.len() as u64 + left.missed + left.stepped;
    assert_eq!(to - joined, told, "accounting");
    for g in got {
        assert!(
            done.contains(g),
            "read {g:?}, which was not accepted: {done:?}"
        );
    }
    let lost = |d: &&(u64, u64)| d.0 >= *joined && d.0 < to && !got.contains(d);
    let lost = done.iter().filter(lost).count() as u64;
    assert!(
        lost <= left.missed,
        "silent loss: {lost} lost, {} told",
        left.missed
    );
    assert!(
        left.missed <= lost + voids,
        "too much told: {lost} lost, {} told",
        left.missed
    );
}

pub(in crate::lane::models) fn exact_r(done: &Done, reader: &Reader, voids: u64) {
    let left = Left {
        joined: reader.joined,
        cursor: reader.cursor,
        end: None,
        got: reader.got.clone(),
        missed: reader.missed,
        stepped: reader.stepped(),
    };
    exact(done, reader.cursor, &left, voids);
}

/// No event is left but `full`, and each was dropped once, but those that stopped threads leaked.
pub(in crate::lane::models) fn end(lane: L, counts: &'static Counts, leaked: u64, full: usize) {
    assert_eq!(
        lane.full(),
        full,
        "no reader counts for an event: {}",
        lane.told()
    );
    assert_eq!(lane.count(), 1);
    drop(lane);
    let (made, gone) = (counts.made.load(Relaxed), counts.gone.load(Relaxed));
    assert_eq!(made, gone + leaked, "payloads dropped once");
}

/// Every connection has read or left everything: no slot holds an event. The end of a lane would hide
/// one, because it gives the arenas back with what is in them.
pub(in crate::lane::models) fn clean(lane: &L) {
    assert_eq!(
        lane.full(),
        0,
        "an event is left that no reader counts for: {}",
        lane.told()
    );
}

pub(in crate::lane::models) fn all_read(lane: &L, reader: &mut Reader) {
    reader.drain();
    reader.drain();
    assert_eq!(reader.cursor, lane.clock(), "stuck: {}", lane.told());
}
