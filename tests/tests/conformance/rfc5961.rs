//! RFC 5961, Improving TCP's Robustness to Blind In-Window Attacks.

use crate::{ms, secs};
use stack::testing::rig::Rig;
use stack::{State, TcpError};

/// The states in which a peer may try.
const SYNCHRONIZED: [State; 6] = [
    State::Established,
    State::FinWait1,
    State::FinWait2,
    State::CloseWait,
    State::Closing,
    State::LastAck,
];

/// §3.2 (T-1): only the exact sequence number resets.
#[test]
fn section_3_a_blind_reset_resets_nothing() {
    for state in SYNCHRONIZED {
        let mut t = Rig::in_state(state);
        let next = t.last().ack.wrapping_sub(t.bases().ack);
        for step in [1, 2, 100, 10_000, 60_000] {
            t.advance(secs(1)).forget_rest();
            let seq = next + step;
            t.inject(&format!("R {seq}:{seq}(0)"));
            let challenge = t.next_segment();
            assert_eq!(challenge.ack.wrapping_sub(t.bases().ack), next, "{state}");
            t.expect_nothing().state(state);
        }
        for seq in [-1_i64, -70_000, i64::from(next) + 70_000, 1 << 31] {
            t.advance(secs(1)).forget_rest();
            t.inject(&format!("R {seq}:{seq}(0)")).expect_nothing().state(state);
        }
        t.inject(&format!("R {next}:{next}(0)")).expect_nothing().state(State::Closed);
    }
}

/// 65,536 resets stepped through the whole space, and not one of them exact.
#[test]
fn t1_a_sweep_of_resets() {
    let mut t = Rig::established();
    for i in 0..65_536u32 {
        let seq = i.wrapping_mul(65_537).wrapping_add(2);
        if seq != 1 {
            t.inject(&format!("R {seq}:{seq}(0)"));
        }
    }
    t.forget_rest().state(State::Established);
}

/// §4.2 (T-2): a SYN inside a connection is challenged wherever it stands.
#[test]
fn section_4_a_blind_syn_resets_nothing() {
    for state in SYNCHRONIZED {
        for seq in [-70_000_i64, 0, 1, 2, 100, 70_000, 1 << 31] {
            let mut t = Rig::in_state(state);
            t.inject(&format!("S {seq}:{seq}(0) win 9"));
            let challenge = t.next_segment();
            assert_eq!(challenge.flags, stack::testing::packet::Flags::ACK, "{state} {seq}");
            t.expect_nothing().state(state);
        }
    }
}

/// §4.2, with timestamps agreed: who opens anew may have none, and is challenged all the same. His
/// answer, that he knows of no such connection, ends the one that is dead (T-19).
#[test]
fn section_4_a_syn_without_timestamps_is_challenged_too() {
    let mut t = Rig::accepted(crate::rfc7323::ALL);
    t.inject("S 0:0(0) win 9 <mss 1460>");
    t.expect(". 1:1(0) ack 1 <nop,nop,TS val * ecr 1000000>").state(State::Established);
    t.inject("R 1:1(0)").expect_nothing().expect_error(TcpError::Reset);
}
/// §5.2 (T-3): text with an acknowledgment that cannot be.
#[test]
fn section_5_ghost_acknowledgments_inject_nothing() {
    for ack in [2_i64, 1000, 1 << 20, -65_536, -(1 << 20), 1 << 31] {
        let mut t = Rig::established();
        t.inject(&format!("P. 1:11(10) ack {ack}"));
        t.expect(". 1:1(0) ack 1").expect_would_block();
    }
}

/// T-3, ten thousand of them at random places.
#[test]
fn t3_blind_text_is_not_accepted() {
    let mut t = Rig::established();
    let mut place = 12_345u32;
    for _ in 0..10_000 {
        place = place.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let ack = place.clamp(70_000, u32::MAX - 140_000);
        t.inject(&format!("P. 1:11(10) ack {ack}"));
    }
    t.forget_rest().expect_would_block();
}

/// §7 (T-9): challenges are limited, for each connection by itself.
#[test]
fn section_7_challenges_are_limited() {
    let mut t = Rig::established();
    let mut answers = 0;
    for _ in 0..100 {
        t.inject("S 1:1(0) win 9").advance(ms(50));
        answers += t.take_segments().len();
    }
    assert!((2..=12).contains(&answers), "{answers} challenges in five seconds");
    t.set_peer_port(41_000);
    let mut t = t.accept_from("<mss 1460>");
    t.inject("S 1:1(0) win 9").expect(". 1:1(0) ack 1");
}

/// T-10: text outside the window is always acknowledged, or a lossy path would starve.
#[test]
fn t10_repeated_text_is_never_starved() {
    let mut t = Rig::established();
    t.inject("P. 1:11(10) ack 1").expect_within(ms(500), ". 1:1(0) ack 11");
    for _ in 0..100 {
        t.inject("P. 1:11(10) ack 1").expect(". 1:1(0) ack 11");
    }
}

/// T-9: two ends that have lost each other do not talk for ever.
#[test]
fn t9_an_acknowledgment_storm_dies_down() {
    let mut t = Rig::established();
    let mut answers = 0;
    for _ in 0..600 {
        t.inject(". 70000:70000(0) ack 1").advance(ms(10));
        answers += t.take_segments().len();
    }
    assert!(answers <= 13, "{answers} answers in six seconds");
}

/// T-19: a peer that has crashed and comes again.
#[test]
fn t19_half_open_connections_are_found_out() {
    let mut t = Rig::established();
    t.inject("S 500000:500000(0) win 65535 <mss 1460>").expect(". 1:1(0) ack 1");
    // The peer knows nothing of this and resets with the number that it was told.
    t.inject("R 1:1(0)").expect_nothing().state(State::Closed).expect_error(TcpError::Reset);
    t.set_peer_isn(2_000_000).inject("S 0:0(0) win 65535 <mss 1460>");
    t.expect("S. 0:0(0) ack 1 <...>");
}

/// §5.2: an acknowledgment as old as the greatest window is only old, and one older is challenged.
#[test]
fn section_5_old_acknowledgments_within_the_window_are_silent() {
    let mut t = Rig::established();
    for end in [14_601, 29_201, 43_801, 58_401, 73_001, 87_601] {
        t.send(14_600).forget_rest();
        t.inject(&format!(". 1:1(0) ack {end}")).forget_rest();
    }
    t.inject(&format!(". 1:1(0) ack {}", 87_601 - 65_535)).expect_nothing();
    t.inject(&format!(". 1:1(0) ack {}", 87_601 - 65_536)).expect(". 87601:87601(0) ack 1");
}
