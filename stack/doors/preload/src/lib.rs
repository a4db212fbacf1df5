//! `libtapstack_preload.so`: libc's names for the calls that [`doors::client`] answers. `tapstack
//! run` preloads it. What is not here is the kernel's, and right for our descriptors as it is.

use std::ffi::{c_char, c_int, c_uint, c_ulong, c_void};

use doors::client::{calls, names, transfer};
use libc::{addrinfo, iovec, mmsghdr, msghdr, size_t, sockaddr, socklen_t, ssize_t, timespec};

doors::exports! {
    socket = calls::socket(domain: c_int, kind: c_int, protocol: c_int) -> c_int;
    bind = calls::bind(fd: c_int, at: *const sockaddr, length: socklen_t) -> c_int;
    listen = calls::listen(fd: c_int, backlog: c_int) -> c_int;
    accept4 = calls::accept4(fd: c_int, at: *mut sockaddr, length: *mut socklen_t, flags: c_int)
        -> c_int;
    accept = accept_plain(fd: c_int, at: *mut sockaddr, length: *mut socklen_t) -> c_int;
    connect = calls::connect(fd: c_int, at: *const sockaddr, length: socklen_t) -> c_int;
    shutdown = calls::shutdown(fd: c_int, how: c_int) -> c_int;
    close = calls::close(fd: c_int) -> c_int;
    dup2 = calls::dup2(fd: c_int, new: c_int) -> c_int;
    dup3 = calls::dup3(fd: c_int, new: c_int, flags: c_int) -> c_int;
    getsockname = calls::getsockname(fd: c_int, at: *mut sockaddr, length: *mut socklen_t) -> c_int;
    getpeername = calls::getpeername(fd: c_int, at: *mut sockaddr, length: *mut socklen_t) -> c_int;
    getsockopt = calls::getsockopt(
        fd: c_int, level: c_int, name: c_int, value: *mut c_void, length: *mut socklen_t
    ) -> c_int;
    setsockopt = calls::setsockopt(
        fd: c_int, level: c_int, name: c_int, value: *const c_void, length: socklen_t
    ) -> c_int;
    ioctl = calls::ioctl(fd: c_int, request: c_ulong, argument: *mut c_void) -> c_int;
    read = transfer::read(fd: c_int, at: *mut c_void, length: size_t) -> ssize_t;
    readv = transfer::readv(fd: c_int, parts: *const iovec, count: c_int) -> ssize_t;
    recv = transfer::recv(fd: c_int, at: *mut c_void, length: size_t, flags: c_int) -> ssize_t;
    recvfrom = transfer::recvfrom(
        fd: c_int, at: *mut c_void, length: size_t, flags: c_int, from: *mut sockaddr,
        from_length: *mut socklen_t
    ) -> ssize_t;
    recvmsg = transfer::recvmsg(fd: c_int, message: *mut msghdr, flags: c_int) -> ssize_t;
    recvmmsg = transfer::recvmmsg(
        fd: c_int, messages: *mut mmsghdr, count: c_uint, flags: c_int, timeout: *mut timespec
    ) -> c_int;
    write = transfer::write(fd: c_int, at: *const c_void, length: size_t) -> ssize_t;
    writev = transfer::writev(fd: c_int, parts: *const iovec, count: c_int) -> ssize_t;
    send = transfer::send(fd: c_int, at: *const c_void, length: size_t, flags: c_int) -> ssize_t;
    sendto = transfer::sendto(
        fd: c_int, at: *const c_void, length: size_t, flags: c_int, to: *const sockaddr,
        to_length: socklen_t
    ) -> ssize_t;
    sendmsg = transfer::sendmsg(fd: c_int, message: *const msghdr, flags: c_int) -> ssize_t;
    sendmmsg = transfer::sendmmsg(
        fd: c_int, messages: *mut mmsghdr, count: c_uint, flags: c_int
    ) -> c_int;
    getaddrinfo = names::getaddrinfo(
        node: *const c_char, service: *const c_char, hints: *const addrinfo,
        result: *mut *mut addrinfo
    ) -> c_int;
    __read_chk = checked_read(fd: c_int, at: *mut c_void, length: size_t, room: size_t) -> ssize_t;
    __recv_chk = checked_recv(
        fd: c_int, at: *mut c_void, length: size_t, room: size_t, flags: c_int
    ) -> ssize_t;
    __recvfrom_chk = checked_recvfrom(
        fd: c_int, at: *mut c_void, length: size_t, room: size_t, flags: c_int,
        from: *mut sockaddr, from_length: *mut socklen_t
    ) -> ssize_t;
}

// SAFETY: what the caller promises is what the call is for.
unsafe fn accept_plain(fd: c_int, at: *mut sockaddr, length: *mut socklen_t) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { calls::accept4(fd, at, length, 0) }
}

/// The C library's fortified calls end a program that reads more than its buffer holds.
fn fortify(length: size_t, room: size_t) {
    if length > room {
        // SAFETY: takes no pointers, and does not return.
        unsafe { libc::abort() }
    }
}

// SAFETY: what the caller promises is what the call is for.
unsafe fn checked_read(fd: c_int, at: *mut c_void, length: size_t, room: size_t) -> ssize_t {
    fortify(length, room);
    // SAFETY: the caller's promise.
    unsafe { transfer::read(fd, at, length) }
}

// SAFETY: what the caller promises is what the call is for.
unsafe fn checked_recv(
    fd: c_int,
    at: *mut c_void,
    length: size_t,
    room: size_t,
    flags: c_int,
) -> ssize_t {
    fortify(length, room);
    // SAFETY: the caller's promise.
    unsafe { transfer::recv(fd, at, length, flags) }
}

// SAFETY: what the caller promises is what the call is for.
unsafe fn checked_recvfrom(
    fd: c_int,
    at: *mut c_void,
    length: size_t,
    room: size_t,
    flags: c_int,
    from: *mut sockaddr,
    from_length: *mut socklen_t,
) -> ssize_t {
    fortify(length, room);
    // SAFETY: the caller's promise.
    unsafe { transfer::recvfrom(fd, at, length, flags, from, from_length) }
}
