//! What can go wrong with a datagram socket. Each text says what to do.

use crate::net::icmp::Unreachable;
use core::error::Error;
use core::fmt;
use core::net::{IpAddr, SocketAddr};

/// A failure that the network reported about a datagram sent before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UdpError {
    /// Nobody listens at the remote port (ECONNREFUSED).
    Refused,
    /// The remote host does not answer or cannot be reached (EHOSTUNREACH).
    HostUnreachable,
    /// No router knows the way (ENETUNREACH).
    NetworkUnreachable,
    /// The remote host does not speak UDP (ENOPROTOOPT).
    ProtocolUnreachable,
    /// A router or the remote host cannot read the header of a datagram (EPROTO).
    ParameterProblem,
    /// The datagram did not fit through the network (EMSGSIZE).
    MessageTooLong,
    /// A filter on the way forbids it (EACCES).
    Prohibited,
    /// This host has lost the address that the socket sends from (EADDRNOTAVAIL).
    AddressLost,
}

impl fmt::Display for UdpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            UdpError::Refused => {
                "the remote host refused a datagram: check that the service runs and its port"
            }
            UdpError::HostUnreachable => {
                "the remote host cannot be reached: check its address and that it is up"
            }
            UdpError::NetworkUnreachable => {
                "no way leads to the remote network: check the gateway and the routes"
            }
            UdpError::ProtocolUnreachable => {
                "the remote host does not speak this protocol: check its address"
            }
            UdpError::ParameterProblem => {
                "the header of a datagram cannot be read on the way: try without options"
            }
            UdpError::MessageTooLong => {
                "a datagram was too long for the way to the remote host: send shorter ones"
            }
            UdpError::AddressLost => {
                "the host has lost the socket's address: bind or connect again"
            }
            UdpError::Prohibited => {
                "a filter on the way to the remote host forbids this: ask who runs the network"
            }
        })
    }
}

impl Error for UdpError {}

/// What a router, or the host at the other end, said of a datagram (`IP_RECVERR`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NetworkError {
    /// What was said.
    pub kind: NetworkErrorKind,
    /// Who said it.
    pub from: IpAddr,
    /// Where the datagram was to go.
    pub remote: SocketAddr,
}

/// What the network says of datagrams (RFC 792, RFC 4443).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NetworkErrorKind {
    /// Nobody has the port.
    Port,
    /// The host cannot be reached.
    Host,
    /// No way leads to the network.
    Network,
    /// The host does not speak UDP.
    Protocol,
    /// The datagram is too long for the path, which may not cut it; the router says what would fit,
    /// or 0.
    TooBig {
        /// Bytes of a packet that fits.
        mtu: u16,
    },
    /// This host did not send it: it is longer than what the path is known to carry, and may not be
    /// cut. All other kinds are the network's.
    TooLong {
        /// Bytes of a packet that fits.
        mtu: u16,
    },
    /// A filter forbids it.
    Prohibited,
    /// Its hops were used up on the way.
    TimeExceeded,
    /// Its header cannot be read.
    ParameterProblem {
        /// Of the ICMP message.
        code: u8,
        /// The byte of the packet that is wrong, from its first.
        pointer: u32,
    },
}

impl From<Unreachable> for NetworkErrorKind {
    fn from(reason: Unreachable) -> NetworkErrorKind {
        match reason {
            Unreachable::Port => NetworkErrorKind::Port,
            Unreachable::Host | Unreachable::SourceRoute => NetworkErrorKind::Host,
            Unreachable::Network => NetworkErrorKind::Network,
            Unreachable::Protocol => NetworkErrorKind::Protocol,
            Unreachable::TooBig { mtu } => NetworkErrorKind::TooBig { mtu },
            Unreachable::Prohibited => NetworkErrorKind::Prohibited,
        }
    }
}

impl NetworkErrorKind {
    pub(super) fn is_from_network(self) -> bool {
        !matches!(self, NetworkErrorKind::TooLong { .. })
    }

    /// It will not pass by itself (RFC 1122 §3.2.2.1 of destination unreachable 0, 1 and 5; Linux's
    /// `icmp_err_convert`).
    pub(crate) fn is_hard(self) -> bool {
        !matches!(
            self,
            NetworkErrorKind::Host | NetworkErrorKind::Network | NetworkErrorKind::TimeExceeded
        )
    }
}

/// What a call on the socket says of it: hops used up are no way to the host, as in Linux.
impl From<NetworkErrorKind> for UdpError {
    fn from(kind: NetworkErrorKind) -> UdpError {
        match kind {
            NetworkErrorKind::Port => UdpError::Refused,
            NetworkErrorKind::Host | NetworkErrorKind::TimeExceeded => UdpError::HostUnreachable,
            NetworkErrorKind::Network => UdpError::NetworkUnreachable,
            NetworkErrorKind::Protocol => UdpError::ProtocolUnreachable,
            NetworkErrorKind::TooBig { .. } | NetworkErrorKind::TooLong { .. } => {
                UdpError::MessageTooLong
            }
            NetworkErrorKind::Prohibited => UdpError::Prohibited,
            NetworkErrorKind::ParameterProblem { .. } => UdpError::ParameterProblem,
        }
    }
}

/// Why a datagram was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UdpSendError {
    /// The send buffer is full (EWOULDBLOCK).
    WouldBlock,
    /// More bytes than a datagram can have, 65,507, than the path carries in one piece where nobody
    /// may cut them, or than all sockets together may hold (EMSGSIZE).
    MessageTooLong,
    /// No remote address given, and the socket is not connected (EDESTADDRREQ).
    NotConnected,
    /// No route leads to the remote address (ENETUNREACH).
    NetworkUnreachable,
    /// The socket is bound to an IPv4 address, and the remote one is of IPv6 (EAFNOSUPPORT).
    UnsupportedFamily,
    /// Nobody can have the remote address, or its port is 0 (EINVAL).
    InvalidRemote,
    /// The address to send from is not one of this host's, or not of the remote address's IP
    /// version (EINVAL).
    InvalidSource,
    /// The remote address is a broadcast, which the socket's options do not allow (EACCES).
    PermissionDenied,
    /// More datagrams in one call than it may send, 128 (EINVAL).
    TooManySegments,
    /// An error about a datagram sent before, reported once; this one was not sent.
    Failed(UdpError),
}

impl fmt::Display for UdpSendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            UdpSendError::WouldBlock => "the send buffer is full: wait until it is writable",
            UdpSendError::MessageTooLong => {
                "the datagram is too long: for IP (65507 bytes), for a path that may not cut it, \
                 or for the limit on what all sockets hold"
            }
            UdpSendError::NotConnected => {
                "no destination: give a remote address or connect the socket first"
            }
            UdpSendError::NetworkUnreachable => {
                "no route leads to the remote address: configure a gateway or a route"
            }
            UdpSendError::UnsupportedFamily => {
                "the socket speaks IPv4 only: bind one to `::` or to an address of IPv6"
            }
            UdpSendError::InvalidRemote => {
                "nothing can be sent there: give the address of a host and a port that is not 0"
            }
            UdpSendError::InvalidSource => {
                "this host cannot send from that address to there: name one of its own, or none"
            }
            UdpSendError::PermissionDenied => {
                "a broadcast is not allowed: set the socket's option `broadcast` first"
            }
            UdpSendError::TooManySegments => {
                "too many datagrams in one call: send at most 128 times the segment's length"
            }
            UdpSendError::Failed(error) => return error.fmt(f),
        })
    }
}

impl Error for UdpSendError {}

/// Why no datagram was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UdpRecvError {
    /// None has come yet (EWOULDBLOCK).
    WouldBlock,
    /// An error about a datagram sent before, reported once.
    Failed(UdpError),
}

impl fmt::Display for UdpRecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UdpRecvError::WouldBlock => {
                f.write_str("no datagram has come yet: wait until the socket is readable")
            }
            UdpRecvError::Failed(error) => error.fmt(f),
        }
    }
}

impl Error for UdpRecvError {}

/// Why a socket was not bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BindError {
    /// Another socket has this address and port (EADDRINUSE).
    AddressInUse,
    /// This host does not have the address (EADDRNOTAVAIL).
    AddressNotAvailable,
    /// As many sockets as the configuration allows (EMFILE).
    TooManySockets,
    /// All ephemeral ports are in use (EADDRINUSE).
    NoPorts,
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            BindError::AddressInUse => {
                "another socket has this address and port: close it or choose another port"
            }
            BindError::AddressNotAvailable => {
                "this host does not have the address: bind to one of its own or to 0.0.0.0"
            }
            BindError::TooManySockets => {
                "too many sockets: close some or raise the limit in the configuration"
            }
            BindError::NoPorts => {
                "all ephemeral ports are in use: close some sockets or name a port"
            }
        })
    }
}

impl Error for BindError {}
