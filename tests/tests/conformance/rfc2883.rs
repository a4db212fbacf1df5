//! RFC 2883, An Extension to the Selective Acknowledgment (SACK) Option for TCP: D-SACK.
//! gVisor, smoltcp, lwIP and netstack3 report no duplicates.

use crate::ms;
use crate::rfc8985::{MSS, RTT, at, sack, segment, with_sack};
use stack::testing::rig::Rig;

/// With SACK; `1:101` has arrived and is acknowledged.
fn a_hundred() -> Rig {
    let mut t = Rig::accepted("<mss 1460,sackOK>");
    t.inject("P. 1:101(100) ack 1").inject("P. 101:201(100) ack 1").expect(". 1:1(0) ack 201");
    t
}

/// §4: a duplicate is reported in the first block, once.
#[test]
fn section_4_a_duplicate_is_reported_once() {
    let mut t = a_hundred();
    t.inject("P. 1:101(100) ack 1").expect(". 1:1(0) ack 201 <nop,nop,sack 1:101>");
    t.send(10).expect("P. 1:11(10) ack 201");
}

/// §4: without SACK nothing is reported.
#[test]
fn section_4_only_where_sack_was_agreed() {
    let mut t = Rig::established();
    t.inject("P. 1:101(100) ack 1").inject("P. 101:201(100) ack 1").expect(". 1:1(0) ack 201");
    t.inject("P. 1:101(100) ack 1").expect(". 1:1(0) ack 201");
}

/// §4.1.1: the other blocks follow the duplicate's.
#[test]
fn section_4_1_1_below_the_acknowledgment_with_holes() {
    let mut t = a_hundred();
    t.inject("P. 301:401(100) ack 1").expect(". 1:1(0) ack 201 <nop,nop,sack 301:401>");
    t.inject("P. 1:101(100) ack 1").expect(". 1:1(0) ack 201 <nop,nop,sack 1:101 301:401>");
}

/// §4.1.2: above the acknowledgment the block that holds the duplicate comes second.
#[test]
fn section_4_1_2_above_the_acknowledgment() {
    let mut t = a_hundred();
    t.inject("P. 301:401(100) ack 1").expect(". 1:1(0) ack 201 <nop,nop,sack 301:401>");
    t.inject("P. 501:601(100) ack 1").expect(". 1:1(0) ack 201 <nop,nop,sack 501:601 301:401>");
    t.inject("P. 301:401(100) ack 1");
    t.expect(". 1:1(0) ack 201 <nop,nop,sack 301:401 301:401 501:601>");
}

/// §4.2.1: of a segment that is a duplicate in part, that part.
#[test]
fn section_4_2_1_a_part_is_reported() {
    let mut t = a_hundred();
    t.inject("P. 151:251(100) ack 1").expect(". 1:1(0) ack 251 <nop,nop,sack 151:201>");
}

/// §4.2.2: two parts that do not touch: the first.
#[test]
fn section_4_2_2_of_two_parts_the_first() {
    let mut t = a_hundred();
    t.inject("P. 301:401(100) ack 1").inject("P. 501:601(100) ack 1").forget_rest();
    t.inject("P. 201:701(500) ack 1").expect(". 1:1(0) ack 701 <nop,nop,sack 301:401>");
}

/// §5: the sender learns that a retransmission was for nothing.
#[test]
fn section_5_the_sender_counts_what_was_for_nothing() {
    let mut t = with_sack(10);
    t.advance(RTT);
    t.inject(&sack(0, &[(1, 4)])).expect(&segment(0)).forget_rest();
    t.inject(&format!(". 1:1(0) ack {} <nop,nop,sack 1:{}>", at(4), at(1))).forget_rest();
    assert_eq!(t.info().unwrap().spurious_retransmits, 1);
    assert_eq!(t.stack.counters().tcp_dsack_recv, 1);
}

/// §5, RFC 3708: what was never sent again cannot have been a needless retransmission.
#[test]
fn section_5_reports_of_nothing_are_not_believed() {
    let mut t = with_sack(10);
    t.advance(RTT).inject(&format!(". 1:1(0) ack {} <nop,nop,sack 1:{}>", at(4), at(1)));
    t.inject(&format!(". 1:1(0) ack {} <nop,nop,sack {}:{}>", at(4), at(90), at(91)));
    t.forget_rest();
    assert_eq!(t.info().unwrap().spurious_retransmits, 0);
    assert_eq!(t.info().unwrap().in_flight as usize, 6 * MSS);
    // Both kinds are counted, believed or not.
    t.inject(&sack(4, &[(5, 6), (5, 7)])).forget_rest();
    let counters = t.stack.counters();
    assert_eq!((counters.tcp_dsack_recv, counters.tcp_dsack_ofo_recv), (1, 1));
}

/// §4: duplicates that touch before anything was sent are one.
#[test]
fn section_4_neighbours_are_reported_together() {
    let mut t = a_hundred();
    t.inject_burst(&["P. 1:101(100) ack 1", "P. 101:201(100) ack 1"]);
    t.expect(". 1:1(0) ack 201 <nop,nop,sack 1:201>").expect_nothing();
    t.inject_burst(&["P. 101:201(100) ack 1", "P. 1:101(100) ack 1"]);
    t.expect(". 1:1(0) ack 201 <nop,nop,sack 1:201>").expect_nothing();
    t.inject_burst(&["P. 1:50(49) ack 1", "P. 101:201(100) ack 1"]);
    t.expect(". 1:1(0) ack 201 <nop,nop,sack 101:201>").expect_nothing();
}

/// RFC 3708 §3: when every retransmission is reported as a duplicate nothing was lost: recovery
/// ends and the window is what it was, once.
#[test]
fn section_5_a_recovery_for_nothing_is_undone() {
    let mut t = with_sack(10);
    let before = t.info().unwrap();
    t.advance(RTT);
    t.inject(&sack(0, &[(1, 4)])).expect(&segment(0)).forget_rest();
    let info = t.info().unwrap();
    assert!(info.in_recovery && info.ssthresh < before.ssthresh);
    t.inject(&format!(". 1:1(0) ack {} <nop,nop,sack 1:{}>", at(4), at(1))).forget_rest();
    let info = t.info().unwrap();
    assert!(!info.in_recovery && info.cwnd >= before.cwnd && info.ssthresh == before.ssthresh);
    t.inject(&format!(". 1:1(0) ack {}", at(5))).forget_rest();
    assert_eq!(t.stack.counters().tcp_dsack_undo, 1);
}

/// A probe for a lost tail that turns out to have been for nothing does not speak for the
/// retransmission of what was lost (Linux counts it among those that have to be reported).
#[test]
fn section_5_a_probe_for_nothing_undoes_no_recovery() {
    let mut t = with_sack(4);
    let before = t.info().unwrap();
    t.expect_within(ms(400), &format!("P{}", &segment(3)));
    t.inject(&sack(0, &[(1, 4)])).expect(&segment(0));
    t.inject(&sack(0, &[(3, 4), (1, 4)])).forget_rest();
    let info = t.info().unwrap();
    assert!(info.in_recovery && info.ssthresh < before.ssthresh);
    assert_eq!(t.stack.counters().tcp_dsack_undo, 0);
    t.inject(&format!(". 1:1(0) ack {}", at(4))).forget_rest();
    assert!(t.info().unwrap().cwnd < before.cwnd);
}
