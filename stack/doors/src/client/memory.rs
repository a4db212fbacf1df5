//! What C's pointers point to.

use std::ffi::c_void;
use std::slice;

use libc::{sockaddr, socklen_t};
use stack::host::Errno;

pub(super) const EFAULT: Errno = Errno::from_number(libc::EFAULT);

/// A caller's bytes to read. Null with a length is EFAULT.
///
/// # Safety
/// `at` is null, or so many bytes are readable there as long as the answer is used.
pub(super) unsafe fn bytes<'a>(at: *const c_void, length: usize) -> Result<&'a [u8], Errno> {
    match (at.is_null(), length) {
        (_, 0) => Ok(&[]),
        (true, _) => Err(EFAULT),
        // SAFETY: not null; the rest is the caller's promise.
        (false, _) => Ok(unsafe { slice::from_raw_parts(at.cast(), length) }),
    }
}

/// Stores `value` where the caller wants it, if it does.
///
/// # Safety
/// `at` is null, or a `T` may be written there.
pub(super) unsafe fn store<T>(at: *mut T, value: T) {
    if !at.is_null() {
        // SAFETY: not null; the rest is the caller's promise.
        unsafe { at.write_unaligned(value) }
    }
}

/// What stands where the caller points.
///
/// # Safety
/// `at` is null, or a `T` may be read there.
pub(super) unsafe fn load<T: Copy>(at: *const T) -> Result<T, Errno> {
    if at.is_null() {
        return Err(EFAULT);
    }
    // SAFETY: not null; the rest is the caller's promise.
    Ok(unsafe { at.read_unaligned() })
}

/// Tells an address, cut to the caller's room, with its whole length.
///
/// # Safety
/// `length` is null or the address of a length, of which `at` has room.
pub(super) unsafe fn tell(
    address: &[u8],
    at: *mut sockaddr,
    length: *mut socklen_t,
) -> Result<(), Errno> {
    if at.is_null() {
        return Ok(());
    }
    // SAFETY: the caller's promise; the copy is no longer than the room and the address.
    unsafe {
        let room = i32::try_from(load(length)?).map_err(|_| Errno::EINVAL)?;
        let most = (room as usize).min(address.len());
        std::ptr::copy_nonoverlapping(address.as_ptr(), at.cast(), most);
        store(length, address.len() as socklen_t);
    }
    Ok(())
}
