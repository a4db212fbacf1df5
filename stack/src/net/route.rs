//! Where a packet goes next, and from which of our addresses: longest prefix match.
//!
//! Both IP versions live in one table of 128-bit prefixes, IPv4 under its mapped prefix
//! (RFC 4291 §2.5.5.2), so that nothing here is written twice.

use super::addresses::{AddressInfo, AddressState};
use super::cidr::Cidr;
use super::selection::{self, Candidate};
use crate::wire::address::Address;
use core::fmt;
use core::net::IpAddr;

/// A route: packets for `destination` go to `gateway`, or straight to their destination if None.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// The network that the route leads to.
    pub destination: Cidr,
    /// A router on the link; None: the network itself is on the link.
    pub gateway: Option<IpAddr>,
}

impl Route {
    /// The way to everywhere of `gateway`'s IP version.
    pub fn default_via(gateway: IpAddr) -> Route {
        let any = if is_v4(gateway) { IpAddr::from([0u8; 4]) } else { [0u8; 16].into() };
        Route { destination: Cidr::new(any, 0), gateway: Some(gateway) }
    }

    /// A router forwards packets of its own IP version.
    pub(crate) fn is_of_one_version(&self) -> bool {
        self.gateway.is_none_or(|gateway| is_v4(gateway) == is_v4(self.destination.address))
    }
}

/// A route was not added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AddRouteError {
    /// It is there already.
    Exists,
    /// Network and gateway are of different IP versions.
    Versions,
    /// The limit `Config::routes_max` is reached.
    TooManyRoutes,
}

impl fmt::Display for AddRouteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            AddRouteError::Exists => "there is such a route already",
            AddRouteError::Versions => "the gateway is of another IP version than the network",
            AddRouteError::TooManyRoutes => {
                "too many routes: remove one or raise Config::routes_max"
            }
        })
    }
}

impl core::error::Error for AddRouteError {}

/// There is no such route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoSuchRoute;

impl fmt::Display for NoSuchRoute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("there is no such route")
    }
}

impl core::error::Error for NoSuchRoute {}

/// What kind of way a packet takes from here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HopKind {
    /// It never leaves this host.
    Loopback,
    /// The destination is on the link.
    Direct,
    /// A router is on the link.
    Gateway,
    /// To all hosts on the link (IPv4 only).
    Broadcast,
    /// To a group of hosts on the link: the frame's address is made from the group's.
    Multicast,
}

/// The next step of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hop {
    /// Whose link address the frame needs (for Direct and Gateway).
    pub(crate) next_hop: Address,
    /// The address of ours that a packet without a source of its own should carry. Unspecified
    /// only for a broadcast from a host that has no address yet (RFC 1122 §3.2.1.3 a).
    pub(crate) source: Address,
    pub(crate) kind: HopKind,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    network: u128,
    gateway: Option<Address>,
    source: Address,
}

/// All prefixes of one length, sorted by network.
#[derive(Clone)]
struct Level {
    prefix: u8,
    entries: Vec<Entry>,
}

/// The routes of a host with one link. Immutable: a change of configuration makes a new one.
///
/// A look-up is one binary search for each length of prefix in use, which are two or three on a
/// host however many routes it has.
#[derive(Clone)]
pub(crate) struct RouteTable {
    /// Longest prefix first.
    levels: Vec<Level>,
    /// Our addresses, sorted.
    own: Vec<Address>,
    /// Those of IPv6, from which the source of a packet is chosen.
    candidates: Vec<Candidate>,
    /// The broadcast addresses of our networks, sorted, each with our address in that network.
    broadcasts: Vec<(Address, Address)>,
    /// The IPv6 groups that hosts with our addresses belong to (RFC 4291 §2.8), sorted.
    groups: Vec<Address>,
    /// The first configured address of each version: the source where no network decides. Of IPv6
    /// one that is good beyond the link, if there is one.
    first_v4: Option<Address>,
    first_v6: Option<Address>,
    /// Our address for what stays on the link, if we speak IPv6.
    link_local: Option<Address>,
}

const LOOPBACK_V4: Address = Address::v4([127, 0, 0, 1]);

impl RouteTable {
    /// The table of a host with these `addresses` on its link, and `routes`. Those that the host
    /// does not have for certain count only among its groups.
    ///
    /// Of two routes to the same network the first counts: networks of our own addresses, then
    /// `routes`. A route of a version in which we have no address is
    /// left out: nothing could be sent along it.
    pub(crate) fn new(all: &[AddressInfo], routes: &[Route]) -> RouteTable {
        let of = |state| all.iter().filter(move |info| info.state == state);
        let usable = of(AddressState::Preferred).chain(of(AddressState::Deprecated));
        let addresses: &[Cidr] = &usable.clone().map(|info| info.cidr).collect::<Vec<_>>();
        let own = || addresses.iter().map(|a| Address::from(a.address));
        let asked_for = all.iter().filter(|info| info.state != AddressState::Duplicate);
        let mut groups: Vec<Address> = asked_for
            .map(|info| Address::from(info.cidr.address))
            .filter(|a| !a.is_v4())
            .map(Address::solicited_node)
            .collect();
        if !groups.is_empty() {
            groups.push(Address::ALL_NODES);
        }
        groups.sort_unstable();
        groups.dedup();
        let link_local = own().find(|a| a.is_link_local());
        let mut table = RouteTable {
            levels: Vec::new(),
            own: own().collect(),
            candidates: usable.clone().filter_map(AddressInfo::candidate).collect(),
            broadcasts: addresses
                .iter()
                .filter_map(|a| Some((IpAddr::from(a.broadcast()?).into(), a.address.into())))
                .collect(),
            groups,
            first_v4: own().find(|a| a.is_v4()),
            first_v6: own().find(|a| !a.is_v4() && !a.is_link_local()).or(link_local),
            link_local,
        };
        table.own.sort_unstable();
        table.own.dedup();
        // Stable: of two addresses in one network the first configured is the source.
        table.broadcasts.sort_by_key(|(broadcast, _)| *broadcast);
        table.broadcasts.dedup_by_key(|(broadcast, _)| *broadcast);
        for own in usable.filter(|info| info.says_what_is_on_the_link()) {
            table.insert(own.cidr, None, own.cidr.address.into());
        }
        for route in routes {
            if let Some(source) = table.source_of(addresses, route) {
                table.insert(route.destination, route.gateway.map(Address::from), source);
            }
        }
        table
    }

    /// Our address in the network of the route's gateway, or else our first of that version.
    fn source_of(&self, addresses: &[Cidr], route: &Route) -> Option<Address> {
        let via = route.gateway.unwrap_or(route.destination.address);
        if !route.is_of_one_version() {
            return None;
        }
        let near = addresses.iter().find(|a| a.contains(via)).map(|a| Address::from(a.address));
        // A router's address on the link says nothing about ours beyond it.
        let near = near.filter(|source| !source.is_link_local());
        near.or(if is_v4(via) { self.first_v4 } else { self.first_v6 })
    }

    fn insert(&mut self, destination: Cidr, gateway: Option<Address>, source: Address) {
        let prefix = mapped_prefix(&destination);
        let network = bits(destination.address.into()) & mask(prefix);
        let at = match self.levels.binary_search_by(|level| prefix.cmp(&level.prefix)) {
            Ok(at) => at,
            Err(at) => {
                self.levels.insert(at, Level { prefix, entries: Vec::new() });
                at
            }
        };
        let Some(level) = self.levels.get_mut(at) else { return };
        if let Err(at) = level.entries.binary_search_by_key(&network, |entry| entry.network) {
            level.entries.insert(at, Entry { network, gateway, source });
        }
    }

    /// As [`lookup`](RouteTable::lookup), with the source that RFC 6724 chooses: for whatever
    /// begins, and for a packet that may come from any address of ours.
    pub(crate) fn way(&self, destination: Address) -> Option<Hop> {
        let hop = self.lookup(destination)?;
        if destination.is_v4() || hop.kind == HopKind::Loopback {
            return Some(hop);
        }
        let source = selection::source(&self.candidates, destination)?;
        Some(Hop { source, ..hop })
    }

    /// Sorts the addresses of another host (RFC 6724 §6).
    pub(crate) fn sort_destinations(&self, destinations: &mut [Address]) {
        let deprecated =
            |own| self.candidates.iter().any(|other| other.address == own && other.deprecated);
        selection::sort_destinations(destinations, |to| {
            let source = self.way(to)?.source;
            Some((source, deprecated(source)))
        });
    }

    /// The next step of a packet for `destination`; None when no route leads there, and for the
    /// unspecified address, which is nobody's.
    pub(crate) fn lookup(&self, destination: Address) -> Option<Hop> {
        let hop = |source, kind| Some(Hop { next_hop: destination, source, kind });
        if destination.is_unspecified() {
            return None;
        }
        if self.is_own(destination) {
            return hop(destination, HopKind::Loopback);
        }
        if destination.is_loopback() {
            let v4 = destination.is_v4();
            return hop(if v4 { LOOPBACK_V4 } else { destination }, HopKind::Loopback);
        }
        if destination.is_limited_broadcast() {
            return hop(self.first_v4.unwrap_or(Address::UNSPECIFIED_V4), HopKind::Broadcast);
        }
        if destination.is_multicast() {
            let source = if destination.is_v4() {
                self.first_v4
            } else if destination.is_link_group() {
                self.link_local
            } else {
                self.first_v6
            };
            return hop(source?, HopKind::Multicast);
        }
        if let Some(source) = self.broadcast_source(destination) {
            return hop(source, HopKind::Broadcast);
        }
        let entry = self.longest_match(destination)?;
        match entry.gateway {
            None => hop(entry.source, HopKind::Direct),
            Some(next_hop) => Some(Hop { next_hop, source: entry.source, kind: HopKind::Gateway }),
        }
    }

    fn longest_match(&self, destination: Address) -> Option<&Entry> {
        let shortest = if destination.is_v4() { 96 } else { 0 };
        let bits = bits(destination);
        // An IPv6 prefix shorter than the mapped one must not catch IPv4.
        self.levels.iter().take_while(|level| level.prefix >= shortest).find_map(|level| {
            let network = bits & mask(level.prefix);
            let at = level.entries.binary_search_by_key(&network, |entry| entry.network).ok()?;
            level.entries.get(at)
        })
    }

    fn broadcast_source(&self, address: Address) -> Option<Address> {
        let at = self.broadcasts.binary_search_by_key(&address, |(broadcast, _)| *broadcast);
        self.broadcasts.get(at.ok()?).map(|(_, source)| *source)
    }

    /// True for the addresses configured on the link: what a packet from outside may be for.
    pub(crate) fn is_own(&self, address: Address) -> bool {
        self.own.binary_search(&address).is_ok()
    }

    /// True for what a socket here may be bound to: our addresses, and loopback, which must never
    /// be seen on the link (RFC 1122 §3.2.1.3 g): for packets from there ask `is_own`.
    pub(crate) fn is_local(&self, address: Address) -> bool {
        self.is_own(address) || address.is_loopback()
    }

    /// True for 255.255.255.255 and the broadcast addresses of our networks (RFC 1122 §3.3.6).
    pub(crate) fn is_broadcast(&self, address: Address) -> bool {
        address.is_limited_broadcast() || self.broadcast_source(address).is_some()
    }

    /// Our address on the link itself, of IPv6.
    pub(crate) fn link_local(&self) -> Option<Address> {
        self.link_local
    }

    /// True for the IPv6 groups that this host belongs to.
    pub(crate) fn is_group(&self, address: Address) -> bool {
        self.groups.binary_search(&address).is_ok()
    }
}

/// IPv4 as the engine sees it: mapped addresses, however written, are IPv4.
fn is_v4(address: IpAddr) -> bool {
    Address::from(address).is_v4()
}

fn bits(address: Address) -> u128 {
    u128::from_be_bytes(*address.octets())
}

fn mapped_prefix(cidr: &Cidr) -> u8 {
    if cidr.address.is_ipv4() { cidr.length().saturating_add(96) } else { cidr.length() }
}

fn mask(prefix: u8) -> u128 {
    u128::MAX.checked_shl(128 - u32::from(prefix.min(128))).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn address(text: &str) -> Address {
        ip(text).into()
    }

    fn route(destination: &str, gateway: Option<&str>) -> Route {
        Route { destination: destination.parse().unwrap(), gateway: gateway.map(ip) }
    }

    fn table_of(own: &[Cidr], routes: &[Route]) -> RouteTable {
        let own: Vec<_> = own.iter().map(|cidr| AddressInfo::configured(*cidr)).collect();
        RouteTable::new(&own, routes)
    }

    fn home() -> RouteTable {
        table_of(
            &["192.0.2.2/24".parse().unwrap(), "10.0.0.2/8".parse().unwrap()],
            &[
                route("10.9.0.0/16", Some("10.0.0.9")),
                route("203.0.113.0/24", None),
                Route::default_via(ip("192.0.2.1")),
            ],
        )
    }

    fn expect(table: &RouteTable, to: &str, next_hop: &str, source: &str, kind: HopKind) {
        let hop = Hop { next_hop: address(next_hop), source: address(source), kind };
        assert_eq!(table.lookup(address(to)), Some(hop), "{to}");
    }

    #[test]
    fn each_kind_of_way() {
        let table = home();
        expect(&table, "192.0.2.77", "192.0.2.77", "192.0.2.2", HopKind::Direct);
        expect(&table, "198.51.100.1", "192.0.2.1", "192.0.2.2", HopKind::Gateway);
        expect(&table, "10.1.2.3", "10.1.2.3", "10.0.0.2", HopKind::Direct);
        expect(&table, "10.9.2.3", "10.0.0.9", "10.0.0.2", HopKind::Gateway);
        expect(&table, "203.0.113.9", "203.0.113.9", "192.0.2.2", HopKind::Direct);
        expect(&table, "192.0.2.255", "192.0.2.255", "192.0.2.2", HopKind::Broadcast);
        expect(&table, "10.255.255.255", "10.255.255.255", "10.0.0.2", HopKind::Broadcast);
        expect(&table, "255.255.255.255", "255.255.255.255", "192.0.2.2", HopKind::Broadcast);
        expect(&table, "224.0.0.1", "224.0.0.1", "192.0.2.2", HopKind::Multicast);
        expect(&table, "10.0.0.2", "10.0.0.2", "10.0.0.2", HopKind::Loopback);
        expect(&table, "127.9.9.9", "127.9.9.9", "127.0.0.1", HopKind::Loopback);
        assert_eq!(table.lookup(address("0.0.0.0")), None);
        assert_eq!(table.lookup(address("2001:db8::1")), None, "no IPv6 address, no IPv6 route");
    }

    #[test]
    fn rfc1122_loopback_is_local_but_not_ours_on_the_link() {
        let table = home();
        assert!(table.is_local(address("127.0.0.1")) && !table.is_own(address("127.0.0.1")));
        assert!(table.is_local(address("10.0.0.2")) && table.is_own(address("10.0.0.2")));
        assert!(!table.is_local(address("192.0.2.1")));
        assert!(table.is_broadcast(address("192.0.2.255")));
        assert!(table.is_broadcast(address("255.255.255.255")));
        assert!(!table.is_broadcast(address("198.51.100.255")));
    }

    #[test]
    fn without_an_address_only_broadcast_can_leave() {
        let table = table_of(&[], &[Route::default_via(ip("192.0.2.1"))]);
        assert_eq!(table.lookup(address("198.51.100.1")), None);
        expect(&table, "255.255.255.255", "255.255.255.255", "0.0.0.0", HopKind::Broadcast);
    }

    #[test]
    fn an_ipv6_default_does_not_catch_ipv4() {
        let own: Vec<Cidr> =
            ["2001:db8::2/64", "192.0.2.2/24"].iter().map(|text| text.parse().unwrap()).collect();
        let table = table_of(&own, &[Route::default_via(ip("2001:db8::1"))]);
        expect(&table, "2001:db9::7", "2001:db8::1", "2001:db8::2", HopKind::Gateway);
        assert_eq!(table.lookup(address("198.51.100.1")), None);
    }

    #[test]
    fn link_local_addresses_stay_on_the_link() {
        let own: Vec<Cidr> =
            ["fe80::2/64", "2001:db8::2/64"].iter().map(|text| text.parse().unwrap()).collect();
        let table = table_of(&own, &[Route::default_via(ip("fe80::1"))]);
        expect(&table, "2001:db9::7", "fe80::1", "2001:db8::2", HopKind::Gateway);
        expect(&table, "2001:db8::7", "2001:db8::7", "2001:db8::2", HopKind::Direct);
        expect(&table, "fe80::7", "fe80::7", "fe80::2", HopKind::Direct);
        expect(&table, "ff02::1", "ff02::1", "fe80::2", HopKind::Multicast);
        expect(&table, "ff0e::1", "ff0e::1", "2001:db8::2", HopKind::Multicast);
        expect(&table, "::1", "::1", "::1", HopKind::Loopback);
        for group in ["ff02::1", "ff02::1:ff00:2"] {
            assert!(table.is_group(address(group)), "{group}");
        }
        assert!(!table.is_group(address("ff02::2")) && !home().is_group(address("ff02::1")));
    }

    /// The obvious twin: walk all routes, keep the longest that contains, the first of equals.
    fn naive(own: &[Cidr], routes: &[Route], to: IpAddr) -> Option<(Address, Address)> {
        let mut best: Option<(u8, Address, Address)> = None;
        let direct = own.iter().map(|o| (*o, None, Some(o.address)));
        let others = routes.iter().map(|r| {
            let via = r.gateway.unwrap_or(r.destination.address);
            let near = own.iter().find(|o| o.contains(via));
            let same = own.iter().find(|o| o.address.is_ipv4() == via.is_ipv4());
            (r.destination, r.gateway, near.or(same).map(|o| o.address))
        });
        for (destination, gateway, source) in direct.chain(others) {
            let Some(source) = source.filter(|_| destination.contains(to)) else { continue };
            if best.is_none_or(|(prefix, ..)| destination.prefix > prefix) {
                let next = gateway.unwrap_or(to);
                best = Some((destination.prefix, next.into(), source.into()));
            }
        }
        best.map(|(_, next, source)| (next, source))
    }

    /// Few distinct bits, so that prefixes nest and collide.
    fn some_ip() -> impl Strategy<Value = IpAddr> {
        prop_oneof![
            (0u8..4, 0u8..4, 0u8..4).prop_map(|(a, b, c)| IpAddr::from([10, a << 6, b, c << 6])),
            (0u8..4, 0u8..4).prop_map(|(a, b)| {
                let mut octets = [0; 16];
                (octets[0], octets[1], octets[7], octets[15]) = (0x20, a, b << 6, 1);
                IpAddr::from(octets)
            }),
        ]
    }

    fn some_cidr() -> impl Strategy<Value = Cidr> {
        (some_ip(), 0u8..=128).prop_map(|(address, prefix)| {
            let longest = if address.is_ipv4() { 32 } else { 128 };
            Cidr::new(address, prefix % (longest + 1))
        })
    }

    proptest! {
        #[test]
        fn agrees_with_its_twin(
            own in prop::collection::vec(some_cidr(), 0..4),
            nets in prop::collection::vec((some_cidr(), prop::option::of(some_ip())), 0..12),
            destinations in prop::collection::vec(some_ip(), 1..20),
        ) {
            let routes: Vec<Route> = nets
                .into_iter()
                .filter(|(d, g)| g.is_none_or(|g| g.is_ipv4() == d.address.is_ipv4()))
                .map(|(destination, gateway)| Route { destination, gateway })
                .collect();
            let table = table_of(&own, &routes);
            for to in destinations {
                let hop = table.lookup(to.into());
                let special = hop.is_some_and(|hop| {
                    matches!(hop.kind, HopKind::Loopback | HopKind::Broadcast)
                });
                if special {
                    let of_ours = |o: &Cidr| {
                        o.address == to || o.broadcast().map(IpAddr::from) == Some(to)
                    };
                    prop_assert!(own.iter().any(of_ours));
                } else {
                    let got = hop.map(|hop| (hop.next_hop, hop.source));
                    prop_assert_eq!(got, naive(&own, &routes, to));
                }
            }
        }
    }
}
