//! What the hand-over of the seat is made of. `stack/tests/handover` compiles the same files with
//! the types of a scheduler that tries out the orders in which threads can run.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

pub(super) use crossbeam_channel::{Receiver, Sender, TryRecvError, bounded};
pub(super) use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};
pub(super) use std::sync::{Mutex, MutexGuard};
pub(super) use std::{thread, thread_local};

/// The reactor goes to deep sleep when one thread has kept the seat for so many ticks.
pub(super) const QUIET_TICKS: u32 = 100;

/// Starts a thread that begins `work` again, after a pause, when the engine panics in it.
///
/// # Errors
/// The operating system refuses a thread.
#[expect(clippy::disallowed_methods, reason = "the shell's own threads")]
pub(super) fn spawn(
    name: &str,
    after_panic: Duration,
    mut work: impl FnMut() + Send + 'static,
) -> io::Result<thread::JoinHandle<()>> {
    thread::Builder::new().name(name.into()).spawn(move || {
        while catch_unwind(AssertUnwindSafe(&mut work)).is_err() {
            log::error!("the engine has panicked; going on");
            thread::park_timeout(after_panic);
        }
    })
}

/// Runs a test of what has threads; in `stack/tests/handover` in many of their orders.
#[cfg(test)]
pub(super) fn check(test: impl Fn() + Send + Sync + 'static) {
    test();
}
