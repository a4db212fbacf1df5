//! Where a packet goes next, and from which of our addresses: longest prefix match.
//!
//! Both IP versions live in one table of 128-bit prefixes, IPv4 under its mapped prefix
//! (RFC 4291 §2.5.5.2), so that nothing here is written twice.

use super::addresses::{AddressInfo, AddressState};
use super::cidr::Cidr;
use super::selection::{self, Candidate};
use crate::wire::address::Address;
use crate::wire::interface::{InterfaceId, InterfaceSet};
use core::cell::Cell;
use core::fmt;
use core::net::IpAddr;

/// A route: packets for `destination` go to `gateway`, or straight to their destination if None.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// The network that the route leads to.
    pub destination: Cidr,
    /// A router on the link; None: the network itself is on the link.
    pub gateway: Option<IpAddr>,
    /// The interface that it leaves by; None: the one with an address in the gateway's network, or
    /// else the first that has an address of this IP version.
    pub interface: Option<InterfaceId>,
    /// Of two routes to the same network the one with the lower metric is taken.
    pub metric: u32,
}

impl Route {
    /// A route of metric 0 that leaves where its gateway is.
    pub fn new(destination: Cidr, gateway: Option<IpAddr>) -> Route {
        Route { destination, gateway, interface: None, metric: 0 }
    }

    /// The way to everywhere of `gateway`'s IP version.
    pub fn default_via(gateway: IpAddr) -> Route {
        let any = if is_v4(gateway) { IpAddr::from([0u8; 4]) } else { [0u8; 16].into() };
        Route::new(Cidr::new(any, 0), Some(gateway))
    }

    /// The same route by this interface.
    #[must_use]
    pub fn by(self, interface: InterfaceId) -> Route {
        Route { interface: Some(interface), ..self }
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
    /// There is no such interface.
    NoInterface,
    /// The limit `Config::routes_max` is reached.
    TooManyRoutes,
}

impl fmt::Display for AddRouteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            AddRouteError::Exists => "there is such a route already",
            AddRouteError::NoInterface => "there is no such interface: add it first",
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
    /// The one that it leaves by. Of a packet that stays: the one that has the address.
    pub(crate) interface: InterfaceId,
}

/// By which interface a packet is to leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum By {
    Any,
    /// This one, where several lead to one network.
    Rather(InterfaceId),
    /// No other.
    Only(InterfaceId),
}

impl By {
    pub(crate) fn rather(interface: Option<InterfaceId>) -> By {
        interface.map_or(By::Any, By::Rather)
    }

    pub(crate) fn only(interface: Option<InterfaceId>) -> By {
        interface.map_or(By::Any, By::Only)
    }

    fn interface(self) -> Option<InterfaceId> {
        match self {
            By::Any => None,
            By::Rather(interface) | By::Only(interface) => Some(interface),
        }
    }

    /// It is another than this that is asked for.
    fn is_other(self, interface: InterfaceId) -> bool {
        self.interface().is_some_and(|wanted| wanted != interface)
    }

    /// This one is out of the question.
    fn excludes(self, interface: InterfaceId) -> bool {
        matches!(self, By::Only(only) if only != interface)
    }
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    network: u128,
    metric: u32,
    gateway: Option<Address>,
    source: Address,
    interface: InterfaceId,
}

/// All prefixes of one length, sorted by network and metric.
#[derive(Clone)]
struct Level {
    prefix: u8,
    entries: Vec<Entry>,
}

/// The source of a packet where no network decides: the first address of each version. Of IPv6 one
/// that is good beyond the link, if there is one.
#[derive(Clone, Copy, Debug, Default)]
struct Firsts {
    v4: Option<Address>,
    v6: Option<Address>,
    /// For what stays on the link.
    link_local: Option<Address>,
}

impl Firsts {
    fn of(own: impl Iterator<Item = Address> + Clone) -> Firsts {
        let link_local = own.clone().find(|a| a.is_link_local());
        let beyond = own.clone().find(|a| !a.is_v4() && !a.is_link_local());
        Firsts { v4: own.clone().find(|a| a.is_v4()), v6: beyond.or(link_local), link_local }
    }

    fn source(&self, destination: Address) -> Option<Address> {
        match () {
            () if destination.is_v4() => self.v4,
            () if destination.is_link_group() => self.link_local,
            () => self.v6,
        }
    }
}

/// Look-ups that are remembered, one for each end of an address: most packets go where others have
/// just gone.
const RECENT: usize = 16;

/// What was asked, and the answer.
type Recent = Cell<Option<(By, Address, Hop)>>;

/// The routes of a host. Immutable but for links that come and go: a change of configuration makes
/// a new one.
///
/// A look-up that is not remembered is one binary search for each length of prefix in use, which
/// are two or three on a host however many routes it has. Where several interfaces lead to one
/// network, the one that has the packet's source is taken: so what came in by a link is answered
/// there, whatever the metrics say (RFC 1122 §3.3.4.2, RFC 8028 §3.3).
#[derive(Clone)]
pub(crate) struct RouteTable {
    /// Longest prefix first.
    levels: Vec<Level>,
    /// Our addresses, sorted, each with its interface.
    own: Vec<(Address, InterfaceId)>,
    /// Those of IPv6, from which the source of a packet is chosen.
    candidates: Vec<Candidate>,
    /// The broadcast addresses of our networks, sorted, each with our address in that network.
    broadcasts: Vec<(Address, Address)>,
    /// The IPv6 groups that hosts with our addresses belong to (RFC 4291 §2.8), sorted.
    groups: Vec<(InterfaceId, Address)>,
    /// Of the whole host, and of each interface by its place.
    any: Firsts,
    links: Vec<Firsts>,
    /// Interfaces that cannot send.
    down: InterfaceSet,
    recent: [Recent; RECENT],
}

const LOOPBACK_V4: Address = Address::v4([127, 0, 0, 1]);

impl RouteTable {
    /// The table of a host with these addresses and `routes`. Addresses that the host does not have
    /// for certain count only among its groups.
    ///
    /// Of two routes to the same network the one with the lower metric counts, and of equals the
    /// first: networks of our own addresses, then `routes`. A route of a version in which we have
    /// no address is left out: nothing could be sent along it.
    pub(crate) fn new(all: &[AddressInfo], routes: &[Route]) -> RouteTable {
        let of = |state| all.iter().filter(move |info| info.state == state);
        let usable = of(AddressState::Preferred).chain(of(AddressState::Deprecated));
        let own = usable.clone().map(|info| (Address::from(info.cidr.address), info.interface));
        let on = |id| own.clone().filter(move |(_, at)| *at == id).map(|(address, _)| address);
        let last = all.iter().map(|info| info.interface).max().unwrap_or_default();
        let mut table = RouteTable {
            levels: Vec::new(),
            own: own.clone().collect(),
            candidates: usable.clone().filter_map(AddressInfo::candidate).collect(),
            broadcasts: usable
                .clone()
                .filter_map(|info| {
                    let broadcast = info.cidr.broadcast()?;
                    Some((IpAddr::from(broadcast).into(), info.cidr.address.into()))
                })
                .collect(),
            groups: groups(all),
            any: Firsts::of(own.clone().map(|(address, _)| address)),
            links: InterfaceId::up_to(last).map(|id| Firsts::of(on(id))).collect(),
            down: InterfaceSet::EMPTY,
            recent: Default::default(),
        };
        table.own.sort_unstable();
        table.own.dedup_by_key(|(address, _)| *address);
        // Stable: of two addresses in one network the first configured is the source.
        table.broadcasts.sort_by_key(|(broadcast, _)| *broadcast);
        for own in usable.clone().filter(|info| info.says_what_is_on_the_link()) {
            let route = Route::new(own.cidr, None);
            table.insert(&route, own.cidr.address.into(), own.interface);
        }
        let usable: Vec<&AddressInfo> = usable.collect();
        for route in routes {
            if let Some((source, interface)) = table.source_of(&usable, route) {
                table.insert(route, source, interface);
            }
        }
        table
    }

    /// Our address in the network of the route's gateway, or else our first of that version; and
    /// the interface that the route leaves by.
    fn source_of(&self, own: &[&AddressInfo], route: &Route) -> Option<(Address, InterfaceId)> {
        let via = route.gateway.unwrap_or(route.destination.address);
        if !route.is_of_one_version() {
            return None;
        }
        let is_near = |info: &&&AddressInfo| {
            info.cidr.contains(via) && route.interface.is_none_or(|only| only == info.interface)
        };
        let near = own.iter().find(is_near);
        let first = |firsts: Firsts| if is_v4(via) { firsts.v4 } else { firsts.v6 };
        let by_default = || self.interface_of(first(self.any)?);
        let interface = route.interface.or(near.map(|info| info.interface));
        let interface = interface.or_else(by_default)?;
        let near = near.map(|info| Address::from(info.cidr.address));
        // A router's address on the link says nothing about ours beyond it.
        let near = near.filter(|source| !source.is_link_local());
        // Who has no address there lends one from elsewhere.
        let source = near.or(first(self.on(interface))).or(first(self.any))?;
        Some((source, interface))
    }

    fn on(&self, interface: InterfaceId) -> Firsts {
        self.links.get(interface.place()).copied().unwrap_or_default()
    }

    fn insert(&mut self, route: &Route, source: Address, interface: InterfaceId) {
        let prefix = mapped_prefix(&route.destination);
        let network = bits(route.destination.address.into()) & mask(prefix);
        let at = match self.levels.binary_search_by(|level| prefix.cmp(&level.prefix)) {
            Ok(at) => at,
            Err(at) => {
                self.levels.insert(at, Level { prefix, entries: Vec::new() });
                at
            }
        };
        let Some(level) = self.levels.get_mut(at) else { return };
        let (metric, gateway) = (route.metric, route.gateway.map(Address::from));
        let before = |entry: &Entry| (entry.network, entry.metric) <= (network, metric);
        let at = level.entries.partition_point(before);
        level.entries.insert(at, Entry { network, metric, gateway, source, interface });
    }

    /// Says which interfaces cannot send: of several ways those are the last.
    pub(crate) fn set_down(&mut self, down: InterfaceSet) {
        self.down = down;
        self.recent = Default::default();
    }

    /// The routers in use.
    pub(crate) fn gateways(&self) -> impl Iterator<Item = (InterfaceId, Address)> + '_ {
        let entries = self.levels.iter().flat_map(|level| &level.entries);
        entries.filter_map(|entry| Some((entry.interface, entry.gateway?)))
    }

    /// As [`lookup`](RouteTable::lookup), with the source that RFC 6724 chooses: for whatever
    /// begins, and for a packet that may come from any address of ours.
    pub(crate) fn way(&self, destination: Address) -> Option<Hop> {
        self.way_by(By::Any, destination)
    }

    /// As [`way`](RouteTable::way), for what is to leave so.
    pub(crate) fn way_by(&self, by: By, destination: Address) -> Option<Hop> {
        let hop = self.lookup(by, destination)?;
        if destination.is_v4() || hop.kind == HopKind::Loopback {
            return Some(hop);
        }
        let source = selection::source(&self.candidates, hop.interface, destination)?;
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
    /// unspecified address, which is nobody's. A packet with a source leaves rather by the
    /// interface that has it.
    pub(crate) fn lookup(&self, by: By, destination: Address) -> Option<Hop> {
        let recent = &self.recent[usize::from(destination.octets()[15]) % RECENT];
        if let Some((asked, to, hop)) = recent.get()
            && to == destination
            && asked == by
        {
            return Some(hop);
        }
        let hop = self.search(by, destination)?;
        recent.set(Some((by, destination, hop)));
        Some(hop)
    }

    fn search(&self, by: By, destination: Address) -> Option<Hop> {
        let hop =
            |source, kind, interface| Some(Hop { next_hop: destination, source, kind, interface });
        if destination.is_unspecified() {
            return None;
        }
        if let Some(interface) = self.interface_of(destination) {
            return hop(destination, HopKind::Loopback, interface);
        }
        if destination.is_loopback() {
            let source = if destination.is_v4() { LOOPBACK_V4 } else { destination };
            return hop(source, HopKind::Loopback, InterfaceId::FIRST);
        }
        if destination.is_limited_broadcast() || destination.is_multicast() {
            let kind = match destination.is_multicast() {
                true => HopKind::Multicast,
                false => HopKind::Broadcast,
            };
            let wanted = by.interface();
            let there = wanted.and_then(|it| Some((self.on(it).source(destination)?, it)));
            let by_default = || {
                let source = self.any.source(destination)?;
                self.interface_of(source).filter(|it| !by.excludes(*it)).map(|it| (source, it))
            };
            let nameless = (kind == HopKind::Broadcast)
                .then_some((Address::UNSPECIFIED_V4, wanted.unwrap_or_default()));
            let (source, interface) = there.or_else(by_default).or(nameless)?;
            return hop(source, kind, interface);
        }
        if let Some((source, interface)) = self.broadcast_source(by, destination) {
            return hop(source, HopKind::Broadcast, interface);
        }
        let Entry { gateway, source, interface, .. } = *self.longest_match(by, destination)?;
        match gateway {
            None => hop(source, HopKind::Direct, interface),
            Some(next_hop) => Some(Hop { next_hop, source, kind: HopKind::Gateway, interface }),
        }
    }

    fn longest_match(&self, by: By, destination: Address) -> Option<&Entry> {
        let shortest = if destination.is_v4() { 96 } else { 0 };
        let bits = bits(destination);
        // An IPv6 prefix shorter than the mapped one must not catch IPv4.
        self.levels.iter().take_while(|level| level.prefix >= shortest).find_map(|level| {
            let network = bits & mask(level.prefix);
            let at = level.entries.partition_point(|entry| entry.network < network);
            let first = level.entries.get(at).filter(|entry| entry.network == network)?;
            if self.down.is_empty() && !by.is_other(first.interface) {
                return Some(first);
            }
            let equals = level.entries.get(at..)?.iter();
            let equals = equals.take_while(|entry| entry.network == network);
            let equals = equals.filter(|entry| !by.excludes(entry.interface));
            // Of equals the first, which has the lowest metric.
            equals.min_by_key(|entry| {
                // The same address may be on each link, so that no other link can help out.
                let is_down = self.down.contains(entry.interface) && !destination.is_link_local();
                (is_down, by.is_other(entry.interface))
            })
        })
    }

    fn broadcast_source(&self, by: By, address: Address) -> Option<(Address, InterfaceId)> {
        let at = self.broadcasts.partition_point(|(broadcast, _)| *broadcast < address);
        let equals = self.broadcasts.get(at..)?.iter();
        let equals = equals.take_while(|(broadcast, _)| *broadcast == address);
        let equals = equals.filter_map(|(_, own)| Some((*own, self.interface_of(*own)?)));
        let equals = equals.filter(|(_, interface)| !by.excludes(*interface));
        equals.min_by_key(|(_, interface)| by.is_other(*interface))
    }

    /// The interface that has this address of ours: what a packet from outside may be for.
    pub(crate) fn interface_of(&self, address: Address) -> Option<InterfaceId> {
        let at = self.own.binary_search_by_key(&address, |(own, _)| *own).ok()?;
        self.own.get(at).map(|(_, interface)| *interface)
    }

    /// True for the addresses configured on our links.
    pub(crate) fn is_own(&self, address: Address) -> bool {
        self.interface_of(address).is_some()
    }

    /// True for what a socket here may be bound to: our addresses, and loopback, which must never
    /// be seen on the link (RFC 1122 §3.2.1.3 g): for packets from there ask `is_own`.
    pub(crate) fn is_local(&self, address: Address) -> bool {
        self.is_own(address) || address.is_loopback()
    }

    /// True for 255.255.255.255 and the broadcast addresses of our networks (RFC 1122 §3.3.6).
    pub(crate) fn is_broadcast(&self, address: Address) -> bool {
        let is_ours = || self.broadcasts.binary_search_by_key(&address, |(it, _)| *it).is_ok();
        address.is_limited_broadcast() || is_ours()
    }

    /// Our address on this link itself, of IPv6.
    pub(crate) fn link_local(&self, interface: InterfaceId) -> Option<Address> {
        self.on(interface).link_local
    }

    /// True for the IPv6 groups that this host belongs to on a link.
    pub(crate) fn is_group(&self, interface: InterfaceId, address: Address) -> bool {
        self.groups.binary_search(&(interface, address)).is_ok()
    }
}

/// The IPv6 groups of a host with these addresses, sorted.
fn groups(all: &[AddressInfo]) -> Vec<(InterfaceId, Address)> {
    let asked_for = all.iter().filter(|info| info.state != AddressState::Duplicate);
    let v6 = asked_for.map(|info| (info.interface, Address::from(info.cidr.address)));
    let v6 = v6.filter(|(_, address)| !address.is_v4());
    let mut groups: Vec<_> =
        v6.clone().map(|(interface, address)| (interface, address.solicited_node())).collect();
    groups.extend(v6.map(|(interface, _)| (interface, Address::ALL_NODES)));
    groups.sort_unstable();
    groups.dedup();
    groups
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
        Route::new(destination.parse().unwrap(), gateway.map(ip))
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
        let interface = InterfaceId::FIRST;
        let hop = Hop { next_hop: address(next_hop), source: address(source), kind, interface };
        assert_eq!(table.lookup(By::Any, address(to)), Some(hop), "{to}");
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
        assert_eq!(table.lookup(By::Any, address("0.0.0.0")), None);
        assert_eq!(
            table.lookup(By::Any, address("2001:db8::1")),
            None,
            "no IPv6 address, no IPv6 route"
        );
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
        assert_eq!(table.lookup(By::Any, address("198.51.100.1")), None);
        expect(&table, "255.255.255.255", "255.255.255.255", "0.0.0.0", HopKind::Broadcast);
    }

    #[test]
    fn a_way_is_remembered_until_its_link_is_down() {
        let second = InterfaceId::at(1);
        let own = |cidr: &str, interface| AddressInfo {
            interface,
            ..AddressInfo::configured(cidr.parse().unwrap())
        };
        let own = [own("192.0.2.2/24", InterfaceId::FIRST), own("198.51.100.2/24", second)];
        let far = Route::default_via(ip("192.0.2.1"));
        let detour = Route { metric: 1, ..Route::default_via(ip("198.51.100.1")) };
        let mut table = RouteTable::new(&own, &[far, detour]);
        let by = |table: &RouteTable| table.lookup(By::Any, address("203.0.113.9")).unwrap();
        assert_eq!([by(&table), by(&table)].map(|hop| hop.interface), [InterfaceId::FIRST; 2]);
        let mut down = InterfaceSet::EMPTY;
        down.set(InterfaceId::FIRST, true);
        table.set_down(down);
        assert_eq!(by(&table).interface, second);
        let only = table.lookup(By::Only(InterfaceId::FIRST), address("203.0.113.9"));
        assert_eq!(only.map(|hop| hop.interface), Some(InterfaceId::FIRST));
    }

    #[test]
    fn an_ipv6_default_does_not_catch_ipv4() {
        let own: Vec<Cidr> =
            ["2001:db8::2/64", "192.0.2.2/24"].iter().map(|text| text.parse().unwrap()).collect();
        let table = table_of(&own, &[Route::default_via(ip("2001:db8::1"))]);
        expect(&table, "2001:db9::7", "2001:db8::1", "2001:db8::2", HopKind::Gateway);
        assert_eq!(table.lookup(By::Any, address("198.51.100.1")), None);
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
            assert!(table.is_group(InterfaceId::FIRST, address(group)), "{group}");
        }
        assert!(
            !table.is_group(InterfaceId::FIRST, address("ff02::2"))
                && !home().is_group(InterfaceId::FIRST, address("ff02::1"))
        );
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
                .map(|(destination, gateway)| Route::new(destination, gateway))
                .collect();
            let table = table_of(&own, &routes);
            for to in destinations {
                let hop = table.lookup(By::Any, to.into());
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
