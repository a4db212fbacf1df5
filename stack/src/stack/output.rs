//! The way out: from what somebody has to say to a frame. ARP and Neighbor Discovery first, then
//! packets that waited for a neighbour, ICMP, TCP, UDP, echo requests.

use super::fragmentation::{header_of, pieces};
use super::ipv6::flow_label;
use super::{Exit, Message, Stack};
use crate::counters::DropReason;
use crate::link::interface::Vlan;
use crate::link::neighbor::Resolution;
use crate::link::{LinkPacket, ndp};
use crate::net::icmp;
use crate::net::multicast::{Report, message};
use crate::net::route::{By, Hop, HopKind};
use crate::net::routers::Routers;
use crate::store::arena::Key;
use crate::tcp::layer::Departure;
use crate::tcp::segment::Flags;
use crate::tcp::tcb::Tcb;
use crate::time::Instant;
use crate::udp::socket::{Datagram, MtuDiscovery};
use crate::wire::address::{Address, Endpoint, FlowKey, Mac};
use crate::wire::emit::{IpFields, Summing, TcpFields, UDP_HEADER};
use crate::wire::frame::{Gso, RxChecksum, RxFrame};
use crate::wire::interface::InterfaceId;
use crate::wire::parse::{
    ETHERTYPE_ARP, ETHERTYPE_IPV4, ETHERTYPE_IPV6, PROTOCOL_ICMP, PROTOCOL_ICMPV6, PROTOCOL_TCP,
    PROTOCOL_UDP,
};
use core::num::NonZeroU32;

/// Where the payload of the frame whose headers are in `head` lies.
#[derive(Clone, Copy, Debug)]
pub(super) enum Body {
    /// In a connection's send buffer.
    Text { key: Key<Tcb>, offset: usize, len: usize },
    /// In the stack's own buffer.
    Scratch { start: usize, end: usize },
}

/// Longest IP packet that a device cuts, bytes: what the length field of IPv4 can say.
const LONGEST_PACKET: usize = 65_535;

const NO_BODY: Body = Body::Scratch { start: 0, end: 0 };

/// What stands behind the IP header.
#[derive(Clone, Copy)]
enum Transport {
    Tcp {
        flow: FlowKey,
        fields: TcpFields,
        /// Octets of text in each segment of a super-frame.
        size: Option<u16>,
        /// The interface that its socket is bound to.
        only: Option<InterfaceId>,
    },
    Udp {
        flow: FlowKey,
        datagram: Datagram,
    },
    /// The message is whole in the stack's buffer.
    Icmp {
        /// The interface that its socket is bound to.
        only: Option<InterfaceId>,
    },
}

impl Transport {
    /// The one interface that the packet may leave by.
    fn only(&self) -> Option<InterfaceId> {
        match self {
            Transport::Tcp { only, .. } | Transport::Icmp { only } => *only,
            Transport::Udp { datagram, .. } => datagram.only,
        }
    }
}

impl Stack {
    /// Nobody has anything to say: [`Stack::poll_transmit`] would return None. Told from a few
    /// lengths.
    pub fn is_silent(&self) -> bool {
        self.tcp.is_silent()
            && self.udp.is_silent()
            && self.interfaces.is_silent()
            && self.messages.is_empty()
            && self.fragmenting.is_none()
            && self.loopback.is_empty()
            && self.echo.is_silent()
    }

    /// Writes the next frame's headers into `head` and says where its payload is.
    pub(super) fn next_frame(&mut self, now: Instant) -> Option<Body> {
        loop {
            if let Some(body) = self.next_link_frame() {
                return Some(body);
            }
            if let Some(body) = self.next_fragment() {
                return Some(body);
            }
            match self.next_packet(now) {
                Some(Some(body)) => return Some(body),
                // It waits for a neighbour, went to ourselves, or had no way to go.
                Some(None) => {}
                None if self.receive_looped(now) => {}
                None => return None,
            }
        }
    }

    /// What the links have to say, one after the other.
    fn next_link_frame(&mut self) -> Option<Body> {
        self.interfaces.ids().find_map(|interface| self.next_frame_of(interface))
    }

    /// ARP and Neighbor Discovery, and packets whose neighbour has answered. Reports of groups go
    /// first: a switch has to know where the answer to a question goes (RFC 4862 §5.4.2).
    fn next_frame_of(&mut self, interface: InterfaceId) -> Option<Body> {
        while let Some(report) = self.interfaces.get_mut(interface).groups.poll_report() {
            if let Some(body) = self.report_frame(interface, &report) {
                return Some(body);
            }
        }
        let link = &mut self.interfaces.get_mut(interface).link;
        self.counters.replies_dropped += link.take_dropped();
        let (routes, by) = (&self.routes, By::Only(interface));
        let source_for = |target| routes.way_by(by, target).map(|hop| hop.source);
        if let Some((to, packet)) = link.poll(source_for) {
            return Some(self.link_frame(Exit { to, interface }, packet));
        }
        let link = &mut self.interfaces.get_mut(interface).link;
        let (to, packet) = link.neighbors.poll_released()?;
        let is_v6 = packet.first().is_some_and(|first| first >> 4 == 6);
        let ethertype = if is_v6 { ETHERTYPE_IPV6 } else { ETHERTYPE_IPV4 };
        self.start_frame(Exit { to, interface }, ethertype);
        self.body.clear();
        self.body.extend_from_slice(&packet);
        Some(self.whole_body())
    }

    /// What routers are told of a group, from our address on the link (RFC 3810 §5.2.13).
    fn report_frame(&mut self, interface: InterfaceId, report: &Report) -> Option<Body> {
        let source = if report.group.is_v4() {
            self.routes.lookup(By::Only(interface), report.group)?.source
        } else {
            self.routes.link_local(interface).unwrap_or(Address::UNSPECIFIED_V6)
        };
        let (to, packet) = message::packet(report, source)?;
        let ethertype = if to.is_v4() { ETHERTYPE_IPV4 } else { ETHERTYPE_IPV6 };
        self.start_frame(Exit { to: to.group_mac(), interface }, ethertype);
        self.body = packet;
        self.counters.group_reports += 1;
        Some(self.whole_body())
    }

    fn link_frame(&mut self, exit: Exit, packet: LinkPacket) -> Body {
        self.body.clear();
        match packet {
            LinkPacket::Arp(packet) => {
                // Everybody hears what is said for such an address, whoever has it (RFC 3927 §2.5).
                let all = Address::v4(packet.sender).is_link_local_v4();
                let to = Exit { to: if all { Mac::BROADCAST } else { exit.to }, ..exit };
                self.start_frame(to, ETHERTYPE_ARP);
                self.body.extend_from_slice(&packet.to_bytes());
            }
            LinkPacket::Ndp(packet) => {
                self.counters.icmp_out_msgs += 1;
                let flow = FlowKey {
                    local: Endpoint::new(packet.source, 0),
                    remote: Endpoint::new(packet.destination, 0),
                };
                let mut fields = self.ip_fields(flow, PROTOCOL_ICMPV6, ndp::HOP_LIMIT, 0);
                fields.payload_len = packet.message.len();
                self.start_frame(exit, ETHERTYPE_IPV6);
                self.head.ip(&fields);
                self.body.extend_from_slice(&packet.message);
            }
        }
        self.whole_body()
    }

    pub(super) fn start_frame(&mut self, exit: Exit, ethertype: u16) {
        self.head.clear();
        let interface = self.interfaces.get(exit.interface);
        match interface.vlan {
            None => {
                self.head.ethernet(exit.to, interface.link.mac, ethertype);
                self.leaves_by = exit.interface;
            }
            Some(Vlan { parent, tag }) => {
                self.head.tagged(exit.to, interface.link.mac, tag, ethertype);
                self.leaves_by = parent;
            }
        }
    }

    pub(super) fn whole_body(&self) -> Body {
        Body::Scratch { start: 0, end: self.body.len() }
    }

    /// Takes the next packet from whoever has one. The outer None: nobody has. The inner None: it
    /// makes no frame now.
    fn next_packet(&mut self, now: Instant) -> Option<Option<Body>> {
        if let Some(message) = self.messages.pop_front() {
            self.message_bytes -= message.bytes.len();
            return Some(self.send_message(now, message));
        }
        if let Some(departure) = self.tcp.poll_segment(now, &mut self.counters) {
            return Some(self.send_segment(now, departure));
        }
        if let Some(datagram) = self.udp.poll_transmit(&mut self.body) {
            self.counters.udp_out_datagrams += 1;
            let flow = FlowKey { local: datagram.local, remote: datagram.remote };
            let (ttl, tos) = (datagram.ttl, datagram.tos);
            let mut fields = self.ip_fields(flow, PROTOCOL_UDP, ttl, tos);
            fields.dont_fragment = datagram.mtu_discovery != MtuDiscovery::Dont;
            let body = self.whole_body();
            return Some(self.send_packet(now, fields, Transport::Udp { flow, datagram }, body));
        }
        let request = self.echo.poll_transmit(&mut self.body)?;
        let payload = core::mem::take(&mut self.body);
        let hop = self.routes.way_by(By::only(request.only), request.to);
        let Some(Hop { source, .. }) = hop else { return Some(None) };
        let mut bytes = Vec::with_capacity(payload.len() + icmp::HEADER_LEN);
        let (ident, sequence) = (request.ident, request.sequence);
        let question = icmp::Message::EchoRequest { ident, sequence, payload: &payload };
        question.write(source, request.to, &mut bytes);
        let message = Message { source, destination: request.to, bytes };
        let ttl = request.ttl.unwrap_or(self.default_ttl(request.to));
        Some(self.send_icmp(now, message, ttl, request.only))
    }

    fn send_message(&mut self, now: Instant, message: Message) -> Option<Body> {
        let ttl = self.default_ttl(message.destination);
        self.send_icmp(now, message, ttl, None)
    }

    /// Of what no socket has said anything about: routers may (RFC 4861 §6.3.4).
    fn default_ttl(&self, to: Address) -> u8 {
        if to.is_v4() {
            return self.config.ttl;
        }
        let hop = self.routes.way(to);
        let routers = hop.map(|hop| &self.interfaces.get(hop.interface).routers);
        routers.and_then(Routers::hop_limit).unwrap_or(self.config.ttl)
    }

    fn send_icmp(
        &mut self,
        now: Instant,
        message: Message,
        ttl: u8,
        only: Option<InterfaceId>,
    ) -> Option<Body> {
        self.counters.icmp_out_msgs += 1;
        self.body = message.bytes;
        let flow = FlowKey {
            local: Endpoint::new(message.source, 0),
            remote: Endpoint::new(message.destination, 0),
        };
        let protocol = if message.source.is_v4() { PROTOCOL_ICMP } else { PROTOCOL_ICMPV6 };
        let fields = self.ip_fields(flow, protocol, ttl, 0);
        let body = self.whole_body();
        self.send_packet(now, fields, Transport::Icmp { only }, body)
    }

    fn send_segment(&mut self, now: Instant, departure: Departure) -> Option<Body> {
        let (flow, label, fields, marks, (body, size, only)) = match departure {
            Departure::Control(reply) => {
                self.counters.tcp_out_segs += 1;
                if reply.flags.has(Flags::RST) {
                    self.counters.tcp_out_rsts += 1;
                }
                let fields = TcpFields {
                    seq: reply.seq.0,
                    ack: reply.ack.0,
                    flags: reply.flags.0,
                    window: reply.window,
                    options: reply.options,
                };
                let label = flow_label(self.labels, &reply.flow);
                let rest = (NO_BODY, None, reply.only);
                (reply.flow, label, fields, (reply.ttl, reply.tos), rest)
            }
            Departure::Live(key, segment) => {
                if !segment.again {
                    self.counters.tcp_out_segs += u64::from(segment.segments());
                }
                let tcb = self.tcp.get_mut(key)?;
                // Hashing is dear beside the rest of a header, and the label never changes.
                tcb.flow_label = tcb.flow_label.or_else(|| flow_label(self.labels, &tcb.flow));
                let marks = (tcb.options.ttl, tcb.options.tos | segment.ecn.bits());
                let body = Body::Text { key, offset: segment.offset, len: segment.len };
                let rest = (body, segment.size, tcb.options.interface);
                (tcb.flow, tcb.flow_label, segment.fields, marks, rest)
            }
        };
        let mut ip = self.labelled_fields(flow, label, PROTOCOL_TCP, marks);
        // Segments fit the MTU, and say so, that a path may tell when it is smaller (RFC 1191).
        ip.dont_fragment = true;
        ip.id = 0;
        self.send_packet(now, ip, Transport::Tcp { flow, fields, size, only }, body)
    }

    fn ip_fields(&mut self, flow: FlowKey, protocol: u8, ttl: u8, tos: u8) -> IpFields {
        self.labelled_fields(flow, flow_label(self.labels, &flow), protocol, (ttl, tos))
    }

    fn labelled_fields(
        &mut self,
        flow: FlowKey,
        label: Option<NonZeroU32>,
        protocol: u8,
        (ttl, tos): (u8, u8),
    ) -> IpFields {
        IpFields {
            source: flow.local.address,
            destination: flow.remote.address,
            protocol,
            ttl,
            tos,
            flow_label: label.map_or(0, NonZeroU32::get),
            // Unpredictable, and unrelated between destinations (THREATS X-4). Segments, which
            // are never cut up, carry none.
            id: if protocol == PROTOCOL_TCP { 0 } else { self.random.next_u32() },
            dont_fragment: false,
            more_fragments: false,
            fragment_offset: 0,
            payload_len: 0,
        }
    }

    /// Finds the way and writes the frame, or makes the packet wait, go round, or end here.
    fn send_packet(
        &mut self,
        now: Instant,
        mut ip: IpFields,
        transport: Transport,
        body: Body,
    ) -> Option<Body> {
        self.counters.ip_out_requests += 1;
        // What an address had still to say when it was lost (RFC 4862 §5.5.4).
        let from = self.routes.interface_of(ip.source);
        if from.is_none() && !self.answers_for(ip.source) && !ip.source.is_unspecified() {
            self.counters.ip_out_discards += 1;
            return None;
        }
        let by = transport.only().map_or(By::rather(from), By::Only);
        let Some(hop) = self.routes.lookup(by, ip.destination) else {
            self.counters.ip_out_no_routes += 1;
            return None;
        };
        if self.interfaces.len() > 1 {
            self.note_exit(&transport, body, hop.interface);
        }
        ip.payload_len = transport_len(&transport) + self.body_len(body);
        let mtu = self.packet_mtu(now, hop.interface, ip.destination, &transport);
        let is_long = ip.header_len() + ip.payload_len > mtu && hop.kind != HopKind::Loopback;
        if is_long && !self.may_cut(&mut ip, &transport) {
            return None;
        }
        let to = self.station(now, &hop, mtu, (&ip, &transport, body))?;
        let exit = Exit { to, interface: hop.interface };
        let gso = match transport {
            Transport::Tcp { size, .. } => size.map(|segment| Gso { segment }),
            _ => None,
        };
        if ip.header_len() + ip.payload_len > mtu && gso.is_none() {
            let packet = self.packet_bytes(&ip, &transport, body);
            return self.begin_fragments(packet, (ip, exit), mtu);
        }
        let (body, gso) = match transport {
            Transport::Udp { datagram, .. } if self.may_join(hop.kind) => {
                self.join_datagrams(&mut ip, &datagram)
            }
            _ => (self.gathered(body), gso),
        };
        // Nobody can sum a super-frame before it is cut.
        let device_sums = self.interfaces.get(hop.interface).device_checksums;
        let summing = Summing::by_device(device_sums || gso.is_some());
        self.start_frame(exit, ip.ethertype());
        self.write_headers(&ip, &transport, body, summing);
        self.head.gso = gso;
        Some(body)
    }

    /// A connection knows its link: time-outs mean nothing while that is down.
    fn note_exit(&mut self, transport: &Transport, body: Body, interface: InterfaceId) {
        if let (Transport::Tcp { .. }, Body::Text { key, .. }) = (transport, body)
            && let Some(tcb) = self.tcp.get_mut(key)
        {
            tcb.interface = interface;
        }
    }

    /// The station that the packet's frame goes to; None: it waits, goes round, or ends here.
    fn station(
        &mut self,
        now: Instant,
        hop: &Hop,
        mtu: usize,
        (ip, transport, body): (&IpFields, &Transport, Body),
    ) -> Option<Mac> {
        match hop.kind {
            HopKind::Loopback => {
                for (ip, transport, body) in packets(*ip, *transport, body) {
                    self.loop_back(hop.interface, &ip, &transport, body);
                }
                None
            }
            HopKind::Broadcast => Some(Mac::BROADCAST),
            HopKind::Multicast => self.leave_for_group(hop.interface, ip, transport, body),
            HopKind::Direct | HopKind::Gateway => {
                let neighbors = &mut self.interfaces.get_mut(hop.interface).link.neighbors;
                match neighbors.resolve(now, hop.next_hop) {
                    Resolution::Known(mac) => Some(mac),
                    Resolution::Pending => {
                        for (ip, transport, body) in packets(*ip, *transport, body) {
                            self.hold(hop, mtu, &ip, &transport, body);
                        }
                        None
                    }
                    Resolution::Failed => {
                        self.counters.ip_out_discards += 1;
                        let packet = self.packet_bytes(ip, transport, body);
                        self.report_undeliverable(now, &packet);
                        None
                    }
                }
            }
        }
    }

    /// A packet longer than what goes in one piece: nobody else may cut what is cut here. False: it
    /// may not be cut at all, for the path has become narrower since it was taken.
    fn may_cut(&mut self, ip: &mut IpFields, transport: &Transport) -> bool {
        if let Transport::Udp { flow, datagram } = transport
            && datagram.mtu_discovery.forbids_cuts()
        {
            self.counters.ip_frag_fails += 1;
            let here = self.home(flow.local);
            self.udp.on_too_long(here, flow.local, flow.remote);
            return false;
        }
        ip.dont_fragment &= matches!(transport, Transport::Tcp { .. });
        true
    }

    /// The longest packet that goes in one piece: what the path carries, as far as is known. Of a
    /// segment its connection knows better, and who asks the path himself is let.
    fn packet_mtu(
        &self,
        now: Instant,
        interface: InterfaceId,
        destination: Address,
        transport: &Transport,
    ) -> usize {
        let link = self.tcp.links.mtu(interface).to(destination);
        match transport {
            Transport::Tcp { .. } => link,
            Transport::Udp { datagram, .. } if datagram.mtu_discovery == MtuDiscovery::Probe => {
                link
            }
            Transport::Udp { .. } | Transport::Icmp { .. } => {
                self.tcp.paths.mtu(now, destination, link)
            }
        }
    }

    /// What follows `first` on the same way goes along in its frame, for the device to cut.
    fn join_datagrams(&mut self, ip: &mut IpFields, first: &Datagram) -> (Body, Option<Gso>) {
        let (size, most) = (self.body.len(), LONGEST_PACKET - ip.header_len() - UDP_HEADER);
        let joined = self.udp.join(first, &mut self.body, most);
        ip.payload_len = UDP_HEADER + self.body.len();
        self.counters.udp_out_datagrams += joined as u64;
        self.counters.ip_out_requests += joined as u64;
        // It fits the MTU.
        let gso = (joined > 0).then_some(Gso { segment: size as u16 });
        (self.whole_body(), gso)
    }

    /// A frame's payload lies in two places at most: text that lies in more is brought together.
    fn gathered(&mut self, body: Body) -> Body {
        if let Body::Text { key, offset, len } = body
            && let Some(tcb) = self.tcp.get(key)
            && tcb.snd.is_scattered(offset, len)
        {
            self.body.clear();
            tcb.snd.runs(offset, len).for_each(|run| self.body.extend_from_slice(run));
            return self.whole_body();
        }
        body
    }

    fn body_len(&self, body: Body) -> usize {
        match body {
            Body::Text { len, .. } => len,
            Body::Scratch { start, end } => end - start,
        }
    }

    /// IP and transport header, with checksums over `body`.
    fn write_headers(
        &mut self,
        ip: &IpFields,
        transport: &Transport,
        body: Body,
        summing: Summing,
    ) {
        let text = match body {
            Body::Text { key, offset, len } => self.tcp.text(key, offset, len).unwrap_or_default(),
            Body::Scratch { start, end } => [self.body.get(start..end).unwrap_or(&[]), &[][..]],
        };
        self.head.ip(ip);
        match transport {
            Transport::Tcp { flow, fields, .. } => self.head.tcp(flow, fields, text, summing),
            Transport::Udp { flow, .. } => self.head.udp(flow, text, summing),
            Transport::Icmp { .. } => {}
        }
    }

    /// The packet in one piece, without a link header.
    fn packet_bytes(&mut self, ip: &IpFields, transport: &Transport, body: Body) -> Vec<u8> {
        let body = self.gathered(body);
        self.head.clear();
        self.write_headers(ip, transport, body, Summing::Here);
        let mut bytes = self.head.as_slice().to_vec();
        match body {
            Body::Text { key, offset, len } => {
                let text = self.tcp.text(key, offset, len).unwrap_or_default();
                text.iter().for_each(|part| bytes.extend_from_slice(part));
            }
            Body::Scratch { start, end } => {
                bytes.extend_from_slice(self.body.get(start..end).unwrap_or(&[]));
            }
        }
        bytes
    }

    /// The neighbour is being asked for: the packet waits, as long as there is room.
    fn hold(&mut self, hop: &Hop, mtu: usize, ip: &IpFields, transport: &Transport, body: Body) {
        let packet = self.packet_bytes(ip, transport, body);
        if packet.len() <= mtu {
            self.hold_one(hop, packet);
            return;
        }
        let payload = packet.get(ip.header_len()..).unwrap_or(&[]).to_vec();
        for piece in pieces(ip, payload.len(), mtu) {
            let fields = header_of(piece, ip);
            self.counters.ip_frag_creates += 1;
            self.head.clear();
            self.head.ip(&fields);
            let mut bytes = self.head.as_slice().to_vec();
            let text = payload.get(piece.offset..piece.offset + piece.len).unwrap_or(&[]);
            bytes.extend_from_slice(text);
            self.hold_one(hop, bytes);
        }
    }

    fn hold_one(&mut self, hop: &Hop, packet: Vec<u8>) {
        let neighbors = &mut self.interfaces.get_mut(hop.interface).link.neighbors;
        self.counters.ip_out_discards += neighbors.hold(hop.next_hop, packet.into_boxed_slice());
    }

    /// What goes to members here, too, goes by itself.
    fn may_join(&self, kind: HopKind) -> bool {
        self.config.device_cuts_datagrams && kind != HopKind::Multicast
    }

    /// The station that a packet for a group goes to; None: with no hops it does not leave. Members
    /// here get a copy, unless the sender does not want that.
    fn leave_for_group(
        &mut self,
        interface: InterfaceId,
        ip: &IpFields,
        transport: &Transport,
        body: Body,
    ) -> Option<Mac> {
        if let Transport::Udp { datagram, .. } = transport
            && datagram.loops
            && self.interfaces.get(interface).groups.contains(ip.destination)
        {
            self.loop_back(interface, ip, transport, body);
        }
        (ip.ttl > 0).then(|| ip.destination.group_mac())
    }

    /// The packet is for this host: it comes back in, bounded, when everything else is said.
    fn loop_back(
        &mut self,
        interface: InterfaceId,
        ip: &IpFields,
        transport: &Transport,
        body: Body,
    ) {
        let mut frame = Vec::new();
        let mac = self.interfaces.get(interface).link.mac;
        self.head.clear();
        self.head.ethernet(mac, mac, ip.ethertype());
        frame.extend_from_slice(self.head.as_slice());
        frame.extend_from_slice(&self.packet_bytes(ip, transport, body));
        if self.loopback_bytes + frame.len() > self.config.loopback_max {
            self.counters.frames_in += 1;
            self.counters.drops.count(DropReason::Loopback);
            return;
        }
        self.loopback_bytes += frame.len();
        self.loopback.push_back((interface, frame));
    }

    /// Takes one frame that this host sent to itself. False when there is none.
    fn receive_looped(&mut self, now: Instant) -> bool {
        let Some((interface, bytes)) = self.loopback.pop_front() else { return false };
        self.loopback_bytes -= bytes.len();
        self.counters.frames_in += 1;
        let frame = RxFrame { bytes: &bytes, checksum: RxChecksum::Verified, gso: None };
        let ended = self.take_frame(now, interface, frame, true);
        self.count(ended);
        true
    }
}

/// The packets that a super-frame stands for; any other packet is one itself. For whoever is not
/// the device.
fn packets(
    ip: IpFields,
    transport: Transport,
    body: Body,
) -> impl Iterator<Item = (IpFields, Transport, Body)> {
    let (size, end) = match (transport, body) {
        (Transport::Tcp { size: Some(size), .. }, Body::Text { len, .. }) => (size.into(), len),
        _ => (usize::MAX, 0),
    };
    (0..end.max(1)).step_by(size).map(move |at| {
        let (mut ip, mut transport, mut body) = (ip, transport, body);
        if let (Transport::Tcp { fields, size, .. }, Body::Text { offset, len, .. }) =
            (&mut transport, &mut body)
            && let Some(most) = size.take()
        {
            *offset += at;
            *len = (*len - at).min(most.into());
            fields.seq = fields.seq.wrapping_add(at as u32);
            if at + *len < end {
                // The end, and the push, are those of the last.
                fields.flags = Flags(fields.flags).without(Flags::FIN.with(Flags::PSH)).0;
            }
            if at > 0 {
                // The sender's reduction is told once (RFC 3168 §6.1.2).
                fields.flags = Flags(fields.flags).without(Flags::CWR).0;
            }
            ip.payload_len = ip.payload_len - end + *len;
        }
        (ip, transport, body)
    })
}

fn transport_len(transport: &Transport) -> usize {
    match transport {
        Transport::Tcp { fields, .. } => crate::wire::emit::TCP_HEADER + fields.options.len(),
        Transport::Udp { .. } => UDP_HEADER,
        Transport::Icmp { .. } => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::options::Options;

    /// What the device would cut, others are given cut: the same text once, in order.
    #[test]
    fn a_super_frame_is_many_packets_to_everybody_but_the_device() {
        let end = |port| Endpoint::new(Address::v4([192, 0, 2, 1]), port);
        let flow = FlowKey { local: end(1), remote: end(2) };
        let flags = Flags::ACK.with(Flags::PSH).with(Flags::FIN).with(Flags::CWR);
        let (seq, ack, window, options) = (u32::MAX - 999, 7, 5, Options::default());
        let fields = TcpFields { seq, ack, flags: flags.0, window, options };
        let ip = IpFields {
            source: flow.local.address,
            destination: flow.remote.address,
            protocol: PROTOCOL_TCP,
            ttl: 64,
            tos: 0,
            flow_label: 0,
            id: 0,
            dont_fragment: true,
            more_fragments: false,
            fragment_offset: 0,
            payload_len: 20 + 2500,
        };
        let body = Body::Text { key: Key::from_bits(0), offset: 100, len: 2500 };
        let all = |size| {
            packets(ip, Transport::Tcp { flow, fields, size, only: None }, body)
                .map(|(ip, transport, body)| match (transport, body) {
                    (Transport::Tcp { fields, size, .. }, Body::Text { offset, len, .. }) => {
                        (fields.seq, fields.flags, ip.payload_len, offset, len, size)
                    }
                    _ => panic!("not a segment"),
                })
                .collect::<Vec<_>>()
        };
        assert_eq!(all(None), [(seq, flags.0, 2520, 100, 2500, None)]);
        let ack = Flags::ACK;
        let cut = [
            (seq, ack.with(Flags::CWR).0, 1020, 100, 1000, None),
            (0, ack.0, 1020, 1100, 1000, None),
            (1000, flags.without(Flags::CWR).0, 520, 2100, 500, None),
        ];
        assert_eq!(all(Some(1000)), cut);
    }
}
