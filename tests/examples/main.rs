//! The examples as their readers run them: the real programs, real sockets.
#![cfg(not(any(laneway_loom, laneway_shuttle)))]

mod embed;
mod program;
mod sse;
mod threads;
mod websocket;
