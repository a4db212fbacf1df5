//! A set of numbers kept as ranges.

use std::collections::BTreeMap;

/// Disjoint half-open ranges that do not touch.
#[derive(Clone, Debug, Default)]
pub struct Intervals(BTreeMap<u64, u64>);

impl Intervals {
    /// Adds `from..to`.
    pub fn insert(&mut self, mut from: u64, mut to: u64) {
        if from >= to {
            return;
        }
        while let Some((&start, &end)) = self.0.range(..=to).next_back().filter(|r| *r.1 >= from) {
            self.0.remove(&start);
            (from, to) = (from.min(start), to.max(end));
        }
        self.0.insert(from, to);
    }

    /// True when all of `from..to` is in the set.
    pub fn covers(&self, from: u64, to: u64) -> bool {
        from >= to || self.end_of_run(from) >= to
    }

    /// The first number from `from` on that is not in the set.
    pub fn end_of_run(&self, from: u64) -> u64 {
        match self.0.range(..=from).next_back() {
            Some((_, &end)) if end > from => end,
            _ => from,
        }
    }

    /// One past the largest number; 0 for the empty set.
    pub fn end(&self) -> u64 {
        self.0.last_key_value().map_or(0, |(_, &end)| end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Dice;
    use std::collections::BTreeSet;

    #[test]
    fn like_a_set_of_numbers() {
        let mut dice = Dice::new(1, "intervals");
        for _ in 0..200 {
            let (mut ranges, mut numbers) = (Intervals::default(), BTreeSet::new());
            for _ in 0..12 {
                let from = dice.below(40);
                let to = from + dice.below(8);
                ranges.insert(from, to);
                numbers.extend(from..to);
                let probe = dice.below(45);
                let run = (probe..).find(|n| !numbers.contains(n)).unwrap();
                assert_eq!(ranges.end_of_run(probe), run);
                assert!(ranges.covers(probe, run) && !ranges.covers(probe, run + 1));
                assert_eq!(ranges.end(), numbers.last().map_or(0, |n| n + 1));
            }
        }
    }
}
