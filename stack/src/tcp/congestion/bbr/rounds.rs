//! Round trips counted in packets (§5.5.1), and the greatest value of two periods (§5.5.3): the
//! draft's windowed filter needs no more.

/// A round ends when something sent after its beginning is delivered.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rounds {
    /// `next_round_delivered`.
    end: u64,
    pub(super) count: u64,
    /// The present acknowledgment began one.
    pub(super) start: bool,
}

impl Rounds {
    /// A round begins now.
    pub(super) fn begin(&mut self, delivered: u64) {
        self.end = delivered;
    }

    /// Something sent when `prior` had been delivered is delivered itself. True when a round ends.
    pub(super) fn on_sample(&mut self, prior: u64, delivered: u64) -> bool {
        self.start = prior >= self.end;
        if self.start {
            self.begin(delivered);
            self.count += 1;
        }
        self.start
    }
}

/// The greatest value of this period and of the one before.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Latest2 {
    before: u64,
    now: u64,
}

impl Latest2 {
    pub(super) fn add(&mut self, value: u64) {
        self.now = self.now.max(value);
    }

    pub(super) fn max(&self) -> u64 {
        self.now.max(self.before)
    }

    /// A new period begins. One in which nothing was seen does not count.
    pub(super) fn advance(&mut self) {
        if self.now > 0 {
            *self = Latest2 { before: self.now, now: 0 };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_is_a_packet_s_round_trip() {
        let mut rounds = Rounds::default();
        assert!(rounds.on_sample(0, 1000));
        assert!(!rounds.on_sample(0, 2000) && !rounds.on_sample(999, 3000));
        assert!(rounds.on_sample(1000, 4000));
        assert_eq!(rounds.count, 2);
    }

    #[test]
    fn the_greatest_is_forgotten_after_two_periods() {
        let mut filter = Latest2::default();
        filter.add(7);
        filter.add(5);
        filter.advance();
        filter.advance();
        assert_eq!(filter.max(), 7, "an empty period is none");
        filter.add(3);
        assert_eq!(filter.max(), 7);
        filter.advance();
        filter.add(2);
        assert_eq!(filter.max(), 3);
    }
}
