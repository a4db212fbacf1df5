//! The end of a host.

use std::io::{ErrorKind, Read, Write};
use std::thread;
use std::time::Duration;

use stack::host::{Events, Poller, TcpListener, TcpStream, UdpSocket};

use crate::rig::{LEFT, RIGHT, connection, hosts, pause, read, timed, within};

#[test]
fn shutting_down_delivers_what_was_written() {
    within(20, || {
        let (left, right) = hosts();
        let (mut far, mut near) = connection(&left, &right);
        near.write_all(&[7; 100_000]).unwrap();
        thread::scope(|scope| {
            let reader = scope.spawn(move || {
                let mut bytes = Vec::new();
                far.read_to_end(&mut bytes).unwrap();
                bytes.len()
            });
            right.shutdown();
            assert_eq!(reader.join().unwrap(), 100_000);
        });
        assert!(near.write(b"x").is_err());
        right.shutdown();
    });
}

#[test]
fn shutting_down_ends_every_blocked_call() {
    within(20, || {
        let (left, right) = hosts();
        let (_far, near) = connection(&left, &right);
        let listener = TcpListener::bind(&right, (RIGHT, 7)).unwrap();
        let udp = UdpSocket::bind(&right, (RIGHT, 7)).unwrap();
        let poller = Poller::new(&right);
        thread::scope(|scope| {
            let accept = scope.spawn(|| listener.accept().map(|_| ()));
            let datagram = scope.spawn(|| udp.recv(&mut [0; 8]).map(|_| ()));
            let wait = scope.spawn(|| poller.wait(&mut Events::with_capacity(1), None));
            pause(50);
            right.shutdown();
            for error in [accept.join().unwrap(), datagram.join().unwrap()] {
                assert_eq!(error.unwrap_err().raw_os_error(), Some(108), "ESHUTDOWN");
            }
            assert!(wait.join().unwrap().is_err());
        });
        assert!(TcpStream::connect(&right, (LEFT, 7)).is_err());
        drop(near);
    });
}

#[test]
fn a_peer_that_never_ends_is_reset() {
    within(20, || {
        let (left, right) = hosts();
        let (mut far, _near) = connection(&left, &right);
        let ((), took) = timed(|| right.shutdown());
        // Whom it waits for it waits two seconds.
        assert!(took < Duration::from_secs(2), "{took:?}");
        let error = loop {
            match far.write_all(&[0; 100]) {
                Ok(()) => pause(1),
                Err(error) => break error,
            }
        };
        assert!(matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe));
    });
}

#[test]
fn a_peer_that_does_not_read_is_reset_after_the_grace() {
    within(20, || {
        let (left, right) = hosts();
        let (far, mut near) = connection(&left, &right);
        near.set_write_timeout(Some(Duration::from_millis(100))).unwrap();
        while near.write_all(&[0; 100_000]).is_ok() {}
        let ((), took) = timed(|| right.shutdown());
        let grace = Duration::from_secs(2);
        assert!(took >= grace && took < 5 * grace, "{took:?}");
        assert!(right.connections().is_empty());
        drop(far);
    });
}

#[test]
fn the_last_socket_keeps_its_host_alive() {
    within(20, || {
        let (left, right) = hosts();
        let (far, mut near) = connection(&left, &right);
        drop((left, right));
        near.write_all(b"still here").unwrap();
        assert_eq!(read(&far, 10), b"still here");
    });
}
