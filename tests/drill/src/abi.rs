//! The table of C functions, and each of them: C's pointers become slices and integers here, errors
//! become `errno`, and no panic crosses.

use std::ffi::{CStr, c_char, c_int, c_long, c_longlong, c_ulong, c_void};
use std::io::Write;
use std::mem::size_of;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use libc::{
    epoll_event, iovec, loff_t, msghdr, nfds_t, pollfd, size_t, sockaddr, socklen_t, ssize_t,
    timeval, useconds_t,
};
use stack::host::Errno;

use crate::address;
use crate::door::Door;
use crate::flags::{Flags, FlagsError};
use crate::kernel;
use crate::options::{Request, TCP_INQ};
use crate::poll::{Polled, Wanted};
use crate::transfer::Received;

mod memory;

use memory::{
    EFAULT, buffers, bytes, count, gather, given, load, room, scatter, store, tell, total,
};

/// What `userdata` points to: the stack under test, or why there is none.
type Held = Result<Door, FlagsError>;

/// A thread's panic, as an error number: EIO.
const PANICKED: Errno = Errno::from_number(libc::EIO);

/// What `netdev_receive` gives when no packet comes: no IP header is one byte long, so packetdrill
/// fails with an error instead of asking for ever.
const NO_PACKET: u8 = 0x40;

/// packetdrill's `struct packetdrill_interface`: one data pointer and 32 functions.
#[repr(C)]
#[derive(Debug)]
#[expect(missing_docs, reason = "each field is the libc function of its name, userdata first")]
pub struct Interface {
    pub userdata: *mut c_void,
    pub free: extern "C" fn(*mut c_void),
    pub socket: extern "C" fn(*mut c_void, c_int, c_int, c_int) -> c_int,
    pub bind: extern "C" fn(*mut c_void, c_int, *const sockaddr, socklen_t) -> c_int,
    pub listen: extern "C" fn(*mut c_void, c_int, c_int) -> c_int,
    pub accept: extern "C" fn(*mut c_void, c_int, *mut sockaddr, *mut socklen_t) -> c_int,
    pub connect: extern "C" fn(*mut c_void, c_int, *const sockaddr, socklen_t) -> c_int,
    pub read: extern "C" fn(*mut c_void, c_int, *mut c_void, size_t) -> ssize_t,
    pub readv: extern "C" fn(*mut c_void, c_int, *const iovec, c_int) -> ssize_t,
    pub recv: extern "C" fn(*mut c_void, c_int, *mut c_void, size_t, c_int) -> ssize_t,
    pub recvfrom: extern "C" fn(
        *mut c_void,
        c_int,
        *mut c_void,
        size_t,
        c_int,
        *mut sockaddr,
        *mut socklen_t,
    ) -> ssize_t,
    pub recvmsg: extern "C" fn(*mut c_void, c_int, *mut msghdr, c_int) -> ssize_t,
    pub write: extern "C" fn(*mut c_void, c_int, *const c_void, size_t) -> ssize_t,
    pub writev: extern "C" fn(*mut c_void, c_int, *const iovec, c_int) -> ssize_t,
    pub send: extern "C" fn(*mut c_void, c_int, *const c_void, size_t, c_int) -> ssize_t,
    pub sendto: extern "C" fn(
        *mut c_void,
        c_int,
        *const c_void,
        size_t,
        c_int,
        *const sockaddr,
        socklen_t,
    ) -> ssize_t,
    pub sendmsg: extern "C" fn(*mut c_void, c_int, *const msghdr, c_int) -> ssize_t,
    pub fcntl: extern "C" fn(*mut c_void, c_int, c_int, c_long) -> c_int,
    pub ioctl: extern "C" fn(*mut c_void, c_int, c_ulong, *mut c_int) -> c_int,
    pub close: extern "C" fn(*mut c_void, c_int) -> c_int,
    pub shutdown: extern "C" fn(*mut c_void, c_int, c_int) -> c_int,
    pub getsockopt:
        extern "C" fn(*mut c_void, c_int, c_int, c_int, *mut c_void, *mut socklen_t) -> c_int,
    pub setsockopt:
        extern "C" fn(*mut c_void, c_int, c_int, c_int, *const c_void, socklen_t) -> c_int,
    pub poll: extern "C" fn(*mut c_void, *mut pollfd, nfds_t, c_int) -> c_int,
    pub netdev_send: extern "C" fn(*mut c_void, *const c_void, size_t) -> c_int,
    pub netdev_receive:
        extern "C" fn(*mut c_void, *mut c_void, *mut size_t, *mut c_longlong) -> c_int,
    pub usleep: extern "C" fn(*mut c_void, useconds_t) -> c_int,
    pub gettimeofday: extern "C" fn(*mut c_void, *mut timeval, *mut c_void) -> c_int,
    pub epoll_create: extern "C" fn(*mut c_void, c_int) -> c_int,
    pub epoll_ctl: extern "C" fn(*mut c_void, c_int, c_int, c_int, *mut epoll_event) -> c_int,
    pub epoll_wait: extern "C" fn(*mut c_void, c_int, *mut epoll_event, c_int, c_int) -> c_int,
    pub pipe: extern "C" fn(*mut c_void, *mut c_int) -> c_int,
    pub splice:
        extern "C" fn(*mut c_void, c_int, *mut loff_t, c_int, *mut loff_t, size_t, u32) -> ssize_t,
}

const _: () = assert!(size_of::<Interface>() == 33 * size_of::<*mut c_void>());

/// The userdata of every door that is open, as addresses: whom [`getsockopt`] asks. packetdrill
/// opens one, tests several at a time; of two that know a number, for it was closed behind the back
/// of one, the later is right. Who uses one holds the lock, so that it stays.
static DOORS: Mutex<Vec<usize>> = Mutex::new(Vec::new());

fn doors() -> MutexGuard<'static, Vec<usize>> {
    DOORS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// libc's `getsockopt`, for a packetdrill that was started with this library preloaded: the one
/// call which it does not make through the table is the one for `%{ assert tcpi_... }%`.
/// Descriptors that are not ours go to the kernel.
///
/// # Safety
/// As `getsockopt(2)`.
// SAFETY: it means to stand in for libc's, and does the same.
#[unsafe(no_mangle)]
// SAFETY: what the caller promises stands above.
pub unsafe extern "C" fn getsockopt(
    fd: c_int,
    level: c_int,
    name: c_int,
    value: *mut c_void,
    length: *mut socklen_t,
) -> c_int {
    let doors = doors();
    let ours =
        |at: &&usize| answer(**at as *mut c_void, |door| Ok(c_int::from(door.is_sock(fd)))) == 1;
    if let Some(at) = doors.iter().rev().find(ours) {
        return get_option(*at as *mut c_void, fd, level, name, value, length);
    }
    drop(doors);
    // SAFETY: the caller's promise is passed on.
    unsafe { kernel::getsockopt(fd, level, name, value, length) }
}

/// Fills in `interface`: the door that packetdrill asks for by name.
///
/// Flags that make no sense are told on standard error, and every call then fails.
///
/// # Safety
/// `flags` is null or a C string; `interface` has room for an [`Interface`].
// SAFETY: no other library in packetdrill exports this name.
#[unsafe(no_mangle)]
// SAFETY: what the caller promises stands above.
pub unsafe extern "C" fn packetdrill_interface_init(
    flags: *const c_char,
    interface: *mut Interface,
) {
    let text = if flags.is_null() {
        String::new()
    } else {
        // SAFETY: not null, and the caller passes a C string.
        unsafe { CStr::from_ptr(flags) }.to_string_lossy().into_owned()
    };
    let made = catch_unwind(|| text.parse::<Flags>().map(|flags| Door::new(&flags)));
    let held: Held = made.unwrap_or_else(|_| Err(FlagsError::Value(text)));
    if let Err(error) = &held {
        let _ = writeln!(std::io::stderr(), "tapstack: --so_flags: {error}");
    }
    let userdata: *mut c_void = Box::into_raw(Box::new(held)).cast();
    doors().push(userdata as usize);
    // SAFETY: the caller passes room for the table.
    unsafe { interface.write(table(userdata)) };
}

fn table(userdata: *mut c_void) -> Interface {
    Interface {
        userdata,
        free,
        socket,
        bind,
        listen,
        accept,
        connect,
        read,
        readv,
        recv,
        recvfrom,
        recvmsg,
        write,
        writev,
        send,
        sendto,
        sendmsg,
        fcntl,
        ioctl,
        close,
        shutdown,
        getsockopt: get_option,
        setsockopt,
        poll,
        netdev_send,
        netdev_receive,
        usleep,
        gettimeofday,
        epoll_create,
        epoll_ctl,
        epoll_wait,
        pipe,
        splice,
    }
}

/// A C function's answer: -1 and `errno`, or a number.
trait Answer {
    const FAILED: Self;
}

impl Answer for c_int {
    const FAILED: c_int = -1;
}

impl Answer for ssize_t {
    const FAILED: ssize_t = -1;
}

/// Every function: finds the door, runs `act`, and turns errors and panics into `errno`.
fn answer<T: Answer>(userdata: *mut c_void, act: impl FnOnce(&Door) -> Result<T, Errno>) -> T {
    // SAFETY: packetdrill hands back what `packetdrill_interface_init` gave it, until `free`.
    let held = unsafe { userdata.cast::<Held>().as_ref() };
    let run = || match held {
        Some(Ok(door)) => act(door),
        Some(Err(error)) => Err(error.into()),
        None => Err(EFAULT),
    };
    match catch_unwind(AssertUnwindSafe(run)).unwrap_or(Err(PANICKED)) {
        Ok(answer) => answer,
        Err(errno) => {
            kernel::set_errno(errno);
            T::FAILED
        }
    }
}

fn signed(count: usize) -> ssize_t {
    ssize_t::try_from(count).unwrap_or(ssize_t::MAX)
}

extern "C" fn free(userdata: *mut c_void) {
    if userdata.is_null() {
        return;
    }
    doors().retain(|at| *at != userdata as usize);
    // SAFETY: it is the box that `packetdrill_interface_init` made, handed back once.
    let held = unsafe { Box::from_raw(userdata.cast::<Held>()) };
    // A panic while the engine is taken apart is no reason to end packetdrill.
    let _ = catch_unwind(AssertUnwindSafe(|| drop(held)));
}

extern "C" fn socket(userdata: *mut c_void, domain: c_int, kind: c_int, protocol: c_int) -> c_int {
    answer(userdata, |door| door.socket(domain, kind, protocol))
}

extern "C" fn bind(
    userdata: *mut c_void,
    fd: c_int,
    at: *const sockaddr,
    length: socklen_t,
) -> c_int {
    answer(userdata, |door| door.bind(fd, given(at, length)?).map(|()| 0))
}

extern "C" fn listen(userdata: *mut c_void, fd: c_int, backlog: c_int) -> c_int {
    answer(userdata, |door| door.listen(fd, backlog).map(|()| 0))
}

extern "C" fn accept(
    userdata: *mut c_void,
    fd: c_int,
    at: *mut sockaddr,
    length: *mut socklen_t,
) -> c_int {
    answer(userdata, |door| {
        let (accepted, peer, domain) = door.accept(fd)?;
        tell(&address::write(peer, domain), at, length)?;
        Ok(accepted)
    })
}

extern "C" fn connect(
    userdata: *mut c_void,
    fd: c_int,
    at: *const sockaddr,
    length: socklen_t,
) -> c_int {
    answer(userdata, |door| door.connect(fd, given(at, length)?).map(|()| 0))
}

extern "C" fn read(userdata: *mut c_void, fd: c_int, out: *mut c_void, length: size_t) -> ssize_t {
    answer(userdata, |door| {
        if !door.is_sock(fd) {
            return kernel::read(fd, room(out, length)?).map(signed);
        }
        receive(door, fd, &[iovec { iov_base: out, iov_len: length }], 0).map(|(count, _)| count)
    })
}

extern "C" fn readv(
    userdata: *mut c_void,
    fd: c_int,
    iov: *const iovec,
    iov_count: c_int,
) -> ssize_t {
    answer(userdata, |door| {
        let buffers = buffers(iov, count(iov_count)?)?;
        receive(door, fd, buffers, 0).map(|(count, _)| count)
    })
}

extern "C" fn recv(
    userdata: *mut c_void,
    fd: c_int,
    out: *mut c_void,
    length: size_t,
    flags: c_int,
) -> ssize_t {
    answer(userdata, |door| {
        let buffers = [iovec { iov_base: out, iov_len: length }];
        receive(door, fd, &buffers, flags).map(|(count, _)| count)
    })
}

extern "C" fn recvfrom(
    userdata: *mut c_void,
    fd: c_int,
    out: *mut c_void,
    length: size_t,
    flags: c_int,
    at: *mut sockaddr,
    at_length: *mut socklen_t,
) -> ssize_t {
    answer(userdata, |door| {
        let buffers = [iovec { iov_base: out, iov_len: length }];
        let (count, received) = receive(door, fd, &buffers, flags)?;
        match received.from {
            Some(from) => tell(&address::write(from, door.domain(fd)), at, at_length)?,
            // Of a stream the sender is not told.
            None if !at_length.is_null() => store(at_length, 0),
            None => {}
        }
        Ok(count)
    })
}

/// Receives into the buffers: what the call answers, and everything else that came.
fn receive(
    door: &Door,
    fd: c_int,
    buffers: &[iovec],
    flags: c_int,
) -> Result<(ssize_t, Received), Errno> {
    // MSG_TRUNC: of a stream the text is thrown away, of a datagram the whole length is told.
    let truncated = flags & libc::MSG_TRUNC != 0;
    if !truncated {
        // Text is not taken for a buffer that is none.
        buffers.iter().try_for_each(|it| room(it.iov_base, it.iov_len).map(drop))?;
    }
    let received = door.recv(fd, total(buffers), flags)?;
    if !truncated || received.from.is_some() {
        scatter(&received.bytes, buffers)?;
    }
    let whole = truncated && received.from.is_some();
    let count = if whole { received.whole } else { received.bytes.len() };
    Ok((signed(count), received))
}

extern "C" fn recvmsg(
    userdata: *mut c_void,
    fd: c_int,
    message: *mut msghdr,
    flags: c_int,
) -> ssize_t {
    answer(userdata, |door| {
        let mut header = load(message)?;
        let buffers = buffers(header.msg_iov, header.msg_iovlen)?;
        let (count, received) = receive(door, fd, buffers, flags)?;
        header.msg_flags = 0;
        if received.from.is_some() && received.whole > received.bytes.len() {
            header.msg_flags |= libc::MSG_TRUNC;
        }
        match received.from {
            Some(from) => {
                let from = address::write(from, door.domain(fd));
                tell(&from, header.msg_name.cast(), &raw mut header.msg_namelen)?;
            }
            None => header.msg_namelen = 0,
        }
        control(&mut header, received.left)?;
        store(message, header);
        Ok(count)
    })
}

/// The one control message there is: how much is left to read (TCP_CM_INQ).
fn control(header: &mut msghdr, left: Option<usize>) -> Result<(), Errno> {
    let space = header.msg_controllen;
    header.msg_controllen = 0;
    let Some(left) = left else { return Ok(()) };
    // A `struct cmsghdr`: a length of eight bytes, level, type; then an int, padded to eight.
    let (length, padded) = (16 + 4usize, 24);
    if space < padded {
        header.msg_flags |= libc::MSG_CTRUNC;
        return Ok(());
    }
    let left = c_int::try_from(left).unwrap_or(c_int::MAX);
    let parts: [&[u8]; 5] = [
        &length.to_ne_bytes(),
        &libc::IPPROTO_TCP.to_ne_bytes(),
        &TCP_INQ.to_ne_bytes(),
        &left.to_ne_bytes(),
        &[0; 4],
    ];
    room(header.msg_control, padded)?.copy_from_slice(&parts.concat());
    header.msg_controllen = padded;
    Ok(())
}

extern "C" fn write(
    userdata: *mut c_void,
    fd: c_int,
    text: *const c_void,
    length: size_t,
) -> ssize_t {
    answer(userdata, |door| {
        let text = bytes(text, length)?;
        match door.is_sock(fd) {
            true => door.send(fd, text, 0, None).map(signed),
            false => kernel::write(fd, text).map(signed),
        }
    })
}

extern "C" fn writev(
    userdata: *mut c_void,
    fd: c_int,
    iov: *const iovec,
    iov_count: c_int,
) -> ssize_t {
    answer(userdata, |door| {
        let text = gather(buffers(iov, count(iov_count)?)?)?;
        door.send(fd, &text, 0, None).map(signed)
    })
}

extern "C" fn send(
    userdata: *mut c_void,
    fd: c_int,
    text: *const c_void,
    length: size_t,
    flags: c_int,
) -> ssize_t {
    answer(userdata, |door| door.send(fd, bytes(text, length)?, flags, None).map(signed))
}

extern "C" fn sendto(
    userdata: *mut c_void,
    fd: c_int,
    text: *const c_void,
    length: size_t,
    flags: c_int,
    at: *const sockaddr,
    at_length: socklen_t,
) -> ssize_t {
    answer(userdata, |door| {
        let to = if at.is_null() { None } else { Some(given(at, at_length)?) };
        door.send(fd, bytes(text, length)?, flags, to).map(signed)
    })
}

extern "C" fn sendmsg(
    userdata: *mut c_void,
    fd: c_int,
    message: *const msghdr,
    flags: c_int,
) -> ssize_t {
    answer(userdata, |door| {
        let header = load(message)?;
        if header.msg_controllen > 0 {
            // No control message is supported: none is taken in silence.
            return Err(Errno::EINVAL);
        }
        let text = gather(buffers(header.msg_iov, header.msg_iovlen)?)?;
        let to = match header.msg_name.is_null() || header.msg_namelen == 0 {
            true => None,
            false => Some(given(header.msg_name.cast(), header.msg_namelen)?),
        };
        door.send(fd, &text, flags, to).map(signed)
    })
}

extern "C" fn fcntl(userdata: *mut c_void, fd: c_int, command: c_int, argument: c_long) -> c_int {
    answer(userdata, |door| door.fcntl(fd, command, argument))
}

extern "C" fn ioctl(userdata: *mut c_void, fd: c_int, request: c_ulong, at: *mut c_int) -> c_int {
    answer(userdata, |door| {
        let given = if request == libc::FIONBIO { load(at)? } else { 0 };
        if let Request::Store(value) = door.ioctl(fd, request, given)? {
            store(at, value);
        }
        Ok(0)
    })
}

extern "C" fn close(userdata: *mut c_void, fd: c_int) -> c_int {
    answer(userdata, |door| door.close(fd).map(|()| 0))
}

extern "C" fn shutdown(userdata: *mut c_void, fd: c_int, how: c_int) -> c_int {
    answer(userdata, |door| door.shutdown(fd, how).map(|()| 0))
}

extern "C" fn get_option(
    userdata: *mut c_void,
    fd: c_int,
    level: c_int,
    name: c_int,
    value: *mut c_void,
    length: *mut socklen_t,
) -> c_int {
    answer(userdata, |door| {
        let most = load(length)? as usize;
        let found = door.getsockopt(fd, level, name)?;
        let most = most.min(found.len());
        room(value, most)?.copy_from_slice(&found[..most]);
        store(length, most as socklen_t);
        Ok(0)
    })
}

extern "C" fn setsockopt(
    userdata: *mut c_void,
    fd: c_int,
    level: c_int,
    name: c_int,
    value: *const c_void,
    length: socklen_t,
) -> c_int {
    answer(userdata, |door| {
        door.setsockopt(fd, level, name, bytes(value, length as usize)?).map(|()| 0)
    })
}

extern "C" fn poll(
    userdata: *mut c_void,
    fds: *mut pollfd,
    fd_count: nfds_t,
    millis: c_int,
) -> c_int {
    answer(userdata, |door| {
        let found: Result<Vec<pollfd>, Errno> =
            // Null is EFAULT before the address of a later element is looked at.
            (0..fd_count as usize).map(|i| load(fds.wrapping_add(i))).collect();
        let found = if fds.is_null() && fd_count > 0 { Err(EFAULT) } else { found }?;
        let mut polled: Vec<Polled> =
            found.iter().map(|it| Polled { fd: it.fd, events: it.events, revents: 0 }).collect();
        let ready = door.poll(&mut polled, millis)?;
        for (i, it) in polled.iter().enumerate() {
            let (fd, events, revents) = (it.fd, it.events, it.revents);
            store(fds.wrapping_add(i), pollfd { fd, events, revents });
        }
        Ok(c_int::try_from(ready).unwrap_or(c_int::MAX))
    })
}

extern "C" fn netdev_send(userdata: *mut c_void, packet: *const c_void, length: size_t) -> c_int {
    answer(userdata, |door| match door.inject(bytes(packet, length)?) {
        true => Ok(0),
        false => Err(Errno::EINVAL),
    })
}

/// The next packet of the stack's. Where none comes, or there is no stack, [`NO_PACKET`]: to fail
/// would be to be asked again.
extern "C" fn netdev_receive(
    userdata: *mut c_void,
    out: *mut c_void,
    length: *mut size_t,
    at: *mut c_longlong,
) -> c_int {
    let mut found = None;
    let _: c_int = answer(userdata, |door| {
        found = door.next_packet();
        Ok(0)
    });
    let (packet, time) = match found {
        Some(packet) => (packet.bytes, packet.at),
        None => (vec![NO_PACKET], 0),
    };
    let Ok(most) = load(length) else { return -1 };
    let most = most.min(packet.len());
    let Ok(out) = room(out, most) else { return -1 };
    out.copy_from_slice(&packet[..most]);
    store(length, most);
    store(at, c_longlong::try_from(time).unwrap_or(c_longlong::MAX));
    0
}

extern "C" fn usleep(userdata: *mut c_void, micros: useconds_t) -> c_int {
    answer(userdata, |door| {
        door.pass(Duration::from_micros(micros.into()));
        Ok(0)
    })
}

extern "C" fn gettimeofday(userdata: *mut c_void, at: *mut timeval, _zone: *mut c_void) -> c_int {
    answer(userdata, |door| {
        let micros = door.clock();
        let (tv_sec, tv_usec) = ((micros / 1_000_000) as i64, (micros % 1_000_000) as i64);
        store(at, timeval { tv_sec, tv_usec });
        Ok(0)
    })
}

extern "C" fn epoll_create(userdata: *mut c_void, size: c_int) -> c_int {
    answer(userdata, |door| door.epoll_create(size))
}

extern "C" fn epoll_ctl(
    userdata: *mut c_void,
    epfd: c_int,
    operation: c_int,
    fd: c_int,
    event: *mut epoll_event,
) -> c_int {
    answer(userdata, |door| {
        let wanted = load(event).map(|it| Wanted { events: it.events, data: it.u64 }).ok();
        door.epoll_ctl(epfd, operation, fd, wanted).map(|()| 0)
    })
}

extern "C" fn epoll_wait(
    userdata: *mut c_void,
    epfd: c_int,
    events: *mut epoll_event,
    most: c_int,
    millis: c_int,
) -> c_int {
    answer(userdata, |door| {
        if events.is_null() {
            return Err(EFAULT);
        }
        let told = door.epoll_wait(epfd, count(most)?, millis)?;
        for (i, it) in told.iter().enumerate() {
            let event = epoll_event { events: it.events, u64: it.data };
            store(events.wrapping_add(i), event);
        }
        Ok(c_int::try_from(told.len()).unwrap_or(c_int::MAX))
    })
}

extern "C" fn pipe(userdata: *mut c_void, ends: *mut c_int) -> c_int {
    answer(userdata, |door| {
        if ends.is_null() {
            return Err(EFAULT);
        }
        let made = door.pipe()?;
        store(ends, made[0]);
        store(ends.wrapping_add(1), made[1]);
        Ok(0)
    })
}

/// The offsets are for files, and neither a pipe nor a socket has one: packetdrill passes pointers
/// to them all the same, and they are not looked at.
extern "C" fn splice(
    userdata: *mut c_void,
    from: c_int,
    _from_offset: *mut loff_t,
    to: c_int,
    _to_offset: *mut loff_t,
    length: size_t,
    flags: u32,
) -> ssize_t {
    answer(userdata, |door| door.splice(from, to, length, flags).map(signed))
}
