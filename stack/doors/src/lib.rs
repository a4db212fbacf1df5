//! Sockets for programs of any kind, with the calls that C programs know.
//!
//! ```text
//!   program                                  server (a thread, or another process)
//!   read, write, poll, epoll ...  <-------->  one end of a socket pair for each socket
//!   bind, connect, getsockopt ... <-------->  a channel of requests and replies
//!                                             and behind both: stack::host::Bsd
//! ```
//!
//! A socket is one end of a pair of Unix sockets: a real descriptor of the kernel's. Whatever a
//! program does to descriptors works on it as it is, because it is the kernel that does it: poll,
//! select and epoll of any kind beside foreign descriptors, dup, fork, exec, stdio, sendfile,
//! splice, signals. The [`server`] carries bytes between the other end and the stack. What the
//! kernel would answer wrongly (addresses, options, connecting, accepting, datagrams) the
//! [`client`] asks of the server. `docs/decisions/0017-doors.md` says why.

pub mod channel;
pub mod client;
pub mod control;
mod exports;
pub mod protocol;
pub mod server;
pub mod sys;
