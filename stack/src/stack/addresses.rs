//! Addresses and routes that change while the host runs.

use super::Stack;
use crate::config::Autoconfigure;
use crate::net::addresses::{
    AddAddressError, AddressInfo, AddressOrigin, NewAddress, NoSuchAddress,
};
use crate::net::route::{AddRouteError, NoSuchRoute, Route, RouteTable};
use crate::net::stable;
use crate::time::Instant;
use crate::wire::address::Address;
use core::net::IpAddr;

/// The smallest MTU of a link that carries IPv6 (RFC 8200 §5).
const MTU_MIN_V6: usize = 1280;

impl Stack {
    /// Adds an address; of one that the host has it sets lifetimes, origin and prefix anew. With
    /// the first of IPv6 comes one for the link itself (RFC 4862 §5.3).
    ///
    /// # Errors
    /// See [`AddAddressError`].
    pub fn add_address(&mut self, now: Instant, new: NewAddress) -> Result<(), AddAddressError> {
        if new.cidr.address.is_ipv6() && self.config.mtu < MTU_MIN_V6 {
            return Err(AddAddressError::Mtu);
        }
        let added = self.addresses.add(now, new);
        self.counters.addresses_refused = self.addresses.refused();
        added?;
        self.add_link_local(now);
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

    /// How often addresses have come, gone, or changed their state: who keeps the number sees
    /// whether to look at [`Stack::addresses`] again.
    pub fn address_changes(&self) -> u64 {
        self.addresses.changes()
    }

    /// Adds a route. Of two to the same network the older counts.
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
    pub(super) fn add_link_local(&mut self, now: Instant) {
        let own = || self.addresses.iter().map(|info| Address::from(info.cidr.address));
        let speaks = self.config.autoconfigure == Autoconfigure::On;
        if (!speaks && own().all(Address::is_v4)) || own().any(Address::is_link_local) {
            return;
        }
        let cidr = stable::link_local(self.stable, self.config.mac);
        let (origin, probes) = (AddressOrigin::LinkLocal, self.config.probes(cidr.address));
        let new = NewAddress { origin, probes, ..NewAddress::configured(cidr) };
        // A table full of others has none: what stays on the link then comes from one of them.
        let _: Result<(), AddAddressError> = self.addresses.add(now, new);
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
        while let Some(utterance) = self.addresses.take_utterance() {
            self.link.utter(utterance);
        }
        self.advance_routers(now);
        self.advance_link_local(now);
    }

    /// After a change of addresses: new routes, and an end for what used one that is gone.
    pub(super) fn follow_addresses(&mut self, now: Instant) {
        self.follow_routes();
        while let Some(gone) = self.addresses.take_gone() {
            self.tcp.lose_address(now, &mut self.counters, gone);
            self.udp.lose_address(gone);
            self.link.lose_address(gone);
            if self.fragmenting.as_ref().is_some_and(|(ip, ..)| ip.source == gone) {
                self.fragmenting = None;
            }
        }
    }

    /// After a change of addresses or routes: a new table.
    pub(super) fn follow_routes(&mut self) {
        let routes: Vec<Route> =
            self.static_routes.iter().copied().chain(self.routers.routes()).collect();
        self.routes = RouteTable::new(&self.addresses.iter().collect::<Vec<_>>(), &routes);
        let gateways = routes.iter().filter_map(|route| route.gateway);
        let routers = self.routers.addresses().map(Address::to_ip);
        self.link.neighbors.pin_only(gateways.chain(routers));
    }
}
