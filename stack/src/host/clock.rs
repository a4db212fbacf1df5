//! The one clock of the shell, and the entropy of its seed.

use std::fs::File;
use std::io::{self, Read};

use crate::{Instant, Seed};

/// The monotonic clock, counted from the host's start: the epoch of its stack.
#[derive(Debug)]
#[expect(clippy::disallowed_types, reason = "the shell is where time comes from")]
pub(crate) struct Clock {
    origin: std::time::Instant,
}

impl Clock {
    #[expect(clippy::disallowed_methods, reason = "the shell is where time comes from")]
    #[expect(clippy::disallowed_types, reason = "the shell is where time comes from")]
    pub(crate) fn start() -> Clock {
        Clock { origin: std::time::Instant::now() }
    }

    /// The time since the start. About 25 ns: no system call on Linux.
    pub(crate) fn now(&self) -> Instant {
        let elapsed = self.origin.elapsed();
        Instant::from_nanos(elapsed.as_secs() * 1_000_000_000 + u64::from(elapsed.subsec_nanos()))
    }
}

/// A seed that nobody can guess.
///
/// # Errors
/// Those of opening and reading `/dev/urandom`.
pub(crate) fn entropy() -> io::Result<Seed> {
    let mut bytes = [0; 32];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(Seed::from_bytes(bytes))
}
