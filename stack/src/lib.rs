//! A TCP/IP host with no wires attached.
#![forbid(unsafe_code)]

mod counters;
#[allow(dead_code)]
mod link;
#[allow(dead_code)]
mod net;
#[allow(dead_code)]
mod random;
#[allow(dead_code)]
mod readiness;
// The engine takes its containers up one by one; until then some of their methods have no caller.
#[allow(dead_code)]
mod store;
#[allow(dead_code)]
mod tcp;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod time;
#[allow(dead_code)]
mod udp;
#[allow(dead_code)]
mod wire;

pub use counters::{Counters, DropReason, Drops};
pub use link::neighbor::NeighborLimits;
pub use net::cidr::{Cidr, CidrParseError};
pub use net::fragment::FragmentLimits;
pub use net::limiter::IcmpLimits;
pub use net::route::Route;
pub use random::Seed;
pub use readiness::Readiness;
pub use time::Instant;
pub use udp::echo::{EchoLimits, EchoReply, EchoReplyKind};
pub use udp::error::{BindError, UdpError, UdpRecvError, UdpSendError};
pub use udp::socket::UdpOptions;
pub use udp::table::UdpLimits;
pub use wire::address::{Mac, MacParseError};
pub use wire::frame::{ChecksumAt, Gso, RxChecksum, RxFrame, TxFrame};
