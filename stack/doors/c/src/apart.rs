//! A thread apart: with a table of descriptors of its own, and without the program's signals.
//!
//! `fork` copies the table of the thread that calls it. What is not in there no child holds: no
//! TAP, which would be busy for as long as the child lives, and no end of a pair, whose other end
//! would not be told. Nor does a program that closes all of its descriptors close these. A handler
//! of the program's must not run here, for its descriptors are others here: so signals stay
//! blocked. The threads that this one starts share all of that with it.

use std::io;
use std::os::fd::RawFd;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::Builder;

use anyhow::{Context, Result, anyhow};

/// The last of standard input, output and error, which every table has.
const STANDARD: RawFd = 2;

/// What was started on a thread apart.
pub(crate) struct Apart {
    end: Sender<()>,
    ended: Arc<Ended>,
}

#[derive(Default)]
struct Ended {
    is_so: Mutex<bool>,
    told: Condvar,
}

impl Apart {
    /// Has `start` run on a thread apart, where the descriptor `kept` is still what it is here.
    /// What it returns is run there too, in the end.
    ///
    /// # Errors
    /// Those of `start`; the system refuses the thread or the table.
    #[expect(clippy::disallowed_methods, reason = "the library's own thread")]
    pub(crate) fn start<End: FnOnce()>(
        kept: Option<RawFd>,
        start: impl FnOnce() -> Result<End> + Send + 'static,
    ) -> Result<Apart> {
        let (end, asked) = channel();
        let (tell, started) = channel();
        let ended = Arc::<Ended>::default();
        let at_end = AtEnd(Arc::clone(&ended));
        let life = move || {
            let _at_end = at_end;
            live(kept, start, &tell, &asked);
        };
        without_signals(|| Builder::new().name("tapstack".into()).spawn(life))
            .context("a thread for the stack")?;
        // Only who panics says nothing.
        started.recv().unwrap_or_else(|_| Err(anyhow!("a panic")))?;
        Ok(Apart { end, ended })
    }

    /// Has it end, and waits until it has. Who comes later waits too.
    pub(crate) fn end(&self) {
        // It may have ended.
        let _ = self.end.send(());
        let is_so = self.ended.is_so.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.ended.told.wait_while(is_so, |is_so| !*is_so);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }
}

/// The thread's life, told at its beginning, and asked to end.
fn live<End: FnOnce()>(
    kept: Option<RawFd>,
    start: impl FnOnce() -> Result<End>,
    tell: &Sender<Result<()>>,
    asked: &Receiver<()>,
) {
    let table = own_table(kept).context("a table of descriptors of its own (Linux 5.9)");
    let (told, end) = match table.and_then(|()| start()) {
        Ok(end) => (Ok(()), Some(end)),
        Err(error) => (Err(error), None),
    };
    // Whoever waits for it takes it.
    let _ = tell.send(told);
    if let Some(end) = end {
        // Asked, or nobody is there to ask any more.
        let _ = asked.recv();
        end();
    }
}

/// Tells that the thread has ended, however it does.
struct AtEnd(Arc<Ended>);

impl Drop for AtEnd {
    fn drop(&mut self) {
        *self.0.is_so.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.0.told.notify_all();
    }
}

/// Does what makes a thread, which then has all signals blocked.
fn without_signals<T>(make: impl FnOnce() -> T) -> T {
    // SAFETY: all zeros are a set, which `sigfillset` fills; the pointers are those of sets.
    unsafe {
        let (mut all, mut before) = (std::mem::zeroed(), std::mem::zeroed());
        libc::sigfillset(&raw mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, &raw mut before);
        let made = make();
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const before, std::ptr::null_mut());
        made
    }
}

/// Gives the calling thread a table of its own, in which `kept` and the standard three are as
/// before, and nothing else is.
fn own_table(kept: Option<RawFd>) -> io::Result<()> {
    let kept = kept.unwrap_or(STANDARD);
    // A range in which there is nothing: it only makes the table.
    close_range(RawFd::MAX, RawFd::MAX, libc::CLOSE_RANGE_UNSHARE)?;
    for (first, last) in [(STANDARD + 1, kept - 1), (kept.max(STANDARD) + 1, RawFd::MAX)] {
        if first <= last {
            close_range(first, last, 0)?;
        }
    }
    Ok(())
}

fn close_range(first: RawFd, last: RawFd, flags: libc::c_uint) -> io::Result<()> {
    // SAFETY: takes no pointers; whoever asks has a table of its own, or closes nothing.
    let done = unsafe { libc::syscall(libc::SYS_close_range, first, last, flags) };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
