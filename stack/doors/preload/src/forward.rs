//! Calls that the C library answers rightly for our descriptors as for any. They have their names
//! here so that all calls of sockets do, and to take note of descriptors that begin and end.

use std::ffi::{c_int, c_long, c_uint, c_void};
use std::sync::atomic::{AtomicPtr, Ordering};

use doors::client::calls::{after_close_range, after_fcntl};
use libc::{
    addrinfo, epoll_event, fd_set, if_nameindex, nfds_t, pollfd, sigset_t, size_t, timespec,
    timeval,
};

/// Exports functions that call the next one of their name, and may do something with its answer. A
/// thread may be cancelled in some of them, which unwinds through here.
macro_rules! forward {
    ($($name:ident($($argument:ident: $type:ty),*) -> $answer:ty $(, then $then:expr)?;)*) => {
        /// Where the next one of each name is.
        mod next {
            use super::Next;

            $(
                #[expect(non_upper_case_globals, reason = "named as the function is")]
                pub(super) static $name: Next = Next::new(concat!(stringify!($name), "\0"));
            )*
        }

        /// All of them.
        static ALL: &[&Next] = &[$(&next::$name),*];

        $(
            /// The libc function of this name.
            ///
            /// # Safety
            /// As that function.
            // SAFETY: it means to stand in for libc's, and does the same.
            #[unsafe(export_name = stringify!($name))]
            // SAFETY: what the caller promises stands above.
            pub unsafe extern "C-unwind" fn $name($($argument: $type),*) -> $answer {
                // SAFETY: the same promise.
                type Function = unsafe extern "C-unwind" fn($($type),*) -> $answer;
                // SAFETY: the function of this name, which has this type; passed on as it came.
                let answer = unsafe {
                    let next = std::mem::transmute::<*mut c_void, Function>(next::$name.get());
                    next($($argument),*)
                };
                $(let answer = $then(answer);)?
                answer
            }
        )*
    };
}

/// The function of a name in the libraries behind this one.
struct Next {
    /// It ends with a zero.
    name: &'static str,
    known: AtomicPtr<c_void>,
}

impl Next {
    const fn new(name: &'static str) -> Next {
        Next { name, known: AtomicPtr::new(std::ptr::null_mut()) }
    }

    fn find(&self) {
        // SAFETY: a C string, and the handle that means what is behind.
        let found = unsafe { libc::dlsym(libc::RTLD_NEXT, self.name.as_ptr().cast()) };
        self.known.store(found, Ordering::Relaxed);
    }

    fn get(&self) -> *mut c_void {
        let known = self.known.load(Ordering::Relaxed);
        if !known.is_null() {
            return known;
        }
        // Another library's constructor calls before ours has run.
        self.find();
        let found = self.known.load(Ordering::Relaxed);
        if found.is_null() {
            // SAFETY: takes no pointers, and does not return. Who has called what is nowhere to be
            // found was not linked.
            unsafe { libc::abort() }
        }
        found
    }
}

/// Finds all of them: `dlsym` takes locks and memory, and a program may call from the handler of a
/// signal. One that this C library does not have stays unknown.
extern "C" fn find_all() {
    ALL.iter().for_each(|next| next.find());
}

/// The loader calls it before the program begins.
// SAFETY: the section holds pointers to functions that take nothing that this one looks at.
#[used]
#[unsafe(link_section = ".init_array")]
static CONSTRUCTOR: extern "C" fn() = find_all;

forward! {
    fcntl(fd: c_int, command: c_int, argument: c_long) -> c_int,
        then |answer| after_fcntl(command, answer);
    fcntl64(fd: c_int, command: c_int, argument: c_long) -> c_int,
        then |answer| after_fcntl(command, answer);
    close_range(first: c_uint, last: c_uint, flags: c_int) -> c_int,
        then |answer| after_close_range(first, last, answer);
    closefrom(first: c_int) -> (),
        then |()| {
            after_close_range(first.max(0).cast_unsigned(), c_uint::MAX, 0);
        };
    poll(fds: *mut pollfd, count: nfds_t, timeout: c_int) -> c_int;
    ppoll(
        fds: *mut pollfd, count: nfds_t, timeout: *const timespec, mask: *const sigset_t
    ) -> c_int;
    __poll_chk(fds: *mut pollfd, count: nfds_t, timeout: c_int, room: size_t) -> c_int;
    __ppoll_chk(
        fds: *mut pollfd, count: nfds_t, timeout: *const timespec, mask: *const sigset_t,
        room: size_t
    ) -> c_int;
    select(
        count: c_int, read: *mut fd_set, write: *mut fd_set, except: *mut fd_set,
        timeout: *mut timeval
    ) -> c_int;
    pselect(
        count: c_int, read: *mut fd_set, write: *mut fd_set, except: *mut fd_set,
        timeout: *const timespec, mask: *const sigset_t
    ) -> c_int;
    epoll_create1(flags: c_int) -> c_int;
    epoll_ctl(epoll: c_int, operation: c_int, fd: c_int, event: *mut epoll_event) -> c_int;
    epoll_wait(epoll: c_int, events: *mut epoll_event, room: c_int, timeout: c_int) -> c_int;
    epoll_pwait(
        epoll: c_int, events: *mut epoll_event, room: c_int, timeout: c_int, mask: *const sigset_t
    ) -> c_int;
    epoll_pwait2(
        epoll: c_int, events: *mut epoll_event, room: c_int, timeout: *const timespec,
        mask: *const sigset_t
    ) -> c_int;
    freeaddrinfo(list: *mut addrinfo) -> ();
    if_freenameindex(list: *mut if_nameindex) -> ();
}
