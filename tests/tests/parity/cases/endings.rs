//! How connections end: halves, ends, resets.

use std::io::{Read, Write};
use std::net::Shutdown;

use stack::host::Errno;

use super::pairs::{connection, read, streams};
use super::{SIDE, net};
use crate::Difference;
use crate::rig::{SHORT, fails, until, within};

#[test]
fn the_end_of_a_stream_stays() {
    within(10, || {
        let net = net();
        for ip in net.ips() {
            let (mut far, mut near) = connection(&net, ip);
            far.write_all(b"last words").unwrap();
            drop(far);
            let mut text = String::new();
            near.read_to_string(&mut text).unwrap();
            assert_eq!(text, "last words");
            for _ in 0..3 {
                assert_eq!(near.read(&mut [0; 8]).unwrap(), 0);
            }
            assert!(near.take_error().unwrap().is_none());
        }
    });
}

#[test]
fn a_half_closed_connection_still_receives() {
    within(10, || {
        let net = net();
        let (mut far, mut near) = streams(&net);
        near.write_all(b"question").unwrap();
        near.shutdown(Shutdown::Write).unwrap();
        near.shutdown(Shutdown::Write).unwrap();
        let mut text = String::new();
        far.read_to_string(&mut text).unwrap();
        assert_eq!(text, "question");
        fails(near.write(b"x"), Errno::EPIPE);
        far.write_all(b"answer").unwrap();
        assert_eq!(read(&near, 6), b"answer");
        near.set_read_timeout(Some(SHORT)).unwrap();
        fails(near.read(&mut [0; 8]), Errno::EAGAIN);
    });
}

#[test]
fn who_does_not_read_any_more_is_told_the_end() {
    within(10, || {
        let net = net();
        let (mut far, mut near) = streams(&net);
        near.shutdown(Shutdown::Read).unwrap();
        near.shutdown(Shutdown::Read).unwrap();
        assert_eq!(near.read(&mut [0; 8]).unwrap(), 0);
        assert_eq!(near.peek(&mut [0; 8]).unwrap(), 0);
        // The other half goes on, and the other end is not told.
        near.write_all(b"x").unwrap();
        assert_eq!(read(&far, 1), b"x");
        far.write_all(b"y").unwrap();
    });
}

#[test]
fn what_is_there_can_be_read_after_all() {
    within(10, || {
        let net = net();
        let (mut far, mut near) = streams(&net);
        far.write_all(b"before").unwrap();
        near.peek(&mut [0; 1]).unwrap();
        near.shutdown(Shutdown::Read).unwrap();
        assert_eq!(read(&near, 6), b"before");
        assert_eq!(near.read(&mut [0; 8]).unwrap(), 0);
        far.write_all(b"after").unwrap();
        let mut text = [0; 8];
        let length = until(|| Some(near.read(&mut text).unwrap()).filter(|&length| length > 0));
        assert_eq!(&text[..length], b"after");
    });
}

#[test]
fn both_halves_at_once() {
    within(10, || {
        let net = net();
        let (mut far, mut near) = streams(&net);
        near.shutdown(Shutdown::Both).unwrap();
        near.shutdown(Shutdown::Both).unwrap();
        assert_eq!(near.read(&mut [0; 8]).unwrap(), 0);
        fails(near.write(b"x"), Errno::EPIPE);
        assert_eq!(far.read(&mut [0; 8]).unwrap(), 0);
    });
}

#[test]
fn after_both_ends_there_is_no_connection() {
    within(10, || {
        let net = net();
        let (far, near) = streams(&net);
        near.shutdown(Shutdown::Write).unwrap();
        assert_eq!((&far).read(&mut [0; 8]).unwrap(), 0);
        far.shutdown(Shutdown::Write).unwrap();
        assert_eq!((&near).read(&mut [0; 8]).unwrap(), 0);
        // Who ended first stays behind in TIME-WAIT, the other is done.
        for end in [&near, &far] {
            until(|| end.peer_addr().err());
            fails(end.peer_addr(), Errno::ENOTCONN);
            fails(end.shutdown(Shutdown::Write), Errno::ENOTCONN);
            fails(end.shutdown(Shutdown::Read), Errno::ENOTCONN);
            let mut end = end;
            assert_eq!(end.read(&mut [0; 8]).unwrap(), 0);
            fails(end.write(b"x"), Errno::EPIPE);
            end.local_addr().unwrap();
        }
    });
}

#[test]
fn text_that_nobody_reads_resets() {
    within(10, || {
        let net = net();
        for ip in net.ips() {
            let (mut far, mut near) = connection(&net, ip);
            near.write_all(b"unread").unwrap();
            far.peek(&mut [0; 1]).unwrap();
            far.write_all(b"lost").unwrap();
            near.peek(&mut [0; 1]).unwrap();
            drop(far);
            until(|| near.peer_addr().err());
            // What had come before the reset is not lost.
            let mut text = [0; 8];
            assert_eq!(near.read(&mut text).unwrap(), 4);
            fails(near.read(&mut text), Errno::ECONNRESET);
            assert_eq!(near.read(&mut text).unwrap(), 0);
            fails(near.write(b"x"), Errno::EPIPE);
            assert!(near.take_error().unwrap().is_none());
            fails(near.shutdown(Shutdown::Both), Errno::ENOTCONN);
        }
    });
}

#[test]
fn a_reset_is_told_once_to_who_asks_first() {
    within(10, || {
        let net = net();
        let reset = || {
            let (far, mut near) = streams(&net);
            near.write_all(b"unread").unwrap();
            far.peek(&mut [0; 1]).unwrap();
            drop(far);
            until(|| near.peer_addr().err());
            near
        };
        let asked = reset();
        let told = asked.take_error().unwrap().unwrap();
        assert_eq!(told.raw_os_error(), Some(Errno::ECONNRESET.number()));
        assert!(asked.take_error().unwrap().is_none());
        assert_eq!((&asked).read(&mut [0; 8]).unwrap(), 0);
        let mut wrote = reset();
        fails(wrote.write(b"x"), Errno::ECONNRESET);
        fails(wrote.write(b"x"), Errno::EPIPE);
        assert_eq!(wrote.read(&mut [0; 8]).unwrap(), 0);
        let peeked = reset();
        fails(peeked.peek(&mut [0; 8]), Errno::ECONNRESET);
        assert_eq!(peeked.peek(&mut [0; 8]).unwrap(), 0);
    });
}

#[test]
fn who_writes_to_one_who_has_gone_is_told_so() {
    within(10, || {
        let net = net();
        let (far, mut near) = streams(&net);
        drop(far);
        assert_eq!(near.read(&mut [0; 8]).unwrap(), 0);
        // It is taken, and answered by a reset.
        near.write_all(b"x").unwrap();
        until(|| near.peer_addr().err());
        let told = (Errno::EPIPE, Errno::ECONNRESET);
        fails(near.write(b"x"), SIDE.answer(Difference::ResetAfterTheEnd, told.0, told.1));
        fails(near.write(b"x"), Errno::EPIPE);
        assert_eq!(near.read(&mut [0; 8]).unwrap(), 0);
    });
}

#[test]
fn what_was_written_before_the_close_arrives() {
    within(10, || {
        let net = net();
        let (mut far, mut near) = streams(&net);
        let sent = vec![9; 300_000];
        std::thread::scope(|scope| {
            let receiver = scope.spawn(|| {
                let mut got = Vec::new();
                far.read_to_end(&mut got).unwrap();
                got
            });
            near.write_all(&sent).unwrap();
            drop(near);
            assert!(receiver.join().unwrap() == sent);
        });
    });
}
