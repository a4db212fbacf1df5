//! The Internet checksum (RFC 1071), over as many pieces as a packet has.

/// A running one's-complement sum. Pieces may have odd lengths.
#[derive(Clone, Copy, Default)]
pub(crate) struct Checksum {
    /// Sum of native-endian words of 32 bits with its carries, which folds to the one's-complement
    /// sum of words of 16 bits. RFC 1071 §2(B): byte order does not matter until the end.
    sum: u64,
    odd: bool,
}

impl Checksum {
    pub(crate) const fn new() -> Checksum {
        Checksum { sum: 0, odd: false }
    }

    /// The pseudo header of RFC 9293 §3.1 for IPv4 and RFC 8200 §8.1 for IPv6.
    pub(crate) fn pseudo_header(
        source: super::address::Address,
        destination: super::address::Address,
        protocol: u8,
        length: usize,
    ) -> Checksum {
        // Both versions' layouts sum to the same: the length and the protocol, zeros elsewhere.
        let length = u32::from_ne_bytes((length as u32).to_be_bytes());
        let rest = u64::from(length) + u64::from(u16::from_ne_bytes([0, protocol]));
        let mut sum = Checksum { sum: rest, odd: false };
        if let (Some(source), Some(destination)) = (source.as_v4(), destination.as_v4()) {
            sum.sum += u64::from(u32::from_ne_bytes(source));
            sum.sum += u64::from(u32::from_ne_bytes(destination));
        } else {
            sum.add(source.octets());
            sum.add(destination.octets());
        }
        sum
    }

    /// Adds the next bytes of the packet.
    pub(crate) fn add(&mut self, bytes: &[u8]) {
        let mut bytes = bytes;
        if self.odd
            && let Some((&first, rest)) = bytes.split_first()
        {
            self.sum += u64::from(u16::from_ne_bytes([0, first]));
            self.odd = false;
            bytes = rest;
        }
        let (words, rest) = bytes.as_chunks::<4>();
        // A packet has too few words to overflow. Adds that cannot panic become vector adds.
        let add = |sum: u64, word: &[u8; 4]| sum.wrapping_add(u32::from_ne_bytes(*word).into());
        self.sum = words.iter().fold(self.sum, add);
        let (words, rest) = rest.as_chunks::<2>();
        for word in words {
            self.sum += u64::from(u16::from_ne_bytes(*word));
        }
        if let [last] = rest {
            // The high half of a word whose low half the next piece brings, or nobody.
            self.sum += u64::from(u16::from_ne_bytes([*last, 0]));
            self.odd = true;
        }
    }

    /// The sum folded to 16 bits, still in native byte order and not complemented.
    fn folded(self) -> u16 {
        let mut sum = self.sum;
        while sum >> 16 != 0 {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        sum as u16
    }

    /// The two bytes to store in the checksum field.
    pub(crate) fn finish(self) -> [u8; 2] {
        (!self.folded()).to_ne_bytes()
    }

    /// The sum as it stands, to be stored where somebody else will go on summing.
    pub(crate) fn unfinished(self) -> [u8; 2] {
        self.folded().to_ne_bytes()
    }

    /// True for a packet whose checksum field was included in the sum and is right.
    pub(crate) fn is_valid(self) -> bool {
        self.folded() == 0xffff
    }
}

/// The checksum field for `bytes`, whose own field must be zero.
pub(crate) fn checksum(bytes: &[u8]) -> [u8; 2] {
    let mut sum = Checksum::new();
    sum.add(bytes);
    sum.finish()
}

/// True when `bytes`, checksum field included, sum to all ones.
pub(crate) fn is_valid(bytes: &[u8]) -> bool {
    let mut sum = Checksum::new();
    sum.add(bytes);
    sum.is_valid()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 1071 §3, literally.
    fn naive(bytes: &[u8]) -> [u8; 2] {
        let mut sum = 0u32;
        for pair in bytes.chunks(2) {
            sum += u32::from(u16::from_be_bytes([pair[0], *pair.get(1).unwrap_or(&0)]));
        }
        while sum >> 16 != 0 {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        (!(sum as u16)).to_be_bytes()
    }

    #[test]
    fn the_rfc_s_example() {
        let bytes = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
        assert_eq!(checksum(&bytes), (!0xddf2u16).to_be_bytes());
    }

    proptest::proptest! {
        #[test]
        fn equals_the_naive_twin_however_it_is_cut(
            bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200),
            cuts in proptest::collection::vec(0usize..200, 0..4),
        ) {
            let mut cuts: Vec<usize> = cuts.into_iter().map(|c| c.min(bytes.len())).collect();
            cuts.sort_unstable();
            let (mut sum, mut at) = (Checksum::new(), 0);
            for cut in cuts.into_iter().chain([bytes.len()]) {
                sum.add(&bytes[at..cut]);
                at = cut;
            }
            proptest::prop_assert_eq!(sum.finish(), naive(&bytes));
        }
    }
}
