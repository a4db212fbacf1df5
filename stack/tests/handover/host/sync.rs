//! shuttle's types in place of those of `src/host/sync.rs`.

use std::io;
use std::time::Duration;

pub(super) use shuttle::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};
pub(super) use shuttle::sync::mpsc::{
    Receiver, SyncSender as Sender, TryRecvError, sync_channel as bounded,
};
pub(super) use shuttle::sync::{Mutex, MutexGuard};
pub(super) use shuttle::thread_local;

/// While the reactor ticks it repairs what others get wrong: it should soon sleep.
pub(super) const QUIET_TICKS: u32 = 2;

/// Sleeping and waking. shuttle's own `park` may end for no reason, which would hide a wake-up that
/// is lost; this one never does.
pub(crate) mod thread {
    use std::sync::Arc;
    use std::time::Duration;

    use shuttle::sync::{Condvar, Mutex};
    pub(crate) use shuttle::thread::{JoinHandle, yield_now};

    #[derive(Clone, Debug, Default)]
    pub(crate) struct Thread(Arc<(Mutex<bool>, Condvar)>);

    shuttle::thread_local! {
        static CURRENT: Thread = Thread::default();
    }

    pub(crate) fn current() -> Thread {
        CURRENT.with(Thread::clone)
    }

    impl Thread {
        pub(crate) fn unpark(&self) {
            let Thread(it) = self;
            *it.0.lock().unwrap() = true;
            it.1.notify_one();
        }
    }

    pub(crate) fn park() {
        let Thread(it) = current();
        let mut woken = it.0.lock().unwrap();
        while !*woken {
            woken = it.1.wait(woken).unwrap();
        }
        *woken = false;
    }

    /// May end at any time.
    pub(crate) fn park_timeout(_: Duration) {
        yield_now();
        *current().0.0.lock().unwrap() = false;
    }
}

/// A panic ends the run: nothing begins again here.
pub(super) fn spawn(
    name: &str,
    _after_panic: Duration,
    work: impl FnMut() + Send + 'static,
) -> io::Result<thread::JoinHandle<()>> {
    shuttle::thread::Builder::new().name(name.into()).spawn(work)
}

/// The tests beside the code have one thread each, and so but one order.
#[cfg(test)]
pub(super) fn check(test: impl Fn() + Send + Sync + 'static) {
    shuttle::check_random(test, 1);
}
