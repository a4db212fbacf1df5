//! The kernel's part: descriptors as placeholders, pipes, and the error number of the calling
//! thread.
//!
//! Numbers are all that is kept of them: the script's end closes its descriptors through libc, so
//! an owner here would close them twice.

use stack::host::Errno;

/// The calling thread's error number.
fn errno() -> Errno {
    Errno::from_number(std::io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO))
}

fn checked(answer: i32) -> Result<i32, Errno> {
    if answer < 0 { Err(errno()) } else { Ok(answer) }
}

fn counted(answer: isize) -> Result<usize, Errno> {
    usize::try_from(answer).map_err(|_| errno())
}

/// Sets the calling thread's error number.
pub(crate) fn set_errno(errno: Errno) {
    // SAFETY: the address is that of this thread's own variable, valid while the thread lives.
    unsafe { *libc::__errno_location() = errno.number() }
}

/// A new descriptor that stands for something of ours.
pub(crate) fn placeholder() -> Result<i32, Errno> {
    // SAFETY: takes no pointers.
    checked(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC) })
}

/// Closes a descriptor.
pub(crate) fn close(fd: i32) -> Result<(), Errno> {
    // SAFETY: takes no pointers; whoever asks owns the number.
    checked(unsafe { libc::close(fd) }).map(|_| ())
}

/// A pipe of the kernel's.
pub(crate) fn pipe() -> Result<[i32; 2], Errno> {
    let mut ends = [0; 2];
    // SAFETY: `ends` has room for the two numbers.
    checked(unsafe { libc::pipe(ends.as_mut_ptr()) })?;
    Ok(ends)
}

/// Reads from a descriptor of the kernel's.
pub(crate) fn read(fd: i32, out: &mut [u8]) -> Result<usize, Errno> {
    // SAFETY: `out` is writable for its length.
    counted(unsafe { libc::read(fd, out.as_mut_ptr().cast(), out.len()) })
}

/// Writes to a descriptor of the kernel's.
pub(crate) fn write(fd: i32, bytes: &[u8]) -> Result<usize, Errno> {
    // SAFETY: `bytes` is readable for its length.
    counted(unsafe { libc::write(fd, bytes.as_ptr().cast(), bytes.len()) })
}

/// Bytes that can be read from a pipe without blocking.
pub(crate) fn unread(fd: i32) -> Result<usize, Errno> {
    let mut count: i32 = 0;
    // SAFETY: FIONREAD stores one int where the pointer says.
    checked(unsafe { libc::ioctl(fd, libc::FIONREAD, &mut count) })?;
    Ok(usize::try_from(count).unwrap_or(0))
}

/// `fcntl` with an integer argument.
pub(crate) fn fcntl(fd: i32, command: i32, argument: i64) -> Result<i32, Errno> {
    // SAFETY: the commands passed on take an integer or nothing.
    checked(unsafe { libc::fcntl(fd, command, argument) })
}

/// The kernel's own `getsockopt`: the system call, for libc's name is ours in this library.
///
/// # Safety
/// `value` and `length` are what `getsockopt(2)` asks for.
// SAFETY: what the caller promises stands above.
pub(crate) unsafe fn getsockopt(
    fd: i32,
    level: i32,
    name: i32,
    value: *mut libc::c_void,
    length: *mut libc::socklen_t,
) -> i32 {
    // SAFETY: passed on as they came.
    unsafe { libc::syscall(libc::SYS_getsockopt, fd, level, name, value, length) as i32 }
}
