//! `gethostbyname(3)` and its family: the calls before getaddrinfo.

use std::cell::UnsafeCell;
use std::ffi::{c_char, c_int, c_void};
use std::net::IpAddr;
use std::ptr::null_mut;

use libc::{hostent, size_t, socklen_t};

use super::memory::bytes;
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
    // SAFETY: the caller's promise.
    unsafe { stored(|place| find_name(name, family, place)) }
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
    unsafe { answer(find_name(name, family, Place { host, buffer, room }), host, result, error) }
}

/// `gethostbyaddr(3)`: of addresses only the loopback's have a name. What it returns is valid until
/// this thread's next call.
///
/// # Safety
/// As `gethostbyaddr(3)`.
pub unsafe fn gethostbyaddr(at: *const c_void, length: socklen_t, family: c_int) -> *mut hostent {
    // SAFETY: the caller's promise.
    unsafe { stored(|place| find_address(at, length, family, place)) }
}

/// `gethostbyaddr_r(3)`, as [`gethostbyaddr`].
///
/// # Safety
/// As `gethostbyaddr_r(3)`.
#[expect(clippy::too_many_arguments, reason = "the C library's function has them")]
pub unsafe fn gethostbyaddr_r(
    at: *const c_void,
    length: socklen_t,
    family: c_int,
    host: *mut hostent,
    buffer: *mut c_char,
    room: size_t,
    result: *mut *mut hostent,
    error: *mut c_int,
) -> c_int {
    // SAFETY: the caller's promise.
    unsafe {
        let found = find_address(at, length, family, Place { host, buffer, room });
        answer(found, host, result, error)
    }
}

/// Where a host is to be described.
struct Place {
    host: *mut hostent,
    buffer: *mut c_char,
    room: usize,
}

/// What a call with `_r` returns, and stores: a value of `h_errno` too, which glibc also sets.
// SAFETY: the caller passes room for the two results.
unsafe fn answer(
    found: Result<(), c_int>,
    host: *mut hostent,
    result: *mut *mut hostent,
    error: *mut c_int,
) -> c_int {
    let code = found.err().unwrap_or(0);
    // SAFETY: the caller's promise, and the address of this thread's own variable.
    unsafe {
        result.write(if code == 0 { host } else { null_mut() });
        error.write(code);
        __h_errno_location().write(code);
    }
    if code == NETDB_INTERNAL { libc::ERANGE } else { 0 }
}

/// What a call without `_r` returns: this thread's own place, if `find` has described a host there.
fn stored(find: impl FnOnce(Place) -> Result<(), c_int>) -> *mut hostent {
    STORAGE.with(|it| {
        let (host, buffer) = (it.host.get(), it.buffer.get().cast());
        let code = find(Place { host, buffer, room: ROOM }).err().unwrap_or(0);
        // SAFETY: the address is that of this thread's own variable.
        unsafe { __h_errno_location().write(code) };
        if code == 0 { host } else { null_mut() }
    })
}

// SAFETY: `name` is null or a C string, and the place is as large as it says.
unsafe fn find_name(name: *const c_char, family: c_int, place: Place) -> Result<(), c_int> {
    // SAFETY: the caller's promise.
    let name = unsafe { text(name) }.unwrap_or_default();
    let all = of_family(&name, family).map_err(|code| match code {
        libc::EAI_AGAIN => TRY_AGAIN,
        _ => HOST_NOT_FOUND,
    })?;
    // SAFETY: the caller's promise.
    unsafe { fill(&place, &name, &all) }
}

// SAFETY: so many bytes are at `at`, and the place is as large as it says.
unsafe fn find_address(
    at: *const c_void,
    length: socklen_t,
    family: c_int,
    place: Place,
) -> Result<(), c_int> {
    // SAFETY: the caller's promise.
    let octets = unsafe { bytes(at, length as usize) }.unwrap_or_default();
    let address = match family {
        libc::AF_INET => <[u8; 4]>::try_from(octets).map(IpAddr::from),
        _ => <[u8; 16]>::try_from(octets).map(IpAddr::from),
    };
    let address = address.ok().filter(IpAddr::is_loopback).ok_or(HOST_NOT_FOUND)?;
    // SAFETY: the caller's promise.
    unsafe { fill(&place, "localhost", &[address]) }
}

/// Describes a host with these addresses, which are of one family: the list of pointers to them,
/// whose end is also the empty list of aliases, the addresses and the name.
// SAFETY: the place is as large as it says.
unsafe fn fill(place: &Place, name: &str, all: &[IpAddr]) -> Result<(), c_int> {
    let &Place { host, buffer, room } = place;
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
        return Err(NETDB_INTERNAL);
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
    Ok(())
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
        // SAFETY: an address of four bytes; what is returned is read before the next.
        unsafe {
            let host = &*gethostbyaddr([127_u8, 0, 0, 1].as_ptr().cast(), 4, libc::AF_INET);
            assert_eq!(CStr::from_ptr(host.h_name), c"localhost");
            assert!(gethostbyaddr([192_u8, 0, 2, 1].as_ptr().cast(), 4, libc::AF_INET).is_null());
        }
        let (mut buffer, all) = ([0; 64], ["192.0.2.7".parse().unwrap()]);
        let mut host = std::mem::MaybeUninit::uninit();
        for (room, expected) in [(32, Ok(())), (16, Err(NETDB_INTERNAL))] {
            let place = Place { host: host.as_mut_ptr(), buffer: buffer.as_mut_ptr(), room };
            // SAFETY: the buffer has so much room.
            assert_eq!(unsafe { fill(&place, "web", &all) }, expected, "{room}");
        }
    }
}
