//! What a host has once for each of its links, and the table of these. Addresses and routes are in
//! the host's own tables, each with its interface.

use super::{Link, neighbor::NeighborLimits};
use crate::net::multicast::Groups;
use crate::net::pmtu::LinkMtu;
use crate::net::routers::Routers;
use crate::random::{Random, Secret, Seed};
use crate::time::Instant;
use crate::wire::address::Mac;
use crate::wire::interface::InterfaceId;

/// What an interface begins with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setup {
    pub(crate) mac: Mac,
    pub(crate) mtu: usize,
    pub(crate) device_checksums: bool,
    pub(crate) neighbors: NeighborLimits,
    pub(crate) groups_max: usize,
    pub(crate) group_sources_max: usize,
    pub(crate) autoconfigures: bool,
    pub(crate) temporary_addresses: bool,
    pub(crate) vlan: Option<Vlan>,
}

/// The interface whose device carries a VLAN's frames, and the tag that they have there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Vlan {
    pub(crate) parent: InterfaceId,
    pub(crate) tag: u16,
}

/// A tag has twelve bits.
const TAGS: usize = 4096;

/// A host on one of its links.
#[derive(Clone)]
pub(crate) struct Interface {
    pub(crate) link: Link,
    pub(crate) mtu: LinkMtu,
    /// The device finishes transport checksums.
    pub(crate) device_checksums: bool,
    /// What routers have said.
    pub(crate) routers: Routers,
    pub(crate) groups: Groups,
    /// It finds its addresses and routers by itself.
    pub(crate) autoconfigures: bool,
    pub(crate) temporary_addresses: bool,
    /// Frames can leave, as far as its own device goes.
    pub(crate) up: bool,
    pub(crate) vlan: Option<Vlan>,
    /// The places of the VLANs on its device by their tags, 0 for none: a frame is not looked for
    /// among them. Empty while there are none.
    vlans: Vec<u8>,
}

impl Interface {
    /// An interface whose chance comes from `seed`.
    pub(crate) fn new(setup: Setup, seed: &Seed) -> Interface {
        let dice = |purpose| Random::from_secret(Secret::derive(seed, purpose));
        Interface {
            link: Link::new(setup.mac, setup.neighbors, seed),
            mtu: LinkMtu { v4: setup.mtu, v6: setup.mtu },
            device_checksums: setup.device_checksums,
            routers: Routers::new(dice("routers")),
            groups: Groups::new(setup.groups_max, setup.group_sources_max, dice("groups")),
            autoconfigures: setup.autoconfigures,
            temporary_addresses: setup.temporary_addresses,
            up: true,
            vlan: setup.vlan,
            vlans: Vec::new(),
        }
    }

    /// The VLAN on its device that has this tag.
    pub(crate) fn vlan_with(&self, tag: u16) -> Option<InterfaceId> {
        let place = self.vlans.get(usize::from(tag)).copied().filter(|&place| place > 0);
        place.map(InterfaceId::at)
    }

    /// When time has something for it to do.
    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        let link = self.link.neighbors.next_timeout();
        let others = [self.routers.next_timeout(), self.groups.next_timeout()];
        link.into_iter().chain(others.into_iter().flatten()).min()
    }

    /// It has nothing to send.
    pub(crate) fn is_silent(&self) -> bool {
        self.link.is_silent() && self.groups.is_silent()
    }
}

/// The interfaces of a host: one at least, found by their numbers.
#[derive(Clone)]
pub(crate) struct Interfaces {
    first: Interface,
    further: Vec<Interface>,
}

impl Interfaces {
    pub(crate) fn new(first: Interface) -> Interfaces {
        Interfaces { first, further: Vec::new() }
    }

    /// The interface; ids are given out by this table only, and none is ever taken back.
    pub(crate) fn get(&self, id: InterfaceId) -> &Interface {
        let further = id.place().checked_sub(1).and_then(|at| self.further.get(at));
        further.unwrap_or(&self.first)
    }

    pub(crate) fn get_mut(&mut self, id: InterfaceId) -> &mut Interface {
        let further = id.place().checked_sub(1).and_then(|at| self.further.get_mut(at));
        further.unwrap_or(&mut self.first)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Interface> {
        core::iter::once(&self.first).chain(&self.further)
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Interface> {
        core::iter::once(&mut self.first).chain(&mut self.further)
    }

    /// All ids, in the order in which the interfaces came.
    pub(crate) fn ids(&self) -> impl Iterator<Item = InterfaceId> + use<> {
        InterfaceId::up_to(InterfaceId::at(self.further.len() as u8))
    }

    /// Adds an interface; how many there may be is the caller's matter, 256 at most.
    pub(crate) fn add(&mut self, interface: Interface) -> InterfaceId {
        let vlan = interface.vlan;
        self.further.push(interface);
        let place = self.further.len() as u8;
        if let Some(Vlan { parent, tag }) = vlan {
            let vlans = &mut self.get_mut(parent).vlans;
            vlans.resize(TAGS, 0);
            if let Some(slot) = vlans.get_mut(usize::from(tag)) {
                *slot = place;
            }
        }
        InterfaceId::at(place)
    }

    pub(crate) fn len(&self) -> usize {
        1 + self.further.len()
    }

    /// There is such an interface.
    pub(crate) fn has(&self, id: InterfaceId) -> bool {
        id.place() < self.len()
    }

    /// There is, and it has a device of its own.
    pub(crate) fn has_device(&self, id: InterfaceId) -> bool {
        self.has(id) && self.get(id).vlan.is_none()
    }

    /// Those that cannot send, a bit each by their places. A VLAN fares as its device does.
    pub(crate) fn down(&self) -> u64 {
        let is_up = |it: &Interface| it.up && it.vlan.is_none_or(|vlan| self.get(vlan.parent).up);
        self.iter().enumerate().fold(0, |down, (place, it)| down | u64::from(!is_up(it)) << place)
    }

    /// Nobody has anything to send.
    pub(crate) fn is_silent(&self) -> bool {
        self.iter().all(Interface::is_silent)
    }
}
