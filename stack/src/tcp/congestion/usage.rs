//! Congestion window validation: whether the window is being used (RFC 7661 §4.2). A window grows
//! by acknowledgments only while it is what holds the sender back; otherwise they prove nothing
//! about the path beyond what was sent.

use crate::tcp::seq::Seq;

/// How the window was used in the current flight and the one before.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    /// The window kept text back.
    limited: bool,
    /// Most bytes in flight.
    peak: u32,
    /// SND.NXT when this was noted: with its acknowledgment a new measurement begins.
    until: Seq,
}

impl Usage {
    pub(crate) const fn new(iss: Seq) -> Usage {
        Usage { limited: false, peak: 0, until: iss }
    }

    /// Nothing more can be sent now: `limited` if that is the congestion window's doing.
    pub(crate) fn note(&mut self, limited: bool, in_flight: u32, una: Seq, nxt: Seq) {
        let over = una.at_or_after(self.until);
        if over || limited || (!self.limited && in_flight > self.peak) {
            *self = Usage { limited, peak: in_flight, until: nxt };
        }
    }

    /// The window may grow: it is the limit or, in slow start, half of it is used, so that a window
    /// twice as large would be needed within a round trip.
    pub(crate) fn is_limited(&self, cwnd: u32, slow_start: bool) -> bool {
        self.limited || (slow_start && cwnd < self.peak.saturating_mul(2))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_remembered_for_its_flight() {
        let mut usage = Usage::new(Seq(0));
        usage.note(true, 10_000, Seq(0), Seq(10_000));
        usage.note(false, 4000, Seq(6000), Seq(10_000));
        assert!(usage.is_limited(10_000, false), "the flight is still under way");
        usage.note(false, 1000, Seq(10_000), Seq(11_000));
        assert!(!usage.is_limited(10_000, false));
    }

    #[test]
    fn in_slow_start_half_the_window_is_enough() {
        let mut usage = Usage::new(Seq(0));
        usage.note(false, 6000, Seq(0), Seq(6000));
        assert!(usage.is_limited(10_000, true) && !usage.is_limited(10_000, false));
        assert!(!usage.is_limited(12_000, true));
    }
}
