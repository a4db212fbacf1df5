//! Interfaces by name and number: the stack's, which the server knows. The kernel has others, with
//! numbers of its own.

use std::ffi::{CString, c_char, c_uint};

use libc::if_nameindex as Entry;
use stack::host::Errno;

use super::ask;
use super::names::text;
use crate::protocol::{Op, interfaces_from_bytes};
use crate::sys::set_errno;

const ENXIO: Errno = Errno::from_number(libc::ENXIO);
const ENOBUFS: Errno = Errno::from_number(libc::ENOBUFS);

/// All of them.
fn all() -> Result<Vec<(u32, String)>, Errno> {
    ask::ask(Op::Interfaces, 0, (0, 0), &[]).map(|reply| interfaces_from_bytes(&reply))
}

/// The number of the one that is called so.
pub(super) fn number(name: &str) -> Result<u32, Errno> {
    let named = all()?.into_iter().find(|it| it.1 == name);
    named.map(|it| it.0).ok_or(Errno::ENODEV)
}

/// What the one with this number is called.
pub(super) fn name(number: u32) -> Result<String, Errno> {
    let numbered = all()?.into_iter().find(|it| it.0 == number);
    numbered.map(|it| it.1).ok_or(ENXIO)
}

/// `if_nametoindex(3)`.
///
/// # Safety
/// As `if_nametoindex(3)`.
pub unsafe fn if_nametoindex(called: *const c_char) -> c_uint {
    // SAFETY: the caller's promise.
    let called = unsafe { text(called) }.unwrap_or_default();
    number(&called).unwrap_or_else(|error| {
        set_errno(error);
        0
    })
}

/// `if_indextoname(3)`.
///
/// # Safety
/// As `if_indextoname(3)`.
pub unsafe fn if_indextoname(number: c_uint, at: *mut c_char) -> *mut c_char {
    let name = name(number).and_then(|name| CString::new(name).map_err(|_| ENXIO));
    match name {
        Ok(name) => {
            let bytes = name.as_bytes_with_nul();
            // SAFETY: the caller has room for the longest name, and no other is the server's.
            unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr().cast(), at, bytes.len()) };
            at
        }
        Err(error) => {
            set_errno(error);
            std::ptr::null_mut()
        }
    }
}

/// `if_nameindex(3)`. What it returns is freed by `if_freenameindex`, the C library's too.
pub fn if_nameindex() -> *mut Entry {
    all().and_then(|all| list(&all)).unwrap_or_else(|error| {
        set_errno(error);
        std::ptr::null_mut()
    })
}

/// The list in the C library's memory; its end has no name.
fn list(all: &[(u32, String)]) -> Result<*mut Entry, Errno> {
    // SAFETY: takes no pointers; the memory that it returns is new, and all zeros.
    let list = unsafe { libc::calloc(all.len() + 1, size_of::<Entry>()) }.cast::<Entry>();
    if list.is_null() {
        return Err(ENOBUFS);
    }
    for (at, (number, name)) in all.iter().enumerate() {
        let name = CString::new(name.as_str()).unwrap_or_default();
        // SAFETY: there is room for so many entries; the name is a C string.
        unsafe {
            let copy = libc::strdup(name.as_ptr());
            if copy.is_null() {
                libc::if_freenameindex(list);
                return Err(ENOBUFS);
            }
            list.add(at).write(Entry { if_index: *number, if_name: copy });
        }
    }
    Ok(list)
}

#[cfg(test)]
mod tests {
    use std::ffi::CStr;

    use super::*;

    #[test]
    fn a_list_is_freed_by_the_c_library() {
        let list = list(&[(1, "tap0".to_owned()), (2, "lan".to_owned())]).unwrap();
        // SAFETY: the list has two entries and its end, and is freed once.
        unsafe {
            let (second, end) = (&*list.add(1), &*list.add(2));
            assert_eq!((second.if_index, CStr::from_ptr(second.if_name)), (2, c"lan"));
            assert!(end.if_index == 0 && end.if_name.is_null());
            libc::if_freenameindex(list);
        }
    }
}
