//! A small seeded generator: xoshiro256++, seeded by splitmix64 (Blackman and Vigna, "Scrambled
//! linear pseudorandom number generators", 2018; both are in the public domain). Reproducible on
//! every machine, and of no use against an adversary.

#[derive(Debug, Clone)]
pub(crate) struct Random {
    state: [u64; 4],
}

impl Random {
    /// The generator number `stream` of those that belong to `seed`.
    pub(crate) fn new(seed: u64, stream: u64) -> Random {
        let mut state = seed ^ splitmix(&mut stream.wrapping_add(1));
        Random { state: std::array::from_fn(|_| splitmix(&mut state)) }
    }

    /// 64 random bits.
    pub(crate) fn bits(&mut self) -> u64 {
        let [a, b, c, d] = &mut self.state;
        let result = a.wrapping_add(*d).rotate_left(23).wrapping_add(*a);
        let shifted = *b << 17;
        *c ^= *a;
        *d ^= *b;
        *b ^= *c;
        *a ^= *d;
        *c ^= shifted;
        *d = d.rotate_left(45);
        result
    }

    /// True with `probability`, 0 to 1.
    pub(crate) fn chance(&mut self, probability: f64) -> bool {
        // 53 bits: as many as a float holds, so 0 is never true and 1 always.
        let unit = (self.bits() >> 11) as f64 / (1_u64 << 53) as f64;
        unit < probability
    }

    /// A number from 0 up to and including `max`, uniform but for one part in 2^64 / `max`
    /// (Lemire's multiplication, "Fast random integer generation in an interval", 2019).
    pub(crate) fn up_to(&mut self, max: u64) -> u64 {
        ((u128::from(self.bits()) * (u128::from(max) + 1)) >> 64) as u64
    }
}

fn splitmix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splitmix_gives_its_published_numbers() {
        let mut state = 1_234_567;
        assert_eq!(splitmix(&mut state), 6_457_827_717_110_365_317);
        assert_eq!(splitmix(&mut state), 3_203_168_211_198_807_973);
    }

    #[test]
    fn xoshiro_gives_its_published_numbers() {
        let mut random = Random { state: [1, 2, 3, 4] };
        let first: Vec<u64> = (0..3).map(|_| random.bits()).collect();
        assert_eq!(first, [41_943_041, 58_720_359, 3_588_806_011_781_223]);
    }

    #[test]
    fn streams_differ_and_ranges_hold() {
        assert_ne!(Random::new(1, 0).bits(), Random::new(1, 1).bits());
        assert_ne!(Random::new(1, 0).bits(), Random::new(2, 0).bits());
        let mut random = Random::new(7, 0);
        for _ in 0..1000 {
            assert!(random.up_to(5) <= 5);
            assert!(!random.chance(0.0));
            assert!(random.chance(1.0));
        }
        assert_eq!(random.up_to(0), 0);
    }
}
