//! RFC 9293 §3.8.6, §3.8.6.1: windows that shrink and windows that are closed.

use crate::{ms, secs};
use stack::testing::packet::Segment;
use stack::testing::rig::Rig;
use stack::{ListenOptions, State, TcpOptions};
use std::time::Duration;

/// The right edge that a segment of the stack announces, counted from the peer's SYN.
fn edge(t: &Rig, segment: &Segment) -> i64 {
    i64::from(segment.ack.wrapping_sub(t.bases().ack)) + i64::from(segment.window)
}

#[test]
fn shld_14_the_right_edge_does_not_move_left() {
    let tcp = TcpOptions { receive_buffer: Some(20_000), ..TcpOptions::default() };
    let options = ListenOptions { tcp, ..ListenOptions::default() };
    let mut t = Rig::new().listen(options).accept_from("<mss 1460>");
    let (mut next, mut known) = (1, 20_001);
    for round in 0..60 {
        let room = known - next;
        let len = (37 * round % 1400).min(room);
        t.inject(&format!("P. {next}:{}({len}) ack 1", next + len));
        next += len;
        if round % 4 == 0 {
            t.try_recv(1000).ok();
        }
        if round == 30 {
            let (now, mut options) = (t.now(), t.tcp().options());
            options.receive_buffer = Some(3000);
            t.tcp().set_options(now, options);
        }
        t.advance(ms(50));
        for segment in t.take_segments() {
            let edge = edge(&t, &segment);
            assert!(edge >= known, "from {known} to {edge}");
            known = edge;
        }
    }
}

/// Four thousand bytes in flight, and then the window is one thousand.
fn shrunk() -> Rig {
    let mut t = Rig::established();
    t.inject(". 1:1(0) ack 1 win 4380").send(20_000);
    assert_eq!(t.take_segments().len(), 3);
    t.inject(". 1:1(0) ack 1 win 1000").expect_nothing();
    t
}

#[test]
fn must_34_a_shrunk_window_is_survived() {
    let mut t = shrunk();
    t.state(State::Established);
    t.inject(". 1:1(0) ack 4381 win 65535").expect(". 4381:5841(1460) ack 1").forget_rest();
}

#[test]
fn shld_15_nothing_new_goes_beyond_a_shrunk_window() {
    let mut t = shrunk();
    t.advance(secs(10));
    let ends: Vec<i64> = t.take_segments().iter().map(|segment| t.end_of(segment)).collect();
    assert!(ends.iter().all(|end| *end <= 4381), "{ends:?}");
}

#[test]
fn shld_16_what_fits_a_shrunk_window_is_sent_again() {
    let mut t = shrunk();
    t.expect_within(secs(2), ". 1:1001(1000) ack 1");
    t.forget_rest();
}

#[test]
fn shld_17_a_shrunk_window_does_not_end_the_connection() {
    let mut t = shrunk();
    t.inject(". 1:1(0) ack 1001 win 0");
    for _ in 0..300 {
        t.advance(secs(10)).forget_rest();
        t.inject(". 1:1(0) ack 1001 win 0");
    }
    t.state(State::Established);
    t.inject(". 1:1(0) ack 4381 win 65535").forget_rest();
    assert_eq!(t.info().unwrap().bytes_acked, 4380);
}

/// Text waits in front of a closed window.
fn closed_window() -> Rig {
    let mut t = Rig::established();
    t.inject(". 1:1(0) ack 1 win 0").send(5000).expect_nothing();
    t
}

/// The next probe: a segment that a peer with a closed window has to answer.
fn probe(t: &mut Rig) -> Duration {
    let start = t.now();
    for _ in 0..100_000 {
        if t.unexpected() > 0 {
            let segment = t.next_segment();
            let una = 1 + t.info().unwrap().bytes_acked as i64;
            let old = t.end_of(&segment) <= una;
            assert!(old || segment.payload.len() == 1, "{segment:?}");
            return t.now() - start;
        }
        t.advance(ms(10));
    }
    panic!("no probe in a thousand seconds");
}

#[test]
fn must_35_a_window_that_shrinks_to_nothing_is_probed() {
    let mut t = Rig::established();
    t.inject(". 1:1(0) ack 1 win 2920").send(10_000);
    assert_eq!(t.take_segments().len(), 2);
    t.inject(". 1:1(0) ack 1 win 0");
    assert!(probe(&mut t) < secs(3));
    t.state(State::Established);
}

/// SHLD-17: nor is the network blamed for text that a window closed over. It is probed whether or
/// not something waits behind that text, and no time-out is counted.
#[test]
fn shld_17_text_behind_a_closed_window_is_only_probed() {
    for written in [2920, 10_000] {
        let mut t = Rig::established();
        t.inject(". 1:1(0) ack 1 win 2920").send(written);
        assert_eq!(t.take_segments().len(), 2);
        t.inject(". 1:1(0) ack 1 win 0");
        assert!(probe(&mut t) < secs(3));
        t.inject(". 1:1(0) ack 1461 win 0");
        let before = t.stack.counters().tcp_timeouts;
        for _ in 0..5 {
            assert!(probe(&mut t) <= secs(61));
            t.inject(". 1:1(0) ack 1461 win 0");
        }
        let counted = t.stack.counters().tcp_timeouts - before;
        assert_eq!(counted, u64::from(written == 2920), "one may be under way");
    }
}

#[test]
fn must_36_a_closed_window_is_probed() {
    let mut t = closed_window();
    assert!(probe(&mut t) < secs(3));
    t.inject(". 1:1(0) ack 1 win 65535").expect(". 1:1461(1460) ack 1").forget_rest();
}

#[test]
fn shld_29_the_first_probe_comes_after_one_time_out() {
    let mut t = closed_window();
    let rto = t.info().unwrap().rto;
    let first = probe(&mut t);
    assert!(first >= rto.mul_f64(0.9) && first <= rto * 2, "{first:?}, RTO {rto:?}");
}

#[test]
fn shld_30_probes_become_rarer() {
    let mut t = closed_window();
    let gaps: Vec<Duration> = (0..9).map(|_| probe(&mut t)).collect();
    assert!(
        gaps.windows(2).all(|two| two[1] * 10 >= two[0] * 15 || two[1] >= secs(55)),
        "{gaps:?}"
    );
    assert!(gaps.iter().all(|gap| *gap <= secs(125)), "{gaps:?}");
}

#[test]
fn must_37_as_long_as_probes_are_answered_the_connection_stays() {
    let mut t = closed_window();
    for _ in 0..60 {
        probe(&mut t);
        t.inject(". 1:1(0) ack 1 win 0");
    }
    t.state(State::Established);
    t.inject(". 1:1(0) ack 1 win 65535");
    let total: usize = t.take_segments().iter().map(|segment| segment.payload.len()).sum();
    assert!(total >= 4380, "{total} bytes when it opened");
}

/// THREATS T-14: a lost window update is found by a probe.
#[test]
fn a_lost_window_update_is_found() {
    let mut t = closed_window();
    probe(&mut t);
    t.inject(". 1:1(0) ack 1 win 0").forget_rest();
    probe(&mut t);
    t.inject(". 1:1(0) ack 1 win 5000");
    let total: usize = t.take_segments().iter().map(|segment| segment.payload.len()).sum();
    assert_eq!(total, 5000);
}

/// An old segment, overtaken by a newer one, does not change the window (SND.WL1, SND.WL2).
#[test]
fn an_old_segment_does_not_change_the_window() {
    let mut t = Rig::established();
    t.inject("P. 1:11(10) ack 1 win 3000").inject("P. 11:21(10) ack 1 win 2000").forget_rest();
    t.inject(". 1:1(0) ack 1 win 9000").forget_rest();
    assert_eq!(t.info().unwrap().send_window, 2000);
}
