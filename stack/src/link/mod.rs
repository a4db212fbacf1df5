//! The link layer: ARP and the neighbour table as organs, and [`Link`], which feeds them.

pub(crate) mod arp;
pub(crate) mod neighbor;

use crate::counters::DropReason;
use crate::net::route::RouteTable;
use crate::random::{Secret, Seed};
use crate::time::Instant;
use crate::wire::address::{Address, Mac};
use arp::{ArpAction, ArpPacket, Defender};
use neighbor::{NeighborLimits, NeighborTable};
use std::collections::VecDeque;

/// ARP replies waiting to be sent; more are dropped, for askers ask again.
const ARP_REPLIES_MAX: usize = 64;

/// This host on its link.
#[derive(Clone)]
pub(crate) struct Link {
    pub(crate) mac: Mac,
    pub(crate) neighbors: NeighborTable,
    defender: Defender,
    /// What to answer, and to whom.
    replies: VecDeque<(Mac, ArpPacket)>,
    dropped: u64,
}

impl Link {
    pub(crate) fn new(mac: Mac, limits: NeighborLimits, seed: &Seed) -> Link {
        let neighbors = NeighborTable::new(limits, Secret::derive(seed, "neighbors"));
        let (defender, replies) = (Defender::default(), VecDeque::new());
        Link { mac, neighbors, defender, replies, dropped: 0 }
    }

    /// An ARP packet arrived. None: it said something to this host.
    pub(crate) fn on_arp(
        &mut self,
        now: Instant,
        routes: &RouteTable,
        payload: &[u8],
    ) -> Option<DropReason> {
        let Some(packet) = ArpPacket::parse(payload) else {
            return Some(DropReason::ArpMalformed);
        };
        match arp::on_arp(&packet, |address| routes.is_own(address), self.mac) {
            ArpAction::Reply(reply) => self.reply(reply.target_mac, reply),
            ArpAction::Learn { address, mac, claim } => {
                self.neighbors.learn(now, address, mac, claim);
            }
            ArpAction::ReplyAndLearn { reply, address, mac, claim } => {
                self.neighbors.learn(now, address, mac, claim);
                self.reply(reply.target_mac, reply);
            }
            ArpAction::Conflict(own) => {
                if self.defender.may_defend(now, own)
                    && let Some(octets) = own.as_v4()
                {
                    self.reply(Mac::BROADCAST, ArpPacket::announcement(self.mac, octets));
                }
            }
            ArpAction::Ignore => return Some(DropReason::ArpIgnored),
        }
        None
    }

    fn reply(&mut self, to: Mac, packet: ArpPacket) {
        if self.replies.len() < ARP_REPLIES_MAX {
            self.replies.push_back((to, packet));
        } else {
            self.dropped += 1;
        }
    }

    /// It has nothing to send, and no drops to tell of.
    pub(crate) fn is_silent(&self) -> bool {
        self.replies.is_empty() && self.dropped == 0 && self.neighbors.is_silent()
    }

    /// Replies dropped at the limit since last asked.
    pub(crate) fn take_dropped(&mut self) -> u64 {
        core::mem::take(&mut self.dropped)
    }

    /// The next ARP packet to send, and the station to send it to. `source_for` names the address
    /// of ours that is on the same network as a target.
    pub(crate) fn poll_arp(
        &mut self,
        source_for: impl Fn(Address) -> Option<Address>,
    ) -> Option<(Mac, ArpPacket)> {
        if let Some(reply) = self.replies.pop_front() {
            return Some(reply);
        }
        while let Some(solicit) = self.neighbors.poll_solicit() {
            let source = source_for(solicit.target).and_then(Address::as_v4);
            let (Some(own), Some(target)) = (source, solicit.target.as_v4()) else { continue };
            let packet = ArpPacket::request(self.mac, own, target);
            return Some((solicit.unicast.unwrap_or(Mac::BROADCAST), packet));
        }
        None
    }
}
