//! What this process knows of its descriptors. It may be wrong about one that was closed behind
//! its back, so whoever acts on it verifies, or does what is right for any descriptor.

use std::os::fd::RawFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::ask;
use crate::protocol::{Op, What};
use crate::sys;

/// Descriptors from here on are looked up each time.
pub(super) const REMEMBERED: usize = 1 << 16;

/// Nothing is known.
const UNKNOWN: u64 = 0;
/// It is none of ours.
const FOREIGN: u64 = 7;
/// The bits of [`What`] beside the socket's number.
const KIND: u64 = 7;

static TABLE: [AtomicU64; REMEMBERED] = [const { AtomicU64::new(UNKNOWN) }; REMEMBERED];

/// The process may make only the system calls that it is known to need, and is ended for others:
/// nothing can be asked of the server any more. What streams are asked is then the kernel's answer.
static RESTRICTED: AtomicBool = AtomicBool::new(false);

pub(super) fn restrict() {
    RESTRICTED.store(true, Ordering::Relaxed);
}

/// A socket of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ours {
    pub(super) number: u64,
    pub(super) what: What,
}

fn slot(fd: RawFd) -> Option<&'static AtomicU64> {
    TABLE.get(usize::try_from(fd).ok()?)
}

/// Remembers what a new descriptor is.
pub(super) fn remember(fd: RawFd, number: u64, what: What) {
    if let Some(slot) = slot(fd) {
        slot.store(number << 3 | what as u64, Ordering::Relaxed);
    }
}

/// Forgets a descriptor that is closed, or about to be another one.
pub(super) fn forget(fd: RawFd) {
    if let Some(slot) = slot(fd) {
        slot.store(UNKNOWN, Ordering::Relaxed);
    }
}

/// What the descriptor was when it was last looked at. None: it is none of ours.
pub(super) fn guess(fd: RawFd) -> Option<Ours> {
    let known = slot(fd).map_or(UNKNOWN, |slot| slot.load(Ordering::Relaxed));
    if RESTRICTED.load(Ordering::Relaxed) {
        let what = What::of((known & KIND) as i32).filter(|what| what.is_datagram())?;
        return Some(Ours { number: known >> 3, what });
    }
    match known & KIND {
        FOREIGN => None,
        UNKNOWN => look(fd),
        kind => What::of(kind as i32).map(|what| Ours { number: known >> 3, what }),
    }
}

/// What it is, for certain.
pub(super) fn find(fd: RawFd) -> Option<Ours> {
    let ours = guess(fd)?;
    if RESTRICTED.load(Ordering::Relaxed) {
        return Some(ours);
    }
    if sys::socket_number(fd) == Some(ours.number) { Some(ours) } else { look(fd) }
}

/// Asks the server, and remembers what it says.
pub(super) fn look(fd: RawFd) -> Option<Ours> {
    let ours = ask_about(fd);
    let entry = match ours {
        Some(ours) => ours.number << 3 | ours.what as u64,
        None if ask::has_server() => FOREIGN,
        None => UNKNOWN,
    };
    // A number that is not open may be anything's soon.
    let entry = if ours.is_none() && !is_open(fd) { UNKNOWN } else { entry };
    if let Some(slot) = slot(fd) {
        slot.store(entry, Ordering::Relaxed);
    }
    ours
}

fn ask_about(fd: RawFd) -> Option<Ours> {
    if !ask::has_server() {
        return None;
    }
    let number = sys::socket_number(fd).filter(|_| sys::is_unix_socket(fd))?;
    let reply = ask::ask(Op::Look, number, (0, 0), &[]).ok()?;
    let what = reply.first_chunk().and_then(|it| What::of(i32::from_ne_bytes(*it)))?;
    Some(Ours { number, what })
}

fn is_open(fd: RawFd) -> bool {
    // SAFETY: takes no pointers.
    sys::checked(unsafe { libc::syscall(libc::SYS_fcntl, fd, libc::F_GETFD, 0) }).is_ok()
}
