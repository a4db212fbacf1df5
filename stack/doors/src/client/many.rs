//! Calls that move many messages, one after the other.

use std::ffi::{c_int, c_uint};
use std::slice;
use std::time::Duration;

use libc::{mmsghdr, timespec};
use stack::host::Errno;

use super::memory::EFAULT;
use super::small;
use super::table::{find, guess};
use super::transfer::{IOV_MAX, forget_passed, recvmsg, sendmsg};
use crate::protocol::FAILED;
use crate::sys::{self, checked};

const NANOS_PER_SECOND: i64 = 1_000_000_000;

/// `recvmmsg(2)`. Its time is looked at after each message, and ends no wait for one, as in Linux.
///
/// # Safety
/// As `recvmmsg(2)`.
pub unsafe fn recvmmsg(
    fd: c_int,
    messages: *mut mmsghdr,
    count: c_uint,
    flags: c_int,
    timeout: *mut timespec,
) -> c_int {
    if guess(fd).is_none() {
        // SAFETY: passed on as it came.
        let received = checked(unsafe {
            libc::syscall(libc::SYS_recvmmsg, fd, messages, count, flags, timeout)
        });
        if let Ok(count) = received {
            // SAFETY: the kernel has just filled in so many.
            let all = unsafe { all(messages, count) }.unwrap_or_default();
            // SAFETY: the same.
            all.iter().for_each(|message| unsafe { forget_passed(&message.msg_hdr) });
        }
        return small(received);
    }
    // SAFETY: the caller's promise.
    small(unsafe {
        all(messages, count as usize).and_then(|all| recv_each(fd, all, flags, timeout.as_mut()))
    })
}

// SAFETY: each message is as `recvmsg(2)` wants it.
unsafe fn recv_each(
    fd: c_int,
    all: &mut [mmsghdr],
    flags: c_int,
    mut time: Option<&mut timespec>,
) -> Result<usize, Errno> {
    let end = time.as_deref().map(end).transpose()?;
    let mut later = flags & !libc::MSG_WAITFORONE;
    let mut done = 0;
    for message in all {
        if done > 0 && !is_message(fd, later) {
            break;
        }
        // SAFETY: the caller's promise.
        let length = unsafe { recvmsg(fd, &raw mut message.msg_hdr, later) };
        if length < 0 && done == 0 {
            return Err(sys::errno());
        }
        if length < 0 {
            break;
        }
        message.msg_len = length as c_uint;
        done += 1;
        if flags & libc::MSG_WAITFORONE != 0 {
            later |= libc::MSG_DONTWAIT;
        }
        if let (Some(time), Some(end)) = (&mut time, end) {
            let left = end.saturating_sub(sys::now());
            (time.tv_sec, time.tv_nsec) =
                (left.as_secs().cast_signed(), left.subsec_nanos().into());
            if left.is_zero() {
                break;
            }
        }
    }
    Ok(done)
}

/// When so much time has passed.
fn end(time: &timespec) -> Result<Duration, Errno> {
    let seconds = u64::try_from(time.tv_sec).map_err(|_| Errno::EINVAL)?;
    let nanos = Some(time.tv_nsec).filter(|it| (0..NANOS_PER_SECOND).contains(it));
    let time = Duration::new(seconds, nanos.ok_or(Errno::EINVAL)? as u32);
    Ok(sys::now().saturating_add(time))
}

/// Waits for what follows a message, as the flags say. False: it is an error or the end, of which
/// the next call is told, and therefore left where it is.
fn is_message(fd: c_int, flags: c_int) -> bool {
    // Those of the queue have no end, and the server has them.
    if flags & libc::MSG_ERRQUEUE != 0 {
        return true;
    }
    let mut start = [0; 2];
    let flags = flags & libc::MSG_DONTWAIT | libc::MSG_PEEK;
    // SAFETY: `start` is writable for its length.
    let peeked = checked(unsafe {
        let (at, length) = (start.as_mut_ptr(), start.len());
        libc::syscall(libc::SYS_recvfrom, fd, at, length, flags, 0, 0)
    });
    let may_be_failure = u16::from_ne_bytes(start) == FAILED;
    let is_failure = may_be_failure && find(fd).is_some_and(|ours| ours.what.is_datagram());
    peeked.is_ok_and(|length| length > 0) && !is_failure
}

/// `sendmmsg(2)`. It sends no more than UIO_MAXIOV at a time.
///
/// # Safety
/// As `sendmmsg(2)`.
pub unsafe fn sendmmsg(fd: c_int, messages: *mut mmsghdr, count: c_uint, flags: c_int) -> c_int {
    if guess(fd).is_none() {
        // SAFETY: passed on as it came.
        return small(checked(unsafe {
            libc::syscall(libc::SYS_sendmmsg, fd, messages, count, flags)
        }));
    }
    // SAFETY: the caller's promise.
    small(unsafe { all(messages, IOV_MAX.min(count as usize)) }.and_then(|all| {
        let mut done = 0;
        for message in all {
            // SAFETY: the caller's promise.
            let length = unsafe { sendmsg(fd, &raw const message.msg_hdr, flags) };
            // It is told only of the first.
            if length < 0 {
                return if done == 0 { Err(sys::errno()) } else { Ok(done) };
            }
            message.msg_len = length as c_uint;
            done += 1;
        }
        Ok(done)
    }))
}

// SAFETY: the caller says that there are so many, and that nobody else uses them meanwhile.
unsafe fn all<'a>(messages: *mut mmsghdr, count: usize) -> Result<&'a mut [mmsghdr], Errno> {
    match count {
        0 => Ok(&mut []),
        _ if messages.is_null() => Err(EFAULT),
        // SAFETY: not null; the rest is the caller's promise.
        count => Ok(unsafe { slice::from_raw_parts_mut(messages, count) }),
    }
}
