//! The way in: from a frame to the socket it is for. Every frame ends in exactly one counter
//! (law 7).

use super::{Message as Outgoing, Stack, forward};
use crate::counters::DropReason;
use crate::link::Standing;
use crate::net::addresses::AddressTable;
use crate::net::icmp::{self, About, Message, Quoted, Unreachable};
use crate::net::multicast::message;
use crate::net::pmtu::PathMtu;
use crate::net::route::{By, RouteTable};
use crate::store::arena::Key;
use crate::tcp::error::TcpError;
use crate::tcp::segment::Segment;
use crate::tcp::seq::Seq;
use crate::time::Instant;
use crate::udp::echo::{EchoAnswer, EchoReplyKind};
use crate::udp::error::{NetworkError, NetworkErrorKind};
use crate::udp::socket::{Arrived, UdpSocket};
use crate::wire::address::{Address, Endpoint, FlowKey, Mac};
use crate::wire::ecn::Codepoint;
use crate::wire::extensions::Problem;
use crate::wire::frame::{Gso, RxChecksum, RxFrame};
use crate::wire::interface::InterfaceId;
use crate::wire::parse::{self, IpPacket};

/// How a packet came: what the transport layers must know of the link.
#[derive(Clone, Copy)]
pub(super) struct Arrival {
    pub(super) now: Instant,
    pub(super) checksum: RxChecksum,
    /// It stands for several packets.
    pub(super) gso: Option<Gso>,
    /// Where the frame came in.
    pub(super) interface: InterfaceId,
    /// Who sent the frame.
    pub(super) station: Mac,
    /// The frame was for a group of stations.
    pub(super) link_group: bool,
    /// It came in fragments.
    pub(super) reassembled: bool,
    /// It never left this host.
    pub(super) looped: bool,
}

/// What is wrong with a packet that cannot be delivered.
#[derive(Clone, Copy)]
pub(super) enum Trouble {
    Unreachable(Unreachable),
    Problem(Problem),
}

/// What a link is told of our addresses: only of those that are on it.
pub(super) fn standing(
    routes: &RouteTable,
    addresses: &AddressTable,
    interface: InterfaceId,
) -> impl Fn(Address) -> Standing {
    move |address| match () {
        () if routes.interface_of(address) == Some(interface) => Standing::Own,
        () if addresses.tentative_on(address) == Some(interface) => Standing::Tentative,
        () => Standing::Other,
    }
}

/// Bytes of a packet that an error about it may quote, before ICMP cuts them to its measure.
pub(super) const QUOTE_MAX: usize = 1280;

impl Stack {
    /// A frame arrived at the first interface. It changes state and marks who has something to say,
    /// no more.
    pub fn receive(&mut self, now: Instant, frame: RxFrame<'_>) {
        self.receive_on(now, InterfaceId::FIRST, frame);
    }

    /// A frame arrived at the device of this interface; if it has a tag it is for a VLAN there.
    pub fn receive_on(&mut self, now: Instant, interface: InterfaceId, frame: RxFrame<'_>) {
        self.counters.frames_in += 1;
        let ended = match self.interfaces.has_device(interface) {
            true => self.take_frame(now, interface, frame, false),
            false => Err(DropReason::NoInterface),
        };
        self.count(ended);
    }

    pub(super) fn count(&mut self, ended: Result<(), DropReason>) {
        match ended {
            Ok(()) => self.counters.frames_delivered += 1,
            Err(reason) => self.counters.drops.count(reason),
        }
    }

    pub(super) fn take_frame(
        &mut self,
        now: Instant,
        interface: InterfaceId,
        frame: RxFrame<'_>,
        looped: bool,
    ) -> Result<(), DropReason> {
        let (interface, ethernet) = self.untag(interface, parse::ethernet(frame.bytes)?)?;
        let to = ethernet.destination;
        if to != self.interfaces.get(interface).link.mac && !to.is_multicast() {
            return Err(DropReason::NotOurMac);
        }
        let (station, link_group, reassembled) = (ethernet.source, to.is_multicast(), false);
        let RxFrame { checksum, gso, .. } = frame;
        let arrival =
            Arrival { now, checksum, gso, interface, station, link_group, reassembled, looped };
        match ethernet.ethertype {
            parse::ETHERTYPE_IPV4 => self.on_ipv4(arrival, ethernet.payload),
            parse::ETHERTYPE_IPV6 => self.on_ipv6(arrival, ethernet.payload),
            parse::ETHERTYPE_ARP => self.on_arp(arrival, ethernet.payload),
            _ => Err(DropReason::EtherType),
        }
    }

    fn on_arp(&mut self, arrival: Arrival, payload: &[u8]) -> Result<(), DropReason> {
        let Arrival { now, interface, .. } = arrival;
        let link = &mut self.interfaces.get_mut(interface).link;
        if arrival.station == link.mac {
            return Err(DropReason::ArpIgnored);
        }
        if self.tcp.part.is_some_and(|part| !part.takes_arp(payload)) {
            return Err(DropReason::OtherPart);
        }
        let heard = link.on_arp(now, standing(&self.routes, &self.addresses, interface), payload);
        self.after_hearing(now, interface, heard)
    }

    fn on_ipv4(&mut self, arrival: Arrival, bytes: &[u8]) -> Result<(), DropReason> {
        self.counters.ip_in_receives += 1;
        let packet = parse::ipv4(bytes)?;
        self.admit(arrival, &packet)?;
        self.enter(arrival, &packet)
    }

    /// RFC 1122 §3.2.1: is it for us, and may it be from whom it says?
    pub(super) fn admit(
        &mut self,
        arrival: Arrival,
        packet: &IpPacket<'_>,
    ) -> Result<(), DropReason> {
        self.count_ecn(packet.ecn);
        let (source, to) = (packet.source, packet.destination);
        if !arrival.looped {
            let own = self.routes.is_own(source) || self.routes.is_broadcast(source);
            // Who has no address yet may ask for one (RFC 4862 §5.4.2, RFC 1122 §3.2.1.3), and no
            // more.
            let nameless = match packet.protocol {
                parse::PROTOCOL_ICMPV6 => source == Address::UNSPECIFIED_V6 && to.is_multicast(),
                parse::PROTOCOL_UDP => {
                    source == Address::UNSPECIFIED_V4 && to.is_limited_broadcast()
                }
                // So may a switch that has none, who is in which group (RFC 4541 §2.1.1).
                parse::PROTOCOL_IGMP => source == Address::UNSPECIFIED_V4 && to.is_multicast(),
                _ => false,
            };
            if !(source.is_valid_source() || nameless) || own || source == to {
                return Err(DropReason::IpBadSource);
            }
            if to.is_loopback() {
                return Err(DropReason::IpNotForUs);
            }
        }
        let (routes, here) = (&self.routes, arrival.interface);
        let groups = &self.interfaces.get(here).groups;
        let ours = match routes.interface_of(to) {
            // What is of one link is nothing on another (RFC 4291 §2.5.6).
            Some(interface) => interface == here || !to.is_link_local(),
            None if to.is_multicast() => routes.is_group(here, to) || groups.contains(to),
            None => self.answers_for(to) || routes.is_broadcast(to),
        };
        if !ours {
            return Err(DropReason::IpNotForUs);
        }
        let unwanted = packet.protocol == parse::PROTOCOL_UDP && !groups.admit(to, source);
        if unwanted { Err(DropReason::GroupSource) } else { Ok(()) }
    }

    /// A packet for this host, or a fragment of one.
    pub(super) fn enter(
        &mut self,
        arrival: Arrival,
        packet: &IpPacket<'_>,
    ) -> Result<(), DropReason> {
        let has_segments = matches!(packet.protocol, parse::PROTOCOL_TCP | parse::PROTOCOL_UDP);
        match packet.fragment {
            fragment if arrival.gso.is_some() && (fragment.is_some() || !has_segments) => {
                Err(DropReason::SuperFrame)
            }
            None => self.deliver(arrival, packet),
            Some(_) => self.on_fragment(arrival, packet),
        }
    }

    fn count_ecn(&mut self, ecn: Codepoint) {
        let counters = &mut self.counters;
        *match ecn {
            Codepoint::NotEct => &mut counters.ip_in_no_ect_pkts,
            Codepoint::Ect1 => &mut counters.ip_in_ect1_pkts,
            Codepoint::Ect0 => &mut counters.ip_in_ect0_pkts,
            Codepoint::Ce => &mut counters.ip_in_ce_pkts,
        } += 1;
    }

    /// A whole packet for this host.
    pub(super) fn deliver(
        &mut self,
        arrival: Arrival,
        packet: &IpPacket<'_>,
    ) -> Result<(), DropReason> {
        if self.stands_for(packet.destination) && !forward::is_taken_in(packet) {
            return Err(DropReason::IpNotForUs);
        }
        if !arrival.looped && self.tcp.part.is_some_and(|part| !part.takes(packet)) {
            return Err(DropReason::OtherPart);
        }
        self.counters.ip_in_delivers += 1;
        match packet.protocol {
            parse::PROTOCOL_TCP => self.on_tcp(arrival, packet),
            parse::PROTOCOL_UDP => self.on_udp(arrival, packet),
            parse::PROTOCOL_ICMP => self.on_icmp(arrival, packet),
            parse::PROTOCOL_IGMP if packet.source.is_v4() => self.on_igmp(arrival, packet),
            parse::PROTOCOL_ICMPV6 if !packet.source.is_v4() => self.on_icmpv6(arrival, packet),
            _ => {
                self.report(arrival, packet, Trouble::Unreachable(Unreachable::Protocol));
                Err(DropReason::IpProtocol)
            }
        }
    }

    fn on_tcp(&mut self, arrival: Arrival, packet: &IpPacket<'_>) -> Result<(), DropReason> {
        self.counters.tcp_in_segs += 1;
        let header = parse::tcp(packet, arrival.checksum)?;
        // MUST-57: a SYN to a group is silently dropped; so is all else.
        let group = arrival.link_group || !self.answers_for(packet.destination);
        if group || header.source_port == 0 || header.destination_port == 0 {
            return Err(DropReason::TcpBadAddress);
        }
        let flow = FlowKey {
            local: Endpoint::new(packet.destination, header.destination_port),
            remote: Endpoint::new(packet.source, header.source_port),
        };
        let segment = Segment::new(&header, arrival.gso.map(|gso| gso.segment));
        self.counters.tcp_in_segs += u64::from(segment.count() - 1);
        self.tcp.interface = arrival.interface;
        let dropped = self.tcp.receive(arrival.now, &mut self.counters, flow, segment);
        if let Some(remote) = self.tcp.take_reached()
            && let Some(hop) = self.routes.lookup(By::Rather(arrival.interface), remote)
        {
            let link = &mut self.interfaces.get_mut(hop.interface).link;
            link.neighbors.confirm(arrival.now, hop.next_hop);
        }
        dropped.map_or(Ok(()), Err)
    }

    fn on_udp(&mut self, arrival: Arrival, packet: &IpPacket<'_>) -> Result<(), DropReason> {
        let header = parse::udp(packet, arrival.checksum)?;
        let local = Endpoint::new(packet.destination, header.destination_port);
        let remote = Endpoint::new(packet.source, header.source_port);
        // What is for many hosts is for many sockets, too.
        let many = !self.answers_for(packet.destination);
        // RFC 1122 §3.3.6: by a frame for many no datagram comes that is for one.
        if arrival.link_group && !many {
            return Err(DropReason::UdpBadAddress);
        }
        let (from, to, interface) = (remote, local.address, arrival.interface);
        let how = Arrived { from, to, ttl: packet.ttl, tos: packet.tos(), interface };
        let (mut taken, mut is_unwanted) = (None, false);
        for n in 0.. {
            let next = match many {
                true => self.udp.nth(interface, local, n),
                false => self.udp.find(interface, local, remote),
            };
            let Some(key) = next else { break };
            if many && !self.udp.admits(key, interface, to, from) {
                is_unwanted = true;
                continue;
            }
            let took = self.give(key, how, header.payload, arrival.gso);
            taken = Some(took || taken == Some(true));
            if !many {
                break;
            }
        }
        match taken {
            Some(true) => Ok(()),
            Some(false) => Err(DropReason::UdpBufferFull),
            None if is_unwanted => Err(DropReason::GroupSource),
            None => {
                self.counters.udp_no_ports += 1;
                self.report(arrival, packet, Trouble::Unreachable(Unreachable::Port));
                Err(DropReason::UdpNoPort)
            }
        }
    }

    /// Gives a socket the datagrams of a frame; false if its buffer was full at the end.
    fn give(
        &mut self,
        key: Key<UdpSocket>,
        how: Arrived,
        payload: &[u8],
        gso: Option<Gso>,
    ) -> bool {
        // A super-frame ends as its last datagram does.
        let size = gso.map_or(usize::MAX, |gso| gso.segment.max(1).into());
        let mut rest = payload;
        loop {
            let (datagram, behind) = rest.split_at(size.min(rest.len()));
            let taken = self.udp.deliver(key, how, datagram);
            *if taken {
                &mut self.counters.udp_in_datagrams
            } else {
                &mut self.counters.udp_rcvbuf_errors
            } += 1;
            if behind.is_empty() {
                return taken;
            }
            rest = behind;
        }
    }

    /// RFC 3376 §5.2.
    fn on_igmp(&mut self, arrival: Arrival, packet: &IpPacket<'_>) -> Result<(), DropReason> {
        let query = message::igmp_query(packet).ok_or(DropReason::IgmpIgnored)?;
        let groups = &mut self.interfaces.get_mut(arrival.interface).groups;
        groups.on_query(arrival.now, true, &query);
        Ok(())
    }

    fn on_icmp(&mut self, arrival: Arrival, packet: &IpPacket<'_>) -> Result<(), DropReason> {
        self.counters.icmp_in_msgs += 1;
        let message = Message::parse(packet.payload).map_err(|_| DropReason::IcmpMalformed)?;
        self.on_message(arrival, packet, message)
    }

    /// An ICMP message of either version.
    pub(super) fn on_message(
        &mut self,
        arrival: Arrival,
        packet: &IpPacket<'_>,
        message: Message<'_>,
    ) -> Result<(), DropReason> {
        match message {
            Message::EchoRequest { ident, sequence, payload } => {
                self.on_echo_request(arrival, packet, ident, sequence, payload)
            }
            Message::EchoReply { ident, sequence, payload } => {
                let (echo, kind) = ((ident, sequence), EchoReplyKind::Reply);
                self.answer_echo(arrival.now, packet, packet.source, echo, kind, payload)
            }
            Message::Unreachable { reason, original } => {
                self.on_unreachable(arrival.now, packet, reason, original)
            }
            Message::TimeExceeded { original, .. } => {
                self.on_time_exceeded(arrival.now, packet, original)
            }
            Message::ParameterProblem { code, pointer, original } => {
                self.on_parameter_problem(arrival.now, packet, (code, pointer), original)
            }
            Message::Ignored { .. } => Err(DropReason::IcmpIgnored),
        }
    }

    /// RFC 1122 §3.2.2.6, RFC 4443 §4.2; requests to groups are ignored (THREATS N-10).
    fn on_echo_request(
        &mut self,
        arrival: Arrival,
        packet: &IpPacket<'_>,
        ident: u16,
        sequence: u16,
        payload: &[u8],
    ) -> Result<(), DropReason> {
        if arrival.link_group || !self.routes.is_local(packet.destination) {
            return Err(DropReason::IcmpIgnored);
        }
        self.counters.icmp_in_echos += 1;
        let reply = Message::EchoReply { ident, sequence, payload };
        self.say(packet.destination, packet.source, &reply, payload.len());
        Ok(())
    }

    /// Queues an ICMP message with `len` bytes behind its header.
    pub(super) fn say(
        &mut self,
        source: Address,
        destination: Address,
        message: &Message<'_>,
        len: usize,
    ) {
        let mut bytes = Vec::with_capacity(len + icmp::HEADER_LEN);
        message.write(source, destination, &mut bytes);
        self.queue_message(Outgoing { source, destination, bytes });
    }

    fn answer_echo(
        &mut self,
        now: Instant,
        packet: &IpPacket<'_>,
        to: Address,
        (ident, sequence): (u16, u16),
        kind: EchoReplyKind,
        payload: &[u8],
    ) -> Result<(), DropReason> {
        let answer = EchoAnswer { from: packet.source, to, sequence, ttl: packet.ttl, kind };
        let taken = self.echo.deliver(now, ident, answer, payload);
        if taken { Ok(()) } else { Err(DropReason::IcmpIgnored) }
    }

    /// MUST-54: an error goes to the socket that its quoted packet names, and to no other.
    fn on_unreachable(
        &mut self,
        now: Instant,
        packet: &IpPacket<'_>,
        reason: Unreachable,
        original: &[u8],
    ) -> Result<(), DropReason> {
        let quoted = self.quoted(packet, original)?;
        let FlowKey { local, remote } = quoted.flow();
        match quoted.protocol {
            parse::PROTOCOL_TCP => {
                let flow = FlowKey { local, remote };
                if let Unreachable::TooBig { mtu } = reason {
                    let (seq, sizes) = (Seq(quoted.sequence), (mtu, quoted.len));
                    let known = self.tcp.on_too_big(now, &mut self.counters, &flow, seq, sizes);
                    return if known { Ok(()) } else { Err(DropReason::IcmpIgnored) };
                }
                self.on_tcp_unreachable(now, &flow, Seq(quoted.sequence), reason)
            }
            parse::PROTOCOL_UDP => {
                let here = self.home(local);
                if self.udp.find(here, local, remote).is_some() {
                    self.learn_path(now, &quoted, reason);
                }
                self.tell_udp(local, remote, packet.source, reason.into());
                Ok(())
            }
            parse::PROTOCOL_ICMP | parse::PROTOCOL_ICMPV6 => {
                let echo = quoted.echo().ok_or(DropReason::IcmpIgnored)?;
                let kind = EchoReplyKind::Unreachable(reason.code());
                self.answer_echo(now, packet, quoted.dst, echo, kind, &[])?;
                self.learn_path(now, &quoted, reason);
                Ok(())
            }
            _ => Err(DropReason::IcmpIgnored),
        }
    }

    /// The interface that has this address: what was sent from there is a socket's of that
    /// interface, or of none.
    pub(super) fn home(&self, local: Endpoint) -> InterfaceId {
        self.routes.interface_of(local.address).unwrap_or_default()
    }

    /// What `from` said, for the socket that sent the datagram.
    pub(super) fn tell_udp(
        &mut self,
        local: Endpoint,
        remote: Endpoint,
        from: Address,
        kind: NetworkErrorKind,
    ) {
        let (from, remote) = (from.to_ip(), remote.to_socket_addr());
        let said = NetworkError { kind, from, remote };
        let kept = self.udp.on_network_error(self.home(local), local, said);
        self.counters.udp_errors_dropped += u64::from(!kept);
    }

    /// What a router says of a packet that a socket may have sent.
    fn learn_path(&mut self, now: Instant, quoted: &Quoted, reason: Unreachable) {
        if let Unreachable::TooBig { mtu } = reason {
            let (sizes, link) = ((mtu, quoted.len), self.link_mtu(quoted.src, quoted.dst));
            let _: Option<PathMtu> = self.tcp.paths.learn(now, quoted.dst, sizes, link);
            self.counters.path_mtus_evicted = self.tcp.paths.evicted();
        }
    }

    fn on_tcp_unreachable(
        &mut self,
        now: Instant,
        flow: &FlowKey,
        seq: Seq,
        reason: Unreachable,
    ) -> Result<(), DropReason> {
        let error = match reason {
            Unreachable::Port | Unreachable::Prohibited => TcpError::Refused,
            Unreachable::Protocol => TcpError::ProtocolUnreachable,
            Unreachable::Network => TcpError::NetworkUnreachable,
            Unreachable::Host | Unreachable::SourceRoute | Unreachable::TooBig { .. } => {
                TcpError::HostUnreachable
            }
        };
        self.on_tcp_error(now, flow, seq, error)
    }

    fn on_tcp_error(
        &mut self,
        now: Instant,
        flow: &FlowKey,
        seq: Seq,
        error: TcpError,
    ) -> Result<(), DropReason> {
        let known = self.tcp.on_icmp_error(now, &mut self.counters, flow, seq, error);
        if known { Ok(()) } else { Err(DropReason::IcmpIgnored) }
    }

    fn on_time_exceeded(
        &mut self,
        now: Instant,
        packet: &IpPacket<'_>,
        original: &[u8],
    ) -> Result<(), DropReason> {
        let quoted = self.quoted(packet, original)?;
        if matches!(quoted.protocol, parse::PROTOCOL_ICMP | parse::PROTOCOL_ICMPV6) {
            let echo = quoted.echo().ok_or(DropReason::IcmpIgnored)?;
            let kind = EchoReplyKind::TimeExceeded;
            return self.answer_echo(now, packet, quoted.dst, echo, kind, &[]);
        }
        if quoted.protocol == parse::PROTOCOL_TCP {
            let flow = quoted.flow();
            let (seq, reason) = (Seq(quoted.sequence), Unreachable::Host);
            return self.on_tcp_unreachable(now, &flow, seq, reason);
        }
        if quoted.protocol == parse::PROTOCOL_UDP {
            let FlowKey { local, remote } = quoted.flow();
            self.tell_udp(local, remote, packet.source, NetworkErrorKind::TimeExceeded);
            return Ok(());
        }
        Err(DropReason::IcmpIgnored)
    }

    /// RFC 1122 §3.2.2.5, RFC 4443 §3.4: whoever sent the packet is told. An open connection does
    /// not end for it (RFC 1122 §4.2.3.9).
    fn on_parameter_problem(
        &mut self,
        now: Instant,
        packet: &IpPacket<'_>,
        (code, pointer): (u8, u32),
        original: &[u8],
    ) -> Result<(), DropReason> {
        let quoted = self.quoted(packet, original)?;
        let FlowKey { local, remote } = quoted.flow();
        match quoted.protocol {
            parse::PROTOCOL_TCP => {
                let (flow, seq) = (FlowKey { local, remote }, Seq(quoted.sequence));
                self.on_tcp_error(now, &flow, seq, TcpError::ParameterProblem)
            }
            parse::PROTOCOL_UDP => {
                let kind = NetworkErrorKind::ParameterProblem { code, pointer };
                self.tell_udp(local, remote, packet.source, kind);
                Ok(())
            }
            parse::PROTOCOL_ICMP | parse::PROTOCOL_ICMPV6 => {
                let echo = quoted.echo().ok_or(DropReason::IcmpIgnored)?;
                let kind = EchoReplyKind::ParameterProblem { code, pointer };
                self.answer_echo(now, packet, quoted.dst, echo, kind, &[])
            }
            _ => Err(DropReason::IcmpIgnored),
        }
    }

    /// The packet that an ICMP error is about, if it is one of ours.
    fn quoted(&self, packet: &IpPacket<'_>, original: &[u8]) -> Result<Quoted, DropReason> {
        let quoted = Quoted::parse(original).ok_or(DropReason::IcmpMalformed)?;
        // Of what goes around in this host, only this host can tell.
        let looped = quoted.src.is_loopback() && packet.source.is_loopback();
        let ours = looped || self.routes.is_own(quoted.src) || self.stands_for(quoted.src);
        if ours { Ok(quoted) } else { Err(DropReason::IcmpIgnored) }
    }

    /// What all parts of a host are given, its first one answers.
    pub(super) fn answers(&self) -> bool {
        self.tcp.part.is_none_or(|part| part.index() == 0)
    }

    /// Tells the sender what is wrong with its packet, where RFC 1122 §3.2.2, RFC 4443 §2.4 and the
    /// rate limit let us.
    pub(super) fn report(&mut self, arrival: Arrival, packet: &IpPacket<'_>, trouble: Trouble) {
        if !self.answers() {
            return;
        }
        // RFC 8200 §4.5 has errors about later fragments too.
        let fragment = packet.fragment.filter(|_| packet.source.is_v4());
        let fragment = fragment.map_or(0, |fragment| fragment.offset / 8);
        let of_groups_too = match trouble {
            Trouble::Unreachable(_) => false,
            Trouble::Problem(problem) => problem.of_groups_too,
        };
        let about = About {
            source: packet.source,
            source_is_broadcast: self.routes.is_broadcast(packet.source),
            destination: packet.destination,
            destination_is_broadcast: self.routes.is_broadcast(packet.destination),
            link_group: arrival.link_group,
            of_groups_too,
            fragment_offset: fragment as u16,
            protocol: packet.protocol,
            payload: packet.payload,
        };
        if !icmp::may_report(&about) {
            return;
        }
        if !self.limiter.allow(arrival.now, packet.source) {
            self.counters.icmp_out_rate_limited += 1;
            return;
        }
        let parts = packet.header.iter().chain(packet.extensions).chain(packet.payload);
        let original: &[u8] = &parts.take(QUOTE_MAX).copied().collect::<Vec<u8>>();
        let message = match trouble {
            Trouble::Unreachable(reason) => Message::Unreachable { reason, original },
            Trouble::Problem(Problem { code, pointer, .. }) => {
                Message::ParameterProblem { code, pointer, original }
            }
        };
        // A group cannot answer: the address of ours that is next to the sender does.
        let source = match self.routes.way_by(By::Rather(arrival.interface), packet.source) {
            Some(hop) if packet.destination.is_multicast() => hop.source,
            _ => packet.destination,
        };
        self.say(source, packet.source, &message, original.len());
    }

    pub(super) fn queue_message(&mut self, message: Outgoing) {
        let bytes = self.message_bytes + message.bytes.len();
        let room = bytes <= self.config.replies_bytes_max;
        if room && self.messages.len() < self.config.replies_max {
            self.message_bytes = bytes;
            self.messages.push_back(message);
        } else {
            self.counters.replies_dropped += 1;
        }
    }
}
