//! RFC 5682, Forward RTO-Recovery. Without SACK: nothing but SND.UNA tells what has arrived.

use crate::secs;
use stack::testing::rig::Rig;

/// So many segments are lost, and the timer has expired for the first; there is more to send.
fn timed_out(segments: usize) -> Rig {
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
    let mut t = timed_out(3);
    t.inject(". 1:1(0) ack 1001");
    t.expect(". 3001:4001(1000) ack 1").expect(". 4001:5001(1000) ack 1");
    t.inject(". 1:1(0) ack 1001").expect(". 1001:2001(1000) ack 1");
    t.inject(". 1:1(0) ack 2001").expect(". 2001:3001(1000) ack 1");
    t.forget_rest();
}

/// §2.1 step 1: a time-out in the middle of that is no new question.
#[test]
fn section_2_1_step_1_not_while_a_time_out_is_repaired() {
    let mut t = timed_out(4);
    t.inject(". 1:1(0) ack 1001");
    t.expect(". 4001:5001(1000) ack 1").expect(". 5001:6001(1000) ack 1");
    t.inject(". 1:1(0) ack 1001").expect(". 1001:2001(1000) ack 1");
    t.inject(". 1:1(0) ack 2001").expect(". 2001:3001(1000) ack 1").forget_rest();
    t.expect_within(secs(3), ". 2001:3001(1000) ack 1");
    t.inject(". 1:1(0) ack 3001").expect(". 3001:4001(1000) ack 1").forget_rest();
}
