//! Conformance in packet notation, one file for each RFC (RFC 9293 in one for each of its themes).
//! The names carry the numbers of the requirements; `docs/RFCS.md` is the ledger.

mod limits;
mod linux;
mod rfc1122;
mod rfc2018;
mod rfc4022;
mod rfc4987;
mod rfc5681;
mod rfc5961;
mod rfc6298;
mod rfc7323;
mod rfc9293;
mod threats;

use std::time::Duration;

/// Milliseconds.
const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Seconds.
const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}
