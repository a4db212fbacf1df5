//! Round-trip time estimation (RFC 6298 §2). An organ: samples in, a time-out out.

use crate::time::Instant;
use core::time::Duration;

/// Clock granularity G: a sample cannot be finer than the wheel's tick.
pub(crate) const GRANULARITY: Duration = Duration::from_micros(66);

/// No sample counts as longer: 2^62 ns, 146 years.
const LONGEST: u64 = 1 << 62;

/// The least round trip is that of the last half or whole of twice this span: a route that has
/// become longer is noticed (RFC 8985 §6.2 step 1 wants a windowed minimum). Linux's 5 minutes.
const MIN_SPAN: Duration = Duration::from_secs(150);

/// SRTT and RTTVAR, and the RTO that follows from them. All in nanoseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rtt {
    /// Zero before the first sample.
    srtt: u64,
    rttvar: u64,
    /// The least of this span, and of the one before.
    min: u64,
    min_before: u64,
    span_began: Instant,
}

impl Rtt {
    pub(crate) const fn new() -> Rtt {
        let (srtt, rttvar, span_began) = (0, 0, Instant::ZERO);
        Rtt { srtt, rttvar, min: u64::MAX, min_before: u64::MAX, span_began }
    }

    /// Takes a sample R (§2.2, §2.3). Karn's rule, that no sample comes from a retransmitted
    /// segment without a timestamp, is the caller's.
    pub(crate) fn on_sample(&mut self, now: Instant, r: Duration) {
        let r = u64::try_from(r.as_nanos()).map_or(LONGEST, |nanos| nanos.clamp(1, LONGEST));
        if now - self.span_began >= MIN_SPAN {
            self.min_before = self.min;
            self.min = r;
            self.span_began = now;
        }
        self.min = self.min.min(r);
        if self.srtt == 0 {
            self.srtt = r;
            self.rttvar = r / 2;
            return;
        }
        self.rttvar = self.rttvar - self.rttvar / 4 + self.srtt.abs_diff(r) / 4;
        self.srtt = (self.srtt - self.srtt / 8 + r / 8).max(1);
    }

    /// SRTT + max(G, 4 RTTVAR), with `least` for G, nanoseconds; None before the first sample.
    pub(crate) fn timeout(&self, least: Duration) -> Option<u64> {
        let variation = self.rttvar.saturating_mul(4).max(least.as_nanos() as u64);
        (self.srtt > 0).then(|| self.srtt.saturating_add(variation))
    }

    /// Smoothed round-trip time.
    pub(crate) fn srtt(&self) -> Option<Duration> {
        (self.srtt > 0).then(|| Duration::from_nanos(self.srtt))
    }

    /// Variation of the round-trip time.
    pub(crate) fn rttvar(&self) -> Duration {
        Duration::from_nanos(self.rttvar)
    }

    /// Smallest sample of the last minutes, or None before the first.
    pub(crate) fn min(&self) -> Option<Duration> {
        (self.srtt > 0).then(|| Duration::from_nanos(self.min.min(self.min_before)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    #[test]
    fn the_first_sample_sets_and_the_next_ones_smooth() {
        let mut rtt = Rtt::new();
        assert_eq!(rtt.timeout(GRANULARITY), None);
        rtt.on_sample(Instant::ZERO, ms(100));
        assert_eq!(
            (rtt.srtt(), rtt.rttvar(), rtt.timeout(GRANULARITY)),
            (Some(ms(100)), ms(50), Some(300_000_000))
        );
        rtt.on_sample(Instant::ZERO, ms(100));
        assert_eq!(rtt.rttvar(), Duration::from_micros(37_500));
        rtt.on_sample(Instant::ZERO, ms(500));
        // RTTVAR first, with the old SRTT (§2.3): 3/4 * 37.5 + 1/4 * 400 = 128.125 ms.
        assert_eq!(rtt.rttvar(), Duration::from_micros(128_125));
        assert_eq!(rtt.srtt(), Some(ms(150)));
        assert_eq!(rtt.min(), Some(ms(100)));
    }

    #[test]
    fn the_least_round_trip_is_forgotten() {
        let mut rtt = Rtt::new();
        let mut min_at = |minute: u64, sample| {
            rtt.on_sample(Instant::from_secs(60 * minute), sample);
            rtt.min().unwrap()
        };
        assert_eq!(min_at(10, ms(20)), ms(20));
        assert_eq!(min_at(11, ms(80)), ms(20));
        assert_eq!(min_at(13, ms(80)), ms(20), "of the span before");
        assert_eq!(min_at(16, ms(80)), ms(80), "a longer route");
    }

    #[test]
    fn s5_extreme_samples_do_not_overflow() {
        let mut rtt = Rtt::new();
        for r in [Duration::ZERO, Duration::from_secs(1 << 32), Duration::from_nanos(1)] {
            rtt.on_sample(Instant::ZERO, r);
            assert!(rtt.timeout(GRANULARITY).is_some());
        }
    }
}
