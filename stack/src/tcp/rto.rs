//! The retransmission time-out and its back-off (RFC 6298 §2.4, §5). An organ without a clock.

use super::rtt::Rtt;
use core::time::Duration;

/// Before the first sample (§2.1).
pub(crate) const INITIAL: Duration = Duration::from_secs(1);
/// The floor, of what is allowed for variation. RFC 6298 §2.4 wants 1 s in all; every stack in use
/// has 200 ms, and Linux has them beside SRTT: on a long path that is steady RTTVAR shrinks to
/// nothing, and the first queue would be taken for a loss.
pub(crate) const MIN: Duration = Duration::from_millis(200);
/// The ceiling (§2.5 wants at least 60 s).
pub(crate) const MAX: Duration = Duration::from_secs(120);
/// After a lost SYN, when data begin without a sample (§5.7).
const AFTER_SYN_LOSS: Duration = Duration::from_secs(3);

/// The current time-out: SRTT and at least [`MIN`], at most [`MAX`], doubled per expiry.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rto {
    /// Nanoseconds, at most [`MAX`]: doubled sixteen times they are no overflow.
    base: u64,
    backoff: u8,
    /// Expiries since something new was acknowledged.
    expiries: u8,
}

impl Rto {
    pub(crate) const fn new() -> Rto {
        Rto { base: INITIAL.as_nanos() as u64, backoff: 0, expiries: 0 }
    }

    /// The span to arm the retransmission timer with.
    pub(crate) fn current(&self) -> Duration {
        Duration::from_nanos((self.base << self.backoff.min(16)).min(MAX.as_nanos() as u64))
    }

    /// A new estimate ends the back-off (§5.7's note: Karn's algorithm).
    pub(crate) fn on_sample(&mut self, rtt: &Rtt) {
        if let Some(timeout) = rtt.timeout(MIN) {
            self.base = timeout.min(MAX.as_nanos() as u64);
            self.backoff = 0;
        }
    }

    /// The timer expired: back off (§5.5).
    pub(crate) fn on_timeout(&mut self) {
        self.backoff = self.backoff.saturating_add(1);
        self.expiries = self.expiries.saturating_add(1);
    }

    /// New data was acknowledged. The back-off stays until a sample: without it a path that has
    /// become longer than the time-out would never be measured (Karn's algorithm).
    pub(crate) fn on_progress(&mut self) {
        self.expiries = 0;
    }

    /// The handshake finished; if its SYN was lost, data start with 3 s (§5.7).
    pub(crate) fn on_established(&mut self, rtt: &Rtt) {
        if self.backoff > 0 && rtt.srtt().is_none() {
            self.base = AFTER_SYN_LOSS.as_nanos() as u64;
        }
        self.backoff = 0;
        self.expiries = 0;
    }

    /// Expiries since the last progress.
    pub(crate) fn expiries(&self) -> u8 {
        self.expiries
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_double_up_to_the_ceiling() {
        let mut rto = Rto::new();
        let mut seconds = Vec::new();
        for _ in 0..9 {
            seconds.push(rto.current().as_secs());
            rto.on_timeout();
        }
        assert_eq!(seconds, [1, 2, 4, 8, 16, 32, 64, 120, 120]);
        for _ in 0..300 {
            rto.on_timeout();
        }
        assert_eq!(rto.current(), MAX);
    }

    #[test]
    fn a_sample_ends_the_back_off_and_has_a_floor() {
        let (mut rto, mut rtt) = (Rto::new(), Rtt::new());
        rto.on_timeout();
        rtt.on_sample(crate::time::Instant::ZERO, Duration::from_micros(50));
        rto.on_sample(&rtt);
        assert_eq!(rto.current(), Duration::from_micros(50) + MIN);
    }

    #[test]
    fn after_a_lost_syn_data_start_with_three_seconds() {
        let (mut rto, rtt) = (Rto::new(), Rtt::new());
        rto.on_timeout();
        rto.on_established(&rtt);
        assert_eq!(rto.current(), Duration::from_secs(3));
    }
}
