//! BBR, version 3 (draft-ietf-ccwg-bbr-06): a model of the path, its bandwidth and its delay, says
//! how fast to send and how much to have in flight; losses and marks bound the model.
//!
//! ```text
//!  Startup -> Drain -> +-> Down -> Cruise -> Refill -> Up -+      ProbeRtt from everywhere,
//!                      +-----------------------------------+      when the delay is old
//! ```
//!
//! | idea | file |
//! |---|---|
//! | round trips in packets, and the greatest value of two periods | `rounds` |
//! | is the pipe full? Leaving Startup and Drain (§5.3.1, §5.3.2) | `startup` |
//! | the cycle that probes for bandwidth (§5.3.3) | `cycle` |
//! | the least delay, and ProbeRTT (§5.3.4, §5.5.7) | `delay` |
//! | what losses say: bounds for now and for long, and undoing (§5.5.10, §5.5.11) | `bounds` |
//! | acknowledgments that come in lumps (§5.5.9) | `aggregation` |
//! | pacing rate and window (§5.6) | `control` |
//!
//! The draft leaves the response to ECN open and asks that a mark is treated as congestion: here
//! it is a loss in its round, with the milder factor of RFC 8511 for the bounds.

mod aggregation;
mod bounds;
mod control;
mod cycle;
mod delay;
mod rounds;
mod startup;

use super::{AckReport, Cause, CongestionControl, Restart, initial_window};
use crate::random::{Random, Seed};
use crate::tcp::rate::{Lost, RateSample};
use crate::time::Instant;
use core::fmt;
use core::time::Duration;

use aggregation::Aggregation;
use bounds::{Bounds, Saved, Signals};
use cycle::Cycle;
use delay::Delay;
use rounds::{Latest2, Rounds};
use startup::Pipe;

/// Loss of more than this share in a round trip means too much in flight, percent (§2.8).
const LOSS_THRESHOLD: u64 = 2;
/// Segments below which the window never goes (§5.6.4.3).
const MIN_PIPE: u32 = 4;

/// Where the state machine stands (§5.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Startup,
    Drain,
    Down,
    Cruise,
    Refill,
    Up,
    ProbeRtt,
}

impl Mode {
    /// One of the four of ProbeBW.
    fn is_probe_bw(self) -> bool {
        matches!(self, Mode::Down | Mode::Cruise | Mode::Refill | Mode::Up)
    }

    /// Losses may be the price of finding out (IsProbingBW).
    fn is_probing(self) -> bool {
        matches!(self, Mode::Startup | Mode::Refill | Mode::Up)
    }

    /// Percent of the bandwidth at which to send (§5.6.1).
    fn pacing_gain(self) -> u64 {
        match self {
            Mode::Startup => 277,
            Mode::Drain => 50,
            Mode::Down => 90,
            Mode::Up => 125,
            Mode::Cruise | Mode::Refill | Mode::ProbeRtt => 100,
        }
    }

    /// Percent of the bandwidth-delay product to have in flight.
    fn cwnd_gain(self) -> u64 {
        match self {
            Mode::Up => 225,
            Mode::ProbeRtt => 50,
            _ => 200,
        }
    }
}

/// A rate sample, its division done once.
#[derive(Clone, Copy, Debug)]
struct Sample {
    rate: u64,
    of: RateSample,
}

/// The controller.
#[derive(Clone)]
pub(crate) struct Bbr {
    mode: Mode,
    mss: u32,
    /// The latest acknowledgment's time, and what had been delivered with it.
    now: Instant,
    delivered: u64,
    /// C.InitialCwnd.
    initial: u32,
    cwnd: u32,
    /// The window before recovery or ProbeRTT cut it.
    prior_cwnd: u32,
    pacing_rate: u64,
    /// A round trip has set the first rate.
    has_rtt: bool,
    /// Something has been lost and is being repaired.
    recovering: bool,
    /// Sending began again after silence (§5.4).
    idle_restart: bool,
    has_sack: bool,
    rounds: Rounds,
    /// BBR.max_bw, of this cycle of ProbeBW and the one before.
    max_bw: Latest2,
    /// BBR.bw: the same, bounded.
    bw: u64,
    pipe: Pipe,
    drain_began: u64,
    cycle: Cycle,
    delay: Delay,
    signals: Signals,
    bounds: Bounds,
    saved: Saved,
    aggregation: Aggregation,
    dice: Random,
}

impl Bbr {
    /// `seed` decides when bandwidth is probed for: no stranger should know.
    pub(crate) fn new(mss: u32, seed: u32) -> Bbr {
        let initial = initial_window(mss);
        Bbr {
            mode: Mode::Startup,
            mss,
            now: Instant::ZERO,
            delivered: 0,
            initial,
            cwnd: initial,
            prior_cwnd: 0,
            pacing_rate: control::first_rate(initial, Duration::from_millis(1)),
            has_rtt: false,
            recovering: false,
            idle_restart: false,
            has_sack: true,
            rounds: Rounds::default(),
            max_bw: Latest2::default(),
            bw: 0,
            pipe: Pipe::default(),
            drain_began: 0,
            cycle: Cycle::new(),
            delay: Delay::new(),
            signals: Signals::default(),
            bounds: Bounds::NONE,
            saved: Saved::NOTHING,
            aggregation: Aggregation::default(),
            dice: Random::new(&Seed::from_number(seed.into())),
        }
    }

    /// §5.2.3: the model, then the state machine.
    fn update_model(&mut self, report: &AckReport, sample: Option<&Sample>) {
        self.rounds.start = false;
        self.signals.round_start = false;
        if let Some(sample) = sample {
            self.note_delivery(sample);
            self.update_max_bw(sample);
            self.adapt_once_a_round();
        }
        self.note_aggregation(report);
        if let Some(sample) = sample {
            self.check_full_pipe(sample);
            self.check_high_loss(report, sample);
        }
        self.check_startup_done();
        self.check_drain_done(report);
        if let Some(sample) = sample {
            self.update_cycle(report, sample);
        }
        self.update_min_rtt(report);
        self.check_probe_rtt(report);
        if let Some(sample) = sample {
            self.signals.advance(sample);
        }
        self.bw = self.max_bw.max().min(self.bounds.bw);
    }

    /// §5.5.5.
    fn update_max_bw(&mut self, sample: &Sample) {
        if self.rounds.on_sample(sample.of.prior_delivered, self.delivered) {
            self.cycle.rounds = self.cycle.rounds.saturating_add(1);
        }
        if sample.rate >= self.max_bw.max() || !sample.of.app_limited {
            self.max_bw.add(sample.rate);
        }
    }

    /// The window goes back to what it was when recovery ends, however it began (§5.6.4.4); the
    /// model bounds it at once.
    fn follow_recovery(&mut self, recovering: bool) {
        if self.recovering && !recovering {
            self.recovering = false;
            self.restore_cwnd();
        }
    }

    fn save_cwnd(&mut self) {
        let fresh = !self.recovering && self.mode != Mode::ProbeRtt;
        self.prior_cwnd = if fresh { self.cwnd } else { self.prior_cwnd.max(self.cwnd) };
    }

    fn restore_cwnd(&mut self) {
        self.cwnd = self.cwnd.max(self.prior_cwnd);
    }

    /// Something is lost: what a spurious loss would have to give back is kept, once for each
    /// episode.
    fn begin_episode(&mut self) {
        if self.recovering {
            return;
        }
        self.save_cwnd();
        self.recovering = true;
        self.saved = Saved { mode: None, bounds: self.bounds };
    }
}

impl CongestionControl for Bbr {
    fn name(&self) -> &'static str {
        "bbr"
    }

    fn window(&self) -> u32 {
        self.cwnd
    }

    /// There is no slow start that would end at one.
    fn ssthresh(&self) -> u32 {
        u32::MAX
    }

    fn pacing_rate(&self) -> Option<u64> {
        Some(self.pacing_rate)
    }

    fn rules_recovery(&self) -> bool {
        true
    }

    fn drains_path(&self) -> bool {
        self.mode == Mode::ProbeRtt
    }

    fn on_established(&mut self, mss: u32, syn_lost: bool) {
        self.mss = mss;
        self.initial = if syn_lost { mss } else { initial_window(mss) };
        self.cwnd = self.initial;
        self.prior_cwnd = 0;
        // The handshake's one octet says nothing of bandwidth.
        (self.rounds, self.pipe, self.max_bw) = Default::default();
        self.has_rtt = false;
    }

    fn on_adopted(&mut self, cwnd: u32, _ssthresh: u32) {
        (self.cwnd, self.initial) = (cwnd, cwnd);
    }

    fn on_segments_grown(&mut self, mss: u32) {
        self.mss = mss;
        self.cwnd = self.cwnd.max(mss);
    }

    fn on_ack(&mut self, report: &AckReport) {
        (self.now, self.delivered, self.mss) = (report.now, report.delivered, report.mss);
        self.has_sack = report.sack;
        self.follow_recovery(report.recovering);
        self.take_first_rtt(report.srtt);
        let sample = report.rate.map(|of| Sample { rate: of.rate(), of });
        self.update_model(report, sample.as_ref());
        self.set_pacing_rate(self.mode.pacing_gain());
        self.set_cwnd(report.newly_delivered);
        if report.newly_delivered > 0 {
            self.idle_restart = false;
        }
    }

    fn on_lost(&mut self, lost: &Lost) {
        self.delivered = self.delivered.max(lost.delivered);
        self.begin_episode();
        self.signals.note(Cause::Loss, self.delivered);
        self.judge_lost(lost);
    }

    fn on_congestion(&mut self, cause: Cause, flight: u32, mss: u32) {
        self.mss = mss;
        match cause {
            // Without a record lost it was a probe that repaired one.
            Cause::Loss => {
                self.begin_episode();
                self.signals.note(cause, self.delivered);
            }
            Cause::Ecn => self.on_mark(flight),
        }
    }

    fn on_recovered(&mut self, _in_flight: u32, _mss: u32) {
        self.follow_recovery(false);
    }

    fn on_timeout(&mut self, _flight: u32, mss: u32) {
        self.begin_episode();
        // A loss before it is not what is taken back with it (RFC 4015 §3).
        self.saved = Saved { mode: None, bounds: self.bounds };
        self.cwnd = mss;
    }

    fn on_timeout_again(&mut self, mss: u32) {
        self.cwnd = mss;
    }

    fn undo(&mut self) {
        self.follow_recovery(false);
        self.undo_loss();
    }

    fn on_restart(&mut self, restart: &Restart) {
        self.now = restart.now;
        self.idle_restart = true;
        self.aggregation.restart(restart.now);
        if self.mode.is_probe_bw() {
            self.set_pacing_rate(100);
        } else if self.mode == Mode::ProbeRtt {
            self.check_probe_rtt_done();
        }
    }
}

impl fmt::Debug for Bbr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bbr")
            .field("mode", &self.mode)
            .field("cwnd", &self.cwnd)
            .field("pacing_rate", &self.pacing_rate)
            .field("bw", &self.bw)
            .field("max_bw", &self.max_bw)
            .field("pipe", &self.pipe)
            .field("cycle", &self.cycle)
            .field("delay", &self.delay)
            .field("signals", &self.signals)
            .field("bounds", &self.bounds)
            .field("aggregation", &self.aggregation)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "bbr_tests.rs"]
mod tests;
