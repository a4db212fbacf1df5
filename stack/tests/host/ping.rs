//! Echo sockets among the BSD calls: Linux's "ping sockets".

use stack::NetworkErrorKind;
use stack::host::bsd::*;
use stack::host::{Bsd, Errno};

use crate::rig::{LEFT, RIGHT, address, config, host_with, hosts, within};

const LEFT_V6: &str = "2001:db8::1";

fn tables() -> (Bsd, Bsd) {
    let (left, right) = hosts();
    (Bsd::new(&left), Bsd::new(&right))
}

#[test]
fn requests_go_out_under_the_sockets_port_and_answers_come_back() {
    within(10, || {
        let (_left, right) = tables();
        for (family, protocol, any, to, kinds, ttl) in [
            (AF_INET, IPPROTO_ICMP, "0.0.0.0", LEFT, [8, 0], (IPPROTO_IP, IP_RECVTTL)),
            (
                AF_INET6,
                IPPROTO_ICMPV6,
                "::",
                LEFT_V6,
                [128, 129],
                (IPPROTO_IPV6, IPV6_RECVHOPLIMIT),
            ),
        ] {
            let fd = right.socket(family, SOCK_DGRAM, protocol).unwrap();
            assert_eq!(right.get_int(fd, SOL_SOCKET, SO_PROTOCOL), Ok(protocol));
            right.bind(fd, address(any, 0x1234)).unwrap();
            assert_eq!(right.getsockname(fd), Ok(address(any, 0x1234)));
            right.set_int(fd, ttl.0, ttl.1, 1).unwrap();
            let [request, reply] = kinds;
            let asked = [request, 0, 0, 0, 99, 99, 0, 7, b'h', b'i'];
            assert_eq!(right.send(fd, &asked, 0), Err(Errno::EDESTADDRREQ));
            assert_eq!(right.sendto(fd, &asked, 0, Some(address(to, 0))), Ok(10));
            let mut text = [0; 20];
            let message = right.recvmsg(fd, &mut text, 0).unwrap();
            assert_eq!((message.length, message.flags), (10, 0));
            assert_eq!(message.from, Some(address(to, 0)));
            assert_eq!(message.control.ttl, Some(64));
            assert_eq!((text[0], &text[4..10]), (reply, &[0x12, 0x34, 0, 7, b'h', b'i'][..]));
            if family == AF_INET {
                let words = text[..10].chunks(2).map(|it| u32::from(it[0]) << 8 | u32::from(it[1]));
                let sum: u32 = words.sum();
                assert_eq!((sum & 0xffff) + (sum >> 16), 0xffff, "RFC 1071");
            }
            // To a peer, and cut.
            right.connect(fd, address(to, 0)).unwrap();
            assert_eq!(right.getpeername(fd), Ok(address(to, 0)));
            assert_eq!(right.send(fd, &asked, 0), Ok(10));
            let message = right.recvmsg(fd, &mut text[..9], MSG_TRUNC).unwrap();
            assert_eq!((message.length, message.flags, text[8]), (10, MSG_TRUNC, b'h'));
            assert_eq!(right.recv(fd, &mut text, MSG_DONTWAIT), Err(Errno::EAGAIN));
            right.close(fd).unwrap();
        }
    });
}

#[test]
fn only_echo_requests_are_sent_and_other_addresses_refused() {
    let (left, _right) = tables();
    assert_eq!(left.socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMPV6), Err(Errno::EPROTONOSUPPORT));
    assert_eq!(left.socket(AF_INET, SOCK_STREAM, IPPROTO_ICMP), Err(Errno::EPROTONOSUPPORT));
    let fd = left.socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP).unwrap();
    let to = Some(address(RIGHT, 0));
    for wrong in [&[8, 0, 0, 0, 0, 0, 0][..], &[0; 8], &[8, 1, 0, 0, 0, 0, 0, 0], &[]] {
        assert_eq!(left.sendto(fd, wrong, 0, to), Err(Errno::EINVAL), "{wrong:?}");
    }
    let request = [8, 0, 0, 0, 0, 0, 0, 0];
    let v6 = Some(address(LEFT_V6, 0));
    assert_eq!(left.sendto(fd, &request, 0, v6), Err(Errno::EAFNOSUPPORT));
    assert_eq!(left.bind(fd, address(LEFT, 0)), Err(Errno::EADDRNOTAVAIL));
    assert_eq!(left.set_int(fd, IPPROTO_IP, IP_TTL, 256), Err(Errno::EINVAL));
    assert_eq!(left.set_int(fd, IPPROTO_IP, IP_TOS, 1), Err(Errno::ENOPROTOOPT));
    assert_eq!(left.listen(fd, 1), Err(Errno::EOPNOTSUPP));
    let port = 0x4321;
    left.bind(fd, address("0.0.0.0", port)).unwrap();
    let other = left.socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP).unwrap();
    assert_eq!(left.bind(other, address("0.0.0.0", port)), Err(Errno::EADDRINUSE));
}

#[test]
fn errors_are_told_and_wait_in_their_queue() {
    within(20, || {
        let (left, _right) = tables();
        let fd = left.socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP).unwrap();
        left.set_int(fd, IPPROTO_IP, IP_RECVERR, 1).unwrap();
        let nobody = address("192.0.2.77", 0);
        let mut text = [0; 20];
        assert_eq!(left.recvmsg(fd, &mut text, MSG_ERRQUEUE), Err(Errno::EAGAIN));
        left.sendto(fd, &[8, 0, 0, 0, 0, 0, 0, 5], 0, Some(nobody)).unwrap();
        assert_eq!(left.recv(fd, &mut text, 0), Err(Errno::EHOSTUNREACH));
        let message = left.recvmsg(fd, &mut text, MSG_ERRQUEUE).unwrap();
        assert_eq!((message.from, message.flags), (Some(nobody), MSG_ERRQUEUE));
        assert_eq!((message.length, text[0], text[7]), (8, 8, 5), "the request's header");
        let error = message.control.error.unwrap();
        assert_eq!((error.kind, error.remote), (NetworkErrorKind::Host, nobody));
        assert_eq!(left.recvmsg(fd, &mut text, MSG_ERRQUEUE), Err(Errno::EAGAIN));
    });
}

#[test]
fn law6_so_many_errors_wait_in_their_queue() {
    within(20, || {
        let (end, _cable) = tapdev::pair(1500, 100);
        let mut limited = config(1);
        limited.echo.errors = 2;
        let host = host_with(1, end, limited);
        let left = Bsd::new(&host);
        let fd = left.socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP).unwrap();
        left.set_int(fd, IPPROTO_IP, IP_RECVERR, 1).unwrap();
        let mut text = [0; 20];
        let ask = |sequence| {
            let request = [8, 0, 0, 0, 0, 0, 0, sequence];
            left.sendto(fd, &request, 0, Some(address("192.0.2.77", 0))).unwrap();
        };
        (0..3).for_each(ask);
        for _ in 0..3 {
            assert_eq!(left.recv(fd, &mut text, 0), Err(Errno::EHOSTUNREACH));
        }
        assert_eq!(host.counters().echo_errors_dropped, 1);
        for sequence in 0..2 {
            left.recvmsg(fd, &mut text, MSG_ERRQUEUE).unwrap();
            assert_eq!(text[7], sequence);
        }
        // There is room again, and what no longer is wanted goes.
        ask(9);
        assert_eq!(left.recv(fd, &mut text, 0), Err(Errno::EHOSTUNREACH));
        left.set_int(fd, IPPROTO_IP, IP_RECVERR, 0).unwrap();
        left.set_int(fd, IPPROTO_IP, IP_RECVERR, 1).unwrap();
        assert_eq!(left.recvmsg(fd, &mut text, MSG_ERRQUEUE), Err(Errno::EAGAIN));
        assert_eq!(host.counters().echo_errors_dropped, 1);
    });
}
