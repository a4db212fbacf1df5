//! `gethostbyname(3)` and its family: the calls before getaddrinfo.

use std::cell::UnsafeCell;
use std::ffi::{c_char, c_int, c_void};
use std::net::IpAddr;
use std::ptr::null_mut;

use libc::{hostent, size_t, socklen_t};

use super::names::{of_family, text};

/// Values of `h_errno`.
const HOST_NOT_FOUND: c_int = 1;
const TRY_AGAIN: c_int = 2;
const NETDB_INTERNAL: c_int = -1;

/// Room for what the calls without `_r` return: 16 addresses and the longest name.
const ROOM: usize = 2048;

/// What those calls return a pointer to, one for each thread.
struct Storage {
    host: UnsafeCell<hostent>,
    buffer: UnsafeCell<[c_char; ROOM]>,
}

thread_local! {
    static STORAGE: Storage = const {
        Storage {
            host: UnsafeCell::new(hostent {
                h_name: null_mut(),
                h_aliases: null_mut(),
                h_addrtype: 0,
                h_length: 0,
                h_addr_list: null_mut(),
            }),
            buffer: UnsafeCell::new([0; ROOM]),
        }
    };
}

// SAFETY: glibc's function, which takes nothing.
unsafe extern "C" {
    /// The address of the calling thread's `h_errno`.
    safe fn __h_errno_location() -> *mut c_int;
}

/// `gethostbyname(3)`. What it returns is valid until this thread's next call.
///
/// # Safety
/// As `gethostbyname(3)`.
pub unsafe fn gethostbyname(name: *const c_char) -> *mut hostent {
    // SAFETY: the caller's promise.
    unsafe { gethostbyname2(name, libc::AF_INET) }
}

/// `gethostbyname2(3)`. What it returns is valid until this thread's next call.
///
/// # Safety
/// As `gethostbyname2(3)`.
pub unsafe fn gethostbyname2(name: *const c_char, family: c_int) -> *mut hostent {
    let mut found = null_mut();
    STORAGE.with(|it| {
        let (host, buffer) = (it.host.get(), it.buffer.get().cast());
        // SAFETY: the storage is this thread's own; the rest is the caller's promise.
        unsafe {
            let (result, error) = (&raw mut found, __h_errno_location());
            gethostbyname2_r(name, family, host, buffer, ROOM, result, error);
        }
    });
    found
}

/// `gethostbyname_r(3)`.
///
/// # Safety
/// As `gethostbyname_r(3)`.
pub unsafe fn gethostbyname_r(
    name: *const c_char,
    host: *mut hostent,
    buffer: *mut c_char,
    room: size_t,
    result: *mut *mut hostent,
    error: *mut c_int,
) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { gethostbyname2_r(name, libc::AF_INET, host, buffer, room, result, error) }
}

/// `gethostbyname2_r(3)`.
///
/// # Safety
/// As `gethostbyname2_r(3)`.
pub unsafe fn gethostbyname2_r(
    name: *const c_char,
    family: c_int,
    host: *mut hostent,
    buffer: *mut c_char,
    room: size_t,
    result: *mut *mut hostent,
    error: *mut c_int,
) -> c_int {
    // SAFETY: the caller's promise.
    let name = unsafe { text(name) }.unwrap_or_default();
    let (answer, found, code) = match of_family(&name, family) {
        // SAFETY: the caller says how much room there is.
        Ok(all) if unsafe { fill(host, buffer, room, &name, &all) } => (0, host, 0),
        Ok(_) => (libc::ERANGE, null_mut(), NETDB_INTERNAL),
        Err(libc::EAI_AGAIN) => (0, null_mut(), TRY_AGAIN),
        Err(_) => (0, null_mut(), HOST_NOT_FOUND),
    };
    // SAFETY: the caller passes room for both.
    unsafe {
        result.write(found);
        error.write(code);
    }
    answer
}

/// `gethostbyaddr(3)`: names of addresses are not looked up, so none is found.
pub fn gethostbyaddr(_at: *const c_void, _length: socklen_t, _family: c_int) -> *mut hostent {
    // SAFETY: the address is that of this thread's own variable.
    unsafe { __h_errno_location().write(HOST_NOT_FOUND) };
    null_mut()
}

/// `gethostbyaddr_r(3)`, as [`gethostbyaddr`].
///
/// # Safety
/// As `gethostbyaddr_r(3)`.
#[expect(clippy::too_many_arguments, reason = "the C library's function has them")]
pub unsafe fn gethostbyaddr_r(
    _at: *const c_void,
    _length: socklen_t,
    _family: c_int,
    _host: *mut hostent,
    _buffer: *mut c_char,
    _room: size_t,
    result: *mut *mut hostent,
    error: *mut c_int,
) -> c_int {
    // SAFETY: the caller passes room for both.
    unsafe {
        result.write(null_mut());
        error.write(HOST_NOT_FOUND);
    }
    0
}

/// Describes a host with these addresses, which are of one family: the list of pointers to them,
/// whose end is also the empty list of aliases, the addresses and the name. False if there is too
/// little room.
// SAFETY: the caller says that there is so much room.
unsafe fn fill(
    host: *mut hostent,
    buffer: *mut c_char,
    room: usize,
    name: &str,
    all: &[IpAddr],
) -> bool {
    let octets: Vec<Vec<u8>> = all
        .iter()
        .map(|ip| match ip {
            IpAddr::V4(v4) => v4.octets().to_vec(),
            IpAddr::V6(v6) => v6.octets().to_vec(),
        })
        .collect();
    let length = octets.first().map_or(0, Vec::len);
    let padding = buffer.align_offset(align_of::<*mut c_char>());
    let pointers = (all.len() + 1) * size_of::<*mut c_char>();
    let needed = padding + pointers + all.len() * length + name.len() + 1;
    if room < needed {
        return false;
    }
    // SAFETY: all of it lies within what is needed, and there is so much room.
    unsafe {
        let list = buffer.add(padding).cast::<*mut c_char>();
        let mut at = buffer.add(padding + pointers);
        for (index, octets) in octets.iter().enumerate() {
            list.add(index).write(at);
            std::ptr::copy_nonoverlapping(octets.as_ptr(), at.cast(), length);
            at = at.add(length);
        }
        list.add(all.len()).write(null_mut());
        std::ptr::copy_nonoverlapping(name.as_ptr(), at.cast(), name.len());
        at.add(name.len()).write(0);
        host.write(hostent {
            h_name: at,
            h_aliases: list.add(all.len()),
            h_addrtype: if length == 16 { libc::AF_INET6 } else { libc::AF_INET },
            h_length: length as c_int,
            h_addr_list: list,
        });
    }
    true
}

#[cfg(test)]
mod tests {
    use std::ffi::CStr;

    use super::*;

    #[test]
    fn a_host_lies_in_the_callers_room() {
        // SAFETY: literal addresses in C strings, and what is returned is read before the next.
        unsafe {
            let host = &*gethostbyname2(c"2001:db8::7".as_ptr(), libc::AF_INET6);
            assert_eq!((host.h_addrtype, host.h_length), (libc::AF_INET6, 16));
            let host = &*gethostbyname(c"192.0.2.7".as_ptr());
            assert_eq!((host.h_addrtype, host.h_length), (libc::AF_INET, 4));
            assert_eq!((*host.h_addr_list).cast::<[u8; 4]>().read(), [192, 0, 2, 7]);
            assert!((*host.h_addr_list.add(1)).is_null() && (*host.h_aliases).is_null());
            assert_eq!(CStr::from_ptr(host.h_name), c"192.0.2.7");
            assert!(gethostbyname(c"2001:db8::7".as_ptr()).is_null());
            assert_eq!(*__h_errno_location(), HOST_NOT_FOUND);
        }
        let (mut buffer, all) = ([0; 64], ["192.0.2.7".parse().unwrap()]);
        let mut host = std::mem::MaybeUninit::uninit();
        for (room, fits) in [(32, true), (16, false)] {
            // SAFETY: the buffer has so much room.
            let filled = unsafe { fill(host.as_mut_ptr(), buffer.as_mut_ptr(), room, "web", &all) };
            assert_eq!(filled, fits, "{room}");
        }
    }
}
