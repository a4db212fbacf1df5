//! RFC 1122, Requirements for Internet Hosts, below TCP: link, IP, ICMP, UDP.

use crate::{ms, secs};
use stack::testing::packet::{checksum, ethernet, icmp, ipv4, udp};
use stack::testing::rig::{HOST, HOST_MAC, PEER, PEER_MAC, Rig};
use stack::{DropReason, Mac, UdpRecvError};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

fn to_host(port: u16) -> (SocketAddrV4, SocketAddrV4) {
    (SocketAddrV4::new(PEER, 9999), SocketAddrV4::new(HOST, port))
}

/// An echo request from the peer.
fn echo(text: &[u8]) -> Vec<u8> {
    ethernet(PEER_MAC, HOST_MAC, 0x0800, &ipv4(PEER, HOST, 1, &icmp(8, 0, [0, 7, 0, 1], text)))
}

/// Sets bytes of the IP header and makes its checksum right.
fn with_header(mut frame: Vec<u8>, at: usize, bytes: &[u8]) -> Vec<u8> {
    frame[14 + at..14 + at + bytes.len()].copy_from_slice(bytes);
    frame[24..26].fill(0);
    let sum = checksum(&[&frame[14..34]]);
    frame[24..26].copy_from_slice(&sum.to_be_bytes());
    frame
}

/// RFC 7126 §4: source routes are not followed, not even to where they end.
#[test]
fn source_routes_are_refused() {
    for kind in [131, 137] {
        let mut t = Rig::new();
        let mut frame = echo(b"x");
        frame.splice(34..34, [kind, 7, 4, 192, 0, 2, 1, 0]);
        frame[14] = 0x47;
        let total = (frame.len() - 14) as u16;
        frame[16..18].copy_from_slice(&total.to_be_bytes());
        frame[24..26].fill(0);
        let sum = checksum(&[&frame[14..42]]);
        frame[24..26].copy_from_slice(&sum.to_be_bytes());
        t.inject_frame(&frame).expect_nothing();
        assert_eq!(t.stack.counters().drops.get(DropReason::IpSourceRoute), 1);
    }
}

/// §3.2.2: an error about a datagram that came in fragments quotes the header of the first and what
/// follows it, by which the sender tells his socket, whichever of them came last.
#[test]
fn an_error_about_fragments_quotes_the_first() {
    let (from, to) = to_host(4444);
    let datagram = udp(from, to, &[7; 600]);
    for order in [[0, 1], [1, 0]] {
        let mut t = Rig::new();
        for piece in order {
            let text = if piece == 0 { &datagram[..400] } else { &datagram[400..] };
            let frame = ethernet(PEER_MAC, HOST_MAC, 0x0800, &ipv4(PEER, HOST, 17, text));
            let frame = with_header(frame, 4, &[0, 77]);
            t.inject_frame(&with_header(frame, 6, [&[0x20, 0], &[0, 50]][piece]));
        }
        let error = t.expect_icmp(3, 3);
        assert_eq!(error[8 + 6..8 + 8], [0x20, 0], "the first fragment's, in the order {order:?}");
        assert_eq!(error[8 + 20..][..8], datagram[..8]);
    }
}

/// §3.2.2.6: an echo is answered with all its text, from the address that was asked.
#[test]
fn echo_is_answered() {
    let mut t = Rig::new();
    for len in [0, 1, 56, 1000, 1472] {
        let text: Vec<u8> = (0..len).map(|i| i as u8).collect();
        t.inject_frame(&echo(&text));
        let reply = t.expect_icmp(0, 0);
        assert_eq!((&reply[4..8], &reply[8..]), (&[0, 7, 0, 1][..], &text[..]));
    }
}

/// Broadcast echoes are an amplifier (N-10).
#[test]
fn n10_echo_to_a_group_is_not_answered() {
    let mut t = Rig::new();
    for to in ["192.0.2.255", "255.255.255.255", "224.0.0.1"] {
        let packet = ipv4(PEER, to.parse().unwrap(), 1, &icmp(8, 0, [0; 4], b"x"));
        t.inject_frame(&ethernet(PEER_MAC, Mac::BROADCAST, 0x0800, &packet)).expect_nothing();
    }
}

/// §3.2.1: what is wrong with an IP header is dropped, silently and in the right book.
#[test]
fn broken_headers_are_dropped_and_counted() {
    for (frame, reason) in [
        (with_header(echo(b"x"), 0, &[0x55]), DropReason::IpMalformed),
        (with_header(echo(b"x"), 0, &[0x44]), DropReason::IpMalformed),
        (with_header(echo(b"x"), 2, &[0xff, 0xff]), DropReason::IpMalformed),
        (with_header(echo(b"x"), 2, &[0, 19]), DropReason::IpMalformed),
        (with_header(echo(b"x"), 16, &[192, 0, 2, 99]), DropReason::IpNotForUs),
        (with_header(echo(b"x"), 12, &[127, 0, 0, 1]), DropReason::IpBadSource),
        (with_header(echo(b"x"), 12, &[0, 0, 0, 0]), DropReason::IpBadSource),
        (with_header(echo(b"x"), 12, &[224, 0, 0, 1]), DropReason::IpBadSource),
        (with_header(echo(b"x"), 12, &[192, 0, 2, 255]), DropReason::IpBadSource),
    ] {
        let mut t = Rig::new();
        t.inject_frame(&frame).expect_silence(secs(1));
        assert_eq!(t.stack.counters().drops.get(reason), 1, "{reason:?}\n{}", t.stack.counters());
    }
    let mut t = Rig::new();
    let mut frame = echo(b"x");
    frame[24] ^= 1;
    t.inject_frame(&frame).expect_nothing();
    assert_eq!(t.stack.counters().drops.get(DropReason::IpChecksum), 1);
    let mut frame = echo(b"x");
    frame[36] ^= 1;
    t.inject_frame(&frame).expect_nothing();
    assert_eq!(t.stack.counters().drops.get(DropReason::IcmpMalformed), 1);
}

/// §3.2.1.7: a packet that arrives with TTL 1 or 0 has arrived.
#[test]
fn the_last_hop_is_taken() {
    let mut t = Rig::new();
    for ttl in [1, 0] {
        t.inject_frame(&with_header(echo(b"x"), 8, &[ttl]));
        t.expect_icmp(0, 0);
    }
}

/// §3.2.2.1: a port that nobody has, and a protocol that nobody speaks.
#[test]
fn nobody_is_unreachable() {
    let mut t = Rig::new();
    let (from, to) = to_host(4444);
    let datagram = udp(from, to, b"anybody?");
    t.inject_ipv4(17, &datagram);
    let error = t.expect_icmp(3, 3);
    assert_eq!(error[8 + 20..], datagram[..], "header and text are quoted");
    t.advance(secs(2)).inject_ipv4(99, &[0; 30]);
    t.expect_icmp(3, 2);
}

/// §3.2.2: what an error is never sent about.
#[test]
fn errors_are_sent_about_nothing_delicate() {
    let mut t = Rig::new();
    let (from, to) = to_host(4444);
    let datagram = udp(from, to, b"x");
    // An ICMP error, whatever it quotes.
    t.inject_ipv4(1, &icmp(3, 3, [0; 4], &ipv4(HOST, PEER, 17, &datagram)));
    // For a group, by IP or by Ethernet.
    let broadcast = ipv4(PEER, Ipv4Addr::BROADCAST, 17, &datagram);
    t.inject_frame(&ethernet(PEER_MAC, Mac::BROADCAST, 0x0800, &broadcast));
    let shouted = ethernet(PEER_MAC, Mac::BROADCAST, 0x0800, &ipv4(PEER, HOST, 17, &datagram));
    t.inject_frame(&shouted);
    // A fragment that is not the first.
    let whole = ethernet(PEER_MAC, HOST_MAC, 0x0800, &ipv4(PEER, HOST, 99, &datagram));
    t.inject_frame(&with_header(whole, 6, &[0, 2]));
    t.expect_silence(secs(1));
}

/// errors are limited; the port scan of a moment does not make a flood.
#[test]
fn errors_are_limited() {
    let mut t = Rig::new();
    for port in 0..5000 {
        let (from, to) = to_host(1000 + port);
        t.inject_ipv4(17, &udp(from, to, b"x"));
    }
    let errors = t.unexpected();
    t.forget_rest();
    assert!((1..=1000).contains(&errors), "{errors} errors to one host at one moment");
}

/// §3.2.2.3, §3.2.2.5: quench, redirect and unknown types are no news.
#[test]
fn other_messages_are_ignored() {
    let mut t = Rig::new();
    for kind in [4, 5, 9, 10, 13, 15, 17, 30, 42, 255] {
        t.inject_ipv4(1, &icmp(kind, 0, [0; 4], &[0; 28])).expect_silence(ms(10));
    }
}

fn bound(port: u16) -> (Rig, stack::UdpId) {
    let mut t = Rig::new();
    let id = t.stack.bind_udp(SocketAddr::from(([0, 0, 0, 0], port))).unwrap();
    (t, id)
}

/// §4.1.3.4: the checksum is made and looked at; zero is none.
#[test]
fn udp_checksums() {
    let (mut t, id) = bound(53);
    let (from, to) = to_host(53);
    let mut bad = udp(from, to, b"bad");
    bad[6] ^= 1;
    t.inject_ipv4(17, &bad).expect_nothing();
    assert_eq!(t.stack.counters().drops.get(DropReason::UdpChecksum), 1);
    let mut none = udp(from, to, b"none");
    none[6..8].fill(0);
    t.inject_ipv4(17, &none).expect_nothing();
    let mut text = [0; 16];
    let received = t.stack.udp(id).unwrap().recv_from(&mut text);
    assert_eq!(received, Ok((4, SocketAddr::V4(from))));
    assert_eq!(t.stack.udp(id).unwrap().recv_from(&mut text), Err(UdpRecvError::WouldBlock));
    let now = t.now();
    t.stack.udp(id).unwrap().send_to(now, b"answer", Some(SocketAddr::V4(from))).unwrap();
    let frame = t.drain().next_frame();
    assert_eq!(&frame[34..], &udp(to, from, b"answer")[..]);
}

/// §4.1.3.1: UDP lengths that lie.
#[test]
fn udp_lengths() {
    let (mut t, id) = bound(53);
    let (from, to) = to_host(53);
    for length in [0u16, 7, 12, 0xffff] {
        let mut datagram = udp(from, to, b"xyz");
        datagram[4..6].copy_from_slice(&length.to_be_bytes());
        datagram[6..8].fill(0);
        t.inject_ipv4(17, &datagram).expect_nothing();
    }
    assert_eq!(t.stack.counters().drops.get(DropReason::UdpMalformed), 4);
    let mut text = [0; 16];
    assert!(t.stack.udp(id).unwrap().recv_from(&mut text).is_err());
    // Shorter than the packet: the rest is padding.
    let mut datagram = udp(from, to, b"xyz");
    datagram.extend([9; 10]);
    t.inject_ipv4(17, &datagram);
    assert_eq!(t.stack.udp(id).unwrap().recv_from(&mut text), Ok((3, SocketAddr::V4(from))));
}

/// §4.1.3.3: an ICMP error reaches the socket that is connected there.
#[test]
fn udp_errors_reach_connected_sockets() {
    for (kind, code, error) in
        [(3, 3, stack::UdpError::Refused), (12, 0, stack::UdpError::ParameterProblem)]
    {
        let (mut t, id) = bound(53);
        let (peer, host) = to_host(53);
        let now = t.now();
        t.stack.udp(id).unwrap().connect(SocketAddr::V4(peer)).unwrap();
        t.stack.udp(id).unwrap().send_to(now, b"hello", None).unwrap();
        let sent = t.drain().next_frame();
        t.inject_ipv4(1, &icmp(kind, code, [0; 4], &sent[14..]));
        let mut text = [0; 16];
        let failed = t.stack.udp(id).unwrap().recv_from(&mut text);
        assert_eq!(failed, Err(UdpRecvError::Failed(error)), "{host}");
    }
}

/// §3.3.2: fragments in any order are put together; an echo of them comes back whole.
#[test]
fn fragments_are_put_together() {
    let text: Vec<u8> = (0..4000).map(|i| (i / 7) as u8).collect();
    let whole = icmp(8, 0, [0, 7, 0, 9], &text);
    for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0], [0, 0, 1]] {
        let mut t = Rig::new();
        let mut given = order.to_vec();
        given.extend([0, 1, 2]);
        for piece in given {
            let (from, to) = (piece * 1480, (piece * 1480 + 1480).min(whole.len()));
            let more = u8::from(to < whole.len()) * 0x20;
            let offset = (from / 8) as u16;
            let packet = ipv4(PEER, HOST, 1, &whole[from..to]);
            let frame = ethernet(PEER_MAC, HOST_MAC, 0x0800, &packet);
            let frame = with_header(frame, 4, &[0, 77]);
            t.inject_frame(&with_header(frame, 6, &[more | (offset >> 8) as u8, offset as u8]));
        }
        let mut back = vec![0; whole.len()];
        while t.unexpected() > 0 {
            let frame = t.next_frame();
            let offset = usize::from(u16::from_be_bytes([frame[20] & 0x1f, frame[21]])) * 8;
            back[offset..offset + frame.len() - 34].copy_from_slice(&frame[34..]);
            assert!(frame.len() <= 1514);
        }
        assert_eq!(back[8..], whole[8..], "order {order:?}");
    }
}

/// §3.3.2: a datagram that stays incomplete is reported once, if its beginning came.
#[test]
fn incomplete_datagrams_expire() {
    for (offset, reported) in [(0, true), (10, false)] {
        let mut t = Rig::new();
        let (from, to) = to_host(53);
        let packet = ipv4(PEER, HOST, 17, &udp(from, to, &[1; 16]));
        let frame = ethernet(PEER_MAC, HOST_MAC, 0x0800, &packet);
        t.inject_frame(&with_header(frame, 6, &[0x20, offset]));
        t.expect_silence(secs(14));
        t.advance(secs(120));
        if reported {
            t.expect_icmp(11, 1);
        }
        t.expect_nothing();
        assert_eq!(t.stack.memory_used(), 0);
    }
}

/// §2.3.2.2: while a neighbour is looked for, at least one packet waits; requests are few.
#[test]
fn packets_wait_for_the_neighbour() {
    let (mut t, id) = bound(53);
    t.answers_arp = false;
    let (peer, _) = to_host(53);
    let now = t.now();
    t.stack.udp(id).unwrap().send_to(now, b"first", Some(SocketAddr::V4(peer))).unwrap();
    t.drain().advance(ms(500)).expect_nothing();
    let asked = format!("{t:?}").matches("arp who has 192.0.2.2").count();
    assert_eq!(asked, 1, "one request a second at most");
    t.answers_arp = true;
    t.advance(ms(1000));
    let frame = t.next_frame();
    assert_eq!(&frame[42..], b"first");
}

/// RFC 826: who asks for us is answered, and nobody else.
#[test]
fn arp_answers_for_the_host_only() {
    use stack::testing::packet::arp;
    let mut t = Rig::new();
    let ask = |about: Ipv4Addr| {
        let question = arp(1, (PEER_MAC, PEER), (Mac::default(), about));
        ethernet(PEER_MAC, Mac::BROADCAST, 0x0806, &question)
    };
    t.inject_frame(&ask(HOST));
    assert_eq!(format!("{t:?}").matches("arp 192.0.2.1 is at").count(), 1);
    t.inject_frame(&ask(Ipv4Addr::new(192, 0, 2, 9)));
    assert_eq!(format!("{t:?}").matches("is at").count(), 1);
    // RFC 5227: a probe, from nobody, is answered too.
    let probe = arp(1, (PEER_MAC, Ipv4Addr::UNSPECIFIED), (Mac::default(), HOST));
    t.inject_frame(&ethernet(PEER_MAC, Mac::BROADCAST, 0x0806, &probe));
    assert_eq!(format!("{t:?}").matches("is at").count(), 2);
}

/// §2.3.3: frames of another kind, and for another station.
#[test]
fn frames_for_others_are_ignored() {
    let mut t = Rig::new();
    let packet = ipv4(PEER, HOST, 1, &icmp(8, 0, [0; 4], b"x"));
    t.inject_frame(&ethernet(PEER_MAC, Mac([2, 9, 9, 9, 9, 9]), 0x0800, &packet)).expect_nothing();
    t.inject_frame(&ethernet(PEER_MAC, HOST_MAC, 0x05dc, &packet)).expect_nothing();
    t.inject_frame(&ethernet(PEER_MAC, HOST_MAC, 0x88cc, &packet)).expect_nothing();
    let drops = &t.stack.counters().drops;
    assert_eq!(drops.get(DropReason::NotOurMac), 1);
    assert_eq!(drops.get(DropReason::EtherType), 2);
}
