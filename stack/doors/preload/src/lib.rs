//! `libtapstack_preload.so`: libc's names for the calls that [`doors::client`] answers. `tapstack
//! run` preloads it. What is not here is the kernel's, and right for our descriptors as it is.

pub mod forward;

use std::ffi::{c_int, c_ulong, c_void};

use doors::client::{calls, transfer};
use libc::{size_t, sockaddr, socklen_t, ssize_t};

doors::export_calls!("");

doors::export! { "":
    prctl = calls::prctl(
        option: c_int, a: c_ulong, b: c_ulong, c: c_ulong, d: c_ulong
    ) -> c_int;
    sendfile64 = transfer::sendfile(
        out: c_int, from: c_int, offset: *mut i64, count: size_t
    ) -> ssize_t;
    __read_chk = checked_read(fd: c_int, at: *mut c_void, length: size_t, room: size_t) -> ssize_t;
    __recv_chk = checked_recv(
        fd: c_int, at: *mut c_void, length: size_t, room: size_t, flags: c_int
    ) -> ssize_t;
    __recvfrom_chk = checked_recvfrom(
        fd: c_int, at: *mut c_void, length: size_t, room: size_t, flags: c_int,
        from: *mut sockaddr, from_length: *mut socklen_t
    ) -> ssize_t;
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
