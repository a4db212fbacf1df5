//! Is the pipe full? By a rate that grows no more (§5.3.1.2), or by losses (§5.3.1.3); and then
//! draining the queue that finding out has made (§5.3.2).

use super::{AckReport, Bbr, Mode, Sample};

/// A round's growth below this is none, percent, and so many such rounds mean a full pipe.
const GROWTH: u64 = 125;
const FULL_ROUNDS: u8 = 3;
/// Acknowledgments in a round that tell of losses, for the losses to be the pipe's.
const LOSS_EVENTS: u8 = 6;
/// Rounds that draining may take.
const DRAIN_ROUNDS: u64 = 3;

/// The detector of a plateau.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pipe {
    /// The rate that has to be exceeded by a quarter.
    base: u64,
    count: u8,
    /// Full since the detector was last reset.
    pub(super) full_now: bool,
    /// It has been full at some time.
    pub(super) reached: bool,
}

impl Pipe {
    pub(super) fn reset(&mut self, base: u64) {
        *self = Pipe { base, reached: self.reached, ..Pipe::default() };
    }

    /// A round has ended whose rate was not the application's.
    fn on_round(&mut self, rate: u64) {
        if u128::from(rate) * 100 >= u128::from(self.base) * u128::from(GROWTH) {
            return self.reset(rate);
        }
        self.count += 1;
        self.full_now = self.count >= FULL_ROUNDS;
        self.reached |= self.full_now;
    }
}

impl Bbr {
    pub(super) fn check_full_pipe(&mut self, sample: &Sample) {
        if !self.pipe.full_now && self.rounds.start && !sample.of.app_limited {
            self.pipe.on_round(sample.rate);
        }
    }

    /// A round of fast recovery with many losses, and more of them than the threshold.
    pub(super) fn check_high_loss(&mut self, report: &AckReport, sample: &Sample) {
        let lasting = report.recovery && self.signals.round_start;
        let many = self.signals.events >= LOSS_EVENTS || !self.has_sack;
        if self.mode == Mode::Startup && lasting && many && self.is_too_high(&sample.of) {
            self.saved.mode = Some(Mode::Startup);
            self.fill_by_losses();
        }
        if self.signals.round_start {
            self.signals.events = 0;
        }
    }

    /// Losses or marks say that the pipe is full.
    pub(super) fn fill_by_losses(&mut self) {
        self.pipe.reached = true;
        self.bounds.inflight_long = self.bdp().max(self.signals.inflight);
    }

    pub(super) fn check_startup_done(&mut self) {
        if self.mode == Mode::Startup && self.pipe.reached {
            self.mode = Mode::Drain;
            self.drain_began = self.rounds.count;
        }
    }

    pub(super) fn check_drain_done(&mut self, report: &AckReport) {
        if self.mode != Mode::Drain {
            return;
        }
        let drained = report.in_flight <= self.inflight(self.bw, 100);
        if drained || self.rounds.count > self.drain_began + DRAIN_ROUNDS {
            self.start_down();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_rounds_without_growth_fill_the_pipe() {
        let mut pipe = Pipe::default();
        for rate in [100, 200, 249, 250, 300, 300] {
            pipe.on_round(rate);
            assert!(!pipe.full_now, "{rate}");
        }
        pipe.on_round(310);
        assert!(pipe.full_now && pipe.reached);
        pipe.reset(400);
        assert!(!pipe.full_now && pipe.reached, "once is for ever");
    }
}
