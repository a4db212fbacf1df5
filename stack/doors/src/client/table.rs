//! What this process knows of its descriptors. It may be wrong about one that was closed behind
//! its back, so whoever acts on it verifies, or does what is right for any descriptor.

use std::os::fd::RawFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use stack::host::Errno;

use super::{ask, channels};
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

/// Asks the server, and remembers what it says; where it says nothing, nothing is known.
pub(super) fn look(fd: RawFd) -> Option<Ours> {
    let told = ask_about(fd);
    let entry = match told {
        Ok(Some(ours)) => ours.number << 3 | ours.what as u64,
        // A number that is not open may be anything's soon.
        Ok(None) if is_open(fd) => FOREIGN,
        Ok(None) | Err(_) => UNKNOWN,
    };
    if let Some(slot) = slot(fd) {
        slot.store(entry, Ordering::Relaxed);
    }
    told.unwrap_or_default()
}

fn ask_about(fd: RawFd) -> Result<Option<Ours>, Errno> {
    if !channels::has_server() {
        return Err(Errno::from_number(libc::ENETDOWN));
    }
    let Some(number) = sys::socket_number(fd).filter(|_| sys::is_unix_socket(fd)) else {
        return Ok(None);
    };
    let reply = ask::ask(Op::Look, number, (0, 0), &[])?;
    let what = reply.first_chunk().and_then(|it| What::of(i32::from_ne_bytes(*it)));
    Ok(what.map(|what| Ours { number, what }))
}

fn is_open(fd: RawFd) -> bool {
    // SAFETY: takes no pointers.
    sys::checked(unsafe { libc::syscall(libc::SYS_fcntl, fd, libc::F_GETFD, 0) }).is_ok()
}

#[cfg(test)]
mod tests {
    use std::os::fd::{AsFd, AsRawFd};
    use std::os::unix::net::UnixListener;

    use super::*;
    use crate::channel;
    use crate::protocol::{MESSAGE_MAX, Request, reply_to_bytes};

    /// What a thread of its own takes the descriptor for, and how often it asks. Each question has
    /// this answer; None ends the channel.
    fn guessed(listener: &UnixListener, fd: RawFd, answer: Option<i32>) -> (Option<What>, usize) {
        std::thread::scope(|scope| {
            let asking = scope.spawn(move || guess(fd).map(|ours| ours.what));
            let mut count = 0;
            while !asking.is_finished() {
                let Ok((channel, _)) = listener.accept() else {
                    std::thread::yield_now();
                    continue;
                };
                count += 1;
                let mut message = [0; MESSAGE_MAX];
                let (length, _) = channel::recv(channel.as_raw_fd(), &mut message, 0).unwrap();
                assert_eq!(Request::from_bytes(&message[..length]).unwrap().op, Op::Look);
                if let Some(what) = answer {
                    let reply = reply_to_bytes(&Ok(what.to_ne_bytes().to_vec()));
                    channel::send(channel.as_fd(), &reply, None, 0).unwrap();
                }
            }
            (asking.join().unwrap(), count)
        })
    }

    #[test]
    fn only_an_answer_is_remembered() {
        let path = std::env::temp_dir().join(format!("doors-table-{}", std::process::id()));
        let listener = UnixListener::bind(&path).unwrap();
        listener.set_nonblocking(true).unwrap();
        channels::set_path(Some(&path)).unwrap();
        let [one, other] = sys::pair(libc::SOCK_STREAM).unwrap();
        let (stream, foreign) = (Some(What::Stream as i32), Some(0));
        let ours = |answer| guessed(&listener, one.as_raw_fd(), answer);
        assert_eq!(ours(None), (None, 1));
        assert_eq!(ours(stream), (Some(What::Stream), 1));
        assert_eq!(ours(None), (Some(What::Stream), 0));
        let not_ours = |answer| guessed(&listener, other.as_raw_fd(), answer);
        assert_eq!(not_ours(None), (None, 1));
        assert_eq!(not_ours(foreign), (None, 1));
        assert_eq!(not_ours(stream), (None, 0));
        std::fs::remove_file(path).unwrap();
    }
}
