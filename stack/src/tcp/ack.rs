//! When to acknowledge (RFC 9293 §3.8.6.3, RFC 5681 §4.2). An organ: it hears of text and answers
//! with now, later, or nothing owed.

use crate::time::Instant;
use core::time::Duration;

/// Acknowledgments owed to the peer.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct AckPolicy {
    /// Segments with text in order since the last acknowledgment was sent.
    pending: u32,
    now: bool,
    /// When the last challenge or out-of-window ACK was sent.
    challenged_at: Option<Instant>,
}

impl AckPolicy {
    /// A segment's text arrived in order. True when a delayed acknowledgment is to be timed.
    pub(crate) fn on_text(&mut self, quick: bool) -> bool {
        self.pending = self.pending.saturating_add(1);
        // Every second segment, full-sized or not (SHLD-19 asks it of full-sized ones only): a
        // sender of small ones would use up its window of segments and wait for our timer. A
        // burst still gets one acknowledgment, for output comes after all of it.
        if quick || self.pending >= 2 {
            self.now = true;
        }
        !self.now
    }

    /// Something needs an acknowledgment at once: out-of-order text, a filled gap, a FIN, a
    /// duplicate (RFC 5681 §4.2).
    pub(crate) fn owe_now(&mut self) {
        self.now = true;
    }

    /// An acknowledgment is to be sent at once.
    pub(crate) fn is_due(&self) -> bool {
        self.now
    }

    /// Text has been received that no acknowledgment has covered.
    #[cfg(test)]
    pub(crate) fn is_pending(&self) -> bool {
        self.pending > 0
    }

    /// A segment carried the acknowledgment.
    pub(crate) fn on_sent(&mut self) {
        self.pending = 0;
        self.now = false;
    }

    /// Asks for a challenge ACK, at most one each `interval` on this connection (RFC 5961 §7).
    /// False when it is withheld.
    #[must_use]
    pub(crate) fn challenge(&mut self, now: Instant, interval: Duration) -> bool {
        if self.challenged_at.is_some_and(|at| now - at < interval) {
            return false;
        }
        self.challenged_at = Some(now);
        self.now = true;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shld_19_every_second_segment() {
        let mut ack = AckPolicy::default();
        assert!(ack.on_text(false), "the first waits");
        assert!(!ack.on_text(false), "the second does not");
        assert!(ack.is_due());
        ack.on_sent();
        assert!(!ack.is_due() && !ack.is_pending());
    }

    #[test]
    fn t9_challenges_are_limited_for_each_connection() {
        let (mut ack, interval) = (AckPolicy::default(), Duration::from_millis(500));
        assert!(ack.challenge(Instant::from_millis(0), interval));
        assert!(!ack.challenge(Instant::from_millis(499), interval));
        assert!(ack.challenge(Instant::from_millis(500), interval));
    }
}
