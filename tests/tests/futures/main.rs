//! The asynchronous sockets, with an executor of one function and with tokio. Every test runs under
//! a watchdog: a lost wake-up is a failure, never a test that hangs.

mod cancel;
mod rig;
mod sockets;
mod tokio;
