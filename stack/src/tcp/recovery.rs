//! Fast retransmit and NewReno fast recovery (RFC 5681 §3.2, RFC 6582), limited transmit
//! (RFC 3042). An organ: it sees acknowledgments and says what to do; the window is the
//! congestion controller's.

use super::seq::Seq;

/// Duplicate acknowledgments that mean a loss (RFC 5681 §3.2 step 2).
const DUPLICATE_THRESHOLD: u32 = 3;

/// What the sender is to do about an acknowledgment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Advice {
    /// Go on.
    Nothing,
    /// Retransmit the segment at SND.UNA and halve the window: a loss was found.
    EnterRecovery,
    /// Retransmit the segment at SND.UNA: a partial acknowledgment found the next hole.
    RetransmitNext,
    /// Everything that was outstanding when the loss was found is acknowledged.
    Recovered,
}

/// Where loss recovery stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Recovery {
    duplicates: u32,
    /// SND.NXT when recovery began, or when the timer last expired (RFC 6582 "recover").
    recover: Seq,
    active: bool,
}

impl Recovery {
    /// `iss` is the initial `recover` (RFC 6582 §3.2 step 1).
    pub(crate) const fn new(iss: Seq) -> Recovery {
        Recovery { duplicates: 0, recover: iss, active: false }
    }

    /// In fast recovery.
    pub(crate) const fn is_active(&self) -> bool {
        self.active
    }

    /// Bytes by which the window is inflated: a segment for each that has left the network
    /// (RFC 5681 §3.2 steps 1, 3 and 4).
    pub(crate) const fn inflation(&self, mss: u32) -> u32 {
        let segments =
            if self.active || self.duplicates < DUPLICATE_THRESHOLD { self.duplicates } else { 0 };
        segments.saturating_mul(mss)
    }

    /// A duplicate acknowledgment as RFC 5681 §2 defines it. `highest` is SND.NXT's maximum,
    /// `outstanding` the segments in flight: no more duplicates than these are believed (T-8).
    pub(crate) fn on_duplicate(&mut self, una: Seq, highest: Seq, outstanding: u32) -> Advice {
        self.duplicates = (self.duplicates + 1).min(outstanding);
        let covered = una.at_or_after(self.recover);
        if self.active || self.duplicates != DUPLICATE_THRESHOLD || !covered {
            return Advice::Nothing;
        }
        self.active = true;
        self.recover = highest;
        Advice::EnterRecovery
    }

    /// An acknowledgment of new data up to `ack`, `acked_segments` of it.
    pub(crate) fn on_ack(&mut self, ack: Seq, acked_segments: u32) -> Advice {
        if !self.active {
            self.duplicates = 0;
            // Kept near SND.UNA: after 2 GiB without a loss it would count as ahead again.
            self.recover = self.recover.latest(ack);
            return Advice::Nothing;
        }
        if ack.at_or_after(self.recover) {
            self.active = false;
            self.duplicates = 0;
            return Advice::Recovered;
        }
        // RFC 6582 §3.2 step 3: deflate by what was acknowledged, add one back.
        self.duplicates = self.duplicates.saturating_sub(acked_segments).saturating_add(1);
        Advice::RetransmitNext
    }

    /// The retransmission timer expired (RFC 6582 §3.2 step 4).
    pub(crate) fn on_timeout(&mut self, highest: Seq) {
        *self = Recovery { duplicates: 0, recover: highest, active: false };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_third_duplicate_enters_and_a_full_ack_leaves() {
        let mut r = Recovery::new(Seq(0));
        let dup = |r: &mut Recovery| r.on_duplicate(Seq(1), Seq(10_001), 10);
        assert_eq!(dup(&mut r), Advice::Nothing);
        assert_eq!(dup(&mut r), Advice::Nothing);
        assert_eq!(r.inflation(1000), 2000, "limited transmit");
        assert_eq!(dup(&mut r), Advice::EnterRecovery);
        assert_eq!(dup(&mut r), Advice::Nothing);
        assert_eq!(r.inflation(1000), 4000);
        assert_eq!(r.on_ack(Seq(3001), 3), Advice::RetransmitNext);
        assert_eq!(r.inflation(1000), 2000);
        assert_eq!(r.on_ack(Seq(10_001), 7), Advice::Recovered);
        assert_eq!((r.inflation(1000), r.is_active()), (0, false));
    }

    #[test]
    fn after_a_timeout_duplicates_of_the_old_flight_are_no_loss() {
        let mut r = Recovery::new(Seq(0));
        r.on_timeout(Seq(10_001));
        for _ in 0..5 {
            assert_eq!(r.on_duplicate(Seq(2001), Seq(10_001), 10), Advice::Nothing);
        }
    }

    #[test]
    fn s2_a_loss_is_seen_after_gibibytes_without_one() {
        let mut r = Recovery::new(Seq(0));
        let step = 1 << 24;
        for i in 1..200u32 {
            let una = Seq(0) + i.wrapping_mul(step);
            assert_eq!(r.on_ack(una, 1), Advice::Nothing);
        }
        let una = Seq(0) + 199u32.wrapping_mul(step);
        let advice: Vec<Advice> = (0..3).map(|_| r.on_duplicate(una, una + 10_000, 10)).collect();
        assert_eq!(advice[2], Advice::EnterRecovery);
    }

    #[test]
    fn t8_more_duplicates_than_segments_in_flight_are_not_believed() {
        let mut r = Recovery::new(Seq(0));
        for _ in 0..100_000 {
            let _: Advice = r.on_duplicate(Seq(1), Seq(4001), 4);
        }
        assert_eq!(r.inflation(1000), 4000);
    }
}
