//! The kernel's calls, as system calls: in the preload library the C library's names are our own.

use std::ffi::{c_int, c_long, c_void};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

use libc::{iovec, msghdr, socklen_t};
use stack::host::Errno;

/// The calling thread's error number.
pub fn errno() -> Errno {
    // SAFETY: the address is that of this thread's own variable, valid while the thread lives.
    Errno::from_number(unsafe { *libc::__errno_location() })
}

/// Sets the calling thread's error number.
pub fn set_errno(errno: Errno) {
    // SAFETY: the address is that of this thread's own variable, valid while the thread lives.
    unsafe { *libc::__errno_location() = errno.number() }
}

/// A count, or the error of the call that was just made.
pub fn checked(answer: c_long) -> Result<usize, Errno> {
    usize::try_from(answer).map_err(|_| errno())
}

/// The time on the clock that only goes forward.
pub fn now() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is that of a `timespec`; this clock is there on every Linux.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    Duration::new(time.tv_sec.cast_unsigned(), time.tv_nsec as u32)
}

/// Two connected Unix sockets of this type, closed on `exec`.
pub fn pair(kind: c_int) -> Result<[OwnedFd; 2], Errno> {
    let mut ends = [0; 2];
    let kind = kind | libc::SOCK_CLOEXEC;
    // SAFETY: `ends` has room for the two numbers.
    checked(unsafe {
        libc::syscall(libc::SYS_socketpair, libc::AF_UNIX, kind, 0, ends.as_mut_ptr())
    })?;
    // SAFETY: the kernel has just made them, and nobody else knows them.
    Ok(ends.map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }))
}

/// Reads, as `recv(2)` without blocking.
pub fn recv(fd: BorrowedFd<'_>, out: &mut [u8]) -> Result<usize, Errno> {
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    // SAFETY: `out` is writable for its length.
    checked(unsafe {
        let (at, length) = (out.as_mut_ptr(), out.len());
        libc::syscall(libc::SYS_recvfrom, fd.as_raw_fd(), at, length, flags, 0, 0)
    })
}

/// Writes, as `send(2)` without blocking and without SIGPIPE.
pub fn send(fd: BorrowedFd<'_>, bytes: &[u8]) -> Result<usize, Errno> {
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    // SAFETY: `bytes` is readable for its length.
    checked(unsafe {
        let (at, length) = (bytes.as_ptr(), bytes.len());
        libc::syscall(libc::SYS_sendto, fd.as_raw_fd(), at, length, flags, 0, 0)
    })
}

/// Waits until one of these can be read, or until so many milliseconds have passed (-1: for ever):
/// which then can be.
pub fn readable<const N: usize>(fds: [RawFd; N], timeout: c_int) -> Result<[bool; N], Errno> {
    let mut all = fds.map(|fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 });
    // SAFETY: the pointer is that of so many.
    checked(unsafe { libc::syscall(libc::SYS_poll, all.as_mut_ptr(), N, timeout) })?;
    Ok(all.map(|it| it.revents != 0))
}

/// How many bytes there are to read.
pub fn unread(fd: BorrowedFd<'_>) -> usize {
    let mut count: c_int = 0;
    let (call, at) = (libc::SYS_ioctl, &raw mut count);
    // SAFETY: FIONREAD's argument is the address of an int.
    let asked = unsafe { libc::syscall(call, fd.as_raw_fd(), libc::FIONREAD, at) };
    if asked < 0 { 0 } else { usize::try_from(count).unwrap_or(0) }
}

/// `shutdown(2)`.
pub fn shutdown(fd: BorrowedFd<'_>, how: c_int) -> Result<(), Errno> {
    // SAFETY: takes no pointers.
    checked(unsafe { libc::syscall(libc::SYS_shutdown, fd.as_raw_fd(), how) }).map(drop)
}

/// The inode behind a descriptor: of a socket the one number that all its descriptors share, in
/// all processes. None for what is no socket.
pub fn socket_number(fd: RawFd) -> Option<u64> {
    // SAFETY: all zeros are a `stat`, and `fstat` fills it in.
    let (answer, stat) = unsafe {
        let mut stat: libc::stat = std::mem::zeroed();
        (libc::fstat(fd, &mut stat), stat)
    };
    (answer == 0 && stat.st_mode & libc::S_IFMT == libc::S_IFSOCK).then_some(stat.st_ino)
}

/// Whether the descriptor is a Unix socket, as all of ours are.
pub fn is_unix_socket(fd: RawFd) -> bool {
    let mut domain: c_int = 0;
    let mut length = size_of::<c_int>() as socklen_t;
    // SAFETY: the two pointers are those of an int and of its length.
    let answer = unsafe {
        let name = libc::SO_DOMAIN;
        let (at, size) = (&raw mut domain, &raw mut length);
        libc::syscall(libc::SYS_getsockopt, fd, libc::SOL_SOCKET, name, at, size)
    };
    answer == 0 && domain == libc::AF_UNIX
}

/// The flags of a descriptor's open file.
pub fn is_nonblocking(fd: RawFd) -> bool {
    // SAFETY: takes no pointers.
    let flags = unsafe { libc::syscall(libc::SYS_fcntl, fd, libc::F_GETFL, 0) };
    flags >= 0 && flags as c_int & libc::O_NONBLOCK != 0
}

/// Makes a descriptor's open file non-blocking.
pub fn set_nonblocking(fd: BorrowedFd<'_>) -> Result<(), Errno> {
    let fd = fd.as_raw_fd();
    // SAFETY: takes no pointers.
    let flags = checked(unsafe { libc::syscall(libc::SYS_fcntl, fd, libc::F_GETFL, 0) })?;
    let flags = flags as c_long | c_long::from(libc::O_NONBLOCK);
    // SAFETY: takes no pointers.
    checked(unsafe { libc::syscall(libc::SYS_fcntl, fd, libc::F_SETFL, flags) }).map(drop)
}

/// Sets how long a blocking read of a socket waits, milliseconds; 0: for ever.
pub fn set_receive_time(fd: RawFd, millis: c_int) -> Result<(), Errno> {
    let (seconds, rest) = (millis / 1000, millis % 1000);
    let time = libc::timeval { tv_sec: seconds.into(), tv_usec: (rest * 1000).into() };
    let (level, name, length) = (libc::SOL_SOCKET, libc::SO_RCVTIMEO, size_of_val(&time));
    // SAFETY: the pointer is that of a `timeval` of this length.
    checked(unsafe {
        libc::syscall(libc::SYS_setsockopt, fd, level, name, &raw const time, length)
    })
    .map(drop)
}

/// `close(2)`.
pub fn close(fd: RawFd) -> Result<(), Errno> {
    // SAFETY: takes no pointers; whoever asks owns the number.
    checked(unsafe { libc::syscall(libc::SYS_close, fd) }).map(drop)
}

/// `sendmsg(2)`.
///
/// # Safety
/// What `message` points to is as `sendmsg` wants it.
pub unsafe fn sendmsg(fd: RawFd, message: *const msghdr, flags: c_int) -> Result<usize, Errno> {
    // SAFETY: the caller's promise is passed on.
    checked(unsafe { libc::syscall(libc::SYS_sendmsg, fd, message, flags) })
}

/// `recvmsg(2)`.
///
/// # Safety
/// What `message` points to is as `recvmsg` wants it.
pub unsafe fn recvmsg(fd: RawFd, message: *mut msghdr, flags: c_int) -> Result<usize, Errno> {
    // SAFETY: the caller's promise is passed on.
    checked(unsafe { libc::syscall(libc::SYS_recvmsg, fd, message, flags) })
}

/// A message of these parts and without address.
pub fn message(parts: &mut [iovec]) -> msghdr {
    // SAFETY: all zeros are a `msghdr` of nothing.
    let mut message: msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = parts.as_mut_ptr();
    message.msg_iovlen = parts.len();
    message
}

/// These bytes as a part of a message.
pub fn part(bytes: &mut [u8]) -> iovec {
    iovec { iov_base: bytes.as_mut_ptr().cast::<c_void>(), iov_len: bytes.len() }
}

/// The process may have no more descriptors, or the kernel has no room for more.
pub fn is_want(error: Errno) -> bool {
    // For those on their way between processes there is a limit of its own.
    const OTHERS: [c_int; 2] = [libc::ENFILE, libc::ETOOMANYREFS];
    matches!(error, Errno::EMFILE | Errno::ENOMEM | Errno::ENOBUFS)
        || OTHERS.contains(&error.number())
}

/// A clock that wakes whoever polls it, once.
#[derive(Debug)]
pub struct Timer(OwnedFd);

impl Timer {
    /// One that is not set.
    pub fn new() -> Result<Timer, Errno> {
        let flags = libc::TFD_CLOEXEC | libc::TFD_NONBLOCK;
        let clock = libc::CLOCK_MONOTONIC;
        // SAFETY: takes no pointers; the descriptor it returns is new and ours.
        let fd = checked(unsafe { libc::syscall(libc::SYS_timerfd_create, clock, flags) })?;
        // SAFETY: see above.
        Ok(Timer(unsafe { OwnedFd::from_raw_fd(fd as RawFd) }))
    }

    /// Has it be readable from `after` on, and not before.
    pub fn set(&self, after: Duration) -> Result<(), Errno> {
        let (tv_sec, tv_nsec) = (after.as_secs().cast_signed(), after.subsec_nanos().into());
        let once = libc::timespec { tv_sec, tv_nsec };
        let never = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        let time = libc::itimerspec { it_interval: never, it_value: once };
        let (call, fd, at) = (libc::SYS_timerfd_settime, self.0.as_raw_fd(), &raw const time);
        // SAFETY: the pointer is that of an `itimerspec`; nobody asks for the earlier one.
        checked(unsafe { libc::syscall(call, fd, 0, at, 0) }).map(drop)
    }
}

impl AsFd for Timer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Events that are taken in one go.
const EVENTS: usize = 128;

/// The kernel's poller.
#[derive(Debug)]
pub struct Epoll(OwnedFd);

impl Epoll {
    /// An empty one.
    pub fn new() -> Result<Epoll, Errno> {
        // SAFETY: takes no pointers; the descriptor it returns is new and ours.
        let fd = checked(unsafe { libc::syscall(libc::SYS_epoll_create1, libc::EPOLL_CLOEXEC) })?;
        // SAFETY: see above.
        Ok(Epoll(unsafe { OwnedFd::from_raw_fd(fd as RawFd) }))
    }

    /// Watches `fd` for `events`; closing it, and what was duplicated from it, ends that.
    pub fn add(&self, fd: BorrowedFd<'_>, events: c_int, token: u64) -> Result<(), Errno> {
        let mut event = libc::epoll_event { events: events as u32, u64: token };
        let (epoll, fd, add) = (self.0.as_raw_fd(), fd.as_raw_fd(), libc::EPOLL_CTL_ADD);
        // SAFETY: the pointer is that of one event.
        checked(unsafe { libc::syscall(libc::SYS_epoll_ctl, epoll, add, fd, &raw mut event) })
            .map(drop)
    }

    /// Watches `fd` no more.
    pub fn remove(&self, fd: BorrowedFd<'_>) -> Result<(), Errno> {
        let (epoll, fd, delete) = (self.0.as_raw_fd(), fd.as_raw_fd(), libc::EPOLL_CTL_DEL);
        // SAFETY: takes no pointers: the kernel ignores the event.
        checked(unsafe { libc::syscall(libc::SYS_epoll_ctl, epoll, delete, fd, 0) }).map(drop)
    }

    /// Waits for events: their tokens and bits.
    pub fn wait(&self, found: &mut Vec<(u64, c_int)>) -> Result<(), Errno> {
        self.wait_within(found, -1)
    }

    /// Whether one with this token has an event at the moment. Those that have are gone through, so
    /// there should be few.
    pub fn has(&self, token: u64) -> bool {
        let (mut found, mut first) = (Vec::new(), None);
        loop {
            if self.wait_within(&mut found, 0).is_err() {
                return false;
            }
            if found.iter().any(|&(it, _)| it == token) {
                return true;
            }
            // They come in turn, so who has seen the first one again has seen them all.
            let is_seen = first.is_some_and(|first| found.iter().any(|&(it, _)| it == first));
            if found.len() < EVENTS || is_seen {
                return false;
            }
            first = first.or(found.first().map(|&(it, _)| it));
        }
    }

    fn wait_within(&self, found: &mut Vec<(u64, c_int)>, millis: c_int) -> Result<(), Errno> {
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; EVENTS];
        found.clear();
        // SAFETY: there is room for so many events.
        let answer = checked(unsafe {
            let (at, room) = (events.as_mut_ptr(), events.len());
            libc::syscall(libc::SYS_epoll_wait, self.0.as_raw_fd(), at, room, millis)
        });
        let count = match answer {
            Err(Errno::EINTR) => 0,
            answer => answer?,
        };
        found.extend(events[..count].iter().map(|event| (event.u64, event.events as c_int)));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The server knows by this whether a program still has what it has shut down.
    #[test]
    fn what_hung_up_is_seen_until_its_last_descriptor_is_closed() {
        let (epoll, mut pairs) = (Epoll::new().unwrap(), Vec::new());
        for token in 0..3 * EVENTS as u64 {
            let [end, far] = pair(libc::SOCK_STREAM).unwrap();
            let watched = far.try_clone().unwrap();
            epoll.add(watched.as_fd(), 0, token).unwrap();
            assert!(!epoll.has(token));
            drop(watched);
            shutdown(end.as_fd(), libc::SHUT_RDWR).unwrap();
            pairs.push((end, far));
        }
        assert!((0..pairs.len() as u64).all(|token| epoll.has(token)));
        drop(pairs.pop());
        assert!(!epoll.has(pairs.len() as u64) && epoll.has(0));
    }
}
