//! Connections that come about and those that do not.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use stack::host::Errno;

use super::net;
use super::pairs::{connection, listener, nobody, read, streams};
use crate::rig::{fails, refused_as, within};

#[test]
fn both_ends_know_each_other() {
    within(10, || {
        let net = net();
        for ip in net.ips() {
            let (listener, address) = listener(&net, ip);
            let near = net.connect(address).unwrap();
            let (far, from) = listener.accept().unwrap();
            assert_eq!(near.peer_addr().unwrap(), address);
            assert_eq!(far.local_addr().unwrap(), address);
            assert_eq!(near.local_addr().unwrap(), from);
            assert_eq!(far.peer_addr().unwrap(), from);
            assert_eq!(from.ip(), net.client_ip(ip));
        }
    });
}

#[test]
fn where_nobody_listens_it_is_refused() {
    within(10, || {
        let net = net();
        for ip in net.ips() {
            fails(net.connect(nobody(&net, ip)), Errno::ECONNREFUSED);
            let patient = Duration::from_secs(5);
            fails(net.connect_timeout(&nobody(&net, ip), patient), Errno::ECONNREFUSED);
        }
    });
}

#[test]
fn port_0_refuses() {
    within(10, || {
        let net = net();
        for ip in net.ips() {
            fails(net.connect((ip, 0)), Errno::ECONNREFUSED);
        }
    });
}

#[test]
fn a_time_out_of_zero_is_refused() {
    within(10, || {
        let net = net();
        let (_listener, address) = listener(&net, net.ips()[0]);
        let zero = net.connect_timeout(&address, Duration::ZERO);
        refused_as(zero, ErrorKind::InvalidInput);
        net.connect_timeout(&address, Duration::from_secs(5)).unwrap();
    });
}

#[test]
fn nobody_connects_to_many_hosts() {
    within(10, || {
        let net = net();
        fails(net.connect((net.broadcast(), 9)), Errno::ENETUNREACH);
        fails(net.connect((Ipv4Addr::new(224, 0, 0, 251), 9)), Errno::ENETUNREACH);
    });
}

#[test]
fn the_unspecified_address_is_this_host() {
    within(10, || {
        let net = net();
        for ip in net.ips() {
            let (any, loopback) = match ip {
                IpAddr::V4(_) => (Ipv4Addr::UNSPECIFIED.into(), Ipv4Addr::LOCALHOST.into()),
                IpAddr::V6(_) => (IpAddr::from(Ipv6Addr::UNSPECIFIED), Ipv6Addr::LOCALHOST.into()),
            };
            // A server of the client's.
            let (_datagrams, port) = {
                let socket = net.client_udp((loopback, 0)).unwrap();
                let port = socket.local_addr().unwrap().port();
                (socket, port)
            };
            let to_itself = net.client_udp((any, 0)).unwrap();
            to_itself.connect((any, port)).unwrap();
            assert_eq!(to_itself.peer_addr().unwrap(), SocketAddr::new(loopback, port));
            fails(net.connect((any, port)), Errno::ECONNREFUSED);
        }
    });
}

#[test]
fn the_first_address_that_answers_is_taken() {
    within(10, || {
        let net = net();
        let ip = net.ips()[0];
        let (listener, address) = listener(&net, ip);
        let all = [nobody(&net, ip), address, nobody(&net, ip)];
        let near = net.connect(&all[..]).unwrap();
        assert_eq!(near.peer_addr().unwrap(), address);
        assert_eq!(listener.accept().unwrap().1, near.local_addr().unwrap());
        fails(net.connect(&[nobody(&net, ip), nobody(&net, ip)][..]), Errno::ECONNREFUSED);
        let none: &[SocketAddr] = &[];
        refused_as(net.connect(none), ErrorKind::InvalidInput);
    });
}

#[test]
fn a_new_connection_has_the_usual_options() {
    within(10, || {
        let net = net();
        for ip in net.ips() {
            let (far, near) = connection(&net, ip);
            for stream in [&far, &near] {
                assert!(!stream.nodelay().unwrap());
                assert_eq!(stream.ttl().unwrap(), 64);
                assert_eq!(stream.read_timeout().unwrap(), None);
                assert_eq!(stream.write_timeout().unwrap(), None);
                assert!(stream.take_error().unwrap().is_none());
            }
        }
    });
}

#[test]
fn options_are_kept_and_shared_by_clones() {
    within(10, || {
        let net = net();
        let (far, near) = streams(&net);
        let clone = near.try_clone().unwrap();
        let second = Duration::from_secs(1);
        clone.set_nodelay(true).unwrap();
        clone.set_ttl(7).unwrap();
        clone.set_read_timeout(Some(second)).unwrap();
        clone.set_write_timeout(Some(2 * second)).unwrap();
        assert!(near.nodelay().unwrap());
        assert_eq!(near.ttl().unwrap(), 7);
        assert_eq!(near.read_timeout().unwrap(), Some(second));
        assert_eq!(near.write_timeout().unwrap(), Some(2 * second));
        assert_eq!(far.ttl().unwrap(), 64);
        fails(near.set_ttl(0), Errno::EINVAL);
        fails(near.set_ttl(256), Errno::EINVAL);
        near.set_ttl(255).unwrap();
        near.set_nodelay(false).unwrap();
        assert!(!clone.nodelay().unwrap());
    });
}

#[test]
fn an_echo_comes_back() {
    within(10, || {
        let net = net();
        for ip in net.ips() {
            let (mut far, mut near) = connection(&net, ip);
            for round in 0..100_u32 {
                near.write_all(&round.to_be_bytes()).unwrap();
                let mut text = [0; 4];
                far.read_exact(&mut text).unwrap();
                far.write_all(&text).unwrap();
                assert_eq!(read(&near, 4), round.to_be_bytes());
            }
        }
    });
}
