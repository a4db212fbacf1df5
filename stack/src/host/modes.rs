//! What the sockets of one descriptor share: blocking or not, and for how long.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use super::block::{GaveUp, Patience};
use super::errno::Errno;

/// The modes of a socket, shared by its clones as duplicated descriptors share theirs.
#[derive(Debug, Default)]
pub(crate) struct Modes {
    nonblocking: AtomicBool,
    /// Nanoseconds; zero: for ever.
    read_timeout: AtomicU64,
    write_timeout: AtomicU64,
}

impl Modes {
    pub(crate) fn set_nonblocking(&self, on: bool) {
        self.nonblocking.store(on, Ordering::Relaxed);
    }

    pub(crate) fn is_nonblocking(&self) -> bool {
        self.nonblocking.load(Ordering::Relaxed)
    }

    pub(crate) fn reading(&self) -> Patience<'static> {
        self.patience(&self.read_timeout)
    }

    pub(crate) fn writing(&self) -> Patience<'static> {
        self.patience(&self.write_timeout)
    }

    fn patience(&self, timeout: &AtomicU64) -> Patience<'static> {
        if self.is_nonblocking() {
            return Patience::None;
        }
        match timeout.load(Ordering::Relaxed) {
            0 => Patience::Forever,
            nanos => Patience::For(Duration::from_nanos(nanos)),
        }
    }

    /// # Errors
    /// A time-out of zero, as in std.
    pub(crate) fn set_read_timeout(&self, timeout: Option<Duration>) -> Result<(), Errno> {
        set(&self.read_timeout, timeout)
    }

    /// # Errors
    /// A time-out of zero, as in std.
    pub(crate) fn set_write_timeout(&self, timeout: Option<Duration>) -> Result<(), Errno> {
        set(&self.write_timeout, timeout)
    }

    pub(crate) fn read_timeout(&self) -> Option<Duration> {
        get(&self.read_timeout)
    }

    pub(crate) fn write_timeout(&self) -> Option<Duration> {
        get(&self.write_timeout)
    }
}

fn set(cell: &AtomicU64, timeout: Option<Duration>) -> Result<(), Errno> {
    let nanos = match timeout {
        None => 0,
        Some(Duration::ZERO) => return Err(Errno::EINVAL),
        Some(timeout) => u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX),
    };
    cell.store(nanos, Ordering::Relaxed);
    Ok(())
}

fn get(cell: &AtomicU64) -> Option<Duration> {
    match cell.load(Ordering::Relaxed) {
        0 => None,
        nanos => Some(Duration::from_nanos(nanos)),
    }
}

impl From<GaveUp> for Errno {
    /// A time-out is EAGAIN, as for Linux's SO_RCVTIMEO.
    fn from(why: GaveUp) -> Errno {
        match why {
            GaveUp::TimedOut => Errno::EAGAIN,
            GaveUp::Stopped => Errno::ESHUTDOWN,
        }
    }
}
