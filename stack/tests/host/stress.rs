//! Many threads on both hosts at once: what would catch a wake-up lost between lock, seat and park.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use stack::host::{Host, TcpListener, TcpStream, UdpSocket};

use crate::rig::{
    LEFT, RIGHT, config, connection, echo, hosts, pattern, pause, ping_pong, read, within,
};

fn send_bulk(mut stream: &TcpStream, total: usize) {
    let bytes: Vec<u8> = (0..total).map(pattern).collect();
    for chunk in bytes.chunks(10_007) {
        stream.write_all(chunk).unwrap();
    }
    stream.shutdown(Shutdown::Write).unwrap();
}

fn receive_bulk(mut stream: &TcpStream, total: usize) {
    let mut buffer = [0; 8192];
    let mut at = 0;
    loop {
        let length = stream.read(&mut buffer).unwrap();
        if length == 0 {
            break;
        }
        assert!(buffer[..length].iter().enumerate().all(|(i, &byte)| byte == pattern(at + i)));
        at += length;
    }
    assert_eq!(at, total);
}

/// Ping-pong, bulk, datagrams and new connections on the same two hosts at the same time.
fn everything_at_once(left: &Host, right: &Host) {
    let listener = TcpListener::bind(left, (LEFT, 7)).unwrap();
    thread::scope(|scope| {
        for _ in 0..4 {
            let (far, near) = connection(left, right);
            scope.spawn(move || echo(far));
            scope.spawn(move || ping_pong(near, 300));
        }
        for _ in 0..2 {
            let (far, near) = connection(left, right);
            scope.spawn(move || send_bulk(&far, 300_000));
            scope.spawn(move || receive_bulk(&near, 300_000));
            let (far, near) = connection(left, right);
            scope.spawn(move || receive_bulk(&far, 300_000));
            scope.spawn(move || send_bulk(&near, 300_000));
        }
        scope.spawn(|| datagrams(left, right));
        for _ in 0..3 {
            scope.spawn(|| (0..10).for_each(|_| echo(listener.accept().unwrap().0)));
            scope.spawn(|| {
                for _ in 0..10 {
                    ping_pong(TcpStream::connect(right, (LEFT, 7)).unwrap(), 3);
                }
            });
        }
    });
}

fn datagrams(left: &Host, right: &Host) {
    let server = UdpSocket::bind(left, (LEFT, 0)).unwrap();
    let client = UdpSocket::bind(right, (RIGHT, 0)).unwrap();
    client.connect(server.local_addr().unwrap()).unwrap();
    for round in 0..200_u32 {
        client.send(&round.to_be_bytes()).unwrap();
        let mut text = [0; 8];
        let (length, from) = server.recv_from(&mut text).unwrap();
        server.send_to(&text[..length], from).unwrap();
        assert_eq!(client.recv(&mut text).unwrap(), 4);
        assert_eq!(text[..4], round.to_be_bytes());
    }
}

#[test]
fn everything_at_once_again_and_again() {
    for _ in 0..5 {
        within(60, || {
            let (left, right) = hosts();
            everything_at_once(&left, &right);
        });
    }
}

/// Who lends the lock in the middle of a burst goes on with the time of then, which an assertion in
/// the shell sees to: an older timestamp makes the receiver drop what follows (RFC 7323 §5.3).
#[test]
fn a_lock_that_was_lent_comes_back_with_the_time() {
    within(60, || {
        let (left, right) = hosts();
        thread::scope(|scope| {
            for _ in 0..4 {
                let (far, near) = connection(&left, &right);
                scope.spawn(move || (&far).write_all(&vec![0; 16 << 20]).unwrap());
                scope.spawn(move || io::copy(&mut &near, &mut io::sink()).unwrap());
            }
        });
    });
}

#[test]
fn several_threads_accept_and_every_connection_is_served_once() {
    within(60, || {
        let (left, right) = hosts();
        let listener = TcpListener::bind(&left, (LEFT, 7)).unwrap();
        let served = AtomicUsize::new(0);
        thread::scope(|scope| {
            for _ in 0..5 {
                scope.spawn(|| {
                    for _ in 0..20 {
                        let (mut stream, _) = listener.accept().unwrap();
                        stream.write_all(b"!").unwrap();
                        served.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
            for _ in 0..10 {
                scope.spawn(|| {
                    for _ in 0..10 {
                        let stream = TcpStream::connect(&right, (LEFT, 7)).unwrap();
                        assert_eq!(read(&stream, 1), b"!");
                    }
                });
            }
        });
        assert_eq!(served.into_inner(), 100);
    });
}

#[test]
fn several_readers_of_one_connection_get_every_byte_once() {
    within(60, || {
        let (left, right) = hosts();
        let (far, mut near) = connection(&left, &right);
        let total = AtomicUsize::new(0);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    loop {
                        match (&far).read(&mut [0; 3]).unwrap() {
                            0 => return,
                            length => total.fetch_add(length, Ordering::Relaxed),
                        };
                    }
                });
            }
            for _ in 0..2000 {
                near.write_all(b"some").unwrap();
            }
            near.shutdown(Shutdown::Write).unwrap();
        });
        assert_eq!(total.into_inner(), 8000);
    });
}

#[test]
fn request_and_reply_need_no_hand_over() {
    within(60, || {
        let (left, right) = hosts();
        let (far, near) = connection(&left, &right);
        thread::scope(|scope| {
            scope.spawn(move || echo(far));
            ping_pong(near, 2000);
        });
        let stats = left.stats();
        // A machine that does other things, too, wakes somebody now and then.
        assert!(stats.parks + stats.hand_overs + stats.promotions < 200, "{stats:?}");
    });
}

#[test]
fn spinning_before_sleeping_changes_nothing_else() {
    within(60, || {
        let (left, right) = tapdev::pair(1500, 20_000);
        let spin = Duration::from_micros(50);
        let left = Host::builder(config(1)).spin(spin).start(left).unwrap();
        let right = Host::builder(config(2)).spin(spin).start(right).unwrap();
        everything_at_once(&left, &right);
    });
}

#[test]
fn a_busy_connection_takes_the_seat_from_an_idle_acceptor() {
    within(60, || {
        let (left, right) = hosts();
        let listener = TcpListener::bind(&left, (LEFT, 7)).unwrap();
        thread::scope(|scope| {
            let near = TcpStream::connect(&right, (LEFT, 7)).unwrap();
            let far = listener.accept().unwrap().0;
            // This one has the seat of the left host, and nothing ever comes for it but the last.
            scope.spawn(|| listener.accept().unwrap());
            pause(20);
            scope.spawn(move || echo(far));
            ping_pong(near, 5000);
            let stats = left.stats();
            assert!(stats.yields >= 1, "{stats:?}");
            assert!(stats.hand_overs < 500, "{stats:?}");
            TcpStream::connect(&right, (LEFT, 7)).unwrap();
        });
    });
}

#[test]
fn a_program_that_never_waits_is_served_by_the_reactor() {
    within(60, || {
        let (left, right) = hosts();
        let (far, near) = connection(&left, &right);
        far.set_nonblocking(true).unwrap();
        thread::scope(|scope| {
            scope.spawn(move || {
                let mut text = [0; 64];
                let mut seen = 0;
                while seen < 100 {
                    match (&far).read(&mut text) {
                        Ok(length) => {
                            (&far).write_all(&text[..length]).unwrap();
                            seen += length;
                        }
                        Err(_) => thread::yield_now(),
                    }
                }
            });
            for _ in 0..100 {
                (&near).write_all(b"x").unwrap();
                assert_eq!(read(&near, 1), b"x");
            }
        });
        assert!(left.stats().understudies >= 1);
    });
}

#[test]
fn threads_that_give_up_pass_the_seat_on() {
    within(60, || {
        let (left, right) = hosts();
        let pairs: Vec<_> = (0..6).map(|_| connection(&left, &right)).collect();
        thread::scope(|scope| {
            for (index, (far, near)) in pairs.iter().enumerate() {
                // Half of the readers time out all the time; the other half must not notice.
                let patience = (index % 2 == 0).then_some(Duration::from_millis(1));
                far.set_read_timeout(patience).unwrap();
                scope.spawn(move || {
                    let mut seen = 0;
                    while seen < 60 {
                        if let Ok(length) = { far }.read(&mut [0; 16]) {
                            seen += length;
                        }
                    }
                });
                scope.spawn(move || {
                    for _ in 0..60 {
                        { near }.write_all(b"x").unwrap();
                        pause(2);
                    }
                });
            }
        });
    });
}
