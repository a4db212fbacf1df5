//! A TCP/IP host with no wires attached.
#![forbid(unsafe_code)]

#[allow(dead_code)]
mod random;
mod time;
#[allow(dead_code)]
mod wire;

pub use random::Seed;
pub use time::Instant;
pub use wire::address::{Mac, MacParseError};
pub use wire::frame::{ChecksumAt, Gso, RxChecksum, RxFrame, TxFrame};
