//! What a host has once for each of its links, and the table of these. Addresses and routes are in
//! the host's own tables, each with its interface.

use super::{Link, neighbor::NeighborLimits};
use crate::net::multicast::Groups;
use crate::net::routers::Routers;
use crate::random::{Random, Secret, Seed};
use crate::time::Instant;
use crate::wire::address::Mac;
use crate::wire::interface::{InterfaceId, InterfaceName, InterfaceSet, PerInterface};

/// What an interface begins with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setup {
    pub(crate) name: InterfaceName,
    pub(crate) mac: Mac,
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
    pub(crate) name: InterfaceName,
    pub(crate) link: Link,
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
            name: setup.name,
            link: Link::new(setup.mac, setup.neighbors, seed),
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
        let next = Instant::sooner(link, self.routers.next_timeout());
        Instant::sooner(next, self.groups.next_timeout())
    }

    /// It has nothing to send.
    pub(crate) fn is_silent(&self) -> bool {
        self.link.is_silent() && self.groups.is_silent()
    }
}

/// The interfaces of a host, found by their numbers.
pub(crate) type Interfaces = PerInterface<Interface>;

impl Interfaces {
    /// Adds an interface, which may be a VLAN on the device of another.
    pub(crate) fn add(&mut self, interface: Interface) -> InterfaceId {
        let vlan = interface.vlan;
        let id = self.push(interface);
        if let Some(Vlan { parent, tag }) = vlan {
            let vlans = &mut self.get_mut(parent).vlans;
            vlans.resize(TAGS, 0);
            if let Some(slot) = vlans.get_mut(usize::from(tag)) {
                *slot = id.place() as u8;
            }
        }
        id
    }

    /// There is such an interface, and it has a device of its own.
    pub(crate) fn has_device(&self, id: InterfaceId) -> bool {
        self.has(id) && self.get(id).vlan.is_none()
    }

    /// Those that cannot send. A VLAN fares as its device does.
    pub(crate) fn down(&self) -> InterfaceSet {
        let mut down = InterfaceSet::EMPTY;
        for (id, it) in self.ids().zip(self.iter()) {
            let is_up = it.up && it.vlan.is_none_or(|vlan| self.get(vlan.parent).up);
            down.set(id, !is_up);
        }
        down
    }

    /// Nobody has anything to send.
    pub(crate) fn is_silent(&self) -> bool {
        self.iter().all(Interface::is_silent)
    }
}
