//! loom models of the lane: two or three threads, one to four operations, one property. Most have a
//! broken twin: one line of the code that ships, broken by name, which loom has to reject.

mod attach;
mod burst;
mod close;
mod conflate;
mod evict;
mod full;
mod halves;
mod join;
mod keep;
mod late;
mod rest;
mod stand;
mod stopped;
mod succeed;
mod wait;
