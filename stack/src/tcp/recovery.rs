//! Where loss recovery stands: open, fast recovery (RFC 6675 §5, RFC 6582), or after a time-out,
//! with F-RTO (RFC 5682). An organ: it sees acknowledgments and says where they lead.

use super::seq::Seq;

/// Duplicate acknowledgments that mean a loss, without SACK (RFC 5681 §3.2 step 2).
const DUPLICATE_THRESHOLD: u32 = 3;

/// An acknowledgment of more segments took what had been received long before (RFC 6582 §4.1).
const STRIDE_MAX: u8 = 4;

/// The phases of loss recovery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Nothing is known to be lost.
    Open,
    /// A loss was found by acknowledgments and is being repaired; PRR rules.
    Fast,
    /// The retransmission timer expired; slow start rules.
    Timeout,
}

/// What an acknowledgment brought, as far as the phases are concerned.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct News {
    /// SND.UNA moved.
    pub(crate) advanced: bool,
    /// Text sent before the time-out and never again was delivered.
    pub(crate) original: bool,
    /// Something was newly reported, or a duplicate acknowledgment came.
    pub(crate) above: bool,
}

/// What F-RTO makes of an acknowledgment (RFC 5682 §3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// No opinion, or the time-out was for a loss.
    Nothing,
    /// Step 2: send new text to find out.
    SendNew,
    /// Step 3b: the time-out was for nothing.
    Spurious,
}

/// The phase, its end, and how it began.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Recovery {
    phase: Phase,
    /// SND.NXT when recovery began, or when the timer last expired (RFC 6582 "recover").
    high: Seq,
    /// The number of this episode, or of the last; never 0.
    episode: u16,
    /// Duplicate acknowledgments since SND.UNA moved, without SACK.
    duplicates: u32,
    /// Segments over which SND.UNA last moved since the timer expired; 0 while F-RTO may have sent
    /// what brings duplicates whatever is lost.
    stride: u8,
    /// F-RTO waits for a proof.
    frto: bool,
    /// F-RTO's step 2: new text goes before what is lost.
    prefers_new: bool,
}

impl Recovery {
    /// `iss` is the initial `recover` (RFC 6582 §3.2 step 1).
    pub(crate) const fn new(iss: Seq) -> Recovery {
        Recovery {
            phase: Phase::Open,
            high: iss,
            episode: 1,
            duplicates: 0,
            stride: 0,
            frto: false,
            prefers_new: false,
        }
    }

    pub(crate) const fn phase(&self) -> Phase {
        self.phase
    }

    pub(crate) const fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Open)
    }

    pub(crate) const fn is_fast(&self) -> bool {
        matches!(self.phase, Phase::Fast)
    }

    /// The number by which records remember in which episode they were believed lost.
    pub(crate) const fn episode(&self) -> u16 {
        self.episode
    }

    /// Where the episode ends.
    pub(crate) const fn high(&self) -> Seq {
        self.high
    }

    /// Octets that duplicate acknowledgments say have left the network, without SACK.
    pub(crate) const fn departed(&self, mss: u32) -> u32 {
        self.duplicates.saturating_mul(mss)
    }

    /// A duplicate acknowledgment without SACK (RFC 5681 §2). No more of them are believed than
    /// segments are `out` behind the first (T-8). False for one that is not believed.
    pub(crate) fn on_duplicate(&mut self, out: u32) -> bool {
        let most = out.saturating_sub(1);
        if self.duplicates >= most {
            return false;
        }
        self.duplicates += 1;
        true
    }

    /// Duplicates alone say that the first segment is lost: three, but not of a flight that an
    /// earlier recovery or a time-out covers (RFC 6582 §3.2 step 2). After a time-out they say that
    /// its retransmission is, if the last acknowledgment was of few segments: many at once had been
    /// received before, and what is behind them brings duplicates for nothing (§4.1).
    pub(crate) fn is_head_lost(&self, una: Seq) -> bool {
        let again = (1..=STRIDE_MAX).contains(&self.stride);
        self.duplicates >= DUPLICATE_THRESHOLD
            && match self.phase {
                Phase::Open => una.at_or_after(self.high),
                Phase::Fast => false,
                Phase::Timeout => again,
            }
    }

    /// SND.UNA moved to `una` over `segments`. True when that ends the episode.
    pub(crate) fn on_advance(&mut self, una: Seq, segments: u32) -> bool {
        // RFC 6582 §3.2 step 3: in recovery, one of them was the retransmission.
        let behind = if self.is_fast() { segments.saturating_sub(1) } else { u32::MAX };
        self.duplicates = self.duplicates.saturating_sub(behind);
        self.stride = if self.frto { 0 } else { u8::try_from(segments).unwrap_or(u8::MAX) };
        if self.is_open() {
            // Kept near SND.UNA: after 2 GiB without a loss it would count as ahead again.
            self.high = self.high.latest(una);
            return false;
        }
        una.at_or_after(self.high)
    }

    /// A loss was found.
    pub(crate) fn enter_fast(&mut self, nxt: Seq) {
        self.begin(Phase::Fast, nxt);
    }

    /// The timer expired. `probing` is false when F-RTO cannot tell, or must not.
    pub(crate) fn enter_timeout(&mut self, nxt: Seq, probing: bool) {
        self.begin(Phase::Timeout, nxt);
        self.duplicates = 0;
        self.frto = probing;
    }

    fn begin(&mut self, phase: Phase, nxt: Seq) {
        self.phase = phase;
        self.high = nxt;
        self.episode = self.next_episode();
        self.stride = 0;
        self.end_frto();
    }

    /// The number of the episode that begins next; 0 is none's.
    pub(crate) fn next_episode(&self) -> u16 {
        self.episode.checked_add(1).unwrap_or(1)
    }

    /// What a time-out has begun goes on as fast recovery, if something of it is lost again.
    pub(crate) fn leave_timeout(&mut self) {
        self.phase = Phase::Open;
        self.end_frto();
    }

    /// The episode is over, for whatever reason.
    pub(crate) fn leave(&mut self) {
        self.leave_timeout();
        self.duplicates = 0;
    }

    /// RFC 5682 §3.1 steps 2 and 3, after a time-out: `nxt` is SND.NXT, `can_send` whether there
    /// is new text that the peer's window takes.
    pub(crate) fn judge_timeout(&mut self, news: News, nxt: Seq, can_send: bool) -> Verdict {
        if self.phase != Phase::Timeout || !self.frto {
            return Verdict::Nothing;
        }
        if news.original {
            return Verdict::Spurious;
        }
        if self.prefers_new {
            // Step 3a: what went out anew comes back, and the old text does not.
            if nxt.after(self.high) && news.above {
                self.end_frto();
            }
            return Verdict::Nothing;
        }
        if news.advanced && can_send {
            self.prefers_new = true;
            return Verdict::SendNew;
        }
        // Step 2a, or nothing to find out with.
        self.frto = false;
        Verdict::Nothing
    }

    /// New text goes before what is lost.
    pub(crate) const fn prefers_new(&self) -> bool {
        self.prefers_new
    }

    /// F-RTO is over: its answer is known, or there was no new text to send after all.
    pub(crate) fn end_frto(&mut self) {
        (self.frto, self.prefers_new) = (false, false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after_time_out() -> Recovery {
        let mut r = Recovery::new(Seq(0));
        r.enter_timeout(Seq(10_001), true);
        r
    }

    #[test]
    fn rfc_6582_the_third_duplicate_counts_and_a_full_ack_leaves() {
        let mut r = Recovery::new(Seq(0));
        for n in 1..=3 {
            assert!(r.on_duplicate(10));
            assert_eq!(r.is_head_lost(Seq(1)), n == 3);
        }
        r.enter_fast(Seq(10_001));
        assert_eq!(r.departed(1000), 3000);
        assert!(!r.on_advance(Seq(3001), 3));
        assert_eq!(r.departed(1000), 1000);
        assert!(r.on_advance(Seq(10_001), 7));
        r.leave();
        assert!(r.is_open());
    }

    #[test]
    fn rfc_6582_after_a_time_out_duplicates_of_the_old_flight_are_no_loss() {
        let mut r = after_time_out();
        for _ in 0..5 {
            r.on_duplicate(10);
            assert!(!r.is_head_lost(Seq(2001)));
        }
    }

    #[test]
    fn rfc_6582_after_a_time_out_a_short_stride_and_duplicates_are_a_loss() {
        for (stride, lost) in [(0, false), (1, true), (4, true), (5, false), (1000, false)] {
            let mut r = after_time_out();
            r.judge_timeout(News { above: true, ..News::default() }, Seq(10_001), true);
            r.on_advance(Seq(2001), stride);
            assert!(r.on_duplicate(4) && r.on_duplicate(4) && !r.is_head_lost(Seq(2001)));
            assert!(r.on_duplicate(4));
            assert_eq!(r.is_head_lost(Seq(2001)), lost, "{stride}");
        }
        let mut r = after_time_out();
        r.on_advance(Seq(2001), 1);
        assert!(r.on_duplicate(4) && r.on_duplicate(4) && r.on_duplicate(4));
        assert!(!r.is_head_lost(Seq(2001)), "F-RTO's new text may have brought them");
        r.leave_timeout();
        assert!(r.is_open() && r.departed(1000) == 3000, "what is known of the flight stays");
    }

    #[test]
    fn a_time_out_forgets_what_duplicates_said() {
        let mut r = after_time_out();
        r.judge_timeout(News { above: true, ..News::default() }, Seq(10_001), true);
        r.on_advance(Seq(2001), 1);
        assert!(r.on_duplicate(4) && r.on_duplicate(4));
        r.enter_timeout(Seq(10_001), false);
        assert_eq!(r.departed(1000), 0);
        assert!(r.on_duplicate(4) && r.on_duplicate(4) && r.on_duplicate(4));
        assert!(!r.is_head_lost(Seq(2001)), "SND.UNA has not moved since");
    }

    #[test]
    fn s2_a_loss_is_seen_after_gibibytes_without_one() {
        let mut r = Recovery::new(Seq(0));
        let step = 1 << 24;
        let mut una = Seq(0);
        for _ in 1..200u32 {
            una += step;
            assert!(!r.on_advance(una, 1));
        }
        assert!(r.on_duplicate(10) && r.on_duplicate(10) && r.on_duplicate(10));
        assert!(r.is_head_lost(una));
    }

    #[test]
    fn t8_more_duplicates_than_segments_in_flight_are_not_believed() {
        let mut r = Recovery::new(Seq(0));
        let believed = (0..100_000).filter(|_| r.on_duplicate(4)).count();
        assert_eq!((believed, r.departed(1000)), (3, 3000));
    }

    #[test]
    fn rfc_5682_an_original_that_arrives_makes_the_time_out_spurious() {
        let mut r = after_time_out();
        let first = News { advanced: true, ..News::default() };
        assert_eq!(r.judge_timeout(first, Seq(10_001), true), Verdict::SendNew);
        assert!(r.prefers_new());
        let second = News { advanced: true, original: true, above: false };
        assert_eq!(r.judge_timeout(second, Seq(12_001), true), Verdict::Spurious);
    }

    #[test]
    fn rfc_5682_a_duplicate_makes_it_a_loss() {
        let mut r = after_time_out();
        let duplicate = News { above: true, ..News::default() };
        assert_eq!(r.judge_timeout(duplicate, Seq(10_001), true), Verdict::Nothing);
        let late = News { original: true, ..News::default() };
        assert_eq!(r.judge_timeout(late, Seq(10_001), true), Verdict::Nothing, "step 2a");
        let mut r = after_time_out();
        let first = News { advanced: true, ..News::default() };
        assert_eq!(r.judge_timeout(first, Seq(10_001), true), Verdict::SendNew);
        assert_eq!(r.judge_timeout(duplicate, Seq(12_001), true), Verdict::Nothing);
        assert!(!r.prefers_new(), "step 3a");
    }
}
