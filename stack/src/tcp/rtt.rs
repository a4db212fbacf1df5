//! Round-trip time estimation (RFC 6298 §2). An organ: samples in, a time-out out.

use core::time::Duration;

/// Clock granularity G: a sample cannot be finer than the wheel's tick.
const GRANULARITY: Duration = Duration::from_micros(66);

/// No sample counts as longer: 2^62 ns, 146 years.
const LONGEST: u64 = 1 << 62;

/// SRTT and RTTVAR, and the RTO that follows from them. In nanoseconds, to be small.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rtt {
    srtt: u64,
    rttvar: u64,
    /// `u64::MAX` before the first sample.
    min: u64,
}

impl Rtt {
    pub(crate) const fn new() -> Rtt {
        Rtt { srtt: 0, rttvar: 0, min: u64::MAX }
    }

    /// Takes a sample R (§2.2, §2.3). Karn's rule, that no sample comes from a retransmitted
    /// segment without a timestamp, is the caller's.
    pub(crate) fn on_sample(&mut self, r: Duration) {
        let r = u64::try_from(r.as_nanos()).map_or(LONGEST, |nanos| nanos.min(LONGEST));
        if self.min == u64::MAX {
            self.srtt = r;
            self.rttvar = r / 2;
        } else {
            self.rttvar = self.rttvar / 4 * 3 + self.srtt.abs_diff(r) / 4;
            self.srtt = self.srtt / 8 * 7 + r / 8;
        }
        self.min = self.min.min(r);
    }

    /// SRTT + max(G, 4 RTTVAR), or None before the first sample.
    pub(crate) fn timeout(&self) -> Option<Duration> {
        self.srtt().map(|srtt| srtt + (self.rttvar() * 4).max(GRANULARITY))
    }

    /// Smoothed round-trip time.
    pub(crate) fn srtt(&self) -> Option<Duration> {
        (self.min != u64::MAX).then_some(Duration::from_nanos(self.srtt))
    }

    /// Variation of the round-trip time.
    pub(crate) fn rttvar(&self) -> Duration {
        Duration::from_nanos(self.rttvar)
    }

    /// Smallest sample, or None before the first.
    pub(crate) fn min(&self) -> Option<Duration> {
        (self.min != u64::MAX).then_some(Duration::from_nanos(self.min))
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
        assert_eq!(rtt.timeout(), None);
        rtt.on_sample(ms(100));
        assert_eq!(
            (rtt.srtt(), rtt.rttvar(), rtt.timeout()),
            (Some(ms(100)), ms(50), Some(ms(300)))
        );
        rtt.on_sample(ms(100));
        assert_eq!(rtt.rttvar(), Duration::from_micros(37_500));
        rtt.on_sample(ms(500));
        // RTTVAR first, with the old SRTT (§2.3): 3/4 * 37.5 + 1/4 * 400 = 128.125 ms.
        assert_eq!(rtt.rttvar(), Duration::from_micros(128_125));
        assert_eq!(rtt.srtt(), Some(ms(150)));
        assert_eq!(rtt.min(), Some(ms(100)));
    }

    #[test]
    fn s5_extreme_samples_do_not_overflow() {
        let mut rtt = Rtt::new();
        for r in [Duration::ZERO, Duration::from_secs(1 << 32), Duration::from_nanos(1)] {
            rtt.on_sample(r);
            assert!(rtt.timeout().is_some());
        }
    }
}
