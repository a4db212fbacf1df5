//! Reading and writing: what waits, how long, and what comes of it.

use std::io::{self, ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::time::Duration;

use stack::host::Errno;

use super::pairs::{connection, read, streams};
use super::{TcpStream, net};
use crate::rig::{SHORT, fails, pause, refused_as, timed, until, within};

/// Writes until nothing more is taken; how much was, and what was said then.
fn fill(mut stream: &TcpStream) -> (usize, io::Error) {
    let chunk = vec![7; 100_000];
    let mut total = 0;
    loop {
        match stream.write(&chunk) {
            Ok(length) => total += length,
            Err(error) => return (total, error),
        }
    }
}

#[test]
fn a_read_waits_so_long_and_no_longer() {
    within(10, || {
        let net = net();
        for ip in net.ips() {
            let (mut far, mut near) = connection(&net, ip);
            near.set_read_timeout(Some(SHORT)).unwrap();
            let (answer, took) = timed(|| near.read(&mut [0; 8]));
            fails(answer, Errno::EAGAIN);
            assert!(took >= SHORT && took < Duration::from_secs(2), "{took:?}");
            fails(near.peek(&mut [0; 8]), Errno::EAGAIN);
            far.write_all(b"late").unwrap();
            assert_eq!(read(&near, 4), b"late");
        }
    });
}

#[test]
fn a_write_waits_so_long_and_no_longer() {
    within(20, || {
        let net = net();
        let (far, near) = streams(&net);
        near.set_write_timeout(Some(SHORT)).unwrap();
        let (total, error) = fill(&near);
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        assert!(total > 0);
        // Nothing of it is lost.
        assert_eq!(read(&far, total), vec![7; total]);
    });
}

#[test]
fn time_outs_are_taken_back_and_never_zero() {
    within(10, || {
        let net = net();
        let (far, mut near) = streams(&net);
        refused_as(near.set_read_timeout(Some(Duration::ZERO)), ErrorKind::InvalidInput);
        refused_as(near.set_write_timeout(Some(Duration::ZERO)), ErrorKind::InvalidInput);
        near.set_read_timeout(Some(SHORT)).unwrap();
        near.set_read_timeout(None).unwrap();
        assert_eq!(near.read_timeout().unwrap(), None);
        let late = std::thread::scope(|scope| {
            scope.spawn(|| {
                pause(3 * SHORT.as_millis() as u64);
                (&far).write_all(b"x").unwrap();
            });
            near.read(&mut [0; 8]).unwrap()
        });
        assert_eq!(late, 1);
    });
}

#[test]
fn nonblocking_calls_do_not_wait() {
    within(20, || {
        let net = net();
        let (mut far, mut near) = streams(&net);
        let mut clone = near.try_clone().unwrap();
        near.set_nonblocking(true).unwrap();
        // Clones are one socket.
        fails(clone.read(&mut [0; 8]), Errno::EAGAIN);
        fails(near.peek(&mut [0; 8]), Errno::EAGAIN);
        far.write_all(b"now").unwrap();
        let mut text = [0; 8];
        assert_eq!(until(|| near.read(&mut text).ok()), 3);
        let (total, error) = fill(&near);
        assert_eq!((error.kind(), total > 0), (ErrorKind::WouldBlock, true));
        clone.set_nonblocking(false).unwrap();
        far.set_nonblocking(true).unwrap();
        let mut got = 0;
        let mut room = vec![0; 100_000];
        until(|| {
            got += far.read(&mut room).unwrap_or(0);
            (got == total).then_some(())
        });
        far.write_all(b"!").unwrap();
        assert_eq!(read(&near, 1), b"!");
    });
}

#[test]
fn what_is_peeked_stays() {
    within(10, || {
        let net = net();
        let (mut far, near) = streams(&net);
        far.write_all(b"hello").unwrap();
        let mut text = [0; 3];
        for _ in 0..3 {
            assert_eq!(near.peek(&mut text).unwrap(), 3);
            assert_eq!(&text, b"hel");
        }
        assert_eq!(read(&near, 5), b"hello");
        drop(far);
        assert_eq!(near.peek(&mut text).unwrap(), 0);
        assert_eq!((&near).read(&mut text).unwrap(), 0);
    });
}

#[test]
fn clones_read_one_stream() {
    within(10, || {
        let net = net();
        let (mut far, near) = streams(&net);
        let clone = near.try_clone().unwrap();
        far.write_all(b"abcd").unwrap();
        assert_eq!((read(&near, 2), read(&clone, 2)), (b"ab".to_vec(), b"cd".to_vec()));
        drop(near);
        far.write_all(b"ef").unwrap();
        assert_eq!(read(&clone, 2), b"ef");
        drop(clone);
        assert_eq!(far.read(&mut [0; 8]).unwrap(), 0);
    });
}

#[test]
fn vectored_calls_gather_and_scatter() {
    within(10, || {
        let net = net();
        let (mut far, mut near) = streams(&net);
        let parts = [IoSlice::new(b"one "), IoSlice::new(b""), IoSlice::new(b"two")];
        assert_eq!(far.write_vectored(&parts).unwrap(), 7);
        until(|| (near.peek(&mut [0; 8]).unwrap() == 7).then_some(()));
        let (mut first, mut second) = ([0; 4], [0; 8]);
        let mut bufs = [IoSliceMut::new(&mut first), IoSliceMut::new(&mut second)];
        assert_eq!(near.read_vectored(&mut bufs).unwrap(), 7);
        assert_eq!((&first, &second[..3]), (b"one ", &b"two"[..]));
        assert_eq!(far.write_vectored(&[]).unwrap(), 0);
        near.set_read_timeout(Some(SHORT)).unwrap();
        assert_eq!(near.read_vectored(&mut []).unwrap(), 0);
    });
}

#[test]
fn nothing_is_written_and_nothing_read() {
    within(10, || {
        let net = net();
        let (mut far, mut near) = streams(&net);
        assert_eq!(near.write(&[]).unwrap(), 0);
        near.set_read_timeout(Some(SHORT)).unwrap();
        assert_eq!(near.read(&mut []).unwrap(), 0);
        far.write_all(b"x").unwrap();
        near.peek(&mut [0; 1]).unwrap();
        assert_eq!(near.read(&mut []).unwrap(), 0);
        assert_eq!(near.peek(&mut []).unwrap(), 0);
        assert_eq!(read(&near, 1), b"x");
    });
}

#[test]
fn a_megabyte_arrives_as_it_was_sent() {
    within(20, || {
        let net = net();
        for ip in net.ips() {
            let (mut far, near) = connection(&net, ip);
            let sent: Vec<u8> = (0..1_000_000_u32).map(|at| (at ^ (at >> 8)) as u8).collect();
            std::thread::scope(|scope| {
                scope.spawn(|| far.write_all(&sent).unwrap());
                assert!(read(&near, sent.len()) == sent);
            });
        }
    });
}
