//! Which UDP sockets have which address and port, and which of them a datagram is for.
//!
//! A connected socket is found by its flow. The others are found by the address and port, then the
//! port for all addresses of its IP version, then for all of both: with at most four look-ups,
//! however many sockets there are; seven where sockets are bound to interfaces, which are then
//! asked first. Where several have one name, they share it
//! ([`Sharing`](crate::net::sharing::Sharing)): of those that share the port the flow decides, of
//! others the one that came last is meant, as in Linux.

use super::socket::UdpSocket;
use crate::net::reach::Reach;
use crate::net::sharing::{Holders, Sharing, choose};
use crate::random::Secret;
use crate::store::arena::Key;
use crate::wire::address::{Address, Endpoint, FlowKey};
use crate::wire::interface::InterfaceId;
use hashbrown::HashTable;
use std::collections::BTreeMap;

/// What a socket is bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Name {
    pub(super) reach: Reach,
    pub(super) port: u16,
    /// It hears this interface only (`SO_BINDTODEVICE`). Such names, and those without, are in
    /// nobody's way but their own kind's.
    pub(super) only: Option<InterfaceId>,
}

/// The sockets that have one name.
#[derive(Clone)]
struct Group {
    name: Name,
    holders: Holders,
    /// Those that are not connected, each at its place.
    open: Vec<Key<UdpSocket>>,
}

/// A connected socket.
#[derive(Clone)]
struct Connected {
    flow: FlowKey,
    only: Option<InterfaceId>,
    key: Key<UdpSocket>,
}

/// The names of all sockets.
#[derive(Clone)]
pub(super) struct Names {
    secret: Secret,
    groups: HashTable<Group>,
    flows: HashTable<Connected>,
    /// Who has a port, for each IP version.
    ports: BTreeMap<(Version, u16, Option<InterfaceId>), Holders>,
    /// How many sockets are bound to an interface.
    bound: usize,
}

impl Names {
    pub(super) fn new(secret: Secret) -> Names {
        let (groups, flows) = (HashTable::new(), HashTable::new());
        Names { secret, groups, flows, ports: BTreeMap::new(), bound: 0 }
    }

    /// Nobody has a name.
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.groups.is_empty() && self.flows.is_empty() && self.ports.is_empty()
    }

    /// A socket may have this name beside those that have it, or a part of it.
    pub(super) fn admits(&self, name: Name, sharing: Sharing) -> bool {
        match name.reach {
            Reach::One(address) => Reach::with(address).into_iter().all(|reach| {
                let group = self.group(Name { reach, ..name });
                group.is_none_or(|group| group.holders.admit(sharing))
            }),
            all => versions(all).all(|version| {
                let holders = self.ports.get(&(version, name.port, name.only));
                holders.is_none_or(|holders| holders.admit(sharing))
            }),
        }
    }

    /// Counts a socket in.
    pub(super) fn enter(&mut self, name: Name, sharing: Sharing) {
        self.bound += usize::from(name.only.is_some());
        for version in versions(name.reach) {
            self.ports.entry((version, name.port, name.only)).or_default().add(sharing);
        }
        let secret = self.secret;
        let rehash = |group: &Group| hash_name(secret, group.name);
        let entry = self.groups.entry(hash_name(secret, name), |group| group.name == name, rehash);
        let new = || Group { name, holders: Holders::default(), open: Vec::new() };
        entry.or_insert_with(new).into_mut().holders.add(sharing);
    }

    /// Counts one out that is neither open nor connected any more.
    pub(super) fn leave(&mut self, name: Name, sharing: Sharing) {
        self.bound = self.bound.saturating_sub(name.only.is_some().into());
        for version in versions(name.reach) {
            let place = (version, name.port, name.only);
            let Some(holders) = self.ports.get_mut(&place) else { continue };
            holders.remove(sharing);
            if holders.is_empty() {
                self.ports.remove(&place);
            }
        }
        let hash = hash_name(self.secret, name);
        let Ok(mut group) = self.groups.find_entry(hash, |group| group.name == name) else {
            return;
        };
        group.get_mut().holders.remove(sharing);
        if group.get().holders.is_empty() {
            group.remove();
        }
    }

    /// The socket hears everybody; returns its place.
    pub(super) fn open(&mut self, name: Name, key: Key<UdpSocket>) -> usize {
        let Some(group) = self.group_mut(name) else { return 0 };
        group.open.push(key);
        group.open.len() - 1
    }

    /// The socket at this place does so no longer; returns the one that has its place now.
    pub(super) fn shut(&mut self, name: Name, place: usize) -> Option<Key<UdpSocket>> {
        let group = self.group_mut(name)?;
        if place < group.open.len() {
            group.open.swap_remove(place);
        }
        group.open.get(place).copied()
    }

    /// The socket is connected.
    pub(super) fn connect(
        &mut self,
        flow: FlowKey,
        only: Option<InterfaceId>,
        key: Key<UdpSocket>,
    ) {
        let secret = self.secret;
        let rehash = |it: &Connected| hash_flow(secret, &it.flow);
        self.flows.insert_unique(hash_flow(secret, &flow), Connected { flow, only, key }, rehash);
    }

    pub(super) fn disconnect(&mut self, flow: FlowKey, only: Option<InterfaceId>) {
        let hash = hash_flow(self.secret, &flow);
        if let Ok(entry) = self.flows.find_entry(hash, |it| it.flow == flow && it.only == only) {
            entry.remove();
        }
    }

    /// The socket that is connected so, on this interface only or on any.
    pub(super) fn connected(
        &self,
        flow: FlowKey,
        only: Option<InterfaceId>,
    ) -> Option<Key<UdpSocket>> {
        self.connections(flow).find(|it| it.only == only).map(|it| it.key)
    }

    /// Those that are connected so: on different interfaces.
    fn connections(&self, flow: FlowKey) -> impl Iterator<Item = &Connected> {
        let hash = (!self.flows.is_empty()).then(|| hash_flow(self.secret, &flow));
        let all = hash.into_iter().flat_map(|hash| self.flows.iter_hash(hash));
        all.filter(move |it| it.flow == flow)
    }

    /// The socket for a datagram of this flow that has come in `here`.
    pub(super) fn find(&self, here: InterfaceId, flow: FlowKey) -> Option<Key<UdpSocket>> {
        let hearing = self.connections(flow).filter(|it| it.only.is_none_or(|only| only == here));
        hearing
            .max_by_key(|it| it.only.is_some())
            .map(|it| it.key)
            .or_else(|| self.hearing(here, flow.local).find_map(|group| self.meant(group, flow)))
    }

    /// Those that hear what comes in `here` for `local`, the most exact first.
    fn hearing(&self, here: InterfaceId, local: Endpoint) -> impl Iterator<Item = &Group> {
        let Endpoint { address, port } = local;
        let bound = (self.bound > 0).then_some(Some(here));
        Reach::with(address).into_iter().flat_map(move |reach| {
            let names = bound.into_iter().chain([None]);
            names.filter_map(move |only| self.group(Name { reach, port, only }))
        })
    }

    /// Of the sockets that hear what is for many hosts at `local`, the `n`th. Connected ones do
    /// not.
    pub(super) fn nth(
        &self,
        here: InterfaceId,
        local: Endpoint,
        n: usize,
    ) -> Option<Key<UdpSocket>> {
        let mut left = n;
        self.hearing(here, local).find_map(|group| {
            let found = group.open.get(left).copied();
            left = left.saturating_sub(group.open.len());
            found
        })
    }

    fn meant(&self, group: &Group, flow: FlowKey) -> Option<Key<UdpSocket>> {
        match group.open.len() {
            count @ 2.. if group.holders.share_port() => {
                group.open.get(choose(hash_flow(self.secret, &flow), count)).copied()
            }
            _ => group.open.last().copied(),
        }
    }

    fn group(&self, name: Name) -> Option<&Group> {
        self.groups.find(hash_name(self.secret, name), |group| group.name == name)
    }

    fn group_mut(&mut self, name: Name) -> Option<&mut Group> {
        self.groups.find_mut(hash_name(self.secret, name), |group| group.name == name)
    }
}

/// An IP version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Version {
    V4,
    V6,
}

/// The IP versions of which a name has addresses.
fn versions(reach: Reach) -> impl Iterator<Item = Version> {
    let v4 = reach.has_v4().then_some(Version::V4);
    let v6 = reach.has_v6().then_some(Version::V6);
    v4.into_iter().chain(v6)
}

fn hash_name(secret: Secret, name: Name) -> u64 {
    let (kind, address) = match name.reach {
        Reach::One(address) => (0, address),
        Reach::V4 => (1, Address::UNSPECIFIED_V4),
        Reach::V6 => (2, Address::UNSPECIFIED_V6),
        Reach::Both => (3, Address::UNSPECIFIED_V6),
    };
    let mut bytes = [kind; 19];
    bytes[..16].copy_from_slice(address.octets());
    bytes[16..18].copy_from_slice(&name.port.to_be_bytes());
    secret.table_hash(&bytes)
}

fn hash_flow(secret: Secret, flow: &FlowKey) -> u64 {
    secret.table_hash(&flow.to_bytes())
}
