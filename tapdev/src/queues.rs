//! Several queues of one TAP as one device.

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::debt::{Debt, Offloads, Placed};
use crate::device::{Device, Wake};
use crate::sys;
use crate::tap::Tap;
use crate::wait::Waiter;

/// So many frames of one queue are read before the next has its turn: while all come by one, as
/// they soon do, the others are not asked for each.
const TURN: usize = 32;

/// The queues of a TAP, for a stack that has one engine: it hears all of them in turn, and sends by
/// the first, so that this is where the kernel soon sends each flow.
#[derive(Debug)]
pub struct Queues {
    taps: Vec<Tap>,
    /// The queue that is read next, in units of [`TURN`], and what it has had of its turn.
    turn: AtomicUsize,
    /// Readable while one of the queues is.
    all: OwnedFd,
    waiter: Waiter,
}

impl Queues {
    /// Joins what [`Tap::open_queues`] has opened.
    ///
    /// # Errors
    /// `InvalidInput` for none; the kernel refuses a descriptor.
    pub fn join(taps: Vec<Tap>) -> io::Result<Queues> {
        if taps.is_empty() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let (all, waiter) = (sys::descriptor_set()?, Waiter::new()?);
        let queues = Queues { taps, turn: AtomicUsize::new(0), all, waiter };
        queues.watch()?;
        Ok(queues)
    }

    /// A descriptor that was opened anew is watched only from now on.
    fn watch(&self) -> io::Result<()> {
        self.taps.iter().try_for_each(|tap| sys::add_to_set(self.all.as_fd(), tap.as_fd()))
    }

    /// Reads from the first that has something, beginning with the one whose turn it is.
    fn in_turn<T>(&self, mut read: impl FnMut(&Tap) -> io::Result<T>) -> io::Result<T> {
        let mut turn = self.turn.load(Ordering::Relaxed) % (TURN * self.taps.len());
        for _ in 0..self.taps.len() {
            match read(&self.taps[turn / TURN % self.taps.len()]) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    turn = (turn / TURN + 1) * TURN;
                }
                found => {
                    self.turn.store(turn + 1, Ordering::Relaxed);
                    return found;
                }
            }
        }
        Err(io::ErrorKind::WouldBlock.into())
    }
}

impl Device for Queues {
    fn mtu(&self) -> usize {
        self.taps[0].mtu()
    }

    fn recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.in_turn(|tap| tap.recv(buf))
    }

    fn send(&self, parts: &[IoSlice<'_>]) -> io::Result<()> {
        self.taps[0].send(parts)
    }

    fn negotiate(&self, wanted: Offloads) -> Offloads {
        self.taps.iter().fold(wanted, |granted, tap| granted.and(tap.negotiate(wanted)))
    }

    fn buffer_len(&self) -> usize {
        self.taps[0].buffer_len()
    }

    fn recv_with_debt(&self, buf: &mut [u8]) -> io::Result<Placed> {
        self.in_turn(|tap| tap.recv_with_debt(buf))
    }

    fn send_with_debt(&self, parts: &[IoSlice<'_>], debt: Debt) -> io::Result<()> {
        self.taps[0].send_with_debt(parts, debt)
    }

    fn send_row(&self, bytes: &mut [u8], row: &[Placed]) -> (usize, io::Result<()>) {
        self.taps[0].send_row(bytes, row)
    }

    fn wait(&self, timeout: Option<Duration>) -> io::Result<Wake> {
        self.waiter.wait(self.all.as_fd(), timeout)
    }

    fn revive(&self) -> io::Result<()> {
        self.taps.iter().try_for_each(Tap::revive)?;
        self.watch()
    }

    fn wake(&self) {
        self.waiter.wake();
    }
}
