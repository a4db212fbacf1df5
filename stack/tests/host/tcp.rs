//! `TcpListener` and `TcpStream` as std's behave.

use std::io::{ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::net::Shutdown;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use std::time::Duration;

use stack::host::{TcpListener, TcpStream};
use stack::{Bytes, ConnectOptions, ListenOptions, TcpOptions};

use crate::rig::{LEFT, RIGHT, address, connection, hosts, pattern, pause, read, timed, within};

#[test]
fn an_echo_server_answers() {
    within(20, || {
        let (left, right) = hosts();
        let listener = TcpListener::bind(&left, (LEFT, 7)).unwrap();
        assert_eq!(listener.local_addr().unwrap(), address(LEFT, 7));
        thread::scope(|scope| {
            scope.spawn(|| {
                let (mut stream, _) = listener.accept().unwrap();
                let mut text = [0; 64];
                loop {
                    match stream.read(&mut text).unwrap() {
                        0 => return,
                        length => stream.write_all(&text[..length]).unwrap(),
                    }
                }
            });
            let mut stream = TcpStream::connect(&right, (LEFT, 7)).unwrap();
            stream.set_nodelay(true).unwrap();
            for round in 0..500_u32 {
                stream.write_all(&round.to_be_bytes()).unwrap();
                assert_eq!(read(&stream, 4), round.to_be_bytes());
            }
        });
    });
}

#[test]
fn bulk_arrives_whole_in_both_directions_at_once() {
    const TOTAL: usize = 3_000_000;
    within(60, || {
        let (left, right) = hosts();
        let (far, near) = connection(&left, &right);
        let send = |mut stream: &TcpStream| {
            let bytes: Vec<u8> = (0..TOTAL).map(pattern).collect();
            stream.write_all(&bytes).unwrap();
            stream.shutdown(Shutdown::Write).unwrap();
        };
        let receive = |mut stream: &TcpStream| {
            let mut bytes = Vec::new();
            stream.read_to_end(&mut bytes).unwrap();
            assert_eq!(bytes.len(), TOTAL);
            assert!(bytes.iter().enumerate().all(|(at, &byte)| byte == pattern(at)));
        };
        let (far2, near2) = (far.try_clone().unwrap(), near.try_clone().unwrap());
        thread::scope(|scope| {
            scope.spawn(|| send(&far));
            scope.spawn(|| receive(&far2));
            scope.spawn(|| send(&near));
            scope.spawn(|| receive(&near2));
        });
    });
}

#[test]
fn refused_and_unanswered_connections_fail() {
    within(30, || {
        let (left, right) = hosts();
        let error = TcpStream::connect(&right, (LEFT, 9)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        drop(left);
        let gone = address("192.0.2.77", 9);
        let short = Duration::from_millis(100);
        let (answer, took) = timed(|| TcpStream::connect_timeout(&right, &gone, short));
        assert_eq!(answer.unwrap_err().kind(), ErrorKind::TimedOut);
        assert!(took >= short && took < Duration::from_secs(3), "{took:?}");
        let zero = TcpStream::connect_timeout(&right, &gone, Duration::ZERO);
        assert_eq!(zero.unwrap_err().kind(), ErrorKind::InvalidInput);
        let name = TcpStream::connect(&right, "example.com:80").unwrap_err();
        assert_eq!(name.kind(), ErrorKind::InvalidInput);
    });
}

#[test]
fn an_address_can_be_taken_once() {
    within(10, || {
        let (left, _right) = hosts();
        let listener = TcpListener::bind(&left, (LEFT, 7)).unwrap();
        let again = TcpListener::bind(&left, (LEFT, 7)).unwrap_err();
        assert_eq!(again.kind(), ErrorKind::AddrInUse);
        let foreign = TcpListener::bind(&left, ("198.18.0.1", 7)).unwrap_err();
        assert_eq!(foreign.kind(), ErrorKind::AddrNotAvailable);
        drop(listener);
        TcpListener::bind(&left, (LEFT, 7)).unwrap();
        let free = TcpListener::bind(&left, (LEFT, 0)).unwrap();
        assert_ne!(free.local_addr().unwrap().port(), 0);
    });
}

#[test]
fn time_outs_pass_and_are_would_block() {
    within(20, || {
        let (left, right) = hosts();
        let (far, mut near) = connection(&left, &right);
        let short = Duration::from_millis(60);
        near.set_read_timeout(Some(short)).unwrap();
        assert_eq!(near.read_timeout().unwrap(), Some(short));
        let (answer, took) = timed(|| near.read(&mut [0; 8]));
        assert_eq!(answer.unwrap_err().kind(), ErrorKind::WouldBlock);
        assert!(took >= short && took < Duration::from_secs(2), "{took:?}");

        near.set_write_timeout(Some(short)).unwrap();
        let chunk = vec![7; 1 << 20];
        let mut total = 0;
        let error = loop {
            match near.write(&chunk) {
                Ok(length) => total += length,
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        assert!(total > 0 && total < 64 << 20, "{total}");
        assert_eq!(read(&far, total), vec![7; total]);
        let zero = near.set_read_timeout(Some(Duration::ZERO)).unwrap_err();
        assert_eq!(zero.kind(), ErrorKind::InvalidInput);
    });
}

#[test]
fn nonblocking_sockets_do_not_block() {
    within(10, || {
        let (left, right) = hosts();
        let listener = TcpListener::bind(&left, (LEFT, 7)).unwrap();
        listener.set_nonblocking(true).unwrap();
        assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
        let mut near = TcpStream::connect(&right, (LEFT, 7)).unwrap();
        let far = loop {
            match listener.accept() {
                Ok((stream, _)) => break stream,
                Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
            }
            pause(1);
        };
        near.set_nonblocking(true).unwrap();
        let clone = near.try_clone().unwrap();
        assert_eq!((&clone).read(&mut [0; 8]).unwrap_err().kind(), ErrorKind::WouldBlock);
        (&far).write_all(b"now").unwrap();
        let text = loop {
            let mut text = [0; 8];
            match near.read(&mut text) {
                Ok(length) => break text[..length].to_vec(),
                Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
            }
            // Nobody waits at this host: the reactor reads the frames.
            pause(1);
        };
        assert_eq!(text, b"now");
        let full = loop {
            if let Err(error) = near.write(&[0; 100_000]) {
                break error;
            }
        };
        assert_eq!(full.kind(), ErrorKind::WouldBlock);
    });
}

#[test]
fn a_nonblocking_connect_becomes_writable_or_fails() {
    within(10, || {
        let (left, right) = hosts();
        let listener = TcpListener::bind(&left, (LEFT, 7)).unwrap();
        let open = |port| {
            let options = ConnectOptions::default();
            let stream = TcpStream::connect_nonblocking(&right, address(LEFT, port), options);
            stream.unwrap()
        };
        let near = open(7);
        let _far = listener.accept().unwrap();
        while near.peer_addr().is_err() {
            pause(1);
        }
        assert!(near.take_error().unwrap().is_none());
        let refused = open(8);
        let error = loop {
            if let Some(error) = refused.take_error().unwrap() {
                break error;
            }
            pause(1);
        };
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    });
}

#[test]
fn a_half_closed_connection_still_receives() {
    within(10, || {
        let (left, right) = hosts();
        let (mut far, mut near) = connection(&left, &right);
        near.write_all(b"question").unwrap();
        near.shutdown(Shutdown::Write).unwrap();
        let mut text = Vec::new();
        far.read_to_end(&mut text).unwrap();
        assert_eq!(text, b"question");
        assert_eq!(near.write(b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);
        far.write_all(b"answer").unwrap();
        assert_eq!(read(&near, 6), b"answer");
        drop(far);
        assert_eq!(near.read(&mut [0; 8]).unwrap(), 0);
    });
}

#[test]
fn shutting_down_reading_ends_a_read_of_another_thread() {
    within(10, || {
        let (left, right) = hosts();
        let (_far, near) = connection(&left, &right);
        thread::scope(|scope| {
            let reader = scope.spawn(|| (&near).read(&mut [0; 8]).unwrap());
            pause(50);
            near.shutdown(Shutdown::Read).unwrap();
            assert_eq!(reader.join().unwrap(), 0);
        });
    });
}

#[test]
fn what_ends_a_write_halfway_is_not_told_twice_nor_before_what_has_arrived() {
    within(20, || {
        let (left, right) = hosts();
        let text = vec![7; 8 << 20];
        let (mut far, mut near) = connection(&left, &right);
        thread::scope(|scope| {
            let writer = scope.spawn(|| (&near).write(&text).unwrap());
            pause(100);
            near.shutdown(Shutdown::Write).unwrap();
            assert!(writer.join().unwrap() < text.len());
        });
        far.write_all(b"text").unwrap();
        // The end of writing is no matter of the reader's.
        assert_eq!(read(&near, 4), b"text");
        assert_eq!(near.write(b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);

        (far, near) = connection(&left, &right);
        far.write_all(b"text").unwrap();
        near.peek(&mut [0; 4]).unwrap();
        thread::scope(|scope| {
            let writer = scope.spawn(|| (&near).write(&text).unwrap());
            pause(100);
            drop(far);
            assert!(writer.join().unwrap() < text.len());
        });
        assert_eq!(read(&near, 4), b"text");
        let error = near.read(&mut [0; 8]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        assert_eq!(near.read(&mut [0; 8]).unwrap(), 0);
        assert!(near.take_error().unwrap().is_none());
    });
}

#[test]
fn peeked_text_stays() {
    within(10, || {
        let (left, right) = hosts();
        let (mut far, near) = connection(&left, &right);
        far.write_all(b"hello").unwrap();
        let mut text = [0; 3];
        assert_eq!(near.peek(&mut text).unwrap(), 3);
        assert_eq!(&text, b"hel");
        assert_eq!(read(&near, 5), b"hello");
    });
}

#[test]
fn vectored_calls_gather_and_scatter() {
    within(10, || {
        let (left, right) = hosts();
        let (mut far, mut near) = connection(&left, &right);
        let parts = [IoSlice::new(b"one "), IoSlice::new(b""), IoSlice::new(b"two")];
        assert_eq!(far.write_vectored(&parts).unwrap(), 7);
        near.peek(&mut [0; 7]).unwrap();
        let (mut first, mut second) = ([0; 4], [0; 8]);
        let mut bufs = [IoSliceMut::new(&mut first), IoSliceMut::new(&mut second)];
        assert_eq!(near.read_vectored(&mut bufs).unwrap(), 7);
        assert_eq!((&first, &second[..3]), (b"one ", &b"two"[..]));
        assert_eq!(near.read(&mut []).unwrap(), 0);
        assert_eq!(near.write(&[]).unwrap(), 0);
    });
}

/// Text that arrives during the call goes behind what was there: no buffer is left half full with
/// the next one begun, or its reader would take what lay in it before for text.
#[test]
fn buffers_are_filled_in_order_while_text_arrives() {
    const COUNT: usize = 1_000_000;
    within(30, || {
        let (left, right) = hosts();
        let (mut far, mut near) = connection(&left, &right);
        far.set_nodelay(true).unwrap();
        let listener = TcpListener::bind(&right, (RIGHT, 9)).unwrap();
        thread::scope(|scope| {
            // Who waits here takes in what comes for the reader, while that reads.
            scope.spawn(|| listener.accept().unwrap());
            scope.spawn(move || {
                let text: Vec<u8> = (0..COUNT).map(|at| at as u8).collect();
                text.chunks(7).for_each(|piece| far.write_all(piece).unwrap());
            });
            let (mut at, mut space) = (0, [0; 8192]);
            while at < COUNT {
                let (first, second) = space.split_at_mut(4096);
                let mut bufs = [IoSliceMut::new(first), IoSliceMut::new(second)];
                let count = near.read_vectored(&mut bufs).unwrap();
                let wanted: Vec<u8> = (at..at + count).map(|at| at as u8).collect();
                assert_eq!(space[..count], wanted, "at {at}");
                at += count;
            }
            TcpStream::connect(&left, (RIGHT, 9)).unwrap();
        });
    });
}

#[test]
fn options_are_kept_and_inherited() {
    within(10, || {
        let (left, right) = hosts();
        let tcp = TcpOptions { nodelay: true, ttl: 33, ..TcpOptions::default() };
        let options = ListenOptions { backlog: 5, tcp, ..ListenOptions::default() };
        let listener = TcpListener::bind_with(&left, address(LEFT, 7), options).unwrap();
        assert_eq!(listener.status().unwrap().backlog, 5);
        let near = TcpStream::connect(&right, (LEFT, 7)).unwrap();
        let far = listener.accept().unwrap().0;
        assert!(far.nodelay().unwrap() && !near.nodelay().unwrap());
        assert_eq!((far.ttl().unwrap(), near.ttl().unwrap()), (33, 64));
        near.set_linger(Some(Duration::from_secs(3))).unwrap();
        assert_eq!(near.linger().unwrap(), Some(Duration::from_secs(3)));
        near.set_keepalive(true).unwrap();
        assert!(near.keepalive().unwrap());
        near.set_user_timeout(Some(Duration::from_secs(9))).unwrap();
        assert_eq!(near.user_timeout().unwrap(), Some(Duration::from_secs(9)));
        assert_eq!(near.set_ttl(0).unwrap_err().kind(), ErrorKind::InvalidInput);
        assert_eq!(near.set_ttl(256).unwrap_err().kind(), ErrorKind::InvalidInput);
        assert_eq!(near.info().unwrap().remote, far.local_addr().unwrap());
    });
}

#[test]
fn the_last_clone_closes() {
    within(10, || {
        let (left, right) = hosts();
        let (mut far, near) = connection(&left, &right);
        let clone = near.try_clone().unwrap();
        drop(near);
        far.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        assert_eq!(far.read(&mut [0; 8]).unwrap_err().kind(), ErrorKind::WouldBlock);
        drop(clone);
        far.set_read_timeout(None).unwrap();
        assert_eq!(far.read(&mut [0; 8]).unwrap(), 0);
    });
}

#[test]
fn closing_with_unread_text_or_linger_zero_resets() {
    within(10, || {
        let (left, right) = hosts();
        let (mut far, mut near) = connection(&left, &right);
        near.write_all(b"never read").unwrap();
        far.peek(&mut [0; 1]).unwrap();
        drop(far);
        let error = near.read(&mut [0; 8]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);

        (far, near) = connection(&left, &right);
        near.set_linger(Some(Duration::ZERO)).unwrap();
        drop(near);
        let error = far.read(&mut [0; 8]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    });
}

#[test]
fn closing_a_listener_resets_what_nobody_accepted() {
    within(10, || {
        let (left, right) = hosts();
        let listener = TcpListener::bind(&left, (LEFT, 7)).unwrap();
        let mut near = TcpStream::connect(&right, (LEFT, 7)).unwrap();
        while listener.status().unwrap().pending == 0 {
            pause(1);
        }
        drop(listener);
        let error = near.read(&mut [0; 8]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        let error = TcpStream::connect(&right, (LEFT, 7)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    });
}

#[test]
fn incoming_is_endless() {
    within(10, || {
        let (left, right) = hosts();
        let listener = TcpListener::bind(&left, (LEFT, 7)).unwrap();
        let near: Vec<_> = (0..5).map(|_| TcpStream::connect(&right, (LEFT, 7)).unwrap()).collect();
        let far: Vec<_> = listener.incoming().take(5).map(Result::unwrap).collect();
        for (near, far) in near.iter().zip(&far) {
            assert_eq!(near.local_addr().unwrap(), far.peer_addr().unwrap());
        }
    });
}

#[test]
fn a_host_can_talk_to_itself() {
    within(20, || {
        let (left, _right) = hosts();
        let listener = TcpListener::bind(&left, (LEFT, 7)).unwrap();
        thread::scope(|scope| {
            scope.spawn(|| {
                let (mut stream, from) = listener.accept().unwrap();
                assert_eq!(from.ip(), address(LEFT, 0).ip());
                let mut text = Vec::new();
                stream.read_to_end(&mut text).unwrap();
                stream.write_all(&text).unwrap();
            });
            let mut stream = TcpStream::connect(&left, (LEFT, 7)).unwrap();
            let bytes: Vec<u8> = (0..100_000).map(pattern).collect();
            stream.write_all(&bytes).unwrap();
            stream.shutdown(Shutdown::Write).unwrap();
            assert!(read(&stream, bytes.len()) == bytes);
        });
    });
}

#[test]
fn a_timer_of_one_thread_is_kept_by_the_driver_of_another() {
    within(60, || {
        let (left, _right) = hosts();
        let listener = TcpListener::bind(&left, (LEFT, 7)).unwrap();
        let listener = &listener;
        thread::scope(|scope| {
            // It has the seat, and no timer of its own.
            let acceptor = scope.spawn(|| listener.accept().unwrap().1);
            pause(300);
            let (error, took) = timed(|| TcpStream::connect(&left, "192.0.2.77:7").unwrap_err());
            // The neighbour does not answer: three questions, a second apart.
            assert_eq!(error.kind(), ErrorKind::HostUnreachable);
            assert!(took < Duration::from_secs(20), "{took:?}");
            let near = TcpStream::connect(&left, (LEFT, 7)).unwrap();
            assert_eq!(acceptor.join().unwrap(), near.local_addr().unwrap());
        });
    });
}

#[test]
fn what_is_lent_is_sent_and_read_without_a_copy() {
    within(20, || {
        let (left, right) = hosts();
        let (far, near) = connection(&left, &right);
        let put = |[first, second]: [&mut [u8]; 2]| {
            let mut places = first.iter_mut().chain(second);
            (0..300).filter(|&i| places.next().map(|place| *place = pattern(i)).is_some()).count()
        };
        assert_eq!(near.send_with(1000, put).unwrap(), 300, "as many as were put there");
        assert_eq!(near.send_with(1000, |_| 0).unwrap(), 0);
        let mut got: Vec<u8> = Vec::new();
        while got.len() < 300 {
            // In pieces: what is not used comes again.
            let take = |[first, second]: [&[u8]; 2]| {
                let before = got.len();
                got.extend(first.iter().chain(second).take(70));
                got.len() - before
            };
            assert!(far.recv_with(take).unwrap() > 0);
        }
        assert_eq!(got, (0..300).map(pattern).collect::<Vec<u8>>());
        near.shutdown(Shutdown::Write).unwrap();
        assert_eq!(far.recv_with(|_| 0).unwrap(), 0, "the end");
        let refused = near.send_with(10, |_| unreachable!("there is no room to lend"));
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::BrokenPipe);
    });
}

#[test]
fn what_is_shared_is_let_go_once_the_peer_has_it() {
    within(20, || {
        let (left, right) = hosts();
        let (far, near) = connection(&left, &right);
        let all = Bytes::from((0..200_000).map(pattern).collect::<Vec<u8>>());
        let mut text = all.clone();
        thread::scope(|scope| {
            scope.spawn(|| {
                near.write_more(&all[..100]).unwrap();
                while !text.is_empty() {
                    assert!(near.send_shared(&mut text).unwrap() > 0);
                }
                near.send_shared_more(&mut all.slice(..5)).unwrap();
                near.shutdown(Shutdown::Write).unwrap();
                let refused = near.send_shared(&mut all.clone()).unwrap_err();
                assert_eq!(refused.kind(), ErrorKind::BrokenPipe);
            });
            let mut got = Vec::new();
            (&far).read_to_end(&mut got).unwrap();
            assert!(got == [&all[..100], &all, &all[..5]].concat(), "{} bytes", got.len());
        });
        drop(text);
        while !all.is_unique() {
            pause(1);
        }
    });
}

#[test]
fn a_panic_of_a_borrower_is_his_alone() {
    within(20, || {
        let (left, right) = hosts();
        let (far, near) = connection(&left, &right);
        thread::scope(|scope| {
            // It waits, as the driver, for what is lent to it.
            let reader = scope.spawn(|| far.recv_with(|_| panic!("a program's fault")));
            pause(50);
            assert_eq!((&near).write(b"text").unwrap(), 4);
            assert!(reader.join().is_err());
        });
        let writer = AssertUnwindSafe(|| near.send_with(10, |_| panic!("a program's fault")));
        assert!(catch_unwind(writer).is_err());
        // The seat and the lock are free again, and nothing is lost.
        (&near).write_all(b"s").unwrap();
        let mut text = [0; 5];
        (&far).read_exact(&mut text).unwrap();
        assert_eq!(&text, b"texts");
    });
}
