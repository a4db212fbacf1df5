//! HyStart++ (RFC 9406): leaving slow start when the round trip grows, before the queue overflows.
//! Only for the first slow start of a connection (§4.3): later ones end at a known threshold.

use super::AckReport;
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
            conservative: None,
        }
    }

    /// An acknowledgment in slow start (§4.2). `paced`: bursts are no concern, L is infinite.
    pub(super) fn on_ack(&mut self, report: &AckReport, paced: bool) -> Step {
        if report.delivered >= self.round_end && self.begin_round(report) {
            return Step::Leave;
        }
        if let Some(rtt) = report.rtt {
            self.this_round_min = self.this_round_min.min(rtt);
            self.samples = self.samples.saturating_add(1);
        }
        self.judge();
        let most = if paced { u32::MAX } else { L * report.mss };
        let growth = report.acked.min(most);
        Step::Grow(if self.conservative.is_some() { growth / CSS_GROWTH_DIVISOR } else { growth })
    }

    /// A round begins: it ends when what is in flight now has been delivered. True when
    /// conservative slow start has lasted for its rounds.
    fn begin_round(&mut self, report: &AckReport) -> bool {
        let left = report.in_flight.saturating_sub(report.acked).max(1);
        self.round_end = report.delivered + u64::from(left);
        self.last_round_min = self.this_round_min;
        self.this_round_min = NONE;
        self.samples = 0;
        let Some((rounds, _)) = &mut self.conservative else { return false };
        *rounds += 1;
        *rounds >= CSS_ROUNDS
    }

    fn judge(&mut self) {
        if self.samples < N_RTT_SAMPLE {
            return;
        }
        match self.conservative {
            None if self.last_round_min != NONE => {
                let threshold =
                    (self.last_round_min / MIN_RTT_DIVISOR).clamp(MIN_RTT_THRESH, MAX_RTT_THRESH);
                if self.this_round_min >= self.last_round_min.saturating_add(threshold) {
                    self.conservative = Some((0, self.this_round_min));
                }
            }
            // The delay was jitter, not a queue.
            Some((_, baseline)) if self.this_round_min < baseline => self.conservative = None,
            _ => {}
        }
    }
}

#[cfg(test)]
#[path = "hystart_tests.rs"]
mod tests;
