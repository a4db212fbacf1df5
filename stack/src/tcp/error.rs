//! What a TCP call or connection can fail with: one enum per operation.

use core::fmt;

/// Why a connection ended other than by both sides closing it (MUST-12).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TcpError {
    /// The peer refused the connection: a RST answered the SYN, or a port unreachable came.
    Refused,
    /// The peer reset the connection.
    Reset,
    /// Retransmissions or keepalives went unanswered for too long.
    TimedOut,
    /// No route, or no neighbour, leads to the host.
    HostUnreachable,
    /// No route leads to the network.
    NetworkUnreachable,
    /// The host does not speak TCP.
    ProtocolUnreachable,
    /// A router or the host cannot read the header of a packet of it.
    ParameterProblem,
    /// The application aborted it.
    Aborted,
    /// This host has lost the address that the connection was at.
    AddressLost,
}

/// `Tcp::send` took nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendError {
    /// The send buffer is full, or the connection is not open yet: wait for `WRITABLE`.
    WouldBlock,
    /// There is no connection.
    NotConnected,
    /// This side has shut down sending (EPIPE).
    Closed,
    /// The connection has failed.
    Failed(TcpError),
}

/// `Tcp::recv` gave nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RecvError {
    /// Nothing has arrived: wait for `READABLE`.
    WouldBlock,
    /// There is no connection.
    NotConnected,
    /// The connection has failed.
    Failed(TcpError),
}

/// `Stack::connect` could not begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectError {
    /// The same local and remote endpoints are in use.
    AddressInUse,
    /// The local address is not one of this host's.
    AddressNotAvailable,
    /// No route leads to the remote address.
    NetworkUnreachable,
    /// The remote endpoint is a broadcast, multicast or unspecified address, or port 0 (MUST-46).
    InvalidRemote,
    /// The local address is of the other IP version.
    UnsupportedFamily,
    /// The peer of a datagram socket would be a broadcast address, which its options do not allow.
    PermissionDenied,
    /// Every ephemeral port to this remote endpoint is in use, or another part of this host's.
    NoPorts,
    /// The limit `TcpConfig::connections_max` is reached.
    TooManyConnections,
}

/// `Stack::listen` failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ListenError {
    /// Another listener has the port.
    AddressInUse,
    /// The local address is not one of this host's.
    AddressNotAvailable,
    /// The limit `TcpConfig::listeners_max` is reached.
    TooManyListeners,
    /// Port 0 was asked for and every ephemeral port has a listener.
    NoPorts,
}

/// `Stack::accept` gave nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AcceptError {
    /// No connection is waiting: wait for `READABLE`.
    WouldBlock,
    /// The id names no listener.
    NotListening,
}

/// A SYN that waits for a decision could not be accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecideError {
    /// It waits no longer: its sender has given up, time was over, or it was decided already.
    Gone,
    /// The limit `TcpConfig::connections_max` is reached.
    TooManyConnections,
}

/// The call needs a connection and there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotConnected;

macro_rules! texts {
    ($type:ident { $($pattern:pat => $text:literal,)+ }) => {
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $($pattern => $text,)+ })
            }
        }
        impl core::error::Error for $type {}
    };
}

texts!(TcpError {
    TcpError::Refused => "connection refused: nothing listens on that port",
    TcpError::Reset => "connection reset by the peer",
    TcpError::TimedOut => "connection timed out: the peer does not answer",
    TcpError::HostUnreachable => "no route to host",
    TcpError::NetworkUnreachable => "network is unreachable",
    TcpError::ProtocolUnreachable => "the host does not speak TCP",
    TcpError::ParameterProblem => "a packet's header cannot be read on the way: try no options",
    TcpError::Aborted => "connection aborted",
    TcpError::AddressLost => "the host has lost the address of the connection: connect again",
});
texts!(SendError {
    SendError::WouldBlock => "the send buffer is full: wait until writable",
    SendError::NotConnected => "not connected",
    SendError::Closed => "sending has been shut down",
    SendError::Failed(_) => "the connection has failed",
});
texts!(RecvError {
    RecvError::WouldBlock => "nothing has arrived: wait until readable",
    RecvError::NotConnected => "not connected",
    RecvError::Failed(_) => "the connection has failed",
});
texts!(ConnectError {
    ConnectError::AddressInUse => "address in use: choose another local port, or port 0",
    ConnectError::AddressNotAvailable => "the local address is not one of this host's",
    ConnectError::NetworkUnreachable => "no route: add a gateway or a route",
    ConnectError::InvalidRemote => "not an address of a single host with a port above 0",
    ConnectError::UnsupportedFamily => "the two ends are of different IP versions: choose one",
    ConnectError::PermissionDenied => "a broadcast: set the socket's option `broadcast` first",
    ConnectError::NoPorts => "no ephemeral port is free for this remote endpoint",
    ConnectError::TooManyConnections => "too many connections: raise TcpConfig::connections_max",
});
texts!(ListenError {
    ListenError::AddressInUse => "address in use: another listener has the port",
    ListenError::AddressNotAvailable => "the local address is not one of this host's",
    ListenError::TooManyListeners => "too many listeners: raise TcpConfig::listeners_max",
    ListenError::NoPorts => "no ephemeral port is free: name one",
});
texts!(AcceptError {
    AcceptError::WouldBlock => "no connection is waiting: wait until readable",
    AcceptError::NotListening => "not a listening socket",
});
texts!(DecideError {
    DecideError::Gone => "nobody waits for that decision any more",
    DecideError::TooManyConnections => "too many connections: raise TcpConfig::connections_max",
});
texts!(NotConnected {
    NotConnected => "not connected",
});
