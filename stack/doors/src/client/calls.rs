//! Calls about sockets as such: their beginning and end, names, options.
//!
//! Each is the libc function of its name, and takes what that takes; a descriptor that is none of
//! ours goes to the kernel.

use std::ffi::{c_int, c_uint, c_ulong, c_void};
use std::ops::RangeInclusive;
use std::os::fd::{AsRawFd, BorrowedFd, IntoRawFd, RawFd};

use libc::{sockaddr, socklen_t};
use stack::host::Errno;
use stack::host::bsd::{IP_MSFILTER, MCAST_MSFILTER};

use super::memory::{bytes, load, store, tell};
use super::table::{self, Ours, find};
use super::{ask, heard, small, unsupported};
use crate::channel;
use crate::protocol::{DATAGRAM_HEADER, Op, VALUE_MAX, What};
use crate::sys::{self, checked};

/// The options by which a socket asks for what the network says.
const IPV4_ERRORS: (c_int, c_int) = (libc::IPPROTO_IP, libc::IP_RECVERR);
const IPV6_ERRORS: (c_int, c_int) = (libc::IPPROTO_IPV6, libc::IPV6_RECVERR);

const ENOTCONN: Errno = Errno::from_number(libc::ENOTCONN);

/// `socket(2)`: internet sockets are the stack's, or nobody's where there is no server; all others
/// are the kernel's.
pub fn socket(domain: c_int, kind: c_int, protocol: c_int) -> c_int {
    if !matches!(domain, libc::AF_INET | libc::AF_INET6) {
        // SAFETY: takes no pointers.
        let made = checked(unsafe { libc::syscall(libc::SYS_socket, domain, kind, protocol) });
        if let Ok(fd) = made {
            table::forget(fd as RawFd);
        }
        return small(made);
    }
    let made = open(domain, kind, protocol);
    if let Err(Errno::ESOCKTNOSUPPORT | Errno::EPROTONOSUPPORT) = made {
        unsupported::say(|| format!("socket: domain {domain}, type {kind}, protocol {protocol}"));
    }
    small(made)
}

fn open(domain: c_int, kind: c_int, protocol: c_int) -> Result<usize, Errno> {
    let data = protocol.to_ne_bytes();
    let (reply, passed) = ask::exchange(Op::Socket, 0, (domain, kind), &data, None)?;
    let number = reply.first_chunk().map(|it| u64::from_ne_bytes(*it));
    // The kernel leaves the descriptor out where it would be one too many.
    let (Some(number), Some(passed)) = (number, passed) else { return Err(Errno::EMFILE) };
    let is_stream = kind & !(libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC) == libc::SOCK_STREAM;
    let what = if is_stream { What::Idle } else { What::Datagram };
    Ok(keep(passed, number, what, kind & libc::SOCK_CLOEXEC != 0) as usize)
}

/// Gives the program a descriptor that was passed, which closes on `exec` only if it wants that.
fn keep(passed: std::os::fd::OwnedFd, number: u64, what: What, cloexec: bool) -> RawFd {
    let fd = passed.into_raw_fd();
    if !cloexec {
        // SAFETY: takes no pointers.
        unsafe { libc::syscall(libc::SYS_fcntl, fd, libc::F_SETFD, 0) };
    }
    table::remember(fd, number, what);
    fd
}

/// `bind(2)`.
///
/// # Safety
/// As `bind(2)`.
pub unsafe fn bind(fd: c_int, at: *const sockaddr, length: socklen_t) -> c_int {
    let Some(ours) = find(fd) else {
        // SAFETY: passed on as it came.
        return small(checked(unsafe { libc::syscall(libc::SYS_bind, fd, at, length) }));
    };
    // SAFETY: the caller's promise.
    let address = unsafe { bytes(at.cast(), length as usize) };
    small(address.and_then(|it| ask::ask(Op::Bind, ours.number, (0, 0), it)).map(|_| 0))
}

/// `listen(2)`.
pub fn listen(fd: c_int, backlog: c_int) -> c_int {
    let Some(ours) = find(fd) else {
        // SAFETY: takes no pointers.
        return small(checked(unsafe { libc::syscall(libc::SYS_listen, fd, backlog) }));
    };
    let listened = ask::ask(Op::Listen, ours.number, (backlog, 0), &[]);
    if listened.is_ok() {
        table::remember(fd, ours.number, What::Listener);
    }
    small(listened.map(|_| 0))
}

/// `accept(2)`.
///
/// # Safety
/// As `accept(2)`.
pub unsafe fn accept(fd: c_int, at: *mut sockaddr, length: *mut socklen_t) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { accept4(fd, at, length, 0) }
}

/// `accept4(2)`.
///
/// # Safety
/// As `accept4(2)`.
pub unsafe fn accept4(fd: c_int, at: *mut sockaddr, length: *mut socklen_t, flags: c_int) -> c_int {
    let Some(ours) = find(fd) else {
        // SAFETY: passed on as it came.
        let fd = unsafe { libc::syscall(libc::SYS_accept4, fd, at, length, flags) };
        table::forget(fd as RawFd);
        return small(checked(fd));
    };
    // SAFETY: the caller's promise.
    small(unsafe { accept_ours(fd, ours, at, length, flags) })
}

// SAFETY: what the caller promises is what the call is for.
unsafe fn accept_ours(
    fd: c_int,
    ours: Ours,
    at: *mut sockaddr,
    length: *mut socklen_t,
    flags: c_int,
) -> Result<usize, Errno> {
    if flags & !(libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC) != 0 {
        return Err(Errno::EINVAL);
    }
    match ours.what {
        What::Listener => {}
        What::Datagram | What::Paired => return Err(Errno::EOPNOTSUPP),
        _ if table::look(fd).is_some_and(|it| it.what == What::Listener) => {}
        _ => return Err(Errno::EINVAL),
    }
    let mut message = [0; DATAGRAM_HEADER];
    let (count, passed) = channel::recv(fd, &mut message, libc::MSG_CMSG_CLOEXEC)?;
    if count == 0 {
        return Err(Errno::EINVAL);
    }
    let passed = passed.ok_or(Errno::EMFILE)?;
    let number = sys::socket_number(passed.as_raw_fd()).ok_or(Errno::ECONNABORTED)?;
    if flags & libc::SOCK_NONBLOCK != 0 {
        sys::set_nonblocking(std::os::fd::AsFd::as_fd(&passed))?;
    }
    let is_v6 = u16::from_ne_bytes([message[0], message[1]]) == libc::AF_INET6 as u16;
    let peer = if is_v6 { &message[..28] } else { &message[..16] };
    let new = keep(passed, number, What::Stream, flags & libc::SOCK_CLOEXEC != 0);
    // SAFETY: the caller's promise.
    unsafe { tell(peer, at, length) }?;
    Ok(new as usize)
}

/// `connect(2)`.
///
/// # Safety
/// As `connect(2)`.
pub unsafe fn connect(fd: c_int, at: *const sockaddr, length: socklen_t) -> c_int {
    let Some(ours) = find(fd) else {
        // SAFETY: passed on as it came.
        return small(checked(unsafe { libc::syscall(libc::SYS_connect, fd, at, length) }));
    };
    // SAFETY: the caller's promise.
    let address = unsafe { bytes(at.cast(), length as usize) };
    small(address.and_then(|address| connect_ours(fd, ours, address)).map(|()| 0))
}

fn connect_ours(fd: c_int, ours: Ours, address: &[u8]) -> Result<(), Errno> {
    let is_stream = !ours.what.is_datagram();
    // SAFETY: the program has it open, and does not close it during its own call.
    let pass = is_stream.then(|| unsafe { BorrowedFd::borrow_raw(fd) });
    let asked = ask::exchange(Op::Connect, ours.number, (0, 0), address, pass);
    match asked {
        Ok(_) if is_stream => {
            table::remember(fd, ours.number, What::Stream);
            // To this host itself it takes no time, and yet Linux has it waited for.
            if sys::is_nonblocking(fd) {
                return Err(Errno::EINPROGRESS);
            }
        }
        // It has a peer now, or none any more.
        Ok(_) => table::forget(fd),
        Err(Errno::EINPROGRESS | Errno::EALREADY) if !sys::is_nonblocking(fd) => {
            table::remember(fd, ours.number, What::Stream);
            return await_connection(fd, ours);
        }
        Err(error) => {
            if error == Errno::EINPROGRESS {
                table::remember(fd, ours.number, What::Connecting);
            }
            return Err(error);
        }
    }
    Ok(())
}

/// Waits for the answer, as long as SO_SNDTIMEO allows.
fn await_connection(fd: c_int, ours: Ours) -> Result<(), Errno> {
    match ask::await_connection(ours.number, timeout(fd, libc::SO_SNDTIMEO)) {
        Err(Errno::EAGAIN) => return Err(Errno::EINPROGRESS),
        answer => answer?,
    }
    match pending_error(ours.number) {
        None => Ok(()),
        Some(error) => {
            table::remember(fd, ours.number, What::Idle);
            Err(error)
        }
    }
}

/// SO_SNDTIMEO or SO_RCVTIMEO of the program's end, milliseconds; -1: for ever.
pub(super) fn timeout(fd: c_int, name: c_int) -> c_int {
    let mut time = libc::timeval { tv_sec: 0, tv_usec: 0 };
    let mut length = size_of::<libc::timeval>() as socklen_t;
    // SAFETY: the pointers are those of a `timeval` and of its length.
    unsafe {
        let (at, size) = (&raw mut time, &raw mut length);
        libc::syscall(libc::SYS_getsockopt, fd, libc::SOL_SOCKET, name, at, size);
    }
    let millis = time.tv_sec.saturating_mul(1000).saturating_add((time.tv_usec + 999) / 1000);
    if millis == 0 { -1 } else { c_int::try_from(millis).unwrap_or(c_int::MAX) }
}

/// The error that waits for the program, which has then been told.
pub(super) fn pending_error(number: u64) -> Option<Errno> {
    let room = 4_u32.to_ne_bytes();
    let names = (libc::SOL_SOCKET, libc::SO_ERROR);
    let reply = ask::ask(Op::GetOption, number, names, &room).ok()?;
    let error = reply.first_chunk().map(|it| i32::from_ne_bytes(*it))?;
    (error != 0).then(|| Errno::from_number(error))
}

/// `shutdown(2)`.
pub fn shutdown(fd: c_int, how: c_int) -> c_int {
    if let Some(ours) = find(fd) {
        if !matches!(how, libc::SHUT_RD | libc::SHUT_WR | libc::SHUT_RDWR) {
            return small(Err(Errno::EINVAL));
        }
        let no_peer = |it: Ours| matches!(it.what, What::Idle | What::Datagram);
        let may_have_none = no_peer(ours) || ours.what == What::Connecting;
        if may_have_none && table::look(fd).is_some_and(no_peer) {
            return small(Err(ENOTCONN));
        }
    }
    // SAFETY: takes no pointers.
    small(checked(unsafe { libc::syscall(libc::SYS_shutdown, fd, how) }))
}

/// `close(2)`.
pub fn close(fd: c_int) -> c_int {
    table::forget(fd);
    small(sys::close(fd).map(|()| 0))
}

/// `prctl(2)`, with which a process may restrict itself (`seccomp(2)`).
///
/// # Safety
/// As `prctl(2)`.
pub unsafe fn prctl(option: c_int, a: c_ulong, b: c_ulong, c: c_ulong, d: c_ulong) -> c_int {
    // SAFETY: passed on as it came.
    let done = checked(unsafe { libc::syscall(libc::SYS_prctl, option, a, b, c, d) });
    if option == libc::PR_SET_SECCOMP && done.is_ok() {
        table::restrict();
    }
    small(done)
}

/// `dup(2)`.
pub fn dup(fd: c_int) -> c_int {
    // SAFETY: takes no pointers.
    let made = unsafe { libc::syscall(libc::SYS_dup, fd) };
    table::forget(made as RawFd);
    small(checked(made))
}

/// Takes note of what `fcntl(2)` has answered to a command: it may be a new descriptor.
pub fn after_fcntl(command: c_int, answer: c_int) -> c_int {
    if matches!(command, libc::F_DUPFD | libc::F_DUPFD_CLOEXEC) {
        table::forget(answer);
    }
    answer
}

/// Takes note of what `close_range(2)` has answered: what those descriptors were.
pub fn after_close_range(first: c_uint, last: c_uint, answer: c_int) -> c_int {
    for fd in first..=last.min(table::REMEMBERED as c_uint) {
        table::forget(fd as RawFd);
    }
    answer
}

/// `dup2(2)`.
pub fn dup2(fd: c_int, new: c_int) -> c_int {
    table::forget(new);
    // SAFETY: takes no pointers.
    small(checked(unsafe { libc::syscall(libc::SYS_dup2, fd, new) }))
}

/// `dup3(2)`.
pub fn dup3(fd: c_int, new: c_int, flags: c_int) -> c_int {
    table::forget(new);
    // SAFETY: takes no pointers.
    small(checked(unsafe { libc::syscall(libc::SYS_dup3, fd, new, flags) }))
}

/// `getsockname(2)`.
///
/// # Safety
/// As `getsockname(2)`.
pub unsafe fn getsockname(fd: c_int, at: *mut sockaddr, length: *mut socklen_t) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { name(fd, Op::LocalName, libc::SYS_getsockname, at, length) }
}

/// `getpeername(2)`.
///
/// # Safety
/// As `getpeername(2)`.
pub unsafe fn getpeername(fd: c_int, at: *mut sockaddr, length: *mut socklen_t) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { name(fd, Op::PeerName, libc::SYS_getpeername, at, length) }
}

// SAFETY: what the caller promises is what the call is for.
unsafe fn name(fd: c_int, op: Op, call: i64, at: *mut sockaddr, length: *mut socklen_t) -> c_int {
    let Some(ours) = find(fd) else {
        // SAFETY: passed on as it came.
        return small(checked(unsafe { libc::syscall(call, fd, at, length) }));
    };
    let address = ask::ask(op, ours.number, (0, 0), &[]);
    // SAFETY: the caller's promise.
    small(address.and_then(|it| unsafe { tell(&it, at, length) }).map(|()| 0))
}

/// What a value says of which group is asked for: a `struct group_filter` without sources.
const SAID_MOST: usize = 144;

/// The value that is asked for says of what.
fn says_of_what(level: c_int, name: c_int) -> bool {
    let is_ip = matches!(level, libc::IPPROTO_IP | libc::IPPROTO_IPV6);
    is_ip && matches!(name, IP_MSFILTER | MCAST_MSFILTER)
}

/// `getsockopt(2)`.
///
/// # Safety
/// As `getsockopt(2)`.
pub unsafe fn getsockopt(
    fd: c_int,
    level: c_int,
    name: c_int,
    value: *mut c_void,
    length: *mut socklen_t,
) -> c_int {
    let Some(ours) = find(fd) else {
        // SAFETY: passed on as it came.
        return small(checked(unsafe {
            libc::syscall(libc::SYS_getsockopt, fd, level, name, value, length)
        }));
    };
    // SAFETY: the caller's promise.
    let asked = unsafe { load(length) }.and_then(|room| {
        i32::try_from(room).map_err(|_| Errno::EINVAL)?;
        let said = if says_of_what(level, name) { SAID_MOST.min(room as usize) } else { 0 };
        // SAFETY: the caller says that so much is there.
        let said = unsafe { bytes(value, said) }?;
        let question = [&room.to_ne_bytes()[..], said].concat();
        let found = ask::ask(Op::GetOption, ours.number, (level, name), &question);
        found.map(|found| (found, room as usize))
    });
    let asked = asked.inspect_err(|error| unknown_option(*error, "getsockopt", level, name));
    small(asked.map(|(found, room)| {
        let most = found.len().min(room);
        // SAFETY: the caller says that there is so much room.
        unsafe {
            std::ptr::copy_nonoverlapping(found.as_ptr(), value.cast(), most);
            store(length, most as socklen_t);
        }
        0
    }))
}

/// `setsockopt(2)`.
///
/// # Safety
/// As `setsockopt(2)`.
pub unsafe fn setsockopt(
    fd: c_int,
    level: c_int,
    name: c_int,
    value: *const c_void,
    length: socklen_t,
) -> c_int {
    let kernel = || {
        // SAFETY: passed on as it came.
        checked(unsafe { libc::syscall(libc::SYS_setsockopt, fd, level, name, value, length) })
    };
    let Some(ours) = find(fd) else { return small(kernel()) };
    // What is longer says no more to anybody.
    let most = (length as usize).min(VALUE_MAX);
    // SAFETY: the caller's promise.
    let given = unsafe { bytes(value, most) };
    let set = given.and_then(|it| ask::ask(Op::SetOption, ours.number, (level, name), it));
    let is_time =
        level == libc::SOL_SOCKET && matches!(name, libc::SO_RCVTIMEO | libc::SO_SNDTIMEO);
    // While it is being connected its end is full, and stays so.
    let is_room = (level, name) == (libc::SOL_SOCKET, libc::SO_SNDBUF)
        && matches!(ours.what, What::Idle | What::Stream);
    if set.is_ok() && (is_time || is_room) {
        // It is the kernel in which the program waits.
        return small(kernel());
    }
    let asks = matches!((level, name), IPV4_ERRORS | IPV6_ERRORS);
    if set.is_ok() && asks && !ours.what.is_datagram() {
        heard::listen();
    }
    small(set.map(|_| 0).inspect_err(|error| unknown_option(*error, "setsockopt", level, name)))
}

fn unknown_option(error: Errno, call: &str, level: c_int, name: c_int) {
    if error == Errno::ENOPROTOOPT {
        unsupported::say(|| format!("{call}: level {level}, option {name}"));
    }
}

/// What asks a socket for interfaces, addresses and routes (netdevice(7)): the kernel would tell
/// of its own.
const ABOUT_INTERFACES: RangeInclusive<c_ulong> = 0x890b..=0x89ff;

/// `ioctl(2)`, of which only FIONREAD of datagrams and of listeners is special, and what is
/// about interfaces is ENOTTY.
///
/// # Safety
/// As `ioctl(2)`.
pub unsafe fn ioctl(fd: c_int, request: c_ulong, argument: *mut c_void) -> c_int {
    if request == libc::FIONREAD
        && let Some(ours) = find(fd)
        && (ours.what.is_datagram() || ours.what == What::Listener)
    {
        if ours.what == What::Listener {
            return small(Err(Errno::EINVAL));
        }
        let flags = libc::MSG_PEEK | libc::MSG_TRUNC | libc::MSG_DONTWAIT;
        let length = channel::recv(fd, &mut [0; 1], flags).map_or(0, |(length, _)| length);
        let length = length.saturating_sub(DATAGRAM_HEADER);
        // SAFETY: FIONREAD's argument is the address of an int.
        unsafe { store(argument.cast::<c_int>(), length as c_int) };
        return 0;
    }
    if ABOUT_INTERFACES.contains(&request) && find(fd).is_some() {
        unsupported::say(|| format!("ioctl: request {request:#x}"));
        return small(Err(Errno::from_number(libc::ENOTTY)));
    }
    // SAFETY: passed on as it came.
    small(checked(unsafe { libc::syscall(libc::SYS_ioctl, fd, request, argument) }))
}
