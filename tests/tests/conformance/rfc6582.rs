//! RFC 6582, NewReno: recovery without SACK.

use crate::rfc5681::ten_in_flight;
use crate::secs;
use stack::testing::rig::Rig;

fn three_duplicates(t: &mut Rig, ack: usize) {
    for _ in 0..3 {
        t.inject(&format!(". 1:1(0) ack {ack}"));
    }
}

/// §3.2 step 3: a partial acknowledgment sends the next hole again, a full one ends it.
#[test]
fn section_3_2_partial_acknowledgments() {
    let mut t = ten_in_flight();
    for _ in 0..3 {
        t.inject(". 1:1(0) ack 1");
    }
    t.forget_rest();
    t.inject(". 1:1(0) ack 2921");
    t.expect(". 2921:4381(1460) ack 1").forget_rest();
    t.inject(". 1:1(0) ack 30000").forget_rest();
    let info = t.info().unwrap();
    assert!(info.cwnd <= info.ssthresh + 1460, "{} of {}", info.cwnd, info.ssthresh);
}

/// §3.2 step 3: recovery goes on until all is acknowledged that was out when it began, and the
/// threshold is lowered once.
#[test]
fn section_3_2_recovery_lasts_until_recover() {
    let mut t = ten_in_flight();
    three_duplicates(&mut t, 1);
    t.forget_rest();
    let ssthresh = t.info().unwrap().ssthresh;
    for hole in [1461, 2921, 4381, 5841] {
        t.inject(&format!(". 1:1(0) ack {hole}"));
        let again = t.take_segments();
        assert!(again.iter().any(|it| t.end_of(it) == hole + 1460), "the hole at {hole}");
        let info = t.info().unwrap();
        assert!(info.in_recovery && info.ssthresh == ssthresh, "{hole}");
    }
    // Limited transmit had sent two more before it began.
    t.inject(". 1:1(0) ack 14601").forget_rest();
    assert!(t.info().unwrap().in_recovery);
    t.inject(". 1:1(0) ack 17521").forget_rest();
    assert!(!t.info().unwrap().in_recovery);
}

/// §3.2 step 2, §4.1: after a time-out duplicates of the old flight mean nothing new: lwIP and
/// others sent it all once more.
#[test]
fn section_4_1_no_fast_retransmit_after_a_time_out() {
    let mut t = ten_in_flight();
    t.expect_within(secs(2), ". 1:1461(1460) ack 1");
    t.inject(". 1:1(0) ack 2921").forget_rest();
    let ssthresh = t.info().unwrap().ssthresh;
    three_duplicates(&mut t, 2921);
    t.forget_rest();
    let info = t.info().unwrap();
    assert_eq!((info.in_recovery, info.ssthresh), (false, ssthresh));
    assert_eq!(t.stack.counters().tcp_fast_retrans, 0);
}

/// §3.2 step 3: when it ends with little in flight there is no burst of a whole window.
#[test]
fn section_3_2_no_burst_in_the_end() {
    let mut t = ten_in_flight();
    three_duplicates(&mut t, 1);
    let sent = t.take_segments().iter().map(|it| t.end_of(it)).max().unwrap();
    t.inject(&format!(". 1:1(0) ack {sent}"));
    // min(ssthresh, FlightSize + SMSS), and the two of a step in slow start.
    assert!(t.take_segments().len() <= 4);
}
