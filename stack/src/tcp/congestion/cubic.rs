//! CUBIC (RFC 9438), in integers: windows in bytes, time in milliseconds.

use super::hystart::{HyStart, L, Step};
use super::{AckReport, Cause, CongestionControl, Restart, initial_window, least_threshold};
use crate::time::Instant;
use core::time::Duration;

/// β_cubic = 0.7 (§4.6), and what replaces it when a router marked instead of dropping: 0.85
/// (RFC 8511 §3.1), both in percent.
const BETA_LOSS: u32 = 70;
const BETA_ECN: u32 = 85;
/// α_cubic = 3 (1 - β) / (1 + β) = 9/17 (§4.3).
const ALPHA: (u64, u64) = (9, 17);
/// Beyond this the cubic function is flat out: 2^20 ms, 17 minutes.
const FARTHEST_MS: u64 = 1 << 20;

/// The window, and where it stands on the curve.
#[derive(Clone, Copy, Debug)]
struct Curve {
    cwnd: u32,
    ssthresh: u32,
    /// cwnd before the last reduction, if that was no time-out; less with fast convergence (§4.7).
    w_max: Option<u32>,
    /// cwnd at the last reduction (`cwnd_prior`).
    prior: u32,
    epoch: Option<Epoch>,
}

/// One stage of congestion avoidance (§4.1.2).
#[derive(Clone, Copy, Debug)]
struct Epoch {
    /// `t_epoch`, moved on by the time that the sender did not use its window (§4.2).
    start: Instant,
    w_max: u32,
    /// K in milliseconds: when the curve reaches W_max.
    k_ms: u64,
    /// `W_est`: the window that Reno would have, by now.
    w_est: u32,
    /// What was acknowledged and has not yet made a byte of `w_est` and of `cwnd`.
    est_credit: u64,
    cwnd_credit: u64,
    /// The previous acknowledgment.
    acked_at: Instant,
}

/// What a reduction may have changed for nothing. A first slow start that a late packet broke off
/// goes on as one that watches for the queue.
#[derive(Clone, Copy, Debug)]
struct Saved {
    curve: Curve,
    hystart: Option<HyStart>,
}

/// The controller.
#[derive(Clone, Debug)]
pub(crate) struct Cubic {
    curve: Curve,
    /// Where everything stood before the last reduction, for [`CongestionControl::undo`]. Boxed,
    /// because few of many connections have any.
    saved: Option<Box<Saved>>,
    /// A reduction is being recovered from: what follows belongs to it.
    recovering: bool,
    /// The first slow start, until it ends.
    hystart: Option<HyStart>,
}

/// Every connection has one.
const _: () = assert!(size_of::<Cubic>() <= 192);

impl Cubic {
    pub(crate) fn new(mss: u32) -> Cubic {
        let cwnd = initial_window(mss);
        let curve = Curve { cwnd, ssthresh: u32::MAX, w_max: None, prior: cwnd, epoch: None };
        Cubic { curve, saved: None, recovering: false, hystart: Some(HyStart::new()) }
    }

    fn save(&mut self) {
        if !self.recovering {
            self.saved = Some(Box::new(Saved { curve: self.curve, hystart: self.hystart }));
        }
    }

    fn slow_start(&mut self, report: &AckReport) {
        let curve = &mut self.curve;
        let growth = match &mut self.hystart {
            Some(hystart) => match hystart.on_ack(report, false) {
                Step::Grow(bytes) => bytes,
                Step::Leave => {
                    // §4.10: the curve begins here, with K = 0.
                    curve.ssthresh = curve.cwnd;
                    curve.prior = curve.cwnd;
                    self.hystart = None;
                    return;
                }
            },
            None => report.acked.min(L * report.mss),
        };
        let most = curve.ssthresh.max(curve.cwnd);
        curve.cwnd = curve.cwnd.saturating_add(growth).min(most);
    }
}

impl Curve {
    /// §4.2 to §4.5, for one acknowledgment in congestion avoidance.
    fn avoid(&mut self, report: &AckReport) {
        let (cwnd, prior, mss) = (self.cwnd, self.prior, report.mss);
        let w_max = self.w_max.unwrap_or(cwnd);
        let epoch = self.epoch.get_or_insert_with(|| Epoch::begin(report.now, w_max, cwnd, mss));
        epoch.acked_at = report.now;
        epoch.grow_estimate(report.acked, cwnd, prior, mss);
        let t = report.now - epoch.start;
        if epoch.w_cubic(t, mss) < epoch.w_est {
            // The Reno-friendly region (§4.3).
            self.cwnd = cwnd.max(epoch.w_est);
            return;
        }
        // Concave or convex (§4.4, §4.5): towards where the curve is a round trip from now.
        let target = epoch.w_cubic(t + report.srtt, mss).clamp(cwnd, cwnd.saturating_add(cwnd / 2));
        epoch.cwnd_credit += u64::from(target - cwnd) * u64::from(report.acked);
        let grown = epoch.cwnd_credit / u64::from(cwnd.max(1));
        epoch.cwnd_credit %= u64::from(cwnd.max(1));
        self.cwnd = cwnd.saturating_add(grown as u32);
    }

    /// A reduction to `beta` percent (§4.6), with fast convergence (§4.7): of cwnd and not of
    /// FlightSize, as §4.6 allows where a window that is not used does not grow. A program that
    /// sends little at a time would otherwise queue behind every loss.
    fn reduce(&mut self, beta: u32, mss: u32) {
        let released = self.w_max.is_some_and(|w_max| self.cwnd < w_max);
        let w_max = if released { percent(self.cwnd, (100 + beta) / 2) } else { self.cwnd };
        self.w_max = Some(w_max);
        self.prior = self.cwnd;
        self.ssthresh = percent(self.cwnd, beta).max(least_threshold(mss));
        self.epoch = None;
    }
}

impl Epoch {
    /// `cwnd_epoch` is `cwnd`; K is the cube root of (W_max - cwnd_epoch) / C, in segments.
    fn begin(now: Instant, w_max: u32, cwnd: u32, mss: u32) -> Epoch {
        // 1 / C = 2.5, and a cubic second is 10^9 cubic milliseconds.
        let missing = u64::from(w_max.saturating_sub(cwnd)).min(1 << 31);
        let k_ms = cube_root(missing * 2_500_000_000 / u64::from(mss.max(1)));
        Epoch {
            start: now,
            w_max: w_max.max(cwnd),
            k_ms,
            w_est: cwnd,
            est_credit: 0,
            cwnd_credit: 0,
            acked_at: now,
        }
    }

    /// W_cubic(t) = C (t - K)^3 + W_max (§4.2).
    fn w_cubic(&self, t: Duration, mss: u32) -> u32 {
        let t_ms = u64::try_from(t.as_millis()).unwrap_or(u64::MAX);
        let distance = t_ms.abs_diff(self.k_ms).min(FARTHEST_MS);
        // In thousandths of a cubic second; C is 4/10.
        let cube = distance * distance * distance / 1_000_000;
        let offset = u32::try_from(cube * u64::from(mss) * 4 / 10_000).unwrap_or(u32::MAX);
        if t_ms < self.k_ms {
            self.w_max.saturating_sub(offset)
        } else {
            self.w_max.saturating_add(offset)
        }
    }

    /// §4.3 equation 4: α segments for a window acknowledged; one, once it has reached `prior`.
    fn grow_estimate(&mut self, acked: u32, cwnd: u32, prior: u32, mss: u32) {
        let (num, den) = if self.w_est < prior { ALPHA } else { (1, 1) };
        self.est_credit += u64::from(acked) * u64::from(mss) * num / den;
        let grown = self.est_credit / u64::from(cwnd.max(1));
        self.est_credit %= u64::from(cwnd.max(1));
        self.w_est = self.w_est.saturating_add(grown.min(u64::from(acked)) as u32);
    }
}

impl CongestionControl for Cubic {
    fn name(&self) -> &'static str {
        "cubic"
    }

    fn window(&self) -> u32 {
        self.curve.cwnd
    }

    fn ssthresh(&self) -> u32 {
        self.curve.ssthresh
    }

    fn on_established(&mut self, mss: u32, syn_lost: bool) {
        // RFC 5681 §3.1: a lost SYN makes the initial window one segment.
        self.curve.cwnd = if syn_lost { mss } else { initial_window(mss) };
    }

    fn on_adopted(&mut self, cwnd: u32, ssthresh: u32) {
        self.curve = Curve { cwnd, ssthresh, prior: cwnd, ..self.curve };
    }

    fn on_segments_grown(&mut self, mss: u32) {
        self.curve.cwnd = self.curve.cwnd.max(mss);
        self.curve.ssthresh = self.curve.ssthresh.max(least_threshold(mss));
    }

    fn on_ack(&mut self, report: &AckReport) {
        // What a probe repaired is over at once, and a window that closed ends a recovery, too.
        self.recovering &= report.recovering;
        if report.recovery {
            return;
        }
        if !report.cwnd_limited {
            // §4.2: time in which the application held back is no time on the curve.
            if let Some(epoch) = &mut self.curve.epoch {
                epoch.start = epoch.start + (report.now - epoch.acked_at);
                epoch.acked_at = report.now;
            }
        } else if self.curve.cwnd < self.curve.ssthresh {
            self.slow_start(report);
        } else {
            self.curve.avoid(report);
        }
    }

    fn on_congestion(&mut self, cause: Cause, _flight: u32, mss: u32) {
        self.save();
        self.recovering = cause == Cause::Loss;
        if cause == Cause::Ecn {
            // A mark is never a mistake: there is nothing to go back to.
            self.saved = None;
        }
        self.hystart = None;
        let beta = if cause == Cause::Ecn { BETA_ECN } else { BETA_LOSS };
        self.curve.reduce(beta, mss);
        self.curve.cwnd = self.curve.ssthresh;
    }

    fn on_recovered(&mut self, in_flight: u32, mss: u32) {
        self.recovering = false;
        // RFC 6582 §3.2 step 3: no burst when little is in flight.
        let room = in_flight.max(mss).saturating_add(mss);
        self.curve.cwnd = self.curve.ssthresh.min(room);
    }

    fn on_timeout(&mut self, _flight: u32, mss: u32) {
        // A loss before it is not what is taken back with it (RFC 4015 §3).
        self.recovering = false;
        self.save();
        self.hystart = None;
        // §4.8: β as for a loss, and a curve that begins where slow start will end.
        self.curve.reduce(BETA_LOSS, mss);
        self.curve.w_max = None;
        self.curve.cwnd = mss;
    }

    fn on_timeout_again(&mut self, mss: u32) {
        self.curve.epoch = None;
        self.curve.cwnd = mss;
    }

    fn undo(&mut self) {
        self.recovering = false;
        if let Some(saved) = self.saved.take() {
            let cwnd = self.curve.cwnd.max(saved.curve.cwnd);
            self.curve = Curve { cwnd, ..saved.curve };
            self.hystart = saved.hystart;
        }
    }

    fn on_restart(&mut self, restart: &Restart) {
        if let Some(epoch) = &mut self.curve.epoch {
            epoch.start = epoch.start + restart.idle;
            epoch.acked_at = epoch.acked_at + restart.idle;
        }
        if restart.idle > restart.rto {
            // What was learned stays in the threshold (RFC 7661 §4.4.2).
            let curve = &mut self.curve;
            let learned = percent(curve.cwnd, 75);
            curve.ssthresh = curve.ssthresh.max(learned);
            let most = initial_window(restart.mss);
            if curve.cwnd > most {
                curve.cwnd = most;
                // Slow start leads to another stage, with an estimate of its own (§4.2).
                curve.epoch = None;
            }
        }
    }
}

fn percent(bytes: u32, percent: u32) -> u32 {
    (u64::from(bytes) * u64::from(percent) / 100) as u32
}

/// The greatest integer whose cube is not above `n`, bit by bit: once for each loss.
fn cube_root(n: u64) -> u64 {
    (0..=21).rev().fold(0, |root, bit| {
        let more = root | 1 << bit;
        if u128::from(more).pow(3) <= u128::from(n) { more } else { root }
    })
}

#[cfg(test)]
#[path = "cubic_tests.rs"]
mod tests;
