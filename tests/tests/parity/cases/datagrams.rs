//! UDP.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use stack::host::Errno;

use super::net;
use super::pairs::datagrams;
use crate::rig::{SHORT, fails, pause, refused_as, timed, until, within};

/// An address of the server's that nobody has: somebody had it just now.
fn nobody(net: &super::Net, ip: IpAddr) -> SocketAddr {
    net.udp((ip, 0)).unwrap().local_addr().unwrap()
}

#[test]
fn datagrams_say_where_they_are_from() {
    within(10, || {
        let net = net();
        for ip in net.ips() {
            let (server, client) = datagrams(&net, ip);
            assert_eq!(client.send_to(b"hello", server.local_addr().unwrap()).unwrap(), 5);
            let mut text = [0; 8];
            let (length, from) = server.recv_from(&mut text).unwrap();
            assert_eq!((&text[..length], from), (&b"hello"[..], client.local_addr().unwrap()));
            assert_eq!(server.send_to(b"there", from).unwrap(), 5);
            assert_eq!(client.recv(&mut text).unwrap(), 5);
        }
    });
}

#[test]
fn names_are_had_once() {
    within(10, || {
        let net = net();
        for ip in net.ips() {
            let socket = net.udp((ip, 0)).unwrap();
            let local = socket.local_addr().unwrap();
            assert_ne!(local.port(), 0);
            fails(net.udp(local), Errno::EADDRINUSE);
            let clone = socket.try_clone().unwrap();
            drop(socket);
            fails(net.udp(local), Errno::EADDRINUSE);
            drop(clone);
            net.udp(local).unwrap();
        }
    });
}

#[test]
fn a_connected_socket_hears_its_peer_alone() {
    within(10, || {
        let net = net();
        for ip in net.ips() {
            let (server, client) = datagrams(&net, ip);
            let stranger = net.udp((ip, 0)).unwrap();
            fails(client.peer_addr(), Errno::ENOTCONN);
            client.connect(server.local_addr().unwrap()).unwrap();
            assert_eq!(client.peer_addr().unwrap(), server.local_addr().unwrap());
            assert_eq!(client.send(b"question").unwrap(), 8);
            let mut text = [0; 16];
            let from = server.recv_from(&mut text).unwrap().1;
            stranger.send_to(b"not me", from).unwrap();
            server.send_to(b"answer", from).unwrap();
            assert_eq!(client.recv_from(&mut text).unwrap(), (6, server.local_addr().unwrap()));
            client.set_nonblocking(true).unwrap();
            fails(client.recv(&mut text), Errno::EAGAIN);
            // It may still send to others, and choose another peer.
            client.send_to(b"aside", stranger.local_addr().unwrap()).unwrap();
            assert_eq!(stranger.recv(&mut text).unwrap(), 5);
            client.connect(stranger.local_addr().unwrap()).unwrap();
            client.send(b"now you").unwrap();
            assert_eq!(stranger.recv(&mut text).unwrap(), 7);
        }
    });
}

#[test]
fn an_unbound_name_becomes_one_when_it_is_connected() {
    within(10, || {
        let net = net();
        for ip in net.ips() {
            let any = match ip {
                IpAddr::V4(_) => IpAddr::from(Ipv4Addr::UNSPECIFIED),
                IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
            };
            let server = net.udp((ip, 0)).unwrap();
            let client = net.client_udp((any, 0)).unwrap();
            assert_eq!(client.local_addr().unwrap().ip(), any);
            client.connect(server.local_addr().unwrap()).unwrap();
            assert_eq!(client.local_addr().unwrap().ip(), net.client_ip(ip));
        }
    });
}

#[test]
fn what_is_peeked_stays() {
    within(10, || {
        let net = net();
        let (server, client) = datagrams(&net, net.ips()[0]);
        client.send_to(b"one", server.local_addr().unwrap()).unwrap();
        client.send_to(b"second", server.local_addr().unwrap()).unwrap();
        let mut text = [0; 8];
        for _ in 0..3 {
            let from = client.local_addr().unwrap();
            assert_eq!(server.peek_from(&mut text).unwrap(), (3, from));
            assert_eq!(server.peek(&mut text[..2]).unwrap(), 2);
        }
        assert_eq!(server.recv(&mut text).unwrap(), 3);
        assert_eq!(server.recv(&mut text).unwrap(), 6);
    });
}

#[test]
fn what_does_not_fit_is_lost() {
    within(10, || {
        let net = net();
        let (server, client) = datagrams(&net, net.ips()[0]);
        client.send_to(b"much too long", server.local_addr().unwrap()).unwrap();
        client.send_to(b"", server.local_addr().unwrap()).unwrap();
        client.send_to(b"next", server.local_addr().unwrap()).unwrap();
        let mut text = [0; 4];
        assert_eq!(server.recv(&mut text).unwrap(), 4);
        assert_eq!(&text, b"much");
        assert_eq!(server.recv_from(&mut text).unwrap(), (0, client.local_addr().unwrap()));
        assert_eq!(server.recv(&mut text).unwrap(), 4);
        assert_eq!(&text, b"next");
        // A buffer of no bytes takes one away, too.
        client.send_to(b"all of it", server.local_addr().unwrap()).unwrap();
        assert_eq!(server.recv(&mut []).unwrap(), 0);
        server.set_nonblocking(true).unwrap();
        fails(server.recv(&mut text), Errno::EAGAIN);
    });
}

#[test]
fn the_longest_datagram_and_one_longer() {
    within(10, || {
        let net = net();
        for ip in net.ips() {
            let (server, client) = datagrams(&net, ip);
            let longest = if ip.is_ipv4() { 65_507 } else { 65_527 };
            let sent = vec![3; longest + 1];
            let to = server.local_addr().unwrap();
            fails(client.send_to(&sent, to), Errno::EMSGSIZE);
            assert_eq!(client.send_to(&sent[..longest], to).unwrap(), longest);
            let mut text = vec![0; 70_000];
            assert_eq!(server.recv(&mut text).unwrap(), longest);
            assert!(text[..longest] == sent[..longest]);
        }
    });
}

#[test]
fn a_connected_socket_is_told_that_nobody_is_there() {
    within(10, || {
        let net = net();
        for ip in net.ips() {
            let client = net.client_udp((net.client_ip(ip), 0)).unwrap();
            client.connect(nobody(&net, ip)).unwrap();
            client.send(b"anybody?").unwrap();
            fails(client.recv(&mut [0; 8]), Errno::ECONNREFUSED);
            client.set_read_timeout(Some(SHORT)).unwrap();
            fails(client.recv(&mut [0; 8]), Errno::EAGAIN);
            // The next to send is told as well, and sends nothing.
            client.send(b"anybody?").unwrap();
            let told = until(|| {
                // Few: whoever answers does not answer any number of them.
                pause(20);
                Some(client.send(b"anybody?")).filter(Result::is_err)
            });
            fails(told, Errno::ECONNREFUSED);
            // Several may have been on their way.
            until(|| client.send(b"anybody?").ok());
            let told = until(|| client.take_error().unwrap());
            assert_eq!(told.raw_os_error(), Some(Errno::ECONNREFUSED.number()));
        }
    });
}

#[test]
fn an_unconnected_socket_is_not_told() {
    within(10, || {
        let net = net();
        let ip = net.ips()[0];
        let client = net.client_udp((net.client_ip(ip), 0)).unwrap();
        client.set_read_timeout(Some(SHORT)).unwrap();
        client.send_to(b"anybody?", nobody(&net, ip)).unwrap();
        fails(client.recv(&mut [0; 8]), Errno::EAGAIN);
        assert!(client.take_error().unwrap().is_none());
    });
}

#[test]
fn without_a_destination_nothing_is_sent() {
    within(10, || {
        let net = net();
        for ip in net.ips() {
            let socket = net.udp((ip, 0)).unwrap();
            fails(socket.send(b"x"), Errno::EDESTADDRREQ);
            fails(socket.send_to(b"x", (ip, 0)), Errno::EINVAL);
            let none: &[SocketAddr] = &[];
            refused_as(socket.send_to(b"x", none), ErrorKind::InvalidInput);
            refused_as(socket.connect(none), ErrorKind::InvalidInput);
        }
    });
}

#[test]
fn a_socket_may_be_connected_to_port_0() {
    within(10, || {
        let net = net();
        for ip in net.ips() {
            // It is a way to ask which address leads there.
            let socket = net.client_udp((net.client_ip(ip), 0)).unwrap();
            socket.connect((ip, 0)).unwrap();
            assert_eq!(socket.local_addr().unwrap().ip(), net.client_ip(ip));
            fails(socket.peer_addr(), Errno::ENOTCONN);
        }
    });
}

#[test]
fn broadcasts_want_permission() {
    within(10, || {
        let net = net();
        let socket = net.udp((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
        assert!(!socket.broadcast().unwrap());
        let to = (net.broadcast(), 9);
        fails(socket.send_to(b"x", to), Errno::EACCES);
        fails(socket.connect(to), Errno::EACCES);
        socket.set_broadcast(true).unwrap();
        assert!(socket.broadcast().unwrap());
        assert_eq!(socket.send_to(b"x", to).unwrap(), 1);
        socket.connect(to).unwrap();
        socket.set_broadcast(false).unwrap();
        fails(socket.send_to(b"x", to), Errno::EACCES);
    });
}

#[test]
fn groups_are_joined_once_and_left_once() {
    within(10, || {
        let net = net();
        for ip in net.ips() {
            let socket = net.udp((ip, 0)).unwrap();
            let (group, single) = match ip {
                IpAddr::V4(_) => (IpAddr::from([239, 1, 2, 3]), IpAddr::from([192, 0, 2, 77])),
                IpAddr::V6(_) => ("ff05::77".parse().unwrap(), "2001:db8::77".parse().unwrap()),
            };
            fails(net.leave(&socket, group), Errno::EADDRNOTAVAIL);
            net.join(&socket, group).unwrap();
            fails(net.join(&socket, group), Errno::EADDRINUSE);
            net.leave(&socket, group).unwrap();
            fails(net.leave(&socket, group), Errno::EADDRNOTAVAIL);
            fails(net.join(&socket, single), Errno::EINVAL);
        }
    });
}

#[test]
fn a_receiver_waits_so_long_and_no_longer() {
    within(10, || {
        let net = net();
        let (server, client) = datagrams(&net, net.ips()[0]);
        assert_eq!((server.read_timeout().unwrap(), server.write_timeout().unwrap()), (None, None));
        server.set_read_timeout(Some(SHORT)).unwrap();
        for _ in 0..2 {
            let (answer, took) = timed(|| server.recv_from(&mut [0; 8]));
            fails(answer, Errno::EAGAIN);
            assert!(took >= SHORT && took < Duration::from_secs(2), "{took:?}");
        }
        fails(server.peek_from(&mut [0; 8]), Errno::EAGAIN);
        refused_as(server.set_read_timeout(Some(Duration::ZERO)), ErrorKind::InvalidInput);
        refused_as(server.set_write_timeout(Some(Duration::ZERO)), ErrorKind::InvalidInput);
        let second = Some(Duration::from_secs(1));
        server.set_read_timeout(second).unwrap();
        server.set_write_timeout(second).unwrap();
        let clone = server.try_clone().unwrap();
        assert_eq!(
            (clone.read_timeout().unwrap(), clone.write_timeout().unwrap()),
            (second, second)
        );
        server.set_nonblocking(true).unwrap();
        fails(clone.recv_from(&mut [0; 8]), Errno::EAGAIN);
        client.send_to(b"x", server.local_addr().unwrap()).unwrap();
        assert_eq!(until(|| clone.recv(&mut [0; 8]).ok()), 1);
    });
}

#[test]
fn options_are_kept_and_shared_by_clones() {
    within(10, || {
        let net = net();
        let (socket, _) = datagrams(&net, net.ips()[0]);
        let clone = socket.try_clone().unwrap();
        assert_eq!(socket.ttl().unwrap(), 64);
        clone.set_ttl(7).unwrap();
        assert_eq!(socket.ttl().unwrap(), 7);
        fails(socket.set_ttl(0), Errno::EINVAL);
        fails(socket.set_ttl(256), Errno::EINVAL);
        clone.set_broadcast(true).unwrap();
        assert!(socket.broadcast().unwrap());
        assert!(socket.take_error().unwrap().is_none());
    });
}
