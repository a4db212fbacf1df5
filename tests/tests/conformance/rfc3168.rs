//! RFC 3168: Explicit Congestion Notification, in the order of its sections.

use crate::{ms, secs};
use stack::testing::packet::{Segment, ethernet, ipv4, set_ecn};
use stack::testing::rig::{HOST_MAC, PEER_MAC, Rig};
use stack::{Congestion, ConnectOptions, EcnMode, FastOpen, ListenFastOpen, ListenOptions, State};

const MSS: &str = "<mss 1000>";

fn with(mode: EcnMode) -> Rig {
    Rig::with(|config| config.tcp.ecn = mode)
}

/// Accepted from a peer who asks for ECN.
fn accepted() -> Rig {
    let mut t = Rig::new().listen(ListenOptions::default());
    t.inject(&format!("SEW 0:0(0) win 65535 {MSS}")).expect("[noecn] SE. 0:0(0) ack 1 <...>");
    t.inject(". 1:1(0) ack 1").accept().state(State::Established);
    assert!(t.info().unwrap().ecn);
    t
}

/// Connected to a peer who agrees.
fn connected() -> Rig {
    let mut t = with(EcnMode::On).connect(ConnectOptions::default());
    t.inject(&format!("SE. 0:0(0) ack 1 win 65535 {MSS}"));
    t.expect("[noecn] . 1:1(0) ack 1").state(State::Established);
    assert!(t.info().unwrap().ecn);
    t
}

#[test]
fn section_5_3_a_marked_fragment_marks_the_datagram() {
    for (first, last, echoed) in [(2, 3, true), (3, 2, true), (2, 2, false)] {
        let mut t = accepted();
        for frame in fragments(&t.segment(". 1:1001(1000) ack 1"), [first, last]) {
            t.inject_frame(&frame);
        }
        t.advance(secs(1));
        t.expect(if echoed { "E. 1:1(0) ack 1001" } else { ". 1:1(0) ack 1001" });
        t.expect_read(1000).forget_rest();
    }
    let mut t = accepted();
    for frame in fragments(&t.segment(". 1:1001(1000) ack 1"), [0, 3]) {
        t.inject_frame(&frame);
    }
    t.expect_silence(secs(1));
}

/// The segment in two fragments with these ECN bits.
fn fragments(segment: &Segment, ecn: [u8; 2]) -> [Vec<u8>; 2] {
    let frame = segment.to_frame(PEER_MAC, HOST_MAC);
    let (from, to) = (*segment.source.ip(), *segment.destination.ip());
    let (first, last) = frame[34..].split_at(512);
    [(first, 0x2000), (last, 512 / 8)].map(|(part, place): (&[u8], u16)| {
        let mut packet = ipv4(from, to, 6, part);
        packet[4..6].copy_from_slice(&[7, 7]);
        packet[6..8].copy_from_slice(&place.to_be_bytes());
        set_ecn(&mut packet, ecn[usize::from(place != 0x2000)]);
        ethernet(PEER_MAC, HOST_MAC, 0x0800, &packet)
    })
}

/// Both sides have to agree, each with its own pair of flags.
#[test]
fn shld_8_negotiation() {
    for (mode, syn, answer) in [
        (EcnMode::WhenAsked, "SEW", "SE."),
        (EcnMode::On, "SEW", "SE."),
        (EcnMode::Off, "SEW", "S."),
        (EcnMode::On, "SE", "S."),
        (EcnMode::On, "SW", "S."),
        (EcnMode::On, "S", "S."),
    ] {
        let mut t = with(mode).listen(ListenOptions::default());
        t.inject(&format!("{syn} 0:0(0) win 65535 {MSS}"));
        t.expect(&format!("[noecn] {answer} 0:0(0) ack 1 <...>"));
        t.inject(". 1:1(0) ack 1").accept().send(1000);
        let ect = if answer == "SE." { "ect0" } else { "noecn" };
        t.expect(&format!("[{ect}] P. 1:1001(1000) ack 1"));
        assert_eq!(t.info().unwrap().ecn, answer == "SE.", "{syn}");
    }
    for (answer, agreed) in [("SE.", true), ("S.", false), ("SEW.", false), ("SW.", false)] {
        let mut t = with(EcnMode::On).connect(ConnectOptions::default());
        t.inject(&format!("{answer} 0:0(0) ack 1 win 65535 {MSS}")).expect(". 1:1(0) ack 1");
        t.send(1000).expect(if agreed {
            "[ect0] P. 1:1001(1000) ack 1"
        } else {
            "[noecn] P. 1:1001(1000) ack 1"
        });
        assert_eq!(t.info().unwrap().ecn, agreed, "{answer}");
    }
}

/// Whoever did not ask is not agreed with.
#[test]
fn section_6_1_1_an_answer_to_nothing_is_none() {
    let mut t = with(EcnMode::WhenAsked).connect(ConnectOptions::default());
    t.inject(&format!("SE. 0:0(0) ack 1 win 65535 {MSS}")).expect(". 1:1(0) ack 1");
    t.send(1000).expect("[noecn] P. 1:1001(1000) ack 1");
}

#[test]
fn section_6_1_1_simultaneous_open() {
    let mut t = with(EcnMode::On).connect(ConnectOptions::default());
    t.inject(&format!("SEW 0:0(0) win 65535 {MSS}")).expect("[noecn] SE. 0:0(0) ack 1 <...>");
    t.inject(". 1:1(0) ack 1").state(State::Established).forget_rest();
    t.send(1000).expect("[ect0] P. 1:1001(1000) ack 1");
}

/// §6.1.1.1: a path may drop what asks, so the second SYN does not; and then nothing of ours is
/// ECT, though the peer may have agreed to the first.
#[test]
fn section_6_1_1_1_a_syn_sent_again_does_not_ask() {
    let mut t = with(EcnMode::On).connect(ConnectOptions::default());
    t.expect_within(secs(2), "[noecn] S 0:0(0) <...>");
    t.inject(&format!("SE. 0:0(0) ack 1 win 65535 {MSS}")).expect(". 1:1(0) ack 1");
    t.send(1000).expect("[noecn] P. 1:1001(1000) ack 1");
    t.inject("[ce] P. 1:1001(1000) ack 1001").expect("E. 1001:1001(0) ack 1001").forget_rest();
}

/// The same seen from the other side.
#[test]
fn section_6_1_1_1_who_stops_asking_is_answered_without() {
    let mut t = Rig::new().listen(ListenOptions::default());
    t.inject(&format!("SEW 0:0(0) win 65535 {MSS}")).expect("SE. 0:0(0) ack 1 <...>");
    t.inject(&format!("S 0:0(0) win 65535 {MSS}")).expect("S. 0:0(0) ack 1 <...>");
    t.inject(". 1:1(0) ack 1").accept().send(1000).expect("[noecn] P. 1:1001(1000) ack 1");
}

/// So is one whose SYN has made a connection at once (RFC 7413), which may have sent text since.
#[test]
fn section_6_1_1_who_stops_asking_is_believed_after_text_too() {
    let fast_open = ListenFastOpen { pending_max: 1, ..ListenFastOpen::default() };
    let mut t = Rig::with(|config| {
        config.tcp.fast_open = FastOpen::SERVER.with(FastOpen::SERVER_NO_COOKIE);
    })
    .listen(ListenOptions { fast_open, ..ListenOptions::default() });
    t.inject(&format!("SEW 0:100(100) win 65535 {MSS}")).expect("SE. 0:0(0) ack 101 <...>");
    t.accept().send(1000).expect("[ect0] P. 1:1001(1000) ack 101");
    t.inject(&format!("SEW 0:0(0) win 65535 {MSS}")).expect("SE. 0:0(0) ack 101 <...>");
    t.inject(&format!("S 0:0(0) win 65535 {MSS}")).expect("S. 0:0(0) ack 101 <...>");
    t.send(1000).expect("[noecn] P. 1001:2001(1000) ack 101");
    t.inject(". 101:101(0) ack 2001").state(State::Established);
    assert!(!t.info().unwrap().ecn);
    t.send(1000).expect("[noecn] P. 2001:3001(1000) ack 101").forget_rest();
}

/// And one whose SYN has crossed ours.
#[test]
fn section_6_1_1_who_stops_asking_in_a_simultaneous_open_gets_no_ect() {
    let mut t = with(EcnMode::On).connect(ConnectOptions::default());
    t.inject(&format!("SEW 0:0(0) win 65535 {MSS}")).expect("[noecn] SE. 0:0(0) ack 1 <...>");
    t.inject(&format!("S 0:0(0) win 65535 {MSS}")).expect(". 1:1(0) ack 1");
    t.inject(". 1:1(0) ack 1").state(State::Established).forget_rest();
    t.send(1000).expect("[noecn] P. 1:1001(1000) ack 1");
}

/// A cookie remembers it where it remembers anything: with timestamps.
#[test]
fn section_6_1_1_through_a_cookie() {
    for (options, answer) in
        [("<mss 1000,sackOK,TS val 1000000 ecr 0,nop,wscale 7>", "SE."), ("<mss 1000>", "S.")]
    {
        let mut t = Rig::with(|config| config.tcp.half_open_per_listener = 1);
        t = t.listen(ListenOptions::default());
        t.set_peer_port(1).inject("S 0:0(0) win 65535 <mss 1460>").expect("S. 0:0(0) ack 1 <...>");
        t.set_peer_port(2000).inject(&format!("SEW 0:0(0) win 65535 {options}"));
        t.expect(&format!("{answer} 0:0(0) ack 1 <...>"));
        t.inject(". 1:1(0) ack 1").accept();
        assert_eq!(t.info().unwrap().ecn, answer == "SE.");
    }
}

/// One reduction for a window of marks, and CWR on the first new text after it.
#[test]
fn section_6_1_2_the_sender_reacts_once() {
    let mut t = accepted();
    t.send(30_000);
    for segment in t.take_segments() {
        assert_eq!(segment.ecn, 2, "{segment:?}");
    }
    let before = t.info().unwrap().cwnd;
    t.inject("E. 1:1(0) ack 1001");
    let after = t.info().unwrap().cwnd;
    assert!(after < before && t.unexpected() == 0, "{before} {after}");
    for ack in [2001, 3001, 4001, 5001, 6001] {
        t.inject(&format!("E. 1:1(0) ack {ack}"));
    }
    let more = t.take_segments();
    let told: Vec<bool> =
        more.iter().map(|it| it.flags.has(stack::testing::packet::Flags::CWR)).collect();
    assert!(told.first() == Some(&true) && told[1..].iter().all(|cwr| !cwr), "{told:?}");
    assert!(t.info().unwrap().cwnd >= after, "no other for this window");
    // Everything that was out is acknowledged, and beyond: a mark counts again.
    let end = t.end_of(more.last().unwrap());
    t.inject(&format!(". 1:1(0) ack {end}")).forget_rest();
    let before = t.info().unwrap().cwnd;
    t.inject(&format!("E. 1:1(0) ack {end}")).forget_rest();
    assert!(t.info().unwrap().cwnd < before);
    assert_eq!(t.info().unwrap().bytes_delivered_ce, 6000);
    assert_eq!(t.stack.counters().tcp_delivered_ce, 6000);
}

/// RFC 8511 §3.1: Reno reduces what was in flight, also where one acknowledgment covers all
/// of it.
#[test]
fn section_6_1_2_the_flight_before_the_mark_counts() {
    let mut t = Rig::with(|config| config.tcp.congestion = Congestion::Reno);
    t = t.listen(ListenOptions::default());
    t.inject(&format!("SEW 0:0(0) win 65535 {MSS}")).forget_rest();
    t.inject(". 1:1(0) ack 1").accept().send(10_000).forget_rest();
    t.inject("E. 1:1(0) ack 10001");
    assert_eq!(t.info().unwrap().cwnd, 8000);
}

/// CWR tells of every reduction, of one for a loss too.
#[test]
fn section_6_1_2_cwr_after_a_loss() {
    let mut t = accepted();
    t.send(50_000);
    let sent = t.take_segments().len() as u32;
    for _ in 0..3 {
        t.inject(". 1:1(0) ack 1");
    }
    let first = t.take_segments();
    assert!(first.iter().any(|it| it.payload.len() == 1000 && it.ecn == 0), "sent again, not ECT");
    let all = 1 + 1000 * (sent + 2);
    t.inject(&format!(". 1:1(0) ack {all}"));
    let new = t.take_segments();
    let cwr = stack::testing::packet::Flags::CWR;
    let told = first.iter().chain(&new).filter(|it| it.flags.has(cwr)).count();
    assert_eq!(told, 1);
}

/// ECE on every segment until CWR comes.
#[test]
fn section_6_1_3_the_receiver_echoes() {
    let mut t = accepted();
    t.inject("[ect0] . 1:1001(1000) ack 1").expect(". 1:1(0) ack 1001");
    t.inject("[ce] . 1001:2001(1000) ack 1").expect("E. 1:1(0) ack 2001");
    t.inject("[ect0] . 2001:3001(1000) ack 1").expect("E. 1:1(0) ack 3001");
    t.send(500).expect("[ect0] PE. 1:501(500) ack 3001");
    t.inject("[ect0] W. 3001:4001(1000) ack 501").expect(". 501:501(0) ack 4001");
    t.inject("[ce] W. 4001:5001(1000) ack 501").expect("E. 501:501(0) ack 5001");
    t.expect_read(5000).forget_rest();
    let counters = t.stack.counters();
    assert_eq!((counters.ip_in_ce_pkts, counters.ip_in_ect0_pkts), (2, 3));
    assert!(t.info().unwrap().ecn_seen);
}

/// Without agreement marks mean nothing.
#[test]
fn section_6_1_3_not_without_agreement() {
    let mut t = Rig::established();
    t.inject("[ce] . 1:1001(1000) ack 1").expect(". 1:1(0) ack 1001").expect_read(1000);
    t.send(1000).expect("[noecn] P. 1:1001(1000) ack 1001");
    let before = t.info().unwrap().cwnd;
    t.inject("E. 1001:1001(0) ack 1001");
    assert!(t.info().unwrap().cwnd >= before);
}

/// §6.1.4: pure acknowledgments are not ECT; §6.1.5: nor is what is sent again; §6.1.6: nor are
/// probes.
#[test]
fn sections_6_1_4_to_6_1_6_what_is_not_ect() {
    let mut t = connected();
    t.send(1000).expect("[ect0] P. 1:1001(1000) ack 1");
    t.expect_within(secs(3), "[noecn] P. 1:1001(1000) ack 1");
    t.inject(". 1:1(0) ack 1001 win 0");
    t.send(1000).expect_within(secs(10), "[noecn] . 1000:1000(0) ack 1");
    t.inject(". 1:1(0) ack 1001 win 1000").expect("[ect0] PW. 1001:2001(1000) ack 1");
    t.inject(". 1:1(0) ack 2001").inject(". 1:1001(1000) ack 2001");
    t.expect_between(ms(0), secs(1), "[noecn] . 2001:2001(0) ack 1001").forget_rest();
}

/// §6.1.5: text outside the window says nothing of congestion.
#[test]
fn section_6_1_5_marks_outside_the_window_are_ignored() {
    let mut t = accepted();
    t.inject("[ect0] . 1:1001(1000) ack 1").expect(". 1:1(0) ack 1001").expect_read(1000);
    t.inject("[ce] . 1:1001(1000) ack 1").expect(". 1:1(0) ack 1001 <...>");
    t.inject("[ect0] . 1001:2001(1000) ack 1").expect(". 1:1(0) ack 2001").forget_rest();
}
