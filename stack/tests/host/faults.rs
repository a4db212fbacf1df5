//! Devices that fail, and panics under the lock or in the seat.

use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use stack::State;
use stack::host::{Host, TcpStream, UdpSocket};
use tapdev::{Device, PairEnd, Wake};

use crate::rig::{LEFT, RIGHT, address, config, connection, hosts, pause, read, timed, within};

/// A device whose faults are switched on from outside.
struct Frail {
    inner: PairEnd,
    switches: Switches,
}

/// The switches of a [`Frail`].
#[derive(Clone, Default)]
struct Switches {
    down: Arc<AtomicBool>,
    panics: Arc<AtomicBool>,
    chokes: Arc<AtomicBool>,
    reads: Arc<AtomicU64>,
    writes: Arc<AtomicU64>,
}

/// Two connected hosts; the device of the left one is frail.
fn frail_hosts() -> (Host, Host, Switches) {
    let (inner, other) = tapdev::pair(1500, 1000);
    let switches = Switches::default();
    let left = Host::new(config(1), Frail { inner, switches: switches.clone() }).unwrap();
    (left, crate::rig::host(2, other), switches)
}

impl Device for Frail {
    fn mtu(&self) -> usize {
        self.inner.mtu()
    }
    fn recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.switches.reads.fetch_add(1, Ordering::Relaxed);
        assert!(!self.switches.panics.swap(false, Ordering::Relaxed), "on purpose");
        match self.switches.down.load(Ordering::Relaxed) {
            true => Err(io::Error::from_raw_os_error(5)),
            false => self.inner.recv(buf),
        }
    }
    fn send(&self, parts: &[IoSlice<'_>]) -> io::Result<()> {
        self.switches.writes.fetch_add(1, Ordering::Relaxed);
        assert!(!self.switches.chokes.swap(false, Ordering::Relaxed), "on purpose");
        match self.switches.down.load(Ordering::Relaxed) {
            true => Err(io::Error::from_raw_os_error(5)),
            false => self.inner.send(parts),
        }
    }
    fn wait(&self, timeout: Option<Duration>) -> io::Result<Wake> {
        match self.switches.down.load(Ordering::Relaxed) {
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
        let (left, right, Switches { down, reads, .. }) = frail_hosts();
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
fn of_a_burst_a_device_that_is_down_is_given_one_frame() {
    within(30, || {
        let (left, right, Switches { down, writes, .. }) = frail_hosts();
        let (near, to) = (UdpSocket::bind(&left, (LEFT, 0)).unwrap(), address(RIGHT, 9));
        let far = UdpSocket::bind(&right, to).unwrap();
        near.send_to(b"who has the address?", to).unwrap();
        far.recv(&mut [0; 32]).unwrap();
        let before = (writes.load(Ordering::Relaxed), left.stats().device_drops);
        down.store(true, Ordering::Relaxed);
        // Each longer than the one before: they are not joined.
        let lengths = [1, 2, 3, 4, 5, 6, 7, 8, 1400, 1401];
        let burst = lengths.map(|length| (&[7; 1500][..length], to));
        assert_eq!(near.send_many_to(burst).unwrap(), 10);
        let after = (writes.load(Ordering::Relaxed), left.stats().device_drops);
        // None, if a timer has just shown that it is down.
        assert!(after.0 - before.0 <= 1, "{before:?} {after:?}");
        assert_eq!(after.1 - before.1, 10);
    });
}

/// Who sends finds out that the device is down; who waits for it, without a timer, asks it again.
#[test]
fn one_who_sleeps_on_a_device_that_others_find_down_asks_it_again() {
    within(60, || {
        let (left, right, Switches { down, .. }) = frail_hosts();
        let (near, to) = (UdpSocket::bind(&left, (LEFT, 8)).unwrap(), address(RIGHT, 9));
        let far = UdpSocket::bind(&right, to).unwrap();
        near.send_to(b"who has the address?", to).unwrap();
        far.recv(&mut [0; 32]).unwrap();
        far.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        thread::scope(|scope| {
            scope.spawn(|| near.recv(&mut [0; 8]).unwrap());
            // Until nothing of the start is left to be done.
            pause(4_000);
            down.store(true, Ordering::Relaxed);
            near.send_to(b"lost", to).unwrap();
            down.store(false, Ordering::Relaxed);
            let arrives = |_| near.send_to(b"found", to).is_ok() && far.recv(&mut [0; 8]).is_ok();
            let arrived = (0..20).any(arrives);
            far.send_to(b"end", address(LEFT, 8)).unwrap();
            assert!(arrived);
        });
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

#[test]
fn a_panic_under_the_lock_is_one_thread_s_own() {
    within(30, || {
        let (left, right) = hosts();
        let (far, mut near) = connection(&left, &right);
        let visit = || left.with_stack(|_, _| panic!("on purpose"));
        assert!(catch_unwind(AssertUnwindSafe(visit)).is_err());
        near.write_all(b"still here").unwrap();
        assert_eq!(read(&far, 10), b"still here");
    });
}

#[test]
fn what_a_device_panicked_over_is_lost_and_not_sent_again() {
    within(30, || {
        let (left, right, Switches { chokes, .. }) = frail_hosts();
        let (near, to) = (UdpSocket::bind(&left, (LEFT, 0)).unwrap(), address(RIGHT, 9));
        let far = UdpSocket::bind(&right, to).unwrap();
        near.send_to(b"who has the address?", to).unwrap();
        far.recv(&mut [0; 32]).unwrap();
        chokes.store(true, Ordering::Relaxed);
        let burst = || near.send_many_to([1, 2, 3].map(|length| (&[7; 3][..length], to)));
        assert!(catch_unwind(AssertUnwindSafe(burst)).is_err());
        near.send_to(b"after", to).unwrap();
        assert_eq!(far.recv(&mut [0; 32]).unwrap(), 5);
    });
}

#[test]
fn a_panic_in_the_seat_leaves_it_to_others() {
    within(30, || {
        let (left, right, Switches { panics, .. }) = frail_hosts();
        let (far, mut near) = connection(&left, &right);
        let udp = UdpSocket::bind(&left, (LEFT, 0)).unwrap();
        thread::scope(|scope| {
            // One has the seat, the other one is parked; one of them will panic.
            let first = scope.spawn(|| udp.recv(&mut [0; 8]));
            pause(30);
            let second = scope.spawn(|| read(&far, 10));
            pause(30);
            panics.store(true, Ordering::Relaxed);
            near.write_all(b"still here").unwrap();
            assert!(first.join().is_err());
            assert_eq!(second.join().unwrap(), b"still here");
        });
    });
}

#[test]
fn a_panic_of_the_reactor_does_not_end_it() {
    within(30, || {
        let (left, right, Switches { panics, .. }) = frail_hosts();
        let (far, near) = connection(&left, &right);
        // Nobody waits at the left host: its reactor drives.
        pause(20);
        panics.store(true, Ordering::Relaxed);
        (&near).write_all(b"x").unwrap();
        pause(150);
        far.set_nonblocking(true).unwrap();
        let mut text = [0; 8];
        while (&far).read(&mut text).is_err() {
            pause(1);
        }
        assert!(!panics.load(Ordering::Relaxed) && text[0] == b'x');
    });
}

#[test]
fn lingering_waits_for_the_peer_but_not_for_ever() {
    within(30, || {
        let (left, right, Switches { down, .. }) = frail_hosts();
        let (far, mut near) = connection(&left, &right);
        near.set_linger(Some(Duration::from_secs(5))).unwrap();
        near.write_all(&[1; 50_000]).unwrap();
        let ((), took) = timed(|| drop(near));
        assert!(took < Duration::from_secs(2), "{took:?}");
        assert_eq!(far.info().unwrap().state, State::CloseWait, "it had all, and the FIN");

        let (far, mut near) = connection(&left, &right);
        near.set_linger(Some(Duration::from_millis(300))).unwrap();
        down.store(true, Ordering::Relaxed);
        near.write_all(b"into the void").unwrap();
        let ((), took) = timed(|| drop(near));
        assert!(took >= Duration::from_millis(300) && took < Duration::from_secs(2), "{took:?}");
        down.store(false, Ordering::Relaxed);
        assert_eq!(read(&far, 13), b"into the void", "the connection goes on by itself");
    });
}
