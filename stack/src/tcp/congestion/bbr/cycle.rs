//! ProbeBW (§5.3.3): down to let the queue drain, cruise, refill the pipe, up to see whether there
//! is more; every 2 to 3 s, or every round trips as Reno would lose in (§5.3.3.5).

use super::{AckReport, Bbr, Mode, Sample};
use crate::time::Instant;
use core::time::Duration;

/// Between two probes at the least, and up to a second more.
const WAIT_MS: u32 = 2000;
const WAIT_MORE_MS: u32 = 1000;
/// Rounds between two probes at the most: Reno's with such a window, for small ones.
const RENO_ROUNDS: u32 = 63;
/// The growth of the long-term bound doubles in each round, so often.
const UP_ROUNDS: u32 = 30;

/// What acknowledgments tell of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Nothing in particular.
    Init,
    Refilling,
    /// More is being sent, and not yet acknowledged.
    Starting,
    /// What was sent while probing.
    Feedback,
    /// Probing has ended, and its last is not yet acknowledged.
    Stopping,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Cycle {
    phase: Phase,
    /// When it began, and how long until the next probe.
    began: Instant,
    wait: Duration,
    /// Rounds since.
    pub(super) rounds: u32,
    /// Samples are of probing, and losses have not ended it: `is_bw_probe_sample`.
    pub(super) sampling: bool,
    /// The last probe lost too much.
    pub(super) too_high: bool,
    /// The last probe ended where the one before had lost too much.
    precautionary: bool,
    up_rounds: u32,
    up_acked: u32,
    /// Bytes delivered for each segment by which the long-term bound grows.
    acked_per_segment: u32,
}

impl Cycle {
    pub(super) const fn new() -> Cycle {
        Cycle {
            phase: Phase::Init,
            began: Instant::ZERO,
            wait: Duration::ZERO,
            rounds: 0,
            sampling: false,
            too_high: false,
            precautionary: false,
            up_rounds: 0,
            up_acked: 0,
            acked_per_segment: u32::MAX,
        }
    }

    pub(super) fn stop_probing(&mut self) {
        self.phase = Phase::Stopping;
    }
}

impl Bbr {
    pub(super) fn start_down(&mut self) {
        self.signals.reset();
        // A random part of the wait, so that flows do not probe in step.
        let more = self.dice.below(WAIT_MORE_MS);
        self.cycle.wait = Duration::from_millis(u64::from(WAIT_MS + more));
        self.cycle.rounds = self.dice.below(2);
        self.cycle.acked_per_segment = u32::MAX;
        self.cycle.began = self.now;
        self.cycle.stop_probing();
        self.rounds.begin(self.delivered);
        self.mode = Mode::Down;
    }

    pub(super) fn start_refill(&mut self) {
        self.bounds.reset_short();
        (self.cycle.up_rounds, self.cycle.up_acked) = (0, 0);
        self.cycle.precautionary = false;
        self.cycle.phase = Phase::Refilling;
        self.rounds.begin(self.delivered);
        self.mode = Mode::Refill;
    }

    fn start_up(&mut self, sample: &Sample) {
        self.cycle.phase = Phase::Starting;
        self.rounds.begin(self.delivered);
        self.pipe.reset(sample.rate);
        self.mode = Mode::Up;
        self.raise_slope();
    }

    /// UpdateProbeBWCyclePhase.
    pub(super) fn update_cycle(&mut self, report: &AckReport, sample: &Sample) {
        if !self.pipe.reached || self.adapt_long_term(report, sample) {
            return;
        }
        match self.mode {
            Mode::Down | Mode::Cruise if self.is_time_to_probe() => self.start_refill(),
            Mode::Down if self.is_time_to_cruise(report) => self.mode = Mode::Cruise,
            Mode::Refill if self.rounds.start => {
                self.cycle.sampling = true;
                self.start_up(sample);
            }
            Mode::Up => self.check_up(report, sample),
            _ => {}
        }
    }

    pub(super) fn is_time_to_probe(&self) -> bool {
        // Of a path that holds less than a few segments, too: what is sent is never less.
        let target = self.target_inflight().max(self.min_pipe());
        let reno = (target / self.mss.max(1)).min(RENO_ROUNDS);
        self.now > self.cycle.began + self.cycle.wait || self.cycle.rounds >= reno
    }

    fn is_time_to_cruise(&self, report: &AckReport) -> bool {
        let least = self.with_headroom().min(self.inflight(self.max_bw.max(), 100));
        report.in_flight <= least
    }

    /// IsTimeToGoDown. Losses end it in `bounds`.
    fn check_up(&mut self, report: &AckReport, sample: &Sample) {
        let long = self.bounds.inflight_long;
        if self.cycle.too_high && report.in_flight >= long {
            // As far as the last time, and no farther before it is known how that went.
            self.cycle.precautionary = true;
        } else if report.window_full && self.cwnd >= long {
            // The bound holds it back, not the path.
            return self.pipe.reset(sample.rate);
        } else if !self.pipe.full_now {
            return;
        }
        self.cycle.too_high = false;
        self.start_down();
    }

    /// AdaptLongTermModel. True when it has decided where to go.
    fn adapt_long_term(&mut self, report: &AckReport, sample: &Sample) -> bool {
        if self.cycle.phase == Phase::Starting && self.rounds.start {
            self.cycle.phase = Phase::Feedback;
        }
        if self.cycle.phase == Phase::Stopping && self.rounds.start {
            self.cycle.sampling = false;
            self.cycle.phase = Phase::Init;
            let in_cycle = self.mode.is_probe_bw();
            if in_cycle && !sample.of.app_limited {
                self.max_bw.advance();
            }
            if in_cycle && self.cycle.precautionary && !self.cycle.too_high {
                self.start_refill();
                return true;
            }
        }
        let long = self.bounds.inflight_long;
        if long != u32::MAX && !self.is_too_high(&sample.of) {
            self.bounds.inflight_long = long.max(sample.of.in_flight);
            if self.mode == Mode::Up {
                self.grow_long_bound(report);
            }
        }
        false
    }

    /// RaiseInflightLongtermSlope.
    fn raise_slope(&mut self) {
        let growth = 1 << self.cycle.up_rounds;
        self.cycle.up_rounds = (self.cycle.up_rounds + 1).min(UP_ROUNDS);
        self.cycle.acked_per_segment = (self.cwnd / growth).max(self.mss);
    }

    /// ProbeInflightLongtermUpward.
    fn grow_long_bound(&mut self, report: &AckReport) {
        if !report.window_full || self.cwnd < self.bounds.inflight_long {
            return;
        }
        let cycle = &mut self.cycle;
        cycle.up_acked = cycle.up_acked.saturating_add(report.newly_delivered);
        let segments = cycle.up_acked / cycle.acked_per_segment.max(1);
        cycle.up_acked %= cycle.acked_per_segment.max(1);
        let grown = segments.saturating_mul(self.mss);
        self.bounds.inflight_long = self.bounds.inflight_long.saturating_add(grown);
        if self.rounds.start {
            self.raise_slope();
        }
    }
}
