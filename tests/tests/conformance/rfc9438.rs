//! RFC 9438, CUBIC, on the wire; its curve is held to the RFC's formulas beside the code
//! (`cubic_tests`).

use crate::rfc6675::under;
use crate::rfc8985::{MSS, RTT, at, sack, segment};
use crate::secs;
use stack::testing::rig::Rig;
use stack::{Congestion, TcpInfo};

fn info(t: &Rig) -> TcpInfo {
    t.info().unwrap()
}

/// Ten segments out, of which the first is lost and repaired.
fn recovered() -> Rig {
    let mut t = under(Congestion::Cubic, 10);
    t.advance(RTT);
    t.inject(&sack(0, &[(1, 4)])).expect(&segment(0)).forget_rest();
    t
}

/// §4.6: after a loss seven tenths of the window.
#[test]
fn section_4_6_seven_tenths() {
    let t = recovered();
    assert_eq!(info(&t).ssthresh as usize, 7 * MSS);
}

/// §4.6: of the window, though little of it was in use: a program that sends now and then does not
/// queue behind a loss.
#[test]
fn section_4_6_seven_tenths_of_a_window_that_is_little_used() {
    let mut t = under(Congestion::Cubic, 5);
    t.advance(RTT);
    t.inject(&sack(0, &[(1, 4)])).expect(&segment(0)).forget_rest();
    assert_eq!(info(&t).ssthresh as usize, 7 * MSS);
}

/// §4.6: never less than two segments.
#[test]
fn section_4_6_two_segments_at_the_least() {
    let mut t = under(Congestion::Cubic, 10);
    t.expect_within(secs(1), &format!("P{}", segment(9)));
    t.expect_within(secs(2), &segment(0));
    t.inject(&format!(". 1:1(0) ack {}", at(1))).forget_rest();
    assert_eq!(info(&t).cwnd as usize, 2 * MSS);
    t.expect_within(secs(2), &segment(1));
    assert_eq!(info(&t).ssthresh as usize, 2 * MSS);
}

/// §4.8: after a time-out one segment, and slow start to the threshold.
#[test]
fn section_4_8_after_a_time_out() {
    let mut t = under(Congestion::Cubic, 10);
    t.expect_within(secs(1), &format!("P{}", segment(9)));
    t.expect_within(secs(2), &segment(0));
    assert_eq!((info(&t).cwnd as usize, info(&t).ssthresh as usize), (MSS, 7 * MSS));
}

/// §4.3: where Reno would be faster, it grows as Reno does: less than a segment a round trip while
/// below the old window (alpha is 9/17).
#[test]
fn section_4_3_the_reno_friendly_region() {
    let mut t = recovered();
    t.inject(&format!(". 1:1(0) ack {}", at(10))).forget_rest();
    let begun = info(&t).cwnd;
    t.send(600 * MSS);
    for round in 1..=4u32 {
        let ends: Vec<i64> = t.take_segments().iter().map(|it| t.end_of(it)).collect();
        t.advance(RTT);
        for end in ends {
            t.inject(&format!(". 1:1(0) ack {end}"));
        }
        let grown = info(&t).cwnd - begun;
        let most = round * MSS as u32;
        assert!(grown <= most && grown >= most / 3, "{grown} bytes in {round} round trips");
    }
    t.forget_rest();
}

/// §4.2, RFC 7661: a window that is not used does not grow, however long it takes.
#[test]
fn section_4_2_no_growth_without_use() {
    let mut t = recovered();
    t.inject(&format!(". 1:1(0) ack {}", at(10))).forget_rest();
    let begun = info(&t).cwnd;
    for n in 10..40 {
        t.send(MSS).forget_rest();
        t.advance(RTT).inject(&format!(". 1:1(0) ack {}", at(n + 1))).forget_rest();
    }
    assert!(info(&t).cwnd <= begun, "{} after {begun}", info(&t).cwnd);
}
