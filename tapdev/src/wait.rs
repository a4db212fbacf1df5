//! Readiness and wake-up: sleeping on a device's descriptor so that another thread can end it.

use std::io;
use std::io::IoSlice;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::device::{Wake, gone};
use crate::sys;

/// An event counter beside a device, and whether it already stands at more than zero.
///
/// `pending` spares all but the first of several wake-ups the system call. It is cleared only
/// after the counter was read: in between, a `wake` may find it set and write nothing, and that
/// is right, because the `wait` it wanted to end is just returning.
#[derive(Debug)]
pub(crate) struct Waiter {
    counter: OwnedFd,
    pending: AtomicBool,
}

impl Waiter {
    pub(crate) fn new() -> io::Result<Waiter> {
        Ok(Waiter { counter: sys::event_counter()?, pending: AtomicBool::new(false) })
    }

    /// Ends a present or the next `wait`.
    pub(crate) fn wake(&self) {
        if self.pending.swap(true, Ordering::AcqRel) {
            return;
        }
        let one = 1_u64.to_ne_bytes();
        if let Err(error) = sys::writev(self.counter.as_fd(), &[IoSlice::new(&one)]) {
            // An event counter refuses only when it is full, and then it is readable as well.
            log::warn!("wake-up: {error}");
        }
    }

    /// Sleeps until `device` is readable, somebody wakes, or the time-out passes. A device with
    /// an error condition is gone: its readiness never ends, so it must not look readable.
    pub(crate) fn wait(
        &self,
        device: BorrowedFd<'_>,
        timeout: Option<Duration>,
    ) -> io::Result<Wake> {
        let polled = match sys::poll_two(device, self.counter.as_fd(), timeout) {
            Ok(polled) => polled,
            // The caller looks around and comes back with a new time-out.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(Wake::Woken),
            Err(error) => return Err(error),
        };
        if polled.first & (libc::POLLERR | libc::POLLHUP | libc::POLLNVAL) != 0 {
            return Err(gone());
        }
        if polled.second != 0 {
            self.consume();
            return Ok(Wake::Woken);
        }
        Ok(if polled.first == 0 { Wake::TimedOut } else { Wake::Readable })
    }

    fn consume(&self) {
        let mut count = [0; 8];
        // Another waiter may have emptied it in the meantime: that is a wake-up for both.
        let _ = sys::read(self.counter.as_fd(), &mut count);
        self.pending.swap(false, Ordering::AcqRel);
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "wake-ups come from other threads")]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicU64;

    use super::*;

    const PATIENCE: Option<Duration> = Some(Duration::from_secs(10));

    #[test]
    fn no_wake_up_is_ever_lost() {
        // Each side counts a number up and wakes the other, which must see it before it sleeps
        // again: a lost wake-up is a time-out.
        const ROUNDS: u64 = 20_000;
        let sides = Arc::new([(); 2].map(|()| (Waiter::new().unwrap(), AtomicU64::new(0))));
        let play = |me: usize, sides: &[(Waiter, AtomicU64); 2]| {
            let silent = sys::event_counter().unwrap();
            let (own, other) = (&sides[me], &sides[1 - me]);
            for round in 1..=ROUNDS {
                other.1.store(round, Ordering::Release);
                other.0.wake();
                while own.1.load(Ordering::Acquire) < round {
                    assert_eq!(own.0.wait(silent.as_fd(), PATIENCE).unwrap(), Wake::Woken);
                }
            }
        };
        let others = Arc::clone(&sides);
        let thread = std::thread::spawn(move || play(1, &others));
        play(0, &sides);
        thread.join().unwrap();
    }

    #[test]
    fn many_wake_ups_count_as_one() {
        let silent = sys::event_counter().unwrap();
        let waiter = Waiter::new().unwrap();
        for _ in 0..5 {
            waiter.wake();
        }
        assert_eq!(waiter.wait(silent.as_fd(), PATIENCE).unwrap(), Wake::Woken);
        let now = Some(Duration::ZERO);
        assert_eq!(waiter.wait(silent.as_fd(), now).unwrap(), Wake::TimedOut);
    }
}
