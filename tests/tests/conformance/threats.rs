//! Rows of the threat model that belong to no RFC: named after them.

use crate::{ms, secs};
use stack::State;
use stack::testing::packet::Flags;
use stack::testing::rig::Rig;

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
