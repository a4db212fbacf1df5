//! The ledger of buffer memory (law 6): every ring grows and shrinks through it.

use crate::store::ring::Ring;

/// Bytes held by all send and receive rings, and their limit.
#[derive(Debug)]
pub(crate) struct Memory {
    used: usize,
    max: usize,
}

impl Memory {
    pub(crate) const fn new(max: usize) -> Memory {
        Memory { used: 0, max }
    }

    /// Bytes held now.
    pub(crate) const fn used(&self) -> usize {
        self.used
    }

    /// True when `ring` may grow so that it can hold `end` bytes from its head.
    pub(crate) fn allows(&self, ring: &Ring, end: usize) -> bool {
        self.used.saturating_add(ring.growth_for(end)) <= self.max
    }

    /// Notes what an operation on a ring did to the memory it holds.
    pub(crate) fn settle(&mut self, before: usize, after: usize) {
        self.used = self.used.saturating_add(after).saturating_sub(before);
    }
}
