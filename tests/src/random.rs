//! The world's dice: small, fast, and the same on every machine for the same seed.

/// SplitMix64 (Steele, Lea and Flood, 2014).
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// Dice that fall the same for the same `seed` and `purpose`.
    pub fn new(seed: u64, purpose: &str) -> Dice {
        let mixed = purpose.bytes().fold(seed, |hash, byte| scramble(hash ^ u64::from(byte)));
        Dice(scramble(mixed))
    }

    /// 64 bits.
    pub fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        scramble(self.0)
    }

    /// A number below `bound`; 0 when there is none.
    pub fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.word()) * u128::from(bound)) >> 64) as u64
    }

    /// A number from `first` to `last`, both included.
    pub fn between(&mut self, first: u64, last: u64) -> u64 {
        first + self.below(last - first + 1)
    }

    /// True `percent` times out of a hundred.
    pub fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// One of the choices.
    pub fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u64) as usize]
    }

    /// A number from 0 to `last` of which the small ones come as often as the large: first how
    /// many bits, then which.
    pub fn skewed(&mut self, last: u64) -> u64 {
        let bits = self.below(u64::from(u64::BITS - last.leading_zeros()) + 1) as u32;
        self.below(1u64.checked_shl(bits).unwrap_or(u64::MAX)).min(last)
    }
}

fn scramble(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The byte at `offset` of the stream named `stream`: two streams, or two places of one, agree
/// only by chance.
pub fn stream_byte(stream: u64, offset: u64) -> u8 {
    (stream_word(stream, offset) >> ((offset & 7) * 8)) as u8
}

/// The eight bytes around `offset`.
fn stream_word(stream: u64, offset: u64) -> u64 {
    scramble(stream.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (offset >> 3))
}

/// `stream_byte` for a whole buffer.
pub fn stream_fill(stream: u64, offset: u64, out: &mut [u8]) {
    let (mut at, mut rest) = (offset, out);
    while !rest.is_empty() {
        let word = stream_word(stream, at).to_le_bytes();
        let from = (at & 7) as usize;
        let (now, later) = rest.split_at_mut((8 - from).min(rest.len()));
        now.copy_from_slice(&word[from..from + now.len()]);
        (at, rest) = (at + now.len() as u64, later);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_falls_the_same() {
        let row = |seed, purpose| {
            let mut dice = Dice::new(seed, purpose);
            [dice.word(), dice.word(), dice.word()]
        };
        assert_eq!(row(1, "a"), row(1, "a"));
        assert_ne!(row(1, "a"), row(1, "b"));
        assert_ne!(row(1, "a"), row(2, "a"));
    }

    #[test]
    fn a_stream_is_the_same_in_any_pieces() {
        for (offset, len) in (0..20).flat_map(|offset| [0, 1, 7, 8, 30].map(|len| (offset, len))) {
            let mut piece = vec![0; len];
            stream_fill(7, offset, &mut piece);
            let bytes: Vec<u8> = (offset..).take(len).map(|at| stream_byte(7, at)).collect();
            assert_eq!(piece, bytes);
        }
    }

    #[test]
    fn draws_stay_in_range() {
        let mut dice = Dice::new(3, "range");
        for _ in 0..10_000 {
            assert!((5..=9).contains(&dice.between(5, 9)));
            assert!(dice.skewed(1000) <= 1000);
            assert!(dice.below(3) < 3);
        }
        assert_eq!(dice.below(0), 0);
        assert_eq!(dice.skewed(0), 0);
    }
}
