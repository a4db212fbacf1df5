//! What losses and marks say (§5.5.10): a bound for long, found while probing for bandwidth; bounds
//! for now, from what was delivered in a round with losses; and what was a mistake (§5.5.11).

use super::{Bbr, Cause, LOSS_THRESHOLD, Mode, Sample};
use crate::tcp::rate::{Lost, RateSample};

/// BBR.Beta, and for a mark RFC 8511's factor; percent.
const BETA_LOSS: u64 = 70;
const BETA_ECN: u64 = 85;
/// BBR.Headroom: what is left of the long-term bound for others, percent.
const HEADROOM: u64 = 15;

/// The bounds; all ones: none.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// `bw_shortterm`, `inflight_shortterm` and `inflight_longterm`.
    pub(super) bw: u64,
    pub(super) inflight_short: u32,
    pub(super) inflight_long: u32,
}

impl Bounds {
    pub(super) const NONE: Bounds =
        Bounds { bw: u64::MAX, inflight_short: u32::MAX, inflight_long: u32::MAX };

    pub(super) fn reset_short(&mut self) {
        *self = Bounds { inflight_long: self.inflight_long, ..Bounds::NONE };
    }

    fn at_least(&mut self, other: &Bounds) {
        self.bw = self.bw.max(other.bw);
        self.inflight_short = self.inflight_short.max(other.inflight_short);
        self.inflight_long = self.inflight_long.max(other.inflight_long);
    }
}

/// How things stood before the losses of the present or the last episode.
#[derive(Clone, Copy, Debug)]
pub(super) struct Saved {
    /// The losses made it leave this mode.
    pub(super) mode: Option<Mode>,
    pub(super) bounds: Bounds,
}

impl Saved {
    /// There is nothing to give back.
    pub(super) const NOTHING: Saved =
        Saved { mode: None, bounds: Bounds { bw: 0, inflight_short: 0, inflight_long: 0 } };
}

/// Delivery and congestion in the present round.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Signals {
    /// The most in this round: bytes a second, and bytes.
    bw: u64,
    pub(super) inflight: u32,
    /// A loss in it, or a mark if that was all.
    cause: Option<Cause>,
    /// It ends when something sent after so much was delivered is delivered.
    end: u64,
    /// The present acknowledgment begins one.
    pub(super) round_start: bool,
    /// Acknowledgments in it that told of losses.
    pub(super) events: u8,
    /// Losses since the last acknowledgment.
    fresh: bool,
}

impl Signals {
    /// Congestion, when `delivered` had been delivered.
    pub(super) fn note(&mut self, cause: Cause, delivered: u64) {
        if self.cause.is_none() {
            self.end = delivered;
        }
        if self.cause != Some(Cause::Loss) {
            self.cause = Some(cause);
        }
        self.fresh |= cause == Cause::Loss;
    }

    /// What was delivered is of a new round, if one began.
    pub(super) fn advance(&mut self, sample: &Sample) {
        if self.round_start {
            (self.bw, self.inflight) = (sample.rate, sample.of.delivered);
        }
    }

    pub(super) fn reset(&mut self) {
        (self.bw, self.inflight, self.cause) = (0, 0, None);
    }
}

impl Bbr {
    /// UpdateLatestDeliverySignals.
    pub(super) fn note_delivery(&mut self, sample: &Sample) {
        let signals = &mut self.signals;
        signals.bw = signals.bw.max(sample.rate);
        signals.inflight = signals.inflight.max(sample.of.delivered);
        if sample.of.prior_delivered >= signals.end {
            signals.end = self.delivered;
            signals.round_start = true;
        }
        if core::mem::take(&mut signals.fresh) {
            signals.events = signals.events.saturating_add(1);
        }
    }

    /// Once for each round: the bounds for now, unless losses are the price of probing.
    pub(super) fn adapt_once_a_round(&mut self) {
        if !self.signals.round_start {
            return;
        }
        if let Some(cause) = self.signals.cause.take()
            && !self.mode.is_probing()
        {
            self.lower_short_bounds(if cause == Cause::Loss { BETA_LOSS } else { BETA_ECN });
        }
    }

    fn lower_short_bounds(&mut self, beta: u64) {
        let bounds = &mut self.bounds;
        if bounds.bw == u64::MAX {
            bounds.bw = self.max_bw.max();
        }
        if bounds.inflight_short == u32::MAX {
            // A time-out has cut the window already.
            let cut = if self.recovering { self.prior_cwnd } else { 0 };
            bounds.inflight_short = self.cwnd.max(cut);
        }
        bounds.bw = self.signals.bw.max(bounds.bw / 100 * beta);
        let inflight = u64::from(bounds.inflight_short) * beta / 100;
        bounds.inflight_short = self.signals.inflight.max(inflight as u32);
    }

    /// IsInflightTooHigh.
    pub(super) fn is_too_high(&self, sample: &RateSample) -> bool {
        is_over(sample.lost, sample.in_flight) || (sample.lost > 0 && !self.has_sack)
    }

    /// HandleLostPacket: a piece sent while probing was lost.
    pub(super) fn judge_lost(&mut self, lost: &Lost) {
        if !self.cycle.sampling {
            return;
        }
        if is_over(lost.lost, lost.in_flight) || !self.has_sack {
            self.cut_long_bound(inflight_at_loss(lost), lost.app_limited);
        }
    }

    /// HandleInflightTooHigh: with so much in flight the losses went over the threshold.
    fn cut_long_bound(&mut self, inflight: u32, app_limited: bool) {
        self.cycle.too_high = true;
        // Once for each probe.
        self.cycle.sampling = false;
        if !app_limited {
            let least = u64::from(self.target_inflight()) * BETA_LOSS / 100;
            self.bounds.inflight_long = inflight.max(least as u32);
        }
        if self.mode == Mode::Up {
            self.saved.mode = Some(Mode::Up);
            self.start_down();
        }
    }

    /// A router marked a packet, `flight` bytes being in flight: congestion, and no mistake, so
    /// that there is nothing to go back to.
    pub(super) fn on_mark(&mut self, flight: u32) {
        self.signals.note(Cause::Ecn, self.delivered);
        if self.mode == Mode::Startup {
            self.fill_by_losses();
        } else if self.cycle.sampling {
            self.cut_long_bound(flight, false);
        }
        if !self.recovering {
            self.saved = Saved::NOTHING;
        }
    }

    /// HandleSpuriousLossDetection.
    pub(super) fn undo_loss(&mut self) {
        let saved = core::mem::replace(&mut self.saved, Saved::NOTHING);
        self.restore_cwnd();
        self.signals.reset();
        self.pipe.reset(0);
        self.bounds.at_least(&saved.bounds);
        match saved.mode {
            Some(Mode::Startup) => {
                self.pipe.reached = false;
                if self.mode != Mode::ProbeRtt {
                    self.mode = Mode::Startup;
                }
            }
            Some(Mode::Up) if !matches!(self.mode, Mode::Up | Mode::ProbeRtt) => {
                self.start_refill();
            }
            _ => {}
        }
    }

    /// InflightWithHeadroom.
    pub(super) fn with_headroom(&self) -> u32 {
        let long = self.bounds.inflight_long;
        if long == u32::MAX {
            return long;
        }
        let headroom = ((u64::from(long) * HEADROOM / 100) as u32).max(self.mss);
        long.saturating_sub(headroom).max(self.min_pipe())
    }

    /// TargetInflight.
    pub(super) fn target_inflight(&self) -> u32 {
        self.bdp().min(self.cwnd)
    }
}

/// More than the threshold of what was in flight.
fn is_over(lost: u32, in_flight: u32) -> bool {
    u64::from(lost) * 100 > u64::from(in_flight) * LOSS_THRESHOLD
}

/// What was in flight when the losses went over the threshold, somewhere in this piece, which may
/// be a super-frame.
fn inflight_at_loss(lost: &Lost) -> u32 {
    let before = lost.in_flight.saturating_sub(lost.bytes);
    let lost_before = lost.lost.saturating_sub(lost.bytes);
    let budget = u64::from(before) * LOSS_THRESHOLD;
    let over = budget.saturating_sub(u64::from(lost_before) * 100);
    before.saturating_add((over / (100 - LOSS_THRESHOLD)) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prefix_of_a_super_frame_that_was_too_much_is_found() {
        let lost = |bytes, in_flight, lost| {
            inflight_at_loss(&Lost { bytes, in_flight, lost, delivered: 0, app_limited: false })
        };
        // 2 % of 100,000 and a part of it: (2000 + 0.02 x) = x.
        assert_eq!(lost(50_000, 150_000, 50_000), 102_040);
        assert_eq!(lost(1000, 101_000, 5000), 100_000, "over before this one");
        assert_eq!(lost(1000, 1000, 1000), 0);
    }
}
