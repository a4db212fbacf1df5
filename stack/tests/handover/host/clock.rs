//! A clock that leaps, so that what the shell decides by the time goes either way.

use std::sync::atomic::{AtomicU64, Ordering};

use shuttle::rand::Rng;

use crate::Instant;

/// How far it leaps, nanoseconds: below and above each of the shell's limits, and far enough for
/// timers to end.
const LEAPS: [u64; 4] = [1_000, 50_000, 400_000, 100_000_000];

/// So often it is read before it leaps as far as it can.
const CALM: u64 = 200;

pub(crate) struct Clock {
    now: AtomicU64,
    reads: AtomicU64,
    /// How many of the leaps it makes while it is calm: each run has its own pace.
    pace: usize,
}

impl Clock {
    pub(crate) fn start() -> Clock {
        let pace = shuttle::rand::thread_rng().gen_range(1..=LEAPS.len());
        Clock { now: AtomicU64::new(0), reads: AtomicU64::new(0), pace }
    }

    pub(crate) fn now(&self) -> Instant {
        let calm = self.reads.fetch_add(1, Ordering::Relaxed) < CALM;
        let leaps = &LEAPS[..if calm { self.pace } else { LEAPS.len() }];
        let leap = leaps[shuttle::rand::thread_rng().gen_range(0..leaps.len())];
        Instant::from_nanos(self.now.fetch_add(leap, Ordering::Relaxed) + leap)
    }
}
