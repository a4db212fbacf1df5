//! A host's addresses and routes, while it runs.

use std::net::IpAddr;
use std::time::Duration;

use super::block::Wish;
use super::runtime::Host;
use super::watch::Key;
use crate::{
    AddAddressError, AddRouteError, AddressInfo, NewAddress, NoSuchAddress, NoSuchRoute, Route,
};

/// How often a thread that waits for addresses looks, while another one drives the stack.
const LOOK: Duration = Duration::from_millis(20);

impl Host {
    /// Every address of the host, in the order in which they came.
    pub fn addresses(&self) -> Vec<AddressInfo> {
        self.core.shard.lock().stack.addresses().collect()
    }

    /// Adds an address, or sets the lifetimes of one that is there anew:
    /// [`Stack::add_address`](crate::Stack::add_address).
    ///
    /// # Errors
    /// See [`AddAddressError`].
    pub fn add_address(&self, new: NewAddress) -> Result<(), AddAddressError> {
        self.core.shard.call(|engine, now| engine.stack.add_address(now, new))
    }

    /// Takes an address away; the connections at it fail with EADDRNOTAVAIL:
    /// [`Stack::remove_address`](crate::Stack::remove_address).
    ///
    /// # Errors
    /// [`NoSuchAddress`].
    pub fn remove_address(&self, address: IpAddr) -> Result<(), NoSuchAddress> {
        self.core.shard.call(|engine, now| engine.stack.remove_address(now, address))
    }

    /// The host gives itself an address of 169.254/16 (RFC 3927):
    /// [`Stack::begin_link_local_v4`](crate::Stack::begin_link_local_v4).
    pub fn begin_link_local_v4(&self) {
        self.core.shard.call(|engine, now| engine.stack.begin_link_local_v4(now));
    }

    /// The host has a better address than that of 169.254/16:
    /// [`Stack::end_link_local_v4`](crate::Stack::end_link_local_v4).
    pub fn end_link_local_v4(&self) {
        self.core.shard.call(|engine, now| engine.stack.end_link_local_v4(now));
    }

    /// The host's routes, those to the networks of its own addresses aside.
    pub fn routes(&self) -> Vec<Route> {
        self.core.shard.lock().stack.routes().collect()
    }

    /// Adds a route.
    ///
    /// # Errors
    /// See [`AddRouteError`].
    pub fn add_route(&self, route: Route) -> Result<(), AddRouteError> {
        self.core.shard.ask(|engine| engine.stack.add_route(route))
    }

    /// Takes a route away.
    ///
    /// # Errors
    /// [`NoSuchRoute`].
    pub fn remove_route(&self, route: &Route) -> Result<(), NoSuchRoute> {
        self.core.shard.ask(|engine| engine.stack.remove_route(route))
    }

    /// Waits until `enough` is content with the host's addresses, which it is asked at once and
    /// after each change. False when `timeout` passes or the host shuts down.
    pub fn wait_for_addresses(
        &self,
        timeout: Duration,
        mut enough: impl FnMut(&[AddressInfo]) -> bool,
    ) -> bool {
        let shard = &*self.core.shard;
        let (mut guard, mut now) = shard.enter();
        let end = now + timeout;
        loop {
            let all: Vec<_> = guard.stack.addresses().collect();
            let found = enough(&all);
            if found || now >= end || guard.stopping {
                shard.release(guard, now);
                return found;
            }
            let seen = guard.stack.address_changes();
            let mut wish = Wish {
                key: Key::Nothing,
                // Parked, it would not be woken by a change.
                deadline: end.min(now + LOOK),
                despite_stop: false,
                called: false,
                attempt: &mut |engine, _| engine.stack.address_changes() != seen,
            };
            shard.wait_for(guard, &mut wish, now);
            (guard, now) = shard.enter();
        }
    }
}
