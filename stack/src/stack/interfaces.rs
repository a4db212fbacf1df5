//! Interfaces beside the first: devices of their own, and VLANs.

use super::Stack;
use crate::config::{Autoconfigure, ConfigError, InterfaceConfig, Wire, check_link};
use crate::counters::DropReason;
use crate::link::interface::{Interface, Setup, Vlan};
use crate::net::route::By;
use crate::random::Seed;
use crate::time::Instant;
use crate::wire::address::{Address, Mac};
use crate::wire::interface::{InterfaceId, InterfaceName};
use crate::wire::parse::{ETHERTYPE_VLAN, Ethernet};
use core::fmt;

/// An interface was not added.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AddInterfaceError {
    /// The limit `Config::interfaces_max` is reached.
    TooManyInterfaces,
    /// The device cannot be as it is said to be.
    Device(ConfigError),
    /// No VLAN has this number.
    Tag(u16),
    /// The device has this VLAN already.
    TagInUse(u16),
    /// The parent of a VLAN is no interface with a device of its own.
    NoParent,
    /// Another interface is called so.
    NameInUse(InterfaceName),
}

impl fmt::Display for AddInterfaceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AddInterfaceError::TooManyInterfaces => {
                f.write_str("too many interfaces: raise Config::interfaces_max")
            }
            AddInterfaceError::Device(error) => error.fmt(f),
            AddInterfaceError::Tag(tag) => write!(f, "{tag} is no VLAN: they are 1 to 4094"),
            AddInterfaceError::TagInUse(tag) => write!(f, "the device has a VLAN {tag} already"),
            AddInterfaceError::NoParent => {
                f.write_str("a VLAN is on an interface with a device of its own")
            }
            AddInterfaceError::NameInUse(name) => {
                write!(f, "another interface is called {name}")
            }
        }
    }
}

impl core::error::Error for AddInterfaceError {}

/// An interface at a glance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct InterfaceInfo {
    /// Which it is.
    pub id: InterfaceId,
    /// What it is called.
    pub name: InterfaceName,
    /// Its Ethernet address.
    pub mac: Mac,
    /// Largest IP packet, bytes.
    pub mtu: usize,
    /// Frames can leave.
    pub up: bool,
    /// Of a VLAN: the interface whose device it is on, and its tag.
    pub vlan: Option<(InterfaceId, u16)>,
}

impl Stack {
    /// Adds an interface; it has no address yet. Give [`Stack::receive_on`] its frames; those to be
    /// sent say which it is in [`TxFrame::interface`](crate::TxFrame::interface).
    ///
    /// # Errors
    /// See [`AddInterfaceError`].
    pub fn add_interface(
        &mut self,
        now: Instant,
        config: InterfaceConfig,
    ) -> Result<InterfaceId, AddInterfaceError> {
        if self.interfaces.len() >= self.config.interfaces_max {
            return Err(AddInterfaceError::TooManyInterfaces);
        }
        let (setup, mtu) = self.setup(config)?;
        let mut seed = [0; 32];
        let (words, _) = seed.as_chunks_mut::<8>();
        words.iter_mut().for_each(|word| *word = self.random.next_u64().to_le_bytes());
        let id = self.interfaces.add(Interface::new(setup, &Seed::from_bytes(seed)));
        self.tcp.links.add(mtu);
        self.add_link_local(now, id);
        self.follow_addresses(now);
        self.begin_asking(now);
        Ok(id)
    }

    /// What an interface begins with, and its MTU.
    fn setup(&self, config: InterfaceConfig) -> Result<(Setup, usize), AddInterfaceError> {
        let (vlan, mac, mtu, device_checksums) = match config.wire {
            Wire::Device { mac, mtu, device_checksums } => {
                check_link(mac, mtu).map_err(AddInterfaceError::Device)?;
                (None, mac, mtu, device_checksums)
            }
            Wire::Vlan { parent, tag } => {
                let device = self.interfaces.get(parent);
                if !self.interfaces.has_device(parent) {
                    return Err(AddInterfaceError::NoParent);
                }
                if !(1..=4094).contains(&tag) {
                    return Err(AddInterfaceError::Tag(tag));
                }
                if device.vlan_with(tag).is_some() {
                    return Err(AddInterfaceError::TagInUse(tag));
                }
                let vlan = Some(Vlan { parent, tag });
                (vlan, device.link.mac, self.tcp.links.mtu(parent).v4, device.device_checksums)
            }
        };
        let name = config.name.unwrap_or_else(|| self.default_name(vlan));
        if self.interfaces.iter().any(|it| it.name == name) {
            return Err(AddInterfaceError::NameInUse(name));
        }
        let setup = Setup {
            name,
            mac,
            device_checksums,
            neighbors: self.config.neighbors,
            groups_max: self.config.groups_max,
            group_sources_max: self.config.group_sources_max,
            autoconfigures: config.autoconfigure == Autoconfigure::On,
            temporary_addresses: config.temporary_addresses,
            vlan,
        };
        Ok((setup, mtu))
    }

    /// After a VLAN's parent and its tag, if there is room, or by the number of interfaces.
    fn default_name(&self, vlan: Option<Vlan>) -> InterfaceName {
        let of_parent = |Vlan { parent, tag }: Vlan| {
            format!("{}.{tag}", self.interfaces.get(parent).name).parse().ok()
        };
        let numbered = || InterfaceName::numbered(self.interfaces.len());
        vlan.and_then(of_parent).unwrap_or_else(numbered)
    }

    /// Every interface, in the order in which they were added.
    pub fn interfaces(&self) -> impl Iterator<Item = InterfaceInfo> + '_ {
        let down = self.interfaces.down();
        self.interfaces.ids().zip(self.interfaces.iter()).map(move |(id, it)| InterfaceInfo {
            id,
            name: it.name,
            mac: it.link.mac,
            mtu: self.tcp.links.mtu(id).v4,
            up: !down.contains(id),
            vlan: it.vlan.map(|vlan| (vlan.parent, vlan.tag)),
        })
    }

    /// Says whether the device of an interface can send, which it can at first. While it cannot,
    /// time-outs of TCP neither retransmit nor back off; what is not synchronized, or waits too
    /// long, is given up as ever. Where another interface leads to the same network it is used
    /// instead. Once the device can again the neighbours are asked anew, and told of groups: it may
    /// be another cable.
    pub fn set_interface_link(&mut self, interface: InterfaceId, up: bool) {
        if !self.interfaces.has(interface) {
            return;
        }
        let before = self.interfaces.down();
        self.interfaces.get_mut(interface).up = up;
        let down = self.interfaces.down();
        self.routes.set_down(down);
        self.tcp.links.down = down;
        let mut is_back = false;
        for id in self.interfaces.ids().filter(|&id| before.contains(id) && !down.contains(id)) {
            let interface = self.interfaces.get_mut(id);
            interface.link.neighbors.forget();
            interface.groups.on_link_back();
            self.temporary_conflicts.retain(|(here, _), _| *here != id);
            is_back = true;
        }
        if is_back {
            self.begin_asking(Instant::ZERO);
        }
    }

    /// The longest packet that the link carries between these.
    pub(super) fn link_mtu(&self, source: Address, destination: Address) -> usize {
        let hop = self.routes.lookup(By::rather(self.routes.interface_of(source)), destination);
        let interface = hop.map_or(InterfaceId::FIRST, |hop| hop.interface);
        self.tcp.links.mtu(interface).to(destination)
    }

    /// Whose frame it is: that of the VLAN with its tag. A tag that says only how urgent the frame
    /// is counts for nothing (IEEE 802.1Q §6.9).
    pub(super) fn untag<'a>(
        &self,
        interface: InterfaceId,
        ethernet: Ethernet<'a>,
    ) -> Result<(InterfaceId, Ethernet<'a>), DropReason> {
        if ethernet.ethertype != ETHERTYPE_VLAN {
            return Ok((interface, ethernet));
        }
        let (tag, payload) =
            ethernet.payload.split_first_chunk::<4>().ok_or(DropReason::FrameTooShort)?;
        let [high, low, kind @ ..] = *tag;
        let owner = match u16::from_be_bytes([high & 0x0f, low]) {
            0 => interface,
            tag => self.interfaces.get(interface).vlan_with(tag).ok_or(DropReason::VlanUnknown)?,
        };
        Ok((owner, Ethernet { ethertype: u16::from_be_bytes(kind), payload, ..ethernet }))
    }
}
