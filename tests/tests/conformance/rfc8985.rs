//! RFC 8985, the RACK-TLP Loss Detection Algorithm, in the order of its sections.

use crate::{ms, secs};
use stack::State;
use stack::testing::rig::Rig;
use std::time::Duration;

pub(crate) const RTT: Duration = ms(100);
/// With SACK and without timestamps a full segment has 1460 bytes.
pub(crate) const MSS: usize = 1460;

/// A connection with SACK whose handshake took [`RTT`], with `segments` full segments sent.
pub(crate) fn with_sack(segments: usize) -> Rig {
    let mut t = Rig::connecting();
    t.advance(RTT);
    t.inject("S. 0:0(0) ack 1 win 65535 <mss 1460,nop,nop,sackOK>").expect(". 1:1(0) ack 1");
    t.state(State::Established);
    t.send(segments * MSS);
    assert_eq!(t.take_segments().len(), segments);
    t
}

/// The first octet of segment `n`, counted from 0.
pub(crate) fn at(n: usize) -> usize {
    1 + n * MSS
}

pub(crate) fn sack(una: usize, blocks: &[(usize, usize)]) -> String {
    let list: Vec<String> =
        blocks.iter().map(|&(left, right)| format!("{}:{}", at(left), at(right))).collect();
    format!(". 1:1(0) ack {} <nop,nop,sack {}>", at(una), list.join(" "))
}

pub(crate) fn segment(n: usize) -> String {
    format!(". {}:{}({MSS}) ack 1", at(n), at(n + 1))
}

/// §6.2 step 2: an acknowledgment that comes sooner than any before may be the original's, unless
/// it echoes the retransmission's own timestamp. Then the path has become shorter, and what was
/// sent before the retransmission is lost.
#[test]
fn section_6_2_step_2_a_path_that_becomes_shorter() {
    let mut t = Rig::connecting();
    t.advance(RTT);
    t.inject("S. 0:0(0) ack 1 win 65535 <mss 1460,sackOK,TS val 1 ecr 0>").expect(". 1:1(0) ack 1");
    t.send(10 * 1448).take_segments();
    t.advance(RTT);
    let val = t.peer_clock();
    t.inject(&format!(". 1:1(0) ack 1 <nop,nop,TS val {val} ecr 100,nop,nop,sack 1449:5793>"));
    t.expect(". 1:1449(1448) ack 1");
    t.advance(RTT / 2).inject(". 1:1(0) ack 5793");
    let again: Vec<i64> = t.take_segments().iter().map(|it| t.end_of(it)).collect();
    assert_eq!(again.first(), Some(&7241), "{again:?}");
}

/// §6.2 step 4: three segments above a hole on a path that has never reordered: at once.
#[test]
fn section_6_2_step_4_three_segments_above_the_hole() {
    let mut t = with_sack(10);
    t.advance(RTT);
    t.inject(&sack(0, &[(1, 2)])).expect_nothing();
    t.inject(&sack(0, &[(1, 3)])).expect_nothing();
    t.inject(&sack(0, &[(1, 4)])).expect(&segment(0)).expect_nothing();
    assert_eq!(t.info().unwrap().lost, 0);
}

/// §6.2 step 5: with less than three the window of reordering, a quarter of the least round trip,
/// has to pass; the timer finds the loss.
#[test]
fn section_6_2_step_5_the_reordering_timer() {
    let mut t = with_sack(3);
    t.advance(RTT);
    t.inject(&sack(0, &[(1, 3)])).expect_nothing();
    let waited = t.expect_within(ms(60), &segment(0));
    assert!((ms(24)..ms(27)).contains(&waited), "{waited:?}");
}

/// §6.2 step 5: every hole below, not only the first, and nothing that was reported.
#[test]
fn section_6_2_step_5_all_that_is_older() {
    let mut t = with_sack(10);
    t.advance(RTT);
    t.inject(&sack(0, &[(1, 2), (3, 4), (5, 8)]));
    // PRR lets one out at once, and more as acknowledgments come (RFC 9937).
    t.expect(&segment(0));
    t.inject(&sack(0, &[(5, 9), (3, 4), (1, 2)])).inject(&sack(0, &[(5, 10), (3, 4), (1, 2)]));
    t.expect(&segment(2)).expect(&segment(4)).expect_nothing();
}

/// §6.2 step 3 and 4: once the path has reordered, three segments are no proof any more.
#[test]
fn section_6_2_step_3_reordering_is_remembered() {
    let mut t = with_sack(10);
    t.advance(RTT);
    t.inject(&sack(0, &[(1, 2)])).expect_nothing();
    // Segment 0 was only late.
    t.advance(ms(5)).inject(&format!(". 1:1(0) ack {}", at(2)));
    t.forget_rest();
    assert!(t.info().unwrap().reordering);
    assert_eq!(t.stack.counters().tcp_sack_reorder, 1);
    t.inject(&sack(2, &[(3, 7)])).expect_nothing();
    let waited = t.expect_within(ms(60), &segment(2));
    assert!((ms(15)..ms(30)).contains(&waited), "{waited:?}");
    t.forget_rest();
}

/// §6.2 step 4: the window was too small when the first copy of what was believed lost arrives, and
/// nobody has to wait for the second one's report.
#[test]
fn section_6_2_step_4_first_copies_widen_the_window() {
    for (late, window) in [(false, 25), (true, 50)] {
        let mut t = with_sack(10);
        t.advance(RTT);
        t.inject(&sack(0, &[(7, 10)])).expect(&segment(0)).forget_rest();
        if late {
            // Both were believed lost as well, and wait to be sent again.
            t.inject(&sack(0, &[(5, 10)])).forget_rest();
        }
        t.advance(RTT);
        for una in 1..=10 {
            t.inject(&format!(". 1:1(0) ack {}", at(una))).forget_rest();
        }
        t.send(3 * MSS).forget_rest();
        t.advance(RTT).inject(&sack(10, &[(11, 13)])).expect_nothing();
        let waited = t.expect_within(ms(200), &segment(10));
        assert!((ms(window)..ms(window + 3)).contains(&waited), "{late}: {waited:?}");
    }
}

/// §1, §6: a retransmission that is lost is found by what was sent after it.
#[test]
fn section_6_a_lost_retransmission() {
    let mut t = with_sack(10);
    t.advance(RTT);
    for right in [2, 3, 4] {
        t.inject(&sack(0, &[(1, right)]));
    }
    t.expect(&segment(0)).expect_nothing();
    t.send(20 * MSS);
    for right in 5..=10 {
        t.inject(&sack(0, &[(1, right)]));
    }
    let new = t.take_segments();
    assert!(!new.is_empty(), "new text while the hole is being filled");
    let last = t.end_of(new.last().unwrap()) as usize;
    t.advance(RTT);
    t.inject(&format!(". 1:1(0) ack 1 <nop,nop,sack {}:{last}>", at(1)));
    t.expect(&segment(0)).forget_rest();
    assert_eq!(t.stack.counters().tcp_lost_retransmit, 1);
}

/// §7.2, §7.3: two round trips of silence, then the last segment again; one only.
#[test]
fn section_7_the_tail_is_probed() {
    let mut t = with_sack(4);
    let waited = t.expect_within(ms(400), &format!("P{}", &segment(3)));
    assert!((ms(200)..ms(205)).contains(&waited), "{waited:?}");
    // Then the retransmission timer, from the probe on.
    let waited = t.expect_within(ms(1000), &segment(0));
    assert!((ms(290)..ms(310)).contains(&waited), "{waited:?}");
    assert_eq!(t.stack.counters().tcp_loss_probes, 1);
}

/// §7.3: new text is the better probe, whatever the congestion window says.
#[test]
fn section_7_3_new_text_is_the_probe() {
    let mut t = with_sack(10);
    t.send(5 * MSS).expect_nothing();
    t.expect_within(ms(250), &segment(10));
    t.forget_rest();
}

/// §7.2: with one segment out the peer may be delaying its acknowledgment.
#[test]
fn section_7_2_a_single_segment_waits_for_the_delayed_acknowledgment() {
    let mut t = with_sack(1);
    // The time-out of 300 ms comes before 2 SRTT + 200 ms: the probe takes its place.
    let waited = t.expect_within(ms(700), &format!("P{}", &segment(0)));
    assert!((ms(295)..ms(305)).contains(&waited), "{waited:?}");
    assert_eq!(t.stack.counters().tcp_timeouts, 0);
}

/// §7.4: the probe's acknowledgment tells of the lost segments before it.
#[test]
fn section_7_the_probe_finds_what_was_lost() {
    let mut t = with_sack(4);
    t.expect_within(ms(400), &format!("P{}", &segment(3)));
    t.advance(RTT);
    t.inject(&sack(0, &[(3, 4)]));
    let waited = t.expect_within(ms(60), &segment(0));
    assert!(waited <= ms(27), "{waited:?}");
    t.forget_rest();
    assert_eq!(t.stack.counters().tcp_timeouts, 0);
}

/// §7.4.2: both copies arrived: nothing was lost, and no window shrinks.
#[test]
fn section_7_4_2_a_probe_for_nothing() {
    let mut t = with_sack(4);
    let cwnd = t.info().unwrap().cwnd;
    t.expect_within(ms(400), &format!("P{}", &segment(3)));
    t.inject(&format!(". 1:1(0) ack {}", at(4)));
    t.inject(&format!(". 1:1(0) ack {} <nop,nop,sack {}:{}>", at(4), at(3), at(4)));
    assert!(t.info().unwrap().cwnd >= cwnd);
    assert_eq!(t.stack.counters().tcp_loss_probe_recovery, 0);
    assert_eq!(t.info().unwrap().spurious_retransmits, 1);
}

/// §6.2 step 4: a probe is nothing that was believed lost. By timestamps the first copy was only
/// late, which says nothing about the path's order.
#[test]
fn section_6_2_step_4_a_probe_for_nothing_is_no_reordering() {
    let mut t = Rig::accepted("<mss 1460,sackOK,TS val 1000000 ecr 0>");
    let (clock, size) = (t.peer_clock(), MSS - 12);
    t.send(size).forget_rest();
    t.expect_within(ms(900), &format!("P. 1:{}({size}) ack 1", 1 + size));
    assert_eq!((t.stack.counters().tcp_loss_probes, t.stack.counters().tcp_timeouts), (1, 0));
    t.inject(&format!(". 1:1(0) ack {} <nop,nop,TS val {clock} ecr 0>", 1 + size));
    assert_eq!(t.info().unwrap().bytes_acked, size as u64);
    assert!(!t.info().unwrap().reordering);
}

/// §7.4.2: the probe repaired a loss: the path is congested all the same.
#[test]
fn section_7_4_2_a_probe_that_repaired_a_loss() {
    let mut t = with_sack(4);
    let cwnd = t.info().unwrap().cwnd;
    t.expect_within(ms(400), &format!("P{}", &segment(3)));
    t.advance(RTT).inject(&format!(". 1:1(0) ack {}", at(4)));
    t.send(MSS).forget_rest();
    t.inject(&format!(". 1:1(0) ack {}", at(5)));
    assert_eq!(t.stack.counters().tcp_loss_probe_recovery, 1);
    assert!(t.info().unwrap().cwnd < cwnd);
}

/// A full segment with the FIN behind it is no more than one segment to what may be sent: it goes
/// again as soon as it is found lost.
#[test]
fn section_6_2_a_fin_does_not_hold_its_text_up() {
    let mut t = with_sack(2);
    t.send(MSS).shutdown();
    t.forget_rest();
    t.advance(RTT).inject(&sack(0, &[(1, 2)])).expect_nothing();
    t.expect_within(ms(60), &segment(0));
    t.advance(RTT).inject(&format!(". 1:1(0) ack {}", at(2)));
    let again: Vec<_> = t.take_segments().iter().map(|it| it.payload.len()).collect();
    assert_eq!(again.iter().sum::<usize>(), MSS, "{again:?}");
}

/// §6.3: after a time-out what was sent lately is not lost.
#[test]
fn section_6_3_what_was_sent_lately_flies() {
    let mut t = with_sack(4);
    t.expect_within(ms(400), &format!("P{}", &segment(3)));
    t.advance(ms(250)).send(MSS);
    let lately = t.take_segments();
    assert_eq!(lately.len(), 1);
    t.expect_within(ms(100), &segment(0));
    let info = t.info().unwrap();
    assert!(info.in_flight as usize >= 2 * MSS, "the first and the last: {}", info.in_flight);
    assert_eq!(info.lost as usize, 3 * MSS);
}

/// Beyond the RFC, as RFC 9002 §6.2: in recovery two silent round trips send the first again.
#[test]
fn a_silent_recovery_is_rescued_before_the_time_out() {
    let mut t = with_sack(10);
    t.advance(RTT);
    for right in [2, 3, 4] {
        t.inject(&sack(0, &[(1, right)]));
    }
    t.expect(&segment(0)).expect_nothing();
    t.expect_within(ms(299), &segment(0));
    t.forget_rest();
    assert_eq!(t.stack.counters().tcp_timeouts, 0);
    t.advance(secs(2)).forget_rest();
    assert!(t.stack.counters().tcp_timeouts > 0, "once, and then the time-out");
    assert_eq!(t.stack.counters().tcp_rescue_probes, 1);
}

/// Where that would come no sooner than the time-out, the time-out comes: it finds all that is
/// lost, and a rescue only the first.
#[test]
fn a_rescue_does_not_put_the_time_out_off() {
    let mut t = Rig::connecting();
    t.advance(4 * RTT);
    t.inject("S. 0:0(0) ack 1 win 65535 <mss 1460,nop,nop,sackOK>").expect(". 1:1(0) ack 1");
    t.send(10 * MSS).take_segments();
    t.advance(4 * RTT).inject(&sack(0, &[(1, 4)])).expect(&segment(0)).expect_nothing();
    let rto = t.info().unwrap().rto;
    t.expect_within(rto + ms(1), &segment(0));
    let counters = t.stack.counters();
    assert_eq!((counters.tcp_timeouts, counters.tcp_rescue_probes), (1, 0), "after {rto:?}");
}

/// What was sent before a rest of the connection says nothing about what is sent after it.
#[test]
fn after_a_rest_nothing_is_lost_by_old_numbers() {
    let mut t = with_sack(10);
    t.advance(RTT).inject(&format!(". 1:1(0) ack {}", at(10)));
    t.advance(ms(10_000));
    t.send(4 * MSS);
    assert_eq!(t.take_segments().len(), 4);
    t.advance(RTT).inject(&format!(". 1:1(0) ack {}", at(11)));
    t.expect_silence(ms(150));
}
