//! RFC 9937, Proportional Rate Reduction, which takes the place of RFC 6937.
//! gVisor, smoltcp, netstack3 and lwIP do not have it.

use crate::linux::set;
use crate::rfc6675::under;
use crate::rfc8985::{MSS, RTT, at, sack, segment, with_sack};
use crate::{ms, secs};
use stack::Congestion;

/// §6.2: one new segment for each second report under Reno, so that the flight comes down to half
/// in one round trip without a pause.
#[test]
fn section_6_2_proportional() {
    let mut t = under(Congestion::Reno, 10);
    t.send(20 * MSS).advance(RTT).expect_nothing();
    let mut sent = Vec::new();
    for right in 2..=10 {
        t.inject(&sack(0, &[(1, right)]));
        sent.push(t.take_segments().len());
    }
    // Limited transmit twice, the retransmission, and then every second time.
    assert_eq!(sent[..3], [1, 1, 1]);
    assert!(sent[3..].iter().all(|n| *n <= 1), "no burst: {sent:?}");
    assert_eq!(sent[3..].iter().sum::<usize>(), 2, "no pause: {sent:?}");
    let info = t.info().unwrap();
    assert!(info.in_flight.abs_diff(info.ssthresh) <= 3 * MSS as u32, "{info:?}");
}

/// §6.2: below the threshold at most what was delivered, and a segment more.
#[test]
fn section_6_2_conservation() {
    let mut t = with_sack(10);
    t.send(40 * MSS).advance(RTT).expect_nothing();
    // All but the last two are lost.
    t.inject(&sack(0, &[(8, 9)])).forget_rest();
    t.advance(RTT / 2).forget_rest();
    let mut sent = Vec::new();
    for right in 1..=8 {
        t.inject(&sack(right, &[(8, 10)]));
        sent.push(t.take_segments().len());
    }
    let fair = sent.iter().all(|burst| *burst <= 3) && sent.iter().sum::<usize>() >= 8;
    assert!(fair, "{sent:?} segments for acknowledgments of one or two");
}

/// §6.2: in the end the window is the threshold, even with nothing in flight; and what was reported
/// during recovery does not count once more.
#[test]
fn section_6_2_in_the_end_the_threshold() {
    let mut t = under(Congestion::Reno, 10);
    t.advance(RTT);
    for right in [2, 3, 4, 10] {
        t.inject(&sack(0, &[(1, right)]));
    }
    t.expect(&segment(0)).expect_nothing();
    t.inject(&format!(". 1:1(0) ack {}", at(10))).expect_nothing();
    let info = t.info().unwrap();
    assert!((info.cwnd - info.ssthresh) < MSS as u32 / 2, "{} {}", info.cwnd, info.ssthresh);
    t.send(20 * MSS);
    assert_eq!(t.take_segments().len(), 5);
}

/// §6.2: what is lost beyond a window that was taken back waits for the window, and less may have
/// been delivered than it is long. When the window opens nothing is in flight that would bring the
/// next acknowledgment: a segment goes all the same. No timer ran, and it never went.
#[test]
fn section_6_2_a_segment_when_nothing_is_in_flight() {
    let mut t = with_sack(0);
    set(&mut t, |options| options.nodelay = true);
    t.send(48).send(1000).send(96);
    assert_eq!(t.take_segments().len(), 3);
    t.advance(RTT).inject(". 1:1(0) ack 1 win 1048 <nop,nop,sack 49:1049>").expect_nothing();
    t.expect_within(RTT, ". 1:49(48) ack 1");
    t.advance(RTT).inject(". 1:1(0) ack 1049 win 0").expect_nothing();
    assert_eq!(t.info().unwrap().lost, 96);
    t.advance(ms(10)).inject(". 1:1(0) ack 1049 win 1048");
    t.expect("P. 1049:1145(96) ack 1").expect_nothing();
    t.inject(". 1:1(0) ack 1145 win 1048").expect_silence(secs(10));
}

/// §6.2: a segment more only where SND.UNA moves and nothing else is found lost.
#[test]
fn section_6_2_reports_alone_let_out_what_they_deliver() {
    let mut t = with_sack(10);
    t.advance(RTT).inject(&sack(0, &[(7, 10)]));
    assert_eq!(t.take_segments().len(), 3);
    t.advance(ms(1)).inject(&sack(0, &[(1, 2), (7, 10)]));
    assert_eq!(t.take_segments().len(), 1);
    t.advance(ms(1)).inject(&sack(2, &[(7, 10)]));
    assert_eq!(t.take_segments().len(), 2);
}

/// §6.1: what the first acknowledgment delivers was in flight when recovery began, however much it
/// is: ten of forty let seven of twenty-eight out.
#[test]
fn section_6_1_what_begins_the_recovery_counts_on_both_sides() {
    let mut t = under(Congestion::Cubic, 10);
    t.advance(RTT).send(100 * MSS);
    let mut una = 0;
    while (t.info().unwrap().in_flight as usize) < 40 * MSS {
        una += 2;
        t.inject(&format!(". 1:1(0) ack {}", at(una))).forget_rest();
    }
    t.advance(RTT).inject(&sack(una, &[(una + 1, una + 11)]));
    assert_eq!(t.info().unwrap().ssthresh as usize, 28 * MSS);
    assert_eq!(t.take_segments().len(), 7);
}
