//! How a host of IPv6 finds its addresses and its way out by itself (RFC 4861 §6.3, RFC 4862).

use super::Stack;
use super::input::Arrival;
use crate::counters::DropReason;
use crate::link::Heard;
use crate::link::neighbor::Claim;
use crate::net::addresses::{
    AddAddressError, AddressInfo, AddressOrigin, AddressState, Lifetimes, NewAddress,
};
use crate::net::advertisement::{Advertisement, Prefix};
use crate::net::cidr::Cidr;
use crate::net::dns::name::DomainName;
use crate::net::stable;
use crate::random::Secret;
use crate::time::Instant;
use crate::wire::address::{Address, Mac};
use crate::wire::interface::InterfaceId;
use crate::wire::parse::IpPacket;
use core::net::{IpAddr, Ipv6Addr};
use core::time::Duration;

/// The prefixes that addresses are made of have this length: the rest is the host's (RFC 4862
/// §5.5.3 d, RFC 4291 §2.5.1).
const PREFIX_LENGTH: u8 = 64;
/// Addresses that routers' prefixes may make (THREATS N-6).
const MADE_MAX: usize = 10;
/// Addresses that are tried in one network before the host does without (RFC 7217 §6,
/// IDGEN_RETRIES).
const TRIES: u8 = 3;
/// A router cannot shorten a life that is longer, by more than to this (RFC 4862 §5.5.3 e).
const TWO_HOURS: Duration = Duration::from_secs(7200);

/// RFC 8981 §3.8: how long a temporary address is good, preferred less by a part of what follows,
/// and not made at all for less than the last.
const TEMP_VALID_LIFETIME: Duration = Duration::from_secs(2 * 86_400);
const TEMP_PREFERRED_LIFETIME: Duration = Duration::from_secs(86_400);
const MAX_DESYNC_FACTOR: Duration = Duration::from_secs(86_400 * 4 / 10);
const REGEN_ADVANCE: Duration = Duration::from_secs(5);
/// After so many further attempts a network has no temporary address.
const TEMP_IDGEN_RETRIES: u8 = 3;

impl Stack {
    /// Servers of names that routers have told of (RFC 8106).
    pub fn name_servers(&self) -> impl Iterator<Item = IpAddr> + '_ {
        let servers = self.interfaces.iter().flat_map(|interface| interface.routers.servers());
        servers.map(Address::to_ip)
    }

    /// Domains that routers say short names are to be looked for in (RFC 8106).
    pub fn search_domains(&self) -> impl Iterator<Item = &DomainName> {
        self.interfaces.iter().flat_map(|interface| interface.routers.domains())
    }

    /// Whether routers say that addresses, and that other things, are to be had from DHCPv6
    /// (RFC 4861 §4.2, the flags M and O).
    pub fn routers_recommend_dhcp(&self) -> (bool, bool) {
        let all = self.interfaces.iter().map(|interface| interface.routers.dhcp());
        all.fold((false, false), |(managed, other), (m, o)| (managed | m, other | o))
    }

    /// Sorts the addresses of another host: the one to be tried first comes first (RFC 6724 §6).
    pub fn sort_destinations(&self, destinations: &mut [IpAddr]) {
        let mut sorted: Vec<Address> = destinations.iter().map(|ip| Address::from(*ip)).collect();
        self.routes.sort_destinations(&mut sorted);
        for (place, address) in destinations.iter_mut().zip(sorted) {
            *place = address.to_ip();
        }
    }

    /// Once there is an address for the link, routers are asked to speak.
    pub(super) fn begin_asking(&mut self, now: Instant) {
        for id in self.interfaces.ids() {
            let interface = self.interfaces.get_mut(id);
            let routers = &mut interface.routers;
            let first =
                self.routes.link_local(id).is_some() && routers.addresses().next().is_none();
            if interface.autoconfigures && first && !routers.is_asking() {
                routers.begin(now);
            }
        }
    }

    pub(super) fn advance_routers(&mut self, now: Instant, id: InterfaceId) {
        let routers = &mut self.interfaces.get_mut(id).routers;
        if routers.next_timeout().is_none_or(|due| due > now) {
            return;
        }
        if routers.forget(now) {
            self.follow_routes();
        }
        let interface = self.interfaces.get_mut(id);
        if interface.routers.take_question(now) {
            interface.link.ask_routers(self.routes.link_local(id));
        }
    }

    /// After a message of ARP or Neighbor Discovery.
    pub(super) fn after_hearing(
        &mut self,
        now: Instant,
        interface: InterfaceId,
        heard: Heard,
    ) -> Result<(), DropReason> {
        match heard {
            Heard::Used => Ok(()),
            Heard::Answered(neighbor) => {
                if self.interfaces.get_mut(interface).routers.on_answer(neighbor) {
                    self.follow_routes();
                }
                Ok(())
            }
            Heard::Dropped(reason) => Err(reason),
            Heard::Conflict { address, nonce } => {
                if let Some(lost) = self.addresses.on_conflict(interface, address, nonce) {
                    self.counters.addresses_duplicate += 1;
                    self.try_another(now, &lost);
                    self.move_link_local(now, address);
                    self.follow_addresses(now);
                }
                Ok(())
            }
            Heard::Insists(address) => {
                self.move_link_local(now, address);
                Ok(())
            }
        }
    }

    /// An address of the host's own making is another's: it makes the next one (RFC 7217 §6). One
    /// that somebody has given it stays, marked as what it is.
    fn try_another(&mut self, now: Instant, lost: &AddressInfo) {
        let IpAddr::V6(address) = lost.cidr.address else { return };
        let network = network_of(address_of(lost));
        let (secret, mac) = self.maker(lost.interface);
        let made = |tries| stable::address(secret, network, mac, tries);
        let next = match lost.origin {
            AddressOrigin::Slaac | AddressOrigin::LinkLocal => {
                let tries = (0..TRIES).find(|tries| made(*tries) == address);
                tries.map(|tries| made(tries + 1))
            }
            AddressOrigin::Temporary => {
                let place = (lost.interface, network);
                let conflicts = self.temporary_conflicts.entry(place).or_default();
                *conflicts = conflicts.saturating_add(1);
                if !self.may_have_temporary(place) {
                    let _: Result<(), _> = self.addresses.remove(address_of(lost));
                    return;
                }
                Some(self.random_address(lost.interface, network))
            }
            AddressOrigin::Configured | AddressOrigin::Dhcp => None,
        };
        let Some(next) = next else { return };
        let left = |until: Option<Instant>| until.map_or(Duration::MAX, |until| until - now);
        let lifetimes =
            Lifetimes { preferred: left(lost.preferred_until), valid: left(lost.valid_until) };
        let _: Result<(), _> = self.addresses.remove(address_of(lost));
        self.make_address(now, lost.interface, next, (lost.origin, lifetimes));
    }

    /// RFC 8981 §3.4: where one attempt after another failed there is none, for as long as the host
    /// is on this link.
    fn may_have_temporary(&self, place: (InterfaceId, u64)) -> bool {
        self.temporary_conflicts.get(&place).is_none_or(|failed| *failed <= TEMP_IDGEN_RETRIES)
    }

    /// What an interface makes its addresses of.
    fn maker(&self, interface: InterfaceId) -> (Secret, Mac) {
        (self.stable_secret(interface), self.interfaces.get(interface).link.mac)
    }

    fn random_address(&mut self, interface: InterfaceId, network: u64) -> Ipv6Addr {
        let (secret, mac) = self.maker(interface);
        // The dice are secret, so that nobody can link two of them (RFC 8981 §3.3.1).
        stable::address(secret.numbered(self.random.next_u64()), network, mac, 0)
    }

    fn make_address(
        &mut self,
        now: Instant,
        interface: InterfaceId,
        address: Ipv6Addr,
        (origin, lifetimes): (AddressOrigin, Lifetimes),
    ) {
        let cidr = Cidr::new(address.into(), PREFIX_LENGTH);
        let probes = self.config.duplicate_probes;
        let new = NewAddress { cidr, origin, lifetimes, probes, interface };
        // One that is refused is counted.
        let _: Result<(), AddAddressError> = self.addresses.add(now, new);
        self.counters.addresses_refused = self.addresses.refused();
    }

    /// RFC 4861 §6.3.4.
    pub(super) fn on_router_advertisement(
        &mut self,
        arrival: Arrival,
        packet: &IpPacket<'_>,
    ) -> Result<(), DropReason> {
        let (now, id) = (arrival.now, arrival.interface);
        if !self.interfaces.get(id).autoconfigures {
            return Err(DropReason::NdpIgnored);
        }
        let said = Advertisement::parse(packet).ok_or(DropReason::NdpMalformed)?;
        let changed = self.interfaces.get_mut(id).routers.hear(now, &said);
        let refused = self.interfaces.iter().map(|interface| interface.routers.refused());
        self.counters.routers_refused = refused.sum();
        if changed {
            self.follow_routes();
        }
        let interface = self.interfaces.get_mut(id);
        if let Some(mac) = said.mac {
            let _ = interface.link.neighbors.learn(now, said.router, mac, Claim::Request);
        }
        if let Some(time) = said.reachable {
            interface.link.neighbors.set_reachable_time(time);
        }
        if let Some(mtu) = interface.routers.mtu() {
            self.tcp.links.limit_v6(id, mtu as usize);
        }
        let before = self.addresses.changes();
        for prefix in said.prefixes.iter().filter(|prefix| prefix.autonomous) {
            self.on_prefix(now, id, prefix);
        }
        self.keep_temporary_addresses(now);
        if self.addresses.changes() != before {
            self.follow_addresses(now);
        }
        Ok(())
    }

    /// RFC 4862 §5.5.3: addresses of this prefix are made, or last longer.
    fn on_prefix(&mut self, now: Instant, interface: InterfaceId, prefix: &Prefix) {
        if prefix.length != PREFIX_LENGTH || prefix.preferred > prefix.valid {
            return;
        }
        let network = Cidr::new(prefix.address.to_ip(), prefix.length);
        let made =
            |info: &AddressInfo| !info.says_what_is_on_the_link() && info.interface == interface;
        let all: Vec<AddressInfo> = self.addresses.iter().filter(made).collect();
        let there = all.iter().filter(|info| network.contains(info.cidr.address));
        for info in there.clone() {
            let lifetimes = two_hour_rule(now, info, prefix);
            self.addresses.renew(now, address_of(info), lifetimes);
        }
        let has_one = there.clone().any(|info| info.origin == AddressOrigin::Slaac);
        if has_one || prefix.valid.is_zero() {
            return;
        }
        if all.iter().filter(|info| info.origin == AddressOrigin::Slaac).count() >= MADE_MAX {
            self.counters.addresses_refused += 1;
            return;
        }
        let id = network_of(prefix.address);
        let (secret, mac) = self.maker(interface);
        let address = stable::address(secret, id, mac, 0);
        let lifetimes = Lifetimes { preferred: prefix.preferred, valid: prefix.valid };
        self.make_address(now, interface, address, (AddressOrigin::Slaac, lifetimes));
    }

    /// Conflicts count where they follow each other, and where there is a router's prefix.
    fn forget_temporary_conflicts(&mut self, all: &[AddressInfo]) {
        let is = |origin| move |info: &&AddressInfo| info.origin == origin;
        self.temporary_conflicts.retain(|failed, _| {
            let mut here = all.iter().filter(|info| place(info) == *failed);
            let has_prefix = here.clone().any(|info| is(AddressOrigin::Slaac)(&info));
            let mut temporary = here.by_ref().filter(is(AddressOrigin::Temporary));
            has_prefix && temporary.all(|info| info.state != AddressState::Preferred)
        });
    }

    /// Beside each address of a router's prefix one that soon makes place for another (RFC 8981
    /// §3.4, §3.5). Where that one ends the next is begun; what it is used for it keeps.
    pub(super) fn keep_temporary_addresses(&mut self, now: Instant) {
        let wanted = |info: &AddressInfo| self.interfaces.get(info.interface).temporary_addresses;
        let all: Vec<AddressInfo> = self.addresses.iter().filter(wanted).collect();
        let is_temporary = |info: &&AddressInfo| {
            info.origin == AddressOrigin::Temporary && info.state != AddressState::Deprecated
        };
        let temporary: Vec<_> = all.iter().filter(is_temporary).map(place).collect();
        self.forget_temporary_conflicts(&all);
        for info in all.iter().filter(|info| info.origin == AddressOrigin::Slaac) {
            let (interface, network) = place(info);
            let left = |until: Option<Instant>| until.map_or(Duration::MAX, |until| until - now);
            let shift = self.random.part_of(MAX_DESYNC_FACTOR);
            let preferred = left(info.preferred_until).min(TEMP_PREFERRED_LIFETIME - shift);
            let usable = info.state == AddressState::Preferred && preferred > REGEN_ADVANCE;
            let has_one = temporary.contains(&(interface, network));
            if usable && !has_one && self.may_have_temporary((interface, network)) {
                let valid = left(info.valid_until).min(TEMP_VALID_LIFETIME);
                let address = self.random_address(interface, network);
                let made = (AddressOrigin::Temporary, Lifetimes { preferred, valid });
                self.make_address(now, interface, address, made);
            }
        }
    }
}

/// The place of an address: its link, and its network of 64 bits.
fn place(info: &AddressInfo) -> (InterfaceId, u64) {
    (info.interface, network_of(address_of(info)))
}

/// The network of 64 bits that an address of IPv6 is in.
fn network_of(address: Address) -> u64 {
    (u128::from_be_bytes(*address.octets()) >> 64) as u64
}

fn address_of(info: &AddressInfo) -> Address {
    info.cidr.address.into()
}

/// What the router says, but a stranger who speaks for it cannot end an address at once: it is
/// good for two hours still, or for what it had left (RFC 4862 §5.5.3 e).
fn two_hour_rule(now: Instant, info: &AddressInfo, prefix: &Prefix) -> Lifetimes {
    let left = info.valid_until.map_or(Duration::MAX, |until| until - now);
    let valid = match prefix.valid {
        valid if valid > TWO_HOURS || valid > left => valid,
        _ if left <= TWO_HOURS => left,
        _ => TWO_HOURS,
    };
    Lifetimes { preferred: prefix.preferred.min(valid), valid }
}
