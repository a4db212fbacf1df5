//! RFC 9293 §3.4, §3.5, §3.9.1.1: initial sequence numbers, opening, what a connection's ends are.

use crate::{ms, secs};
use stack::testing::packet::{Segment, ethernet, ipv4};
use stack::testing::rig::{HOST, HOST_MAC, LISTEN_PORT, PEER, PEER_MAC, Rig};
use stack::{ConnectError, ConnectOptions, ListenError, ListenOptions, Mac, State, TcpError};
use std::collections::HashSet;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4};
use std::time::Duration;

/// A SYN from a port of the peer, and the ISN of the answer.
fn isn_for(t: &mut Rig, port: u16) -> u32 {
    t.set_peer_port(port);
    t.inject("S 0:0(0) win 65535 <mss 1460>").expect("S. 0:0(0) ack 1 <...>");
    let isn = t.last().seq;
    t.inject("R 1:1(0)").expect_nothing();
    isn
}

#[test]
fn must_8_initial_numbers_follow_a_clock() {
    let mut t = Rig::listening();
    let mut last = isn_for(&mut t, 4000);
    for wait in [4_000, 1_000_000, 60_000_000] {
        t.advance(Duration::from_micros(wait));
        let isn = isn_for(&mut t, 4000);
        let grown = isn.wrapping_sub(last);
        assert!(grown.abs_diff((wait / 4) as u32) <= 1, "{grown} in {wait} us");
        last = isn;
    }
}

#[test]
fn must_9_initial_numbers_cannot_be_computed() {
    let mut t = Rig::listening();
    let isns: Vec<u32> = (1..=1000).map(|port| isn_for(&mut t, 1000 + port)).collect();
    let steps: HashSet<u32> = isns.windows(2).map(|two| two[1].wrapping_sub(two[0])).collect();
    assert!(steps.len() > 990, "{} different steps between neighbours", steps.len());
    // Bits are as often set as not: 1,000 draws of 32 bits, five standard deviations.
    let ones: u32 = isns.iter().map(|isn| isn.count_ones()).sum();
    assert!(ones.abs_diff(16_000) < 450, "{ones} bits of 32,000 are set");
}

#[test]
fn shld_1_the_same_tuple_differs_by_time_only() {
    let mut t = Rig::listening();
    let (one, other) = (isn_for(&mut t, 5000), isn_for(&mut t, 5001));
    assert_ne!(one, other);
    assert_eq!(isn_for(&mut t, 5000), one, "at the same moment");
}

#[test]
fn must_10_simultaneous_open() {
    let mut t = Rig::connecting();
    t.inject("S 0:0(0) win 65535 <mss 1460>");
    t.expect("S. 0:0(0) ack 1 <...>").state(State::SynReceived);
    t.inject(". 1:1(0) ack 1").expect_nothing().state(State::Established);
    t.send(3).expect("P. 1:4(3) ack 1");
    t.inject("P. 1:6(5) ack 4").expect_within(ms(500), ". 4:4(0) ack 6");
    t.expect_read(5);
}

#[test]
fn must_10_simultaneous_open_with_crossing_syn_acks() {
    let mut t = Rig::connecting();
    t.inject("S 0:0(0) win 65535 <mss 1460>").expect("S. 0:0(0) ack 1 <...>");
    t.inject("S. 0:0(0) ack 1 win 65535 <mss 1460>");
    t.expect(". 1:1(0) ack 1").expect_nothing();
    t.inject(". 1:1(0) ack 1").expect_nothing().state(State::Established);
}

#[test]
fn must_11_a_reset_returns_a_passive_open_to_listen() {
    let mut t = Rig::syn_received();
    t.inject("R 1:1(0)").expect_nothing().state(State::Listen);
    t.set_peer_port(41_000);
    t.accept_from("<mss 1460>").state(State::Established);
}

#[test]
fn must_11_a_reset_refuses_an_active_open() {
    let mut t = Rig::connecting();
    t.inject("S 0:0(0) win 65535 <mss 1460>").expect("S. 0:0(0) ack 1 <...>");
    t.inject("R 1:1(0)").expect_nothing().state(State::Closed);
    t.expect_error(TcpError::Refused);
}

#[test]
fn must_41_a_passive_open_disturbs_nobody() {
    let mut t = Rig::established();
    let again = SocketAddr::from(([0, 0, 0, 0], LISTEN_PORT));
    let refused = t.stack.listen(again, ListenOptions::default());
    assert_eq!(refused.err(), Some(ListenError::AddressInUse));
    let listener = t.listener.take().unwrap();
    let now = t.now();
    t.stack.close_listener(now, listener);
    t.drain().expect_nothing().state(State::Established);
    t.stack.listen(again, ListenOptions::default()).unwrap();
    t.send(1).expect("P. 1:2(1) ack 1").state(State::Established);
}

#[test]
fn must_42_a_port_can_listen_while_it_connects() {
    let port = 7000;
    let local = Some(Rig::to_stack(SocketAddrV4::new(HOST, port)));
    let mut t = Rig::new().connect(ConnectOptions { local, ..ConnectOptions::default() });
    let all = SocketAddr::from((Ipv6Addr::UNSPECIFIED, port));
    t.stack.listen(all, ListenOptions::default()).unwrap();
    t.inject("S. 0:0(0) ack 1 win 65535 <mss 1460>").expect(". 1:1(0) ack 1");
    t.state(State::Established);
    t.set_peer_port(41_000).inject("S 0:0(0) win 65535 <mss 1460>");
    t.expect("S. 0:0(0) ack 1 <...>").state(State::SynReceived);
}

/// A stack with a second address on another network.
fn two_networks() -> Rig {
    Rig::with(|config| config.addresses.push("198.51.100.1/24".parse().unwrap()))
}

/// The source and destination of every IPv4 frame of a connection's life.
fn ends(mut t: Rig, remote: &str, local: Option<SocketAddr>) -> Vec<(Ipv4Addr, Ipv4Addr)> {
    let options = ConnectOptions { local, ..ConnectOptions::default() };
    let remote: SocketAddr = remote.parse().unwrap();
    let now = t.now();
    t.socket = Some(t.stack.connect(now, remote, options).unwrap());
    t.drain().advance(secs(10));
    t.abort();
    let mut ends = Vec::new();
    while t.unexpected() > 0 {
        let segment = t.next_segment();
        ends.push((*segment.source.ip(), *segment.destination.ip()));
    }
    assert!(ends.len() >= 3, "a SYN and its retransmissions");
    ends
}

#[test]
fn must_43_the_local_address_can_be_given() {
    let local = Some("198.51.100.1:0".parse().unwrap());
    for (from, _) in ends(two_networks(), "192.0.2.2:80", local) {
        assert_eq!(from, Ipv4Addr::new(198, 51, 100, 1));
    }
    let mut t = Rig::new();
    let now = t.now();
    let options = ConnectOptions { local, ..ConnectOptions::default() };
    let alien = t.stack.connect(now, "192.0.2.2:80".parse().unwrap(), options);
    assert_eq!(alien.err(), Some(ConnectError::AddressNotAvailable));
}

#[test]
fn must_44_otherwise_the_route_chooses_the_address() {
    for (remote, expected) in
        [("192.0.2.2:80", HOST), ("198.51.100.2:80", Ipv4Addr::new(198, 51, 100, 1))]
    {
        assert!(ends(two_networks(), remote, None).iter().all(|(from, _)| *from == expected));
    }
}

#[test]
fn must_45_the_address_stays_for_the_connections_life() {
    let all = ends(two_networks(), "198.51.100.2:80", None);
    assert!(all.windows(2).all(|two| two[0] == two[1]), "{all:?}");
}

#[test]
fn must_46_an_open_to_nobody_is_refused_at_once() {
    let mut t = Rig::new();
    let now = t.now();
    for remote in
        ["255.255.255.255:80", "192.0.2.255:80", "224.0.0.1:80", "0.0.0.0:80", "192.0.2.2:0"]
    {
        let opened = t.stack.connect(now, remote.parse().unwrap(), ConnectOptions::default());
        assert_eq!(opened.err(), Some(ConnectError::InvalidRemote), "{remote}");
    }
    t.drain().expect_nothing();
}

/// A SYN with any addresses, in a frame for any station.
fn syn(t: &mut Rig, from: Ipv4Addr, to: Ipv4Addr, station: Mac) {
    let mut segment: Segment = t.segment("S 0:0(0) win 65535 <mss 1460>");
    segment.source.set_ip(from);
    segment.destination.set_ip(to);
    let frame = segment.to_frame(PEER_MAC, station);
    t.inject_frame(&frame);
}

#[test]
fn must_57_a_syn_to_a_group_is_dropped() {
    let mut t = Rig::listening();
    for (to, station) in [
        ("192.0.2.255", Mac::BROADCAST),
        ("255.255.255.255", Mac::BROADCAST),
        ("224.0.0.1", Mac([1, 0, 0x5e, 0, 0, 1])),
        ("192.0.2.255", HOST_MAC),
        ("255.255.255.255", HOST_MAC),
        ("224.0.0.1", HOST_MAC),
        ("192.0.2.1", Mac::BROADCAST),
    ] {
        syn(&mut t, PEER, to.parse().unwrap(), station);
        t.expect_silence(secs(2)).state(State::Listen);
    }
}

#[test]
fn must_63_a_syn_from_nobody_is_ignored() {
    let mut t = Rig::listening();
    for from in [
        "255.255.255.255",
        "192.0.2.255",
        "224.0.0.1",
        "0.0.0.0",
        "127.0.0.1",
        "192.0.2.1",
        "240.0.0.1",
    ] {
        syn(&mut t, from.parse().unwrap(), HOST, HOST_MAC);
        t.expect_silence(secs(2)).state(State::Listen);
    }
}

/// THREATS P-6: a SYN from the stack's own address and port.
#[test]
fn land_is_no_connection() {
    let mut t = Rig::listening();
    let mut segment = t.segment("S 0:0(0) win 65535");
    segment.source = segment.destination;
    t.inject_frame(&segment.to_frame(PEER_MAC, HOST_MAC)).expect_silence(secs(2));
    assert_eq!(t.stack.connections().count(), 1, "the listener");
}

#[test]
fn must_58_acknowledgments_are_aggregated() {
    let mut t = Rig::established();
    let lines: Vec<String> =
        (0..10).map(|i| format!(". {}:{}(1000) ack 1", 1 + i * 1000, 1001 + i * 1000)).collect();
    t.inject_burst(&lines.iter().map(String::as_str).collect::<Vec<_>>());
    t.expect(". 1:1(0) ack 10001").expect_nothing();
}

#[test]
fn must_59_the_queue_is_processed_before_an_acknowledgment() {
    let mut t = Rig::established();
    for i in 1..11 {
        t.inject(&format!(". {}:{}(100) ack 1", 1 + i * 100, 101 + i * 100));
        t.expect(". 1:1(0) ack 1");
    }
    t.inject(". 1:101(100) ack 1").expect(". 1:1(0) ack 1101").expect_nothing();
    t.expect_read(1100);
}

#[test]
fn shld_31_text_out_of_order_is_kept() {
    let mut t = Rig::established();
    t.inject("P. 11:21(10) ack 1").expect(". 1:1(0) ack 1").expect_would_block();
    t.inject(". 1:11(10) ack 1").expect(". 1:1(0) ack 21").expect_read(20);
}

#[test]
fn may_13_out_of_order_text_is_acknowledged_at_once() {
    let mut t = Rig::established();
    t.inject("P. 11:21(10) ack 1").expect(". 1:1(0) ack 1");
    t.inject("P. 31:41(10) ack 1").expect(". 1:1(0) ack 1");
}

/// RFC 9293 §3.10.7.1, table: what a host without the port says.
#[test]
fn closed_ports_answer_with_a_reset() {
    let mut t = Rig::closed();
    t.inject("S 5:5(0) win 9 <mss 1460>").expect("R. @0:@0(0) ack 6");
    t.inject("F. 5:15(10) ack 77").expect("R 77:77(0)");
    t.inject("- 5:15(10)").expect("R. @0:@0(0) ack 15");
    t.inject("R 5:5(0)").inject("R. 5:5(0) ack 1").expect_nothing();
    let packet = ipv4(PEER, Ipv4Addr::new(203, 0, 113, 9), 6, &[0; 20]);
    t.inject_frame(&ethernet(PEER_MAC, HOST_MAC, 0x0800, &packet)).expect_nothing();
}

/// §3.10.7.3: text and FIN may come with the SYN-ACK, and are taken.
#[test]
fn text_that_comes_with_the_syn_ack_is_taken() {
    let mut t = Rig::connecting();
    t.inject("S. 0:10(10) ack 1 win 65535 <mss 1460>").expect(". 1:1(0) ack 11");
    t.state(State::Established).expect_read(10);
    let mut t = Rig::connecting();
    t.inject("SF. 0:10(10) ack 1 win 65535 <mss 1460>").expect(". 1:1(0) ack 12");
    t.state(State::CloseWait).expect_read(10).expect_end();
}
