//! RFC 6298, Computing TCP's Retransmission Timer.

use crate::rfc8985::{RTT, at, sack, segment, with_sack};
use crate::{ms, secs};
use stack::testing::rig::Rig;
use std::time::Duration;

/// A connection whose handshake took `rtt`.
fn with_rtt(rtt: Duration) -> Rig {
    let mut t = Rig::connecting();
    t.advance(rtt);
    t.inject("S. 0:0(0) ack 1 win 65535 <mss 1460>").expect(". 1:1(0) ack 1");
    t
}

/// §2.1: one second before the first sample.
#[test]
fn section_2_1_the_first_time_out_is_a_second() {
    let mut t = Rig::connecting();
    t.expect_between(ms(990), ms(1010), "S 0:0(0) <...>");
}

/// §2.2: RTO = R + 4 * R/2.
#[test]
fn must_18_the_first_sample() {
    for rtt in [100, 200, 500] {
        let mut t = with_rtt(ms(rtt));
        let expected = ms(3 * rtt);
        assert_eq!((t.info().unwrap().rtt, t.info().unwrap().rtt_var), (ms(rtt), ms(rtt) / 2));
        t.send(10).expect("P. 1:11(10) ack 1");
        t.expect_between(expected - ms(5), expected + ms(5), "P. 1:11(10) ack 1");
    }
}

/// §2.3, in its order: RTTVAR first, with the old SRTT.
#[test]
fn must_18_later_samples() {
    let mut t = with_rtt(ms(100));
    let (mut srtt, mut rttvar) = (100.0_f64, 50.0_f64);
    let mut next = 1;
    for sample in [100, 500, 100, 30, 900] {
        t.send(10).expect(&format!("P. {next}:{}(10) ack 1", next + 10));
        t.advance(ms(sample)).forget_rest();
        next += 10;
        // Only samples of segments that were sent once count.
        let once = sample < 200;
        t.inject(&format!(". 1:1(0) ack {next}"));
        if !once {
            continue;
        }
        rttvar = 0.75 * rttvar + 0.25 * (srtt - sample as f64).abs();
        srtt = 0.875 * srtt + 0.125 * sample as f64;
        let info = t.info().unwrap();
        assert!((info.rtt.as_secs_f64() * 1e3 - srtt).abs() < 1.0, "{:?}, not {srtt}", info.rtt);
        let var = info.rtt_var.as_secs_f64() * 1e3;
        assert!((var - rttvar).abs() < 1.0, "{var}, not {rttvar}");
    }
}

/// Karn's algorithm (§3): a segment that was sent twice gives no sample.
#[test]
fn must_18_karns_algorithm() {
    let mut t = with_rtt(ms(100));
    let before = t.info().unwrap().rtt;
    t.send(10).expect("P. 1:11(10) ack 1");
    t.expect_within(secs(2), "P. 1:11(10) ack 1");
    t.advance(ms(1)).inject(". 1:1(0) ack 11");
    assert_eq!(t.info().unwrap().rtt, before);
}

/// Nor does what was sent once and arrived behind a hole, if the acknowledgment had to wait for the
/// hole to be filled, and no report came before: it says how long that took.
#[test]
fn section_3_what_waited_for_a_hole_gives_no_sample() {
    let mut t = with_sack(10);
    t.advance(RTT).inject(&sack(0, &[(1, 4)])).expect(&segment(0)).forget_rest();
    let before = t.info().unwrap().rtt;
    t.advance(RTT).forget_rest();
    t.inject(&format!(". 1:1(0) ack {}", at(10))).forget_rest();
    assert_eq!(t.info().unwrap().rtt, before);
}

/// §2.4 asks for one second, every stack in use has 200 ms; never less.
#[test]
fn section_2_4_the_floor() {
    let mut t = with_rtt(ms(1));
    t.send(10).expect("P. 1:11(10) ack 1");
    t.expect_between(ms(200), ms(1000), "P. 1:11(10) ack 1");
}

/// The floor stands beside SRTT, as in Linux: on a long and steady path RTTVAR becomes nothing, and
/// the first queue or delayed acknowledgment would look like a loss.
#[test]
fn section_2_4_the_floor_is_beside_the_round_trip() {
    let mut t = with_rtt(ms(300));
    for i in 0..20 {
        let (from, to) = (1 + i * 10, 11 + i * 10);
        t.send(10).expect(&format!("P. {from}:{to}(10) ack 1"));
        t.advance(ms(300)).inject(&format!(". 1:1(0) ack {to}")).expect_nothing();
    }
    let info = t.info().unwrap();
    assert!(info.rtt_var < ms(2), "{:?}", info.rtt_var);
    assert!((ms(499)..ms(510)).contains(&info.rto), "{:?}", info.rto);
}

/// §2.5: the ceiling is at least a minute.
#[test]
fn section_2_5_the_ceiling() {
    let mut t = Rig::established();
    t.send(10).expect("P. 1:11(10) ack 1");
    let mut longest = Duration::ZERO;
    for _ in 0..12 {
        longest = longest.max(t.expect_within(secs(200), "P. 1:11(10) ack 1"));
    }
    assert!((secs(60)..=secs(121)).contains(&longest), "{longest:?}");
}

/// §5.2, §5.3: stopped when all is acknowledged, restarted when something new is.
#[test]
fn section_5_the_timer_follows_acknowledgments() {
    let mut t = with_rtt(ms(100));
    t.send(1460).send(1460).expect("P. 1:1461(1460) ack 1").expect("P. 1461:2921(1460) ack 1");
    t.advance(ms(100)).inject(". 1:1(0) ack 1461");
    let rto = t.info().unwrap().rto;
    t.expect_between(rto - ms(5), rto + ms(5), "P. 1461:2921(1460) ack 1");
    t.inject(". 1:1(0) ack 2921").expect_silence(secs(100));
}

/// §5.4: the earliest segment, and only that one.
#[test]
fn section_5_4_the_earliest_segment_is_sent_again() {
    let mut t = with_rtt(ms(100));
    t.send(4380).forget_rest();
    t.expect_within(secs(1), ". 1:1461(1460) ack 1");
    t.expect_nothing();
}

/// §5.7: after a lost SYN, three seconds.
#[test]
fn section_5_7_after_a_lost_syn() {
    let mut t = Rig::connecting();
    t.expect_within(secs(2), "S 0:0(0) <...>");
    t.inject("S. 0:0(0) ack 1 win 65535 <mss 1460>").expect(". 1:1(0) ack 1");
    t.send(10).expect("P. 1:11(10) ack 1");
    t.expect_between(ms(2900), ms(3100), "P. 1:11(10) ack 1");
}

/// Never too early: the time-out counts from the last time that the segment was sent.
#[test]
fn never_too_early() {
    let mut t = with_rtt(ms(100));
    for i in 0..20 {
        let (from, to) = (1 + i * 10, 11 + i * 10);
        t.send(10).expect(&format!("P. {from}:{to}(10) ack 1"));
        t.expect_silence(ms(100));
        t.inject(&format!(". 1:1(0) ack {to}")).expect_nothing();
    }
}
