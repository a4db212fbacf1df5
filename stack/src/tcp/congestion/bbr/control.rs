//! What the model means for sending: the pacing rate (§5.6.2) and the window (§5.6.4).

use super::{Bbr, MIN_PIPE, Mode};
use crate::tcp::pace;
use core::time::Duration;

/// Percent of the bandwidth that is left unused, so that queues shrink.
const MARGIN: u64 = 1;
/// Quanta that may be in flight beside the path: waiting here, being cut up, and being joined or
/// acknowledged there (§5.5.8).
const BUDGET_QUANTA: u32 = 3;
/// No quantum counts for more than a super-frame.
const QUANTUM_MAX: u32 = 64 << 10;

/// §5.6.2: the rate before the first bandwidth sample.
pub(super) fn first_rate(initial: u32, rtt: Duration) -> u64 {
    let micros = u64::try_from(rtt.as_micros()).unwrap_or(u64::MAX).max(1);
    let nominal = u64::from(initial) * 1_000_000 / micros;
    (nominal * Mode::Startup.pacing_gain() / 100).max(1)
}

impl Bbr {
    /// The first round trip that is known sets the first rate.
    pub(super) fn take_first_rtt(&mut self, srtt: Duration) {
        if !self.has_rtt && !srtt.is_zero() {
            self.has_rtt = true;
            self.pacing_rate = first_rate(self.initial, srtt);
        }
    }

    pub(super) fn set_pacing_rate(&mut self, gain: u64) {
        let rate = u128::from(self.bw) * u128::from(gain * (100 - MARGIN)) / 10_000;
        let rate = u64::try_from(rate).unwrap_or(u64::MAX);
        if rate > self.pacing_rate || (self.pipe.reached && rate > 0) {
            self.pacing_rate = rate;
        }
    }

    pub(super) fn min_pipe(&self) -> u32 {
        MIN_PIPE * self.mss
    }

    /// BBR.bdp.
    pub(super) fn bdp(&self) -> u32 {
        self.bdp_multiple(self.bw, 100)
    }

    /// `gain` percent of what is in flight at `bw` on the empty path.
    pub(super) fn bdp_multiple(&self, bw: u64, gain: u64) -> u32 {
        if self.delay.min == Duration::MAX {
            return self.initial;
        }
        let bytes = u128::from(bw) * self.delay.min.as_nanos() / 1_000_000_000;
        u32::try_from(bytes * u128::from(gain) / 100).unwrap_or(u32::MAX)
    }

    /// The same, and at least what it takes to keep both hosts busy.
    pub(super) fn inflight(&self, bw: u64, gain: u64) -> u32 {
        self.with_budget(self.bdp_multiple(bw, gain))
    }

    fn with_budget(&self, bytes: u32) -> u32 {
        let quantum = pace::quantum(self.pacing_rate, self.mss).min(QUANTUM_MAX);
        let bytes = bytes.max(BUDGET_QUANTA * quantum).max(self.min_pipe());
        if self.mode == Mode::Up { bytes.saturating_add(2 * self.mss) } else { bytes }
    }

    fn max_inflight(&self) -> u32 {
        let bdp = self.bdp_multiple(self.bw, self.mode.cwnd_gain());
        self.with_budget(bdp.saturating_add(self.aggregation.extra()))
    }

    /// §5.6.4.6: up by what is delivered, down at once.
    pub(super) fn set_cwnd(&mut self, newly_delivered: u32) {
        let most = self.max_inflight();
        let grown = self.cwnd.saturating_add(newly_delivered);
        if self.pipe.reached {
            self.cwnd = grown.min(most);
        } else if self.cwnd < most || self.delivered < u64::from(self.initial) {
            self.cwnd = grown;
        }
        self.cwnd = self.cwnd.max(self.min_pipe());
        if self.mode == Mode::ProbeRtt {
            self.cwnd = self.cwnd.min(self.probe_rtt_cwnd());
        }
        self.bound_cwnd();
    }

    /// §5.6.4.7.
    fn bound_cwnd(&mut self) {
        let cap = match self.mode {
            Mode::Startup | Mode::Drain => u32::MAX,
            Mode::Cruise | Mode::ProbeRtt => self.with_headroom(),
            Mode::Down | Mode::Refill | Mode::Up => self.bounds.inflight_long,
        };
        let cap = cap.min(self.bounds.inflight_short).max(self.min_pipe());
        self.cwnd = self.cwnd.min(cap);
    }
}
