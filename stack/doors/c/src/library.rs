//! The functions of `tapstack.h`: libc's, with a prefix, and the two around them.

use std::ffi::{CStr, c_char, c_int};
use std::io::{self, Write as _};
use std::panic::catch_unwind;
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError};

use anyhow::{Context, Result, anyhow, bail};
use clap::Parser;
use demos::config;
use demos::options::CommonOptions;
use demos::program::{self, Plug};
use doors::client::calls::after_fcntl;
use doors::client::set_path;
use doors::server::Server;
use stack::host::Resolver;

use crate::apart::Apart;
use crate::place::{self, Place};

/// What to say of a string that is not understood.
const REMEDY: &str = "options are those of `tapstack run --help`, without dashes, like \
                      \"tap=tap0 addr=192.0.2.2/24 gateway=192.0.2.1\"";

/// The process that has the stack, from before it is started until after it has ended; 0: none. A
/// child has a copy of it, and neither the stack's threads nor any right to end it.
static OWNER: AtomicU32 = AtomicU32::new(0);

/// What `tapstack_init` has made. Nobody waits for anything with it locked; and a child, for whom
/// it may be locked for ever, looks at [`OWNER`] first.
static RUNNING: Mutex<Option<Arc<Apart>>> = Mutex::new(None);

fn running() -> MutexGuard<'static, Option<Arc<Apart>>> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The options of `tapstack_init`, as they stand on the demos' command lines.
#[derive(Parser)]
#[command(no_binary_name = true, disable_help_flag = true)]
struct Config {
    #[command(flatten)]
    common: CommonOptions,
}

/// `tap=tap0 addr=192.0.2.2/24 plain` as a command line has it.
fn parse(config: &str) -> Result<CommonOptions> {
    let words = config.split_whitespace().map(|word| format!("--{word}"));
    let parsed = config::parse_from::<Config>(words);
    let explain = |error| anyhow!("{}; {REMEDY}", config::short(&error));
    parsed.map(|it| it.common).map_err(explain)
}

fn start(mut options: CommonOptions) -> Result<Apart> {
    program::log_to_standard_error(options.log);
    place::know_local_names(&mut options);
    // It is the whole process that moves, before there is another thread.
    let namespaces = Plug::enter(&options)?;
    Apart::start(options.fd, move || {
        let plug = Plug::start_in(namespaces, &options)?;
        let names = plug.await_network(&options, |_| ())?;
        let resolver = Resolver::new(plug.host(), names).context("no resolver")?;
        let place = Place::new().context("no directory for the server's socket")?;
        let server = Server::start(plug.host(), &resolver, place.socket()).context("the server")?;
        place.open().context("the server's socket")?;
        set_path(Some(place.socket())).context("the server's socket")?;
        Ok(move || {
            // No path was wrong, and none is not either.
            let _ = set_path(None);
            drop(server);
            plug.close();
            drop(place);
        })
    })
}

/// Starts the stack in this process: `config` has the demos' options, separated by spaces, without
/// dashes: `"tap=tap0 addr=192.0.2.2/24 gateway=192.0.2.1"`. 0, or -1 and `errno` EINVAL, with the
/// reason on standard error, also where a stack runs already.
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
    let started = catch_unwind(|| start_one(&config));
    match started.unwrap_or_else(|_| Err(anyhow!("a panic"))) {
        Ok(()) => 0,
        Err(error) => {
            // A standard error that nobody reads is no reason to fail otherwise.
            let _ = writeln!(io::stderr(), "tapstack_init: {error:#}");
            doors::sys::set_errno(stack::host::Errno::EINVAL);
            -1
        }
    }
}

/// Starts the one stack that a process has.
fn start_one(config: &str) -> Result<()> {
    static AT_EXIT: Once = Once::new();
    let options = parse(config)?;
    match OWNER.compare_exchange(0, process::id(), Ordering::AcqRel, Ordering::Acquire) {
        Ok(_) => {}
        Err(owner) if owner == process::id() => {
            bail!("the stack runs already: tapstack_fini() ends it")
        }
        Err(_) => bail!(
            "this process shares the stack of the one that it was forked from; exec makes it free"
        ),
    }
    let started = start(options).inspect_err(|_| OWNER.store(0, Ordering::Release))?;
    *running() = Some(Arc::new(started));
    AT_EXIT.call_once(|| {
        // SAFETY: the function lives as long as the process.
        let _ = unsafe { libc::atexit(at_exit) };
    });
    Ok(())
}

/// Closes all connections in good order, and ends the stack. In a child it does nothing, and while
/// another thread starts the stack neither.
// SAFETY: no other library exports this name.
#[unsafe(no_mangle)]
pub extern "C" fn tapstack_fini() {
    if OWNER.load(Ordering::Acquire) != process::id() {
        return;
    }
    let Some(apart) = running().clone() else { return };
    apart.end();
    // Of several that have waited the first lets the next stack begin.
    if running().take_if(|it| Arc::ptr_eq(it, &apart)).is_some() {
        OWNER.store(0, Ordering::Release);
    }
}

extern "C" fn at_exit() {
    tapstack_fini();
}

doors::export_calls!("tapstack_");

// SAFETY: what the caller promises is what the call is for.
unsafe fn fcntl(fd: c_int, command: c_int, argument: libc::c_long) -> c_int {
    // SAFETY: the caller's promise.
    after_fcntl(command, unsafe { libc::fcntl(fd, command, argument) })
}

/// The calls that the kernel answers rightly.
pub mod kernel {
    use std::ffi::c_int;

    use libc::{
        addrinfo, epoll_event, fd_set, if_nameindex, nfds_t, pollfd, sigset_t, timespec, timeval,
    };

    doors::export! { "tapstack_":
        fcntl = super::fcntl(fd: c_int, command: c_int, argument: libc::c_long) -> c_int;
        poll = libc::poll(fds: *mut pollfd, count: nfds_t, timeout: c_int) -> c_int;
        ppoll = libc::ppoll(
            fds: *mut pollfd, count: nfds_t, timeout: *const timespec, mask: *const sigset_t
        ) -> c_int;
        select = libc::select(
            count: c_int, read: *mut fd_set, write: *mut fd_set, except: *mut fd_set,
            timeout: *mut timeval
        ) -> c_int;
        pselect = libc::pselect(
            count: c_int, read: *mut fd_set, write: *mut fd_set, except: *mut fd_set,
            timeout: *const timespec, mask: *const sigset_t
        ) -> c_int;
        epoll_create1 = libc::epoll_create1(flags: c_int) -> c_int;
        epoll_ctl = libc::epoll_ctl(
            epoll: c_int, op: c_int, fd: c_int, event: *mut epoll_event
        ) -> c_int;
        epoll_wait = libc::epoll_wait(
            epoll: c_int, events: *mut epoll_event, room: c_int, timeout: c_int
        ) -> c_int;
        epoll_pwait = libc::epoll_pwait(
            epoll: c_int, events: *mut epoll_event, room: c_int, timeout: c_int,
            mask: *const sigset_t
        ) -> c_int;
        freeaddrinfo = libc::freeaddrinfo(list: *mut addrinfo) -> ();
        if_freenameindex = libc::if_freenameindex(list: *mut if_nameindex) -> ();
    }
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
