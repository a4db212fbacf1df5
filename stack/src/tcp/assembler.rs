//! Which text has arrived ahead of RCV.NXT (RFC 9293 §3.10.7.4, seventh step; RFC 2018).
//!
//! An organ: it knows ranges of offsets from RCV.NXT, and no sequence number, segment or byte.
//! The text itself lies in the receive ring already, where it will be read.
//!
//! ```text
//!   RCV.NXT   0        3     5          9    11
//!             |  hole  |#####|   hole   |####|
//! ```
//!
//! Ranges are sorted and neither overlap nor touch. They are stored as positions that wrap, with
//! the position of RCV.NXT beside them, so that moving RCV.NXT does not rewrite them.

use std::collections::VecDeque;
use std::ops::Range;

/// Room that is kept when the last range goes, for a path that reorders does so again and again.
/// Beyond it the memory is given back.
const RANGES_KEPT: usize = 8;

/// The text would make one range more than the limit. It has to be dropped: the peer sends it
/// again.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct TooManyRanges;

/// Ranges of which it is known when text of them last arrived: twice as many as an acknowledgment
/// reports.
const RECENT: usize = 8;

/// Text that has arrived, as positions in a space that wraps.
#[derive(Clone, Copy, Debug)]
struct Held {
    start: u32,
    end: u32,
}

/// The ranges of text ahead of RCV.NXT, at most `limit`. No memory until the first of them.
#[derive(Clone, Debug)]
pub(crate) struct Assembler {
    held: VecDeque<Held>,
    /// The position of RCV.NXT.
    base: u32,
    limit: u32,
    recent: Option<Box<Recent>>,
}

/// A position in each of the ranges that grew last, the latest first.
#[derive(Clone, Debug, Default)]
struct Recent {
    positions: [u32; RECENT],
    count: usize,
}

impl Recent {
    fn positions(&self) -> &[u32] {
        &self.positions[..self.count]
    }

    fn push(&mut self, position: u32) {
        self.positions.rotate_right(1);
        self.positions[0] = position;
        self.count = (self.count + 1).min(RECENT);
    }

    fn retain(&mut self, is_kept: impl Fn(u32) -> bool) {
        let before = core::mem::take(self);
        for &position in before.positions().iter().filter(|&&position| is_kept(position)) {
            self.positions[self.count] = position;
            self.count += 1;
        }
    }
}

impl Assembler {
    /// Nothing has arrived; at most `limit` ranges will be remembered, 8 bytes each.
    pub(crate) fn new(limit: usize) -> Self {
        let limit = u32::try_from(limit).unwrap_or(u32::MAX);
        Assembler { held: VecDeque::new(), base: 0, limit, recent: None }
    }

    /// Notes text at `[offset, offset + len)` past RCV.NXT, cut where offsets end. O(log n) to
    /// find the place, and at most `limit` ranges moved to make it.
    ///
    /// At the limit, text that touches none of the ranges is refused and nothing changes; text
    /// that extends or joins some is still taken.
    pub(crate) fn add(&mut self, offset: u32, len: u32) -> Result<(), TooManyRanges> {
        let end = offset.saturating_add(len);
        if end == offset {
            return Ok(());
        }
        // The ranges that the text touches or overlaps, which it joins into one.
        let first = self.held.partition_point(|held| self.offsets(held).end < offset);
        let past = self.held.partition_point(|held| self.offsets(held).start <= end);
        let mut joined = offset..end;
        if first == past {
            if self.held.len() >= self.limit as usize {
                return Err(TooManyRanges);
            }
            self.held.insert(first, self.positions(&joined));
        } else {
            joined.start = joined.start.min(self.offsets(&self.held[first]).start);
            joined.end = joined.end.max(self.offsets(&self.held[past - 1]).end);
            self.held[first] = self.positions(&joined);
            self.held.drain(first + 1..past);
        }
        self.note_recent(&joined);
        Ok(())
    }

    /// The first part of `[offset, offset + len)` that is here already. O(log n).
    pub(crate) fn overlap(&self, offset: u32, len: u32) -> Option<Range<u32>> {
        let end = offset.saturating_add(len);
        let first = self.held.partition_point(|held| self.offsets(held).end <= offset);
        let range = self.offsets(self.held.get(first)?);
        let both = range.start.max(offset)..range.end.min(end);
        (!both.is_empty()).then_some(both)
    }

    /// RCV.NXT has moved over `n` bytes of text. Returns over how many bytes more it moves, being
    /// here already; these are forgotten, and offsets count from behind them. O(ranges passed).
    #[must_use = "RCV.NXT moves over the text that has become contiguous"]
    pub(crate) fn advance(&mut self, n: u32) -> u32 {
        let mut contiguous = 0;
        while let Some(held) = self.held.front() {
            let range = self.offsets(held);
            if range.start > n {
                break;
            }
            contiguous = range.end.saturating_sub(n);
            self.held.pop_front();
            // Ranges do not touch, so that the one which reaches beyond `n` is the last.
            if contiguous > 0 {
                break;
            }
        }
        let (before, passed) = (self.base, n.saturating_add(contiguous));
        if let Some(recent) = &mut self.recent {
            recent.retain(|position| position.wrapping_sub(before) >= passed);
        }
        self.base = self.base.wrapping_add(n).wrapping_add(contiguous);
        self.rest_if_empty();
        contiguous
    }

    /// Whether nothing has arrived out of order.
    pub(crate) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// The ranges of offsets from RCV.NXT, ascending.
    #[cfg(test)]
    pub(crate) fn ranges(&self) -> impl Iterator<Item = Range<u32>> {
        self.held.iter().map(|held| self.offsets(held))
    }

    /// Fills in the SACK blocks, as offsets from RCV.NXT (start, and the end behind the last
    /// byte), and returns how many there are. The first is the range to which the latest arrival
    /// belongs; then come the others, the latest first, which are those that were reported last
    /// (RFC 2018 §4). When no more of these are known, the lowest follow: they will be delivered
    /// next. O(log n) for each block.
    pub(crate) fn sack_ranges(&self, out: &mut [(u32, u32)]) -> usize {
        let mut count = 0;
        let recent =
            self.recent.iter().flat_map(|recent| recent.positions()).filter_map(|&position| {
                let offset = position.wrapping_sub(self.base);
                self.held.get(self.held.partition_point(|held| self.offsets(held).end <= offset))
            });
        for held in recent.chain(self.held.iter().take(out.len())) {
            let range = self.offsets(held);
            if count < out.len() && !out[..count].contains(&(range.start, range.end)) {
                out[count] = (range.start, range.end);
                count += 1;
            }
        }
        count
    }

    fn offsets(&self, held: &Held) -> Range<u32> {
        held.start.wrapping_sub(self.base)..held.end.wrapping_sub(self.base)
    }

    fn positions(&self, range: &Range<u32>) -> Held {
        let (start, end) = (self.base.wrapping_add(range.start), self.base.wrapping_add(range.end));
        Held { start, end }
    }

    /// The latest arrival made this range.
    fn note_recent(&mut self, joined: &Range<u32>) {
        let base = self.base;
        let recent = self.recent.get_or_insert_default();
        recent.retain(|position| !joined.contains(&position.wrapping_sub(base)));
        recent.push(base.wrapping_add(joined.start));
    }

    fn rest_if_empty(&mut self) {
        if !self.held.is_empty() {
            return;
        }
        if self.held.capacity() > RANGES_KEPT {
            self.held = VecDeque::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::naive::NaiveAssembler;
    use proptest::prelude::*;

    const SPAN: u32 = 64;

    #[derive(Clone, Debug)]
    enum Op {
        Add(u32, u32),
        Advance(u32),
    }

    fn op() -> impl Strategy<Value = Op> {
        prop_oneof![
            12 => (0..SPAN, 0u32..10).prop_map(|(offset, len)| Op::Add(offset, len)),
            4 => (0u32..12).prop_map(Op::Advance),
        ]
    }

    fn sack(assembler: &Assembler, blocks: usize) -> Vec<(u32, u32)> {
        let mut out = vec![(0, 0); blocks];
        let count = assembler.sack_ranges(&mut out);
        out.truncate(count);
        out
    }

    proptest! {
        #[test]
        fn agrees_with_its_twin(
            base in prop_oneof![Just(0), Just(u32::MAX - 40)],
            limit in 0usize..9,
            ops in prop::collection::vec(op(), 0..80),
        ) {
            let mut real = Assembler::new(limit);
            let mut naive = NaiveAssembler::new(limit);
            prop_assert_eq!(real.advance(base), 0);
            for op in ops {
                match op {
                    Op::Add(offset, len) => {
                        let taken = real.add(offset, len).is_ok();
                        prop_assert_eq!(taken, naive.add(offset, len));
                    }
                    Op::Advance(n) => prop_assert_eq!(real.advance(n), naive.advance(n)),
                }
                let ranges: Vec<_> = real.ranges().map(|range| (range.start, range.end)).collect();
                prop_assert_eq!(&ranges, &naive.ranges());
                prop_assert_eq!(real.is_empty(), ranges.is_empty());
                prop_assert!(ranges.len() <= limit);
                for blocks in 0..5 {
                    prop_assert_eq!(sack(&real, blocks), naive.sack_ranges(blocks));
                }
            }
        }
    }

    /// The third example of RFC 2018 §7: of eight segments of 500 bytes from 5000 on, the second,
    /// fourth, sixth and eighth are lost; then the fourth and the second arrive. ACK is 5500.
    #[test]
    fn rfc2018_blocks_come_latest_first() {
        let mut assembler = Assembler::new(128);
        assembler.add(500, 500).unwrap();
        assert_eq!(sack(&assembler, 3), [(500, 1_000)]);
        assembler.add(1_500, 500).unwrap();
        assert_eq!(sack(&assembler, 3), [(1_500, 2_000), (500, 1_000)]);
        assembler.add(2_500, 500).unwrap();
        assert_eq!(sack(&assembler, 3), [(2_500, 3_000), (1_500, 2_000), (500, 1_000)]);
        assert_eq!(sack(&assembler, 2), [(2_500, 3_000), (1_500, 2_000)]);
        assembler.add(1_000, 500).unwrap();
        assert_eq!(sack(&assembler, 3), [(500, 2_000), (2_500, 3_000)]);
        assert_eq!(assembler.advance(500), 1_500, "ACK is 7500 now");
        assert_eq!(sack(&assembler, 3), [(500, 1_000)]);
    }

    /// More ranges than are remembered: the eight latest come first, then the lowest.
    #[test]
    fn beyond_the_latest_come_the_lowest() {
        let mut assembler = Assembler::new(128);
        for range in (0..12).rev() {
            assembler.add(10 + range * 20, 10).unwrap();
        }
        assert_eq!(sack(&assembler, 2), [(10, 20), (30, 40)]);
        // RCV.NXT passes all eight.
        assert_eq!(assembler.advance(160), 0);
        assert_eq!(sack(&assembler, 3), [(10, 20), (30, 40), (50, 60)]);
        assembler.add(30, 10).unwrap();
        assert_eq!(sack(&assembler, 3), [(30, 40), (10, 20), (50, 60)]);
    }

    #[test]
    fn at_the_limit_only_what_joins_is_taken() {
        let mut assembler = Assembler::new(2);
        assembler.add(10, 10).unwrap();
        assembler.add(30, 10).unwrap();
        assert_eq!(assembler.add(50, 10), Err(TooManyRanges));
        assert!(assembler.ranges().eq([10..20, 30..40]), "nothing changed");
        assembler.add(20, 5).unwrap();
        assembler.add(25, 5).unwrap();
        assembler.add(50, 10).unwrap();
        assert!(assembler.ranges().eq([10..40, 50..60]), "joining made room");
    }

    #[test]
    fn memory_comes_with_the_first_range_and_goes_with_the_last() {
        let mut assembler = Assembler::new(128);
        assert_eq!(assembler.held.capacity(), 0);
        for range in 0..100 {
            assembler.add(10 + range * 20, 10).unwrap();
        }
        assert_eq!(assembler.advance(10_000), 0);
        assert!(assembler.held.capacity() <= RANGES_KEPT);
    }

    #[test]
    fn no_number_is_too_large() {
        let mut assembler = Assembler::new(usize::MAX);
        assembler.add(u32::MAX, u32::MAX).unwrap();
        assert!(assembler.is_empty(), "no byte lies beyond the last offset");
        assembler.add(1, u32::MAX).unwrap();
        assert!(assembler.ranges().eq(std::iter::once(1..u32::MAX)));
        assert_eq!(assembler.advance(u32::MAX), 0);
        assert!(assembler.is_empty());
    }
}
