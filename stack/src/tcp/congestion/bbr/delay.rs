//! The path's delay without a queue: the least round trip of the last 10 s (§5.5.7), and ProbeRTT,
//! which drains the queue every 5 s unless it was seen empty (§5.3.4).

use super::{AckReport, Bbr, Mode};
use crate::time::Instant;
use core::time::Duration;

/// How old the least round trip may become.
const MIN_RTT_FILTER: Duration = Duration::from_secs(10);
/// How long the queue may go without being seen empty.
const PROBE_INTERVAL: Duration = Duration::from_secs(5);
/// How long it is kept empty.
const PROBE_DURATION: Duration = Duration::from_millis(200);

#[derive(Clone, Copy, Debug)]
pub(super) struct Delay {
    /// `min_rtt`; `Duration::MAX` before the first sample.
    pub(super) min: Duration,
    min_at: Instant,
    /// The least since the last ProbeRTT, or the last that was less.
    probe_min: Duration,
    probe_min_at: Instant,
    expired: bool,
    /// ProbeRTT: when the window has been small for long enough; None until it is.
    done_at: Option<Instant>,
    round_done: bool,
}

impl Delay {
    pub(super) const fn new() -> Delay {
        Delay {
            min: Duration::MAX,
            min_at: Instant::ZERO,
            probe_min: Duration::MAX,
            probe_min_at: Instant::ZERO,
            expired: false,
            done_at: None,
            round_done: false,
        }
    }

    fn on_sample(&mut self, now: Instant, rtt: Option<Duration>) {
        self.expired = self.probe_min != Duration::MAX && now > self.probe_min_at + PROBE_INTERVAL;
        if let Some(rtt) = rtt
            && (rtt < self.probe_min || self.expired)
        {
            (self.probe_min, self.probe_min_at) = (rtt, now);
        }
        let old = now > self.min_at + MIN_RTT_FILTER;
        if self.probe_min < self.min || (old && self.probe_min != Duration::MAX) {
            (self.min, self.min_at) = (self.probe_min, self.probe_min_at);
        }
    }
}

impl Bbr {
    pub(super) fn update_min_rtt(&mut self, report: &AckReport) {
        self.delay.on_sample(report.now, report.rtt);
    }

    /// §5.3.4.3.
    pub(super) fn check_probe_rtt(&mut self, report: &AckReport) {
        if self.mode != Mode::ProbeRtt && self.delay.expired && !self.idle_restart {
            self.save_cwnd();
            self.mode = Mode::ProbeRtt;
            self.delay.done_at = None;
            self.cycle.stop_probing();
            self.rounds.begin(self.delivered);
        }
        if self.mode != Mode::ProbeRtt {
            return;
        }
        if self.delay.done_at.is_some() {
            self.delay.round_done |= self.rounds.start;
            if self.delay.round_done {
                self.check_probe_rtt_done();
            }
        } else if report.in_flight <= self.probe_rtt_cwnd() {
            self.delay.done_at = Some(report.now + PROBE_DURATION);
            self.delay.round_done = false;
            self.rounds.begin(self.delivered);
        }
    }

    /// The queue has been empty for long enough.
    pub(super) fn check_probe_rtt_done(&mut self) {
        if self.delay.done_at.is_none_or(|at| self.now <= at) {
            return;
        }
        self.delay.probe_min_at = self.now;
        self.restore_cwnd();
        self.bounds.reset_short();
        if self.pipe.reached {
            self.start_down();
            self.mode = Mode::Cruise;
        } else {
            self.mode = Mode::Startup;
        }
    }

    pub(super) fn probe_rtt_cwnd(&self) -> u32 {
        self.bdp_multiple(self.bw, Mode::ProbeRtt.cwnd_gain()).max(self.min_pipe())
    }
}
