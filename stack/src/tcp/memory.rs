//! The ledger of buffer memory (law 6): every ring grows and shrinks through it. Whoever it
//! refuses waits (`starved.rs`).

use crate::store::ring::{LEAST_MEMORY, Ring};
use bytes::Bytes;

/// Of the ledger one part in so many is kept for text in order that finds an empty receive ring:
/// a reader goes on, however much others have buffered.
const RESERVE: usize = 16;

/// Bytes held by all send and receive rings, and their limit.
#[derive(Clone, Debug)]
pub(crate) struct Memory {
    used: usize,
    max: usize,
    /// Shared text that nobody needs any more, till the connection is whole again.
    gone: Vec<Bytes>,
}

impl Memory {
    pub(crate) const fn new(max: usize) -> Memory {
        Memory { used: 0, max, gone: Vec::new() }
    }

    /// Another limit from now on: tests refuse what could be had.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) const fn set_max(&mut self, max: usize) {
        self.max = max;
    }

    /// Bytes held now.
    pub(crate) const fn used(&self) -> usize {
        self.used
    }

    /// Bytes that rings may grow by, the reserve left alone.
    pub(crate) fn free(&self) -> usize {
        (self.max - self.max / RESERVE).saturating_sub(self.used)
    }

    /// The most that a buffer which tunes itself may grow to: what one connection promises others
    /// need as well.
    pub(crate) const fn share(&self) -> usize {
        self.max / 8
    }

    /// More than three quarters are used: buffers that tune themselves stay small.
    pub(crate) const fn is_tight(&self) -> bool {
        self.used > self.max - self.max / 4
    }

    /// True when `ring` may grow so that it can hold `end` bytes from its head.
    pub(crate) fn allows(&self, ring: &Ring, end: usize) -> bool {
        let growth = ring.growth_for(end);
        growth == 0 || growth <= self.free()
    }

    /// The most bytes from its head that `ring` may hold, growth allowed for.
    pub(crate) fn most(&self, ring: &Ring) -> usize {
        let (held, free) = (ring.allocated(), self.free());
        // Rings hold powers of two; a ring grows to the next ones as long as the difference fits.
        match held + free {
            too_few if too_few < LEAST_MEMORY => 0,
            total => (1usize << total.ilog2()).max(held),
        }
    }

    /// As [`Memory::most`], for text in order: out of the reserve too, if the ring is empty.
    pub(crate) fn most_in_order(&self, ring: &Ring) -> usize {
        let most = self.most(ring);
        if ring.allocated() > 0 {
            return most;
        }
        let fits = |least: &usize| self.used + least <= self.max;
        [2 * LEAST_MEMORY, LEAST_MEMORY].into_iter().find(fits).unwrap_or(0).max(most)
    }

    /// Where shared text goes that nobody needs any more.
    pub(crate) fn gone(&mut self) -> &mut Vec<Bytes> {
        &mut self.gone
    }

    /// Lets it go, when nothing is half done: what drops it is the program's, and may panic.
    pub(crate) fn let_go(&mut self) {
        if !self.gone.is_empty() {
            self.gone.clear();
        }
    }

    /// Notes what an operation on a ring did to the memory it holds.
    pub(crate) fn settle(&mut self, before: usize, after: usize) {
        self.used = self.used.saturating_add(after).saturating_sub(before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r12_a_ring_grows_to_the_power_of_two_that_fits() {
        let mut memory = Memory::new(16_000);
        let mut ring = Ring::new(1 << 20);
        assert_eq!(memory.most(&ring), 8_192, "15,000 bytes are free, the rest is the reserve");
        ring.push(&[0; 1_024]);
        memory.settle(0, ring.allocated());
        assert_eq!(memory.most(&ring), 8_192);
        memory.settle(0, 14_000);
        assert_eq!(memory.most(&ring), 1_024, "what it has");
        assert!(!memory.allows(&ring, 1_025) && memory.allows(&ring, 1_024));
        assert_eq!(memory.most(&Ring::new(1 << 20)), 0, "not even the least memory");
    }

    #[test]
    fn r12_the_reserve_is_for_the_first_text_in_an_empty_ring() {
        let mut memory = Memory::new(64_000);
        memory.settle(0, 60_000);
        let mut ring = Ring::new(1 << 20);
        assert!(!memory.allows(&ring, 100));
        assert_eq!(memory.most_in_order(&ring), 2_048);
        ring.push(&[0; 100]);
        assert_eq!(memory.most_in_order(&ring), 1_024, "it has text to read");
        memory.settle(0, 2_000);
        assert_eq!(memory.most_in_order(&Ring::new(1 << 20)), 1_024);
        memory.settle(0, 1_000);
        assert_eq!(memory.most_in_order(&Ring::new(1 << 20)), 0, "the ceiling holds");
    }
}
