//! Sockets for both IP versions, and those that are for one.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use stack::host::Errno;

use super::{Net, SIDE, net};
use crate::Difference;
use crate::rig::{fails, within};

const ANY_V4: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
const ANY_V6: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);

/// The server's IPv4 and IPv6 address; None where the machine has no IPv6.
fn both(net: &Net) -> Option<(Ipv4Addr, Ipv6Addr)> {
    match net.ips()[..] {
        [IpAddr::V4(v4), IpAddr::V6(v6)] => Some((v4, v6)),
        _ => None,
    }
}

/// How a socket for both versions tells of a peer.
fn told(peer: SocketAddr) -> SocketAddr {
    let IpAddr::V4(ip) = peer.ip() else { return peer };
    let disguised = SocketAddr::new(ip.to_ipv6_mapped().into(), peer.port());
    SIDE.answer(Difference::PeersOfIpv4, disguised, peer)
}

#[test]
fn a_listener_for_both_versions() {
    within(10, || {
        let net = net();
        let Some((v4, v6)) = both(&net) else { return };
        let listener = net.listen((ANY_V6, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        for ip in [IpAddr::from(v4), v6.into()] {
            let near = net.connect((ip, port)).unwrap();
            let (far, from) = listener.accept().unwrap();
            assert_eq!(near.peer_addr().unwrap(), SocketAddr::new(ip, port));
            assert_eq!(from, told(near.local_addr().unwrap()));
            assert_eq!(far.local_addr().unwrap(), told(SocketAddr::new(ip, port)));
        }
    });
}

#[test]
fn a_socket_for_both_versions() {
    within(10, || {
        let net = net();
        let Some((v4, v6)) = both(&net) else { return };
        let server = net.udp((ANY_V6, 0)).unwrap();
        let port = server.local_addr().unwrap().port();
        for ip in [IpAddr::from(v4), v6.into()] {
            let client = net.client_udp((net.client_ip(ip), 0)).unwrap();
            client.send_to(b"hello", (ip, port)).unwrap();
            let mut text = [0; 8];
            let (length, from) = server.recv_from(&mut text).unwrap();
            assert_eq!(
                (&text[..length], from),
                (&b"hello"[..], told(client.local_addr().unwrap()))
            );
            // What it is told it can answer to, and to the plain address as well.
            server.send_to(b"1", from).unwrap();
            server.send_to(b"2", client.local_addr().unwrap()).unwrap();
            for answer in [b"1", b"2"] {
                let (length, from) = client.recv_from(&mut text).unwrap();
                assert_eq!((&text[..length], from), (&answer[..], SocketAddr::new(ip, port)));
            }
        }
    });
}

#[test]
fn an_address_in_disguise_is_its_own() {
    within(10, || {
        let net = net();
        let Some((v4, _)) = both(&net) else { return };
        let listener = net.listen((v4, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let disguised = SocketAddr::from((v4.to_ipv6_mapped(), port));
        let near = net.connect(disguised).unwrap();
        let (far, from) = listener.accept().unwrap();
        assert_eq!(from.ip(), net.client_ip(v4.into()));
        assert_eq!(far.local_addr().unwrap(), SocketAddr::from((v4, port)));
        assert_eq!(near.peer_addr().unwrap(), told(SocketAddr::from((v4, port))));
    });
}

#[test]
fn a_name_for_all_excludes_names_for_one() {
    within(10, || {
        let net = net();
        for ip in net.ips() {
            let any = if ip.is_ipv4() { ANY_V4 } else { ANY_V6 };
            let all = net.listen((any, 0)).unwrap();
            let port = all.local_addr().unwrap().port();
            fails(net.listen((ip, port)), Errno::EADDRINUSE);
            fails(net.listen((any, port)), Errno::EADDRINUSE);
            let all = net.udp((any, 0)).unwrap();
            let port = all.local_addr().unwrap().port();
            fails(net.udp((ip, port)), Errno::EADDRINUSE);
            let one = net.udp((ip, 0)).unwrap();
            fails(net.udp((any, one.local_addr().unwrap().port())), Errno::EADDRINUSE);
        }
    });
}

#[test]
fn both_versions_are_taken_by_a_name_for_both() {
    within(10, || {
        let net = net();
        let Some((v4, v6)) = both(&net) else { return };
        let both = net.listen((ANY_V6, 0)).unwrap();
        let port = both.local_addr().unwrap().port();
        fails(net.listen((ANY_V4, port)), Errno::EADDRINUSE);
        fails(net.listen((v4, port)), Errno::EADDRINUSE);
        let one = net.listen((v4, 0)).unwrap();
        let port = one.local_addr().unwrap().port();
        fails(net.listen((ANY_V6, port)), Errno::EADDRINUSE);
        // That of IPv4 does not touch IPv6.
        net.listen((v6, port)).unwrap();
    });
}

#[test]
fn a_socket_of_one_version_does_not_speak_the_other() {
    within(10, || {
        let net = net();
        let Some((v4, v6)) = both(&net) else { return };
        let socket = net.udp((v4, 0)).unwrap();
        fails(socket.send_to(b"x", (v6, 9)), Errno::EAFNOSUPPORT);
        fails(socket.connect((v6, 9)), Errno::EAFNOSUPPORT);
    });
}
