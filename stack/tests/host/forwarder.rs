//! `Forwarder`: connections to addresses of nobody, decided on before they are answered.

#![expect(clippy::disallowed_methods, reason = "clients and proxies run beside each other")]

use std::io::{ErrorKind, Write};
use std::thread;
use std::time::Duration;

use stack::host::{
    Events, ForwardRequest, Forwarder, Host, Interest, Poller, TcpListener, TcpStream, Token,
};
use stack::{Route, TcpOptions};

use crate::rig::{LEFT, address, config, host_with, hosts, pause, read, within};

/// Where nobody is, of both versions.
const FAR: [&str; 2] = ["198.18.0.9", "2001:db8:1::9"];

/// A host that stands for all addresses, and one whose routes lead through it.
fn forwarding() -> (Host, Forwarder, Host) {
    let (left, right) = tapdev::pair(1500, 1000);
    let mut config_left = config(1);
    config_left.any_address = true;
    let mut config_right = config(2);
    config_right.gateway = Some(LEFT.parse().unwrap());
    config_right.routes = vec![Route::default_via("2001:db8::1".parse().unwrap())];
    let left = host_with(1, left, config_left);
    let forwarder = Forwarder::new(&left, TcpOptions::default()).unwrap();
    (left, forwarder, host_with(2, right, config_right))
}

/// What becomes of a connection of `client` to `far`, on which `decide` decides.
fn decided<T>(
    far: &str,
    decide: impl FnOnce(ForwardRequest) -> T,
) -> (T, std::io::Result<TcpStream>, (Host, Forwarder, Host)) {
    let (left, forwarder, client) = forwarding();
    let (said, connected) = thread::scope(|scope| {
        let connecting = scope.spawn(|| {
            let patience = Duration::from_millis(1500);
            TcpStream::connect_timeout(&client, &address(far, 443), patience)
        });
        let request = forwarder.next().unwrap();
        assert_eq!(request.to(), address(far, 443));
        let said = decide(request);
        (said, connecting.join().unwrap())
    });
    (said, connected, (left, forwarder, client))
}

#[test]
fn accepted_later_from_another_thread() {
    for far in FAR {
        within(20, move || {
            let (stream, connected, _hosts) = decided(far, |request| {
                thread::spawn(move || {
                    pause(300);
                    assert!(request.is_waiting());
                    request.accept().unwrap()
                })
                .join()
                .unwrap()
            });
            let near = connected.unwrap();
            assert_eq!(stream.local_addr().unwrap(), address(far, 443));
            assert_eq!(stream.peer_addr().unwrap(), near.local_addr().unwrap());
            (&near).write_all(b"there").unwrap();
            assert_eq!(read(&stream, 5), b"there");
            (&stream).write_all(b"back").unwrap();
            assert_eq!(read(&near, 4), b"back");
        });
    }
}

#[test]
fn a_refusal_is_heard_as_one() {
    for far in FAR {
        within(20, move || {
            let ((), connected, _hosts) = decided(far, ForwardRequest::reset);
            assert_eq!(connected.unwrap_err().kind(), ErrorKind::ConnectionRefused);
        });
    }
}

#[test]
fn what_is_ignored_times_out() {
    within(20, || {
        let ((), connected, (_left, forwarder, _client)) = decided(FAR[0], ForwardRequest::ignore);
        assert_eq!(connected.unwrap_err().kind(), ErrorKind::TimedOut);
        // The SYN has been sent again meanwhile: that is another request.
        assert_eq!(forwarder.status().unwrap().pending, 1);
    });
}

#[test]
fn a_client_that_gave_up_is_not_accepted() {
    within(20, || {
        let (request, connected, _hosts) = decided(FAR[0], |request| request);
        assert!(connected.is_err());
        // It does not say so in SYN-SENT: its SYN waits on, and the SYN-ACK is refused.
        assert!(request.is_waiting());
        assert_eq!(request.accept().unwrap_err().kind(), ErrorKind::ConnectionReset);
    });
}

#[test]
fn it_is_polled_as_a_listener_is() {
    within(20, || {
        let (left, forwarder, client) = forwarding();
        forwarder.set_nonblocking(true).unwrap();
        assert_eq!(forwarder.next().unwrap_err().kind(), ErrorKind::WouldBlock);
        let poller = Poller::new(&left);
        poller.register(&forwarder, Token(7), Interest::READABLE).unwrap();
        let connecting = thread::spawn(move || TcpStream::connect(&client, (FAR[0], 80)));
        let mut events = Events::with_capacity(8);
        poller.wait(&mut events, None).unwrap();
        assert_eq!(events.iter().map(|event| event.token).collect::<Vec<_>>(), [Token(7)]);
        let status = forwarder.status().unwrap();
        assert_eq!((status.pending, status.half_open), (1, 1));
        let stream = forwarder.next().unwrap().accept_nonblocking().unwrap();
        poller.register(&stream, Token(8), Interest::WRITABLE).unwrap();
        poller.wait(&mut events, None).unwrap();
        assert_eq!(events.iter().map(|event| event.token).collect::<Vec<_>>(), [Token(8)]);
        assert!(stream.take_error().unwrap().is_none());
        connecting.join().unwrap().unwrap();
    });
}

#[test]
fn several_threads_wait_and_each_gets_one() {
    within(20, || {
        const THREADS: usize = 4;
        let (_left, forwarder, client) = forwarding();
        thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| drop(forwarder.next().unwrap().accept().unwrap()));
            }
            for port in 0..THREADS as u16 {
                let client = &client;
                scope.spawn(move || TcpStream::connect(client, (FAR[0], 1000 + port)).unwrap());
            }
        });
    });
}

#[test]
fn a_port_with_a_listener_is_its_own() {
    within(20, || {
        let (left, forwarder, client) = forwarding();
        let listener = TcpListener::bind(&left, (LEFT, 80)).unwrap();
        let near = TcpStream::connect(&client, (LEFT, 80)).unwrap();
        assert_eq!(listener.accept().unwrap().1, near.local_addr().unwrap());
        forwarder.set_nonblocking(true).unwrap();
        assert!(forwarder.next().is_err());
    });
}

#[test]
fn there_is_one_for_those_that_stand_for_all() {
    within(20, || {
        let (left, _right) = hosts();
        let refused = Forwarder::new(&left, TcpOptions::default());
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::AddrNotAvailable);
        let (left, forwarder, _client) = forwarding();
        let second = Forwarder::new(&left, TcpOptions::default());
        assert_eq!(second.unwrap_err().kind(), ErrorKind::AddrInUse);
        drop(forwarder);
        Forwarder::new(&left, TcpOptions::default()).unwrap();
    });
}

#[test]
fn a_shutdown_ends_the_waiting() {
    within(20, || {
        let (left, forwarder, _client) = forwarding();
        thread::scope(|scope| {
            let waiting = scope.spawn(|| forwarder.next().map(drop));
            pause(50);
            left.shutdown();
            assert!(waiting.join().unwrap().is_err());
        });
    });
}
