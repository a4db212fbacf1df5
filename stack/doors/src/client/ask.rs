//! What is asked of the server.

use std::ffi::c_int;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};

use stack::host::Errno;

use super::channels::Channel;
use crate::protocol::{Op, Request};
use crate::sys;

/// Asks, and waits for the reply.
pub(super) fn ask(
    op: Op,
    socket: u64,
    (a, b): (c_int, c_int),
    data: &[u8],
) -> Result<Vec<u8>, Errno> {
    exchange(op, socket, (a, b), data, None).map(|(reply, _)| reply)
}

/// The same, with a descriptor passed, and perhaps one returned.
pub(super) fn exchange(
    op: Op,
    socket: u64,
    (a, b): (c_int, c_int),
    data: &[u8],
    pass: Option<BorrowedFd<'_>>,
) -> Result<(Vec<u8>, Option<OwnedFd>), Errno> {
    let mut channel = Channel::take();
    channel.ask(&Request { op, socket, a, b, data: data.to_vec() }, pass)?;
    loop {
        match channel.receive(0) {
            Err(Errno::EINTR) => {}
            answer => {
                let (reply, passed) = answer?;
                return Ok((reply?, passed));
            }
        }
    }
}

/// Waits until an error waits for the program that the connection has survived (true), or `fd` can
/// be read.
///
/// # Errors
/// EINTR; EAGAIN after `timeout` milliseconds (-1: never).
pub(super) fn await_error(socket: u64, fd: RawFd, timeout: c_int) -> Result<bool, Errno> {
    let question = Request { op: Op::AwaitError, socket, a: 0, b: 0, data: Vec::new() };
    let mut channel = Channel::take();
    channel.ask(&question, None)?;
    match sys::readable([fd, channel.as_raw_fd()], timeout)? {
        [false, false] => Err(Errno::EAGAIN),
        [true, _] => Ok(false),
        [false, true] => Ok(channel.receive(libc::MSG_DONTWAIT)?.0.is_ok()),
    }
}

/// Waits until an attempt to connect has come to its end.
///
/// # Errors
/// EINTR, but after handlers with SA_RESTART only where there is a time-out: so it is connect(2)'s;
/// EAGAIN after `timeout` milliseconds (-1: never).
pub(super) fn await_connection(socket: u64, timeout: c_int) -> Result<(), Errno> {
    let question = Request { op: Op::AwaitConnection, socket, a: 0, b: 0, data: Vec::new() };
    let mut channel = Channel::take();
    channel.ask(&question, None)?;
    channel.receive_within(timeout)?.map(drop)
}
