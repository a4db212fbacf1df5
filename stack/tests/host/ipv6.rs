//! The shell and the BSD calls over IPv6.

use std::io::{Read, Write};

use stack::host::bsd::*;
use stack::host::{Bsd, Errno, TcpListener, TcpStream, UdpSocket};

use crate::rig::{LEFT, address, hosts, within};

/// The left host's address.
const LEFT_V6: &str = "2001:db8::1";

fn tables() -> (Bsd, Bsd) {
    let (left, right) = hosts();
    (Bsd::new(&left), Bsd::new(&right))
}

fn stream(bsd: &Bsd, domain: i32) -> i32 {
    bsd.socket(domain, SOCK_STREAM, 0).unwrap()
}

#[test]
fn literals_of_ipv6_connect_and_one_listener_takes_both_versions() {
    within(20, || {
        let (left, right) = hosts();
        let listener = TcpListener::bind(&left, "[::]:80").unwrap();
        for remote in ["[2001:db8::1]:80", "192.0.2.1:80"] {
            let mut near = TcpStream::connect(&right, remote).unwrap();
            let (mut far, from) = listener.accept().unwrap();
            assert_eq!((from, near.peer_addr().unwrap().to_string()), {
                (near.local_addr().unwrap(), remote.to_owned())
            });
            near.write_all(b"hello").unwrap();
            let mut text = [0; 5];
            far.read_exact(&mut text).unwrap();
            assert_eq!(&text, b"hello");
        }
        let server = UdpSocket::bind(&left, "[::]:7").unwrap();
        for remote in ["[2001:db8::1]:7", "192.0.2.1:7"] {
            let client = UdpSocket::bind(&right, "[::]:0").unwrap();
            client.send_to(b"hello", remote).unwrap();
            let (length, from) = server.recv_from(&mut [0; 9]).unwrap();
            assert_eq!((length, from.is_ipv6()), (5, remote.starts_with('[')));
        }
    });
}

#[test]
fn an_ipv6_socket_speaks_ipv4_in_its_own_dress() {
    within(20, || {
        let (left, right) = tables();
        let listener = stream(&left, AF_INET6);
        assert_eq!(left.getsockname(listener), Ok("[::]:0".parse().unwrap()));
        assert_eq!(left.bind(listener, address(LEFT, 80)), Err(Errno::EAFNOSUPPORT));
        left.bind(listener, address("::", 80)).unwrap();
        left.listen(listener, 5).unwrap();
        for (domain, remote) in
            [(AF_INET, LEFT), (AF_INET6, LEFT_V6), (AF_INET6, "::ffff:192.0.2.1")]
        {
            let near = stream(&right, domain);
            right.connect(near, address(remote, 80)).unwrap();
            let (far, from) = left.accept(listener).unwrap();
            assert!(from.is_ipv6(), "{from}");
            assert_eq!(left.getpeername(far), Ok(from));
            assert_eq!(right.getpeername(near), Ok(address(remote, 80)));
            let name = right.getsockname(near).unwrap();
            assert_eq!((name.is_ipv6(), name.ip().to_canonical()), {
                (domain == AF_INET6, from.ip().to_canonical())
            });
            assert_eq!(right.get_int(near, SOL_SOCKET, SO_DOMAIN), Ok(domain));
        }
        let v4 = stream(&right, AF_INET);
        assert_eq!(right.connect(v4, address(LEFT_V6, 80)), Err(Errno::EAFNOSUPPORT));
        let v6 = stream(&right, AF_INET6);
        assert_eq!(right.connect(v6, address(LEFT, 80)), Err(Errno::EAFNOSUPPORT));
    });
}

#[test]
fn ipv6_only_leaves_ipv4_to_others() {
    within(20, || {
        let (left, right) = tables();
        let (v4, v6) = (stream(&left, AF_INET), stream(&left, AF_INET6));
        left.bind(v4, address("0.0.0.0", 80)).unwrap();
        assert_eq!(left.bind(v6, address("::", 80)), Err(Errno::EADDRINUSE));
        assert_eq!(left.get_int(v6, IPPROTO_IPV6, IPV6_V6ONLY), Ok(0));
        left.set_int(v6, IPPROTO_IPV6, IPV6_V6ONLY, 1).unwrap();
        let mapped = address("::ffff:192.0.2.1", 80);
        assert_eq!(left.bind(v6, mapped), Err(Errno::EINVAL));
        assert_eq!(left.connect(v6, mapped), Err(Errno::ENETUNREACH));
        left.bind(v6, address("::", 80)).unwrap();
        assert_eq!(left.set_int(v6, IPPROTO_IPV6, IPV6_V6ONLY, 0), Err(Errno::EINVAL));
        assert_eq!(left.get_int(v6, IPPROTO_IPV6, IPV6_V6ONLY), Ok(1));
        left.listen(v6, 5).unwrap();
        left.listen(v4, 5).unwrap();
        for (listener, domain, remote) in [(v4, AF_INET, LEFT), (v6, AF_INET6, LEFT_V6)] {
            let near = stream(&right, domain);
            right.connect(near, address(remote, 80)).unwrap();
            let (_, from) = left.accept(listener).unwrap();
            assert_eq!(from, right.getsockname(near).unwrap());
        }
    });
}

#[test]
fn datagrams_and_options_of_ipv6() {
    within(20, || {
        let (left, right) = tables();
        let server = left.socket(AF_INET6, SOCK_DGRAM, IPPROTO_UDP).unwrap();
        left.bind(server, address("::", 7)).unwrap();
        let client = right.socket(AF_INET6, SOCK_DGRAM, 0).unwrap();
        for to in [LEFT_V6, "::ffff:192.0.2.1", LEFT] {
            assert_eq!(right.sendto(client, b"hello", 0, Some(address(to, 7))), Ok(5));
            let (length, from) = left.recvfrom(server, &mut [0; 9], 0).unwrap();
            assert_eq!((length, from.unwrap().is_ipv6()), (5, true));
        }
        let old = right.socket(AF_INET, SOCK_DGRAM, 0).unwrap();
        let refused = right.sendto(old, b"x", 0, Some(address(LEFT_V6, 7)));
        assert_eq!(refused, Err(Errno::EAFNOSUPPORT));
        for fd in [client, stream(&right, AF_INET6)] {
            for (name, value) in [(IPV6_UNICAST_HOPS, 9), (IPV6_TCLASS, 0xb8)] {
                right.set_int(fd, IPPROTO_IPV6, name, value).unwrap();
                assert_eq!(right.get_int(fd, IPPROTO_IPV6, name), Ok(value));
                assert_eq!(right.set_int(fd, IPPROTO_IPV6, name, 256), Err(Errno::EINVAL));
            }
        }
        assert_eq!(right.set_int(old, IPPROTO_IPV6, IPV6_V6ONLY, 1), Err(Errno::ENOPROTOOPT));
        assert_eq!(right.get_int(old, IPPROTO_IPV6, IPV6_V6ONLY), Err(Errno::EOPNOTSUPP));
    });
}
