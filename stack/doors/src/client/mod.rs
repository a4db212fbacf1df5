//! The program's side: C's calls, and what they ask of the server.

pub mod calls;
pub mod hosts;
pub mod interfaces;
pub mod many;
pub mod names;
pub mod transfer;

mod ask;
mod channels;
mod heard;
mod memory;
mod table;
mod unsupported;

use std::ffi::c_int;

use libc::ssize_t;
use stack::host::Errno;

pub use channels::set_path;

use crate::sys;

/// The name of the environment variable that says where the server is.
pub const VARIABLE: &str = "TAPSTACK_SOCKET";

/// A C function's answer: a number, or -1 and `errno`.
fn answer(result: Result<usize, Errno>) -> ssize_t {
    match result {
        Ok(count) => ssize_t::try_from(count).unwrap_or(ssize_t::MAX),
        Err(error) => {
            sys::set_errno(error);
            -1
        }
    }
}

/// The same where the number is a descriptor or zero.
fn small(result: Result<usize, Errno>) -> c_int {
    answer(result) as c_int
}
