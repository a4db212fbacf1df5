//! What the network says of a connection that goes on (`IP_RECVERR`). The program's end of the pair
//! cannot fail and go on, so the calls of a process that has asked for this ask the server first.

use std::ffi::c_int;
use std::sync::atomic::{AtomicBool, Ordering};

use stack::host::Errno;

use super::ask;
use super::calls::{pending_error, timeout};
use super::table::{Ours, find, guess};
use crate::protocol::What;
use crate::sys;

/// This process has asked for it, of some stream: the calls of others need not ask.
static LISTENS: AtomicBool = AtomicBool::new(false);

pub(super) fn listen() {
    LISTENS.store(true, Ordering::Relaxed);
}

/// The connection, in a process that has asked.
fn connection(fd: c_int) -> Option<Ours> {
    let is_stream = |ours: &Ours| ours.what == What::Stream;
    if !LISTENS.load(Ordering::Relaxed) || !guess(fd).is_some_and(|it| is_stream(&it)) {
        return None;
    }
    find(fd).filter(is_stream)
}

/// What is told instead of sending.
pub(super) fn before_write(fd: c_int) -> Result<(), Errno> {
    connection(fd).and_then(|ours| pending_error(ours.number)).map_or(Ok(()), Err)
}

/// Waits, if the read would, until there is something to read; or tells what is told instead. It
/// is EINTR after any signal's handler.
pub(super) fn before_read(fd: c_int, flags: c_int) -> Result<(), Errno> {
    let Some(ours) = connection(fd) else { return Ok(()) };
    let sleeps = flags & libc::MSG_DONTWAIT == 0 && !sys::is_nonblocking(fd);
    while sys::readable([fd], 0) == Ok([false]) {
        if let Some(error) = pending_error(ours.number) {
            return Err(error);
        }
        let patience = timeout(fd, libc::SO_RCVTIMEO);
        if !sleeps || !ask::await_error(ours.number, fd, patience)? {
            break;
        }
    }
    Ok(())
}
