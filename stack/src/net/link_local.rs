//! An address of IPv4 for the link alone, of the host's own choice (RFC 3927): which one is tried
//! next, and when. An organ: how an address is asked for and defended stands in `addresses`.

use super::cidr::Cidr;
use crate::random::Secret;
use crate::time::Instant;
use crate::wire::address::Mac;
use core::net::{IpAddr, Ipv4Addr};
use core::time::Duration;

/// 169.254.0.0/16, without its first and its last 256 addresses (§2.1).
const FIRST: u32 = 0xa9fe_0100;
const COUNT: u32 = 254 * 256;
const PREFIX: u8 = 16;

/// §9: after so many conflicts another address is tried only once in so long.
const MAX_CONFLICTS: u32 = 10;
const RATE_LIMIT_INTERVAL: Duration = Duration::from_secs(60);

/// The host's choice on one link.
#[derive(Clone)]
pub(crate) struct LinkLocal {
    secret: Secret,
    mac: Mac,
    /// Somebody wants an address.
    wanted: bool,
    /// Addresses that others were found to have.
    conflicts: u32,
    /// When the next is tried.
    due: Instant,
}

impl LinkLocal {
    /// None is wanted yet. The host's `mac` decides alone, that its address is the same after every
    /// start (§2.1).
    pub(crate) fn new(mac: Mac) -> LinkLocal {
        let secret = Secret::from_bytes(*b"RFC 3927 169.254");
        LinkLocal { secret, mac, wanted: false, conflicts: 0, due: Instant::FAR_FUTURE }
    }

    /// An address is wanted from now on.
    pub(crate) fn begin(&mut self, now: Instant) {
        if !self.wanted {
            (self.wanted, self.due) = (true, now);
        }
    }

    /// None is wanted any more.
    pub(crate) fn end(&mut self) {
        (self.wanted, self.due) = (false, Instant::FAR_FUTURE);
    }

    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        Some(self.due).filter(|due| !due.is_never())
    }

    /// The address to be tried, when it is time: the same after every start, unless others have it,
    /// and unlike that of others (§2.1).
    pub(crate) fn take(&mut self, now: Instant) -> Option<Cidr> {
        if now < self.due {
            return None;
        }
        self.due = Instant::FAR_FUTURE;
        let drawn = self.secret.numbered(self.conflicts.into()).hash(&self.mac.0);
        let address = Ipv4Addr::from(FIRST + (drawn % u64::from(COUNT)) as u32);
        Some(Cidr::new(IpAddr::V4(address), PREFIX))
    }

    /// Another host has the address (§2.2.1, §2.5).
    pub(crate) fn on_conflict(&mut self, now: Instant) {
        if !self.wanted {
            return;
        }
        self.conflicts = self.conflicts.saturating_add(1);
        let slow = self.conflicts >= MAX_CONFLICTS;
        self.due = if slow { now + RATE_LIMIT_INTERVAL } else { now };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn of(last: u8) -> LinkLocal {
        LinkLocal::new(Mac([2, 0, 0, 0, 0, last]))
    }

    #[test]
    fn rfc3927_2_1_an_address_at_random_and_the_same_again() {
        let mut seen = BTreeSet::new();
        for last in 0..=255 {
            let mut choice = of(last);
            assert_eq!(choice.take(Instant::ZERO), None, "nobody has asked");
            choice.begin(Instant::ZERO);
            let cidr = choice.take(Instant::ZERO).unwrap();
            let IpAddr::V4(address) = cidr.address else { panic!("IPv4") };
            let [169, 254, third, _] = address.octets() else { panic!("{address}") };
            assert!((1..=254).contains(&third) && cidr.length() == 16, "{cidr}");
            let mut again = of(last);
            again.begin(Instant::ZERO);
            assert_eq!(again.take(Instant::ZERO), Some(cidr));
            seen.insert(address);
        }
        assert!(seen.len() > 250);
    }

    #[test]
    fn rfc3927_2_2_1_many_conflicts_are_answered_slowly() {
        let mut choice = of(1);
        choice.begin(Instant::ZERO);
        let (mut now, mut tried) = (Instant::ZERO, BTreeSet::new());
        for n in 0..30 {
            let due = choice.next_timeout().unwrap();
            let pause = if n < 10 { Duration::ZERO } else { RATE_LIMIT_INTERVAL };
            assert_eq!(due - now, pause, "conflict {n}");
            now = due;
            tried.insert(choice.take(now).unwrap().to_string());
            assert_eq!((choice.take(now), choice.next_timeout()), (None, None));
            choice.on_conflict(now);
        }
        assert_eq!(tried.len(), 30);
        choice.end();
        choice.on_conflict(now);
        assert_eq!(choice.next_timeout(), None);
    }
}
