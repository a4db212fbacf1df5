//! An address of IPv4 that the host gives itself, where nobody else gives it one (RFC 3927).

use super::Stack;
use crate::net::addresses::{AddressOrigin, Lifetimes, NewAddress};
use crate::time::Instant;
use crate::wire::address::Address;
use core::time::Duration;

/// RFC 3927 §9: PROBE_NUM.
const PROBES: u8 = 3;

/// For how long the address serves what uses it, once the host has a better one (§1.9).
const FAREWELL: Duration = Duration::from_secs(300);

impl Stack {
    /// The host is to give itself an address of 169.254/16, one that nobody else on the link has
    /// (RFC 3927): it becomes preferred some seconds later, and another takes its place should
    /// somebody else insist on it.
    pub fn begin_link_local_v4(&mut self, now: Instant) {
        self.link_local.begin(now);
        self.advance_link_local(now);
    }

    /// The host has a better address: the one of 169.254/16 is for nothing new, and goes after five
    /// minutes (RFC 3927 §1.9).
    pub fn end_link_local_v4(&mut self, now: Instant) {
        self.link_local.end();
        if let Some(own) = self.own_link_local_v4() {
            let lifetimes = Lifetimes { preferred: Duration::ZERO, valid: FAREWELL };
            self.addresses.renew(now, own, lifetimes);
            self.follow_addresses(now);
        }
    }

    fn own_link_local_v4(&self) -> Option<Address> {
        let made = self.addresses.iter().filter(|info| info.origin == AddressOrigin::LinkLocal);
        made.map(|info| Address::from(info.cidr.address)).find(|own| own.is_link_local_v4())
    }

    pub(super) fn advance_link_local(&mut self, now: Instant) {
        let Some(cidr) = self.link_local.take(now) else { return };
        let origin = AddressOrigin::LinkLocal;
        let new = NewAddress { origin, probes: PROBES, ..NewAddress::configured(cidr) };
        // One that is refused is counted.
        let _ = self.addresses.add(now, new);
        self.counters.addresses_refused = self.addresses.refused();
        self.follow_addresses(now);
    }

    /// Another host has, or wants, `address`: it is given up if it is one of these, and the next is
    /// tried (§2.2.1, §2.5 b).
    pub(super) fn move_link_local(&mut self, now: Instant, address: Address) {
        if self.own_link_local_v4() == Some(address) && self.addresses.remove(address).is_ok() {
            self.link_local.on_conflict(now);
            self.follow_addresses(now);
            self.advance_link_local(now);
        }
    }
}
