//! C's socket addresses, as bytes.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use super::{AF_INET, AF_INET6};
use crate::host::errno::Errno;

const AF_UNSPEC: i32 = 0;

/// Reads a `struct sockaddr_in` or `sockaddr_in6`; None is AF_UNSPEC.
///
/// # Errors
/// EINVAL if it is too short, EAFNOSUPPORT for another family.
pub fn socket_address(bytes: &[u8]) -> Result<Option<SocketAddr>, Errno> {
    let (family, rest) = bytes.split_first_chunk().ok_or(Errno::EINVAL)?;
    let field = |at: usize| rest.get(at..at + 4).and_then(|it| it.try_into().ok());
    let port = || rest.first_chunk().map(|&it| u16::from_be_bytes(it)).ok_or(Errno::EINVAL);
    match i32::from(u16::from_ne_bytes(*family)) {
        AF_UNSPEC => Ok(None),
        AF_INET if rest.len() < 14 => Err(Errno::EINVAL),
        AF_INET => {
            let octets: [u8; 4] = field(2).ok_or(Errno::EINVAL)?;
            Ok(Some(SocketAddr::from((Ipv4Addr::from(octets), port()?))))
        }
        AF_INET6 => {
            let octets: [u8; 16] =
                rest.get(6..22).and_then(|it| it.try_into().ok()).ok_or(Errno::EINVAL)?;
            let flow = u32::from_be_bytes(field(2).unwrap_or_default());
            // RFC 3493's first form had no scope.
            let scope = u32::from_ne_bytes(field(22).unwrap_or_default());
            Ok(Some(SocketAddrV6::new(Ipv6Addr::from(octets), port()?, flow, scope).into()))
        }
        _ => Err(Errno::EAFNOSUPPORT),
    }
}

/// The `struct sockaddr_in` or `sockaddr_in6` of an address.
pub fn socket_address_bytes(address: SocketAddr) -> Vec<u8> {
    let port = address.port().to_be_bytes();
    let family = |number: i32| (number as u16).to_ne_bytes();
    match address {
        SocketAddr::V4(v4) => [&family(AF_INET)[..], &port, &v4.ip().octets(), &[0; 8]].concat(),
        SocketAddr::V6(v6) => {
            let (flow, scope) = (v6.flowinfo().to_be_bytes(), v6.scope_id().to_ne_bytes());
            [&family(AF_INET6)[..], &port, &flow, &v6.ip().octets(), &scope].concat()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for text in ["192.0.2.1:8080", "[2001:db8::1]:80", "[fe80::1%7]:80"] {
            let address: SocketAddr = text.parse().unwrap();
            let bytes = socket_address_bytes(address);
            assert_eq!(bytes.len(), if address.is_ipv4() { 16 } else { 28 });
            assert_eq!(socket_address(&bytes), Ok(Some(address)));
        }
    }

    #[test]
    fn short_and_strange_ones_are_refused() {
        assert_eq!(socket_address(&[]), Err(Errno::EINVAL));
        assert_eq!(socket_address(&[2, 0, 0, 80]), Err(Errno::EINVAL));
        assert_eq!(socket_address(&[1, 0, 0, 0]), Err(Errno::EAFNOSUPPORT));
        assert_eq!(socket_address(&[0, 0]), Ok(None));
    }
}
