//! Calls that move bytes. A stream's bytes are the kernel's to move; only what its end means is
//! asked of the server. Datagrams have a header with their address.

use std::ffi::{c_int, c_void};
use std::net::SocketAddr;
use std::slice;

use libc::{iovec, msghdr, size_t, sockaddr, socklen_t, ssize_t};
use stack::host::Errno;
use stack::host::bsd::socket_address;

use super::calls::pending_error;
use super::memory::{EFAULT, bytes, tell};
use super::table::{self, Ours, find, guess};
use super::{answer, ask, heard, unsupported};
use crate::channel;
use crate::control::{self, Piece};
use crate::protocol::{self, DATAGRAM_HEADER, FAILED, Op, What};
use crate::sys::{self, checked};

/// Most elements of an array of buffers: Linux's UIO_MAXIOV.
pub(super) const IOV_MAX: usize = 1024;
/// What one call drops at the most with MSG_TRUNC, bytes.
const DROPPED_MAX: usize = 64 << 10;
/// The longest text of a datagram, bytes.
const V4_MAX: usize = 65_507;
const V6_MAX: usize = 65_527;

/// Flags in sending datagrams that Linux heeds and nobody here: joining with the next one, and
/// staying on the link.
const DATAGRAM_REFUSED: c_int = libc::MSG_OOB | libc::MSG_MORE | libc::MSG_DONTROUTE;

const EMSGSIZE: Errno = Errno::from_number(libc::EMSGSIZE);
const ENOTCONN: Errno = Errno::from_number(libc::ENOTCONN);
const ENOTSOCK: Errno = Errno::from_number(libc::ENOTSOCK);

/// What a transfer of bytes is about.
enum Way {
    /// As it is: a stream, or none of ours.
    Plain,
    Datagram,
}

fn way(fd: c_int) -> Result<Way, Errno> {
    let Some(guessed) = guess(fd) else { return Ok(Way::Plain) };
    match guessed.what {
        What::Stream => Ok(Way::Plain),
        What::Listener => match find(fd) {
            Some(Ours { what: What::Listener, .. }) => Err(ENOTCONN),
            _ => Ok(Way::Plain),
        },
        What::Datagram | What::Paired => Ok(match find(fd) {
            Some(ours) if ours.what.is_datagram() => Way::Datagram,
            _ => Way::Plain,
        }),
        What::Idle | What::Connecting => match table::look(fd) {
            Some(Ours { what: What::Idle, number }) => {
                Err(pending_error(number).unwrap_or(ENOTCONN))
            }
            _ => Ok(Way::Plain),
        },
    }
}

/// The same for receiving: an error from the queue (MSG_ERRQUEUE) has a header, too.
fn way_in(fd: c_int, flags: c_int) -> Result<Way, Errno> {
    match flags & libc::MSG_ERRQUEUE != 0 && guess(fd).is_some() {
        true => Ok(Way::Datagram),
        false => way(fd),
    }
}

/// A read that came to the end of a stream: perhaps the connection has failed.
fn ended(fd: c_int, result: Result<usize, Errno>) -> Result<usize, Errno> {
    if result == Ok(0)
        && guess(fd).is_some()
        && let Some(ours) = find(fd)
        && let Some(error) = pending_error(ours.number)
    {
        return Err(error);
    }
    result
}

/// A write to a stream that takes no more: the first is told why, later ones raise SIGPIPE.
fn broken(fd: c_int, result: Result<usize, Errno>, quiet: bool) -> Result<usize, Errno> {
    if result != Err(Errno::EPIPE) {
        return result;
    }
    if let Some(error) = find(fd).and_then(|ours| pending_error(ours.number)) {
        return Err(error);
    }
    if !quiet {
        // SAFETY: takes no pointers.
        unsafe { libc::raise(libc::SIGPIPE) };
    }
    result
}

/// `recvmsg(2)`.
///
/// # Safety
/// As `recvmsg(2)`.
pub unsafe fn recvmsg(fd: c_int, message: *mut msghdr, flags: c_int) -> ssize_t {
    answer(way_in(fd, flags).and_then(|way| match way {
        // SAFETY: passed on as it came.
        Way::Plain => {
            heard::before_read(fd, flags)?;
            // SAFETY: passed on as it came.
            let received = unsafe { sys::recvmsg(fd, message, flags) };
            if received.is_ok() {
                // SAFETY: the kernel has just filled it in.
                unsafe { forget_passed(&*message) };
            }
            ended(fd, received)
        }
        // SAFETY: the caller's promise.
        Way::Datagram => unsafe { recv_datagram(fd, message, flags) },
    }))
}

/// Descriptors that came with a message are new ones, whatever their numbers were before.
// SAFETY: the message says how long its control messages are.
pub(super) unsafe fn forget_passed(message: &msghdr) {
    // SAFETY: the caller's promise.
    let Ok(mut all) = (unsafe { bytes(message.msg_control, message.msg_controllen) }) else {
        return;
    };
    while let Ok(Some(Piece { level, name, value, rest })) = control::split(all) {
        if (level, name) == (libc::SOL_SOCKET, libc::SCM_RIGHTS) {
            value.as_chunks().0.iter().for_each(|fd| table::forget(i32::from_ne_bytes(*fd)));
        }
        all = rest;
    }
}

/// A datagram of ours, whose header becomes the message's address.
// SAFETY: what the caller promises is what the call is for.
unsafe fn recv_datagram(fd: c_int, message: *mut msghdr, flags: c_int) -> Result<usize, Errno> {
    // SAFETY: the caller passes a message.
    let message = unsafe { &mut *message };
    // SAFETY: the message says how many parts it has.
    let parts = unsafe { parts(message.msg_iov, message.msg_iovlen) }?;
    if flags & libc::MSG_ERRQUEUE != 0 {
        // SAFETY: the caller passes a message.
        return unsafe { take_error(fd, message) };
    }
    let mut header = [0; DATAGRAM_HEADER];
    let mut all = Vec::with_capacity(1 + parts.len());
    all.push(sys::part(&mut header));
    all.extend_from_slice(parts);
    let mut inner = sys::message(&mut all);
    // SAFETY: the parts are the caller's and our header.
    let length = unsafe { sys::recvmsg(fd, &raw mut inner, flags) }?;
    if u16::from_ne_bytes([header[0], header[1]]) == FAILED {
        if flags & libc::MSG_PEEK != 0 {
            // An error is told once, also to who only looks.
            let _ = channel::recv(fd, &mut [0; 1], libc::MSG_DONTWAIT);
        }
        let error = i32::from_ne_bytes([header[4], header[5], header[6], header[7]]);
        return Err(Errno::from_number(error));
    }
    message.msg_flags = inner.msg_flags;
    // SAFETY: the caller passes a message.
    unsafe { tell_header(&header, message) }?;
    Ok(length.saturating_sub(DATAGRAM_HEADER))
}

/// An error from the socket's queue, which the server has: nobody waits for one.
// SAFETY: what the caller promises is what the call is for.
unsafe fn take_error(fd: c_int, message: &mut msghdr) -> Result<usize, Errno> {
    let ours = find(fd).ok_or(Errno::EAGAIN)?;
    let error = ask::ask(Op::TakeError, ours.number, (0, 0), &[])?;
    let (header, mut text) = error.split_at_checked(DATAGRAM_HEADER).ok_or(Errno::EAGAIN)?;
    message.msg_flags = libc::MSG_ERRQUEUE;
    // SAFETY: the caller passes a message, with the room that its parts say.
    let told = unsafe {
        tell_header(header, message)?;
        let whole = text.len();
        for part in parts(message.msg_iov, message.msg_iovlen)? {
            let (now, rest) = text.split_at(text.len().min(part.iov_len));
            std::ptr::copy_nonoverlapping(now.as_ptr(), part.iov_base.cast(), now.len());
            text = rest;
        }
        whole - text.len()
    };
    if !text.is_empty() {
        message.msg_flags |= libc::MSG_TRUNC;
    }
    Ok(told)
}

/// The address and the control messages of a header.
// SAFETY: the message says how much room there is for both.
unsafe fn tell_header(header: &[u8], message: &mut msghdr) -> Result<(), Errno> {
    let is_v6 = header.starts_with(&(libc::AF_INET6 as u16).to_ne_bytes());
    let from = header.get(..if is_v6 { 28 } else { 16 }).unwrap_or_default();
    if message.msg_name.is_null() {
        message.msg_namelen = 0;
    } else {
        // SAFETY: the message says how much room its name has.
        unsafe { tell(from, message.msg_name.cast(), &raw mut message.msg_namelen) }?;
    }
    // SAFETY: the message says how much room there is for control messages.
    unsafe { tell_control(protocol::control(header), message) };
    Ok(())
}

/// Tells control messages, cut to the caller's room, as Linux's `put_cmsg` does.
// SAFETY: the message says how much room there is.
unsafe fn tell_control(mut all: &[u8], message: &mut msghdr) {
    let mut at = message.msg_control.cast::<u8>();
    let whole = if at.is_null() { 0 } else { message.msg_controllen };
    let mut room = whole;
    while let Ok(Some(Piece { value, rest, .. })) = control::split(all) {
        let length = control::HEADER + value.len();
        let cut = length.min(room);
        if cut < length {
            message.msg_flags |= libc::MSG_CTRUNC;
        }
        if cut < control::HEADER {
            break;
        }
        let space = (all.len() - rest.len()).min(room);
        // SAFETY: no more than there is room for; the length stands first.
        unsafe {
            std::ptr::copy_nonoverlapping(all.as_ptr(), at, cut);
            at.cast::<usize>().write_unaligned(cut);
            at = at.add(space);
        }
        (all, room) = (rest, room - space);
    }
    message.msg_controllen = whole - room;
}

/// `sendmsg(2)`.
///
/// # Safety
/// As `sendmsg(2)`.
pub unsafe fn sendmsg(fd: c_int, message: *const msghdr, flags: c_int) -> ssize_t {
    let quiet = flags & libc::MSG_NOSIGNAL != 0;
    let way = match way(fd) {
        // Nobody has connected it: to a writer it is broken.
        Err(ENOTCONN) => {
            let sent = stream_flags(flags).and(Err(Errno::EPIPE));
            return answer(broken(fd, sent, quiet));
        }
        way => way,
    };
    answer(way.and_then(|way| match way {
        // SAFETY: the caller passes a message.
        Way::Plain if guess(fd).is_none() || is_foreign(fd, unsafe { &*message }, flags) => {
            // SAFETY: passed on as it came.
            unsafe { sys::sendmsg(fd, message, flags) }
        }
        Way::Plain => {
            // SAFETY: the caller passes a message; a stream pays no heed to what is beside text.
            let mut inner = unsafe { *message };
            (inner.msg_name, inner.msg_namelen) = (std::ptr::null_mut(), 0);
            (inner.msg_control, inner.msg_controllen) = (std::ptr::null_mut(), 0);
            let flags = stream_flags(flags)?;
            heard::before_write(fd)?;
            // SAFETY: passed on as it came.
            broken(fd, unsafe { sys::sendmsg(fd, &raw const inner, flags) }, quiet)
        }
        // SAFETY: the caller's promise.
        Way::Datagram => unsafe { send_datagram(fd, &*message, flags) },
    }))
}

/// Whether what is taken for a stream of ours is another socket by now, where that matters: mere
/// text is sent alike to both, and what else there is must not be left out.
fn is_foreign(fd: c_int, message: &msghdr, flags: c_int) -> bool {
    let is_text = message.msg_namelen == 0 && message.msg_controllen == 0;
    let is_mere = is_text && flags & (libc::MSG_OOB | libc::MSG_FASTOPEN) == 0;
    !is_mere && find(fd).is_none()
}

/// Urgent data are ordinary data; connecting by sending is not known here.
fn stream_flags(flags: c_int) -> Result<c_int, Errno> {
    unsupported::say_flags("send", flags, libc::MSG_FASTOPEN | libc::MSG_OOB);
    if flags & libc::MSG_FASTOPEN != 0 {
        return Err(Errno::EOPNOTSUPP);
    }
    Ok(flags & !libc::MSG_OOB | libc::MSG_NOSIGNAL)
}

// SAFETY: what the caller promises is what the call is for.
unsafe fn send_datagram(fd: c_int, message: &msghdr, flags: c_int) -> Result<usize, Errno> {
    if flags & DATAGRAM_REFUSED != 0 {
        unsupported::say_flags("send", flags, DATAGRAM_REFUSED);
        return Err(Errno::EOPNOTSUPP);
    }
    // SAFETY: the message says how many parts it has, and how long its name and control are.
    let (parts, name, control) = unsafe {
        let name = bytes(message.msg_name, message.msg_namelen as usize)?;
        let control = bytes(message.msg_control, message.msg_controllen)?;
        (parts(message.msg_iov, message.msg_iovlen)?, name, control)
    };
    // The server's answer would come when the call has ended.
    let to = match name {
        [] if is_paired(fd) => None,
        [] => return Err(Errno::EDESTADDRREQ),
        name => socket_address(name)?,
    };
    let control = control::from_bytes(control).inspect_err(|_| unknown_control(control))?;
    let mut header = protocol::header(name, &control::to_send(&control));
    let length = parts.iter().map(|part| part.iov_len).sum::<usize>();
    if length > V6_MAX || length > V4_MAX && is_v4(to.map_or_else(|| peer(fd), Ok)?) {
        return Err(EMSGSIZE);
    }
    let mut all = Vec::with_capacity(1 + parts.len());
    all.push(sys::part(&mut header));
    all.extend_from_slice(parts);
    let inner = sys::message(&mut all);
    let flags = flags & libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    // SAFETY: the parts are the caller's and our header.
    let length = unsafe { sys::sendmsg(fd, &raw const inner, flags) }?;
    Ok(length.saturating_sub(DATAGRAM_HEADER))
}

/// Says what was to go with a datagram and is not understood.
fn unknown_control(mut all: &[u8]) {
    while let Ok(Some(Piece { level, name, rest, .. })) = control::split(all) {
        let (this, _) = all.split_at(all.len() - rest.len());
        if control::from_bytes(this).is_err() {
            unsupported::say(|| format!("sendmsg: control message of level {level}, type {name}"));
        }
        all = rest;
    }
}

/// Whether the socket has a peer; another process may have connected it.
fn is_paired(fd: c_int) -> bool {
    let is_paired = |ours: Ours| ours.what == What::Paired;
    guess(fd).is_some_and(is_paired) || table::look(fd).is_some_and(is_paired)
}

/// The peer of a socket that has one.
fn peer(fd: c_int) -> Result<SocketAddr, Errno> {
    let ours = find(fd).ok_or(Errno::EBADF)?;
    let name = ask::ask(Op::PeerName, ours.number, (0, 0), &[])?;
    socket_address(&name)?.ok_or(ENOTCONN)
}

/// IPv4 carries what is sent there, in whatever dress.
fn is_v4(to: SocketAddr) -> bool {
    to.ip().to_canonical().is_ipv4()
}

// SAFETY: what the caller promises is what the call is for.
unsafe fn parts<'a>(at: *const iovec, count: usize) -> Result<&'a [iovec], Errno> {
    match count {
        0 => Ok(&[]),
        count if count > IOV_MAX => Err(EMSGSIZE),
        _ if at.is_null() => Err(EFAULT),
        // SAFETY: not null; the caller says how many there are.
        count => Ok(unsafe { slice::from_raw_parts(at, count) }),
    }
}

/// A message of one part, with a name.
fn one(part: &mut iovec, name: *mut c_void, length: socklen_t) -> msghdr {
    let mut message = sys::message(slice::from_mut(part));
    (message.msg_name, message.msg_namelen) = (name, length);
    message
}

/// `recvfrom(2)`.
///
/// # Safety
/// As `recvfrom(2)`.
pub unsafe fn recvfrom(
    fd: c_int,
    at: *mut c_void,
    length: size_t,
    flags: c_int,
    from: *mut sockaddr,
    from_length: *mut socklen_t,
) -> ssize_t {
    answer(way_in(fd, flags).and_then(|way| match way {
        Way::Plain => {
            if length > 0 {
                heard::before_read(fd, flags)?;
            }
            // Linux's TCP drops what is cut: nobody wants to see it. A pair would hand it out.
            let is_stream = |ours: Ours| !ours.what.is_datagram();
            let drops = flags & libc::MSG_TRUNC != 0 && find(fd).is_some_and(is_stream);
            let mut dropped = vec![0_u8; if drops { length.min(DROPPED_MAX) } else { 0 }];
            let (at, length) = match drops {
                true => (dropped.as_mut_ptr().cast(), dropped.len()),
                false => (at, length),
            };
            // SAFETY: passed on as it came, or with room of our own.
            let received = checked(unsafe {
                libc::syscall(libc::SYS_recvfrom, fd, at, length, flags, from, from_length)
            });
            ended(fd, received)
        }
        // SAFETY: the caller's promise.
        Way::Datagram => unsafe {
            let room = if from_length.is_null() { 0 } else { *from_length };
            let mut part = iovec { iov_base: at, iov_len: length };
            let mut message = one(&mut part, from.cast(), room);
            let received = recv_datagram(fd, &raw mut message, flags);
            super::memory::store(from_length, message.msg_namelen);
            received
        },
    }))
}

/// `recv(2)`.
///
/// # Safety
/// As `recv(2)`.
pub unsafe fn recv(fd: c_int, at: *mut c_void, length: size_t, flags: c_int) -> ssize_t {
    let null = std::ptr::null_mut();
    // SAFETY: the caller's promise.
    unsafe { recvfrom(fd, at, length, flags, null, std::ptr::null_mut()) }
}

/// `read(2)`.
///
/// # Safety
/// As `read(2)`.
pub unsafe fn read(fd: c_int, at: *mut c_void, length: size_t) -> ssize_t {
    answer(way(fd).and_then(|way| match way {
        // SAFETY: passed on as it came.
        Way::Plain => {
            if length > 0 {
                heard::before_read(fd, 0)?;
            }
            // SAFETY: passed on as it came.
            let read = checked(unsafe { libc::syscall(libc::SYS_read, fd, at, length) });
            if length == 0 { read } else { ended(fd, read) }
        }
        // SAFETY: the caller's promise.
        Way::Datagram => unsafe {
            let mut part = iovec { iov_base: at, iov_len: length };
            let mut message = one(&mut part, std::ptr::null_mut(), 0);
            recv_datagram(fd, &raw mut message, 0)
        },
    }))
}

/// `readv(2)`.
///
/// # Safety
/// As `readv(2)`.
pub unsafe fn readv(fd: c_int, parts: *const iovec, count: c_int) -> ssize_t {
    answer(way(fd).and_then(|way| match way {
        // SAFETY: passed on as it came.
        Way::Plain => {
            heard::before_read(fd, 0)?;
            // SAFETY: passed on as it came.
            ended(fd, checked(unsafe { libc::syscall(libc::SYS_readv, fd, parts, count) }))
        }
        // SAFETY: the caller's promise.
        Way::Datagram => unsafe {
            let mut message = sys::message(&mut []);
            message.msg_iov = parts.cast_mut();
            message.msg_iovlen = usize::try_from(count).map_err(|_| Errno::EINVAL)?;
            recv_datagram(fd, &raw mut message, 0)
        },
    }))
}

/// `sendto(2)`.
///
/// # Safety
/// As `sendto(2)`.
pub unsafe fn sendto(
    fd: c_int,
    at: *const c_void,
    length: size_t,
    flags: c_int,
    to: *const sockaddr,
    to_length: socklen_t,
) -> ssize_t {
    if guess(fd).is_none() {
        // SAFETY: passed on as it came.
        return answer(checked(unsafe {
            libc::syscall(libc::SYS_sendto, fd, at, length, flags, to, to_length)
        }));
    }
    let mut part = iovec { iov_base: at.cast_mut(), iov_len: length };
    let message = one(&mut part, to.cast_mut().cast(), to_length);
    // SAFETY: the caller's promise.
    unsafe { sendmsg(fd, &raw const message, flags) }
}

/// `send(2)`.
///
/// # Safety
/// As `send(2)`.
pub unsafe fn send(fd: c_int, at: *const c_void, length: size_t, flags: c_int) -> ssize_t {
    // SAFETY: the caller's promise.
    unsafe { sendto(fd, at, length, flags, std::ptr::null(), 0) }
}

/// `write(2)`.
///
/// # Safety
/// As `write(2)`.
pub unsafe fn write(fd: c_int, at: *const c_void, length: size_t) -> ssize_t {
    if guess(fd).is_none() {
        // SAFETY: passed on as it came.
        return answer(checked(unsafe { libc::syscall(libc::SYS_write, fd, at, length) }));
    }
    let part = iovec { iov_base: at.cast_mut(), iov_len: length };
    // SAFETY: the caller's promise.
    unsafe { write_parts(fd, &raw const part, 1) }
}

/// `writev(2)`.
///
/// # Safety
/// As `writev(2)`.
pub unsafe fn writev(fd: c_int, parts: *const iovec, count: c_int) -> ssize_t {
    // SAFETY: the caller's promise.
    unsafe { write_parts(fd, parts, count) }
}

// SAFETY: what the caller promises is what the call is for.
unsafe fn write_parts(fd: c_int, parts: *const iovec, count: c_int) -> ssize_t {
    let kernel = || {
        // SAFETY: passed on as it came.
        checked(unsafe { libc::syscall(libc::SYS_writev, fd, parts, count) })
    };
    if guess(fd).is_none() {
        return answer(kernel());
    }
    let Some(count) = usize::try_from(count).ok().filter(|&count| count <= IOV_MAX) else {
        return answer(Err(Errno::EINVAL));
    };
    let mut message = sys::message(&mut []);
    message.msg_iov = parts.cast_mut();
    message.msg_iovlen = count;
    // SAFETY: the caller's promise.
    let sent = unsafe { sendmsg(fd, &raw const message, 0) };
    if sent < 0 && sys::errno() == ENOTSOCK {
        // It was closed behind our back, and is a file now.
        table::forget(fd);
        return answer(kernel());
    }
    sent
}

/// `sendfile(2)`. Of a file no datagrams are made here: EINVAL.
///
/// # Safety
/// As `sendfile(2)`.
pub unsafe fn sendfile(out: c_int, from: c_int, offset: *mut i64, count: size_t) -> ssize_t {
    answer(match way(out) {
        Ok(Way::Plain) => heard::before_write(out).and_then(|()| {
            // SAFETY: passed on as it came.
            let sent =
                // SAFETY: passed on as it came.
                checked(unsafe { libc::syscall(libc::SYS_sendfile, out, from, offset, count) });
            // The kernel has raised SIGPIPE.
            broken(out, sent, true)
        }),
        Ok(Way::Datagram) => {
            unsupported::say(|| "sendfile to a socket of datagrams".into());
            Err(Errno::EINVAL)
        }
        // Nobody has connected it: to a writer it is broken.
        Err(ENOTCONN) => broken(out, Err(Errno::EPIPE), false),
        Err(error) => Err(error),
    })
}
