//! RFC 5682, Forward RTO-Recovery (F-RTO): spurious time-outs.
//! Of userspace stacks only VPP undoes anything; gVisor counts.

use crate::rfc5681::ten_in_flight;
use crate::rfc8985::{MSS, RTT, at, segment, with_sack};
use crate::secs;
use stack::testing::rig::Rig;

/// Ten segments out, a time-out, and the first sent again.
fn timed_out() -> Rig {
    let mut t = ten_in_flight();
    t.expect_within(secs(2), ". 1:1461(1460) ack 1");
    t.expect_nothing();
    t
}

/// §2.1 step 2b: an acknowledgment that moves on lets new text go, not old.
#[test]
fn section_2_1_step_2b_new_text_to_find_out() {
    let mut t = timed_out();
    t.inject(". 1:1(0) ack 1461");
    t.expect(". 14601:16061(1460) ack 1").expect("P. 16061:17521(1460) ack 1").expect_nothing();
}

/// §2.1 step 3b: the next one does so, too: the time-out was for nothing, and the window is what
/// it was (RFC 4015).
#[test]
fn section_2_1_step_3b_the_time_out_was_for_nothing() {
    let mut t = ten_in_flight();
    let cwnd = t.info().unwrap().cwnd;
    t.expect_within(secs(2), ". 1:1461(1460) ack 1");
    t.inject(". 1:1(0) ack 1461").forget_rest();
    t.inject(". 1:1(0) ack 2921");
    let again = t.take_segments().iter().filter(|it| t.end_of(it) <= 14_601).count();
    assert_eq!(again, 0, "nothing of the old flight is sent again");
    assert!(t.info().unwrap().cwnd >= cwnd);
    assert_eq!(t.stack.counters().tcp_spurious_rtos, 1);
}

/// §2.1 step 3a: a duplicate instead: it was a loss, and the old flight is repaired.
#[test]
fn section_2_1_step_3a_it_was_a_loss() {
    let mut t = timed_out();
    t.inject(". 1:1(0) ack 1461").forget_rest();
    t.inject(". 1:1(0) ack 1461").inject(". 1:1(0) ack 1461");
    let again = t.take_segments().iter().any(|it| t.end_of(it) == 2921);
    assert!(again, "the first that is missing");
    assert_eq!(t.stack.counters().tcp_spurious_rtos, 0);
    assert!(t.info().unwrap().cwnd as usize <= 4 * MSS);
}

/// §2.1 step 2: what is sent again fills a hole, and the acknowledgment moves over what had arrived
/// behind it. Without SACK nobody knows that it had, and it is no proof of the original.
#[test]
fn section_2_1_step_2_a_hole_that_is_filled_is_no_proof() {
    let mut t = timed_out();
    t.inject(". 1:1(0) ack 2921").expect(". 14601:16061(1460) ack 1").forget_rest();
    t.inject(". 1:1(0) ack 2921").inject(". 1:1(0) ack 2921");
    assert_eq!(t.stack.counters().tcp_spurious_rtos, 0);
    let again = t.take_segments().iter().any(|it| t.end_of(it) == 4381);
    assert!(again, "the next hole waits for the next time-out");
}

/// §2.1 step 2a: a duplicate at once is no proof of anything: slow start goes on.
#[test]
fn section_2_1_step_2a_a_duplicate_first() {
    let mut t = timed_out();
    t.inject(". 1:1(0) ack 1");
    assert!(t.take_segments().iter().all(|it| t.end_of(it) <= 14_601), "nothing new");
    t.inject(". 1:1(0) ack 1461");
    let sent = t.take_segments();
    assert!(!sent.is_empty(), "slow start goes on");
    assert!(sent.iter().all(|it| t.end_of(it) <= 14_601), "what is lost goes first");
    assert_eq!(t.stack.counters().tcp_spurious_rtos, 0);
}

/// §3.1: with SACK a report of text that was not sent again says the same.
#[test]
fn section_3_1_with_sack() {
    let mut t = with_sack(10);
    let cwnd = t.info().unwrap().cwnd;
    // The probe comes first (RFC 8985 §7), with new text; nothing answers it.
    t.send(10 * MSS).expect_within(secs(1), &segment(10));
    t.expect_within(secs(2), &segment(0));
    t.inject(&format!(". 1:1(0) ack {}", at(1))).forget_rest();
    t.inject(&format!(". 1:1(0) ack {}", at(3)));
    let sent = t.take_segments();
    assert!(!sent.is_empty() && sent.iter().all(|it| t.end_of(it) as usize > at(10)), "{sent:?}");
    assert_eq!(t.stack.counters().tcp_spurious_rtos, 1);
    assert!(t.info().unwrap().cwnd >= cwnd);
}

/// So many segments are lost, and the timer has expired for the first; there is more to send.
fn first_sent_again(segments: usize) -> Rig {
    let mut t = Rig::accepted("<mss 1000>");
    t.send(segments * 1000).take_segments();
    t.expect_within(secs(1), ". 1:1001(1000) ack 1");
    t.send(20_000).expect_nothing();
    t
}

/// §2.1 steps 2 and 3a: new text finds out, and then what is lost goes. The peer may have said
/// with one acknowledgment that both new segments came, and a window of two is taken by them for
/// good: each partial acknowledgment lets the next one out.
#[test]
fn section_2_1_step_3a_what_is_lost_is_repaired_behind_the_new_text() {
    let mut t = first_sent_again(3);
    t.inject(". 1:1(0) ack 1001");
    t.expect(". 3001:4001(1000) ack 1").expect("P. 4001:5001(1000) ack 1");
    t.inject(". 1:1(0) ack 1001").expect(". 1001:2001(1000) ack 1");
    t.inject(". 1:1(0) ack 2001").expect(". 2001:3001(1000) ack 1");
    t.forget_rest();
}

/// §2.1 step 1: a time-out in the middle of that is no new question.
#[test]
fn section_2_1_step_1_not_while_a_time_out_is_repaired() {
    let mut t = first_sent_again(4);
    t.inject(". 1:1(0) ack 1001");
    t.expect(". 4001:5001(1000) ack 1").expect("P. 5001:6001(1000) ack 1");
    t.inject(". 1:1(0) ack 1001").expect(". 1001:2001(1000) ack 1");
    t.inject(". 1:1(0) ack 2001").expect(". 2001:3001(1000) ack 1").forget_rest();
    t.expect_within(secs(3), ". 2001:3001(1000) ack 1");
    t.inject(". 1:1(0) ack 3001").expect(". 3001:4001(1000) ack 1").forget_rest();
}

/// §3.4: after a needless time-out all is as before it: the tail is probed when nothing comes back.
#[test]
fn section_3_4_after_a_needless_time_out_the_tail_is_probed() {
    let mut t = with_sack(10);
    t.send(10 * MSS).expect_within(secs(1), &segment(10));
    t.expect_within(secs(2), &segment(0));
    t.inject(&format!(". 1:1(0) ack {}", at(1))).inject(&format!(". 1:1(0) ack {}", at(3)));
    assert_eq!(t.stack.counters().tcp_spurious_rtos, 1);
    let probes = t.stack.counters().tcp_loss_probes;
    t.forget_rest().advance(3 * RTT).forget_rest();
    assert_eq!(t.stack.counters().tcp_loss_probes, probes + 1);
}
