//! Packets that come in pieces.

use super::Stack;
use super::input::{Arrival, QUOTE_MAX, Trouble};
use crate::counters::DropReason;
use crate::net::fragment::{Expired, FragmentKey, Head, Insert, Whole};
use crate::net::icmp::{self, About, Message};
use crate::time::Instant;
use crate::wire::frame::RxChecksum;
use crate::wire::parse::IpPacket;

impl Stack {
    pub(super) fn on_fragment(
        &mut self,
        arrival: Arrival,
        packet: &IpPacket<'_>,
    ) -> Result<(), DropReason> {
        let Some(fragment) = packet.fragment else { return Err(DropReason::IpFragment) };
        self.counters.ip_reasm_reqds += 1;
        let key = FragmentKey {
            src: packet.source,
            dst: packet.destination,
            id: fragment.id,
            protocol: packet.source.is_v4().then_some(packet.protocol),
        };
        let (offset, more) = (fragment.offset, fragment.more);
        let header = [packet.header, packet.extensions].concat();
        let (protocol, link_group) = (packet.protocol, arrival.link_group);
        let head = Head { bytes: &header, protocol, link_group };
        let ended = self.reassembler.insert(arrival.now, key, offset, more, head, packet.payload);
        self.counters.ip_reasm_evicted = self.reassembler.evicted();
        match ended {
            Insert::Held => Ok(()),
            Insert::Dropped(reason) => {
                self.counters.ip_reasm_fails += 1;
                if let Some(problem) = super::ipv6::fragment_problem(packet, reason) {
                    self.report(arrival, packet, Trouble::Problem(problem));
                }
                Err(DropReason::IpFragment)
            }
            Insert::Complete(Whole { header, protocol, payload, ecn, link_group }) => {
                self.counters.ip_reasm_oks += 1;
                // A device sees fragments: of their sum it knows nothing.
                let checksum = RxChecksum::Unverified;
                let arrival = Arrival { checksum, link_group, reassembled: true, ..arrival };
                let is_v4 = packet.source.is_v4();
                // What is said of the packet the first piece says (RFC 791 §3.2, RFC 8200 §4.5).
                let ttl = header.get(if is_v4 { 8 } else { 7 }).copied().unwrap_or_default();
                let (header, extensions, payload) = (&header[..], &[][..], &payload[..]);
                let (source, destination, fragment) = (packet.source, packet.destination, None);
                let whole = IpPacket {
                    source,
                    destination,
                    protocol,
                    ttl,
                    ecn,
                    fragment,
                    header,
                    extensions,
                    payload,
                };
                if is_v4 {
                    self.deliver(arrival, &whole)
                } else {
                    self.on_reassembled_v6(arrival, &whole)
                }
            }
        }
    }

    /// Datagrams whose fragments did not all come in time (RFC 1122 §3.3.2).
    pub(super) fn report_expired_fragments(&mut self, now: Instant) {
        while let Some(expired) = self.reassembler.poll_expired() {
            self.counters.ip_reasm_fails += 1;
            if !self.answers()
                || !self.may_report_expiry(&expired)
                || !self.limiter.allow(now, expired.src)
            {
                continue;
            }
            let Some((head, payload)) = expired.first() else { continue };
            let parts = head.bytes.iter().chain(payload);
            let original: &[u8] = &parts.take(QUOTE_MAX).copied().collect::<Vec<u8>>();
            let message = Message::TimeExceeded { reassembly: true, original };
            self.say(expired.dst, expired.src, &message, original.len());
        }
    }

    /// Whether the rules of RFC 1122 §3.2.2 let us report that the rest of a datagram did not come.
    fn may_report_expiry(&self, expired: &Expired) -> bool {
        let Some((head, payload)) = expired.first() else { return false };
        let about = About {
            source: expired.src,
            source_is_broadcast: self.routes.is_broadcast(expired.src),
            destination: expired.dst,
            destination_is_broadcast: self.routes.is_broadcast(expired.dst),
            link_group: head.link_group,
            of_groups_too: false,
            fragment_offset: 0,
            protocol: head.protocol,
            payload,
        };
        self.routes.is_own(expired.dst) && icmp::may_report(&about)
    }
}
