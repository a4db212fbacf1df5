//! Time, and what the machine has worked in it.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// Ticks of `/proc/stat` in a second (USER_HZ, on every machine that Linux runs on).
const TICKS: f64 = 100.0;

/// What a measurement brought.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Count {
    /// Bytes, or how often.
    pub(crate) count: u64,
    pub(crate) secs: f64,
    /// Work of all processors meanwhile, whoever did it, seconds.
    pub(crate) busy: f64,
}

pub(crate) struct Stopwatch {
    begun: Instant,
    busy: f64,
}

impl Stopwatch {
    pub(crate) fn start() -> Result<Stopwatch> {
        Ok(Stopwatch { busy: busy()?, begun: Instant::now() })
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    pub(crate) fn stop(&self, count: u64) -> Result<Count> {
        let secs = self.begun.elapsed().as_secs_f64();
        Ok(Count { count, secs, busy: busy()? - self.busy })
    }
}

/// Keeps the processor busy for a while.
pub(crate) fn work_for(time: Duration) {
    if !time.is_zero() {
        let begun = Instant::now();
        while begun.elapsed() < time {
            std::hint::spin_loop();
        }
    }
}

/// What all processors have worked so far, seconds: user, nice, system, and interrupts of both
/// kinds, but not idle and iowait.
fn busy() -> Result<f64> {
    let stat = fs::read_to_string("/proc/stat").context("/proc/stat")?;
    let line = stat.lines().next().unwrap_or_default();
    let ticks = line.split_whitespace().skip(1).map(|word| word.parse().unwrap_or(0.0));
    let ticks: Vec<f64> = ticks.take(7).collect();
    Ok((ticks.iter().sum::<f64>() - ticks[3] - ticks[4]) / TICKS)
}
