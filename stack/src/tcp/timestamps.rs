//! Timestamps and protection against wrapped sequence numbers (RFC 7323 §3 to §5). An organ.

use super::seq::Seq;
use crate::time::Instant;
use crate::wire::options::Timestamps as Option_;
use core::time::Duration;

/// After so long without a newer timestamp TS.Recent proves nothing (RFC 7323 §5.5): 24 days.
const RECENT_EXPIRES: Duration = Duration::from_secs(24 * 24 * 3600);

/// How far behind TS.Recent a segment may be, in ticks of the peer's clock (§5.4: a millisecond or
/// more), and be late rather than old: a retransmission that fills a hole carries TS.Recent past
/// what was sent just before it and is held up on the way. Between two copies of one sequence
/// number lie 4 GiB, which no path carries in a tenth of a second (decision 0011).
const LATE: u32 = 100;

/// TS.Recent and this connection's own clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TimestampState {
    /// Added to the millisecond clock, random for each connection (§5.4; THREATS X-2).
    pub(crate) offset: u32,
    /// TS.Recent.
    pub(crate) recent: u32,
    recent_at: Instant,
    /// Last.ACK.sent.
    pub(crate) last_ack_sent: Seq,
}

impl TimestampState {
    pub(crate) const fn new(offset: u32, recent: u32, now: Instant, rcv_nxt: Seq) -> Self {
        TimestampState { offset, recent, recent_at: now, last_ack_sent: rcv_nxt }
    }

    /// TSval now: a clock of 1 ms (§5.4 allows 1 ms to 1 s).
    pub(crate) fn value(&self, now: Instant) -> u32 {
        value(self.offset, now)
    }

    /// The option for a segment sent now.
    pub(crate) fn option(&self, now: Instant) -> Option_ {
        Option_ { value: self.value(now), echo: self.recent }
    }

    /// PAWS (§5.3 R1): false for a segment older than TS.Recent, unless it is only late.
    pub(crate) fn is_fresh(&self, seg: Option_, now: Instant) -> bool {
        !is_older(seg.value.wrapping_add(LATE), self.recent) || self.is_outdated(now)
    }

    /// TS.Recent is so old that the clock may have gone half round since (§5.5).
    fn is_outdated(&self, now: Instant) -> bool {
        now - self.recent_at > RECENT_EXPIRES
    }

    /// Updates TS.Recent from an acceptable segment (§4.3): only the one that Last.ACK.sent lies
    /// in or behind, so that a delayed acknowledgment echoes the earliest.
    pub(crate) fn on_segment(&mut self, seg: Option_, seq: Seq, now: Instant) {
        let newer = !is_older(seg.value, self.recent) || self.is_outdated(now);
        if newer && seq.at_or_before(self.last_ack_sent) {
            self.recent = seg.value;
            self.recent_at = now;
        }
    }

    /// The round-trip time that an echo of ours shows (§4.1), in whole milliseconds, at least one.
    /// None for an echo of something this connection cannot have sent lately.
    pub(crate) fn round_trip(&self, echo: u32, now: Instant) -> Option<Duration> {
        let elapsed = self.value(now).wrapping_sub(echo);
        // An echo from the future or from minutes ago is a lie or a relic (THREATS T-18).
        (elapsed < 120_000 && echo != 0).then(|| Duration::from_millis(u64::from(elapsed.max(1))))
    }
}

/// The millisecond clock with `offset`.
pub(crate) fn value(offset: u32, now: Instant) -> u32 {
    offset.wrapping_add(now.as_millis() as u32)
}

/// `a` is before `b` on the timestamp clock.
pub(crate) fn is_older(a: u32, b: u32) -> bool {
    (a.wrapping_sub(b) as i32) < 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn option(value: u32) -> Option_ {
        Option_ { value, echo: 0 }
    }

    #[test]
    fn paws_across_the_wrap_of_the_timestamp_clock() {
        for recent in [5, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff] {
            let ts = TimestampState::new(0, recent, Instant::ZERO, Seq(0));
            assert!(ts.is_fresh(option(recent), Instant::ZERO));
            assert!(ts.is_fresh(option(recent.wrapping_add(1)), Instant::ZERO));
            assert!(ts.is_fresh(option(recent.wrapping_sub(LATE)), Instant::ZERO), "late");
            assert!(!ts.is_fresh(option(recent.wrapping_sub(LATE + 1)), Instant::ZERO));
        }
    }

    #[test]
    fn an_old_ts_recent_is_not_believed() {
        let mut ts = TimestampState::new(0, 100, Instant::ZERO, Seq(0));
        let later = Instant::ZERO + RECENT_EXPIRES + Duration::from_secs(1);
        let old = 100u32.wrapping_sub(1000);
        assert!(!ts.is_fresh(option(old), Instant::ZERO) && ts.is_fresh(option(old), later));
        ts.on_segment(option(old), Seq(0), later);
        assert_eq!(ts.recent, old, "and the segment's is believed instead");
    }

    #[test]
    fn ts_recent_moves_only_with_the_left_edge() {
        let mut ts = TimestampState::new(0, 100, Instant::ZERO, Seq(1000));
        ts.on_segment(option(200), Seq(1001), Instant::ZERO);
        assert_eq!(ts.recent, 100, "out of order");
        ts.on_segment(option(150), Seq(1000), Instant::ZERO);
        assert_eq!(ts.recent, 150);
    }

    #[test]
    fn t18_a_lying_echo_gives_no_sample() {
        let ts = TimestampState::new(7, 0, Instant::ZERO, Seq(0));
        let now = Instant::from_secs(1000);
        let sample = |ago: u32| ts.round_trip(ts.value(now).wrapping_sub(ago), now);
        assert_eq!(sample(30), Some(Duration::from_millis(30)));
        assert_eq!((sample(u32::MAX - 5), sample(200_000)), (None, None));
    }
}
