//! The hand-over of the seat under shuttle, which runs the threads one at a time and decides at
//! every lock, atomic and sleep who goes on: at random, and by PCT (a few changes of priority,
//! Burckhardt et al. 2010), each a number of times.
//!
//! The shell's own files are compiled here with shuttle's types (`host/sync.rs`), a clock that
//! leaps, and a device that is a queue (`cable.rs`). A sleep with a time-out may end at any time;
//! one without ends only when somebody ends it. So a wake-up that is lost is a deadlock, or a run
//! that never ends while the reactor ticks. What fails prints its schedule.

mod cable;
mod host;
mod orders;
mod scene;
mod scenes;
mod wire;

// What the shell's files take from the crate that they are part of.
use stack::{
    Config, Event, Gso, Instant, InterfaceId, ListenerId, Readiness, RxChecksum, RxFrame, Seed,
    SocketId, Stack, State, TxFrame,
};
