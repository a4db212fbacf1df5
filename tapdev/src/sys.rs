//! The system calls of this crate, each behind a safe function: all of its `unsafe` is here.

use std::ffi::{c_int, c_ulong};
use std::io::{self, IoSlice, IoSliceMut};
use std::mem;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;
use std::time::Duration;

use crate::debt::{Debt, Placed};
use crate::device::ROW_ALIGN;

/// Turns the `-1` of a system call into its errno.
fn check(result: c_int) -> io::Result<c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

fn check_length(result: isize) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}

/// Takes over a descriptor that a foreign type has given up.
pub(crate) fn adopt(fd: RawFd) -> OwnedFd {
    // SAFETY: the only caller passes what `IntoRawFd::into_raw_fd` returned, which nobody else
    // closes.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// A descriptor of our own for the open file behind a number that somebody passed to this program.
pub(crate) fn duplicate(number: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: takes integers, and any number: it fails for one that is not open. The descriptor
    // it returns is new and ours.
    unsafe {
        let fd = check(libc::fcntl(number, libc::F_DUPFD_CLOEXEC, 3))?;
        Ok(OwnedFd::from_raw_fd(fd))
    }
}

/// Puts the open file of `from` in the place of `over`, whose number stays: threads that use it
/// meanwhile meet the old file or the new one.
pub(crate) fn replace(over: BorrowedFd<'_>, from: OwnedFd) -> io::Result<()> {
    // SAFETY: takes integers: two open descriptors, borrowed and owned for the call.
    check(unsafe { libc::dup3(from.as_raw_fd(), over.as_raw_fd(), libc::O_CLOEXEC) }).map(drop)
}

/// Reads up to `buf.len()` bytes. Directly: the C library's `read` and `write` are cancellation
/// points, which in a program of several threads costs a hundredth of a small frame.
pub(crate) fn read(fd: BorrowedFd<'_>, buf: &mut [u8]) -> io::Result<usize> {
    Ok(rustix::io::read(fd, buf)?)
}

/// [`read`]s one frame after the other, up to `room` bytes each, at multiples of [`ROW_ALIGN`]
/// bytes of `buf`, until `row` or `buf` is full or a call fails. Returns how many it read.
///
/// Nothing but the calls, as in [`write_each`].
#[inline(never)]
pub(crate) fn read_each(
    fd: BorrowedFd<'_>,
    buf: &mut [u8],
    room: usize,
    row: &mut [Placed],
) -> (usize, io::Result<()>) {
    let mut start = 0usize;
    for (index, placed) in row.iter_mut().enumerate() {
        let end = start.wrapping_add(room);
        let Some(place) = buf.get_mut(start..end) else { return (index, Ok(())) };
        match rustix::io::read(fd, place) {
            Ok(length) => {
                *placed = Placed { start, length, debt: Debt::NONE };
                start = (start + length).wrapping_add(ROW_ALIGN - 1) & !(ROW_ALIGN - 1);
            }
            Err(error) => return (index, Err(error.into())),
        }
    }
    (row.len(), Ok(()))
}

/// Reads into `parts` one after the other, as [`read`] does into one.
pub(crate) fn readv(fd: BorrowedFd<'_>, parts: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
    let count = c_int::try_from(parts.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    // SAFETY: `IoSliceMut` has the layout of `iovec` on Unix (documented), and each part is
    // exclusively borrowed for the call.
    check_length(unsafe {
        libc::syscall(libc::SYS_readv, fd.as_raw_fd(), parts.as_mut_ptr(), count)
    } as isize)
}

/// Writes `bytes` and returns the number of bytes taken.
pub(crate) fn write(fd: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<usize> {
    Ok(rustix::io::write(fd, bytes)?)
}

/// [`write`]s one frame after the other until a call fails. Returns how many it wrote.
///
/// Nothing but the calls: what the kernel does in one of them fills a processor's first cache of
/// instructions, and each line of code that runs between two takes the place of one of the
/// kernel's. A row written so takes a sixth less than with a frame's checks and counts between.
#[inline(never)]
pub(crate) fn write_each(fd: BorrowedFd<'_>, frames: &[&[u8]]) -> (usize, io::Result<()>) {
    for (index, frame) in frames.iter().enumerate() {
        if let Err(error) = rustix::io::write(fd, frame) {
            return (index, Err(error.into()));
        }
    }
    (frames.len(), Ok(()))
}

/// Writes `parts` as one gathered write and returns the number of bytes taken.
pub(crate) fn writev(fd: BorrowedFd<'_>, parts: &[IoSlice<'_>]) -> io::Result<usize> {
    let count = c_int::try_from(parts.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    // SAFETY: `IoSlice` has the layout of `iovec` on Unix (documented), and each part is borrowed
    // for the call.
    check_length(unsafe { libc::writev(fd.as_raw_fd(), parts.as_ptr().cast(), count) })
}

/// Makes every read and write of the descriptor's open file return instead of sleeping.
pub(crate) fn set_non_blocking(fd: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: F_GETFL and F_SETFL take and return integers only.
    let flags = check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFL) })?;
    // SAFETY: as above.
    check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFL, flags | libc::O_NONBLOCK) })?;
    Ok(())
}

/// Keeps the descriptor out of programs that this one executes.
pub(crate) fn set_close_on_exec(fd: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: F_SETFD takes an integer.
    check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFD, libc::FD_CLOEXEC) })?;
    Ok(())
}

/// A non-blocking event counter.
pub(crate) fn event_counter() -> io::Result<OwnedFd> {
    // SAFETY: takes integers; the descriptor it returns is new and ours.
    unsafe {
        let fd = check(libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK))?;
        Ok(OwnedFd::from_raw_fd(fd))
    }
}

/// A set of descriptors, empty at first: it is readable while one of them is, or is broken.
pub(crate) fn descriptor_set() -> io::Result<OwnedFd> {
    // SAFETY: takes an integer; the descriptor it returns is new and ours.
    unsafe {
        let fd = check(libc::epoll_create1(libc::EPOLL_CLOEXEC))?;
        Ok(OwnedFd::from_raw_fd(fd))
    }
}

/// Adds a descriptor to such a set, which it leaves by itself when it is closed.
pub(crate) fn add_to_set(set: BorrowedFd<'_>, fd: BorrowedFd<'_>) -> io::Result<()> {
    let mut event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: 0 };
    // SAFETY: takes two open descriptors, and a pointer into this frame.
    let added = check(unsafe {
        libc::epoll_ctl(set.as_raw_fd(), libc::EPOLL_CTL_ADD, fd.as_raw_fd(), &raw mut event)
    });
    match added {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

/// A socket to put interface questions to. It belongs for ever to the network namespace that the
/// calling thread is in now.
pub(crate) fn control_socket(family: c_int) -> io::Result<OwnedFd> {
    // SAFETY: takes integers; the descriptor it returns is new and ours.
    unsafe {
        let fd = check(libc::socket(family, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0))?;
        Ok(OwnedFd::from_raw_fd(fd))
    }
}

/// What `poll` said about the two descriptors it watched: sets of `POLL*` bits.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Polled {
    pub(crate) first: i16,
    pub(crate) second: i16,
}

/// Sleeps until one of two descriptors is readable or broken, or `timeout` has passed.
pub(crate) fn poll_two(
    first: BorrowedFd<'_>,
    second: BorrowedFd<'_>,
    timeout: Option<Duration>,
) -> io::Result<Polled> {
    let watch =
        |fd: BorrowedFd<'_>| libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    let mut fds = [watch(first), watch(second)];
    let limit = timeout.map(to_timespec);
    let limit = limit.as_ref().map_or(ptr::null(), ptr::from_ref);
    // SAFETY: the array and its length agree; `limit` is null or points into this frame.
    check(unsafe { libc::ppoll(fds.as_mut_ptr(), 2, limit, ptr::null()) })?;
    Ok(Polled { first: fds[0].revents, second: fds[1].revents })
}

fn to_timespec(time: Duration) -> libc::timespec {
    // SAFETY: a timespec is integers (and padding on some targets), for which zero is a value.
    let mut spec: libc::timespec = unsafe { mem::zeroed() };
    spec.tv_sec = libc::time_t::try_from(time.as_secs()).unwrap_or(libc::time_t::MAX);
    // Below 10^9, so it fits every type that a target may use here.
    spec.tv_nsec = time.subsec_nanos() as _;
    spec
}

/// Moves the calling thread into new namespaces: a set of `CLONE_NEW*` bits.
pub(crate) fn unshare(flags: c_int) -> io::Result<()> {
    // SAFETY: takes an integer.
    check(unsafe { libc::unshare(flags) })?;
    Ok(())
}

/// Moves the calling thread into the network namespace behind a descriptor.
pub(crate) fn enter_network_namespace(namespace: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: takes integers.
    check(unsafe { libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWNET) })?;
    Ok(())
}

/// Takes away the 50 us by which the kernel may let the calling thread's timers be late in order
/// to fire several at once.
pub(crate) fn make_timers_precise() -> io::Result<()> {
    const SLACK_NS: libc::c_ulong = 1;
    // SAFETY: PR_SET_TIMERSLACK takes integers.
    check(unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, SLACK_NS) })?;
    Ok(())
}

/// The effective user and group of the process.
pub(crate) fn effective_ids() -> (u32, u32) {
    // SAFETY: both take nothing and cannot fail.
    unsafe { (libc::geteuid(), libc::getegid()) }
}

/// Sets the offloads of a TAP descriptor: a set of `TUN_F_*` bits.
pub(crate) fn set_offload(fd: BorrowedFd<'_>, bits: c_int) -> io::Result<()> {
    // SAFETY: TUNSETOFFLOAD takes its argument by value.
    check(unsafe {
        libc::ioctl(fd.as_raw_fd(), libc::TUNSETOFFLOAD as _, libc::c_long::from(bits))
    })?;
    Ok(())
}

/// Sets how many bytes stand before each frame of a TAP descriptor in offload mode.
pub(crate) fn set_header_length(fd: BorrowedFd<'_>, length: usize) -> io::Result<()> {
    let length = c_int::try_from(length).map_err(|_| io::ErrorKind::InvalidInput)?;
    // SAFETY: TUNSETVNETHDRSZ reads one integer.
    check(unsafe { libc::ioctl(fd.as_raw_fd(), libc::TUNSETVNETHDRSZ as _, &raw const length) })?;
    Ok(())
}

/// Says whether a TAP outlives the last descriptor on it.
pub(crate) fn set_persistent(fd: BorrowedFd<'_>, persistent: bool) -> io::Result<()> {
    let value = libc::c_long::from(persistent);
    // SAFETY: TUNSETPERSIST takes its argument by value.
    check(unsafe { libc::ioctl(fd.as_raw_fd(), libc::TUNSETPERSIST as _, value) })?;
    Ok(())
}

/// Adds an IPv6 address to the interface with that index, through an `AF_INET6` socket.
pub(crate) fn add_ipv6(
    control: BorrowedFd<'_>,
    index: c_int,
    address: Ipv6Addr,
    prefix: u8,
) -> io::Result<()> {
    let request = libc::in6_ifreq {
        ifr6_addr: libc::in6_addr { s6_addr: address.octets() },
        ifr6_prefixlen: prefix.into(),
        ifr6_ifindex: index,
    };
    // SAFETY: on an AF_INET6 socket, SIOCSIFADDR reads one `struct in6_ifreq`.
    check(unsafe { libc::ioctl(control.as_raw_fd(), libc::SIOCSIFADDR as _, &raw const request) })?;
    Ok(())
}

/// An interface by name, with one value to be read or set: the kernel's `struct ifreq`.
pub(crate) struct InterfaceRequest(libc::ifreq);

impl InterfaceRequest {
    /// A request about the interface `name`, at most 15 bytes.
    pub(crate) fn new(name: &str) -> io::Result<InterfaceRequest> {
        // SAFETY: a name and a union of plain data, for all of which zero is a value.
        let mut request: libc::ifreq = unsafe { mem::zeroed() };
        if name.len() >= request.ifr_name.len() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
            *to = from as _;
        }
        Ok(InterfaceRequest(request))
    }

    /// Asks the kernel, which may fill in the value.
    pub(crate) fn submit(&mut self, fd: BorrowedFd<'_>, request: c_ulong) -> io::Result<()> {
        // SAFETY: every request used with this type reads and writes one `struct ifreq`.
        check(unsafe { libc::ioctl(fd.as_raw_fd(), request as _, &raw mut self.0) })?;
        Ok(())
    }

    /// The name: what was asked for, or what the kernel filled in.
    pub(crate) fn name(&self) -> String {
        let bytes = self.0.ifr_name.iter().map(|&byte| byte as u8);
        String::from_utf8_lossy(&bytes.take_while(|&byte| byte != 0).collect::<Vec<_>>()).into()
    }

    /// The value as flags, `IFF_*` bits.
    pub(crate) fn flags(&self) -> i16 {
        // SAFETY: all of the union was initialised, and every bit pattern is an integer.
        unsafe { self.0.ifr_ifru.ifru_flags }
    }

    pub(crate) fn set_flags(&mut self, flags: i16) {
        self.0.ifr_ifru.ifru_flags = flags;
    }

    /// The value as an integer: an MTU in bytes, or an interface's index.
    pub(crate) fn integer(&self) -> c_int {
        // SAFETY: as for `flags`.
        unsafe { self.0.ifr_ifru.ifru_mtu }
    }

    pub(crate) fn set_integer(&mut self, value: c_int) {
        self.0.ifr_ifru.ifru_mtu = value;
    }

    /// The value as an Ethernet address.
    pub(crate) fn ethernet(&self) -> [u8; 6] {
        // SAFETY: as for `flags`.
        let data = unsafe { self.0.ifr_ifru.ifru_hwaddr.sa_data };
        std::array::from_fn(|i| data[i] as u8)
    }

    pub(crate) fn set_ethernet(&mut self, address: [u8; 6]) {
        self.set_sockaddr(libc::ARPHRD_ETHER, &address);
    }

    /// Sets the value to a `sockaddr_in` with port 0.
    pub(crate) fn set_ipv4(&mut self, address: Ipv4Addr) {
        let [a, b, c, d] = address.octets();
        self.set_sockaddr(libc::AF_INET as u16, &[0, 0, a, b, c, d]);
    }

    fn set_sockaddr(&mut self, family: u16, data: &[u8; 6]) {
        // SAFETY: a sockaddr is integers, for which zero is a value.
        let mut address: libc::sockaddr = unsafe { mem::zeroed() };
        address.sa_family = family;
        for (to, from) in address.sa_data.iter_mut().zip(data) {
            *to = *from as _;
        }
        self.0.ifr_ifru.ifru_hwaddr = address;
    }
}
