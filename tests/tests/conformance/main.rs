//! Conformance in packet notation, one file for each RFC (RFC 9293 in one for each of its themes).
//! The names carry the numbers of the requirements; `docs/RFCS.md` is the ledger.

mod forward;
mod limits;
mod linux;
mod rfc1122;
mod rfc2018;
mod rfc2883;
mod rfc3042;
mod rfc3168;
mod rfc4022;
mod rfc4987;
mod rfc5482;
mod rfc5681;
mod rfc5682;
mod rfc5961;
mod rfc6191;
mod rfc6298;
mod rfc6582;
mod rfc6675;
mod rfc6928;
mod rfc6937;
mod rfc7323;
mod rfc7413;
mod rfc8511;
mod rfc8985;
mod rfc9293;
mod rfc9406;
mod rfc9438;
mod threats;
mod versions;

use stack::testing::rig::Rig;
use stack::{Congestion, ListenOptions, TcpOptions};
use std::time::Duration;

/// Milliseconds.
const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Seconds.
const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// ESTABLISHED, accepted from a listener, under Reno: what RFC 5681 says to the byte.
fn reno() -> Rig {
    let tcp = TcpOptions { congestion: Some(Congestion::Reno), ..TcpOptions::default() };
    Rig::new().listen(ListenOptions { tcp, ..ListenOptions::default() }).accept_from("<mss 1460>")
}
