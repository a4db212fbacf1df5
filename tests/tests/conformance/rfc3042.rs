//! RFC 3042, Enhancing TCP's Loss Recovery Using Limited Transmit.
//! smoltcp, gVisor and lwIP do not have it.

use crate::rfc5681::ten_in_flight;
use crate::rfc8985::{MSS, RTT, at, sack, with_sack};
use stack::testing::rig::Rig;

/// The ends of the new segments that were sent.
fn new_ends(t: &mut Rig) -> Vec<i64> {
    t.take_segments().iter().map(|segment| t.end_of(segment)).collect()
}

/// §2: each of the first two duplicates lets one new segment go, and the window stays.
#[test]
fn section_2_two_duplicates_two_new_segments() {
    let mut t = ten_in_flight();
    let cwnd = t.info().unwrap().cwnd;
    t.inject(". 1:1(0) ack 1");
    assert_eq!(new_ends(&mut t), [16_061]);
    t.inject(". 1:1(0) ack 1");
    assert_eq!(new_ends(&mut t), [17_521]);
    assert_eq!(t.info().unwrap().cwnd, cwnd);
}

/// §2: with SACK, too.
#[test]
fn section_2_with_sack() {
    let mut t = with_sack(10);
    t.send(10 * MSS).advance(RTT).expect_nothing();
    t.inject(&sack(0, &[(1, 2)]));
    assert_eq!(new_ends(&mut t), [at(11) as i64]);
    t.inject(&sack(0, &[(1, 3)]));
    assert_eq!(new_ends(&mut t), [at(12) as i64]);
}

/// §2: but a duplicate must bring new information, or a segment that the network doubled would
/// let out another.
#[test]
fn section_2_only_for_news() {
    let mut t = with_sack(10);
    t.send(10 * MSS).advance(RTT).expect_nothing();
    t.inject(&sack(0, &[(1, 2)]));
    assert_eq!(new_ends(&mut t).len(), 1);
    t.inject(&sack(0, &[(1, 2)])).inject(". 1:1(0) ack 1").expect_nothing();
}

/// §2: nor beyond the peer's window.
#[test]
fn section_2_the_peers_window_rules() {
    let mut t = ten_in_flight();
    t.inject(". 1:1(0) ack 1 win 14600").expect_nothing();
    t.inject(". 1:1(0) ack 1 win 14600").inject(". 1:1(0) ack 1 win 14600").expect_nothing();
}
