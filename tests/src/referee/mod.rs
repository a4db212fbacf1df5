//! A referee beside one host: it sees every frame that the host is given and every frame that
//! the host sends, and calls a foul. It reads with etherparse and believes nobody.

mod flow;
mod frame;

use flow::Flow;
pub use frame::{Meaning, meaning};
use frame::{Packet, Tcp};
use std::collections::HashMap;
use std::fmt;
use std::net::Ipv4Addr;

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
    address: Ipv4Addr,
    /// Largest IP packet in bytes.
    mtu: usize,
    cookies: bool,
    leaps: bool,
    spared: Vec<u16>,
    flows: HashMap<(u16, Ipv4Addr, u16), Flow>,
    judged: u64,
}

impl Referee {
    /// A referee for the host of this Ethernet address, IP address and MTU.
    pub fn new(mac: [u8; 6], address: Ipv4Addr, mtu: usize) -> Referee {
        Referee {
            mac,
            address,
            mtu,
            cookies: false,
            leaps: false,
            spared: Vec::new(),
            flows: HashMap::new(),
            judged: 0,
        }
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
        if tcp.destination != self.address {
            return;
        }
        let key = (tcp.destination_port, tcp.source, tcp.source_port);
        self.flows.entry(key).or_insert_with(|| Flow::new(self.cookies)).received(&tcp);
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
        let is_arp = matches!(packet, Packet::Arp { .. });
        rule(is_arp || frame[0] & 1 == 0, || "a packet to a group of hosts".into())?;
        frame::is_well_filled(frame)?;
        match packet {
            Packet::Arp { sender_mac, sender } => {
                rule(sender_mac == self.mac, || format!("ARP claims {sender_mac:x?}"))?;
                rule(sender == self.address || sender.is_unspecified(), || {
                    format!("ARP claims {sender}")
                })
            }
            Packet::Tcp(tcp) => {
                self.own_address(tcp.source)?;
                self.sent_tcp(&tcp)
            }
            Packet::Other { source, .. } => self.own_address(source),
        }
    }

    fn own_address(&self, source: Ipv4Addr) -> Result<(), Foul> {
        rule(source == self.address, || format!("sent from {source}"))
    }

    fn sent_tcp(&mut self, tcp: &Tcp<'_>) -> Result<(), Foul> {
        tcp.is_well_made()?;
        if [tcp.source_port, tcp.destination_port].iter().any(|port| self.spared.contains(port)) {
            return Ok(());
        }
        let key = (tcp.source_port, tcp.destination, tcp.destination_port);
        self.flows.entry(key).or_insert_with(|| Flow::new(self.cookies)).sent(tcp, self.leaps)
    }
}

#[cfg(test)]
mod tests;
