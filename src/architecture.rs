//! How laneway works inside, and why. Documentation only.
//!
//! # Layers
//!
//! ```text
//! router, scope, connection  →  table, lane, wake  →  id, config, error  →  sync
//! ```
//!
//! The table knows nothing of lanes and the lane nothing of users; only the router joins them.
//! Unsafe code stands in `table/storage.rs` (pointers under an epoch) and `lane/ring.rs` (payload
//! cells). `sync.rs` alone names atomics, and swaps in loom's under the model.
//!
//! # The lane
//!
//! One *state word* a user decides every race: `[seq | live | waiting | flags]`. A publish is one
//! fetch-add on it, which gives the number, the exact audience, and whether anybody sleeps.
//!
//! A *position* stands for the numbers that are equal modulo the capacity. Its *slot* word says
//! which number was resolved there last, whether that number is an event or void, and which *cell*
//! holds the event. A cell guards one payload with a word of its own. Cells and slots are apart so
//! that a thread that is stopped in the middle of something holds a cell and never a position: the
//! position goes on with one of four spare cells.
//!
//! | cell | meaning |
//! |---|---|
//! | Free(n) | empty; exchange it to Owned to use it |
//! | Owned(n) | one thread is writing, moving out or dropping the payload |
//! | Full(n, remaining, active) | readable; so many connections have still to read it, so many are in it |
//!
//! | | Free | Owned | Full, nobody in it | Full, somebody in it |
//! |---|---|---|---|---|
//! | publish t, own cell | → Owned(t) | take a spare | → Owned(t) if its number is the slot's: the old event is overwritten | take a spare, and after the slot has moved set remaining := active |
//! | reader of n | lapped | lapped | last: → Owned(n), moves it out; else active + 1, later both − 1 | the same, unless remaining = active: lapped |
//! | leaver at n | – | – | remaining − 1, the last takes it | the same, unless remaining = active |
//! | void p (slot → p, void) | – | – | the entry a lap older is taken out and dropped | remaining := active; the last in it drops it |
//!
//! A publisher fills its cell, then exchanges the slot word from what it saw to its own number. The
//! exchange fails exactly if somebody declared the number void meanwhile; the event is still in the
//! publisher's cell then, and it tries again under a new number.
//!
//! A number whose publisher does not come is voided by the reader or leaver that has to pass it,
//! after a bounded spin, and only if something beyond it is resolved or the reader wants to sleep.
//!
//! # Invariants
//!
//! 1. A slot's number only grows; a number is resolved once, as an event or as void.
//! 2. `remaining` of a full cell is the number of connections counted at its number whose cursor
//!    has not passed it, those closed from outside included until they tidy up; after an eviction
//!    it is `active`. `active <= remaining`.
//! 3. A cell in state Owned belongs to one thread. A slot that names a cell does not own it.
//! 4. An event counts a connection only if it was claimed while the connection was live. An event
//!    claimed after a close has the mark of that close in its past, so the reader that has loaded
//!    its slot sees the mark and does not touch the cell.
//! 5. A sleeper is counted in `waiting` only while `seq` equals its cursor at the time of counting;
//!    it takes the count back itself. So every later publish and every later close on that word
//!    sees it, also behind a publisher that is stopped before it wakes.
//! 6. A lane that has no connection is closed in the same step, and never opens again.
//!
//! # Orderings
//!
//! The claim is AcqRel: a reader that finds its entry gone must see that `seq` has moved on, and a
//! publisher's number carries the marks of all closes before it. Slot and cell exchanges are AcqRel,
//! the store that gives a cell away is Release. `shutdown` and `connect` order the closed flag and
//! the table by a sequentially consistent fence on either side.
//!
//! # Why not otherwise
//!
//! * *One word a position* for order and payload needs states for positions whose cell is in the
//!   hands of a frozen thread, and loses a number a lap for each. With slot and cell apart there
//!   are three cell states, and the position stays in use.
//! * *The cell's index in the state word*, with helpers that install it: no voids, but a loop on the
//!   state instead of a fetch-add, and too few bits left for numbers at large capacities.
//!
//! # Absent on purpose
//!
//! No thread, no runtime, no process-wide registry, no retry without bound, no priority, no storage.
