//! How laneway works inside, and why. Documentation only.
//!
//! # Layers
//!
//! ```text
//! router, scope, connection  →  table, lane, wake  →  id, config, error  →  sync
//! ```
//!
//! The table knows nothing of lanes and the lane nothing of users; only the router joins them.
//! Unsafe code stands in `table/storage.rs` (pointers under an epoch), `lane/segments.rs` (arrays
//! that appear in parts) and `lane/ring.rs` (payload cells). `sync.rs` alone names atomics, and
//! swaps in loom's under the model.
//!
//! # The lane
//!
//! One *state word* a user decides every race: `[seq | live | waiting | flags]`. A publish is one
//! fetch-add on it, which gives the number, the exact audience, and whether anybody sleeps.
//!
//! With readers that keep up, every event passes through the *hot cell* beside that word. A cell
//! guards one payload with a word of its own. The hot cell's says which number is expected next:
//! `Free(n)` belongs to the publisher of n + 1, which writes its event and exchanges the word for
//! `Full(n + 1)`; the last reader leaves `Free(n + 1)`. So a publish is two read-modify-writes and a
//! receive one (two, for those that share the event), on one or two cache lines, and the rest of the
//! lane is not even allocated. Left by its readers, it says also that whoever was counted for n has
//! passed n and all before it, so that the publisher of n + 1 need not look for what is a lap older.
//!
//! An event that does not find the hot cell expecting it goes into a *slot*, which stands for the
//! numbers that are equal modulo the capacity. Its word says which number was resolved there last,
//! whether that number is an event or void, and which cell holds the event: the slot's *own* cell, or
//! one of four *spares*. A number is looked for in the hot cell first and then in its slot.
//!
//! Cells and slots are apart so that a thread that is stopped in the middle of something holds a
//! cell and never a slot: the slot goes on with another cell. A publisher that is stopped before it
//! fills the hot cell holds the hot cell, and everything goes through slots.
//!
//! | cell | meaning |
//! |---|---|
//! | Free(n) | empty; exchange it to Owned to use it; the hot cell is the next publisher's without that |
//! | Owned(n) | one thread is writing, moving out or dropping the payload |
//! | Full(n, remaining, active) | readable; so many connections have still to read it, so many are in it |
//!
//! | | Free | Owned | Full, nobody in it | Full, somebody in it |
//! |---|---|---|---|---|
//! | publish t, cell of the event a lap older | as below | as below | → Owned(t): that event is overwritten | left; after the slot has moved on, remaining := active |
//! | publish t, else own, spares in turn | → Owned(t) | next | next | next |
//! | reader of n | lapped | lapped | last: → Owned(n), moves it out; else active + 1, later both − 1 | the same, unless remaining = active: lapped |
//! | leaver at n | – | – | remaining − 1, the last takes it | the same, unless remaining = active |
//! | void n (slot → n, void) | – | – | the event a lap older is taken out and dropped | remaining := active; the last in it drops it |
//!
//! A reader, leaver or publisher acts on a cell only if its number is the one that the slot names.
//! If every cell is in somebody's hands the number is given up and the next one tried, 16 times;
//! then the event goes back to its publisher.
//!
//! A publisher fills its cell, then exchanges the slot word from what it saw to its own number. The
//! exchange fails exactly if somebody declared the number void meanwhile; the event is still in the
//! publisher's cell then, and it tries again under a new number.
//!
//! A number whose publisher does not come is voided by the reader or leaver that has to pass it,
//! after a bounded spin, and only if something beyond it is resolved or the reader wants to sleep.
//!
//! Three rules keep the hot cell and the slots of one mind about a number n:
//!
//! * *Bar.* Whoever moves a slot on to n or past it, while the publisher of n may still come to the hot
//!   cell, first raises the lane's `barred` word to n + 1, and then, if the hot cell expects a number up
//!   to n that is not resolved, exchanges `Free` for `Owned`, as that number's publisher's still. A
//!   publisher looks at the hot cell, then at `barred`, and exchanges the hot cell's word last: either it
//!   sees the note, or who bars sees that the cell expects it. A publisher that finds its cell `Owned`
//!   has its event back. One that has put its event elsewhere, or given its number up, gives the cell
//!   back, or takes on the number of a cell that is about to be kept for it. The number after a barred
//!   one is barred too, because a cell that was given back says nothing of what is a lap older.
//! * *Lap.* The event that is a lap older and in the hot cell is evicted after the slot has moved on, so
//!   that a reader finds it here, or is lapped there.
//! * *Re-arm.* After a burst the hot cell expects a number that went into a slot. A publisher of t
//!   that goes to a slot, finds nothing unread there, and sees that the expected number is resolved
//!   in its slot (whoever did that has barred it) exchanges the word so that it expects t. First it
//!   voids the number a lap below t, if that may still come into the slot.
//!
//! # Who is connected
//!
//! Each connection has a *member*, the part that others may touch: its mark of closing, its waker, its
//! figures. That of the connection that the lane was made for lies in the lane, beside the state and the
//! hot cell, so that an event of a user with one device touches the payload and 64 bytes behind it, and a
//! connect allocates once. It is used once: whoever still holds a reference could otherwise close
//! somebody else. All others are in a list that is copied to be changed. A connection is counted
//! in the state word first, then listed, by its mark or in the list; who closes it marks it,
//! counts it out, wakes it, tells in the same mark where it ends, and takes it off the list.
//!
//! # Critical events
//!
//! A slot word says whether its event is critical. Whoever is about to overwrite or void such a slot
//! while somebody has still to read it first raises the lane's `lost` word to its number: one step,
//! whatever the number of connections. So it is with the hot cell. A reader that finds its number gone voids what is not
//! filled before the number it would go on at, looks whether a critical
//! event from its cursor on is still in its place, and goes on there; then it looks at `lost`, and is
//! overrun if that is not below its cursor. The slot moves on after `lost` was raised, so one of the
//! two shows. Only connections that are a whole lane behind can be hit, whomever the event was for.
//!
//! # Audiences
//!
//! Every live connection passes every number, so the count that frees a cell is always `live`. An
//! event for some of them has a list of ids beside it, picked from the connections that are listed
//! before the claim; the others step over it. Its `Delivery` counts those of the list that are open
//! after the claim: each of them was live when the number was claimed.
//!
//! # Retention
//!
//! A lane of a router with [`Retention`](crate::Retention) has an *archive*: a connection that nobody
//! holds. It is counted in `live` from the lane's birth to its end, with a flag beside it that says
//! so; it is in no list, and it never reads. Everything else follows from the protocol as it was:
//!
//! * What connections have read stays `Full` in its cell, with the archive's count, until it is
//!   overwritten as what a late connection has not read is. `lost` may then be raised for a critical
//!   event that everybody has read; only who stands before it, and so has not, is overrun.
//! * The last connection that leaves leaves `live` at one, and the lane open: it is *deserted*. It ends
//!   when the archive leaves, by an exchange from the archive alone to closed and nobody: after the
//!   grace, by the sweep; at once, if there are too many absent users; or in one step with the last
//!   connection, if the lane is shut or out of numbers. Who connects meanwhile has joined before, or
//!   finds the lane closed and starts over with another, as with any last leave.
//! * Weight and age let the archive go on: it counts itself out of the oldest numbers as a leaver
//!   does, each once, because who raises its `floor` does it. What others have still to read stays.
//!
//! *Resuming* is a join at `to` and a walk over the slots from the position up to `to`. The join is
//! the one step at which the connection attaches: every number below comes from the walk, every other
//! live. The walk enters a cell by raising `remaining` and `active` together, so it takes nobody's
//! count; it clones, and leaves as any reader. A number below `to` that is not filled is given its time
//! and then voided, and its publisher tries again above. At a number that is gone the walk throws
//! away what it has and goes on behind it, so that a replay is never with holes; what it has cloned
//! cannot be overwritten any more and waits in the connection. `remaining` has eight bits, which a
//! lane with retention halves: 127 connections, and as many replays in one cell at a time; one more
//! finds it gone.
//!
//! *Positions* carry the router's random number, the lane's, the event's and the connection's, and a
//! keyed hash over them and the user. A foreign one is refused before anything is looked at. It is no
//! signature, and need not be: a scope reads in its own user's lane only. A position that is taken in
//! the middle of a replay names two connections, for the audiences before and after; a third has no
//! place, and an event for others that may have been for it is then a gap.
//!
//! *Recovering*: a critical event that is claimed while the archive is alone is marked in its slot. Who
//! asks for such events takes all below its first number by raising one word, and so each goes to
//! one. It is a call on the connection and not a setting of the connect, because it clones, and
//! connecting asks for no `Clone`. Whether some are gone is told from `lost` and `floor`, and so
//! sometimes of others; the other way round it is never wrong.
//!
//! *Sessions* of a lane that outlives its connections: who is there is counted once more in one word
//! with the number of the session, so that each change knows its session, and who begins or ends it.
//! Users are counted when `connections` goes from or to zero in the state word, not by the table.
//!
//! A sweep that saw a lane deserted and is slow may end it a moment after a device has come and gone
//! again, and so cut that device's grace short. A later resume is told `Reset`.
//!
//! # Accounting
//!
//! Accepted events are numbers given out less numbers given up, which only their owners count. The
//! connection that leaves last knows the end of its lane, takes the figures over into the router,
//! and marks them as taken; a publisher that gives a number up later sees the mark and corrects the
//! router itself. Numbers behind the end of a lane count nowhere.
//!
//! A session's changes are numbered by two counters in one word: a connection takes one number before it is
//! listed and one after it is closed, 0 is for `Online`, and `Offline` comes after two numbers for
//! each connection there was. A session is numbered by whoever of its connections comes to it first,
//! before it is listed; so a user's next session has the higher number.
//!
//! # Invariants
//!
//! 1. A slot's number only grows; a number is resolved once, as an event or as void.
//! 2. `remaining` of a full cell is the number of connections counted at its number whose cursor
//!    has not passed it, those closed from outside included until they tidy up; after an eviction
//!    it is `active`. `active <= remaining`.
//! 3. A cell in state Owned belongs to one thread, and the hot cell in state Free(n) to the publisher
//!    of n + 1. A slot that names a cell does not own it.
//! 4. An event counts a connection only if it was claimed while the connection was live. An event
//!    claimed after a close has the mark of that close in its past, so the reader that has loaded
//!    its slot sees the mark and does not touch the cell.
//! 5. A sleeper is counted in `waiting` only while `seq` equals its cursor at the time of counting;
//!    it takes the count back itself. So every later publish and every later close on that word
//!    sees it, also behind a publisher that is stopped before it wakes.
//! 6. A lane is born with a connection, or with an archive, which counts as one. The last that is
//!    counted closes it in the same step as it leaves, and it never opens again; so nobody publishes
//!    or joins where nobody is counted.
//! 7. Who is counted in `live` is listed, or counted in `joining` from before until after it
//!    is listed. `try_publish` drops what only connections that have left
//!    have not read: it looks at `joining`, then at who is listed, and who is closed has left only once its
//!    closer has told that it is out of `live`. An archive is in no list and wants nothing from it.
//! 8. An archive is counted from its lane's birth to its end, and is the last that is counted. It is
//!    counted for every number from `floor` on, and out of every number below, once.
//! 9. A replay is active in a cell only together with a count of its own, which it takes back.
//!
//! # Orderings
//!
//! The claim is `AcqRel`: a reader that finds its entry gone must see that `seq` has moved on, and a
//! publisher's number carries the marks of all closes before it. The store that gives a cell away is
//! Release. Slot and cell exchanges, `barred`, and the loads that a publisher and who bars its number
//! decide by are sequentially consistent: a publisher looks at the hot cell and then at `barred`, and,
//! when it has filled a slot, whether the hot cell is kept for it; who bars raises `barred` and then looks
//! at the hot cell, and, when it keeps the cell, looks at the slot. `shutdown` and `connect` order the closed flag and
//! the table by a sequentially consistent fence on either side.
//!
//! # Why not otherwise
//!
//! * *One word a position* for order and payload. One exchange less: a stripped-down publish and
//!   receive of 64 bytes took 9.8 ns against 13.5 ns on one user, 25.4 against 26.2 over 1 000
//!   users and 113 against 94 over 20 000, where the hot cell saves cache misses (medians of 9
//!   interleaved rounds, one thread, AMD EPYC). But it needs states for positions whose payload is
//!   in the hands of a frozen thread, and loses a number a lap for each. With slot and cell apart
//!   there are three cell states, and the slot stays in use.
//! * *Own cells first, spares last*, which this lane had before: 1 000 users with 64 events of
//!   64 bytes each are 5 MB of cells touched in turn. With the hot cell first, W1 of the benchmarks
//!   over 1 000 users went from 183 ns to 93 ns an event, measured in one process setup each.
//! * *The hot cell as one of the slot's cells*, acquired by an exchange and named by the slot, which
//!   this lane had next: one read-modify-write more, a slot for each event, and for a reader that
//!   finds nothing one more line that a publisher writes. Without it W1 over 1 000 users went from
//!   48 to 39 ns, over 100 000 from 392 to 259, and the latency to a spinning reader from 600 to
//!   330 ns (payload by value, Intel Xeon, interleaved). What it costs is bursts: an event that goes
//!   through a slot took 314 instructions to publish instead of 274, 177 to receive instead of 169.
//! * *Own cells that expect a number*, as the hot cell does, would save bursts the same step. But a
//!   number that went through the hot cell leaves its own cell expecting it for ever, and nothing
//!   says that its publisher has been elsewhere.
//! * *The slots' part of a publish in a function of its own*: 9 % fewer instructions for the hot cell
//!   with no time to show for it, 12 % more for a burst.
//! * *The cell's index in the state word*, with helpers that install it: no voids, but a loop on the
//!   state instead of a fetch-add, and too few bits left for numbers at large capacities.
//! * *The lookup on every publish*: from its second publish on a scope keeps the entry it found, once
//!   and for good, so that no guard is needed to look at it. A lane that its last connection has left
//!   refuses, and then the table is asked each time. A publish by scope costs 125 instructions less
//!   than by id. A cache that followed the user from session to session took the collector's guard for each
//!   publish; users who go and come back are looked up instead, which costs those 125.
//! * *Few roots*: with 4 096 of them a lookup among 100 000 users followed three links; 65 536 cost
//!   a router half a megabyte and follow one or two.
//! * *State, slots and hot cell side by side* at the start of the lane, so that a cold publish
//!   touches fewer lines: over 100 000 users it was a fifth slower. What a publish writes and what a
//!   reader only reads then share lines.
//! * *A list for one connection*: most users have one device. Its member lies in the lane, one that comes
//!   beside it is a leaf of the list's link, and only a third needs a list. With all members in
//!   allocations of their own, second devices came and went at two thirds of the rate, an
//!   event to a set of 100 000 users took 66 ns a user instead of 52, and a user 56 bytes more.
//! * *Narrower nodes in the table*: with 8 children a user of a million takes 12 bytes less and with 4
//!   children 18, but 6 and 27 % fewer connects a second find their place.
//! * *The slot before the state word, for readers that find nothing*: such a look needs the slot of a number
//!   that nobody has claimed, one or two lines that nothing else touches then. The state word says
//!   so beside the hot cell: 107 instructions instead of 132, and a consumer that goes round 10 000
//!   users gets a fifth to a quarter more events.
//! * *Slot words and own cells in arrays of their own*: two lines and two arrays for an event where one will
//!   do; 14 instructions more to publish, and 3 to 15 % more time wherever there are bursts.
//! * *Spares first, own cells last*, so that short queues stay on few lines: no difference over 10 000 users
//!   with two events each, and 8 % more time for bursts of 32.
//! * *A step in common for a set of users*: one event to many lanes is a loop of publishes. What costs
//!   is the wait for memory, so [`publish_to_set`](crate::UserScope::publish_to_set) first reads from
//!   32 lanes what their publishes will begin with, and the waits overlap: half the time a user over
//!   100 000 users (`Arc` payload) with the lane as it was then. Now that a publish to a user who keeps up
//!   touches two lines of the lane, the loop has caught up: the set takes 8 to 18 % longer where
//!   both find what a pass before them has left in the cache.
//!
//! # Absent on purpose
//!
//! No thread, no runtime, no process-wide registry, no retry without bound, no priority, no storage
//! beyond the lanes.
