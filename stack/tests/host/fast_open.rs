//! Fast Open (RFC 7413) through the shell: Linux's calls and options, and the typed ones.

use std::io::{Read, Write};

use stack::host::bsd::*;
use stack::host::{Bsd, Errno, TcpListener, TcpStream};
use stack::{ConnectOptions, ListenFastOpen, ListenOptions};

use crate::rig::{LEFT, address, fast_hosts, hosts, within};

const PORT: u16 = 7;

fn listening(bsd: &Bsd) -> i32 {
    let fd = bsd.socket(AF_INET, SOCK_STREAM, 0).unwrap();
    bsd.bind(fd, address(LEFT, PORT)).unwrap();
    bsd.set_int(fd, IPPROTO_TCP, TCP_FASTOPEN, 5).unwrap();
    bsd.listen(fd, 16).unwrap();
    fd
}

fn syn_data(bsd: &Bsd, fd: i32) -> bool {
    let mut info = [0; 248];
    assert_eq!(bsd.getsockopt(fd, IPPROTO_TCP, TCP_INFO, &mut info), Ok(248));
    info[5] & 32 != 0
}

/// Sends with MSG_FASTOPEN and reads at the other end; says whether the text came with the SYN.
fn talk(left: &Bsd, listener: i32, right: &Bsd) -> bool {
    let near = right.socket(AF_INET, SOCK_STREAM, 0).unwrap();
    let to = Some(address(LEFT, PORT));
    assert_eq!(right.sendto(near, b"hello", MSG_FASTOPEN, to), Ok(5));
    let (far, _) = left.accept(listener).unwrap();
    let mut text = [0; 16];
    assert_eq!(left.recv(far, &mut text, 0), Ok(5));
    assert_eq!(left.send(far, b"world!", 0), Ok(6));
    assert_eq!(right.recv(near, &mut text, 0), Ok(6));
    assert_eq!(right.sendto(near, b"again", MSG_FASTOPEN, to), Err(Errno::EISCONN));
    assert_eq!(syn_data(left, far), syn_data(right, near));
    let early = syn_data(left, far);
    right.close(near).unwrap();
    left.close(far).unwrap();
    early
}

#[test]
fn msg_fastopen_connects_and_sends() {
    within(20, || {
        let (left, right) = fast_hosts();
        let (left, right) = (Bsd::new(&left), Bsd::new(&right));
        let listener = listening(&left);
        assert!(!talk(&left, listener, &right), "the cookie is not known yet");
        assert!(talk(&left, listener, &right));
        left.set_int(listener, IPPROTO_TCP, TCP_FASTOPEN, 0).unwrap();
        assert!(!talk(&left, listener, &right), "the listener wants no more of it");
        // Who does not block is put off until the handshake is over, if no byte went along.
        let near = right.socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0).unwrap();
        let nobody = Some(address("192.0.2.99", 1));
        assert_eq!(right.sendto(near, b"x", MSG_FASTOPEN, nobody), Err(Errno::EINPROGRESS));
    });
}

#[test]
fn tcp_fastopen_connect_leaves_the_syn_to_the_first_send() {
    within(20, || {
        let (left, right) = fast_hosts();
        let (left, right) = (Bsd::new(&left), Bsd::new(&right));
        let listener = listening(&left);
        for early in [false, true] {
            let near = right.socket(AF_INET, SOCK_STREAM, 0).unwrap();
            right.set_int(near, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 1).unwrap();
            right.connect(near, address(LEFT, PORT)).unwrap();
            assert_eq!(right.send(near, b"hello", 0), Ok(5));
            let (far, _) = left.accept(listener).unwrap();
            assert_eq!(left.recv(far, &mut [0; 16], 0), Ok(5));
            assert_eq!(syn_data(&left, far), early);
        }
    });
}

#[test]
fn options_are_linux_s() {
    let (left, right) = fast_hosts();
    let (left, right) = (Bsd::new(&left), Bsd::new(&right));
    let fd = left.socket(AF_INET, SOCK_STREAM, 0).unwrap();
    for (name, value) in [(TCP_FASTOPEN, 9), (TCP_FASTOPEN_CONNECT, 1), (TCP_FASTOPEN_NO_COOKIE, 1)]
    {
        assert_eq!(left.get_int(fd, IPPROTO_TCP, name), Ok(0));
        left.set_int(fd, IPPROTO_TCP, name, value).unwrap();
        assert_eq!(left.get_int(fd, IPPROTO_TCP, name), Ok(value));
        assert_eq!(left.set_int(fd, IPPROTO_TCP, name, -1), Err(Errno::EINVAL));
    }
    let mut key = [0; 32];
    assert_eq!(left.getsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_KEY, &mut key), Ok(16));
    assert_ne!(key, [0; 32], "the stack's own");
    let keys: Vec<u8> = (0..32).collect();
    for length in [0, 15, 17, 31, 33] {
        let value = vec![1; length];
        let set = left.setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_KEY, &value);
        assert_eq!(set, Err(Errno::EINVAL), "{length}");
    }
    left.setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_KEY, &keys).unwrap();
    assert_eq!(left.getsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_KEY, &mut key), Ok(32));
    assert_eq!(key[..], keys);
    let datagram = right.socket(AF_INET, SOCK_DGRAM, 0).unwrap();
    assert_eq!(right.set_int(datagram, IPPROTO_TCP, TCP_FASTOPEN, 1), Err(Errno::ENOPROTOOPT));
    let sent = right.sendto(datagram, b"x", MSG_FASTOPEN, Some(address(LEFT, 1)));
    assert_eq!(sent, Err(Errno::EOPNOTSUPP));
}

#[test]
fn where_it_is_off_nobody_can_ask_for_it() {
    let (_left, right) = hosts();
    let right = Bsd::new(&right);
    let fd = right.socket(AF_INET, SOCK_STREAM, 0).unwrap();
    let sent = right.sendto(fd, b"x", MSG_FASTOPEN, Some(address(LEFT, 1)));
    assert_eq!(sent, Err(Errno::EOPNOTSUPP));
    let set = right.set_int(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 1);
    assert_eq!(set, Err(Errno::EOPNOTSUPP));
}

#[test]
fn the_typed_call_sends_everything() {
    within(20, || {
        let (left, right) = fast_hosts();
        let fast_open = ListenFastOpen { pending_max: 5, ..ListenFastOpen::default() };
        let options = ListenOptions { fast_open, ..ListenOptions::default() };
        let listener = TcpListener::bind_with(&left, address(LEFT, PORT), options).unwrap();
        let text = vec![7; 5000];
        for early in [false, true] {
            let options = ConnectOptions::default();
            let to = address(LEFT, PORT);
            let mut near = TcpStream::connect_and_send(&right, to, options, &text).unwrap();
            let (mut far, _) = listener.accept().unwrap();
            let mut got = vec![0; text.len()];
            far.read_exact(&mut got).unwrap();
            assert_eq!(got, text);
            far.write_all(b"ok").unwrap();
            near.read_exact(&mut [0; 2]).unwrap();
            assert_eq!(near.info().unwrap().syn_data, early);
        }
    });
}
