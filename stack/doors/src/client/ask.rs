//! The channel to the server: one for each thread, opened when it is first needed, and anew after
//! a fork or when the program has closed it.

use std::cell::Cell;
use std::ffi::{CString, NulError, c_int};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStringExt;
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicPtr, Ordering};

use stack::host::Errno;

use super::VARIABLE;
use crate::channel;
use crate::protocol::{MESSAGE_MAX, Op, Request, reply_from_bytes};
use crate::sys;

/// Channels have numbers from here on where that is possible: programs expect the low ones.
const HIGH: RawFd = 800;

/// No server: the program was not started by `tapstack run`, and there was no `tapstack_init`.
const ENETDOWN: Errno = Errno::from_number(libc::ENETDOWN);

/// Where this process's own server is, or null. A path is never freed: who has read the pointer may
/// still use it.
static PATH: AtomicPtr<CString> = AtomicPtr::new(std::ptr::null_mut());

thread_local! {
    /// This thread's channel, and the number by which it is known again.
    static CHANNEL: Cell<Option<(RawFd, u64)>> = const { Cell::new(None) };

    /// Set with it.
    static END: CloseAtEnd = const { CloseAtEnd };
}

/// A thread that ends closes its channel.
struct CloseAtEnd;

impl Drop for CloseAtEnd {
    fn drop(&mut self) {
        close_channel();
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

/// Asks, and waits for the reply.
pub(super) fn ask(
    op: Op,
    socket: u64,
    (a, b): (c_int, c_int),
    data: &[u8],
) -> Result<Vec<u8>, Errno> {
    exchange(op, socket, (a, b), data, None).map(|(reply, _)| reply)
}

/// The same, with a descriptor passed, and perhaps one returned.
pub(super) fn exchange(
    op: Op,
    socket: u64,
    (a, b): (c_int, c_int),
    data: &[u8],
    pass: Option<BorrowedFd<'_>>,
) -> Result<(Vec<u8>, Option<OwnedFd>), Errno> {
    let request = Request { op, socket, a, b, data: data.to_vec() }.to_bytes();
    let sent = channel().and_then(|fd| channel::send(fd, &request, pass, 0).map(|_| fd));
    let fd = match sent {
        Ok(fd) => fd,
        // The server has ended it, or the program has closed what it did not know.
        Err(_) => {
            close_channel();
            let fd = channel()?;
            channel::send(fd, &request, pass, 0)?;
            fd
        }
    };
    let mut reply = [0; MESSAGE_MAX];
    loop {
        match channel::recv(fd.as_raw_fd(), &mut reply, libc::MSG_CMSG_CLOEXEC) {
            Err(Errno::EINTR) => {}
            Ok((0, _)) => return Err(ENETDOWN),
            Ok((length, passed)) => return Ok((reply_from_bytes(&reply[..length])?, passed)),
            Err(error) => return Err(error),
        }
    }
}

/// Waits until an error waits for the program that the connection has survived (true), or `fd` can
/// be read. It has a channel of its own, for its reply may never come.
///
/// # Errors
/// EINTR; EAGAIN after `timeout` milliseconds (-1: never).
pub(super) fn await_error(socket: u64, fd: RawFd, timeout: c_int) -> Result<bool, Errno> {
    let question = Request { op: Op::AwaitError, socket, a: 0, b: 0, data: Vec::new() };
    // SAFETY: it is new and ours.
    let channel = unsafe { OwnedFd::from_raw_fd(open()?) };
    channel::send(channel.as_fd(), &question.to_bytes(), None, 0)?;
    match sys::readable([fd, channel.as_raw_fd()], timeout)? {
        [false, false] => Err(Errno::EAGAIN),
        [true, _] => Ok(false),
        [false, true] => {
            let mut reply = [0; MESSAGE_MAX];
            let (length, _) = channel::recv(channel.as_raw_fd(), &mut reply, libc::MSG_DONTWAIT)?;
            Ok(reply_from_bytes(&reply[..length]).is_ok())
        }
    }
}

/// This thread's channel in this process.
fn channel() -> Result<BorrowedFd<'static>, Errno> {
    let process = u64::from(std::process::id());
    let known = CHANNEL.get().filter(|(fd, known)| is_channel(*fd, *known, process));
    let fd = match known {
        Some((fd, _)) => fd,
        None => {
            let fd = open()?;
            CHANNEL.set(sys::socket_number(fd).map(|number| (fd, mark(number, process))));
            // What a thread asks in its very end, by the destructors of others, stays open.
            let _ = END.try_with(|_| ());
            fd
        }
    };
    // SAFETY: it is open, and stays so for the caller's exchange: only this thread uses it.
    Ok(unsafe { BorrowedFd::borrow_raw(fd) })
}

/// Forgets this thread's channel, and closes it unless its number is another's by now.
fn close_channel() {
    let process = u64::from(std::process::id());
    if let Some((fd, known)) = CHANNEL.take()
        && is_channel(fd, known, process)
    {
        // SAFETY: takes no pointers, and nobody else has this descriptor.
        unsafe { libc::syscall(libc::SYS_close, fd) };
    }
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
    // SAFETY: the pointer is that of an address of this length.
    let connected = sys::checked(unsafe {
        libc::syscall(libc::SYS_connect, fd.as_raw_fd(), &raw const address, length)
    });
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
