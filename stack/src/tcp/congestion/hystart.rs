//! HyStart++ (RFC 9406): leaving slow start when the round trip grows, before the queue overflows.
//! Only for the first slow start of a connection (§4.3): later ones end at a known threshold.
//!
//! Beyond the RFC it watches for trains, as HyStart did (decision 0015): acknowledgments that come
//! close together for half of the least round trip say that the bottleneck is busy that long, and
//! the window, which doubles in a round, is what the path holds or nearly so. Such trains make slow
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
    /// When the round began, when the last acknowledgment came, and what passed in trains, in
    /// nanoseconds: up to 4 s, which is enough.
    began: Instant,
    acked_at: Instant,
    in_trains: u32,
    /// In one round that was long enough.
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
            acked_at: Instant::ZERO,
            in_trains: 0,
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
        self.watch_trains(report);
        if self.is_delayed(report.min_rtt) {
            let is_full = report.now - self.began > report.min_rtt / 2;
            return if is_full { Step::Leave } else { Step::Grow(0) };
        }
        let most = if paced { u32::MAX } else { L * report.mss };
        let growth = report.acked.min(most);
        Step::Grow(if self.conservative.is_some() { growth / CSS_GROWTH_DIVISOR } else { growth })
    }

    /// A round begins, with the first acknowledgment of what was sent in the one before: it ends
    /// with the first of what is sent in this one. True when conservative slow start has lasted for
    /// its rounds.
    fn begin_round(&mut self, report: &AckReport) -> bool {
        self.round_end = report.delivered + u64::from(report.in_flight);
        self.last_round_min = self.this_round_min;
        self.this_round_min = NONE;
        self.samples = 0;
        (self.began, self.in_trains) = (report.now, 0);
        let Some((rounds, _)) = &mut self.conservative else { return false };
        *rounds += 1;
        *rounds >= CSS_ROUNDS
    }

    /// The bottleneck is busy for half of the round trip, and a queue stands: the least round trip
    /// of this round is longer than that of the path. A round may begin in the middle of a burst,
    /// and what is behind that has a queue, too: only half a round without anything else is proof.
    fn is_delayed(&self, path: Duration) -> bool {
        let is_longer = self.this_round_min >= path.saturating_add(threshold(path));
        self.long_train && self.samples >= N_RTT_SAMPLE && is_longer
    }

    /// Where this acknowledgment makes the trains long enough, slow start becomes conservative. A
    /// delayed acknowledgment, or a late one, cuts a train in two, which count together.
    fn watch_trains(&mut self, report: &AckReport) {
        let gap = report.now - self.acked_at;
        self.acked_at = report.now;
        if gap > TRAIN_GAP {
            return;
        }
        self.in_trains = self.in_trains.saturating_add(gap.subsec_nanos());
        let least = report.min_rtt;
        if !self.long_train
            && !least.is_zero()
            && Duration::from_nanos(self.in_trains.into()) > least / 2
        {
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
            // The delay was jitter, not a queue. A train does not speak of delay.
            Some((_, baseline)) if self.this_round_min < baseline && !self.long_train => {
                self.conservative = None;
            }
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
