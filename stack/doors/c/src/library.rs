//! The functions of `tapstack.h`: libc's, with a prefix, and the two around them.

use std::ffi::{CStr, c_char, c_int, c_uint, c_ulong, c_void};
use std::panic::catch_unwind;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use demos::options::CommonOptions;
use demos::program::Plug;
use doors::client::{calls, names, set_path, transfer};
use doors::server::Server;
use libc::{
    addrinfo, epoll_event, fd_set, hostent, iovec, mmsghdr, msghdr, nfds_t, pollfd, sigset_t,
    size_t, sockaddr, socklen_t, ssize_t, timespec, timeval,
};

use crate::place::Place;

/// What `tapstack_init` has made.
struct Running {
    _server: Server,
    plug: Plug,
    _place: Place,
}

static RUNNING: Mutex<Option<Running>> = Mutex::new(None);

/// The options of `tapstack_init`, as they stand on the demos' command lines.
#[derive(Parser)]
#[command(no_binary_name = true)]
struct Config {
    #[command(flatten)]
    common: CommonOptions,
}

/// `tap=tap0 addr=192.0.2.2/24 plain` as a command line has it.
fn parse(config: &str) -> Result<CommonOptions> {
    let words = config.split_whitespace().map(|word| format!("--{word}"));
    Ok(Config::try_parse_from(words)?.common)
}

fn start(config: &str) -> Result<Running> {
    let plug = Plug::start(&parse(config)?)?;
    let place = Place::new().context("no directory for the server's socket")?;
    let server = Server::start(plug.host(), place.socket()).context("the server")?;
    place.open().context("the server's socket")?;
    ensure!(set_path(place.socket()), "tapstack_init was called before in this process");
    Ok(Running { _server: server, plug, _place: place })
}

/// Starts the stack in this process: `config` has the demos' options, separated by spaces, without
/// dashes: `"tap=tap0 addr=192.0.2.2/24 gateway=192.0.2.1"`. 0, or -1 and `errno` EINVAL, with the
/// reason on standard error. Once in the life of a process.
///
/// # Safety
/// `config` is null or a C string.
// SAFETY: no other library exports this name.
#[unsafe(no_mangle)]
// SAFETY: what the caller promises stands above.
pub unsafe extern "C" fn tapstack_init(config: *const c_char) -> c_int {
    let config = match config.is_null() {
        true => String::new(),
        // SAFETY: not null, and the caller passes a C string.
        false => unsafe { CStr::from_ptr(config) }.to_string_lossy().into_owned(),
    };
    let started = catch_unwind(|| start(&config));
    match started.unwrap_or_else(|_| Err(anyhow::anyhow!("a panic"))) {
        Ok(running) => {
            *RUNNING.lock().unwrap_or_else(PoisonError::into_inner) = Some(running);
            // SAFETY: the function lives as long as the process.
            unsafe { libc::atexit(at_exit) };
            0
        }
        Err(error) => {
            eprintln!("tapstack_init: {error:#}");
            doors::sys::set_errno(stack::host::Errno::EINVAL);
            -1
        }
    }
}

/// Closes all connections in good order, and ends the stack.
// SAFETY: no other library exports this name.
#[unsafe(no_mangle)]
pub extern "C" fn tapstack_fini() {
    let running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(running) = running {
        running.plug.close();
    }
}

extern "C" fn at_exit() {
    tapstack_fini();
}

doors::exports! {
    tapstack_socket = calls::socket(domain: c_int, kind: c_int, protocol: c_int) -> c_int;
    tapstack_bind = calls::bind(fd: c_int, at: *const sockaddr, length: socklen_t) -> c_int;
    tapstack_listen = calls::listen(fd: c_int, backlog: c_int) -> c_int;
    tapstack_accept4 = calls::accept4(
        fd: c_int, at: *mut sockaddr, length: *mut socklen_t, flags: c_int
    ) -> c_int;
    tapstack_connect = calls::connect(fd: c_int, at: *const sockaddr, length: socklen_t) -> c_int;
    tapstack_shutdown = calls::shutdown(fd: c_int, how: c_int) -> c_int;
    tapstack_close = calls::close(fd: c_int) -> c_int;
    tapstack_dup = libc::dup(fd: c_int) -> c_int;
    tapstack_dup2 = calls::dup2(fd: c_int, new: c_int) -> c_int;
    tapstack_dup3 = calls::dup3(fd: c_int, new: c_int, flags: c_int) -> c_int;
    tapstack_getsockname = calls::getsockname(
        fd: c_int, at: *mut sockaddr, length: *mut socklen_t
    ) -> c_int;
    tapstack_getpeername = calls::getpeername(
        fd: c_int, at: *mut sockaddr, length: *mut socklen_t
    ) -> c_int;
    tapstack_getsockopt = calls::getsockopt(
        fd: c_int, level: c_int, name: c_int, value: *mut c_void, length: *mut socklen_t
    ) -> c_int;
    tapstack_setsockopt = calls::setsockopt(
        fd: c_int, level: c_int, name: c_int, value: *const c_void, length: socklen_t
    ) -> c_int;
    tapstack_ioctl = calls::ioctl(fd: c_int, request: c_ulong, argument: *mut c_void) -> c_int;
    tapstack_fcntl = libc::fcntl(fd: c_int, command: c_int, argument: libc::c_long) -> c_int;
    tapstack_read = transfer::read(fd: c_int, at: *mut c_void, length: size_t) -> ssize_t;
    tapstack_readv = transfer::readv(fd: c_int, parts: *const iovec, count: c_int) -> ssize_t;
    tapstack_recv = transfer::recv(
        fd: c_int, at: *mut c_void, length: size_t, flags: c_int
    ) -> ssize_t;
    tapstack_recvfrom = transfer::recvfrom(
        fd: c_int, at: *mut c_void, length: size_t, flags: c_int, from: *mut sockaddr,
        from_length: *mut socklen_t
    ) -> ssize_t;
    tapstack_recvmsg = transfer::recvmsg(fd: c_int, message: *mut msghdr, flags: c_int) -> ssize_t;
    tapstack_recvmmsg = transfer::recvmmsg(
        fd: c_int, messages: *mut mmsghdr, count: c_uint, flags: c_int, timeout: *mut timespec
    ) -> c_int;
    tapstack_write = transfer::write(fd: c_int, at: *const c_void, length: size_t) -> ssize_t;
    tapstack_writev = transfer::writev(fd: c_int, parts: *const iovec, count: c_int) -> ssize_t;
    tapstack_send = transfer::send(
        fd: c_int, at: *const c_void, length: size_t, flags: c_int
    ) -> ssize_t;
    tapstack_sendto = transfer::sendto(
        fd: c_int, at: *const c_void, length: size_t, flags: c_int, to: *const sockaddr,
        to_length: socklen_t
    ) -> ssize_t;
    tapstack_sendmsg = transfer::sendmsg(
        fd: c_int, message: *const msghdr, flags: c_int
    ) -> ssize_t;
    tapstack_sendmmsg = transfer::sendmmsg(
        fd: c_int, messages: *mut mmsghdr, count: c_uint, flags: c_int
    ) -> c_int;
    tapstack_poll = libc::poll(fds: *mut pollfd, count: nfds_t, timeout: c_int) -> c_int;
    tapstack_ppoll = libc::ppoll(
        fds: *mut pollfd, count: nfds_t, timeout: *const timespec, mask: *const sigset_t
    ) -> c_int;
    tapstack_select = libc::select(
        count: c_int, read: *mut fd_set, write: *mut fd_set, except: *mut fd_set,
        timeout: *mut timeval
    ) -> c_int;
    tapstack_pselect = libc::pselect(
        count: c_int, read: *mut fd_set, write: *mut fd_set, except: *mut fd_set,
        timeout: *const timespec, mask: *const sigset_t
    ) -> c_int;
    tapstack_epoll_create1 = libc::epoll_create1(flags: c_int) -> c_int;
    tapstack_epoll_ctl = libc::epoll_ctl(
        epoll: c_int, op: c_int, fd: c_int, event: *mut epoll_event
    ) -> c_int;
    tapstack_epoll_wait = libc::epoll_wait(
        epoll: c_int, events: *mut epoll_event, room: c_int, timeout: c_int
    ) -> c_int;
    tapstack_epoll_pwait = libc::epoll_pwait(
        epoll: c_int, events: *mut epoll_event, room: c_int, timeout: c_int, mask: *const sigset_t
    ) -> c_int;
    tapstack_getaddrinfo = names::getaddrinfo(
        node: *const c_char, service: *const c_char, hints: *const addrinfo,
        result: *mut *mut addrinfo
    ) -> c_int;
    tapstack_freeaddrinfo = libc::freeaddrinfo(list: *mut addrinfo) -> ();
    tapstack_getnameinfo = names::getnameinfo(
        at: *const sockaddr, length: socklen_t, host: *mut c_char, host_room: socklen_t,
        service: *mut c_char, service_room: socklen_t, flags: c_int
    ) -> c_int;
    tapstack_gethostbyname = names::gethostbyname(name: *const c_char) -> *mut hostent;
    tapstack_accept = accept(fd: c_int, at: *mut sockaddr, length: *mut socklen_t) -> c_int;
}

// SAFETY: what the caller promises is what the call is for.
unsafe fn accept(fd: c_int, at: *mut sockaddr, length: *mut socklen_t) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { calls::accept4(fd, at, length, 0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_config_is_a_command_line() {
        let options = parse("tap=tap9 addr=192.0.2.7/24,2001:db8::7/64 plain mtu=1400").unwrap();
        assert_eq!((options.tap.as_deref(), options.plain), (Some("tap9"), true));
        assert_eq!((options.addr.len(), options.mtu), (2, Some(1400)));
        assert!(parse("colour=red").unwrap_err().to_string().contains("colour"));
    }
}
