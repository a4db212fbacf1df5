//! RFC 9293 §3.8.6.3: when to send an acknowledgment.

use crate::{ms, secs};
use stack::TcpOptions;
use stack::testing::rig::Rig;

#[test]
fn shld_18_acknowledgments_are_delayed() {
    let mut t = Rig::established();
    t.inject("P. 1:11(10) ack 1").expect_nothing();
    t.expect_between(ms(1), ms(500), ". 1:1(0) ack 11");
}

/// On an answer the acknowledgment needs no segment of its own.
#[test]
fn shld_18_acknowledgments_ride_on_text() {
    let mut t = Rig::established();
    t.inject("P. 1:11(10) ack 1").expect_nothing();
    t.send(5).expect("P. 1:6(5) ack 11").expect_silence(ms(100));
}

#[test]
fn must_40_the_delay_is_below_half_a_second() {
    for len in [1, 100, 1459] {
        let mut t = Rig::established();
        t.inject(&format!("P. 1:{}({len}) ack 1", 1 + len));
        let delay = t.expect_within(ms(499), &format!(". 1:1(0) ack {}", 1 + len));
        assert!(
            delay <= ms(41),
            "at most 40 ms and a tick, as the packet scripts expect: {delay:?}"
        );
    }
}

#[test]
fn shld_19_every_second_full_segment() {
    let mut t = Rig::established();
    let mut acks = 0;
    for i in 0..10 {
        t.inject(&format!(". {}:{}(1460) ack 1", 1 + i * 1460, 1461 + i * 1460));
        acks += t.take_segments().len();
    }
    assert!(acks >= 5, "{acks} acknowledgments for ten segments");
}

/// A FIN that comes alone is acknowledged at once, as Linux does; behind text its acknowledgment
/// waits for our own FIN.
#[test]
fn a_fin_waits_for_ours_behind_text_only() {
    let mut t = Rig::established();
    t.inject("F. 1:1(0) ack 1").expect(". 1:1(0) ack 2");
    let mut t = Rig::established();
    t.inject(". 1:1461(1460) ack 1").expect(". 1:1(0) ack 1461");
    t.inject("F. 1461:1461(0) ack 1").expect_silence(ms(39));
    t.expect_within(ms(2), ". 1:1(0) ack 1462");
}

#[test]
fn quick_ack_does_not_wait() {
    let mut t = Rig::established();
    let now = t.now();
    let options = TcpOptions { quick_ack: true, ..t.tcp().options() };
    t.tcp().set_options(now, options);
    t.inject("P. 1:11(10) ack 1").expect(". 1:1(0) ack 11");
}

/// RFC 5681 §4.2: a segment that fills a hole, and one that was there before.
#[test]
fn holes_and_duplicates_are_acknowledged_at_once() {
    let mut t = Rig::established();
    t.inject("P. 11:21(10) ack 1").expect(". 1:1(0) ack 1");
    t.inject("P. 1:11(10) ack 1").expect(". 1:1(0) ack 21");
    t.inject("P. 1:11(10) ack 1").expect(". 1:1(0) ack 21");
}

/// A sender in slow start hears of each segment, sixteen at the most; then of every second.
#[test]
fn slow_start_is_acknowledged_segment_by_segment() {
    let mut t = Rig::established();
    let full = |t: &mut Rig, i: u32| {
        t.inject(&format!(". {}:{}(1460) ack 1", 1 + i * 1460, 1461 + i * 1460));
        t.recv_all();
        t.take_segments().len()
    };
    let first: usize = (0..16).map(|i| full(&mut t, i)).sum();
    assert_eq!(first, 16);
    let next: usize = (16..36).map(|i| full(&mut t, i)).sum();
    assert_eq!(next, 10);
    // After idling the sender begins anew.
    t.advance(secs(2)).forget_rest();
    let again: usize = (36..40).map(|i| full(&mut t, i)).sum();
    assert_eq!(again, 4);
}

/// A small segment waits for an answer; but a sender who waits for us, as Nagle's algorithm does,
/// is held up for milliseconds only.
#[test]
fn small_segments_wait_a_little() {
    let mut t = Rig::established();
    t.inject("P. 1:11(10) ack 1").expect_nothing();
    t.expect_between(ms(2), ms(4), ". 1:1(0) ack 11");
}

/// Where answers carry acknowledgments they are given time; where one fails to come, no more.
#[test]
fn an_answer_is_waited_for_where_there_were_answers() {
    let mut t = Rig::established();
    t.inject("P. 1:11(10) ack 1").expect_nothing();
    t.send(10).expect("P. 1:11(10) ack 11");
    t.inject("P. 11:21(10) ack 11").expect_silence(ms(30));
    t.send(10).expect("P. 11:21(10) ack 21");
    t.inject("P. 21:31(10) ack 21").expect_silence(ms(30));
    t.expect_within(ms(11), ". 21:21(0) ack 31");
    t.inject("P. 31:41(10) ack 21").expect_within(ms(5), ". 21:21(0) ack 41");
}

/// Asking for quick acknowledgments sends the one that waits.
#[test]
fn quick_ack_sends_what_waits() {
    let mut t = Rig::established();
    t.inject("P. 1:11(10) ack 1").expect_nothing();
    let now = t.now();
    let options = TcpOptions { quick_ack: true, ..t.tcp().options() };
    t.tcp().set_options(now, options);
    t.drain().expect(". 1:1(0) ack 11");
}

/// What stands an octet before RCV.NXT is no news, but its ACK is heard, for a FIN or a probe goes
/// to a closed window (draft-gont-tcpm-tcp-seq-validation §3). So is that of an empty segment at
/// the right edge: it comes from whoever has filled the window, and some of that was lost. If both
/// sides have, and nobody is heard, both send the same for ever. Nothing else outside is heard.
#[test]
fn acknowledgments_beside_the_window_are_heard() {
    for (line, heard) in [
        (". 10:10(0) ack 11", true),
        (". 10:11(1) ack 11", true),
        (". 9:9(0) ack 11", false),
        (". 9:11(2) ack 11", false),
        (". 65536:65536(0) ack 11", true),
        (". 65536:65537(1) ack 11", false),
        (". 65537:65537(0) ack 11", false),
    ] {
        let mut t = Rig::established();
        t.inject("P. 1:11(10) ack 1").send(10).expect("P. 1:11(10) ack 11");
        t.inject(line).expect(". 11:11(0) ack 11");
        assert_eq!(t.info().unwrap().bytes_acked, if heard { 10 } else { 0 }, "{line}");
    }
}

/// Where the window has shrunk below what was sent our acknowledgments stand at its edge. Who has
/// received what is behind takes none of them, and if he goes back to send again, all he sends is
/// old: it is heard for its ACK, or both would say the same for ever (Appendix A.2). Not what is
/// older than the connection, and nothing old where the window has not shrunk.
#[test]
fn acknowledgments_in_old_text_are_heard_behind_a_shrunk_window() {
    for (window, line, heard) in [
        (0, "P. 1:11(10) ack 21 win 1000", true),
        (0, ". 5:5(0) ack 21 win 1000", true),
        (0, ". 0:0(0) ack 21 win 1000", false),
        (0, "P. 1:11(10) ack 22 win 1000", false),
        (20, "P. 1:11(10) ack 21 win 1000", false),
    ] {
        let mut t = Rig::established();
        t.inject("P. 1:21(20) ack 1").send(20).expect("P. 1:21(20) ack 21");
        t.inject(&format!(". 21:21(0) ack 1 win {window}"));
        t.inject(line);
        let seq = if heard || window > 0 { 21 } else { 1 };
        t.expect(&format!(". {seq}:{seq}(0) ack 21"));
        assert_eq!(t.info().unwrap().bytes_acked, if heard { 20 } else { 0 }, "{line}");
    }
}

/// §3.10.7.4, fifth: without the ACK bit a segment is dropped, text and all.
#[test]
fn a_segment_that_acknowledges_nothing_is_dropped() {
    let mut t = Rig::established();
    t.inject("P 1:11(10)").expect_silence(secs(1)).expect_would_block();
    t.inject("P. 1:11(10) ack 1").expect_read(10);
}
