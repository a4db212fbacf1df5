//! RFC 6928, Increasing TCP's Initial Window.

use crate::secs;
use stack::testing::rig::Rig;

/// §2: ten segments to begin with.
#[test]
fn section_2_the_initial_window_is_ten_segments() {
    for mss in [536, 1000, 1460] {
        let mut t = Rig::accepted(&format!("<mss {mss}>"));
        t.send(100_000);
        assert_eq!(t.take_segments().len(), 10, "MSS {mss}");
    }
}

/// §2: a SYN that was lost makes it one segment, as RFC 5681 §3.1 has it.
#[test]
fn section_2_after_a_lost_syn_one_segment() {
    let mut t = Rig::connecting();
    t.expect_within(secs(2), "S 0:0(0) <...>");
    t.inject("S. 0:0(0) ack 1 win 65535 <mss 1460>").expect(". 1:1(0) ack 1");
    t.send(100_000).expect(". 1:1461(1460) ack 1").expect_nothing();
}

/// §3: not what the window becomes after a time-out.
#[test]
fn section_3_not_after_a_time_out() {
    let mut t = Rig::established();
    t.send(100_000).forget_rest();
    t.expect_within(secs(2), ". 1:1461(1460) ack 1");
    t.expect_nothing();
}
