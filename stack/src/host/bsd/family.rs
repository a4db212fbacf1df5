//! The family of a socket: which addresses it takes, and in which dress it tells them. An IPv6
//! socket speaks to IPv4 too, as to `::ffff:a.b.c.d` (RFC 3493 §3.7).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::{AF_INET, AF_INET6, IPPROTO_ICMP, IPPROTO_ICMPV6};
use crate::host::errno::Errno;

/// AF_INET or AF_INET6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    V4,
    V6,
}

impl Family {
    pub(super) fn of(domain: i32) -> Result<Family, Errno> {
        match domain {
            AF_INET => Ok(Family::V4),
            AF_INET6 => Ok(Family::V6),
            _ => Err(Errno::EAFNOSUPPORT),
        }
    }

    pub(super) fn domain(self) -> i32 {
        match self {
            Family::V4 => AF_INET,
            Family::V6 => AF_INET6,
        }
    }

    pub(super) fn icmp(self) -> i32 {
        match self {
            Family::V4 => IPPROTO_ICMP,
            Family::V6 => IPPROTO_ICMPV6,
        }
    }

    /// The name of a socket that has none.
    pub(super) fn nobody(self) -> SocketAddr {
        match self {
            Family::V4 => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
            Family::V6 => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
        }
    }

    /// An address that the program gives must be of the socket's own family.
    pub(super) fn check(self, address: SocketAddr) -> Result<(), Errno> {
        let own = address.is_ipv4() == (self == Family::V4);
        if own { Ok(()) } else { Err(Errno::EAFNOSUPPORT) }
    }

    /// The address as the program expects it.
    pub(super) fn tell(self, address: SocketAddr) -> SocketAddr {
        match (self, address.ip()) {
            (Family::V6, IpAddr::V4(ip)) => (ip.to_ipv6_mapped(), address.port()).into(),
            _ => address,
        }
    }
}

/// It stands for an IPv4 address, whatever its dress.
pub(super) fn is_mapped(address: SocketAddr) -> bool {
    address.ip().to_canonical().is_ipv4()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv6_socket_tells_ipv4_addresses_in_its_own_dress() {
        let v4: SocketAddr = "192.0.2.1:7".parse().unwrap();
        let mapped: SocketAddr = "[::ffff:192.0.2.1]:7".parse().unwrap();
        let v6: SocketAddr = "[2001:db8::1]:7".parse().unwrap();
        assert_eq!(
            (Family::V4.tell(v4), Family::V6.tell(v4), Family::V6.tell(v6)),
            (v4, mapped, v6)
        );
        assert!(is_mapped(mapped) && is_mapped(v4) && !is_mapped(v6));
        assert_eq!((Family::V4.check(v6), Family::V6.check(v4)), {
            (Err(Errno::EAFNOSUPPORT), Err(Errno::EAFNOSUPPORT))
        });
        assert_eq!(Family::of(1), Err(Errno::EAFNOSUPPORT));
    }
}
