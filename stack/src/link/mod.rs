//! The link layer: ARP, Neighbor Discovery and the neighbour table as organs, and [`Link`], which
//! feeds them.

pub(crate) mod arp;
pub(crate) mod interface;
pub(crate) mod ndp;
pub(crate) mod neighbor;

use crate::counters::DropReason;
use crate::net::addresses::Utterance;
use crate::random::{Secret, Seed};
use crate::time::Instant;
use crate::wire::address::{Address, Mac};
use crate::wire::parse::IpPacket;
use arp::{ArpAction, ArpPacket, Defender};
use ndp::{NdpAction, NdpMessage, NdpPacket};
use neighbor::{Claim, NeighborLimits, NeighborTable, Solicit};
use std::collections::VecDeque;

/// Answers of ARP and Neighbor Discovery waiting to be sent; more are dropped, for askers ask
/// again.
const REPLIES_MAX: usize = 64;

/// Whose an address is, as far as this host knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Own,
    /// Ours, unless somebody says that it is his.
    Tentative,
    Other,
}

/// What became of a message from the link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// It said something to this host.
    Used,
    /// A neighbour has answered: it is there.
    Answered(Address),
    Dropped(DropReason),
    /// A tentative address is another's, or another looks for it, with a number of his own
    /// (RFC 7527 §4.1).
    Conflict {
        address: Address,
        nonce: Option<u64>,
    },
    /// Another insists on an address of this host's own choice: it is given up (RFC 3927 §2.5).
    Insists(Address),
}

/// What the link layer has to say.
#[derive(Clone, Debug)]
pub(crate) enum LinkPacket {
    Arp(ArpPacket),
    Ndp(NdpPacket),
}

/// This host on its link.
#[derive(Clone)]
pub(crate) struct Link {
    pub(crate) mac: Mac,
    pub(crate) neighbors: NeighborTable,
    defender: Defender,
    /// What to answer, and to whom.
    replies: VecDeque<(Mac, LinkPacket)>,
    dropped: u64,
}

impl Link {
    pub(crate) fn new(mac: Mac, limits: NeighborLimits, seed: &Seed) -> Link {
        let neighbors = NeighborTable::new(limits, Secret::derive(seed, "neighbors"));
        let (defender, replies) = (Defender::default(), VecDeque::new());
        Link { mac, neighbors, defender, replies, dropped: 0 }
    }

    /// An ARP packet arrived.
    pub(crate) fn on_arp(
        &mut self,
        now: Instant,
        standing: impl Fn(Address) -> Standing,
        payload: &[u8],
    ) -> Heard {
        let Some(packet) = ArpPacket::parse(payload) else {
            return Heard::Dropped(DropReason::ArpMalformed);
        };
        match arp::on_arp(&packet, standing, self.mac) {
            ArpAction::Reply(reply) => self.reply(reply.target_mac, LinkPacket::Arp(reply)),
            ArpAction::Learn { address, mac, claim } => {
                self.neighbors.learn(now, address, mac, claim);
            }
            ArpAction::ReplyAndLearn { reply, address, mac, claim } => {
                self.neighbors.learn(now, address, mac, claim);
                self.reply(reply.target_mac, LinkPacket::Arp(reply));
            }
            ArpAction::Conflict(own) => {
                if self.defender.may_defend(now, own)
                    && let Some(octets) = own.as_v4()
                {
                    let claim = ArpPacket::announcement(self.mac, octets);
                    self.reply(Mac::BROADCAST, LinkPacket::Arp(claim));
                } else if own.is_link_local_v4() {
                    return Heard::Insists(own);
                }
            }
            ArpAction::Duplicate(address) => return Heard::Conflict { address, nonce: None },
            ArpAction::Ignore => return Heard::Dropped(DropReason::ArpIgnored),
        }
        Heard::Used
    }

    /// A message of Neighbor Discovery arrived in a frame from `station`.
    pub(crate) fn on_ndp(
        &mut self,
        now: Instant,
        standing: impl Fn(Address) -> Standing,
        packet: &IpPacket<'_>,
        station: Mac,
    ) -> Heard {
        let Some(message) = NdpMessage::parse(packet) else {
            return Heard::Dropped(DropReason::NdpMalformed);
        };
        match ndp::on_ndp(&message, packet.source, standing) {
            NdpAction::Answer { own, asker, mac } => {
                if let Some(mac) = mac {
                    self.neighbors.learn(now, asker, mac, Claim::Request);
                }
                let answer = NdpPacket::advertisement(self.mac, own, asker);
                self.reply(mac.unwrap_or(station), LinkPacket::Ndp(answer));
            }
            NdpAction::Tell { own } => self.announce(own),
            NdpAction::Learn { address, mac, claim } => {
                self.neighbors.learn(now, address, mac, claim);
                return self.heard_of(address);
            }
            NdpAction::Confirm { address } => {
                self.neighbors.confirm(now, address);
                return self.heard_of(address);
            }
            NdpAction::Conflict(own) => {
                if self.defender.may_defend(now, own) {
                    self.announce(own);
                }
            }
            NdpAction::Duplicate { address, nonce } => return Heard::Conflict { address, nonce },
            NdpAction::Ignore => return Heard::Dropped(DropReason::NdpIgnored),
        }
        Heard::Used
    }

    /// A neighbour has told of itself.
    fn heard_of(&self, neighbor: Address) -> Heard {
        let answered = self.neighbors.is_reachable(neighbor);
        if answered { Heard::Answered(neighbor) } else { Heard::Used }
    }

    /// Says on the link what one of our addresses has to say.
    pub(crate) fn utter(&mut self, utterance: Utterance) {
        match utterance {
            Utterance::Probe { address, nonce } => match address.as_v4() {
                Some(octets) => {
                    let probe = ArpPacket::request(self.mac, [0; 4], octets);
                    self.reply(Mac::BROADCAST, LinkPacket::Arp(probe));
                }
                None => {
                    let group = address.solicited_node();
                    let probe = NdpPacket::probe(address, nonce);
                    self.reply(group.group_mac(), LinkPacket::Ndp(probe));
                }
            },
            Utterance::Announce(address) => {
                if let Some(octets) = address.as_v4() {
                    let claim = ArpPacket::announcement(self.mac, octets);
                    self.reply(Mac::BROADCAST, LinkPacket::Arp(claim));
                }
            }
        }
    }

    /// Asks the routers to speak, from our address `own` on the link, if there is one.
    pub(crate) fn ask_routers(&mut self, own: Option<Address>) {
        let packet = NdpPacket::router_solicitation(self.mac, own);
        self.reply(Address::ALL_ROUTERS.group_mac(), LinkPacket::Ndp(packet));
    }

    /// Tells everybody on the link that `own` is ours.
    fn announce(&mut self, own: Address) {
        let everybody = Address::ALL_NODES;
        let packet = NdpPacket::advertisement(self.mac, own, everybody);
        self.reply(everybody.group_mac(), LinkPacket::Ndp(packet));
    }

    fn reply(&mut self, to: Mac, packet: LinkPacket) {
        if self.replies.len() < REPLIES_MAX {
            self.replies.push_back((to, packet));
        } else {
            self.dropped += 1;
        }
    }

    /// `own` is no longer ours: nobody is told that it is. Says how many packets from it are
    /// dropped that waited for their neighbours.
    pub(crate) fn lose_address(&mut self, own: Address) -> u64 {
        self.replies.retain(|(_, packet)| match packet {
            LinkPacket::Arp(packet) => Address::v4(packet.sender) != own,
            LinkPacket::Ndp(packet) => packet.source != own,
        });
        self.neighbors.drop_held(|packet| source_of(packet) == Some(own))
    }

    /// A packet from `own` waits for its neighbour.
    pub(crate) fn has_waiting(&self, own: Address) -> bool {
        self.neighbors.held().any(|packet| source_of(packet) == Some(own))
    }

    /// It has nothing to send, and no drops to tell of.
    pub(crate) fn is_silent(&self) -> bool {
        self.replies.is_empty() && self.dropped == 0 && self.neighbors.is_silent()
    }

    /// Replies dropped at the limit since last asked.
    pub(crate) fn take_dropped(&mut self) -> u64 {
        core::mem::take(&mut self.dropped)
    }

    /// The next packet to send, and the station to send it to. `source_for` names the address of
    /// ours that is on the same network as a target.
    pub(crate) fn poll(
        &mut self,
        source_for: impl Fn(Address) -> Option<Address>,
    ) -> Option<(Mac, LinkPacket)> {
        if let Some(reply) = self.replies.pop_front() {
            return Some(reply);
        }
        while let Some(solicit) = self.neighbors.poll_solicit() {
            let question = source_for(solicit.target).and_then(|own| self.ask(solicit, own));
            if question.is_some() {
                return question;
            }
        }
        None
    }

    fn ask(&self, Solicit { target, unicast }: Solicit, own: Address) -> Option<(Mac, LinkPacket)> {
        if target.is_v4() {
            let packet = ArpPacket::request(self.mac, own.as_v4()?, target.as_v4()?);
            return Some((unicast.unwrap_or(Mac::BROADCAST), LinkPacket::Arp(packet)));
        }
        let group = target.solicited_node();
        let to = if unicast.is_some() { target } else { group };
        let packet = NdpPacket::solicitation(self.mac, own, target, to);
        Some((unicast.unwrap_or(group.group_mac()), LinkPacket::Ndp(packet)))
    }
}

/// Whose packet it is.
fn source_of(packet: &[u8]) -> Option<Address> {
    match packet.first()? >> 4 {
        4 => Some(Address::v4(*packet.get(12..)?.first_chunk()?)),
        _ => Some(Address::v6(u128::from_be_bytes(*packet.get(8..)?.first_chunk()?))),
    }
}
