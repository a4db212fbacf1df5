//! Addresses as programs write them. Names are for [`Resolver`](super::Resolver): here they are
//! refused.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

/// What can be used as a socket address: the types for which std implements its trait of the same
/// name. Std's own would ask the machine's resolver, over the machine's network; this one takes
/// literal addresses only, and refuses a name with an error that says so.
///
/// ```
/// use stack::host::ToSocketAddrs;
/// let addresses: Vec<_> = "192.0.2.1:80".to_socket_addrs()?.collect();
/// assert_eq!(addresses, ["192.0.2.1:80".parse().unwrap()]);
/// let error = ("example.com", 80).to_socket_addrs().unwrap_err();
/// assert!(error.to_string().contains("names are for a Resolver"));
/// # Ok::<(), std::io::Error>(())
/// ```
pub trait ToSocketAddrs {
    /// The addresses, to be tried in this order.
    type Iter: Iterator<Item = SocketAddr>;

    /// # Errors
    /// `InvalidInput` for anything but a literal address and a port.
    fn to_socket_addrs(&self) -> io::Result<Self::Iter>;
}

type One = std::option::IntoIter<SocketAddr>;

fn one(address: SocketAddr) -> io::Result<One> {
    Ok(Some(address).into_iter())
}

fn refuse(text: &str) -> io::Error {
    let why =
        format!("`{text}` is not a literal address with a port, and names are for a Resolver");
    io::Error::new(io::ErrorKind::InvalidInput, why)
}

impl ToSocketAddrs for SocketAddr {
    type Iter = One;
    fn to_socket_addrs(&self) -> io::Result<One> {
        one(*self)
    }
}

impl ToSocketAddrs for SocketAddrV4 {
    type Iter = One;
    fn to_socket_addrs(&self) -> io::Result<One> {
        one(SocketAddr::V4(*self))
    }
}

impl ToSocketAddrs for SocketAddrV6 {
    type Iter = One;
    fn to_socket_addrs(&self) -> io::Result<One> {
        one(SocketAddr::V6(*self))
    }
}

impl ToSocketAddrs for (IpAddr, u16) {
    type Iter = One;
    fn to_socket_addrs(&self) -> io::Result<One> {
        one(SocketAddr::from(*self))
    }
}

impl ToSocketAddrs for (Ipv4Addr, u16) {
    type Iter = One;
    fn to_socket_addrs(&self) -> io::Result<One> {
        one(SocketAddr::from(*self))
    }
}

impl ToSocketAddrs for (Ipv6Addr, u16) {
    type Iter = One;
    fn to_socket_addrs(&self) -> io::Result<One> {
        one(SocketAddr::from(*self))
    }
}

impl ToSocketAddrs for (&str, u16) {
    type Iter = One;
    fn to_socket_addrs(&self) -> io::Result<One> {
        let address: IpAddr = self.0.parse().map_err(|_| refuse(self.0))?;
        one(SocketAddr::new(address, self.1))
    }
}

impl ToSocketAddrs for (String, u16) {
    type Iter = One;
    fn to_socket_addrs(&self) -> io::Result<One> {
        (self.0.as_str(), self.1).to_socket_addrs()
    }
}

impl ToSocketAddrs for str {
    type Iter = One;
    fn to_socket_addrs(&self) -> io::Result<One> {
        one(self.parse().map_err(|_| refuse(self))?)
    }
}

impl ToSocketAddrs for String {
    type Iter = One;
    fn to_socket_addrs(&self) -> io::Result<One> {
        self.as_str().to_socket_addrs()
    }
}

impl<'a> ToSocketAddrs for &'a [SocketAddr] {
    type Iter = std::iter::Copied<std::slice::Iter<'a, SocketAddr>>;
    fn to_socket_addrs(&self) -> io::Result<Self::Iter> {
        Ok(self.iter().copied())
    }
}

impl<T: ToSocketAddrs + ?Sized> ToSocketAddrs for &T {
    type Iter = T::Iter;
    fn to_socket_addrs(&self) -> io::Result<T::Iter> {
        (**self).to_socket_addrs()
    }
}

/// Where what is meant for `remote` goes. The unspecified address is this host, as in Linux: by
/// the address that the socket has, `local`, or else by loopback. An IPv4 address in IPv6's dress
/// is one.
pub(crate) fn destination(remote: SocketAddr, local: Option<SocketAddr>) -> SocketAddr {
    let own = local.map(|local| local.ip()).filter(|ip| ip.is_ipv4() && !ip.is_unspecified());
    let ip = match remote.ip().to_canonical() {
        IpAddr::V4(ip) if ip.is_unspecified() => own.unwrap_or(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        // As it was given: it may have a scope.
        IpAddr::V6(_) => return remote,
        ip => ip,
    };
    SocketAddr::new(ip, remote.port())
}

/// Tries `each` on one address after the other, and answers the first success or the last error.
pub(crate) fn try_each<T>(
    addresses: impl ToSocketAddrs,
    mut each: impl FnMut(SocketAddr) -> io::Result<T>,
) -> io::Result<T> {
    let mut last = None;
    for address in addresses.to_socket_addrs()? {
        match each(address) {
            Ok(done) => return Ok(done),
            Err(error) => last = Some(error),
        }
    }
    let none = || io::Error::new(io::ErrorKind::InvalidInput, "no address to try");
    Err(last.unwrap_or_else(none))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_are_taken_and_names_refused() {
        let v4 = SocketAddr::from(([192, 0, 2, 1], 80));
        let read = |it: &str| it.to_socket_addrs().map(|all| all.collect::<Vec<_>>());
        assert_eq!(read("192.0.2.1:80").unwrap(), [v4]);
        assert_eq!(read("[2001:db8::1]:80").unwrap()[0].port(), 80);
        assert_eq!(("192.0.2.1", 80).to_socket_addrs().unwrap().next(), Some(v4));
        assert_eq!((Ipv4Addr::new(192, 0, 2, 1), 80).to_socket_addrs().unwrap().next(), Some(v4));
        for name in ["localhost:80", "192.0.2.1", "", "192.0.2.1:99999"] {
            assert_eq!(read(name).unwrap_err().kind(), io::ErrorKind::InvalidInput, "{name}");
        }
    }

    #[test]
    fn the_unspecified_address_is_this_host() {
        let at = |text: &str| text.parse::<SocketAddr>().unwrap();
        let cases = [
            ("0.0.0.0:7", None, "127.0.0.1:7"),
            ("0.0.0.0:7", Some("0.0.0.0:9"), "127.0.0.1:7"),
            ("0.0.0.0:7", Some("192.0.2.1:9"), "192.0.2.1:7"),
            ("[::ffff:0.0.0.0]:7", None, "127.0.0.1:7"),
            ("[::]:7", Some("192.0.2.1:9"), "[::1]:7"),
            ("[::ffff:192.0.2.1]:7", None, "192.0.2.1:7"),
            ("[fe80::1%3]:7", None, "[fe80::1%3]:7"),
        ];
        for (remote, local, expected) in cases {
            assert_eq!(destination(at(remote), local.map(at)), at(expected), "{remote} {local:?}");
        }
    }

    #[test]
    fn the_first_success_or_the_last_error() {
        let all = [1, 2, 3].map(|port| SocketAddr::from(([192, 0, 2, 1], port)));
        let two = try_each(&all[..], |it| match it.port() {
            2 => Ok(2),
            _ => Err(io::ErrorKind::AddrInUse.into()),
        });
        assert_eq!(two.unwrap(), 2);
        let none: io::Result<()> =
            try_each(&all[..], |it| Err(io::Error::from_raw_os_error(i32::from(it.port()))));
        assert_eq!(none.unwrap_err().raw_os_error(), Some(3));
        let empty: &[SocketAddr] = &[];
        assert!(try_each(empty, |_| Ok(())).is_err());
    }
}
