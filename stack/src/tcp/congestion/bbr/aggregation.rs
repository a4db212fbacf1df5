//! Acknowledgments that come in lumps (§5.5.9): what the path, the peer or a device gathers is let
//! out ahead, so that silence between lumps does not stop the sender.

use super::rounds::Latest2;
use super::{AckReport, Bbr};
use crate::time::Instant;

/// Rounds of each of the two periods in which the greatest lump is remembered.
const PERIOD: u64 = 5;

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Aggregation {
    since: Instant,
    /// Delivered since then.
    acked: u64,
    most: Latest2,
    /// When the period began, rounds.
    period: u64,
}

impl Aggregation {
    /// Nothing was on its way: silence before now is no lump's.
    pub(super) fn restart(&mut self, now: Instant) {
        (self.since, self.acked) = (now, 0);
    }

    /// `extra_acked`.
    pub(super) fn extra(&self) -> u32 {
        self.most.max() as u32
    }
}

impl Bbr {
    pub(super) fn note_aggregation(&mut self, report: &AckReport) {
        let lump = &mut self.aggregation;
        let length = if self.pipe.reached { PERIOD } else { 1 };
        if self.rounds.start && self.rounds.count >= lump.period + length {
            lump.period = self.rounds.count;
            lump.most.advance();
        }
        let nanos = (report.now - lump.since).as_nanos();
        let expected = u128::from(self.bw) * nanos / 1_000_000_000;
        let mut expected = u64::try_from(expected).unwrap_or(u64::MAX);
        if lump.acked <= expected {
            lump.restart(report.now);
            expected = 0;
        }
        lump.acked += u64::from(report.newly_delivered);
        let extra = lump.acked.saturating_sub(expected).min(self.cwnd.into());
        lump.most.add(extra);
    }
}
