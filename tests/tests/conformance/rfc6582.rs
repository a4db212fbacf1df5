//! RFC 6582, NewReno: recovery without SACK.

use crate::rfc5681::ten_in_flight;
use crate::secs;
use stack::testing::rig::Rig;

fn three_duplicates(t: &mut Rig, ack: i64) {
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

/// Three of them start no recovery.
fn duplicates_mean_nothing(t: &mut Rig, ack: i64) {
    let ssthresh = t.info().unwrap().ssthresh;
    three_duplicates(t, ack);
    t.forget_rest();
    let info = t.info().unwrap();
    assert_eq!((info.in_recovery, info.ssthresh), (false, ssthresh));
    assert_eq!(t.stack.counters().tcp_fast_retrans, 0);
}

/// §3.2 step 2, §4.1: after a time-out duplicates of the old flight mean nothing new: lwIP and
/// others sent it all once more.
#[test]
fn section_4_1_no_fast_retransmit_after_a_time_out() {
    let mut t = ten_in_flight();
    t.expect_within(secs(2), ". 1:1461(1460) ack 1");
    t.inject(". 1:1(0) ack 2921").forget_rest();
    duplicates_mean_nothing(&mut t, 2921);
}

/// Ten segments were lost, the timer has expired, and they go again by slow start: two of them have
/// been acknowledged one by one, and four more are on their way.
fn in_slow_start_after_a_time_out() -> Rig {
    let mut t = ten_in_flight();
    t.expect_within(secs(2), ". 1:1461(1460) ack 1");
    // F-RTO sends two that are new, and what comes back for them says that the rest was lost.
    t.inject(". 1:1(0) ack 1461").inject(". 1:1(0) ack 1461").inject(". 1:1(0) ack 1461");
    t.inject(". 1:1(0) ack 2921").inject(". 1:1(0) ack 4381");
    assert!(was_sent_to(&mut t, 10_221));
    t
}

/// The segment that ends there was sent.
fn was_sent_to(t: &mut Rig, end: i64) -> bool {
    let sent = t.take_segments();
    sent.iter().any(|it| t.end_of(it) == end)
}

/// §4.1: a retransmission that is lost, too, is found by duplicates of those behind it and needs no
/// second time-out, which may be two minutes away.
#[test]
fn section_4_1_a_lost_retransmission_is_found() {
    let mut t = in_slow_start_after_a_time_out();
    three_duplicates(&mut t, 4381);
    assert!(was_sent_to(&mut t, 5841), "the first once more");
    assert!(t.info().unwrap().in_recovery);
    t.inject(". 1:1(0) ack 7301").expect(". 7301:8761(1460) ack 1");
}

/// §4.1: where the last acknowledgment took more than four segments, the receiver had most of them,
/// and what comes back is for retransmissions that nobody needed.
#[test]
fn section_4_1_needless_retransmissions_are_no_loss() {
    let mut t = in_slow_start_after_a_time_out();
    t.inject(". 1:1(0) ack 5841").inject(". 1:1(0) ack 13141").forget_rest();
    duplicates_mean_nothing(&mut t, 13141);
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
