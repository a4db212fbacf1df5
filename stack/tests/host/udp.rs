//! `UdpSocket` and `EchoSocket`.

use std::io::ErrorKind;
use std::thread;
use std::time::Duration;

use stack::EchoReplyKind;
use stack::host::{EchoSocket, UdpSocket};

use crate::rig::{LEFT, RIGHT, address, hosts, pause, timed, within};

#[test]
fn datagrams_go_both_ways() {
    within(10, || {
        let (left, right) = hosts();
        let server = UdpSocket::bind(&left, (LEFT, 7)).unwrap();
        let client = UdpSocket::bind(&right, (RIGHT, 0)).unwrap();
        thread::scope(|scope| {
            scope.spawn(|| {
                for _ in 0..200 {
                    let mut text = [0; 2000];
                    let (length, from) = server.recv_from(&mut text).unwrap();
                    assert_eq!(server.send_to(&text[..length], from).unwrap(), length);
                }
            });
            client.connect((LEFT, 7)).unwrap();
            assert_eq!(client.peer_addr().unwrap(), address(LEFT, 7));
            for length in 0..200_usize {
                let sent = vec![length as u8; length * 7];
                assert_eq!(client.send(&sent).unwrap(), sent.len());
                let mut text = [0; 2000];
                assert_eq!(client.peek(&mut text[..1]).unwrap(), sent.len().min(1));
                assert_eq!(client.recv(&mut text).unwrap(), sent.len());
                assert_eq!(text[..sent.len()], sent);
            }
        });
    });
}

#[test]
fn many_datagrams_in_one_go() {
    within(10, || {
        let (left, right) = hosts();
        let server = UdpSocket::bind(&left, (LEFT, 7)).unwrap();
        let client = UdpSocket::bind(&right, (RIGHT, 9)).unwrap();
        let (mut buffers, mut found) = ([[0; 8]; 3], Vec::new());
        let texts: [&[u8]; 5] = [b"a", b"", b"cc", b"more than fits", b"e"];
        let sent = texts.map(|text| (text, address(LEFT, 7)));
        assert_eq!(client.send_many_to(sent).unwrap(), 5);
        let mut got = Vec::new();
        while got.len() < 5 {
            // It waits for the first, and takes no more than there are buffers.
            server.recv_many_from(&mut buffers, &mut found).unwrap();
            assert!((1..=3).contains(&found.len()), "{found:?}");
            for ((length, from), buffer) in found.iter().zip(&buffers) {
                assert_eq!(*from, address(RIGHT, 9));
                got.push(buffer[..*length].to_vec());
            }
        }
        assert_eq!(got, [&b"a"[..], b"", b"cc", b"more tha", b"e"]);
        server.recv_many_from(&mut [[0; 8]; 0], &mut found).unwrap();
        server.set_nonblocking(true).unwrap();
        let nothing = server.recv_many_from(&mut buffers, &mut found).unwrap_err();
        assert_eq!((nothing.kind(), found.len()), (ErrorKind::WouldBlock, 0));
    });
}

#[test]
fn nothing_to_receive_times_out() {
    within(10, || {
        let (left, _right) = hosts();
        let socket = UdpSocket::bind(&left, (LEFT, 0)).unwrap();
        let short = Duration::from_millis(40);
        socket.set_read_timeout(Some(short)).unwrap();
        let (answer, took) = timed(|| socket.recv_from(&mut [0; 8]));
        assert_eq!(answer.unwrap_err().kind(), ErrorKind::WouldBlock);
        assert!(took >= short, "{took:?}");
        socket.set_nonblocking(true).unwrap();
        let (answer, took) = timed(|| socket.recv(&mut [0; 8]));
        assert_eq!(answer.unwrap_err().kind(), ErrorKind::WouldBlock);
        assert!(took < short, "{took:?}");
        assert_eq!(socket.send(b"x").unwrap_err().raw_os_error(), Some(89), "EDESTADDRREQ");
        assert_eq!(socket.peer_addr().unwrap_err().kind(), ErrorKind::NotConnected);
        let again = UdpSocket::bind(&left, socket.local_addr().unwrap()).unwrap_err();
        assert_eq!(again.kind(), ErrorKind::AddrInUse);
    });
}

#[test]
fn a_closed_port_refuses_the_connected_socket() {
    within(10, || {
        let (_left, right) = hosts();
        let socket = UdpSocket::bind(&right, (RIGHT, 0)).unwrap();
        socket.connect((LEFT, 9)).unwrap();
        socket.send(b"anybody?").unwrap();
        assert_eq!(socket.recv(&mut [0; 8]).unwrap_err().kind(), ErrorKind::ConnectionRefused);
        socket.send(b"anybody?").unwrap();
        let error = loop {
            if let Some(error) = socket.take_error().unwrap() {
                break error;
            }
            pause(1);
        };
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    });
}

#[test]
fn options_are_kept() {
    within(10, || {
        let (left, _right) = hosts();
        let socket = UdpSocket::bind(&left, (LEFT, 0)).unwrap();
        let clone = socket.try_clone().unwrap();
        clone.set_ttl(7).unwrap();
        clone.set_broadcast(true).unwrap();
        assert_eq!((socket.ttl().unwrap(), socket.broadcast().unwrap()), (7, true));
        assert_eq!(socket.set_ttl(0).unwrap_err().kind(), ErrorKind::InvalidInput);
    });
}

#[test]
fn a_ping_is_answered() {
    within(10, || {
        let (left, _right) = hosts();
        let socket = EchoSocket::open(&left).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
        for sequence in 0..50 {
            let sent = socket.send(RIGHT.parse().unwrap(), sequence, b"payload").unwrap();
            let mut payload = [0; 64];
            let reply = socket.recv(&mut payload).unwrap();
            assert_eq!((reply.kind, reply.sequence), (EchoReplyKind::Reply, sequence));
            assert_eq!(&payload[..reply.len], b"payload");
            assert!(reply.at >= sent);
        }
        assert_eq!(socket.recv(&mut [0; 8]).unwrap_err().kind(), ErrorKind::WouldBlock);
    });
}
