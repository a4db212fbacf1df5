//! C's socket addresses, as bytes.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use stack::host::Errno;

/// Bytes of `struct sockaddr_in` and `struct sockaddr_in6`.
const IN: usize = 16;
const IN6: usize = 28;

/// What a call was given as an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Given {
    /// AF_UNSPEC: none.
    Nothing,
    /// An address and a port; IPv4 in IPv6's clothes is IPv4.
    Address(SocketAddr),
}

/// Reads a `struct sockaddr`.
pub(crate) fn read(bytes: &[u8]) -> Result<Given, Errno> {
    let family = bytes.get(..2).ok_or(Errno::EINVAL)?;
    let family = i32::from(u16::from_ne_bytes([family[0], family[1]]));
    match family {
        libc::AF_UNSPEC => Ok(Given::Nothing),
        libc::AF_INET => {
            let bytes = bytes.get(..IN).ok_or(Errno::EINVAL)?;
            let octets: [u8; 4] = bytes[4..8].try_into().map_err(|_| Errno::EINVAL)?;
            Ok(Given::Address(SocketAddr::new(octets.into(), port(bytes))))
        }
        libc::AF_INET6 => {
            let bytes = bytes.get(..IN6).ok_or(Errno::EINVAL)?;
            let octets: [u8; 16] = bytes[8..24].try_into().map_err(|_| Errno::EINVAL)?;
            let address = IpAddr::from(octets).to_canonical();
            Ok(Given::Address(SocketAddr::new(address, port(bytes))))
        }
        _ => Err(Errno::EAFNOSUPPORT),
    }
}

fn port(bytes: &[u8]) -> u16 {
    u16::from_be_bytes([bytes[2], bytes[3]])
}

/// The `struct sockaddr` of an address, as a socket of this domain tells it: one of AF_INET6 tells
/// of IPv4 in mapped form (RFC 3493 §3.7).
pub(crate) fn write(address: SocketAddr, domain: i32) -> Vec<u8> {
    let port = address.port().to_be_bytes();
    let family = |number: i32| (number as u16).to_ne_bytes();
    let octets: Ipv6Addr = match address.ip() {
        IpAddr::V4(v4) if domain == libc::AF_INET => {
            return [&family(libc::AF_INET)[..], &port, &v4.octets(), &[0; 8]].concat();
        }
        IpAddr::V4(v4) => v4.to_ipv6_mapped(),
        IpAddr::V6(v6) => v6,
    };
    [&family(libc::AF_INET6)[..], &port, &[0; 4], &octets.octets(), &[0; 4]].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let address: SocketAddr = "192.0.2.1:8080".parse().unwrap();
        for (domain, length) in [(libc::AF_INET, IN), (libc::AF_INET6, IN6)] {
            let bytes = write(address, domain);
            assert_eq!(bytes.len(), length);
            assert_eq!(read(&bytes), Ok(Given::Address(address)));
        }
        let v6: SocketAddr = "[2001:db8::1]:80".parse().unwrap();
        assert_eq!(read(&write(v6, libc::AF_INET6)), Ok(Given::Address(v6)));
    }

    #[test]
    fn short_and_strange_ones_are_refused() {
        assert_eq!(read(&[]), Err(Errno::EINVAL));
        assert_eq!(read(&[2, 0, 0, 80]), Err(Errno::EINVAL));
        assert_eq!(read(&[1, 0, 0, 0]), Err(Errno::EAFNOSUPPORT));
        assert_eq!(read(&[0, 0]), Ok(Given::Nothing));
    }
}
