//! Two engines over IPv6, and a stranger on the link.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use stack::{
    ConnectError, ConnectOptions, DropReason, EchoReplyKind, Instant, ListenError, ListenOptions,
    NetworkErrorKind, RecvError, RxFrame, SendError, Stack, State, TcpError, TcpOptions, UdpError,
    UdpOptions, UdpRecvError, UdpSendError,
};

use crate::net::{Net, balanced, frames, host, host_with, ip, mac, settled, v4, v6};

#[test]
fn a_connection_over_ipv6_from_open_to_close() {
    let mut net = Net::new();
    let (client, server) = net.connect(v6(2, 80));
    let pattern: Vec<u8> = (0..1_000_000_u32).map(|i| (i % 251) as u8).collect();
    let (mut sent, mut got, mut out) = (0, Vec::new(), vec![0; 100_000]);
    while got.len() < pattern.len() {
        match net.hosts[0].tcp(client).unwrap().send(net.now, &pattern[sent..]) {
            Ok(n) => sent += n,
            Err(SendError::WouldBlock) => {}
            Err(error) => panic!("{error}"),
        }
        net.settle();
        match net.hosts[1].tcp(server).unwrap().recv(net.now, &mut out) {
            Ok(n) => got.extend_from_slice(&out[..n]),
            Err(RecvError::WouldBlock) => net.pass(Duration::from_millis(50)),
            Err(error) => panic!("{error}"),
        }
    }
    assert!(got == pattern);
    assert_eq!(net.hosts[0].tcp(client).unwrap().remote(), v6(2, 80));
    assert_eq!(net.hosts[0].counters().tcp_retrans_segs, 0);
    net.hosts[0].tcp(client).unwrap().close(net.now);
    net.hosts[1].tcp(server).unwrap().close(net.now);
    net.pass(Duration::from_secs(61));
    for host in &net.hosts {
        assert_eq!(host.connections().count(), 0);
        balanced(host);
    }
    // The referee reads every packet, and its sums are right. Whoever sends a segment, the
    // half-open connection or the open one, labels it alike (RFC 6437 §3).
    let mut labels = BTreeSet::new();
    for frame in net.seen.iter().filter(|frame| frame[12..14] == [0x86, 0xdd]) {
        let packet = etherparse::SlicedPacket::from_ethernet(frame).unwrap();
        let Some(etherparse::TransportSlice::Tcp(tcp)) = packet.transport else { continue };
        let Some(etherparse::NetSlice::Ipv6(ip)) = packet.net else { panic!("IPv6") };
        let (header, text) = (tcp.to_header(), tcp.payload());
        let sum = header.calc_checksum_ipv6(&ip.header().to_header(), text).unwrap();
        assert_eq!(header.checksum, sum);
        assert_ne!(ip.header().flow_label().value(), 0);
        labels.insert((ip.header().source(), ip.header().flow_label().value()));
        assert!(frame.len() <= 14 + 1500);
    }
    assert_eq!(labels.len(), 2, "{labels:?}");
}

#[test]
fn must_67_the_announced_mss_over_ipv6_is_the_mtu_less_sixty() {
    for (mtu, mss) in [(1500_usize, 1440_u16), (1280, 1220), (9000, 8940)] {
        let mut stack = host_with(1, |config| config.mtu = mtu);
        let now = Instant::from_secs(1);
        neighbor_says_hello(&mut stack, now);
        stack.connect(now, v6(9, 80), ConnectOptions::default()).unwrap();
        let syn = frames(&mut stack, now).pop().unwrap();
        assert_eq!(syn[74..78], [&[2, 4][..], &mss.to_be_bytes()].concat(), "{mtu}");
    }
}

/// The stranger at `2001:db8::9`, whose Ethernet address is `mac(9)`, makes itself known.
fn neighbor_says_hello(stack: &mut Stack, now: Instant) {
    stack.receive(now, RxFrame::plain(&solicitation(ip(1))));
    assert_eq!(frames(stack, now).len(), 1, "an answer");
}

/// An IPv6 packet from the stranger, in a frame to host 1 or to the group that it is for.
fn packet_to(to: Ipv6Addr, from: Ipv6Addr, next: u8, hops: u8, payload: &[u8]) -> Vec<u8> {
    let octets = to.octets();
    let [.., a, b, c, d] = octets;
    let to_mac = if to.is_multicast() { [0x33, 0x33, a, b, c, d] } else { mac(1).0 };
    let mut frame = [&to_mac[..], &mac(9).0, &[0x86, 0xdd, 0x60, 0, 0, 0]].concat();
    frame.extend((payload.len() as u16).to_be_bytes());
    frame.extend([next, hops]);
    frame.extend(from.octets());
    frame.extend(octets);
    frame.extend(payload);
    frame
}

fn packet(next: u8, payload: &[u8]) -> Vec<u8> {
    packet_to(ip(1), ip(9), next, 64, payload)
}

/// The checksum of RFC 8200 §8.1, read from the RFC and not from the engine.
fn summed(to: Ipv6Addr, from: Ipv6Addr, next: u8, at: usize, message: &[u8]) -> Vec<u8> {
    let mut message = message.to_vec();
    let length = (message.len() as u32).to_be_bytes();
    let all = [&from.octets()[..], &to.octets(), &length, &[0, 0, 0, next], &message].concat();
    let mut sum: u32 = all
        .chunks(2)
        .map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0)))
        .sum();
    while sum >> 16 != 0 {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    message[at..at + 2].copy_from_slice(&(!(sum as u16)).to_be_bytes());
    message
}

pub(crate) fn icmp_to(to: Ipv6Addr, from: Ipv6Addr, hops: u8, message: &[u8]) -> Vec<u8> {
    packet_to(to, from, 58, hops, &summed(to, from, 58, 2, message))
}

fn icmp(message: &[u8]) -> Vec<u8> {
    icmp_to(ip(1), ip(9), 64, message)
}

/// "Who has `target`?", from the stranger.
pub(crate) fn solicitation(target: Ipv6Addr) -> Vec<u8> {
    let [.., b, c, d] = target.octets();
    let group =
        Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00 | u16::from(b), u16::from_be_bytes([c, d]));
    let message = [&[135, 0, 0, 0, 0, 0, 0, 0][..], &target.octets(), &[1, 1], &mac(9).0].concat();
    icmp_to(group, ip(9), 255, &message)
}

/// A UDP datagram to host 1's port, its checksum right.
fn udp(port: u16, text: &[u8]) -> Vec<u8> {
    let mut datagram = vec![0x12, 0x34];
    datagram.extend(port.to_be_bytes());
    datagram.extend((8 + text.len() as u16).to_be_bytes());
    datagram.extend([0, 0]);
    datagram.extend(text);
    summed(ip(1), ip(9), 17, 6, &datagram)
}

/// A host that knows the stranger.
fn alone() -> (Stack, Instant) {
    let (mut stack, now) = (settled(host(1)), Instant::from_secs(100));
    neighbor_says_hello(&mut stack, now);
    (stack, now)
}

/// Gives the frame in; what comes out, and what it was dropped for.
fn give(stack: &mut Stack, now: Instant, frame: &[u8]) -> (Vec<Vec<u8>>, Vec<DropReason>) {
    let before = stack.counters().drops.clone();
    stack.receive(now, RxFrame::plain(frame));
    let drops = stack.counters().drops.iter();
    let dropped = drops.filter(|(reason, n)| before.get(*reason) != *n).map(|(reason, _)| reason);
    let dropped = dropped.collect();
    balanced(stack);
    (frames(stack, now), dropped)
}

/// Type, code and the word behind the checksum of the one ICMPv6 message in `out`.
fn problem(out: &[Vec<u8>]) -> (u8, u8, u32) {
    let [frame] = out else { panic!("one answer, not {}", out.len()) };
    assert_eq!(frame[20], 58);
    let word = u32::from_be_bytes(frame[58..62].try_into().unwrap());
    (frame[54], frame[55], word)
}

#[test]
fn rfc4861_a_question_is_answered_and_the_asker_is_known_from_then_on() {
    let (mut stack, now) = (host(1), Instant::from_secs(100));
    let (out, dropped) = give(&mut stack, now, &solicitation(ip(1)));
    assert!(dropped.is_empty());
    let [answer] = &out[..] else { panic!("{} answers", out.len()) };
    assert_eq!(answer[..14], [&mac(9).0[..], &mac(1).0, &[0x86, 0xdd]].concat());
    assert_eq!((answer[20], answer[21]), (58, 255), "ICMPv6, hop limit 255");
    assert_eq!((answer[54], answer[58]), (136, 0x60), "solicited, override");
    assert_eq!(answer[62..78], ip(1).octets());
    assert_eq!(answer[78..], [&[2, 1][..], &mac(1).0].concat());
    let ping = stack.bind_echo(None).unwrap();
    stack.echo(ping).unwrap().send(now, ip(9).into(), 1, b"x", None).unwrap();
    let out = frames(&mut stack, now);
    assert_eq!(out[0][..6], mac(9).0, "it need not be asked for");
    let (out, dropped) = give(&mut stack, now, &solicitation(ip(7)));
    assert_eq!((out.len(), &dropped[..]), (0, &[DropReason::IpNotForUs][..]));
}

#[test]
fn f7_neighbor_discovery_in_fragments_is_ignored() {
    let (mut stack, now) = (host(1), Instant::from_secs(100));
    let whole = solicitation(ip(1));
    let (to, message) =
        (Ipv6Addr::from(<[u8; 16]>::try_from(&whole[38..54]).unwrap()), &whole[54..]);
    let fragment = |offset: u16, text: &[u8]| {
        let header = [&[58, 0][..], &offset.to_be_bytes(), &[0, 0, 0, 7]].concat();
        packet_to(to, ip(9), 44, 255, &[&header[..], text].concat())
    };
    let atomic = give(&mut stack, now, &fragment(0, message));
    assert_eq!((atomic.0.len(), &atomic.1[..]), (0, &[DropReason::NdpIgnored][..]));
    give(&mut stack, now, &fragment(1, &message[..16]));
    let last = give(&mut stack, now, &fragment(16, &message[16..]));
    assert_eq!((last.0.len(), &last.1[..]), (0, &[DropReason::NdpIgnored][..]));
    assert_eq!(stack.usage().neighbors, 0);
}

#[test]
fn n5_a_message_that_crossed_a_router_changes_nothing() {
    for hops in [0, 1, 64, 254] {
        let mut stack = host(1);
        let mut frame = solicitation(ip(1));
        frame[21] = hops;
        let (out, dropped) = give(&mut stack, Instant::from_secs(1), &frame);
        assert_eq!((out.len(), &dropped[..]), (0, &[DropReason::NdpMalformed][..]));
        assert_eq!(stack.usage().neighbors, 0);
    }
}

#[test]
fn n4_a_scan_of_the_network_does_not_push_out_who_we_talk_to() {
    let mut net = Net::new();
    let (client, server) = net.connect(v6(2, 80));
    let ping = net.hosts[0].bind_echo(None).unwrap();
    for n in 0..20_000_u32 {
        let target = Ipv6Addr::from(u128::from(ip(0)) | 0x1_0000 | u128::from(n));
        let mut echo = net.hosts[0].echo(ping).unwrap();
        echo.send(net.now, target.into(), 1, b"", None).unwrap();
        net.pass(Duration::from_micros(100));
    }
    let usage = net.hosts[0].usage();
    assert!(usage.neighbors <= 1_024, "{}", usage.neighbors);
    assert!(net.hosts[0].memory_used() < 1 << 20);
    net.hosts[0].tcp(client).unwrap().send(net.now, b"still there").unwrap();
    net.settle();
    let mut out = [0; 32];
    assert_eq!(net.hosts[1].tcp(server).unwrap().recv(net.now, &mut out), Ok(11));
}

#[test]
fn every_size_of_a_ping_and_of_a_datagram_over_ipv6() {
    for mtu in [1280, 1281, 1499, 1500, 9000] {
        let mut net = Net::of([1, 2].map(|last| host_with(last, |config| config.mtu = mtu)));
        let now = net.now;
        let ping = net.hosts[0].bind_echo(None).unwrap();
        let server = net.hosts[1].bind_udp(v6(2, 7)).unwrap();
        let client = net.hosts[0].bind_udp(v6(1, 0)).unwrap();
        let edges = [mtu - 56, mtu - 49, mtu - 48, mtu - 47, 2 * (mtu - 56), 65_507, 65_527];
        for size in (0..64).chain(edges) {
            let text: Vec<u8> = (0..size).map(|i| (i % 253) as u8).collect();
            let mut out = vec![0; 70_000];
            net.hosts[0].echo(ping).unwrap().send(now, ip(2).into(), 1, &text, None).unwrap();
            net.settle();
            let reply = net.hosts[0].echo(ping).unwrap().recv(&mut out).expect("a reply");
            assert_eq!((reply.from, reply.kind), (IpAddr::from(ip(2)), EchoReplyKind::Reply));
            assert!(out[..reply.len] == text, "{size} at {mtu}");
            net.hosts[0].udp(client).unwrap().send_to(now, &text, Some(v6(2, 7))).unwrap();
            net.settle();
            let (len, _) = net.hosts[1].udp(server).unwrap().recv_from(&mut out).unwrap();
            assert!(out[..len] == text, "{size} at {mtu}");
        }
        let long = net.hosts[0].udp(client).unwrap().send_to(now, &[0; 65_528], Some(v6(2, 7)));
        assert_eq!(long, Err(UdpSendError::MessageTooLong));
        assert!(net.seen.iter().all(|frame| frame.len() <= 14 + mtu));
        assert!(net.hosts.iter().all(|host| host.usage().reassemblies == 0));
    }
}

#[test]
fn rfc8200_8_1_a_datagram_has_a_checksum() {
    let (mut stack, now) = alone();
    stack.bind_udp(v6(1, 7)).unwrap();
    let datagram = udp(7, b"text");
    assert_eq!(give(&mut stack, now, &packet(17, &datagram)).1, []);
    for sum in [[0, 0], [datagram[6] ^ 1, datagram[7]]] {
        let mut bad = datagram.clone();
        bad[6..8].copy_from_slice(&sum);
        assert_eq!(give(&mut stack, now, &packet(17, &bad)).1, [DropReason::UdpChecksum]);
    }
}

#[test]
fn rfc4443_what_cannot_be_delivered_is_told_within_limits() {
    let (mut stack, now) = alone();
    let closed = packet(17, &udp(9, &[7; 1_400]));
    let (out, dropped) = give(&mut stack, now, &closed);
    assert_eq!((problem(&out), &dropped[..]), ((1, 4, 0), &[DropReason::UdpNoPort][..]));
    assert_eq!(out[0].len(), 14 + 1280, "as much of the packet as fits");
    assert_eq!(out[0][62..], closed[14..14 + 1232]);
    let unknown = give(&mut stack, now, &packet(200, &[0; 20]));
    assert_eq!(problem(&unknown.0), (4, 1, 6));
    let option =
        give(&mut stack, now, &packet(60, &[[17, 0, 0xc2, 4, 0, 0, 0, 0], [0; 8]].concat()));
    assert_eq!((problem(&option.0), &option.1[..]), ((4, 2, 42), &[DropReason::IpExtension][..]));
    let mut answers = 0;
    for _ in 0..1_000 {
        answers += give(&mut stack, now, &closed).0.len();
    }
    assert!((1..20).contains(&answers), "{answers} answers to a thousand");
    assert!(stack.counters().icmp_out_rate_limited > 900);
}

#[test]
fn rfc4443_2_4_e_no_error_about_these() {
    let nodes = "ff02::1".parse().unwrap();
    let from = |text: &str| text.parse::<Ipv6Addr>().unwrap();
    let unknown_option = [58, 0, 0xc2, 4, 0, 0, 0, 0];
    let error = summed(ip(1), ip(9), 58, 2, &[1, 4, 0, 0, 0, 0, 0, 0]);
    let silent = [
        packet_to(nodes, ip(9), 17, 64, &summed(nodes, ip(9), 17, 6, &[0, 7, 0, 9, 0, 8, 0, 0])),
        packet_to(nodes, ip(9), 60, 64, &[unknown_option, [0; 8]].concat()),
        packet(60, &[&unknown_option[..], &error].concat()),
        packet_to(ip(1), from("::"), 17, 64, &udp(9, b"")),
        packet_to(ip(1), from("ff02::5"), 17, 64, &udp(9, b"")),
        packet_to(ip(1), from("::1"), 17, 64, &udp(9, b"")),
        packet_to(ip(1), ip(1), 17, 64, &udp(9, b"")),
        packet_to(ip(1), from("::ffff:192.0.2.9"), 17, 64, &udp(9, b"")),
    ];
    for (which, frame) in silent.iter().enumerate() {
        let (mut stack, now) = alone();
        assert_eq!(give(&mut stack, now, frame).0.len(), 0, "the packet of row {which}");
    }
    let (mut stack, now) = alone();
    let told = [17, 0, 0x82, 4, 0, 0, 0, 0];
    let out = give(&mut stack, now, &packet_to(nodes, ip(9), 60, 64, &[told, [0; 8]].concat()));
    assert_eq!(problem(&out.0), (4, 2, 42), "this one is told about groups too");
    assert_eq!(out.0[0][22..38], ip(1).octets());
}

#[test]
fn rfc8200_4_5_fragments_that_no_datagram_can_have() {
    let (mut stack, now) = alone();
    stack.bind_udp(v6(1, 7)).unwrap();
    let fragment = |field: u16, id: u8, text: &[u8]| {
        let header = [&[17, 0][..], &field.to_be_bytes(), &[0, 0, 0, id]].concat();
        packet(44, &[&header[..], text].concat())
    };
    let ragged = give(&mut stack, now, &fragment(1, 1, &[0; 9]));
    assert_eq!((problem(&ragged.0), &ragged.1[..]), ((4, 0, 4), &[DropReason::IpFragment][..]));
    let long = give(&mut stack, now, &fragment(65_528, 2, &[0; 16]));
    assert_eq!(problem(&long.0), (4, 0, 42));
    let cut = give(&mut stack, now, &fragment(1, 3, &[]));
    assert_eq!(problem(&cut.0), (4, 3, 0), "RFC 7112");
    // RFC 5722: an overlap takes the datagram with it.
    let datagram = udp(7, &[1; 24]);
    assert!(give(&mut stack, now, &fragment(1, 4, &datagram[..16])).1.is_empty());
    assert_eq!(give(&mut stack, now, &fragment(8, 4, &datagram[8..])).1, [DropReason::IpFragment]);
    assert_eq!(
        give(&mut stack, now, &fragment(16, 4, &datagram[16..])).1,
        [DropReason::IpFragment]
    );
    // RFC 6946: a fragment that is alone has nothing to do with others of its id.
    let fragments = [(1, &datagram[..16]), (0, &datagram[..]), (16, &datagram[16..])];
    for (field, text) in fragments {
        assert!(give(&mut stack, now, &fragment(field, 5, text)).1.is_empty());
    }
    assert_eq!(stack.counters().udp_in_datagrams, 2);
    give(&mut stack, now, &fragment(1, 6, &datagram[..16]));
    let later = now + Duration::from_secs(120);
    stack.advance(later);
    assert_eq!(stack.usage().reassemblies, 0);
}

#[test]
fn rfc8200_4_5_a_datagram_that_was_not_complete_in_time_is_told() {
    let (mut stack, now) = alone();
    let header = [17, 0, 0, 1, 0, 0, 0, 7];
    give(&mut stack, now, &packet(44, &[&header[..], &udp(7, &[1; 8])].concat()));
    stack.advance(now + Duration::from_secs(31));
    let out = frames(&mut stack, now + Duration::from_secs(31));
    assert_eq!(problem(&out), (3, 1, 0));
    assert_eq!(out[0][62 + 40..62 + 48], header);
}

/// A fragment header: what follows, the offset with the flag behind it, and the identification.
fn fragment_header(next: u8, field: u16, id: u8) -> [u8; 8] {
    let [high, low] = field.to_be_bytes();
    [next, 0, high, low, 0, 0, 0, id]
}

/// "The Next Header values in the Fragment headers of different fragments of the same original
/// packet may differ. Only the value from the Offset zero fragment packet is used."
#[test]
fn rfc8200_4_5_what_follows_the_first_fragment_counts() {
    let (mut stack, now) = alone();
    let id = stack.bind_udp(v6(1, 7)).unwrap();
    let datagram = udp(7, &[5; 24]);
    for (n, second) in [17, 59, 6, 255].into_iter().enumerate() {
        for order in [[0, 1], [1, 0]] {
            let at = n as u8 * 2 + order[0];
            let first = [&fragment_header(17, 1, at)[..], &datagram[..16]].concat();
            let last = [&fragment_header(second, 16, at)[..], &datagram[16..]].concat();
            let pieces = [packet(44, &first), packet(44, &last)];
            for piece in order {
                let (out, dropped) = give(&mut stack, now, &pieces[usize::from(piece)]);
                assert_eq!((out.len(), dropped.len()), (0, 0), "{second} {order:?}: {dropped:?}");
            }
            let mut text = [0; 99];
            let heard = stack.udp(id).unwrap().recv_from(&mut text);
            assert_eq!(heard.map(|(len, _)| len), Ok(24), "{second} {order:?}");
            assert_eq!(text[..24], [5; 24]);
        }
    }
    assert_eq!(stack.usage().reassemblies, 0);
}

/// RFC 4443 §2.4 c: as much as fits into 1280 bytes, and of the packet as it came.
#[test]
fn rfc4443_2_4_c_a_quoted_fragment_is_the_beginning_of_its_packet() {
    let text: Vec<u8> = (0..1_232).map(|n| n as u8).collect();
    // PadN of 100 bytes, in a header that every host on the way may read.
    let options = [&[44, 12, 1, 100][..], &[0; 100]].concat();
    for (next, before) in [(44, &[][..]), (60, &options[..])] {
        for len in [8, 16, 1_000, 1_176, 1_232] {
            let (mut stack, now) = alone();
            let datagram = udp(7, &text)[..len].to_vec();
            let rest = [before, &fragment_header(17, 1, 1), &datagram].concat();
            let frame = packet(next, &rest);
            assert_eq!(give(&mut stack, now, &frame).1, []);
            stack.advance(now + Duration::from_secs(31));
            let out = frames(&mut stack, now + Duration::from_secs(31));
            assert_eq!(problem(&out), (3, 1, 0));
            let whole = &frame[14..];
            assert!(out[0][62..] == whole[..whole.len().min(1_232)], "{next}, {len} bytes");
        }
    }
}

/// RFC 4443 §2.4 e.1: nor about an error, whatever stands between it and the fragment header: not
/// that its rest is missing, nor that its length is wrong.
#[test]
fn rfc4443_2_4_e_no_error_about_an_error_in_a_fragment() {
    let options = [58, 0, 1, 4, 0, 0, 0, 0];
    for (kind, told) in [(1, 0), (128, 1)] {
        let message = [kind, 0, 0, 0, 0, 0, 0, 0, 0];
        for len in [8, 9] {
            let (mut stack, now) = alone();
            let text = [&fragment_header(60, 1, 1)[..], &options, &message[..len]].concat();
            let mut out = give(&mut stack, now, &packet(44, &text)).0;
            stack.advance(now + Duration::from_secs(31));
            out.extend(frames(&mut stack, now + Duration::from_secs(31)));
            let errors = out.iter().filter(|frame| frame[54] < 128).count();
            assert_eq!(errors, told, "{kind}, {len} bytes: {out:02x?}");
        }
    }
}

/// RFC 4443 §2.4 e.4: nor about what came in a frame for many, whichever of its pieces did.
#[test]
fn rfc4443_2_4_e_no_time_exceeded_about_a_frame_for_many() {
    let datagram = udp(7, &[1; 24]);
    for shouted in [None, Some(0), Some(1)] {
        let (mut stack, now) = alone();
        for (piece, field) in [(0, 1), (1, 17)] {
            let text = &datagram[piece * 16..][..8];
            let mut frame = packet(44, &[&fragment_header(17, field, 1)[..], text].concat());
            if shouted == Some(piece) {
                frame[..6].fill(0xff);
            }
            assert_eq!(give(&mut stack, now, &frame).1, []);
        }
        stack.advance(now + Duration::from_secs(31));
        let out = frames(&mut stack, now + Duration::from_secs(31));
        assert_eq!(out.len(), usize::from(shouted.is_none()), "{shouted:?}");
        assert_eq!(stack.counters().ip_reasm_fails, 1);
    }
}

/// RFC 1122 §3.3.6, by which IPv6 does well too: what is for one host does not come by a frame for
/// many.
#[test]
fn rfc1122_3_3_6_a_datagram_for_one_in_a_frame_for_many_is_dropped() {
    for to in [[0xff; 6], [0x33, 0x33, 0, 0, 0, 1]] {
        let (mut stack, now) = alone();
        let id = stack.bind_udp(v6(1, 7)).unwrap();
        let mut frame = packet(17, &udp(7, b"x"));
        frame[..6].copy_from_slice(&to);
        assert_eq!(give(&mut stack, now, &frame), (vec![], vec![DropReason::UdpBadAddress]));
        assert_eq!(give(&mut stack, now, &packet(17, &udp(7, b"x"))).1, []);
        assert_eq!(stack.udp(id).unwrap().recv_from(&mut [0; 9]).unwrap().0, 1);
        assert!(stack.udp(id).unwrap().recv_from(&mut [0; 9]).is_err());
    }
}

#[test]
fn p10_p12_no_route_is_followed_and_nothing_unpacked() {
    let (mut stack, now) = alone();
    stack.bind_udp(v6(1, 7)).unwrap();
    let route = [&[17, 2, 0, 1, 0, 0, 0, 0][..], &ip(2).octets(), &udp(7, b"x")].concat();
    assert_eq!(problem(&give(&mut stack, now, &packet(43, &route)).0), (4, 0, 42));
    let inner = packet(17, &udp(7, b"x"));
    assert_eq!(problem(&give(&mut stack, now, &packet(41, &inner[14..])).0), (4, 1, 6));
    assert_eq!(stack.counters().udp_in_datagrams, 0);
}

#[test]
fn echo_requests_are_answered_to_those_who_are_somebody() {
    let (mut stack, now) = alone();
    let request = [128, 0, 0, 0, 0x12, 0x34, 0, 5, b'h', b'i'];
    let (out, _) = give(&mut stack, now, &icmp(&request));
    assert_eq!(problem(&out), (129, 0, 0x1234_0005));
    assert_eq!(out[0][62..], *b"hi");
    let nodes = "ff02::1".parse().unwrap();
    assert_eq!(give(&mut stack, now, &icmp_to(nodes, ip(9), 64, &request)).0.len(), 0);
    let nobody = "::".parse().unwrap();
    for to in [ip(1), nodes] {
        let (out, dropped) = give(&mut stack, now, &icmp_to(to, nobody, 64, &request));
        assert_eq!((out.len(), &dropped[..]), (0, &[DropReason::IpBadSource][..]));
    }
    let mut damaged = icmp(&request);
    damaged[60] ^= 1;
    assert_eq!(give(&mut stack, now, &damaged).1, [DropReason::IcmpMalformed]);
}

#[test]
fn sockets_hear_what_the_network_says_of_their_packets() {
    let mut net = Net::new();
    let refused = net.hosts[0].connect(net.now, v6(2, 9), ConnectOptions::default()).unwrap();
    let udp = net.hosts[0].bind_udp(SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0))).unwrap();
    net.hosts[0].udp(udp).unwrap().connect(v6(2, 9)).unwrap();
    net.hosts[0].udp(udp).unwrap().send_to(net.now, b"?", None).unwrap();
    net.settle();
    let error = net.hosts[0].tcp(refused).unwrap().take_error();
    assert_eq!(error, Some(TcpError::Refused));
    let heard = net.hosts[0].udp(udp).unwrap().recv_from(&mut [0; 9]);
    assert_eq!(heard, Err(UdpRecvError::Failed(UdpError::Refused)));
    let nobody = net.hosts[0].connect(net.now, v6(77, 9), ConnectOptions::default()).unwrap();
    net.pass(Duration::from_secs(5));
    let error = net.hosts[0].tcp(nobody).unwrap().take_error();
    assert_eq!(error, Some(TcpError::HostUnreachable));
    let nowhere = SocketAddr::from((Ipv6Addr::new(0x2001, 0xdb9, 0, 0, 0, 0, 0, 1), 80));
    let unreachable = net.hosts[0].connect(net.now, nowhere, ConnectOptions::default());
    assert_eq!(unreachable, Err(ConnectError::NetworkUnreachable));
}

/// Whoever sent what cannot be read is told, and an attempt to connect goes on.
#[test]
fn rfc4443_3_4_a_parameter_problem_reaches_its_socket() {
    let (mut stack, now) = alone();
    // The byte that says what follows is wrong.
    let problem_of = |stack: &mut Stack, code: u8| {
        let sent = frames(stack, now).pop().unwrap();
        let message = [&[4, code, 0, 0, 0, 0, 0, 6][..], &sent[14..]].concat();
        assert_eq!(give(stack, now, &icmp(&message)), (vec![], vec![]));
    };
    let id = stack.bind_udp(v6(1, 7)).unwrap();
    let mut socket = stack.udp(id).unwrap();
    socket.set_options(UdpOptions { network_errors: true, ..UdpOptions::default() });
    socket.connect(v6(9, 9)).unwrap();
    for code in 0..4 {
        stack.udp(id).unwrap().send_to(now, b"?", None).unwrap();
        problem_of(&mut stack, code);
        let mut socket = stack.udp(id).unwrap();
        let heard = socket.recv_from(&mut [0; 9]);
        assert_eq!(heard, Err(UdpRecvError::Failed(UdpError::ParameterProblem)));
        let kind = NetworkErrorKind::ParameterProblem { code, pointer: 6 };
        assert_eq!(socket.take_network_error().map(|said| said.kind), Some(kind));
    }
    let ping = stack.bind_echo(None).unwrap();
    stack.echo(ping).unwrap().send(now, ip(9).into(), 1, b"x", None).unwrap();
    problem_of(&mut stack, 1);
    let answer = stack.echo(ping).unwrap().recv(&mut [0; 9]).unwrap();
    let kind = EchoReplyKind::ParameterProblem { code: 1, pointer: 6 };
    assert_eq!((answer.sequence, answer.kind), (1, kind));
    let tcp = stack.connect(now, v6(9, 80), ConnectOptions::default()).unwrap();
    problem_of(&mut stack, 1);
    assert_eq!(stack.tcp(tcp).unwrap().state(), State::SynSent);
    // Of what nobody here has sent, nothing.
    let message = [&[4, 1, 0, 0, 0, 0, 0, 6][..], &packet(17, &udp(7, b"x"))[14..]].concat();
    assert_eq!(give(&mut stack, now, &icmp(&message)).1, [DropReason::IcmpIgnored]);
}

/// The quoted packet and its answer: Packet Too Big, for `mtu`.
fn too_big(quoted: &[u8], mtu: u32) -> Vec<u8> {
    let quote = &quoted[14..quoted.len().min(14 + 1232)];
    icmp(&[&[2, 0, 0, 0][..], &mtu.to_be_bytes(), quote].concat())
}

#[test]
fn t16_a_router_s_word_on_the_path_mtu_is_believed_within_reason() {
    for (mtu, seq_off, longest) in
        [(1400, 0, 1400), (1280, 0, 1280), (600, 0, 1500), (0, 0, 1500), (1400, 70_000, 1500)]
    {
        let mut net = Net::new();
        let (client, server) = net.connect(v6(2, 80));
        net.hosts[0].tcp(client).unwrap().send(net.now, &[7; 2_800]).unwrap();
        let lost = frames(&mut net.hosts[0], net.now);
        assert_eq!(lost[0].len(), 14 + 1500);
        let mut quoted = lost[0].clone();
        let seq = u32::from_be_bytes(quoted[58..62].try_into().unwrap()) + seq_off;
        quoted[58..62].copy_from_slice(&seq.to_be_bytes());
        net.hosts[0].receive(net.now, RxFrame::plain(&too_big(&quoted, mtu)));
        let again = frames(&mut net.hosts[0], net.now);
        assert_eq!(again.is_empty(), longest == 1500, "what was lost goes again at once");
        assert!(again.iter().all(|frame| frame.len() <= 14 + longest), "{mtu}");
        for frame in again.iter().chain(&lost).filter(|frame| frame.len() <= 14 + longest) {
            net.hosts[1].receive(net.now, RxFrame::plain(frame));
        }
        net.pass(Duration::from_secs(2));
        let mut out = vec![0; 4_000];
        assert_eq!(net.hosts[1].tcp(server).unwrap().recv(net.now, &mut out), Ok(2_800));
    }
}

#[test]
fn a_listener_on_all_addresses_takes_both_versions_unless_told_otherwise() {
    let mut net = Net::new();
    let all = SocketAddr::from((Ipv6Addr::UNSPECIFIED, 80));
    let all_v4 = SocketAddr::from(([0, 0, 0, 0], 80));
    let both = net.hosts[1].listen(all, ListenOptions::default()).unwrap();
    for taken in [all, all_v4, v4(2, 80), v6(2, 80)] {
        let again = net.hosts[1].listen(taken, ListenOptions::default());
        assert_eq!(again, Err(ListenError::AddressInUse));
    }
    for remote in
        [v4(2, 80), v6(2, 80), SocketAddr::from((Ipv6Addr::from_bits(0xffff_c000_0202), 80))]
    {
        let client = net.hosts[0].connect(net.now, remote, ConnectOptions::default()).unwrap();
        net.settle();
        let server = net.hosts[1].accept(both).unwrap();
        let far = net.hosts[1].tcp(server).unwrap().local();
        assert_eq!(far, SocketAddr::new(remote.ip().to_canonical(), 80));
        assert_eq!(net.hosts[0].tcp(client).unwrap().state(), State::Established);
    }
    net.hosts[1].close_listener(net.now, both);
    let tcp = TcpOptions { only_v6: true, ..TcpOptions::default() };
    let only = ListenOptions { tcp, ..ListenOptions::default() };
    let v6_only = net.hosts[1].listen(all, only).unwrap();
    let refused = net.hosts[0].connect(net.now, v4(2, 80), ConnectOptions::default()).unwrap();
    net.hosts[0].connect(net.now, v6(2, 80), ConnectOptions::default()).unwrap();
    net.settle();
    let error = net.hosts[0].tcp(refused).unwrap().take_error();
    assert_eq!(error, Some(TcpError::Refused));
    assert!(net.hosts[1].accept(v6_only).is_ok());
    assert!(net.hosts[1].listen(all_v4, ListenOptions::default()).is_ok());
}

#[test]
fn ends_of_different_versions_do_not_meet() {
    let (mut stack, now) = alone();
    let options = ConnectOptions { local: Some(v4(1, 0)), ..ConnectOptions::default() };
    assert_eq!(stack.connect(now, v6(9, 80), options), Err(ConnectError::UnsupportedFamily));
    let only = UdpOptions { only_v6: true, ..UdpOptions::default() };
    let id = stack.bind_udp_with(SocketAddr::from((Ipv6Addr::UNSPECIFIED, 7)), only).unwrap();
    assert_eq!(stack.udp(id).unwrap().connect(v4(9, 7)), Err(ConnectError::NetworkUnreachable));
    let to = stack.udp(id).unwrap().send_to(now, b"x", Some(v4(9, 7)));
    assert_eq!(to, Err(UdpSendError::NetworkUnreachable));
    let both = stack.bind_udp(SocketAddr::from((Ipv6Addr::UNSPECIFIED, 8))).unwrap();
    assert_eq!(stack.udp(both).unwrap().send_to(now, b"x", Some(v4(9, 7))), Ok(()));
}

#[test]
fn a_host_talks_to_itself_over_ipv6() {
    let (mut stack, now) = alone();
    for address in [Ipv6Addr::LOCALHOST, ip(1)] {
        let local = SocketAddr::from((address, 7000));
        let listener = stack.listen(local, ListenOptions::default()).unwrap();
        let client = stack.connect(now, local, ConnectOptions::default()).unwrap();
        assert!(frames(&mut stack, now).is_empty());
        let server = stack.accept(listener).unwrap();
        stack.tcp(client).unwrap().send(now, b"self").unwrap();
        assert!(frames(&mut stack, now).is_empty());
        assert_eq!(stack.tcp(server).unwrap().recv(now, &mut [0; 8]), Ok(4));
    }
}

#[test]
fn every_host_of_ipv6_has_an_address_on_its_link() {
    let mut net = Net::new();
    let ping = net.hosts[0].bind_echo(None).unwrap();
    net.hosts[0].echo(ping).unwrap().send(net.now, ip(2).into(), 1, b"", None).unwrap();
    net.settle();
    let question = net.seen.iter().find(|frame| frame[54] == 135).unwrap();
    assert_eq!(question[..6], [0x33, 0x33, 0xff, 0, 0, 2]);
    let to: [u8; 16] = question[38..54].try_into().unwrap();
    assert_eq!(Ipv6Addr::from(to), "ff02::1:ff00:2".parse::<Ipv6Addr>().unwrap());
    // From the group of all it answers from the link's address.
    let nodes: Ipv6Addr = "ff02::1".parse().unwrap();
    net.seen.clear();
    net.hosts[0].echo(ping).unwrap().send(net.now, nodes.into(), 2, b"", None).unwrap();
    net.settle();
    assert_eq!(net.seen[0][22..24], [0xfe, 0x80]);
    assert_eq!(net.seen[0][..6], [0x33, 0x33, 0, 0, 0, 1]);
}
