//! A TCP/IP host with no wires attached.
//!
//! **A [`Stack`] takes frames and the time, and gives frames, events and the next deadline.** It
//! owns no clock, thread, file or entropy; everything else is somebody holding it: a thread over
//! a TAP ([`host`]), a simulator with virtual time, a packet script.
//!
//! | to | look at |
//! |---|---|
//! | use sockets in a program | [`host`]: `Host`, `TcpListener`, `TcpStream`, `UdpSocket`, `Poller` |
//! | drive the engine yourself | [`Stack`], [`Config`], [`Seed`], [`Instant`]; `docs/EMBEDDING.md`, `stack/examples` |
//! | see what happened | [`Counters`], [`DropReason`], [`TcpInfo`] |
//! | read the code | `stack.rs`, then `tcp/mod.rs`, `tcp/state.rs`, `tcp/arrive.rs` |
//!
//! Modules depend one way: `store`, `wire` <- `link`, `net` <- `udp`, `tcp` <- `socket` <-
//! `stack` <- `host`.
#![forbid(unsafe_code)]
#![cfg_attr(not(feature = "host"), expect(dead_code, reason = "what only the shell calls"))]

mod config;
mod counters;
#[cfg(feature = "host")]
pub mod host;
mod link;
mod net;
mod random;
mod readiness;
mod socket;
mod stack;
mod store;
mod tcp;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod time;
mod udp;
mod wire;

pub use bytes::Bytes;
pub use config::{
    Autoconfigure, Config, ConfigError, Congestion, EcnMode, FastOpen, FastOpenKeys,
    InterfaceConfig, TcpConfig, UnknownCongestion, UnknownEcnMode, Wire,
};
pub use counters::{Counters, DropReason, Drops};
pub use link::neighbor::{NeighborCounters, NeighborLimits};
pub use net::addresses::{
    AddAddressError, AddressInfo, AddressOrigin, AddressState, Lifetimes, NewAddress, NoSuchAddress,
};
pub use net::cidr::{Cidr, CidrParseError};
pub use net::dhcp::{DhcpInformation, Lease};
pub use net::dhcpv6::NetworkInformation;
pub use net::dns::hosts::Hosts;
pub use net::dns::name::{DomainName, NameError};
pub use net::dns::{ResolveError, ResolverConfig, ResolverCounters};
pub use net::fragment::FragmentLimits;
pub use net::limiter::RateLimits;
pub use net::multicast::GroupError;
pub use net::multicast::filter::SourceChange;
pub use net::part::{Part, Whose};
pub use net::pmtu::PathLimits;
pub use net::route::{AddRouteError, NoSuchRoute, Route};
pub use random::Seed;
pub use readiness::Readiness;
pub use socket::{
    Echo, EchoId, Event, Incoming, IncomingId, ListenerId, ListenerStatus, SocketId, Tcp, TcpId,
    Udp, UdpId,
};
pub use stack::{AddInterfaceError, ConnectOptions, InterfaceInfo, Stack, Usage, Work};
pub use tcp::error::{
    AcceptError, ConnectError, DecideError, ListenError, NotConnected, RecvError, SendError,
    TcpError,
};
pub use tcp::fast_open::FastOpenFailure;
pub use tcp::info::TcpInfo;
pub use tcp::limited::{Limit, Limited};
pub use tcp::listener::{ListenFastOpen, ListenOptions};
pub use tcp::options::TcpOptions;
pub use tcp::state::{State, diagram as state_diagram};
pub use time::Instant;
pub use udp::echo::{EchoLimits, EchoReply, EchoReplyKind};
pub use udp::error::{
    BindError, NetworkError, NetworkErrorKind, UdpError, UdpRecvError, UdpSendError,
};
pub use udp::socket::{MtuDiscovery, ReceivedDatagram, SendDatagram, UdpOptions};
pub use udp::table::UdpLimits;
pub use wire::address::{Mac, MacParseError};
pub use wire::frame::{ChecksumAt, Gso, RxChecksum, RxFrame, TxFrame};
pub use wire::interface::{InterfaceId, InterfaceName, InterfaceNameError};
