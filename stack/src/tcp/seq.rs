//! Sequence numbers (RFC 9293 §3.4): arithmetic modulo 2^32, comparisons by name. There is no `<`,
//! because there is no order; there is only before and after within half the space.

use core::ops::{Add, AddAssign, Sub};

/// A sequence number, or one past the last octet of something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Seq(pub(crate) u32);

impl Seq {
    /// Strictly before `other`.
    pub(crate) const fn before(self, other: Seq) -> bool {
        (self.0.wrapping_sub(other.0) as i32) < 0
    }

    /// Strictly after `other`.
    pub(crate) const fn after(self, other: Seq) -> bool {
        other.before(self)
    }

    /// Before `other` or equal to it.
    pub(crate) const fn at_or_before(self, other: Seq) -> bool {
        !self.after(other)
    }

    /// After `other` or equal to it.
    pub(crate) const fn at_or_after(self, other: Seq) -> bool {
        !self.before(other)
    }

    /// Octets from `earlier` to `self`; 0 when `earlier` is after.
    pub(crate) const fn since(self, earlier: Seq) -> u32 {
        if self.before(earlier) { 0 } else { self.0.wrapping_sub(earlier.0) }
    }

    /// The later of two.
    pub(crate) const fn latest(self, other: Seq) -> Seq {
        if self.before(other) { other } else { self }
    }
}

impl Add<u32> for Seq {
    type Output = Seq;
    fn add(self, octets: u32) -> Seq {
        Seq(self.0.wrapping_add(octets))
    }
}

impl AddAssign<u32> for Seq {
    fn add_assign(&mut self, octets: u32) {
        *self = *self + octets;
    }
}

impl Sub<u32> for Seq {
    type Output = Seq;
    fn sub(self, octets: u32) -> Seq {
        Seq(self.0.wrapping_sub(octets))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_space_wraps() {
        for base in [0, 1, 0x7fff_ffff, 0x8000_0000, 0xffff_fffe, 0xffff_ffff] {
            let (a, b) = (Seq(base), Seq(base) + 10);
            assert!(a.before(b) && b.after(a) && !b.before(a) && !a.before(a));
            assert!(a.at_or_before(a) && a.at_or_after(a));
            assert_eq!((b.since(a), a.since(b)), (10, 0));
            assert_eq!((a.latest(b), b.latest(a), b - 10), (b, b, a));
        }
    }
}
