//! Chance as the engine sees it: one seed, from which every secret and every draw comes.

use core::hash::Hasher;
use core::time::Duration;
use siphasher::sip::{SipHasher13, SipHasher24};

/// The root of all chance in a [`Stack`](crate::Stack): 32 bytes of entropy in production, any
/// number in a test, where the same seed replays the same run.
#[derive(Clone)]
pub struct Seed([u8; 32]);

impl Seed {
    /// A seed from 32 bytes of the operating system's entropy.
    pub const fn from_bytes(bytes: [u8; 32]) -> Seed {
        Seed(bytes)
    }

    /// A seed for tests and simulations. Predictable: never for a stack that faces a network.
    pub const fn from_number(number: u64) -> Seed {
        let mut bytes = [0; 32];
        let number = number.to_le_bytes();
        let mut i = 0;
        while i < 8 {
            bytes[i] = number[i];
            i += 1;
        }
        Seed(bytes)
    }
}

/// A 128-bit secret for one purpose. Two purposes never share one, so that what one of them
/// reveals says nothing about another.
#[derive(Clone, Copy)]
pub(crate) struct Secret(u64, u64);

impl Secret {
    /// The secret for `purpose` under `seed`.
    pub(crate) fn derive(seed: &Seed, purpose: &str) -> Secret {
        let half = |lane: u8| {
            let (a, b) = seed.0.split_at(16);
            let word = |s: &[u8], at: usize| {
                s[at..at + 8].iter().rev().fold(0u64, |w, &byte| w << 8 | u64::from(byte))
            };
            let mut outer = SipHasher24::new_with_keys(word(a, 0), word(a, 8));
            outer.write_u8(lane);
            outer.write(purpose.as_bytes());
            outer.write(b);
            outer.finish()
        };
        Secret(half(0), half(1))
    }

    /// A secret that somebody else has chosen.
    pub(crate) fn from_bytes(bytes: [u8; 16]) -> Secret {
        let number = u128::from_le_bytes(bytes);
        Secret(number as u64, (number >> 64) as u64)
    }

    /// The bytes of this secret, for whoever shares it.
    pub(crate) fn to_bytes(self) -> [u8; 16] {
        (u128::from(self.0) | u128::from(self.1) << 64).to_le_bytes()
    }

    /// The secret number `number` of a series.
    pub(crate) fn numbered(self, number: u64) -> Secret {
        let half =
            |lane: u64| self.hash(&(u128::from(number) << 64 | u128::from(lane)).to_le_bytes());
        Secret(half(0), half(1))
    }

    /// SipHash-2-4 of `bytes`: for what an attacker sees (ISNs, ports, timestamp offsets).
    pub(crate) fn hash(self, bytes: &[u8]) -> u64 {
        let mut hasher = SipHasher24::new_with_keys(self.0, self.1);
        hasher.write(bytes);
        hasher.finish()
    }

    /// SipHash-1-3 of `bytes`: for tables, where only collisions must be unpredictable.
    pub(crate) fn table_hash(self, bytes: &[u8]) -> u64 {
        SipHasher13::new_with_keys(self.0, self.1).hash(bytes)
    }
}

/// The stack's dice: SipHash-2-4 in counter mode, unpredictable without the seed.
#[derive(Clone)]
pub(crate) struct Random {
    secret: Secret,
    drawn: u64,
}

impl Random {
    pub(crate) fn new(seed: &Seed) -> Random {
        Random::from_secret(Secret::derive(seed, "dice"))
    }

    /// Dice of their own for one purpose.
    pub(crate) fn from_secret(secret: Secret) -> Random {
        Random { secret, drawn: 0 }
    }

    pub(crate) fn next_u64(&mut self) -> u64 {
        self.drawn = self.drawn.wrapping_add(1);
        self.secret.hash(&self.drawn.to_le_bytes())
    }

    pub(crate) fn next_u32(&mut self) -> u32 {
        (self.next_u64() >> 32) as u32
    }

    /// Some part of `span`, each as likely.
    pub(crate) fn part_of(&mut self, span: Duration) -> Duration {
        span * (self.next_u32() >> 12) / (1 << 20)
    }

    /// A number below `bound` (which must not be 0), without a bias that could be measured.
    pub(crate) fn below(&mut self, bound: u32) -> u32 {
        ((u64::from(self.next_u32()) * u64::from(bound.max(1))) >> 32) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn purposes_do_not_share_secrets() {
        let seed = Seed::from_number(7);
        let (isn, ports) = (Secret::derive(&seed, "isn"), Secret::derive(&seed, "ports"));
        assert_ne!(isn.hash(b"x"), ports.hash(b"x"));
        assert_eq!(isn.hash(b"x"), Secret::derive(&seed, "isn").hash(b"x"));
    }

    #[test]
    fn every_byte_of_the_seed_matters() {
        let base = Secret::derive(&Seed::from_bytes([0; 32]), "isn").hash(b"x");
        for i in 0..32 {
            let mut bytes = [0; 32];
            bytes[i] = 1;
            assert_ne!(
                base,
                Secret::derive(&Seed::from_bytes(bytes), "isn").hash(b"x"),
                "byte {i}"
            );
        }
    }

    #[test]
    fn below_stays_below_and_reaches_all() {
        let mut random = Random::new(&Seed::from_number(1));
        let mut seen = [false; 10];
        for _ in 0..1000 {
            seen[random.below(10) as usize] = true;
        }
        assert!(seen.iter().all(|&s| s));
    }
}
