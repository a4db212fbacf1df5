//! Putting one thread to sleep and waking it.

use std::cell::OnceCell;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::sync::{AtomicBool, AtomicU64, AtomicUsize, thread, thread_local};
use crate::Instant;

/// Not in the list of parked threads.
const NOWHERE: usize = usize::MAX;

/// Where one thread sleeps. A wake-up that comes before the sleep is not lost: it ends the sleep
/// as it begins. Wake-ups may be spurious; whoever sleeps looks at its condition again.
///
/// It has its own flag beside `std::thread::park`'s, because a foreign `park` on this thread (in
/// a device, in a logger) may swallow std's token, but never the flag.
#[derive(Debug)]
pub(crate) struct Parker {
    thread: thread::Thread,
    notified: AtomicBool,
    /// When a driver last woke this thread, in nanoseconds; zero: not since it parked. Read and
    /// written under the lock, as is `position`.
    woken: AtomicU64,
    /// Where this thread stands in the list of parked threads.
    position: AtomicUsize,
}

thread_local! {
    static PARKER: OnceCell<Arc<Parker>> = const { OnceCell::new() };
}

impl Parker {
    /// The calling thread's parker: made at its first use, then the same one always.
    pub(crate) fn of_this_thread() -> Arc<Parker> {
        let fresh = || Arc::new(Parker::new(thread::current()));
        // A destructor that runs at the end of its thread may close sockets after this slot.
        PARKER.try_with(|parker| Arc::clone(parker.get_or_init(fresh))).unwrap_or_else(|_| fresh())
    }

    fn new(thread: thread::Thread) -> Parker {
        Parker {
            thread,
            notified: AtomicBool::new(false),
            woken: AtomicU64::new(0),
            position: AtomicUsize::new(NOWHERE),
        }
    }

    /// Sleeps until a wake-up, or until `timeout` has passed (`None`: for ever).
    pub(crate) fn park(&self, timeout: Option<Duration>) {
        if self.notified.swap(false, Ordering::Acquire) {
            return;
        }
        match timeout {
            None => thread::park(),
            Some(timeout) => thread::park_timeout(timeout),
        }
        self.notified.store(false, Ordering::Release);
    }

    /// A driver wakes this thread because what it waits for may have come.
    pub(crate) fn woken(&self, now: Instant) {
        self.woken.store(now.as_nanos(), Ordering::Relaxed);
    }

    /// How long ago that was, if it has not been asked since.
    pub(crate) fn since_woken(&self, now: Instant) -> Option<Duration> {
        match self.woken.swap(0, Ordering::Relaxed) {
            0 => None,
            nanos => Some(now - Instant::from_nanos(nanos)),
        }
    }

    /// Ends this thread's present or next sleep.
    pub(crate) fn unpark(&self) {
        self.notified.store(true, Ordering::Release);
        self.thread.unpark();
    }
}

/// The threads which sleep although they could drive: from here one is promoted when the seat
/// falls vacant. Adding, removing and taking are O(1).
#[derive(Debug, Default)]
pub(crate) struct Parked {
    threads: Vec<Arc<Parker>>,
}

impl Parked {
    pub(crate) fn add(&mut self, parker: &Arc<Parker>) {
        if parker.position.load(Ordering::Relaxed) == NOWHERE {
            parker.position.store(self.threads.len(), Ordering::Relaxed);
            self.threads.push(Arc::clone(parker));
        }
    }

    pub(crate) fn remove(&mut self, parker: &Parker) {
        let position = parker.position.swap(NOWHERE, Ordering::Relaxed);
        if position == NOWHERE {
            return;
        }
        self.threads.swap_remove(position);
        if let Some(moved) = self.threads.get(position) {
            moved.position.store(position, Ordering::Relaxed);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.threads.is_empty()
    }

    /// The thread that went to sleep last: its caches are the warmest.
    pub(crate) fn take_latest(&mut self) -> Option<Arc<Parker>> {
        let parker = self.threads.pop()?;
        parker.position.store(NOWHERE, Ordering::Relaxed);
        Some(parker)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::sync::check;

    #[test]
    fn a_wake_up_before_the_sleep_is_not_lost() {
        check(|| {
            let parker = Parker::of_this_thread();
            parker.unpark();
            parker.park(None);
            parker.park(Some(Duration::from_millis(1)));
        });
    }

    #[test]
    fn a_foreign_park_does_not_swallow_the_wake_up() {
        check(|| {
            let parker = Parker::of_this_thread();
            parker.unpark();
            thread::park();
            parker.park(None);
        });
    }

    #[test]
    fn the_list_keeps_positions_when_one_leaves() {
        check(|| {
            let parker = |_| Arc::new(Parker::new(thread::current()));
            let threads: Vec<_> = (0..4).map(parker).collect();
            let mut parked = Parked::default();
            threads.iter().for_each(|parker| parked.add(parker));
            parked.add(&threads[0]);
            parked.remove(&threads[1]);
            parked.remove(&threads[1]);
            parked.remove(&threads[3]);
            assert!(Arc::ptr_eq(&parked.take_latest().unwrap(), &threads[2]));
            assert!(Arc::ptr_eq(&parked.take_latest().unwrap(), &threads[0]));
            assert!(parked.take_latest().is_none());
        });
    }
}
