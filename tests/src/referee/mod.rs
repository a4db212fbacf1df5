//! A referee beside one host: it sees every frame that the host is given and every frame that
//! the host sends, and calls a foul. It reads with etherparse and believes nobody.

mod flow;
mod frame;
mod ipv6;

use flow::Flow;
pub use frame::{Meaning, meaning};
use frame::{Packet, Tcp};
use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// A rule that a frame broke.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Foul(pub String);

impl fmt::Display for Foul {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Calls a foul unless `fair`.
fn rule(fair: bool, broken: impl FnOnce() -> String) -> Result<(), Foul> {
    if fair { Ok(()) } else { Err(Foul(broken())) }
}

/// One host's referee.
#[derive(Clone)]
pub struct Referee {
    mac: [u8; 6],
    addresses: Vec<IpAddr>,
    /// Those that the host has had.
    lost: Vec<IpAddr>,
    configures_itself: bool,
    /// Largest IP packet in bytes.
    mtu: usize,
    cookies: bool,
    leaps: bool,
    spared: Vec<u16>,
    /// By the host's end and the other one.
    flows: HashMap<(SocketAddr, SocketAddr), Flow>,
    judged: u64,
    segments: u64,
}

impl Referee {
    /// A referee for the host of this Ethernet address, IP address and MTU.
    pub fn new(mac: [u8; 6], address: impl Into<IpAddr>, mtu: usize) -> Referee {
        Referee {
            mac,
            addresses: vec![address.into()],
            lost: Vec::new(),
            configures_itself: false,
            mtu,
            cookies: false,
            leaps: false,
            spared: Vec::new(),
            flows: HashMap::new(),
            judged: 0,
            segments: 0,
        }
    }

    /// The host has this address, too.
    pub fn owns(&mut self, address: impl Into<IpAddr>) {
        self.addresses.push(address.into());
    }

    /// The host has this address no longer.
    pub fn loses(&mut self, address: impl Into<IpAddr>) {
        let address = address.into();
        if !self.lost.contains(&address) {
            self.lost.push(address);
        }
    }

    /// Routers and neighbours decide which addresses of IPv6 the host has: those are not judged.
    pub fn configures_itself(&mut self) {
        self.configures_itself = true;
    }

    /// The host answers SYNs with cookies: it may begin a connection again that has ended.
    pub fn allows_cookies(&mut self) {
        self.cookies = true;
    }

    /// Connections of this port are no longer judged, though their segments are: both sides may
    /// have been told what nobody said.
    pub fn spares(&mut self, port: u16) {
        self.spared.push(port);
    }

    /// Frames of the host that were judged.
    pub fn judged(&self) -> u64 {
        self.judged
    }

    /// Segments that were judged as part of a connection, and not only each by itself.
    pub fn judged_segments(&self) -> u64 {
        self.segments
    }

    /// The host's clock leaps: beyond 24 days its timestamps seem to go back.
    pub fn clock_leaps(&mut self) {
        self.leaps = true;
    }

    /// The host is given `frame`, possibly damaged: only what is sound and meant for it counts.
    pub fn received(&mut self, frame: &[u8]) {
        if frame.get(..6) != Some(&self.mac[..]) {
            return;
        }
        let Ok(Packet::Tcp(tcp)) = Packet::read(frame) else { return };
        if self.own_address(tcp.destination).is_ok() {
            let (from, to) = tcp.ends();
            self.flow((to, from)).received(&tcp);
        }
    }

    /// The host sends `frame`.
    ///
    /// # Errors
    /// The foul, if it is one.
    pub fn sent(&mut self, frame: &[u8]) -> Result<(), Foul> {
        self.judged += 1;
        rule(frame.len() >= 14 + 20, || format!("a frame of {} bytes", frame.len()))?;
        rule(frame.len() <= 14 + self.mtu, || format!("{} bytes, MTU {}", frame.len(), self.mtu))?;
        rule(frame[6..12] == self.mac, || "not the host's Ethernet address".into())?;
        rule(frame[..6] != self.mac, || "sent to itself over the wire".into())?;
        let packet = Packet::read(frame)?;
        let for_many = matches!(
            packet,
            Packet::Arp { .. } | Packet::Neighbor { .. } | Packet::Membership { .. }
        );
        rule(for_many || frame[0] & 1 == 0, || "a packet to a group of hosts".into())?;
        frame::is_well_filled(frame)?;
        match packet {
            Packet::Arp { sender_mac, sender } => {
                self.own_station(Some(sender_mac))?;
                self.own_address_or_none(sender.into())
            }
            Packet::Neighbor { source, claims, station } => {
                self.own_station(station)?;
                self.own_address_or_none(source)?;
                claims.map_or(Ok(()), |claimed| self.own_address(claimed))
            }
            Packet::Membership { source } => self.own_address_or_none(source),
            Packet::Tcp(tcp) => {
                self.own_address(tcp.source)?;
                self.sent_tcp(&tcp)
            }
            Packet::Other { source, .. } => self.own_address(source),
        }
    }

    fn own_station(&self, claimed: Option<[u8; 6]>) -> Result<(), Foul> {
        rule(claimed.is_none_or(|mac| mac == self.mac), || format!("claims to be {claimed:x?}"))
    }

    fn own_address(&self, source: IpAddr) -> Result<(), Foul> {
        let own = self.addresses.contains(&source) || self.configures_itself && source.is_ipv6();
        rule(own && !self.lost.contains(&source), || format!("sent from {source}"))
    }

    /// Who asks whether an address is free has none yet (RFC 5227 §2.1.1, RFC 4862 §5.4.2).
    fn own_address_or_none(&self, source: IpAddr) -> Result<(), Foul> {
        if source.is_unspecified() { Ok(()) } else { self.own_address(source) }
    }

    fn flow(&mut self, ends: (SocketAddr, SocketAddr)) -> &mut Flow {
        self.flows.entry(ends).or_insert_with(|| Flow::new(self.cookies))
    }

    fn sent_tcp(&mut self, tcp: &Tcp<'_>) -> Result<(), Foul> {
        tcp.is_well_made()?;
        if [tcp.source_port, tcp.destination_port].iter().any(|port| self.spared.contains(port)) {
            return Ok(());
        }
        let leaps = self.leaps;
        let flow = self.flow(tcp.ends());
        flow.sent(tcp, leaps)?;
        self.segments += u64::from(!flow.is_spared());
        Ok(())
    }
}

#[cfg(test)]
mod tests;
