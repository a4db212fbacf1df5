//! The end of a host, and devices that fail.

use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use stack::host::{Events, Host, Poller, TcpListener, TcpStream, UdpSocket};
use tapdev::{Device, PairEnd, Wake};

use crate::rig::{LEFT, RIGHT, config, connection, hosts, pause, read, timed, within};

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
        assert!(took < Duration::from_secs(1), "{took:?}");
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
        assert!(took >= grace && took < 2 * grace, "{took:?}");
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

/// A device whose faults are switched on from outside.
struct Frail {
    inner: PairEnd,
    down: Arc<AtomicBool>,
    reads: Arc<AtomicU64>,
}

impl Device for Frail {
    fn mtu(&self) -> usize {
        self.inner.mtu()
    }
    fn recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        match self.down.load(Ordering::Relaxed) {
            true => Err(io::Error::from_raw_os_error(5)),
            false => self.inner.recv(buf),
        }
    }
    fn send(&self, parts: &[IoSlice<'_>]) -> io::Result<()> {
        match self.down.load(Ordering::Relaxed) {
            true => Err(io::Error::from_raw_os_error(5)),
            false => self.inner.send(parts),
        }
    }
    fn wait(&self, timeout: Option<Duration>) -> io::Result<Wake> {
        match self.down.load(Ordering::Relaxed) {
            true => Ok(Wake::Readable),
            false => self.inner.wait(timeout),
        }
    }
    fn wake(&self) {
        self.inner.wake();
    }
}

#[test]
fn a_device_that_is_down_is_asked_again_without_spinning() {
    within(30, || {
        let (end, other) = tapdev::pair(1500, 1000);
        let (down, reads) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let frail = Frail { inner: end, down: Arc::clone(&down), reads: Arc::clone(&reads) };
        let left = Host::new(config(1), frail).unwrap();
        let right = crate::rig::host(2, other);
        let (mut far, mut near) = connection(&left, &right);
        down.store(true, Ordering::Relaxed);
        near.write_all(b"through the gap").unwrap();
        far.set_read_timeout(Some(Duration::from_millis(350))).unwrap();
        assert_eq!(far.read(&mut [0; 1]).unwrap_err().kind(), ErrorKind::WouldBlock);
        assert!(reads.load(Ordering::Relaxed) < 100, "{reads:?} reads");
        down.store(false, Ordering::Relaxed);
        far.set_read_timeout(None).unwrap();
        assert_eq!(read(&far, 15), b"through the gap");
    });
}

#[test]
fn a_device_that_is_gone_leaves_timers_and_calls_working() {
    within(30, || {
        let (end, other) = tapdev::pair(1500, 1000);
        let left = Host::new(config(1), end).unwrap();
        drop(other);
        let udp = UdpSocket::bind(&left, (LEFT, 0)).unwrap();
        udp.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        assert_eq!(udp.recv(&mut [0; 8]).unwrap_err().kind(), ErrorKind::WouldBlock);
        let nobody = crate::rig::address(RIGHT, 7);
        let short = Duration::from_millis(100);
        let error = TcpStream::connect_timeout(&left, &nobody, short).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        let ((), took) = timed(|| left.shutdown());
        assert!(took < Duration::from_secs(6), "{took:?}");
    });
}
