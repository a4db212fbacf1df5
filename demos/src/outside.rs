//! Clocks, threads and chance: what the engine may not have (law 1) and a program needs.
#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "a program has a clock, threads and chance"
)]

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

/// What a thread of a demo needs at most: none of them recurses.
const STACK_SIZE: usize = 256 * 1024;

/// Measures from its start.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(std::time::Instant);

impl Stopwatch {
    /// One that runs from now on.
    pub fn start() -> Stopwatch {
        Stopwatch(std::time::Instant::now())
    }

    /// The time since its start.
    pub fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }

    /// What is left of `limit`: zero when it has passed.
    pub fn left_of(&self, limit: Duration) -> Duration {
        limit.saturating_sub(self.elapsed())
    }
}

/// The time of day.
pub fn wall_clock() -> std::time::SystemTime {
    std::time::SystemTime::now()
}

/// Starts a thread.
///
/// # Errors
/// The system has no room for another one.
pub fn spawn<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<JoinHandle<T>> {
    Builder::new().name(name.to_owned()).stack_size(STACK_SIZE).spawn(work)
}

/// Keeps the processor busy for a while.
pub fn work_for(time: Duration) {
    if !time.is_zero() {
        let started = Stopwatch::start();
        while started.elapsed() < time {
            std::hint::spin_loop();
        }
    }
}

/// Does nothing for a while.
pub fn sleep(time: Duration) {
    std::thread::sleep(time);
}

/// Another number each time.
pub fn chance() -> u64 {
    RandomState::new().hash_one(())
}
