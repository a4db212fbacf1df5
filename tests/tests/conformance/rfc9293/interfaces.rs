//! RFC 9293 §3.9: what the application and IP see of TCP, and what ICMP may do to it.

use crate::{ms, secs};
use stack::testing::packet::{Segment, checksum};
use stack::testing::rig::Rig;
use stack::{ConnectOptions, ListenOptions, Readiness, SendError, State, TcpError, TcpOptions};

/// Destination unreachable: network, host, protocol, port, and the ones that mean a router.
const UNREACHABLE: u8 = 3;

/// A connection with ten bytes in flight, and the segment that carries them.
fn in_flight() -> (Rig, Segment) {
    let mut t = Rig::established();
    t.send(10).expect("P. 1:11(10) ack 1");
    let segment = t.last().clone();
    (t, segment)
}

#[test]
fn must_47_soft_errors_are_reported_in_the_end() {
    for (kind, code, error) in
        [(UNREACHABLE, 1, TcpError::HostUnreachable), (12, 0, TcpError::ParameterProblem)]
    {
        let (mut t, segment) = in_flight();
        t.inject_error(kind, code, [0; 4], &segment).expect_nothing().state(State::Established);
        t.advance(secs(2000)).forget_rest();
        t.expect_error(error);
    }
}

/// The Diffserv octet of the last frames, and their TTL.
fn octets(t: &mut Rig) -> Vec<(u8, u8)> {
    let mut found = Vec::new();
    while t.unexpected() > 0 {
        let frame = t.next_frame();
        found.push((frame[15], frame[22]));
    }
    found
}

#[test]
fn must_48_the_application_sets_the_diffserv_field() {
    let tcp = TcpOptions { tos: 0xb8, ..TcpOptions::default() };
    let mut t = Rig::new().listen(ListenOptions { tcp, ..ListenOptions::default() });
    t.inject("S 0:0(0) win 65535 <mss 1460>");
    assert_eq!(octets(&mut t), [(0xb8, 64)], "of an accepted connection's SYN-ACK too");
    t.inject(". 1:1(0) ack 1").accept().send(10);
    t.inject("F. 1:1(0) ack 1").abort();
    assert!(octets(&mut t).iter().all(|(tos, _)| *tos == 0xb8));
}

#[test]
fn shld_21_it_may_change_on_the_way() {
    let mut t = Rig::established();
    let now = t.now();
    let options = TcpOptions { tos: 0x20, ..t.tcp().options() };
    t.tcp().set_options(now, options);
    t.send(10);
    assert_eq!(octets(&mut t), [(0x20, 64)]);
}

#[test]
fn shld_22_it_is_passed_unchanged_but_for_ecn() {
    let mut t = Rig::established();
    let now = t.now();
    let options = TcpOptions { tos: 0xff, ..t.tcp().options() };
    t.tcp().set_options(now, options);
    t.send(10);
    assert_eq!(octets(&mut t), [(0xfc, 64)]);
}

#[test]
fn must_49_the_ttl_can_be_set() {
    let tcp = TcpOptions { ttl: 7, ..TcpOptions::default() };
    let mut t = Rig::new().listen(ListenOptions { tcp, ..ListenOptions::default() });
    t.inject("S 0:0(0) win 65535 <mss 1460>").inject(". 1:1(0) ack 1").accept().send(10);
    t.inject("F. 1:1(0) ack 1").abort();
    assert!(octets(&mut t).iter().all(|(_, ttl)| *ttl == 7));
    let mut t = Rig::established();
    t.send(1);
    assert_eq!(octets(&mut t), [(0, 64)], "by default");
}

/// The peer's segment with IP options before it.
fn with_ip_options(t: &Rig, line: &str, options: &[u8]) -> Vec<u8> {
    let frame =
        t.segment(line).to_frame(stack::testing::rig::PEER_MAC, stack::testing::rig::HOST_MAC);
    let mut longer = frame[..34].to_vec();
    longer.extend(options);
    longer.extend(&frame[34..]);
    longer[14] = 0x45 + options.len() as u8 / 4;
    let total = (longer.len() - 14) as u16;
    longer[16..18].copy_from_slice(&total.to_be_bytes());
    longer[24..26].fill(0);
    let sum = checksum(&[&longer[14..34 + options.len()]]);
    longer[24..26].copy_from_slice(&sum.to_be_bytes());
    longer
}

#[test]
fn must_50_unknown_ip_options_are_ignored() {
    for options in [[148, 4, 0, 0], [0x99, 4, 1, 2], [0x1e, 3, 1, 0], [1, 1, 1, 0]] {
        let mut t = Rig::listening();
        let frame = with_ip_options(&t, "S 0:0(0) win 65535 <mss 1460>", &options);
        t.inject_frame(&frame).expect("S. 0:0(0) ack 1 <...>");
        let frame = with_ip_options(&t, "P. 1:11(10) ack 1", &options);
        t.inject_frame(&frame).accept().expect_read(10).state(State::Established).forget_rest();
    }
}

#[test]
fn must_54_errors_reach_the_connection_that_they_quote() {
    let (mut t, segment) = in_flight();
    // An open connection that is told of every error that is its own.
    let (now, options) = (t.now(), TcpOptions { network_errors: true, ..t.tcp().options() });
    t.tcp().set_options(now, options);
    let mut other = segment.clone();
    other.source.set_port(81);
    let (mut old, mut unsent) = (segment.clone(), segment.clone());
    old.seq = old.seq.wrapping_sub(1000);
    unsent.seq = unsent.seq.wrapping_add(1000);
    for (quoted, is_told) in [(other, false), (old, false), (unsent, false), (segment, true)] {
        t.inject_error(UNREACHABLE, 3, [0; 4], &quoted);
        t.expect_nothing().state(State::Established);
        assert_eq!(t.tcp().readiness().contains(Readiness::ERROR), is_told, "{quoted:?}");
    }
    let mut t = Rig::connecting();
    let syn = t.last().clone();
    t.inject_error(UNREACHABLE, 3, [0; 4], &syn).expect_error(TcpError::Refused);
}

#[test]
fn must_55_source_quench_is_ignored() {
    let (mut t, segment) = in_flight();
    let before = t.info().unwrap();
    t.inject_error(4, 0, [0; 4], &segment).expect_nothing();
    let after = t.info().unwrap();
    assert_eq!((before.cwnd, before.ssthresh), (after.cwnd, after.ssthresh));
}

#[test]
fn must_56_soft_errors_do_not_abort() {
    for (kind, code) in [(3, 0), (3, 1), (3, 5), (11, 0), (11, 1), (12, 0)] {
        let (mut t, segment) = in_flight();
        t.inject_error(kind, code, [0; 4], &segment).expect_nothing().state(State::Established);
        t.inject(". 1:1(0) ack 11").send(5).expect("P. 11:16(5) ack 1");
        let mut t = Rig::connecting();
        let syn = t.last().clone();
        t.inject_error(kind, code, [0; 4], &syn).expect_nothing().state(State::SynSent);
        t.inject("S. 0:0(0) ack 1 win 65535 <mss 1460>").expect(". 1:1(0) ack 1");
    }
}

#[test]
fn shld_25_the_application_learns_of_soft_errors() {
    let mut t = Rig::connecting();
    let syn = t.last().clone();
    t.inject_error(UNREACHABLE, 1, [0; 4], &syn);
    t.advance(secs(400)).forget_rest();
    t.expect_error(TcpError::HostUnreachable);
}

/// Linux's IP_RECVERR: at once, to the call that is made then, and the connection goes on.
#[test]
fn shld_25_who_asks_for_soft_errors_learns_of_them_at_once() {
    let with = |t: &mut Rig| {
        let (now, options) = (t.now(), TcpOptions { network_errors: true, ..t.tcp().options() });
        t.tcp().set_options(now, options);
    };
    for (kind, code, error) in [
        (UNREACHABLE, 0, TcpError::NetworkUnreachable),
        (UNREACHABLE, 1, TcpError::HostUnreachable),
        (UNREACHABLE, 3, TcpError::Refused),
        (11, 0, TcpError::HostUnreachable),
        (12, 0, TcpError::ParameterProblem),
    ] {
        let (mut t, segment) = in_flight();
        with(&mut t);
        t.inject_error(kind, code, [0; 4], &segment).expect_nothing().state(State::Established);
        assert!(t.tcp().readiness().contains(Readiness::ERROR));
        t.expect_error(error).expect_would_block();
        assert!(!t.tcp().readiness().contains(Readiness::ERROR));
        t.inject_error(kind, code, [0; 4], &segment);
        assert_eq!(t.try_send(5), Err(SendError::Failed(error)));
        t.inject(". 1:1(0) ack 11").send(5).expect("P. 11:16(5) ack 1");
        // The end goes before what was said on the way, which is not told again.
        t.inject_error(kind, code, [0; 4], &t.last().clone());
        t.advance(secs(2000)).forget_rest().expect_error(TcpError::TimedOut);
        let mut t = Rig::connecting();
        with(&mut t);
        let syn = t.last().clone();
        t.inject_error(kind, code, [0; 4], &syn).state(State::Closed).expect_error(error);
    }
}

#[test]
fn shld_26_hard_errors_end_an_attempt_to_connect() {
    for (code, error) in [(2, TcpError::ProtocolUnreachable), (3, TcpError::Refused)] {
        let mut t = Rig::connecting();
        let syn = t.last().clone();
        t.inject_error(UNREACHABLE, code, [0; 4], &syn).state(State::Closed).expect_error(error);
    }
    // RFC 5927: once open, a connection is not ended by anybody who can guess its ports.
    let (mut t, segment) = in_flight();
    for code in [2, 3] {
        t.inject_error(UNREACHABLE, code, [0; 4], &segment).state(State::Established);
    }
    t.expect_nothing();
}

/// RFC 1191: a packet that was too big is sent again, smaller.
#[test]
fn a_smaller_path_makes_smaller_segments() {
    let mut t = Rig::established();
    t.send(1460).expect("P. 1:1461(1460) ack 1");
    let segment = t.last().clone();
    t.inject_error(UNREACHABLE, 4, [0, 0, 0x03, 0xe8], &segment);
    t.expect(". 1:961(960) ack 1").expect("P. 961:1461(500) ack 1");
    assert_eq!(t.info().unwrap().send_mss, 960);
    // Only about what is in flight: not the next segment, and not the one before.
    let mut beside = segment.clone();
    for number in [1460, u32::MAX] {
        beside.seq = segment.seq.wrapping_add(number);
        t.inject_error(UNREACHABLE, 4, [0, 0, 0x02, 0x58], &beside).expect_nothing();
    }
    // Never larger than before, never below what every host takes, and not what no link has.
    t.inject_error(UNREACHABLE, 4, [0, 0, 0, 20], &segment).expect_nothing();
    t.inject_error(UNREACHABLE, 4, [0, 0, 0x05, 0xdc], &segment).expect_nothing();
    t.inject_error(UNREACHABLE, 4, [0, 0, 0, 100], &segment).forget_rest();
    assert_eq!(t.info().unwrap().send_mss, 536);
}

/// The frame says that it must not be fragmented, as path MTU discovery needs.
#[test]
fn segments_are_not_to_be_fragmented() {
    let mut t = Rig::established();
    t.send(10);
    assert_eq!(t.next_frame()[20] & 0x40, 0x40);
}

/// A neighbour that does not answer is no route to the host.
#[test]
fn no_neighbour_is_host_unreachable() {
    let mut t = Rig::new();
    t.answers_arp = false;
    let now = t.now();
    let remote = "192.0.2.77:80".parse().unwrap();
    t.socket = Some(t.stack.connect(now, remote, ConnectOptions::default()).unwrap());
    t.drain().advance(secs(10)).expect_nothing().expect_error(TcpError::HostUnreachable);
    t.expect_silence(ms(10));
}
