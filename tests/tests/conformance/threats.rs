//! Rows of the threat model that belong to no RFC: named after them.

use crate::{ms, secs};
use stack::State;
use stack::testing::packet::{Flags, checksum, ethernet, ipv4};
use stack::testing::rig::{HOST, HOST_MAC, PEER, PEER_MAC, Rig};

/// S-1: what the rig promises. Both directions of every test in this folder wrap around.
#[test]
fn s1_every_test_is_one_of_the_wrap() {
    let t = Rig::established();
    let (host, peer) = (t.bases().seq, t.bases().ack);
    assert!(host > u32::MAX - 100 && peer > u32::MAX - 100, "{host} and {peer}");
}

/// S-1: streams from the peer that begin at every edge, with a hole, SACK, scale and timestamps.
#[test]
fn s1_numbers_at_the_edges() {
    for isn in [0, 1, 0x7fff_ffff, 0x8000_0000, 0x8000_0001, u32::MAX, u32::MAX - 4000] {
        let mut t = Rig::listening();
        t.set_peer_isn(isn);
        let mut t = t.accept_from("<mss 1460,sackOK,TS val 1 ecr 0,nop,wscale 7>");
        t.inject("P. 1001:2001(1000) ack 1");
        t.expect(". 1:1(0) ack 1 <nop,nop,TS val * ecr *,nop,nop,sack 1001:2001>");
        t.inject("P. 3001:4001(1000) ack 1");
        t.expect(". 1:1(0) ack 1 <nop,nop,TS val * ecr *,nop,nop,sack 3001:4001 1001:2001>");
        t.inject(". 1:1001(1000) ack 1");
        t.expect(". 1:1(0) ack 2001 <nop,nop,TS val * ecr *,nop,nop,sack 3001:4001>");
        t.inject(". 2001:3001(1000) ack 1").expect(". 1:1(0) ack 4001").expect_read(4000);
        t.forget_rest();
        t.send(3 * 1448);
        let end = t.take_segments().iter().map(|segment| t.end_of(segment)).max().unwrap();
        assert_eq!(end, 4345);
        t.inject("F. 4001:4001(0) ack 4345");
        t.shutdown().forget_rest();
        t.inject(". 4002:4002(0) ack 4346").expect_nothing().state(State::Closed);
    }
}

const SYNCHRONIZED: [State; 7] = [
    State::Established,
    State::FinWait1,
    State::FinWait2,
    State::CloseWait,
    State::Closing,
    State::LastAck,
    State::TimeWait,
];

/// P-4: options of every kind and length, in every state in which a segment can do nothing else.
#[test]
fn p4_no_option_changes_a_state() {
    for state in SYNCHRONIZED {
        let mut t = Rig::in_state(state);
        let next = t.last().ack.wrapping_sub(t.bases().ack);
        for kind in 0..=255u8 {
            for len in 0..=40u8 {
                // SACK blocks, timestamps and whatever else it may be taken for.
                let options = format!("{kind:02x}{len:02x}{}", "5a".repeat(38));
                t.inject(&format!(". {next}:{next}(0) ack 1 win 65535 <raw {options}>"));
            }
        }
        t.forget_rest().state(state);
    }
}

/// P-4: in a SYN too. The handshake goes on as if the option were not there.
#[test]
fn p4_no_option_spoils_a_handshake() {
    let mut t = Rig::listening();
    for kind in 0..=255u8 {
        for len in 0..=40u8 {
            let options = format!("{kind:02x}{len:02x}{}", "01".repeat(38));
            t.inject(&format!("S 0:0(0) win 65535 <raw {options}>"));
            t.expect("S. 0:0(0) ack 1 <...>").state(State::SynReceived);
            t.inject("R 1:1(0)").expect_nothing().state(State::Listen);
        }
    }
}

/// P-7: reserved and ECN bits never cause a reset, nor anything else but ECN where it is asked for.
#[test]
fn p7_ecn_bits_are_harmless() {
    for bits in ["E", "W", "EW"] {
        let mut t = Rig::listening();
        let answer = if bits == "EW" { "SE." } else { "S." };
        t.inject(&format!("S{bits} 0:0(0) win 65535 <mss 1460>"));
        t.expect(&format!("{answer} 0:0(0) ack 1 <...>"));
        t.inject(&format!("{bits}. 1:1(0) ack 1")).accept().state(State::Established);
        t.inject(&format!("P{bits}. 1:11(10) ack 1")).expect_within(ms(500), ". 1:1(0) ack 11");
        t.inject(&format!("F{bits}. 11:11(0) ack 1")).expect_within(ms(500), ". 1:1(0) ack 12");
        t.expect_read(10).expect_end();
    }
}

/// handshakes that are abandoned in every way leave nothing.
#[test]
fn r3_abandoned_handshakes_leave_nothing() {
    let mut t = Rig::listening();
    for i in 0..10_000u32 {
        t.set_peer_port((1024 + i % 60_000) as u16);
        t.inject("S 0:0(0) win 65535 <mss 1460>").expect("S. 0:0(0) ack 1 <...>");
        if i.is_multiple_of(2) {
            t.inject("R 1:1(0)").expect_nothing();
        }
    }
    t.advance(secs(63)).forget_rest();
    assert_eq!((t.stack.connections().count(), t.stack.memory_used()), (1, 0));
    t.set_peer_port(999).accept_after_flood();
}

trait AfterFlood {
    fn accept_after_flood(&mut self);
}

impl AfterFlood for Rig {
    #[track_caller]
    fn accept_after_flood(&mut self) {
        self.inject("S 0:0(0) win 65535 <mss 1460>").expect("S. 0:0(0) ack 1 <...>");
        self.inject(". 1:1(0) ack 1").accept().state(State::Established);
    }
}

/// a SYN that nobody follows up is answered four times at most.
#[test]
fn r16_syn_acks_do_not_amplify() {
    let mut t = Rig::syn_received();
    t.advance(secs(300));
    assert!(t.take_segments().len() <= 3);
    t.state(State::Listen);
}

/// E-2, E-3: while the device is down nothing is retransmitted and nothing backs off; when it is up
/// the neighbour is asked anew, and the text follows within a tenth of a second.
#[test]
fn e2_a_device_that_was_down_finds_the_connection_as_it_was() {
    let mut t = Rig::established();
    t.send(100).expect("P. 1:101(100) ack 1");
    t.stack.set_link(false);
    t.expect_silence(secs(10));
    let (before, timeouts) = (t.stack.usage().neighbors, t.info().unwrap().timeouts);
    t.stack.set_link(true);
    assert_eq!((before, t.stack.usage().neighbors, timeouts), (1, 0, 0));
    let waited = t.expect_within(ms(100), "P. 1:101(100) ack 1");
    assert_eq!((t.stack.usage().neighbors, t.info().unwrap().timeouts), (1, 1), "{waited:?}");
    t.inject(". 1:1(0) ack 101").state(State::Established);
}

/// E-2: patience ends with the device down as well.
#[test]
fn e2_a_device_that_stays_down_ends_connections_in_time() {
    let mut t = Rig::established();
    let (now, mut options) = (t.now(), t.tcp().options());
    options.user_timeout = Some(secs(3));
    t.tcp().set_options(now, options);
    t.send(100).expect("P. 1:101(100) ack 1");
    t.stack.set_link(false);
    t.advance(ms(2900)).state(State::Established);
    t.advance(ms(300)).expect_error(stack::TcpError::TimedOut);
}

/// E-9: ten thousand connections, one after the other, leave no object behind.
#[test]
fn e9_ten_thousand_connections_leave_nothing() {
    let mut t = Rig::listening();
    for i in 0..10_000u32 {
        t.set_peer_port((1024 + i % 60_000) as u16);
        t.inject("S 0:0(0) win 65535 <mss 1460,sackOK>").expect("S. 0:0(0) ack 1 <...>");
        t.inject("P. 1:101(100) ack 1").accept().expect_read(100);
        t.send(100);
        match i % 3 {
            0 => t.close(),
            1 => t.inject("F. 101:101(0) ack 101").close(),
            _ => t.abort(),
        };
        t.inject("F. 101:101(0) ack 102").inject(". 102:102(0) ack 102").forget_rest();
    }
    t.advance(secs(200)).forget_rest();
    assert_eq!((t.stack.connections().count(), t.stack.memory_used()), (1, 0));
    assert_eq!(t.stack.counters().tcp_curr_estab, 0);
}

/// T-12: the exact connection comes before the listener, and a listener takes nobody's reset.
#[test]
fn t12_segments_reach_their_own_connection() {
    let mut t = Rig::established();
    let first = t.socket;
    t.set_peer_port(41_000);
    let mut t = t.accept_from("<mss 1460>");
    t.inject("R 1:1(0)").expect_nothing().state(State::Closed);
    t.socket = first;
    assert_eq!(t.tcp().state(), State::Established);
}

/// T-13: windows of every size in turn; never beyond, never stuck.
#[test]
fn t13_zigzag_windows() {
    let mut t = Rig::established();
    t.send(400_000);
    let (mut acked, mut edge, mut place) = (1i64, 65_536i64, 7u32);
    for round in 0..2_000 {
        for segment in t.take_segments() {
            let end = t.end_of(&segment);
            assert!(end <= edge + 1, "round {round}: up to {end}, the window ends at {edge}");
            acked = acked.max(end.min(edge));
        }
        place = place.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let window = [0, 1, 500, 1460, 3000, 65_535][(place >> 16) as usize % 6];
        edge = edge.max(acked + window);
        t.inject(&format!(". 1:1(0) ack {acked} win {window}"));
        t.advance(ms(if round % 5 == 0 { 2_000 } else { 20 }));
    }
    t.forget_rest();
    assert_eq!(acked, 400_001, "everything arrives in the end");
}

/// T-18: timestamps that lie do not spoil the retransmission timer.
#[test]
fn t18_echoes_that_lie() {
    let mut t = Rig::accepted("<mss 1460,TS val 1 ecr 0>");
    for ecr in [0u32, 1, 0x7fff_ffff, 0x8000_0000, u32::MAX] {
        t.send(100).forget_rest();
        let end = t.info().unwrap().bytes_sent as i64 + 1;
        let val = t.peer_clock();
        t.inject(&format!(". 1:1(0) ack {end} win 9000 <nop,nop,TS val {val} ecr {ecr}>"));
        let rto = t.info().unwrap().rto;
        assert!((ms(200)..=secs(120)).contains(&rto), "{rto:?} after the echo {ecr}");
        t.advance(ms(5)).forget_rest();
    }
}

/// X-7 and the rest of what a frame may not contain is the referee's business, in the simulated
/// world; here only that a reset says no more than it must.
#[test]
fn resets_carry_nothing() {
    let mut t = Rig::closed();
    t.inject("P. 5:105(100) ack 77 win 9 <nop,nop,TS val 5 ecr 6>");
    let reset = t.next_segment();
    assert_eq!((reset.flags, reset.window, reset.urgent), (Flags::RST, 0, 0));
    assert!(reset.options.is_empty() && reset.payload.is_empty());
}

/// a million segments for nobody, from one host: it gets what a host is given, not more.
#[test]
fn r15_resets_to_one_host_are_limited() {
    let mut t = Rig::closed();
    let mut resets = 0;
    for i in 0..200_000u32 {
        t.set_peer_port((1024 + i % 60_000) as u16);
        t.inject("S 0:0(0) win 65535 <mss 1460>");
        resets += t.take_segments().len();
        if i % 20 == 0 {
            // 20,000 each second.
            t.advance(ms(1));
        }
    }
    // Ten seconds at two hundred each, and what is given at once.
    assert!((2_000..=2_200).contains(&resets), "{resets} RSTs");
    assert_eq!(t.stack.counters().tcp_resets_limited, 200_000 - resets as u64);
    t.advance(secs(2)).set_peer_port(999);
    t.inject("S 0:0(0) win 65535").expect("R. 0:0(0) ack 1");
}

/// T-9: a handshake answers segments outside its window at the challenge rate.
#[test]
fn t9_a_handshake_does_not_chatter() {
    let mut t = Rig::syn_received();
    for _ in 0..1000 {
        t.inject(". 70001:70001(0) ack 1");
        t.advance(ms(1));
    }
    let answers = t.take_segments().len();
    assert!((2..=4).contains(&answers), "{answers} ACKs and SYN-ACKs in a second");
    assert!(t.stack.counters().tcp_ack_skipped > 990);
    t.inject(". 1:1(0) ack 1").accept().state(State::Established);
}

/// The peer's segment with IP options before it.
fn with_ip_options(t: &Rig, line: &str, options: &[u8]) -> Vec<u8> {
    let plain = t.segment(line).to_frame(PEER_MAC, HOST_MAC);
    let mut frame = [&plain[..34], options, &plain[34..]].concat();
    frame[14] = 0x45 + options.len() as u8 / 4;
    let total = (frame.len() - 14) as u16;
    frame[16..18].copy_from_slice(&total.to_be_bytes());
    frame[24..26].fill(0);
    let sum = checksum(&[&frame[14..34 + options.len()]]);
    frame[24..26].copy_from_slice(&sum.to_be_bytes());
    frame
}

/// P-3: IP options of every kind and length (VxWorks, CVE-2019-12256; gVisor 41ccfb37a panicked).
#[test]
fn p3_no_ip_option_does_harm() {
    let mut t = Rig::established();
    for kind in 0..=255u8 {
        for len in 0..=41u8 {
            let mut options = [0x5a; 40];
            options[..2].copy_from_slice(&[kind, len]);
            let frame = with_ip_options(&t, ". 1:1(0) ack 1", &options);
            t.inject_frame(&frame);
        }
    }
    t.expect_nothing().state(State::Established);
    t.send(10).expect("P. 1:11(10) ack 1");
}

/// P-12: what is wrapped in IP, GRE or UDP is nobody's here (CVE-2020-10136): no answer but that
/// the protocol is not spoken.
#[test]
fn p12_nothing_is_unwrapped() {
    for protocol in [4, 41, 47, 94, 115, 137] {
        let mut t = Rig::listening();
        let inner = t.segment("S 0:0(0) win 65535").to_frame(PEER_MAC, HOST_MAC)[14..].to_vec();
        let mut wrapped = inner.clone();
        for _ in 0..10 {
            wrapped = ipv4(PEER, HOST, protocol, &wrapped);
        }
        t.inject_ipv4(protocol, &wrapped).expect_icmp(3, 2);
        t.inject_ipv4(protocol, &inner).forget_rest().state(State::Listen);
    }
}

/// F-5: a first fragment that ends within the TCP header says nothing yet; put together it is a SYN
/// like any other (RFC 1858).
#[test]
fn f5_a_header_in_two_fragments() {
    let mut t = Rig::listening();
    let whole = t.segment("S 0:0(0) win 65535 <mss 1000>").to_frame(PEER_MAC, HOST_MAC);
    let piece = |range: core::ops::Range<usize>, more: u8| {
        let offset = (range.start / 8) as u8;
        let mut packet = ipv4(PEER, HOST, 6, &whole[34..][range]);
        packet[4..8].copy_from_slice(&[0, 9, more, offset]);
        packet[10..12].fill(0);
        let sum = checksum(&[&packet[..20]]);
        packet[10..12].copy_from_slice(&sum.to_be_bytes());
        ethernet(PEER_MAC, HOST_MAC, 0x0800, &packet)
    };
    t.inject_frame(&piece(0..8, 0x20)).expect_nothing().state(State::Listen);
    t.inject_frame(&piece(8..24, 0)).expect("S. 0:0(0) ack 1 <...>");
}

/// T-11: the urgent pointer is never taken for a length, in no state (URGENT/11: VxWorks read past
/// its buffer, CVE-2019-12255 and its sisters).
#[test]
fn t11_urgent_pointers_in_every_state() {
    for state in SYNCHRONIZED {
        let mut t = Rig::in_state(state);
        let next = t.last().ack.wrapping_sub(t.bases().ack);
        for urgent in [0, 1, 2, 1460, 0x7fff, 0x8000, 0xffff] {
            t.inject(&format!("U. {next}:{next}(0) ack 1 win 65535 urg {urgent}"));
            t.inject(&format!("U. {next}:{next}(0) ack 1 win 65535 urg {urgent} <eol>"));
        }
        t.forget_rest().state(state);
    }
    let mut t = Rig::established();
    for i in 0..100u32 {
        let (from, to) = (1 + i * 10, 11 + i * 10);
        t.inject(&format!("PU. {from}:{to}(10) ack 1 win 65535 urg {}", i * 663 % 65_536));
    }
    t.forget_rest();
    assert_eq!(t.recv_all(), 1000, "every byte, in its place");
    t.forget_rest();
}

/// T-14, R-6: hours behind a closed window: probes become rare, and the text goes in the end.
#[test]
fn t14_hours_behind_a_closed_window() {
    let mut t = Rig::established();
    t.inject(". 1:1(0) ack 1 win 0").send(1000).expect_nothing();
    let mut probes = 0;
    let begun = t.now();
    while t.now() - begun < secs(4 * 3600) {
        t.expect_within(secs(61), ". 0:0(0) ack 1");
        t.inject(". 1:1(0) ack 1 win 0").expect_nothing();
        probes += 1;
    }
    assert!(probes <= 4 * 60 + 15, "{probes} probes in four hours");
    t.inject(". 1:1(0) ack 1 win 65535").expect("P. 1:1001(1000) ack 1");
}

/// T-16: a hundred thousand blind ICMP errors of every kind move nothing: no MSS, no connection
/// (RFC 5927; a FreeBSD panicked at a path MTU of nothing, SA-08:09).
#[test]
fn t16_blind_icmp_changes_nothing() {
    let mut t = Rig::established();
    t.send(1460).expect("P. 1:1461(1460) ack 1");
    let in_flight = t.last().clone();
    let before = t.info().unwrap();
    let mut quoted = in_flight.clone();
    for i in 0..100_000u32 {
        // Everywhere but in the 1460 octets that are in flight.
        quoted.seq = in_flight.seq.wrapping_add(1460 + i * 42_940);
        let (kind, code) =
            [(3, 4), (3, 2), (3, 3), (3, 1), (4, 0), (11, 0), (12, 0)][i as usize % 7];
        let mtu = [0, 1, 68, 296, 575, 1499][i as usize % 6] as u16;
        let [high, low] = mtu.to_be_bytes();
        t.inject_error(kind, code, [0, 0, high, low], &quoted);
    }
    t.expect_nothing().state(State::Established);
    let after = t.info().unwrap();
    assert_eq!((before.send_mss, before.cwnd), (after.send_mss, after.cwnd));
}

/// S-3: the peer's timestamp clock passes 2^31 and 2^32 (gVisor, smoltcp, netstack3 and lwIP have
/// no PAWS; who has it must not drop what is new).
#[test]
fn s3_the_peers_clock_wraps() {
    let begin = 0x7fff_fff0_u32;
    let mut t = Rig::listening();
    t.inject(&format!("S 0:0(0) win 65535 <mss 1460,sackOK,TS val {begin} ecr 0>"));
    t.expect("S. 0:0(0) ack 1 <...>");
    t.inject(&format!(". 1:1(0) ack 1 <nop,nop,TS val {begin} ecr 0>")).accept();
    let mut clock = begin;
    for i in 0..2000u32 {
        clock = clock.wrapping_add(1_200_000);
        let (from, to) = (1 + i * 10, 11 + i * 10);
        t.inject(&format!("P. {from}:{to}(10) ack 1 <nop,nop,TS val {clock} ecr 0>"));
        t.advance(ms(50)).forget_rest();
    }
    assert!(clock < begin, "it has come around");
    assert_eq!(t.recv_all(), 20_000);
    t.forget_rest();
}

/// blocks that walk through a flight byte by byte cut it into no more records than are allowed
/// (SACK Panic, CVE-2019-11477 and 11478), and everything arrives.
#[test]
fn r7_a_walk_of_blocks() {
    let mut t = Rig::accepted("<mss 88,sackOK>");
    t.send(20_000);
    let mut ends: Vec<i64> = t.take_segments().iter().map(|it| t.end_of(it)).collect();
    let last = *ends.last().unwrap();
    for at in (2..last - 8).step_by(2) {
        let blocks = format!("{at}:{} {}:{} {}:{}", at + 1, at + 4, at + 5, at + 6, at + 7);
        t.inject(&format!(". 1:1(0) ack 1 <nop,nop,sack {blocks}>"));
        ends.extend(t.take_segments().iter().map(|it| t.end_of(it)));
    }
    let info = t.info().unwrap();
    assert!(i64::from(info.sacked) <= last, "{}", info.sacked);
    for _ in 0..5000 {
        let Some(end) = ends.iter().max() else { break };
        t.inject(&format!(". 1:1(0) ack {end}"));
        ends = t.take_segments().iter().map(|it| t.end_of(it)).collect();
    }
    assert_eq!(t.info().unwrap().bytes_acked, 20_000);
}

/// an MSS of 0 is none (smoltcp looped for ever), a tiny one is not obeyed below the floor:
/// 10,000 octets are no 10,000 segments (CVE-2019-11479).
#[test]
fn r8_tiny_segments_have_a_floor() {
    for mss in [0, 1, 8, 48, 87, 88] {
        let mut t = Rig::accepted(&format!("<mss {mss}>"));
        t.send(10_000);
        let (mut segments, mut acked) = (0, 0);
        while acked < 10_001 {
            let sent = t.take_segments();
            assert!(!sent.is_empty(), "MSS {mss}: it stands still at {acked}");
            segments += sent.len();
            acked = sent.iter().map(|it| t.end_of(it)).max().unwrap();
            t.inject(&format!(". 1:1(0) ack {acked}"));
        }
        assert!(segments <= 10_000 / 88 + 15, "MSS {mss}: {segments} segments");
    }
}
