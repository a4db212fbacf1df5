//! The C functions' names: once with a prefix, and once without.

/// Exports functions as C's, each under its name here behind `$prefix`.
#[macro_export]
macro_rules! export {
    ($prefix:literal: $(
        $name:ident = $($path:ident)::+ ( $($argument:ident : $type:ty),* ) -> $answer:ty;
    )*) => {$(
        /// The libc function of this name.
        ///
        /// # Safety
        /// As that function.
        // SAFETY: it means to stand in for libc's, and does the same.
        #[unsafe(export_name = concat!($prefix, stringify!($name)))]
        // SAFETY: what the caller promises stands above.
        pub unsafe extern "C" fn $name($($argument: $type),*) -> $answer {
            #[allow(unused_unsafe, reason = "some need it and some do not")]
            // SAFETY: passed on as it came.
            unsafe { $($path)::+($($argument),*) }
        }
    )*};
}

/// Exports the calls that both libraries have.
#[macro_export]
macro_rules! export_calls {
    ($prefix:literal) => {
        /// What [`doors::client`] answers, under libc's names.
        pub mod exports {
            use std::ffi::{c_char, c_int, c_uint, c_ulong, c_void};

            use libc::{
                addrinfo, hostent, iovec, mmsghdr, msghdr, size_t, sockaddr, socklen_t, ssize_t,
                timespec,
            };
            use $crate::client::{calls, hosts, interfaces, many, names, transfer};

            $crate::export! { $prefix:
                socket = calls::socket(domain: c_int, kind: c_int, protocol: c_int) -> c_int;
                bind = calls::bind(fd: c_int, at: *const sockaddr, length: socklen_t) -> c_int;
                listen = calls::listen(fd: c_int, backlog: c_int) -> c_int;
                accept = calls::accept(
                    fd: c_int, at: *mut sockaddr, length: *mut socklen_t
                ) -> c_int;
                accept4 = calls::accept4(
                    fd: c_int, at: *mut sockaddr, length: *mut socklen_t, flags: c_int
                ) -> c_int;
                connect = calls::connect(
                    fd: c_int, at: *const sockaddr, length: socklen_t
                ) -> c_int;
                shutdown = calls::shutdown(fd: c_int, how: c_int) -> c_int;
                close = calls::close(fd: c_int) -> c_int;
                dup = calls::dup(fd: c_int) -> c_int;
                dup2 = calls::dup2(fd: c_int, new: c_int) -> c_int;
                dup3 = calls::dup3(fd: c_int, new: c_int, flags: c_int) -> c_int;
                getsockname = calls::getsockname(
                    fd: c_int, at: *mut sockaddr, length: *mut socklen_t
                ) -> c_int;
                getpeername = calls::getpeername(
                    fd: c_int, at: *mut sockaddr, length: *mut socklen_t
                ) -> c_int;
                getsockopt = calls::getsockopt(
                    fd: c_int, level: c_int, name: c_int, value: *mut c_void,
                    length: *mut socklen_t
                ) -> c_int;
                setsockopt = calls::setsockopt(
                    fd: c_int, level: c_int, name: c_int, value: *const c_void, length: socklen_t
                ) -> c_int;
                ioctl = calls::ioctl(fd: c_int, request: c_ulong, argument: *mut c_void) -> c_int;
                read = transfer::read(fd: c_int, at: *mut c_void, length: size_t) -> ssize_t;
                readv = transfer::readv(fd: c_int, parts: *const iovec, count: c_int) -> ssize_t;
                recv = transfer::recv(
                    fd: c_int, at: *mut c_void, length: size_t, flags: c_int
                ) -> ssize_t;
                recvfrom = transfer::recvfrom(
                    fd: c_int, at: *mut c_void, length: size_t, flags: c_int, from: *mut sockaddr,
                    from_length: *mut socklen_t
                ) -> ssize_t;
                recvmsg = transfer::recvmsg(
                    fd: c_int, message: *mut msghdr, flags: c_int
                ) -> ssize_t;
                recvmmsg = many::recvmmsg(
                    fd: c_int, messages: *mut mmsghdr, count: c_uint, flags: c_int,
                    timeout: *mut timespec
                ) -> c_int;
                write = transfer::write(fd: c_int, at: *const c_void, length: size_t) -> ssize_t;
                writev = transfer::writev(fd: c_int, parts: *const iovec, count: c_int) -> ssize_t;
                send = transfer::send(
                    fd: c_int, at: *const c_void, length: size_t, flags: c_int
                ) -> ssize_t;
                sendto = transfer::sendto(
                    fd: c_int, at: *const c_void, length: size_t, flags: c_int,
                    to: *const sockaddr, to_length: socklen_t
                ) -> ssize_t;
                sendmsg = transfer::sendmsg(
                    fd: c_int, message: *const msghdr, flags: c_int
                ) -> ssize_t;
                sendmmsg = many::sendmmsg(
                    fd: c_int, messages: *mut mmsghdr, count: c_uint, flags: c_int
                ) -> c_int;
                sendfile = transfer::sendfile(
                    out: c_int, from: c_int, offset: *mut i64, count: size_t
                ) -> ssize_t;
                getaddrinfo = names::getaddrinfo(
                    node: *const c_char, service: *const c_char, hints: *const addrinfo,
                    result: *mut *mut addrinfo
                ) -> c_int;
                getnameinfo = names::getnameinfo(
                    at: *const sockaddr, length: socklen_t, host: *mut c_char,
                    host_room: socklen_t, service: *mut c_char, service_room: socklen_t,
                    flags: c_int
                ) -> c_int;
                gethostbyname = hosts::gethostbyname(name: *const c_char) -> *mut hostent;
                gethostbyname2 = hosts::gethostbyname2(
                    name: *const c_char, family: c_int
                ) -> *mut hostent;
                gethostbyname_r = hosts::gethostbyname_r(
                    name: *const c_char, host: *mut hostent, buffer: *mut c_char, room: size_t,
                    result: *mut *mut hostent, error: *mut c_int
                ) -> c_int;
                gethostbyname2_r = hosts::gethostbyname2_r(
                    name: *const c_char, family: c_int, host: *mut hostent, buffer: *mut c_char,
                    room: size_t, result: *mut *mut hostent, error: *mut c_int
                ) -> c_int;
                gethostbyaddr = hosts::gethostbyaddr(
                    at: *const c_void, length: socklen_t, family: c_int
                ) -> *mut hostent;
                gethostbyaddr_r = hosts::gethostbyaddr_r(
                    at: *const c_void, length: socklen_t, family: c_int, host: *mut hostent,
                    buffer: *mut c_char, room: size_t, result: *mut *mut hostent, error: *mut c_int
                ) -> c_int;
                if_nametoindex = interfaces::if_nametoindex(name: *const c_char) -> c_uint;
                if_indextoname = interfaces::if_indextoname(
                    index: c_uint, name: *mut c_char
                ) -> *mut c_char;
                if_nameindex = interfaces::if_nameindex() -> *mut libc::if_nameindex;
            }
        }
    };
}
