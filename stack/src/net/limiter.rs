//! How often errors and RSTs may be sent: to one target, and in all (RFC 1812 §4.3.2.8,
//! THREATS R-15).
//!
//! A limit over all targets can be seen by each of them, and tells one what is sent to others
//! (SAD DNS, CVE-2020-25705). So the price of a token in the common bucket is a throw of dice
//! how many are left says little about how many were sent.

use crate::random::{Random, Secret, Seed};
use crate::time::Instant;
use crate::wire::address::Address;
use core::time::Duration;

/// Targets that share a place in the table; the one that was quiet longest makes room.
const WAYS: usize = 4;
/// They are all made with the first message.
const TARGETS_MAX: usize = 65_536;

/// How often something is said to hosts that have not proved who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimits {
    /// One message to a target in this time, on average.
    pub target_interval: Duration,
    /// Messages to a target at once, after silence.
    pub target_burst: u32,
    /// Targets remembered, 65,536 at the most. At the limit one that was quiet is forgotten, and
    /// the common limit holds what follows.
    pub targets: usize,
    /// One message to anybody in this time, on average.
    pub global_interval: Duration,
    /// Messages to anybody at once, after silence, on average.
    pub global_burst: u32,
}

impl RateLimits {
    /// For ICMP errors, as Linux: to a target six at once and one each second, to all fifty at
    /// once and a thousand each second.
    pub const fn icmp() -> RateLimits {
        RateLimits {
            target_interval: Duration::from_secs(1),
            target_burst: 6,
            targets: 4_096,
            global_interval: Duration::from_millis(1),
            global_burst: 50,
        }
    }

    /// For RSTs to segments of no connection: a host that looks for a service, or comes back to
    /// one that has restarted, gets its answers; a flood gets a thousand each second
    /// (THREATS R-15).
    pub const fn resets() -> RateLimits {
        RateLimits {
            target_interval: Duration::from_millis(5),
            target_burst: 100,
            targets: 4_096,
            global_interval: Duration::from_millis(1),
            global_burst: 500,
        }
    }
}

/// A token bucket as one number: when it will be full (the generic cell rate algorithm).
#[derive(Clone, Copy, Default)]
struct Bucket {
    full: Instant,
}

impl Bucket {
    /// Takes a token, if there is one, of a bucket in which `interval` makes a token and `burst`
    /// fit. It costs `price`, which may be more than the token: then the bucket is in debt.
    fn take(&mut self, now: Instant, interval: Duration, burst: u32, price: Duration) -> bool {
        let full = self.full.max(now);
        let fits = full + interval - now <= interval.saturating_mul(burst);
        if fits {
            self.full = full + price;
        }
        fits
    }
}

/// Decides for each message whether it may be sent.
#[derive(Clone)]
pub(crate) struct RateLimiter {
    limits: RateLimits,
    secret: Secret,
    dice: Random,
    global: Bucket,
    /// Sets of `WAYS`; made with the first message.
    targets: Vec<Option<(Address, Bucket)>>,
    refused: u64,
}

impl RateLimiter {
    /// `purpose` tells its secrets from those of others.
    pub(crate) fn new(limits: RateLimits, seed: &Seed, purpose: &str) -> RateLimiter {
        RateLimiter {
            limits,
            secret: Secret::derive(seed, purpose),
            dice: Random::from_secret(Secret::derive(seed, &format!("{purpose} dice"))),
            global: Bucket::default(),
            targets: Vec::new(),
            refused: 0,
        }
    }

    /// Messages that were not allowed so far.
    #[cfg(test)]
    pub(crate) fn refused(&self) -> u64 {
        self.refused
    }

    /// May a message go to `target` now? If so it is counted as sent.
    pub(crate) fn allow(&mut self, now: Instant, target: Address) -> bool {
        let limits = self.limits;
        // 0, 1 or 2 tokens, one on average.
        let price = limits.global_interval.saturating_mul(self.dice.below(3));
        let (mut bucket, kept) = self.target(target);
        let interval = limits.target_interval;
        let allowed = bucket.take(now, interval, limits.target_burst, interval)
            && self.global.take(now, limits.global_interval, limits.global_burst, price);
        match self.targets.get_mut(kept) {
            Some(place) if allowed => *place = Some((target, bucket)),
            _ => {}
        }
        self.refused += u64::from(!allowed);
        allowed
    }

    /// The target's bucket, a full one if it has none, and the place to keep it.
    fn target(&mut self, target: Address) -> (Bucket, usize) {
        let sets = (self.limits.targets.min(TARGETS_MAX) / WAYS).max(1);
        if self.targets.is_empty() {
            self.targets.resize(sets * WAYS, None);
        }
        let first = (self.secret.table_hash(target.octets()) % sets as u64) as usize * WAYS;
        let set = self.targets.get(first..first + WAYS).unwrap_or_default();
        let found = set.iter().enumerate().find_map(|(at, kept)| match kept {
            Some((address, bucket)) if *address == target => Some((*bucket, at)),
            _ => None,
        });
        let quiet = || {
            let since = |kept: &Option<(Address, Bucket)>| kept.map(|(_, bucket)| bucket.full);
            let place = set.iter().enumerate().min_by_key(|(_, kept)| since(kept));
            (Bucket::default(), place.map_or(0, |(at, _)| at))
        };
        let (bucket, at) = found.unwrap_or_else(quiet);
        (bucket, first + at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limiter(seed: u64) -> RateLimiter {
        RateLimiter::new(RateLimits::icmp(), &Seed::from_number(seed), "l")
    }

    fn target(n: u32) -> Address {
        let [a, b, c, d] = (0x0a00_0000 + n).to_be_bytes();
        Address::v4([a, b, c, d])
    }

    #[test]
    fn r15_one_target_gets_six_and_then_one_a_second() {
        let mut limiter = limiter(1);
        let mut sent = vec![];
        for millis in 1_000..6_500 {
            if limiter.allow(Instant::from_millis(millis), target(1)) {
                sent.push(millis);
            }
        }
        let burst = (1_000..1_006).filter(|m| sent.contains(m)).count();
        assert_eq!((burst, sent.len()), (6, 11));
        assert_eq!(limiter.refused(), 5_500 - 11);
    }

    #[test]
    fn r15_a_million_targets_get_a_thousand_a_second() {
        let mut limiter = limiter(1);
        let mut sent = 0;
        for n in 0..1_000_000 {
            let now = Instant::from_micros(u64::from(n));
            sent += u32::from(limiter.allow(now, target(n)));
        }
        // One second's worth and the first burst, and what the dice make of it.
        assert!((950..=1_150).contains(&sent), "{sent}");
    }

    #[test]
    fn r15_others_are_served_beside_a_noisy_target() {
        let mut limiter = limiter(2);
        for millis in 0..10_000 {
            limiter.allow(Instant::from_millis(millis), target(1));
            if millis % 100 == 0 {
                let other = target(2 + millis as u32);
                assert!(limiter.allow(Instant::from_millis(millis), other));
            }
        }
    }

    #[test]
    fn memory_is_bounded_and_forgetting_frees_only_the_quiet() {
        let mut limiter = limiter(3);
        for n in 0..100_000 {
            limiter.allow(Instant::from_secs(u64::from(n)), target(n));
        }
        assert_eq!(limiter.targets.len(), 4_096);
    }

    #[test]
    fn x6_what_is_left_does_not_tell_what_was_sent() {
        let mut seen = std::collections::BTreeSet::new();
        for seed in 0..50 {
            let mut limiter = limiter(seed);
            let now = Instant::from_secs(9);
            seen.insert((0..100).filter(|n| limiter.allow(now, target(*n))).count());
        }
        assert!(seen.len() > 5, "the burst is always one of {seen:?}");
    }
}
