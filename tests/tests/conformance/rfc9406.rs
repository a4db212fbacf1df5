//! RFC 9406, HyStart++, on the wire.

use crate::ms;
use crate::rfc6675::under;
use crate::rfc8985::{MSS, RTT};
use stack::Congestion;
use stack::testing::rig::Rig;
use std::time::Duration;

/// A round trip of `rtt`: all that is out is acknowledged segment by segment. Returns how many
/// segments that were.
fn round(t: &mut Rig, rtt: Duration) -> usize {
    let ends: Vec<i64> = t.take_segments().iter().map(|it| t.end_of(it)).collect();
    t.advance(rtt);
    for end in &ends {
        t.inject(&format!(". 1:1(0) ack {end}"));
    }
    ends.len()
}

fn begun() -> Rig {
    let mut t = under(Congestion::Cubic, 0);
    t.send(700 * MSS);
    t
}

/// §4.2: while the round trip is what it was, the window doubles.
#[test]
fn section_4_2_slow_start_doubles() {
    let mut t = begun();
    let mut flights = Vec::new();
    for _ in 0..3 {
        flights.push(round(&mut t, RTT));
    }
    t.forget_rest();
    assert_eq!(flights, [10, 20, 40]);
}

/// §4.2, §4.3: when it grows by an eighth, slow start becomes conservative: a quarter of the speed.
#[test]
fn section_4_3_a_longer_round_trip_slows_it_down() {
    let mut t = begun();
    for _ in 0..2 {
        round(&mut t, RTT);
    }
    let slow = RTT + ms(20);
    round(&mut t, slow);
    let before = round(&mut t, slow);
    let after = round(&mut t, slow);
    t.forget_rest();
    assert!(after * 2 < before * 3, "{before} and then {after} segments in a flight");
    assert!(after > before, "but it grows");
}

/// §4.3: five such rounds, and congestion avoidance begins where the window stands.
#[test]
fn section_4_3_five_rounds_end_slow_start() {
    let mut t = begun();
    for _ in 0..2 {
        round(&mut t, RTT);
    }
    for _ in 0..7 {
        round(&mut t, RTT + ms(20));
    }
    t.forget_rest();
    let info = t.info().unwrap();
    assert!(info.ssthresh < u32::MAX && info.cwnd >= info.ssthresh, "{info:?}");
}

/// §4.3: a round trip that becomes short again was no queue: slow start goes on.
#[test]
fn section_4_3_a_false_alarm() {
    let mut t = begun();
    for rtt in [RTT, RTT, RTT + ms(20), RTT, RTT] {
        round(&mut t, rtt);
    }
    t.forget_rest();
    assert_eq!(t.info().unwrap().ssthresh, u32::MAX);
}
