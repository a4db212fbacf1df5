//! What IPv6 has and IPv4 has not: a chain of headers, Neighbor Discovery, flow labels, an address
//! on every link.

use super::Stack;
use super::input::{Arrival, Trouble, standing};
use crate::counters::DropReason;
use crate::net::fragment::FragmentDrop;
use crate::net::multicast::message;
use crate::net::{advertisement, icmpv6};
use crate::random::Secret;
use crate::wire::address::FlowKey;
use crate::wire::emit::IPV6_HEADER;
use crate::wire::extensions::{self, FRAGMENT_HEADER, Problem, Refused};
use crate::wire::parse::{self, IpPacket};
use core::num::NonZeroU32;

/// What the sender of a fragment is told that no datagram can have (RFC 8200 §4.5).
pub(super) fn fragment_problem(packet: &IpPacket<'_>, reason: FragmentDrop) -> Option<Problem> {
    const PAYLOAD_LENGTH_AT: usize = 4;
    const OFFSET_AT: usize = 2;
    if packet.source.is_v4() {
        return None;
    }
    let header_at = (packet.header.len() + packet.extensions.len()).checked_sub(FRAGMENT_HEADER)?;
    let pointer = match reason {
        FragmentDrop::BadLength => PAYLOAD_LENGTH_AT,
        FragmentDrop::TooLong => header_at + OFFSET_AT,
        _ => return None,
    };
    Some(Problem::new(Problem::ERRONEOUS_FIELD, pointer))
}

impl Stack {
    pub(super) fn on_ipv6(&mut self, arrival: Arrival, bytes: &[u8]) -> Result<(), DropReason> {
        self.counters.ip_in_receives += 1;
        let packet = parse::ipv6(bytes)?;
        self.admit(arrival, &packet)?;
        let packet = self.skip_extensions(arrival, &packet)?;
        self.enter(arrival, &packet)
    }

    /// A datagram of IPv6 that came in fragments: its header becomes that of a packet in one piece,
    /// and the rest of its chain of headers is read.
    pub(super) fn on_reassembled_v6(
        &mut self,
        arrival: Arrival,
        packet: &IpPacket<'_>,
    ) -> Result<(), DropReason> {
        let mut header =
            *packet.header.first_chunk::<IPV6_HEADER>().ok_or(DropReason::IpMalformed)?;
        let [high, low] = (packet.payload.len() as u16).to_be_bytes();
        (header[4], header[5], header[6]) = (high, low, packet.protocol);
        let packet = IpPacket { header: &header, extensions: &[], ..*packet };
        let packet = self.skip_extensions(arrival, &packet)?;
        self.deliver(arrival, &packet)
    }

    fn skip_extensions<'a>(
        &mut self,
        arrival: Arrival,
        packet: &IpPacket<'a>,
    ) -> Result<IpPacket<'a>, DropReason> {
        extensions::skip(packet).map_err(|refused| match refused {
            Refused::Dropped(reason) => reason,
            Refused::Problem(problem) => {
                self.report(arrival, packet, Trouble::Problem(problem));
                DropReason::IpExtension
            }
        })
    }

    pub(super) fn on_icmpv6(
        &mut self,
        arrival: Arrival,
        packet: &IpPacket<'_>,
    ) -> Result<(), DropReason> {
        self.counters.icmp_in_msgs += 1;
        if !parse::icmpv6_checksum_ok(packet) {
            return Err(DropReason::IcmpMalformed);
        }
        if icmpv6::is_neighbor_discovery(packet.payload) {
            return self.on_neighbor_discovery(arrival, packet);
        }
        if packet.payload.first() == Some(&message::MLD_QUERY) {
            let query = message::mld_query(packet).ok_or(DropReason::IcmpIgnored)?;
            let groups = &mut self.interfaces.get_mut(arrival.interface).groups;
            groups.on_query(arrival.now, false, &query);
            return Ok(());
        }
        if packet.source.is_unspecified() {
            return Err(DropReason::IpBadSource);
        }
        let message = icmpv6::parse(packet.payload).ok_or(DropReason::IcmpMalformed)?;
        self.on_message(arrival, packet, message)
    }

    /// Not in fragments (RFC 6980 §5), and never from this host itself.
    fn on_neighbor_discovery(
        &mut self,
        arrival: Arrival,
        packet: &IpPacket<'_>,
    ) -> Result<(), DropReason> {
        let Arrival { now, interface, station, .. } = arrival;
        let link = &mut self.interfaces.get_mut(interface).link;
        if arrival.reassembled || station == link.mac {
            return Err(DropReason::NdpIgnored);
        }
        if packet.payload.first() == Some(&advertisement::KIND) {
            return self.on_router_advertisement(arrival, packet);
        }
        let standing = standing(&self.routes, &self.addresses, interface);
        let heard = link.on_ndp(now, standing, packet, station);
        self.after_hearing(now, interface, heard)
    }
}

/// The same for every packet of a flow, and unrelated to that of others (RFC 6437 §3). IPv4 has
/// none.
pub(super) fn flow_label(labels: Secret, flow: &FlowKey) -> Option<NonZeroU32> {
    if flow.remote.address.is_v4() {
        return None;
    }
    NonZeroU32::new((labels.table_hash(&flow.to_bytes()) as u32 & 0xf_ffff).max(1))
}
