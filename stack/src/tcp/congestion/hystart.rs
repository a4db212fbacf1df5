//! HyStart++ (RFC 9406): leaving slow start when the round trip grows, before the queue overflows.
//! Only for the first slow start of a connection (§4.3): later ones end at a known threshold.
//!
//! Beyond the RFC it watches for trains, as HyStart did (decision 0015): acknowledgments that come
//! close together for half of the least round trip say that the bottleneck is busy that long, and
//! the window, which doubles in a round, is what the path holds or nearly so. A train makes slow
//! start conservative, like a longer round trip; both together end it.

use super::AckReport;
use crate::time::Instant;
use core::time::Duration;

/// §4.3: "MIN_RTT_THRESH", "MAX_RTT_THRESH", "MIN_RTT_DIVISOR".
const MIN_RTT_THRESH: Duration = Duration::from_millis(4);
const MAX_RTT_THRESH: Duration = Duration::from_millis(16);
const MIN_RTT_DIVISOR: u32 = 8;
/// Samples that a round needs before its least one counts.
const N_RTT_SAMPLE: u8 = 8;
/// In conservative slow start the window grows by this much less.
const CSS_GROWTH_DIVISOR: u32 = 4;
/// Rounds of conservative slow start, the partial first one included.
const CSS_ROUNDS: u8 = 5;
/// Segments of growth for one acknowledgment, at most, without pacing (§4.2).
pub(super) const L: u32 = 8;

/// Acknowledgments no further apart belong to one train (Linux's `hystart_ack_delta_us`).
const TRAIN_GAP: Duration = Duration::from_millis(2);

/// "infinity": no sample.
const NONE: Duration = Duration::MAX;

/// A slow start that watches the round-trip time.
#[derive(Clone, Copy, Debug)]
pub(super) struct HyStart {
    /// The round ends when this much is delivered (`windowEnd`).
    round_end: u64,
    last_round_min: Duration,
    this_round_min: Duration,
    samples: u8,
    /// When the round began, and the last acknowledgment of the train that began with it.
    began: Instant,
    train: Instant,
    /// A train was long enough.
    long_train: bool,
    /// Conservative slow start: rounds so far, and the round trip that began it.
    conservative: Option<(u8, Duration)>,
}

/// What slow start does with an acknowledgment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The window grows by so many bytes.
    Grow(u32),
    /// Slow start is over: congestion avoidance begins where the window stands.
    Leave,
}

impl HyStart {
    pub(super) const fn new() -> HyStart {
        HyStart {
            round_end: 0,
            last_round_min: NONE,
            this_round_min: NONE,
            samples: 0,
            began: Instant::ZERO,
            train: Instant::ZERO,
            long_train: false,
            conservative: None,
        }
    }

    /// An acknowledgment in slow start (§4.2). `paced`: bursts are no concern, L is infinite.
    pub(super) fn on_ack(&mut self, report: &AckReport, paced: bool) -> Step {
        if report.delivered > self.round_end && self.begin_round(report) {
            return Step::Leave;
        }
        if let Some(rtt) = report.rtt {
            self.this_round_min = self.this_round_min.min(rtt);
            self.samples = self.samples.saturating_add(1);
        }
        self.judge();
        self.watch_train(report);
        if self.long_train && self.is_delayed(report.min_rtt) {
            return Step::Leave;
        }
        let most = if paced { u32::MAX } else { L * report.mss };
        let growth = report.acked.min(most);
        Step::Grow(if self.conservative.is_some() { growth / CSS_GROWTH_DIVISOR } else { growth })
    }

    /// A round begins, with the first acknowledgment of what was sent in the one before: it ends
    /// with the first of what is sent in this one. True when
    /// conservative slow start has lasted for its rounds.
    fn begin_round(&mut self, report: &AckReport) -> bool {
        let left = report.in_flight.saturating_sub(report.acked);
        self.round_end = report.delivered + u64::from(left);
        self.last_round_min = self.this_round_min;
        self.this_round_min = NONE;
        self.samples = 0;
        (self.began, self.train) = (report.now, report.now);
        let Some((rounds, _)) = &mut self.conservative else { return false };
        *rounds += 1;
        *rounds >= CSS_ROUNDS
    }

    /// The queue stands: the least round trip of this round is longer than that of the path.
    fn is_delayed(&self, path: Duration) -> bool {
        self.samples >= N_RTT_SAMPLE && self.this_round_min >= path.saturating_add(threshold(path))
    }

    /// Where this acknowledgment makes the train long enough, slow start becomes conservative. No
    /// round trip will be shorter than the path's, so that this was no jitter.
    fn watch_train(&mut self, report: &AckReport) {
        if report.now - self.train > TRAIN_GAP {
            return;
        }
        self.train = report.now;
        let least = report.min_rtt;
        if !self.long_train && !least.is_zero() && self.train - self.began > least / 2 {
            self.long_train = true;
            self.conservative.get_or_insert((0, least));
        }
    }

    fn judge(&mut self) {
        if self.samples < N_RTT_SAMPLE {
            return;
        }
        match self.conservative {
            None if self.last_round_min != NONE => {
                let last = self.last_round_min;
                if self.this_round_min >= last.saturating_add(threshold(last)) {
                    self.conservative = Some((0, self.this_round_min));
                }
            }
            // The delay was jitter, not a queue.
            Some((_, baseline)) if self.this_round_min < baseline => self.conservative = None,
            _ => {}
        }
    }
}

/// How much longer than `rtt` a round trip has to be to count (§4.2, RttThresh).
fn threshold(rtt: Duration) -> Duration {
    (rtt / MIN_RTT_DIVISOR).clamp(MIN_RTT_THRESH, MAX_RTT_THRESH)
}

#[cfg(test)]
#[path = "hystart_tests.rs"]
mod tests;
