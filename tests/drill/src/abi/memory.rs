//! What a C caller points to: its bytes and room as slices, its structures as values.

use std::ffi::{c_int, c_void};
use std::slice;

use libc::{iovec, sockaddr, socklen_t};
use stack::host::Errno;

use crate::address::{self, Given};

pub(super) const EFAULT: Errno = Errno::from_number(libc::EFAULT);

/// Most elements of an array of buffers: Linux's UIO_MAXIOV.
const IOV_MAX: usize = 1024;

/// A caller's bytes to read. Null with a length is EFAULT.
pub(super) fn bytes<'a>(at: *const c_void, length: usize) -> Result<&'a [u8], Errno> {
    match (at.is_null(), length) {
        (_, 0) => Ok(&[]),
        (true, _) => Err(EFAULT),
        // SAFETY: not null, and the caller of a libc function says how much is readable there.
        (false, _) => Ok(unsafe { slice::from_raw_parts(at.cast(), length) }),
    }
}

/// A caller's room to write. Null with a length is EFAULT.
pub(super) fn room<'a>(at: *mut c_void, length: usize) -> Result<&'a mut [u8], Errno> {
    match (at.is_null(), length) {
        (_, 0) => Ok(&mut []),
        (true, _) => Err(EFAULT),
        // SAFETY: not null, and the caller of a libc function says how much is writable there; no
        // call hands the same room in twice.
        (false, _) => Ok(unsafe { slice::from_raw_parts_mut(at.cast(), length) }),
    }
}

/// Stores `value` where the caller wants it, if it does.
pub(super) fn store<T>(at: *mut T, value: T) {
    if !at.is_null() {
        // SAFETY: not null, and the caller of a libc function passes the address of a `T`.
        unsafe { at.write_unaligned(value) }
    }
}

/// What stands where the caller points.
pub(super) fn load<T: Copy>(at: *const T) -> Result<T, Errno> {
    if at.is_null() {
        return Err(EFAULT);
    }
    // SAFETY: not null, and the caller of a libc function passes the address of a `T`.
    Ok(unsafe { at.read_unaligned() })
}

pub(super) fn buffers<'a>(at: *const iovec, count: usize) -> Result<&'a [iovec], Errno> {
    match (at.is_null(), count) {
        (_, 0) => Ok(&[]),
        (true, _) => Err(EFAULT),
        (false, _) if count > IOV_MAX => Err(Errno::EINVAL),
        // SAFETY: not null, and the caller says how many there are.
        (false, _) => Ok(unsafe { slice::from_raw_parts(at, count) }),
    }
}

pub(super) fn count(number: c_int) -> Result<usize, Errno> {
    usize::try_from(number).map_err(|_| Errno::EINVAL)
}

/// The bytes of all buffers, one after the other.
pub(super) fn gather(buffers: &[iovec]) -> Result<Vec<u8>, Errno> {
    let mut all = Vec::new();
    for buffer in buffers {
        all.extend_from_slice(bytes(buffer.iov_base, buffer.iov_len)?);
    }
    Ok(all)
}

pub(super) fn total(buffers: &[iovec]) -> usize {
    buffers.iter().map(|buffer| buffer.iov_len).sum()
}

/// Spreads bytes over the buffers.
pub(super) fn scatter(mut text: &[u8], buffers: &[iovec]) -> Result<(), Errno> {
    for buffer in buffers {
        let (piece, rest) = text.split_at(text.len().min(buffer.iov_len));
        room(buffer.iov_base, piece.len())?.copy_from_slice(piece);
        text = rest;
    }
    Ok(())
}

pub(super) fn given(at: *const sockaddr, length: socklen_t) -> Result<Given, Errno> {
    address::read(bytes(at.cast(), length as usize)?)
}

/// Tells an address, cut to the caller's room, with its whole length.
pub(super) fn tell(address: &[u8], at: *mut sockaddr, length: *mut socklen_t) -> Result<(), Errno> {
    if at.is_null() || length.is_null() {
        return Ok(());
    }
    let most = (load(length)? as usize).min(address.len());
    room(at.cast(), most)?.copy_from_slice(&address[..most]);
    store(length, address.len() as socklen_t);
    Ok(())
}
