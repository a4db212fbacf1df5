//! A client that keeps something for the host, on a thread of its own, for as long as it is held.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::poller::PollWaker;

/// The thread, and what it has got so far.
pub(super) struct Keeper<T> {
    shared: Arc<Shared<T>>,
    waker: PollWaker,
    thread: Option<JoinHandle<()>>,
}

/// What the thread and its owner tell each other.
pub(super) struct Shared<T> {
    status: Mutex<Status<T>>,
    changed: Condvar,
}

struct Status<T> {
    got: Option<T>,
    is_stopping: bool,
    has_ended: bool,
}

impl<T: Clone + Send + 'static> Keeper<T> {
    /// Lets `work` run until it ends by itself, or the keeper is dropped: then `waker` wakes it.
    #[expect(clippy::disallowed_methods, reason = "the client's own thread")]
    pub(super) fn start(
        name: &str,
        waker: PollWaker,
        work: impl FnOnce(&Shared<T>) + Send + 'static,
    ) -> io::Result<Keeper<T>> {
        let status = Status { got: None, is_stopping: false, has_ended: false };
        let shared = Arc::new(Shared { status: Mutex::new(status), changed: Condvar::new() });
        let its = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name(name.into()).spawn(move || {
            work(&its);
            let mut status = its.status();
            (status.has_ended, status.got) = (true, None);
            its.changed.notify_all();
        })?;
        Ok(Keeper { shared, waker, thread: Some(thread) })
    }

    /// What is there now.
    pub(super) fn get(&self) -> Option<T> {
        self.shared.get()
    }

    /// Waits until something is there.
    pub(super) fn wait(&self, timeout: Duration) -> Option<T> {
        let status = self.shared.status();
        let waits = |status: &mut Status<T>| status.got.is_none() && !status.has_ended;
        let status = self.shared.changed.wait_timeout_while(status, timeout, waits);
        status.unwrap_or_else(PoisonError::into_inner).0.got.clone()
    }
}

impl<T> Drop for Keeper<T> {
    fn drop(&mut self) {
        self.shared.status().is_stopping = true;
        self.waker.wake();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            log::error!("a client's thread has panicked");
        }
    }
}

impl<T> Shared<T> {
    fn status(&self) -> MutexGuard<'_, Status<T>> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The owner wants it to end.
    pub(super) fn is_stopping(&self) -> bool {
        self.status().is_stopping
    }

    /// Something is there, or no longer.
    pub(super) fn set(&self, got: Option<T>) {
        self.status().got = got;
        self.changed.notify_all();
    }
}

impl<T: Clone> Shared<T> {
    /// What is there now.
    pub(super) fn get(&self) -> Option<T> {
        self.status().got.clone()
    }
}
