//! `Poller`: level and edge, its waker, and who is woken.

use std::collections::HashMap;
use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::thread;
use std::time::Duration;

use stack::ConnectOptions;
use stack::host::{Events, Host, Interest, Poller, TcpListener, TcpStream, Token, UdpSocket};

use crate::rig::{LEFT, RIGHT, address, connection, hosts, pause, read, timed, within};

const SHORT: Option<Duration> = Some(Duration::from_millis(40));
const LONG: Option<Duration> = Some(Duration::from_secs(5));

fn tokens(poller: &Poller, timeout: Option<Duration>) -> Vec<usize> {
    let mut events = Events::with_capacity(64);
    poller.wait(&mut events, timeout).unwrap();
    events.iter().map(|event| event.token.0).collect()
}

#[test]
fn level_triggers_repeat_until_all_is_read() {
    within(20, || {
        let (left, right) = hosts();
        let (far, near) = connection(&left, &right);
        let poller = Poller::new(&left);
        poller.register(&far, Token(1), Interest::READABLE).unwrap();
        assert_eq!(tokens(&poller, SHORT), []);
        (&near).write_all(b"hello").unwrap();
        for _ in 0..3 {
            assert_eq!(tokens(&poller, LONG), [1]);
        }
        assert_eq!(read(&far, 5), b"hello");
        let (found, took) = timed(|| tokens(&poller, SHORT));
        assert_eq!(found, []);
        assert!(took >= SHORT.unwrap(), "{took:?}");
        near.shutdown(Shutdown::Write).unwrap();
        let mut events = Events::with_capacity(1);
        poller.wait(&mut events, LONG).unwrap();
        let event = events.iter().next().unwrap();
        assert!(event.is_readable() && event.is_read_closed() && !event.is_error());
    });
}

#[test]
fn a_poller_that_only_glances_takes_in_what_arrives() {
    within(20, || {
        let (left, right) = hosts();
        let near = UdpSocket::bind(&left, (LEFT, 7)).unwrap();
        let far = UdpSocket::bind(&right, (RIGHT, 0)).unwrap();
        let poller = Poller::new(&left);
        poller.register(&near, Token(1), Interest::READABLE).unwrap();
        // The understudy gives the seat to one that parks; from then on nobody does.
        tokens(&poller, Some(Duration::from_millis(5)));
        let before = left.stats().understudies;
        let mut buffer = [0; 8];
        for round in 0..200u8 {
            far.send_to(&[round], (LEFT, 7)).unwrap();
            while tokens(&poller, Some(Duration::ZERO)).is_empty() {}
            near.recv(&mut buffer).unwrap();
            assert_eq!(buffer[0], round);
        }
        assert!(left.stats().understudies <= before + 20, "the reactor did the work");
    });
}

#[test]
fn edge_triggers_come_once_for_each_change() {
    within(20, || {
        let (left, right) = hosts();
        let (far, near) = connection(&left, &right);
        let poller = Poller::new(&left);
        poller.register(&far, Token(1), Interest::READABLE.edge()).unwrap();
        for _ in 0..3 {
            (&near).write_all(b"x").unwrap();
            assert_eq!(tokens(&poller, LONG), [1]);
            assert_eq!(tokens(&poller, SHORT), []);
            assert_eq!(read(&far, 1), b"x");
        }
        (&near).write_all(b"x").unwrap();
        assert_eq!(tokens(&poller, LONG), [1]);
        poller.reregister(&far, Token(2), Interest::READABLE.edge()).unwrap();
        assert_eq!(tokens(&poller, LONG), [2], "registering anew reports anew");
    });
}

#[test]
fn room_and_failure_to_connect_are_writable() {
    within(20, || {
        let (left, right) = hosts();
        let listener = TcpListener::bind(&left, (LEFT, 7)).unwrap();
        let poller = Poller::new(&right);
        let open = |port| {
            let options = ConnectOptions::default();
            TcpStream::connect_nonblocking(&right, address(LEFT, port), options).unwrap()
        };
        let (good, bad) = (open(7), open(8));
        poller.register(&good, Token(7), Interest::WRITABLE).unwrap();
        poller.register(&bad, Token(8), Interest::WRITABLE.edge()).unwrap();
        let mut seen = HashMap::new();
        while seen.len() < 2 {
            let mut events = Events::with_capacity(64);
            poller.wait(&mut events, LONG).unwrap();
            seen.extend(events.iter().map(|event| (event.token, *event)));
        }
        assert!(seen[&Token(7)].is_writable() && !seen[&Token(7)].is_error());
        assert!(seen[&Token(8)].is_writable() && seen[&Token(8)].is_error());
        assert!(good.take_error().unwrap().is_none());
        let error = bad.take_error().unwrap().unwrap();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        listener.accept().unwrap();
    });
}

#[test]
fn registrations_can_be_changed_and_removed() {
    within(20, || {
        let (left, right) = hosts();
        let (far, near) = connection(&left, &right);
        let poller = Poller::new(&left);
        poller.register(&far, Token(1), Interest::READABLE).unwrap();
        let twice = poller.register(&far, Token(1), Interest::READABLE).unwrap_err();
        assert_eq!(twice.kind(), ErrorKind::AlreadyExists);
        let foreign = poller.register(&near, Token(1), Interest::READABLE).unwrap_err();
        assert_eq!(foreign.kind(), ErrorKind::InvalidInput);
        poller.reregister(&far, Token(9), Interest::READABLE | Interest::WRITABLE).unwrap();
        assert_eq!(tokens(&poller, LONG), [9]);
        poller.deregister(&far).unwrap();
        assert_eq!(tokens(&poller, SHORT), []);
        assert_eq!(poller.deregister(&far).unwrap_err().kind(), ErrorKind::NotFound);
        poller.register(&far, Token(3), Interest::WRITABLE).unwrap();
        drop(far);
        assert_eq!(tokens(&poller, SHORT), [], "a closed socket leaves its pollers");
    });
}

#[test]
fn a_poller_holds_all_kinds_and_is_fair_with_little_room() {
    within(20, || {
        let (left, right) = hosts();
        let listener = TcpListener::bind(&left, (LEFT, 7)).unwrap();
        let udp = UdpSocket::bind(&left, (LEFT, 7)).unwrap();
        let poller = Poller::new(&left);
        poller.register(&listener, Token(1), Interest::READABLE).unwrap();
        poller.register(&udp, Token(2), Interest::READABLE).unwrap();
        let near = TcpStream::connect(&right, (LEFT, 7)).unwrap();
        UdpSocket::bind(&right, (RIGHT, 0)).unwrap().send_to(b"x", (LEFT, 7)).unwrap();
        let mut seen = Vec::new();
        let mut events = Events::with_capacity(1);
        while !(seen.contains(&1) && seen.contains(&2)) {
            assert_eq!(poller.wait(&mut events, LONG).unwrap(), 1);
            seen.extend(events.iter().map(|event| event.token.0));
        }
        drop(near);
    });
}

#[test]
fn the_waker_ends_a_wait_and_is_kept() {
    within(20, || {
        let (left, _right) = hosts();
        let poller = Poller::new(&left);
        let waker = poller.waker();
        waker.wake();
        assert_eq!(tokens(&poller, None), [], "kept for the next wait");
        for _ in 0..50 {
            thread::scope(|scope| {
                scope.spawn(|| tokens(&poller, None));
                scope.spawn(|| waker.wake());
            });
        }
        // A driver of another kind has the seat while the poller's thread is parked.
        let udp = UdpSocket::bind(&left, (LEFT, 0)).unwrap();
        udp.set_read_timeout(SHORT).unwrap();
        thread::scope(|scope| {
            scope.spawn(|| udp.recv(&mut [0; 8]));
            pause(5);
            scope.spawn(|| tokens(&poller, None));
            pause(5);
            waker.wake();
        });
    });
}

/// A server in one thread with one poller, as a program of many connections would be.
fn serve(host: &Host, connections: usize, edge: bool) {
    let listener = TcpListener::bind(host, (LEFT, 7)).unwrap();
    listener.set_nonblocking(true).unwrap();
    let poller = Poller::new(host);
    poller.register(&listener, Token(usize::MAX), Interest::READABLE).unwrap();
    let interest = if edge { Interest::READABLE.edge() } else { Interest::READABLE };
    let mut streams: HashMap<usize, TcpStream> = HashMap::new();
    let (mut next, mut events) = (0, Events::with_capacity(16));
    while next < connections || !streams.is_empty() {
        poller.wait(&mut events, None).unwrap();
        for event in &events {
            if event.token == Token(usize::MAX) {
                while let Ok((stream, _)) = listener.accept() {
                    stream.set_nonblocking(true).unwrap();
                    poller.register(&stream, Token(next), interest).unwrap();
                    streams.insert(next, stream);
                    next += 1;
                }
                continue;
            }
            let Some(stream) = streams.get_mut(&event.token.0) else { continue };
            let mut text = [0; 256];
            loop {
                match stream.read(&mut text) {
                    Ok(0) => {
                        streams.remove(&event.token.0);
                        break;
                    }
                    Ok(length) => stream.write_all(&text[..length]).unwrap(),
                    Err(error) => {
                        assert_eq!(error.kind(), ErrorKind::WouldBlock);
                        break;
                    }
                }
            }
        }
    }
}

fn serve_clients(edge: bool) {
    let (left, right) = hosts();
    thread::scope(|scope| {
        let server = left.clone();
        scope.spawn(move || serve(&server, 12, edge));
        for client in 0..12_u32 {
            let right = &right;
            scope.spawn(move || {
                let mut stream = loop {
                    match TcpStream::connect(right, (LEFT, 7)) {
                        Ok(stream) => break stream,
                        // The server has not begun to listen.
                        Err(_) => pause(1),
                    }
                };
                for round in 0..200_u32 {
                    let text = (client << 16 | round).to_be_bytes();
                    stream.write_all(&text).unwrap();
                    assert_eq!(read(&stream, 4), text);
                }
            });
        }
    });
}

#[test]
fn one_thread_serves_many_level_triggered() {
    within(60, || serve_clients(false));
}

#[test]
fn one_thread_serves_many_edge_triggered() {
    within(60, || serve_clients(true));
}
