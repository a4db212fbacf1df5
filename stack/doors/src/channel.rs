//! Messages over a Unix socket, with which a descriptor may be passed.

use std::ffi::c_int;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use stack::host::Errno;

use crate::sys;

/// Room for the control message of one descriptor, aligned as the kernel wants it.
#[repr(align(8))]
struct Control([u8; 32]);

const DESCRIPTOR: u32 = size_of::<c_int>() as u32;

/// Sends `bytes`, and a descriptor if there is one.
///
/// # Errors
/// Those of `sendmsg(2)`.
pub fn send(
    to: BorrowedFd<'_>,
    bytes: &[u8],
    pass: Option<BorrowedFd<'_>>,
    flags: c_int,
) -> Result<usize, Errno> {
    let mut bytes = bytes.to_vec();
    let mut parts = [sys::part(&mut bytes)];
    let mut message = sys::message(&mut parts);
    let mut control = Control([0; 32]);
    if let Some(fd) = pass {
        message.msg_control = control.0.as_mut_ptr().cast();
        // SAFETY: the space for one descriptor is within `control`, where the first header lies.
        unsafe {
            message.msg_controllen = libc::CMSG_SPACE(DESCRIPTOR) as usize;
            let header = libc::CMSG_FIRSTHDR(&raw const message);
            (*header).cmsg_level = libc::SOL_SOCKET;
            (*header).cmsg_type = libc::SCM_RIGHTS;
            (*header).cmsg_len = libc::CMSG_LEN(DESCRIPTOR) as usize;
            libc::CMSG_DATA(header).cast::<c_int>().write_unaligned(fd.as_raw_fd());
        }
    }
    // SAFETY: the message's parts live until the call returns.
    unsafe { sys::sendmsg(to.as_raw_fd(), &raw const message, flags | libc::MSG_NOSIGNAL) }
}

/// Receives up to `out.len()` bytes, and a descriptor if there is one.
///
/// # Errors
/// Those of `recvmsg(2)`.
pub fn recv(from: RawFd, out: &mut [u8], flags: c_int) -> Result<(usize, Option<OwnedFd>), Errno> {
    let mut parts = [sys::part(out)];
    let mut message = sys::message(&mut parts);
    let mut control = Control([0; 32]);
    message.msg_control = control.0.as_mut_ptr().cast();
    message.msg_controllen = control.0.len();
    // SAFETY: the message's parts live until the call returns.
    let length = unsafe { sys::recvmsg(from, &raw mut message, flags) }?;
    // SAFETY: the kernel has filled in the headers that it says are there; a descriptor in one is
    // new, and ours.
    let passed = unsafe {
        let header = libc::CMSG_FIRSTHDR(&raw const message);
        let is_one = !header.is_null() && (*header).cmsg_type == libc::SCM_RIGHTS;
        is_one
            .then(|| OwnedFd::from_raw_fd(libc::CMSG_DATA(header).cast::<c_int>().read_unaligned()))
    };
    Ok((length, passed))
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn a_descriptor_goes_along() {
        let [left, right] = sys::pair(libc::SOCK_SEQPACKET).unwrap();
        let [near, far] = sys::pair(libc::SOCK_STREAM).unwrap();
        let number = sys::socket_number(far.as_raw_fd());
        send(left.as_fd(), b"one", Some(far.as_fd()), 0).unwrap();
        send(left.as_fd(), b"two", None, 0).unwrap();
        drop(far);
        let mut text = [0; 8];
        let (length, passed) = recv(right.as_raw_fd(), &mut text, 0).unwrap();
        let passed = passed.unwrap();
        assert_eq!(
            (&text[..length], sys::socket_number(passed.as_raw_fd())),
            (&b"one"[..], number)
        );
        assert!(sys::is_unix_socket(passed.as_raw_fd()));
        assert_eq!(sys::send(near.as_fd(), b"hello"), Ok(5));
        assert_eq!(sys::recv(passed.as_fd(), &mut text), Ok(5));
        let (length, passed) = recv(right.as_raw_fd(), &mut text, 0).unwrap();
        assert!(passed.is_none() && &text[..length] == b"two");
    }
}
