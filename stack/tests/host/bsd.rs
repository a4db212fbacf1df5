//! The BSD calls: errors and corner cases as Linux has them.

use std::thread;
use std::time::Duration;

use stack::host::bsd::*;
use stack::host::{Bsd, Errno};

use crate::rig::{LEFT, RIGHT, address, hosts, pause, timed, within};

const LONG: Option<Duration> = Some(Duration::from_secs(5));

fn tables() -> (Bsd, Bsd) {
    let (left, right) = hosts();
    (Bsd::new(&left), Bsd::new(&right))
}

fn stream(bsd: &Bsd) -> i32 {
    bsd.socket(AF_INET, SOCK_STREAM, 0).unwrap()
}

fn datagram(bsd: &Bsd) -> i32 {
    bsd.socket(AF_INET, SOCK_DGRAM, IPPROTO_UDP).unwrap()
}

fn listening(bsd: &Bsd, port: u16) -> i32 {
    let fd = stream(bsd);
    bsd.bind(fd, address(LEFT, port)).unwrap();
    bsd.listen(fd, 16).unwrap();
    fd
}

/// A connection: its listener and its two ends.
fn connected(left: &Bsd, right: &Bsd) -> (i32, i32, i32) {
    let listener = listening(left, 7);
    let near = stream(right);
    right.connect(near, address(LEFT, 7)).unwrap();
    let (far, from) = left.accept(listener).unwrap();
    assert_eq!(from, right.getsockname(near).unwrap());
    (listener, far, near)
}

#[test]
fn sockets_of_other_kinds_are_refused() {
    let (left, _right) = tables();
    assert_eq!(left.socket(1, SOCK_STREAM, 0), Err(Errno::EAFNOSUPPORT));
    assert_eq!(left.socket(AF_INET, 3, 0), Err(Errno::ESOCKTNOSUPPORT));
    assert_eq!(left.socket(AF_INET, SOCK_DGRAM, IPPROTO_TCP), Err(Errno::EPROTONOSUPPORT));
    let fd = left.socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, IPPROTO_TCP).unwrap();
    assert_eq!(left.is_nonblocking(fd), Ok(true));
    left.close(fd).unwrap();
    assert_eq!(left.close(fd), Err(Errno::EBADF));
    assert_eq!(left.listen(fd, 1), Err(Errno::EBADF));
    assert_eq!(left.socket(AF_INET, SOCK_STREAM, 0), Ok(fd), "the lowest number again");
}

#[test]
fn a_connection_from_socket_to_close() {
    within(10, || {
        let (left, right) = tables();
        let (listener, far, near) = connected(&left, &right);
        assert_eq!(left.getsockname(far), Ok(address(LEFT, 7)));
        assert_eq!(right.getpeername(near), Ok(address(LEFT, 7)));
        assert_eq!(left.getsockname(listener), Ok(address(LEFT, 7)));
        assert_eq!(right.send(near, b"hello", MSG_NOSIGNAL), Ok(5));
        let mut text = [0; 16];
        assert_eq!(left.recv(far, &mut text[..2], MSG_PEEK), Ok(2));
        assert_eq!(left.recvfrom(far, &mut text, 0), Ok((5, None)));
        assert_eq!(&text[..5], b"hello");
        assert_eq!(left.recv(far, &mut text, MSG_DONTWAIT), Err(Errno::EAGAIN));
        let again = right.dup(near).unwrap();
        right.close(near).unwrap();
        assert_eq!(right.send(again, b"still", 0), Ok(5));
        right.close(again).unwrap();
        assert_eq!(left.recv(far, &mut text, MSG_WAITALL), Ok(5));
        assert_eq!(left.recv(far, &mut text, 0), Ok(0));
    });
}

#[test]
fn a_stream_that_is_not_connected_says_so() {
    within(10, || {
        let (left, _right) = tables();
        let fd = stream(&left);
        let mut text = [0; 4];
        assert_eq!(left.recv(fd, &mut text, 0), Err(Errno::ENOTCONN));
        assert_eq!(left.send(fd, b"x", 0), Err(Errno::EPIPE));
        assert_eq!(left.shutdown(fd, SHUT_WR), Err(Errno::ENOTCONN));
        assert_eq!(left.shutdown(fd, 9), Err(Errno::EINVAL));
        assert_eq!(left.getpeername(fd), Err(Errno::ENOTCONN));
        assert_eq!(left.getsockname(fd).unwrap().port(), 0);
        assert_eq!(left.accept(fd), Err(Errno::EINVAL));
        assert_eq!(left.connect(fd, "[::1]:7".parse().unwrap()), Err(Errno::EAFNOSUPPORT));
        let datagrams = datagram(&left);
        assert_eq!(left.accept(datagrams), Err(Errno::EOPNOTSUPP));
        assert_eq!(left.listen(datagrams, 1), Err(Errno::EOPNOTSUPP));
    });
}

#[test]
fn addresses_are_bound_once_and_known_before_listening() {
    within(10, || {
        let (left, right) = tables();
        let first = stream(&left);
        left.bind(first, address("0.0.0.0", 0)).unwrap();
        let port = left.getsockname(first).unwrap().port();
        assert_ne!(port, 0);
        assert_eq!(left.bind(first, address(LEFT, 9)), Err(Errno::EINVAL));
        let second = stream(&left);
        assert_eq!(left.bind(second, address(LEFT, port)), Err(Errno::EADDRINUSE));
        assert_eq!(left.bind(second, address("198.18.0.9", 9)), Err(Errno::EADDRNOTAVAIL));
        // Bound is not listening.
        let near = stream(&right);
        assert_eq!(right.connect(near, address(LEFT, port)), Err(Errno::ECONNREFUSED));
        left.listen(first, 4).unwrap();
        assert_eq!(left.listen(first, 4), Err(Errno::EINVAL));
        assert_eq!(left.bind(second, address(LEFT, port)), Err(Errno::EADDRINUSE));
        right.connect(near, address(LEFT, port)).unwrap();
        left.close(first).unwrap();
        left.bind(second, address(LEFT, port)).unwrap();
        left.close(second).unwrap();
        let third = stream(&left);
        left.bind(third, address(LEFT, port)).unwrap();
    });
}

#[test]
fn a_bound_stream_connects_from_its_port() {
    within(10, || {
        let (left, right) = tables();
        let listener = listening(&left, 7);
        let near = stream(&right);
        right.bind(near, address(RIGHT, 4321)).unwrap();
        right.connect(near, address(LEFT, 7)).unwrap();
        assert_eq!(left.accept(listener).unwrap().1, address(RIGHT, 4321));
        assert_eq!(right.connect(near, address(LEFT, 7)), Err(Errno::EISCONN));
        assert_eq!(left.connect(listener, address(RIGHT, 7)), Err(Errno::EISCONN));
        assert_eq!(right.listen(near, 1), Err(Errno::EINVAL));
    });
}

#[test]
fn a_nonblocking_connect_is_in_progress_then_already_then_done() {
    within(20, || {
        let (left, right) = tables();
        listening(&left, 7);
        let fd = right.socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0).unwrap();
        assert_eq!(right.connect(fd, address("192.0.2.77", 7)), Err(Errno::EINPROGRESS));
        assert_eq!(right.connect(fd, address("192.0.2.77", 7)), Err(Errno::EALREADY));
        assert_eq!(right.getpeername(fd), Err(Errno::ENOTCONN));
        assert_eq!(right.send(fd, b"x", 0), Err(Errno::EAGAIN));
        right.close(fd).unwrap();

        let fd = right.socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0).unwrap();
        // The other host's threads may finish the handshake before the call returns.
        let begun = right.connect(fd, address(LEFT, 7));
        assert!(matches!(begun, Ok(()) | Err(Errno::EINPROGRESS)), "{begun:?}");
        let mut fds = [PollFd::new(fd, POLLOUT)];
        assert_eq!(right.poll(&mut fds, LONG), Ok(1));
        assert_eq!(fds[0].revents, POLLOUT);
        assert_eq!(right.get_int(fd, SOL_SOCKET, SO_ERROR), Ok(0));
        if begun.is_err() {
            assert_eq!(right.connect(fd, address(LEFT, 7)), Ok(()));
        }
        assert_eq!(right.connect(fd, address(LEFT, 7)), Err(Errno::EISCONN));

        let fd = right.socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0).unwrap();
        let begun = right.connect(fd, address(LEFT, 8));
        if begun == Err(Errno::ECONNREFUSED) {
            return;
        }
        assert_eq!(begun, Err(Errno::EINPROGRESS));
        let mut fds = [PollFd::new(fd, POLLIN | POLLOUT)];
        assert_eq!(right.poll(&mut fds, LONG), Ok(1));
        assert_eq!(fds[0].revents, POLLIN | POLLOUT | POLLERR | POLLHUP);
        assert_eq!(right.get_int(fd, SOL_SOCKET, SO_ERROR), Ok(Errno::ECONNREFUSED.number()));
        assert_eq!(right.get_int(fd, SOL_SOCKET, SO_ERROR), Ok(0));
        assert_eq!(right.connect(fd, address(LEFT, 8)), Err(Errno::ECONNABORTED));
        right.set_nonblocking(fd, false).unwrap();
        assert_eq!(right.connect(fd, address(LEFT, 7)), Ok(()), "it can try again");
    });
}

/// As in Linux, a bound port outlives what the socket was used for.
#[test]
fn a_bound_port_stays() {
    within(10, || {
        let (left, right) = tables();
        let fd = stream(&right);
        right.bind(fd, address(RIGHT, 4321)).unwrap();
        assert_eq!(right.connect(fd, address(LEFT, 8)), Err(Errno::ECONNREFUSED));
        assert_eq!(right.getsockname(fd), Ok(address(RIGHT, 4321)));
        let other = stream(&right);
        assert_eq!(right.bind(other, address(RIGHT, 4321)), Err(Errno::EADDRINUSE));
        let listener = listening(&left, 7);
        right.connect(fd, address(LEFT, 7)).unwrap();
        assert_eq!(left.accept(listener).unwrap().1, address(RIGHT, 4321));
        left.shutdown(listener, SHUT_RD).unwrap();
        assert_eq!(left.getsockname(listener), Ok(address(LEFT, 7)));
        let other = stream(&left);
        assert_eq!(left.bind(other, address(LEFT, 7)), Err(Errno::EADDRINUSE));
        left.listen(listener, 16).unwrap();
        let near = stream(&right);
        assert_eq!(right.connect(near, address(LEFT, 7)), Ok(()));
        // What it got without asking for it is given up.
        let chosen = stream(&left);
        left.listen(chosen, 1).unwrap();
        left.shutdown(chosen, SHUT_RD).unwrap();
        assert_eq!(left.getsockname(chosen).unwrap().port(), 0);
    });
}

#[test]
fn waitall_gathers_and_gives_up_with_what_it_has() {
    within(10, || {
        let (left, right) = tables();
        let (_, far, near) = connected(&left, &right);
        thread::scope(|scope| {
            scope.spawn(|| {
                for _ in 0..10 {
                    right.send(near, b"0123456789", 0).unwrap();
                    pause(2);
                }
            });
            let mut text = [0; 100];
            assert_eq!(left.recv(far, &mut text, MSG_WAITALL | MSG_PEEK), Ok(100));
            assert_eq!(left.recv(far, &mut text, MSG_WAITALL), Ok(100));
        });
        let timeout = [0_i64.to_ne_bytes(), 50_000_i64.to_ne_bytes()].concat();
        left.setsockopt(far, SOL_SOCKET, SO_RCVTIMEO, &timeout).unwrap();
        right.send(near, b"abc", 0).unwrap();
        let mut text = [0; 10];
        assert_eq!(left.recv(far, &mut text, MSG_WAITALL), Ok(3));
        assert_eq!(left.recv(far, &mut text, MSG_WAITALL), Err(Errno::EAGAIN));
        assert_eq!(left.recv(far, &mut text, 0x1), Err(Errno::EOPNOTSUPP), "MSG_OOB");
        assert_eq!(right.send(near, b"x", 0x1), Err(Errno::EOPNOTSUPP), "MSG_OOB");
    });
}

#[test]
fn half_closing_and_the_broken_pipe() {
    within(10, || {
        let (left, right) = tables();
        let (listener, far, near) = connected(&left, &right);
        right.shutdown(near, SHUT_WR).unwrap();
        assert_eq!(right.send(near, b"x", 0), Err(Errno::EPIPE));
        let mut fds = [PollFd::new(far, POLLIN | POLLRDHUP)];
        assert_eq!(left.poll(&mut fds, LONG), Ok(1));
        assert_eq!(fds[0].revents, POLLIN | POLLRDHUP);
        assert_eq!(left.recv(far, &mut [0; 4], 0), Ok(0));
        assert_eq!(left.send(far, b"back", 0), Ok(4));
        assert_eq!(right.recv(near, &mut [0; 8], 0), Ok(4));
        thread::scope(|scope| {
            let accept = scope.spawn(|| left.accept(listener));
            pause(30);
            left.shutdown(listener, SHUT_RD).unwrap();
            assert_eq!(accept.join().unwrap(), Err(Errno::EINVAL));
        });
    });
}

#[test]
fn datagrams_bind_themselves_and_tell_their_length() {
    within(10, || {
        let (left, right) = tables();
        let (server, client) = (datagram(&left), datagram(&right));
        left.bind(server, address(LEFT, 53)).unwrap();
        assert_eq!(left.bind(server, address(LEFT, 54)), Err(Errno::EINVAL));
        assert_eq!(right.send(client, b"x", 0), Err(Errno::EDESTADDRREQ));
        let to = Some(address(LEFT, 53));
        assert_eq!(right.sendto(client, b"question", 0, to), Ok(8));
        let mut text = [0; 4];
        let (length, from) = left.recvfrom(server, &mut text, MSG_PEEK | MSG_TRUNC).unwrap();
        assert_eq!(length, 8);
        assert_eq!(left.unread(server), Ok(8));
        assert_eq!(left.recvfrom(server, &mut text, 0), Ok((4, from)));
        assert_ne!(right.getsockname(client).unwrap().port(), 0);
        assert_eq!(right.getpeername(client), Err(Errno::ENOTCONN));
        right.connect(client, address(LEFT, 53)).unwrap();
        assert_eq!(right.getpeername(client), Ok(address(LEFT, 53)));
        left.sendto(server, b"answer", 0, from).unwrap();
        assert_eq!(right.recv(client, &mut text, MSG_TRUNC), Ok(6));
        right.disconnect(client).unwrap();
        assert_eq!(right.send(client, b"x", 0), Err(Errno::EDESTADDRREQ));
        assert_eq!(right.shutdown(client, SHUT_RD), Err(Errno::ENOTCONN));
        let broadcast = Some(address("192.0.2.255", 53));
        assert_eq!(right.sendto(client, b"x", 0, broadcast), Err(Errno::EACCES));
        let long = vec![0; 70_000];
        assert_eq!(right.sendto(client, &long, 0, to), Err(Errno::EMSGSIZE));
        right.connect(client, address(LEFT, 99)).unwrap();
        right.send(client, b"anybody?", 0).unwrap();
        assert_eq!(right.recv(client, &mut text, 0), Err(Errno::ECONNREFUSED));
    });
}

/// MSG_MORE and TCP_CORK hold what does not fill a segment; for datagrams there is no such thing.
#[test]
fn more_text_is_waited_for() {
    within(10, || {
        let (left, right) = tables();
        let listener = listening(&left, 7);
        let near = stream(&right);
        right.connect(near, address(LEFT, 7)).unwrap();
        let (far, _) = left.accept(listener).unwrap();
        let mut text = [0; 64];
        assert_eq!(right.send(near, b"head ", MSG_MORE), Ok(5));
        assert_eq!(left.recv(far, &mut text, MSG_DONTWAIT), Err(Errno::EAGAIN));
        assert_eq!(right.send(near, b"body", 0), Ok(4));
        assert_eq!(left.recv(far, &mut text, 0), Ok(9));
        assert_eq!(&text[..9], b"head body");
        right.set_int(near, IPPROTO_TCP, TCP_CORK, 1).unwrap();
        assert_eq!(right.send(near, b"corked", 0), Ok(6));
        assert_eq!(left.recv(far, &mut text, MSG_DONTWAIT), Err(Errno::EAGAIN));
        right.set_int(near, IPPROTO_TCP, TCP_CORK, 0).unwrap();
        assert_eq!(left.recv(far, &mut text, 0), Ok(6));
        let udp = right.socket(AF_INET, SOCK_DGRAM, 0).unwrap();
        assert_eq!(right.send(udp, b"x", MSG_MORE), Err(Errno::EOPNOTSUPP));
    });
}

#[test]
fn options_are_set_before_and_after_connecting() {
    within(10, || {
        let (left, right) = tables();
        let fd = stream(&right);
        let ints = [
            (SOL_SOCKET, SO_KEEPALIVE, 1),
            (SOL_SOCKET, SO_OOBINLINE, 1),
            (SOL_SOCKET, SO_REUSEADDR, 1),
            (IPPROTO_TCP, TCP_NODELAY, 1),
            (IPPROTO_TCP, TCP_CORK, 1),
            (IPPROTO_TCP, TCP_NOTSENT_LOWAT, 17_000),
            (IPPROTO_TCP, TCP_KEEPIDLE, 11),
            (IPPROTO_TCP, TCP_KEEPINTVL, 12),
            (IPPROTO_TCP, TCP_KEEPCNT, 13),
            (IPPROTO_TCP, TCP_USER_TIMEOUT, 14_000),
            (IPPROTO_IP, IP_TTL, 15),
            (IPPROTO_IP, IP_TOS, 16),
            (SOL_SOCKET, SO_RCVBUF, 50_000),
            (SOL_SOCKET, SO_SNDBUF, 60_000),
        ];
        let check = |fd| {
            for (level, name, value) in ints {
                // Linux tells twice the size of a buffer that was asked for.
                let doubled = level == SOL_SOCKET && [SO_RCVBUF, SO_SNDBUF].contains(&name);
                let told = if doubled { 2 * value } else { value };
                assert_eq!(right.get_int(fd, level, name), Ok(told), "{level} {name}");
            }
        };
        for (level, name, value) in ints {
            right.set_int(fd, level, name, value).unwrap();
        }
        check(fd);
        listening(&left, 7);
        right.connect(fd, address(LEFT, 7)).unwrap();
        check(fd);
        assert_eq!(right.get_int(fd, IPPROTO_TCP, TCP_MAXSEG).unwrap() % 10, 8, "1448 of 1460");
        assert_eq!(right.get_int(fd, SOL_SOCKET, SO_TYPE), Ok(SOCK_STREAM));
        assert_eq!(right.get_int(fd, SOL_SOCKET, SO_ACCEPTCONN), Ok(0));
        let linger = [1_i32.to_ne_bytes(), 7_i32.to_ne_bytes()].concat();
        right.setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger).unwrap();
        let mut value = [0; 8];
        assert_eq!(right.getsockopt(fd, SOL_SOCKET, SO_LINGER, &mut value), Ok(8));
        assert_eq!(value[..], linger);
        let mut info = [0; 256];
        assert_eq!(right.getsockopt(fd, IPPROTO_TCP, TCP_INFO, &mut info), Ok(248));
        assert_eq!(info[0], 1, "ESTABLISHED");
        assert_eq!(info[60..64], 1500_u32.to_ne_bytes(), "tcpi_pmtu");
        right.set_int(fd, SOL_SOCKET, SO_LINGER, 0).unwrap_err();
        assert_eq!(right.set_int(fd, SOL_SOCKET, SO_OOBINLINE, 0), Err(Errno::ENOPROTOOPT));
        right.set_int(fd, SOL_SOCKET, SO_MAX_PACING_RATE, 70_000).unwrap();
        assert_eq!(right.getsockopt(fd, SOL_SOCKET, SO_MAX_PACING_RATE, &mut value), Ok(8));
        assert_eq!(u64::from_ne_bytes(value), 70_000);
        right.setsockopt(fd, SOL_SOCKET, SO_MAX_PACING_RATE, &(1_u64 << 40).to_ne_bytes()).unwrap();
        assert_eq!(right.getsockopt(fd, SOL_SOCKET, SO_MAX_PACING_RATE, &mut value), Ok(8));
        assert_eq!(u64::from_ne_bytes(value), 1 << 40);
        right.set_int(fd, SOL_SOCKET, SO_MAX_PACING_RATE, -1).unwrap();
        assert_eq!(right.get_int(fd, SOL_SOCKET, SO_MAX_PACING_RATE), Ok(-1), "no limit");
    });
}

/// Linux's SOCK_MIN_RCVBUF and SOCK_MIN_SNDBUF.
#[test]
fn buffers_of_datagrams_have_a_floor() {
    within(10, || {
        let (left, right) = tables();
        let (server, client) = (datagram(&left), datagram(&right));
        left.bind(server, address(LEFT, 7)).unwrap();
        for (name, least) in [(SO_RCVBUF, 2304), (SO_SNDBUF, 4608)] {
            left.set_int(server, SOL_SOCKET, name, 0).unwrap();
            assert_eq!(left.get_int(server, SOL_SOCKET, name), Ok(least));
        }
        let sent = vec![1; 9_000];
        right.sendto(client, &sent, 0, Some(address(LEFT, 7))).unwrap();
        assert_eq!(left.recv(server, &mut vec![0; 9_999], 0), Ok(9_000));
    });
}

#[test]
fn options_of_the_path() {
    within(10, || {
        let (left, right) = tables();
        // Or what is sent would be refused, and a later call told so.
        left.bind(datagram(&left), address(LEFT, 9)).unwrap();
        let fd = datagram(&right);
        let get = |name| right.get_int(fd, IPPROTO_IP, name);
        assert_eq!(
            (get(IP_MTU_DISCOVER), get(IP_MTU)),
            (Ok(IP_PMTUDISC_WANT), Err(Errno::ENOTCONN))
        );
        right.connect(fd, address(LEFT, 9)).unwrap();
        assert_eq!(get(IP_MTU), Ok(1500));
        assert_eq!(right.send(fd, &[0; 1473], 0), Ok(1473));
        for way in [IP_PMTUDISC_DO, IP_PMTUDISC_PROBE] {
            right.set_int(fd, IPPROTO_IP, IP_MTU_DISCOVER, way).unwrap();
            assert_eq!(get(IP_MTU_DISCOVER), Ok(way));
            assert_eq!(right.send(fd, &[0; 1473], 0), Err(Errno::EMSGSIZE));
            assert_eq!(right.send(fd, &[0; 1472], 0), Ok(1472));
        }
        for wrong in [-1, 4] {
            let refused = right.set_int(fd, IPPROTO_IP, IP_MTU_DISCOVER, wrong);
            assert_eq!(refused, Err(Errno::EINVAL));
        }
        let new = right.socket(AF_INET6, SOCK_DGRAM, 0).unwrap();
        for (value, way) in [(1, IP_PMTUDISC_DO), (0, IP_PMTUDISC_WANT)] {
            right.set_int(new, IPPROTO_IPV6, IPV6_DONTFRAG, value).unwrap();
            assert_eq!(right.get_int(new, IPPROTO_IPV6, IPV6_DONTFRAG), Ok(value));
            assert_eq!(right.get_int(new, IPPROTO_IPV6, IPV6_MTU_DISCOVER), Ok(way));
        }
    });
}

#[test]
fn the_congestion_control_is_chosen_by_name() {
    within(10, || {
        let (left, right) = tables();
        let name = |table: &Bsd, fd| {
            let mut value = [0xff; 16];
            assert_eq!(table.getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, &mut value), Ok(16));
            String::from_utf8(value.to_vec()).unwrap().trim_end_matches('\0').to_owned()
        };
        let fd = stream(&right);
        assert_eq!(name(&right, fd), "cubic");
        let unknown = right.setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, b"vegas");
        assert_eq!(unknown, Err(Errno::ENOENT));
        right.setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, b"reno\0rest").unwrap();
        listening(&left, 7);
        right.connect(fd, address(LEFT, 7)).unwrap();
        assert_eq!(name(&right, fd), "reno");
        right.setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, b"cubic").unwrap();
        assert_eq!(name(&right, fd), "cubic", "in the midst of a connection");
        let udp = datagram(&right);
        let refused = right.setsockopt(udp, IPPROTO_TCP, TCP_CONGESTION, b"cubic");
        assert_eq!(refused, Err(Errno::ENOPROTOOPT));
    });
}

/// Linux: those that do not listen share by SO_REUSEADDR, listeners by SO_REUSEPORT.
#[test]
fn a_port_is_shared_by_those_that_all_say_so() {
    within(10, || {
        let (left, right) = tables();
        let bind = |kind, option: i32, at| {
            let fd = left.socket(AF_INET, kind, 0).unwrap();
            assert_eq!(left.get_int(fd, SOL_SOCKET, SO_REUSEADDR), Ok(0));
            if option != 0 {
                left.set_int(fd, SOL_SOCKET, option, 1).unwrap();
                assert_eq!(left.get_int(fd, SOL_SOCKET, option), Ok(1));
            }
            left.bind(fd, address(at, 80)).map(|()| fd)
        };
        let in_use = Err(Errno::EADDRINUSE);
        for kind in [SOCK_STREAM, SOCK_DGRAM] {
            let first = bind(kind, SO_REUSEADDR, LEFT).unwrap();
            assert_eq!(bind(kind, 0, LEFT), in_use);
            assert_eq!(bind(kind, SO_REUSEPORT, LEFT), in_use);
            let second = bind(kind, SO_REUSEADDR, "0.0.0.0").unwrap();
            if kind == SOCK_STREAM {
                left.listen(first, 1).unwrap();
                assert_eq!(left.listen(second, 1), Err(Errno::EADDRINUSE));
                assert_eq!(bind(kind, SO_REUSEADDR, LEFT), in_use, "it listens");
            }
            left.close(first).unwrap();
            left.close(second).unwrap();
            let all = [LEFT, LEFT].map(|at| bind(kind, SO_REUSEPORT, at).unwrap());
            assert_eq!(bind(kind, SO_REUSEADDR, LEFT), in_use);
            if kind == SOCK_STREAM {
                all.iter().for_each(|fd| left.listen(*fd, 16).unwrap());
                let more = bind(kind, SO_REUSEPORT, LEFT).unwrap();
                left.listen(more, 16).unwrap();
                for _ in 0..9 {
                    right.connect(stream(&right), address(LEFT, 80)).unwrap();
                }
                let mut ready = [all[0], all[1], more].map(|fd| PollFd::new(fd, POLLIN));
                assert!(left.poll(&mut ready, LONG).unwrap() > 0);
                left.close(more).unwrap();
            }
            all.iter().for_each(|fd| left.close(*fd).unwrap());
        }
    });
}

#[test]
fn options_that_are_not_there_or_out_of_range_are_refused() {
    let (left, _right) = tables();
    let (tcp, udp) = (stream(&left), datagram(&left));
    for (fd, level, name) in [
        (tcp, IPPROTO_TCP, 9),
        (tcp, SOL_SOCKET, 26),
        (tcp, IPPROTO_IPV6, 26),
        (udp, IPPROTO_TCP, TCP_NODELAY),
        (udp, SOL_SOCKET, SO_KEEPALIVE),
        (udp, IPPROTO_IP, 49),
    ] {
        assert_eq!(left.set_int(fd, level, name, 1), Err(Errno::ENOPROTOOPT), "{level} {name}");
        let none = level == IPPROTO_IPV6 || fd == udp && level == IPPROTO_TCP;
        let refused = if none { Errno::EOPNOTSUPP } else { Errno::ENOPROTOOPT };
        assert_eq!(left.get_int(fd, level, name), Err(refused), "{level} {name}");
    }
    for (name, value) in [(TCP_KEEPIDLE, 0), (TCP_KEEPCNT, 128), (TCP_MAXSEG, 10)] {
        assert_eq!(left.set_int(tcp, IPPROTO_TCP, name, value), Err(Errno::EINVAL));
    }
    assert_eq!(left.set_int(tcp, SOL_SOCKET, SO_TYPE, 1), Err(Errno::ENOPROTOOPT));
    assert_eq!(left.set_int(tcp, IPPROTO_IP, IP_TTL, 300), Err(Errno::EINVAL));
    assert_eq!(left.setsockopt(tcp, SOL_SOCKET, SO_KEEPALIVE, &[1]), Err(Errno::EINVAL));
    left.set_int(udp, SOL_SOCKET, SO_BROADCAST, 1).unwrap();
    left.set_int(udp, IPPROTO_IP, IP_TTL, 9).unwrap();
    left.bind(udp, address(LEFT, 9)).unwrap();
    assert_eq!(left.get_int(udp, SOL_SOCKET, SO_BROADCAST), Ok(1));
    assert_eq!(left.get_int(udp, IPPROTO_IP, IP_TTL), Ok(9));
}

#[test]
fn accepted_sockets_inherit() {
    within(10, || {
        let (left, right) = tables();
        let listener = stream(&left);
        left.set_int(listener, IPPROTO_TCP, TCP_NODELAY, 1).unwrap();
        left.bind(listener, address(LEFT, 7)).unwrap();
        left.listen(listener, 4).unwrap();
        left.set_int(listener, IPPROTO_IP, IP_TTL, 77).unwrap();
        assert_eq!(left.get_int(listener, SOL_SOCKET, SO_ACCEPTCONN), Ok(1));
        let near = stream(&right);
        right.connect(near, address(LEFT, 7)).unwrap();
        let (far, _) = left.accept4(listener, SOCK_NONBLOCK).unwrap();
        assert_eq!(left.get_int(far, IPPROTO_TCP, TCP_NODELAY), Ok(1));
        assert_eq!(left.get_int(far, IPPROTO_IP, IP_TTL), Ok(77));
        assert_eq!(left.is_nonblocking(far), Ok(true));
        assert_eq!(left.accept4(listener, 1), Err(Errno::EINVAL));
        left.set_nonblocking(listener, true).unwrap();
        assert_eq!(left.accept(listener), Err(Errno::EAGAIN));
    });
}

/// Two entries may name one socket, or one connection: each waits for its own.
#[test]
fn poll_waits_for_each_entry_of_one_socket() {
    within(20, || {
        let (left, right) = tables();
        let (_, far, near) = connected(&left, &right);
        left.set_nonblocking(far, true).unwrap();
        let again = left.dup(far).unwrap();
        for other in [far, again] {
            while left.send(far, &[0; 10_000], 0).is_ok() {}
            thread::scope(|scope| {
                let waiting = scope.spawn(|| {
                    let mut fds = [PollFd::new(far, POLLIN), PollFd::new(other, POLLOUT)];
                    let (ready, took) = timed(|| left.poll(&mut fds, LONG));
                    assert!(ready == Ok(1) && took < Duration::from_secs(2), "{took:?}");
                    fds.map(|fd| fd.revents)
                });
                pause(30);
                while right.recv(near, &mut [0; 100_000], MSG_DONTWAIT).is_ok() {}
                assert_eq!(waiting.join().unwrap(), [0, POLLOUT]);
            });
        }
    });
}

#[test]
fn poll_waits_for_any_and_names_the_invalid() {
    within(20, || {
        let (left, right) = tables();
        let (listener, far, near) = connected(&left, &right);
        let udp = datagram(&left);
        left.bind(udp, address(LEFT, 7)).unwrap();
        let all = [listener, far, udp].map(|fd| PollFd::new(fd, POLLIN));
        let mut fds = all.to_vec();
        let short = Duration::from_millis(40);
        let (ready, took) = timed(|| left.poll(&mut fds, Some(short)));
        assert_eq!(ready, Ok(0));
        assert!(took >= short, "{took:?}");
        for turn in 0..20 {
            thread::scope(|scope| {
                let waiting = scope.spawn(|| {
                    let mut fds = all;
                    assert_eq!(left.poll(&mut fds, LONG), Ok(1));
                    fds.iter().position(|fd| fd.revents != 0)
                });
                if turn % 2 == 0 {
                    right.send(near, b"x", 0).unwrap();
                } else {
                    let to = Some(address(LEFT, 7));
                    right.sendto(datagram(&right), b"x", 0, to).unwrap();
                }
                let expected = if turn % 2 == 0 { 1 } else { 2 };
                assert_eq!(waiting.join().unwrap(), Some(expected));
            });
            left.recv(all[1 + turn % 2].fd, &mut [0; 4], 0).unwrap();
        }
        let mut odd = [PollFd::new(99, POLLIN), PollFd::new(-1, POLLIN), PollFd::new(far, POLLOUT)];
        assert_eq!(left.poll(&mut odd, LONG), Ok(2));
        assert_eq!(odd.map(|fd| fd.revents), [POLLNVAL, 0, POLLOUT]);
        let mut idle = [PollFd::new(stream(&left), POLLIN | POLLOUT)];
        assert_eq!(left.poll(&mut idle, LONG), Ok(1));
        assert_eq!(idle[0].revents, POLLOUT | POLLHUP);
        assert_eq!(left.poll(&mut [], Some(short)), Ok(0));
    });
}

#[test]
fn select_leaves_what_is_ready() {
    within(20, || {
        let (left, right) = tables();
        let (listener, far, near) = connected(&left, &right);
        let short = Some(Duration::from_millis(20));
        let set = || [listener, far].into_iter().collect::<FdSet>();
        let (mut receive, mut send, mut odd) = (set(), FdSet::new(), set());
        assert_eq!(left.select(&mut receive, &mut send, &mut odd, short), Ok(0));
        assert_eq!(receive.iter().chain(odd.iter()).count(), 0);
        right.send(near, b"x", 0).unwrap();
        loop {
            (receive, send) = (set(), set());
            let ready = left.select(&mut receive, &mut send, &mut odd, LONG).unwrap();
            assert_eq!(ready, receive.iter().chain(send.iter()).count());
            if receive.contains(far) && send.contains(far) {
                break;
            }
        }
        assert!(!receive.contains(listener));
        let mut bad: FdSet = [77].into_iter().collect();
        let mut none = (FdSet::new(), FdSet::new());
        assert_eq!(left.select(&mut bad, &mut none.0, &mut none.1, short), Err(Errno::EBADF));
    });
}
