//! When to acknowledge (RFC 9293 §3.8.6.3, RFC 5681 §4.2). An organ: it hears of text and answers
//! with now, later, or nothing owed.
//!
//! Every second segment is acknowledged at once. What is left waits, in the hope of a second one
//! or of an answer that carries the acknowledgment:
//!
//! | the connection | waits |
//! |---|---|
//! | begins, or was idle, and receives full segments | not at all: its sender is in slow start |
//! | answers what it receives ("ping-pong") | `most`: the answer will come |
//! | receives a stream of small segments | for the second one, by the measured time between two |
//! | any other | `least`: a sender that waits for us (Nagle's algorithm) is not held up |

use crate::time::Instant;
use core::time::Duration;

/// Segments at the start and after idling that are acknowledged each (Linux's
/// `TCP_MAX_QUICKACKS`), or half a window's worth, if that is less.
const QUICK_MAX: u32 = 16;
/// No segment smaller than this is full (Linux's `TCP_MSS_DEFAULT`).
const FULL_LEAST: u16 = 536;
/// After a loss the sender has little in flight.
const QUICK_AFTER_LOSS: u8 = 2;

/// How long an acknowledgment may be delayed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Delays {
    pub(crate) least: Duration,
    pub(crate) most: Duration,
}

/// Text that came in order.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival {
    pub(crate) now: Instant,
    /// Octets, in each of its segments.
    pub(crate) len: usize,
    /// The segments that it came in.
    pub(crate) segments: u32,
    /// The receive window, octets.
    pub(crate) window: u32,
    /// After so long a silence the sender begins anew (its time-out, or ours in its place).
    pub(crate) idle: Duration,
    /// The round trip, zero if it is not known.
    pub(crate) round_trip: Duration,
}

/// What is to be done about text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Due {
    Now,
    /// Time it, unless an earlier acknowledgment is timed.
    After(Duration),
}

/// Acknowledgments owed to the peer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AckPolicy {
    /// Segments with text in order since the last acknowledgment was sent.
    pending: u8,
    now: bool,
    /// Full segments to acknowledge each.
    quick: u8,
    /// Received text is answered with text.
    ping_pong: bool,
    /// The timer sent the last acknowledgment.
    missed: bool,
    /// The largest segment so far, octets: what is as large is full, for the sender's MSS is not
    /// known (Linux's `rcv_mss`).
    segment: u16,
    /// How long to wait for a second segment, microseconds.
    delay_us: u32,
    /// When text last came; the epoch for never.
    text_at: Instant,
    /// Before this no challenge or out-of-window ACK is sent.
    next_challenge: Instant,
}

impl AckPolicy {
    pub(crate) const fn new() -> AckPolicy {
        AckPolicy {
            pending: 0,
            now: false,
            quick: 0,
            ping_pong: false,
            missed: false,
            segment: FULL_LEAST,
            delay_us: 0,
            text_at: Instant::ZERO,
            next_challenge: Instant::ZERO,
        }
    }

    /// A segment's text arrived in order.
    pub(crate) fn on_text(&mut self, text: Arrival, delays: Delays) -> Due {
        self.learn(text, delays);
        let full = text.len >= usize::from(self.segment);
        if full {
            self.segment = u16::try_from(text.len).unwrap_or(u16::MAX);
        }
        let segments = u8::try_from(text.segments).unwrap_or(u8::MAX);
        self.pending = self.pending.saturating_add(segments);
        let quick = full && self.quick > 0 && !self.ping_pong;
        // Every second segment, full-sized or not (SHLD-19 asks it of full-sized ones only): a
        // sender of small ones would use up its window of segments and wait for our timer. A
        // burst still gets one acknowledgment, for output comes after all of it, and so does a
        // super-frame.
        if quick || self.pending >= 2 {
            self.now = true;
        }
        if self.now { Due::Now } else { Due::After(self.delay(delays)) }
    }

    /// The peer's FIN came: the application will close too, and its FIN answer. One that has never
    /// been sent text has nothing to finish, and may be long in noticing.
    pub(crate) fn on_fin(&mut self, delays: Delays) -> Due {
        self.pending = self.pending.saturating_add(1);
        self.now |= self.pending >= 2 || self.text_at().is_none();
        if self.now { Due::Now } else { Due::After(delays.most) }
    }

    /// When text last came, if it has.
    pub(crate) fn text_at(&self) -> Option<Instant> {
        (self.text_at != Instant::ZERO).then_some(self.text_at)
    }

    /// What has been learnt of the time to wait for a second segment.
    pub(crate) fn learnt_delay(&self) -> Duration {
        Duration::from_micros(self.delay_us.into())
    }

    /// The largest segment received, octets; 536 at least.
    pub(crate) fn largest_segment(&self) -> u16 {
        self.segment
    }

    /// How long an acknowledgment waits.
    fn delay(&self, delays: Delays) -> Duration {
        if self.ping_pong {
            return delays.most;
        }
        let learnt = Duration::from_micros(self.delay_us.into());
        learnt.max(delays.least).min(delays.most)
    }

    /// The time between segments (as Linux's `tcp_event_data_recv`).
    fn learn(&mut self, text: Arrival, delays: Delays) {
        let first = self.text_at == Instant::ZERO;
        let gap = text.now - core::mem::replace(&mut self.text_at, text.now);
        let missed = core::mem::take(&mut self.missed);
        if first || gap > text.idle {
            let segments = text.window / u32::from(self.segment);
            self.quick = (segments / 2).clamp(2, QUICK_MAX) as u8;
            return;
        }
        // A segment that our answer or acknowledgment let go says nothing about the sender's pace.
        let delay = self.delay(delays);
        let let_go = self.ping_pong || (missed && gap < delay + 2 * text.round_trip);
        if gap < delays.most && !let_go {
            self.delay_us = ((delay / 2 + gap).as_micros() as u32).min(1_000_000);
        }
    }

    /// Text was sent: if it follows received text closely, it answers it.
    pub(crate) fn on_text_sent(&mut self, now: Instant, delays: Delays) {
        let answers = self.text_at != Instant::ZERO && now - self.text_at < delays.most;
        self.ping_pong |= answers;
    }

    /// The delay is over: no answer carried the acknowledgment, and no second segment came.
    pub(crate) fn on_timer(&mut self) {
        self.ping_pong = false;
        self.missed = true;
        self.now = true;
    }

    /// Text came out of order, twice, or filled a hole: the sender needs to hear of each segment.
    pub(crate) fn on_disorder(&mut self) {
        self.ping_pong = false;
        self.quick = self.quick.max(QUICK_AFTER_LOSS);
        self.now = true;
    }

    /// Something needs an acknowledgment at once.
    pub(crate) fn owe_now(&mut self) {
        self.now = true;
    }

    /// An acknowledgment is to be sent at once.
    pub(crate) fn is_due(&self) -> bool {
        self.now
    }

    /// Text has been received that no acknowledgment has covered.
    pub(crate) fn is_pending(&self) -> bool {
        self.pending > 0
    }

    /// A segment carried the acknowledgment.
    pub(crate) fn on_sent(&mut self) {
        self.quick = self.quick.saturating_sub(self.pending);
        self.pending = 0;
        self.now = false;
    }

    /// Asks for a challenge ACK, at most one each `interval` on this connection (RFC 5961 §7).
    /// False when it is withheld.
    #[must_use]
    pub(crate) fn challenge(&mut self, now: Instant, interval: Duration) -> bool {
        if now < self.next_challenge {
            return false;
        }
        self.next_challenge = now + interval;
        self.now = true;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DELAYS: Delays =
        Delays { least: Duration::from_millis(4), most: Duration::from_millis(40) };

    fn at(millis: u64) -> Instant {
        Instant::from_millis(1_000 + millis)
    }

    fn small(millis: u64) -> Arrival {
        Arrival {
            now: at(millis),
            len: 100,
            segments: 1,
            window: 64 * u32::from(FULL_LEAST),
            idle: Duration::from_millis(200),
            round_trip: Duration::from_millis(1),
        }
    }

    fn full(millis: u64) -> Arrival {
        Arrival { len: 1460, ..small(millis) }
    }

    fn after(millis: u64) -> Due {
        Due::After(Duration::from_millis(millis))
    }

    /// The first sixteen are acknowledged each, and it ends there.
    fn used_up() -> AckPolicy {
        let mut ack = AckPolicy::new();
        for _ in 0..QUICK_MAX {
            assert_eq!(ack.on_text(full(0), DELAYS), Due::Now);
            ack.on_sent();
        }
        ack
    }

    #[test]
    fn shld_19_every_second_segment() {
        let mut ack = used_up();
        assert_eq!(ack.on_text(full(1), DELAYS), after(4), "the first waits");
        assert_eq!(ack.on_text(full(1), DELAYS), Due::Now, "the second does not");
        assert!(ack.is_due());
        ack.on_sent();
        assert!(!ack.is_due() && !ack.is_pending());
    }

    /// A super-frame is acknowledged once and at once, as many segments as it stands for.
    #[test]
    fn a_super_frame_counts_as_its_segments() {
        let mut ack = used_up();
        assert_eq!(ack.on_text(Arrival { segments: 44, ..full(1) }, DELAYS), Due::Now);
        ack.on_sent();
        let mut ack = AckPolicy::new();
        assert_eq!(ack.on_text(Arrival { segments: 15, ..full(0) }, DELAYS), Due::Now);
        ack.on_sent();
        for due in [Due::Now, after(4)] {
            assert_eq!(ack.on_text(full(0), DELAYS), due, "15 of {QUICK_MAX} are used up");
            ack.on_sent();
        }
        assert_eq!(ack.largest_segment(), 1460, "that of a segment, not of all");
        assert_eq!(ack.on_text(Arrival { segments: 60_000, ..full(1) }, DELAYS), Due::Now);
    }

    #[test]
    fn slow_start_is_acknowledged_segment_by_segment() {
        let mut ack = used_up();
        assert_eq!(ack.on_text(full(100), DELAYS), after(4));
        ack.on_sent();
        assert_eq!(ack.on_text(full(301), DELAYS), Due::Now, "the sender begins anew after idling");
        let mut narrow = AckPolicy::new();
        for due in [Due::Now, Due::Now, after(4)] {
            assert_eq!(
                narrow.on_text(Arrival { window: 3 * u32::from(FULL_LEAST), ..full(0) }, DELAYS),
                due
            );
            narrow.on_sent();
        }
    }

    #[test]
    fn small_segments_wait_for_an_answer() {
        let mut ack = AckPolicy::new();
        assert_eq!(ack.on_text(small(0), DELAYS), after(4));
        ack.on_text_sent(at(30), DELAYS);
        ack.on_sent();
        assert_eq!(ack.on_text(full(50), DELAYS), after(40), "ping-pong: the answer will come");
        ack.on_timer();
        assert!(ack.is_due());
        ack.on_sent();
        assert_eq!(ack.on_text(small(101), DELAYS), after(4), "it did not come");
    }

    #[test]
    fn the_delay_follows_the_time_between_segments() {
        let (mut ack, mut alone) = (AckPolicy::new(), 0);
        for i in 0..100 {
            match ack.on_text(small(10 * i), DELAYS) {
                Due::After(delay) if delay < Duration::from_millis(10) => {
                    alone += 1;
                    ack.on_timer();
                    ack.on_sent();
                }
                Due::After(delay) => assert!(delay < Duration::from_millis(30), "{delay:?}"),
                Due::Now => ack.on_sent(),
            }
        }
        assert!(alone <= 2, "{alone} of 100 segments, 10 ms apart, were acknowledged alone");
    }

    #[test]
    fn a_sender_that_waits_for_us_does_not_teach_us_to_wait() {
        let mut ack = AckPolicy::new();
        let mut now = 0;
        for _ in 0..20 {
            assert_eq!(ack.on_text(small(now), DELAYS), after(4));
            ack.on_timer();
            ack.on_sent();
            now += 5;
        }
    }

    #[test]
    fn disorder_ends_patience() {
        let mut ack = used_up();
        ack.on_text_sent(at(1), DELAYS);
        ack.on_disorder();
        ack.on_sent();
        assert_eq!(ack.on_text(full(1), DELAYS), Due::Now);
    }

    #[test]
    fn t9_challenges_are_limited_for_each_connection() {
        let (mut ack, interval) = (AckPolicy::new(), Duration::from_millis(500));
        assert!(ack.challenge(Instant::from_millis(0), interval));
        assert!(!ack.challenge(Instant::from_millis(499), interval));
        assert!(ack.challenge(Instant::from_millis(500), interval));
    }
}
