//! RFC 5681, TCP Congestion Control.

use crate::rfc6675::under;
use crate::rfc8985::{MSS, RTT, at, sack, segment, with_sack};
use crate::{ms, reno, secs};
use stack::Congestion;
use stack::testing::rig::Rig;

/// Ten segments in flight, and more to send.
pub(crate) fn ten_in_flight() -> Rig {
    let mut t = reno();
    t.send(100_000);
    assert_eq!(t.take_segments().len(), 10);
    t
}

/// §3.1: in slow start at most one segment more for each acknowledgment (RFC 3465: two).
#[test]
fn slow_start_counts_bytes() {
    let mut t = ten_in_flight();
    // T-8: an acknowledgment of one byte is worth one byte.
    let before = t.info().unwrap().cwnd;
    for i in 1..=100 {
        t.inject(&format!(". 1:1(0) ack {}", 1 + i));
    }
    let grown = t.info().unwrap().cwnd - before;
    t.forget_rest();
    assert!(grown <= 200, "{grown} bytes for 100 acknowledgments of one byte");
}

/// §3.2: the third duplicate acknowledgment sends the segment again, at once.
#[test]
fn fast_retransmit() {
    let mut t = ten_in_flight();
    t.inject(". 1:1(0) ack 1").inject(". 1:1(0) ack 1");
    t.forget_rest();
    t.inject(". 1:1(0) ack 1").expect(". 1:1461(1460) ack 1").forget_rest();
    assert!(t.info().unwrap().ssthresh <= 8_760, "half of the flight");
}

/// §3.1 (4), §2: FlightSize is all that is not acknowledged, though some of it was reported; in
/// gVisor and here once it was what is still in the network, and the window shrank too far.
#[test]
fn section_3_1_flight_size_counts_what_was_reported() {
    let mut t = under(Congestion::Reno, 10);
    t.advance(RTT);
    t.inject(&sack(0, &[(1, 8)])).forget_rest();
    assert_eq!(t.info().unwrap().ssthresh as usize, 5 * MSS, "half of ten, not of three");
}

/// §3.1, RFC 7661 §4: in slow start a window of which more than half is used grows, for twice as
/// much may be wanted a round trip later; one that is hardly used does not.
#[test]
fn section_3_1_the_window_grows_when_it_is_used() {
    for (segments, grows) in [(9, true), (6, true), (4, false)] {
        let mut t = reno();
        t.send(segments * MSS).forget_rest();
        let before = t.info().unwrap().cwnd;
        t.inject(&format!(". 1:1(0) ack {}", at(2))).forget_rest();
        assert_eq!(t.info().unwrap().cwnd > before, grows, "{segments} of ten");
    }
}

/// §2: what a duplicate acknowledgment is not.
#[test]
fn window_updates_are_no_duplicates() {
    let mut t = ten_in_flight();
    for window in [60_000, 59_000, 58_000, 57_000, 56_000] {
        t.inject(&format!(". 1:1(0) ack 1 win {window}"));
    }
    for i in 0..5 {
        t.inject(&format!("P. {}:{}(1) ack 1 win 56000", 1 + i, 2 + i));
    }
    t.expect_nothing_sent_again();
}

/// With nothing in flight nothing can be lost, however often the peer says the same.
#[test]
fn nothing_is_lost_with_nothing_in_flight() {
    let mut t = Rig::established();
    let before = t.info().unwrap();
    for _ in 0..10 {
        t.inject(". 1:1(0) ack 1").expect_nothing();
    }
    let after = t.info().unwrap();
    assert_eq!((before.cwnd, before.ssthresh), (after.cwnd, after.ssthresh));
}

trait NothingAgain {
    fn expect_nothing_sent_again(&mut self);
}

impl NothingAgain for Rig {
    #[track_caller]
    fn expect_nothing_sent_again(&mut self) {
        let again = self.take_segments().iter().filter(|s| !s.payload.is_empty()).count();
        assert_eq!(again, 0);
    }
}

/// §3.1 (4): after a time-out one segment, and half of the flight as the threshold.
#[test]
fn after_a_time_out() {
    let mut t = ten_in_flight();
    t.expect_within(secs(2), ". 1:1461(1460) ack 1");
    t.expect_nothing();
    let info = t.info().unwrap();
    assert!((2920..=7300).contains(&info.ssthresh), "{}", info.ssthresh);
    assert!(info.cwnd <= 1460, "{}", info.cwnd);
    // Only the first time-out of a segment halves it.
    t.expect_within(secs(3), ". 1:1461(1460) ack 1");
    assert_eq!(t.info().unwrap().ssthresh, info.ssthresh);
    // What had arrived before is acknowledged with the hole: worth a segment (RFC 3465 §2.3).
    t.inject(". 1:1(0) ack 14601").forget_rest();
    assert!(t.info().unwrap().cwnd <= 2920, "{}", t.info().unwrap().cwnd);
}

/// §3.1: whatever was learnt meanwhile, each time-out begins with one segment: here the first one
/// is taken for needless, because a report came of what was not sent again.
#[test]
fn section_3_1_every_time_out_begins_with_one_segment() {
    let mut t = with_sack(10);
    t.send(10 * MSS).expect_within(secs(1), &segment(10));
    t.expect_within(secs(2), &segment(0));
    t.inject(&sack(0, &[(5, 6)])).forget_rest();
    assert_eq!(t.stack.counters().tcp_spurious_rtos, 1);
    let timeouts = t.info().unwrap().timeouts;
    while t.info().unwrap().timeouts == timeouts {
        t.forget_rest().advance(ms(10));
    }
    let again = t.take_segments();
    assert_eq!(again.len(), 1, "{again:?}");
    assert!(t.info().unwrap().cwnd as usize <= MSS);
}

/// §4.1: a pause that is shorter than the time-out is no idling, however long what came before it
/// took.
#[test]
fn section_4_1_a_short_pause_is_no_idling() {
    let mut t = under(Congestion::Reno, 10);
    t.send(30 * MSS).advance(RTT);
    for acked in 1..=20 {
        t.inject(&format!(". 1:1(0) ack {}", at(2 * acked)));
    }
    // For a second and more something is in flight.
    t.send(MSS);
    for acked in 41..=60 {
        t.advance(ms(60)).send(MSS).inject(&format!(". 1:1(0) ack {}", at(acked)));
    }
    t.inject(&format!(". 1:1(0) ack {}", at(61))).forget_rest();
    let info = t.info().unwrap();
    assert!(info.cwnd as usize >= 20 * MSS && info.rto < ms(500), "{info:?}");
    t.advance(ms(150)).send(20 * MSS);
    assert_eq!(t.take_segments().len(), 20);
}

/// §4.1: after idling, no burst of a window from another time.
#[test]
fn after_idling_the_window_restarts() {
    let mut t = Rig::established();
    t.send(200_000);
    for _ in 0..5 {
        let end = t.take_segments().iter().map(|segment| t.end_of(segment)).max();
        let Some(end) = end else { break };
        t.inject(&format!(". 1:1(0) ack {end}"));
    }
    let mut end = t.take_segments().iter().map(|segment| t.end_of(segment)).max();
    while let Some(last) = end {
        t.inject(&format!(". 1:1(0) ack {last}"));
        end = t.take_segments().iter().map(|segment| t.end_of(segment)).max();
    }
    assert!(t.info().unwrap().cwnd > 20_000);
    t.advance(secs(60)).send(60_000);
    let burst = t.take_segments().len();
    assert!(burst <= 10, "{burst} segments after a minute");
}

/// T-7: an acknowledgment of what was not sent is worth nothing.
#[test]
fn t7_optimistic_acknowledgments() {
    let mut t = ten_in_flight();
    let before = t.info().unwrap().cwnd;
    t.inject(". 1:1(0) ack 50000").expect(". 14601:14601(0) ack 1").expect_nothing();
    assert_eq!(t.info().unwrap().cwnd, before);
    t.expect_silence(ms(50));
}
