//! A stream of bytes that shows every mistake: no part of it looks like another.

use std::io::{self, Read, Write};

/// How much is made or compared at once, bytes: a multiple of 8.
const BLOCK: usize = 64 * 1024;

/// The stream of one seed, from its beginning.
#[derive(Clone, Debug)]
pub struct Pattern {
    seed: u64,
    position: u64,
}

impl Pattern {
    /// The stream of `seed`.
    pub fn new(seed: u64) -> Pattern {
        Pattern { seed: mix(seed), position: 0 }
    }

    /// Fills `out` with what comes next.
    pub fn fill(&mut self, out: &mut [u8]) {
        // Up to a whole word, whole words, and the beginning of one.
        let odd = out.len().min((self.position.wrapping_neg() % 8) as usize);
        let (odd, rest) = out.split_at_mut(odd);
        self.fill_within_a_word(odd);
        let mut words = rest.chunks_exact_mut(8);
        for word in words.by_ref() {
            word.copy_from_slice(&self.word(self.position / 8));
            self.position += 8;
        }
        self.fill_within_a_word(words.into_remainder());
    }

    fn fill_within_a_word(&mut self, out: &mut [u8]) {
        let from = (self.position % 8) as usize;
        out.copy_from_slice(&self.word(self.position / 8)[from..from + out.len()]);
        self.position += out.len() as u64;
    }

    /// Compares `bytes` with what comes next.
    ///
    /// # Errors
    /// The position of the first byte that differs.
    pub fn check(&mut self, bytes: &[u8]) -> Result<(), u64> {
        let mut expected = [0; BLOCK];
        for block in bytes.chunks(BLOCK) {
            let start = self.position;
            let expected = &mut expected[..block.len()];
            self.fill(expected);
            if expected != block {
                let same = expected.iter().zip(block).take_while(|(a, b)| a == b).count();
                return Err(start + same as u64);
            }
        }
        Ok(())
    }

    fn word(&self, index: u64) -> [u8; 8] {
        mix(self.seed ^ index).to_le_bytes()
    }
}

/// The mixing function of SplitMix64: one-to-one, so no two words of a stream are the same.
fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Writes the first `count` bytes of a stream.
///
/// # Errors
/// Those of `out`.
pub fn make(seed: u64, count: u64, out: &mut impl Write) -> io::Result<()> {
    let mut pattern = Pattern::new(seed);
    let mut block = vec![0; BLOCK];
    let mut left = count;
    while left > 0 {
        let now = usize::try_from(left).map_or(BLOCK, |left| left.min(BLOCK));
        pattern.fill(&mut block[..now]);
        out.write_all(&block[..now])?;
        left -= now as u64;
    }
    out.flush()
}

/// Reads `input` to its end: it must be exactly the first `count` bytes of a stream.
///
/// # Errors
/// Where it differs, or how long it is instead.
pub fn check(seed: u64, count: u64, input: &mut impl Read) -> Result<(), String> {
    let mut pattern = Pattern::new(seed);
    let mut block = vec![0; 4 * BLOCK];
    let mut total = 0;
    loop {
        let now = input.read(&mut block).map_err(|error| format!("after {total}: {error}"))?;
        if now == 0 {
            break;
        }
        pattern.check(&block[..now]).map_err(|at| format!("byte {at} is another"))?;
        total += now as u64;
    }
    if total == count { Ok(()) } else { Err(format!("{total} bytes instead of {count}")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_does_not_depend_on_its_portions() {
        let mut whole = vec![0; 1000];
        Pattern::new(1).fill(&mut whole);
        let (mut portions, mut parts) = (vec![0; 1000], Pattern::new(1));
        for portion in portions.chunks_mut(7) {
            parts.fill(portion);
        }
        assert_eq!(whole, portions);
    }

    #[test]
    fn every_mistake_is_found() {
        let mut bytes = Vec::new();
        make(7, 100_000, &mut bytes).unwrap();
        assert_eq!(check(7, 100_000, &mut &bytes[..]), Ok(()));
        assert!(check(8, 100_000, &mut &bytes[..]).is_err());
        assert!(check(7, 99_999, &mut &bytes[..]).is_err());
        assert!(check(7, 100_000, &mut &bytes[1..]).is_err());
        bytes.swap(70_000, 70_008);
        assert_eq!(check(7, 100_000, &mut &bytes[..]), Err("byte 70000 is another".into()));
    }
}
