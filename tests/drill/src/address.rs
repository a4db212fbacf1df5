//! C's socket addresses, as bytes.

use std::net::{IpAddr, SocketAddr};

use stack::host::Errno;
use stack::host::bsd::{socket_address, socket_address_bytes};

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
    Ok(socket_address(bytes)?.map_or(Given::Nothing, |address| {
        Given::Address(SocketAddr::new(address.ip().to_canonical(), address.port()))
    }))
}

/// The `struct sockaddr` of an address, as a socket of this domain tells it: one of AF_INET6 tells
/// of IPv4 in mapped form (RFC 3493 §3.7).
pub(crate) fn write(address: SocketAddr, domain: i32) -> Vec<u8> {
    let ip = match address.ip() {
        IpAddr::V4(v4) if domain == libc::AF_INET6 => v4.to_ipv6_mapped().into(),
        ip => ip,
    };
    socket_address_bytes(SocketAddr::new(ip, address.port()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let address: SocketAddr = "192.0.2.1:8080".parse().unwrap();
        for (domain, length) in [(libc::AF_INET, 16), (libc::AF_INET6, 28)] {
            let bytes = write(address, domain);
            assert_eq!(bytes.len(), length);
            assert_eq!(read(&bytes), Ok(Given::Address(address)));
        }
        let v6: SocketAddr = "[2001:db8::1]:80".parse().unwrap();
        assert_eq!(read(&write(v6, libc::AF_INET6)), Ok(Given::Address(v6)));
        assert_eq!(read(&[0, 0]), Ok(Given::Nothing));
    }
}
