//! What the cases share: a watchdog, a clock, and words for errors.

use std::fmt::Debug;
use std::io::{self, ErrorKind};
use std::sync::mpsc;
use std::time::Duration;

use stack::host::Errno;

/// A time-out that is waited for to its end.
pub(crate) const SHORT: Duration = Duration::from_millis(30);

/// Runs `case` on a thread of its own, and fails if it has not ended in time.
#[expect(clippy::disallowed_methods, reason = "the watchdog watches another thread")]
pub(crate) fn within(seconds: u64, case: impl FnOnce() + Send + 'static) {
    let (done, ended) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        case();
        let _ = done.send(());
    });
    match ended.recv_timeout(Duration::from_secs(seconds)) {
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("still running after {seconds} s"),
        // The thread has ended or panicked; its panic is this test's.
        _ => thread.join().unwrap_or_else(|why| std::panic::resume_unwind(why)),
    }
}

/// How long `work` took.
#[expect(clippy::disallowed_methods, clippy::disallowed_types, reason = "tests have a clock")]
pub(crate) fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let start = std::time::Instant::now();
    let value = work();
    (value, start.elapsed())
}

#[expect(clippy::disallowed_methods, reason = "tests have a clock")]
pub(crate) fn pause(millis: u64) {
    std::thread::sleep(Duration::from_millis(millis));
}

/// Asks until there is an answer: for what a packet under way decides.
#[track_caller]
pub(crate) fn until<T>(mut ask: impl FnMut() -> Option<T>) -> T {
    for _ in 0..2000 {
        if let Some(answer) = ask() {
            return answer;
        }
        pause(1);
    }
    panic!("it never came");
}

/// The call fails with this number of Linux's.
#[track_caller]
pub(crate) fn fails<T: Debug>(answer: io::Result<T>, errno: Errno) {
    let error = answer.expect_err(errno.name());
    assert_eq!(error.raw_os_error(), Some(errno.number()), "{errno:?} expected, got {error:?}");
}

/// The call fails with this kind of error, which has no number of Linux's: std has not asked it.
#[track_caller]
pub(crate) fn refused_as<T: Debug>(answer: io::Result<T>, kind: ErrorKind) {
    let error = answer.expect_err("an error");
    assert_eq!(error.kind(), kind, "{error:?}");
}
