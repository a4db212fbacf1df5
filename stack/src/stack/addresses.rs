//! Addresses and routes that change while the host runs.

use super::Stack;
use crate::link::interface::Interface;
use crate::net::addresses::{
    AddAddressError, AddressInfo, AddressOrigin, NewAddress, NoSuchAddress,
};
use crate::net::route::{AddRouteError, NoSuchRoute, Route, RouteTable};
use crate::net::stable;
use crate::random::Secret;
use crate::time::Instant;
use crate::wire::address::Address;
use crate::wire::interface::InterfaceId;
use core::net::IpAddr;
use std::collections::BTreeMap;

/// The smallest MTU of a link that carries IPv6 (RFC 8200 §5).
const MTU_MIN_V6: usize = 1280;

impl Stack {
    /// Adds an address; of one that the host has it sets lifetimes, origin and prefix anew. With
    /// the first of IPv6 comes one for the link itself (RFC 4862 §5.3).
    ///
    /// # Errors
    /// See [`AddAddressError`].
    pub fn add_address(&mut self, now: Instant, new: NewAddress) -> Result<(), AddAddressError> {
        if !self.interfaces.has(new.interface) {
            return Err(AddAddressError::NoInterface);
        }
        let mtu = self.tcp.links.mtu(new.interface).v4;
        if new.cidr.address.is_ipv6() && mtu < MTU_MIN_V6 {
            return Err(AddAddressError::Mtu);
        }
        let added = self.addresses.add(now, new);
        self.counters.addresses_refused = self.addresses.refused();
        added?;
        self.add_link_local(now, new.interface);
        self.follow_addresses(now);
        Ok(())
    }

    /// Takes an address away. What uses it ends: connections fail with
    /// [`TcpError::AddressLost`](crate::TcpError::AddressLost) and UDP sockets with
    /// [`UdpError::AddressLost`](crate::UdpError::AddressLost); listeners and sockets that are
    /// bound to it stay, and hear again should it come back.
    ///
    /// # Errors
    /// [`NoSuchAddress`].
    pub fn remove_address(&mut self, now: Instant, address: IpAddr) -> Result<(), NoSuchAddress> {
        self.addresses.remove(address.into())?;
        self.follow_addresses(now);
        Ok(())
    }

    /// Every address of this host, in the order in which they came.
    pub fn addresses(&self) -> impl Iterator<Item = AddressInfo> + '_ {
        self.addresses.iter()
    }

    /// A packet from this address waits for its neighbour to be known; it would be lost with the
    /// address.
    #[cfg(feature = "host")]
    pub(crate) fn has_waiting(&self, address: IpAddr) -> bool {
        self.interfaces.iter().any(|it| it.link.has_waiting(address.into()))
    }

    /// How often addresses have come, gone, or changed their state: who keeps the number sees
    /// whether to look at [`Stack::addresses`] again.
    pub fn address_changes(&self) -> u64 {
        self.addresses.changes()
    }

    /// Adds a route. Of two to the same network the one with the lower metric counts, or the older.
    ///
    /// # Errors
    /// See [`AddRouteError`].
    pub fn add_route(&mut self, route: Route) -> Result<(), AddRouteError> {
        if self.static_routes.contains(&route) {
            return Err(AddRouteError::Exists);
        }
        if !route.is_of_one_version() {
            return Err(AddRouteError::Versions);
        }
        if route.interface.is_some_and(|interface| !self.interfaces.has(interface)) {
            return Err(AddRouteError::NoInterface);
        }
        if self.static_routes.len() >= self.config.routes_max {
            self.counters.routes_refused += 1;
            return Err(AddRouteError::TooManyRoutes);
        }
        self.static_routes.push(route);
        self.follow_routes();
        Ok(())
    }

    /// Takes away a route that the configuration or [`Stack::add_route`] has made.
    ///
    /// # Errors
    /// [`NoSuchRoute`].
    pub fn remove_route(&mut self, route: &Route) -> Result<(), NoSuchRoute> {
        let at = self.static_routes.iter().position(|other| other == route).ok_or(NoSuchRoute)?;
        self.static_routes.remove(at);
        self.follow_routes();
        Ok(())
    }

    /// The routes of the configuration and of [`Stack::add_route`]; those to the networks of our
    /// addresses go without saying.
    pub fn routes(&self) -> impl Iterator<Item = Route> + '_ {
        self.static_routes.iter().copied()
    }

    /// Where IPv6 is spoken there is an address for the link itself.
    pub(super) fn add_link_local(&mut self, now: Instant, interface: InterfaceId) {
        let own = || {
            let here = self.addresses.iter().filter(|info| info.interface == interface);
            here.map(|info| Address::from(info.cidr.address))
        };
        let speaks = self.interfaces.get(interface).autoconfigures;
        if (!speaks && own().all(Address::is_v4)) || own().any(Address::is_link_local) {
            return;
        }
        let mac = self.interfaces.get(interface).link.mac;
        let cidr = stable::link_local(self.stable_secret(interface), mac);
        let (origin, probes) = (AddressOrigin::LinkLocal, self.probes(interface, cidr.address));
        let new = NewAddress { origin, probes, interface, ..NewAddress::configured(cidr) };
        // A table full of others has none: what stays on the link then comes from one of them.
        let _: Result<(), AddAddressError> = self.addresses.add(now, new);
    }

    /// Of addresses that an interface makes itself (RFC 7217 §5, Net_Iface): two may have one
    /// Ethernet address, and on one network.
    pub(super) fn stable_secret(&self, interface: InterfaceId) -> Secret {
        match interface {
            InterfaceId::FIRST => self.stable,
            further => self.stable.numbered(further.place() as u64),
        }
    }

    /// How often others are asked whether they have `address` before it is used.
    pub(super) fn probes(&self, interface: InterfaceId, address: IpAddr) -> u8 {
        let asks = self.interfaces.get(interface).autoconfigures && address.is_ipv6();
        if asks { self.config.duplicate_probes } else { 0 }
    }

    /// Time has passed for addresses.
    pub(super) fn advance_addresses(&mut self, now: Instant) {
        let before = self.addresses.changes();
        self.addresses.advance(now);
        if self.addresses.changes() != before {
            self.keep_temporary_addresses(now);
            self.follow_addresses(now);
            self.begin_asking(now);
        }
        while let Some((interface, utterance)) = self.addresses.take_utterance() {
            self.interfaces.get_mut(interface).link.utter(utterance);
        }
        for interface in self.interfaces.ids() {
            self.advance_routers(now, interface);
        }
        self.advance_link_local(now);
    }

    /// After a change of addresses: new routes and groups, and an end for what used one that is
    /// gone.
    pub(super) fn follow_addresses(&mut self, now: Instant) {
        self.follow_routes();
        for id in self.interfaces.ids() {
            let own = self.addresses.solicited_nodes(id);
            let own = if self.answers() { own } else { BTreeMap::new() };
            let groups = &mut self.interfaces.get_mut(id).groups;
            groups.follow(&own);
            groups.set_known(self.routes.link_local(id).is_some());
        }
        while let Some(gone) = self.addresses.take_gone() {
            self.tcp.lose_address(now, &mut self.counters, gone);
            self.udp.lose_address(gone);
            for interface in self.interfaces.iter_mut() {
                self.counters.ip_out_discards += interface.link.lose_address(gone);
            }
            if self.fragmenting.as_ref().is_some_and(|it| it.is_from(gone)) {
                self.fragmenting = None;
            }
        }
    }

    /// After a change of addresses or routes: a new table.
    pub(super) fn follow_routes(&mut self) {
        let mut routes = self.static_routes.clone();
        for id in self.interfaces.ids() {
            let heard = self.interfaces.get(id).routers.routes();
            routes.extend(heard.map(|route| route.by(id)));
        }
        self.routes = RouteTable::new(&self.addresses.iter().collect::<Vec<_>>(), &routes);
        self.routes.set_down(self.interfaces.down());
        for id in self.interfaces.ids() {
            let Interface { link, routers, .. } = self.interfaces.get_mut(id);
            let here = self.routes.gateways().filter(|(interface, _)| *interface == id);
            let gateways = here.map(|(_, gateway)| gateway);
            link.neighbors.pin_only(gateways.chain(routers.addresses()).map(Address::to_ip));
        }
    }
}
