//! The channels to the server: one for each thread, opened when it is first needed, and anew after
//! a fork or when the program has closed it.
//!
//! A channel has one question at a time, and whoever asks has it alone until the reply is there. So
//! the handler of a signal that comes meanwhile asks over another one. Where it leaves a call by
//! `siglongjmp`, the reply that comes later is nobody's, and not the next question's.

use std::ffi::{CString, NulError, c_int};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStringExt;
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI32, AtomicPtr, AtomicU64, Ordering};

use stack::host::Errno;

use super::VARIABLE;
use crate::channel;
use crate::protocol::{MESSAGE_MAX, Reply, Request, reply_from_bytes};
use crate::sys;

/// Channels have numbers from here on where that is possible: programs expect the low ones.
const HIGH: RawFd = 800;

/// The most channels of a thread. Nobody can tell a call that was left from one in which a handler
/// has come: so of more than that the oldest is taken for left, and closed.
const CHANNELS_MAX: usize = 8;

/// No server: the program was not started by `tapstack run`, and there was no `tapstack_init`.
pub(super) const ENETDOWN: Errno = Errno::from_number(libc::ENETDOWN);

/// Where this process's own server is, or null. A path is never freed: who has read the pointer may
/// still use it.
static PATH: AtomicPtr<CString> = AtomicPtr::new(std::ptr::null_mut());

thread_local! {
    static THREAD: Thread = const { Thread::new() };

    /// Set with the first channel.
    static END: CloseAtEnd = const { CloseAtEnd };
}

/// What a thread has. Its own signals' handlers use it too, so all of it is atomic.
struct Thread {
    places: [Place; CHANNELS_MAX],
    turns: AtomicU64,
}

/// A place for a channel.
struct Place {
    /// The turn of whoever has taken it; 0: nobody.
    taken: AtomicU64,
    /// The channel; -1: none.
    fd: AtomicI32,
    /// By what it is known again: see [`mark`].
    known: AtomicU64,
}

impl Thread {
    const fn new() -> Thread {
        Thread { places: [const { Place::new() }; CHANNELS_MAX], turns: AtomicU64::new(0) }
    }

    /// Takes a place, which is that of the oldest where all are taken. Which, and in what turn.
    fn take(&self) -> (usize, u64) {
        loop {
            let turn = 1 + self.turns.fetch_add(1, Ordering::Relaxed);
            let took = |&at: &usize| self.places[at].change(0, turn);
            if let Some(at) = (0..CHANNELS_MAX).find(took) {
                return (at, turn);
            }
            let all = self.places.iter().map(|place| place.taken.load(Ordering::Relaxed));
            let oldest = all.enumerate().min_by_key(|(_, turn)| *turn);
            if let Some((at, taken)) = oldest
                && self.places[at].change(taken, turn)
            {
                self.places[at].close();
                return (at, turn);
            }
        }
    }
}

impl Place {
    const fn new() -> Place {
        Place { taken: AtomicU64::new(0), fd: AtomicI32::new(-1), known: AtomicU64::new(0) }
    }

    fn change(&self, from: u64, to: u64) -> bool {
        self.taken.compare_exchange(from, to, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    /// The channel that is open, or a new one.
    fn channel(&self) -> Result<RawFd, Errno> {
        let process = u64::from(std::process::id());
        let (fd, known) = (self.fd.load(Ordering::Relaxed), self.known.load(Ordering::Relaxed));
        if is_channel(fd, known, process) {
            return Ok(fd);
        }
        let fd = open()?;
        let number = sys::socket_number(fd).ok_or(Errno::EBADF)?;
        self.known.store(mark(number, process), Ordering::Relaxed);
        self.fd.store(fd, Ordering::Relaxed);
        // What a thread asks in its very end, by the destructors of others, stays open.
        let _ = END.try_with(|_| ());
        Ok(fd)
    }

    /// Closes the channel, unless its number is another's by now.
    fn close(&self) {
        let (fd, known) = (self.fd.swap(-1, Ordering::Relaxed), self.known.load(Ordering::Relaxed));
        if is_channel(fd, known, u64::from(std::process::id())) {
            // SAFETY: takes no pointers, and nobody else has this descriptor.
            unsafe { libc::syscall(libc::SYS_close, fd) };
        }
    }
}

/// A thread that ends closes its channels.
struct CloseAtEnd;

impl Drop for CloseAtEnd {
    fn drop(&mut self) {
        THREAD.with(|thread| thread.places.iter().for_each(Place::close));
    }
}

/// A channel of this thread's, for one question at a time. One that is dropped before the reply is
/// there is closed.
pub(super) struct Channel {
    at: usize,
    turn: u64,
    awaits_reply: bool,
}

impl Channel {
    pub(super) fn take() -> Channel {
        let (at, turn) = THREAD.with(Thread::take);
        Channel { at, turn, awaits_reply: false }
    }

    /// Sends a question, and a descriptor if there is one.
    ///
    /// # Errors
    /// ENETDOWN, and those of `sendmsg(2)`.
    pub(super) fn ask(
        &mut self,
        question: &Request,
        pass: Option<BorrowedFd<'_>>,
    ) -> Result<(), Errno> {
        let question = question.to_bytes();
        self.awaits_reply = true;
        if self.send(&question, pass).is_err() {
            // The server has ended it, or the program has closed what it did not know.
            self.with(Place::close);
            self.send(&question, pass)?;
        }
        Ok(())
    }

    fn send(&self, question: &[u8], pass: Option<BorrowedFd<'_>>) -> Result<(), Errno> {
        let fd = self.with(Place::channel)?;
        // SAFETY: it is open, and only who has its place closes it.
        let fd = unsafe { BorrowedFd::borrow_raw(fd) };
        channel::send(fd, question, pass, 0).map(drop)
    }

    /// Receives the reply, and a descriptor if there is one.
    ///
    /// # Errors
    /// ENETDOWN: the server has ended; those of `recvmsg(2)`, EINTR among them.
    pub(super) fn receive(&mut self, flags: c_int) -> Result<(Reply, Option<OwnedFd>), Errno> {
        let mut reply = [0; MESSAGE_MAX];
        let flags = flags | libc::MSG_CMSG_CLOEXEC;
        match channel::recv(self.as_raw_fd(), &mut reply, flags)? {
            (0, _) => Err(ENETDOWN),
            (length, passed) => {
                self.awaits_reply = false;
                Ok((reply_from_bytes(&reply[..length]), passed))
            }
        }
    }

    /// The same within so many milliseconds; -1: at any time. The kernel restarts the wait after a
    /// handler with SA_RESTART if it has no end, as it does for sockets of its own (signal(7)).
    ///
    /// # Errors
    /// EAGAIN when the time is over, and those of [`Channel::receive`].
    pub(super) fn receive_within(&mut self, timeout: c_int) -> Result<Reply, Errno> {
        if timeout < 0 {
            return Ok(self.receive(0)?.0);
        }
        sys::set_receive_time(self.as_raw_fd(), timeout)?;
        let (reply, _) = self.receive(0)?;
        sys::set_receive_time(self.as_raw_fd(), 0)?;
        Ok(reply)
    }

    fn with<T>(&self, act: impl FnOnce(&Place) -> T) -> T {
        THREAD.with(|thread| act(&thread.places[self.at]))
    }
}

impl AsRawFd for Channel {
    fn as_raw_fd(&self) -> RawFd {
        self.with(|place| place.fd.load(Ordering::Relaxed))
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        self.with(|place| {
            if self.awaits_reply && place.taken.load(Ordering::Relaxed) == self.turn {
                place.close();
            }
            // It may have been taken for left.
            place.change(self.turn, 0);
        });
    }
}

/// Says where this process's own server is, or that there is none (any more): then the environment
/// says where another's is.
///
/// # Errors
/// No path can be like this.
pub fn set_path(path: Option<&Path>) -> Result<(), NulError> {
    let own = match path {
        None => std::ptr::null_mut(),
        Some(path) => {
            Box::into_raw(Box::new(CString::new(path.as_os_str().to_owned().into_vec())?))
        }
    };
    PATH.store(own, Ordering::Release);
    Ok(())
}

/// Whether there is a server to ask.
pub(super) fn has_server() -> bool {
    path().is_some()
}

fn path() -> Option<&'static CString> {
    static INHERITED: OnceLock<Option<CString>> = OnceLock::new();
    let from_environment = || {
        let path = std::env::var_os(VARIABLE)?;
        CString::new(path.into_vec()).ok()
    };
    // SAFETY: null, or a path that is never freed.
    let own = unsafe { PATH.load(Ordering::Acquire).as_ref() };
    own.or_else(|| INHERITED.get_or_init(from_environment).as_ref())
}

/// The channel's number and whose it is in one: a child must not use its parent's.
fn mark(number: u64, process: u64) -> u64 {
    number ^ process.rotate_left(40)
}

fn is_channel(fd: RawFd, known: u64, process: u64) -> bool {
    sys::socket_number(fd).is_some_and(|number| mark(number, process) == known)
}

fn open() -> Result<RawFd, Errno> {
    let path = path().ok_or(ENETDOWN)?.as_bytes();
    // SAFETY: all zeros are an address.
    let mut address: libc::sockaddr_un = unsafe { std::mem::zeroed() };
    address.sun_family = libc::AF_UNIX as u16;
    let room = address.sun_path.get_mut(..path.len()).ok_or(ENETDOWN)?;
    for (to, from) in room.iter_mut().zip(path) {
        *to = from.cast_signed();
    }
    let kind = libc::SOCK_STREAM | libc::SOCK_CLOEXEC;
    // SAFETY: takes no pointers; the descriptor it returns is new and ours.
    let fd = unsafe {
        let fd = sys::checked(libc::syscall(libc::SYS_socket, libc::AF_UNIX, kind, 0))?;
        OwnedFd::from_raw_fd(fd as RawFd)
    };
    let length = size_of::<libc::sockaddr_un>();
    let connect = || {
        // SAFETY: the pointer is that of an address of this length.
        sys::checked(unsafe {
            libc::syscall(libc::SYS_connect, fd.as_raw_fd(), &raw const address, length)
        })
    };
    let mut connected = connect();
    // The server may have more to take than it has room for.
    while connected == Err(Errno::EINTR) {
        connected = connect();
    }
    connected.map_err(|_| ENETDOWN)?;
    // SAFETY: takes no pointers.
    let high =
        // SAFETY: passed on as it came.
        unsafe { libc::syscall(libc::SYS_fcntl, fd.as_raw_fd(), libc::F_DUPFD_CLOEXEC, HIGH) };
    match RawFd::try_from(high) {
        Ok(high) if high >= 0 => Ok(high),
        _ => Ok(std::os::fd::IntoRawFd::into_raw_fd(fd)),
    }
}
