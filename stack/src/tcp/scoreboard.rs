//! Which ranges above SND.UNA the peer has reported as received (RFC 2018 §3, RFC 6675 §3). An
//! organ: blocks in, the parts of them that are news out.
//!
//! ```text
//!   SND.UNA                                   SND.NXT
//!      |   hole   |####|  hole  |########|       |
//! ```
//!
//! Ranges are sorted and neither overlap nor touch, so that a block which repeats what is known,
//! as most do, costs one binary search however much it covers.

use super::seq::Seq;
use crate::store::chain::Chain;

/// `[left, right)` of sequence numbers.
pub(crate) type Range = (Seq, Seq);

/// The first block, when it reports a range received twice: at or below the acknowledgment, or
/// inside the second (RFC 2883 §4).
pub(crate) fn duplicate_report(blocks: &[(u32, u32)], ack: Seq) -> Option<Range> {
    let &(left, right) = blocks.first()?;
    let (left, right) = (Seq(left), Seq(right));
    let below = right.at_or_before(ack);
    let inside = blocks
        .get(1)
        .is_some_and(|&(start, end)| left.at_or_after(Seq(start)) && right.at_or_before(Seq(end)));
    (left.before(right) && (below || inside)).then_some((left, right))
}

/// A block that an honest peer may send: not empty, and of what has been sent lately.
pub(crate) fn is_sound_block(left: Seq, right: Seq, oldest: Seq, nxt: Seq) -> bool {
    left.before(right) && right.at_or_before(nxt) && left.at_or_after(oldest)
}

/// The ranges reported. No memory until the first of them, none when the last has gone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scoreboard {
    ranges: Chain<Range>,
}

impl Scoreboard {
    pub(crate) const fn new() -> Scoreboard {
        Scoreboard { ranges: Chain::new() }
    }

    /// The first part of `[left, right)` that has not been reported before. O(log n).
    pub(crate) fn first_news(&self, left: Seq, right: Seq) -> Option<Range> {
        let at = self.ranges.partition(|range| range.1.at_or_before(left));
        let (mut left, mut right) = (left, right);
        let mut next = self.ranges.get(at);
        if let Some(&(start, end)) = next
            && start.at_or_before(left)
        {
            left = end;
            next = self.ranges.get(self.ranges.next(at));
        }
        if let Some(&(start, _)) = next
            && start.before(right)
        {
            right = start;
        }
        left.before(right).then_some((left, right))
    }

    /// Notes `[left, right)`: what it touches or overlaps becomes one with it. O(log n) to find the
    /// place; few others move (`store::chain`).
    pub(crate) fn add(&mut self, left: Seq, right: Seq) {
        let at = self.ranges.partition(|range| range.1.before(left));
        let touches = |range: &Range| range.0.at_or_before(right);
        let Some(&(start, end)) = self.ranges.get(at).filter(|range| touches(range)) else {
            self.ranges.insert(at, (left, right));
            return;
        };
        let (start, mut end) = (if left.before(start) { left } else { start }, end.latest(right));
        while let Some(&(_, last)) = self.ranges.get(self.ranges.next(at)).filter(|it| touches(it))
        {
            end = end.latest(last);
            self.ranges.remove(self.ranges.next(at));
        }
        if let Some(range) = self.ranges.get_mut(at) {
            *range = (start, end);
        }
    }

    /// SND.UNA has moved: what lies before it is forgotten. O(ranges passed).
    pub(crate) fn advance(&mut self, una: Seq) {
        if self.ranges.is_empty() {
            return;
        }
        while let Some(front) = self.ranges.front_mut() {
            if front.1.after(una) {
                front.0 = front.0.latest(una);
                return;
            }
            self.ranges.pop_front();
        }
        self.clear();
    }

    /// Forgets everything: the peer has taken it back, or there is nothing left.
    pub(crate) fn clear(&mut self) {
        self.ranges = Chain::new();
    }

    /// The ranges, ascending.
    #[cfg(test)]
    pub(crate) fn ranges(&self) -> impl Iterator<Item = Range> + '_ {
        self.ranges.iter().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::naive::NaiveScoreboard;
    use proptest::prelude::*;

    #[test]
    fn a_block_gives_only_its_news() {
        let mut board = Scoreboard::new();
        board.add(Seq(10), Seq(20));
        board.add(Seq(30), Seq(40));
        assert_eq!(board.first_news(Seq(5), Seq(50)), Some((Seq(5), Seq(10))));
        assert_eq!(board.first_news(Seq(10), Seq(50)), Some((Seq(20), Seq(30))));
        assert_eq!(board.first_news(Seq(12), Seq(20)), None);
        board.add(Seq(20), Seq(30));
        assert_eq!(board.ranges().collect::<Vec<_>>(), [(Seq(10), Seq(40))]);
        board.advance(Seq(15));
        assert_eq!(board.ranges().collect::<Vec<_>>(), [(Seq(15), Seq(40))]);
        board.advance(Seq(40));
        assert_eq!(board.ranges().count(), 0);
    }

    proptest! {
        /// Whatever is reported in whatever order, at every edge of the space.
        #[test]
        fn s1_the_scoreboard_equals_its_twin(
            base in prop_oneof![Just(0u32), Just(u32::MAX - 40), Just(0x7fff_ffe0), any::<u32>()],
            steps in proptest::collection::vec((0u32..100, 1u32..30, 0u32..4), 1..60),
        ) {
            let (mut board, mut naive) = (Scoreboard::new(), NaiveScoreboard::new(200));
            let mut una = 0;
            for (at, len, advance) in steps {
                let (left, right) = (una + at.min(150 - una.min(150)), (una + at + len).min(200));
                if left < right {
                    let mut news = Vec::new();
                    let mut from = Seq(base) + left;
                    while let Some((l, r)) = board.first_news(from, Seq(base) + right) {
                        news.extend(l.since(Seq(base))..r.since(Seq(base)));
                        from = r;
                    }
                    board.add(Seq(base) + left, Seq(base) + right);
                    prop_assert_eq!(news, naive.add(left, right));
                }
                una = (una + advance).min(200);
                board.advance(Seq(base) + una);
                naive.advance(una);
                let ranges: Vec<_> = board
                    .ranges()
                    .map(|(l, r)| (l.since(Seq(base)), r.since(Seq(base))))
                    .collect();
                prop_assert_eq!(ranges, naive.ranges());
            }
        }
    }
}
