//! Error numbers: Linux's, by name, and what the engine's refusals are called in them.

use std::fmt;
use std::io;

use crate::{
    AcceptError, BindError, ConnectError, DecideError, GroupError, ListenError, RecvError,
    SendError, TcpError, UdpError, UdpRecvError, UdpSendError,
};

/// A Linux error number. Its `Display` is the name and the usual text.
///
/// ```
/// use stack::host::Errno;
/// assert_eq!(Errno::ECONNREFUSED.number(), 111);
/// assert_eq!(Errno::ECONNREFUSED.to_string(), "ECONNREFUSED: connection refused");
/// let error = std::io::Error::from(Errno::ECONNREFUSED);
/// assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Errno(i32);

macro_rules! errnos {
    ($($name:ident = $number:literal, $text:literal;)*) => {
        impl Errno {
            $(#[doc = concat!("Linux error ", $number, ": ", $text, ".")]
            pub const $name: Errno = Errno($number);)*

            /// The name, `"ECONNREFUSED"`; `"E?"` for a number that no socket call here gives.
            pub const fn name(self) -> &'static str {
                match self.0 {
                    $($number => stringify!($name),)*
                    _ => "E?",
                }
            }

            const fn text(self) -> &'static str {
                match self.0 {
                    $($number => $text,)*
                    _ => "unknown error",
                }
            }
        }
    };
}

errnos! {
    ENOENT = 2, "no such thing of this name";
    EINTR = 4, "interrupted call";
    EBADF = 9, "not a descriptor of this kind";
    EAGAIN = 11, "would block, or the time-out has passed";
    ENOMEM = 12, "out of memory";
    EACCES = 13, "permission denied";
    EEXIST = 17, "it is there already";
    ENODEV = 19, "no such interface";
    EINVAL = 22, "invalid argument";
    EMFILE = 24, "too many descriptors";
    EPIPE = 32, "the connection is shut down for writing";
    EDOM = 33, "argument out of range";
    EPROTO = 71, "protocol error";
    EDESTADDRREQ = 89, "no destination address";
    EMSGSIZE = 90, "message too long";
    ENOPROTOOPT = 92, "no such option";
    EPROTONOSUPPORT = 93, "protocol not supported";
    ESOCKTNOSUPPORT = 94, "socket type not supported";
    EOPNOTSUPP = 95, "operation not supported by this socket";
    EAFNOSUPPORT = 97, "address family not supported";
    EADDRINUSE = 98, "address already in use";
    EADDRNOTAVAIL = 99, "address not available";
    ENETDOWN = 100, "network is down";
    ENETUNREACH = 101, "network unreachable";
    ECONNABORTED = 103, "connection aborted";
    ECONNRESET = 104, "connection reset by the peer";
    ENOBUFS = 105, "out of buffers";
    EISCONN = 106, "already connected";
    ENOTCONN = 107, "not connected";
    ESHUTDOWN = 108, "the host has been shut down";
    ETIMEDOUT = 110, "timed out";
    ECONNREFUSED = 111, "connection refused";
    EHOSTUNREACH = 113, "host unreachable";
    EALREADY = 114, "already under way";
    EINPROGRESS = 115, "under way";
}

impl Errno {
    /// The error with this number.
    pub const fn from_number(number: i32) -> Errno {
        Errno(number)
    }

    /// The number, as C programs know it.
    pub const fn number(self) -> i32 {
        self.0
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name(), self.text())
    }
}

impl fmt::Debug for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({})", self.name(), self.0)
    }
}

impl std::error::Error for Errno {}

impl From<Errno> for io::Error {
    fn from(errno: Errno) -> io::Error {
        io::Error::from_raw_os_error(errno.0)
    }
}

impl From<TcpError> for Errno {
    fn from(error: TcpError) -> Errno {
        match error {
            TcpError::Refused => Errno::ECONNREFUSED,
            TcpError::Reset => Errno::ECONNRESET,
            TcpError::TimedOut => Errno::ETIMEDOUT,
            TcpError::HostUnreachable => Errno::EHOSTUNREACH,
            TcpError::NetworkUnreachable => Errno::ENETUNREACH,
            TcpError::ProtocolUnreachable => Errno::ENOPROTOOPT,
            TcpError::ParameterProblem => Errno::EPROTO,
            TcpError::Aborted => Errno::ECONNABORTED,
            TcpError::AddressLost => Errno::EADDRNOTAVAIL,
        }
    }
}

impl From<ConnectError> for Errno {
    fn from(error: ConnectError) -> Errno {
        match error {
            ConnectError::AddressInUse => Errno::EADDRINUSE,
            ConnectError::AddressNotAvailable | ConnectError::NoPorts => Errno::EADDRNOTAVAIL,
            ConnectError::NetworkUnreachable | ConnectError::InvalidRemote => Errno::ENETUNREACH,
            ConnectError::UnsupportedFamily => Errno::EAFNOSUPPORT,
            ConnectError::PermissionDenied => Errno::EACCES,
            ConnectError::TooManyConnections => Errno::ENOBUFS,
        }
    }
}

impl From<DecideError> for Errno {
    fn from(error: DecideError) -> Errno {
        match error {
            DecideError::Gone => Errno::ECONNABORTED,
            DecideError::TooManyConnections => Errno::ENOBUFS,
        }
    }
}

impl From<ListenError> for Errno {
    fn from(error: ListenError) -> Errno {
        match error {
            ListenError::AddressInUse | ListenError::NoPorts => Errno::EADDRINUSE,
            ListenError::AddressNotAvailable => Errno::EADDRNOTAVAIL,
            ListenError::TooManyListeners => Errno::ENOBUFS,
        }
    }
}

impl From<BindError> for Errno {
    fn from(error: BindError) -> Errno {
        match error {
            BindError::AddressInUse | BindError::NoPorts => Errno::EADDRINUSE,
            BindError::AddressNotAvailable => Errno::EADDRNOTAVAIL,
            BindError::TooManySockets => Errno::ENOBUFS,
        }
    }
}

impl From<AcceptError> for Errno {
    fn from(error: AcceptError) -> Errno {
        match error {
            AcceptError::WouldBlock => Errno::EAGAIN,
            AcceptError::NotListening => Errno::EINVAL,
        }
    }
}

impl From<SendError> for Errno {
    fn from(error: SendError) -> Errno {
        match error {
            SendError::WouldBlock => Errno::EAGAIN,
            SendError::NotConnected | SendError::Closed => Errno::EPIPE,
            SendError::Failed(error) => error.into(),
        }
    }
}

impl From<RecvError> for Errno {
    fn from(error: RecvError) -> Errno {
        match error {
            RecvError::WouldBlock => Errno::EAGAIN,
            RecvError::NotConnected => Errno::ENOTCONN,
            RecvError::Failed(error) => error.into(),
        }
    }
}

impl From<UdpError> for Errno {
    fn from(error: UdpError) -> Errno {
        match error {
            UdpError::Refused => Errno::ECONNREFUSED,
            UdpError::HostUnreachable | UdpError::Prohibited => Errno::EHOSTUNREACH,
            UdpError::ProtocolUnreachable => Errno::ENOPROTOOPT,
            UdpError::ParameterProblem => Errno::EPROTO,
            UdpError::NetworkUnreachable => Errno::ENETUNREACH,
            UdpError::MessageTooLong => Errno::EMSGSIZE,
            UdpError::AddressLost => Errno::EADDRNOTAVAIL,
        }
    }
}

impl From<UdpSendError> for Errno {
    fn from(error: UdpSendError) -> Errno {
        match error {
            UdpSendError::WouldBlock => Errno::EAGAIN,
            UdpSendError::MessageTooLong => Errno::EMSGSIZE,
            UdpSendError::NotConnected => Errno::EDESTADDRREQ,
            UdpSendError::NetworkUnreachable => Errno::ENETUNREACH,
            UdpSendError::UnsupportedFamily => Errno::EAFNOSUPPORT,
            UdpSendError::InvalidRemote | UdpSendError::InvalidSource => Errno::EINVAL,
            UdpSendError::TooManySegments => Errno::EINVAL,
            UdpSendError::PermissionDenied => Errno::EACCES,
            UdpSendError::Failed(error) => error.into(),
        }
    }
}

impl From<GroupError> for Errno {
    fn from(error: GroupError) -> Errno {
        match error {
            GroupError::NotAGroup | GroupError::NotASource | GroupError::OtherFilter => {
                Errno::EINVAL
            }
            GroupError::AlreadyJoined => Errno::EADDRINUSE,
            GroupError::NotJoined | GroupError::SameFilter => Errno::EADDRNOTAVAIL,
            GroupError::TooManyGroups | GroupError::TooManySources => Errno::ENOBUFS,
            GroupError::NoAddress => Errno::ENODEV,
        }
    }
}

impl From<UdpRecvError> for Errno {
    fn from(error: UdpRecvError) -> Errno {
        match error {
            UdpRecvError::WouldBlock => Errno::EAGAIN,
            UdpRecvError::Failed(error) => error.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kinds_are_those_of_std_sockets() {
        let table = [
            (Errno::EAGAIN, io::ErrorKind::WouldBlock),
            (Errno::EPIPE, io::ErrorKind::BrokenPipe),
            (Errno::ECONNRESET, io::ErrorKind::ConnectionReset),
            (Errno::ECONNREFUSED, io::ErrorKind::ConnectionRefused),
            (Errno::ECONNABORTED, io::ErrorKind::ConnectionAborted),
            (Errno::ETIMEDOUT, io::ErrorKind::TimedOut),
            (Errno::ENOTCONN, io::ErrorKind::NotConnected),
            (Errno::EADDRINUSE, io::ErrorKind::AddrInUse),
            (Errno::EADDRNOTAVAIL, io::ErrorKind::AddrNotAvailable),
            (Errno::EHOSTUNREACH, io::ErrorKind::HostUnreachable),
            (Errno::ENETUNREACH, io::ErrorKind::NetworkUnreachable),
            (Errno::EINVAL, io::ErrorKind::InvalidInput),
        ];
        for (errno, kind) in table {
            assert_eq!(io::Error::from(errno).kind(), kind, "{errno:?}");
        }
    }

    #[test]
    fn names_and_numbers_are_printed() {
        assert_eq!(format!("{:?}", Errno::EAGAIN), "EAGAIN(11)");
        assert_eq!(Errno(9999).to_string(), "E?: unknown error");
    }
}
