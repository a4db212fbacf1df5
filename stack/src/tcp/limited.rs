//! What holds a sender back, and for how long: as Linux's `tcp_chrono`, finer. An organ: it is
//! told what limits now, and adds up.

use crate::time::Instant;
use core::fmt;
use core::time::Duration;

/// What holds a sender back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Limit {
    /// The application has written no more; what it wrote is on its way.
    Application,
    /// The application would write more, but the send buffer is full of what is on its way.
    SendBuffer,
    /// The congestion window.
    CongestionWindow,
    /// The peer's window.
    ReceiverWindow,
    /// The pace: the windows are open, but the next segment is not due yet.
    Pacing,
}

impl Limit {
    /// Every limit.
    pub const ALL: [Limit; 5] = [
        Limit::Application,
        Limit::SendBuffer,
        Limit::CongestionWindow,
        Limit::ReceiverWindow,
        Limit::Pacing,
    ];
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Limit::Application => "application",
            Limit::SendBuffer => "send buffer",
            Limit::CongestionWindow => "congestion window",
            Limit::ReceiverWindow => "receiver window",
            Limit::Pacing => "pacing",
        })
    }
}

/// A tick of the clocks, nanoseconds, as a power of two: 66 µs, as the wheel's.
const TICK_SHIFT: u32 = 16;

/// How long a connection has been held back by each [`Limit`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limited {
    /// Ticks: 78 hours fit.
    ticks: [u32; Limit::ALL.len()],
    since: Instant,
    /// None: nothing is on its way, and nothing waits.
    by: Option<Limit>,
}

impl Limited {
    pub(crate) const fn new(now: Instant) -> Limited {
        Limited { ticks: [0; Limit::ALL.len()], since: now, by: None }
    }

    /// From now on this is what limits; None: the connection is idle.
    pub(crate) fn set(&mut self, now: Instant, by: Option<Limit>) {
        if by == self.by {
            return;
        }
        match self.by {
            // What is less than a tick is counted with what comes.
            Some(old) => {
                let ticks = (now - self.since).as_nanos() as u64 >> TICK_SHIFT;
                let sum = &mut self.ticks[old as usize];
                *sum = sum.saturating_add(u32::try_from(ticks).unwrap_or(u32::MAX));
                self.since = self.since + Duration::from_nanos(ticks << TICK_SHIFT);
            }
            None => self.since = now,
        }
        self.by = by;
    }

    /// What limits the connection; None when nothing is on its way and nothing waits.
    pub fn by(&self) -> Option<Limit> {
        self.by
    }

    /// When that last changed.
    pub fn since(&self) -> Instant {
        self.since
    }

    /// How long the connection was limited by `limit` until `now`, to 66 µs.
    pub fn time(&self, limit: Limit, now: Instant) -> Duration {
        let past = u64::from(self.ticks[limit as usize]) << TICK_SHIFT;
        let running = if self.by == Some(limit) { now - self.since } else { Duration::ZERO };
        Duration::from_nanos(past) + running
    }

    /// How long the connection had something to send, or on its way, until `now`.
    pub fn busy(&self, now: Instant) -> Duration {
        Limit::ALL.into_iter().map(|limit| self.time(limit, now)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_add_up_and_idling_counts_for_nothing() {
        let at = Instant::from_millis;
        let mut limited = Limited::new(at(1_000));
        limited.set(at(2_000), Some(Limit::CongestionWindow));
        limited.set(at(2_000), Some(Limit::CongestionWindow));
        limited.set(at(2_300), Some(Limit::ReceiverWindow));
        limited.set(at(2_400), Some(Limit::CongestionWindow));
        limited.set(at(2_500), None);
        limited.set(at(9_000), Some(Limit::Application));
        let millis = |limit| (limited.time(limit, at(9_700)).as_micros() + 500) / 1_000;
        let times = Limit::ALL.map(millis);
        assert_eq!(times, [700, 0, 400, 100, 0]);
        let busy = (limited.busy(at(9_700)).as_micros() + 500) / 1_000;
        assert_eq!(busy, 1_200);
    }

    #[test]
    fn changes_within_a_tick_are_not_lost() {
        let mut limited = Limited::new(Instant::ZERO);
        for i in 0..100_000u64 {
            let by = if i % 2 == 0 { Limit::Pacing } else { Limit::Application };
            limited.set(Instant::from_micros(10 * i), Some(by));
        }
        let busy = limited.busy(Instant::from_secs(1));
        assert!(busy.abs_diff(Duration::from_secs(1)) < Duration::from_millis(1), "{busy:?}");
    }
}
